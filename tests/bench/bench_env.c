/* Environment steps per second on one core, as ratios to the bare simulation, in one run.
 *
 *   bare       mj_step alone, with the start states and actions of episodes that Shoal played; resets are
 *              outside the timed part; mj_rnePostConstraint where the task reads what it fills
 *   interface  E streams through actor/stream.h: observations, rewards, ends, resets, rows of fragments
 *   policy     the same with a 2 x 256 network choosing the actions, noise included
 *
 * Windows of the kinds take turns, so that a disturbance of the machine meets all of them; a ratio is
 * the median over rounds of one window's rate to the bare window of the same round, under the same kind
 * of actions: random ones for the interface, the network's for the policy. The column shows the former.
 *
 *   bench_env [--seconds S] [--rounds N] [--json] [ENVIRONMENT ...] */
#include <math.h>
#include <mujoco/mujoco.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "actor/env/registry.h"
#include "actor/stream.h"
#include "common/policy.h"

enum { HORIZON = 64, MAX_E = 64, MAX_ROUNDS = 64, N_SIZES = 5, N_ACTIONS = 1 << 12 };
static const int SIZES[N_SIZES] = { 1, 8, 16, 32, 64 };

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* E streams with what acting in them needs. */
struct crowd {
    struct env_model *model;
    struct arena *arena;
    struct frame_pool *frames;
    struct policy *policy;
    struct stream streams[MAX_E];
    float *rows[MAX_E];
    float *noise;           /* [MAX_E][n_act] */
    float *actions;         /* [N_ACTIONS][n_act] random, in policy units */
    int n_act, n_choices, n_obs;
    int next_action;
    float *spare_row;       /* [stride] */
    struct rng rng;         /* of the episodes for the bare loop */
};

static void crowd_create(struct crowd *c, const char *name, const char *models)
{
    struct error err;
    struct policy_shape shape;
    struct rng rng;
    memset(c, 0, sizeof(*c));
    if (env_open(&c->model, &(struct env_setup){ .name = name, .models_dir = models }, &err) != 0) {
        fprintf(stderr, "bench_env: %s\n", err.text);
        exit(1);
    }
    const struct env_spec *spec = env_spec(c->model);
    c->n_act = spec->shape.n_act;
    c->n_obs = spec->shape.n_obs;
    c->n_choices = spec->n_choices;
    c->arena = arena_create(1 << 20);
    c->frames = frame_pool_create(stream_frame_bytes(c->model, HORIZON));
    shape = policy_shape_make(spec->n_choices ? HEAD_CATEGORICAL : HEAD_SQUASHED_GAUSSIAN,
                              &(struct mlp_body){ 2, { 256, 256 }, ACTIVATION_RELU, false }, spec->shape,
                              spec->n_choices);
    c->policy = policy_create(&shape, MAX_E, c->arena);
    const size_t n_params = policy_n_params(&shape);
    float *params = arena_alloc(c->arena, n_params, sizeof(float));
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, params, n_params);
    for (size_t i = 0; i < n_params; i++)
        params[i] *= 0.03f;
    policy_set(c->policy, params);
    c->noise = arena_alloc(c->arena, (size_t)(MAX_E * c->n_act), sizeof(float));
    c->actions = arena_alloc(c->arena, (size_t)(N_ACTIONS * c->n_act), sizeof(float));
    for (int i = 0; i < N_ACTIONS * c->n_act; i++)
        c->actions[i] = c->n_choices ? (float)rng_below(&rng, (uint64_t)c->n_choices)
                                     : (float)rng_uniform(&rng, -1, 1);
    rng_init(&c->rng, 2, RNG_TEST, 0, 0);
    c->spare_row = arena_alloc(c->arena, (size_t)row_stride(spec->shape), sizeof(float));
    for (int i = 0; i < MAX_E; i++) {
        stream_init(&c->streams[i], c->model, HORIZON, c->arena);
        stream_start(&c->streams[i], 1, i, 0);
    }
}

static void crowd_destroy(struct crowd *c)
{
    for (int i = 0; i < MAX_E; i++)
        stream_fini(&c->streams[i]);
    env_close(&c->model);
    frame_pool_destroy(&c->frames);
    arena_destroy(&c->arena);
}

static const float *next_actions(struct crowd *c)
{
    const float *actions = c->actions + (size_t)(c->next_action * c->n_act);
    c->next_action = (c->next_action + 1) % N_ACTIONS;
    return actions;
}

