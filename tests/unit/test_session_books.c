/* The session core: acknowledgements, versions, heartbeats, and books that balance whatever comes. */
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "tests/support.h"
#include "tests/unit/session_desk.h"

START_TEST(acks_say_what_was_consumed_once_for_each_change)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    publish(d, 6);
    send_good(d, BOB, 2, 0, 0);
    send_good(d, BOB, 3, 0, 0);
    send_good(d, BOB, 3, 0, 1);
    tick(d, 1000);
    expect_silence(d);    /* accepted is not consumed */
    session_consumed(d->session, 3, 0, 0, FRAGMENT_USED);
    session_consumed(d->session, 3, 0, 1, FRAGMENT_USED);
    tick(d, 1000);
    const struct message *m = next(d, BOB, MESSAGE_ACK);
    ck_assert(m->ack.run == RUN && m->ack.epoch == EPOCH && m->ack.incarnation == 100 * BOB);
    ck_assert(m->ack.newest == 6 && m->ack.start_version == 0 && m->ack.credit == 3);
    ck_assert_uint_eq(m->ack.acked.size, 2 * sizeof(int64_t));
    ck_assert(acked(m, 0) == 0 && acked(m, 1) == 2);
    tick(d, 1000);
    expect_silence(d);
    desk_destroy(d);
}
END_TEST

START_TEST(heartbeats_repeat_the_books_every_heartbeat_ms)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 2);
    join(d, ALICE, "alice");
    publish(d, 6);
    send_good(d, ALICE, 1, 0, 0);
    session_consumed(d->session, 1, 0, 0, FRAGMENT_USED);
    tick(d, SECOND - 1);
    next(d, ALICE, MESSAGE_ACK);
    expect_silence(d);
    tick(d, 1);
    const struct message *m = next(d, ALICE, MESSAGE_HEARTBEAT);
    ck_assert(m->heartbeat.run == RUN && m->heartbeat.epoch == EPOCH);
    ck_assert(m->heartbeat.incarnation == 100 * ALICE && m->heartbeat.credit == 3);
    ck_assert(m->heartbeat.newest == 6 && m->heartbeat.start_version == 0);
    ck_assert(acked(m, 0) == 0 && acked(m, 1) == 1);
    expect_silence(d);
    tick(d, SECOND - 1);
    expect_silence(d);
    tick(d, 1);
    next(d, ALICE, MESSAGE_HEARTBEAT);
    desk_destroy(d);
}
END_TEST

static int lines_about(struct desk *d, uint64_t peer, int64_t diverged)
{
    struct message m = member(MESSAGE_HEARTBEAT, peer);
    int before = d->n_lines;
    m.heartbeat.diverged = diverged;
    receive(d, peer, &m);
    expect_silence(d);
    return d->n_lines - before;
}

START_TEST(episodes_that_broke_down_are_told_whenever_their_number_has_doubled)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    ck_assert_int_eq(lines_about(d, ALICE, -1), 0);
    const int64_t numbers[] = { 0, 3, 3, 5, 6, 11, 40, 79, 80 };
    const int told[] = { 0, 1, 0, 0, 1, 0, 1, 0, 1 };
    for (size_t i = 0; i < TEST_COUNT(numbers); i++)
        ck_assert_int_eq(lines_about(d, ALICE, numbers[i]), told[i]);
    say(d, MESSAGE_BYE, ALICE);
    join(d, BOB, "alice");
    ck_assert_int_eq(lines_about(d, BOB, 1), 1);    /* another process counts from 0 */
    desk_destroy(d);
}
END_TEST

START_TEST(want_is_answered_with_the_newest_snapshot)
{
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, MODE_ASYNC, 1, 1);
    desk_open(d, NULL, NULL, NULL, NULL);
    join(d, ALICE, "alice");
    say(d, MESSAGE_WANT, ALICE);
    expect_silence(d);    /* there is none yet */
    publish(d, 0);
    publish(d, 3);
    ck_assert_int_eq(d->n_published, 2);
    for (int i = 0; i < 2; i++) {
        say(d, MESSAGE_WANT, ALICE);
        const struct snapshot *s = &next(d, ALICE, MESSAGE_SNAPSHOT)->snapshot;
        ck_assert(s->version == 3 && s->run == RUN && s->parameters.size == 12);
    }
    ck_assert_int_eq(d->n_published, 2);
    desk_destroy(d);
}
END_TEST

START_TEST(bytes_of_every_message_are_counted)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    unsigned char bytes[4096];
    struct message m = hello(ALICE, "alice");
    size_t in = encode(&m, bytes), out = 0;
    join(d, ALICE, "alice");
    m = fragment(d, ALICE, 0, 0, 0);
    in += encode(&m, bytes);
    send_good(d, ALICE, 0, 0, 0);
    for (int i = 0; i < d->n_sent; i++)
        out += d->sent[i].frame->size;
    ck_assert_int_eq(counts_of(d).bytes_in, in);
    ck_assert_int_eq(counts_of(d).bytes_out, out);
    desk_destroy(d);
}
END_TEST

