/* The session core: which fragments count. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "tests/support.h"
#include "tests/unit/session_desk.h"

START_TEST(a_good_fragment_is_delivered_as_it_came)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    publish(d, 7);
    struct message m = fragment(d, BOB, 3, 0, 0);
    m.fragment.version = 5;
    receive(d, BOB, &m);
    expect_silence(d);
    ck_assert_int_eq(d->n_delivered, 1);
    const struct fragment *f = d->delivered[0];
    ck_assert(f->stream == 3 && f->life == 0 && f->sequence == 0 && f->version == 5);
    ck_assert(f->n_rows == 6 && f->n_transitions == T);
    ck_assert_uint_eq(f->rows.size, sizeof(float) * 6 * STRIDE);
    ck_assert_mem_eq(f->rows.data, d->rows, f->rows.size);
    ck_assert(f->returns.size == 8 && bytes_f64(f->returns, 0) == -12.5);
    ck_assert(f->lengths.size == 4 && bytes_u32(f->lengths, 0) == 200);
    ck_assert_mem_eq(f->state.data, d->state, STATE_BYTES);
    ck_assert(f->rows.data > f->frame->data
              && f->rows.data + f->rows.size <= f->frame->data + f->frame->size);
    ck_assert_int_eq(counts_of(d).accepted, 1);
    desk_destroy(d);
}
END_TEST

START_TEST(a_fragment_counts_once)
{
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct desk *d = desk_create((enum mode)mode, 1, 1);
        join(d, ALICE, "alice");
        send_good(d, ALICE, 0, 0, 0);
        send_good(d, ALICE, 0, 0, 1);
        for (int64_t sequence = 0; sequence < 2; sequence++) {
            struct message m = fragment(d, ALICE, 0, 0, sequence);
            receive(d, ALICE, &m);
            const struct reject *r = expect_reject(d, ALICE, "fragment", REJECT_DUPLICATE, mode != MODE_ASYNC);
            ck_assert(r->stream == 0 && r->sequence == sequence && r->incarnation == 100 * ALICE);
        }
        ck_assert_int_eq(d->n_delivered, 2);
        send_good(d, ALICE, 0, 0, 2);
        desk_destroy(d);
    }
}
END_TEST

/* What happened in between would be unknown. */
START_TEST(a_gap_is_refused_until_the_actor_has_joined_again)
{
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct desk *d = desk_create((enum mode)mode, 1, 1);
        join(d, ALICE, "alice");
        send_good(d, ALICE, 0, 0, 0);
        for (int is_spoilt = 0; is_spoilt < 2; is_spoilt++) {
            struct message m = fragment(d, ALICE, 0, 0, 4);
            m.fragment.checksum ^= is_spoilt;
            receive(d, ALICE, &m);
            expect_reject(d, ALICE, "fragment", REJECT_GAP, true);
            ck_assert_int_eq(d->n_delivered, 1);
            ck_assert_int_eq(counts_of(d).lost, 3 * (is_spoilt + 1));
        }
        const struct welcome *w = join(d, ALICE, "alice");
        ck_assert_int_eq(bytes_u32(w->lives, 0), mode == MODE_ASYNC);
        ck_assert_int_eq(bytes_i64(w->sequences, 0), mode != MODE_ASYNC);
        send_good(d, ALICE, 0, mode == MODE_ASYNC, mode != MODE_ASYNC);
        desk_destroy(d);
    }
}
END_TEST

