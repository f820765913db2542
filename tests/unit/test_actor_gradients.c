/* An actor in mode gradients against one in async that acts alike: what the second sends as fragments is laid out by
 * hand here, and the first must send its gradient and what it adds to the statistics. */
#include "actor/actor_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env.h"
#include "common/digest.h"
#include "common/normaliser.h"
#include "learner/algorithms.h"
#include "learner/normalisation.h"
#include "proto/message.h"
#include "tests/support.h"

enum { INCARNATION = 7, RUN = 3, ENVS = 3, MAX_ROUNDS = 8, HORIZON = 40, MAX_ROWS = ENVS * 2 * HORIZON, MAX_STRIDE = 8,
       MAX_PARAMS = 2048, FIRST = 4 };

/* A round as fragments, stream after stream. */
struct pieces {
    int first[ENVS + 1], n_fragments, n_transitions;
    float rows[MAX_ROWS * MAX_STRIDE];
    double returns[MAX_ROWS];
    int n_returns;
};

/* A gradient that was sent; its bytes are copied. */
struct sent {
    struct gradient_header h;
    float gradient[MAX_PARAMS];
    double statistics[32], metrics[ALGORITHM_MAX_METRICS], returns[MAX_ROWS];
};

struct desk {
    struct actor *core;
    struct row_shape shape;
    bool is_async;
    int64_t now_us;
    struct message welcome;
    struct pieces rounds[MAX_ROUNDS];
    struct sent sent[MAX_ROUNDS];
    int n_fragments, n_sent;
    int64_t acked[ENVS];
};

/* What both are told. */
static struct {
    const char *environment, *algorithm, *options;
    int64_t max_staleness;
    bool normalises, scales_rewards;
    uint32_t lives[ENVS];
    int64_t credit;
} way;

static const struct algorithm *algorithm;
static struct arena *arena;
static void *instance;                  /* the learner's */
static _Alignas(16) unsigned char hyper[1024];
static float snapshot[MAX_PARAMS];
static size_t n_policy, n_params, n_snapshot;

static void keep_fragment(struct desk *d, const struct fragment_header *h)
{
    struct pieces *p = &d->rounds[d->n_fragments++ / ENVS];
    const size_t stride = (size_t)row_stride(d->shape);
    ck_assert_int_eq(h->stream, FIRST + p->n_fragments);
    const int at = p->first[p->n_fragments++];
    p->first[p->n_fragments] = at + (int)h->n_rows;
    memcpy(p->rows + (size_t)at * stride, h->rows.data, h->rows.size);
    p->n_transitions += (int)h->n_transitions;
    for (size_t i = 0; i < h->returns.size / sizeof(double); i++)
        p->returns[p->n_returns++] = bytes_f64(h->returns, i);
}

static void keep(void *to, struct bytes b)
{
    if (b.size > 0)
        memcpy(to, b.data, b.size);
}

static void on_send(void *context, struct frame *f, bool must_arrive)
{
    struct desk *d = context;
    struct message m;
    ck_assert_ptr_null(message_decode(&m, f->data, f->size));
    ck_assert(must_arrive == (m.type == MESSAGE_FRAGMENT || m.type == MESSAGE_GRADIENT));
    ck_assert(m.type != (d->is_async ? MESSAGE_GRADIENT : MESSAGE_FRAGMENT));
    if (m.type == MESSAGE_FRAGMENT)
        keep_fragment(d, &m.fragment);
    if (m.type == MESSAGE_GRADIENT) {
        struct sent *s = &d->sent[d->n_sent++];
        s->h = m.gradient;
        ck_assert_uint_eq((uint32_t)m.gradient.checksum,
                          digest_crc32(m.gradient.gradient.data, m.gradient.gradient.size));
        keep(s->gradient, m.gradient.gradient);
        keep(s->statistics, m.gradient.statistics);
        keep(s->metrics, m.gradient.metrics);
        keep(s->returns, m.gradient.returns);
    }
    frame_release(f);
}

static void on_subscribe(void *context, int port, bool wants_every) { (void)context, (void)port, (void)wants_every; }
static void on_log(void *context, const char *line) { (void)context, (void)line; }

