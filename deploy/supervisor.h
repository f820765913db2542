/* The local supervisor: one learner and its actors as child processes.
 *
 * Children never outlive it. One that dies is started again with a growing pause and reported, on the
 * screen and in the run's log; one that says the configuration is wrong is not, and neither is one that
 * dies several times in a row without getting anywhere. The first SIGINT, SIGTERM or SIGHUP asks the learner
 * to stop cleanly, a SIGINT behind it ends everything at once. */
#ifndef SHOAL_DEPLOY_SUPERVISOR_H
#define SHOAL_DEPLOY_SUPERVISOR_H

#include <stdbool.h>

#include "common/error.h"

struct supervisor_options {
    const char *config;             /* NULL when resuming */
    char *const *overrides;
    int n_overrides;
    const char *run;                /* the run directory */
    bool resume;
    int n_actors;
};

/* Run to the end; the exit status for the whole. */
int supervisor_run(const struct supervisor_options *o, struct error *err);

#endif
