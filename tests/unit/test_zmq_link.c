/* Both ZeroMQ ends over loopback TCP and ipc. */
#include <pthread.h>
#include <stdio.h>
#include <zmq.h>

#include "tests/unit/zmq_support.h"

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

enum { N_UNREAD = 400, N_LOOKED_FOR = 60000, BURST = 300 };

static void publish_to_two(const char *endpoint)
{
    struct link *hub = hub_at(endpoint), *subscribers[2];
    uint64_t peer;
    for (int i = 0; i < 2; i++) {
        subscribers[i] = introduced(hub, &peer);
        subscribe(subscribers[i], hub);
    }
    pause_ms(200);
    /* More than all queues on the way hold, and the last one more often: publishing may lose. */
    for (int i = 1; i <= N_UNREAD + 5; i++) {
        link_publish(hub, make(i < N_UNREAD ? i : N_UNREAD, 100000));
        pause_ms(i < N_UNREAD ? 1 : 20);
    }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(receive_number(subscribers[i], &peer, 2000), N_UNREAD);
        /* At most repetitions that were still under way. */
        int more, n_more = 0;
        for (; (more = receive_number(subscribers[i], &peer, 50)) != -1; n_more++)
            ck_assert_int_eq(more, N_UNREAD);
        ck_assert_int_lt(n_more, 4);
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

static void *look_all_the_time(void *context)
{
    struct link *subscriber = context;
    int newest = 0;
    while (newest < N_LOOKED_FOR) {
        struct frame *f = link_receive(subscriber, NULL);
        int number = newest;
        if (f)
            memcpy(&number, f->data, sizeof(number));
        frame_release(f);
        if (number < newest)
            break;
        newest = number;
    }
    return (void *)(intptr_t)newest;
}

/* What a look and an arrival at once lose is seen by the address sanitizer, too. */
START_TEST(looking_while_snapshots_come_loses_none_and_turns_none_around)
{
    struct zmq_limits roomy = limits;
    struct error err = { 0 };
    uint64_t peer;
    pthread_t thread;
    roomy.queue_snapshots = 1000;    /* so that they come close upon each other */
    struct link *hub = zmq_hub_create(LOOPBACK, 0, false, &roomy, &err);
    ck_assert_msg(hub != NULL, "%s", err.text);
    struct link *subscriber = introduced(hub, &peer);
    void *newest = NULL;
    subscribe(subscriber, hub);
    pause_ms(200);
    ck_assert_int_eq(pthread_create(&thread, NULL, look_all_the_time, subscriber), 0);
    for (int i = 1; i < N_LOOKED_FOR; i++) {
        link_publish(hub, make(i, 100));
        if (i % BURST == 0)
            pause_ms(1);
    }
    do {
        link_publish(hub, make(N_LOOKED_FOR, 100));
        pause_ms(20);
    } while (pthread_tryjoin_np(thread, &newest) != 0);
    ck_assert_int_eq((intptr_t)newest, N_LOOKED_FOR);
    end(hub, subscriber, NULL);
}
END_TEST

/* In rounds an older one may come next. */
START_TEST(a_subscriber_that_wants_every_snapshot_gets_them_in_order)
{
    struct zmq_limits roomy = limits;
    struct error err = { 0 };
    uint64_t peer;
    roomy.queue_snapshots = 4;
    struct link *hub = zmq_hub_create(LOOPBACK, 0, false, &roomy, &err);
    ck_assert_msg(hub != NULL, "%s", err.text);
    struct link *a = introduced(hub, &peer);
    ck_assert_int_eq(zmq_actor_subscribe(a, zmq_hub_snapshot_port(hub), true, &err), 0);
    pause_ms(200);
    for (int i = 1; i <= 4; i++)
        link_publish(hub, make(i, 300000));
    pause_ms(100);
    for (int i = 1; i <= 4; i++)
        ck_assert_int_eq(receive_number(a, &peer, 2000), i);
    end(hub, a, NULL);
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
    ck_assert_int_eq(zmq_actor_subscribe(a, 70000, false, &err), ERR_USAGE);
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
        rc = link_send(l, peer, make(n, 1 << 18));
        if (seconds() - start > slowest)
            slowest = seconds() - start;
    }
    ck_assert_int_eq(rc, ERR_AGAIN);
    ck_assert_double_lt(slowest, 5);
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
        link_publish(hub, make(i, 1 << 18));
        link_wait(hub, 1);
    }
    ck_assert_double_lt(seconds() - start, 10);
    ck_assert_int_le(atomic_load(&n_out), 4);
    zmq_close(sub);
    zmq_ctx_term(context);
    end(hub, NULL, NULL);
}
END_TEST

