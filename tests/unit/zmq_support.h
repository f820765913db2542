/* What the tests of the ZeroMQ links share: numbered frames that are counted, and patience. */
#ifndef SHOAL_TESTS_ZMQ_SUPPORT_H
#define SHOAL_TESTS_ZMQ_SUPPORT_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/link.h"
#include "tests/support.h"

#define LOOPBACK "tcp://127.0.0.1:*"

static const struct zmq_limits limits = { .max_message_bytes = 4 << 20, .queue_messages = 64, .queue_snapshots = 1 };

static inline double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void pause_ms(int ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

static atomic_int n_out;    /* sent frames that were not given back yet */

static inline void free_frame(struct frame *f)
{
    free(f->data);
    free(f);
    atomic_fetch_sub(&n_out, 1);
}

/* A frame of `size` bytes that begin with `number` and repeat its lowest byte. */
static inline struct frame *make(int number, size_t size)
{
    struct frame *f = calloc(1, sizeof(*f));
    f->data = malloc(size);
    f->size = size;
    f->recycle = free_frame;
    memset(f->data, number & 255, size);
    memcpy(f->data, &number, size < sizeof(number) ? size : sizeof(number));
    atomic_fetch_add(&n_out, 1);
    atomic_store(&f->references, 1);
    return f;
}

/* The next frame within `timeout_ms`, or NULL. */
static inline struct frame *receive(struct link *l, uint64_t *peer, int timeout_ms)
{
    double end = seconds() + timeout_ms / 1000.0;
    for (;;) {
        struct frame *f = link_receive(l, peer);
        int left_ms = (int)((end - seconds()) * 1000);
        if (f || left_ms <= 0)
            return f;
        link_wait(l, left_ms);
    }
}

/* The number of the next frame, which must be whole; -1 when none comes. */
static inline int receive_number(struct link *l, uint64_t *peer, int timeout_ms)
{
    struct frame *f = receive(l, peer, timeout_ms);
    if (!f)
        return -1;
    int number;
    ck_assert_uint_ge(f->size, sizeof(number));
    memcpy(&number, f->data, sizeof(number));
    bool is_whole = true;
    for (size_t i = sizeof(number); i < f->size; i++)
        is_whole &= f->data[i] == (number & 255);
    ck_assert(is_whole);
    frame_release(f);
    return number;
}

/* Send until it is accepted; an actor may not be connected yet. */
static inline void send_patiently(struct link *l, uint64_t peer, int number, size_t size)
{
    double end = seconds() + 10;
    int rc;
    while ((rc = link_send(l, peer, make(number, size))) == ERR_AGAIN && seconds() < end)
        pause_ms(2);
    ck_assert_int_eq(rc, 0);
}

static inline struct link *hub_at(const char *endpoint)
{
    struct error err = { 0 };
    struct link *hub = zmq_hub_create(endpoint, 0, false, &limits, &err);
    ck_assert_msg(hub != NULL, "%s", err.text);
    return hub;
}

static inline struct link *actor_at(const char *endpoint)
{
    struct error err = { 0 };
    struct link *actor = zmq_actor_create(endpoint, &limits, &err);
    ck_assert_msg(actor != NULL, "%s", err.text);
    return actor;
}

/* An actor that the hub has heard; its peer. */
static inline struct link *introduced(struct link *hub, uint64_t *peer)
{
    struct link *actor = actor_at(zmq_hub_endpoint(hub));
    send_patiently(actor, 0, 4711, 10);
    ck_assert_int_eq(receive_number(hub, peer, 5000), 4711);
    return actor;
}

static inline void subscribe(struct link *actor, const struct link *hub)
{
    struct error err = { 0 };
    ck_assert_msg(zmq_actor_subscribe(actor, zmq_hub_snapshot_port(hub), false, &err) == 0, "%s",
                  err.text);
}

static inline int port_of(const struct link *hub)
{
    return (int)strtol(strrchr(zmq_hub_endpoint(hub), ':') + 1, NULL, 10);
}

/* A port that is free now. */
static inline int free_port(void)
{
    struct link *hub = hub_at(LOOPBACK);
    int port = port_of(hub);
    link_destroy(&hub);
    return port;
}

/* Destroying must take every sent frame back. */
static inline void end(struct link *hub, struct link *a, struct link *b)
{
    link_destroy(&a);
    link_destroy(&b);
    link_destroy(&hub);
    ck_assert_int_eq(atomic_load(&n_out), 0);
}

#endif
