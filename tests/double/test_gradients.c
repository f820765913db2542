/* The squashed Gaussian's and SAC's gradients against finite differences. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "common/squashed_gaussian.h"
#include "learner/algorithms.h"
#include "learner/sac.h"
#include "tests/double/differences.h"

/* ---- squashed Gaussian ---- */

struct gauss_case {
    int B, n_act, ldeps, lda, ldda;
    real *out, *eps, *act, *log_prob, *dact;
    real dlog_prob;
};

/* sum of dact times act, plus dlog_prob times the sum of log_prob */
static double gauss_loss(void *context)
{
    struct gauss_case *g = context;
    squashed_gaussian_sample(g->B, g->n_act, g->out, g->eps, g->ldeps, g->act, g->lda,
                             g->log_prob);
    double sum = 0;
    for (int b = 0; b < g->B; b++) {
        sum += g->dlog_prob * g->log_prob[b];
        for (int i = 0; i < g->n_act; i++)
            sum += g->dact[b * g->ldda + i] * g->act[b * g->lda + i];
    }
    return sum;
}

/* One row at a time, so that saturated rows cannot hide behind steep ones. */
static void check_gauss(const char *what, double dact_scale, double dlog_prob, double mu_scale,
                        double log_sigma, double log_sigma_scale)
{
    struct rng rng;
    rng_init(&rng, 8, RNG_TEST, 0, 0);
    for (int row = 0; row < 40; row++) {
        struct gauss_case g = { .B = 1, .n_act = 3, .ldeps = 3, .lda = 3, .ldda = 3,
                                .dlog_prob = dlog_prob };
        real act[3], log_prob[1], dout[6];
        g.act = act, g.log_prob = log_prob;
        g.out = random_block(&rng, 6, mu_scale);
        for (int i = 3; i < 6; i++)
            g.out[i] = log_sigma + log_sigma_scale * rng_uniform(&rng, -1, 1);
        g.eps = random_block(&rng, 3, 1);
        g.dact = random_block(&rng, 3, dact_scale);
        gauss_loss(&g);
        squashed_gaussian_backward(1, 3, g.out, g.eps, 3, act, 3, g.dact, 3, dlog_prob, dout);
        check_gradient(what, dout, gauss_loss, &g, g.out, 6);
        free(g.out), free(g.eps), free(g.dact);
    }
}

START_TEST(squashed_gaussian_backward_equals_finite_differences)
{
    check_gauss("through the action", 1, 0, 1, -0.5, 1);
    check_gauss("through the log-probability", 0, 1, 1, -0.5, 1);
    check_gauss("through both", 1, 0.3, 1, -0.5, 1);
    check_gauss("narrow", 1, 0.3, 1, -15, 4);
    check_gauss("saturated", 1, 0.3, 8, 0, 1);
}
END_TEST

START_TEST(squashed_gaussian_backward_equals_finite_differences_across_the_clamps)
{
    check_gauss("around the lower clamp", 1, 0.3, 1, LOG_SIGMA_MIN, 1);
    check_gauss("around the upper clamp", 1, 0.3, 1, LOG_SIGMA_MAX, 1);
    check_gauss("far below", 1, 0.3, 1, -60, 1);
    check_gauss("far above", 1, 0.3, 1, 30, 1);
}
END_TEST

START_TEST(squashed_gaussian_gradient_of_log_sigma_stops_beyond_the_clamps_and_only_there)
{
    real eps = 0.7, dact = 1, act, log_prob, dout[2];
    static const real inside[] = { LOG_SIGMA_MIN, -3, LOG_SIGMA_MAX };
    static const real outside[] = { LOG_SIGMA_MIN - 1e-9, LOG_SIGMA_MAX + 1e-9, -1e6, 1e6 };
    for (size_t i = 0; i < TEST_COUNT(inside) + TEST_COUNT(outside); i++) {
        bool is_inside = i < TEST_COUNT(inside);
        real out[2] = { 0.2, is_inside ? inside[i] : outside[i - TEST_COUNT(inside)] };
        squashed_gaussian_sample(1, 1, out, &eps, 1, &act, 1, &log_prob);
        squashed_gaussian_backward(1, 1, out, &eps, 1, &act, 1, &dact, 1, 0.3, dout);
        ck_assert(dout[0] != 0);
        ck_assert_int_eq(dout[1] != 0, is_inside);
    }
}
END_TEST

START_TEST(squashed_gaussian_leaves_gaps_between_rows_alone)
{
    struct rng rng;
    rng_init(&rng, 9, RNG_TEST, 0, 0);
    struct gauss_case g = { .B = 5, .n_act = 2, .ldeps = 4, .lda = 7, .ldda = 6, .dlog_prob = 0.3 };
    real log_prob[5], dout[20];
    g.out = random_block(&rng, 20, 1);
    g.eps = random_block(&rng, 20, 1);
    g.act = random_block(&rng, 35, 1);
    g.dact = random_block(&rng, 30, 1);
    g.log_prob = log_prob;
    real before[35];
    memcpy(before, g.act, sizeof(before));
    gauss_loss(&g);
    for (int i = 0; i < 35; i++)
        ck_assert_int_eq(g.act[i] == before[i], i % 7 >= 2);
    squashed_gaussian_backward(5, 2, g.out, g.eps, 4, g.act, 7, g.dact, 6, g.dlog_prob, dout);
    check_gradient("strided", dout, gauss_loss, &g, g.out, 20);
    free(g.out), free(g.eps), free(g.act), free(g.dact);
}
END_TEST

