/* Now and then a number that is none, in the reward or in the observation. */
#include "plain.h"

static const struct shoal_option options[] = {
    PLAIN_AFTER,
    { "what", 0, 0, 3, "0: NaN reward, 1: NaN observation, 2: infinite observation, 3: says broken" },
};
enum { WHAT = N_AFTER };

static int nan_open(const double *values, struct shoal_spec *spec, void **shared, char *error)
{
    (void)shared, (void)error;
    return plain_open(values, spec, N_AFTER + 1);
}

static void nan_step(void *self, const float *action, struct shoal_step *out)
{
    plain_step(self, action, out);
    struct plain *p = self;
    if (!plain_is_due(p))
        return;
    switch ((int)plain_values[WHAT]) {
    case 0: out->reward = NAN; break;
    case 1: p->place = NAN; break;
    case 2: p->place = INFINITY; break;
    default: out->broken = 1;
    }
}

static const struct shoal_environment table = PLAIN_TABLE("nan", options, nan_open, nan_step);
PLAIN_EXPORT(table)
