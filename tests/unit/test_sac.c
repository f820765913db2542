/* What holds for every form of SAC: ends of episodes, numbers that are not finite, saving, delays, and what
 * is refused. Their losses are compared with PyTorch in tests/golden/. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "learner/algorithms.h"
#include "learner/sac.h"
#include "tests/support.h"

enum form { CONTINUOUS, VALUE, DISCRETE, N_FORMS };
enum { B = 12, N_OBS = 4, N_ACT = 2, N_CHOICES = 3, MAX_STRIDE = N_OBS + N_ACT + 3, MAX_DELAY = 3 };

struct trial {
    enum form form;
    struct arena *arena;
    void *sac;
    struct algorithm_setup setup;
    struct sac_hyper hyper;
    struct rng rng;
    real rows[B * 2 * MAX_STRIDE], noise[B * (1 + MAX_DELAY) * N_ACT];
    real discount[B], weight[B], td_error[B];
    struct batch batch;
    double metrics[ALGORITHM_MAX_METRICS];
    struct error err;
};

static struct sac_hyper hyper_of(enum form form)
{
    return (struct sac_hyper){
        .value_network = form == VALUE, .gamma = 0.9, .tau = 0.1, .target_every = 1, .policy_delay = 1,
        .policy_lr = 1e-2, .q_lr = 1e-2, .alpha_lr = 1e-2, .alpha_init = 0.5, .learn_alpha = true,
        .target_entropy = -1, .target_entropy_ratio = 0.5,
        .optimiser = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 },
    };
}

static void begin(struct trial *t, enum form form, const struct sac_hyper *hyper, uint64_t seed)
{
    matrix_setup();
    *t = (struct trial){ .form = form, .hyper = *hyper };
    const struct mlp_body body = { 2, { 8, 8 }, ACTIVATION_TANH, false };
    t->setup = (struct algorithm_setup){
        .shape = { N_OBS, form == DISCRETE ? 1 : N_ACT }, .n_choices = form == DISCRETE ? N_CHOICES : 0,
        .policy = body, .critic = body, .batch_size = B, .seed = seed, .hyper = &t->hyper,
    };
    t->arena = arena_create(1 << 18);
    t->sac = sac_algorithm.create(&t->setup, t->arena);
    rng_init(&t->rng, 5, RNG_TEST, 0, 0);
}

/* Another batch of steps, the same ones in every trial. */
static void draw(struct trial *t)
{
    struct row_shape s = t->setup.shape;
    int stride = row_stride(s);
    for (int k = 0; k < B * 2 * stride; k++)
        t->rows[k] = rng_normal(&t->rng);
    for (int k = 0; k < 2 * B; k++) {
        if (t->form == DISCRETE)
            t->rows[k * stride + row_act(s)] = (real)rng_below(&t->rng, N_CHOICES);
        t->rows[k * stride + row_kind(s)] = ROW_STEP;
    }
    rng_fill_normal(&t->rng, t->noise, TEST_COUNT(t->noise));
    for (int k = 0; k < B; k++)
        t->discount[k] = (real)0.9, t->weight[k] = 1;
    t->batch = (struct batch){ .n = B, .shape = s, .rows = t->rows, .noise = t->noise,
                               .discount = t->discount, .weight = t->weight, .td_error = t->td_error };
}

static int update(struct trial *t)
{
    return sac_algorithm.update(t->sac, &t->batch, t->metrics, &t->err);
}

static double metric(const struct trial *t, const char *name)
{
    for (int i = 0; i < sac_algorithm.n_metrics; i++)
        if (strcmp(sac_algorithm.metric_names[i], name) == 0)
            return t->metrics[i];
    ck_abort_msg("SAC has no metric %s", name);
}

static struct array array_of(const struct trial *t, const char *name)
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    int n = sac_algorithm.arrays(t->sac, arrays);
    for (int i = 0; i < n; i++)
        if (strcmp(arrays[i].name, name) == 0)
            return arrays[i];
    ck_abort_msg("SAC has no array %s", name);
}

