#include "deploy/exchange.h"

#include <stdlib.h>

#include "common/arena.h"

void exchange_init(struct exchange *x, size_t n_params)
{
    *x = (struct exchange){ 0 };
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&x->mutex, NULL);
    pthread_cond_init(&x->to_training, &attributes);
    pthread_cond_init(&x->to_evaluator, &attributes);
    pthread_condattr_destroy(&attributes);
    for (int i = 0; i < EXCHANGE_EVALUATIONS; i++)
        x->jobs[i].params = memory_alloc(n_params, sizeof(float));
}

void exchange_fini(struct exchange *x)
{
    for (int i = 0; i < EXCHANGE_EVALUATIONS; i++)
        free(x->jobs[i].params);
    for (int i = 0; i < x->outgoing.n; i++)
        frame_release(x->outgoing.items[i].frame);
    free(x->outgoing.items);
    pthread_cond_destroy(&x->to_training);
    pthread_cond_destroy(&x->to_evaluator);
    pthread_mutex_destroy(&x->mutex);
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
