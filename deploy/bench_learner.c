#include "deploy/bench_learner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/option.h"
#include "learner/training.h"

enum { CAPACITY = 100000,       /* transitions in replay: more than a cache holds */
       FRAGMENT = 64, MAX_OVERRIDES = 8, OVERRIDE_BYTES = 64 };

static const struct row_shape shape = { BENCH_N_OBS, BENCH_N_ACT };

/* ---- configuration ---- */

/* Stable-Baselines3's values, which every algorithm has as a preset. */
static const char *const *sb3_values(const struct algorithm *a)
{
    for (int i = 0; i < a->n_presets; i++)
        if (strcmp(a->presets[i].name, "sb3") == 0)
            return a->presets[i].values;
    return a->presets[0].values;
}

static int configure(struct bench_learner *l, struct error *err)
{
    const struct bench_case *c = l->subject;
    const struct algorithm *a = c->algorithm;
    char text[MAX_OVERRIDES][OVERRIDE_BYTES];
    char *overrides[MAX_OVERRIDES];
    int n = 0;
    snprintf(text[n++], OVERRIDE_BYTES, "env.name=HalfCheetah-v5");
    snprintf(text[n++], OVERRIDE_BYTES, "network.hidden=[%s]", c->hidden);
    snprintf(text[n++], OVERRIDE_BYTES, "network.activation=%s", c->activation);
    snprintf(text[n++], OVERRIDE_BYTES, "learner.batch_size=%d", c->batch_size);
    if (a->is_on_policy) {
        snprintf(text[n++], OVERRIDE_BYTES, "actors=%d", c->n_fragments);
        snprintf(text[n++], OVERRIDE_BYTES, "actor.horizon=%d", c->horizon);
        /* So small that the policy stays the one that the made-up rows are of. */
        snprintf(text[n++], OVERRIDE_BYTES, "%s.learning_rate=1e-12", a->name);
    }
    for (int i = 0; i < n; i++)
        overrides[i] = text[i];
    struct option_section sections[SETTINGS_SECTIONS + 1];
    const struct option_preset sb3 = { sb3_values(a), NULL }, always = { a->presets[0].values, &sb3 };
    l->hyper = arena_alloc(l->arena, 1, a->hyper_bytes);
    const int n_sections = settings_sections(&l->settings, sections);
    sections[n_sections] = (struct option_section){ .name = a->name, .options = a->options,
                                                    .n_options = a->n_options, .base = l->hyper };
    return options_load(sections, n_sections + 1, &always, NULL, overrides, n, err);
}

/* ---- nominal work ---- */

/* Multiply-adds of one row through a network: its weights. Backward, the gradient of the weights takes as many,
 * that of the inputs as many, or without the first layer's where nobody wants it. */
struct work {
    double all, behind_first;
};

static struct work work_of(int n_in, const struct mlp_body *body, int n_out)
{
    const struct mlp_shape s = mlp_shape_make(n_in, body, n_out);
    struct work w = { 0 };
    for (int l = 0; l < s.n_layers; l++) {
        const double layer = (double)s.width[l] * s.width[l + 1];
        w.all += layer;
        w.behind_first += l > 0 ? layer : 0;
    }
    return w;
}

/* Forward, and backward to the weights. */
static double fit(struct work w)
{
    return 2 * w.all + w.behind_first;
}

/* FLOPs of an update in its matrix products, as the papers' losses have them. The policy's step of SAC, TD3 and DDPG
 * goes forward and backward through critics to their inputs, without gradients of their weights. SAC does about 6 %
 * less: a row goes back through the critic alone that gave the smaller value. */
static double nominal_flops(const struct bench_learner *l)
{
    const char *name = l->subject->algorithm->name;
    const struct mlp_body policy_body = settings_policy_body(&l->settings);
    const struct mlp_body critic_body = settings_critic_body(&l->settings);
    const bool is_sac = strcmp(name, "sac") == 0;
    const struct work policy = work_of(BENCH_N_OBS, &policy_body, is_sac ? 2 * BENCH_N_ACT : BENCH_N_ACT);
    const struct work q = work_of(BENCH_N_OBS + BENCH_N_ACT, &critic_body, 1);
    const struct work v = work_of(BENCH_N_OBS, &critic_body, 1);
    const double q_step = q.all + fit(q);                   /* target and regression of one critic */
    const double improve = fit(policy) + 2 * q.all;         /* the policy through one critic */
    double row = 0;
    if (is_sac)
        row = policy.all + 2 * q_step + fit(policy) + 2 * 2 * q.all;
    else if (strcmp(name, "td3") == 0)
        row = policy.all + 2 * q_step + improve / 2;        /* policy_delay 2 */
    else if (strcmp(name, "ddpg") == 0)
        row = policy.all + q_step + improve;
    else
        row = fit(policy) + fit(v);
    return 2 * row * l->subject->batch_size;
}

/* ---- experience ---- */

/* A row of a policy that is a standard normal: obs | action | reward | log_prob | kind. */
static void fill_row(struct rng *rng, enum row_kind kind, float *row)
{
    double log_prob = 0;
    memset(row, 0, (size_t)row_stride(shape) * sizeof(float));
    for (int i = 0; i < BENCH_N_OBS; i++)
        row[i] = (float)rng_normal(rng);
    row[row_kind(shape)] = (float)kind;
    if (kind == ROW_CLOSE)
        return;
    for (int i = 0; i < BENCH_N_ACT; i++) {
        const double a = rng_normal(rng);
        row[row_act(shape) + i] = (float)a;
        log_prob -= 0.5 * a * a + 0.91893853320467274178;    /* log sqrt(2 pi) */
    }
    row[row_reward(shape)] = (float)rng_normal(rng);
    row[row_log_prob(shape)] = (float)log_prob;
}

