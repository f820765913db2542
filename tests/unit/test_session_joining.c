/* The session core: who takes part, and what nobody can read or place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"
#include "tests/unit/session_desk.h"

START_TEST(welcome_says_everything_an_actor_needs)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 3);
    char spec[ENV_SPEC_HASH_BYTES];
    env_spec_hash(&d->spec, spec);
    for (uint64_t peer = ALICE; peer <= BOB; peer++) {
        const struct welcome *w = join(d, peer, peer == ALICE ? "alice" : "bob");
        ck_assert(w->run == RUN && w->epoch == EPOCH && w->incarnation == 100 * peer);
        ck_assert(w->seed == 1 && w->protocol == PROTOCOL_VERSION);
        ck_assert_str_eq(w->algorithm, "sac");
        ck_assert_str_eq(w->mode, "async");
        ck_assert_str_eq(w->environment, "Pendulum-v1");
        ck_assert_str_eq(w->spec, spec);
        ck_assert(w->n_obs == 3 && w->n_act == 1 && w->n_choices == 0 && w->horizon == T);
        ck_assert(has_streams(w, peer == ALICE ? "012" : "345"));
        ck_assert(w->lag == -1 && w->max_staleness == -1);
        ck_assert(w->credit == 3 && w->heartbeat_ms == 1000 && w->liveness_ms == 4000);
        ck_assert(w->snapshot_port == 4321 && !w->wants_state);
        ck_assert_str_eq(w->head, "squashed_gaussian");
        ck_assert_str_eq(w->activation, "relu");
        ck_assert_str_eq(w->exploration, "none");
        ck_assert(!w->layer_norm && !w->whole_episodes);
        ck_assert(w->sigma == 0 && w->theta == 0 && w->dt == 0);
        ck_assert_uint_eq(w->hidden.size, 2 * sizeof(uint32_t));
        ck_assert(bytes_u32(w->hidden, 0) == 64 && bytes_u32(w->hidden, 1) == 64);
        for (size_t i = 0; i < 3; i++)
            ck_assert(bytes_u32(w->lives, i) == 0 && bytes_i64(w->sequences, i) == 0);
        ck_assert_uint_eq(w->states.size, 0);
    }
    ck_assert_int_eq(counts_of(d).actors, 2);
    desk_destroy(d);
}
END_TEST

START_TEST(welcome_tells_how_an_algorithm_acts_and_explores)
{
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, MODE_ASYNC, 1, 1);
    d->traits = (struct algorithm_traits){
        .head = HEAD_DETERMINISTIC, .takes_whole_episodes = true,
        .exploration = { EXPLORATION_ORNSTEIN_UHLENBECK, 0.25, 0.15, 0.01 } };
    d->settings.network.activation = ACTIVATION_SILU;
    d->settings.network.layer_norm = LAYER_NORM_ALL;
    desk_open(d, NULL, NULL, NULL, NULL);
    const struct welcome *w = join(d, ALICE, "alice");
    ck_assert_str_eq(w->head, "deterministic");
    ck_assert_str_eq(w->activation, "silu");
    ck_assert_str_eq(w->exploration, "ornstein_uhlenbeck");
    ck_assert(w->sigma == 0.25 && w->theta == 0.15 && w->dt == 0.01);
    ck_assert(w->layer_norm && w->whole_episodes);
    desk_destroy(d);
}
END_TEST

START_TEST(sync_asks_for_states_tells_their_size_and_gives_one_credit)
{
    struct desk *d = desk_create(MODE_SYNC, 1, 2);
    const struct welcome *w = join(d, ALICE, "alice");
    ck_assert_str_eq(w->mode, "sync");
    ck_assert(w->credit == 1 && w->wants_state && w->states.size == 2 * STATE_BYTES);
    ck_assert(w->saved.size == 2 && w->saved.data[0] == 0 && w->saved.data[1] == 0);
    desk_destroy(d);
}
END_TEST

START_TEST(the_time_limit_of_a_step_is_passed_on)
{
    for (int64_t limit_s = 0; limit_s < 2; limit_s++) {
        struct desk *d = malloc(sizeof(*d));
        desk_settings(d, MODE_ASYNC, 1, 1);
        d->settings.actor.step_timeout_s = limit_s;
        desk_open(d, NULL, NULL, NULL, NULL);
        ck_assert_int_eq(join(d, ALICE, "alice")->step_timeout_ms, limit_s ? 1000 : -1);
        desk_destroy(d);
    }
}
END_TEST

START_TEST(another_protocol_or_specification_is_refused_for_good)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    struct message m = hello(ALICE, "alice");
    m.hello.protocol = PROTOCOL_VERSION + 1;
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "hello", REJECT_PROTOCOL, false);
    m = hello(ALICE, "alice");
    snprintf(m.hello.spec, sizeof(m.hello.spec), "%s", "0123456789abcdef");
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "hello", REJECT_SPEC, false);
    ck_assert_int_eq(counts_of(d).actors, 0);
    env_spec_hash(&d->spec, m.hello.spec);
    receive(d, ALICE, &m);
    next(d, ALICE, MESSAGE_WELCOME);
    desk_destroy(d);
}
END_TEST

START_TEST(who_finds_no_place_may_try_again)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    struct message m = hello(BOB, "bob");
    join(d, ALICE, "alice");
    receive(d, BOB, &m);
    expect_reject(d, BOB, "hello", REJECT_FULL, true);
    say(d, MESSAGE_BYE, ALICE);
    ck_assert_int_eq(counts_of(d).actors, 0);
    join(d, BOB, "bob");
    desk_destroy(d);
}
END_TEST

START_TEST(who_has_left_is_nobody_until_it_joins_again)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 1);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    say(d, MESSAGE_BYE, ALICE);
    struct message m = fragment(d, ALICE, 0, 0, 0);
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "message", REJECT_UNKNOWN, true);
    send_good(d, BOB, 1, 0, 0);
    join(d, ALICE, "alice");
    send_good(d, ALICE, 0, 0, 0);
    ck_assert_int_eq(counts_of(d).actors, 2);
    desk_destroy(d);
}
END_TEST

START_TEST(a_new_incarnation_takes_the_place_of_its_name_at_once)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 1);
    join(d, ALICE, "left");
    join(d, BOB, "right");
    struct message m = hello(CAROL, "right");
    receive(d, CAROL, &m);
    const struct reject *r = &next(d, BOB, MESSAGE_REJECT)->reject;
    ck_assert_str_eq(r->code, "replaced");
    ck_assert_str_eq(r->of, "message");
    ck_assert(!r->retry);
    ck_assert(has_streams(next_welcome(d, CAROL), "1"));
    ck_assert_int_eq(counts_of(d).actors, 2);
    m = fragment(d, BOB, 1, 0, 0);
    receive(d, BOB, &m);
    expect_reject(d, BOB, "message", REJECT_UNKNOWN, true);
    send_good(d, CAROL, 1, 0, 0);
    desk_destroy(d);
}
END_TEST

START_TEST(hello_again_is_answered_alike_even_over_a_new_connection)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    int lines = d->n_lines;
    ck_assert(has_streams(join(d, BOB, "bob"), "23"));
    struct message m = hello(BOB, "bob");
    receive(d, CAROL, &m);    /* BOB's process, connected anew */
    ck_assert(has_streams(next_welcome(d, CAROL), "23"));
    ck_assert_int_eq(d->n_lines, lines);
    ck_assert_int_eq(counts_of(d).actors, 2);
    m = member(MESSAGE_WANT, BOB);
    publish(d, 0);
    receive(d, CAROL, &m);
    next(d, CAROL, MESSAGE_SNAPSHOT);
    receive(d, BOB, &m);      /* from a connection that is nobody's now */
    expect_reject(d, BOB, "message", REJECT_UNKNOWN, true);
    ck_assert(has_streams(join(d, BOB, "bob"), "23"));
    receive(d, CAROL, &m);
    expect_reject(d, CAROL, "message", REJECT_UNKNOWN, true);
    desk_destroy(d);
}
END_TEST

