/* What must hold of A2C in every form; tests/golden/test_a2c_golden.c has the numbers. */
#include "learner/a2c.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/categorical.h"
#include "common/gaussian.h"
#include "common/matrix.h"
#include "learner/algorithms.h"
#include "tests/support.h"

enum { MAX_ROWS = 4000, MAX_STRIDE = 8 };

/* An A2C and a round that grows by transitions and CLOSE rows. */
struct world {
    struct arena *arena;
    struct a2c_hyper hyper;
    struct algorithm_setup setup;
    void *a2c;
    struct array params;
    struct rng rng;
    real rows[MAX_ROWS * MAX_STRIDE];
    int first[MAX_ROWS];
    int64_t staleness[MAX_ROWS];
    struct round round;
    double metrics[ALGORITHM_MAX_METRICS];
    struct error err;
};

static struct option_section a2c_section(struct a2c_hyper *hyper)
{
    return (struct option_section){ .name = "a2c", .options = a2c_algorithm.options,
                                    .n_options = a2c_algorithm.n_options, .base = hyper };
}

/* The options' defaults, but a step of unit size; three observations, two continuous actions. */
static void world_init(struct world *v)
{
    matrix_setup();
    memset(v, 0, sizeof(*v));
    struct option_section section = a2c_section(&v->hyper);
    options_default(&section, 1);
    v->hyper.gamma = 0.9;
    v->hyper.learning_rate = 0.01;
    v->setup = (struct algorithm_setup){
        .shape = { 3, 2 }, .policy = { 2, { 8, 7 }, ACTIVATION_TANH, false }, .seed = 4,
        .critic = { 2, { 8, 7 }, ACTIVATION_TANH, false }, .max_rows = MAX_ROWS,
        .max_transitions = MAX_ROWS, .max_fragments = MAX_ROWS, .hyper = &v->hyper,
    };
    rng_init(&v->rng, 6, RNG_TEST, 0, 0);
}

static void world_create(struct world *v)
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    v->arena = v->arena ? v->arena : arena_create(1 << 20);
    v->a2c = a2c_algorithm.create(&v->setup, v->arena);
    a2c_algorithm.arrays(v->a2c, arrays);
    v->params = arrays[0];
    ck_assert_str_eq(v->params.name, "params");
}

static void clear_round(struct world *v)
{
    v->round = (struct round){ .shape = v->setup.shape, .rows = v->rows, .first = v->first,
                               .staleness = v->staleness };
}

static real *row_of(struct world *v, int t) { return v->rows + t * row_stride(v->setup.shape); }

/* A row of this kind with random fields. */
static real *add(struct world *v, enum row_kind kind)
{
    const struct row_shape s = v->setup.shape;
    ck_assert_int_lt(v->round.n_rows, MAX_ROWS);
    real *row = row_of(v, v->round.n_rows++);
    for (int i = 0; i < row_stride(s); i++)
        row[i] = kind == ROW_CLOSE && i >= s.n_obs ? 0 : (real)rng_normal(&v->rng);
    if (kind != ROW_CLOSE && v->setup.n_choices > 0)
        row[row_act(s)] = (real)rng_below(&v->rng, (uint64_t)v->setup.n_choices);
    row[row_kind(s)] = (real)kind;
    v->round.n_transitions += kind != ROW_CLOSE;
    return row;
}

static void end_fragment(struct world *v)
{
    v->first[++v->round.n_fragments] = v->round.n_rows;
}

/* `n` transitions in which an episode is truncated and one terminates. */
static void add_fragment(struct world *v, int n)
{
    for (int t = 0; t < n; t++) {
        enum row_kind kind = t == 3 ? ROW_TRUNCATED : t == 7 ? ROW_TERMINATED : ROW_STEP;
        add(v, kind);
        if (kind != ROW_STEP || t + 1 == n)
            add(v, ROW_CLOSE);
    }
    end_fragment(v);
}

static void draw_round(struct world *v, int n_fragments, int n)
{
    clear_round(v);
    for (int f = 0; f < n_fragments; f++)
        add_fragment(v, n);
}

