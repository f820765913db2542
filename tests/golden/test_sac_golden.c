/* SAC and its parts against PyTorch in float64; make_sac_golden.py says what the files hold. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "common/squashed_gaussian.h"
#include "learner/algorithms.h"
#include "learner/optimiser.h"
#include "learner/sac.h"
#include "tests/golden/golden.h"

enum { Q_LOSS, PI_LOSS, ALPHA_LOSS, ALPHA, ENTROPY, Q_MEAN, Q_GRAD_NORM, PI_GRAD_NORM };
enum { GOLDEN_METRICS = 6, SIZES = 8 };

/* ---- one case ---- */

struct golden_case {
    const char *name;
    struct safetensors *file;
    struct arena *arena;
    void *sac;
    struct algorithm_setup setup;
    struct sac_hyper hyper;
    real *rows, *noise;               /* of all updates */
    real *scratch;                    /* [B][2][stride]: an update overwrites actions */
    real *discount, *weight, *td_error;    /* [B] */
    struct array params, targets;
    int n_updates;
    double metrics[ALGORITHM_MAX_METRICS];
};

/* A fresh SAC at the golden start. */
static void open_case(struct golden_case *c, const char *name, bool learn_alpha)
{
    matrix_setup();
    *c = (struct golden_case){ .name = name };
    char file[64];
    snprintf(file, sizeof(file), "sac_%s", name);
    c->file = golden_open(file);
    ck_assert_uint_eq(golden_count(c->file, "sizes"), SIZES);
    double *sizes = golden(c->file, "sizes"), *h = golden(c->file, "hyper");
    c->hyper = (struct sac_hyper){ .gamma = h[0], .tau = h[1], .policy_lr = h[2], .q_lr = h[3],
                                   .alpha_lr = h[4], .alpha_init = 1, .learn_alpha = learn_alpha,
                                   .target_entropy = h[5],
                                   .optimiser = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 } };
    const struct mlp_body body = { (int)sizes[4], { (int)sizes[5], (int)sizes[6] },
                                   sizes[7] > 0 ? ACTIVATION_TANH : ACTIVATION_RELU, false };
    c->setup = (struct algorithm_setup){
        .shape = { (int)sizes[0], (int)sizes[1] }, .batch_size = (int)sizes[2], .seed = 1,
        .policy = body, .critic = body, .hyper = &c->hyper,
    };
    c->n_updates = (int)sizes[3];
    free(sizes);
    free(h);
    c->arena = arena_create(1 << 20);
    c->sac = sac_algorithm.create(&c->setup, c->arena);
    c->params = golden_array(&sac_algorithm, c->sac, "params");
    c->targets = golden_array(&sac_algorithm, c->sac, "targets");
    golden_overwrite(c->params, c->file, "params0");
    golden_overwrite(c->targets, c->file, "targets0");
    c->rows = golden_real(c->file, "rows");
    c->noise = golden_real(c->file, "noise");
    c->scratch = malloc((size_t)(2 * c->setup.batch_size * row_stride(c->setup.shape))
                        * sizeof(real));
    size_t B = (size_t)c->setup.batch_size;
    c->discount = malloc(B * sizeof(real));
    c->weight = malloc(B * sizeof(real));
    c->td_error = malloc(B * sizeof(real));
    for (size_t k = 0; k < B; k++) {
        c->discount[k] = (real)c->hyper.gamma;
        c->weight[k] = 1;
    }
}

static void close_case(struct golden_case *c)
{
    free(c->rows);
    free(c->noise);
    free(c->scratch);
    free(c->discount);
    free(c->weight);
    free(c->td_error);
    arena_destroy(&c->arena);
    safetensors_close(&c->file);
}

/* Update number `i` from 0, on rows that `edit` (may be NULL) has changed. */
static int update(struct golden_case *c, int i, void (*edit)(struct row_shape s, real *row))
{
    int B = c->setup.batch_size, stride = row_stride(c->setup.shape);
    size_t n_rows = (size_t)(2 * B * stride);
    memcpy(c->scratch, c->rows + (size_t)i * n_rows, n_rows * sizeof(real));
    for (int k = 0; edit && k < B; k++)
        edit(c->setup.shape, c->scratch + 2 * k * stride);
    struct error err;
    struct batch b = { .n = B, .shape = c->setup.shape, .rows = c->scratch,
                       .discount = c->discount, .weight = c->weight, .td_error = c->td_error,
                       .noise = c->noise + (size_t)i * (size_t)(2 * B * c->setup.shape.n_act) };
    return sac_algorithm.update(c->sac, &b, c->metrics, &err);
}