START_TEST(squashed_gaussian_density_integrates_to_one)
{
    /* integral of pi(a) da, with a(eps) = tanh(mu + sigma eps) and da = (1 - a^2) sigma d eps */
    for (int k = 0; k < 4; k++) {
        real out[2] = { -0.4 * k, 0.5 - k };
        double sum = 0, step = 1e-3;
        for (real eps = -9; eps < 9; eps += step) {
            real act, log_prob;
            squashed_gaussian_sample(1, 1, out, &eps, 1, &act, 1, &log_prob);
            if (fabs(act) < 1)
                sum += exp(log_prob) * (1 - act * act) * exp(out[1]) * step;
        }
        ck_assert_double_eq_tol(sum, 1, 1e-6);
    }
}
END_TEST

/* ---- SAC's losses ----
 * With learning rates and tau zero an update only measures: metrics hold the losses at the
 * present parameters, `gradients` their gradients. The target y stays when a critic is perturbed:
 * it is made of the policy and of Qbar, which is an array of its own. */

enum { Q_LOSS, PI_LOSS, ALPHA_LOSS };

struct sac_case {
    struct arena *arena;
    void *sac;
    struct algorithm_setup setup;
    struct sac_hyper hyper;
    struct array params;
    real *rows, *scratch, *noise;
    real discount[64], weight[64], td_error[64];
    size_t n_rows;
    int metric;
};

static double sac_loss(void *context)
{
    struct sac_case *c = context;
    double metrics[ALGORITHM_MAX_METRICS];
    memcpy(c->scratch, c->rows, c->n_rows * sizeof(real));
    struct batch b = { .n = c->setup.batch_size, .shape = c->setup.shape, .rows = c->scratch,
                       .noise = c->noise, .discount = c->discount, .weight = c->weight,
                       .td_error = c->td_error };
    struct error err;
    ck_assert_int_eq(sac_algorithm.update(c->sac, &b, metrics, &err), 0);
    return metrics[c->metric];
}

static void draw_batch(struct sac_case *c, struct rng *rng)
{
    int stride = row_stride(c->setup.shape), B = c->setup.batch_size;
    c->n_rows = (size_t)(2 * B * stride);
    c->rows = random_block(rng, c->n_rows, 1);
    c->scratch = malloc(c->n_rows * sizeof(real));
    for (int k = 0; k < 2 * B; k++)
        c->rows[k * stride + row_kind(c->setup.shape)] = (real)rng_below(rng, 3);
    c->noise = random_block(rng, (size_t)(2 * B * c->setup.shape.n_act), 1);
    for (int k = 0; k < B; k++) {
        c->discount[k] = (real)0.9;
        c->weight[k] = 1;
    }
}

static void check_sac(enum activation activation, int n_act)
{
    matrix_setup();
    struct rng rng;
    rng_init(&rng, 10, RNG_TEST, (uint32_t)activation, (uint32_t)n_act);
    struct sac_case c = {
        .hyper = { .gamma = 0.9, .alpha_init = 0.4, .learn_alpha = true, .target_entropy = -0.6,
                   .optimiser = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 } },
        .setup = { .shape = { 4, n_act }, .policy = { 2, { 9, 7 }, activation, false },
                   .critic = { 2, { 9, 7 }, activation, false }, .batch_size = 16, .seed = 3 },
    };
    c.setup.hyper = &c.hyper;
    c.arena = arena_create(1 << 16);
    c.sac = sac_algorithm.create(&c.setup, c.arena);
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    sac_algorithm.arrays(c.sac, arrays);
    c.params = arrays[0];
    ck_assert_str_eq(c.params.name, "params");
    draw_batch(&c, &rng);

    size_t n_policy, n;
    sac_algorithm.policy(c.sac, &n_policy);
    real *params = malloc(c.params.n * sizeof(real)), *grad = malloc(c.params.n * sizeof(real));
    memcpy(params, c.params.data, c.params.n * sizeof(real));
    sac_loss(&c);
    ck_assert_mem_eq(params, c.params.data, c.params.n * sizeof(real));
    memcpy(grad, sac_algorithm.gradients(c.sac, &n), c.params.n * sizeof(real));
    ck_assert_uint_eq(n, c.params.n);

    c.metric = PI_LOSS;
    check_gradient("policy", grad, sac_loss, &c, c.params.data, n_policy);
    c.metric = Q_LOSS;
    check_gradient("critics", grad + n_policy, sac_loss, &c, c.params.data + n_policy,
                   n - 1 - n_policy);
    c.metric = ALPHA_LOSS;
    check_gradient("log alpha", grad + n - 1, sac_loss, &c, c.params.data + n - 1, 1);

    free(params), free(grad), free(c.rows), free(c.scratch), free(c.noise);
    arena_destroy(&c.arena);
}

START_TEST(sac_gradients_equal_differences_of_its_losses_with_relu)
{
    check_sac(ACTIVATION_RELU, 1);
    check_sac(ACTIVATION_RELU, 3);
}
END_TEST

START_TEST(sac_gradients_equal_differences_of_its_losses_with_tanh)
{
    check_sac(ACTIVATION_TANH, 1);
    check_sac(ACTIVATION_TANH, 3);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        squashed_gaussian_backward_equals_finite_differences,
        squashed_gaussian_backward_equals_finite_differences_across_the_clamps,
        squashed_gaussian_gradient_of_log_sigma_stops_beyond_the_clamps_and_only_there,
        squashed_gaussian_leaves_gaps_between_rows_alone,
        squashed_gaussian_density_integrates_to_one,
        sac_gradients_equal_differences_of_its_losses_with_relu,
        sac_gradients_equal_differences_of_its_losses_with_tanh,
    };
    return suite_run("gradients", tests, TEST_COUNT(tests), 60);
}
