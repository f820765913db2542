/* The in-process network: a star of ends around one hub, under virtual time.
 *
 * Every frame is copied when it is sent, as a real network would do, so that the two sides never
 * share a frame. An end's inbox is sorted by time of arrival; equal times stand in sending order. */
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/thread.h"
#include "proto/link.h"

struct parcel {
    struct frame frame;        /* frame.next: the next one in an inbox */
    uint64_t from;
    int64_t arrives_us;
    bool is_published;
    unsigned char bytes[];
};

struct local_end {
    struct link link;
    struct local_network *network;
    uint64_t number;
    struct parcel *inbox;
    int64_t last_in_us;        /* actor: arrival of the last frame from the hub, */
    int64_t last_out_us;       /* and to it; later frames do not overtake */
    bool is_woken;
};

struct local_network {
    pthread_mutex_t lock;
    pthread_cond_t changed;    /* a frame was sent, time moved, or an end was woken */
    local_delay *delay;
    void *context;
    int64_t now_us;
    struct local_end **ends;   /* [n_ends]; NULL where none is or it was destroyed; [0] is the hub */
    size_t n_ends;
    size_t n_users;            /* live ends, and the network's own handle */
};

struct local_network *local_network_create(local_delay *delay, void *context)
{
    struct local_network *n = memory_alloc(1, sizeof(*n));
    thread_condition_init(&n->changed);
    pthread_mutex_init(&n->lock, NULL);
    n->delay = delay;
    n->context = context;
    n->ends = memory_alloc(1, sizeof(*n->ends));
    n->n_ends = 1;
    n->n_users = 1;
    return n;
}

/* Unlock, and free when nobody uses the network any more. */
static void leave(struct local_network *n)
{
    bool is_last = --n->n_users == 0;
    pthread_mutex_unlock(&n->lock);
    if (!is_last)
        return;
    pthread_cond_destroy(&n->changed);
    pthread_mutex_destroy(&n->lock);
    free(n->ends);
    free(n);
}

void local_network_destroy(struct local_network **network)
{
    struct local_network *n = *network;
    *network = NULL;
    if (!n)
        return;
    pthread_mutex_lock(&n->lock);
    leave(n);
}

void local_network_set_time(struct local_network *n, int64_t now_us)
{
    pthread_mutex_lock(&n->lock);
    assert(now_us >= n->now_us);
    n->now_us = now_us;
    pthread_cond_broadcast(&n->changed);
    pthread_mutex_unlock(&n->lock);
}

static struct parcel *parcel_next(const struct parcel *p)
{
    return (struct parcel *)p->frame.next;
}

int64_t local_network_next(struct local_network *n)
{
    int64_t next_us = INT64_MAX;
    pthread_mutex_lock(&n->lock);
    for (size_t i = 0; i < n->n_ends; i++) {
        struct parcel *p = n->ends[i] ? n->ends[i]->inbox : NULL;
        while (p && p->arrives_us <= n->now_us)
            p = parcel_next(p);
        if (p && p->arrives_us < next_us)
            next_us = p->arrives_us;
    }
    pthread_mutex_unlock(&n->lock);
    return next_us;
}

/* ---- sending ---- */

static void parcel_free(struct frame *f)
{
    free(f);
}

static struct parcel *parcel_create(const struct frame *f)
{
    struct parcel *p = memory_alloc(1, sizeof(*p) + f->size);
    memcpy(p->bytes, f->data, f->size);
    p->frame.data = p->bytes;
    p->frame.size = f->size;
    p->frame.recycle = parcel_free;
    atomic_store_explicit(&p->frame.references, 1, memory_order_release);
    return p;
}

/* Copy `f` into the inbox of `to`, or lose it. */
static void dispatch(struct local_end *from, struct local_end *to, const struct frame *f,
                     bool is_published)
{
    struct local_network *n = from->network;
    int64_t delay_us = n->delay ? n->delay(n->context, from->number, to->number, f->size) : 0;
    if (delay_us < 0)
        return;
    struct parcel *p = parcel_create(f);
    p->from = from->number;
    p->is_published = is_published;
    /* Not before the last frame between the two, which is kept by the actor among them. */
    int64_t *last_us = from->number ? &from->last_out_us : &to->last_in_us;
    p->arrives_us = n->now_us + delay_us;
    if (p->arrives_us < *last_us)
        p->arrives_us = *last_us;
    *last_us = p->arrives_us;
    /* Behind everything that arrives no later. */
    struct parcel *before = NULL, *after = to->inbox;
    while (after && after->arrives_us <= p->arrives_us) {
        before = after;
        after = parcel_next(after);
    }
    p->frame.next = after ? &after->frame : NULL;
    if (before)
        before->frame.next = &p->frame;
    else
        to->inbox = p;
    pthread_cond_broadcast(&n->changed);
}

