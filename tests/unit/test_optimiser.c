/* What optimisers do with gradients that are no numbers; the numbers are in golden/test_optimiser_golden.c. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "common/dispatch.h"
#include "common/rng.h"
#include "learner/optimiser.h"
#include "tests/support.h"

enum { N = 11, KINDS = 4 };

static struct optimiser make(int kind, double max_norm, real *m, real *v)
{
    struct optimiser o = { .learning_rate = 0.1, .m = m, .v = v, .n = N,
                           .hyper = { .kind = kind, .epsilon = 1e-8, .beta1 = 0.9, .beta2 = 0.999,
                                      .decay = 0.99, .weight_decay = 0.1, .max_grad_norm = max_norm } };
    optimiser_reset(&o);
    return o;
}

START_TEST(a_gradient_that_is_not_usable_moves_nothing)
{
    static const real bad[] = { (real)NAN, (real)INFINITY, (real)-INFINITY, 1e20f };
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < TEST_COUNT(bad); i++)
            for (size_t at = 0; at < N; at++)
                for (int clips = 0; clips < 2; clips++) {
                    real m[N], v[N], theta[N], grad[N], old[4][N];
                    struct optimiser o = make(kind, clips, m, v);
                    for (size_t k = 0; k < N; k++)
                        theta[k] = (real)k, grad[k] = (real)(k + 1);
                    ck_assert_int_eq(optimiser_step(&o, theta, grad, 0.5, NULL), 0);
                    grad[at] = bad[i];
                    memcpy(old[0], theta, sizeof(theta)), memcpy(old[1], grad, sizeof(grad));
                    memcpy(old[2], m, sizeof(m)), memcpy(old[3], v, sizeof(v));
                    double norm = 0;
                    ck_assert_int_eq(optimiser_step(&o, theta, grad, 0.5, &norm), ERR_NUMERIC);
                    ck_assert(!(norm < 1e19));
                    ck_assert_mem_eq(old[0], theta, sizeof(theta));
                    ck_assert_mem_eq(old[1], grad, sizeof(grad));
                    ck_assert_mem_eq(old[2], m, sizeof(m));
                    ck_assert_mem_eq(old[3], v, sizeof(v));
                    ck_assert_int_eq(o.t, 1);
                }
}
END_TEST

START_TEST(the_largest_usable_gradient_leaves_everything_finite)
{
    for (int kind = 0; kind < KINDS; kind++) {
        real m[N], v[N], theta[N] = { 0 }, grad[N];
        struct optimiser o = make(kind, 0, m, v);
        for (size_t k = 0; k < N; k++)
            grad[k] = 5e18f;
        ck_assert(gradient_is_usable(grad, N));
        ck_assert_int_eq(optimiser_step(&o, theta, grad, 0, NULL), 0);
        for (size_t k = 0; k < N; k++)
            ck_assert(isfinite(theta[k]) && isfinite(m[k]) && isfinite(v[k]));
    }
}
END_TEST

START_TEST(where_there_is_no_gradient_nothing_moves)
{
    for (int kind = 0; kind < KINDS; kind++) {
        real m[N], v[N], theta[N], grad[N] = { 0 };
        struct optimiser o = make(kind, 0.5, m, v);
        o.hyper.weight_decay = 0;
        o.hyper.epsilon = 1e-20;    /* the smallest that can be asked for */
        for (size_t k = 0; k < N; k++)
            theta[k] = (real)k - 3;
        for (int t = 0; t < 3; t++)
            ck_assert_int_eq(optimiser_step(&o, theta, grad, 0, NULL), 0);
        for (size_t k = 0; k < N; k++)
            ck_assert(theta[k] == (real)k - 3);
    }
}
END_TEST

START_TEST(rmsprop_needs_no_mean_gradient)
{
    for (int kind = OPTIMISER_RMSPROP; kind <= OPTIMISER_RMSPROP_TF; kind++) {
        real m[N], v[2][N], theta[2][N] = { { 0 } }, grad[N];
        for (size_t k = 0; k < N; k++)
            grad[k] = (real)k;
        struct optimiser with = make(kind, 0, m, v[0]), without = make(kind, 0, NULL, v[1]);
        ck_assert_int_eq(optimiser_step(&with, theta[0], grad, 0, NULL), 0);
        ck_assert_int_eq(optimiser_step(&without, theta[1], grad, 0, NULL), 0);
        ck_assert_mem_eq(theta[0], theta[1], sizeof(theta[0]));
    }
}
END_TEST

START_TEST(sums_of_squares_are_of_all_numbers_and_finite_for_finite_floats)
{
    float x[40];
    for (size_t n = 0; n <= 40; n++) {
        double expected = 0;
        for (size_t k = 0; k < n; k++)
            expected += pow((double)(x[k] = (float)k - 7), 2);
        ck_assert_double_eq_tol(sum_of_squares(x, n), expected, 1e-9);
    }
    for (size_t k = 0; k < 40; k++)
        x[k] = FLT_MAX;
    ck_assert(isfinite(sum_of_squares(x, 40)));
    for (size_t at = 0; at < 40; at++) {
        x[at] = NAN;
        ck_assert(isnan(sum_of_squares(x, 40)));
        x[at] = -INFINITY;
        ck_assert(isinf(sum_of_squares(x, 40)));
        x[at] = 1;
    }
}
END_TEST

/* ---- large steps ---- */

enum { LARGE = 3 * OPTIMISER_BLOCK + 4099 };
struct large { real theta[LARGE], grad[LARGE], m[LARGE], v[LARGE], target[LARGE]; };