static real *copy_of(const struct trial *t, const char *name)
{
    struct array a = array_of(t, name);
    real *x = malloc(a.n * sizeof(*x));
    memcpy(x, a.data, a.n * sizeof(*x));
    return x;
}

static bool is_same(const struct trial *t, const char *name, const real *x)
{
    struct array a = array_of(t, name);
    return memcmp(a.data, x, a.n * sizeof(*x)) == 0;
}

/* ---- ends of episodes ---- */

/* The critics' loss of rows of one kind; with `spoil` what is behind them is not a number. */
static double q_loss_of(enum form form, enum row_kind kind, real discount, bool spoil)
{
    struct trial t;
    struct sac_hyper hyper = hyper_of(form);
    begin(&t, form, &hyper, 1);
    draw(&t);
    int stride = row_stride(t.setup.shape);
    for (int k = 0; k < B; k++) {
        t.rows[2 * k * stride + row_kind(t.setup.shape)] = (real)kind;
        t.discount[k] = discount;
        for (int j = 0; j < N_OBS && spoil; j++)
            t.rows[(2 * k + 1) * stride + j] = (real)NAN;
    }
    ck_assert_int_eq(update(&t), 0);
    arena_destroy(&t.arena);
    return metric(&t, "q_loss");
}

START_TEST(truncation_bootstraps_like_a_step_and_termination_does_not)
{
    for (enum form f = 0; f < N_FORMS; f++) {
        double step = q_loss_of(f, ROW_STEP, (real)0.9, false);
        ck_assert(q_loss_of(f, ROW_TRUNCATED, (real)0.9, false) == step);
        ck_assert(q_loss_of(f, ROW_TERMINATED, (real)0.9, false) != step);
        ck_assert(q_loss_of(f, ROW_TERMINATED, (real)0.9, false) == q_loss_of(f, ROW_STEP, 0, false));
    }
}
END_TEST

START_TEST(nothing_behind_a_termination_is_looked_at)
{
    for (enum form f = 0; f < N_FORMS; f++)
        ck_assert(q_loss_of(f, ROW_TERMINATED, (real)0.9, true)
                  == q_loss_of(f, ROW_TERMINATED, (real)0.9, false));
}
END_TEST

/* ---- numbers that are not finite ---- */

static void spoil_reward(struct trial *t) { t->rows[row_reward(t->setup.shape)] = (real)INFINITY; }
static void spoil_obs(struct trial *t) { t->rows[N_OBS - 1] = (real)NAN; }

/* What the policy alone learns from: its own noise, or the temperature where no row bootstraps. */
static void spoil_policy(struct trial *t)
{
    t->noise[t->setup.shape.n_act] = (real)NAN;
    for (int k = 0; k < B && t->form == DISCRETE; k++)
        t->rows[2 * k * row_stride(t->setup.shape) + row_kind(t->setup.shape)] = ROW_TERMINATED;
    struct array params = array_of(t, "params");
    if (t->form == DISCRETE)
        params.data[params.n - 1] = (real)NAN;
}

static void mend_temperature(struct trial *t)
{
    struct array params = array_of(t, "params");
    if (t->form == DISCRETE)
        params.data[params.n - 1] = 0;
}

START_TEST(critics_that_are_not_finite_are_named_and_nothing_moves)
{
    static const struct { void (*spoil)(struct trial *t); const char *names[N_FORMS]; } cases[] = {
        { spoil_reward, { "q1's layer 0 weights", "q1's layer 0 weights", "q1's layer 0 weights" } },
        { spoil_obs, { "q1's layer 0 weights", "v's layer 0 weights", "q1's layer 0 weights" } },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++)
        for (enum form f = 0; f < N_FORMS; f++) {
            struct trial t;
            struct sac_hyper hyper = hyper_of(f);
            begin(&t, f, &hyper, 1);
            draw(&t);
            cases[i].spoil(&t);
            real *params = copy_of(&t, "params"), *targets = copy_of(&t, "targets");
            ck_assert_int_eq(update(&t), ERR_NUMERIC);
            ck_assert_msg(strstr(t.err.text, cases[i].names[f]), "%s", t.err.text);
            /* V comes first and has nothing to do with rewards. */
            struct array after = array_of(&t, "params");
            size_t n_v = f == VALUE ? array_of(&t, "targets").n : 0;
            size_t n_still = cases[i].spoil == spoil_obs ? after.n : after.n - n_v;
            ck_assert_mem_eq(after.data, params, n_still * sizeof(real));
            ck_assert(is_same(&t, "targets", targets));
            draw(&t);
            ck_assert_int_eq(update(&t), 0);
            free(params), free(targets);
            arena_destroy(&t.arena);
        }
}
END_TEST

