/* Both ZeroMQ ends over loopback TCP and ipc, and what misbehaving peers can do to them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "proto/link.h"
#include "tests/support.h"

#define LOOPBACK "tcp://127.0.0.1:*"

static const struct zmq_limits limits = { .max_message_bytes = 4 << 20, .queue_messages = 64 };

/* ---- support ---- */

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void pause_ms(int ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

static atomic_int n_out;    /* sent frames that were not given back yet */

static void free_frame(struct frame *f)
{
    free(f->data);
    free(f);
    atomic_fetch_sub(&n_out, 1);
}

/* A frame of `size` bytes that begin with `number` and repeat its lowest byte. */
static struct frame *make(int number, size_t size)
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
static struct frame *receive(struct link *l, uint64_t *peer, int timeout_ms)
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
static int receive_number(struct link *l, uint64_t *peer, int timeout_ms)
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
static void send_patiently(struct link *l, uint64_t peer, int number, size_t size)
{
    double end = seconds() + 10;
    int rc;
    while ((rc = link_send(l, peer, make(number, size))) == ERR_AGAIN && seconds() < end)
        pause_ms(2);
    ck_assert_int_eq(rc, 0);
}

static struct link *hub_at(const char *endpoint)
{
    struct error err = { 0 };
    struct link *hub = zmq_hub_create(endpoint, 0, false, &limits, &err);
    ck_assert_msg(hub != NULL, "%s", err.text);
    return hub;
}

static struct link *actor_at(const char *endpoint)
{
    struct error err = { 0 };
    struct link *actor = zmq_actor_create(endpoint, &limits, &err);
    ck_assert_msg(actor != NULL, "%s", err.text);
    return actor;
}

/* An actor that the hub has heard; its peer. */
static struct link *introduced(struct link *hub, uint64_t *peer)
{
    struct link *actor = actor_at(zmq_hub_endpoint(hub));
    send_patiently(actor, 0, 4711, 10);
    ck_assert_int_eq(receive_number(hub, peer, 5000), 4711);
    return actor;
}

static void subscribe(struct link *actor, const struct link *hub)
{
    struct error err = { 0 };
    ck_assert_msg(zmq_actor_subscribe(actor, zmq_hub_snapshot_port(hub), &err) == 0, "%s",
                  err.text);
}

static int port_of(const struct link *hub)
{
    return (int)strtol(strrchr(zmq_hub_endpoint(hub), ':') + 1, NULL, 10);
}

/* Destroying must take every sent frame back. */
static void end(struct link *hub, struct link *a, struct link *b)
{
    link_destroy(&a);
    link_destroy(&b);
    link_destroy(&hub);
    ck_assert_int_eq(atomic_load(&n_out), 0);
}

/* ---- what links are for ---- */

static void converse(const char *endpoint)
{
    struct link *hub = hub_at(endpoint);
    uint64_t a_peer, b_peer, peer;
    struct link *a = introduced(hub, &a_peer), *b = introduced(hub, &b_peer);
    ck_assert_uint_ne(a_peer, b_peer);

    /* Sizes around libzmq's own borders: inside the message, in its buffer, on the heap. */
    static const size_t sizes[] = { 4, 29, 33, 34, 255, 256, 8191, 8192, 100000, 1 << 20 };
    for (int i = 0; i < 50; i++) {
        size_t size = sizes[i % (int)TEST_COUNT(sizes)];
        send_patiently(a, 0, i, size);
        send_patiently(hub, b_peer, 1000 + i, size);
    }
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(receive_number(hub, &peer, 5000), i);
        ck_assert_uint_eq(peer, a_peer);
        ck_assert_int_eq(receive_number(b, &peer, 5000), 1000 + i);
        ck_assert_uint_eq(peer, 0);
    }
    ck_assert_ptr_null(link_receive(a, &peer));
    ck_assert_ptr_null(link_receive(hub, &peer));
    end(hub, a, b);
}

START_TEST(messages_travel_whole_and_in_order_over_tcp)
{
    converse(LOOPBACK);
}
END_TEST

START_TEST(messages_travel_whole_and_in_order_over_ipc)
{
    char directory[200], endpoint[300];
    test_directory("link", directory, sizeof(directory));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/hub", directory);
    converse(endpoint);
}
END_TEST

START_TEST(messages_travel_over_ipv6)
{
    struct error err = { 0 };
    struct link *hub = zmq_hub_create("tcp://[::1]:*", 0, false, &limits, &err);
    if (!hub && strstr(err.text, "no such address"))
        return;    /* a machine without IPv6 */
    ck_assert_msg(hub != NULL, "%s", err.text);
    ck_assert_ptr_nonnull(strstr(zmq_hub_endpoint(hub), "tcp://[::1]:"));
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    subscribe(a, hub);
    pause_ms(200);
    link_publish(hub, make(5, 100));
    ck_assert_int_eq(receive_number(a, NULL, 2000), 5);
    end(hub, a, NULL);
}
END_TEST

