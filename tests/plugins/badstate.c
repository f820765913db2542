/* Now and then a state that is none, though the episode goes on as if nothing were wrong. */
#include "plain.h"

static const struct shoal_option options[] = { PLAIN_AFTER };

static int bad_open(const double *values, struct shoal_spec *spec, void **shared, char *error)
{
    (void)shared, (void)error;
    return plain_open(values, spec, N_AFTER);
}

static void bad_get_state(const void *self, double *state)
{
    struct plain copy = *(const struct plain *)self;
    plain_get_state(self, state);
    if (plain_is_due(&copy))
        state[0] = NAN;
}

static const struct shoal_environment table = {
    .version = SHOAL_ENVIRONMENT_VERSION, .bytes = sizeof(struct shoal_environment), .name = "badstate",
    .options = options, .n_options = N_AFTER, .open = bad_open, .create = plain_create, .destroy = free,
    .reset = plain_reset, .step = plain_step, .observe = plain_observe, .get_state = bad_get_state,
    .set_state = plain_set_state,
};
PLAIN_EXPORT(table)