struct storm {
    struct rng rng;
    int64_t life[4], sequence[4];    /* newest delivered of each stream */
    struct { uint64_t peer; int64_t life, sequence; } told[4];    /* by the last WELCOME */
    int looked_at;
};

static int pick(struct storm *s, int n)
{
    return (int)rng_below(&s->rng, (uint64_t)n);
}

static void note_welcomes(struct desk *d, struct storm *s)
{
    for (; d->n_read < d->n_sent; d->n_read++) {
        struct message m;
        const struct frame *f = d->sent[d->n_read].frame;
        message_decode(&m, f->data, f->size);
        for (size_t i = 0; m.type == MESSAGE_WELCOME && i < m.welcome.streams.size / sizeof(uint32_t); i++) {
            size_t stream = bytes_u32(m.welcome.streams, i);
            s->told[stream].peer = d->sent[d->n_read].peer;
            s->told[stream].life = bytes_u32(m.welcome.lives, i);
            s->told[stream].sequence = bytes_i64(m.welcome.sequences, i);
        }
    }
}

/* Every delivered fragment is newer than the last one of its stream. */
static void check_order(struct desk *d, struct storm *s)
{
    for (; s->looked_at < d->n_delivered; s->looked_at++) {
        const struct fragment *f = d->delivered[s->looked_at];
        int64_t *life = &s->life[f->stream], *sequence = &s->sequence[f->stream];
        ck_assert(f->life > *life || (f->life == *life && f->sequence > *sequence));
        const bool is_lockstep = settings_are_lockstep(&d->settings);
        /* Without gaps; in rounds numbers go on over lives. */
        ck_assert_int_eq(f->sequence, is_lockstep || f->life == *life ? *sequence + 1 : 0);
        *life = f->life;
        *sequence = f->sequence;
        if (pick(s, 2))
            session_consumed(d->session, f->stream, f->life, f->sequence,
                             f->n_rows == 0 ? FRAGMENT_REFUSED : FRAGMENT_USED);
    }
}

/* Mostly the fragment that the stream's actor would send, or nearly that. */
static void send_something(struct desk *d, struct storm *s)
{
    const bool is_lockstep = settings_are_lockstep(&d->settings);
    const int64_t stream = pick(s, 4);
    const bool goes_on = is_lockstep || s->told[stream].life == s->life[stream];
    int64_t sequence = goes_on ? s->sequence[stream] + 1 : s->told[stream].sequence;
    const int way = pick(s, 8);
    sequence = way == 0 ? sequence + pick(s, 3) : way == 1 && sequence > 0 ? sequence - 1 : sequence;
    uint64_t peer = pick(s, 8) ? s->told[stream].peer : (uint64_t)(ALICE + pick(s, 3));
    struct message m = fragment(d, peer, stream, s->told[stream].life + (pick(s, 10) == 0), sequence);
    if (pick(s, 4) == 0)
        spoil(d, &m, pick(s, N_SPOILS));
    receive(d, peer, &m);
}

static void do_something(struct desk *d, struct storm *s)
{
    uint64_t peer = (uint64_t)(ALICE + pick(s, 3));
    struct message m = hello(peer, pick(s, 2) ? "alice" : "bob");
    int what = pick(s, 24);
    if (what == 0)
        receive(d, peer, &m);
    else if (what == 1 && pick(s, 4) == 0)
        say(d, MESSAGE_BYE, peer);
    else if (what < 6)
        say(d, pick(s, 2) ? MESSAGE_WANT : MESSAGE_HEARTBEAT, peer);
    else if (what < 8)
        tick(d, pick(s, 3) * SECOND);
    else
        send_something(d, s);
    note_welcomes(d, s);
    check_order(d, s);
}

START_TEST(books_balance_whatever_is_received)
{
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct storm s = { .sequence = { -1, -1, -1, -1 }, .told = { { .peer = ALICE } } };
        struct desk *d = desk_create((enum mode)(seed % 3), 2, 2);
        rng_init(&s.rng, seed, RNG_TEST, 0, 0);
        publish(d, 7);
        for (int i = 0; i < 400; i++)
            do_something(d, &s);
        ck_assert_int_gt(counts_of(d).accepted, 40);
        desk_destroy(d);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        acks_say_what_was_consumed_once_for_each_change,
        heartbeats_repeat_the_books_every_heartbeat_ms,
        episodes_that_broke_down_are_told_whenever_their_number_has_doubled,
        want_is_answered_with_the_newest_snapshot,
        bytes_of_every_message_are_counted,
        books_balance_whatever_is_received,
    };
    return suite_run("session_books", tests, TEST_COUNT(tests), 60);
}
