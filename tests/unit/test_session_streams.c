/* The session core: in rounds, actors that are here step the streams of those that vanished. */
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"
#include "tests/unit/session_desk.h"

/* A desk in `mode` where streams change hands after 10 s, later than actors are given up. */
static struct desk *open_desk(enum mode mode, int actors, int envs)
{
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, mode, actors, envs);
    d->settings.sync.takeover_s = 10;
    desk_open(d, NULL, NULL, NULL, NULL);
    publish(d, 0);
    tick(d, 0);
    return d;
}

/* Time goes by while these live; what is said meanwhile is not looked at. */
static void wait_s(struct desk *d, int seconds, const uint64_t *living, int n)
{
    for (int i = 0; i < seconds; i++) {
        skip(d);
        for (int k = 0; k < n; k++)
            say(d, MESSAGE_HEARTBEAT, living[k]);
        tick(d, SECOND);
    }
}
#define WAIT(d, seconds, ...) wait_s(d, seconds, (const uint64_t[]){ __VA_ARGS__ }, \
                                     (int)TEST_COUNT(((const uint64_t[]){ __VA_ARGS__ })))

/* The one WELCOME among what was said since it was last looked at. */
static const struct welcome *find_welcome(struct desk *d, uint64_t peer)
{
    const struct welcome *w = NULL;
    while (d->n_read < d->n_sent) {
        struct frame *f = d->sent[d->n_read].frame;
        const bool is_peer = d->sent[d->n_read].peer == peer;
        struct message m;
        message_decode(&m, f->data, f->size);
        if (is_peer && m.type == MESSAGE_WELCOME)
            w = next_welcome(d, peer);
        else
            d->n_read++;
        if (w)
            break;
    }
    ck_assert_msg(w != NULL, "no WELCOME is sent");
    skip(d);
    return w;
}

START_TEST(streams_of_an_actor_that_vanished_go_to_others_and_come_back)
{
    for (int mode = MODE_SYNC; mode <= MODE_PIPELINED; mode++) {
        struct desk *d = open_desk((enum mode)mode, 2, 2);
        join(d, ALICE, "alice");
        join(d, BOB, "bob");
        for (int64_t stream = 0; stream < 3; stream++)
            send_good(d, stream < 2 ? ALICE : BOB, stream, 0, 0);
        send_good(d, ALICE, 1, 0, 1);
        WAIT(d, 20, ALICE, BOB);    /* counted from when it left */
        say(d, MESSAGE_BYE, ALICE);
        WAIT(d, 9, BOB);
        ck_assert_int_eq(books_of(d, 1).n_streams, 2);
        const int lines = d->n_lines;
        WAIT(d, 1, BOB);
        const struct welcome *w = find_welcome(d, BOB);
        /* Each from where it is, whoever stepped it. */
        ck_assert(has_streams(w, "2310"));
        ck_assert(bytes_i64(w->sequences, 0) == 1 && bytes_i64(w->sequences, 1) == 0);
        ck_assert(bytes_i64(w->sequences, 2) == 2 && bytes_i64(w->sequences, 3) == 1);
        ck_assert_mem_eq(w->saved.data, ((unsigned char[]){ 1, 0, 1, 1 }), 4);
        ck_assert(w->states.data[0] == 33 && w->states.data[2 * STATE_BYTES] == 18
                  && w->states.data[3 * STATE_BYTES] == 1);
        for (size_t i = 0; i < 4; i++)
            ck_assert_int_eq(bytes_u32(w->lives, i), 0);
        ck_assert_int_eq(d->n_lines, lines + 1);
        ck_assert_msg(strstr(d->line, "alice has been away for 10 s: others step 2 streams") != NULL, "%s", d->line);
        ck_assert(books_of(d, 0).n_streams == 0 && books_of(d, 1).n_streams == 4);
        send_good(d, BOB, 0, 0, 1);
        send_good(d, BOB, 1, 0, 2);
        send_good(d, BOB, 3, 0, 0);
        ck_assert(books_of(d, 0).accepted == 3 && books_of(d, 1).accepted == 4);

        struct message m = hello(CAROL, "alice");
        receive(d, CAROL, &m);
        w = next_welcome(d, BOB);
        ck_assert(has_streams(w, "23") && bytes_i64(w->sequences, 0) == 1 && bytes_i64(w->sequences, 1) == 1);
        ck_assert(w->states.data[0] == 33 && w->states.data[STATE_BYTES] == 49);
        w = next_welcome(d, CAROL);
        ck_assert(has_streams(w, "01") && bytes_i64(w->sequences, 0) == 2 && bytes_i64(w->sequences, 1) == 3);
        ck_assert(w->states.data[0] == 2 && w->states.data[STATE_BYTES] == 19);
        expect_silence(d);
        m = fragment(d, BOB, 0, 0, 2);    /* under way when it was told */
        receive(d, BOB, &m);
        expect_reject(d, BOB, "fragment", REJECT_STREAM, true);
        send_good(d, CAROL, 0, 0, 2);
        desk_destroy(d);
    }
}
END_TEST

