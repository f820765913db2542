/* The actor's shell: socket, clock and signals around the actor core. */
#ifndef SHOAL_DEPLOY_ACTOR_H
#define SHOAL_DEPLOY_ACTOR_H

#include "common/error.h"

struct actor_options {
    const char *learner;        /* endpoint */
    const char *name;           /* NULL: host and process */
    double delay_ms;            /* sleep up to so long, at random, before steps; for tests */
    int is_quiet;
    int notes_fd;               /* a pipe of the supervisor for lines, see deploy/notes.h; -1: none */
};

/* Act until drained, stopped or refused. Returns 0 when drained, ERR_INTERRUPTED after a signal. */
int actor_run(const struct actor_options *o, struct error *err);

#endif
