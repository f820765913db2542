/* A2C's gradients in double precision against differences of the losses that it reports.
 *
 * With a learning rate of 0 an update only measures. Advantages and targets are constants of the loss, and
 * must be so of the differences: they do not depend on the policy, and with gamma 0 targets do not depend
 * on the value function. */
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "learner/a2c.h"
#include "learner/algorithms.h"
#include "tests/double/differences.h"

enum { POLICY_LOSS, VALUE_LOSS, ENTROPY, N_ROWS = 24 };

struct a2c_case {
    struct arena *arena;
    struct a2c_hyper hyper;
    struct algorithm_setup setup;
    void *a2c;
    struct array params;
    struct rng rng;
    real rows[N_ROWS * 16];
    int first[3];
    int64_t staleness[2];
    struct round round;
    bool of_value;      /* which part of the loss */
};

static double loss(void *context)
{
    struct a2c_case *c = context;
    double metrics[ALGORITHM_MAX_METRICS];
    struct error err;
    a2c_algorithm.begin(c->a2c, &c->round, &c->rng);
    ck_assert_int_eq(a2c_algorithm.step(c->a2c, metrics, &err), 0);
    return c->of_value ? c->hyper.value_coef * metrics[VALUE_LOSS]
                       : metrics[POLICY_LOSS] - c->hyper.entropy_coef * metrics[ENTROPY];
}

/* Two fragments, of 7 and 12 transitions, in which episodes end both ways. */
static void draw_round(struct a2c_case *c)
{
    static const int closes[] = { 4, 8, 11, 14, 23 };
    const struct row_shape s = c->setup.shape;
    const int stride = row_stride(s);
    c->round = (struct round){ .shape = s, .n_rows = N_ROWS, .n_fragments = 2, .rows = c->rows,
                               .n_transitions = N_ROWS - (int)TEST_COUNT(closes),
                               .first = c->first, .staleness = c->staleness };
    c->first[1] = 9;
    c->first[2] = N_ROWS;
    for (int t = 0; t < N_ROWS; t++) {
        real *row = c->rows + t * stride;
        for (int i = 0; i < stride; i++)
            row[i] = rng_normal(&c->rng);
        if (c->setup.n_choices)
            row[row_act(s)] = (real)rng_below(&c->rng, (uint64_t)c->setup.n_choices);
        row[row_kind(s)] = ROW_STEP;
    }
    for (size_t i = 0; i < TEST_COUNT(closes); i++) {
        c->rows[closes[i] * stride + row_kind(s)] = ROW_CLOSE;
        c->rows[(closes[i] - 1) * stride + row_kind(s)] = i % 2 ? ROW_TERMINATED : ROW_TRUNCATED;
    }
}

/* Of the parameters begin .. end - 1. */
static void check_range(const char *what, struct a2c_case *c, size_t begin, size_t end)
{
    size_t n;
    loss(c);
    real *grad = malloc(c->params.n * sizeof(*grad));
    memcpy(grad, a2c_algorithm.gradients(c->a2c, &n), c->params.n * sizeof(*grad));
    ck_assert_uint_eq(n, c->params.n);
    check_gradient(what, grad + begin, loss, c, c->params.data + begin, end - begin);
    free(grad);
}

static void check_gradients(int n_choices, enum log_sigma_kind log_sigma, enum activation activation)
{
    matrix_setup();
    struct a2c_case c = {
        .hyper = { .gamma = 0.9, .lambda = 0.8, .value_coef = 0.7, .entropy_coef = 0.3, .rho_bar = 1,
                   .log_sigma = log_sigma, .log_sigma_init = -0.3,
                   .optimiser = { .kind = OPTIMISER_RMSPROP_TF, .decay = 0.99, .epsilon = 1e-5 } },
        .setup = { .shape = { 4, n_choices ? 1 : 2 }, .n_choices = n_choices, .seed = 3,
                   .policy = { 2, { 9, 7 }, activation, false },
                   .critic = { 2, { 9, 7 }, activation, false }, .max_rows = N_ROWS,
                   .max_transitions = N_ROWS, .max_fragments = 2 },
    };
    size_t n_policy;
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    rng_init(&c.rng, 12, RNG_TEST, 0, 0);
    c.setup.hyper = &c.hyper;
    c.arena = arena_create(1 << 16);
    for (int of_value = 0; of_value < 2; of_value++) {
        c.of_value = of_value;
        c.hyper.gamma = of_value ? 0 : 0.9;
        c.a2c = a2c_algorithm.create(&c.setup, c.arena);
        a2c_algorithm.arrays(c.a2c, arrays);
        c.params = arrays[0];
        a2c_algorithm.policy(c.a2c, &n_policy);
        draw_round(&c);
        if (of_value)
            check_range("value", &c, n_policy, c.params.n);
        else
            check_range("policy", &c, 0, n_policy);
    }
    arena_destroy(&c.arena);
}

START_TEST(gradients_equal_differences_of_the_losses_with_free_sigmas)
{
    check_gradients(0, LOG_SIGMA_INDEPENDENT, ACTIVATION_TANH);
    check_gradients(0, LOG_SIGMA_INDEPENDENT, ACTIVATION_RELU);
}
END_TEST

START_TEST(gradients_equal_differences_of_the_losses_with_sigmas_of_the_state)
{
    check_gradients(0, LOG_SIGMA_OF_STATE, ACTIVATION_TANH);
    check_gradients(0, LOG_SIGMA_OF_STATE, ACTIVATION_RELU);
}
END_TEST

START_TEST(gradients_equal_differences_of_the_losses_with_discrete_actions)
{
    check_gradients(4, LOG_SIGMA_INDEPENDENT, ACTIVATION_TANH);
    check_gradients(4, LOG_SIGMA_INDEPENDENT, ACTIVATION_RELU);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        gradients_equal_differences_of_the_losses_with_free_sigmas,
        gradients_equal_differences_of_the_losses_with_sigmas_of_the_state,
        gradients_equal_differences_of_the_losses_with_discrete_actions,
    };
    return suite_run("a2c_gradients", tests, TEST_COUNT(tests), 60);
}
