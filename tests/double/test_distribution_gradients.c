/* Gaussians' and categoricals' gradients against finite differences. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/categorical.h"
#include "common/gaussian.h"
#include "common/squashed_gaussian.h"
#include "tests/double/differences.h"

/* ---- Gaussian ---- */

enum { B = 6, N_ACT = 3, LDM = 4, LDS = 5, LDA = 7, LDDM = 5, LDDS = 6 };

struct gauss_case {
    int lds;
    real *mean, *log_sigma, *act, *dlog_prob, *dentropy;
};

/* sum of dlog_prob log_prob + dentropy entropy */
static double gauss_loss(void *context)
{
    const struct gauss_case *g = context;
    real log_prob[B], entropy[B];
    double sum = 0;
    gaussian_log_prob(B, N_ACT, g->mean, LDM, g->log_sigma, g->lds, g->act, LDA, log_prob, entropy);
    for (int b = 0; b < B; b++)
        sum += g->dlog_prob[b] * log_prob[b] + g->dentropy[b] * entropy[b];
    return sum;
}

/* log sigma about `log_sigma`, uniform over +-spread; actions about `distance` sigmas from the mean. */
static void check_gauss(const char *what, int lds, double log_sigma, double spread, double distance,
                        double dlog_prob, double dentropy)
{
    struct rng rng;
    rng_init(&rng, 21, RNG_TEST, (uint32_t)lds, 0);
    struct gauss_case g = { .lds = lds, .mean = random_block(&rng, B * LDM, 1),
                            .log_sigma = random_block(&rng, B * LDS, 1),
                            .act = random_block(&rng, B * LDA, 1),
                            .dlog_prob = random_block(&rng, B, dlog_prob),
                            .dentropy = random_block(&rng, B, dentropy) };
    for (int i = 0; i < B * LDS; i++)
        g.log_sigma[i] = log_sigma + spread * rng_uniform(&rng, -1, 1);
    for (int b = 0; b < B; b++)
        for (int i = 0; i < N_ACT; i++) {
            double s = fmin(fmax(g.log_sigma[b * lds + i], LOG_SIGMA_MIN), LOG_SIGMA_MAX);
            g.act[b * LDA + i] = g.mean[b * LDM + i] + distance * exp(s) * rng_normal(&rng);
        }
    real *dmean = random_block(&rng, B * LDDM, 1), *dlog_sigma = random_block(&rng, B * LDDS, 1);
    gaussian_backward(B, N_ACT, g.mean, LDM, g.log_sigma, lds, g.act, LDA, g.dlog_prob, g.dentropy, dmean,
                      LDDM, dlog_sigma, LDDS);
    for (int b = 0; b < B; b++)
        if (dlog_prob > 0)
            check_gradient(what, dmean + b * LDDM, gauss_loss, &g, g.mean + b * LDM, N_ACT);
    for (int b = 0; b < (lds ? B : 1); b++)
        check_gradient(what, dlog_sigma + b * LDDS, gauss_loss, &g, g.log_sigma + b * LDS, N_ACT);
    free(g.mean), free(g.log_sigma), free(g.act), free(g.dlog_prob), free(g.dentropy);
    free(dmean), free(dlog_sigma);
}

START_TEST(gaussian_backward_equals_finite_differences_with_shared_and_own_log_sigmas)
{
    for (int lds = 0; lds <= LDS; lds += LDS) {
        check_gauss("through the log-probability", lds, 0, 1, 1, 1, 0);
        check_gauss("through the entropy", lds, 0, 1, 1, 0, 1);
        check_gauss("through both", lds, -0.5, 1.5, 2, 1, 0.3);
        check_gauss("far from the mean", lds, -0.5, 1, 40, 1, 0.3);
        check_gauss("wide", lds, LOG_SIGMA_MAX - 1, 0.9, 1, 1, 0.3);
    }
}
END_TEST

