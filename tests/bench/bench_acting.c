/* Transitions per second of the actor core on one core: everything between the learner's messages and the
 * fragments it is sent. A learner in the same thread grants credit, acknowledges and publishes; its time is
 * not counted.
 *
 *   bare       simulations: mj_step alone, with the start states and actions of episodes that the same
 *              policy played; others: env_step and env_reset of one instance, without rows
 *   E          streams of the actor, all through actor/actor_core.h
 *
 * Windows of the kinds take turns, so that a disturbance of the machine meets all of them; a ratio is the
 * median over rounds of one window's rate to the bare window of the same round.
 *
 *   bench_acting [--seconds S] [--rounds N] [--horizon T] [--only E] [CASE ...] */
#include <inttypes.h>
#include <math.h>
#include <mujoco/mujoco.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actor/actor_core.h"
#include "actor/env.h"
#include "common/digest.h"
#include "common/policy.h"
#include "proto/message.h"

enum { INCARNATION = 7, RUN = 3, MAX_ROUNDS = 64, N_SIZES = 6, MAX_E = 1024, MAX_EPISODE = 1000,
       WARM_UP = 200,                /* steps of every stream: starts cost more or less than what follows */
       PUBLISH_STEPS = 1 << 13 };    /* about ten snapshots a second of a simulation */
static const int SIZES[N_SIZES] = { 1, 8, 16, 64, 256, MAX_E };

static const struct bench_case {
    const char *name, *environment;
    enum policy_head head;
    enum activation activation;
    int width;
} cases[] = {
    { "cartpole", "CartPole-v1", HEAD_CATEGORICAL, ACTIVATION_TANH, 64 },
    { "pendulum", "Pendulum-v1", HEAD_SQUASHED_GAUSSIAN, ACTIVATION_RELU, 64 },
    { "cheetah-sac", "HalfCheetah-v5", HEAD_SQUASHED_GAUSSIAN, ACTIVATION_RELU, 256 },
    { "cheetah-ppo", "HalfCheetah-v5", HEAD_GAUSSIAN, ACTIVATION_TANH, 256 },
};
enum { N_CASES = sizeof(cases) / sizeof(*cases) };

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static double now_s(void)
{
    return (double)clock_ns(CLOCK_THREAD_CPUTIME_ID) * 1e-9;
}

static const char *models_dir(void)
{
    const char *dir = getenv("SHOAL_MODELS");
    return dir ? dir : SHOAL_MODELS_DIR;
}

/* ---- the case ---- */

struct subject {
    const struct bench_case *is;
    struct env_model *model;
    struct arena *arena;
    struct policy_shape shape;
    float *params;              /* [n_params] */
    size_t n_params;
};

static void subject_open(struct subject *s, const struct bench_case *c)
{
    struct error err;
    struct rng rng;
    memset(s, 0, sizeof(*s));
    s->is = c;
    const struct env_setup setup = { .name = c->environment, .models_dir = models_dir() };
    if (env_open(&s->model, &setup, &err) != 0) {
        fprintf(stderr, "bench_acting: %s\n", err.text);
        exit(1);
    }
    const struct env_spec *spec = env_spec(s->model);
    const struct mlp_body body = { 2, { c->width, c->width }, c->activation, false };
    s->arena = arena_create(1 << 20);
    s->shape = policy_shape_make(c->head, &body, spec->shape, spec->n_choices);
    s->n_params = policy_n_params(&s->shape);
    s->params = arena_alloc(s->arena, s->n_params, sizeof(float));
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, s->params, s->n_params);
    for (size_t i = 0; i < s->n_params; i++)
        s->params[i] *= c->width > 100 ? 0.03f : 0.1f;
}

static void subject_close(struct subject *s)
{
    env_close(&s->model);
    arena_destroy(&s->arena);
}

/* ---- the actor and its learner ---- */

struct desk {
    struct subject *subject;
    struct actor *core;
    int E, horizon;
    long n_fragments;           /* since the last acknowledgement */
    int64_t acked[MAX_E], version;
    unsigned char *text;        /* of the learner's messages */
    size_t text_bytes;
};

static void on_send(void *context, struct frame *f, bool must_arrive)
{
    struct desk *d = context;
    d->n_fragments += must_arrive;
    frame_release(f);
}

static void on_subscribe(void *context, int port, bool wants_every)
{
    (void)context, (void)port, (void)wants_every;
}

