/* Increments of running statistics: merged, they are what the learner would have of the rows themselves. */
#include "common/row_statistics.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "common/rng.h"
#include "learner/normalisation.h"
#include "tests/support.h"

enum { N_OBS = 4, STRIDE = N_OBS + 4, T = 20, STREAMS = 3, MAX_INCREMENT = 1 + 2 * N_OBS + 3 };

static const struct row_shape shape = { N_OBS, 1 };
static const double FIRST = 1e-4;
static struct arena *arena;

static struct row_statistics make(bool of_observations, bool of_rewards, double first_count)
{
    struct row_statistics s;
    const struct row_statistics_setup setup = { shape, STREAMS, of_observations, of_rewards, 0.9, first_count };
    row_statistics_init(&s, &setup, arena);
    return s;
}

/* A fragment of n transitions in which episodes end; observations are far from 0 against their spread. */
static int draw_fragment(struct rng *rng, int n, float rows[2 * T][STRIDE])
{
    int n_rows = 0;
    for (int t = 0; t < n; t++) {
        const double u = rng_uniform(rng, 0, 1);
        const enum row_kind kind = u < 0.1 ? ROW_TERMINATED : u < 0.2 ? ROW_TRUNCATED : ROW_STEP;
        for (int is_close = 0; is_close <= (kind != ROW_STEP || t + 1 == n); is_close++) {
            float *row = rows[n_rows++];
            for (int i = 0; i < N_OBS; i++)
                row[i] = (float)(1000 * i - 500 + rng_normal(rng));
            row[row_act(shape)] = row[row_log_prob(shape)] = 0;
            row[row_reward(shape)] = is_close ? 0 : (float)(3 + rng_normal(rng));
            row[row_kind(shape)] = (float)(is_close ? ROW_CLOSE : kind);
        }
    }
    return n_rows;
}

static void check_near(double found, double expected)
{
    ck_assert_msg(fabs(found - expected) <= 1e-12 * fabs(expected), "%.17g instead of %.17g", found, expected);
}

static void check_same(const struct row_statistics *a, const struct row_statistics *b)
{
    for (int i = 0; i < 1 + 2 * N_OBS; i++)
        check_near(a->obs.store[i], b->obs.store[i]);
    for (int i = 0; i < 3; i++)
        check_near(a->ret.store[i], b->ret.store[i]);
}

/* Rounds of every stream's fragment: consumed by one, and in increments of `every` rounds by `n_actors` who
 * share the streams, merged by another. */
static void check_increments(int n_actors, int every)
{
    struct row_statistics own = make(true, true, FIRST), merged = make(true, true, FIRST);
    struct row_statistics actors[STREAMS];
    struct rng rng;
    rng_init(&rng, 3, RNG_TEST, 0, 0);
    for (int a = 0; a < n_actors; a++)
        actors[a] = make(true, true, 0);
    for (int round = 1; round <= 60; round++) {
        for (int stream = 0; stream < STREAMS; stream++) {
            float rows[2 * T][STRIDE];
            const bool is_fresh = stream == 1 && round % 17 == 0;
            const int n = 1 + (int)rng_below(&rng, T), n_rows = draw_fragment(&rng, n, rows);
            row_statistics_consume(&own, stream, is_fresh, rows, n_rows, n);
            row_statistics_consume(&actors[stream % n_actors], stream, is_fresh, rows, n_rows, n);
        }
        for (int a = 0; a < n_actors && round % every == 0; a++) {
            double increment[MAX_INCREMENT];
            struct error err;
            ck_assert_uint_eq(row_statistics_increment_n(&actors[a].setup), MAX_INCREMENT);
            row_statistics_increment(&actors[a], increment);
            row_statistics_clear(&actors[a]);
            ck_assert_int_eq(row_statistics_merge(&merged, increment, &err), 0);
        }
    }
    check_same(&merged, &own);
}

START_TEST(increments_of_one_actor_give_the_statistics_of_its_rows)
{
    check_increments(1, 1);
    check_increments(1, 5);
}
END_TEST

START_TEST(increments_of_several_actors_give_the_statistics_of_all_rows)
{
    check_increments(3, 2);
}
END_TEST

