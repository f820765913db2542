/* What is drawn, against a list of every transition: n-step sums walked from their definition, priorities
 * and weights counted over all transitions held. A state's number stands in its observation, and its
 * successor's is one more; so a drawn pair says which transition it is. */
#include "learner/replay.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"

static const struct row_shape shape = { 2, 1 };
enum { STRIDE = 6, MAX_HORIZON = 64, MAX_STATES = 1 << 16, MAX_B = 512 };

struct transition {
    double reward;
    enum row_kind kind;
    bool is_last;          /* of what was kept of its fragment */
    bool is_first;
    double priority;       /* p, before the exponent; 0: never appended */
};

struct world {
    struct replay_setup setup;
    struct arena *arena;
    struct replay *replay;
    struct rng rng, sample_rng;
    struct transition all[MAX_STATES];
    int n_states;
    double largest;
    float rows[MAX_B][2][STRIDE], discount[MAX_B], weight[MAX_B];
    struct replay_ticket tickets[MAX_B];
};

static struct world *world_create(struct replay_setup setup)
{
    struct world *w = calloc(1, sizeof(*w));
    w->setup = setup;
    w->setup.shape = shape;
    w->arena = arena_create(1 << 12);
    w->replay = replay_create(&w->setup, w->arena);
    arena_seal(w->arena);
    rng_init(&w->rng, 1, RNG_TEST, 0, 0);
    rng_init(&w->sample_rng, 2, RNG_SAMPLE, 0, 0);
    w->largest = 1;
    return w;
}

static void world_destroy(struct world *w)
{
    arena_destroy(&w->arena);
    free(w);
}

static struct world *prioritised(int64_t capacity, int horizon, double alpha)
{
    return world_create((struct replay_setup){ .capacity = capacity, .horizon = horizon, .n_step = 1,
        .discount = 0.99, .is_prioritised = true, .priority_exponent = alpha });
}

/* Append a fragment of n transitions of which `max` are kept; each ends its episode with a probability. */
static void append(struct world *w, int n, double end_probability, int max)
{
    static const enum row_kind ends[] = { ROW_TERMINATED, ROW_TRUNCATED };
    float rows[2 * MAX_HORIZON][STRIDE] = { { 0 } };
    int n_rows = 0;
    for (int t = 0; t < n; t++) {
        bool is_end = rng_uniform(&w->rng, 0, 1) < end_probability;
        float *row = rows[n_rows++], reward = (float)rng_normal(&w->rng);
        enum row_kind kind = is_end ? ends[rng_below(&w->rng, 2)] : ROW_STEP;
        if (w->n_states + 2 >= MAX_STATES)
            ck_abort_msg("too many states for this test");
        row[0] = (float)w->n_states;
        row[row_act(shape)] = -(float)w->n_states;
        row[row_reward(shape)] = reward;
        row[row_log_prob(shape)] = 0.5f * (float)w->n_states;
        row[row_kind(shape)] = (float)kind;
        if (t < max)
            w->all[w->n_states] = (struct transition){ (double)reward, kind, t + 1 == n || t + 1 == max,
                                                       t == 0, w->largest };
        w->n_states++;
        if (is_end || t + 1 == n) {
            rows[n_rows][0] = (float)w->n_states++;
            rows[n_rows++][row_kind(shape)] = ROW_CLOSE;
        }
    }
    ck_assert_int_eq(replay_append(w->replay, rows, n_rows, max), n < max ? n : max);
}

/* The oldest state that is held: the ring has the newest fragments, whole. */
static int oldest_held(const struct world *w)
{
    int64_t n = 0;
    int s = w->n_states;
    while (s > 0 && n < replay_size(w->replay))
        n += w->all[--s].priority > 0;
    if (n != replay_size(w->replay) || (n && !w->all[s].is_first))
        ck_abort_msg("the ring does not hold the newest fragments");
    return s;
}

static void draw(struct world *w, int B, double beta)
{
    memset(w->rows, 0x7f, sizeof(w->rows));
    replay_sample(w->replay, &w->sample_rng, B, beta,
                  &(struct replay_draw){ w->rows[0][0], w->discount, w->weight, w->tickets });
}

