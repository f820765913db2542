/* DDPG and TD3 against PyTorch in float64; make_ddpg_golden.py and make_td3_golden.py say what the files
 * hold. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "learner/algorithms.h"
#include "learner/ddpg.h"
#include "learner/td3.h"
#include "tests/golden/golden.h"

enum { SIZES = 12, ARRAYS = 7, MAX_PARAMS = 2048 };

static const struct golden_column columns[] = {
    { "q_loss", 0 }, { "pi_loss", 1 }, { "q_mean", 1 }, { "q_grad_norm", 0 }, { "pi_grad_norm", 0 }
};

/* ---- one case ---- */

struct trial {
    struct golden_case g;
    struct ddpg_hyper ddpg;
    struct td3_hyper td3;
    int policy_delay, target_every;    /* in updates of the critics */
    real *noise, *discount, *weight;   /* of all updates */
    real *scratch;                     /* [B][2][stride]: an update overwrites actions */
    real *td_error;                    /* [B] */
    size_t n_policy;
    int n_updates;
    struct error err;
};

static const struct optimiser_hyper adam = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8 };

static void read_hyper(struct trial *c, const double *sizes)
{
    double *h = golden(c->g.file, "hyper");
    const int delay = (int)sizes[10], every = (int)sizes[11];
    const bool is_td3 = c->g.algorithm == &td3_algorithm;
    c->ddpg = (struct ddpg_hyper){ .gamma = 0.9, .tau = h[0], .policy_lr = h[1], .q_lr = h[2],
                                   .q_weight_decay = h[3], .policy_delay = delay, .target_every = every,
                                   .optimiser = adam };
    if (is_td3)
        c->td3 = (struct td3_hyper){ .gamma = 0.9, .tau = h[0], .policy_lr = h[1], .q_lr = h[2],
                                     .target_noise = h[3], .target_noise_clip = h[4],
                                     .policy_delay = delay, .target_every = every, .optimiser = adam };
    c->g.setup.hyper = is_td3 ? (const void *)&c->td3 : &c->ddpg;
    c->policy_delay = delay;
    c->target_every = is_td3 ? delay * every : every;
    free(h);
}

static void create(struct trial *c)
{
    golden_case_create(&c->g);
    c->g.algorithm->policy(c->g.self, &c->n_policy);
}

/* An algorithm at the golden start. */
static void open_case(struct trial *c, const char *name)
{
    *c = (struct trial){ .n_updates = 0 };
    golden_case_open(&c->g, name[0] == 't' ? &td3_algorithm : &ddpg_algorithm, name);
    ck_assert_uint_eq(golden_count(c->g.file, "sizes"), SIZES);
    double *sizes = golden(c->g.file, "sizes");
    const struct mlp_body body = golden_body(sizes + 4);
    c->g.setup = (struct algorithm_setup){ .shape = { (int)sizes[0], (int)sizes[1] }, .seed = 1,
                                         .batch_size = (int)sizes[2], .policy = body, .critic = body };
    c->g.setup.policy.has_layer_norm = sizes[8] > 0;
    c->g.setup.critic.has_layer_norm = sizes[9] > 0;
    c->n_updates = (int)sizes[3];
    read_hyper(c, sizes);
    free(sizes);
    create(c);
    c->noise = c->g.algorithm == &td3_algorithm ? golden_real(c->g.file, "noise") : NULL;
    c->discount = golden_real(c->g.file, "discount");
    c->weight = golden_real(c->g.file, "weight");
    const size_t B = (size_t)c->g.setup.batch_size;
    c->scratch = malloc(2 * B * (size_t)row_stride(c->g.setup.shape) * sizeof(real));
    c->td_error = malloc(B * sizeof(real));
}

static void close_case(struct trial *c)
{
    free(c->noise), free(c->discount), free(c->weight), free(c->scratch), free(c->td_error);
    golden_case_close(&c->g);
}