/* All steps of the round. Returns the first error. */
static int learn(struct world *v)
{
    int rc = 0;
    a2c_algorithm.begin(v->a2c, &v->round, &v->rng);
    while (a2c_algorithm.has_more(v->a2c)) {
        int step_rc = a2c_algorithm.step(v->a2c, v->metrics, rc ? &(struct error){ 0 } : &v->err);
        rc = rc ? rc : step_rc;
    }
    return rc;
}

static real *copy_gradients(const struct world *v)
{
    size_t n;
    const real *grad = a2c_algorithm.gradients(v->a2c, &n);
    real *copy = malloc(n * sizeof(real));
    memcpy(copy, grad, n * sizeof(real));
    return copy;
}

static void check_same_gradients(const struct world *v, const real *expected, double tolerance)
{
    size_t n;
    double scale = 0, worst = 0;
    const real *grad = a2c_algorithm.gradients(v->a2c, &n);
    for (size_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs((double)expected[i]));
        worst = fmax(worst, fabs((double)(grad[i] - expected[i])));
    }
    ck_assert(scale > 0);
    ck_assert_msg(worst <= tolerance * scale, "off by %.2g of the largest", worst / scale);
}

/* What a form needs beside its name. */
static void set_form(struct world *v, enum a2c_form form)
{
    v->hyper.form = form;
    v->hyper.value_epochs = form == A2C_EPISODES ? 2 : 0;
}

/* ---- time limits ---- */

/* V(s) is the observation, and nothing moves. */
static void create_known_values(struct world *v)
{
    v->setup.shape = (struct row_shape){ 1, 1 };
    v->setup.critic = (struct mlp_body){ 1, { 1 }, ACTIVATION_RELU, false };
    v->hyper.gamma = 0.5;
    v->hyper.learning_rate = 0;
    v->hyper.optimiser.max_grad_norm = 0;
    world_create(v);
    const real value[] = { 1, 0, 1, 0 };    /* W1 b1 W2 b2 */
    memcpy(v->params.data + v->params.n - 4, value, sizeof(value));
    clear_round(v);
}

static void add_known(struct world *v, enum row_kind kind, double obs, double reward)
{
    real *row = add(v, kind);
    row[0] = (real)obs;
    row[row_reward(v->setup.shape)] = (real)reward;
    row[row_log_prob(v->setup.shape)] = -100;    /* V-trace: far above both bounds */
}

/* The last update's mean of R - V(s), from d L / d b2 = -value_coef mean(R - V). */
static double mean_error(const struct world *v)
{
    size_t n;
    const real *grad = a2c_algorithm.gradients(v->a2c, &n);
    return (double)grad[n - 1] / -v->hyper.value_coef;
}

/* Two transitions of an episode that ends so, then one of the next, in one fragment. */
static double error_of_episode(struct world *v, enum row_kind end)
{
    create_known_values(v);
    add_known(v, ROW_STEP, 1, 2);
    add_known(v, end, 3, 5);
    add_known(v, ROW_CLOSE, 7, 0);
    add_known(v, ROW_STEP, 4, 11);
    add_known(v, ROW_CLOSE, 6, 0);
    end_fragment(v);
    ck_assert_int_eq(learn(v), 0);
    double error = mean_error(v);
    arena_destroy(&v->arena);
    return error;
}

/* R_1 = 5 + 7/2 or 5, R_0 = 2 + R_1 / 2, R_2 = 11 + 6/2 */
static const double TRUNCATED_ERROR = (6.25 - 1 + 8.5 - 3 + 14 - 4) / 3;
static const double TERMINATED_ERROR = (4.5 - 1 + 5 - 3 + 14 - 4) / 3;

static struct world w, other;

START_TEST(truncation_bootstraps_and_ends_the_trace_in_forms_nstep_and_episodes)
{
    for (int form = A2C_NSTEP; form <= A2C_EPISODES; form++) {
        world_init(&w);
        set_form(&w, (enum a2c_form)form);
        ck_assert_double_eq_tol(error_of_episode(&w, ROW_TRUNCATED), TRUNCATED_ERROR, 1e-5);
        ck_assert_double_eq_tol(error_of_episode(&w, ROW_TERMINATED), TERMINATED_ERROR, 1e-5);
        w.hyper.truncation_terminates = true;
        ck_assert_double_eq_tol(error_of_episode(&w, ROW_TRUNCATED), TERMINATED_ERROR, 1e-5);
    }
}
END_TEST

