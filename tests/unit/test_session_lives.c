/* The session core: silence, lives, and where streams go on. */
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"
#include "tests/unit/session_desk.h"

START_TEST(silence_frees_a_place_after_liveness_ms)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    tick(d, 4 * SECOND);
    ck_assert_int_eq(counts_of(d).actors, 1);
    say(d, MESSAGE_HEARTBEAT, ALICE);
    tick(d, 4 * SECOND);
    ck_assert_int_eq(counts_of(d).actors, 1);
    tick(d, 1);
    ck_assert_int_eq(counts_of(d).actors, 0);
    skip(d);
    struct message m = fragment(d, ALICE, 0, 0, 0);
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "message", REJECT_UNKNOWN, true);
    join(d, BOB, "bob");
    desk_destroy(d);
}
END_TEST

START_TEST(fragments_and_wants_are_signs_of_life)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    for (int i = 0; i < 10; i++) {
        tick(d, 3 * SECOND);
        skip(d);
        if (i % 2)
            send_good(d, ALICE, 0, 0, i / 2);
        else
            say(d, MESSAGE_WANT, ALICE);
    }
    ck_assert_int_eq(counts_of(d).actors, 1);
    desk_destroy(d);
}
END_TEST

START_TEST(async_begins_a_new_life_only_where_something_was_accepted)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    send_good(d, ALICE, 1, 0, 0);
    send_good(d, ALICE, 1, 0, 1);
    session_consumed(d->session, 1, 0, 0, FRAGMENT_USED);
    tick(d, 5 * SECOND);    /* both are lost */
    skip(d);
    const struct welcome *w = join(d, CAROL, "alice");
    ck_assert(bytes_u32(w->lives, 0) == 0 && bytes_u32(w->lives, 1) == 1);
    ck_assert(bytes_i64(w->sequences, 0) == 0 && bytes_i64(w->sequences, 1) == 0);
    w = join(d, CAROL, "alice");    /* nothing of life 1 was accepted */
    ck_assert(bytes_u32(w->lives, 0) == 0 && bytes_u32(w->lives, 1) == 1);
    /* The old life's fragments are consumed late: not the new one's business. */
    session_consumed(d->session, 1, 0, 1, FRAGMENT_USED);
    tick(d, SECOND / 2);
    expect_silence(d);
    session_consumed(d->session, 0, 0, 0, FRAGMENT_USED);
    tick(d, SECOND / 4);
    ck_assert_int_eq(acked(next(d, CAROL, MESSAGE_ACK), 1), 0);
    desk_destroy(d);
}
END_TEST

START_TEST(sync_goes_on_from_the_state_behind_the_last_fragment)
{
    struct desk *d = desk_create(MODE_SYNC, 2, 2);
    join(d, ALICE, "alice");
    send_good(d, ALICE, 0, 0, 0);
    send_good(d, ALICE, 0, 0, 1);
    tick(d, 5 * SECOND);
    skip(d);
    const struct welcome *w = join(d, BOB, "bob");
    ck_assert(has_streams(w, "01"));
    ck_assert(bytes_u32(w->lives, 0) == 0 && bytes_u32(w->lives, 1) == 0);
    ck_assert(bytes_i64(w->sequences, 0) == 2 && bytes_i64(w->sequences, 1) == 0);
    ck_assert_uint_eq(w->states.size, 2 * STATE_BYTES);
    ck_assert(w->saved.size == 2 && w->saved.data[0] == 1 && w->saved.data[1] == 0);
    for (int i = 0; i < STATE_BYTES; i++)
        ck_assert_int_eq(w->states.data[i], 2);    /* as `fragment` fills it */
    send_good(d, BOB, 0, 0, 2);
    send_good(d, BOB, 1, 0, 0);
    w = join(d, BOB, "bob");
    ck_assert(w->saved.data[0] == 1 && w->saved.data[1] == 1);
    ck_assert(w->states.data[0] == 3 && w->states.data[STATE_BYTES] == 17);
    desk_destroy(d);
}
END_TEST

/* Its actor goes on from there: whether the next fragment or a WELCOME comes first changes nothing. */
START_TEST(rounds_go_on_from_the_state_of_a_refused_fragment)
{
    for (int mode = MODE_SYNC; mode <= MODE_PIPELINED; mode++)
        for (int what = 0; what < N_SPOILS; what++) {
            struct desk *d = desk_create((enum mode)mode, 1, 1);
            publish(d, 7);
            join(d, ALICE, "alice");
            send_good(d, ALICE, 0, 0, 0);
            struct message m = fragment(d, ALICE, 0, 0, 1);
            const enum rejection r = spoil(d, &m, what);
            receive(d, ALICE, &m);
            expect_reject(d, ALICE, "fragment", r, false);
            const struct welcome *w = join(d, ALICE, "alice");
            ck_assert(bytes_u32(w->lives, 0) == 0 && bytes_i64(w->sequences, 0) == 2);
            ck_assert(w->saved.size == 1 && w->saved.data[0] == 1);
            ck_assert_mem_eq(w->states.data, m.fragment.state.data, STATE_BYTES);
            send_good(d, ALICE, 0, 0, 2);
            desk_destroy(d);
        }
}
END_TEST

