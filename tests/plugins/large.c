/* As much state as a plug-in may have; the numbers behind the plain task's own say where they stand. */
#include "plain.h"

static const struct shoal_option options[] = { PLAIN_AFTER };

static int large_open(const double *values, struct shoal_spec *spec, void **shared, char *error)
{
    (void)shared, (void)error;
    plain_open(values, spec, N_AFTER);
    spec->n_state = SHOAL_MAX_STATE;
    return 0;
}

static void large_get_state(const void *self, double *state)
{
    for (int i = 0; i < SHOAL_MAX_STATE; i++)
        state[i] = i;
    plain_get_state(self, state);
}

/* The place is lost with any of the others. */
static void large_set_state(void *self, const double *state)
{
    struct plain *p = self;
    plain_set_state(self, state);
    for (int i = 3; i < SHOAL_MAX_STATE; i++)
        if (state[i] != i)
            p->place = 0;
}

static const struct shoal_environment table = {
    .version = SHOAL_ENVIRONMENT_VERSION, .bytes = sizeof(struct shoal_environment), .name = "large",
    .options = options, .n_options = N_AFTER, .open = large_open, .create = plain_create,
    .destroy = free, .reset = plain_reset, .step = plain_step, .observe = plain_observe,
    .get_state = large_get_state, .set_state = large_set_state,
};
PLAIN_EXPORT(table)