START_TEST(truncation_bootstraps_and_ends_the_trace_of_vtrace)
{
    world_init(&w);
    w.hyper.vtrace = true;
    ck_assert_double_eq_tol(error_of_episode(&w, ROW_TRUNCATED), TRUNCATED_ERROR, 1e-5);
    ck_assert_double_eq_tol(error_of_episode(&w, ROW_TERMINATED), TERMINATED_ERROR, 1e-5);
}
END_TEST

START_TEST(truncation_bootstraps_like_a_step_in_form_online_and_termination_does_not)
{
    static const enum row_kind kinds[] = { ROW_STEP, ROW_TRUNCATED, ROW_TERMINATED };
    static const double expected[] = { 5 + 3.5 - 3, 5 + 3.5 - 3, 5 - 3 };
    for (size_t i = 0; i < TEST_COUNT(kinds); i++) {
        world_init(&w);
        set_form(&w, A2C_ONLINE);
        create_known_values(&w);
        add_known(&w, ROW_STEP, 1, 2);
        add_known(&w, ROW_CLOSE, 3, 0);
        end_fragment(&w);
        add_known(&w, kinds[i], 3, 5);
        add_known(&w, ROW_CLOSE, 7, 0);
        end_fragment(&w);
        ck_assert_int_eq(learn(&w), 0);
        ck_assert_double_eq_tol(mean_error(&w), expected[i], 1e-5);
        arena_destroy(&w.arena);
    }
}
END_TEST

START_TEST(nothing_behind_a_termination_is_learnt_from)
{
    world_init(&w);
    w.hyper.learning_rate = 0;
    world_create(&w);
    clear_round(&w);
    add(&w, ROW_STEP);
    add(&w, ROW_TERMINATED);
    real *behind = add(&w, ROW_CLOSE);
    end_fragment(&w);
    ck_assert_int_eq(learn(&w), 0);
    real *expected = copy_gradients(&w);
    behind[0] = (real)NAN;
    ck_assert_int_eq(learn(&w), 0);
    check_same_gradients(&w, expected, 0);
    free(expected);
    arena_destroy(&w.arena);
}
END_TEST

/* ---- V-trace ---- */

/* The present policy's log pi(a|s) into every transition. */
static void store_log_probs(struct world *v)
{
    const struct row_shape s = v->setup.shape;
    const int stride = row_stride(s), n = v->round.n_rows, n_choices = v->setup.n_choices;
    struct mlp_shape net = mlp_shape_make(s.n_obs, &v->setup.policy, n_choices ? n_choices : s.n_act);
    struct mlp_cache cache;
    mlp_cache_init(&cache, &net, n, NULL, v->arena);
    real *log_prob = calloc((size_t)n, sizeof(real)), *entropy = calloc((size_t)n, sizeof(real));
    const real *out = mlp_forward(&net, v->params.data, n, v->rows, stride, &cache);
    if (n_choices)
        categorical_log_prob(n, n_choices, out, v->rows + row_act(s), stride, log_prob, entropy);
    else
        gaussian_log_prob(n, s.n_act, out, s.n_act, v->params.data + mlp_n_params(&net), 0,
                          v->rows + row_act(s), stride, log_prob, entropy);
    for (int t = 0; t < n; t++)
        if (row_of(v, t)[row_kind(s)] < (real)ROW_CLOSE)
            row_of(v, t)[row_log_prob(s)] = log_prob[t];
    free(log_prob), free(entropy);
}

