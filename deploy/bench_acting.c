/* Environment steps per second on one core, as ratios to the bare simulation.
 *
 *   bare       mj_step alone, with the starts and actions of episodes that Shoal played; resets are outside
 *              the timed part
 *   interface  one stream: observations, rewards, ends, resets, rows of fragments; random actions
 *   E = n      the actor core with n environments in turn: a network, its noise, rows, fragments, sending them over
 *              an in-process link, and what the learner answers. The learner's side is outside the timed part
 *
 * The network is 2 x 256 relu; where there is no simulation, in whose time it would not show, or where the filter
 * says 64-64, 2 x 64 tanh, too.
 *
 * Works take turns. The interface's ratio is to the bare loop under random actions, which the column shows; the
 * actors' are to the bare loop under the same network's actions. */
#include "deploy/bench_actor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "actor/env/bare_simulation.h"
#include "actor/env/registry.h"
#include "actor/stream.h"
#include "common/arena.h"
#include "deploy/program.h"

enum { MAX_EPISODE = 500, MAX_STATE = 256, N_ACTIONS = 1 << 12, ROUNDS = 7, STEPS = 64,
       PARTS = 10 };            /* of b->seconds, one of them a window */
static const int sizes[] = { 1, 8, 16, 32, 64 };
static const char *const columns[] = { "bare", "interface", "E = 1", "8", "16", "32", "64" };
enum { N_SIZES = sizeof(sizes) / sizeof(*sizes), N_COLUMNS = sizeof(columns) / sizeof(*columns) };
enum { WORK_BARE, WORK_INTERFACE, WORK_BARE_ACTED, WORK_ACTORS, N_WORKS = WORK_ACTORS + N_SIZES };

static const struct bench_table table = {
    .group = "acting", .title = "environment steps", .unit = "steps/s", .share_of = "the bare simulation",
    .columns = columns, .n_columns = N_COLUMNS
};

static const struct network {
    const char *suffix;         /* of the rows' names */
    struct mlp_body body;
} networks[] = {
    { "", { 2, { 256, 256 }, ACTIVATION_RELU, false } },
    { " 64-64", { 2, { 64, 64 }, ACTIVATION_TANH, false } },
};
enum { N_NETWORKS = sizeof(networks) / sizeof(*networks) };

/* Random actions in policy units, used one after the other. */
struct actions {
    float *values;              /* [N_ACTIONS][n_act] */
    int n_act, next;
};

static const float *next_actions(struct actions *a)
{
    const float *actions = a->values + (size_t)(a->next * a->n_act);
    a->next = (a->next + 1) % N_ACTIONS;
    return actions;
}

static void create_actions(struct actions *a, const struct env_spec *spec, struct arena *arena)
{
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    a->n_act = spec->shape.n_act;
    a->values = arena_alloc(arena, (size_t)(N_ACTIONS * a->n_act), sizeof(float));
    for (int i = 0; i < N_ACTIONS * a->n_act; i++)
        a->values[i] = spec->n_choices ? (float)rng_below(&rng, (uint64_t)spec->n_choices)
                                       : (float)rng_uniform(&rng, -1, 1);
}

/* ---- interface ---- */

struct interface {
    struct stream stream;
    struct frame_pool *frames;
    struct actions *actions;
};

/* One fragment of a stream under random actions. */
static int run_interface(void *context, struct bench_window *w, struct error *err)
{
    struct interface *f = context;
    struct stream *s = &f->stream;
    struct fragment_header header = { 0 };
    (void)err;
    stream_begin(s, frame_pool_take(f->frames), 0);
    for (; !stream_is_complete(s); w->units += 1) {
        memcpy(stream_row(s) + s->shape.n_obs, next_actions(f->actions),
               (size_t)s->shape.n_act * sizeof(float));
        stream_step(s);
    }
    stream_describe(s, &header, 0);
    frame_release(stream_take(s));
    return 0;
}

/* ---- the bare loop ---- */

struct bare {
    struct bare_simulation *simulation;
    const struct env_spec *spec;
    struct env *env;
    struct policy *policy;      /* chooses the actions; NULL: random ones */
    struct actions *actions;
    struct rng rng;
    float row[ENV_MAX_OBS + ENV_MAX_ACT + 3], noise[ENV_MAX_ACT];

    int n;                      /* steps of the episode at hand */
    double qpos[MAX_STATE], qvel[MAX_STATE];        /* its start */
    float units[MAX_EPISODE][ENV_MAX_ACT];          /* its actions, as the environment got them */
};

/* Play an episode through the interface. */
static void play(struct bare *b)
{
    struct env_outcome outcome = { .kind = ROW_STEP };
    struct env_physics p;
    float *row = b->row, *action = row + b->spec->shape.n_obs;
    env_reset(b->env, &b->rng, row);
    env_physics(b->env, &p);
    memcpy(b->qpos, p.qpos, (size_t)p.nq * sizeof(double));
    memcpy(b->qvel, p.qvel, (size_t)p.nv * sizeof(double));
    for (b->n = 0; outcome.kind == ROW_STEP && b->n < MAX_EPISODE; b->n++) {
        if (b->policy) {
            policy_draw(b->policy, &b->rng, b->noise);
            policy_act(b->policy, 1, &row, b->noise);
        } else {
            memcpy(action, next_actions(b->actions), (size_t)b->spec->shape.n_act * sizeof(float));
        }
        env_rescale(b->spec, action, b->units[b->n]);
        env_step(b->env, action, row, &outcome);
    }
}

