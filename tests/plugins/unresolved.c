/* A plug-in that was linked without a library that it needs. */
#include "plain.h"

double function_that_nobody_has(void);

static const struct shoal_option options[] = { PLAIN_AFTER };

static int unresolved_open(const double *values, struct shoal_spec *spec, void **shared, char *error)
{
    (void)shared, (void)error;
    spec->step_s = function_that_nobody_has();
    return plain_open(values, spec, N_AFTER);
}

static const struct shoal_environment table =
    PLAIN_TABLE("unresolved", options, unresolved_open, plain_step);
PLAIN_EXPORT(table)