static int drawn(const struct world *w, int b) { return (int)w->rows[b][0][0]; }

static bool is_near(double x, double expected)
{
    return fabs(x - expected) <= 1e-5 * (1 + fabs(expected));
}

/* What is wrong with drawn pair `b`, or NULL. */
static const char *inspect(const struct world *w, int b, int oldest)
{
    const float *row = w->rows[b][0], *next = w->rows[b][1];
    int s = drawn(w, b), k = 0;
    if (s < oldest || s >= w->n_states || w->all[s].priority <= 0)
        return "no transition that is held";
    double sum = 0;
    do {
        sum += pow(w->setup.discount, k) * w->all[s + k].reward;
        k++;
    } while (k < w->setup.n_step && w->all[s + k - 1].kind == ROW_STEP && !w->all[s + k - 1].is_last);
    if (!is_near((double)row[row_reward(shape)], sum))
        return "the reward is not the sum";
    if (w->setup.n_step == 1 && (double)row[row_reward(shape)] != w->all[s].reward)
        return "a single reward was changed";
    if (!is_near((double)w->discount[b], pow(w->setup.discount, k)))
        return "the discount is not gamma^k";
    if (row_kind_of(shape, row) != w->all[s + k - 1].kind)
        return "the kind is not that of the last step";
    if (next[0] != (float)(s + k))
        return "the successor is not the state behind the last step";
    if (row[row_act(shape)] != -(float)s || row[row_log_prob(shape)] != 0.5f * (float)s)
        return "the action is not that of the first step";
    if (row_kind_of(shape, row) != ROW_STEP && row_kind_of(shape, next) != ROW_CLOSE)
        return "no CLOSE row behind the end of an episode";
    return NULL;
}

/* w = (N P)^-beta / max, P = p^alpha / sum over all that are held. */
static void check_weights(const struct world *w, int B, double beta, int oldest)
{
    double total = 0, weight[MAX_B], largest = 0;
    for (int s = oldest; s < w->n_states; s++)
        if (w->all[s].priority > 0)
            total += pow(w->all[s].priority, w->setup.priority_exponent);
    for (int b = 0; b < B; b++) {
        double P = pow(w->all[drawn(w, b)].priority, w->setup.priority_exponent) / total;
        weight[b] = pow((double)replay_size(w->replay) * P, -beta);
        largest = fmax(largest, weight[b]);
    }
    for (int b = 0; b < B; b++)
        if (!is_near((double)w->weight[b], w->setup.is_prioritised ? weight[b] / largest : 1))
            ck_abort_msg("the weight of state %d is %g, not %g", drawn(w, b), (double)w->weight[b],
                         weight[b] / largest);
}

static void draw_and_check(struct world *w, int B, double beta)
{
    int oldest = oldest_held(w);
    draw(w, B, beta);
    for (int b = 0; b < B; b++)
        if (inspect(w, b, oldest))
            ck_abort_msg("%s: state %d, n = %d", inspect(w, b, oldest), drawn(w, b), w->setup.n_step);
    check_weights(w, B, beta, oldest);
}

/* Tell the priorities of B transitions; returns how many must be passed over. */
static int prioritise(struct world *w, int B, const struct replay_ticket *tickets, const int *states,
                      const float *error)
{
    int oldest = oldest_held(w), n_gone = 0;
    for (int b = 0; b < B; b++)
        if (states[b] >= oldest && isfinite(error[b])) {
            w->all[states[b]].priority = fabs((double)error[b]) + 1e-6;
            w->largest = fmax(w->largest, w->all[states[b]].priority);
        } else {
            n_gone++;
        }
    ck_assert_int_eq(replay_prioritise(w->replay, B, tickets, error), n_gone);
    return n_gone;
}

/* ---- n steps ---- */