START_TEST(gaussian_gradient_of_log_sigma_stops_beyond_the_clamps_and_only_there)
{
    static const real inside[] = { LOG_SIGMA_MIN, -3, LOG_SIGMA_MAX };
    static const real outside[] = { LOG_SIGMA_MIN - 1e-9, LOG_SIGMA_MAX + 1e-9, -1e6, 1e6 };
    const real mean = 0.2, act = 0.7, one = 1;
    for (size_t i = 0; i < TEST_COUNT(inside) + TEST_COUNT(outside); i++)
        for (int lds = 0; lds < 2; lds++) {
            bool is_inside = i < TEST_COUNT(inside);
            real log_sigma = is_inside ? inside[i] : outside[i - TEST_COUNT(inside)], dmean, ds;
            gaussian_backward(1, 1, &mean, 1, &log_sigma, lds, &act, 1, &one, &one, &dmean, 1, &ds, 1);
            ck_assert(dmean != 0);
            ck_assert_int_eq(ds != 0, is_inside);
        }
}
END_TEST

START_TEST(gaussian_density_integrates_to_one)
{
    for (int k = 0; k < 4; k++) {
        const real mean = 0.3 * k, log_sigma = 1 - k;
        double sum = 0, entropy_sum = 0, step = 1e-3 * exp(log_sigma);
        real log_prob, entropy;
        for (int i = -9000; i < 9000; i++) {
            const real act = mean + i * step;
            gaussian_log_prob(1, 1, &mean, 1, &log_sigma, 1, &act, 1, &log_prob, &entropy);
            sum += exp(log_prob) * step;
            entropy_sum -= exp(log_prob) * log_prob * step;
        }
        ck_assert_double_eq_tol(sum, 1, 1e-6);
        ck_assert_double_eq_tol(entropy_sum, entropy, 1e-6);
    }
}
END_TEST

/* ---- categorical ---- */

struct choice_case {
    int n;
    real *logits, *act, *dlog_prob, *dentropy;    /* act 2 apart */
};

static double choice_loss(void *context)
{
    const struct choice_case *c = context;
    real log_prob[B], entropy[B];
    double sum = 0;
    categorical_log_prob(B, c->n, c->logits, c->act, 2, log_prob, entropy);
    for (int b = 0; b < B; b++)
        sum += c->dlog_prob[b] * log_prob[b] + c->dentropy[b] * entropy[b];
    return sum;
}

static void check_choices(const char *what, int n, double scale, double dlog_prob, double dentropy)
{
    struct rng rng;
    rng_init(&rng, 22, RNG_TEST, (uint32_t)n, 0);
    const size_t count = (size_t)(B * n);
    struct choice_case c = { .n = n, .logits = random_block(&rng, count, scale),
                             .act = random_block(&rng, 2 * B, 1),
                             .dlog_prob = random_block(&rng, B, dlog_prob),
                             .dentropy = random_block(&rng, B, dentropy) };
    for (int b = 0; b < B; b++)
        c.act[2 * b] = (real)rng_below(&rng, (uint64_t)n);
    real *dlogits = random_block(&rng, count, 1);
    categorical_backward(B, n, c.logits, c.act, 2, c.dlog_prob, c.dentropy, dlogits);
    check_gradient(what, dlogits, choice_loss, &c, c.logits, count);
    free(c.logits), free(c.act), free(c.dlog_prob), free(c.dentropy), free(dlogits);
}

START_TEST(categorical_backward_equals_finite_differences)
{
    for (int n = 2; n <= 17; n += 5) {
        check_choices("through the log-probability", n, 1, 1, 0);
        check_choices("through the entropy", n, 1, 0, 1);
        check_choices("through both", n, 2, 1, 0.3);
        check_choices("far apart", n, 12, 1, 0.3);
    }
}
END_TEST

START_TEST(categorical_probabilities_sum_to_one_and_the_entropy_is_their_mean)
{
    const real logits[4] = { 1, -2, 0.5, 3 };
    double sum = 0, mean = 0;
    real log_prob, entropy;
    for (int j = 0; j < 4; j++) {
        const real act = j;
        categorical_log_prob(1, 4, logits, &act, 1, &log_prob, &entropy);
        sum += exp(log_prob);
        mean -= exp(log_prob) * log_prob;
    }
    ck_assert_double_eq_tol(sum, 1, 1e-14);
    ck_assert_double_eq_tol(mean, entropy, 1e-14);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        gaussian_backward_equals_finite_differences_with_shared_and_own_log_sigmas,
        gaussian_gradient_of_log_sigma_stops_beyond_the_clamps_and_only_there,
        gaussian_density_integrates_to_one,
        categorical_backward_equals_finite_differences,
        categorical_probabilities_sum_to_one_and_the_entropy_is_their_mean,
    };
    return suite_run("distribution_gradients", tests, TEST_COUNT(tests), 60);
}