static void say(struct desk *d, const struct message *m)
{
    unsigned char data[4 * MAX_PARAMS + 4096];
    struct frame f = { .data = data };
    f.size = message_encode(m, data, sizeof(data));
    ck_assert_uint_gt(f.size, 0);
    actor_receive(d->core, d->now_us, &f);
}

static void describe_welcome(struct desk *d, const struct env_spec *spec, const char *head)
{
    static const uint32_t hidden[] = { 6, 5 }, streams[ENVS] = { FIRST, FIRST + 1, FIRST + 2 };
    static const int64_t sequences[ENVS];
    message_init(&d->welcome, MESSAGE_WELCOME);
    struct welcome *w = &d->welcome.welcome;
    w->run = RUN, w->incarnation = INCARNATION, w->seed = 1, w->epoch = 1, w->protocol = PROTOCOL_VERSION;
    w->horizon = HORIZON, w->credit = way.credit, w->max_staleness = way.max_staleness ? way.max_staleness : -1;
    w->heartbeat_ms = 1000, w->liveness_ms = 10000000, w->snapshot_port = 1;
    w->n_obs = spec->shape.n_obs, w->n_act = spec->shape.n_act, w->n_choices = spec->n_choices;
    snprintf(w->algorithm, sizeof(w->algorithm), "%s", way.algorithm);
    snprintf(w->mode, sizeof(w->mode), "%s", d->is_async ? "async" : "gradients");
    snprintf(w->environment, sizeof(w->environment), "%s", way.environment);
    env_spec_hash(spec, w->spec);
    snprintf(w->head, sizeof(w->head), "%s", head);
    snprintf(w->activation, sizeof(w->activation), "tanh");
    snprintf(w->exploration, sizeof(w->exploration), "none");
    w->normalises = way.normalises;
    if (!d->is_async) {
        snprintf(w->algorithm_options, sizeof(w->algorithm_options), "%s", way.options);
        w->scales_rewards = way.scales_rewards;
    }
    w->hidden = (struct bytes){ (const unsigned char *)hidden, sizeof(hidden) };
    w->streams = (struct bytes){ (const unsigned char *)streams, sizeof(streams) };
    w->lives = (struct bytes){ (const unsigned char *)way.lives, sizeof(way.lives) };
    w->sequences = (struct bytes){ (const unsigned char *)sequences, sizeof(sequences) };
}

/* The learner's instance with parameters of its own, and its snapshot. */
static void create_learner(const struct env_spec *spec)
{
    const struct option_section section = { .name = algorithm->name, .options = algorithm->options,
                                            .n_options = algorithm->n_options, .base = hyper };
    const struct mlp_body body = { 2, { 6, 5 }, ACTIVATION_TANH, false };
    ck_assert_uint_le(algorithm->hyper_bytes, sizeof(hyper));
    ck_assert_int_eq(options_parse_line(&section, "test", way.options, strlen(way.options), NULL), 0);
    arena = arena_create(1 << 20);
    instance = algorithm->create(&(struct algorithm_setup){
        .shape = spec->shape, .n_choices = spec->n_choices, .policy = body, .critic = body,
        .start = MLP_START_ORTHOGONAL, .batch_size = ENVS * HORIZON, .max_rows = MAX_ROWS,
        .max_transitions = ENVS * HORIZON, .max_fragments = ENVS, .seed = 99, .hyper = hyper }, arena);
    const struct array params = algorithm_params(algorithm, instance);
    algorithm->policy(instance, &n_policy);
    n_params = n_snapshot = params.n;
    memcpy(snapshot, params.data, params.n * sizeof(float));
    for (int i = 0; way.normalises && i < 2 * spec->shape.n_obs; i++)
        snapshot[n_snapshot++] = i < spec->shape.n_obs ? 0.01f * (float)i : 1.5f + (float)i;
    if (way.scales_rewards)
        snapshot[n_snapshot++] = 0.25f;
    ck_assert_uint_le(n_snapshot, MAX_PARAMS);
}

