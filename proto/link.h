/* Links: how frames travel. Two implementations: ZeroMQ (proto/zmq_link.c) and in-process
 * (proto/local_link.c). A link is used by one thread only; link_wake may be called from any.
 *
 * The learner's end (a hub) talks to many peers and publishes to all; an actor's end talks to the
 * hub and hears what is published, keeping only the newest. Publishing may lose, the rest may
 * lose only when a connection breaks; nothing is delivered twice or altered. */
#ifndef SHOAL_PROTO_LINK_H
#define SHOAL_PROTO_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "proto/frame.h"

struct link;

struct link_ops {
    /* Send `f` to `peer` (0 on an actor's end), taking one reference whatever comes back.
     * 0, ERR_AGAIN when the queue is full or an actor's end is not connected, ERR_MISSING when the
     * peer is gone. */
    int (*send)(struct link *l, uint64_t peer, struct frame *f);
    /* Offer `f` to every subscriber, taking one reference. Hub only. */
    void (*publish)(struct link *l, struct frame *f);
    /* The next frame, owned by the caller, or NULL. `*peer` is set on a hub; published frames
     * come out of an actor's end like any other. */
    struct frame *(*receive)(struct link *l, uint64_t *peer);
    /* Return when something may be received, link_wake was called, or the time is over. */
    void (*wait)(struct link *l, int timeout_ms);
    void (*wake)(struct link *l);
    void (*destroy)(struct link *l);
};

/* First member of every implementation. */
struct link {
    const struct link_ops *ops;
};

static inline int link_send(struct link *l, uint64_t peer, struct frame *f)
{
    return l->ops->send(l, peer, f);
}
static inline void link_publish(struct link *l, struct frame *f) { l->ops->publish(l, f); }
static inline struct frame *link_receive(struct link *l, uint64_t *peer)
{
    return l->ops->receive(l, peer);
}
static inline void link_wait(struct link *l, int timeout_ms) { l->ops->wait(l, timeout_ms); }
static inline void link_wake(struct link *l) { l->ops->wake(l); }
static inline void link_destroy(struct link **l)
{
    if (*l)
        (*l)->ops->destroy(*l);
    *l = NULL;
}

/* ---- ZeroMQ ---- */

struct zmq_limits {
    size_t max_message_bytes;    /* larger inbound messages cut the connection */
    int queue_messages;          /* high-water mark per peer, but for what a hub receives: there
                                  * only credit and a hub that keeps reading set a bound */
    int queue_snapshots;         /* of a hub, per subscriber, and of a subscriber that wants every one:
                                  * what comes on top is dropped */
};

/* In rounds: that of an actor's round and of the next, and two for one that sleeps. */
enum { LINK_ROUND_SNAPSHOTS = 4 };

/* Bind a ROUTER at `endpoint` (tcp://HOST:PORT, port * for any; ipc://PATH) and an XPUB beside it
 * (tcp: a port chosen by the system on the same host; ipc: PATH.snapshots). Addresses other than
 * loopback are refused unless `allow_remote`. `snapshot_port` 0 lets the system choose. */
struct link *zmq_hub_create(const char *endpoint, int snapshot_port, bool allow_remote,
                            const struct zmq_limits *limits, struct error *err);

/* Where the hub listens: the concrete endpoint, and the XPUB's TCP port (0 for ipc). */
const char *zmq_hub_endpoint(const struct link *l);
int zmq_hub_snapshot_port(const struct link *l);

/* Connect a DEALER to `endpoint`. Nothing has to listen there yet. */
struct link *zmq_actor_create(const char *endpoint, const struct zmq_limits *limits,
                              struct error *err);

/* Subscribe to the hub's XPUB: same host, `port` (tcp) or PATH.snapshots (ipc). What was not read
 * when the next snapshot comes is thrown away, unless `wants_every`. A second call replaces the first
 * subscription. */
int zmq_actor_subscribe(struct link *l, int port, bool wants_every, struct error *err);

/* Whether an endpoint names loopback or a local path; ERR_USAGE with a hint when it is neither a
 * tcp:// nor an ipc:// endpoint. */
int zmq_endpoint_check(const char *endpoint, bool allow_remote, struct error *err);

/* ---- in-process ---- */

/* A network under virtual time: one hub, any number of actors, made and used by one thread or by
 * several (it is locked). `delay` (may be NULL: 0) gives the microseconds a frame travels, and -1
 * to lose it; frames between the same two ends keep their order. */
struct local_network;

typedef int64_t local_delay(void *context, uint64_t from, uint64_t to, size_t bytes);

struct local_network *local_network_create(local_delay *delay, void *context);
void local_network_destroy(struct local_network **n);

/* Time only moves when told to. */
void local_network_set_time(struct local_network *n, int64_t now_us);

/* When the next frame arrives, or INT64_MAX while none is under way. Frames that have arrived and
 * lie unread do not count. */
int64_t local_network_next(struct local_network *n);

/* Ends: the hub is number 0, actors 1, 2, ... in the order of creation. */
struct link *local_hub_create(struct local_network *n);
struct link *local_actor_create(struct local_network *n);

#endif
