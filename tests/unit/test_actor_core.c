/* The actor core between a learner's messages and an environment: what it does with its actions, and what
 * ends it. */
#include "actor/actor_core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env.h"
#include "actor/stream.h"
#include "common/digest.h"
#include "common/exploration.h"
#include "common/policy.h"
#include "proto/message.h"
#include "tests/support.h"
#include "tests/unit/allocations.h"

enum { INCARNATION = 7, RUN = 3, STATE_BYTES = 256, MAX_KEPT = 160, FIRST_STREAM = 5, MAX_STREAMS = 70,
       MAX_FLOATS = 2 * 70 * 8 };

/* A fragment that was sent. */
struct kept {
    int64_t stream, n_transitions, n_rows;
    float rows[MAX_FLOATS];
};
static struct kept kept[MAX_KEPT];

/* What the actor said last, and its fragments. */
struct desk {
    enum message_type type;
    char reason[128];
    int n_kept;
};

static void on_send(void *context, struct frame *f, bool must_arrive)
{
    struct desk *d = context;
    struct message m;
    (void)must_arrive;
    /* No ck_assert in here: it allocates. */
    if (message_decode(&m, f->data, f->size) != NULL)
        ck_abort_msg("the actor says something malformed");
    d->type = m.type;
    if (m.type == MESSAGE_BYE)
        snprintf(d->reason, sizeof(d->reason), "%s", m.bye.reason);
    if (m.type == MESSAGE_FRAGMENT) {
        struct kept *k = &kept[d->n_kept++];
        if (d->n_kept > MAX_KEPT || m.fragment.rows.size > sizeof(k->rows))
            ck_abort_msg("no room to keep a fragment");
        k->stream = m.fragment.stream;
        k->n_transitions = m.fragment.n_transitions;
        k->n_rows = m.fragment.n_rows;
        memcpy(k->rows, m.fragment.rows.data, m.fragment.rows.size);
    }
    frame_release(f);
}

static void on_subscribe(void *context, int port, bool wants_every)
{
    (void)context, (void)port, (void)wants_every;
}

static void on_log(void *context, const char *line)
{
    (void)context, (void)line;
}

/* The state in which stream 5 leaves its first step. */
static size_t save_state(unsigned char *state, char *spec_hash)
{
    struct env_model *m;
    struct arena *arena = arena_create(1 << 16);
    struct stream s;
    struct bytes saved;
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = "Pendulum-v1" }, NULL), 0);
    struct frame_pool *frames = frame_pool_create(stream_frame_bytes(m, 1));
    env_spec_hash(env_spec(m), spec_hash);
    stream_init(&s, m, 1, arena);
    stream_start(&s, 1, 5, 0);
    stream_begin(&s, frame_pool_take(frames), 0);
    stream_row(&s)[row_act(s.shape)] = 0.5f;
    stream_step(&s);
    ck_assert_int_eq(stream_save(&s, &saved), 0);
    size_t bytes = saved.size;
    ck_assert_uint_le(bytes, STATE_BYTES);
    memcpy(state, saved.data, bytes);
    stream_fini(&s);
    frame_pool_destroy(&frames);
    arena_destroy(&arena);
    env_close(&m);
    return bytes;
}

/* A WELCOME to Pendulum-v1, but for its arrays. */
static struct message usual_welcome(const char *spec_hash)
{
    struct message m;
    message_init(&m, MESSAGE_WELCOME);
    struct welcome *w = &m.welcome;
    w->run = RUN;
    w->incarnation = INCARNATION;
    w->seed = 1;
    w->protocol = PROTOCOL_VERSION;
    w->epoch = w->horizon = w->credit = 1;
    w->heartbeat_ms = w->liveness_ms = 1000;
    w->n_obs = 3;
    w->n_act = 1;
    w->snapshot_port = 1;
    snprintf(w->algorithm, sizeof(w->algorithm), "sac");
    snprintf(w->mode, sizeof(w->mode), "async");
    snprintf(w->environment, sizeof(w->environment), "Pendulum-v1");
    snprintf(w->spec, sizeof(w->spec), "%s", spec_hash);
    snprintf(w->head, sizeof(w->head), "squashed_gaussian");
    snprintf(w->activation, sizeof(w->activation), "relu");
    snprintf(w->exploration, sizeof(w->exploration), "none");
    return m;
}