enum { HUGE_N = 70 * OPTIMISER_BLOCK + 4099 };
struct huge { real theta[HUGE_N], grad[HUGE_N], m[HUGE_N], v[HUGE_N], target[HUGE_N]; };

/* Three steps and moves of the target. */
static void walk(struct large *w, int kind)
{
    struct optimiser o = make(kind, 0.5, w->m, w->v);
    struct rng rng;
    o.n = LARGE;
    optimiser_reset(&o);
    rng_init(&rng, 15, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, w->theta, LARGE);
    rng_fill_normal(&rng, w->target, LARGE);
    for (int t = 0; t < 3; t++) {
        rng_fill_normal(&rng, w->grad, LARGE);
        ck_assert_int_eq(optimiser_step(&o, w->theta, w->grad, 0.25, NULL), 0);
        polyak(w->target, w->theta, LARGE, 0.01, NULL);
    }
}

/* Three clipped steps of `n` numbers and moves of their target. */
static void walk_together(struct huge *w, size_t n, int kind, struct workers *workers)
{
    struct optimiser o = make(kind, 0.5, w->m, w->v);
    struct rng rng;
    o.n = n;
    o.workers = workers;
    optimiser_reset(&o);
    rng_init(&rng, 17, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, w->theta, n);
    rng_fill_normal(&rng, w->target, n);
    for (int t = 0; t < 3; t++) {
        double norm;
        rng_fill_normal(&rng, w->grad, n);
        const double square = sum_of_squares(w->grad, n);
        ck_assert_int_eq(optimiser_step(&o, w->theta, w->grad, 0.25, &norm), 0);
        ck_assert_double_gt(norm, 0.5);
        ck_assert(norm == sqrt(square));
        polyak(w->target, w->theta, n, t == 1 ? 1 : 0.01, workers);
    }
}

/* Fewer blocks than a step has tasks, and more, each time with a rest. */
START_TEST(workers_make_the_same_step_and_the_norm_is_the_sum_of_squares_root)
{
    static struct huge alone, together;
    const size_t counts[] = { 3 * OPTIMISER_BLOCK + 4099, 65 * (size_t)OPTIMISER_BLOCK + 7, HUGE_N };
    for (size_t c = 0; c < TEST_COUNT(counts); c++)
        for (int kind = 0; kind < KINDS; kind += c == 0 ? 1 : 2) {
            walk_together(&alone, counts[c], kind, NULL);
            for (int n = 2; n <= 4; n++) {
                struct workers *workers = workers_create(n);
                walk_together(&together, counts[c], kind, workers);
                ck_assert_mem_eq(&alone, &together, sizeof(alone));
                workers_destroy(&workers);
            }
        }
}
END_TEST

START_TEST(every_width_of_vectors_makes_the_same_step)
{
    static struct large wide, narrow;
    for (int kind = 0; kind < KINDS; kind++)
        for (int width = 256; width >= 128; width -= 128) {
            dispatch_limit = 512;
            walk(&wide, kind);
            dispatch_limit = width;
            walk(&narrow, kind);
            ck_assert_mem_eq(&wide, &narrow, sizeof(wide));
        }
}
END_TEST

START_TEST(a_sum_of_squares_is_its_blocks_sums_in_order)
{
    static real x[LARGE];
    const size_t counts[] = { 1, OPTIMISER_BLOCK - 1, OPTIMISER_BLOCK, OPTIMISER_BLOCK + 1, LARGE };
    struct rng rng;
    rng_init(&rng, 16, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, x, LARGE);
    for (size_t c = 0; c < TEST_COUNT(counts); c++) {
        const size_t n = counts[c];
        double sum = 0, exact = 0;
        for (size_t i = 0; i < n; i++)
            exact += pow((double)x[i], 2);
        for (size_t i = 0; i < n; i += OPTIMISER_BLOCK)
            sum += sum_of_squares(x + i, n - i < OPTIMISER_BLOCK ? n - i : OPTIMISER_BLOCK);
        ck_assert(sum == sum_of_squares(x, n));
        ck_assert_double_eq_tol(sum, exact, 1e-12 * exact);
    }
}
END_TEST

START_TEST(a_target_moves_its_share_of_the_way_and_all_of_it_at_once)
{
    const real source[] = { 1, -2, 0, 8 };
    real target[] = { 0, 2, 4, 8 };
    polyak(target, source, 4, 0.25, NULL);
    ck_assert(target[0] == 0.25f && target[1] == 1 && target[2] == 3 && target[3] == 8);
    polyak(target, source, 4, 0, NULL);
    ck_assert(target[0] == 0.25f && target[1] == 1 && target[2] == 3 && target[3] == 8);
    polyak(target, source, 4, 1, NULL);
    ck_assert_mem_eq(target, source, sizeof(source));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_gradient_that_is_not_usable_moves_nothing,
        the_largest_usable_gradient_leaves_everything_finite,
        where_there_is_no_gradient_nothing_moves,
        rmsprop_needs_no_mean_gradient,
        sums_of_squares_are_of_all_numbers_and_finite_for_finite_floats,
        workers_make_the_same_step_and_the_norm_is_the_sum_of_squares_root,
        every_width_of_vectors_makes_the_same_step,
        a_sum_of_squares_is_its_blocks_sums_in_order,
        a_target_moves_its_share_of_the_way_and_all_of_it_at_once,
    };
    return suite_run("optimiser", tests, TEST_COUNT(tests), 60);
}
