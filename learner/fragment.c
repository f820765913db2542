#include "learner/fragment.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/arena.h"

struct fragment_pool {
    pthread_mutex_t mutex;
    struct fragment *free;
};

struct fragment_pool *fragment_pool_create(void)
{
    struct fragment_pool *pool = memory_alloc(1, sizeof(*pool));
    pthread_mutex_init(&pool->mutex, NULL);
    return pool;
}

void fragment_pool_destroy(struct fragment_pool **pool)
{
    if (!*pool)
        return;
    for (struct fragment *f = (*pool)->free, *next; f; f = next) {
        next = f->next;
        free(f);
    }
    pthread_mutex_destroy(&(*pool)->mutex);
    free(*pool);
    *pool = NULL;
}

struct fragment *fragment_pool_take(struct fragment_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    struct fragment *f = pool->free;
    if (f)
        pool->free = f->next;
    pthread_mutex_unlock(&pool->mutex);
    if (!f)
        f = memory_alloc(1, sizeof(*f));
    *f = (struct fragment){ 0 };
    return f;
}

void fragment_pool_give(struct fragment_pool *pool, struct fragment *f)
{
    frame_release(f->frame);
    pthread_mutex_lock(&pool->mutex);
    f->next = pool->free;
    pool->free = f;
    pthread_mutex_unlock(&pool->mutex);
}

void fragment_push(struct fragment_queue *q, struct fragment *f)
{
    f->next = NULL;
    if (q->tail)
        q->tail->next = f;
    else
        q->head = f;
    q->tail = f;
}

struct fragment *fragment_pop(struct fragment_queue *q)
{
    struct fragment *f = q->head;
    if (f) {
        q->head = f->next;
        if (!q->head)
            q->tail = NULL;
    }
    return f;
}