/* Give it n streams from FIRST_STREAM on. */
static void welcome(struct actor *a, struct message *m, size_t n, int64_t sequence)
{
    uint32_t streams[MAX_STREAMS];
    unsigned char saved[MAX_STREAMS];
    memset(saved, 1, sizeof(saved));
    static const uint32_t lives[MAX_STREAMS], hidden = 4;
    int64_t sequences[MAX_STREAMS];
    for (int i = 0; i < MAX_STREAMS; i++)
        sequences[i] = sequence, streams[i] = (uint32_t)(FIRST_STREAM + i);
    unsigned char data[4096];
    struct welcome *w = &m->welcome;
    w->streams = (struct bytes){ (const unsigned char *)streams, n * sizeof(*streams) };
    w->saved = (struct bytes){ saved, w->states.size ? n : 0 };
    w->hidden = (struct bytes){ (const unsigned char *)&hidden, sizeof(hidden) };
    w->lives = (struct bytes){ (const unsigned char *)lives, n * sizeof(*lives) };
    w->sequences = (struct bytes){ (const unsigned char *)sequences, n * sizeof(*sequences) };
    struct frame f = { .data = data };
    f.size = message_encode(m, data, sizeof(data));
    actor_receive(a, 0, &f);
}

static struct actor *actor_open(struct desk *d)
{
    const struct actor_setup setup = { .incarnation = INCARNATION, .name = "a", .program = "p", .cpu = "c" };
    *d = (struct desk){ 0 };
    struct actor *a = actor_create(&setup, (struct actor_out){
        .context = d, .send = on_send, .subscribe = on_subscribe, .log = on_log });
    actor_tick(a, 0);
    ck_assert_int_eq(d->type, MESSAGE_HELLO);
    return a;
}

START_TEST(a_state_that_cannot_be_restored_ends_the_actor_for_another_try)
{
    unsigned char state[STATE_BYTES];
    char hash[ENV_SPEC_HASH_BYTES];
    const double number = NAN;
    size_t bytes = save_state(state, hash);
    for (int is_spoilt = 0; is_spoilt < 2; is_spoilt++) {
        struct desk d;
        struct error err;
        struct actor *a = actor_open(&d);
        struct message m = usual_welcome(hash);
        m.welcome.wants_state = true;
        m.welcome.states = (struct bytes){ state, bytes };
        if (is_spoilt)
            memcpy(state + bytes - sizeof(number), &number, sizeof(number));
        welcome(a, &m, 1, 1);
        int rc = actor_result(a, &err);
        if (!is_spoilt) {
            ck_assert_msg(actor_phase(a) == ACTOR_ACTING, "%s", err.text);
        } else {
            ck_assert_int_eq(actor_phase(a), ACTOR_STOPPED);
            ck_assert_int_eq(rc, ERR_TEMPORARY);    /* a status after which it is started again */
            ck_assert_int_eq(d.type, MESSAGE_BYE);
            ck_assert_str_eq(d.reason, "environment Pendulum-v1, stream 5: the state that the learner "
                             "saved is none that can be restored");
        }
        actor_destroy(&a);
    }
}
END_TEST

/* ---- acting ---- */

static const struct acting {
    const char *environment, *head;
    struct exploration exploration;
    int n_streams, horizon;
    bool whole_episodes;
} actings[] = {
    { "Pendulum-v1", "squashed_gaussian", { .kind = EXPLORATION_NONE }, 3, 50, false },
    { "Pendulum-v1", "gaussian", { .kind = EXPLORATION_NONE }, 2, 50, false },
    { "Pendulum-v1", "gaussian_of_state", { .kind = EXPLORATION_NONE }, 1, 50, true },
    { "Pendulum-v1", "deterministic", { .kind = EXPLORATION_NONE }, 2, 50, false },
    { "Pendulum-v1", "deterministic", { EXPLORATION_GAUSSIAN, 0.1, 0, 0 }, 2, 70, true },
    { "Pendulum-v1", "deterministic", { EXPLORATION_ORNSTEIN_UHLENBECK, 0.2, 0.15, 0.5 }, 3, 70, false },
    { "CartPole-v1", "categorical", { .kind = EXPLORATION_NONE }, 3, 25, true },
    { "CartPole-v1", "categorical", { .kind = EXPLORATION_NONE }, 2, 25, false },
    /* More than act and are stepped in one go. */
    { "CartPole-v1", "categorical", { .kind = EXPLORATION_NONE }, 33, 40, false },
    { "CartPole-v1", "categorical", { .kind = EXPLORATION_NONE }, MAX_STREAMS, 40, true },
};

