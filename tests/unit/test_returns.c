/* What must hold of returns whatever the numbers are; tests/golden/test_returns_golden.c has the numbers. */
#include "learner/returns.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/rng.h"
#include "tests/support.h"

enum { MAX_ROWS = 256, STRIDE = 5 };

static const struct row_shape shape = { 1, 1 };

/* A round that grows by transitions and CLOSE rows, with the values and ratios of its rows. */
struct world {
    struct rng rng;
    real rows[MAX_ROWS][STRIDE], value[MAX_ROWS], log_ratio[MAX_ROWS];
    real advantage[MAX_ROWS], target[MAX_ROWS];
    int first[MAX_ROWS];
    struct round round;
};

static void start(struct world *w)
{
    memset(w, 0, sizeof(*w));
    rng_init(&w->rng, 5, RNG_TEST, 0, 0);
    w->round = (struct round){ .shape = shape, .rows = w->rows[0], .first = w->first };
}

static void add(struct world *w, enum row_kind kind, double reward, double value)
{
    int t = w->round.n_rows++;
    w->rows[t][row_reward(shape)] = kind == ROW_CLOSE ? 0 : (real)reward;
    w->rows[t][row_kind(shape)] = (real)kind;
    w->value[t] = (real)value;
    w->round.n_transitions += kind != ROW_CLOSE;
}

static void end_fragment(struct world *w)
{
    w->first[++w->round.n_fragments] = w->round.n_rows;
}

static double any(struct world *w) { return rng_uniform(&w->rng, -2, 2); }

/* Fragments of 1 to 12 transitions in which episodes end both ways. */
static void add_fragments(struct world *w)
{
    static const enum row_kind ends[] = { ROW_STEP, ROW_STEP, ROW_STEP, ROW_TERMINATED, ROW_TRUNCATED };
    while (w->round.n_rows < MAX_ROWS - 24) {
        int n = 1 + (int)rng_below(&w->rng, 12);
        for (int t = 0; t < n; t++) {
            enum row_kind kind = ends[rng_below(&w->rng, TEST_COUNT(ends))];
            add(w, kind, any(w), any(w));
            if (kind != ROW_STEP || t + 1 == n)
                add(w, ROW_CLOSE, 0, any(w));
        }
        end_fragment(w);
    }
}

static void gae(struct world *w, double gamma, double lambda, bool truncation_terminates)
{
    returns_gae(&w->round, w->value, gamma, lambda, truncation_terminates, w->advantage, w->target);
}

static void vtrace(struct world *w, double gamma, double lambda, double rho_bar, double c_bar)
{
    returns_vtrace(&w->round, w->value, w->log_ratio,
                   &(struct vtrace){ gamma, lambda, rho_bar, c_bar }, w->advantage, w->target);
}

static void check_near(real x, double expected)
{
    ck_assert_double_eq_tol((double)x, expected, 1e-5);
}

/* An episode that is truncated behind its second step, then another one. */
static void add_cut_episode(struct world *w, enum row_kind end)
{
    add(w, ROW_STEP, 1, 10);
    add(w, end, 2, 20);
    add(w, ROW_CLOSE, 0, 30);
    add(w, ROW_STEP, 100, 1000);
    add(w, ROW_CLOSE, 0, 2000);
    end_fragment(w);
}

START_TEST(truncation_bootstraps_and_ends_the_trace)
{
    struct world w;
    start(&w);
    add_cut_episode(&w, ROW_TRUNCATED);
    gae(&w, 0.5, 0.5, false);
    check_near(w.advantage[1], 2 + 0.5 * 30 - 20);
    check_near(w.advantage[0], 1 + 0.5 * 20 - 10 + 0.25 * (2 + 0.5 * 30 - 20));
    vtrace(&w, 0.5, 1, 1, 1);
    check_near(w.target[1], 2 + 0.5 * 30);
    check_near(w.target[0], 1 + 0.5 * (2 + 0.5 * 30));
    check_near(w.advantage[1], 2 + 0.5 * 30 - 20);
}
END_TEST

START_TEST(truncation_terminates_where_that_is_asked_for)
{
    struct world w;
    start(&w);
    add_cut_episode(&w, ROW_TRUNCATED);
    w.value[2] = (real)NAN;    /* not even looked at */
    gae(&w, 0.5, 0.5, true);
    check_near(w.advantage[1], 2 - 20);
    check_near(w.advantage[0], 1 + 0.5 * 20 - 10 + 0.25 * (2 - 20));
    check_near(w.advantage[3], 100 + 0.5 * 2000 - 1000);    /* the end of a fragment still bootstraps */
}
END_TEST

