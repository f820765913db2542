/* Well in actors, and SIGSEGV in any other process that steps it: evaluations. */
#include <stdio.h>
#include <string.h>

#include "plain.h"

static const struct shoal_option options[] = { PLAIN_AFTER };
static int is_actor;

/* Whether this is `shoal actor ...`. */
static int look(void)
{
    char line[4096] = "";
    FILE *fp = fopen("/proc/self/cmdline", "r");
    if (!fp)
        return 0;
    const size_t n = fread(line, 1, sizeof(line) - 1, fp);
    fclose(fp);
    const size_t first = strlen(line) + 1;
    return first < n && strcmp(line + first, "actor") == 0;
}

static int evalcrash_open(const double *values, struct shoal_spec *spec, void **shared, char *error)
{
    (void)shared, (void)error;
    is_actor = look();
    return plain_open(values, spec, N_AFTER);
}

static void evalcrash_step(void *self, const float *action, struct shoal_step *out)
{
    plain_step(self, action, out);
    if (!is_actor && plain_is_due(self)) {
        volatile int *volatile nowhere = (volatile int *)8;
        *nowhere = 1;
    }
}

static const struct shoal_environment table =
    PLAIN_TABLE("evalcrash", options, evalcrash_open, evalcrash_step);
PLAIN_EXPORT(table)
