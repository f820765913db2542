/* Whole updates of every algorithm, shared by one, two and three workers, with every set of kernels that this CPU
 * has: losses, gradients and all that is saved are the same bits. The parts are in test_mlp_pass.c and
 * test_optimiser.c, what they compute in golden/. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "learner/a2c.h"
#include "learner/algorithms.h"
#include "learner/ddpg.h"
#include "learner/ppo.h"
#include "learner/sac.h"
#include "learner/td3.h"
#include "tests/support.h"

enum { WAYS = 3, UPDATES = 8 };    /* ways: 1 to WAYS workers */

static const struct row_shape shape = { 17, 6 };

/* Batches that fill no part, networks whose layers end in parts of blocks, normalised or not; the larger ones' numbers
 * are several of the optimiser's blocks. */
struct subject {
    const struct algorithm *algorithm;
    const void *hyper;
    struct mlp_body body;
    int batch_size;
    int n_fragments, horizon;    /* of an on-policy round; 0 off-policy */
};

#define ADAM { .kind = OPTIMISER_ADAM, .epsilon = 1e-8, .beta1 = 0.9, .beta2 = 0.999, .max_grad_norm = 0.5 }

static const struct sac_hyper sac = { .gamma = 0.99, .tau = 0.005, .target_every = 1, .policy_delay = 1,
                                      .policy_lr = 3e-4, .q_lr = 3e-4, .alpha_lr = 3e-4, .alpha_init = 1,
                                      .learn_alpha = true, .target_entropy = -1, .optimiser = ADAM };
static const struct td3_hyper td3 = { .gamma = 0.99, .tau = 0.005, .policy_delay = 2, .target_every = 1,
                                      .policy_lr = 1e-3, .q_lr = 1e-3, .target_noise = 0.2, .target_noise_clip = 0.5,
                                      .optimiser = ADAM };
static const struct ddpg_hyper ddpg = { .gamma = 0.99, .tau = 0.005, .target_every = 1, .policy_lr = 1e-3,
                                        .q_lr = 1e-3, .policy_delay = 1, .q_weight_decay = 0.01, .optimiser = ADAM };
static const struct ppo_hyper ppo = { .learning_rate = 3e-4, .gamma = 0.99, .lambda = 0.95, .clip = 0.2, .epochs = 3,
                                      .value_coef = 0.5, .entropy_coef = 0.01,
                                      .normalise_advantages = PPO_NORMALISE_MINIBATCH, .recompute_advantages = true,
                                      .rho_bar = 1, .c_bar = 1, .optimiser = ADAM };
static const struct a2c_hyper a2c = { .learning_rate = 7e-4, .gamma = 0.99, .lambda = 0.95, .value_coef = 0.5,
                                      .entropy_coef = 0.01, .normalise_advantages = A2C_NORMALISE_ROUND, .rho_bar = 1,
                                      .c_bar = 1, .optimiser = { .kind = OPTIMISER_RMSPROP_TF, .epsilon = 1e-5,
                                                                 .decay = 0.99, .max_grad_norm = 0.5 } };

static const struct subject subjects[] = {
    { &sac_algorithm, &sac, { 2, { 200, 136 }, ACTIVATION_RELU, false }, 250, 0, 0 },
    { &td3_algorithm, &td3, { 2, { 130, 150 }, ACTIVATION_SILU, true }, 129, 0, 0 },
    { &ddpg_algorithm, &ddpg, { 2, { 70, 130 }, ACTIVATION_TANH, false }, 131, 0, 0 },
    { &ppo_algorithm, &ppo, { 2, { 200, 136 }, ACTIVATION_TANH, true }, 250, 7, 100 },
    { &a2c_algorithm, &a2c, { 2, { 70, 66 }, ACTIVATION_RELU, false }, 700, 70, 10 },
};

struct learner {
    struct mlp_engine engine;
    struct arena *arena;
    void *self;
    struct rng rng;              /* of the experience */
    struct batch batch;          /* off-policy */
    struct round round;          /* on-policy */
    struct rng shuffle;
    double metrics[ALGORITHM_MAX_METRICS];
};

/* ---- experience ---- */