START_TEST(termination_does_not_bootstrap_whatever_the_value_behind_it)
{
    static const double values[] = { 30, NAN, INFINITY };
    for (size_t i = 0; i < TEST_COUNT(values); i++) {
        struct world w;
        start(&w);
        add_cut_episode(&w, ROW_TERMINATED);
        w.value[2] = (real)values[i];
        gae(&w, 0.5, 0.5, false);
        check_near(w.advantage[1], 2 - 20);
        check_near(w.target[1], 2);
        vtrace(&w, 0.5, 1, 1, 1);
        check_near(w.target[1], 2);
        check_near(w.target[0], 1 + 0.5 * 2);
        check_near(w.advantage[0], 1 + 0.5 * 2 - 10);
    }
}
END_TEST

START_TEST(the_end_of_a_fragment_bootstraps_and_ends_the_trace)
{
    struct world w;
    start(&w);
    add(&w, ROW_STEP, 1, 10);
    add(&w, ROW_CLOSE, 0, 30);
    end_fragment(&w);
    add(&w, ROW_STEP, 100, 1000);    /* the next stream's fragment */
    add(&w, ROW_CLOSE, 0, 2000);
    end_fragment(&w);
    gae(&w, 0.5, 1, false);
    check_near(w.advantage[0], 1 + 0.5 * 30 - 10);
    vtrace(&w, 0.5, 1, 1, 1);
    check_near(w.advantage[0], 1 + 0.5 * 30 - 10);
}
END_TEST

/* At ratio 1, lambda 1 and no clipping: r_0 + gamma r_1 + ... + gamma^n V(s_n). */
START_TEST(vtrace_of_its_own_policy_is_the_n_step_return)
{
    struct world w;
    start(&w);
    add_fragments(&w);
    vtrace(&w, 0.9, 1, 1, 1);
    for (int t = 0; t < w.round.n_rows; t++) {
        double sum = 0, discount = 1;
        if (w.rows[t][row_kind(shape)] == (real)ROW_CLOSE)
            continue;
        for (int i = t;; i++, discount *= 0.9) {
            enum row_kind kind = (enum row_kind)(int)w.rows[i][row_kind(shape)];
            if (kind == ROW_CLOSE) {
                sum += discount * (double)w.value[i];
                break;
            }
            sum += discount * (double)w.rows[i][row_reward(shape)];
            if (kind == ROW_TERMINATED)
                break;
        }
        check_near(w.target[t], sum);
    }
}
END_TEST

START_TEST(vtrace_of_its_own_policy_has_the_targets_of_gae)
{
    static const double lambdas[] = { 0, 0.3, 0.95, 1 };
    for (size_t k = 0; k < TEST_COUNT(lambdas); k++) {
        struct world w;
        real target[MAX_ROWS];
        start(&w);
        add_fragments(&w);
        gae(&w, 0.97, lambdas[k], false);
        memcpy(target, w.target, sizeof(target));
        vtrace(&w, 0.97, lambdas[k], 1, 1);
        for (int t = 0; t < w.round.n_rows; t++)
            check_near(w.target[t], (double)target[t]);
    }
}
END_TEST

START_TEST(ratios_beyond_the_bars_change_nothing_more)
{
    struct world w;
    real target[MAX_ROWS];
    start(&w);
    add_fragments(&w);
    for (int t = 0; t < w.round.n_rows; t++)
        w.log_ratio[t] = 1;
    vtrace(&w, 0.97, 1, 2, 1.5);
    memcpy(target, w.target, sizeof(target));
    for (int t = 0; t < w.round.n_rows; t++)
        w.log_ratio[t] = 1000;    /* exp overflows */
    vtrace(&w, 0.97, 1, 2, 1.5);
    ck_assert_mem_eq(target, w.target, sizeof(real) * (size_t)w.round.n_rows);
    for (int t = 0; t < w.round.n_rows; t++)
        w.log_ratio[t] = -1000;    /* never done by pi: V stays */
    vtrace(&w, 0.97, 1, 2, 1.5);
    for (int t = 0; t < w.round.n_rows; t++)
        check_near(w.target[t], w.rows[t][row_kind(shape)] == (real)ROW_CLOSE ? 0 : (double)w.value[t]);
}
END_TEST

START_TEST(a_ratio_that_is_no_number_is_not_hidden)
{
    struct world w;
    start(&w);
    add_cut_episode(&w, ROW_TRUNCATED);
    w.log_ratio[1] = (real)NAN;
    vtrace(&w, 0.5, 1, 1, 1);
    ck_assert(isnan(w.target[0]) && isnan(w.target[1]) && isnan(w.advantage[1]));
    ck_assert(isfinite(w.target[3]));
}
END_TEST

