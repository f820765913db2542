/* PPO against PyTorch in float64; make_ppo_golden.py says what the files hold. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "learner/algorithms.h"
#include "learner/ppo.h"
#include "tests/golden/golden.h"

enum { N_OBS, N_ACT, N_CHOICES, BATCH_SIZE, N_UPDATES, HAS_MORE, N_HIDDEN, HIDDEN_0, HIDDEN_1,
       ACTIVATION, HAS_LAYER_NORM, SIZES };
enum { N_METRICS = 10, APPROX_KL = 3, GRAD_NORM = 8 };

static const char *const cases[] = { "ppo_gaussian", "ppo_state", "ppo_categorical", "ppo_vtrace",
                                     "ppo_recompute", "ppo_vtrace_recompute", "ppo_kl" };

struct golden_case {
    const char *name;
    struct safetensors *file;
    struct arena *arena;
    void *ppo;
    struct algorithm_setup setup;
    struct ppo_hyper hyper;
    struct round round;
    real *rows;
    int *first;
    struct rng rng;
    struct array params;
    int n_updates;
    bool has_more;
    double metrics[ALGORITHM_MAX_METRICS];
};

static void read_hyper(struct golden_case *c)
{
    double *h = golden(c->file, "hyper");
    c->hyper = (struct ppo_hyper){
        .learning_rate = h[0], .gamma = h[1], .lambda = h[2], .clip = h[3], .clip_value = h[4],
        .epochs = (int64_t)h[5], .value_coef = h[6], .entropy_coef = h[7],
        .normalise_advantages = (int)h[8], .target_kl = h[9], .recompute_advantages = h[10] > 0,
        .truncation_terminates = h[11] > 0, .vtrace = h[12] > 0, .rho_bar = h[13], .c_bar = h[14],
        .log_sigma = (int)h[15],
        .optimiser = { .kind = OPTIMISER_ADAM, .beta1 = 0.9, .beta2 = 0.999, .epsilon = h[18],
                       .schedule = h[16] > 0 ? SCHEDULE_LINEAR : SCHEDULE_CONSTANT,
                       .max_grad_norm = h[17] },
    };
    c->round.progress = h[19];
    free(h);
}

static void read_round(struct golden_case *c)
{
    const int stride = row_stride(c->setup.shape);
    struct round *r = &c->round;
    c->rows = golden_real(c->file, "rows");
    r->shape = c->setup.shape;
    r->rows = c->rows;
    r->n_rows = (int)(golden_count(c->file, "rows") / (size_t)stride);
    r->n_fragments = (int)golden_count(c->file, "first") - 1;
    c->first = malloc((size_t)(r->n_fragments + 1) * sizeof(*c->first));
    for (int i = 0; i <= r->n_fragments; i++)
        c->first[i] = (int)golden_at(c->file, "first", (size_t)i);
    r->first = c->first;
    for (int t = 0; t < r->n_rows; t++)
        r->n_transitions += c->rows[t * stride + row_kind(r->shape)] != (real)ROW_CLOSE;
}

/* A fresh PPO at the golden start, its round not begun. */
static void open_case(struct golden_case *c, const char *name)
{
    matrix_setup();
    *c = (struct golden_case){ .name = name, .file = golden_open(name) };
    ck_assert_uint_eq(golden_count(c->file, "sizes"), SIZES);
    double *s = golden(c->file, "sizes");
    const struct mlp_body body = { (int)s[N_HIDDEN], { (int)s[HIDDEN_0], (int)s[HIDDEN_1] },
                                   s[ACTIVATION] > 1 ? ACTIVATION_SILU : s[ACTIVATION] > 0
                                   ? ACTIVATION_TANH : ACTIVATION_RELU, s[HAS_LAYER_NORM] > 0 };
    c->setup = (struct algorithm_setup){
        .shape = { (int)s[N_OBS], (int)s[N_ACT] }, .n_choices = (int)s[N_CHOICES],
        .batch_size = (int)s[BATCH_SIZE], .seed = 1, .policy = body, .critic = body,
        .start = MLP_START_ORTHOGONAL, .hyper = &c->hyper,
    };
    c->n_updates = (int)s[N_UPDATES];
    c->has_more = s[HAS_MORE] > 0;
    free(s);
    read_hyper(c);
    read_round(c);
    c->setup.max_rows = c->round.n_rows;
    c->setup.max_transitions = c->round.n_transitions;
    c->setup.max_fragments = c->round.n_fragments;
    c->arena = arena_create(1 << 20);
    rng_init(&c->rng, 11, RNG_UPDATE, 0, 0);
}

/* After whatever the test changed. */
static void begin(struct golden_case *c)
{
    c->ppo = ppo_algorithm.create(&c->setup, c->arena);
    c->params = golden_array(&ppo_algorithm, c->ppo, "params");
    golden_overwrite(c->params, c->file, "params0");
    ppo_algorithm.begin(c->ppo, &c->round, &c->rng);
}

