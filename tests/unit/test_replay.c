/* Every state of the made-up streams has a number of its own, written into its observation; a
 * transition carries the number of its successor in its action and the number of its fragment as
 * reward. So a drawn pair proves itself. */
#include "learner/replay.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"

static const struct row_shape shape = { 3, 2 };
enum { STRIDE = 8, MAX_HORIZON = 64, MAX_FRAGMENTS = 1 << 16, MAX_DRAWN = 4096 };

enum { MAX_DRAW = 4096 };

struct pattern {
    int64_t capacity;
    int horizon;
    double end_probability;    /* of an episode, at every transition */
    bool is_full;              /* every fragment has `horizon` transitions */
};

/* A stream, the ring it is appended to, and what the ring should hold: the newest fragments. */
struct world {
    struct pattern pattern;
    struct arena *arena;
    struct replay *replay;
    struct rng rng, sample_rng;
    int state;                            /* number of the stream's current state */
    int n_fragments;
    int kept[MAX_FRAGMENTS];              /* transitions of each that were appended */
    int64_t rows_appended;
    float rows[2 * MAX_HORIZON][STRIDE];  /* the fragment made last */
    int n_rows, n_transitions;
};

/* Draw uniformly; only the rows are looked at. */
static void draw_rows(const struct world *w, struct rng *rng, int B, float *rows)
{
    float discount[MAX_DRAW], weight[MAX_DRAW];
    struct replay_ticket tickets[MAX_DRAW];
    struct replay_draw out = { rows, discount, weight, tickets };
    ck_assert_int_le(B, MAX_DRAW);
    replay_sample(w->replay, rng, B, 1, &out);
}

static struct world *world_create(struct pattern p)
{
    struct world *w = calloc(1, sizeof(*w));
    w->pattern = p;
    w->arena = arena_create(1 << 12);
    w->replay = replay_create(&(struct replay_setup){ .shape = shape, .capacity = p.capacity,
        .horizon = p.horizon, .n_step = 1, .discount = 0.99 }, w->arena);
    arena_seal(w->arena);
    rng_init(&w->rng, 1, RNG_TEST, 0, 0);
    rng_init(&w->sample_rng, 2, RNG_SAMPLE, 0, 0);
    return w;
}

static void world_destroy(struct world *w)
{
    arena_destroy(&w->arena);
    free(w);
}

static void write_row(struct world *w, int successor, enum row_kind kind)
{
    float *row = w->rows[w->n_rows++];
    memset(row, 0, sizeof(w->rows[0]));
    row[0] = (float)w->state;
    row[1] = -(float)w->state;
    row[2] = 0.5f * (float)w->state;
    row[row_kind(shape)] = (float)kind;
    if (kind == ROW_CLOSE)
        return;
    row[row_act(shape)] = row[row_act(shape) + 1] = (float)successor;
    row[row_reward(shape)] = (float)w->n_fragments;
    row[row_log_prob(shape)] = -1;
}

/* The stream's next fragment of n transitions; each ends its episode with the given probability. */
static void make_fragment(struct world *w, int n, double end_probability)
{
    w->n_rows = 0;
    w->n_transitions = n;
    for (int t = 0; t < n; t++) {
        bool is_end = rng_uniform(&w->rng, 0, 1) < end_probability;
        enum row_kind kind = !is_end ? ROW_STEP : t % 2 ? ROW_TERMINATED : ROW_TRUNCATED;
        write_row(w, w->state + 1, kind);
        w->state++;
        if (is_end || t + 1 == n)
            write_row(w, 0, ROW_CLOSE);
        w->state += is_end;    /* a new episode */
    }
    if (row_check(shape, w->rows, w->n_rows, n))
        ck_abort_msg("%s", row_check(shape, w->rows, w->n_rows, n));
}

/* Append the fragment made last from an address that is `shift` off, in a block of exactly its
 * size so that reading on is seen. */
static int append(struct world *w, int max_transitions, size_t shift)
{
    size_t bytes = (size_t)w->n_rows * sizeof(w->rows[0]);
    char *frame = malloc(bytes + shift);
    memcpy(frame + shift, w->rows, bytes);
    int n = replay_append(w->replay, frame + shift, w->n_rows, max_transitions);
    free(frame);
    if (n > 0 && w->n_fragments == MAX_FRAGMENTS)
        ck_abort_msg("too many fragments for this test");
    if (n > 0)
        w->kept[w->n_fragments++] = n;
    w->rows_appended += w->n_rows;
    return n;
}

