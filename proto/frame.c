#include "proto/frame.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/arena.h"

enum { ALIGNMENT = 64 };

struct frame_pool {
    pthread_mutex_t lock;
    struct frame *unused;    /* by frame.next */
    size_t n_out;            /* frames somebody holds */
    size_t capacity;
    bool is_destroyed;
};

struct pooled {
    struct frame frame;
    struct frame_pool *pool;
    unsigned char *buffer;     /* aligned, inside space[] */
    unsigned char space[];
};

struct frame_pool *frame_pool_create(size_t capacity)
{
    struct frame_pool *pool = memory_alloc(1, sizeof(*pool));
    pthread_mutex_init(&pool->lock, NULL);
    pool->capacity = capacity;
    return pool;
}

static void pool_free(struct frame_pool *pool)
{
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

void frame_pool_destroy(struct frame_pool **pool)
{
    struct frame_pool *p = *pool;
    if (!p)
        return;
    *pool = NULL;
    pthread_mutex_lock(&p->lock);
    struct frame *unused = p->unused;
    bool is_last = p->n_out == 0;
    p->unused = NULL;
    p->is_destroyed = true;
    pthread_mutex_unlock(&p->lock);
    for (struct frame *next; unused; unused = next) {
        next = unused->next;
        free(unused);
    }
    if (is_last)
        pool_free(p);
}

/* The last reference is gone: keep the frame, or free it when its pool is no more. */
static void pool_recycle(struct frame *f)
{
    struct frame_pool *pool = ((struct pooled *)f)->pool;
    pthread_mutex_lock(&pool->lock);
    bool is_destroyed = pool->is_destroyed;
    bool is_last = --pool->n_out == 0;
    if (!is_destroyed) {
        f->next = pool->unused;
        pool->unused = f;
    }
    pthread_mutex_unlock(&pool->lock);
    if (is_destroyed) {
        free(f);
        if (is_last)
            pool_free(pool);
    }
}

static struct frame *pooled_create(struct frame_pool *pool)
{
    struct pooled *p = memory_alloc(1, sizeof(*p) + pool->capacity + ALIGNMENT);
    p->pool = pool;
    p->buffer = p->space + (ALIGNMENT - (uintptr_t)p->space % ALIGNMENT) % ALIGNMENT;
    return &p->frame;
}

struct frame *frame_pool_take(struct frame_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct frame *f = pool->unused;
    if (f)
        pool->unused = f->next;
    pool->n_out++;
    pthread_mutex_unlock(&pool->lock);
    if (!f)
        f = pooled_create(pool);
    f->data = frame_buffer(f);
    f->size = 0;
    f->next = NULL;
    f->recycle = pool_recycle;
    /* Release: whoever drops the last reference, on whatever thread, sees the fields above. */
    atomic_store_explicit(&f->references, 1, memory_order_release);
    return f;
}

unsigned char *frame_buffer(struct frame *f)
{
    return ((struct pooled *)f)->buffer;
}

size_t frame_capacity(const struct frame *f)
{
    return ((const struct pooled *)f)->pool->capacity;
}
