/* Mode gradients: a step taken apart into a gradient, computed by one instance of an algorithm, and its
 * application by another; and what cannot be taken apart. tests/golden/test_a2c_golden.c has the numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "common/squashed_gaussian.h"
#include "learner/a2c.h"
#include "learner/algorithms.h"
#include "learner/ppo.h"
#include "tests/support.h"

enum { N_OBS = 3, N_ACT = 2, STRIDE = N_OBS + N_ACT + 3, MAX_ROWS = 4000, MAX_FRAGMENTS = 8 };

static const struct row_shape shape = { N_OBS, N_ACT };

union hyper {
    struct a2c_hyper a2c;
    struct ppo_hyper ppo;
};

/* An algorithm, how it is configured, and its instances: one that steps, or an actor and a learner. */
struct world {
    struct arena *arena;
    const struct algorithm *algorithm;
    union hyper hyper;
    struct algorithm_setup setup;
    void *whole, *actor, *learner;
    real *grad;                                 /* [n_params] */
    size_t n_params;
    real rows[MAX_ROWS * STRIDE];
    int first[MAX_FRAGMENTS + 1];
    int64_t staleness[MAX_FRAGMENTS];
    struct round round;
    struct rng rng;                             /* of rows */
    double metrics[ALGORITHM_MAX_METRICS], step_metrics[ALGORITHM_MAX_METRICS];
    struct error err;
};

static struct world w;

/* The options' defaults, with one epoch. */
static void world_init(const struct algorithm *algorithm)
{
    matrix_setup();
    memset(&w, 0, sizeof(w));
    w.algorithm = algorithm;
    struct option_section section = { .name = algorithm->name, .options = algorithm->options,
                                      .n_options = algorithm->n_options, .base = &w.hyper };
    options_default(&section, 1);
    if (algorithm == &ppo_algorithm)
        w.hyper.ppo.epochs = 1;
    const struct mlp_body body = { 2, { 8, 7 }, ACTIVATION_TANH, false };
    w.setup = (struct algorithm_setup){
        .shape = shape, .policy = body, .critic = body, .start = MLP_START_ORTHOGONAL, .batch_size = MAX_ROWS,
        .max_rows = MAX_ROWS, .max_transitions = MAX_ROWS, .max_fragments = MAX_FRAGMENTS,
        .seed = 5, .hyper = &w.hyper,
    };
    rng_init(&w.rng, 7, RNG_TEST, 0, 0);
}

/* The actor starts elsewhere: it is to take over everything. */
static void world_create(void)
{
    w.arena = arena_create(1 << 20);
    w.whole = w.algorithm->create(&w.setup, w.arena);
    w.learner = w.algorithm->create(&w.setup, w.arena);
    struct algorithm_setup elsewhere = w.setup;
    elsewhere.seed = 99;
    w.actor = w.algorithm->create(&elsewhere, w.arena);
    w.n_params = algorithm_params(w.algorithm, w.learner).n;
    w.grad = calloc(w.n_params, sizeof(*w.grad));
}

static void world_fini(void)
{
    free(w.grad);
    arena_destroy(&w.arena);
}

/* `n` transitions as a fragment behind the others; of three or more the second is truncated. */
static void add_fragment(int n, bool may_end)
{
    for (int t = 0; t < n; t++) {
        const enum row_kind kind = !may_end ? ROW_STEP : t == 1 ? ROW_TRUNCATED : t == 4 ? ROW_TERMINATED
                                 : ROW_STEP;
        for (int is_close = 0; is_close <= (kind != ROW_STEP || t + 1 == n); is_close++) {
            ck_assert_int_lt(w.round.n_rows, MAX_ROWS);
            real *row = w.rows + STRIDE * w.round.n_rows++;
            for (int i = 0; i < STRIDE; i++)
                row[i] = is_close && i >= N_OBS ? 0 : (real)rng_normal(&w.rng);
            if (w.setup.n_choices && !is_close)
                row[row_act(shape)] = (real)rng_below(&w.rng, (uint64_t)w.setup.n_choices);
            row[row_kind(shape)] = (real)(is_close ? ROW_CLOSE : kind);
        }
    }
    w.round.n_transitions += n;
    w.first[++w.round.n_fragments] = w.round.n_rows;
}

