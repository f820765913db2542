#include "deploy/exchange.h"

#include <stdlib.h>

#include "common/arena.h"
#include "common/thread.h"

void exchange_init(struct exchange *x, int n_actors)
{
    *x = (struct exchange){ .n_actors = n_actors };
    x->actors = memory_alloc((size_t)n_actors, sizeof(*x->actors));
    pthread_mutex_init(&x->mutex, NULL);
    thread_condition_init(&x->to_training);
    thread_condition_init(&x->actors_told);
}

void exchange_fini(struct exchange *x)
{
    for (int i = 0; i < x->outgoing.n; i++)
        frame_release(x->outgoing.items[i].frame);
    free(x->outgoing.items);
    free(x->actors);
    pthread_cond_destroy(&x->actors_told);
    pthread_cond_destroy(&x->to_training);
    pthread_mutex_destroy(&x->mutex);
}

void exchange_deliver(struct exchange *x, struct fragment *f)
{
    pthread_mutex_lock(&x->mutex);
    bool was_empty = !x->arrived.head;
    fragment_push(&x->arrived, f);
    pthread_mutex_unlock(&x->mutex);
    if (was_empty)
        pthread_cond_signal(&x->to_training);
}

void exchange_wake(struct exchange *x)
{
    pthread_mutex_lock(&x->mutex);
    x->is_woken = true;
    pthread_mutex_unlock(&x->mutex);
    pthread_cond_signal(&x->to_training);
}

struct fragment_queue exchange_take(struct exchange *x, int wait_ms)
{
    pthread_mutex_lock(&x->mutex);
    if (wait_ms > 0 && !x->arrived.head && !x->is_woken) {
        const struct timespec until = thread_deadline(wait_ms);
        pthread_cond_timedwait(&x->to_training, &x->mutex, &until);
    }
    struct fragment_queue arrived = x->arrived;
    x->arrived = (struct fragment_queue){ 0 };
    x->is_woken = false;
    pthread_mutex_unlock(&x->mutex);
    return arrived;
}

bool exchange_ask_actors(struct exchange *x)
{
    const struct timespec until = thread_deadline(1000);
    int rc = 0;
    pthread_mutex_lock(&x->mutex);
    x->wants_actors = true;
    while (x->wants_actors && rc == 0)
        rc = pthread_cond_timedwait(&x->actors_told, &x->mutex, &until);
    const bool was_told = !x->wants_actors;
    x->wants_actors = false;
    pthread_mutex_unlock(&x->mutex);
    return was_told;
}

void exchange_tell_actors(struct exchange *x, const struct session *s)
{
    if (!x->wants_actors)
        return;
    for (int i = 0; i < x->n_actors; i++)
        session_count_actor(s, i, &x->actors[i]);
    x->wants_actors = false;
    pthread_cond_signal(&x->actors_told);
}

bool notices_add(struct notices *list, struct notice n)
{
    if (list->n == list->capacity) {
        list->capacity = list->capacity ? 2 * list->capacity : 64;
        list->items = memory_grow(list->items, (size_t)list->capacity, sizeof(*list->items));
    }
    list->items[list->n++] = n;
    return list->n == 1;
}
