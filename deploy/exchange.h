/* What the learner's threads hand each other. */
#ifndef SHOAL_DEPLOY_EXCHANGE_H
#define SHOAL_DEPLOY_EXCHANGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "learner/fragment.h"
#include "learner/session.h"

/* From the update thread to the I/O thread. */
struct notice {
    enum { NOTICE_CONSUMED, NOTICE_PUBLISH, NOTICE_ROUND, NOTICE_DRAIN } kind;
    int64_t stream, life, sequence;         /* consumed */
    enum fragment_fate fate;                /* consumed */
    int64_t version;                        /* publish, round */
    int64_t round, previous;                /* round */
    struct frame *frame;                    /* publish: the encoded snapshot */
    const char *reason;                     /* drain */
};

struct notices {
    struct notice *items;
    int n, capacity;
};

struct exchange {
    pthread_mutex_t mutex;
    pthread_cond_t to_training, actors_told;
    struct fragment_queue arrived;          /* I/O -> update */
    struct notices outgoing;                /* update -> I/O */
    struct session_counts counts;           /* I/O -> update, a copy */
    struct session_actor *actors;           /* [n_actors] a copy, made when it is asked for */
    int n_actors;
    bool wants_actors;
    bool is_woken;                          /* evaluator -> update: there is an answer */
    bool must_stop;                         /* the I/O thread ends */
};

/* For so many places for actors. */
void exchange_init(struct exchange *x, int n_actors);
void exchange_fini(struct exchange *x);

/* Hand a fragment to the update thread; end its wait for another reason. */
void exchange_deliver(struct exchange *x, struct fragment *f);
void exchange_wake(struct exchange *x);

/* Everything that has arrived; waits up to `wait_ms` for it, or for exchange_wake. */
struct fragment_queue exchange_take(struct exchange *x, int wait_ms);

/* The update thread: ask for `actors` to be brought up to date and wait for it, at most a second. Returns whether it
 * was; then nobody writes them until the next call. */
bool exchange_ask_actors(struct exchange *x);

/* The I/O thread: bring them up to date when that was asked for. The mutex is held by the caller. */
void exchange_tell_actors(struct exchange *x, const struct session *s);

/* Append; returns whether the list was empty before. The mutex is held by the caller. */
bool notices_add(struct notices *list, struct notice n);

#endif