/* Update number `i` from 0, on rows that `edit` (may be NULL) has changed. */
static int update(struct trial *c, int i, void (*edit)(struct row_shape s, real *row))
{
    const int B = c->g.setup.batch_size, n_act = c->g.setup.shape.n_act;
    const int stride = row_stride(c->g.setup.shape);
    const size_t n_rows = (size_t)(2 * B * stride);
    memcpy(c->scratch, c->g.rows + (size_t)i * n_rows, n_rows * sizeof(real));
    for (int k = 0; edit && k < B; k++)
        edit(c->g.setup.shape, c->scratch + 2 * k * stride);
    struct batch b = { .n = B, .shape = c->g.setup.shape, .rows = c->scratch, .discount = c->discount + i * B,
                       .weight = c->weight + i * B, .td_error = c->td_error,
                       .noise = c->noise ? c->noise + i * B * n_act : NULL };
    return c->g.algorithm->update(c->g.self, &b, c->g.metrics, &c->err);
}

static void do_updates(struct trial *c, int first, int end)
{
    for (int i = first; i < end; i++)
        ck_assert_msg(update(c, i, NULL) == 0, "%s", c->err.text);
}

/* ---- comparing ---- */

/* The networks' gradients from network `first` of policy, q1, q2 to `last`. */
static void check_gradients(const struct trial *c, int first, int last)
{
    static const char *const names[] = { "policy", "q1", "q2" };
    const int n_obs = c->g.setup.shape.n_obs, n_act = c->g.setup.shape.n_act;
    const struct mlp_shape policy = mlp_shape_make(n_obs, &c->g.setup.policy, n_act);
    const struct mlp_shape q = mlp_shape_make(n_obs + n_act, &c->g.setup.critic, 1);
    size_t n, at = 0;
    const real *grad = c->g.algorithm->gradients(c->g.self, &n);
    double *expected = golden(c->g.file, "gradients");
    ck_assert_uint_eq(n, golden_count(c->g.file, "gradients"));
    for (int i = 0; i <= last; i++) {
        const struct mlp_shape *s = i ? &q : &policy;
        at += i < first ? mlp_n_params(s)
                        : golden_check_network(names[i], s, grad + at, expected + at);
    }
    ck_assert(last == 0 || at == n);
    free(expected);
}

static void check_first_updates(const char *name)
{
    struct trial c;
    open_case(&c, name);
    real *start = golden_real(c.g.file, "params0"), *targets = golden_real(c.g.file, "targets0");
    do_updates(&c, 0, 1);
    golden_check_metrics(&c.g, 0, columns, TEST_COUNT(columns));
    check_gradients(&c, 1, c.g.algorithm == &td3_algorithm ? 2 : 1);
    double *td_error = golden(c.g.file, "td_error");
    golden_check("td_error", c.td_error, td_error, (size_t)c.g.setup.batch_size, golden_limits()->value);
    golden_check_way(name, c.g.params, c.g.file, "params1", "params0");
    if (c.target_every == 1)
        golden_check_way(name, c.g.targets, c.g.file, "targets1", "targets0");
    else
        ck_assert_mem_eq(c.g.targets.data, targets, c.g.targets.n * sizeof(real));
    if (c.policy_delay > 1)
        ck_assert_mem_eq(c.g.params.data, start, c.n_policy * sizeof(real));

    do_updates(&c, 1, c.policy_delay);
    check_gradients(&c, 0, 0);
    free(start), free(targets), free(td_error);
    close_case(&c);
}

static void check_ten_updates(const char *name)
{
    struct trial c;
    open_case(&c, name);
    for (int i = 0; i < c.n_updates; i++) {
        do_updates(&c, i, i + 1);
        golden_check_metrics(&c.g, i, columns, TEST_COUNT(columns));
    }
    golden_check_way(name, c.g.params, c.g.file, "params10", "params0");
    golden_check_way(name, c.g.targets, c.g.file, "targets10", "targets0");
    close_case(&c);
}

