/* The session core: which versions actors are to act with, how many fragments they may send ahead, and what comes
 * too late. */
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"
#include "tests/unit/session_desk.h"

START_TEST(welcome_says_how_many_rounds_actors_are_behind)
{
    static const int64_t lags[] = { 0, 1, -1 }, credits[] = { 1, 2, 3 };
    static const char *const names[] = { "sync", "pipelined", "async" };
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct desk *d = desk_create((enum mode)mode, 1, 1);
        const struct welcome *w = join(d, ALICE, "alice");
        ck_assert_str_eq(w->mode, names[mode]);
        ck_assert(w->lag == lags[mode] && w->credit == credits[mode] && w->max_staleness == -1);
        ck_assert_int_eq(w->wants_state, mode != MODE_ASYNC);
        desk_destroy(d);
    }
}
END_TEST

/* Acks and heartbeats of all modes; `rounds`: some are done. */
static void check_rounds(enum mode mode, bool rounds)
{
    struct desk *d = desk_create(mode, 1, 1);
    join(d, ALICE, "alice");
    publish(d, 4);
    publish(d, 9);
    if (rounds)
        session_round(d->session, 12, 9, 4);
    session_consumed(d->session, 0, 0, 0, FRAGMENT_USED);
    tick(d, 1000);
    const struct ack *a = &next(d, ALICE, MESSAGE_ACK)->ack;
    ck_assert(a->newest == 9 && a->start_version == (rounds ? 9 : 0));
    ck_assert(a->round == (rounds ? 12 : -1) && a->previous == (rounds ? 4 : -1));
    tick(d, SECOND);
    const struct heartbeat *h = &next(d, ALICE, MESSAGE_HEARTBEAT)->heartbeat;
    ck_assert(h->newest == 9 && h->start_version == (rounds ? 9 : 0));
    ck_assert(h->round == (rounds ? 12 : -1) && h->previous == (rounds ? 4 : -1));
    desk_destroy(d);
}

START_TEST(acks_and_heartbeats_tell_the_round_and_the_versions_behind_it)
{
    check_rounds(MODE_SYNC, true);
    check_rounds(MODE_PIPELINED, true);
    check_rounds(MODE_SYNC, false);    /* not begun yet */
    check_rounds(MODE_ASYNC, false);
}
END_TEST

/* What becomes of fragment `sequence`, acted with `version`, when `round` rounds are done; `due`: as it should be. */
static void try_version(enum mode mode, int64_t round, int64_t start, int64_t previous, int64_t sequence,
                        int64_t version, int64_t due)
{
    static const unsigned char states[STATE_BYTES];
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, mode, 1, 1);
    desk_open(d, (int64_t[]){ 0 }, &sequence, (int64_t[]){ sequence > 0 }, states);
    publish(d, 9);
    session_round(d->session, round, start, previous);
    join(d, ALICE, "alice");
    struct message m = fragment(d, ALICE, 0, 0, sequence);
    m.fragment.version = version;
    receive(d, ALICE, &m);
    if (version != due) {
        ck_assert_int_eq(expect_reject(d, ALICE, "fragment", REJECT_VERSION, false)->sequence, sequence);
        ck_assert_int_eq(books_of(d, 0).rejected[REJECT_VERSION], 1);
        ck_assert_msg(strstr(d->line, "refused (version)") != NULL, "%s", d->line);
        ck_assert_msg(version > 9 || strstr(d->line, due < 0 ? "rounds, and" : "and no other") != NULL, "%s", d->line);
    }
    expect_silence(d);
    /* It takes its turn, with a version that there was. */
    ck_assert(d->n_delivered == 1 && (d->delivered[0]->n_rows > 0) == (version == due));
    ck_assert_int_eq(d->delivered[0]->version, due >= 0 ? due : version < 9 ? version : 9);
    desk_destroy(d);
}

START_TEST(rounds_take_what_their_own_version_acted_and_nothing_newer_or_older)
{
    static const struct { enum mode mode; int64_t round, start, previous, sequence, due; } cases[] = {
        { MODE_SYNC, 0, 2, 2, 0, 2 }, { MODE_SYNC, 4, 9, 6, 4, 9 }, { MODE_SYNC, 4, 7, 7, 4, 7 },
        { MODE_SYNC, 4, 9, 6, 5, -1 },
        { MODE_PIPELINED, 0, 2, 2, 0, 2 }, { MODE_PIPELINED, 0, 2, 2, 1, 2 }, { MODE_PIPELINED, 1, 5, 2, 1, 2 },
        { MODE_PIPELINED, 1, 5, 2, 2, 5 }, { MODE_PIPELINED, 4, 9, 6, 4, 6 }, { MODE_PIPELINED, 4, 9, 6, 5, 9 },
        { MODE_PIPELINED, 4, 9, 6, 6, -1 },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++)
        for (int64_t version = 0; version <= 10; version++)
            try_version(cases[i].mode, cases[i].round, cases[i].start, cases[i].previous, cases[i].sequence, version,
                        cases[i].due);
}
END_TEST