/* ---- comparing ---- */

static void check_metrics(const struct golden_case *c, int i, double tolerance)
{
    static const char *const names[] = { "q_loss", "pi_loss", "alpha_loss", "alpha", "entropy",
                                         "q_mean" };
    double *metrics = golden(c->file, "metrics");
    for (int j = 0; j < GOLDEN_METRICS; j++) {
        double expected = metrics[i * GOLDEN_METRICS + j];
        /* The mean of critics that are near zero cancels: compare it with a typical value. */
        double scale = j == Q_MEAN ? fmax(fabs(expected), 1) : fabs(expected);
        ck_assert_str_eq(sac_algorithm.metric_names[j], names[j]);
        ck_assert_msg(fabs(c->metrics[j] - expected) <= tolerance * scale,
                      "%s, update %d: %s is %.9g instead of %.9g", c->name, i + 1, names[j],
                      c->metrics[j], expected);
    }
    free(metrics);
}

static void check_gradients(const struct golden_case *c)
{
    size_t n;
    int n_obs = c->setup.shape.n_obs, n_act = c->setup.shape.n_act;
    const real *grad = sac_algorithm.gradients(c->sac, &n);
    double *expected = golden(c->file, "gradients");
    ck_assert_uint_eq(n, golden_count(c->file, "gradients"));
    struct mlp_shape policy_shape = mlp_shape_make(n_obs, &c->setup.policy, 2 * n_act);
    struct mlp_shape q_shape = mlp_shape_make(n_obs + n_act, &c->setup.critic, 1);
    size_t policy = golden_check_network("policy", &policy_shape, grad, expected, 1e-5);
    size_t q1 = policy + golden_check_network("q1", &q_shape, grad + policy, expected + policy, 1e-5);
    size_t q2 = q1 + golden_check_network("q2", &q_shape, grad + q1, expected + q1, 1e-5);
    ck_assert_uint_eq(q2 + 1, n);
    ck_assert_double_le(worst_relative(grad + q2, expected + q2, 1), 1e-5);
    ck_assert_double_eq_tol(c->metrics[PI_GRAD_NORM] / golden_norm(expected, 0, policy), 1, 1e-5);
    ck_assert_double_eq_tol(c->metrics[Q_GRAD_NORM] / golden_norm(expected, policy, q2), 1, 1e-5);
    free(expected);
}

static void check_first_update(const char *name)
{
    struct golden_case c;
    open_case(&c, name, true);
    ck_assert_int_eq(update(&c, 0, NULL), 0);
    check_metrics(&c, 0, 1e-5);
    check_gradients(&c);
    golden_check_way(name, c.params, c.file, "params1", "params0", 1e-3);
    golden_check_way(name, c.targets, c.file, "targets1", "targets0", 1e-3);
    close_case(&c);
}

static void check_ten_updates(const char *name)
{
    struct golden_case c;
    open_case(&c, name, true);
    for (int i = 0; i < c.n_updates; i++) {
        ck_assert_int_eq(update(&c, i, NULL), 0);
        check_metrics(&c, i, 1e-4);
    }
    golden_check_way(name, c.params, c.file, "params10", "params0", 1e-3);
    golden_check_way(name, c.targets, c.file, "targets10", "targets0", 1e-3);
    close_case(&c);
}

START_TEST(first_update_equals_pytorch_with_relu_terminations_and_clamped_sigmas)
{
    check_first_update("relu");
}
END_TEST

START_TEST(ten_updates_equal_pytorch_with_relu_terminations_and_clamped_sigmas)
{
    check_ten_updates("relu");
}
END_TEST

START_TEST(first_update_equals_pytorch_with_tanh_and_one_action)
{
    check_first_update("tanh");
}
END_TEST

START_TEST(ten_updates_equal_pytorch_with_tanh_and_one_action)
{
    check_ten_updates("tanh");
}
END_TEST