static void publish_to_two(const char *endpoint)
{
    struct link *hub = hub_at(endpoint), *subscribers[2];
    uint64_t peer;
    for (int i = 0; i < 2; i++) {
        subscribers[i] = introduced(hub, &peer);
        subscribe(subscribers[i], hub);
    }
    pause_ms(200);
    for (int version = 1; version <= 10; version++) {
        link_publish(hub, make(version, 100000));
        pause_ms(20);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(receive_number(subscribers[i], &peer, 2000), 10);
        ck_assert_int_eq(receive_number(subscribers[i], &peer, 50), -1);
    }
    end(hub, subscribers[0], subscribers[1]);
}

START_TEST(every_subscriber_gets_only_the_newest_snapshot)
{
    char directory[200], endpoint[300];
    test_directory("link", directory, sizeof(directory));
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/hub", directory);
    publish_to_two(endpoint);
    publish_to_two(LOOPBACK);
}
END_TEST

START_TEST(a_second_subscription_replaces_the_first)
{
    struct link *hub = hub_at(LOOPBACK), *other = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    subscribe(a, hub);
    subscribe(a, other);
    pause_ms(200);
    link_publish(hub, make(1, 100));
    link_publish(other, make(2, 100));
    ck_assert_int_eq(receive_number(a, &peer, 2000), 2);
    ck_assert_int_eq(receive_number(a, &peer, 100), -1);
    struct error err;
    ck_assert_int_eq(zmq_actor_subscribe(a, 70000, &err), ERR_USAGE);
    link_destroy(&other);
    end(hub, a, NULL);
}
END_TEST

static void *release_frame(void *f)
{
    frame_release(f);
    return NULL;
}

START_TEST(received_frames_outlive_the_link_and_end_on_any_thread)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    struct frame *kept[8];
    for (int i = 0; i < 8; i++)
        send_patiently(a, 0, i, i % 2 ? 20 : 50000);
    for (int i = 0; i < 8; i++)
        ck_assert_ptr_nonnull(kept[i] = receive(hub, &peer, 2000));
    end(hub, a, NULL);
    for (int i = 0; i < 8; i++) {
        ck_assert_uint_eq(kept[i]->data[kept[i]->size - 1], i);
        pthread_t thread;
        pthread_create(&thread, NULL, release_frame, kept[i]);
        pthread_join(thread, NULL);
    }
}
END_TEST

START_TEST(received_frames_are_recycled)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    struct frame *first = NULL;
    for (int i = 0; i < 20; i++) {
        send_patiently(a, 0, i, 100);
        struct frame *f = receive(hub, &peer, 2000);
        ck_assert_ptr_nonnull(f);
        if (first)
            ck_assert_ptr_eq(f, first);
        first = f;
        frame_release(f);
    }
    end(hub, a, NULL);
}
END_TEST

/* ---- limits and ends ---- */

START_TEST(a_peer_that_is_gone_or_never_was_is_missing)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    ck_assert_int_eq(link_send(hub, 0, make(1, 10)), ERR_MISSING);
    ck_assert_int_eq(link_send(hub, peer ^ 0xff00, make(1, 10)), ERR_MISSING);
    ck_assert_int_eq(link_send(hub, UINT64_MAX, make(1, 10)), ERR_MISSING);
    ck_assert_int_eq(link_send(hub, peer, make(1, 10)), 0);
    link_destroy(&a);
    double give_up = seconds() + 5;
    int rc;
    while ((rc = link_send(hub, peer, make(1, 10))) == 0 && seconds() < give_up)
        pause_ms(5);
    ck_assert_int_eq(rc, ERR_MISSING);
    end(hub, NULL, NULL);
}
END_TEST

/* Send large messages that nobody reads until the queue is full; how many it took. */
static int fill(struct link *l, uint64_t peer)
{
    double slowest = 0;
    int rc = 0, n;
    for (n = 0; n < 1000 && rc == 0; n++) {
        double start = seconds();
        rc = link_send(l, peer, make(n, 1 << 20));
        if (seconds() - start > slowest)
            slowest = seconds() - start;
    }
    ck_assert_int_eq(rc, ERR_AGAIN);
    ck_assert_double_lt(slowest, 0.5);
    return n - 1;
}

/* A learner that never reads, where its receive queue takes one message. */
static void *stuck_learner(void *context, const char *endpoint, char bound[64])
{
    void *router = zmq_socket(context, ZMQ_ROUTER);
    size_t bytes = 64;
    zmq_setsockopt(router, ZMQ_RCVHWM, &(int){ 1 }, sizeof(int));
    zmq_setsockopt(router, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    ck_assert_int_eq(zmq_bind(router, endpoint), 0);
    zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, bound, &bytes);
    return router;
}

