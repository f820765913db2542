/* PPO's rounds: time limits, minibatches, bad numbers, saving, and what may be configured.
 * test_ppo_golden.c compares its numbers with PyTorch's. */
#include "learner/ppo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "common/settings.h"
#include "learner/algorithms.h"
#include "tests/support.h"

enum { POLICY_LOSS, VALUE_LOSS, ENTROPY, APPROX_KL, CLIP_FRACTION, RATIO_MAX };
enum { N_OBS = 3, N_ACT = 2, STRIDE = N_OBS + N_ACT + 3, MAX_ROWS = 128 };

static const struct row_shape shape = { N_OBS, N_ACT };
static const struct ppo_hyper plain = {
    .learning_rate = 1e-2, .gamma = 0.5, .lambda = 1, .clip = 0.2, .epochs = 1, .value_coef = 0.5,
    .rho_bar = 1, .c_bar = 1,
    .optimiser = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-5, .max_grad_norm = 0.5 },
};

struct ppo_case {
    struct arena *arena;
    void *ppo;
    struct ppo_hyper hyper;
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    int n_arrays;
    real rows[MAX_ROWS * STRIDE];
    int first[3];
    struct round round;
    struct rng rng;
    double metrics[ALGORITHM_MAX_METRICS];
    struct error err;
};

static void open_case(struct ppo_case *c, const struct ppo_hyper *hyper, int batch_size, uint64_t seed)
{
    const struct mlp_body body = { 1, { 8 }, ACTIVATION_TANH, false };
    matrix_setup();
    memset(c, 0, sizeof(*c));
    c->hyper = *hyper;
    const struct algorithm_setup setup = {
        .shape = shape, .policy = body, .critic = body, .start = MLP_START_ORTHOGONAL,
        .batch_size = batch_size, .max_rows = MAX_ROWS, .max_transitions = MAX_ROWS,
        .max_fragments = 2, .seed = seed, .hyper = &c->hyper,
    };
    c->arena = arena_create(1 << 16);
    c->ppo = ppo_algorithm.create(&setup, c->arena);
    arena_seal(c->arena);
    c->n_arrays = ppo_algorithm.arrays(c->ppo, c->arrays);
    rng_init(&c->rng, 31, RNG_TEST, 0, 0);
    ck_assert(!ppo_algorithm.has_more(c->ppo));
}

static void begin(struct ppo_case *c)
{
    ppo_algorithm.begin(c->ppo, &c->round, &c->rng);
}

static int step(struct ppo_case *c)
{
    ck_assert(ppo_algorithm.has_more(c->ppo));
    return ppo_algorithm.step(c->ppo, c->metrics, &c->err);
}

/* ---- time limits ---- */

/* V is 2 everywhere, gamma 1/2, lambda 1. Rewards 1 and 3, an end of kind `kind`, then 100 in another
 * episode. */
static double value_loss_of(struct ppo_hyper hyper, enum row_kind kind, real behind)
{
    struct ppo_case c;
    static const double rewards[] = { 1, 3, 0, 100, 0 };
    const enum row_kind kinds[] = { ROW_STEP, kind, ROW_CLOSE, ROW_STEP, ROW_CLOSE };
    open_case(&c, &hyper, 3, 1);
    memset(c.arrays[0].data, 0, c.arrays[0].n * sizeof(real));
    c.arrays[0].data[c.arrays[0].n - 1] = 2;    /* the value network's last bias */
    for (int t = 0; t < 5; t++) {
        real *row = c.rows + t * STRIDE;
        row[row_reward(shape)] = (real)rewards[t];
        row[row_kind(shape)] = (real)kinds[t];
        row[row_log_prob(shape)] = (real)(-0.5 * N_ACT * log(2 * acos(-1.0)));    /* N(0, 1) at 0 */
    }
    c.rows[2 * STRIDE] = behind;
    c.first[1] = 5;
    c.round = (struct round){ .shape = shape, .n_rows = 5, .n_transitions = 3, .n_fragments = 1,
                              .rows = c.rows, .first = c.first };
    begin(&c);
    ck_assert_int_eq(step(&c), isfinite(behind) ? 0 : ERR_NUMERIC);
    ck_assert(!ppo_algorithm.has_more(c.ppo));
    double loss = c.metrics[VALUE_LOSS];
    arena_destroy(&c.arena);
    return loss;
}

