/* Gaussians and categoricals against torch.distributions in float64; make_numerics_golden.py says what the
 * file holds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/categorical.h"
#include "common/gaussian.h"
#include "tests/golden/golden.h"

/* Each number within `relative` of its own scale; `scale` NULL: 1 + |expected|. */
static void check_each(const char *what, const real *x, const double *expected, const double *scale,
                       size_t n, double relative)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)x[i] - expected[i])
                      <= relative * (scale ? scale[i] : 1 + fabs(expected[i])),
                      "%s[%zu] is %.9g instead of %.9g", what, i, (double)x[i], expected[i]);
}

static char *part(const char *name, const char *what)
{
    static char tensor[64];
    snprintf(tensor, sizeof(tensor), "%s_%s", name, what);
    return tensor;
}

static void check_gaussian(const char *name)
{
    struct safetensors *f = golden_open("distributions");
    real *mean = golden_real(f, part(name, "mean")), *act = golden_real(f, part(name, "act"));
    real *log_sigma = golden_real(f, part(name, "log_sigma"));
    real *dlog_prob = golden_real(f, part(name, "dlog_prob"));
    real *dentropy = golden_real(f, part(name, "dentropy"));
    double *log_prob = golden(f, part(name, "log_prob")), *entropy = golden(f, part(name, "entropy"));
    double *dmean = golden(f, part(name, "dmean")), *scale = golden(f, part(name, "scale"));
    double *dlog_sigma = golden(f, part(name, "dlog_sigma"));
    double *ds_scale = golden(f, part(name, "dlog_sigma_scale"));
    const size_t B = golden_count(f, part(name, "log_prob")), n = golden_count(f, part(name, "mean"));
    const size_t n_sigma = golden_count(f, part(name, "log_sigma"));
    const int n_act = (int)(n / B), lds = n_sigma == n ? n_act : 0;

    real *got = malloc(2 * (B + n) * sizeof(real)), *got_entropy = got + B;
    real *got_dmean = got + 2 * B, *got_dsigma = got_dmean + n;
    gaussian_log_prob((int)B, n_act, mean, n_act, log_sigma, lds, act, n_act, got, got_entropy);
    gaussian_backward((int)B, n_act, mean, n_act, log_sigma, lds, act, n_act, dlog_prob, dentropy,
                      got_dmean, n_act, got_dsigma, n_act);
    check_each("log_prob", got, log_prob, scale, B, 1e-6);
    check_each("entropy", got_entropy, entropy, NULL, B, 2e-6);
    check_each("dlog_sigma", got_dsigma, dlog_sigma, ds_scale, n_sigma, 1e-6);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_le(fabs((double)got_dmean[i] - dmean[i]), 2e-6 * fabs(dmean[i]));
    for (size_t i = 0; i < n_sigma; i++)    /* beyond the clamps: exactly none */
        ck_assert(dlog_sigma[i] != 0 || got_dsigma[i] == 0);
    free(mean), free(act), free(log_sigma), free(dlog_prob), free(dentropy), free(got);
    free(log_prob), free(entropy), free(dmean), free(scale), free(dlog_sigma), free(ds_scale);
    safetensors_close(&f);
}

START_TEST(gaussian_with_shared_log_sigma_equals_pytorch)
{
    check_gaussian("gaussian_shared");
}
END_TEST

START_TEST(gaussian_with_log_sigma_per_row_equals_pytorch_at_ordinary_and_extreme_values)
{
    check_gaussian("gaussian_rows");
}
END_TEST

START_TEST(categorical_equals_pytorch_at_ordinary_and_extreme_logits)
{
    struct safetensors *f = golden_open("distributions");
    const char *name = "categorical";
    real *logits = golden_real(f, part(name, "logits")), *act = golden_real(f, part(name, "act"));
    real *dlog_prob = golden_real(f, part(name, "dlog_prob"));
    real *dentropy = golden_real(f, part(name, "dentropy"));
    double *log_prob = golden(f, part(name, "log_prob")), *entropy = golden(f, part(name, "entropy"));
    double *dlogits = golden(f, part(name, "dlogits")), *log_pi = golden(f, part(name, "log_pi"));
    const size_t B = golden_count(f, part(name, "act")), count = golden_count(f, part(name, "logits"));
    const int n = (int)(count / B);

    real *got = malloc(2 * B * sizeof(real)), *got_rows = malloc(count * sizeof(real));
    categorical_log_prob((int)B, n, logits, act, 1, got, got + B);
    check_each("log_prob", got, log_prob, NULL, B, 1e-6);
    check_each("entropy", got + B, entropy, NULL, B, 1e-6);
    categorical_backward((int)B, n, logits, act, 1, dlog_prob, dentropy, got_rows);
    check_each("dlogits", got_rows, dlogits, NULL, count, 1e-6);
    categorical_log_softmax((int)B, n, logits, got_rows);
    check_each("log_pi", got_rows, log_pi, NULL, count, 1e-6);
    categorical_log_softmax((int)B, n, logits, logits);
    ck_assert_mem_eq(logits, got_rows, count * sizeof(real));
    free(logits), free(act), free(dlog_prob), free(dentropy), free(log_prob), free(entropy);
    free(dlogits), free(log_pi), free(got), free(got_rows);
    safetensors_close(&f);
}
END_TEST

START_TEST(categorical_sample_is_the_inverse_of_the_distribution_function)
{
    struct safetensors *f = golden_open("distributions");
    real *logits = golden_real(f, "categorical_logits"), *uniform = golden_real(f, "categorical_uniform");
    double *choice = golden(f, "categorical_choice"), *log_pi = golden(f, "categorical_log_pi");
    const size_t B = golden_count(f, "categorical_uniform");
    const size_t n = golden_count(f, "categorical_logits") / B;
    real *act = calloc(3 * B, sizeof(real)), *log_prob = calloc(B, sizeof(real));
    categorical_sample((int)B, (int)n, logits, uniform, act, 3, log_prob);
    for (size_t b = 0; b < B; b++) {
        ck_assert_double_eq((double)act[3 * b], choice[b]);
        ck_assert(act[3 * b + 1] == 0 && act[3 * b + 2] == 0);
        double expected = log_pi[b * n + (size_t)choice[b]];
        ck_assert_double_le(fabs((double)log_prob[b] - expected), 1e-6 * (1 + fabs(expected)));
    }
    free(logits), free(uniform), free(choice), free(log_pi), free(act), free(log_prob);
    safetensors_close(&f);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        gaussian_with_shared_log_sigma_equals_pytorch,
        gaussian_with_log_sigma_per_row_equals_pytorch_at_ordinary_and_extreme_values,
        categorical_equals_pytorch_at_ordinary_and_extreme_logits,
        categorical_sample_is_the_inverse_of_the_distribution_function,
    };
    return suite_run("distribution_golden", tests, TEST_COUNT(tests), 60);
}