START_TEST(a_policy_that_is_not_finite_is_named_and_does_not_move)
{
    for (enum form f = 0; f < N_FORMS; f++) {
        struct trial t;
        struct sac_hyper hyper = hyper_of(f);
        begin(&t, f, &hyper, 1);
        draw(&t);
        spoil_policy(&t);
        size_t n;
        real *params = copy_of(&t, "params"), *targets = copy_of(&t, "targets");
        const real *policy = sac_algorithm.policy(t.sac, &n);
        ck_assert_int_eq(update(&t), ERR_NUMERIC);
        ck_assert_msg(strstr(t.err.text, "policy's layer 0 weights"), "%s", t.err.text);
        ck_assert_mem_eq(policy, params, n * sizeof(real));
        ck_assert(is_same(&t, "targets", targets));
        mend_temperature(&t);
        draw(&t);
        ck_assert_int_eq(update(&t), 0);
        ck_assert(isfinite(metric(&t, "pi_loss")));
        free(params), free(targets);
        arena_destroy(&t.arena);
    }
}
END_TEST

/* ---- saving ---- */

static void copy_state(struct trial *to, const struct trial *from)
{
    struct array a[ALGORITHM_MAX_ARRAYS], b[ALGORITHM_MAX_ARRAYS];
    int n = sac_algorithm.arrays(from->sac, a);
    ck_assert_int_eq(sac_algorithm.arrays(to->sac, b), n);
    for (int i = 0; i < n; i++) {
        ck_assert_str_eq(a[i].name, b[i].name);
        ck_assert_uint_eq(a[i].n, b[i].n);
        if (a[i].data)
            memcpy(b[i].data, a[i].data, a[i].n * sizeof(real));
        else
            *b[i].counter = *a[i].counter;
    }
}

START_TEST(a_saved_state_goes_on_bit_for_bit)
{
    for (enum form f = 0; f < N_FORMS; f++) {
        struct sac_hyper hyper = hyper_of(f);
        hyper.target_every = 3;
        hyper.policy_delay = 2;
        static struct trial a, b;
        begin(&a, f, &hyper, 1);
        begin(&b, f, &hyper, 2);
        for (int i = 0; i < 4; i++) {    /* the policy waits next */
            draw(&a), draw(&b);
            ck_assert_int_eq(update(&a), 0);
        }
        copy_state(&b, &a);
        for (int i = 0; i < 5; i++) {
            draw(&a), draw(&b);
            ck_assert_int_eq(update(&a), 0);
            ck_assert_int_eq(update(&b), 0);
            ck_assert(is_same(&b, "params", array_of(&a, "params").data));
            ck_assert(is_same(&b, "targets", array_of(&a, "targets").data));
            for (int k = 0; k < sac_algorithm.n_metrics; k++)    /* also those of a policy that waits */
                ck_assert((real)a.metrics[k] == (real)b.metrics[k]);
        }
        arena_destroy(&a.arena), arena_destroy(&b.arena);
    }
}
END_TEST

/* ---- delays and the temperature ---- */

