/* The forms of SAC against PyTorch in float64; make_sac_forms_golden.py says what the files hold. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "learner/algorithms.h"
#include "learner/sac.h"
#include "tests/golden/golden.h"

enum { SIZES = 10, GOLDEN_METRICS = 7 };
static const char *const metric_names[GOLDEN_METRICS] = { "q_loss", "pi_loss", "alpha_loss", "alpha",
                                                          "entropy", "q_mean", "v_loss" };

struct golden_case {
    const char *name;
    struct safetensors *file;
    struct arena *arena;
    void *sac;
    struct algorithm_setup setup;
    struct sac_hyper hyper;
    real *rows, *noise, *discount, *weight;    /* of all updates; no noise with choices */
    real *td_error;                            /* [B] */
    struct array params, targets;
    int n_updates;
    double metrics[ALGORITHM_MAX_METRICS];
};

static void read_sizes(struct golden_case *c)
{
    ck_assert_uint_eq(golden_count(c->file, "sizes"), SIZES);
    double *sizes = golden(c->file, "sizes");
    c->setup = (struct algorithm_setup){
        .shape = { (int)sizes[0], (int)sizes[1] }, .n_choices = (int)sizes[2],
        .batch_size = (int)sizes[3], .seed = 1,
        .policy = { (int)sizes[5], { (int)sizes[6], (int)sizes[7] },
                    sizes[8] > 0 ? ACTIVATION_TANH : ACTIVATION_RELU, false },
    };
    c->setup.critic = c->setup.policy;
    c->setup.critic.has_layer_norm = sizes[9] > 0;
    c->n_updates = (int)sizes[4];
    free(sizes);
}

static void read_hyper(struct golden_case *c)
{
    double *h = golden(c->file, "hyper");
    c->hyper = (struct sac_hyper){
        .value_network = h[0] > 0, .gamma = 0.5, .tau = h[1], .target_every = (int64_t)h[2],
        .policy_delay = (int64_t)h[3], .policy_lr = h[4], .q_lr = h[5], .alpha_lr = h[6], .alpha_init = 1,
        .learn_alpha = h[7] > 0, .target_entropy = h[8], .target_entropy_ratio = h[8],
        .optimiser = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 },
    };
    c->setup.hyper = &c->hyper;
    free(h);
}

/* A fresh SAC at the golden start. */
static void open_case(struct golden_case *c, const char *name)
{
    matrix_setup();
    *c = (struct golden_case){ .name = name };
    char file[64];
    snprintf(file, sizeof(file), "sac_form_%s", name);
    c->file = golden_open(file);
    read_sizes(c);
    read_hyper(c);
    c->arena = arena_create(1 << 20);
    c->sac = sac_algorithm.create(&c->setup, c->arena);
    c->params = golden_array(&sac_algorithm, c->sac, "params");
    c->targets = golden_array(&sac_algorithm, c->sac, "targets");
    golden_overwrite(c->params, c->file, "params0");
    golden_overwrite(c->targets, c->file, "targets0");
    c->rows = golden_real(c->file, "rows");
    c->noise = c->setup.n_choices ? NULL : golden_real(c->file, "noise");
    c->discount = golden_real(c->file, "discount");
    c->weight = golden_real(c->file, "weight");
    c->td_error = calloc((size_t)c->setup.batch_size, sizeof(real));
}

static void close_case(struct golden_case *c)
{
    free(c->rows), free(c->noise), free(c->discount), free(c->weight), free(c->td_error);
    arena_destroy(&c->arena);
    safetensors_close(&c->file);
}

/* Update number `i` from 0, once only: it overwrites actions. */
static void update(struct golden_case *c, int i)
{
    struct error err = { 0 };
    int B = c->setup.batch_size, n_noise = B * (1 + (int)c->hyper.policy_delay) * c->setup.shape.n_act;
    struct batch b = { .n = B, .shape = c->setup.shape,
                       .rows = c->rows + i * 2 * B * row_stride(c->setup.shape),
                       .noise = c->noise ? c->noise + i * n_noise : NULL,
                       .discount = c->discount + i * B, .weight = c->weight + i * B,
                       .td_error = c->td_error };
    ck_assert_msg(sac_algorithm.update(c->sac, &b, c->metrics, &err) == 0, "%s", err.text);
}

static double metric(const struct golden_case *c, const char *name)
{
    for (int i = 0; i < sac_algorithm.n_metrics; i++)
        if (strcmp(sac_algorithm.metric_names[i], name) == 0)
            return c->metrics[i];
    ck_abort_msg("SAC has no metric %s", name);
}