static void draw_round(int n_fragments, int n, bool may_end)
{
    w.round = (struct round){ .shape = shape, .rows = w.rows, .first = w.first, .staleness = w.staleness };
    for (int f = 0; f < n_fragments; f++)
        add_fragment(n, may_end);
}

/* A seed for which n numbers stay in their order when they are shuffled. */
static uint64_t quiet_seed(int n)
{
    for (uint64_t seed = 1;; seed++) {
        struct rng rng;
        int i = n - 1;
        rng_init(&rng, seed, RNG_UPDATE, 0, 0);
        while (i > 0 && rng_below(&rng, (uint64_t)i + 1) == (uint64_t)i)
            i--;
        if (i == 0)
            return seed;
    }
}

static void step_whole(uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, RNG_UPDATE, 0, 0);
    w.algorithm->begin(w.whole, &w.round, &rng);
    ck_assert_int_eq(w.algorithm->step(w.whole, w.step_metrics, &w.err), 0);
    ck_assert(!w.algorithm->has_more(w.whole));
}

/* The learner's parameters to the actor. */
static void give_params(void)
{
    const struct array from = algorithm_params(w.algorithm, w.learner), to = algorithm_params(w.algorithm, w.actor);
    ck_assert(to.data != NULL && to.n == from.n);
    memcpy(to.data, from.data, to.n * sizeof(real));
}

static int compute(void)
{
    return w.algorithm->gradient(w.actor, &w.round, w.grad, w.metrics, &w.err);
}

static int apply(double progress)
{
    return w.algorithm->apply(w.learner, w.grad, progress, w.metrics, &w.err);
}

static void check_same_state(void *a, void *b)
{
    struct array x[ALGORITHM_MAX_ARRAYS], y[ALGORITHM_MAX_ARRAYS];
    const int n = w.algorithm->arrays(a, x);
    ck_assert_int_eq(w.algorithm->arrays(b, y), n);
    for (int i = 0; i < n; i++)
        if (x[i].counter)
            ck_assert_int_eq(*x[i].counter, *y[i].counter);
        else
            ck_assert_msg(memcmp(x[i].data, y[i].data, x[i].n * sizeof(real)) == 0, "%s differs", x[i].name);
}

/* Some rounds, learnt from in one way and in the other. */
static void check_same_as_steps(int n_fragments, int n)
{
    const uint64_t seed = w.algorithm == &ppo_algorithm ? quiet_seed(n_fragments * n) : 1;
    world_create();
    for (int k = 0; k < 4; k++) {
        draw_round(n_fragments, n, true);
        w.round.progress = k / 4.0;
        step_whole(seed);
        give_params();
        ck_assert_int_eq(compute(), 0);
        ck_assert_int_eq(apply(w.round.progress), 0);
        check_same_state(w.whole, w.learner);
        ck_assert_mem_eq(w.metrics, w.step_metrics, (size_t)w.algorithm->n_metrics * sizeof(double));
    }
    world_fini();
}

START_TEST(a_gradient_and_its_application_are_a_step_of_a2c_bit_for_bit)
{
    for (int k = 0; k < 16; k++) {
        world_init(&a2c_algorithm);
        w.hyper.a2c.vtrace = k & 1;
        w.hyper.a2c.normalise_advantages = k & 2 ? A2C_NORMALISE_ROUND : A2C_NORMALISE_NONE;
        w.setup.n_choices = k & 4 ? 3 : 0;
        w.hyper.a2c.optimiser.kind = k & 8 ? OPTIMISER_ADAM : OPTIMISER_RMSPROP_TF;
        w.hyper.a2c.optimiser.schedule = k & 8 ? SCHEDULE_LINEAR : SCHEDULE_CONSTANT;
        w.hyper.a2c.log_sigma = k & 8 ? LOG_SIGMA_OF_STATE : LOG_SIGMA_INDEPENDENT;
        w.hyper.a2c.entropy_coef = 0.01;
        check_same_as_steps(3, 7);
    }
    world_init(&a2c_algorithm);
    check_same_as_steps(2, A2C_CHUNK_TRANSITIONS * 3 / 4);
}
END_TEST