START_TEST(targets_are_copies_every_third_update_and_stay_between)
{
    for (enum form f = 0; f < N_FORMS; f++) {
        struct trial t;
        struct sac_hyper hyper = hyper_of(f);
        hyper.tau = 1;
        hyper.target_every = 3;
        begin(&t, f, &hyper, 1);
        size_t n_policy, n = array_of(&t, "targets").n;
        sac_algorithm.policy(t.sac, &n_policy);
        struct array params = array_of(&t, "params");
        const real *source = f == VALUE ? params.data + params.n - n : params.data + n_policy;
        real *targets = copy_of(&t, "targets");
        ck_assert_mem_eq(targets, source, n * sizeof(real));
        for (int i = 1; i <= 7; i++) {
            draw(&t);
            ck_assert_int_eq(update(&t), 0);
            ck_assert_int_eq(i % 3 != 0, is_same(&t, "targets", targets));
            memcpy(targets, array_of(&t, "targets").data, n * sizeof(real));
            ck_assert_int_eq(i % 3 == 0, memcmp(targets, source, n * sizeof(real)) == 0);
        }
        free(targets);
        arena_destroy(&t.arena);
    }
}
END_TEST

START_TEST(a_delayed_policy_waits_then_takes_as_many_steps)
{
    for (enum form f = 0; f < N_FORMS; f++) {
        struct trial t;
        struct sac_hyper hyper = hyper_of(f);
        hyper.policy_delay = MAX_DELAY;
        begin(&t, f, &hyper, 1);
        size_t n;
        const real *policy = sac_algorithm.policy(t.sac, &n);
        real *before = malloc(n * sizeof(real));
        real pi_loss = 0;
        for (int i = 1; i <= 7; i++) {
            memcpy(before, policy, n * sizeof(real));
            draw(&t);
            ck_assert_int_eq(update(&t), 0);
            ck_assert_int_eq(i % MAX_DELAY == 0, memcmp(policy, before, n * sizeof(real)) != 0);
            ck_assert_int_eq(*array_of(&t, "policy_steps").counter, i / MAX_DELAY * MAX_DELAY);
            ck_assert_int_eq(*array_of(&t, "alpha_steps").counter, i / MAX_DELAY * MAX_DELAY);
            /* Its metrics stay the last ones. */
            ck_assert_int_eq(i % MAX_DELAY == 0, (real)metric(&t, "pi_loss") != pi_loss);
            pi_loss = (real)metric(&t, "pi_loss");
        }
        free(before);
        arena_destroy(&t.arena);
    }
}
END_TEST

START_TEST(a_fixed_temperature_stays_and_the_networks_move_as_before)
{
    for (enum form f = 0; f < N_FORMS; f++) {
        struct sac_hyper learned = hyper_of(f), fixed = learned;
        fixed.learn_alpha = false;
        static struct trial a, b;
        begin(&a, f, &learned, 1);
        begin(&b, f, &fixed, 1);
        draw(&a), draw(&b);
        ck_assert_int_eq(update(&a), 0);
        ck_assert_int_eq(update(&b), 0);
        ck_assert(fabs(metric(&a, "alpha") - 0.5) > 1e-3);
        ck_assert_double_eq_tol(metric(&b, "alpha"), 0.5, 1e-7);
        size_t n;
        const real *policy = sac_algorithm.policy(b.sac, &n);
        ck_assert_mem_eq(sac_algorithm.policy(a.sac, &n), policy, n * sizeof(real));
        ck_assert(is_same(&b, "targets", array_of(&a, "targets").data));
        arena_destroy(&a.arena), arena_destroy(&b.arena);
    }
}
END_TEST

static real log_alpha_of(const struct trial *t)
{
    const struct array params = array_of(t, "params");
    const size_t n_behind = t->form == VALUE ? array_of(t, "targets").n : 0;    /* V */
    return params.data[params.n - 1 - n_behind];
}