static void check_metrics(const struct golden_case *c, int i, double tolerance)
{
    for (int j = 0; j < GOLDEN_METRICS; j++) {
        double expected = golden_at(c->file, "metrics", (size_t)(i * GOLDEN_METRICS + j));
        double x = metric(c, metric_names[j]);
        /* Means that cancel are compared with a typical value. */
        double scale = j == 5 || j == 2 ? fmax(fabs(expected), 1) : fabs(expected);
        ck_assert_msg(fabs(x - expected) <= tolerance * scale, "%s, update %d: %s is %.9g instead of %.9g",
                      c->name, i + 1, metric_names[j], x, expected);
    }
}

static void check_gradients(const struct golden_case *c)
{
    size_t n, at = 0;
    int n_obs = c->setup.shape.n_obs, n_act = c->setup.shape.n_act, n_choices = c->setup.n_choices;
    struct mlp_shape policy = mlp_shape_make(n_obs, &c->setup.policy, n_choices ? n_choices : 2 * n_act);
    struct mlp_shape q = n_choices ? mlp_shape_make(n_obs, &c->setup.critic, n_choices)
                                   : mlp_shape_make(n_obs + n_act, &c->setup.critic, 1);
    struct mlp_shape v = mlp_shape_make(n_obs, &c->setup.critic, 1);
    const real *grad = sac_algorithm.gradients(c->sac, &n);
    double *expected = golden(c->file, "gradients");
    ck_assert_uint_eq(n, golden_count(c->file, "gradients"));
    at += golden_check_network("policy", &policy, grad, expected, 1e-5);
    ck_assert_double_eq_tol(metric(c, "pi_grad_norm") / golden_norm(expected, 0, at), 1, 1e-5);
    size_t q_begin = at;
    at += golden_check_network("q1", &q, grad + at, expected + at, 1e-5);
    at += golden_check_network("q2", &q, grad + at, expected + at, 1e-5);
    ck_assert_double_eq_tol(metric(c, "q_grad_norm") / golden_norm(expected, q_begin, at), 1, 1e-5);
    golden_check("log alpha", grad + at, expected + at, 1, 1e-5);
    at++;
    if (c->hyper.value_network)
        at += golden_check_network("v", &v, grad + at, expected + at, 1e-5);
    ck_assert_uint_eq(at, n);
    free(expected);
}

static void check_first_update(const struct golden_case *c)
{
    double *td_error = golden(c->file, "td_error");
    golden_check("td_error", c->td_error, td_error, (size_t)c->setup.batch_size, 1e-5);
    free(td_error);
    golden_check_way(c->name, c->params, c->file, "params1", "params0", 1e-3);
    if (c->hyper.target_every == 1) {
        golden_check_way(c->name, c->targets, c->file, "targets1", "targets0", 1e-3);
        return;
    }
    real *targets = golden_real(c->file, "targets0");
    ck_assert_mem_eq(c->targets.data, targets, c->targets.n * sizeof(real));
    free(targets);
}

static void check_case(const char *name)
{
    struct golden_case c;
    open_case(&c, name);
    for (int i = 0; i < c.n_updates; i++) {
        update(&c, i);
        check_metrics(&c, i, i == 0 ? 1e-5 : 1e-4);
        if (i == 0)
            check_first_update(&c);
        if (i + 1 == c.hyper.policy_delay)
            check_gradients(&c);
    }
    golden_check_way(name, c.params, c.file, "params10", "params0", 1e-3);
    golden_check_way(name, c.targets, c.file, "targets10", "targets0", 1e-3);
    close_case(&c);
}

START_TEST(continuous_equals_pytorch_with_layer_norm_hard_targets_and_a_delayed_policy)
{
    check_case("continuous");
}
END_TEST

START_TEST(the_first_papers_form_equals_pytorch_at_a_fixed_temperature)
{
    check_case("value");
}
END_TEST

START_TEST(the_first_papers_form_equals_pytorch_with_layer_norm_and_periodic_targets)
{
    check_case("value_norm");
}
END_TEST

START_TEST(discrete_equals_pytorch)
{
    check_case("discrete");
}
END_TEST

START_TEST(discrete_equals_pytorch_with_layer_norm_hard_targets_and_a_delayed_policy)
{
    check_case("discrete_norm");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        continuous_equals_pytorch_with_layer_norm_hard_targets_and_a_delayed_policy,
        the_first_papers_form_equals_pytorch_at_a_fixed_temperature,
        the_first_papers_form_equals_pytorch_with_layer_norm_and_periodic_targets,
        discrete_equals_pytorch,
        discrete_equals_pytorch_with_layer_norm_hard_targets_and_a_delayed_policy,
    };
    return suite_run("sac_forms_golden", tests, TEST_COUNT(tests), 60);
}
