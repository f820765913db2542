/* The learner's shell: sockets, threads, signals and files around the session and training cores.
 *
 *   I/O thread         link  <->  session core
 *   update thread      training core, run directory        (the calling thread)
 *   evaluator thread   has policies played by a process of its own (deploy/evaluations.h)
 *
 * The first two share one mutex-protected exchange; frames and fragments pass through it without a copy. */
#ifndef SHOAL_DEPLOY_LEARNER_H
#define SHOAL_DEPLOY_LEARNER_H

#include <stdbool.h>

#include "common/error.h"
#include "deploy/experiment.h"

struct learner_options {
    struct experiment *experiment;
    const char *run;            /* the run directory */
    bool resume;                /* it exists: go on */
    const char *bind;           /* endpoint */
    int snapshot_port;          /* 0: any */
    bool allow_remote;
    int report_fd;              /* a pipe that is told where the learner listens; -1: none */
};

/* Train to the end. Returns 0, ERR_INTERRUPTED after a clean stop with a checkpoint, or an error. */
int learner_run(const struct learner_options *o, struct error *err);

#endif
