/* A received fragment on its way from the session core to the training core: the frame as it came
 * and what was read from its header. In mode gradients it is a gradient: of what all streams of an actor
 * collected, whose first one is `stream`. */
#ifndef SHOAL_LEARNER_FRAGMENT_H
#define SHOAL_LEARNER_FRAGMENT_H

#include <stdint.h>

#include "proto/frame.h"
#include "proto/message.h"

/* What became of it: learnt from, refused for what is in it, or too old. */
enum fragment_fate { FRAGMENT_USED, FRAGMENT_REFUSED, FRAGMENT_STALE };

struct fragment {
    struct fragment *next;
    struct frame *frame;        /* what everything below borrows from; NULL: there is nothing */
    int64_t stream, life, sequence, version;
    int n_rows;                 /* 0: refused, and here to take its turn, to be written down and for its state; of
                                 * a gradient, whose rows stay where they are, otherwise 1 */
    int n_transitions;          /* as it was acted, refused or not */
    struct bytes rows, returns, lengths, state;
    struct bytes gradient, metrics, statistics;    /* as in GRADIENT; an empty gradient was not finite */
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