static void on_log(void *context, const char *line)
{
    struct desk *d = context;
    if (actor_phase(d->core) == ACTOR_STOPPED)
        fprintf(stderr, "bench_acting: %s\n", line);
}

static void tell(struct desk *d, const struct message *m)
{
    struct frame f = { .data = d->text };
    f.size = message_encode(m, d->text, d->text_bytes);
    actor_receive(d->core, clock_ns(CLOCK_MONOTONIC) / 1000, &f);
}

static void publish(struct desk *d)
{
    struct message m;
    message_init(&m, MESSAGE_SNAPSHOT);
    m.snapshot.run = RUN;
    m.snapshot.epoch = 1;
    m.snapshot.version = d->version++;
    m.snapshot.parameters = (struct bytes){ (const unsigned char *)d->subject->params,
                                            d->subject->n_params * sizeof(float) };
    m.snapshot.checksum = digest_crc32(m.snapshot.parameters.data, m.snapshot.parameters.size);
    tell(d, &m);
}

static void acknowledge(struct desk *d)
{
    struct message m;
    message_init(&m, MESSAGE_ACK);
    for (int i = 0; i < d->E; i++)
        d->acked[i]++;
    d->n_fragments = 0;
    m.ack.run = RUN;
    m.ack.incarnation = INCARNATION;
    m.ack.epoch = m.ack.credit = 1;
    m.ack.newest = d->version - 1;
    m.ack.start_version = 0;
    m.ack.acked = (struct bytes){ (const unsigned char *)d->acked, (size_t)d->E * sizeof(int64_t) };
    tell(d, &m);
}

static void welcome(struct desk *d)
{
    static const uint32_t lives[MAX_E];
    static uint32_t streams[MAX_E];
    static const int64_t sequences[MAX_E];
    const struct bench_case *c = d->subject->is;
    const uint32_t hidden[2] = { (uint32_t)c->width, (uint32_t)c->width };
    const struct env_spec *spec = env_spec(d->subject->model);
    struct message m;
    message_init(&m, MESSAGE_WELCOME);
    struct welcome *w = &m.welcome;
    w->run = RUN;
    w->incarnation = INCARNATION;
    w->seed = 1;
    w->protocol = PROTOCOL_VERSION;
    w->epoch = w->credit = w->snapshot_port = 1;
    w->heartbeat_ms = w->liveness_ms = 1000000;
    w->n_obs = spec->shape.n_obs;
    w->n_act = spec->shape.n_act;
    w->n_choices = spec->n_choices;
    w->horizon = d->horizon;
    w->step_timeout_ms = 10000;
    env_spec_hash(spec, w->spec);
    snprintf(w->algorithm, sizeof(w->algorithm), "sac");
    snprintf(w->mode, sizeof(w->mode), "async");
    snprintf(w->environment, sizeof(w->environment), "%s", c->environment);
    snprintf(w->head, sizeof(w->head), "%s", policy_head_name(c->head));
    snprintf(w->activation, sizeof(w->activation), "%s", activation_name(c->activation));
    snprintf(w->exploration, sizeof(w->exploration), "none");
    for (int i = 0; i < d->E; i++)
        streams[i] = (uint32_t)i;
    w->streams = (struct bytes){ (const unsigned char *)streams, (size_t)d->E * sizeof(*streams) };
    w->hidden = (struct bytes){ (const unsigned char *)hidden, sizeof(hidden) };
    w->lives = (struct bytes){ (const unsigned char *)lives, (size_t)d->E * sizeof(*lives) };
    w->sequences = (struct bytes){ (const unsigned char *)sequences, (size_t)d->E * sizeof(*sequences) };
    tell(d, &m);
}

static void desk_open(struct desk *d, struct subject *s, int E, int horizon)
{
    static struct watch watch;
    const struct actor_setup setup = { .incarnation = INCARNATION, .name = "bench", .program = "bench",
                                       .cpu = "", .models_dir = models_dir(), .watch = &watch };
    *d = (struct desk){ .subject = s, .E = E, .horizon = horizon };
    d->text_bytes = s->n_params * sizeof(float) + MESSAGE_HEADER_BYTES + 16 * MAX_E;
    d->text = malloc(d->text_bytes);
    d->core = actor_create(&setup, (struct actor_out){ .context = d, .send = on_send,
                                                       .subscribe = on_subscribe, .log = on_log });
    actor_tick(d->core, 0);
    welcome(d);
    publish(d);
    struct error err;
    if (actor_phase(d->core) != ACTOR_ACTING && actor_result(d->core, &err) != 0) {
        fprintf(stderr, "bench_acting: %s\n", err.text);
        exit(1);
    }
}

