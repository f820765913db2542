/* A2C in all its forms against PyTorch: losses, gradients, and parameters after 1 and 10 updates. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "learner/a2c.h"
#include "learner/algorithms.h"
#include "tests/golden/golden.h"

enum { SIZES = 17, N_STEPS = 10, N_METRICS = 9, GRAD_NORM = 5, MAX_FRAGMENTS = 64 };

struct golden_case {
    const char *name;
    struct safetensors *file;
    struct arena *arena;
    struct algorithm_setup setup;
    struct a2c_hyper hyper;
    int n_rounds, n_fragments;              /* n_fragments: of a round */
    real *rows;
    int first[MAX_FRAGMENTS + 1];           /* of all fragments, in `rows` */
    int round_first[MAX_FRAGMENTS + 1];     /* of the present round's */
    int64_t staleness[MAX_FRAGMENTS];
    struct round round;
    struct rng rng;
    void *a2c;
    struct array params;
    double metrics[ALGORITHM_MAX_METRICS];
};

static void read_hyper(struct golden_case *c, const double *sizes)
{
    double *h = golden(c->file, "hyper");
    c->hyper = (struct a2c_hyper){
        .form = (int)sizes[7], .normalise_advantages = (int)sizes[8], .vtrace = sizes[9] > 0,
        .truncation_terminates = sizes[10] > 0, .log_sigma = (int)sizes[11],
        .value_epochs = (int64_t)sizes[12], .learning_rate = h[0], .gamma = h[1], .lambda = h[2],
        .value_coef = h[3], .entropy_coef = h[4], .rho_bar = h[5], .c_bar = h[6],
        .optimiser = { .kind = (int)sizes[13], .schedule = (int)sizes[14], .epsilon = h[7],
                       .beta1 = 0.9, .beta2 = 0.999, .decay = 0.99, .max_grad_norm = h[8] },
    };
    free(h);
}

/* A fresh A2C at the golden start, in front of the first round. */
static void open_case(struct golden_case *c, const char *name)
{
    matrix_setup();
    *c = (struct golden_case){ .name = name };
    char file[64];
    snprintf(file, sizeof(file), "a2c_%s", name);
    c->file = golden_open(file);
    ck_assert_uint_eq(golden_count(c->file, "sizes"), SIZES);
    double *sizes = golden(c->file, "sizes"), *first = golden(c->file, "first");
    read_hyper(c, sizes);
    const struct mlp_body body = { (int)sizes[3], { (int)sizes[4], (int)sizes[5] },
                                   sizes[6] > 0 ? ACTIVATION_TANH : ACTIVATION_RELU, false };
    c->n_rounds = (int)sizes[15];
    c->n_fragments = (int)sizes[16];
    int n_first = (int)golden_count(c->file, "first");
    ck_assert_int_eq(n_first, c->n_rounds * c->n_fragments + 1);
    ck_assert_int_le(n_first, MAX_FRAGMENTS + 1);
    for (int i = 0; i < n_first; i++)
        c->first[i] = (int)first[i];
    const int n_rows = c->first[n_first - 1];
    c->setup = (struct algorithm_setup){
        .shape = { (int)sizes[0], (int)sizes[1] }, .n_choices = (int)sizes[2], .seed = 1, .policy = body,
        .critic = body, .hyper = &c->hyper, .max_rows = n_rows, .max_transitions = n_rows,
        .max_fragments = c->n_fragments,
    };
    free(sizes);
    free(first);
    c->arena = arena_create(1 << 20);
    c->a2c = a2c_algorithm.create(&c->setup, c->arena);
    c->params = golden_array(&a2c_algorithm, c->a2c, "params");
    golden_overwrite(c->params, c->file, "params0");
    c->rows = golden_real(c->file, "rows");
    rng_init(&c->rng, 1, RNG_TEST, 0, 0);
}

static void close_case(struct golden_case *c)
{
    free(c->rows);
    arena_destroy(&c->arena);
    safetensors_close(&c->file);
}

static void begin_round(struct golden_case *c, int i)
{
    const int *first = c->first + i * c->n_fragments, stride = row_stride(c->setup.shape);
    for (int f = 0; f <= c->n_fragments; f++)
        c->round_first[f] = first[f] - first[0];
    c->round = (struct round){ .shape = c->setup.shape, .n_rows = c->round_first[c->n_fragments],
                               .n_fragments = c->n_fragments, .rows = c->rows + first[0] * stride,
                               .first = c->round_first, .staleness = c->staleness,
                               .progress = (double)i / c->n_rounds };
    for (int t = 0; t < c->round.n_rows; t++)
        c->round.n_transitions +=
            c->round.rows[t * stride + row_kind(c->setup.shape)] < (real)ROW_CLOSE;
    a2c_algorithm.begin(c->a2c, &c->round, &c->rng);
}