/* T transitions and CLOSE. */
static void fill_fragment(struct rng *rng, int T, float *rows)
{
    for (int t = 0; t <= T; t++)
        fill_row(rng, t < T ? ROW_STEP : ROW_CLOSE, rows + t * row_stride(shape));
}

static void create_replay(struct bench_learner *l, struct rng *rng)
{
    const size_t B = (size_t)l->subject->batch_size;
    float rows[(FRAGMENT + 1) * (BENCH_N_OBS + BENCH_N_ACT + 3)];
    const struct replay_setup setup = { .shape = shape, .capacity = CAPACITY, .horizon = FRAGMENT, .n_step = 1,
                                        .discount = l->traits.discount };
    l->replay = replay_create(&setup, l->arena);
    for (int i = 0; i < CAPACITY / FRAGMENT; i++) {
        fill_fragment(rng, FRAGMENT, rows);
        for (int t = 0; t < FRAGMENT; t++)    /* off-policy, actions are within their bounds */
            for (int j = 0; j < BENCH_N_ACT; j++) {
                float *a = &rows[t * row_stride(shape) + row_act(shape) + j];
                *a = fmaxf(-1, fminf(1, *a));
            }
        replay_append(l->replay, rows, FRAGMENT + 1, FRAGMENT);
    }
    l->draw = (struct replay_draw){
        .rows = arena_alloc(l->arena, B * 2 * (size_t)row_stride(shape), sizeof(float)),
        .discount = arena_alloc(l->arena, B, sizeof(float)), .weight = arena_alloc(l->arena, B, sizeof(float)),
        .tickets = arena_alloc(l->arena, B, sizeof(struct replay_ticket)),
    };
    l->noise = arena_alloc(l->arena, B * (size_t)(l->traits.noise_per_action * BENCH_N_ACT), sizeof(float));
    l->batch = (struct batch){
        .n = (int)B, .shape = shape, .rows = l->draw.rows, .noise = l->noise, .discount = l->draw.discount,
        .weight = l->draw.weight, .td_error = arena_alloc(l->arena, B, sizeof(float)),
    };
}

static void create_round(struct bench_learner *l, struct rng *rng)
{
    const int F = l->subject->n_fragments, T = l->subject->horizon, stride = row_stride(shape);
    float *rows = arena_alloc(l->arena, (size_t)(F * (T + 1) * stride), sizeof(float));
    int *first = arena_alloc(l->arena, (size_t)F + 1, sizeof(int));
    for (int f = 0; f < F; f++) {
        fill_fragment(rng, T, rows + f * (T + 1) * stride);
        first[f + 1] = (f + 1) * (T + 1);
    }
    l->round = (struct round){
        .shape = shape, .n_rows = F * (T + 1), .n_transitions = F * T, .n_fragments = F, .rows = rows,
        .first = first, .staleness = arena_alloc(l->arena, (size_t)F, sizeof(int64_t)),
    };
}

/* ---- life ---- */

int bench_learner_create(struct bench_learner *l, const struct bench_case *c,
                         const struct bench_variant *variant, struct error *err)
{
    struct env_spec spec = { .name = "HalfCheetah-v5", .shape = shape, .time_limit = 1000 };
    struct rng rng;
    *l = (struct bench_learner){ .subject = c, .arena = arena_create(1 << 20) };
    for (int i = 0; i < BENCH_N_ACT; i++)
        spec.act_low[i] = -1, spec.act_high[i] = 1;
    int rc = configure(l, err);
    if (rc == 0 && c->algorithm->check)
        rc = c->algorithm->check(l->hyper, &l->settings, &spec, err);
    if (rc != 0)
        return error_prefix(err, "shoal bench: %s", c->name);
    c->algorithm->describe(l->hyper, &spec, &l->traits);
    struct algorithm_setup setup = {
        .shape = shape, .policy = settings_policy_body(&l->settings),
        .critic = settings_critic_body(&l->settings), .start = (enum mlp_start)l->settings.network.init,
        .batch_size = c->batch_size, .seed = 1, .hyper = l->hyper, .max_rows = 2 * c->n_fragments * c->horizon,
        .max_transitions = c->n_fragments * c->horizon, .max_fragments = c->n_fragments, .engine = &l->engine,
    };
    l->engine = bench_variant_engine(variant);
    l->self = c->algorithm->create(&setup, l->arena);
    l->flops = nominal_flops(l);
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    rng_init(&l->sample_rng, 1, RNG_SAMPLE, 0, 0);
    rng_init(&l->update_rng, 1, RNG_UPDATE, 0, 0);
    if (c->algorithm->is_on_policy)
        create_round(l, &rng);
    else
        create_replay(l, &rng);
    return 0;
}

void bench_learner_destroy(struct bench_learner *l)
{
    workers_destroy(&l->engine.workers);
    arena_destroy(&l->arena);
}

int bench_learner_update(void *learner, struct bench_window *w, struct error *err)
{
    struct bench_learner *l = learner;
    const struct algorithm *a = l->subject->algorithm;
    double metrics[ALGORITHM_MAX_METRICS];
    w->units += 1;
    if (a->is_on_policy) {
        if (!a->has_more(l->self))
            a->begin(l->self, &l->round, &l->update_rng);
        return a->step(l->self, metrics, err);
    }
    replay_sample(l->replay, &l->sample_rng, l->batch.n, 0, &l->draw);
    rng_fill_normal(&l->update_rng, l->noise, (size_t)(l->batch.n * l->traits.noise_per_action * BENCH_N_ACT));
    return a->update(l->self, &l->batch, metrics, err);
}