/* The oldest fragment held, if the ring holds exactly the newest ones. */
static int oldest_held(const struct world *w)
{
    int64_t size = 0;
    int oldest = w->n_fragments;
    while (oldest > 0 && size < replay_size(w->replay))
        size += w->kept[--oldest];
    if (size != replay_size(w->replay))    /* cheaper than an assertion, of which there are many */
        ck_abort_msg("%lld transitions held are not those of the newest fragments",
                     (long long)replay_size(w->replay));
    return oldest;
}

/* What is wrong with a drawn pair, or NULL; fragments from `oldest` on are held. */
static const char *inspect(const struct world *w, int oldest, const float *row, const float *next)
{
    int fragment = (int)row[row_reward(shape)];
    enum row_kind kind = row_kind_of(shape, row);
    if (kind == ROW_CLOSE)
        return "a CLOSE row was drawn";
    if (row[1] != -row[0] || row[row_act(shape)] != row[0] + 1 || row[row_log_prob(shape)] != -1)
        return "a row was drawn that was never appended";
    if (fragment < oldest || fragment >= w->n_fragments)
        return "a fragment was drawn that is not held";
    if (next[0] != row[0] + 1 || next[1] != -next[0] || next[2] != 0.5f * next[0])
        return "the successor is not the next state";
    if (kind != ROW_STEP && row_kind_of(shape, next) != ROW_CLOSE)
        return "no CLOSE row behind the end of an episode";
    return NULL;
}

/* Draw B transitions and check each; `times` (may be NULL) counts how often each state came. */
static void draw(struct world *w, int B, int *times)
{
    static float out[MAX_DRAWN][2][STRIDE];
    int oldest = oldest_held(w);
    memset(out, 0x7f, (size_t)B * sizeof(out[0]));
    draw_rows(w, &w->sample_rng, B, out[0][0]);
    for (int b = 0; b < B; b++) {
        const char *wrong = inspect(w, oldest, out[b][0], out[b][1]);
        if (wrong)
            ck_abort_msg("%s: state %g, then %g", wrong, (double)out[b][0][0],
                         (double)out[b][1][0]);
        if (times)
            times[(int)out[b][0][0]]++;
    }
}

/* Exactly as many different transitions can be drawn as are held. */
static void check_all_can_be_drawn(struct world *w)
{
    int *times = calloc((size_t)w->state + 1, sizeof(*times)), n_seen = 0;
    for (int64_t total = 0; total < 40 * replay_size(w->replay); total += 400)
        draw(w, 400, times);
    for (int s = 0; s <= w->state; s++)
        n_seen += times[s] > 0;
    free(times);
    if (n_seen != replay_size(w->replay))
        ck_abort_msg("%d transitions can be drawn, %lld are held", n_seen,
                     (long long)replay_size(w->replay));
}

START_TEST(a_wrapping_ring_never_mixes_fragments)
{
    static const double ends[] = { 0, 0.05, 0.3, 1 };
    static const struct { int64_t capacity; int horizon; } sizes[] = {
        { 1, 1 }, { 2, 1 }, { 7, 1 }, { 5, 5 }, { 12, 5 }, { 40, 8 }, { 50, 17 }, { 64, 64 },
        { 100, 16 }, { 101, 13 }, { 400, 4 },
    };
    for (size_t i = 0; i < TEST_COUNT(sizes) * TEST_COUNT(ends) * 2; i++) {
        struct pattern p = { sizes[i / 2 % TEST_COUNT(sizes)].capacity,
                             sizes[i / 2 % TEST_COUNT(sizes)].horizon,
                             ends[i / 2 / TEST_COUNT(sizes)], i % 2 };
        struct world *w = world_create(p);
        /* More rows than the ring can have, 110 times. */
        int64_t enough = 110 * ((p.capacity / p.horizon + 3) * (p.horizon + 1) + 4 * p.horizon);
        while (w->rows_appended < enough) {
            int n = p.is_full ? p.horizon : 1 + (int)rng_below(&w->rng, (uint64_t)p.horizon);
            make_fragment(w, n, p.end_probability);
            if (append(w, n, 0) != n || replay_size(w->replay) > p.capacity)
                ck_abort_msg("%lld transitions held after appending %d",
                             (long long)replay_size(w->replay), n);
            draw(w, 4, NULL);
            if (w->n_fragments % 250 == 0)
                check_all_can_be_drawn(w);
        }
        world_destroy(w);
    }
}
END_TEST