/* Against those of step `i` from 0. */
static void check_metrics(const struct golden_case *c, int i, double tolerance)
{
    static const char *const names[N_METRICS] = {
        "policy_loss", "value_loss", "entropy", "explained_variance", "advantage_std", "grad_norm",
        "learning_rate", "rho_mean", "rho_clipped"
    };
    ck_assert_uint_eq(golden_count(c->file, "metrics"), N_STEPS * N_METRICS);
    ck_assert_int_eq(a2c_algorithm.n_metrics, N_METRICS);
    for (int j = 0; j < N_METRICS; j++) {
        double expected = golden_at(c->file, "metrics", (size_t)(i * N_METRICS + j));
        /* Means of both signs cancel, and so does the explained variance. */
        double scale = fmax(fabs(expected), strcmp(names[j], "learning_rate") == 0 ? 0 : 0.1);
        ck_assert_str_eq(a2c_algorithm.metric_names[j], names[j]);
        ck_assert_msg(fabs(c->metrics[j] - expected) <= tolerance * scale,
                      "%s, step %d: %s is %.9g instead of %.9g", c->name, i + 1, names[j],
                      c->metrics[j], expected);
    }
}

static void check_gradients(const struct golden_case *c)
{
    size_t n;
    const real *grad = a2c_algorithm.gradients(c->a2c, &n);
    double *expected = golden(c->file, "gradients");
    ck_assert_uint_eq(n, golden_count(c->file, "gradients"));
    struct algorithm_traits traits;
    struct env_spec spec = { .n_choices = c->setup.n_choices };
    a2c_algorithm.describe(&c->hyper, &spec, &traits);
    const int n_act = c->setup.shape.n_act, n_obs = c->setup.shape.n_obs;
    const size_t n_free = (size_t)policy_head_extra(traits.head, n_act);
    struct mlp_shape policy = mlp_shape_make(n_obs, &c->setup.policy,
                                             policy_head_outputs(traits.head, n_act,
                                                                 c->setup.n_choices));
    struct mlp_shape value = mlp_shape_make(n_obs, &c->setup.critic, 1);
    size_t at = golden_check_network("policy", &policy, grad, expected, 1e-5);
    if (n_free > 0)
        golden_check("log_sigma", grad + at, expected + at, n_free, 1e-5);
    size_t n_policy;
    a2c_algorithm.policy(c->a2c, &n_policy);
    ck_assert_uint_eq(n_policy, at + n_free);
    at += n_free;
    at += golden_check_network("value", &value, grad + at, expected + at, 1e-5);
    ck_assert_uint_eq(at, n);
    free(expected);
}

static void check_case(const char *name)
{
    struct golden_case c;
    struct error err;
    int n_steps = 0;
    open_case(&c, name);
    for (int i = 0; i < c.n_rounds; i++) {
        begin_round(&c, i);
        for (; a2c_algorithm.has_more(c.a2c); n_steps++) {
            ck_assert_int_eq(a2c_algorithm.step(c.a2c, c.metrics, &err), 0);
            check_metrics(&c, n_steps, n_steps == 0 ? 1e-5 : 1e-4);
            if (n_steps > 0)
                continue;
            check_gradients(&c);
            golden_check_way(name, c.params, c.file, "params1", "params0", 1e-3);
        }
    }
    ck_assert_int_eq(n_steps, N_STEPS);
    golden_check_way(name, c.params, c.file, "params10", "params0", 1e-3);
    close_case(&c);
}

START_TEST(gaussian_with_free_sigmas_gae_and_clipped_rmsprop_equals_pytorch)
{
    check_case("gaussian");
}
END_TEST

START_TEST(categorical_with_n_step_returns_and_an_entropy_bonus_equals_pytorch)
{
    check_case("categorical");
}
END_TEST

START_TEST(vtrace_of_stale_rows_with_sigmas_of_the_state_equals_pytorch)
{
    check_case("vtrace");
}
END_TEST

START_TEST(batch_actor_critic_that_fits_values_first_equals_pytorch)
{
    check_case("episodes");
}
END_TEST

START_TEST(online_actor_critic_transition_by_transition_equals_pytorch)
{
    check_case("online");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        gaussian_with_free_sigmas_gae_and_clipped_rmsprop_equals_pytorch,
        categorical_with_n_step_returns_and_an_entropy_bonus_equals_pytorch,
        vtrace_of_stale_rows_with_sigmas_of_the_state_equals_pytorch,
        batch_actor_critic_that_fits_values_first_equals_pytorch,
        online_actor_critic_transition_by_transition_equals_pytorch,
    };
    return suite_run("a2c_golden", tests, TEST_COUNT(tests), 60);
}