static void desk_close(struct desk *d)
{
    actor_destroy(&d->core);
    free(d->text);
}

/* Transitions per second for about `seconds` of the actor's own time, and for min_steps of every stream. */
static double time_actor(struct desk *d, double seconds, int64_t min_steps)
{
    double spent = 0;
    int64_t steps = 0, published = 0;
    while (spent < seconds || steps < min_steps * d->E) {
        const double began = now_s();
        while (d->n_fragments < d->E && actor_step(d->core, clock_ns(CLOCK_MONOTONIC) / 1000))
            ;
        actor_tick(d->core, clock_ns(CLOCK_MONOTONIC) / 1000);
        spent += now_s() - began;
        if (d->n_fragments != d->E) {
            fprintf(stderr, "bench_acting: the actor paused\n");
            exit(1);
        }
        steps += (int64_t)d->horizon * d->E;
        acknowledge(d);
        if (steps - published >= PUBLISH_STEPS) {
            publish(d);
            published = steps;
        }
    }
    return (double)steps / spent;
}

/* ---- bare stepping ---- */

struct bare {
    struct subject *subject;
    struct env *env;
    struct policy *policy;
    struct rng rng;
    mjData *d;
    int n;                                  /* of the episode played last */
    double start[256];                      /* qpos | qvel */
    float units[MAX_EPISODE][ENV_MAX_ACT];
    float action[MAX_EPISODE][ENV_MAX_ACT];
};

static void bare_open(struct bare *b, struct subject *s)
{
    struct env_physics p;
    memset(b, 0, sizeof(*b));
    b->subject = s;
    b->env = env_create(s->model);
    b->policy = policy_create(&s->shape, 1, s->arena);
    policy_set(b->policy, s->params);
    rng_init(&b->rng, 2, RNG_TEST, 0, 0);
    if (env_physics(b->env, &p))
        b->d = mj_makeData(p.mj_model);
}

static void bare_close(struct bare *b)
{
    mj_deleteData(b->d);
    env_destroy(&b->env);
}

/* Play an episode through the interface, and note what mj_step needs to repeat it. */
static void play(struct bare *b)
{
    const struct env_spec *spec = env_spec(b->subject->model);
    float space[2 * ENV_MAX_ACT + 64], *row = space, noise[ENV_MAX_ACT];
    struct env_outcome outcome = { .kind = ROW_STEP };
    struct env_physics p;
    env_reset(b->env, &b->rng, row);
    if (env_physics(b->env, &p)) {
        memcpy(b->start, p.qpos, (size_t)p.nq * sizeof(double));
        memcpy(b->start + p.nq, p.qvel, (size_t)p.nv * sizeof(double));
    }
    for (b->n = 0; outcome.kind == ROW_STEP && b->n < MAX_EPISODE; b->n++) {
        policy_draw(b->policy, &b->rng, noise);
        policy_act(b->policy, 1, &row, noise);
        memcpy(b->action[b->n], row + spec->shape.n_obs, (size_t)spec->shape.n_act * sizeof(float));
        env_rescale(spec, b->action[b->n], b->units[b->n]);
        env_step(b->env, b->action[b->n], row, &outcome);
    }
}

static void repeat_in_mujoco(struct bare *b)
{
    struct env_physics p;
    env_physics(b->env, &p);
    const mjModel *m = p.mj_model;
    const int frame_skip = (int)lround(env_spec(b->subject->model)->step_s / m->opt.timestep);
    for (int t = 0; t < b->n; t++) {
        for (int k = 0; k < m->nu; k++)
            b->d->ctrl[k] = (double)b->units[t][k];
        for (int k = 0; k < frame_skip; k++)
            mj_step(m, b->d);
    }
}

static void begin_in_mujoco(struct bare *b)
{
    struct env_physics p;
    env_physics(b->env, &p);
    const mjModel *m = p.mj_model;
    mj_resetData(m, b->d);
    memcpy(b->d->qpos, b->start, (size_t)m->nq * sizeof(double));
    memcpy(b->d->qvel, b->start + m->nq, (size_t)m->nv * sizeof(double));
    mj_forward(m, b->d);
}

