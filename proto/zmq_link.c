/* What the two ZeroMQ ends share: a context, sockets with our options, and frames that are neither
 * copied when sent nor when received.
 *
 * Half-open connections are found by TCP, not by ZMTP heartbeats: libzmq aborts the process when a
 * heartbeat falls due on a connection that broke while its receive queue was full (its open issues
 * 4364 and 4767). A PING from such a peer does the same, so a hub's receive queues have no mark to
 * be full at: the credit of the actors bounds them, and a hub that keeps reading. */
#include "proto/zmq_link_private.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include "common/arena.h"

enum {
    LINGER_MS = 500,            /* at the end: time for a last DRAIN or BYE to leave */
    HANDSHAKE_MS = 5000,
    KEEPALIVE_S = 1,            /* the kernel asks a silent host every second */
    KEEPALIVE_PROBES = 3,
    UNANSWERED_MS = 5000,       /* and gives up when nothing was acknowledged for so long, or when
                                 * the peer's buffers stayed full */
    PARTS_PER_READ = 256        /* parts of refused messages that one read goes through */
};

/* What the buffer of a received frame holds. */
struct received {
    zmq_msg_t message;
    void (*give_back)(struct frame *f);    /* to the pool the frame is from */
};

/* ---- life ---- */

void zmq_link_option(void *socket, int option, int value)
{
    int rc = zmq_setsockopt(socket, option, &value, sizeof(value));
    assert(rc == 0);
    (void)rc;
}

void *zmq_link_open(struct zmq_link *l, int type, struct error *err)
{
    void *socket = zmq_socket(l->context, type);
    if (!socket) {
        error_set(err, ERR_IO, "open a ZeroMQ socket: %s", zmq_strerror(errno));
        return NULL;
    }
    int64_t max_bytes = (int64_t)l->limits.max_message_bytes;
    int rc = zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &max_bytes, sizeof(max_bytes));
    assert(rc == 0);
    (void)rc;
    zmq_link_option(socket, ZMQ_SNDHWM, l->limits.queue_messages);
    zmq_link_option(socket, ZMQ_RCVHWM, l->limits.queue_messages);
    zmq_link_option(socket, ZMQ_LINGER, LINGER_MS);
    zmq_link_option(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    zmq_link_option(socket, ZMQ_TCP_KEEPALIVE, 1);
    zmq_link_option(socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_S);
    zmq_link_option(socket, ZMQ_TCP_KEEPALIVE_INTVL, KEEPALIVE_S);
    zmq_link_option(socket, ZMQ_TCP_KEEPALIVE_CNT, KEEPALIVE_PROBES);
    zmq_link_option(socket, ZMQ_TCP_MAXRT, UNANSWERED_MS);
    zmq_link_option(socket, ZMQ_IPV6, l->endpoint.is_ipv6);
    return socket;
}

struct zmq_link *zmq_link_create(const struct link_ops *ops, int direct_type,
                                 const struct endpoint *endpoint,
                                 const struct zmq_limits *limits, struct error *err)
{
    assert(limits->queue_messages > 0 && limits->max_message_bytes > 0);
    struct zmq_link *l = memory_alloc(1, sizeof(*l));
    l->link.ops = ops;
    l->limits = *limits;
    l->endpoint = *endpoint;
    l->messages = frame_pool_create(sizeof(struct received));
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->wake_fd < 0) {
        error_errno(err, "eventfd");
        goto fail;
    }
    l->context = zmq_ctx_new();
    if (!l->context) {
        error_set(err, ERR_IO, "create a ZeroMQ context: %s", zmq_strerror(errno));
        goto fail;
    }
    l->direct.socket = zmq_link_open(l, direct_type, err);
    if (!l->direct.socket)
        goto fail;
    return l;
fail:
    zmq_link_destroy(&l->link);
    return NULL;
}

void zmq_link_destroy(struct link *base)
{
    struct zmq_link *l = (struct zmq_link *)base;
    if (l->direct.socket)
        zmq_close(l->direct.socket);
    newest_destroy(&l->newest);
    if (l->snapshots.socket)
        zmq_close(l->snapshots.socket);
    /* Returns when the last message has left or LINGER is over; every frame was given back then. */
    while (l->context && zmq_ctx_term(l->context) != 0 && errno == EINTR)
        ;
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    frame_pool_destroy(&l->messages);
    free(l);
}