/* A row of a policy that is a standard normal; actions beyond their bounds are only on-policy. */
static void fill_row(struct rng *rng, enum row_kind kind, bool is_on_policy, real *row)
{
    memset(row, 0, (size_t)row_stride(shape) * sizeof(*row));
    for (int i = 0; i < shape.n_obs; i++)
        row[i] = (real)rng_normal(rng);
    row[row_kind(shape)] = (real)kind;
    for (int i = 0; i < shape.n_act && kind != ROW_CLOSE; i++) {
        const double act = is_on_policy ? rng_normal(rng) : rng_uniform(rng, -1, 1);
        row[row_act(shape) + i] = (real)act;
        row[row_log_prob(shape)] -= (real)(0.5 * act * act + 0.918938533);    /* log sqrt(2 pi) */
    }
    row[row_reward(shape)] = (real)(kind == ROW_CLOSE ? 0 : rng_normal(rng));
}

static real *numbers(struct arena *arena, int n)
{
    return arena_alloc(arena, (size_t)n, sizeof(real));
}

static void create_batch(struct learner *l, const struct subject *s)
{
    const struct env_spec spec = { .shape = shape };
    struct algorithm_traits traits;
    const int B = s->batch_size;
    s->algorithm->describe(s->hyper, &spec, &traits);
    const int n_noise = B * traits.noise_per_action * shape.n_act;
    real *noise = numbers(l->arena, n_noise), *discount = numbers(l->arena, B), *weight = numbers(l->arena, B);
    rng_fill_normal(&l->rng, noise, (size_t)n_noise);
    for (int k = 0; k < B; k++)
        discount[k] = (real)0.99, weight[k] = (real)rng_uniform(&l->rng, 0.5, 1);
    l->batch = (struct batch){ .n = B, .shape = shape, .rows = numbers(l->arena, 2 * B * row_stride(shape)),
                               .noise = noise, .discount = discount, .weight = weight,
                               .td_error = numbers(l->arena, B) };
}

static void create_round(struct learner *l, const struct subject *s)
{
    const int F = s->n_fragments, T = s->horizon, n_rows = F * (T + 1);
    real *rows = numbers(l->arena, n_rows * row_stride(shape));
    int *first = arena_alloc(l->arena, (size_t)F + 1, sizeof(*first));
    for (int i = 0; i < n_rows; i++)
        fill_row(&l->rng, i % (T + 1) == T ? ROW_CLOSE : ROW_STEP, true, rows + i * row_stride(shape));
    for (int f = 0; f <= F; f++)
        first[f] = f * (T + 1);
    l->round = (struct round){ .shape = shape, .n_rows = n_rows, .n_transitions = F * T, .n_fragments = F, .rows = rows,
                               .first = first, .staleness = arena_alloc(l->arena, (size_t)F, sizeof(int64_t)) };
}

/* ---- a learner ---- */

static void create(struct learner *l, const struct subject *s, const struct kernels *kernels, int n_workers)
{
    *l = (struct learner){ .engine = { kernels, n_workers > 1 ? workers_create(n_workers) : NULL },
                           .arena = arena_create(1 << 20) };
    const int n = s->n_fragments * s->horizon;
    const struct algorithm_setup setup = { .shape = shape, .policy = s->body, .critic = s->body,
                                           .start = MLP_START_UNIFORM, .batch_size = s->batch_size,
                                           .max_rows = n + s->n_fragments, .max_transitions = n,
                                           .max_fragments = s->n_fragments, .seed = 3, .engine = &l->engine,
                                           .hyper = s->hyper };
    l->self = s->algorithm->create(&setup, l->arena);
    rng_init(&l->rng, 1, RNG_TEST, 0, 0);
    rng_init(&l->shuffle, 1, RNG_UPDATE, 0, 0);
    if (n > 0)
        create_round(l, s);
    else
        create_batch(l, s);
}

static void destroy(struct learner *l)
{
    workers_destroy(&l->engine.workers);
    arena_destroy(&l->arena);
}

static void update(struct learner *l, const struct subject *s)
{
    struct error err = { 0 };
    const struct algorithm *a = s->algorithm;
    if (a->is_on_policy) {
        if (!a->has_more(l->self))
            a->begin(l->self, &l->round, &l->shuffle);
        ck_assert_msg(a->step(l->self, l->metrics, &err) == 0, "%s", err.text);
        return;
    }
    for (int i = 0; i < 2 * s->batch_size; i++)
        fill_row(&l->rng, i % 22 ? ROW_STEP : ROW_TERMINATED, false, l->batch.rows + i * row_stride(shape));
    ck_assert_msg(a->update(l->self, &l->batch, l->metrics, &err) == 0, "%s", err.text);
}