START_TEST(streams_of_others_are_refused)
{
    static const int64_t foreign[] = { 0, 1, 4, 5, 1000000 };
    struct desk *d = desk_create(MODE_ASYNC, 3, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    for (size_t i = 0; i < TEST_COUNT(foreign); i++) {
        struct message m = fragment(d, BOB, foreign[i], 0, 0);
        receive(d, BOB, &m);
        expect_reject(d, BOB, "fragment", REJECT_STREAM, true);
    }
    send_good(d, BOB, 2, 0, 0);
    send_good(d, BOB, 3, 0, 0);
    desk_destroy(d);
}
END_TEST

START_TEST(another_life_is_refused_and_changes_nothing)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    send_good(d, ALICE, 0, 0, 0);
    ck_assert_int_eq(bytes_u32(join(d, ALICE, "alice")->lives, 0), 1);
    for (int64_t sequence = 0; sequence < 3; sequence++) {
        struct message m = fragment(d, ALICE, 0, sequence == 2 ? 2 : 0, sequence);
        receive(d, ALICE, &m);
        expect_reject(d, ALICE, "fragment", REJECT_LIFE, false);
    }
    send_good(d, ALICE, 0, 1, 0);
    ck_assert_int_eq(counts_of(d).lost, 0);
    desk_destroy(d);
}
END_TEST

/* What a fragment is refused for whose rows are of these kinds, a letter each: Step, Terminated, Limit,
 * Close. N_REJECTIONS: it is accepted. Traits, choices and actions are those of `model`. */
static enum rejection try_kinds(const struct desk *model, const char *kinds)
{
    struct desk *d = calloc(1, sizeof(*d));
    enum rejection r = N_REJECTIONS;
    desk_settings(d, MODE_ASYNC, 1, 1);
    d->traits = model->traits;
    d->spec.n_choices = model->spec.n_choices;
    desk_open(d, NULL, NULL, NULL, NULL);
    publish(d, 0);
    join(d, ALICE, "alice");
    struct message m = fragment_of(d, ALICE, 0, 0, 0, kinds);
    for (int i = 0; kinds[i]; i++)
        d->rows[i][3] = kinds[i] == 'C' ? 0 : model->rows[i][3];
    m.fragment.checksum = digest_crc32(m.fragment.rows.data, m.fragment.rows.size);
    receive(d, ALICE, &m);
    if (d->delivered[0]->n_rows == 0) {
        const struct session_counts counts = counts_of(d);
        for (r = 0; r < N_REJECTIONS && counts.rejected[r] == 0; r++)
            ;
        expect_reject(d, ALICE, "fragment", r, false);
    }
    desk_destroy(d);
    return r;
}

START_TEST(whole_episodes_close_a_fragment_and_nothing_else_does)
{
    enum { ACCEPTED = N_REJECTIONS };
    static const struct { const char *kinds; int whole, parts; } cases[] = {
        { "SSSSC", ACCEPTED, ACCEPTED }, { "SSSTC", ACCEPTED, ACCEPTED },
        { "SLC", ACCEPTED, REJECT_DIMENSIONS }, { "TC", ACCEPTED, REJECT_DIMENSIONS },
        { "SSC", REJECT_ROWS, REJECT_DIMENSIONS }, { "SC", REJECT_ROWS, REJECT_DIMENSIONS },
        { "STCSSC", REJECT_ROWS, ACCEPTED }, { "TCTC", REJECT_ROWS, REJECT_DIMENSIONS },
        { "SSSSSC", REJECT_DIMENSIONS, REJECT_DIMENSIONS },
    };
    struct desk model = { .traits = { .head = HEAD_SQUASHED_GAUSSIAN } };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        model.traits.takes_whole_episodes = true;
        ck_assert_int_eq(try_kinds(&model, cases[i].kinds), cases[i].whole);
        model.traits.takes_whole_episodes = false;
        ck_assert_int_eq(try_kinds(&model, cases[i].kinds), cases[i].parts);
    }
}
END_TEST

START_TEST(discrete_actions_are_indices_of_choices)
{
    static const float bad[] = { 3, -1, 0.5f, 1e30f, -0.25f, 2.0000002f };
    struct desk model = { .traits = { .head = HEAD_CATEGORICAL }, .spec = { .n_choices = 3 } };
    for (int i = 0; i < 4; i++)
        model.rows[i][3] = (float)(i % 3);
    ck_assert_int_eq(try_kinds(&model, "SSSSC"), N_REJECTIONS);
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        model.rows[i % 4][3] = bad[i];
        ck_assert_int_eq(try_kinds(&model, "SSSSC"), REJECT_ROWS);
        model.rows[i % 4][3] = 2;
    }
}
END_TEST