static void expect_snapshot(struct desk *d, int64_t wanted, int64_t version)
{
    struct message m = member(MESSAGE_WANT, ALICE);
    m.want.wanted = wanted;
    receive(d, ALICE, &m);
    ck_assert_int_eq(next(d, ALICE, MESSAGE_SNAPSHOT)->snapshot.version, version);
    expect_silence(d);
}

START_TEST(want_may_name_the_version_before_the_newest)
{
    struct desk *d = desk_create(MODE_PIPELINED, 1, 1);
    join(d, ALICE, "alice");
    expect_snapshot(d, 0, 0);
    expect_snapshot(d, 5, 0);
    publish(d, 3);
    publish(d, 8);
    expect_snapshot(d, 3, 3);
    expect_snapshot(d, 8, 8);
    expect_snapshot(d, -1, 8);
    expect_snapshot(d, 0, 8);    /* gone */
    ck_assert_int_eq(d->n_published, 3);
    desk_destroy(d);
}
END_TEST

/* The credit that actors get for these settings. */
static int64_t credit_of(bool is_on_policy, int64_t max_staleness, int64_t window, double samples_per_insert)
{
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, MODE_ASYNC, 2, 4);
    d->is_on_policy = is_on_policy;
    d->settings.learner.max_staleness = max_staleness;
    d->settings.learner.batch_size = 8;
    d->settings.transport.window = window;
    d->settings.replay.samples_per_insert = samples_per_insert;
    desk_open(d, NULL, NULL, NULL, NULL);
    const struct welcome *w = join(d, ALICE, "alice");
    const int64_t credit = w->credit;
    ck_assert_int_eq(w->max_staleness, max_staleness > 0 ? max_staleness : -1);
    desk_destroy(d);
    return credit;
}

START_TEST(credit_is_what_is_not_too_old_when_its_turn_comes)
{
    /* On-policy a round of all streams is a version. */
    ck_assert_int_eq(credit_of(true, 0, 7, 8), 7);
    ck_assert_int_eq(credit_of(true, 1, 7, 8), 1);
    ck_assert_int_eq(credit_of(true, 4, 7, 8), 4);
    ck_assert_int_eq(credit_of(true, 100, 7, 8), 7);
    /* Off-policy 8 streams x 4 transitions, each sampled 8 times, 8 in a batch, are 32 versions. */
    ck_assert_int_eq(credit_of(false, 0, 7, 8), 7);
    ck_assert_int_eq(credit_of(false, 10, 7, 8), 1);
    ck_assert_int_eq(credit_of(false, 63, 7, 8), 1);
    ck_assert_int_eq(credit_of(false, 64, 7, 8), 2);
    ck_assert_int_eq(credit_of(false, 1000, 7, 8), 7);
    /* Fewer than one version for a fragment of each. */
    ck_assert_int_eq(credit_of(false, 3, 7, 0.01), 3);
}
END_TEST

START_TEST(fragments_may_be_short_where_a_bound_ends_them_early)
{
    static const char *const kinds[] = { "SC", "SSC", "SLCSC", "TC", "SSSC" };
    for (int bound = 0; bound < 2; bound++) {
        struct desk *d = calloc(1, sizeof(*d));
        desk_settings(d, MODE_ASYNC, 1, 1);
        d->settings.learner.max_staleness = 5 * bound;
        desk_open(d, NULL, NULL, NULL, NULL);
        publish(d, 0);
        join(d, ALICE, "alice");
        for (size_t i = 0; i < TEST_COUNT(kinds); i++) {
            struct message m = fragment_of(d, ALICE, 0, 0, (int64_t)i, kinds[i]);
            receive(d, ALICE, &m);
            if (!bound)
                expect_reject(d, ALICE, "fragment", REJECT_DIMENSIONS, false);
            expect_silence(d);
            ck_assert_int_eq(d->delivered[i]->n_rows > 0, bound);
        }
        desk_destroy(d);
    }
}
END_TEST

START_TEST(whole_episodes_may_be_ended_early_by_a_bound_as_well)
{
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, MODE_ASYNC, 1, 1);
    d->settings.learner.max_staleness = 5;
    d->traits.takes_whole_episodes = true;
    desk_open(d, NULL, NULL, NULL, NULL);
    publish(d, 0);
    join(d, ALICE, "alice");
    struct message m = fragment_of(d, ALICE, 0, 0, 0, "SSC");
    receive(d, ALICE, &m);
    expect_silence(d);
    m = fragment_of(d, ALICE, 0, 0, 1, "STCSC");
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "fragment", REJECT_ROWS, false);
    desk_destroy(d);
}
END_TEST