START_TEST(an_oversize_message_cuts_only_its_own_connection)
{
    struct error err;
    const struct zmq_limits small = { .max_message_bytes = 1 << 16, .queue_messages = 8, .queue_snapshots = 1 };
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
    ck_assert_double_lt(seconds() - start, 5);
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
    ck_assert_double_lt(seconds() - start, 5);
    zmq_close(router);
    zmq_ctx_term(context);
}
END_TEST

START_TEST(last_words_are_delivered)
{
    struct link *hub = hub_at(LOOPBACK);
    uint64_t peer;
    struct link *a = introduced(hub, &peer);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(link_send(a, 0, make(i, 1 << 20)), 0);
    link_destroy(&a);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(receive_number(hub, &peer, 1000), i);

    void *context = zmq_ctx_new(), *dealer = zmq_socket(context, ZMQ_DEALER);
    zmq_setsockopt(dealer, ZMQ_RCVTIMEO, &(int){ 1000 }, sizeof(int));
    zmq_connect(dealer, zmq_hub_endpoint(hub));
    zmq_send(dealer, "hello", 5, 0);
    struct frame *f = receive(hub, &peer, 2000);
    frame_release(f);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(link_send(hub, peer, make(i, 1 << 20)), 0);
    link_destroy(&hub);
    for (int i = 0, number; i < 20; i++) {
        ck_assert_int_eq(zmq_recv(dealer, &number, sizeof(number), 0), 1 << 20);
        ck_assert_int_eq(number, i);
    }
    zmq_close(dealer);
    zmq_ctx_term(context);
    end(NULL, NULL, NULL);
}
END_TEST

/* ---- learners that start late or again ---- */

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
    link_destroy(&hub);
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
    double start = seconds();
    pthread_create(&thread, NULL, wake_soon, l);
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
    link_publish(hub, make(3, 100));
    pause_ms(200);    /* it is not at the socket any more */
    link_wait(a, 5000);
    ck_assert_int_eq(receive_number(a, &peer, 0), 3);
    link_send(a, 0, make(2, 100));
    link_wait(hub, 5000);
    ck_assert_int_eq(receive_number(hub, &peer, 1000), 2);
    ck_assert_double_lt(seconds() - start, 2);
    end(hub, a, NULL);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        messages_travel_whole_and_in_order_over_tcp,
        messages_travel_whole_and_in_order_over_ipc,
        messages_travel_over_ipv6,
        every_subscriber_gets_only_the_newest_snapshot,
        looking_while_snapshots_come_loses_none_and_turns_none_around,
        a_subscriber_that_wants_every_snapshot_gets_them_in_order,
        a_second_subscription_replaces_the_first,
        received_frames_outlive_the_link_and_end_on_any_thread,
        received_frames_are_recycled,
        a_peer_that_is_gone_or_never_was_is_missing,
        a_full_queue_says_so_without_blocking,
        publishing_to_a_stopped_subscriber_neither_blocks_nor_grows,
        an_oversize_message_cuts_only_its_own_connection,
        ending_with_unsent_messages_takes_them_all_back_soon,
        last_words_are_delivered,
        an_actor_waits_for_its_learner,
        a_restarted_learner_is_found,
        a_new_learner_hears_nothing_that_was_meant_for_the_old,
        waiting_ends_for_a_message_a_wake_or_the_time,
    };
    return suite_run("zmq_link", tests, TEST_COUNT(tests), 30);
}