START_TEST(a_name_gets_the_place_it_had_before)
{
    struct desk *d = desk_create(MODE_ASYNC, 3, 1);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    join(d, CAROL, "carol");
    say(d, MESSAGE_BYE, ALICE);
    say(d, MESSAGE_BYE, CAROL);
    ck_assert(has_streams(join(d, CAROL, "carol"), "2"));
    ck_assert(has_streams(join(d, ALICE + 10, "dave"), "0"));
    desk_destroy(d);
}
END_TEST

START_TEST(one_connection_holds_one_place)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 2);
    join(d, ALICE, "alice");
    struct message m = hello(ALICE, "another");
    m.hello.incarnation++;
    receive(d, ALICE, &m);
    ck_assert_int_eq(counts_of(d).actors, 1);
    desk_destroy(d);
}
END_TEST

START_TEST(a_mix_of_cpus_is_warned_about)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    struct message m = hello(ALICE, "alice");
    snprintf(m.hello.cpu, sizeof(m.hello.cpu), "%s", "another");
    receive(d, ALICE, &m);
    next(d, ALICE, MESSAGE_WELCOME);
    ck_assert_int_eq(d->n_lines, 1);
    desk_destroy(d);
}
END_TEST

/* Send every beginning of a message. */
static void send_cut(struct desk *d, const struct message *m)
{
    unsigned char bytes[4096];
    size_t size = encode(m, bytes);
    for (size_t cut = 0; cut < size; cut++) {
        int64_t before = counts_of(d).received;
        session_receive(d->session, d->now_us, ALICE, frame_make(bytes, cut));
        expect_reject(d, ALICE, "message", REJECT_MALFORMED, settings_are_lockstep(&d->settings));
        /* Cut behind its type, it still counts as a fragment. */
        int64_t more = counts_of(d).received - before;
        d->fragments_in += more;
        d->fragments_rejected += more;
        ck_assert(more == 0 || m->type == MESSAGE_FRAGMENT);
    }
}