/* ---- comparing ---- */

/* `at`: when, for people. */
static void expect_same(const struct learner *alone, const struct learner *shared, const struct subject *s,
                        const char *at)
{
    size_t n, n_shared;
    const real *grad = s->algorithm->gradients(alone->self, &n);
    const real *grad_shared = s->algorithm->gradients(shared->self, &n_shared);
    ck_assert_uint_eq(n, n_shared);
    size_t i = 0;
    while (i < n && memcmp(&grad[i], &grad_shared[i], sizeof(real)) == 0)
        i++;
    ck_assert_msg(i == n, "%s: gradient[%zu] of %zu differs", at, i, n);
    for (int m = 0; m < s->algorithm->n_metrics; m++)
        ck_assert_msg(memcmp(&alone->metrics[m], &shared->metrics[m], sizeof(double)) == 0, "%s: %s is %.17g and %.17g",
                      at, s->algorithm->metric_names[m], alone->metrics[m], shared->metrics[m]);
    const real *td_error = alone->batch.td_error;
    ck_assert_msg(!td_error || memcmp(td_error, shared->batch.td_error, (size_t)s->batch_size * sizeof(real)) == 0,
                  "%s: td_error differs", at);
}

static void expect_same_arrays(const struct learner *alone, const struct learner *shared, const struct subject *s,
                               const char *at)
{
    struct array a[ALGORITHM_MAX_ARRAYS], b[ALGORITHM_MAX_ARRAYS];
    const int n = s->algorithm->arrays(alone->self, a);
    ck_assert_int_eq(s->algorithm->arrays(shared->self, b), n);
    for (int i = 0; i < n; i++)
        ck_assert_msg(a[i].counter ? *a[i].counter == *b[i].counter
                      : memcmp(a[i].data, b[i].data, a[i].n * sizeof(real)) == 0, "%s: %s differs", at, a[i].name);
}

static void check(const struct subject *s, const struct kernels *kernels)
{
    struct learner learners[WAYS];
    char at[96];
    for (int w = 0; w < WAYS; w++)
        create(&learners[w], s, kernels, w + 1);
    real *start = numbers(learners[0].arena, 1);
    size_t n;
    *start = *s->algorithm->policy(learners[0].self, &n);
    const int n_updates = getenv("SHOAL_TEST_SHORT") ? 3 : UPDATES;
    for (int i = 0; i < n_updates; i++)
        for (int w = 0; w < WAYS; w++) {
            update(&learners[w], s);
            snprintf(at, sizeof(at), "%s, %s %s, %d workers, update %d", s->algorithm->name, kernels->name,
                     precision_name(kernels->precision), w + 1, i + 1);
            expect_same(&learners[0], &learners[w], s, at);
            if (i + 1 == n_updates)
                expect_same_arrays(&learners[0], &learners[w], s, at);
        }
    ck_assert_msg(*s->algorithm->policy(learners[0].self, &n) != *start, "%s: the policy stayed", at);
    for (int w = 0; w < WAYS; w++)
        destroy(&learners[w]);
}

/* Of each algorithm with every set. */
#define UPDATES_TEST(algorithm_, number) \
    START_TEST(updates_of_##algorithm_##_do_not_depend_on_the_number_of_workers) \
    { \
        for (int k = 0; kernels_all[k]; k++) \
            if (kernels_all[k]->is_supported()) \
                check(&subjects[number], kernels_all[k]); \
    } \
    END_TEST

UPDATES_TEST(sac, 0)
UPDATES_TEST(td3, 1)
UPDATES_TEST(ddpg, 2)
UPDATES_TEST(ppo, 3)
UPDATES_TEST(a2c, 4)

int main(void)
{
    const TTest *const tests[] = {
        updates_of_sac_do_not_depend_on_the_number_of_workers,
        updates_of_td3_do_not_depend_on_the_number_of_workers,
        updates_of_ddpg_do_not_depend_on_the_number_of_workers,
        updates_of_ppo_do_not_depend_on_the_number_of_workers,
        updates_of_a2c_do_not_depend_on_the_number_of_workers,
    };
    for (int i = 0; kernels_all[i]; i++)
        if (!kernels_all[i]->is_supported())
            printf("    skipped: this CPU lacks what %s/%s kernels need\n", kernels_all[i]->name,
                   precision_name(kernels_all[i]->precision));
    matrix_setup();
    return suite_run("shared_updates", tests, TEST_COUNT(tests), 120);
}