START_TEST(a_full_queue_says_so_without_blocking)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t a_peer, b_peer, peer;
    struct link *a = introduced(hub, &a_peer), *b = introduced(hub, &b_peer);
    int n = fill(hub, a_peer);
    ck_assert_int_ge(n, limits.queue_messages);
    /* The other peer is served meanwhile. */
    ck_assert_int_eq(link_send(hub, b_peer, make(5, 100)), 0);
    ck_assert_int_eq(receive_number(b, &peer, 2000), 5);
    /* What was accepted arrives, and there is room again. */
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(receive_number(a, &peer, 2000), i);
    ck_assert_int_eq(link_send(hub, a_peer, make(6, 100)), 0);
    ck_assert_int_eq(receive_number(a, &peer, 2000), 6);
    end(hub, a, b);

    void *context = zmq_ctx_new();
    char endpoint[64];
    void *router = stuck_learner(context, LOOPBACK, endpoint);
    a = actor_at(endpoint);
    send_patiently(a, 0, 1, 100);
    fill(a, 0);
    end(NULL, a, NULL);
    zmq_close(router);
    zmq_ctx_term(context);
}
END_TEST

START_TEST(publishing_to_a_stopped_subscriber_neither_blocks_nor_grows)
{
    struct link *hub = hub_at(LOOPBACK);
    void *context = zmq_ctx_new(), *sub = zmq_socket(context, ZMQ_SUB);
    int one = 1, none = 0;
    zmq_setsockopt(sub, ZMQ_RCVHWM, &one, sizeof(one));
    zmq_setsockopt(sub, ZMQ_LINGER, &none, sizeof(none));
    zmq_setsockopt(sub, ZMQ_SUBSCRIBE, "", 0);
    char text[64];
    snprintf(text, sizeof(text), "tcp://127.0.0.1:%d", zmq_hub_snapshot_port(hub));
    ck_assert_int_eq(zmq_connect(sub, text), 0);
    pause_ms(200);
    double start = seconds();
    for (int i = 0; i < 200; i++) {
        link_publish(hub, make(i, 1 << 20));
        link_wait(hub, 1);
    }
    ck_assert_double_lt(seconds() - start, 5);
    ck_assert_int_le(atomic_load(&n_out), 4);
    zmq_close(sub);
    zmq_ctx_term(context);
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(an_oversize_message_cuts_only_its_own_connection)
{
    struct error err;
    const struct zmq_limits small = { .max_message_bytes = 1 << 16, .queue_messages = 8 };
    struct link *hub = zmq_hub_create(LOOPBACK, 0, false, &small, &err);
    uint64_t a_peer, b_peer, peer;
    struct link *a = introduced(hub, &a_peer), *b = introduced(hub, &b_peer);
    send_patiently(a, 0, 1, 1 << 16);
    ck_assert_int_eq(receive_number(hub, &peer, 2000), 1);
    send_patiently(a, 0, 2, (1 << 16) + 1);
    ck_assert_int_eq(receive_number(hub, &peer, 300), -1);
    ck_assert_int_eq(link_send(hub, a_peer, make(3, 10)), ERR_MISSING);
    send_patiently(b, 0, 4, 10);
    ck_assert_int_eq(receive_number(hub, &peer, 2000), 4);
    ck_assert_uint_eq(peer, b_peer);
    ck_assert_int_eq(link_send(hub, b_peer, make(5, 10)), 0);
    ck_assert_int_eq(receive_number(b, &peer, 2000), 5);
    /* It comes back as somebody new. */
    send_patiently(a, 0, 6, 10);
    ck_assert_int_eq(receive_number(hub, &peer, 5000), 6);
    ck_assert_uint_ne(peer, a_peer);
    end(hub, a, b);
}
END_TEST

START_TEST(ending_with_unsent_messages_takes_them_all_back_soon)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    subscribe(a, hub);
    pause_ms(100);
    fill(hub, peer);
    link_publish(hub, make(1, 1 << 20));
    ck_assert_int_gt(atomic_load(&n_out), 0);
    double start = seconds();
    link_destroy(&hub);
    ck_assert_double_lt(seconds() - start, 1.5);
    ck_assert_int_eq(atomic_load(&n_out), 0);
    link_destroy(&a);

    void *context = zmq_ctx_new();
    char endpoint[64];
    void *router = stuck_learner(context, LOOPBACK, endpoint);
    a = actor_at(endpoint);
    send_patiently(a, 0, 1, 100);
    fill(a, 0);
    ck_assert_int_gt(atomic_load(&n_out), 0);
    start = seconds();
    end(NULL, a, NULL);
    ck_assert_double_lt(seconds() - start, 1.5);
    zmq_close(router);
    zmq_ctx_term(context);
}
END_TEST

/* libzmq's timers must not come upon a broken connection with a full queue. */
START_TEST(a_learner_that_dies_does_not_harm_an_actor_with_a_full_queue)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    fill(hub, peer);
    link_destroy(&hub);
    pause_ms(1500);
    for (int i = 0; i < 64; i++)
        ck_assert_int_eq(receive_number(a, &peer, 1000), i);
    end(NULL, a, NULL);
}
END_TEST

START_TEST(last_words_are_delivered)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer), *b = introduced(hub, &peer);
    link_send(a, 0, make(7, 100000));
    link_destroy(&a);
    ck_assert_int_eq(receive_number(hub, &peer, 1000), 7);
    send_patiently(b, 0, 8, 10);
    ck_assert_int_eq(receive_number(hub, &peer, 1000), 8);
    link_send(hub, peer, make(9, 100000));
    link_destroy(&hub);
    ck_assert_int_eq(receive_number(b, &peer, 1000), 9);
    end(NULL, b, NULL);
}
END_TEST