START_TEST(messages_cut_anywhere_are_refused_as_malformed)
{
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct desk *d = desk_create((enum mode)mode, 1, 1);
        struct message whole[] = { hello(ALICE, "alice"), fragment(d, ALICE, 0, 0, 0),
                                   member(MESSAGE_WANT, ALICE), member(MESSAGE_BYE, ALICE) };
        join(d, ALICE, "alice");
        for (size_t i = 0; i < TEST_COUNT(whole); i++)
            send_cut(d, &whole[i]);
        ck_assert_int_gt(d->fragments_in, 0);
        ck_assert_int_eq(counts_of(d).actors, 1);
        send_good(d, ALICE, 0, 0, 0);
        desk_destroy(d);
    }
}
END_TEST

START_TEST(what_only_a_learner_says_is_malformed)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    struct message m;
    join(d, ALICE, "alice");
    message_init(&m, MESSAGE_DRAIN);
    m.drain.run = RUN;
    m.drain.epoch = EPOCH;
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "message", REJECT_MALFORMED, false);
    message_init(&m, MESSAGE_REJECT);
    snprintf(m.reject.of, sizeof(m.reject.of), "%s", "hello");
    snprintf(m.reject.code, sizeof(m.reject.code), "%s", "full");
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "message", REJECT_MALFORMED, false);
    desk_destroy(d);
}
END_TEST