/* Steps of one instance under the actions of the episode played last, whatever it does under them. */
static void step_alone(struct bare *b)
{
    float obs[64];
    struct env_outcome outcome;
    for (int t = 0; t < b->n; t++) {
        env_step(b->env, b->action[t], obs, &outcome);
        if (outcome.kind != ROW_STEP)
            env_reset(b->env, &b->rng, obs);
    }
}

static double time_bare(struct bare *b, double seconds)
{
    double spent = 0;
    int64_t steps = 0;
    float obs[64];
    while (spent < seconds) {
        play(b);
        if (b->d)
            begin_in_mujoco(b);
        else
            env_reset(b->env, &b->rng, obs);
        const double began = now_s();
        for (int k = 0; k < (b->d ? 1 : 64); k++) {
            if (b->d)
                repeat_in_mujoco(b);
            else
                step_alone(b);
            steps += b->n;
        }
        spent += now_s() - began;
    }
    return (double)steps / spent;
}

/* ---- one case ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *x, int n)
{
    double sorted[MAX_ROUNDS];
    memcpy(sorted, x, (size_t)n * sizeof(*x));
    qsort(sorted, (size_t)n, sizeof(*sorted), ascending);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

struct plan {
    double seconds;
    int rounds, horizon, only;      /* only: one E; 0: all */
};

static void measure(const struct bench_case *c, const struct plan *plan)
{
    static struct desk desks[N_SIZES];
    static struct bare b;
    struct subject s;
    double bare[MAX_ROUNDS], rate[N_SIZES][MAX_ROUNDS], ratio[N_SIZES][MAX_ROUNDS];
    int sizes[N_SIZES], n = 0;
    for (int i = 0; i < N_SIZES && plan->only == 0; i++)
        sizes[n++] = SIZES[i];
    if (plan->only > 0)
        sizes[n++] = plan->only;
    subject_open(&s, c);
    bare_open(&b, &s);
    for (int i = 0; i < n; i++) {
        desk_open(&desks[i], &s, sizes[i], plan->horizon);
        time_actor(&desks[i], 0, WARM_UP);
    }
    for (int k = 0; k < plan->rounds; k++) {
        bare[k] = time_bare(&b, plan->seconds);
        for (int i = 0; i < n; i++) {
            rate[i][k] = time_actor(&desks[i], plan->seconds, 0);
            ratio[i][k] = rate[i][k] / bare[k];
        }
    }
    printf("%-12s bare %10.0f", c->name, median(bare, plan->rounds));
    for (int i = 0; i < n; i++) {
        printf("   E %d %9.0f %5.1f%%", sizes[i], median(rate[i], plan->rounds),
               100 * median(ratio[i], plan->rounds));
        desk_close(&desks[i]);
    }
    printf("\n");
    fflush(stdout);
    bare_close(&b);
    subject_close(&s);
}

int main(int argc, char **argv)
{
    struct plan plan = { .seconds = 0.1, .rounds = 9, .horizon = 64 };
    bool is_named[N_CASES] = { false }, is_any = false;
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--seconds") == 0 && has_value)
            plan.seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--rounds") == 0 && has_value)
            plan.rounds = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--horizon") == 0 && has_value)
            plan.horizon = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--only") == 0 && has_value)
            plan.only = (int)strtol(argv[++i], NULL, 10);
        for (int k = 0; k < N_CASES; k++)
            is_any |= is_named[k] |= strcmp(argv[i], cases[k].name) == 0;
    }
    if (!(plan.seconds > 0) || plan.rounds < 1 || plan.rounds > MAX_ROUNDS || plan.horizon < 1
        || plan.horizon > MESSAGE_MAX_HORIZON || plan.only < 0 || plan.only > MAX_E) {
        fprintf(stderr, "bench_acting: --seconds above 0, --rounds 1 to %d, --horizon 1 to %d, --only 1 to %d\n",
                MAX_ROUNDS, MESSAGE_MAX_HORIZON, MAX_E);
        return 64;
    }
    for (int k = 0; k < N_CASES; k++)
        if (is_named[k] || !is_any)
            measure(&cases[k], &plan);
    return 0;
}