/* ---- learners that start late or again ---- */

/* A port that is free now. */
static int free_port(void)
{
    struct link *hub = hub_at(LOOPBACK);
    int port = port_of(hub);
    link_destroy(&hub);
    return port;
}

START_TEST(an_actor_waits_for_its_learner)
{
    char endpoint[64];
    snprintf(endpoint, sizeof(endpoint), "tcp://127.0.0.1:%d", free_port());
    struct link *a = actor_at(endpoint);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(link_send(a, 0, make(i, 100)), ERR_AGAIN);
        pause_ms(100);
    }
    ck_assert_int_eq(atomic_load(&n_out), 0);
    struct link *hub = hub_at(endpoint);
    uint64_t peer;
    send_patiently(a, 0, 3, 100);
    ck_assert_int_eq(receive_number(hub, &peer, 2000), 3);
    ck_assert_int_eq(link_send(hub, peer, make(4, 100)), 0);
    ck_assert_int_eq(receive_number(a, &peer, 2000), 4);
    end(hub, a, NULL);
}
END_TEST

START_TEST(a_restarted_learner_is_found)
{
    struct link *hub = hub_at(LOOPBACK);
    char endpoint[64];
    snprintf(endpoint, sizeof(endpoint), "%s", zmq_hub_endpoint(hub));
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    subscribe(a, hub);
    for (int i = 0; i < 5; i++)
        link_send(hub, peer, make(100 + i, 1000));
    link_destroy(&hub);
    for (int i = 0; i < 5; i++)    /* what it said before still comes */
        ck_assert_int_eq(receive_number(a, &peer, 1000), 100 + i);

    hub = hub_at(endpoint);
    subscribe(a, hub);
    /* What is sent before the loss is noticed may be lost: HELLO is repeated. */
    double start = seconds();
    int heard = -1;
    while (heard < 0 && seconds() - start < 5) {
        link_send(a, 0, make(2, 100));
        heard = receive_number(hub, &peer, 50);
    }
    ck_assert_int_eq(heard, 2);
    ck_assert_int_eq(link_send(hub, peer, make(3, 100)), 0);
    ck_assert_int_eq(receive_number(a, &peer, 2000), 3);
    pause_ms(200);
    link_publish(hub, make(4, 100));
    ck_assert_int_eq(receive_number(a, &peer, 2000), 4);
    end(hub, a, NULL);
}
END_TEST

START_TEST(a_new_learner_hears_nothing_that_was_meant_for_the_old)
{
    void *context = zmq_ctx_new();
    char endpoint[64];
    void *router = stuck_learner(context, LOOPBACK, endpoint);
    struct link *a = actor_at(endpoint);
    send_patiently(a, 0, 1, 100);
    fill(a, 0);
    zmq_close(router);
    zmq_ctx_term(context);
    /* Frames that waited come back as soon as the loss is noticed. */
    double give_up = seconds() + 3;
    while (atomic_load(&n_out) > 0 && seconds() < give_up)
        receive_number(a, NULL, 10);
    ck_assert_int_eq(atomic_load(&n_out), 0);
    ck_assert_int_eq(link_send(a, 0, make(2, 100)), ERR_AGAIN);

    struct link *hub = hub_at(endpoint);
    uint64_t peer;
    send_patiently(a, 0, 3, 100);
    ck_assert_int_eq(receive_number(hub, &peer, 2000), 3);
    end(hub, a, NULL);
}
END_TEST

/* ---- waiting ---- */

static void *wake_soon(void *l)
{
    pause_ms(50);
    link_wake(l);
    return NULL;
}

static void wake_from_a_thread(struct link *l)
{
    pthread_t thread;
    pthread_create(&thread, NULL, wake_soon, l);
    double start = seconds();
    link_wait(l, 5000);
    ck_assert_double_ge(seconds() - start, 0.04);
    ck_assert_double_lt(seconds() - start, 2);
    pthread_join(thread, NULL);
    /* A wake between two waits is not lost, and any number of wakes counts once. */
    link_wake(l);
    link_wake(l);
    start = seconds();
    link_wait(l, 5000);
    ck_assert_double_lt(seconds() - start, 2);
    start = seconds();
    link_wait(l, 50);
    ck_assert_double_ge(seconds() - start, 0.04);
}

START_TEST(waiting_ends_for_a_message_a_wake_or_the_time)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    subscribe(a, hub);
    pause_ms(200);
    link_wait(hub, 0);
    wake_from_a_thread(hub);
    wake_from_a_thread(a);
    double start = seconds();
    link_publish(hub, make(1, 100));
    link_wait(a, 5000);
    ck_assert_int_eq(receive_number(a, &peer, 1000), 1);
    link_send(a, 0, make(2, 100));
    link_wait(hub, 5000);
    ck_assert_int_eq(receive_number(hub, &peer, 1000), 2);
    ck_assert_double_lt(seconds() - start, 2);
    end(hub, a, NULL);
}
END_TEST