START_TEST(a_gradient_and_its_application_are_a_step_of_ppo_in_the_order_of_rows_bit_for_bit)
{
    for (int k = 0; k < 8; k++) {
        world_init(&ppo_algorithm);
        w.hyper.ppo.vtrace = k & 1;
        w.hyper.ppo.normalise_advantages = k & 2 ? PPO_NORMALISE_MINIBATCH : PPO_NORMALISE_NONE;
        w.setup.n_choices = k & 4 ? 3 : 0;
        w.hyper.ppo.value_clip = 0.2;
        check_same_as_steps(1, 6);
    }
}
END_TEST

START_TEST(a_gradient_moves_nothing_and_forgets_a_round_that_was_begun)
{
    static const struct algorithm *const both[] = { &a2c_algorithm, &ppo_algorithm };
    for (int k = 0; k < 2; k++) {
        world_init(both[k]);
        world_create();
        draw_round(2, 9, true);
        struct rng rng;
        rng_init(&rng, 1, RNG_UPDATE, 0, 0);
        w.algorithm->begin(w.learner, &w.round, &rng);
        ck_assert_int_eq(w.algorithm->gradient(w.learner, &w.round, w.grad, w.metrics, &w.err), 0);
        ck_assert(!w.algorithm->has_more(w.learner));
        check_same_state(w.learner, w.whole);
        world_fini();
    }
}
END_TEST

/* ---- parts of a round ---- */

static void check_halves(void)
{
    enum { T = 40 };
    double largest = 0;
    world_create();
    draw_round(2, T, true);
    ck_assert_int_eq(compute(), 0);
    real *whole = malloc(w.n_params * sizeof(real)), *mean = calloc(w.n_params, sizeof(real));
    memcpy(whole, w.grad, w.n_params * sizeof(real));
    const struct round all = w.round;
    for (int f = 0; f < 2; f++) {
        const int first[2] = { 0, all.first[f + 1] - all.first[f] };
        w.round = (struct round){ .shape = shape, .n_rows = first[1], .n_transitions = T, .n_fragments = 1,
                                  .rows = w.rows + STRIDE * all.first[f], .first = first,
                                  .staleness = w.staleness };
        ck_assert_int_eq(compute(), 0);
        for (size_t i = 0; i < w.n_params; i++)
            mean[i] += w.grad[i] / 2;
    }
    for (size_t i = 0; i < w.n_params; i++)
        largest = fmax(largest, fabs((double)whole[i]));
    for (size_t i = 0; i < w.n_params; i++)
        ck_assert_double_eq_tol((double)mean[i], (double)whole[i], 1e-5 * largest);
    free(whole), free(mean);
    world_fini();
}

START_TEST(the_gradient_of_a_round_is_the_mean_of_its_halves_gradients)
{
    for (int vtrace = 0; vtrace < 2; vtrace++) {
        world_init(&a2c_algorithm);
        w.hyper.a2c.vtrace = vtrace > 0;
        check_halves();
        world_init(&ppo_algorithm);
        w.hyper.ppo.normalise_advantages = PPO_NORMALISE_NONE;
        w.hyper.ppo.vtrace = vtrace > 0;
        check_halves();
    }
}
END_TEST

/* ---- one step with any gradient ---- */

static double metric(const char *name)
{
    for (int i = 0; i < w.algorithm->n_metrics; i++)
        if (strcmp(w.algorithm->metric_names[i], name) == 0)
            return w.metrics[i];
    ck_abort_msg("no metric %s", name);
}