START_TEST(the_oldest_fragments_make_room_only_when_capacity_is_used_up)
{
    static const int horizons[] = { 1, 5, 16 };
    for (size_t i = 0; i < TEST_COUNT(horizons); i++) {
        const int T = horizons[i], capacity = 10 * T + T / 2;
        struct world *w = world_create((struct pattern){ capacity, T, 0, true });
        ck_assert_int_eq(replay_size(w->replay), 0);
        for (int k = 1; k <= 100; k++) {
            make_fragment(w, T, 0);
            append(w, T, 0);
            ck_assert_int_eq(replay_size(w->replay), k < 10 ? k * T : 10 * T);
        }
        world_destroy(w);
    }
}
END_TEST

/* Where every episode is one step, a transition takes two rows. */
START_TEST(short_episodes_leave_room_for_half_the_capacity)
{
    struct world *w = world_create((struct pattern){ 320, 16, 1, true });
    for (int k = 0; k < 200; k++) {
        make_fragment(w, 16, 1);
        append(w, 16, 0);
        draw(w, 8, NULL);
    }
    ck_assert_int_ge(replay_size(w->replay), 160);
    world_destroy(w);
}
END_TEST

START_TEST(every_transition_held_is_drawn_equally_often)
{
    enum { DRAWS = 400, CAPACITY = 120, B = 500 };
    struct world *w = world_create((struct pattern){ CAPACITY, 9, 0.2, false });
    for (int k = 0; k < 300; k++) {
        make_fragment(w, 1 + (int)rng_below(&w->rng, 9), 0.2);
        append(w, 9, 0);
    }
    int *times = calloc((size_t)w->state + 1, sizeof(*times)), n_seen = 0;
    int64_t size = replay_size(w->replay), total = 0;
    for (; total < DRAWS * size; total += B)
        draw(w, B, times);
    double expected = (double)total / (double)size, chi2 = 0;
    for (int s = 0; s <= w->state; s++)
        if (times[s]) {
            n_seen++;
            chi2 += (times[s] - expected) * (times[s] - expected) / expected;
        }
    ck_assert_int_eq(n_seen, size);
    /* Mean size - 1, variance 2 (size - 1): five standard deviations above and below. */
    double freedom = (double)size - 1, five = 5 * sqrt(2 * freedom);
    ck_assert_double_lt(chi2, freedom + five);
    ck_assert_double_gt(chi2, freedom - five);
    free(times);
    world_destroy(w);
}
END_TEST

START_TEST(a_fragment_is_cut_at_max_transitions)
{
    for (int max = 0; max <= 14; max++) {
        for (int seed = 0; seed < 8; seed++) {
            int times[64] = { 0 };
            struct world *w = world_create((struct pattern){ 12, 12, 0, true });
            rng_init(&w->rng, (uint64_t)seed, RNG_TEST, 0, 0);
            make_fragment(w, 12, seed ? 0.3 : 0);
            int expected = max < 12 ? max : 12;
            ck_assert_int_eq(append(w, max, 0), expected);
            ck_assert_int_eq(replay_size(w->replay), expected);
            if (expected)
                draw(w, 1000, times);
            /* Exactly the first `expected` of the fragment's transitions can be drawn. */
            for (int i = 0, t = 0; i < w->n_rows; i++)
                if (row_kind_of(shape, w->rows[i]) != ROW_CLOSE)
                    ck_assert_int_eq(times[(int)w->rows[i][0]] > 0, t++ < expected);
            world_destroy(w);
        }
    }
}
END_TEST

START_TEST(a_cut_to_nothing_changes_nothing)
{
    struct world *w = world_create((struct pattern){ 8, 8, 0, true });
    make_fragment(w, 8, 0);
    append(w, 8, 0);
    make_fragment(w, 8, 0);
    ck_assert_int_eq(append(w, 0, 0), 0);
    ck_assert_int_eq(append(w, -3, 0), 0);
    ck_assert_int_eq(replay_size(w->replay), 8);
    draw(w, 100, NULL);
    world_destroy(w);
}
END_TEST

