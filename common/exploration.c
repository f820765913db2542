#include "common/exploration.h"

#include <math.h>
#include <string.h>

static const char *const exploration_names[] = {
    [EXPLORATION_NONE] = "none", [EXPLORATION_GAUSSIAN] = "gaussian",
    [EXPLORATION_ORNSTEIN_UHLENBECK] = "ornstein_uhlenbeck",
};

const char *exploration_name(enum exploration_kind kind)
{
    return exploration_names[kind];
}

int exploration_find(const char *name, enum exploration_kind *kind, struct error *err)
{
    for (size_t i = 0; i < sizeof(exploration_names) / sizeof(*exploration_names); i++)
        if (strcmp(name, exploration_names[i]) == 0) {
            *kind = (enum exploration_kind)i;
            return 0;
        }
    return error_set(err, ERR_FORMAT, "unknown exploration \"%s\"", name);
}

void exploration_draw(const struct exploration *e, struct rng *rng, int n_act, double *state,
                      float *out)
{
    for (int i = 0; i < n_act; i++) {
        double noise = 0;
        if (e->kind == EXPLORATION_GAUSSIAN)
            noise = e->sigma * rng_normal(rng);
        if (e->kind == EXPLORATION_ORNSTEIN_UHLENBECK)
            noise = state[i] += -e->theta * state[i] * e->dt + e->sigma * sqrt(e->dt) * rng_normal(rng);
        out[i] = (float)noise;
    }
}