START_TEST(a_stand_in_is_acknowledged_what_it_steps)
{
    struct desk *d = open_desk(MODE_SYNC, 2, 1);
    join(d, BOB, "bob");
    WAIT(d, 10, BOB);
    ck_assert(has_streams(find_welcome(d, BOB), "01"));
    send_good(d, BOB, 1, 0, 0);
    session_consumed(d->session, 1, 0, 0, FRAGMENT_USED);
    tick(d, 1000);
    const struct message *m = next(d, BOB, MESSAGE_ACK);
    ck_assert_uint_eq(m->ack.acked.size, 2 * sizeof(int64_t));
    ck_assert(acked(m, 0) == 0 && acked(m, 1) == 1);
    desk_destroy(d);
}
END_TEST

START_TEST(places_that_nobody_ever_took_are_stood_in_for_too)
{
    struct desk *d = open_desk(MODE_PIPELINED, 3, 1);
    for (int i = 0; i < 9; i++)
        tick(d, SECOND);
    join(d, BOB, "bob");
    WAIT(d, 1, BOB);
    ck_assert(has_streams(find_welcome(d, BOB), "012"));
    ck_assert_msg(strstr(d->line, "(not joined yet) has been away") != NULL, "%s", d->line);
    desk_destroy(d);
}
END_TEST

START_TEST(streams_are_shared_among_those_who_have_the_fewest)
{
    struct desk *d = open_desk(MODE_SYNC, 3, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    join(d, CAROL, "carol");
    say(d, MESSAGE_BYE, ALICE);
    WAIT(d, 10, BOB, CAROL);
    ck_assert(books_of(d, 0).n_streams == 0 && books_of(d, 1).n_streams == 3 && books_of(d, 2).n_streams == 3);
    desk_destroy(d);
}
END_TEST

START_TEST(a_stand_in_that_vanishes_is_stood_in_for_itself)
{
    struct desk *d = open_desk(MODE_SYNC, 3, 1);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    WAIT(d, 10, ALICE, BOB);    /* the third never came */
    ck_assert(books_of(d, 0).n_streams == 2 && books_of(d, 1).n_streams == 1);
    skip(d);
    send_good(d, ALICE, 2, 0, 0);
    WAIT(d, 5, BOB);            /* silent: given up after 4 s */
    ck_assert(!books_of(d, 0).is_connected && books_of(d, 1).n_streams == 1);
    WAIT(d, 10, BOB);
    ck_assert_int_eq(books_of(d, 1).n_streams, 3);
    skip(d);
    send_good(d, BOB, 2, 0, 1);
    /* Who comes back gets its own alone. */
    skip(d);
    struct message m = hello(ALICE, "alice");
    receive(d, ALICE, &m);
    ck_assert(has_streams(next_welcome(d, BOB), "12"));
    ck_assert(has_streams(next_welcome(d, ALICE), "0"));
    m = hello(CAROL, "carol");
    receive(d, CAROL, &m);
    ck_assert(has_streams(next_welcome(d, BOB), "1"));
    const struct welcome *w = next_welcome(d, CAROL);
    ck_assert(has_streams(w, "2") && bytes_i64(w->sequences, 0) == 2 && w->states.data[0] == 34);
    desk_destroy(d);
}
END_TEST

/* With nobody there at all, whoever comes first gets everything in time. */
START_TEST(streams_wait_where_nobody_is_there)
{
    struct desk *d = open_desk(MODE_SYNC, 2, 1);
    join(d, ALICE, "alice");
    say(d, MESSAGE_BYE, ALICE);
    for (int i = 0; i < 30; i++)
        tick(d, SECOND);
    ck_assert(books_of(d, 0).n_streams == 1 && books_of(d, 1).n_streams == 1);
    struct message m = hello(ALICE, "alice");
    receive(d, ALICE, &m);
    ck_assert(has_streams(next_welcome(d, ALICE), "0"));
    tick(d, 1000);
    ck_assert(has_streams(next_welcome(d, ALICE), "01"));
    desk_destroy(d);
}
END_TEST

START_TEST(strict_rounds_wait_and_so_does_async)
{
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct desk *d = calloc(1, sizeof(*d));
        desk_settings(d, (enum mode)mode, 2, 1);
        d->settings.sync.takeover_s = 0;
        d->settings.sync.strict = mode != MODE_ASYNC;
        desk_open(d, NULL, NULL, NULL, NULL);
        join(d, ALICE, "alice");
        WAIT(d, 60, ALICE);
        ck_assert(books_of(d, 0).n_streams == 1 && books_of(d, 1).n_streams == 1);
        skip(d);
        ck_assert(has_streams(join(d, BOB, "bob"), "1"));
        desk_destroy(d);
    }
}
END_TEST