START_TEST(n_step_transitions_are_those_of_a_walk_by_hand)
{
    static const int steps[] = { 1, 2, 3, 5, 70 }, horizons[] = { 1, 4, 16, 64 };
    static const double ends[] = { 0, 0.1, 0.5, 1 };
    for (size_t i = 0; i < 2 * TEST_COUNT(steps) * TEST_COUNT(horizons) * TEST_COUNT(ends); i++) {
        size_t j = i / 2;
        int T = horizons[j / TEST_COUNT(steps) % TEST_COUNT(horizons)];
        double end = ends[j / TEST_COUNT(steps) / TEST_COUNT(horizons)];
        struct world *w = world_create((struct replay_setup){ .capacity = 3 * T + 5, .horizon = T,
            .n_step = steps[j % TEST_COUNT(steps)], .discount = 0.93, .is_prioritised = i % 2,
            .priority_exponent = 0.7 });
        for (int k = 0; k < 150; k++) {
            /* Whole fragments, interrupted ones, and ones cut where a run has enough. */
            int n = k % 3 ? T : 1 + (int)rng_below(&w->rng, (uint64_t)T);
            int max = k % 5 ? n : 1 + (int)rng_below(&w->rng, (uint64_t)n);
            append(w, n, end, max);
            draw_and_check(w, 32, 0.5);
        }
        world_destroy(w);
    }
}
END_TEST

START_TEST(a_fragment_shorter_than_n_bootstraps_from_its_end)
{
    struct world *w = world_create((struct replay_setup){ .capacity = 10, .horizon = 4, .n_step = 9,
                                                          .discount = 0.5 });
    append(w, 4, 0, 4);
    append(w, 4, 0, 4);    /* what lies behind must not leak in */
    draw(w, 200, 0);
    for (int b = 0; b < 200; b++) {
        int first = drawn(w, b) < 5 ? 0 : 5;
        ck_assert_int_eq((int)w->rows[b][1][0], first + 4);
        ck_assert_double_eq((double)w->discount[b], pow(0.5, first + 4 - drawn(w, b)));
        ck_assert_int_eq(row_kind_of(shape, w->rows[b][0]), ROW_STEP);
    }
    world_destroy(w);
}
END_TEST

/* ---- priorities ---- */

/* Give every transition held an error of its own; returns how many are held. */
static int spread_priorities(struct world *w)
{
    int n_told = 0;
    bool *is_told = calloc((size_t)w->n_states, sizeof(*is_told));
    for (int round = 0; n_told < replay_size(w->replay); round++) {
        if (round == 100000)
            ck_abort_msg("some transitions are never drawn");
        draw(w, 64, 1);
        for (int b = 0; b < 64; b++) {
            int s = drawn(w, b);
            float error = (float)rng_uniform(&w->rng, 0.5, 3) * (s % 2 ? 1.0f : -1.0f);
            if (!is_told[s]) {
                prioritise(w, 1, &w->tickets[b], &s, &error);
                n_told++;
            }
            is_told[s] = true;
        }
    }
    free(is_told);
    return n_told;
}

/* How often each state comes in `batches` draws of B. */
static int *count_draws(struct world *w, int batches, int B)
{
    int *times = calloc((size_t)w->n_states, sizeof(*times));
    for (int k = 0; k < batches; k++) {
        draw(w, B, 1);
        for (int b = 0; b < B; b++)
            times[drawn(w, b)]++;
    }
    return times;
}

static double mass(const struct world *w, int s)
{
    return pow(w->all[s].priority, w->setup.priority_exponent);
}

static double total_mass(const struct world *w)
{
    double total = 0;
    for (int s = oldest_held(w); s < w->n_states; s++)
        total += w->all[s].priority > 0 ? mass(w, s) : 0;
    return total;
}

START_TEST(transitions_are_drawn_in_proportion_to_their_priorities)
{
    enum { DRAWS = 200000 };
    static const double exponents[] = { 0, 0.6, 1, 2 };
    for (size_t i = 0; i < TEST_COUNT(exponents); i++) {
        struct world *w = prioritised(150, 10, exponents[i]);
        for (int k = 0; k < 60; k++)
            append(w, 10, 0.2, 10);
        int n = spread_priorities(w);
        /* One at a time, so that draws are independent. */
        int *times = count_draws(w, DRAWS, 1);
        double total = total_mass(w), chi2 = 0;
        for (int s = oldest_held(w); s < w->n_states; s++)
            if (w->all[s].priority > 0) {
                double expected = DRAWS * mass(w, s) / total;
                chi2 += (times[s] - expected) * (times[s] - expected) / expected;
            } else {
                ck_assert_int_eq(times[s], 0);
            }
        double freedom = n - 1, five = 5 * sqrt(2 * freedom);
        ck_assert_double_lt(chi2, freedom + five);
        ck_assert_double_gt(chi2, freedom - five);
        free(times);
        world_destroy(w);
    }
}
END_TEST