START_TEST(a_fixed_temperature_stays_and_the_networks_move_as_before)
{
    struct golden_case c;
    open_case(&c, "relu", false);
    real log_alpha = c.params.data[c.params.n - 1];
    ck_assert_int_eq(update(&c, 0, NULL), 0);
    ck_assert(c.params.data[c.params.n - 1] == log_alpha);
    c.params.n--;
    golden_check_way("relu", c.params, c.file, "params1", "params0", 1e-3);
    close_case(&c);
}
END_TEST

/* ---- time limits ---- */

static void make_step(struct row_shape s, real *row) { row[row_kind(s)] = ROW_STEP; }
static void make_terminated(struct row_shape s, real *row) { row[row_kind(s)] = ROW_TERMINATED; }
static void make_truncated(struct row_shape s, real *row) { row[row_kind(s)] = ROW_TRUNCATED; }

static double q_loss_of(double gamma, void (*edit)(struct row_shape s, real *row))
{
    struct golden_case c;
    open_case(&c, "relu", true);
    c.hyper.gamma = gamma;
    for (int k = 0; k < c.setup.batch_size; k++)
        c.discount[k] = (real)gamma;
    c.sac = sac_algorithm.create(&c.setup, c.arena);
    golden_overwrite(golden_array(&sac_algorithm, c.sac, "params"), c.file, "params0");
    golden_overwrite(golden_array(&sac_algorithm, c.sac, "targets"), c.file, "targets0");
    ck_assert_int_eq(update(&c, 0, edit), 0);
    close_case(&c);
    return c.metrics[Q_LOSS];
}

START_TEST(truncation_bootstraps_like_a_step_and_termination_does_not)
{
    double step = q_loss_of(0.9, make_step);
    ck_assert(q_loss_of(0.9, make_truncated) == step);
    ck_assert(q_loss_of(0.9, make_terminated) != step);
    ck_assert(q_loss_of(0.9, make_terminated) == q_loss_of(0, make_step));
}
END_TEST

/* ---- non-finite numbers ---- */

static void spoil_reward(struct row_shape s, real *row) { row[row_reward(s)] = (real)INFINITY; }
static void spoil_obs(struct row_shape s, real *row) { row[s.n_obs - 1] = (real)NAN; }

START_TEST(a_non_finite_loss_is_reported_and_moves_nothing)
{
    static void (*const spoil[])(struct row_shape s, real *row) = { spoil_reward, spoil_obs };
    for (size_t i = 0; i < TEST_COUNT(spoil); i++) {
        struct golden_case c;
        open_case(&c, "relu", true);
        real *params = golden_real(c.file, "params0"), *targets = golden_real(c.file, "targets0");
        ck_assert_int_eq(update(&c, 0, spoil[i]), ERR_NUMERIC);
        ck_assert_mem_eq(c.params.data, params, c.params.n * sizeof(real));
        ck_assert_mem_eq(c.targets.data, targets, c.targets.n * sizeof(real));
        /* Moments stay clean too: the next good batch is usable. */
        ck_assert_int_eq(update(&c, 0, NULL), 0);
        free(params);
        free(targets);
        close_case(&c);
    }
}
END_TEST

/* ---- parts ---- */

START_TEST(squashed_gaussian_equals_pytorch_at_ordinary_and_extreme_values)
{
    struct safetensors *f = golden_open("sac_parts");
    int B = (int)golden_count(f, "gauss_log_prob");
    size_t n = golden_count(f, "gauss_eps");
    int n_act = (int)n / B;
    real *out = golden_real(f, "gauss_out"), *eps = golden_real(f, "gauss_eps");
    real *dact = golden_real(f, "gauss_dact"), *dlog_prob = golden_real(f, "gauss_dlog_prob");
    double *act_expected = golden(f, "gauss_act"), *dout_expected = golden(f, "gauss_dout");
    double *log_prob_expected = golden(f, "gauss_log_prob");
    real *act = calloc(n, sizeof(*act)), *log_prob = calloc((size_t)B, sizeof(*log_prob));
    real *dout = calloc(2 * n, sizeof(*dout));
    squashed_gaussian_sample(B, n_act, out, eps, n_act, act, n_act, log_prob);
    squashed_gaussian_backward(B, n_act, out, eps, n_act, act, n_act, dact, n_act, *dlog_prob,
                               dout);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol((double)act[i], act_expected[i], 5e-7);
    for (int b = 0; b < B; b++)
        ck_assert_double_le(fabs((double)log_prob[b] - log_prob_expected[b]),
                            2e-6 * (1 + fabs(log_prob_expected[b])));
    for (int i = 0; i < 2 * (int)n; i++) {
        /* 1 - a^2 is exact to a rounding of 1, which sigma eps then magnifies. */
        int b = i / (2 * n_act), j = i % n_act;
        double sigma = exp(fmin((double)out[2 * n_act * b + n_act + j], LOG_SIGMA_MAX));
        double scale = 1 + fabs(dout_expected[i]) + sigma * fabs((double)eps[n_act * b + j]);
        ck_assert_double_le(fabs((double)dout[i] - dout_expected[i]), 2e-6 * scale);
    }
    free(out), free(eps), free(dact), free(dlog_prob), free(act), free(log_prob), free(dout);
    free(act_expected), free(dout_expected), free(log_prob_expected);
    safetensors_close(&f);
}
END_TEST