/* 1/2 mean A^2, as R - V is A */
static double half_mean_square(double a0, double a1, double a2)
{
    return (a0 * a0 + a1 * a1 + a2 * a2) / 6;
}

START_TEST(truncation_bootstraps_but_ends_the_trace_and_termination_does_not_bootstrap)
{
    struct ppo_hyper h = plain;
    double bootstrapped = half_mean_square(1 + 1 - 2 + 0.5 * 2, 3 + 1 - 2, 100 + 1 - 2);
    double terminated = half_mean_square(1 + 1 - 2 + 0.5 * 1, 3 - 2, 100 + 1 - 2);
    for (int k = 0; k < 2; k++) {
        h.vtrace = k > 0;
        ck_assert_double_eq_tol(value_loss_of(h, ROW_TRUNCATED, 0), bootstrapped, 1e-3);
        ck_assert_double_eq_tol(value_loss_of(h, ROW_STEP, 0), bootstrapped, 1e-3);
        ck_assert_double_eq_tol(value_loss_of(h, ROW_TERMINATED, 0), terminated, 1e-3);
    }
}
END_TEST

START_TEST(truncation_terminates_takes_time_limits_for_terminations_but_not_ends_of_fragments)
{
    struct ppo_hyper h = plain;
    double step_loss = value_loss_of(h, ROW_STEP, 0), terminated = value_loss_of(h, ROW_TERMINATED, 0);
    h.truncation_terminates = true;
    ck_assert(value_loss_of(h, ROW_TRUNCATED, 0) == terminated);
    ck_assert(value_loss_of(h, ROW_TERMINATED, 0) == terminated);
    ck_assert(value_loss_of(h, ROW_STEP, 0) == step_loss);
}
END_TEST

START_TEST(what_lies_behind_a_termination_is_never_looked_at)
{
    struct ppo_hyper h = plain;
    for (int k = 0; k < 2; k++) {
        struct ppo_case c;
        h.vtrace = k > 0;
        open_case(&c, &h, 2, 1);
        c.rows[0 * STRIDE + row_kind(shape)] = ROW_TERMINATED;
        c.rows[1 * STRIDE + row_kind(shape)] = c.rows[3 * STRIDE + row_kind(shape)] = ROW_CLOSE;
        c.rows[1 * STRIDE] = (real)NAN;
        c.first[1] = 4;
        c.round = (struct round){ .shape = shape, .n_rows = 4, .n_transitions = 2, .n_fragments = 1,
                                  .rows = c.rows, .first = c.first };
        begin(&c);
        ck_assert_int_eq(step(&c), 0);
        arena_destroy(&c.arena);
    }
}
END_TEST

/* ---- minibatches ---- */

/* One fragment of n steps, acted by the policy as it is now. */
static void draw_round(struct ppo_case *c, int n)
{
    struct rng rng;
    rng_init(&rng, 32, RNG_TEST, (uint32_t)n, 0);
    ck_assert_int_lt(n, MAX_ROWS);
    for (int t = 0; t <= n; t++) {
        real *row = c->rows + t * STRIDE, sum = 0;
        for (int i = 0; i < STRIDE; i++)
            row[i] = (real)rng_normal(&rng);
        for (int i = 0; i < N_ACT; i++)
            sum += row[N_OBS + i] * row[N_OBS + i];
        /* Means start next to 0, sigmas at 1. */
        row[row_log_prob(shape)] = (real)-0.5 * sum - (real)(0.5 * N_ACT * log(2 * acos(-1.0)));
        row[row_kind(shape)] = t < n ? ROW_STEP : ROW_CLOSE;
    }
    c->first[1] = n + 1;
    c->round = (struct round){ .shape = shape, .n_rows = n + 1, .n_transitions = n, .n_fragments = 1,
                               .rows = c->rows, .first = c->first };
}