static void desk_begin(struct desk *d, bool is_async)
{
    struct env_model *model;
    struct algorithm_traits traits;
    memset(d, 0, sizeof(*d));
    d->is_async = is_async;
    d->now_us = 1;
    ck_assert_int_eq(env_open(&model, &(struct env_setup){ .name = way.environment }, NULL), 0);
    d->shape = env_spec(model)->shape;
    algorithm = algorithm_find(way.algorithm);
    if (!arena)
        create_learner(env_spec(model));
    algorithm->describe(hyper, env_spec(model), &traits);
    describe_welcome(d, env_spec(model), policy_head_name(traits.head));
    env_close(&model);
    d->core = actor_create(&(struct actor_setup){
        .incarnation = INCARNATION, .name = "a", .program = "p", .cpu = "c", .find_algorithm = algorithm_find,
    }, (struct actor_out){ .context = d, .send = on_send, .subscribe = on_subscribe, .log = on_log });
    actor_tick(d->core, d->now_us);
}

static void desk_end(struct desk *d)
{
    actor_destroy(&d->core);
}

static void send_snapshot(struct desk *d, int64_t version)
{
    static float policy[MAX_PARAMS];
    const size_t n_statistics = way.normalises ? 2 * (size_t)d->shape.n_obs : 0;
    const float *numbers = d->is_async ? policy : snapshot;
    const size_t n = d->is_async ? n_policy + n_statistics : n_snapshot;
    struct message m;
    memcpy(policy, snapshot, n_policy * sizeof(float));
    memcpy(policy + n_policy, snapshot + n_params, n_statistics * sizeof(float));
    message_init(&m, MESSAGE_SNAPSHOT);
    m.snapshot = (struct snapshot){ .run = RUN, .epoch = 1, .version = version,
        .checksum = digest_crc32(numbers, n * sizeof(float)),
        .parameters = { (const unsigned char *)numbers, n * sizeof(float) } };
    say(d, &m);
}

static void send_ack(struct desk *d, int64_t newest, int64_t acked)
{
    struct message m;
    for (int i = 0; i < ENVS; i++)
        d->acked[i] = acked;
    message_init(&m, MESSAGE_ACK);
    m.ack = (struct ack){ .run = RUN, .incarnation = INCARNATION, .epoch = 1, .newest = newest, .start_version = 0,
                          .round = -1, .previous = -1, .credit = way.credit,
                          .acked = { (const unsigned char *)d->acked, sizeof(d->acked) } };
    say(d, &m);
}

static void join(struct desk *d, bool is_async)
{
    desk_begin(d, is_async);
    say(d, &d->welcome);
    ck_assert_int_eq(actor_phase(d->core), ACTOR_ACTING);
    send_snapshot(d, 3);
}

/* ---- what the fragments give ---- */

static int by_hand(struct desk *d, const struct pieces *p, float *grad, double *metrics)
{
    static float rows[MAX_ROWS * MAX_STRIDE];
    static const int64_t staleness[ENVS];
    const int n_rows = p->first[ENVS];
    struct error err;
    memcpy(rows, p->rows, sizeof(rows));
    if (way.normalises)
        normaliser_apply_rows(d->shape, snapshot + n_params, n_rows, rows);
    if (way.scales_rewards)
        normaliser_scale_rewards(d->shape, snapshot[n_snapshot - 1], n_rows, rows);
    const struct round r = { .shape = d->shape, .n_rows = n_rows, .n_transitions = p->n_transitions,
                             .n_fragments = ENVS, .rows = rows, .first = p->first, .staleness = staleness };
    return algorithm->gradient(instance, &r, grad, metrics, &err);
}

static void compare(struct desk *d, const struct sent *s, const struct pieces *p)
{
    static float grad[MAX_PARAMS];
    double metrics[ALGORITHM_MAX_METRICS];
    ck_assert_int_eq(by_hand(d, p, grad, metrics), 0);
    ck_assert_int_eq(s->h.n_transitions, p->n_transitions);
    ck_assert_uint_eq(s->h.gradient.size, n_params * sizeof(float));
    ck_assert_mem_eq(s->gradient, grad, n_params * sizeof(float));
    ck_assert_uint_eq(s->h.metrics.size, (size_t)algorithm->n_metrics * sizeof(double));
    ck_assert_mem_eq(s->metrics, metrics, s->h.metrics.size);
    ck_assert_uint_eq(s->h.returns.size, (size_t)p->n_returns * sizeof(double));
    ck_assert_mem_eq(s->returns, p->returns, s->h.returns.size);
    ck_assert(s->h.stream == FIRST && s->h.life == 2 && s->h.version == 3);
}