START_TEST(adam_equals_pytorch_over_five_steps_from_tiny_to_huge_gradients)
{
    struct safetensors *f = golden_open("sac_parts");
    size_t n = golden_count(f, "adam_m");
    double *h = golden(f, "adam_hyper"), *expected = golden(f, "adam_theta");
    double *m = golden(f, "adam_m"), *v = golden(f, "adam_v");
    real *theta = golden_real(f, "adam_theta"), *grad = golden_real(f, "adam_grad");
    struct optimiser a = { .m = calloc(n, sizeof(real)), .v = calloc(n, sizeof(real)), .n = n,
                           .learning_rate = h[0],
                           .hyper = { .beta1 = h[1], .beta2 = h[2], .epsilon = h[3] } };
    int n_steps = (int)(golden_count(f, "adam_grad") / n);
    for (int t = 1; t <= n_steps; t++) {
        ck_assert_int_eq(optimiser_step(&a, theta, grad + (size_t)(t - 1) * n, 0, NULL), 0);
        for (size_t i = 0; i < n; i++)
            ck_assert_double_eq_tol((double)theta[i], expected[(size_t)t * n + i], 1e-6);
    }
    for (size_t i = 0; i < n; i++) {
        ck_assert_double_le(fabs((double)a.m[i] - m[i]), 2e-6 * fabs(m[i]));
        ck_assert_double_le(fabs((double)a.v[i] - v[i]), 2e-6 * fabs(v[i]));
    }
    ck_assert(theta[n - 1] == (real)expected[n - 1]);    /* no gradient, no step */
    free(h), free(expected), free(m), free(v), free(theta), free(grad), free(a.m), free(a.v);
    safetensors_close(&f);
}
END_TEST

START_TEST(polyak_moves_the_target_by_tau_of_the_way)
{
    struct safetensors *f = golden_open("sac_parts");
    size_t n = golden_count(f, "polyak_target");
    real *target = golden_real(f, "polyak_target"), *source = golden_real(f, "polyak_source");
    double *tau = golden(f, "polyak_tau"), *expected = golden(f, "polyak_result");
    polyak(target, source, n, *tau);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol((double)target[i], expected[i], 2e-7);
    polyak(target, source, n, 0);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol((double)target[i], expected[i], 2e-7);
    free(target), free(source), free(tau), free(expected);
    safetensors_close(&f);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        first_update_equals_pytorch_with_relu_terminations_and_clamped_sigmas,
        ten_updates_equal_pytorch_with_relu_terminations_and_clamped_sigmas,
        first_update_equals_pytorch_with_tanh_and_one_action,
        ten_updates_equal_pytorch_with_tanh_and_one_action,
        a_fixed_temperature_stays_and_the_networks_move_as_before,
        truncation_bootstraps_like_a_step_and_termination_does_not,
        a_non_finite_loss_is_reported_and_moves_nothing,
        squashed_gaussian_equals_pytorch_at_ordinary_and_extreme_values,
        adam_equals_pytorch_over_five_steps_from_tiny_to_huge_gradients,
        polyak_moves_the_target_by_tau_of_the_way,
    };
    return suite_run("sac_golden", tests, TEST_COUNT(tests), 60);
}
