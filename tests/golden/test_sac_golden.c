/* SAC in all its forms, and its parts, against PyTorch in float64; make_sac_golden.py and
 * make_sac_forms_golden.py say what the files hold. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/squashed_gaussian.h"
#include "learner/algorithms.h"
#include "learner/optimiser.h"
#include "learner/sac.h"
#include "tests/golden/golden.h"

enum { SIZES = 8, FORM_SIZES = 10 };

static const struct golden_column columns[] = {
    { "q_loss", 0 }, { "pi_loss", 0 }, { "alpha_loss", 0 }, { "alpha", 0 }, { "entropy", 0 },
    { "q_mean", 1 }, { "v_loss", 0 },
};

struct trial {
    struct golden_case g;
    struct sac_hyper hyper;
    real *noise, *discount, *weight;    /* of all updates; no noise with choices */
    real *td_error;                     /* [B] */
    int n_updates, n_columns;
};

/* ---- one case ---- */

/* What make_sac_golden.py writes: one discount, no weights. */
static void read_plain(struct trial *c, const double *sizes, const double *h)
{
    const struct mlp_body body = golden_body(sizes + 4);
    c->hyper = (struct sac_hyper){
        .gamma = h[0], .tau = h[1], .target_every = 1, .policy_delay = 1, .policy_lr = h[2], .q_lr = h[3],
        .alpha_lr = h[4], .learn_alpha = true, .target_entropy = h[5],
    };
    c->g.setup = (struct algorithm_setup){ .shape = { (int)sizes[0], (int)sizes[1] }, .policy = body,
                                           .critic = body, .batch_size = (int)sizes[2] };
    c->n_updates = (int)sizes[3];
    c->n_columns = TEST_COUNT(columns) - 1;
    const size_t n = (size_t)(c->n_updates * c->g.setup.batch_size);
    c->discount = malloc(n * sizeof(real));
    c->weight = malloc(n * sizeof(real));
    for (size_t k = 0; k < n; k++)
        c->discount[k] = (real)c->hyper.gamma, c->weight[k] = 1;
}

/* What make_sac_forms_golden.py writes: a discount and a weight of each row. */
static void read_form(struct trial *c, const double *sizes, const double *h)
{
    const struct mlp_body body = golden_body(sizes + 5);
    c->hyper = (struct sac_hyper){
        .value_network = h[0] > 0, .gamma = 0.5, .tau = h[1], .target_every = (int64_t)h[2],
        .policy_delay = (int64_t)h[3], .policy_lr = h[4], .q_lr = h[5], .alpha_lr = h[6],
        .learn_alpha = h[7] > 0, .target_entropy = h[8], .target_entropy_ratio = h[8],
    };
    c->g.setup = (struct algorithm_setup){ .shape = { (int)sizes[0], (int)sizes[1] }, .policy = body,
                                           .critic = body, .batch_size = (int)sizes[3],
                                           .n_choices = (int)sizes[2] };
    c->g.setup.critic.has_layer_norm = sizes[9] > 0;
    c->n_updates = (int)sizes[4];
    c->n_columns = TEST_COUNT(columns);
    c->discount = golden_real(c->g.file, "discount");
    c->weight = golden_real(c->g.file, "weight");
}

/* A fresh SAC at the golden start. */
static void open_case(struct trial *c, const char *name)
{
    *c = (struct trial){ .n_updates = 0 };
    golden_case_open(&c->g, &sac_algorithm, name);
    double *sizes = golden(c->g.file, "sizes"), *h = golden(c->g.file, "hyper");
    const bool is_form = safetensors_find(c->g.file, "discount") != NULL;
    ck_assert_uint_eq(golden_count(c->g.file, "sizes"), is_form ? FORM_SIZES : SIZES);
    (is_form ? read_form : read_plain)(c, sizes, h);
    free(sizes), free(h);
    c->hyper.alpha_init = 1;
    c->hyper.optimiser = (struct optimiser_hyper){ .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 };
    c->g.setup.hyper = &c->hyper;
    c->g.setup.seed = 1;
    golden_case_create(&c->g);
    c->noise = c->g.setup.n_choices ? NULL : golden_real(c->g.file, "noise");
    c->td_error = calloc((size_t)c->g.setup.batch_size, sizeof(real));
}

static void close_case(struct trial *c)
{
    free(c->noise), free(c->discount), free(c->weight), free(c->td_error);
    golden_case_close(&c->g);
}

/* Update number `i` from 0, once only: it overwrites actions. */
static void update(struct trial *c, int i)
{
    struct error err = { 0 };
    int B = c->g.setup.batch_size, n_noise = B * (1 + (int)c->hyper.policy_delay) * c->g.setup.shape.n_act;
    struct batch b = { .n = B, .shape = c->g.setup.shape,
                       .rows = c->g.rows + i * 2 * B * row_stride(c->g.setup.shape),
                       .noise = c->noise ? c->noise + i * n_noise : NULL,
                       .discount = c->discount + i * B, .weight = c->weight + i * B,
                       .td_error = c->td_error };
    ck_assert_msg(sac_algorithm.update(c->g.self, &b, c->g.metrics, &err) == 0, "%s", err.text);
}