START_TEST(vtrace_at_staleness_0_has_the_gradient_of_n_step_returns)
{
    for (int n_choices = 0; n_choices <= 3; n_choices += 3) {
        world_init(&w);
        w.hyper.entropy_coef = 0.01;
        w.hyper.learning_rate = 0;
        w.setup.n_choices = n_choices;
        w.setup.shape.n_act = n_choices ? 1 : 2;
        world_create(&w);
        draw_round(&w, 3, 12);
        store_log_probs(&w);
        ck_assert_int_eq(learn(&w), 0);
        real *expected = copy_gradients(&w);
        real *params = malloc(w.params.n * sizeof(real));
        memcpy(params, w.params.data, w.params.n * sizeof(real));

        w.hyper.vtrace = true;
        world_create(&w);
        memcpy(w.params.data, params, w.params.n * sizeof(real));
        ck_assert_int_eq(learn(&w), 0);
        check_same_gradients(&w, expected, 2e-6);
        ck_assert_double_eq_tol(w.metrics[7], 1, 1e-5);
        ck_assert_double_eq(w.metrics[8], 0);

        /* Stale rows are another matter. */
        row_of(&w, 1)[row_log_prob(w.setup.shape)] += 1;
        ck_assert_int_eq(learn(&w), 0);
        ck_assert(memcmp(expected, a2c_algorithm.gradients(w.a2c, &(size_t){ 0 }),
                         w.params.n * sizeof(real)) != 0);
        ck_assert_double_lt(w.metrics[7], 0.999);
        free(expected), free(params);
        arena_destroy(&w.arena);
    }
}
END_TEST

/* ---- rounds of any size ---- */

START_TEST(gradients_of_a_round_larger_than_a_chunk_are_the_mean_of_its_fragments)
{
    enum { FRAGMENTS = 5, T = 600 };
    world_init(&w);
    w.hyper.learning_rate = 0;
    w.hyper.optimiser.max_grad_norm = 0;
    world_create(&w);
    draw_round(&w, FRAGMENTS, T);
    ck_assert_int_gt(w.round.n_transitions, 2 * A2C_CHUNK_TRANSITIONS);
    ck_assert_int_eq(learn(&w), 0);
    real *whole = copy_gradients(&w);
    double loss = w.metrics[1], sum_loss = 0;
    real *mean = calloc(w.params.n, sizeof(real));
    const struct round all = w.round;
    for (int f = 0; f < FRAGMENTS; f++) {
        int first[2] = { 0, all.first[f + 1] - all.first[f] };
        w.round = (struct round){ .shape = all.shape, .n_rows = first[1], .n_transitions = T,
                                  .n_fragments = 1, .rows = row_of(&w, all.first[f]), .first = first,
                                  .staleness = w.staleness };
        ck_assert_int_eq(learn(&w), 0);
        sum_loss += w.metrics[1];
        const real *grad = a2c_algorithm.gradients(w.a2c, &(size_t){ 0 });
        for (size_t i = 0; i < w.params.n; i++)
            mean[i] += grad[i] / FRAGMENTS;
    }
    ck_assert_double_eq_tol(loss, sum_loss / FRAGMENTS, 1e-5 * loss);
    w.round = all;
    ck_assert_int_eq(learn(&w), 0);
    check_same_gradients(&w, whole, 0);
    check_same_gradients(&w, mean, 1e-5);
    free(whole), free(mean);
    arena_destroy(&w.arena);
}
END_TEST

START_TEST(form_online_is_an_update_per_transition_in_stream_order)
{
    world_init(&w);
    set_form(&w, A2C_ONLINE);
    world_create(&w);
    world_init(&other);
    world_create(&other);
    draw_round(&w, 6, 1);
    int n_steps = 0;
    a2c_algorithm.begin(w.a2c, &w.round, &w.rng);
    for (; a2c_algorithm.has_more(w.a2c); n_steps++) {
        ck_assert_int_eq(a2c_algorithm.step(w.a2c, w.metrics, &w.err), 0);
        /* The same as rounds of one transition, each behind the update of the one before. */
        clear_round(&other);
        memcpy(other.rows, row_of(&w, 2 * n_steps),
               (size_t)(2 * row_stride(w.setup.shape)) * sizeof(real));
        other.round.n_rows = 2;
        other.round.n_transitions = 1;
        end_fragment(&other);
        ck_assert_int_eq(learn(&other), 0);
        ck_assert_mem_eq(w.params.data, other.params.data, w.params.n * sizeof(real));
    }
    ck_assert_int_eq(n_steps, 6);
    arena_destroy(&w.arena);
    arena_destroy(&other.arena);
}
END_TEST

