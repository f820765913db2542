/* Now and then a step writes where nothing is. */
#include <signal.h>

#include "plain.h"

static const struct shoal_option options[] = {
    PLAIN_AFTER,
    { "how", 0, 0, 2, "0: SIGSEGV, 1: abort, 2: exit with status 3" },
};
enum { HOW = N_AFTER };

static int crash_open(const double *values, struct shoal_spec *spec, void **shared, char *error)
{
    (void)shared, (void)error;
    return plain_open(values, spec, N_AFTER + 1);
}

static void crash_step(void *self, const float *action, struct shoal_step *out)
{
    plain_step(self, action, out);
    if (!plain_is_due(self))
        return;
    switch ((int)plain_values[HOW]) {
    case 0: {
        volatile int *volatile nowhere = (volatile int *)8;
        *nowhere = 1;
        break;
    }
    case 1: abort();
    default: exit(3);
    }
}

static const struct shoal_environment table = PLAIN_TABLE("crash", options, crash_open, crash_step);
PLAIN_EXPORT(table)