/* All increments merged, against a learner that consumed all rows. */
static void compare_statistics(const struct desk *d, const struct desk *other, int n)
{
    struct arena *a = arena_create(1 << 16);
    const struct normalisation_setup setup = { .shape = d->shape, .n_streams = ENVS, .of_observations = way.normalises,
                                               .of_rewards = way.scales_rewards, .discount = 0.9 };
    struct normalisation *merged = normalisation_create(&setup, a), *consumed = normalisation_create(&setup, a);
    struct tensor left[NORMALISATION_MAX_TENSORS], right[NORMALISATION_MAX_TENSORS];
    struct error err;
    for (int k = 0; k < n; k++) {
        const struct pieces *p = &other->rounds[k];
        ck_assert_uint_eq(d->sent[k].h.statistics.size, normalisation_increment_n(merged) * sizeof(double));
        ck_assert_int_eq(normalisation_merge(merged, d->sent[k].statistics, &err), 0);
        for (int i = 0; i < ENVS; i++)
            normalisation_consume(consumed, i, k == 0, p->rows + p->first[i] * row_stride(d->shape),
                                  p->first[i + 1] - p->first[i], HORIZON);
    }
    normalisation_save(merged, left);
    normalisation_save(consumed, right);
    for (int t = 0; t < 2; t++)    /* of observations, and of returns */
        for (int64_t i = 0; i < left[t].dims[0]; i++) {
            const double x = ((const double *)left[t].data)[i], y = ((const double *)right[t].data)[i];
            ck_assert_double_eq_tol(x, y, 1e-12 * fmax(1, fabs(y)));
        }
    arena_destroy(&a);
}

static void run_round(struct desk *d, int cut)
{
    for (int k = 0; actor_step(d->core, d->now_us); k++)
        if (k + 1 == cut)
            send_ack(d, 3 + way.max_staleness, d->acked[0]);
}

static struct desk one, other;

static void set_way(const char *environment, const char *name, const char *options)
{
    way.environment = environment, way.algorithm = name, way.options = options;
    way.normalises = way.scales_rewards = true;
    way.lives[0] = way.lives[1] = way.lives[2] = 2;
    way.credit = 2;
}

static const struct { const char *environment, *algorithm, *options; } ways[] = {
    { "CartPole-v1", "a2c", "gamma: 0.9, entropy_coef: 0.01, lambda: 0.8" },
    { "CartPole-v1", "a2c", "gamma: 0.9, vtrace: true, normalise_advantages: round" },
    { "Pendulum-v1", "a2c", "gamma: 0.9, log_sigma: state" },
    { "Pendulum-v1", "ppo", "gamma: 0.9, epochs: 1, target_kl: 0" },
};

START_TEST(a_gradient_is_that_of_the_fragments_that_async_would_send)
{
    set_way(ways[_i].environment, ways[_i].algorithm, ways[_i].options);
    join(&other, true);
    join(&one, false);
    run_round(&other, 0);
    run_round(&one, 0);
    ck_assert_int_eq(other.n_fragments, 2 * ENVS);    /* as credit allows */
    ck_assert_int_eq(one.n_sent, 2);
    send_ack(&other, 3, 1);
    send_ack(&one, 3, 1);
    run_round(&other, 0);
    run_round(&one, 0);
    ck_assert_int_eq(one.n_sent, 3);
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(one.sent[k].h.sequence, k);
        ck_assert_int_eq(other.rounds[k].n_transitions, ENVS * HORIZON);
        compare(&one, &one.sent[k], &other.rounds[k]);
    }
    compare_statistics(&one, &other, 3);
    desk_end(&one);
    desk_end(&other);
}
END_TEST

START_TEST(rounds_that_get_too_old_end_early_for_all_streams)
{
    set_way(ways[0].environment, ways[0].algorithm, ways[0].options);
    way.max_staleness = 4;
    join(&other, true);
    join(&one, false);
    run_round(&other, 13);
    run_round(&one, 13);
    ck_assert_int_eq(one.n_sent, 1);
    ck_assert_int_eq(one.sent[0].h.n_transitions, 13 * ENVS);
    compare(&one, &one.sent[0], &other.rounds[0]);
    compare_statistics(&one, &other, 1);
    desk_end(&one);
    desk_end(&other);
}
END_TEST