START_TEST(fitting_values_first_moves_the_value_function_alone)
{
    size_t n_policy;
    for (int epochs = 0; epochs <= 30; epochs += 30) {
        struct world *v = epochs ? &w : &other;
        world_init(v);
        set_form(v, A2C_EPISODES);
        v->hyper.value_epochs = epochs;
        world_create(v);
        draw_round(v, 2, 20);
        ck_assert_int_eq(learn(v), 0);
        ck_assert_int_eq(a2c_algorithm.has_more(v->a2c), false);
    }
    a2c_algorithm.policy(w.a2c, &n_policy);
    ck_assert_double_lt(w.metrics[1], other.metrics[1]);
    ck_assert_double_gt(w.metrics[3], other.metrics[3]);
    ck_assert(memcmp(w.params.data + n_policy, other.params.data + n_policy,
                     (w.params.n - n_policy) * sizeof(real)) != 0);
    arena_destroy(&w.arena);
    arena_destroy(&other.arena);
}
END_TEST

/* ---- numbers that are not finite ---- */

static void copy_state(const struct world *from, struct world *to)
{
    struct array a[ALGORITHM_MAX_ARRAYS], b[ALGORITHM_MAX_ARRAYS];
    int n = a2c_algorithm.arrays(from->a2c, a);
    ck_assert_int_eq(a2c_algorithm.arrays(to->a2c, b), n);
    for (int i = 0; i < n; i++) {
        ck_assert_str_eq(a[i].name, b[i].name);
        ck_assert_uint_eq(a[i].n, b[i].n);
        if (a[i].counter)
            *b[i].counter = *a[i].counter;
        else
            memcpy(b[i].data, a[i].data, a[i].n * sizeof(real));
    }
}

static void check_same_state(const struct world *x, const struct world *y)
{
    struct array a[ALGORITHM_MAX_ARRAYS], b[ALGORITHM_MAX_ARRAYS];
    int n = a2c_algorithm.arrays(x->a2c, a);
    ck_assert_int_eq(a2c_algorithm.arrays(y->a2c, b), n);
    for (int i = 0; i < n; i++)
        if (a[i].counter)
            ck_assert_int_eq(*a[i].counter, *b[i].counter);
        else
            ck_assert_mem_eq(a[i].data, b[i].data, a[i].n * sizeof(real));
}

static void check_spoilt(enum a2c_form form, bool vtrace, int field, real value, const char *blamed)
{
    for (int i = 0; i < 2; i++) {
        struct world *v = i ? &other : &w;
        world_init(v);
        set_form(v, form);
        v->hyper.vtrace = vtrace;
        world_create(v);
    }
    draw_round(&w, form == A2C_ONLINE ? 1 : 3, form == A2C_ONLINE ? 1 : 5);
    const real good = w.rows[field];
    w.rows[field] = value;
    ck_assert_int_eq(learn(&w), ERR_NUMERIC);
    ck_assert_int_eq(w.err.code, ERR_NUMERIC);
    ck_assert_msg(strstr(w.err.text, blamed) != NULL, "%s", w.err.text);
    check_same_state(&w, &other);
    w.rows[field] = good;
    ck_assert_int_eq(learn(&w), 0);
    for (size_t i = 0; i < w.params.n; i++)
        ck_assert(isfinite(w.params.data[i]));
    arena_destroy(&w.arena);
    arena_destroy(&other.arena);
}

START_TEST(a_non_finite_loss_moves_nothing_and_is_blamed_on_the_first_bad_tensor)
{
    const int reward = row_reward((struct row_shape){ 3, 2 });
    check_spoilt(A2C_NSTEP, false, reward, (real)INFINITY, "policy's layer 0 weights");
    check_spoilt(A2C_NSTEP, false, 1, (real)NAN, "policy's layer 0 weights");
    check_spoilt(A2C_NSTEP, true, reward, (real)NAN, "policy's layer 0 weights");
    check_spoilt(A2C_ONLINE, false, reward, (real)-INFINITY, "policy's layer 0 weights");
    check_spoilt(A2C_EPISODES, false, reward, (real)INFINITY, "value's layer 0 weights");
    check_spoilt(A2C_EPISODES, false, 1, (real)NAN, "value's layer 0 weights");
}
END_TEST