/* ---- hostile peers ---- */

/* A bare DEALER, with a routing id of `id_bytes` bytes unless that is 0. */
static void *dealer(void *context, const struct link *hub, size_t id_bytes)
{
    void *socket = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(socket, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    zmq_setsockopt(socket, ZMQ_SNDHWM, &(int){ 0 }, sizeof(int));
    if (id_bytes)
        zmq_setsockopt(socket, ZMQ_ROUTING_ID, "ABCDEFGHIJ", id_bytes);
    ck_assert_int_eq(zmq_connect(socket, zmq_hub_endpoint(hub)), 0);
    return socket;
}

static void send_parts(void *socket, int n_parts)
{
    for (int i = 1; i <= n_parts; i++)
        ck_assert_int_eq(zmq_send(socket, "part", 4, i < n_parts ? ZMQ_SNDMORE : 0), 4);
}

START_TEST(multipart_and_empty_messages_are_dropped)
{
    struct link *hub = hub_at(LOOPBACK);
    void *context = zmq_ctx_new(), *rogue = dealer(context, hub, 0);
    uint64_t peer;
    int number = 5;
    send_parts(rogue, 2);
    send_parts(rogue, 3);
    zmq_send(rogue, "", 0, 0);
    zmq_send(rogue, &number, sizeof(number), 0);
    ck_assert_int_eq(receive_number(hub, &peer, 2000), 5);
    zmq_send(rogue, "", 0, ZMQ_SNDMORE);
    zmq_send(rogue, &number, sizeof(number), 0);
    ck_assert_int_eq(receive_number(hub, &peer, 100), -1);

    /* A flood is gone through bit by bit, and then the next message is right. */
    send_parts(rogue, 100000);
    number = 6;
    zmq_send(rogue, &number, sizeof(number), 0);
    double slowest = 0, give_up = seconds() + 10;
    struct frame *f = NULL;
    while (!f && seconds() < give_up) {
        link_wait(hub, 100);
        double start = seconds();
        f = link_receive(hub, &peer);
        if (seconds() - start > slowest)
            slowest = seconds() - start;
    }
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(f->size, sizeof(number));
    ck_assert_mem_eq(f->data, &number, sizeof(number));
    frame_release(f);
    ck_assert_double_lt(slowest, 0.1);
    ck_assert_int_eq(link_send(hub, peer, make(7, 10)), 0);
    zmq_close(rogue);
    zmq_ctx_term(context);
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(routing_ids_up_to_seven_bytes_are_answered_others_dropped)
{
    struct link *hub = hub_at(LOOPBACK);
    void *context = zmq_ctx_new();
    static const size_t sizes[] = { 1, 7, 8 };
    for (int i = 0; i < 3; i++) {
        void *socket = dealer(context, hub, sizes[i]);
        uint64_t peer;
        zmq_send(socket, &i, sizeof(i), 0);
        ck_assert_int_eq(receive_number(hub, &peer, sizes[i] > 7 ? 300 : 2000),
                         sizes[i] > 7 ? -1 : i);
        if (sizes[i] <= 7) {
            char answer[16];
            ck_assert_int_eq(link_send(hub, peer, make(i, 10)), 0);
            ck_assert_int_eq(zmq_recv(socket, answer, sizeof(answer), 0), 10);
        }
        zmq_close(socket);
    }
    zmq_ctx_term(context);
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(senders_to_the_snapshot_socket_do_not_disturb)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    subscribe(a, hub);
    void *context = zmq_ctx_new(), *rogue = zmq_socket(context, ZMQ_XSUB);
    zmq_setsockopt(rogue, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
    char text[64];
    snprintf(text, sizeof(text), "tcp://127.0.0.1:%d", zmq_hub_snapshot_port(hub));
    ck_assert_int_eq(zmq_connect(rogue, text), 0);
    pause_ms(200);
    char topic[900] = "\1";
    for (int i = 0; i < 2000; i++) {
        snprintf(topic + 1, sizeof(topic) - 1, "%d", i);
        zmq_send(rogue, topic, sizeof(topic), ZMQ_DONTWAIT);
        zmq_send(rogue, "\7noise", 6, ZMQ_DONTWAIT);
    }
    link_wait(hub, 200);
    char oversize[2000] = "\1";
    zmq_send(rogue, oversize, sizeof(oversize), 0);
    for (int i = 0; i < 20; i++)
        link_wait(hub, 20);
    zmq_close(rogue);
    zmq_ctx_term(context);
    /* Soon nothing is left to read. */
    double waited = 0;
    for (int i = 0; i < 100 && waited < 0.04; i++) {
        double start = seconds();
        link_wait(hub, 50);
        waited = seconds() - start;
    }
    ck_assert_double_ge(waited, 0.04);
    link_publish(hub, make(3, 1000));
    ck_assert_int_eq(receive_number(a, &peer, 2000), 3);
    end(hub, a, NULL);
}
END_TEST

static int tcp_connect(int port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

START_TEST(garbage_on_the_wire_does_not_disturb)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t a_peer, peer;
    struct link *a = introduced(hub, &a_peer);
    subscribe(a, hub);
    const int ports[] = { port_of(hub), zmq_hub_snapshot_port(hub) };
    const char http[] = "GET / HTTP/1.1\r\nHost: shoal\r\n\r\n";
    uint64_t state = 1;
    int fds[40];
    for (int i = 0; i < 40; i++) {
        unsigned char noise[500];
        for (size_t k = 0; k < sizeof(noise); k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            noise[k] = (unsigned char)(state >> 56);
        }
        if (i % 4 == 0)    /* a right beginning, so that more of it is read */
            memcpy(noise, "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
        fds[i] = tcp_connect(ports[i / 4 % 2]);
        const void *bytes = i % 4 == 1 ? (const void *)http : noise;
        send(fds[i], bytes, i % 4 == 1 ? sizeof(http) - 1 : sizeof(noise), MSG_NOSIGNAL);
        if (i % 2)
            close(fds[i]);
    }
    for (int i = 0; i < 50; i++) {
        send_patiently(a, 0, i, 1000);
        struct frame *f;
        /* Some garbage reads as a message of ZMTP 1: it is the decoder's to refuse. */
        while ((f = receive(hub, &peer, 2000)) && peer != a_peer)
            frame_release(f);
        ck_assert_ptr_nonnull(f);
        ck_assert_uint_eq(f->size, 1000);
        frame_release(f);
        ck_assert_int_eq(link_send(hub, peer, make(i, 1000)), 0);
        ck_assert_int_eq(receive_number(a, &peer, 2000), i);
    }
    link_publish(hub, make(77, 1000));
    ck_assert_int_eq(receive_number(a, &peer, 2000), 77);
    for (int i = 0; i < 40; i += 2)
        close(fds[i]);
    end(hub, a, NULL);
}
END_TEST

/* Speak ZMTP as a DEALER does, up to where messages may follow. */
static int bare_dealer(int port)
{
    static const char greeting[64] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL";
    static const char ready[] = "\4\x1c\5READY\13Socket-Type\0\0\0\6DEALER";
    int fd = tcp_connect(port);
    ck_assert_int_eq(send(fd, greeting, sizeof(greeting), 0), sizeof(greeting));
    ck_assert_int_eq(send(fd, ready, sizeof(ready) - 1, 0), sizeof(ready) - 1);
    return fd;
}

/* What makes libzmq abort when a receive queue with a mark is full: messages, a PING and a reset. */
START_TEST(a_flood_with_a_ping_and_a_reset_does_no_harm)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    int fd = bare_dealer(port_of(hub));
    char flood[2000 * 3 + 9];
    for (size_t i = 0; i < 2000; i++)
        memcpy(flood + 3 * i, "\0\1x", 3);
    memcpy(flood + 2000 * 3, "\4\7\4PING\0\0", 9);
    pause_ms(50);
    ck_assert_int_eq(send(fd, flood, sizeof(flood), 0), sizeof(flood));
    pause_ms(50);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    close(fd);
    pause_ms(50);
    int n = 0;
    for (struct frame *f; (f = receive(hub, &peer, 100)); n++)
        frame_release(f);
    ck_assert_int_eq(n, 2000);
    send_patiently(a, 0, 5, 100);
    ck_assert_int_eq(receive_number(hub, &peer, 2000), 5);
    end(hub, a, NULL);
}
END_TEST

START_TEST(a_connection_that_says_nothing_is_cut)
{
    struct link *hub = hub_at(LOOPBACK);
    double start = seconds();
    struct pollfd item = { .fd = tcp_connect(port_of(hub)), .events = POLLIN };
    char bytes[64];
    while (seconds() - start < 8)
        if (poll(&item, 1, 100) > 0 && read(item.fd, bytes, sizeof(bytes)) <= 0)
            break;
    ck_assert_double_ge(seconds() - start, 4);
    ck_assert_double_lt(seconds() - start, 6);
    close(item.fd);
    end(hub, NULL, NULL);
}
END_TEST

/* The kernel finds connections whose other host is gone; here only that it was told to. */
START_TEST(every_connection_is_watched_by_the_kernel)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    subscribe(a, hub);
    pause_ms(200);
    int n = 0;
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in address;
        int value = 0;
        if (getpeername(fd, (struct sockaddr *)&address, &(socklen_t){ sizeof(address) }) != 0 ||
            address.sin_family != AF_INET)
            continue;
        n++;
        getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &(socklen_t){ sizeof(value) });
        ck_assert_int_eq(value, 1);
        getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &value, &(socklen_t){ sizeof(value) });
        ck_assert_int_eq(value, 1);
        getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &value, &(socklen_t){ sizeof(value) });
        ck_assert_int_eq(value, 5000);
    }
    ck_assert_int_eq(n, 4);    /* both ends of two */
    end(hub, a, NULL);
}
END_TEST