static int local_send(struct link *l, uint64_t peer, struct frame *f)
{
    struct local_end *end = (struct local_end *)l;
    struct local_network *n = end->network;
    uint64_t number = end->number ? 0 : peer;
    int rc = 0;
    pthread_mutex_lock(&n->lock);
    struct local_end *to = number < n->n_ends ? n->ends[number] : NULL;
    if (to && to != end)
        dispatch(end, to, f, false);
    else    /* an actor without a hub is like one that is not connected yet */
        rc = end->number ? ERR_AGAIN : ERR_MISSING;
    pthread_mutex_unlock(&n->lock);
    frame_release(f);
    return rc;
}

static void local_publish(struct link *l, struct frame *f)
{
    struct local_end *hub = (struct local_end *)l;
    struct local_network *n = hub->network;
    assert(hub->number == 0);
    pthread_mutex_lock(&n->lock);
    for (size_t i = 1; i < n->n_ends; i++)
        if (n->ends[i])
            dispatch(hub, n->ends[i], f, true);
    pthread_mutex_unlock(&n->lock);
    frame_release(f);
}

/* ---- receiving ---- */

static bool has_arrived(const struct local_end *end, const struct parcel *p)
{
    return p && p->arrives_us <= end->network->now_us;
}

/* Whether a newer published frame has arrived behind `p`. */
static bool is_outdated(const struct local_end *end, const struct parcel *p)
{
    if (!p->is_published)
        return false;
    for (p = parcel_next(p); has_arrived(end, p); p = parcel_next(p))
        if (p->is_published)
            return true;
    return false;
}

static struct frame *local_receive(struct link *l, uint64_t *peer)
{
    struct local_end *end = (struct local_end *)l;
    struct parcel *p;
    pthread_mutex_lock(&end->network->lock);
    for (;;) {
        p = end->inbox;
        if (!has_arrived(end, p)) {
            p = NULL;
            break;
        }
        end->inbox = parcel_next(p);
        if (!is_outdated(end, p))
            break;
        frame_release(&p->frame);
    }
    pthread_mutex_unlock(&end->network->lock);
    if (!p)
        return NULL;
    p->frame.next = NULL;
    if (peer)
        *peer = p->from;
    return &p->frame;
}

/* `timeout_ms` is real time: a simulation on one thread polls instead of waiting. */
static void local_wait(struct link *l, int timeout_ms)
{
    struct local_end *end = (struct local_end *)l;
    struct local_network *n = end->network;
    const struct timespec until = thread_deadline(timeout_ms < 0 ? 0 : timeout_ms);
    pthread_mutex_lock(&n->lock);
    int rc = 0;
    while (rc == 0 && !end->is_woken && !has_arrived(end, end->inbox))
        rc = timeout_ms < 0 ? pthread_cond_wait(&n->changed, &n->lock)
                            : pthread_cond_timedwait(&n->changed, &n->lock, &until);
    end->is_woken = false;
    pthread_mutex_unlock(&n->lock);
}

static void local_wake(struct link *l)
{
    struct local_end *end = (struct local_end *)l;
    pthread_mutex_lock(&end->network->lock);
    end->is_woken = true;
    pthread_cond_broadcast(&end->network->changed);
    pthread_mutex_unlock(&end->network->lock);
}

static void local_destroy(struct link *l)
{
    struct local_end *end = (struct local_end *)l;
    struct local_network *n = end->network;
    pthread_mutex_lock(&n->lock);
    n->ends[end->number] = NULL;
    for (struct parcel *p = end->inbox, *next; p; p = next) {
        next = parcel_next(p);
        frame_release(&p->frame);
    }
    leave(n);
    free(end);
}

static const struct link_ops local_ops = {
    .send = local_send,
    .publish = local_publish,
    .receive = local_receive,
    .wait = local_wait,
    .wake = local_wake,
    .destroy = local_destroy,
};

/* A new end in place `number`; the lock is held. */
static struct link *end_create(struct local_network *n, size_t number)
{
    struct local_end *end = memory_alloc(1, sizeof(*end));
    end->link.ops = &local_ops;
    end->network = n;
    end->number = number;
    assert(!n->ends[number]);
    n->ends[number] = end;
    n->n_users++;
    return &end->link;
}

struct link *local_hub_create(struct local_network *n)
{
    pthread_mutex_lock(&n->lock);
    struct link *l = end_create(n, 0);
    pthread_mutex_unlock(&n->lock);
    return l;
}

struct link *local_actor_create(struct local_network *n)
{
    pthread_mutex_lock(&n->lock);
    n->ends = memory_grow(n->ends, n->n_ends + 1, sizeof(struct local_end *));
    n->ends[n->n_ends] = NULL;
    struct link *l = end_create(n, n->n_ends++);
    pthread_mutex_unlock(&n->lock);
    return l;
}