START_TEST(fragments_that_are_too_old_are_counted_with_their_actor_and_told_ever_more_rarely)
{
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, MODE_ASYNC, 2, 1);
    d->settings.learner.max_staleness = 5;
    desk_open(d, NULL, NULL, NULL, NULL);
    publish(d, 0);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    const int told[] = { 1, 1, 0, 1, 0, 0, 0, 1 };
    for (int i = 0; i < (int)TEST_COUNT(told); i++) {
        const int lines = d->n_lines;
        send_good(d, BOB, 1, 0, i);
        session_consumed(d->session, 1, 0, i, FRAGMENT_STALE);
        const struct reject *r = expect_reject(d, BOB, "fragment", REJECT_STALE, false);
        ck_assert(r->stream == 1 && r->sequence == i && r->incarnation == 100 * BOB);
        ck_assert_int_eq(d->n_lines, lines + told[i]);
        tick(d, 1000);
        ck_assert_int_eq(acked(next(d, BOB, MESSAGE_ACK), 0), i + 1);
    }
    ck_assert_msg(strstr(d->line, "actor bob: 8 fragments so far came too late") != NULL, "%s", d->line);
    ck_assert(counts_of(d).rejected[REJECT_STALE] == 8 && books_of(d, 1).rejected[REJECT_STALE] == 8);
    ck_assert_int_eq(books_of(d, 0).rejected[REJECT_STALE], 0);
    /* Of one that is gone it is counted, and nobody told. */
    send_good(d, BOB, 1, 0, 8);
    say(d, MESSAGE_BYE, BOB);
    session_consumed(d->session, 1, 0, 8, FRAGMENT_STALE);
    expect_silence(d);
    d->rejects_of_nobody = 1;
    ck_assert(counts_of(d).rejected[REJECT_STALE] == 9 && books_of(d, 1).rejected[REJECT_STALE] == 9);
    desk_destroy(d);
}
END_TEST

START_TEST(books_tell_of_every_place_who_is_there_and_what_it_did)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 1);
    join(d, BOB, "bob");
    join(d, ALICE, "alice");
    send_good(d, ALICE, 1, 0, 0);
    send_good(d, ALICE, 1, 0, 1);
    struct message m = fragment(d, BOB, 1, 0, 0);
    receive(d, BOB, &m);
    skip(d);
    m = member(MESSAGE_HEARTBEAT, ALICE);
    m.heartbeat.credit_ms = 70;
    m.heartbeat.parameters_ms = 80;
    receive(d, ALICE, &m);
    const struct session_actor bob = books_of(d, 0), alice = books_of(d, 1);
    ck_assert_str_eq(bob.name, "bob");
    ck_assert_str_eq(alice.name, "alice");
    ck_assert(bob.is_connected && bob.n_streams == 1 && bob.accepted == 0 && bob.transitions == 0);
    ck_assert(alice.accepted == 2 && alice.transitions == 2 * T);
    ck_assert(bob.rejected[REJECT_STREAM] == 1 && alice.rejected[REJECT_STREAM] == 0);
    ck_assert(alice.credit_ms == 70 && alice.parameters_ms == 80 && bob.credit_ms == 0);
    say(d, MESSAGE_HEARTBEAT, ALICE);    /* one that does not tell */
    m.heartbeat.credit_ms = 75;
    receive(d, ALICE, &m);
    ck_assert(books_of(d, 1).credit_ms == 75 && books_of(d, 1).parameters_ms == 80);
    say(d, MESSAGE_BYE, ALICE);
    ck_assert(!books_of(d, 1).is_connected && books_of(d, 1).accepted == 2);
    /* The next one's clocks begin at 0, and the place's go on. */
    skip(d);
    join(d, CAROL, "carol");
    m = member(MESSAGE_HEARTBEAT, CAROL);
    m.heartbeat.credit_ms = 10;
    receive(d, CAROL, &m);
    ck_assert(books_of(d, 1).credit_ms == 85 && books_of(d, 1).parameters_ms == 80);
    ck_assert(counts_of(d).credit_ms == 85 && counts_of(d).parameters_ms == 80);
    desk_destroy(d);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        welcome_says_how_many_rounds_actors_are_behind,
        acks_and_heartbeats_tell_the_round_and_the_versions_behind_it,
        rounds_take_what_their_own_version_acted_and_nothing_newer_or_older,
        want_may_name_the_version_before_the_newest,
        credit_is_what_is_not_too_old_when_its_turn_comes,
        fragments_may_be_short_where_a_bound_ends_them_early,
        whole_episodes_may_be_ended_early_by_a_bound_as_well,
        fragments_that_are_too_old_are_counted_with_their_actor_and_told_ever_more_rarely,
        books_tell_of_every_place_who_is_there_and_what_it_did,
    };
    return suite_run("session_rounds", tests, TEST_COUNT(tests), 60);
}