/* Parts of equal mass: a transition that spans m of them comes more than m - 2 and less than m + 2 times. */
START_TEST(each_part_of_the_mass_gives_one_draw)
{
    enum { B = 256 };
    struct world *w = prioritised(40, 10, 1);
    for (int k = 0; k < 9; k++)
        append(w, 10, 0.2, 10);
    spread_priorities(w);
    for (int k = 0; k < 50; k++) {
        int *times = count_draws(w, 1, B);
        double total = total_mass(w);
        for (int s = oldest_held(w); s < w->n_states; s++)
            if (w->all[s].priority > 0)
                ck_assert_double_lt(fabs(times[s] - B * mass(w, s) / total), 2);
        free(times);
    }
    world_destroy(w);
}
END_TEST

/* Appending, drawing, and priorities that come at once or several appends late, in a small ring. */
START_TEST(priorities_and_weights_stay_those_of_the_model)
{
    static const double exponents[] = { 0, 0.6, 1 }, ends[] = { 0, 0.2, 1 };
    static const int64_t capacities[] = { 8, 50, 333 };
    enum { B = 32, LATE = 3 };
    for (size_t i = 0; i < 27; i++) {
        struct world *w = prioritised(capacities[i % 3], 8, exponents[i / 3 % 3]);
        struct replay_ticket tickets[LATE][B];
        int states[LATE][B], n_gone = 0;
        for (int k = 0; k < 600; k++) {
            float error[B];
            append(w, 1 + (int)rng_below(&w->rng, 8), ends[i / 9], 1 + (int)rng_below(&w->rng, 8));
            draw_and_check(w, B, rng_uniform(&w->rng, 0, 1));
            int late = k % LATE;
            for (int b = 0; b < B; b++)
                error[b] = (float)(rng_normal(&w->rng) * 4);
            if (k >= LATE)
                n_gone += prioritise(w, B, tickets[late], states[late], error);
            memcpy(tickets[late], w->tickets, sizeof(tickets[late]));
            for (int b = 0; b < B; b++)
                states[late][b] = drawn(w, b);
            draw_and_check(w, 7, 1);
        }
        if (capacities[i % 3] == 8)
            ck_assert_int_gt(n_gone, 0);
        world_destroy(w);
    }
}
END_TEST

START_TEST(late_priorities_of_overwritten_rows_are_dropped_and_counted)
{
    enum { B = 64 };
    struct world *w = prioritised(32, 8, 1);
    struct replay_ticket tickets[B];
    float error[B];
    for (int b = 0; b < B; b++)
        error[b] = 1e6f;
    for (int k = 0; k < 4; k++)
        append(w, 8, 0, 8);
    draw(w, B, 1);
    memcpy(tickets, w->tickets, sizeof(tickets));
    /* Their rows are taken by others, again and again; the tickets stay void. */
    for (int k = 0; k < 200; k++) {
        append(w, 8, 0, 8);
        if (k < 4)
            continue;
        ck_assert_int_eq(replay_prioritise(w->replay, B, tickets, error), B);
        draw(w, B, 1);
        for (int b = 0; b < B; b++)
            ck_assert_double_eq((double)w->weight[b], 1);    /* all alike still, the newest too */
    }
    world_destroy(w);
}
END_TEST