/* A policy of its own for every stream, which must choose what the actor chose. */
struct shadow {
    struct policy *policy;
    struct rng rng;
    double process[ENV_MAX_ACT];
};

static struct policy_shape shape_of(const struct acting *c, const struct env_spec *spec)
{
    const struct mlp_body body = { 1, { 4 }, ACTIVATION_SILU, true };
    enum policy_head head = HEAD_CATEGORICAL;
    ck_assert_int_eq(policy_head_find(c->head, &head, NULL), 0);
    return policy_shape_make(head, &body, spec->shape, spec->n_choices);
}

static void send_snapshot(struct actor *a, const float *params, size_t n)
{
    unsigned char data[4096];
    struct message m;
    struct frame f = { .data = data };
    message_init(&m, MESSAGE_SNAPSHOT);
    m.snapshot.run = RUN;
    m.snapshot.epoch = 1;
    m.snapshot.parameters = (struct bytes){ (const unsigned char *)params, n * sizeof(float) };
    m.snapshot.checksum = digest_crc32(params, n * sizeof(float));
    f.size = message_encode(&m, data, sizeof(data));
    ck_assert_uint_gt(f.size, 0);
    actor_receive(a, 0, &f);
}

/* Step a shadow through a fragment and compare actions and log_prob bit for bit. Returns the episodes that
 * ended in it. */
static int follow(struct shadow *s, const struct acting *c, const struct kept *k, int T)
{
    const struct policy_shape *shape = policy_shape_of(s->policy);
    const size_t stride = (size_t)row_stride(shape->row);
    const size_t n_act = (size_t)shape->row.n_act;
    int n_episodes = 0;
    for (int64_t i = 0; i < k->n_rows; i++) {
        const float *row = k->rows + (size_t)i * stride;
        float noise[ENV_MAX_ACT], expected[64], *rows[] = { expected };
        if (row_kind_of(shape->row, row) == ROW_CLOSE)
            continue;
        memcpy(expected, row, stride * sizeof(float));
        if (shape->head == HEAD_DETERMINISTIC)
            exploration_draw(&c->exploration, &s->rng, (int)n_act, s->process, noise);
        else
            policy_draw(s->policy, &s->rng, noise);
        policy_act(s->policy, 1, rows, noise);
        ck_assert_mem_eq(expected, row, stride * sizeof(float));
        if (row_kind_of(shape->row, row) == ROW_STEP)
            continue;
        memset(s->process, 0, sizeof(s->process));
        n_episodes++;
        ck_assert(!c->whole_episodes || i == k->n_rows - 2);
    }
    ck_assert(c->whole_episodes ? n_episodes == 1 || k->n_transitions == T : k->n_transitions == T);
    return n_episodes;
}

