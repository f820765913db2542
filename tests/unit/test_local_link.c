/* The in-process network. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/link.h"
#include "tests/support.h"

static struct frame_pool *pool;

/* A frame that says `text`. */
static struct frame *say(const char *text)
{
    struct frame *f = frame_pool_take(pool);
    f->size = strlen(text) + 1;
    memcpy(f->data, text, f->size);
    return f;
}

/* The next frame of `l` must say `text` and come from `peer`. */
#define EXPECT(l, from, text) \
    do { \
        uint64_t peer_ = 99; \
        struct frame *f_ = link_receive(l, &peer_); \
        ck_assert_ptr_nonnull(f_); \
        ck_assert_str_eq((char *)f_->data, text); \
        ck_assert_uint_eq(f_->size, strlen(text) + 1); \
        ck_assert_uint_eq(peer_, from); \
        frame_release(f_); \
    } while (0)

#define EXPECT_NOTHING(l) ck_assert_ptr_null(link_receive(l, &(uint64_t){ 0 }))

struct world {
    struct local_network *network;
    struct link *hub, *a, *b;
};

static struct world world_create(local_delay *delay, void *context)
{
    pool = frame_pool_create(256);
    struct local_network *n = local_network_create(delay, context);
    return (struct world){ n, local_hub_create(n), local_actor_create(n), local_actor_create(n) };
}

static void world_destroy(struct world *w)
{
    link_destroy(&w->hub);
    link_destroy(&w->a);
    link_destroy(&w->b);
    local_network_destroy(&w->network);
    frame_pool_destroy(&pool);
}

START_TEST(frames_travel_both_ways_with_their_sender)
{
    struct world w = world_create(NULL, NULL);
    EXPECT_NOTHING(w.hub);
    ck_assert_int_eq(link_send(w.a, 0, say("from a")), 0);
    ck_assert_int_eq(link_send(w.b, 0, say("from b")), 0);
    EXPECT(w.hub, 1, "from a");
    EXPECT(w.hub, 2, "from b");
    EXPECT_NOTHING(w.hub);
    ck_assert_int_eq(link_send(w.hub, 2, say("to b")), 0);
    EXPECT_NOTHING(w.a);
    EXPECT(w.b, 0, "to b");
    world_destroy(&w);
}
END_TEST

START_TEST(a_received_frame_is_not_the_one_sent)
{
    struct world w = world_create(NULL, NULL);
    struct frame *sent = say("before");
    link_send(w.a, 0, frame_retain(sent));
    memcpy(sent->data, "after!", 7);
    EXPECT(w.hub, 1, "before");
    ck_assert_int_eq(atomic_load(&sent->references), 1);
    frame_release(sent);
    world_destroy(&w);
}
END_TEST

static int64_t constant_delay(void *context, uint64_t from, uint64_t to, size_t bytes)
{
    (void)from, (void)to, (void)bytes;
    return *(int64_t *)context;
}

START_TEST(a_frame_arrives_when_its_time_has_come)
{
    int64_t delay = 500;
    struct world w = world_create(constant_delay, &delay);
    ck_assert_int_eq(local_network_next(w.network), INT64_MAX);
    local_network_set_time(w.network, 1000);
    link_send(w.a, 0, say("late"));
    EXPECT_NOTHING(w.hub);
    ck_assert_int_eq(local_network_next(w.network), 1500);
    local_network_set_time(w.network, 1499);
    EXPECT_NOTHING(w.hub);
    local_network_set_time(w.network, 1500);
    ck_assert_int_eq(local_network_next(w.network), INT64_MAX);
    EXPECT(w.hub, 1, "late");
    world_destroy(&w);
}
END_TEST

START_TEST(the_next_arrival_skips_frames_that_lie_unread)
{
    int64_t delay = 0;
    struct world w = world_create(constant_delay, &delay);
    link_send(w.a, 0, say("unread"));
    ck_assert_int_eq(local_network_next(w.network), INT64_MAX);
    delay = 300;
    link_send(w.b, 0, say("under way"));
    delay = 200;
    link_send(w.hub, 1, say("sooner"));
    ck_assert_int_eq(local_network_next(w.network), 200);
    local_network_set_time(w.network, 250);
    ck_assert_int_eq(local_network_next(w.network), 300);
    world_destroy(&w);
}
END_TEST

