#include "common/exploration.h"

#include <math.h>

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
