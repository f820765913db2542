/* What the learner's threads hand each other. */
#ifndef SHOAL_DEPLOY_EXCHANGE_H
#define SHOAL_DEPLOY_EXCHANGE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "deploy/evaluator.h"
#include "learner/fragment.h"
#include "learner/session.h"

enum { EXCHANGE_EVALUATIONS = 8 };

/* From the update thread to the I/O thread. */
struct notice {
    enum { NOTICE_CONSUMED, NOTICE_PUBLISH, NOTICE_DRAIN } kind;
    int64_t stream, life, sequence;         /* consumed */
    int64_t version, start_version;         /* publish */
    struct frame *frame;                    /* publish: the encoded snapshot */
    const char *reason;                     /* drain */
};

struct notices {
    struct notice *items;
    int n, capacity;
};

/* A policy to play, and what came of it. */
struct evaluation_job {
    int64_t env_steps, number;
    float *params;              /* [n_params] own copy */
    struct evaluation result;
};

struct exchange {
    pthread_mutex_t mutex;
    pthread_cond_t to_training, to_evaluator;
    struct fragment_queue arrived;          /* I/O -> update */
    struct notices outgoing;                /* update -> I/O */
    struct session_counts counts;           /* I/O -> update, a copy */

    /* A ring: [done_read, done) are results, [done, asked) wait to be played. */
    struct evaluation_job jobs[EXCHANGE_EVALUATIONS];
    int64_t asked, done, done_read;

    bool must_stop;                         /* every thread ends */
};

void exchange_init(struct exchange *x, size_t n_params);
void exchange_fini(struct exchange *x);

/* Append; returns whether the list was empty before. The mutex is held by the caller. */
bool notices_add(struct notices *list, struct notice n);

#endif
