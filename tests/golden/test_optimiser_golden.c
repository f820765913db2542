/* Optimisers, clipping and schedules against PyTorch in float64; make_numerics_golden.py says what the file
 * holds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "learner/optimiser.h"
#include "tests/golden/golden.h"

enum { STEPS = 10, HYPER = 9 };

static struct optimiser open_optimiser(const struct safetensors *f, const char *name, size_t n)
{
    char tensor[64];
    snprintf(tensor, sizeof(tensor), "%s_hyper", name);
    ck_assert_uint_eq(golden_count(f, tensor), HYPER);
    double *h = golden(f, tensor);
    struct optimiser o = { .learning_rate = h[1], .n = n,
                           .m = malloc(n * sizeof(real)), .v = malloc(n * sizeof(real)),
                           .hyper = { .kind = (int)h[0], .epsilon = h[2], .beta1 = h[3],
                                      .beta2 = h[4], .decay = h[5], .weight_decay = h[6],
                                      .max_grad_norm = h[7], .schedule = (int)h[8] } };
    free(h);
    optimiser_reset(&o);
    return o;
}

static double *part(const struct safetensors *f, const char *name, const char *what)
{
    char tensor[64];
    snprintf(tensor, sizeof(tensor), "%s_%s", name, what);
    return golden(f, tensor);
}

/* Each number to its own scale. */
static void check_each(const char *name, const char *what, const real *x, const double *expected, size_t n,
                       double absolute)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)x[i] - expected[i]) <= absolute + 3e-6 * fabs(expected[i]),
                      "%s: %s[%zu] is %.9g instead of %.9g", name, what, i, (double)x[i], expected[i]);
}

static void check_case(const char *name)
{
    struct safetensors *f = golden_open("optimisers");
    double *grads = part(f, name, "grad"), *thetas = part(f, name, "theta");
    double *norms = part(f, name, "norm"), *m = part(f, name, "m"), *v = part(f, name, "v");
    char tensor[64];
    snprintf(tensor, sizeof(tensor), "%s_m", name);
    size_t n = golden_count(f, tensor);
    struct optimiser o = open_optimiser(f, name, n);
    real *theta = malloc(n * sizeof(real)), *grad = malloc(n * sizeof(real));
    for (size_t i = 0; i < n; i++)
        theta[i] = (real)thetas[i];
    for (size_t t = 0; t < STEPS; t++) {
        double norm;
        for (size_t i = 0; i < n; i++)
            grad[i] = (real)grads[t * n + i];
        ck_assert_int_eq(optimiser_step(&o, theta, grad, (double)t / STEPS, &norm), 0);
        ck_assert_double_eq_tol(norm / norms[t], 1, 1e-6);
        check_each(name, "theta", theta, thetas + (t + 1) * n, n, 2e-6);
    }
    check_each(name, "m", o.m, m, n, 0);
    check_each(name, "v", o.v, v, n, 0);
    ck_assert_int_eq(o.t, STEPS);
    free(grads), free(thetas), free(norms), free(m), free(v), free(theta), free(grad);
    free(o.m), free(o.v);
    safetensors_close(&f);
}

START_TEST(adam_equals_pytorch_from_tiny_to_huge_gradients)
{
    check_case("adam");
    check_case("adam_other");
    check_case("adam_l2");
}
END_TEST

START_TEST(adamw_equals_pytorch_from_tiny_to_huge_gradients)
{
    check_case("adamw");
    check_case("adamw_cosine");
}
END_TEST

START_TEST(rmsprop_equals_pytorch_from_tiny_to_huge_gradients)
{
    check_case("rmsprop");
    check_case("rmsprop_l2");
}
END_TEST

START_TEST(rmsprop_tf_has_epsilon_inside_the_root_and_starts_from_one)
{
    check_case("rmsprop_tf");
    check_case("rmsprop_tf_l2");
}
END_TEST

START_TEST(clipping_equals_pytorch_below_and_above_the_bound)
{
    check_case("clip");
    check_case("clip_small");
    check_case("linear");
}
END_TEST

START_TEST(schedules_equal_pytorch_and_stop_at_their_ends)
{
    struct safetensors *f = golden_open("optimisers");
    double *linear = golden(f, "schedule_linear"), *cosine = golden(f, "schedule_cosine");
    for (int t = 0; t <= STEPS; t++) {
        double progress = (double)t / STEPS;
        ck_assert_double_eq_tol(schedule_factor(SCHEDULE_LINEAR, progress), linear[t], 1e-12);
        ck_assert_double_eq_tol(schedule_factor(SCHEDULE_COSINE, progress), cosine[t], 1e-12);
        ck_assert(schedule_factor(SCHEDULE_CONSTANT, progress) == 1);
    }
    for (int s = SCHEDULE_LINEAR; s <= SCHEDULE_COSINE; s++) {
        ck_assert(schedule_factor((enum schedule)s, -0.1) == 1);
        ck_assert_double_eq_tol(schedule_factor((enum schedule)s, 1.7), 0, 1e-12);
    }
    free(linear), free(cosine);
    safetensors_close(&f);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        adam_equals_pytorch_from_tiny_to_huge_gradients,
        adamw_equals_pytorch_from_tiny_to_huge_gradients,
        rmsprop_equals_pytorch_from_tiny_to_huge_gradients,
        rmsprop_tf_has_epsilon_inside_the_root_and_starts_from_one,
        clipping_equals_pytorch_below_and_above_the_bound,
        schedules_equal_pytorch_and_stop_at_their_ends,
    };
    return suite_run("optimiser_golden", tests, TEST_COUNT(tests), 60);
}