/* One step of each of E streams, which are all inside a fragment at the same place. */
static void crowd_step(struct crowd *c, int E, bool has_policy)
{
    if (!stream_is_open(&c->streams[0]))
        for (int i = 0; i < E; i++)
            stream_begin(&c->streams[i], frame_pool_take(c->frames), 0);
    for (int i = 0; i < E; i++) {
        c->rows[i] = stream_row(&c->streams[i]);
        if (has_policy) {
            policy_draw(c->policy, &c->streams[i].action_rng, c->noise + i * c->n_act);
        } else {
            memcpy(c->rows[i] + c->n_obs, next_actions(c), (size_t)c->n_act * sizeof(float));
        }
    }
    if (has_policy)
        policy_act(c->policy, E, c->rows, c->noise);
    for (int i = 0; i < E; i++)
        stream_step(&c->streams[i]);
    if (!stream_is_complete(&c->streams[0]))
        return;
    for (int i = 0; i < E; i++) {
        struct fragment_header header = { 0 };
        stream_describe(&c->streams[i], &header, 0);
        frame_release(stream_take(&c->streams[i]));
    }
}

/* Steps per second through the interface for about `seconds`. */
static double time_crowd(struct crowd *c, int E, bool has_policy, double seconds)
{
    for (int t = 0; t < HORIZON; t++)
        crowd_step(c, E, has_policy);
    long steps = 0;
    const double began = now_s();
    double spent;
    do {
        for (int t = 0; t < HORIZON; t++)
            crowd_step(c, E, has_policy);
        steps += (long)HORIZON * E;
        spent = now_s() - began;
    } while (spent < seconds);
    return (double)steps / spent;
}

/* ---- the bare loop ---- */

struct bare {
    const mjModel *m;
    mjData *d;
    int frame_skip;
    bool reads_body_forces;
};

