/* Command lines: flags with a table per command. */
#ifndef SHOAL_DEPLOY_ARGS_H
#define SHOAL_DEPLOY_ARGS_H

#include <stdbool.h>

#include "common/error.h"

struct flag {
    const char *name;           /* "--run" */
    const char *value_name;     /* "DIR"; NULL: the flag takes no value */
    const char **value;         /* where the value goes, or NULL */
    bool *is_set;               /* where its presence goes, or NULL */
    const char *help;           /* NULL: not shown (used between our own processes) */
};

struct command {
    const char *name, *arguments, *summary, *details, *example;
    const struct flag *flags;
    int n_flags;
};

/* Sort arguments into flags and the rest, in place.
 *   argv [argc] without program and command; the rest is moved to the front
 * Returns the number of the rest, or a negative code. `--help` prints the page and sets
 * `*wants_help`. */
int args_parse(const struct command *c, int argc, char **argv, bool *wants_help, struct error *err);

void args_help(const struct command *c);

/* Whole numbers and decimals given to flags; ERR_USAGE names the flag and the range. */
int args_int(const char *flag, const char *text, long long min, long long max, long long *out,
             struct error *err);
int args_real(const char *flag, const char *text, double min, double max, double *out,
              struct error *err);

#endif