START_TEST(applying_follows_the_schedule_and_tells_the_norm_before_clipping)
{
    world_init(&a2c_algorithm);
    w.hyper.a2c.optimiser.schedule = SCHEDULE_LINEAR;
    w.hyper.a2c.optimiser.max_grad_norm = 0.5;
    world_create();
    w.grad[3] = 3, w.grad[4] = -4;
    w.metrics[0] = 17;
    ck_assert_int_eq(apply(0.25), 0);
    ck_assert_double_eq_tol(metric("learning_rate"), 0.75 * w.hyper.a2c.learning_rate, 1e-12);
    ck_assert_double_eq_tol(metric("grad_norm"), 5, 1e-6);
    ck_assert_double_eq(w.metrics[0], 17);    /* what the actor measured */
    ck_assert(w.grad[3] == 3 && w.grad[4] == -4);
    /* v = 0.99 + 0.01 g^2 with g clipped to a tenth */
    const double step = 0.75 * w.hyper.a2c.learning_rate * 0.3 / sqrt(0.99 + 0.01 * 0.09 + 1e-5);
    const struct array moved = algorithm_params(w.algorithm, w.learner);
    const struct array start = algorithm_params(w.algorithm, w.whole);
    ck_assert_double_eq_tol((double)(start.data[3] - moved.data[3]), step, 1e-3 * step);
    world_fini();
}
END_TEST

START_TEST(applying_keeps_a_free_log_sigma_within_its_bounds)
{
    static const struct algorithm *const both[] = { &a2c_algorithm, &ppo_algorithm };
    for (int k = 0; k < 4; k++) {
        size_t n_policy;
        world_init(both[k / 2]);
        *(k / 2 ? &w.hyper.ppo.learning_rate : &w.hyper.a2c.learning_rate) = 1;
        (k / 2 ? &w.hyper.ppo.optimiser : &w.hyper.a2c.optimiser)->schedule = SCHEDULE_CONSTANT;
        world_create();
        const real *policy = w.algorithm->policy(w.learner, &n_policy);
        for (size_t i = n_policy - N_ACT; i < n_policy; i++)
            w.grad[i] = k % 2 ? 100 : -100;
        for (int i = 0; i < 100; i++)
            ck_assert_int_eq(apply(0), 0);
        for (size_t i = n_policy - N_ACT; i < n_policy; i++)
            ck_assert(policy[i] == log_sigma_clamp(k % 2 ? (real)-1e9 : (real)1e9));
        world_fini();
    }
}
END_TEST

/* ---- numbers that are not finite ---- */

START_TEST(a_gradient_that_is_not_finite_is_reported_and_not_given_away)
{
    static const struct algorithm *const both[] = { &a2c_algorithm, &ppo_algorithm };
    static const real bad[] = { (real)NAN, (real)INFINITY, (real)1e30 };    /* the last one's loss is finite */
    for (int k = 0; k < 6; k++) {
        world_init(both[k / 3]);
        world_create();
        draw_round(2, 9, true);
        w.rows[row_reward(shape)] = bad[k % 3];
        w.grad[0] = 42;
        ck_assert_int_eq(compute(), ERR_NUMERIC);
        ck_assert_msg(strstr(w.err.text, "layer 0 weights is not finite"), "%s", w.err.text);
        ck_assert(w.grad[0] == 42);
        world_fini();
    }
}
END_TEST

START_TEST(an_unusable_gradient_is_named_and_moves_nothing)
{
    static const struct algorithm *const both[] = { &a2c_algorithm, &ppo_algorithm };
    static const real bad[] = { (real)NAN, (real)-INFINITY, (real)1e30 };    /* the last one's square */
    for (int k = 0; k < 6; k++) {
        world_init(both[k / 3]);
        world_create();
        w.grad[w.n_params - 1] = bad[k % 3];
        ck_assert_int_eq(apply(0), ERR_NUMERIC);
        ck_assert_msg(strstr(w.err.text, "value's layer 2 biases"), "%s", w.err.text);
        check_same_state(w.learner, w.whole);
        w.grad[w.n_params - 1] = 1;
        ck_assert_int_eq(apply(0), 0);
        world_fini();
    }
}
END_TEST

/* ---- what an actor finds in "params" ---- */