static void check_turns(const char *name)
{
    struct trial c;
    open_case(&c, name);
    real *before = malloc(c.g.params.n * sizeof(real));
    for (int i = 0; i < c.n_updates; i++) {
        memcpy(before, c.g.params.data, c.n_policy * sizeof(real));
        memcpy(before + c.n_policy, c.g.targets.data + c.n_policy, (c.g.params.n - c.n_policy) * sizeof(real));
        do_updates(&c, i, i + 1);
        bool policy_stays = memcmp(before, c.g.params.data, c.n_policy * sizeof(real)) == 0;
        bool targets_stay = memcmp(before + c.n_policy, c.g.targets.data + c.n_policy,
                                   (c.g.params.n - c.n_policy) * sizeof(real)) == 0;
        ck_assert_int_eq(policy_stays, (i + 1) % c.policy_delay != 0);
        ck_assert_int_eq(targets_stay, (i + 1) % c.target_every != 0);
        bool is_copy = memcmp(c.g.targets.data, c.g.params.data, c.g.params.n * sizeof(real)) == 0;
        ck_assert_int_eq(is_copy, c.ddpg.tau == 1 && !targets_stay);
    }
    free(before);
    close_case(&c);
}

/* ---- time limits ---- */

static void make_step(struct row_shape s, real *row) { row[row_kind(s)] = ROW_STEP; }
static void make_terminated(struct row_shape s, real *row) { row[row_kind(s)] = ROW_TERMINATED; }
static void make_truncated(struct row_shape s, real *row) { row[row_kind(s)] = ROW_TRUNCATED; }

static double q_loss_of(const char *name, bool is_discounted_to_zero,
                        void (*edit)(struct row_shape s, real *row))
{
    struct trial c;
    open_case(&c, name);
    for (int k = 0; is_discounted_to_zero && k < c.g.setup.batch_size; k++)
        c.discount[k] = 0;
    ck_assert_int_eq(update(&c, 0, edit), 0);
    double loss = golden_metric(&c.g, "q_loss");
    close_case(&c);
    return loss;
}

static void check_truncation(const char *name)
{
    double step = q_loss_of(name, false, make_step);
    ck_assert(q_loss_of(name, false, make_truncated) == step);
    ck_assert(q_loss_of(name, false, make_terminated) != step);
    ck_assert(q_loss_of(name, false, make_terminated) == q_loss_of(name, true, make_step));
}

static void spoil_terminated_successor(struct row_shape s, real *row)
{
    row[row_kind(s)] = ROW_TERMINATED;
    row[row_stride(s)] = (real)1e30;
}

static void check_terminated(const char *name)
{
    double terminated = q_loss_of(name, false, make_terminated);
    ck_assert(q_loss_of(name, false, spoil_terminated_successor) == terminated);
}

/* ---- non-finite numbers ---- */

static void spoil_reward(struct row_shape s, real *row) { row[row_reward(s)] = (real)INFINITY; }
static void spoil_obs(struct row_shape s, real *row) { row[s.n_obs - 1] = (real)NAN; }

static void check_non_finite_loss(const char *name)
{
    static void (*const spoil[])(struct row_shape s, real *row) = { spoil_reward, spoil_obs };
    for (size_t i = 0; i < TEST_COUNT(spoil); i++) {
        struct trial c;
        open_case(&c, name);
        do_updates(&c, 0, c.policy_delay - 1);
        struct array arrays[ALGORITHM_MAX_ARRAYS];
        real before[ARRAYS][MAX_PARAMS];
        int64_t counters[ARRAYS];
        int n = c.g.algorithm->arrays(c.g.self, arrays);
        ck_assert_int_eq(n, ARRAYS);
        for (int a = 0; a < n; a++) {
            counters[a] = arrays[a].counter ? *arrays[a].counter : 0;
            if (arrays[a].data)
                memcpy(before[a], arrays[a].data, arrays[a].n * sizeof(real));
        }
        ck_assert_int_eq(update(&c, c.policy_delay - 1, spoil[i]), ERR_NUMERIC);
        ck_assert_str_eq(c.err.text, c.g.algorithm == &td3_algorithm
                         ? "the gradient of q1's layer 0 weights is not finite"
                         : "the gradient of q's layer 0 weights is not finite");
        for (int a = 0; a < n; a++) {
            ck_assert(!arrays[a].counter || *arrays[a].counter == counters[a]);
            if (arrays[a].data)
                ck_assert_mem_eq(before[a], arrays[a].data, arrays[a].n * sizeof(real));
        }
        do_updates(&c, c.policy_delay - 1, c.n_updates);    /* the next good batch is usable */
        close_case(&c);
    }
}