START_TEST(a_faster_frame_does_not_overtake_on_the_same_way)
{
    int64_t delay = 1000;
    struct world w = world_create(constant_delay, &delay);
    link_send(w.a, 0, say("slow"));
    link_send(w.hub, 1, say("slow back"));
    delay = 10;
    link_send(w.a, 0, say("fast"));
    link_send(w.hub, 1, say("fast back"));
    link_send(w.b, 0, say("other way"));
    local_network_set_time(w.network, 10);
    EXPECT(w.hub, 2, "other way");
    EXPECT_NOTHING(w.hub);
    EXPECT_NOTHING(w.a);
    local_network_set_time(w.network, 1000);
    EXPECT(w.hub, 1, "slow");
    EXPECT(w.hub, 1, "fast");
    EXPECT_NOTHING(w.hub);
    EXPECT(w.a, 0, "slow back");
    EXPECT(w.a, 0, "fast back");
    world_destroy(&w);
}
END_TEST

/* 48-bit linear congruence; the seed is the state. */
static int64_t random_delay(void *context, uint64_t from, uint64_t to, size_t bytes)
{
    uint64_t *state = context;
    (void)from, (void)to, (void)bytes;
    *state = *state * 25214903917u + 11;
    int64_t value = (int64_t)(*state >> 20 & 1023);
    return value < 100 ? -1 : value;
}

/* Send numbers through random delays and losses; a hash of what comes out and when. */
static uint64_t random_run(uint64_t seed, bool *is_ordered)
{
    struct world w = world_create(random_delay, &seed);
    uint64_t hash = 14695981039346656037u;
    int newest[3] = { -1, -1, -1 };
    *is_ordered = true;
    for (int64_t t = 0; t < 300; t++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", (int)t);
        local_network_set_time(w.network, t * 10);
        if (t < 200) {
            link_send(w.a, 0, say(text));
            link_send(w.b, 0, say(text));
        }
        uint64_t peer;
        struct frame *f;
        while ((f = link_receive(w.hub, &peer))) {
            int number = (int)strtol((char *)f->data, NULL, 10);
            *is_ordered &= number > newest[peer];
            newest[peer] = number;
            hash = (hash ^ (uint64_t)(number * 3 + (int)peer) ^ (uint64_t)t << 20) * 1099511628211u;
            frame_release(f);
        }
    }
    *is_ordered &= newest[1] > 150 && newest[2] > 150;
    world_destroy(&w);
    return hash;
}

START_TEST(random_delays_keep_order_and_repeat_exactly)
{
    bool is_ordered;
    uint64_t hash = random_run(7, &is_ordered);
    ck_assert(is_ordered);
    ck_assert_uint_eq(hash, random_run(7, &is_ordered));
    ck_assert_uint_ne(hash, random_run(8, &is_ordered));
    ck_assert(is_ordered);
}
END_TEST

START_TEST(equal_times_come_out_in_sending_order)
{
    int64_t delay = 50;
    struct world w = world_create(constant_delay, &delay);
    link_send(w.b, 0, say("1"));
    link_send(w.a, 0, say("2"));
    link_send(w.b, 0, say("3"));
    local_network_set_time(w.network, 20);
    delay = 30;
    link_send(w.a, 0, say("4"));
    local_network_set_time(w.network, 50);
    EXPECT(w.hub, 2, "1");
    EXPECT(w.hub, 1, "2");
    EXPECT(w.hub, 2, "3");
    EXPECT(w.hub, 1, "4");
    world_destroy(&w);
}
END_TEST

START_TEST(a_negative_delay_loses_the_frame)
{
    int64_t delay = -1;
    struct world w = world_create(constant_delay, &delay);
    ck_assert_int_eq(link_send(w.a, 0, say("lost")), 0);
    link_publish(w.hub, say("lost too"));
    ck_assert_int_eq(local_network_next(w.network), INT64_MAX);
    local_network_set_time(w.network, 1 << 30);
    EXPECT_NOTHING(w.hub);
    EXPECT_NOTHING(w.a);
    world_destroy(&w);
}
END_TEST

START_TEST(only_the_newest_published_frame_is_kept)
{
    int64_t delay = 0;
    struct world w = world_create(constant_delay, &delay);
    link_publish(w.hub, say("version 1"));
    link_send(w.hub, 1, say("direct"));
    link_publish(w.hub, say("version 2"));
    delay = 100;
    link_publish(w.hub, say("version 3"));
    EXPECT(w.a, 0, "direct");
    EXPECT(w.a, 0, "version 2");
    EXPECT_NOTHING(w.a);
    local_network_set_time(w.network, 100);
    EXPECT(w.a, 0, "version 3");
    EXPECT(w.b, 0, "version 3");
    EXPECT_NOTHING(w.b);
    world_destroy(&w);
}
END_TEST

