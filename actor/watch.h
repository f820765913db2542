/* Where a thread is inside of an environment, for whoever looks on: a crash handler, a watchdog.
 *
 * The thread that steps writes (a few plain stores a step, no clock); anybody reads, a signal handler
 * as well. Where a watch is asked for, NULL means that nobody looks. */
#ifndef SHOAL_ACTOR_WATCH_H
#define SHOAL_ACTOR_WATCH_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>

#include "common/environment.h"

#define WATCH_CALLS(X) \
    X(OPENING, "opening") X(CREATING, "creating") X(RESETTING, "resetting") \
    X(STEPPING, "stepping") X(SAVING, "saving") X(RESTORING, "restoring") X(CLOSING, "closing")

enum watch_call {
#define X(name, word) WATCH_##name,
    WATCH_CALLS(X)
#undef X
    N_WATCH_CALLS
};

struct watch {
    _Atomic uint64_t turns;             /* odd while the thread is inside the environment */
    _Atomic int call;                   /* enum watch_call, of this or the last one */
    _Atomic int64_t place, step;        /* stream or episode, and the step of its episode */
    _Atomic int64_t transitions;        /* of this process so far */
    _Atomic int64_t limit_ms;           /* what one call may take; 0: for ever */
    char environment[ENV_NAME_BYTES];   /* written before its first call */
};

/* What comes now is environment `name`; a call may take `limit_ms`. */
static inline void watch_begin(struct watch *w, const char *name, int64_t limit_ms)
{
    if (!w)
        return;
    snprintf(w->environment, sizeof(w->environment), "%s", name);
    atomic_store_explicit(&w->limit_ms, limit_ms, memory_order_relaxed);
    atomic_store_explicit(&w->place, 0, memory_order_relaxed);
    atomic_store_explicit(&w->step, 0, memory_order_relaxed);
}

static inline void watch_turn(struct watch *w)
{
    uint64_t turns = atomic_load_explicit(&w->turns, memory_order_relaxed);
    atomic_store_explicit(&w->turns, turns + 1, memory_order_release);
}

/* Around every call into the environment. */
static inline void watch_enter(struct watch *w, enum watch_call call, int64_t place, int64_t step)
{
    if (!w)
        return;
    atomic_store_explicit(&w->call, (int)call, memory_order_relaxed);
    atomic_store_explicit(&w->place, place, memory_order_relaxed);
    atomic_store_explicit(&w->step, step, memory_order_relaxed);
    watch_turn(w);
}

static inline void watch_leave(struct watch *w)
{
    if (w)
        watch_turn(w);
}

static inline void watch_count(struct watch *w, int64_t transitions)
{
    if (w)
        atomic_store_explicit(&w->transitions, transitions, memory_order_relaxed);
}

#endif