/* ---- endpoints ---- */

/* What zmq_endpoint_check says; "" when it is content. */
static const char *complaint(const char *endpoint, bool allow_remote)
{
    static struct error err;
    memset(&err, 0, sizeof(err));
    int rc = zmq_endpoint_check(endpoint, allow_remote, &err);
    ck_assert(rc == 0 || rc == ERR_USAGE);
    ck_assert_int_eq(rc, err.code);
    return err.text;
}

START_TEST(loopback_and_local_paths_are_accepted)
{
    static const char *const good[] = {
        "tcp://127.0.0.1:5555", "tcp://127.0.0.1:*", "tcp://127.9.8.7:1", "tcp://[::1]:65535",
        "tcp://localhost:5555", "ipc:///tmp/shoal.sock",
    };
    for (size_t i = 0; i < TEST_COUNT(good); i++)
        ck_assert_str_eq(complaint(good[i], false), "");
}
END_TEST

START_TEST(other_machines_need_insecure)
{
    static const char *const remote[] = {
        "tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://[::]:5555", "tcp://10.0.0.1:5555",
        "tcp://[fe80::1]:5555", "tcp://learner.example.org:5555", "tcp://128.0.0.1:5555",
        "tcp://localhost.example.org:5555", "tcp://127.1:5555", "tcp://local:5555",
        "tcp://[::ffff:127.0.0.1]:5555",
    };
    for (size_t i = 0; i < TEST_COUNT(remote); i++) {
        const char *text = complaint(remote[i], false);
        ck_assert_msg(strstr(text, "--insecure") && strstr(text, "neither encrypted nor"),
                      "%s: %s", remote[i], text);
        ck_assert_str_eq(complaint(remote[i], true), "");
    }
    struct error err;
    ck_assert_ptr_null(zmq_hub_create("tcp://*:*", 0, false, &limits, &err));
    struct link *hub = zmq_hub_create("tcp://*:*", 0, true, &limits, &err);
    ck_assert_str_ne(zmq_hub_endpoint(hub), "tcp://*:*");
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(malformed_endpoints_are_explained)
{
    char long_path[200] = "ipc:///";
    memset(long_path + 7, 'x', 97);
    static const struct { const char *endpoint, *says; } bad[] = {
        { "", "neither tcp:// nor ipc://" },
        { "127.0.0.1:5555", "neither tcp:// nor ipc://" },
        { "udp://127.0.0.1:5555", "neither tcp:// nor ipc://" },
        { "inproc://x", "neither tcp:// nor ipc://" },
        { "tcp://127.0.0.1", "has no port" },
        { "tcp://[::1]", "has no port" },
        { "tcp://", "has no port" },
        { "tcp://:5555", "host name is missing" },
        { "tcp://127.0.0.1:", "the port \"\" is not a number" },
        { "tcp://127.0.0.1:0", "the port \"0\" is not a number from 1 to 65535" },
        { "tcp://127.0.0.1:65536", "from 1 to 65535" },
        { "tcp://127.0.0.1:99999999999999999999", "from 1 to 65535" },
        { "tcp://127.0.0.1:-5", "from 1 to 65535" },
        { "tcp://127.0.0.1: 5", "from 1 to 65535" },
        { "tcp://127.0.0.1:55x", "from 1 to 65535" },
        { "tcp://::1:5555", "in brackets" },
        { "tcp://[::1:5555", "closing bracket is missing" },
        { "tcp://[::g]:5555", "not an IPv6 address" },
        { "tcp://a b:5555", "neither an address nor a name" },
        { "tcp://127.0.0.1:1;127.0.0.1:5555", "in brackets" },
        { "ipc://", "absolute path" },
        { "ipc://relative/path", "absolute path" },
        { "ipc://@abstract", "absolute path" },
        { "ipc:///tmp/", "absolute path" },
    };
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        for (int allow_remote = 0; allow_remote < 2; allow_remote++) {
            const char *text = complaint(bad[i].endpoint, allow_remote);
            ck_assert_msg(strstr(text, bad[i].says) != NULL, "%s: %s", bad[i].endpoint, text);
        }
    /* 97 bytes of path and ".snapshots" are what fits. */
    const char *text = complaint(long_path, false);
    ck_assert_msg(strstr(text, "98 bytes and may have 97") && strstr(text, ".snapshots") &&
                  strstr(text, "107"), "%s", text);
    long_path[strlen(long_path) - 1] = '\0';
    ck_assert_str_eq(complaint(long_path, false), "");
}
END_TEST

START_TEST(an_actor_needs_a_real_address)
{
    static const char *const vague[] = { "tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://[::]:5555",
                                         "tcp://127.0.0.1:*" };
    for (size_t i = 0; i < TEST_COUNT(vague); i++) {
        struct error err = { 0 };
        ck_assert_ptr_null(zmq_actor_create(vague[i], &limits, &err));
        ck_assert_int_eq(err.code, ERR_USAGE);
        ck_assert_msg(strstr(err.text, "as the learner prints them") != NULL, "%s", err.text);
    }
}
END_TEST

/* Why a hub cannot be made. */
static const char *refusal(const char *endpoint, int snapshot_port, int code)
{
    static struct error err;
    memset(&err, 0, sizeof(err));
    ck_assert_ptr_null(zmq_hub_create(endpoint, snapshot_port, true, &limits, &err));
    ck_assert_int_eq(err.code, code);
    return err.text;
}

START_TEST(a_port_in_use_is_reported)
{
    struct link *hub = hub_at("tcp://localhost:*");
    ck_assert_int_ne(zmq_hub_snapshot_port(hub), port_of(hub));
    const char *text = refusal(zmq_hub_endpoint(hub), 0, ERR_TEMPORARY);
    ck_assert_ptr_nonnull(strstr(text, zmq_hub_endpoint(hub)));
    ck_assert_ptr_nonnull(strstr(text, "is in use: another learner"));
    text = refusal(LOOPBACK, zmq_hub_snapshot_port(hub), ERR_TEMPORARY);
    ck_assert_ptr_nonnull(strstr(text, "snapshots: tcp://127.0.0.1:"));
    ck_assert_ptr_nonnull(strstr(refusal(LOOPBACK, 65536, ERR_USAGE), "65536"));
    ck_assert_ptr_nonnull(strstr(refusal("tcp://203.0.113.1:5555", 0, ERR_USAGE),
                                 "no such address"));
    ck_assert_ptr_nonnull(strstr(refusal("tcp://no.such.name.invalid:5555", 0, ERR_USAGE),
                                 "not at a name"));
    /* The chosen snapshot port is used. */
    int port = free_port();
    struct error err;
    struct link *chosen = zmq_hub_create(LOOPBACK, port, false, &limits, &err);
    ck_assert_int_eq(zmq_hub_snapshot_port(chosen), port);
    link_destroy(&chosen);
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(an_ipc_path_is_taken_only_from_the_dead)
{
    char directory[200], endpoint[320], path[300], snapshots[320];
    test_directory("link", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/hub", directory);
    snprintf(snapshots, sizeof(snapshots), "%s.snapshots", path);
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/none/hub", directory);
    const char *text = refusal(endpoint, 0, ERR_MISSING);
    ck_assert_msg(strstr(text, "there is no directory") && strstr(text, "/none;"), "%s", text);

    /* A learner that is killed leaves both files behind. */
    snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
    pid_t child = fork();
    if (child == 0) {
        hub_at(endpoint);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(stat(snapshots, &st), 0);
    struct link *hub = hub_at(endpoint);
    ck_assert_str_eq(zmq_hub_endpoint(hub), endpoint);
    ck_assert_int_eq(zmq_hub_snapshot_port(hub), 0);

    /* A live one keeps its place. */
    ck_assert_ptr_nonnull(strstr(refusal(endpoint, 0, ERR_TEMPORARY), "is in use"));
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    end(hub, a, NULL);
    ck_assert_int_ne(stat(path, &st), 0);
    ck_assert_int_ne(stat(snapshots, &st), 0);

    /* A file is not overwritten. */
    test_write(path, "precious", 8);
    ck_assert_ptr_nonnull(strstr(refusal(endpoint, 0, ERR_USAGE), "not be overwritten"));
    free(test_read(path, NULL));
    unlink(path);
    test_write(snapshots, "precious", 8);
    text = refusal(endpoint, 0, ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(text, "hub.snapshots: something else"));
    free(test_read(snapshots, NULL));
    ck_assert_int_ne(stat(path, &st), 0);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        messages_travel_whole_and_in_order_over_tcp,
        messages_travel_whole_and_in_order_over_ipc,
        messages_travel_over_ipv6,
        every_subscriber_gets_only_the_newest_snapshot,
        a_second_subscription_replaces_the_first,
        received_frames_outlive_the_link_and_end_on_any_thread,
        received_frames_are_recycled,
        a_peer_that_is_gone_or_never_was_is_missing,
        a_full_queue_says_so_without_blocking,
        publishing_to_a_stopped_subscriber_neither_blocks_nor_grows,
        an_oversize_message_cuts_only_its_own_connection,
        ending_with_unsent_messages_takes_them_all_back_soon,
        a_learner_that_dies_does_not_harm_an_actor_with_a_full_queue,
        last_words_are_delivered,
        an_actor_waits_for_its_learner,
        a_restarted_learner_is_found,
        a_new_learner_hears_nothing_that_was_meant_for_the_old,
        waiting_ends_for_a_message_a_wake_or_the_time,
        multipart_and_empty_messages_are_dropped,
        routing_ids_up_to_seven_bytes_are_answered_others_dropped,
        senders_to_the_snapshot_socket_do_not_disturb,
        garbage_on_the_wire_does_not_disturb,
        a_flood_with_a_ping_and_a_reset_does_no_harm,
        a_connection_that_says_nothing_is_cut,
        every_connection_is_watched_by_the_kernel,
        loopback_and_local_paths_are_accepted,
        other_machines_need_insecure,
        malformed_endpoints_are_explained,
        an_actor_needs_a_real_address,
        a_port_in_use_is_reported,
        an_ipc_path_is_taken_only_from_the_dead,
    };
    return suite_run("zmq_link", tests, TEST_COUNT(tests), 30);
}