/* The same episode with mj_step alone. */
static int run_bare(void *context, struct bench_window *w, struct error *err)
{
    struct bare *b = context;
    (void)err;
    bench_pause(w);
    play(b);
    bare_simulation_start(b->simulation, b->qpos, b->qvel);
    bench_resume(w);
    for (int t = 0; t < b->n; t++)
        bare_simulation_step(b->simulation, b->units[t]);
    w->units += b->n;
    return 0;
}

static void create_bare(struct bare *b, const struct env_model *model, struct actions *actions,
                        struct policy *policy)
{
    b->spec = env_spec(model);
    b->env = env_create(model);
    b->actions = actions;
    b->policy = policy;
    rng_init(&b->rng, 2, RNG_TEST, 0, 0);
    env_reset(b->env, &b->rng, b->row);
    b->simulation = bare_simulation_create(b->env, b->spec);
}

/* ---- one environment ---- */

/* Everything that is measured on it. */
struct stage {
    struct env_model *model;
    struct arena *arena;
    struct actions actions;
    struct interface interface;
    struct bare *bare[2];       /* under random actions, under the policy's */
    struct bench_actor *actors[N_SIZES];
};

static int create(struct stage *s, const char *name, const struct mlp_body *body, struct error *err)
{
    *s = (struct stage){ .arena = arena_create(1 << 20) };
    int rc = env_open(&s->model, &(struct env_setup){ .name = name, .models_dir = program_models_dir() }, err);
    if (rc != 0)
        return rc;
    create_actions(&s->actions, env_spec(s->model), s->arena);
    stream_init(&s->interface.stream, s->model, STEPS, s->arena);
    stream_start(&s->interface.stream, 1, 0, 0);
    s->interface.frames = frame_pool_create(stream_frame_bytes(s->model, STEPS));
    s->interface.actions = &s->actions;
    for (int i = 0; i < 2; i++) {
        s->bare[i] = arena_alloc(s->arena, 1, sizeof(struct bare));
        create_bare(s->bare[i], s->model, &s->actions, i ? bench_policy_create(s->model, body, s->arena) : NULL);
    }
    for (int i = 0; i < N_SIZES && rc == 0; i++)
        rc = bench_actor_create(&s->actors[i], s->model, body, sizes[i], STEPS, err);
    return rc;
}

static void destroy(struct stage *s)
{
    for (int i = 0; i < N_SIZES; i++)
        bench_actor_destroy(&s->actors[i]);
    for (int i = 0; i < 2 && s->bare[i]; i++) {
        bare_simulation_destroy(&s->bare[i]->simulation);
        env_destroy(&s->bare[i]->env);
    }
    if (s->interface.frames) {
        stream_fini(&s->interface.stream);
        frame_pool_destroy(&s->interface.frames);
    }
    env_close(&s->model);
    arena_destroy(&s->arena);
}

/* Figures in the order of the columns. */
static int measure(struct bench *b, struct stage *s, struct error *err)
{
    const struct bench_plan plan = { b->seconds / PARTS, ROUNDS, ROUNDS, BENCH_THREAD };
    const bool has_bare = s->bare[0]->simulation;
    struct bench_work works[N_WORKS];
    struct bench_result found[N_WORKS], r[N_WORKS];
    int kinds[N_WORKS], n = 0;
    for (int kind = 0; kind < N_WORKS; kind++) {
        const int reference = kind == WORK_INTERFACE ? WORK_BARE : WORK_BARE_ACTED;
        r[kind] = bench_none();
        if (!has_bare && (kind == WORK_BARE || kind == WORK_BARE_ACTED))
            continue;
        works[n] = (struct bench_work){ .reference = has_bare && kind != WORK_BARE && kind != WORK_BARE_ACTED
                                                     ? reference : -1 };
        if (kind == WORK_INTERFACE)
            works[n].run = run_interface, works[n].context = &s->interface;
        else if (kind >= WORK_ACTORS)
            works[n].run = bench_actor_run, works[n].context = s->actors[kind - WORK_ACTORS];
        else
            works[n].run = run_bare, works[n].context = s->bare[kind == WORK_BARE_ACTED];
        kinds[n++] = kind;
    }
    int rc = bench_measure(&plan, works, n, found, err);
    for (int i = 0; i < n && rc == 0; i++)
        r[kinds[i]] = found[i];
    for (int kind = 0; kind < N_WORKS && rc == 0; kind++)
        if (kind != WORK_BARE_ACTED)
            bench_cell(b, &r[kind], r[kind].ratio);
    return rc;
}

/* A row.   *is_simulated: whether MuJoCo is behind the environment */
static int measure_row(struct bench *b, const char *name, const struct network *n, bool *is_simulated, struct error *err)
{
    char row[64];
    struct stage s;
    snprintf(row, sizeof(row), "%s%s", name, n->suffix);
    if (!bench_wants(b, row))
        return 0;
    bench_begin_row(b, row);
    int rc = create(&s, name, &n->body, err);
    *is_simulated = rc == 0 && s.bare[0]->simulation;
    if (rc == 0)
        rc = measure(b, &s, err);
    destroy(&s);
    bench_end_row(b);
    return rc;
}

int bench_acting(struct bench *b, struct error *err)
{
    const char *names[N_ENVIRONMENTS];
    int rc = 0;
    environment_names(names);
    bench_begin_table(b, &table);
    for (int i = 0; i < N_ENVIRONMENTS; i++) {
        const bool is_old = strstr(names[i], "-v4") != NULL;    /* the same physics as v5 */
        bool is_simulated = false;
        if (is_old && !(b->filter && strstr(b->filter, "-v4")))
            continue;
        for (int k = 0; k < N_NETWORKS && rc == 0 && !is_simulated; k++)
            rc = measure_row(b, names[i], &networks[k], &is_simulated, err);
    }
    return rc;
}