START_TEST(an_increment_is_count_mean_and_squared_deviations)
{
    struct row_statistics s = make(true, true, 0);
    float rows[3][STRIDE] = { { 0 } };
    double x[MAX_INCREMENT];
    rows[0][2] = 1, rows[1][2] = 4, rows[2][2] = 1e6f;
    rows[0][row_reward(shape)] = 2, rows[1][row_reward(shape)] = 6.2f;    /* R = 2, 8 */
    rows[2][row_kind(shape)] = (float)ROW_CLOSE;
    row_statistics_consume(&s, 0, true, rows, 3, 2);
    row_statistics_increment(&s, x);
    ck_assert(x[0] == 2 && x[1 + 2] == 2.5 && x[1 + N_OBS + 2] == 4.5 && x[1] == 0 && x[1 + N_OBS] == 0);
    ck_assert(x[9] == 2);
    ck_assert_double_eq_tol(x[10], 5, 1e-6);
    ck_assert_double_eq_tol(x[11], 18, 1e-5);
}
END_TEST

START_TEST(a_running_return_goes_on_behind_an_increment)
{
    struct row_statistics s = make(false, true, 0);
    float rows[2][STRIDE] = { { 0 } };
    double x[3];
    rows[0][row_reward(shape)] = 1;
    rows[1][row_kind(shape)] = (float)ROW_CLOSE;
    for (int i = 0; i < 3; i++) {
        row_statistics_clear(&s);
        row_statistics_consume(&s, 2, i == 0, rows, 2, 1);
    }
    ck_assert_uint_eq(row_statistics_increment_n(&s.setup), 3);
    row_statistics_increment(&s, x);
    ck_assert_double_eq(x[0], 1);
    ck_assert_double_eq_tol(x[1], 1 + 0.9 + 0.81, 1e-12);
    ck_assert_double_eq(x[2], 0);
}
END_TEST

START_TEST(an_empty_increment_changes_nothing)
{
    struct row_statistics s = make(true, true, FIRST), before = make(true, true, FIRST);
    struct row_statistics actor = make(true, true, 0);
    double x[MAX_INCREMENT];
    struct error err;
    row_statistics_increment(&actor, x);
    ck_assert_int_eq(row_statistics_merge(&s, x, &err), 0);
    check_same(&s, &before);
    struct row_statistics empty = make(true, true, 0);
    ck_assert_int_eq(row_statistics_merge(&empty, x, &err), 0);
    check_same(&empty, &actor);
    const struct row_statistics none = make(false, false, 0);
    ck_assert_uint_eq(row_statistics_increment_n(&none.setup), 0);
}
END_TEST

START_TEST(numbers_that_no_rows_have_are_refused_and_change_nothing)
{
    static const struct { int at; double value; } bad[] = {
        { 0, -1 }, { 0, 2.5 }, { 0, NAN }, { 0, INFINITY }, { 0, 1e17 }, { 0, 3 }, { 9, 3 },
        { 1, NAN }, { 2, INFINITY }, { 3, 1e39 }, { 5, -1e-9 }, { 6, NAN }, { 7, INFINITY }, { 8, 1e90 },
        { 10, NAN }, { 10, 1e61 }, { 11, -1 }, { 11, INFINITY },
    };
    const double good[MAX_INCREMENT] = { 2, 1, 2, 3, 4, 5, 6, 7, 8, 2, 1, 1 };
    struct error err;
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        struct row_statistics s = make(true, true, FIRST), before = make(true, true, FIRST);
        double x[MAX_INCREMENT];
        memcpy(x, good, sizeof(x));
        ck_assert_int_eq(row_statistics_merge(&s, x, &err), 0);
        ck_assert_int_eq(row_statistics_merge(&before, x, &err), 0);
        x[bad[i].at] = bad[i].value;
        ck_assert_msg(row_statistics_merge(&s, x, &err) == ERR_FORMAT, "%d: %g", bad[i].at, bad[i].value);
        check_same(&s, &before);
    }
    struct row_statistics s = make(true, false, FIRST);
    double x[MAX_INCREMENT] = { 2.5 };
    ck_assert_int_eq(row_statistics_merge(&s, x, &err), ERR_FORMAT);
    x[0] = 2;
    ck_assert_int_eq(row_statistics_merge(&s, x, &err), 0);
}
END_TEST

