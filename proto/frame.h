/* Frames: reference-counted buffers that carry one message each.
 *
 * A frame is given back from whichever thread drops the last reference (libzmq's I/O thread for
 * messages that were sent without a copy). Pools recycle them, so that the steady state allocates
 * nothing. */
#ifndef SHOAL_PROTO_FRAME_H
#define SHOAL_PROTO_FRAME_H

#include <stdatomic.h>
#include <stddef.h>

struct frame {
    unsigned char *data;      /* first byte of the message; no alignment is promised */
    size_t size;
    struct frame *next;       /* for whoever owns the frame: queues, pools */
    atomic_int references;
    void (*recycle)(struct frame *f);    /* called when references reach 0 */
};

static inline struct frame *frame_retain(struct frame *f)
{
    atomic_fetch_add_explicit(&f->references, 1, memory_order_relaxed);
    return f;
}

/* Drop one reference. NULL is fine. */
static inline void frame_release(struct frame *f)
{
    if (f && atomic_fetch_sub_explicit(&f->references, 1, memory_order_acq_rel) == 1)
        f->recycle(f);
}

struct frame_pool;

/* Frames of `capacity` bytes each, made when first needed and kept. Thread-safe. */
struct frame_pool *frame_pool_create(size_t capacity);

/* Frames still out keep the memory alive; the last one given back frees it. */
void frame_pool_destroy(struct frame_pool **pool);

/* A frame with one reference, `data` at the start of its buffer and `size` 0. A buffer is aligned
 * to 64 bytes. Contents are whatever was there. */
struct frame *frame_pool_take(struct frame_pool *pool);

/* The whole buffer of a frame from a pool, wherever `data` points now. */
unsigned char *frame_buffer(struct frame *f);
size_t frame_capacity(const struct frame *f);

#endif