START_TEST(without_normalisation_nothing_stands_behind_the_parameters)
{
    set_way(ways[0].environment, ways[0].algorithm, ways[0].options);
    way.normalises = way.scales_rewards = false;
    join(&other, true);
    join(&one, false);
    run_round(&other, 0);
    run_round(&one, 0);
    compare(&one, &one.sent[1], &other.rounds[1]);
    ck_assert_uint_eq(one.sent[0].h.statistics.size, 0);
    desk_end(&one);
    desk_end(&other);
}
END_TEST

START_TEST(a_gradient_that_is_not_finite_goes_out_as_none_with_the_reason)
{
    set_way(ways[0].environment, ways[0].algorithm, ways[0].options);
    desk_begin(&one, false);
    say(&one, &one.welcome);
    snapshot[n_params - 1] = INFINITY;    /* the value function's last bias */
    send_snapshot(&one, 3);
    run_round(&one, 0);
    ck_assert_int_eq(one.n_sent, 2);
    for (int k = 0; k < 2; k++) {
        const struct gradient_header *h = &one.sent[k].h;
        ck_assert_uint_eq(h->gradient.size, 0);
        ck_assert_ptr_nonnull(strstr(h->failure, "not finite"));
        ck_assert(h->sequence == k && h->n_transitions == ENVS * HORIZON);
        ck_assert_double_eq(one.sent[k].statistics[0], ENVS * HORIZON);
    }
    desk_end(&one);
}
END_TEST

START_TEST(what_cannot_be_computed_ends_the_actor_with_the_reason)
{
    static const struct { const char *algorithm, *options, *says; } cases[] = {
        { "a2c", "form: online", "form" }, { "a2c", "value_epochs: 3", "value_epochs" },
        { "a2c", "gamma: 7", "gamma" }, { "a2c", "!!python/object: x", "algorithm_options" },
        { "a2c", "form: [", "algorithm_options" }, { "a2c", "sudo: true", "sudo" },
        { "a2c", "vtrace: true, truncation_terminates: true", "truncation_terminates" },
        { "ppo", "epochs: 4", "epochs" }, { "ppo", "epochs: 1, target_kl: 0.1", "target_kl" },
        { "sac", "", "sac" }, { "a4c", "", "a4c" },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct error err;
        set_way("CartPole-v1", "a2c", "");
        desk_begin(&one, false);
        struct welcome *w = &one.welcome.welcome;
        snprintf(w->algorithm, sizeof(w->algorithm), "%s", cases[i].algorithm);
        snprintf(w->algorithm_options, sizeof(w->algorithm_options), "%s", cases[i].options);
        say(&one, &one.welcome);
        ck_assert_int_eq(actor_phase(one.core), ACTOR_STOPPED);
        ck_assert_int_ne(actor_result(one.core, &err), 0);
        ck_assert_msg(strstr(err.text, cases[i].says) != NULL, "%s", err.text);
        desk_end(&one);
    }
    /* A head that is not the algorithm's, and streams that are not alike. */
    for (int i = 0; i < 2; i++) {
        struct error err;
        set_way("Pendulum-v1", "a2c", "log_sigma: state");
        way.lives[2] = i == 0 ? 2 : 3;
        desk_begin(&one, false);
        if (i == 0)
            snprintf(one.welcome.welcome.head, sizeof(one.welcome.welcome.head), "gaussian");
        say(&one, &one.welcome);
        ck_assert_int_eq(actor_result(one.core, &err), ERR_FORMAT);
        ck_assert_msg(strstr(err.text, i == 0 ? "head" : "one life") != NULL, "%s", err.text);
        desk_end(&one);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        rounds_that_get_too_old_end_early_for_all_streams, without_normalisation_nothing_stands_behind_the_parameters,
        a_gradient_that_is_not_finite_goes_out_as_none_with_the_reason,
        what_cannot_be_computed_ends_the_actor_with_the_reason,
    };
    Suite *s = suite_create("actor gradients");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, a_gradient_is_that_of_the_fragments_that_async_would_send, 0, (int)TEST_COUNT(ways));
    for (size_t i = 0; i < TEST_COUNT(tests); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