/* ---- comparing ---- */

static void check_gradients(const struct trial *c)
{
    size_t n, at = 0;
    int n_obs = c->g.setup.shape.n_obs, n_act = c->g.setup.shape.n_act, n_choices = c->g.setup.n_choices;
    struct mlp_shape policy = mlp_shape_make(n_obs, &c->g.setup.policy, n_choices ? n_choices : 2 * n_act);
    struct mlp_shape q = n_choices ? mlp_shape_make(n_obs, &c->g.setup.critic, n_choices)
                                   : mlp_shape_make(n_obs + n_act, &c->g.setup.critic, 1);
    struct mlp_shape v = mlp_shape_make(n_obs, &c->g.setup.critic, 1);
    const real *grad = sac_algorithm.gradients(c->g.self, &n);
    double *expected = golden(c->g.file, "gradients");
    ck_assert_uint_eq(n, golden_count(c->g.file, "gradients"));
    at += golden_check_network("policy", &policy, grad, expected);
    golden_check_norm(golden_metric(&c->g, "pi_grad_norm"), expected, 0, at);
    size_t q_begin = at;
    at += golden_check_network("q1", &q, grad + at, expected + at);
    at += golden_check_network("q2", &q, grad + at, expected + at);
    golden_check_norm(golden_metric(&c->g, "q_grad_norm"), expected, q_begin, at);
    golden_check_gradient("log alpha", grad + at, expected + at, 1);
    at++;
    if (c->hyper.value_network)
        at += golden_check_network("v", &v, grad + at, expected + at);
    ck_assert_uint_eq(at, n);
    free(expected);
}

static void check_first_update(const struct trial *c)
{
    if (safetensors_find(c->g.file, "td_error")) {
        double *td_error = golden(c->g.file, "td_error");
        golden_check("td_error", c->td_error, td_error, (size_t)c->g.setup.batch_size, golden_limits()->value);
        free(td_error);
    }
    golden_check_way(c->g.name, c->g.params, c->g.file, "params1", "params0");
    if (c->hyper.target_every == 1) {
        golden_check_way(c->g.name, c->g.targets, c->g.file, "targets1", "targets0");
        return;
    }
    real *targets = golden_real(c->g.file, "targets0");
    ck_assert_mem_eq(c->g.targets.data, targets, c->g.targets.n * sizeof(real));
    free(targets);
}

static void check_case(const char *name)
{
    struct trial c;
    open_case(&c, name);
    for (int i = 0; i < c.n_updates; i++) {
        update(&c, i);
        golden_check_metrics(&c.g, i, columns, c.n_columns);
        if (i == 0)
            check_first_update(&c);
        if (i + 1 == c.hyper.policy_delay)
            check_gradients(&c);
    }
    golden_check_way(name, c.g.params, c.g.file, "params10", "params0");
    golden_check_way(name, c.g.targets, c.g.file, "targets10", "targets0");
    close_case(&c);
}

START_TEST(continuous_equals_pytorch_with_relu_terminations_and_clamped_sigmas)
{
    check_case("sac_relu");
}
END_TEST

START_TEST(continuous_equals_pytorch_with_tanh_and_one_action)
{
    check_case("sac_tanh");
}
END_TEST

START_TEST(continuous_equals_pytorch_with_layer_norm_hard_targets_and_a_delayed_policy)
{
    check_case("sac_form_continuous");
}
END_TEST

START_TEST(the_first_papers_form_equals_pytorch_at_a_fixed_temperature)
{
    check_case("sac_form_value");
}
END_TEST

START_TEST(the_first_papers_form_equals_pytorch_with_layer_norm_and_periodic_targets)
{
    check_case("sac_form_value_norm");
}
END_TEST

START_TEST(discrete_equals_pytorch)
{
    check_case("sac_form_discrete");
}
END_TEST

START_TEST(discrete_equals_pytorch_with_layer_norm_hard_targets_and_a_delayed_policy)
{
    check_case("sac_form_discrete_norm");
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
    polyak(target, source, n, *tau, NULL);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol((double)target[i], expected[i], 2e-7);
    polyak(target, source, n, 0, NULL);
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol((double)target[i], expected[i], 2e-7);
    free(target), free(source), free(tau), free(expected);
    safetensors_close(&f);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        continuous_equals_pytorch_with_relu_terminations_and_clamped_sigmas,
        continuous_equals_pytorch_with_tanh_and_one_action,
        continuous_equals_pytorch_with_layer_norm_hard_targets_and_a_delayed_policy,
        the_first_papers_form_equals_pytorch_at_a_fixed_temperature,
        the_first_papers_form_equals_pytorch_with_layer_norm_and_periodic_targets,
        discrete_equals_pytorch,
        discrete_equals_pytorch_with_layer_norm_hard_targets_and_a_delayed_policy,
        squashed_gaussian_equals_pytorch_at_ordinary_and_extreme_values,
        adam_equals_pytorch_over_five_steps_from_tiny_to_huge_gradients,
        polyak_moves_the_target_by_tau_of_the_way,
    };
    return suite_run("sac_golden", tests, TEST_COUNT(tests), 60);
}