START_TEST(the_largest_numbers_there_are_leave_finite_statistics)
{
    struct row_statistics s = make(true, true, FIRST);
    struct error err;
    for (int k = 0; k < 4; k++) {
        double x[MAX_INCREMENT] = { 1e15 };
        const double sign = k % 2 ? 1 : -1, large = (double)FLT_MAX;
        for (int i = 0; i < N_OBS; i++)
            x[1 + i] = sign * large, x[1 + N_OBS + i] = 3 * large * large * 1e15;
        x[9] = 1e15, x[10] = sign * 1e60, x[11] = 3e135;
        ck_assert_int_eq(row_statistics_merge(&s, x, &err), 0);
    }
    for (int i = 0; i < 1 + 2 * N_OBS; i++)
        ck_assert(isfinite(s.obs.store[i]));
    for (int i = 0; i < N_OBS; i++)
        ck_assert(isfinite((float)s.obs.store[1 + i]) && moments_inverse_std(&s.obs, i) > 0);
    ck_assert(isfinite(s.ret.store[1]) && isfinite(s.ret.store[2]) && moments_inverse_std(&s.ret, 0) > 0);
}
END_TEST

/* ---- the learner's side ---- */

START_TEST(a_learner_normalises_with_what_actors_consumed_as_with_what_it_consumed)
{
    const struct normalisation_setup setup = { shape, STREAMS, true, true, 0.9, 2 };
    struct normalisation *own = normalisation_create(&setup, arena), *merged = normalisation_create(&setup, arena);
    struct row_statistics actor = make(true, true, 0);
    struct rng rng;
    struct error err;
    float rows[2 * T][STRIDE], a[2 * N_OBS + 1], b[2 * N_OBS + 1];
    double increment[MAX_INCREMENT];
    rng_init(&rng, 4, RNG_TEST, 0, 0);
    for (int i = 0; i < 9; i++) {
        const int n_rows = draw_fragment(&rng, T, rows);
        normalisation_consume(own, i % STREAMS, false, rows, n_rows, T);
        row_statistics_consume(&actor, i % STREAMS, false, rows, n_rows, T);
        row_statistics_increment(&actor, increment);
        row_statistics_clear(&actor);
        ck_assert_uint_eq(normalisation_increment_n(merged), MAX_INCREMENT);
        ck_assert_int_eq(normalisation_merge(merged, increment, &err), 0);
    }
    ck_assert_uint_eq(normalisation_write_reward_scale(merged, b), 1);
    ck_assert_double_eq_tol((double)b[0], 1, 1e-6);    /* from the next version on */
    normalisation_refresh(own);
    normalisation_refresh(merged);
    ck_assert_uint_eq(normalisation_write(own, a), 2 * N_OBS);
    ck_assert_uint_eq(normalisation_write(merged, b), 2 * N_OBS);
    ck_assert_uint_eq(normalisation_write_reward_scale(own, a + 2 * N_OBS), 1);
    ck_assert_uint_eq(normalisation_write_reward_scale(merged, b + 2 * N_OBS), 1);
    for (int i = 0; i < 2 * N_OBS + 1; i++)
        ck_assert_double_eq_tol((double)a[i], (double)b[i], 2e-7 * fabs((double)a[i]));
    ck_assert(a[2 * N_OBS] < 0.9f);
}
END_TEST

START_TEST(without_reward_scaling_a_snapshot_has_no_scale)
{
    const struct normalisation_setup setup = { shape, STREAMS, true, false, 0.9, 2 };
    float x = 7;
    ck_assert_uint_eq(normalisation_write_reward_scale(normalisation_create(&setup, arena), &x), 0);
    ck_assert(x == 7);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        increments_of_one_actor_give_the_statistics_of_its_rows,
        increments_of_several_actors_give_the_statistics_of_all_rows,
        an_increment_is_count_mean_and_squared_deviations,
        a_running_return_goes_on_behind_an_increment,
        an_empty_increment_changes_nothing,
        numbers_that_no_rows_have_are_refused_and_change_nothing,
        the_largest_numbers_there_are_leave_finite_statistics,
        a_learner_normalises_with_what_actors_consumed_as_with_what_it_consumed,
        without_reward_scaling_a_snapshot_has_no_scale,
    };
    arena = arena_create(1 << 16);
    int failed = suite_run("row_statistics", tests, TEST_COUNT(tests), 20);
    arena_destroy(&arena);
    return failed;
}