START_TEST(another_run_epoch_incarnation_or_peer_must_say_hello_again)
{
    static const enum message_type types[] = { MESSAGE_FRAGMENT, MESSAGE_WANT, MESSAGE_HEARTBEAT };
    struct desk *d = desk_create(MODE_ASYNC, 2, 1);
    join(d, ALICE, "alice");
    publish(d, 0);
    for (size_t k = 0; k < TEST_COUNT(types); k++)
        for (int what = 0; what < 4; what++) {
            bool is_fragment = types[k] == MESSAGE_FRAGMENT, is_want = types[k] == MESSAGE_WANT;
            struct message m = is_fragment ? fragment(d, ALICE, 0, 0, 0) : member(types[k], ALICE);
            uint64_t *run = is_fragment ? &m.fragment.run : is_want ? &m.want.run
                                        : &m.heartbeat.run;
            uint64_t *incarnation = is_fragment ? &m.fragment.incarnation
                                  : is_want ? &m.want.incarnation : &m.heartbeat.incarnation;
            int64_t *epoch = is_fragment ? &m.fragment.epoch : is_want ? &m.want.epoch
                                         : &m.heartbeat.epoch;
            *run ^= what == 0;
            *epoch -= what == 1;
            *incarnation += what == 2;
            uint64_t peer = what == 3 ? BOB : ALICE;
            receive(d, peer, &m);
            const struct reject *r = expect_reject(d, peer, "message", REJECT_UNKNOWN, true);
            /* Nothing was counted, so none is named. */
            ck_assert(r->stream == -1 && r->sequence == -1);
        }
    ck_assert_int_eq(d->n_delivered, 0);
    send_good(d, ALICE, 0, 0, 0);
    desk_destroy(d);
}
END_TEST

START_TEST(a_strangers_bye_is_ignored)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    say(d, MESSAGE_BYE, BOB);
    join(d, ALICE, "alice");
    say(d, MESSAGE_BYE, BOB);
    struct message m = member(MESSAGE_BYE, ALICE);
    m.bye.epoch--;
    receive(d, ALICE, &m);
    expect_silence(d);
    ck_assert_int_eq(counts_of(d).actors, 1);
    desk_destroy(d);
}
END_TEST

START_TEST(drain_tells_everybody_until_they_leave)
{
    struct desk *d = desk_create(MODE_ASYNC, 3, 1);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    session_drain(d->session, "the run is complete");
    const struct message *m = next(d, ALICE, MESSAGE_DRAIN);
    ck_assert(m->drain.run == RUN && m->drain.epoch == EPOCH);
    ck_assert_str_eq(m->drain.reason, "the run is complete");
    next(d, BOB, MESSAGE_DRAIN);
    say(d, MESSAGE_BYE, ALICE);
    struct message late = hello(CAROL, "carol");
    receive(d, CAROL, &late);
    next(d, CAROL, MESSAGE_DRAIN);
    expect_silence(d);
    tick(d, SECOND);
    next(d, BOB, MESSAGE_DRAIN);    /* instead of a heartbeat */
    expect_silence(d);
    say(d, MESSAGE_BYE, BOB);
    tick(d, SECOND);
    expect_silence(d);
    ck_assert_int_eq(counts_of(d).actors, 0);
    desk_destroy(d);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        welcome_says_everything_an_actor_needs,
        welcome_tells_how_an_algorithm_acts_and_explores,
        sync_asks_for_states_tells_their_size_and_gives_one_credit,
        the_time_limit_of_a_step_is_passed_on,
        another_protocol_or_specification_is_refused_for_good,
        who_finds_no_place_may_try_again,
        who_has_left_is_nobody_until_it_joins_again,
        a_new_incarnation_takes_the_place_of_its_name_at_once,
        hello_again_is_answered_alike_even_over_a_new_connection,
        a_name_gets_the_place_it_had_before,
        one_connection_holds_one_place,
        a_mix_of_cpus_is_warned_about,
        messages_cut_anywhere_are_refused_as_malformed,
        what_only_a_learner_says_is_malformed,
        another_run_epoch_incarnation_or_peer_must_say_hello_again,
        a_strangers_bye_is_ignored,
        drain_tells_everybody_until_they_leave,
    };
    return suite_run("session_joining", tests, TEST_COUNT(tests), 60);
}
