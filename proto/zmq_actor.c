/* An actor's end: a DEALER for everything and, once told where, a SUB for snapshots. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <zmq.h>

#include "proto/zmq_link_private.h"

enum {
    RECONNECT_MS = 100,
    RECONNECT_MAX_MS = 2000,
    CONNECT_MS = 2000    /* the system alone would wait minutes after a partition */
};

static int connect_socket(void *socket, const char *text, struct error *err)
{
    zmq_link_option(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    zmq_link_option(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    zmq_link_option(socket, ZMQ_CONNECT_TIMEOUT, CONNECT_MS);
    if (zmq_connect(socket, text) != 0)
        return error_set(err, ERR_USAGE, "connect to %s: %s", text, zmq_strerror(errno));
    return 0;
}

static int actor_send(struct link *base, uint64_t peer, struct frame *f)
{
    (void)peer;
    return zmq_link_write(((struct zmq_link *)base)->direct.socket, f);
}

static void actor_publish(struct link *base, struct frame *f)
{
    (void)base;
    assert(!"only a hub publishes");
    frame_release(f);
}

static struct frame *actor_receive(struct link *base, uint64_t *peer)
{
    struct zmq_link *l = (struct zmq_link *)base;
    if (peer)
        *peer = 0;
    struct frame *f = zmq_link_read(l, &l->direct);
    if (f || !l->snapshots.socket)
        return f;
    return l->newest ? newest_take(l->newest) : zmq_link_read(l, &l->snapshots);
}

static const struct link_ops actor_ops = {
    .send = actor_send,
    .publish = actor_publish,
    .receive = actor_receive,
    .wait = zmq_link_wait,
    .wake = zmq_link_wake,
    .destroy = zmq_link_destroy,
};

struct link *zmq_actor_create(const char *endpoint, const struct zmq_limits *limits,
                              struct error *err)
{
    struct endpoint e;
    if (endpoint_parse(endpoint, &e, err))
        return NULL;
    if (e.is_wildcard || (!e.is_ipc && e.port == ENDPOINT_ANY_PORT)) {
        error_set(err, ERR_USAGE, "endpoint \"%.100s\" is where a learner may listen; an actor "
                  "needs the address and port themselves, as the learner prints them", endpoint);
        return NULL;
    }
    struct zmq_link *l = zmq_link_create(&actor_ops, ZMQ_DEALER, &e, limits, err);
    if (!l)
        return NULL;
    /* Queue only for a connected learner: nothing said to one that is away or has died reaches its
     * successor, and sending says ERR_AGAIN meanwhile. The price: what a learner said last is lost
     * unless it was read before the end of the connection is, so a learner waits for BYE. */
    zmq_link_option(l->direct.socket, ZMQ_IMMEDIATE, 1);
    endpoint_format(&e, e.port, "", l->endpoint_text);
    if (connect_socket(l->direct.socket, l->endpoint_text, err) != 0) {
        zmq_link_destroy(&l->link);
        return NULL;
    }
    return &l->link;
}

static void unsubscribe(struct zmq_link *l)
{
    newest_destroy(&l->newest);
    if (l->snapshots.socket)
        zmq_close(l->snapshots.socket);
    l->snapshots = (struct inlet){ 0 };
}

int zmq_actor_subscribe(struct link *base, int port, bool wants_every, struct error *err)
{
    struct zmq_link *l = (struct zmq_link *)base;
    char text[ENDPOINT_BYTES];
    unsubscribe(l);
    if (!l->endpoint.is_ipc && (port < 1 || port > 65535))
        return error_set(err, ERR_USAGE, "the snapshot port %d is not from 1 to 65535", port);
    endpoint_format(&l->endpoint, port, IPC_SNAPSHOTS, text);
    l->snapshots.socket = zmq_link_open(l, ZMQ_SUB, err);
    if (!l->snapshots.socket)
        return ERR_IO;
    zmq_link_option(l->snapshots.socket, ZMQ_LINGER, 0);
    if (wants_every)
        zmq_link_option(l->snapshots.socket, ZMQ_RCVHWM, l->limits.queue_snapshots);
    zmq_setsockopt(l->snapshots.socket, ZMQ_SUBSCRIBE, "", 0);
    int rc = connect_socket(l->snapshots.socket, text, err);
    if (rc == 0 && !wants_every)
        rc = newest_create(l, &l->newest, err);
    if (rc != 0)
        unsubscribe(l);
    return rc;
}