START_TEST(nobody_stands_in_while_the_run_ends)
{
    struct desk *d = open_desk(MODE_SYNC, 2, 1);
    join(d, ALICE, "alice");
    session_drain(d->session, "the run is complete");
    WAIT(d, 20, ALICE);
    ck_assert_int_eq(books_of(d, 0).n_streams, 1);
    desk_destroy(d);
}
END_TEST

START_TEST(nobody_gets_more_streams_than_a_message_holds_states_of)
{
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, MODE_SYNC, 10, 1);
    d->settings.sync.takeover_s = 0;
    /* 24 bytes of state, 17 beside it: three streams fit behind the rest of the message, four do not. */
    d->settings.transport.max_message_bytes = MESSAGE_HEADER_BYTES + 4 * (STATE_BYTES + 17) - 1;
    desk_open(d, NULL, NULL, NULL, NULL);
    publish(d, 0);
    join(d, ALICE, "alice");
    tick(d, 1000);
    ck_assert_int_eq(books_of(d, 0).n_streams, 3);
    const struct welcome *w = next_welcome(d, ALICE);
    ck_assert_uint_eq(w->streams.size, 3 * sizeof(uint32_t));
    for (size_t i = 0; i < 3; i++)
        send_good(d, ALICE, bytes_u32(d->m.welcome.streams, i), 0, 0);
    struct message m = hello(BOB, "bob");
    receive(d, BOB, &m);
    ck_assert(has_streams(next_welcome(d, ALICE), "02"));
    ck_assert(has_streams(next_welcome(d, BOB), "1"));
    tick(d, 1000);
    ck_assert_int_eq(books_of(d, 1).n_streams, 3);
    for (int i = 0; i < d->n_sent; i++)
        ck_assert_int_le((int64_t)d->sent[i].frame->size, d->settings.transport.max_message_bytes);
    desk_destroy(d);
}
END_TEST

/* Where streams have no state to go on from, a new life begins and rounds go on. */
START_TEST(streams_without_state_begin_a_new_life_with_whoever_takes_them)
{
    struct desk *d = open_desk(MODE_SYNC, 2, 1);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    struct message m = fragment(d, ALICE, 0, 0, 0);
    m.fragment.state.size = 0;
    receive(d, ALICE, &m);
    say(d, MESSAGE_BYE, ALICE);
    WAIT(d, 10, BOB);
    const struct welcome *w = find_welcome(d, BOB);
    ck_assert(has_streams(w, "10") && bytes_u32(w->lives, 0) == 0 && bytes_u32(w->lives, 1) == 1);
    ck_assert(bytes_i64(w->sequences, 0) == 0 && bytes_i64(w->sequences, 1) == 1);
    send_good(d, BOB, 0, 1, 1);
    desk_destroy(d);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        streams_of_an_actor_that_vanished_go_to_others_and_come_back,
        a_stand_in_is_acknowledged_what_it_steps,
        places_that_nobody_ever_took_are_stood_in_for_too,
        streams_are_shared_among_those_who_have_the_fewest,
        a_stand_in_that_vanishes_is_stood_in_for_itself,
        streams_wait_where_nobody_is_there,
        strict_rounds_wait_and_so_does_async,
        nobody_stands_in_while_the_run_ends,
        nobody_gets_more_streams_than_a_message_holds_states_of,
        streams_without_state_begin_a_new_life_with_whoever_takes_them,
    };
    return suite_run("session_streams", tests, TEST_COUNT(tests), 60);
}