static int steps_of_round(struct ppo_case *c)
{
    int n = 0;
    for (begin(c); ppo_algorithm.has_more(c->ppo); n++)
        step(c);
    return n;
}

START_TEST(a_last_minibatch_is_used_unless_it_would_be_a_single_transition)
{
    static const struct { int n, batch_size, n_steps; } cases[] = {
        { 32, 16, 2 }, { 33, 16, 2 }, { 34, 16, 3 }, { 17, 16, 1 }, { 10, 16, 1 }, { 1, 16, 1 },
        { 5, 1, 5 }, { 3, 2, 1 }, { 4, 2, 2 }, { 2, 1, 2 },
    };
    struct ppo_hyper h = plain;
    h.epochs = 3;
    h.normalise_advantages = PPO_NORMALISE_MINIBATCH;
    for (size_t k = 0; k < TEST_COUNT(cases); k++) {
        struct ppo_case c;
        open_case(&c, &h, cases[k].batch_size, 1);
        draw_round(&c, cases[k].n);
        ck_assert_int_eq(steps_of_round(&c), 3 * cases[k].n_steps);
        for (size_t i = 0; i < c.arrays[0].n; i++)
            ck_assert(isfinite(c.arrays[0].data[i]));
        arena_destroy(&c.arena);
    }
}
END_TEST

START_TEST(every_epoch_uses_every_transition_once)
{
    struct ppo_hyper h = plain;
    struct ppo_case c;
    h.epochs = 2;
    h.learning_rate = 0;
    open_case(&c, &h, 1, 1);
    draw_round(&c, 20);
    /* One transition per step: its ratio names it. */
    for (int t = 0; t < 20; t++)
        c.rows[t * STRIDE + row_log_prob(shape)] -= (real)log(1 + t);
    begin(&c);
    int order[2][20];
    for (int epoch = 0; epoch < 2; epoch++) {
        bool seen[20] = { false };
        for (int i = 0; i < 20; i++) {
            ck_assert_int_eq(step(&c), 0);
            int t = (int)lround(c.metrics[RATIO_MAX]) - 1;
            ck_assert(t >= 0 && t < 20 && !seen[t]);
            seen[t] = true;
            order[epoch][i] = t;
        }
    }
    ck_assert_mem_ne(order[0], order[1], sizeof(order[0]));
    ck_assert(!ppo_algorithm.has_more(c.ppo));
    arena_destroy(&c.arena);
}
END_TEST

START_TEST(a_policy_that_is_the_actors_own_has_ratio_one)
{
    struct ppo_case c;
    open_case(&c, &plain, 64, 1);
    draw_round(&c, 64);
    begin(&c);
    ck_assert_int_eq(step(&c), 0);
    ck_assert_double_lt(c.metrics[APPROX_KL], 1e-3);
    ck_assert_double_eq_tol(c.metrics[RATIO_MAX], 1, 0.15);
    arena_destroy(&c.arena);
}
END_TEST