static void try_acting(const struct acting *c)
{
    struct env_model *model;
    struct arena *arena = arena_create(1 << 16);
    struct shadow shadows[MAX_STREAMS];
    struct desk d;
    char hash[ENV_SPEC_HASH_BYTES];
    float params[256];
    int n_episodes = 0;
    struct rng rng;
    ck_assert_int_eq(env_open(&model, &(struct env_setup){ .name = c->environment }, NULL), 0);
    env_spec_hash(env_spec(model), hash);
    const struct policy_shape shape = shape_of(c, env_spec(model));
    size_t n = policy_n_params(&shape);
    ck_assert_uint_le(n, TEST_COUNT(params));
    rng_init(&rng, 4, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, params, n);
    for (int i = 0; i < c->n_streams; i++) {
        shadows[i] = (struct shadow){ .policy = policy_create(&shape, 1, arena) };
        policy_set(shadows[i].policy, params);
        rng_init(&shadows[i].rng, 1, RNG_ACTION, (uint32_t)(FIRST_STREAM + i), 0);
    }

    struct actor *a = actor_open(&d);
    struct message m = usual_welcome(hash);
    struct welcome *w = &m.welcome;
    w->n_obs = shape.row.n_obs;
    w->n_choices = shape.n_choices;
    w->horizon = c->horizon;
    w->credit = MAX_KEPT / c->n_streams;
    w->whole_episodes = c->whole_episodes;
    w->layer_norm = true;
    w->sigma = c->exploration.sigma, w->theta = c->exploration.theta, w->dt = c->exploration.dt;
    snprintf(w->environment, sizeof(w->environment), "%s", c->environment);
    snprintf(w->head, sizeof(w->head), "%s", c->head);
    snprintf(w->activation, sizeof(w->activation), "silu");
    snprintf(w->exploration, sizeof(w->exploration), "%s", exploration_name(c->exploration.kind));
    welcome(a, &m, (size_t)c->n_streams, 0);
    ck_assert_int_eq(actor_phase(a), ACTOR_ACTING);
    send_snapshot(a, params, n);
    while (d.n_kept < c->n_streams)
        ck_assert(actor_step(a, 0));
    const long before = n_allocations;
    while (actor_step(a, 0))
        ;
    ck_assert_int_eq(n_allocations, before);
    ck_assert_int_eq(d.n_kept, MAX_KEPT / c->n_streams * c->n_streams);
    for (int i = 0; i < d.n_kept; i++)
        n_episodes += follow(&shadows[kept[i].stream - FIRST_STREAM], c, &kept[i], c->horizon);
    ck_assert_int_gt(n_episodes, 3);
    actor_destroy(&a);
    arena_destroy(&arena);
    env_close(&model);
}

START_TEST(every_head_acts_alike_whatever_is_beside_it_and_allocates_nothing)
{
    for (size_t i = 0; i < TEST_COUNT(actings); i++)
        try_acting(&actings[i]);
}
END_TEST

START_TEST(a_policy_that_cannot_be_ends_the_actor)
{
    static const struct { const char *head, *activation, *exploration, *words; } wrong[] = {
        { "laplace", "relu", "none", "\"laplace\"" }, { "gaussian", "gelu", "none", "\"gelu\"" },
        { "deterministic", "relu", "pink", "\"pink\"" },
        { "categorical", "relu", "none", "\"categorical\" does not fit the actions of Pendulum-v1" },
    };
    struct env_model *model;
    char hash[ENV_SPEC_HASH_BYTES];
    ck_assert_int_eq(env_open(&model, &(struct env_setup){ .name = "Pendulum-v1" }, NULL), 0);
    env_spec_hash(env_spec(model), hash);
    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        struct desk d;
        struct error err;
        struct actor *a = actor_open(&d);
        struct message m = usual_welcome(hash);
        snprintf(m.welcome.head, sizeof(m.welcome.head), "%s", wrong[i].head);
        snprintf(m.welcome.activation, sizeof(m.welcome.activation), "%s", wrong[i].activation);
        snprintf(m.welcome.exploration, sizeof(m.welcome.exploration), "%s", wrong[i].exploration);
        welcome(a, &m, 1, 0);
        ck_assert_int_eq(actor_phase(a), ACTOR_STOPPED);
        ck_assert_int_ne(actor_result(a, &err), 0);
        ck_assert_msg(strstr(err.text, wrong[i].words) != NULL, "it says: %s", err.text);
        ck_assert_int_eq(d.type, MESSAGE_BYE);
        actor_destroy(&a);
    }
    env_close(&model);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_state_that_cannot_be_restored_ends_the_actor_for_another_try,
        every_head_acts_alike_whatever_is_beside_it_and_allocates_nothing,
        a_policy_that_cannot_be_ends_the_actor,
    };
    return suite_run("actor_core", tests, TEST_COUNT(tests), 20);
}