static int step(struct golden_case *c, struct error *err)
{
    ck_assert(ppo_algorithm.has_more(c->ppo));
    return ppo_algorithm.step(c->ppo, c->metrics, err);
}

static void close_case(struct golden_case *c)
{
    free(c->rows);
    free(c->first);
    arena_destroy(&c->arena);
    safetensors_close(&c->file);
}

static void check_metrics(const struct golden_case *c, int i, double tolerance)
{
    static const char *const names[N_METRICS] = {
        "policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "ratio_max",
        "explained_variance", "log_sigma", "grad_norm", "learning_rate"
    };
    ck_assert_int_eq(ppo_algorithm.n_metrics, N_METRICS);
    for (int j = 0; j < N_METRICS; j++) {
        double expected = golden_at(c->file, "metrics", (size_t)(i * N_METRICS + j));
        /* Means of numbers of either sign cancel: compare with a typical size. */
        double scale = fmax(fabs(expected), j == APPROX_KL ? 0.1 : 1);
        ck_assert_str_eq(ppo_algorithm.metric_names[j], names[j]);
        ck_assert_msg(fabs(c->metrics[j] - expected) <= tolerance * scale,
                      "%s, update %d: %s is %.9g instead of %.9g", c->name, i + 1, names[j],
                      c->metrics[j], expected);
    }
}

static void check_gradients(const struct golden_case *c)
{
    size_t n;
    const int n_act = c->setup.shape.n_act, n_choices = c->setup.n_choices;
    const bool is_free = n_choices == 0 && c->hyper.log_sigma == PPO_LOG_SIGMA_INDEPENDENT;
    const int n_out = n_choices ? n_choices : is_free ? n_act : 2 * n_act;
    const real *grad = ppo_algorithm.gradients(c->ppo, &n);
    double *expected = golden(c->file, "gradients");
    ck_assert_uint_eq(n, golden_count(c->file, "gradients"));
    struct mlp_shape policy = mlp_shape_make(c->setup.shape.n_obs, &c->setup.policy, n_out);
    struct mlp_shape value = mlp_shape_make(c->setup.shape.n_obs, &c->setup.critic, 1);
    size_t at = golden_check_network("policy", &policy, grad, expected, 1e-5);
    if (is_free) {
        golden_check("log_sigma", grad + at, expected + at, (size_t)n_act, 1e-5);
        at += (size_t)n_act;
    }
    size_t n_policy;
    ppo_algorithm.policy(c->ppo, &n_policy);
    ck_assert_uint_eq(n_policy, at);
    at += golden_check_network("value", &value, grad + at, expected + at, 1e-5);
    ck_assert_uint_eq(at, n);
    free(expected);
}

START_TEST(losses_gradients_and_parameters_equal_pytorch_after_one_update)
{
    for (size_t k = 0; k < TEST_COUNT(cases); k++) {
        struct golden_case c;
        struct error err;
        open_case(&c, cases[k]);
        begin(&c);
        ck_assert_int_eq(step(&c, &err), 0);
        check_metrics(&c, 0, 1e-5);
        check_gradients(&c);
        golden_check_way(c.name, c.params, c.file, "params1", "params0", 1e-3);
        close_case(&c);
    }
}
END_TEST

START_TEST(losses_and_parameters_equal_pytorch_over_ten_shuffled_minibatches)
{
    for (size_t k = 0; k < TEST_COUNT(cases); k++) {
        struct golden_case c;
        struct error err;
        open_case(&c, cases[k]);
        begin(&c);
        for (int i = 0; i < c.n_updates; i++) {
            ck_assert_int_eq(step(&c, &err), 0);
            check_metrics(&c, i, 1e-4);
        }
        ck_assert_int_eq(ppo_algorithm.has_more(c.ppo), c.has_more);
        golden_check_way(c.name, c.params, c.file, "params_n", "params0", 1e-3);
        close_case(&c);
    }
}
END_TEST

START_TEST(a_minibatch_above_the_target_kl_ends_the_round_and_moves_nothing)
{
    struct golden_case c;
    struct error err;
    open_case(&c, "ppo_kl");
    begin(&c);
    real *before = malloc(c.params.n * sizeof(real));
    for (int i = 0; i < c.n_updates; i++) {
        memcpy(before, c.params.data, c.params.n * sizeof(real));
        ck_assert_int_eq(step(&c, &err), 0);
        bool is_last = i + 1 == c.n_updates;
        ck_assert_int_eq(c.metrics[APPROX_KL] > 1.5 * c.hyper.target_kl, is_last);
        ck_assert_int_eq(memcmp(before, c.params.data, c.params.n * sizeof(real)) == 0, is_last);
        ck_assert_int_eq(ppo_algorithm.has_more(c.ppo), !is_last);
    }
    free(before);
    close_case(&c);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        losses_gradients_and_parameters_equal_pytorch_after_one_update,
        losses_and_parameters_equal_pytorch_over_ten_shuffled_minibatches,
        a_minibatch_above_the_target_kl_ends_the_round_and_moves_nothing,
    };
    return suite_run("ppo_golden", tests, TEST_COUNT(tests), 60);
}