/* ---- frames ---- */

static void recycle_received(struct frame *f)
{
    struct received *r = (struct received *)frame_buffer(f);
    zmq_msg_close(&r->message);
    r->give_back(f);
}

/* A frame around an empty message. */
static struct frame *take_received(struct zmq_link *l)
{
    struct frame *f = frame_pool_take(l->messages);
    struct received *r = (struct received *)frame_buffer(f);
    zmq_msg_init(&r->message);
    r->give_back = f->recycle;
    f->recycle = recycle_received;
    return f;
}

/* A routing id of 1 to 7 bytes with its length in the first byte; 0 for any other. */
static uint64_t pack_peer(zmq_msg_t *message)
{
    const unsigned char *id = zmq_msg_data(message);
    size_t length = zmq_msg_size(message);
    if (length < 1 || length > 7)
        return 0;
    uint64_t peer = length << 56;
    for (size_t i = 0; i < length; i++)
        peer |= (uint64_t)id[i] << 8 * i;
    return peer;
}

struct frame *zmq_link_read(struct zmq_link *l, struct inlet *in)
{
    enum { SENDER, MESSAGE, EXCESS };
    for (int i = 0; i < PARTS_PER_READ; i++) {
        struct frame *f = take_received(l);
        zmq_msg_t *message = &((struct received *)frame_buffer(f))->message;
        if (zmq_msg_recv(message, in->socket, ZMQ_DONTWAIT) < 0) {
            frame_release(f);
            return NULL;
        }
        int part = in->part == SENDER && !in->has_sender ? MESSAGE : in->part;
        bool has_more = zmq_msg_more(message);
        in->part = !has_more ? SENDER : part == SENDER ? MESSAGE : EXCESS;
        if (part == SENDER)
            in->peer = pack_peer(message);
        else if (part == MESSAGE && !has_more && zmq_msg_size(message) > 0 &&
                 (in->peer || !in->has_sender)) {
            f->data = zmq_msg_data(message);    /* small messages lie inside zmq_msg_t */
            f->size = zmq_msg_size(message);
            return f;
        }
        frame_release(f);
    }
    return NULL;
}

/* Frames that libzmq holds. What was done to a frame before it was sent is over when another
 * thread gives it back; libzmq sees to that with means that neither C nor a race detector knows, and
 * this counter says it in theirs. */
static atomic_long n_sending;

/* libzmq is done with a sent frame; called from its thread or ours. */
static void release_sent(void *data, void *frame)
{
    (void)data;
    atomic_fetch_sub_explicit(&n_sending, 1, memory_order_acquire);
    frame_release(frame);
}

int zmq_link_write(void *socket, struct frame *f)
{
    assert(f->size > 0);
    zmq_msg_t message;
    int rc = zmq_msg_init_data(&message, f->data, f->size, release_sent, f);
    if (rc != 0) {
        fprintf(stderr, "shoal: out of memory: ZeroMQ message\n");
        abort();
    }
    atomic_fetch_add_explicit(&n_sending, 1, memory_order_release);
    do
        rc = zmq_msg_send(&message, socket, ZMQ_DONTWAIT);
    while (rc < 0 && errno == EINTR);
    if (rc >= 0)
        return 0;
    zmq_msg_close(&message);
    return ERR_AGAIN;
}

/* ---- waiting ---- */

void zmq_link_wait(struct link *base, int timeout_ms)
{
    struct zmq_link *l = (struct zmq_link *)base;
    zmq_pollitem_t items[] = {
        { .fd = l->wake_fd, .events = ZMQ_POLLIN },
        { .socket = l->direct.socket, .events = ZMQ_POLLIN },
        { .socket = l->snapshots.socket, .events = ZMQ_POLLIN },
    };
    int n = l->snapshots.socket ? 3 : 2;
    eventfd_t wakes;
    if (l->newest && !newest_begin_wait(l->newest))
        return;
    if (zmq_poll(items, n, timeout_ms) > 0 && items[0].revents)
        eventfd_read(l->wake_fd, &wakes);
    if (l->newest)
        newest_end_wait(l->newest);
}

void zmq_link_wake(struct link *base)
{
    eventfd_write(((struct zmq_link *)base)->wake_fd, 1);
}