START_TEST(close_rows_have_neither_advantage_nor_target)
{
    struct world w;
    start(&w);
    add_fragments(&w);
    for (int pass = 0; pass < 2; pass++) {
        memset(w.advantage, 0x7f, sizeof(w.advantage));
        memset(w.target, 0x7f, sizeof(w.target));
        if (pass)
            vtrace(&w, 0.9, 1, 1, 1);
        else
            gae(&w, 0.9, 0.9, false);
        for (int t = 0; t < w.round.n_rows; t++)
            if (w.rows[t][row_kind(shape)] == (real)ROW_CLOSE)
                ck_assert(w.advantage[t] == 0 && w.target[t] == 0);
    }
}
END_TEST

START_TEST(explained_variance_tells_perfect_from_useless_values)
{
    struct world w;
    start(&w);
    add_fragments(&w);
    gae(&w, 0.9, 1, false);
    ck_assert_double_eq(returns_explained_variance(&w.round, w.target, w.target), 1);
    real constant[MAX_ROWS] = { 0 };
    ck_assert_double_eq_tol(returns_explained_variance(&w.round, constant, w.target), 0, 1e-12);
    /* Far from zero and close together; CLOSE rows do not count. */
    for (int t = 0; t < w.round.n_rows; t++)
        w.target[t] = w.rows[t][row_kind(shape)] == (real)ROW_CLOSE ? 0 : (real)(1e6 + t % 2);
    ck_assert_double_eq_tol(returns_explained_variance(&w.round, constant, w.target), 0, 1e-6);
    for (int t = 0; t < w.round.n_rows; t++)
        w.target[t] = 0.1f;
    ck_assert_double_eq(returns_explained_variance(&w.round, w.value, w.target), 0);
}
END_TEST

START_TEST(normalised_numbers_have_mean_0_and_std_1_and_others_stay)
{
    static const int at[] = { 4, 0, 2, 1 };
    real x[] = { 1, 2, 4, 77, 9 };    /* of 1, 2, 4, 9: mean 4, variance (9 + 4 + 0 + 25) / 3 */
    const struct spread s = returns_spread(x, at, 4);
    ck_assert_double_eq_tol(s.mean, 4, 1e-12);
    ck_assert_double_eq_tol(s.std, sqrt(38.0 / 3), 1e-12);
    returns_normalise(x, at, 4, s);
    ck_assert_double_eq_tol((double)x[4], 5 / sqrt(38.0 / 3), 1e-6);
    ck_assert_double_eq_tol((double)x[0], -3 / sqrt(38.0 / 3), 1e-6);
    ck_assert(x[2] == 0 && x[3] == 77);
    ck_assert_double_eq_tol(returns_spread(x + 3, NULL, 2).mean, (77 + (double)x[4]) / 2, 1e-6);
    ck_assert(returns_spread(x, NULL, 1).std == 0);
}
END_TEST

START_TEST(weights_with_which_vtrace_cannot_work_are_refused)
{
    struct error err;
    const struct vtrace good = { 0.99, 1, 1, 1 }, frozen = { 0.99, 1, 0, 0 }, wild = { 0.99, 1, 1, 1.5 };
    ck_assert_int_eq(returns_check_vtrace("ppo", &good, false, &err), 0);
    ck_assert_int_eq(returns_check_vtrace("ppo", &frozen, false, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "ppo.rho_bar 0"));
    ck_assert_int_eq(returns_check_vtrace("ppo", &wild, false, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "ppo.c_bar is 1.5"));
    ck_assert_int_eq(returns_check_vtrace("ppo", &good, true, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "ppo.truncation_terminates=false"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        truncation_bootstraps_and_ends_the_trace,
        truncation_terminates_where_that_is_asked_for,
        termination_does_not_bootstrap_whatever_the_value_behind_it,
        the_end_of_a_fragment_bootstraps_and_ends_the_trace,
        vtrace_of_its_own_policy_is_the_n_step_return,
        vtrace_of_its_own_policy_has_the_targets_of_gae,
        ratios_beyond_the_bars_change_nothing_more,
        a_ratio_that_is_no_number_is_not_hidden,
        close_rows_have_neither_advantage_nor_target,
        explained_variance_tells_perfect_from_useless_values,
        normalised_numbers_have_mean_0_and_std_1_and_others_stay,
        weights_with_which_vtrace_cannot_work_are_refused,
    };
    return suite_run("returns", tests, TEST_COUNT(tests), 60);
}