START_TEST(cut_fragments_wrap_like_whole_ones)
{
    struct world *w = world_create((struct pattern){ 50, 16, 0.2, true });
    for (int k = 0; k < 1000; k++) {
        make_fragment(w, 16, 0.2);
        int max = 1 + (int)rng_below(&w->rng, 16);
        ck_assert_int_eq(append(w, max, 0), max);
        ck_assert_int_le(replay_size(w->replay), 50);
        draw(w, 8, NULL);
    }
    world_destroy(w);
}
END_TEST

START_TEST(rows_may_lie_at_any_address)
{
    struct world *w = world_create((struct pattern){ 40, 10, 0.2, true });
    for (size_t k = 0; k < 100; k++) {
        make_fragment(w, 10, 0.2);
        ck_assert_int_eq(append(w, 10, k % sizeof(float)), 10);
        draw(w, 50, NULL);
    }
    world_destroy(w);
}
END_TEST

START_TEST(the_same_random_sequence_draws_the_same_batch)
{
    static float a[64][2][STRIDE], b[64][2][STRIDE];
    struct world *w = world_create((struct pattern){ 200, 10, 0.1, true });
    for (int k = 0; k < 50; k++) {
        make_fragment(w, 10, 0.1);
        append(w, 10, 0);
    }
    struct rng one = w->sample_rng, other = w->sample_rng;
    draw_rows(w, &one, 64, a[0][0]);
    draw_rows(w, &other, 64, b[0][0]);
    ck_assert_mem_eq(a, b, sizeof(a));
    ck_assert_uint_eq(one.position, other.position);
    draw_rows(w, &other, 64, b[0][0]);
    ck_assert_mem_ne(a, b, sizeof(a));
    world_destroy(w);
}
END_TEST

START_TEST(drawing_leaves_the_ring_as_it_is)
{
    float out[64][2][STRIDE];
    struct world *w = world_create((struct pattern){ 30, 10, 0.1, true });
    for (int k = 0; k < 5; k++) {
        make_fragment(w, 10, 0.1);
        append(w, 10, 0);
    }
    for (int i = 0; i < 100; i++) {
        draw_rows(w, &w->sample_rng, 64, out[0][0]);
        memset(out, 0xff, sizeof(out));    /* a batch is scratch to the algorithm */
    }
    draw(w, 500, NULL);
    world_destroy(w);
}
END_TEST

START_TEST(replay_bytes_covers_what_is_taken)
{
    static const struct { int64_t capacity; int horizon; } cases[] = {
        { 1000, 1 }, { 600000, 16 }, { 5000, 256 }, { 16384, 16384 },
    };
    for (size_t i = 0; i < 2 * TEST_COUNT(cases); i++) {
        struct arena *arena = arena_create(1);
        const struct replay_setup setup = { .shape = shape, .capacity = cases[i / 2].capacity,
                                            .horizon = cases[i / 2].horizon, .n_step = 1,
                                            .is_prioritised = i % 2 };
        replay_create(&setup, arena);
        size_t promised = replay_bytes(&setup);
        /* Up to a huge page for each of the four blocks is rounding. */
        ck_assert_uint_le(arena_bytes(arena), promised + 4 * (2 << 20));
        ck_assert_uint_ge(promised, (size_t)cases[i / 2].capacity * STRIDE * sizeof(float));
        arena_destroy(&arena);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_wrapping_ring_never_mixes_fragments,
        the_oldest_fragments_make_room_only_when_capacity_is_used_up,
        short_episodes_leave_room_for_half_the_capacity,
        every_transition_held_is_drawn_equally_often,
        a_fragment_is_cut_at_max_transitions,
        a_cut_to_nothing_changes_nothing,
        cut_fragments_wrap_like_whole_ones,
        rows_may_lie_at_any_address,
        the_same_random_sequence_draws_the_same_batch,
        drawing_leaves_the_ring_as_it_is,
        replay_bytes_covers_what_is_taken,
    };
    return suite_run("replay", tests, TEST_COUNT(tests), 60);
}
