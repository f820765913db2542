/* The gradients of DDPG and TD3 against central finite differences of their losses, in double.
 *
 * With learning rates and tau zero an update only measures: metrics hold the losses at the present
 * parameters, `gradients` their gradients. The target y stays when a network is perturbed: it is made of
 * the targets, an array of its own. A difference quotient with step 1e-6 carries an error of about 1e-9 of
 * the loss; gradients are compared at 1e-7 of their largest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "learner/algorithms.h"
#include "learner/ddpg.h"
#include "learner/td3.h"
#include "tests/support.h"

_Static_assert(sizeof(real) == sizeof(double), "build with -DSHOAL_DOUBLE");

enum { Q_LOSS, PI_LOSS };
enum { B = 16, MAX_ACT = 3, N_OBS = 4, MAX_ROWS = 2 * B * (N_OBS + MAX_ACT + 3) };

static const double STEP = 1e-6, TOLERANCE = 1e-7;

struct measured {
    const struct algorithm *algorithm;
    void *self;
    struct row_shape shape;
    struct array params;
    real rows[MAX_ROWS], scratch[MAX_ROWS], noise[B * MAX_ACT];
    real discount[B], weight[B], td_error[B];
    int metric;
};

static double loss(struct measured *m)
{
    double metrics[ALGORITHM_MAX_METRICS];
    struct error err;
    memcpy(m->scratch, m->rows, sizeof(m->rows));
    struct batch b = { .n = B, .shape = m->shape, .rows = m->scratch, .noise = m->noise,
                       .discount = m->discount, .weight = m->weight, .td_error = m->td_error };
    ck_assert_int_eq(m->algorithm->update(m->self, &b, metrics, &err), 0);
    return metrics[m->metric];
}

static void draw_batch(struct measured *m, struct rng *rng)
{
    int stride = row_stride(m->shape);
    for (int i = 0; i < 2 * B * stride; i++)
        m->rows[i] = rng_normal(rng);
    for (int k = 0; k < 2 * B; k++)
        m->rows[k * stride + row_kind(m->shape)] = (real)rng_below(rng, 3);
    for (int i = 0; i < B * MAX_ACT; i++)
        m->noise[i] = rng_normal(rng);
    for (int k = 0; k < B; k++) {
        m->discount[k] = rng_uniform(rng, 0.5, 1);
        m->weight[k] = rng_uniform(rng, 0.2, 2);
    }
}

/* Parameters `begin` to `end - 1` against the loss in `metric`. */
static void check_part(struct measured *m, const char *what, int metric, const real *grad, size_t begin,
                       size_t end)
{
    double largest = 0, worst = 0;
    m->metric = metric;
    for (size_t i = begin; i < end; i++) {
        real *x = &m->params.data[i], saved = *x;
        *x = saved + STEP;
        double above = loss(m);
        *x = saved - STEP;
        double below = loss(m);
        *x = saved;
        double numeric = (above - below) / (2 * STEP);
        largest = fmax(largest, fabs(numeric));
        worst = fmax(worst, fabs(numeric - grad[i]));
    }
    ck_assert_msg(largest > 0 && worst <= TOLERANCE * largest, "%s's %s: %.3g off, largest %.3g",
                  m->algorithm->name, what, worst, largest);
}

static void check(const struct algorithm *algorithm, const void *hyper, enum activation activation,
                  bool has_layer_norm, int n_act)
{
    struct rng rng;
    matrix_setup();
    rng_init(&rng, 12, RNG_TEST, (uint32_t)activation, (uint32_t)n_act);
    const struct mlp_body body = { 2, { 9, 7 }, activation, has_layer_norm };
    const struct algorithm_setup setup = { .shape = { N_OBS, n_act }, .policy = body, .critic = body,
                                           .batch_size = B, .seed = 3, .hyper = hyper };
    struct arena *arena = arena_create(1 << 16);
    struct measured m = { .algorithm = algorithm, .shape = setup.shape,
                          .self = algorithm->create(&setup, arena) };
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    algorithm->arrays(m.self, arrays);
    m.params = arrays[0];
    ck_assert_str_eq(m.params.name, "params");
    draw_batch(&m, &rng);

    size_t n_policy, n;
    algorithm->policy(m.self, &n_policy);
    real *params = malloc(m.params.n * sizeof(real)), *grad = malloc(m.params.n * sizeof(real));
    memcpy(params, m.params.data, m.params.n * sizeof(real));
    loss(&m);
    ck_assert_mem_eq(params, m.params.data, m.params.n * sizeof(real));
    memcpy(grad, algorithm->gradients(m.self, &n), m.params.n * sizeof(real));
    ck_assert_uint_eq(n, m.params.n);
    check_part(&m, "policy", PI_LOSS, grad, 0, n_policy);
    check_part(&m, "critics", Q_LOSS, grad, n_policy, n);
    free(params), free(grad);
    arena_destroy(&arena);
}

static const struct optimiser_hyper adam = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 };

static void check_all(const struct algorithm *algorithm, const void *hyper)
{
    for (int f = ACTIVATION_RELU; f <= ACTIVATION_SILU; f++)
        for (int n_act = 1; n_act <= MAX_ACT; n_act += 2)
            for (int has_layer_norm = 0; has_layer_norm < 2; has_layer_norm++)
                check(algorithm, hyper, (enum activation)f, has_layer_norm, n_act);
}

START_TEST(ddpg_gradients_equal_differences_of_its_losses)
{
    const struct ddpg_hyper h = { .policy_delay = 1, .target_every = 1, .optimiser = adam };
    check_all(&ddpg_algorithm, &h);
}
END_TEST

START_TEST(td3_gradients_equal_differences_of_its_losses)
{
    const struct td3_hyper h = { .policy_delay = 1, .target_every = 1, .target_noise = 0.2,
                                 .target_noise_clip = 0.5, .optimiser = adam };
    check_all(&td3_algorithm, &h);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        ddpg_gradients_equal_differences_of_its_losses,
        td3_gradients_equal_differences_of_its_losses,
    };
    return suite_run("deterministic", tests, TEST_COUNT(tests), 60);
}