START_TEST(new_transitions_have_the_largest_priority_so_far)
{
    struct world *w = prioritised(16, 8, 1);
    float error = 50;
    append(w, 8, 0, 8);
    draw(w, 1, 1);
    ck_assert_int_eq(replay_prioritise(w->replay, 1, w->tickets, &error), 0);
    for (int k = 0; k < 10; k++)
        append(w, 8, 0, 8);    /* the one with 50 is gone by now */
    error = 5;
    draw(w, 1, 1);
    replay_prioritise(w->replay, 1, w->tickets, &error);
    int s = drawn(w, 0);
    draw(w, MAX_B, 1);
    int n_seen = 0;
    for (int b = 0; b < MAX_B; b++) {
        double expected = drawn(w, b) == s ? 1 : 5.000001 / 50.000001;
        ck_assert_double_eq_tol((double)w->weight[b], expected, 1e-6);
        n_seen += drawn(w, b) == s;
    }
    ck_assert_int_gt(n_seen, 0);
    world_destroy(w);
}
END_TEST

START_TEST(errors_that_are_not_finite_change_nothing)
{
    static const float errors[] = { NAN, INFINITY, -INFINITY };
    struct world *w = prioritised(16, 8, 0.6);
    append(w, 8, 0, 8);
    draw(w, 3, 1);
    ck_assert_int_eq(replay_prioritise(w->replay, 3, w->tickets, errors), 3);
    draw(w, 64, 1);
    for (int b = 0; b < 64; b++)
        ck_assert_double_eq((double)w->weight[b], 1);
    world_destroy(w);
}
END_TEST

START_TEST(an_error_of_0_is_drawn_still)
{
    const float errors[8] = { 0 };
    struct world *w = prioritised(8, 8, 1);
    append(w, 8, 0, 8);
    draw(w, 8, 1);
    ck_assert_int_eq(replay_prioritise(w->replay, 8, w->tickets, errors), 0);
    draw(w, 64, 1);
    for (int b = 0; b < 64; b++)
        ck_assert_double_eq((double)w->weight[b], 1);
    world_destroy(w);
}
END_TEST

START_TEST(without_priorities_weights_are_1_and_errors_say_nothing)
{
    struct world *w = world_create((struct replay_setup){ .capacity = 100, .horizon = 8, .n_step = 3,
                                                          .discount = 0.9 });
    float errors[64];
    for (int b = 0; b < 64; b++)
        errors[b] = (float)b;
    for (int k = 0; k < 30; k++) {
        append(w, 8, 0.1, 8);
        draw_and_check(w, 64, 1);
        ck_assert_int_eq(replay_prioritise(w->replay, 64, w->tickets, errors), 0);
    }
    world_destroy(w);
}
END_TEST

START_TEST(the_same_calls_draw_the_same)
{
    struct world *w[2];
    for (int i = 0; i < 2; i++) {
        w[i] = world_create((struct replay_setup){ .capacity = 60, .horizon = 8, .n_step = 3,
            .discount = 0.9, .is_prioritised = true, .priority_exponent = 0.6 });
        for (int k = 0; k < 300; k++) {
            float errors[16];
            append(w[i], 8, 0.1, 8);
            draw(w[i], 16, 0.4);
            for (int b = 0; b < 16; b++)
                errors[b] = (float)rng_normal(&w[i]->rng);
            replay_prioritise(w[i]->replay, 16, w[i]->tickets, errors);
        }
        draw(w[i], MAX_B, 0.4);
    }
    ck_assert_mem_eq(w[0]->rows, w[1]->rows, sizeof(w[0]->rows));
    ck_assert_mem_eq(w[0]->weight, w[1]->weight, sizeof(w[0]->weight));
    ck_assert_mem_eq(w[0]->tickets, w[1]->tickets, sizeof(w[0]->tickets));
    world_destroy(w[0]);
    world_destroy(w[1]);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        n_step_transitions_are_those_of_a_walk_by_hand,
        a_fragment_shorter_than_n_bootstraps_from_its_end,
        transitions_are_drawn_in_proportion_to_their_priorities,
        each_part_of_the_mass_gives_one_draw,
        priorities_and_weights_stay_those_of_the_model,
        late_priorities_of_overwritten_rows_are_dropped_and_counted,
        new_transitions_have_the_largest_priority_so_far,
        errors_that_are_not_finite_change_nothing,
        an_error_of_0_is_drawn_still,
        without_priorities_weights_are_1_and_errors_say_nothing,
        the_same_calls_draw_the_same,
    };
    return suite_run("replay draws", tests, TEST_COUNT(tests), 60);
}