/* Its turn comes like that of any other, with the version and the number of transitions it was acted with. */
START_TEST(bad_contents_are_refused_once_and_go_on_as_empty_fragments)
{
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct desk *d = desk_create((enum mode)mode, 1, 1);
        join(d, ALICE, "alice");
        publish(d, 7);
        for (int what = 0; what < N_SPOILS; what++) {
            const int64_t sequence = 2 * what;
            struct message m = fragment(d, ALICE, 0, 0, sequence);
            m.fragment.version = what % 7;
            const enum rejection r = spoil(d, &m, what);
            receive(d, ALICE, &m);
            ck_assert_int_eq(expect_reject(d, ALICE, "fragment", r, false)->sequence, sequence);
            ck_assert_int_eq(d->n_delivered, sequence + 1);
            const struct fragment *f = d->delivered[sequence];
            ck_assert(f->n_rows == 0 && f->rows.size == 0 && f->returns.size == 0);
            ck_assert(f->stream == 0 && f->life == 0 && f->sequence == sequence);
            ck_assert(f->state.size == STATE_BYTES && f->state.data[0] == sequence + 1);    /* for checkpoints */
            ck_assert_int_eq(f->version, what == 0 ? 7 : what % 7);    /* the first names one that never was */
            ck_assert_int_eq(f->n_transitions, what == 10 ? 3 : T);
            tick(d, 1000);
            expect_silence(d);
            session_consumed(d->session, 0, 0, sequence, FRAGMENT_REFUSED);
            tick(d, 1000);
            ck_assert_int_eq(acked(next(d, ALICE, MESSAGE_ACK), 0), sequence + 1);
            m = fragment(d, ALICE, 0, 0, sequence);    /* mended, but too late */
            receive(d, ALICE, &m);
            expect_reject(d, ALICE, "fragment", REJECT_DUPLICATE, mode != MODE_ASYNC);
            ck_assert_int_eq(d->n_delivered, sequence + 1);
            send_good(d, ALICE, 0, 0, sequence + 1);
        }
        ck_assert_int_eq(counts_of(d).lost, 0);
        ck_assert_int_eq(books_of(d, 0).accepted, N_SPOILS);
        ck_assert_int_eq(books_of(d, 0).transitions, N_SPOILS * T);
        ck_assert_int_eq(books_of(d, 0).rejected[REJECT_ROWS], 5);
        desk_destroy(d);
    }
}
END_TEST

/* However large the number it claims. */
START_TEST(an_empty_fragment_never_has_more_transitions_than_fit)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    struct message m = fragment_of(d, ALICE, 0, 0, 0, "SSSSSC");
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "fragment", REJECT_DIMENSIONS, false);
    ck_assert_int_eq(d->delivered[0]->n_transitions, T);
    desk_destroy(d);
}
END_TEST

START_TEST(rounds_need_the_state_and_async_does_not)
{
    static const size_t sizes[] = { 0, STATE_BYTES - 1 };
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct desk *d = desk_create((enum mode)mode, 1, 1);
        join(d, ALICE, "alice");
        for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
            struct message m = fragment(d, ALICE, 0, 0, (int64_t)i);
            m.fragment.state.size = sizes[i];
            receive(d, ALICE, &m);
            if (mode != MODE_ASYNC)
                expect_reject(d, ALICE, "fragment", REJECT_STATE, false);
            expect_silence(d);
        }
        desk_destroy(d);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_good_fragment_is_delivered_as_it_came,
        a_fragment_counts_once,
        a_gap_is_refused_until_the_actor_has_joined_again,
        streams_of_others_are_refused,
        another_life_is_refused_and_changes_nothing,
        whole_episodes_close_a_fragment_and_nothing_else_does,
        discrete_actions_are_indices_of_choices,
        bad_contents_are_refused_once_and_go_on_as_empty_fragments,
        an_empty_fragment_never_has_more_transitions_than_fit,
        rounds_need_the_state_and_async_does_not,
    };
    return suite_run("session_fragments", tests, TEST_COUNT(tests), 60);
}
