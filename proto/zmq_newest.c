/* Only the newest of what is published: its reader takes all that has come and keeps the last. While it is busy
 * with something else, an environment's long step, a thread does that for it, so that no queue fills up with
 * what is old by then and keeps what is new out.
 *
 * libzmq's own ZMQ_CONFLATE will not do: up to 4.3.4 a message that comes in while the one before it is
 * being read is neither delivered nor freed once the next one overwrites it. */
#include <pthread.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/thread.h"
#include "proto/zmq_link_private.h"

enum {
    PERIOD_MS = 20,       /* the reader is busy when it does not come for so long */
    MOST_AT_ONCE = 256    /* messages that a look goes through */
};

struct newest {
    struct zmq_link *link;
    pthread_t thread;
    pthread_mutex_t mutex;      /* over the socket, too, but while the reader waits at it */
    pthread_cond_t wake;
    struct frame *frame;        /* that the thread has read */
    bool was_read, is_waiting;  /* by the reader, since the thread looked; it waits at the socket */
    bool must_end;
};

/* What came last: from the socket, or `held`. */
static struct frame *read_all(struct newest *n, struct frame *held)
{
    struct frame *f;
    for (int i = 0; i < MOST_AT_ONCE && (f = zmq_link_read(n->link, &n->link->snapshots)); i++) {
        frame_release(held);
        held = f;
    }
    return held;
}

static void *stand_in(void *context)
{
    struct newest *n = context;
    pthread_mutex_lock(&n->mutex);
    while (!n->must_end) {
        const struct timespec until = thread_deadline(PERIOD_MS);
        pthread_cond_timedwait(&n->wake, &n->mutex, &until);
        if (!n->was_read && !n->is_waiting)
            n->frame = read_all(n, n->frame);
        n->was_read = false;
    }
    pthread_mutex_unlock(&n->mutex);
    return NULL;
}

static void destroy(struct newest *n)
{
    frame_release(n->frame);
    pthread_cond_destroy(&n->wake);
    pthread_mutex_destroy(&n->mutex);
    free(n);
}

int newest_create(struct zmq_link *l, struct newest **newest, struct error *err)
{
    struct newest *n = memory_alloc(1, sizeof(*n));
    n->link = l;
    pthread_mutex_init(&n->mutex, NULL);
    thread_condition_init(&n->wake);
    int rc = thread_begin(&n->thread, stand_in, n, err);
    if (rc == 0)
        *newest = n;
    else
        destroy(n);
    return rc;
}

void newest_destroy(struct newest **newest)
{
    struct newest *n = *newest;
    if (!n)
        return;
    pthread_mutex_lock(&n->mutex);
    n->must_end = true;
    pthread_cond_signal(&n->wake);
    pthread_mutex_unlock(&n->mutex);
    pthread_join(n->thread, NULL);
    destroy(n);
    *newest = NULL;
}

struct frame *newest_take(struct newest *n)
{
    pthread_mutex_lock(&n->mutex);
    struct frame *f = read_all(n, n->frame);
    n->frame = NULL;
    n->was_read = true;
    pthread_mutex_unlock(&n->mutex);
    return f;
}

bool newest_begin_wait(struct newest *n)
{
    pthread_mutex_lock(&n->mutex);
    const bool may_wait = !n->frame;
    n->is_waiting = may_wait;
    pthread_mutex_unlock(&n->mutex);
    return may_wait;
}

void newest_end_wait(struct newest *n)
{
    pthread_mutex_lock(&n->mutex);
    n->is_waiting = false;
    pthread_mutex_unlock(&n->mutex);
}