START_TEST(weight_decay_pulls_at_networks_and_not_at_the_temperature)
{
    for (enum form f = 0; f < N_FORMS; f++) {
        struct sac_hyper plain = hyper_of(f), decayed = plain;
        plain.optimiser.kind = decayed.optimiser.kind = OPTIMISER_ADAMW;
        decayed.optimiser.weight_decay = 1;
        static struct trial a, b;
        begin(&a, f, &plain, 1);
        begin(&b, f, &decayed, 1);
        draw(&a), draw(&b);
        ck_assert_int_eq(update(&a), 0);
        ck_assert_int_eq(update(&b), 0);
        ck_assert(log_alpha_of(&a) == log_alpha_of(&b));
        size_t n;
        const real *policy = sac_algorithm.policy(b.sac, &n);
        ck_assert(memcmp(sac_algorithm.policy(a.sac, &n), policy, n * sizeof(real)) != 0);
        arena_destroy(&a.arena), arena_destroy(&b.arena);
    }
}
END_TEST

/* ---- what goes together ---- */

static const struct env_spec pendulum = { .name = "Pendulum-v1", .shape = { 3, 1 } };
static const struct env_spec cart_pole = { .name = "CartPole-v1", .shape = { 4, 1 }, .n_choices = 2 };

START_TEST(actions_of_the_wrong_kind_are_refused_with_the_alternatives)
{
    struct error err;
    struct sac_hyper h = hyper_of(CONTINUOUS);
    ck_assert_int_eq(sac_algorithm.check(&h, NULL, &pendulum, &err), 0);
    ck_assert_int_eq(sac_algorithm.check(&h, NULL, &cart_pole, &err), 0);
    h.actions = SAC_ACTIONS_DISCRETE;
    ck_assert_int_eq(sac_algorithm.check(&h, NULL, &cart_pole, &err), 0);
    ck_assert_int_eq(sac_algorithm.check(&h, NULL, &pendulum, &err), ERR_CONFIG);
    ck_assert(strstr(err.text, "Pendulum-v1") && strstr(err.text, "leave sac.actions at auto"));
    h.actions = SAC_ACTIONS_CONTINUOUS;
    ck_assert_int_eq(sac_algorithm.check(&h, NULL, &pendulum, &err), 0);
    ck_assert_int_eq(sac_algorithm.check(&h, NULL, &cart_pole, &err), ERR_CONFIG);
    ck_assert(strstr(err.text, "CartPole-v1") && strstr(err.text, "leave sac.actions at auto"));
    h = hyper_of(VALUE);
    ck_assert_int_eq(sac_algorithm.check(&h, NULL, &pendulum, &err), 0);
    ck_assert_int_eq(sac_algorithm.check(&h, NULL, &cart_pole, &err), ERR_CONFIG);
    ck_assert(strstr(err.text, "value_network") && strstr(err.text, "leave it false"));
}
END_TEST

START_TEST(the_policy_fits_the_actions_and_the_noise_the_delay)
{
    struct algorithm_traits traits;
    struct sac_hyper h = hyper_of(CONTINUOUS);
    h.policy_delay = 2;
    sac_algorithm.describe(&h, &pendulum, &traits);
    ck_assert_int_eq(traits.head, HEAD_SQUASHED_GAUSSIAN);
    ck_assert_int_eq(traits.noise_per_action, 3);
    sac_algorithm.describe(&h, &cart_pole, &traits);
    ck_assert_int_eq(traits.head, HEAD_CATEGORICAL);
    ck_assert_int_eq(traits.noise_per_action, 0);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        truncation_bootstraps_like_a_step_and_termination_does_not,
        nothing_behind_a_termination_is_looked_at,
        critics_that_are_not_finite_are_named_and_nothing_moves,
        a_policy_that_is_not_finite_is_named_and_does_not_move,
        a_saved_state_goes_on_bit_for_bit,
        targets_are_copies_every_third_update_and_stay_between,
        a_delayed_policy_waits_then_takes_as_many_steps,
        a_fixed_temperature_stays_and_the_networks_move_as_before,
        weight_decay_pulls_at_networks_and_not_at_the_temperature,
        actions_of_the_wrong_kind_are_refused_with_the_alternatives,
        the_policy_fits_the_actions_and_the_noise_the_delay,
    };
    return suite_run("sac", tests, TEST_COUNT(tests), 60);
}
