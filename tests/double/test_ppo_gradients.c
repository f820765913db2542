/* The gradients of PPO's whole loss against finite differences, in double precision. With a learning rate
 * of zero a step only measures: metrics hold the losses at the present parameters. Advantages and targets
 * are those of `begin`, and stay when parameters are perturbed. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "learner/algorithms.h"
#include "learner/ppo.h"
#include "tests/double/differences.h"

enum { N_ROWS = 34, LAST = N_ROWS - 1, MIDDLE = 16 };    /* both CLOSE */
enum { POLICY_LOSS, VALUE_LOSS, ENTROPY, APPROX_KL, CLIP_FRACTION };

struct ppo_case {
    struct arena *arena;
    void *ppo;
    struct algorithm_setup setup;
    struct ppo_hyper hyper;
    struct round round;
    struct rng rng;
    real *rows;
    size_t n;
    double metrics[ALGORITHM_MAX_METRICS];
};

static double total_loss(void *context)
{
    struct ppo_case *c = context;
    struct error err;
    ck_assert_int_eq(ppo_algorithm.step(c->ppo, c->metrics, &err), 0);
    return c->metrics[POLICY_LOSS] + c->hyper.value_coef * c->metrics[VALUE_LOSS]
         - c->hyper.entropy_coef * c->metrics[ENTROPY];
}

/* Two fragments of random rows, whose actors were `spread` away from the present policy. */
static void draw_round(struct ppo_case *c, double spread)
{
    static const int first[] = { 0, MIDDLE + 1, N_ROWS };
    const struct row_shape shape = c->setup.shape;
    const int stride = row_stride(shape);
    c->rows = random_block(&c->rng, (size_t)(N_ROWS * stride), 1);
    for (int t = 0; t < N_ROWS; t++) {
        real *row = c->rows + t * stride;
        row[row_kind(shape)] = t == MIDDLE || t == LAST ? ROW_CLOSE : t == MIDDLE - 1 ? ROW_TERMINATED
                             : ROW_STEP;
        if (c->setup.n_choices)
            row[row_act(shape)] = (real)rng_below(&c->rng, (uint64_t)c->setup.n_choices);
        row[row_log_prob(shape)] = -1.5 + spread * rng_normal(&c->rng);
    }
    c->round = (struct round){ .shape = shape, .n_rows = N_ROWS, .n_transitions = N_ROWS - 2,
                               .n_fragments = 2, .rows = c->rows, .first = first };
}

static void check_ppo(struct ppo_hyper hyper, int n_choices, struct mlp_body body, double spread)
{
    matrix_setup();
    struct ppo_case c = {
        .hyper = hyper,
        .setup = { .shape = { 4, n_choices ? 1 : 2 }, .n_choices = n_choices, .policy = body,
                   .critic = body, .batch_size = N_ROWS - 2, .max_rows = N_ROWS, .max_fragments = 2,
                   .max_transitions = N_ROWS - 2, .seed = 5 },
    };
    rng_init(&c.rng, 12, RNG_TEST, (uint32_t)n_choices, 0);
    c.setup.hyper = &c.hyper;
    c.arena = arena_create(1 << 16);
    c.ppo = ppo_algorithm.create(&c.setup, c.arena);
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    ppo_algorithm.arrays(c.ppo, arrays);
    ck_assert_str_eq(arrays[0].name, "params");
    draw_round(&c, spread);
    ppo_algorithm.begin(c.ppo, &c.round, &c.rng);
    /* Values leave their old ones, so that clipping them has something to do. */
    for (size_t i = 0; i < arrays[0].n; i++)
        arrays[0].data[i] += 0.1 * rng_normal(&c.rng);

    total_loss(&c);
    if (hyper.clip < 1)
        ck_assert(c.metrics[CLIP_FRACTION] > 0.2 && c.metrics[CLIP_FRACTION] < 0.95);
    else
        ck_assert(c.metrics[CLIP_FRACTION] == 0);
    real *grad = malloc(arrays[0].n * sizeof(real));
    memcpy(grad, ppo_algorithm.gradients(c.ppo, &c.n), arrays[0].n * sizeof(real));
    ck_assert_uint_eq(c.n, arrays[0].n);
    check_gradient("the whole loss", grad, total_loss, &c, arrays[0].data, c.n);
    free(grad), free(c.rows);
    arena_destroy(&c.arena);
}

static const struct ppo_hyper plain = {
    .gamma = 0.9, .lambda = 0.8, .clip = 1e9, .epochs = INT64_MAX, .value_coef = 0.7,
    .entropy_coef = 0.3, .log_sigma_init = -0.3, .rho_bar = 1, .c_bar = 1,
    .optimiser = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 },
};
static const struct mlp_body tanh_body = { 2, { 9, 7 }, ACTIVATION_TANH, false };
static const struct mlp_body silu_body = { 2, { 9, 7 }, ACTIVATION_SILU, true };

START_TEST(gradients_equal_differences_where_nothing_is_clipped)
{
    struct ppo_hyper h = plain;
    check_ppo(h, 0, tanh_body, 0.3);
    check_ppo(h, 3, tanh_body, 0.3);
    h.log_sigma = LOG_SIGMA_OF_STATE;
    check_ppo(h, 0, silu_body, 0.3);
}
END_TEST

START_TEST(gradients_equal_differences_where_ratios_and_values_are_clipped)
{
    struct ppo_hyper h = plain;
    h.clip = 0.3;
    h.value_clip = 0.05;
    h.normalise_advantages = PPO_NORMALISE_MINIBATCH;
    check_ppo(h, 0, tanh_body, 0.5);
    check_ppo(h, 3, silu_body, 0.5);
    h.log_sigma = LOG_SIGMA_OF_STATE;
    check_ppo(h, 0, tanh_body, 0.5);
}
END_TEST

START_TEST(gradients_equal_differences_with_advantages_of_v_trace)
{
    struct ppo_hyper h = plain;
    h.vtrace = true;
    h.clip = 0.3;
    check_ppo(h, 0, tanh_body, 0.5);
    check_ppo(h, 3, tanh_body, 0.5);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        gradients_equal_differences_where_nothing_is_clipped,
        gradients_equal_differences_where_ratios_and_values_are_clipped,
        gradients_equal_differences_with_advantages_of_v_trace,
    };
    return suite_run("ppo_gradients", tests, TEST_COUNT(tests), 60);
}