static void check_non_finite_policy(const char *name)
{
    struct trial c;
    open_case(&c, name);
    do_updates(&c, 0, 2 * c.policy_delay - 1);
    struct array kept = golden_array(c.g.algorithm, c.g.self, "policy_metrics");
    real before[2] = { kept.data[0], kept.data[1] };
    c.g.params.data[c.n_policy - 1] = (real)NAN;    /* the last bias: relu would hide others */
    ck_assert_int_eq(update(&c, 2 * c.policy_delay - 1, NULL), ERR_NUMERIC);
    ck_assert_str_eq(c.err.text, "the gradient of policy's layer 0 weights is not finite");
    ck_assert_mem_eq(before, kept.data, sizeof(before));
    for (size_t i = 0; i < c.g.params.n; i++)
        ck_assert(i == c.n_policy - 1 || isfinite(c.g.params.data[i]));
    close_case(&c);
}

/* ---- continuing ---- */

static void check_continuation(const char *name)
{
    for (int saved_at = 0; saved_at < 7; saved_at++) {
        struct trial c;
        open_case(&c, name);
        do_updates(&c, 0, saved_at);
        struct array from[ALGORITHM_MAX_ARRAYS], to[ALGORITHM_MAX_ARRAYS];
        c.g.algorithm->arrays(c.g.self, from);
        struct trial other = c;
        other.g.setup.seed = 2;
        create(&other);
        int n = c.g.algorithm->arrays(other.g.self, to);
        for (int a = 0; a < n; a++) {
            ck_assert_str_eq(from[a].name, to[a].name);
            if (from[a].counter)
                *to[a].counter = *from[a].counter;
            else
                memcpy(to[a].data, from[a].data, from[a].n * sizeof(real));
        }
        for (int i = saved_at; i < c.n_updates; i++) {
            do_updates(&c, i, i + 1);
            do_updates(&other, i, i + 1);
            ck_assert_mem_eq(c.g.metrics, other.g.metrics, TEST_COUNT(columns) * sizeof(double));
        }
        for (int a = 0; a < n; a++)
            ck_assert(from[a].counter ? *to[a].counter == *from[a].counter
                      : memcmp(to[a].data, from[a].data, from[a].n * sizeof(real)) == 0);
        close_case(&c);
    }
}

/* ---- every case ---- */

static void each_case(void (*check)(const char *name))
{
    static const char *const cases[] = { "ddpg_relu", "ddpg_silu", "td3_relu", "td3_tanh" };
    for (size_t i = 0; i < TEST_COUNT(cases); i++)
        check(cases[i]);
}

START_TEST(first_updates_equal_pytorch)
{
    each_case(check_first_updates);
}
END_TEST

START_TEST(ten_updates_equal_pytorch)
{
    each_case(check_ten_updates);
}
END_TEST

START_TEST(policy_and_targets_move_when_it_is_their_turn_and_only_then)
{
    each_case(check_turns);
}
END_TEST

START_TEST(truncation_bootstraps_like_a_step_and_termination_does_not)
{
    each_case(check_truncation);
}
END_TEST

START_TEST(a_terminated_row_does_not_see_its_successor_whatever_it_holds)
{
    each_case(check_terminated);
}
END_TEST

START_TEST(a_non_finite_loss_names_its_tensor_and_moves_nothing)
{
    each_case(check_non_finite_loss);
}
END_TEST

START_TEST(a_policy_that_is_not_finite_is_named_and_its_metrics_are_not_kept)
{
    each_case(check_non_finite_policy);
}
END_TEST

START_TEST(what_arrays_hold_continues_bit_for_bit_at_every_position)
{
    each_case(check_continuation);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        first_updates_equal_pytorch,
        ten_updates_equal_pytorch,
        policy_and_targets_move_when_it_is_their_turn_and_only_then,
        truncation_bootstraps_like_a_step_and_termination_does_not,
        a_terminated_row_does_not_see_its_successor_whatever_it_holds,
        a_non_finite_loss_names_its_tensor_and_moves_nothing,
        a_policy_that_is_not_finite_is_named_and_its_metrics_are_not_kept,
        what_arrays_hold_continues_bit_for_bit_at_every_position,
    };
    return suite_run("deterministic_golden", tests, TEST_COUNT(tests), 60);
}
