/* What the two ZeroMQ ends share. Only proto/zmq_*.c include this. */
#ifndef SHOAL_PROTO_ZMQ_LINK_PRIVATE_H
#define SHOAL_PROTO_ZMQ_LINK_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/link.h"

/* ---- endpoints ---- */

enum {
    ENDPOINT_HOST_BYTES = 256,
    ENDPOINT_BYTES = ENDPOINT_HOST_BYTES + 32,    /* with scheme, brackets and port */
    ENDPOINT_ANY_PORT = 0
};

/* Behind an ipc path: where the snapshots are published. */
#define IPC_SNAPSHOTS ".snapshots"

/* tcp://HOST:PORT or ipc://PATH, taken apart. */
struct endpoint {
    bool is_ipc;
    bool is_loopback;                /* 127.0.0.0/8, ::1 or ipc */
    bool is_wildcard;                /* every interface: a place to bind, not to connect to */
    bool is_ipv6;                    /* `host` is inside brackets */
    int port;                        /* 1 to 65535 or ENDPOINT_ANY_PORT */
    char host[ENDPOINT_HOST_BYTES];  /* or the path; "localhost" has become 127.0.0.1 */
};

/* 0, or ERR_USAGE with what is wrong and how it should look. */
int endpoint_parse(const char *text, struct endpoint *e, struct error *err);

/* As libzmq wants it. `port` instead of e's; for ipc `suffix` behind the path. */
void endpoint_format(const struct endpoint *e, int port, const char *suffix,
                     char text[static ENDPOINT_BYTES]);

/* ---- sockets ---- */

/* A socket to read from, and how far into a message reading has come. Messages of more parts than
 * expected are read to their end, part by part, and dropped. */
struct inlet {
    void *socket;      /* NULL: none yet */
    bool has_sender;   /* a routing id precedes each message */
    int part;          /* 0 before the sender, 1 before the message, 2 in what does not belong */
    uint64_t peer;     /* sender of the message under way; 0: it cannot be named */
};

struct zmq_link {
    struct link link;
    void *context;
    struct zmq_limits limits;
    struct inlet direct;             /* ROUTER or DEALER */
    struct inlet snapshots;          /* XPUB or SUB */
    struct newest *newest;           /* where only the newest snapshot counts; else NULL */
    int wake_fd;                     /* eventfd */
    struct frame_pool *messages;     /* received frames; each buffer holds a zmq_msg_t */
    struct endpoint endpoint;
    char endpoint_text[ENDPOINT_BYTES];
    int snapshot_port;
    int n_bound;                     /* hub: sockets that listen, `direct` first */
};

/* A link with a context of its own and a `direct` socket of the given type, not bound or connected;
 * NULL with err set. Destroy it with zmq_link_destroy whatever happened since. */
struct zmq_link *zmq_link_create(const struct link_ops *ops, int direct_type,
                                 const struct endpoint *endpoint,
                                 const struct zmq_limits *limits, struct error *err);

/* One more socket with the options that all of ours have; NULL with err set. */
void *zmq_link_open(struct zmq_link *l, int type, struct error *err);
void zmq_link_option(void *socket, int option, int value);

/* The next whole message from an inlet, or NULL. */
struct frame *zmq_link_read(struct zmq_link *l, struct inlet *in);

/* From now on `snapshots` is read by newest_take alone, and while nobody calls that by a thread; newest_destroy
 * ends the thread and leaves the socket open. */
int newest_create(struct zmq_link *l, struct newest **newest, struct error *err);
void newest_destroy(struct newest **newest);

/* The newest message that has come since the last call, or NULL. */
struct frame *newest_take(struct newest *n);

/* Around waiting for the socket. Returns false when there is no need to: a message can be taken. */
bool newest_begin_wait(struct newest *n);
void newest_end_wait(struct newest *n);

/* Send `f` without copying it; its reference is taken whatever comes back. 0 or ERR_AGAIN. */
int zmq_link_write(void *socket, struct frame *f);

/* Slots of link_ops. */
void zmq_link_wait(struct link *base, int timeout_ms);
void zmq_link_wake(struct link *base);
void zmq_link_destroy(struct link *base);

#endif
