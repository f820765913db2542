/* The cells of a study run side by side, each by a `shoal` of its own.
 *
 * Children never outlive this process. One that fails is tried once more behind all others, and then left out.
 * The first SIGINT, SIGTERM or SIGHUP asks the children to stop with a checkpoint, a SIGINT behind it ends
 * everything at once; Ctrl-Z lets all of them sleep. */
#ifndef SHOAL_DEPLOY_STUDY_RUN_H
#define SHOAL_DEPLOY_STUDY_RUN_H

#include "deploy/study_cells.h"

struct study_run_options {
    const char *dir;
    enum study_runner runner;
    int jobs;                   /* cells at a time */
};

/* Run what is CELL_NEW or CELL_INTERRUPTED; their states say what came of it.
 * Returns 0, also when cells have failed; ERR_INTERRUPTED when it was stopped. */
int study_run(struct cells *c, const struct study_run_options *o, struct error *err);

#endif