START_TEST(v_trace_of_a_policy_that_is_the_actors_own_is_gae)
{
    real grads[2][256];
    struct ppo_hyper h = plain;    /* lambda 1 */
    h.entropy_coef = 0.1;
    size_t n = 0;
    for (int k = 0; k < 2; k++) {
        struct ppo_case c;
        h.vtrace = k > 0;
        open_case(&c, &h, 64, 1);
        draw_round(&c, 40);
        c.rows[11 * STRIDE + row_kind(shape)] = ROW_TERMINATED;
        c.rows[12 * STRIDE + row_kind(shape)] = ROW_CLOSE;
        c.round.n_transitions = 39;
        /* No weights: means are 0, so that the log-probabilities of the rows are exact. V is 2. */
        memset(c.arrays[0].data, 0, c.arrays[0].n * sizeof(real));
        c.arrays[0].data[c.arrays[0].n - 1] = 2;
        begin(&c);
        ck_assert_int_eq(step(&c), 0);
        const real *grad = ppo_algorithm.gradients(c.ppo, &n);
        ck_assert_uint_le(n, TEST_COUNT(grads[k]));
        memcpy(grads[k], grad, n * sizeof(real));
        arena_destroy(&c.arena);
    }
    for (size_t i = 0; i < n; i++)
        ck_assert_double_eq_tol((double)grads[0][i], (double)grads[1][i], 1e-5);
}
END_TEST

/* ---- bad numbers ---- */

START_TEST(a_non_finite_minibatch_is_reported_moves_nothing_and_is_used_up)
{
    struct ppo_hyper h = plain;
    static const int spoilt[] = { 0, N_OBS, N_OBS + N_ACT, N_OBS + N_ACT + 1 };
    h.epochs = 2;
    h.normalise_advantages = PPO_NORMALISE_MINIBATCH;
    for (size_t k = 0; k < TEST_COUNT(spoilt); k++) {
        struct ppo_case c;
        open_case(&c, &h, 64, 1);
        draw_round(&c, 40);
        size_t n = c.arrays[0].n;
        real before[256];
        ck_assert_uint_le(n, TEST_COUNT(before));
        memcpy(before, c.arrays[0].data, n * sizeof(real));
        real saved = c.rows[7 * STRIDE + spoilt[k]];
        c.rows[7 * STRIDE + spoilt[k]] = (real)NAN;
        begin(&c);
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(step(&c), ERR_NUMERIC);
            ck_assert_str_eq(c.err.text, "the gradient of policy's layer 0 weights is not finite");
        }
        ck_assert(!ppo_algorithm.has_more(c.ppo));
        ck_assert_mem_eq(before, c.arrays[0].data, n * sizeof(real));
        /* The next good round is learnt from. */
        c.rows[7 * STRIDE + spoilt[k]] = saved;
        begin(&c);
        ck_assert_int_eq(step(&c), 0);
        ck_assert_mem_ne(before, c.arrays[0].data, n * sizeof(real));
        for (int a = 0; a < 3; a++)
            for (size_t i = 0; i < n; i++)
                ck_assert(isfinite(c.arrays[a].data[i]));
        arena_destroy(&c.arena);
    }
}
END_TEST

START_TEST(good_minibatches_of_a_round_with_a_bad_one_are_learnt_from)
{
    struct ppo_case c;
    open_case(&c, &plain, 8, 1);
    draw_round(&c, 40);
    c.rows[row_reward(shape)] = (real)INFINITY;    /* the first: no trace leads away from it */
    begin(&c);
    int n_bad = 0;
    for (int i = 0; i < 5; i++)
        n_bad += step(&c) != 0;
    ck_assert_int_eq(n_bad, 1);
    ck_assert(!ppo_algorithm.has_more(c.ppo));
    arena_destroy(&c.arena);
}
END_TEST

/* ---- saving ---- */

static void copy_state(const struct ppo_case *from, struct ppo_case *to)
{
    ck_assert_int_eq(from->n_arrays, to->n_arrays);
    for (int i = 0; i < from->n_arrays; i++) {
        const struct array *a = &from->arrays[i], *b = &to->arrays[i];
        ck_assert_uint_eq(a->n, b->n);
        if (a->counter)
            *b->counter = *a->counter;
        else
            memcpy(b->data, a->data, a->n * sizeof(real));
    }
}