START_TEST(a_bad_transition_of_form_online_costs_its_own_update_only)
{
    world_init(&w);
    set_form(&w, A2C_ONLINE);
    world_create(&w);
    draw_round(&w, 3, 1);
    row_of(&w, 2)[row_reward(w.setup.shape)] = (real)NAN;
    int rc[3], n = 0;
    a2c_algorithm.begin(w.a2c, &w.round, &w.rng);
    while (a2c_algorithm.has_more(w.a2c))
        rc[n++] = a2c_algorithm.step(w.a2c, w.metrics, &w.err);
    ck_assert_int_eq(n, 3);
    ck_assert(rc[0] == 0 && rc[1] == ERR_NUMERIC && rc[2] == 0);
    arena_destroy(&w.arena);
}
END_TEST

/* ---- saving ---- */

START_TEST(a_restored_state_continues_bit_for_bit)
{
    for (int form = A2C_NSTEP; form <= A2C_ONLINE; form++)
        for (int kind = OPTIMISER_ADAM; kind <= OPTIMISER_RMSPROP_TF; kind += 3) {
            world_init(&w);
            set_form(&w, (enum a2c_form)form);
            w.hyper.optimiser.kind = kind;
            world_create(&w);
            world_init(&other);
            other.hyper = w.hyper;
            other.setup.seed = 99;
            world_create(&other);
            for (int i = 0; i < 6; i++) {
                draw_round(&w, 4, form == A2C_ONLINE ? 1 : 9);
                ck_assert_int_eq(learn(&w), 0);
                if (i == 2)
                    copy_state(&w, &other);
                other.round = w.round;
                if (i > 2)
                    ck_assert_int_eq(learn(&other), 0);
            }
            check_same_state(&w, &other);
            arena_destroy(&w.arena);
            arena_destroy(&other.arena);
        }
}
END_TEST

/* ---- what is refused ---- */

static struct settings settings;
static struct a2c_hyper hyper;
static int time_limit = 1000;

/* Defaults, A2C's first preset, another one (NULL: none), then `value` (NULL: nothing); and check(). */
static int configure(const char *preset, const char *value, struct error *err)
{
    struct option_section sections[SETTINGS_SECTIONS + 1];
    char *overrides[64] = { (char[]){ "env.name=Hopper-v5" }, (char[]){ "algorithm=a2c" } };
    int n = 2;
    settings_sections(&settings, sections);
    sections[SETTINGS_SECTIONS] = a2c_section(&hyper);
    for (int i = 0; i < a2c_algorithm.n_presets; i++) {
        const struct preset *p = &a2c_algorithm.presets[i];
        for (int k = 0; (i == 0 || (preset && strcmp(p->name, preset) == 0)) && p->values[k]; k++)
            overrides[n++] = memory_copy_text(p->values[k]);
    }
    int n_copied = n;
    char last[128];
    snprintf(last, sizeof(last), "%s", value ? value : "seed=1");
    overrides[n++] = last;
    struct error load = { 0 };
    int rc = options_load(sections, SETTINGS_SECTIONS + 1, NULL, NULL, overrides, n, &load);
    ck_assert_msg(rc == 0, "%s", load.text);
    ck_assert_int_eq(settings_check(&settings, true, &load), 0);
    for (int i = 2; i < n_copied; i++)
        free(overrides[i]);
    struct env_spec spec = { .name = "Hopper-v5", .shape = { 11, 3 }, .time_limit = time_limit };
    return a2c_algorithm.check(&hyper, &settings, &spec, err);
}

static void check_refused(const char *preset, const char *value, const char *word, const char *other_word)
{
    struct error err = { 0 };
    ck_assert_int_eq(configure(preset, value, &err), ERR_CONFIG);
    ck_assert_msg(strstr(err.text, word) && strstr(err.text, other_word), "%s", err.text);
}

START_TEST(every_preset_is_made_of_known_settings_that_work_together)
{
    struct error err = { 0 };
    for (int i = 0; i < a2c_algorithm.n_presets; i++)
        ck_assert_msg(configure(a2c_algorithm.presets[i].name, NULL, &err) == 0, "%s: %s",
                      a2c_algorithm.presets[i].name, err.text);
    ck_assert_int_eq(settings.network.init, MLP_START_ORTHOGONAL);
    ck_assert_int_eq(settings.network.activation, ACTIVATION_TANH);
}
END_TEST

