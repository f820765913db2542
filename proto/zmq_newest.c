/* Only the newest of what is published: a thread reads the socket and replaces what nobody has taken yet.
 *
 * libzmq's own ZMQ_CONFLATE will not do: up to 4.3.4 a message that comes in while the one before it is
 * being read is neither delivered nor freed once the next one overwrites it. And a queue keeps what is
 * oldest, so that an environment that takes long over a step would go on with old parameters. */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include "common/arena.h"
#include "common/thread.h"
#include "proto/zmq_link_private.h"

struct newest {
    struct zmq_link *link;                /* for frames, and to wake */
    struct inlet inlet;                   /* the thread's */
    _Atomic(struct frame *) frame;        /* NULL: taken, or nothing came yet */
    int end_fd;                           /* eventfd: the thread shall end */
    pthread_t thread;
};

static void *keep_newest(void *context)
{
    struct newest *n = context;
    zmq_pollitem_t items[] = {
        { .fd = n->end_fd, .events = ZMQ_POLLIN },
        { .socket = n->inlet.socket, .events = ZMQ_POLLIN },
    };
    struct frame *f;
    while (zmq_poll(items, 2, -1) >= 0 && !items[0].revents)
        if ((f = zmq_link_read(n->link, &n->inlet))) {
            frame_release(atomic_exchange(&n->frame, f));
            zmq_link_wake(&n->link->link);
        }
    return NULL;
}

int newest_create(struct zmq_link *l, struct newest **newest, struct error *err)
{
    struct newest *n = memory_alloc(1, sizeof(*n));
    n->link = l;
    n->inlet = l->snapshots;
    n->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rc = n->end_fd < 0 ? error_errno(err, "eventfd") : thread_begin(&n->thread, keep_newest, n, err);
    if (rc == 0) {
        *newest = n;
        return 0;
    }
    if (n->end_fd >= 0)
        close(n->end_fd);
    free(n);
    return rc;
}

struct frame *newest_take(struct newest *n)
{
    return atomic_load_explicit(&n->frame, memory_order_relaxed) ? atomic_exchange(&n->frame, NULL) : NULL;
}

void newest_destroy(struct newest **newest)
{
    struct newest *n = *newest;
    if (!n)
        return;
    eventfd_write(n->end_fd, 1);
    pthread_join(n->thread, NULL);
    close(n->end_fd);
    frame_release(n->frame);
    free(n);
    *newest = NULL;
}