START_TEST(saved_state_continues_bit_for_bit)
{
    static struct ppo_case a, b;
    struct ppo_hyper h = plain;
    h.epochs = 3;
    h.recompute_advantages = true;
    open_case(&a, &h, 16, 1);
    open_case(&b, &h, 16, 2);
    draw_round(&a, 60);
    draw_round(&b, 60);
    steps_of_round(&a);
    ck_assert_mem_ne(a.arrays[0].data, b.arrays[0].data, a.arrays[0].n * sizeof(real));
    copy_state(&a, &b);
    rng_seek(&b.rng, a.rng.position);
    ck_assert_int_eq(steps_of_round(&a), steps_of_round(&b));
    for (int i = 0; i < 3; i++)
        ck_assert_mem_eq(a.arrays[i].data, b.arrays[i].data, a.arrays[i].n * sizeof(real));
    ck_assert_mem_eq(a.metrics, b.metrics, sizeof(a.metrics));
    arena_destroy(&a.arena);
    arena_destroy(&b.arena);
}
END_TEST

/* ---- configuration ---- */

/* The settings of presets[0] and then presets[k], and of `extra` (NULL: none). */
static void configure(int k, char *extra, struct settings *s, struct ppo_hyper *h)
{
    struct option_section sections[SETTINGS_SECTIONS + 1];
    char *overrides[64] = { (char[]){ "env.name=Pendulum-v1" } };
    static char texts[64][128];
    int n = 1;
    for (int p = 0; p <= k; p += k > 0 ? k : 1)
        for (const char *const *v = ppo_algorithm.presets[p].values; *v; v++, n++) {
            ck_assert_int_lt(n, 62);
            snprintf(texts[n], sizeof(texts[n]), "%s", *v);
            overrides[n] = texts[n];
        }
    if (extra)
        overrides[n++] = extra;
    settings_sections(s, sections);
    sections[SETTINGS_SECTIONS] = (struct option_section){
        .name = "ppo", .help = "", .options = ppo_algorithm.options,
        .n_options = ppo_algorithm.n_options, .base = h,
    };
    struct error err;
    ck_assert_msg(options_load(sections, SETTINGS_SECTIONS + 1, NULL, NULL, overrides, n, &err) == 0, "%s: %s",
                  ppo_algorithm.presets[k].name, err.text);
}

static int check(const struct ppo_hyper *h, const struct settings *s, struct error *err)
{
    const struct env_spec spec = { .name = "Pendulum-v1" };
    return ppo_algorithm.check(h, s, &spec, err);
}

START_TEST(every_preset_can_be_read_is_accepted_and_collects_rounds_of_its_size)
{
    static const char *const names[] = { "", "cleanrl", "sb3", "tuned" };
    static const int64_t rounds[] = { 2048, 2048, 2048, 4096 };
    ck_assert_int_eq(ppo_algorithm.n_presets, (int)TEST_COUNT(names));
    for (int k = 0; k < ppo_algorithm.n_presets; k++) {
        struct settings s;
        struct ppo_hyper h;
        struct error err;
        ck_assert_str_eq(ppo_algorithm.presets[k].name, names[k]);
        configure(k, NULL, &s, &h);
        ck_assert_msg(check(&h, &s, &err) == 0, "%s", err.text);
        ck_assert_int_eq(s.top.actors * s.top.envs_per_actor * s.actor.horizon, rounds[k]);
        ck_assert_int_eq(s.network.init, MLP_START_ORTHOGONAL);
    }
}
END_TEST

START_TEST(the_references_are_as_they_are_published)
{
    struct settings s;
    struct ppo_hyper h;
    configure(1, NULL, &s, &h);
    ck_assert(s.top.mode == MODE_SYNC && s.actor.horizon == 2048 && s.learner.batch_size == 64);
    ck_assert(s.learner.normalise_observations && s.learner.scale_rewards);
    ck_assert(h.learning_rate == 3e-4 && h.optimiser.schedule == SCHEDULE_LINEAR);
    ck_assert(h.optimiser.epsilon == 1e-5 && h.optimiser.max_grad_norm == 0.5);
    ck_assert(h.clip == 0.2 && h.value_clip == 0.2 && h.epochs == 10 && h.value_coef == 0.5);
    ck_assert(h.truncation_terminates && h.target_kl == 0 && h.entropy_coef == 0);
    configure(2, NULL, &s, &h);
    ck_assert(!s.learner.normalise_observations && !s.learner.scale_rewards);
    ck_assert(h.optimiser.schedule == SCHEDULE_CONSTANT && h.value_coef == 1 && h.value_clip == 0);
    ck_assert(!h.truncation_terminates);
}
END_TEST