static bool reads_body_forces(const char *name)
{
    static const char *const names[] = { "Ant-v5", "Humanoid-v5", "HumanoidStandup-v5",
                                         "Humanoid-v4", "HumanoidStandup-v4" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

enum { MAX_EPISODE = 500 };

/* An episode played through the interface. */
struct episode {
    int n;
    double start[256];                          /* qpos | qvel */
    float units[MAX_EPISODE][ENV_MAX_ACT];      /* the actions, as the environment got them */
};

static void play(struct crowd *c, struct env *e, bool has_policy, struct episode *out)
{
    const struct env_spec *spec = env_spec(c->model);
    float *row = c->spare_row, *action = row + c->n_obs;
    struct env_outcome outcome = { .kind = ROW_STEP };
    struct env_physics p;
    env_reset(e, &c->rng, row);
    env_physics(e, &p);
    memcpy(out->start, p.qpos, (size_t)p.nq * sizeof(double));
    memcpy(out->start + p.nq, p.qvel, (size_t)p.nv * sizeof(double));
    for (out->n = 0; outcome.kind == ROW_STEP && out->n < MAX_EPISODE; out->n++) {
        if (has_policy) {
            rng_fill_normal(&c->rng, c->noise, (size_t)c->n_act);
            policy_act(c->policy, 1, &row, c->noise);
        } else {
            memcpy(action, next_actions(c), (size_t)c->n_act * sizeof(float));
        }
        env_rescale(spec, action, out->units[out->n]);
        env_step(e, action, row, &outcome);
    }
}

/* Steps per second of mj_step alone (timed) in episodes that the interface plays (untimed). */
static double time_bare(struct crowd *c, struct bare *b, bool has_policy, double seconds)
{
    static struct episode episode;
    struct env *e = env_create(c->model);
    double spent = 0;
    long steps = 0;
    while (spent < seconds) {
        play(c, e, has_policy, &episode);
        mj_resetData(b->m, b->d);
        memcpy(b->d->qpos, episode.start, (size_t)b->m->nq * sizeof(double));
        memcpy(b->d->qvel, episode.start + b->m->nq, (size_t)b->m->nv * sizeof(double));
        mj_forward(b->m, b->d);
        const double began = now_s();
        for (int t = 0; t < episode.n; t++) {
            for (int k = 0; k < c->n_act; k++)
                b->d->ctrl[k] = (double)episode.units[t][k];
            for (int k = 0; k < b->frame_skip; k++)
                mj_step(b->m, b->d);
            if (b->reads_body_forces)
                mj_rnePostConstraint(b->m, b->d);
        }
        spent += now_s() - began;
        steps += episode.n;
    }
    env_destroy(&e);
    return (double)steps / spent;
}

/* ---- one environment ---- */

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

struct results {
    double bare, interface, policy[N_SIZES];                /* steps/s, medians */
    double interface_ratio, policy_ratio[N_SIZES];          /* to bare, medians of the rounds' */
};

static struct results measure(const char *name, const char *models, double seconds, int rounds)
{
    static struct crowd c;
    double bare[MAX_ROUNDS], inter[MAX_ROUNDS], inter_ratio[MAX_ROUNDS];
    double policy[N_SIZES][MAX_ROUNDS], policy_ratio[N_SIZES][MAX_ROUNDS];
    struct env_physics p;
    struct bare b = { 0 };
    struct results r = { 0 };
    crowd_create(&c, name, models);
    if (env_physics(c.streams[0].env, &p)) {
        b.m = p.mj_model;
        b.d = mj_makeData(b.m);
        b.frame_skip = (int)lround(env_spec(c.model)->step_s / b.m->opt.timestep);
        b.reads_body_forces = reads_body_forces(name);
    }
    for (int k = 0; k < rounds; k++) {
        bare[k] = b.m ? time_bare(&c, &b, false, seconds) : (double)NAN;
        inter[k] = time_crowd(&c, 1, false, seconds);
        inter_ratio[k] = inter[k] / bare[k];
        double acted = b.m ? time_bare(&c, &b, true, seconds) : (double)NAN;
        for (int i = 0; i < N_SIZES; i++) {
            policy[i][k] = time_crowd(&c, SIZES[i], true, seconds);
            policy_ratio[i][k] = policy[i][k] / acted;
        }
    }
    r.bare = median(bare, rounds);
    r.interface = median(inter, rounds);
    r.interface_ratio = median(inter_ratio, rounds);
    for (int i = 0; i < N_SIZES; i++) {
        r.policy[i] = median(policy[i], rounds);
        r.policy_ratio[i] = median(policy_ratio[i], rounds);
    }
    mj_deleteData(b.d);
    crowd_destroy(&c);
    return r;
}

static void print_head(void)
{
    printf("%-26s %10s %10s", "steps/s, one core", "bare", "interface");
    for (int i = 0; i < N_SIZES; i++)
        printf("   E = %-5d", SIZES[i]);
    printf("\n");
}

static void print_rate(double rate, double ratio)
{
    if (isnan(ratio))
        printf(" %10.0f", rate);
    else
        printf(" %6.0f%4.0f%%", rate, 100 * ratio);
}

static void print_row(const char *name, const struct results *r)
{
    printf("%-26s", name);
    if (isnan(r->bare))
        printf(" %10s", "-");
    else
        printf(" %10.0f", r->bare);
    print_rate(r->interface, r->interface_ratio);
    for (int i = 0; i < N_SIZES; i++)
        print_rate(r->policy[i], r->policy_ratio[i]);
    printf("\n");
    fflush(stdout);
}

static void print_json(const char *name, const struct results *r, bool is_first)
{
    printf("%s\n {\"environment\":\"%s\",\"interface\":%.9g", is_first ? "[" : ",", name,
           r->interface);
    if (!isnan(r->bare))
        printf(",\"bare\":%.9g,\"interface_ratio\":%.4f", r->bare, r->interface_ratio);
    for (int i = 0; i < N_SIZES; i++) {
        printf(",\"policy_%d\":%.9g", SIZES[i], r->policy[i]);
        if (!isnan(r->bare))
            printf(",\"policy_%d_ratio\":%.4f", SIZES[i], r->policy_ratio[i]);
    }
    printf("}");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    double seconds = 0.04;
    int rounds = 15, n = 0;
    bool json = false;
    const char *names[N_ENVIRONMENTS + 64];
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = (int)strtol(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (n < 64)
            names[n++] = argv[i];
    }
    if (!(seconds > 0) || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "bench_env: --seconds above 0, --rounds 1 to %d\n", MAX_ROUNDS);
        return 64;
    }
    if (n == 0) {
        const char *all[N_ENVIRONMENTS];
        environment_names(all);
        for (int i = 0; i < N_ENVIRONMENTS; i++)
            if (strstr(all[i], "-v4") == NULL)    /* the same physics as v5 */
                names[n++] = all[i];
    }
    const char *models = getenv("SHOAL_MODELS");
    if (!json)
        print_head();
    for (int i = 0; i < n; i++) {
        struct results r = measure(names[i], models ? models : SHOAL_MODELS_DIR, seconds, rounds);
        if (json)
            print_json(names[i], &r, i == 0);
        else
            print_row(names[i], &r);
    }
    if (json)
        printf("\n]\n");
    return 0;
}
