/* Now and then a step does not come back. */
#include <unistd.h>

#include "plain.h"

static const struct shoal_option options[] = {
    PLAIN_AFTER,
    { "spins", 0, 0, 1, "1: it burns its processor, 0: it sleeps" },
};
enum { SPINS = N_AFTER };

static int hang_open(const double *values, struct shoal_spec *spec, void **shared, char *error)
{
    (void)shared, (void)error;
    return plain_open(values, spec, N_AFTER + 1);
}

static void hang_step(void *self, const float *action, struct shoal_step *out)
{
    plain_step(self, action, out);
    volatile int for_ever = plain_is_due(self);
    while (for_ever)
        if (plain_values[SPINS] < 1)
            sleep(1);
}

static const struct shoal_environment table = PLAIN_TABLE("hang", options, hang_open, hang_step);
PLAIN_EXPORT(table)