START_TEST(choices_that_cannot_work_are_refused_with_a_reason)
{
    static char *const refused[][2] = {
        { "learner.batch_size=1", "cannot be normalised" },
        { "ppo.truncation_terminates=true", "bootstraps at time limits" },
        { "ppo.c_bar=1.5", "need not converge" },
    };
    for (size_t i = 0; i < TEST_COUNT(refused); i++) {
        struct settings s;
        struct ppo_hyper h;
        struct error err;
        configure(0, refused[i][0], &s, &h);
        h.vtrace = i > 0;
        ck_assert_int_eq(check(&h, &s, &err), ERR_CONFIG);
        ck_assert_msg(strstr(err.text, refused[i][1]) != NULL, "it says: %s", err.text);
        ck_assert_ptr_nonnull(strstr(err.text, "choose"));
        h.vtrace = false;
        h.normalise_advantages = PPO_NORMALISE_NONE;
        ck_assert_int_eq(check(&h, &s, &err), 0);
    }
}
END_TEST

START_TEST(a_round_must_hold_a_minibatch)
{
    struct settings s;
    struct ppo_hyper h;
    struct error err;
    configure(0, "actor.horizon=8", &s, &h);    /* eight streams */
    ck_assert_int_eq(check(&h, &s, &err), 0);
    configure(0, "actor.horizon=7", &s, &h);
    ck_assert_int_eq(check(&h, &s, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "learner.batch_size 64 is above a round's 56 transitions"));
}
END_TEST

START_TEST(the_head_follows_the_environment_and_log_sigma)
{
    struct algorithm_traits traits;
    struct ppo_hyper h = plain;
    struct env_spec spec = { .name = "CartPole-v1", .n_choices = 2 };
    ppo_algorithm.describe(&h, &spec, &traits);
    ck_assert_int_eq(traits.head, HEAD_CATEGORICAL);
    spec.n_choices = 0;
    ppo_algorithm.describe(&h, &spec, &traits);
    ck_assert_int_eq(traits.head, HEAD_GAUSSIAN);
    h.log_sigma = LOG_SIGMA_OF_STATE;
    ppo_algorithm.describe(&h, &spec, &traits);
    ck_assert_int_eq(traits.head, HEAD_GAUSSIAN_OF_STATE);
    ck_assert(traits.discount == h.gamma && !traits.takes_whole_episodes);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        truncation_bootstraps_but_ends_the_trace_and_termination_does_not_bootstrap,
        truncation_terminates_takes_time_limits_for_terminations_but_not_ends_of_fragments,
        what_lies_behind_a_termination_is_never_looked_at,
        a_last_minibatch_is_used_unless_it_would_be_a_single_transition,
        every_epoch_uses_every_transition_once,
        a_policy_that_is_the_actors_own_has_ratio_one,
        v_trace_of_a_policy_that_is_the_actors_own_is_gae,
        a_non_finite_minibatch_is_reported_moves_nothing_and_is_used_up,
        good_minibatches_of_a_round_with_a_bad_one_are_learnt_from,
        saved_state_continues_bit_for_bit,
        every_preset_can_be_read_is_accepted_and_collects_rounds_of_its_size,
        the_references_are_as_they_are_published,
        choices_that_cannot_work_are_refused_with_a_reason,
        a_round_must_hold_a_minibatch, the_head_follows_the_environment_and_log_sigma,
    };
    return suite_run("ppo", tests, TEST_COUNT(tests), 60);
}