START_TEST(sync_begins_a_new_life_where_a_state_has_another_size)
{
    struct desk *d = desk_create(MODE_SYNC, 1, 2);
    join(d, ALICE, "alice");
    struct message m = fragment(d, ALICE, 0, 0, 0);
    m.fragment.state.size--;
    receive(d, ALICE, &m);
    skip(d);
    const struct welcome *w = join(d, ALICE, "alice");
    /* The numbers of fragments go on: they are those of rounds. */
    ck_assert(bytes_u32(w->lives, 0) == 1 && bytes_i64(w->sequences, 0) == 1);
    ck_assert(bytes_u32(w->lives, 1) == 0 && bytes_i64(w->sequences, 1) == 0);
    session_consumed(d->session, 0, 0, 0, FRAGMENT_REFUSED);    /* of the old life, and of this round */
    tick(d, 1000);
    ck_assert_int_eq(acked(next(d, ALICE, MESSAGE_ACK), 0), 1);
    desk_destroy(d);
}
END_TEST

/* What a stream of the same state and actions meets may be what ends every process. */
START_TEST(streams_begin_anew_when_several_processes_in_a_row_sent_nothing)
{
    struct desk *d = desk_create(MODE_SYNC, 1, 2);
    uint64_t peer = ALICE;
    publish(d, 0);
    join(d, peer, "alice");
    skip(d);
    send_good(d, peer, 1, 0, 0);
    for (int i = 0; i < 2; i++) {
        say(d, MESSAGE_BYE, peer++);
        const struct welcome *w = join(d, peer, "alice");
        ck_assert_int_eq(bytes_u32(w->lives, 0), 0);
        ck_assert_int_eq(bytes_u32(w->lives, 1), 0);
        ck_assert_int_eq(bytes_i64(w->sequences, 1), 1);
        ck_assert_uint_eq(w->states.size, 2 * STATE_BYTES);
        struct message again = hello(peer, "alice");    /* the same process: counts once */
        receive(d, peer, &again);
        skip(d);
    }
    for (uint32_t life = 1; life < 3; life++) {
        say(d, MESSAGE_BYE, peer++);
        int lines = d->n_lines;
        const struct welcome *w = join(d, peer, "alice");
        ck_assert_int_eq(bytes_u32(w->lives, 0), life);
        ck_assert_int_eq(bytes_u32(w->lives, 1), life);
        ck_assert(bytes_i64(w->sequences, 0) == 0 && bytes_i64(w->sequences, 1) == 1);
        ck_assert(w->saved.size == 2 && w->saved.data[0] == 0 && w->saved.data[1] == 0);
        ck_assert_int_eq(d->n_lines, lines + 2);    /* it joined, and why it begins anew */
    }
    send_good(d, peer, 0, 2, 0);
    say(d, MESSAGE_BYE, peer++);
    const struct welcome *w = join(d, peer, "alice");
    ck_assert_int_eq(bytes_u32(w->lives, 0), 2);
    ck_assert_int_eq(bytes_i64(w->sequences, 0), 1);
    desk_destroy(d);
}
END_TEST

/* Alice's stream is ahead and waits for bob's: that nothing comes of her processes says nothing about her stream. */
START_TEST(streams_that_wait_for_a_round_go_on_however_many_processes_end)
{
    struct desk *d = desk_create(MODE_SYNC, 2, 1);
    uint64_t peer = ALICE;
    session_round(d->session, 0, 0, 0);
    join(d, peer, "alice");
    send_good(d, peer, 0, 0, 0);
    for (int i = 0; i < 6; i++) {
        say(d, MESSAGE_BYE, peer++);
        const struct welcome *w = join(d, peer, "alice");
        ck_assert_int_eq(bytes_u32(w->lives, 0), 0);
        ck_assert(bytes_i64(w->sequences, 0) == 1 && w->states.size == STATE_BYTES);
    }
    desk_destroy(d);
}
END_TEST

START_TEST(a_restarted_learner_goes_on_from_its_checkpoint)
{
    static const int64_t lives[] = { 2, 0 }, sequences[] = { 5, 0 }, has_state[] = { 1, 0 };
    unsigned char states[2 * STATE_BYTES];
    memset(states, 9, sizeof(states));
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        const bool is_sync = mode != MODE_ASYNC;
        struct desk *d = calloc(1, sizeof(*d));
        desk_settings(d, (enum mode)mode, 1, 2);
        desk_open(d, lives, sequences, has_state, states);
        publish(d, 0);
        const struct welcome *w = join(d, ALICE, "alice");
        ck_assert_int_eq(bytes_u32(w->lives, 0), is_sync ? 2 : 3);
        ck_assert_int_eq(bytes_i64(w->sequences, 0), is_sync ? 5 : 0);
        ck_assert(bytes_u32(w->lives, 1) == 0 && bytes_i64(w->sequences, 1) == 0);
        ck_assert_uint_eq(w->states.size, is_sync ? 2 * STATE_BYTES : 0);
        ck_assert_uint_eq(w->saved.size, is_sync ? 2 : 0);
        ck_assert(!is_sync || (w->saved.data[0] == 1 && w->saved.data[1] == 0));
        ck_assert(!is_sync || memcmp(w->states.data, states, sizeof(states)) == 0);
        send_good(d, ALICE, 0, is_sync ? 2 : 3, is_sync ? 5 : 0);
        desk_destroy(d);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        silence_frees_a_place_after_liveness_ms,
        fragments_and_wants_are_signs_of_life,
        async_begins_a_new_life_only_where_something_was_accepted,
        sync_goes_on_from_the_state_behind_the_last_fragment,
        rounds_go_on_from_the_state_of_a_refused_fragment,
        sync_begins_a_new_life_where_a_state_has_another_size,
        streams_begin_anew_when_several_processes_in_a_row_sent_nothing,
        streams_that_wait_for_a_round_go_on_however_many_processes_end,
        a_restarted_learner_goes_on_from_its_checkpoint,
    };
    return suite_run("session_lives", tests, TEST_COUNT(tests), 60);
}