START_TEST(the_policy_stands_in_front_of_all_trained_parameters)
{
    for (int k = 0; k < 6; k++) {
        size_t n_policy;
        world_init(k / 3 ? &ppo_algorithm : &a2c_algorithm);
        w.setup.n_choices = k % 3 == 2 ? 4 : 0;
        *(k / 3 ? &w.hyper.ppo.log_sigma : &w.hyper.a2c.log_sigma) =
            k % 3 == 1 ? LOG_SIGMA_OF_STATE : LOG_SIGMA_INDEPENDENT;
        world_create();
        give_params();
        const struct array params = algorithm_params(w.algorithm, w.actor);
        ck_assert_ptr_eq(w.algorithm->policy(w.actor, &n_policy), params.data);
        ck_assert_uint_lt(n_policy, params.n);
        world_fini();
    }
}
END_TEST

/* ---- what is refused ---- */

static struct settings settings;

static void check_gradients(const char *word, const char *what_to_set)
{
    const int rc = algorithm_check_gradients(w.algorithm, &w.hyper, &settings, &w.err);
    if (!word) {
        ck_assert_msg(rc == 0, "%s", w.err.text);
        return;
    }
    ck_assert_int_eq(rc, ERR_CONFIG);
    ck_assert_msg(strstr(w.err.text, word) && strstr(w.err.text, what_to_set), "%s", w.err.text);
}

START_TEST(a2c_has_gradients_in_form_nstep_with_or_without_vtrace_alone)
{
    world_init(&a2c_algorithm);
    check_gradients(NULL, NULL);
    w.hyper.a2c.vtrace = true;
    check_gradients(NULL, NULL);
    w.hyper.a2c.value_epochs = 20;
    check_gradients("a2c.value_epochs is 20", "set a2c.value_epochs: 0");
    w.hyper.a2c.form = A2C_EPISODES;
    check_gradients("a2c.form is episodes", "set a2c.form: nstep");
    w.hyper.a2c.form = A2C_ONLINE;
    check_gradients("a2c.form is online", "set a2c.form: nstep");
}
END_TEST

START_TEST(ppo_has_gradients_with_one_epoch_of_one_minibatch_alone)
{
    settings = (struct settings){ .top.actors = 2, .top.envs_per_actor = 4, .actor.horizon = 256,
                                  .learner.batch_size = 1024 };
    world_init(&ppo_algorithm);
    check_gradients(NULL, NULL);
    w.hyper.ppo.vtrace = true;
    check_gradients(NULL, NULL);
    settings.learner.batch_size = 1023;
    check_gradients("learner.batch_size 1023 is below the 1024", "set learner.batch_size: 1024");
    settings.learner.batch_size = 2048;
    check_gradients(NULL, NULL);
    w.hyper.ppo.target_kl = 0.01;
    check_gradients("ppo.target_kl is 0.01", "set ppo.target_kl: 0");
    w.hyper.ppo.epochs = 10;
    check_gradients("ppo.epochs is 10", "set ppo.epochs: 1");
}
END_TEST

START_TEST(algorithms_that_learn_from_replay_are_refused_with_that_reason)
{
    int n = 0;
    for (int i = 0; all_algorithms[i]; i++) {
        if (all_algorithms[i]->is_on_policy)
            continue;
        w.algorithm = all_algorithms[i];
        check_gradients("replay", all_algorithms[i]->name);
        check_gradients("mode: gradients", "set mode: async");
        n++;
    }
    ck_assert_int_eq(n, 3);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_gradient_and_its_application_are_a_step_of_a2c_bit_for_bit,
        a_gradient_and_its_application_are_a_step_of_ppo_in_the_order_of_rows_bit_for_bit,
        a_gradient_moves_nothing_and_forgets_a_round_that_was_begun,
        the_gradient_of_a_round_is_the_mean_of_its_halves_gradients,
        applying_follows_the_schedule_and_tells_the_norm_before_clipping,
        applying_keeps_a_free_log_sigma_within_its_bounds,
        a_gradient_that_is_not_finite_is_reported_and_not_given_away,
        an_unusable_gradient_is_named_and_moves_nothing,
        the_policy_stands_in_front_of_all_trained_parameters,
        a2c_has_gradients_in_form_nstep_with_or_without_vtrace_alone,
        ppo_has_gradients_with_one_epoch_of_one_minibatch_alone,
        algorithms_that_learn_from_replay_are_refused_with_that_reason,
    };
    return suite_run("gradients", tests, TEST_COUNT(tests), 60);
}
