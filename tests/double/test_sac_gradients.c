/* The gradients of SAC's forms against differences of their losses.
 *
 * With learning rates and tau zero an update only measures: metrics hold the losses at the present
 * parameters, `gradients` their gradients. Targets of a loss stay when its own network is perturbed: they
 * are made of other networks and of Qbar or Vbar, which are arrays of their own. */
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "learner/algorithms.h"
#include "learner/sac.h"
#include "tests/double/differences.h"

enum { Q_LOSS, PI_LOSS, ALPHA_LOSS, V_LOSS = 8 };
enum { BATCH = 16 };

struct sac_case {
    struct arena *arena;
    void *sac;
    struct algorithm_setup setup;
    struct sac_hyper hyper;
    struct array params;
    real *rows, *scratch, *noise;
    real discount[BATCH], weight[BATCH], td_error[BATCH];
    size_t n_rows;
    int metric;
};

static double sac_loss(void *context)
{
    struct sac_case *c = context;
    double metrics[ALGORITHM_MAX_METRICS];
    memcpy(c->scratch, c->rows, c->n_rows * sizeof(real));
    struct batch b = { .n = BATCH, .shape = c->setup.shape, .rows = c->scratch, .noise = c->noise,
                       .discount = c->discount, .weight = c->weight, .td_error = c->td_error };
    struct error err;
    ck_assert_int_eq(sac_algorithm.update(c->sac, &b, metrics, &err), 0);
    return metrics[c->metric];
}

static void draw_batch(struct sac_case *c, struct rng *rng)
{
    struct row_shape s = c->setup.shape;
    int stride = row_stride(s);
    c->n_rows = (size_t)(2 * BATCH * stride);
    c->rows = random_block(rng, c->n_rows, 1);
    c->scratch = malloc(c->n_rows * sizeof(real));
    for (int k = 0; k < 2 * BATCH; k++) {
        c->rows[k * stride + row_kind(s)] = (real)rng_below(rng, 3);
        if (c->setup.n_choices)
            c->rows[k * stride + row_act(s)] = (real)rng_below(rng, (uint64_t)c->setup.n_choices);
    }
    c->noise = random_block(rng, (size_t)(2 * BATCH * s.n_act), 1);
    for (int k = 0; k < BATCH; k++) {
        c->discount[k] = rng_uniform(rng, 0.5, 1);
        c->weight[k] = rng_uniform(rng, 0.2, 1);
    }
}

static void open_case(struct sac_case *c, struct row_shape shape, int n_choices, bool value_network,
                      struct mlp_body critic)
{
    matrix_setup();
    struct rng rng;
    rng_init(&rng, 10, RNG_TEST, (uint32_t)critic.activation, (uint32_t)shape.n_act);
    *c = (struct sac_case){
        .hyper = { .value_network = value_network, .gamma = 0.9, .target_every = 1, .policy_delay = 1,
                   .alpha_init = 0.4, .learn_alpha = true, .target_entropy = -0.6,
                   .target_entropy_ratio = 0.4,
                   .optimiser = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 } },
        .setup = { .shape = shape, .n_choices = n_choices, .policy = critic, .critic = critic,
                   .batch_size = BATCH, .seed = 3 },
    };
    c->setup.policy.has_layer_norm = false;
    c->setup.hyper = &c->hyper;
    c->arena = arena_create(1 << 16);
    c->sac = sac_algorithm.create(&c->setup, c->arena);
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    sac_algorithm.arrays(c->sac, arrays);
    c->params = arrays[0];
    ck_assert_str_eq(c->params.name, "params");
    draw_batch(c, &rng);
}

static void close_case(struct sac_case *c)
{
    free(c->rows), free(c->scratch), free(c->noise);
    arena_destroy(&c->arena);
}

static void check_part(struct sac_case *c, const char *what, int metric, const real *grad,
                       size_t *at, size_t n)
{
    c->metric = metric;
    check_gradient(what, grad + *at, sac_loss, c, c->params.data + *at, n);
    *at += n;
}

static void check_form(int n_act, int n_choices, bool value_network, struct mlp_body critic)
{
    struct sac_case c;
    open_case(&c, (struct row_shape){ 4, n_act }, n_choices, value_network, critic);
    size_t n_policy, n, at = 0;
    sac_algorithm.policy(c.sac, &n_policy);
    real *params = malloc(c.params.n * sizeof(real)), *grad = malloc(c.params.n * sizeof(real));
    memcpy(params, c.params.data, c.params.n * sizeof(real));
    sac_loss(&c);
    ck_assert_mem_eq(params, c.params.data, c.params.n * sizeof(real));
    memcpy(grad, sac_algorithm.gradients(c.sac, &n), c.params.n * sizeof(real));
    ck_assert_uint_eq(n, c.params.n);

    struct mlp_shape v = mlp_shape_make(4, &critic, 1);
    size_t n_v = value_network ? mlp_n_params(&v) : 0;
    check_part(&c, "policy", PI_LOSS, grad, &at, n_policy);
    check_part(&c, "critics", Q_LOSS, grad, &at, n - 1 - n_policy - n_v);
    check_part(&c, "log alpha", ALPHA_LOSS, grad, &at, 1);
    if (value_network)
        check_part(&c, "v", V_LOSS, grad, &at, n_v);
    ck_assert_uint_eq(at, n);

    free(params), free(grad);
    close_case(&c);
}

static const struct mlp_body relu = { 2, { 9, 7 }, ACTIVATION_RELU, false };
static const struct mlp_body tanh_body = { 2, { 9, 7 }, ACTIVATION_TANH, false };
static const struct mlp_body tanh_norm = { 2, { 9, 7 }, ACTIVATION_TANH, true };

START_TEST(continuous_gradients_equal_differences_of_their_losses)
{
    check_form(1, 0, false, relu);
    check_form(3, 0, false, relu);
    check_form(1, 0, false, tanh_body);
    check_form(3, 0, false, tanh_norm);
}
END_TEST

START_TEST(the_first_papers_gradients_equal_differences_of_their_losses)
{
    check_form(1, 0, true, relu);
    check_form(3, 0, true, tanh_body);
    check_form(2, 0, true, tanh_norm);
}
END_TEST

START_TEST(discrete_gradients_equal_differences_of_their_losses)
{
    check_form(1, 2, false, relu);
    check_form(1, 5, false, tanh_body);
    check_form(1, 3, false, tanh_norm);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        continuous_gradients_equal_differences_of_their_losses,
        the_first_papers_gradients_equal_differences_of_their_losses,
        discrete_gradients_equal_differences_of_their_losses,
    };
    return suite_run("sac_gradients", tests, TEST_COUNT(tests), 60);
}