/* Their A2C takes PyTorch's RMSProp, and vf_coef 0.5 of a loss without 1/2. */
START_TEST(the_preset_sb3_is_as_published)
{
    struct error err = { 0 };
    ck_assert_int_eq(configure("sb3", NULL, &err), 0);
    ck_assert_int_eq(hyper.optimiser.kind, OPTIMISER_RMSPROP);
    ck_assert(hyper.optimiser.epsilon == 1e-5 && hyper.optimiser.decay == 0.99);
    ck_assert(hyper.optimiser.max_grad_norm == 0.5 && hyper.optimiser.schedule == SCHEDULE_CONSTANT);
    ck_assert(hyper.learning_rate == 7e-4 && hyper.value_coef == 1 && hyper.entropy_coef == 0);
    ck_assert(hyper.gamma == 0.99 && hyper.lambda == 1 && settings.actor.horizon == 5);
}
END_TEST

START_TEST(incompatible_choices_are_refused_with_the_reason)
{
    check_refused("episodes", "actor.horizon=999", "actor.horizon is 999", "1000");
    time_limit = 16384;
    check_refused("episodes", NULL, "actor.horizon is 1000", "set actor.horizon: 16384");
    time_limit = 16385;
    check_refused("episodes", NULL, "above 16384, the most that actor.horizon can be", "env.max_episode_steps");
    time_limit = 1000;
    check_refused("online", "actor.horizon=5", "actor.horizon is 5", "actor.horizon: 1");
    check_refused("online", "mode=async", "only sync waits", "set mode: sync");
    check_refused("online", "a2c.normalise_advantages=round", "normalise_advantages", "none");
    check_refused("online", "a2c.value_epochs=1", "value_epochs", "episodes");
    check_refused("impala", "a2c.truncation_terminates=true", "truncation_terminates", "vtrace");
    check_refused("impala", "a2c.c_bar=2", "c_bar is 2", "rho_bar 1");
    check_refused("impala", "a2c.rho_bar=0", "rho_bar 0", "above");
}
END_TEST

START_TEST(the_head_follows_the_actions_and_the_choice_of_log_sigma)
{
    struct algorithm_traits traits;
    struct env_spec discrete = { .n_choices = 4 }, continuous = { .n_choices = 0 };
    world_init(&w);
    a2c_algorithm.describe(&w.hyper, &discrete, &traits);
    ck_assert_int_eq(traits.head, HEAD_CATEGORICAL);
    a2c_algorithm.describe(&w.hyper, &continuous, &traits);
    ck_assert_int_eq(traits.head, HEAD_GAUSSIAN);
    ck_assert(traits.discount == 0.9 && !traits.takes_whole_episodes);
    w.hyper.log_sigma = LOG_SIGMA_OF_STATE;
    w.hyper.form = A2C_EPISODES;
    a2c_algorithm.describe(&w.hyper, &continuous, &traits);
    ck_assert_int_eq(traits.head, HEAD_GAUSSIAN_OF_STATE);
    ck_assert(traits.takes_whole_episodes);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        truncation_bootstraps_and_ends_the_trace_in_forms_nstep_and_episodes,
        truncation_bootstraps_and_ends_the_trace_of_vtrace,
        truncation_bootstraps_like_a_step_in_form_online_and_termination_does_not,
        nothing_behind_a_termination_is_learnt_from,
        vtrace_at_staleness_0_has_the_gradient_of_n_step_returns,
        gradients_of_a_round_larger_than_a_chunk_are_the_mean_of_its_fragments,
        form_online_is_an_update_per_transition_in_stream_order,
        fitting_values_first_moves_the_value_function_alone,
        a_non_finite_loss_moves_nothing_and_is_blamed_on_the_first_bad_tensor,
        a_bad_transition_of_form_online_costs_its_own_update_only,
        a_restored_state_continues_bit_for_bit,
        every_preset_is_made_of_known_settings_that_work_together,
        the_preset_sb3_is_as_published,
        incompatible_choices_are_refused_with_the_reason,
        the_head_follows_the_actions_and_the_choice_of_log_sigma,
    };
    return suite_run("a2c", tests, TEST_COUNT(tests), 60);
}
