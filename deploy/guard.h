/* What tells of an environment that crashes or hangs its process.
 *
 * A crash is reported from a signal handler, on a stack of its own, and then takes its course. A thread
 * watches the calls into the environment and ends the process when one does not come back. An
 * environment that calls exit() does not decide with which status. One guard per process. */
#ifndef SHOAL_DEPLOY_GUARD_H
#define SHOAL_DEPLOY_GUARD_H

#include <stddef.h>

#include "actor/watch.h"
#include "common/error.h"

/* Exit status of a process whose environment hangs or exits (EX_UNAVAILABLE), and of a training whose
 * environment ends every actor before it gets anywhere. */
enum { GUARD_STATUS = 69 };

struct guard {
    const char *who;            /* "actor-0" */
    const char *place;          /* what the watch's places are: "stream", "episode" */
    const struct watch *watch;
    /* Pass on a line [n], without a newline or a 0 behind it. Called from signal handlers. */
    void (*tell)(const char *line, size_t n);
    /* Called every second unless an environment hangs; may be NULL. */
    void (*beat)(void);
};

/* Call from the thread that steps; `g` is borrowed until guard_end. ERR_TEMPORARY when there can be no
 * thread. */
int guard_begin(const struct guard *g, struct error *err);
void guard_end(void);

#endif
