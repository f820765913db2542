/* What optimisers do with gradients that are no numbers; the numbers are in golden/test_optimiser_golden.c. */
#include <float.h>
#include <math.h>
#include <string.h>

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

int main(void)
{
    const TTest *tests[] = {
        a_gradient_that_is_not_usable_moves_nothing,
        the_largest_usable_gradient_leaves_everything_finite,
        where_there_is_no_gradient_nothing_moves,
        rmsprop_needs_no_mean_gradient,
        sums_of_squares_are_of_all_numbers_and_finite_for_finite_floats,
    };
    return suite_run("optimiser", tests, TEST_COUNT(tests), 60);
}