START_TEST(ends_come_and_go)
{
    struct world w = world_create(NULL, NULL);
    ck_assert_int_eq(link_send(w.hub, 0, say("to itself")), ERR_MISSING);
    ck_assert_int_eq(link_send(w.hub, 3, say("never was")), ERR_MISSING);
    link_send(w.a, 0, say("last words"));
    link_send(w.hub, 1, say("unread"));
    link_destroy(&w.a);
    ck_assert_int_eq(link_send(w.hub, 1, say("gone")), ERR_MISSING);
    link_publish(w.hub, say("for b"));
    EXPECT(w.hub, 1, "last words");

    struct link *c = local_actor_create(w.network);
    ck_assert_int_eq(link_send(w.hub, 3, say("to c")), 0);
    EXPECT(c, 0, "to c");

    /* A new learner in the old one's place. */
    link_destroy(&w.hub);
    ck_assert_int_eq(link_send(c, 0, say("nobody there")), ERR_AGAIN);
    w.hub = local_hub_create(w.network);
    EXPECT_NOTHING(w.hub);
    ck_assert_int_eq(link_send(c, 0, say("hello again")), 0);
    EXPECT(w.hub, 3, "hello again");
    EXPECT(w.b, 0, "for b");
    link_destroy(&c);
    world_destroy(&w);
}
END_TEST

START_TEST(ends_may_outlive_the_network_handle)
{
    struct world w = world_create(NULL, NULL);
    local_network_destroy(&w.network);
    ck_assert_ptr_null(w.network);
    link_send(w.a, 0, say("still here"));
    EXPECT(w.hub, 1, "still here");
    link_send(w.a, 0, say("never read"));
    world_destroy(&w);
}
END_TEST

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

START_TEST(waiting_ends_for_a_frame_a_wake_or_the_time)
{
    struct world w = world_create(NULL, NULL);
    double start = seconds();
    link_wait(w.hub, 30);
    ck_assert_double_ge(seconds() - start, 0.029);
    link_wake(w.hub);
    link_wait(w.hub, 5000);
    link_send(w.a, 0, say("x"));
    link_wait(w.hub, 5000);
    link_wait(w.hub, -1);
    ck_assert_double_lt(seconds() - start, 2);
    EXPECT(w.hub, 1, "x");
    start = seconds();
    link_wait(w.hub, 30);    /* the wake was used up */
    ck_assert_double_ge(seconds() - start, 0.029);
    world_destroy(&w);
}
END_TEST

enum { ECHOES = 2000 };

static void *echo(void *argument)
{
    struct link *hub = argument;
    for (int i = 0; i < 2 * ECHOES;) {
        uint64_t peer;
        struct frame *f = link_receive(hub, &peer);
        if (!f) {
            link_wait(hub, 1000);
            continue;
        }
        link_send(hub, peer, f);
        i++;
    }
    return NULL;
}

static void *ask(void *argument)
{
    struct link *actor = argument;
    for (int i = 0; i < ECHOES; i++) {
        struct frame *f = frame_pool_take(pool), *answer;
        f->size = sizeof(i);
        memcpy(f->data, &i, sizeof(i));
        link_send(actor, 0, f);
        while (!(answer = link_receive(actor, NULL)))
            link_wait(actor, 1000);
        bool is_same = memcmp(answer->data, &i, sizeof(i)) == 0;
        frame_release(answer);
        if (!is_same)
            return actor;
    }
    return NULL;
}

START_TEST(threads_may_share_a_network)
{
    struct world w = world_create(NULL, NULL);
    pthread_t threads[3];
    pthread_create(&threads[0], NULL, echo, w.hub);
    pthread_create(&threads[1], NULL, ask, w.a);
    pthread_create(&threads[2], NULL, ask, w.b);
    for (int i = 0; i < 3; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    world_destroy(&w);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        frames_travel_both_ways_with_their_sender,
        a_received_frame_is_not_the_one_sent,
        a_frame_arrives_when_its_time_has_come,
        the_next_arrival_skips_frames_that_lie_unread,
        a_faster_frame_does_not_overtake_on_the_same_way,
        random_delays_keep_order_and_repeat_exactly,
        equal_times_come_out_in_sending_order,
        a_negative_delay_loses_the_frame,
        only_the_newest_published_frame_is_kept,
        ends_come_and_go,
        ends_may_outlive_the_network_handle,
        waiting_ends_for_a_frame_a_wake_or_the_time,
        threads_may_share_a_network,
    };
    return suite_run("local_link", tests, TEST_COUNT(tests), 20);
}
