/* A received fragment on its way from the session core to the training core: the frame as it came
 * and what was read from its header. */
#ifndef SHOAL_LEARNER_FRAGMENT_H
#define SHOAL_LEARNER_FRAGMENT_H

#include <stdint.h>

#include "proto/frame.h"
#include "proto/message.h"

struct fragment {
    struct fragment *next;
    struct frame *frame;        /* what everything below borrows from; NULL when void */
    int64_t stream, life, sequence, version;
    int n_rows, n_transitions;  /* 0: a refused fragment that still takes its turn in `sync` */
    struct bytes rows, returns, lengths, state;
};

/* Recycled fragments; thread-safe. */
struct fragment_pool;

struct fragment_pool *fragment_pool_create(void);

/* Frees the fragments given back; none may be out any more. */
void fragment_pool_destroy(struct fragment_pool **pool);

struct fragment *fragment_pool_take(struct fragment_pool *pool);

/* Give back a fragment and its frame. */
void fragment_pool_give(struct fragment_pool *pool, struct fragment *f);

struct fragment_queue {
    struct fragment *head, *tail;
};

void fragment_push(struct fragment_queue *q, struct fragment *f);
struct fragment *fragment_pop(struct fragment_queue *q);    /* NULL when empty */

#endif
