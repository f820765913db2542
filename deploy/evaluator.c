#include "deploy/evaluator.h"

#include <math.h>

#include "common/rng.h"

struct evaluator {
    struct arena *arena;
    struct policy *policy;
    struct watch *watch;
    int episodes;
    int64_t transitions;            /* of all evaluations */
    struct env **envs;              /* [episodes] */
    float *rows;                    /* [episodes][stride] */
    float **live_rows;              /* [episodes] rows of the episodes still running */
    int *live;                      /* [episodes] their numbers */
    double *returns, *lengths;      /* [episodes] */
};

struct evaluator *evaluator_create(const struct env_model *model, const struct policy_shape *shape,
                                   int episodes)
{
    struct arena *arena = arena_create(1 << 16);
    struct evaluator *e = arena_alloc(arena, 1, sizeof(*e));
    size_t n = (size_t)episodes;
    e->arena = arena;
    e->episodes = episodes;
    e->policy = policy_create(shape, episodes, arena);
    e->envs = arena_alloc(arena, n, sizeof(struct env *));
    e->rows = arena_alloc(arena, n * (size_t)row_stride(shape->row), sizeof(float));
    e->live_rows = arena_alloc(arena, n, sizeof(*e->live_rows));
    e->live = arena_alloc(arena, n, sizeof(*e->live));
    e->returns = arena_alloc(arena, n, sizeof(*e->returns));
    e->lengths = arena_alloc(arena, n, sizeof(*e->lengths));
    for (int i = 0; i < episodes; i++)
        e->envs[i] = env_create(model);
    arena_seal(arena);
    return e;
}

void evaluator_watch(struct evaluator *e, struct watch *watch)
{
    e->watch = watch;
}

void evaluator_destroy(struct evaluator **e)
{
    if (!*e)
        return;
    for (int i = 0; i < (*e)->episodes; i++) {
        watch_enter((*e)->watch, WATCH_CLOSING, i, 0);
        env_destroy(&(*e)->envs[i]);
        watch_leave((*e)->watch);
    }
    struct arena *arena = (*e)->arena;
    arena_destroy(&arena);
    *e = NULL;
}

static void summarise(const struct evaluator *e, int diverged, struct evaluation *out)
{
    int n = e->episodes;
    *out = (struct evaluation){ .episodes = n, .diverged = diverged, .min = e->returns[0],
                                .max = e->returns[0] };
    for (int i = 0; i < n; i++) {
        out->mean += e->returns[i] / n;
        out->length_mean += e->lengths[i] / n;
        out->min = fmin(out->min, e->returns[i]);
        out->max = fmax(out->max, e->returns[i]);
    }
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += (e->returns[i] - out->mean) * (e->returns[i] - out->mean);
    out->std = sqrt(squares / n);
}

int evaluator_play(struct evaluator *e, const float *params, uint64_t seed, int64_t number,
                   struct evaluation *out, double *returns, int (*stop)(void))
{
    struct row_shape shape = policy_shape_of(e->policy)->row;
    size_t stride = (size_t)row_stride(shape);
    int n_live = e->episodes, diverged = 0;
    policy_set(e->policy, params);
    for (int i = 0; i < e->episodes; i++) {
        struct rng rng;
        rng_init(&rng, seed, RNG_EVAL, (uint32_t)i, (uint32_t)number);
        e->live[i] = i;
        watch_enter(e->watch, WATCH_RESETTING, i, 0);
        env_reset(e->envs[i], &rng, e->rows + (size_t)i * stride);
        watch_leave(e->watch);
    }
    while (n_live > 0) {
        if (stop && stop())
            return ERR_INTERRUPTED;
        for (int k = 0; k < n_live; k++)
            e->live_rows[k] = e->rows + (size_t)e->live[k] * stride;
        policy_act(e->policy, n_live, e->live_rows, NULL);
        int left = 0;
        for (int k = 0; k < n_live; k++) {
            int i = e->live[k];
            struct env_outcome outcome;
            float *row = e->rows + (size_t)i * stride;
            watch_enter(e->watch, WATCH_STEPPING, i, env_elapsed(e->envs[i]) + 1);
            env_step(e->envs[i], row + row_act(shape), row, &outcome);
            watch_leave(e->watch);
            diverged += outcome.diverged;
            if (outcome.kind == ROW_STEP) {
                e->live[left++] = i;
            } else {
                e->returns[i] = outcome.episode_return;
                e->lengths[i] = outcome.episode_length;
            }
        }
        watch_count(e->watch, e->transitions += n_live);
        n_live = left;
    }
    summarise(e, diverged, out);
    for (int i = 0; returns && i < e->episodes; i++)
        returns[i] = e->returns[i];
    return 0;
}
