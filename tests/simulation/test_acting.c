/* Trainings under virtual time with every way of acting: what streams carry from one actor to the next,
 * exploration noise as well, must not show in the results of `sync`. */
#include <math.h>
#include <string.h>

#include "common/policy.h"
#include "tests/simulation/trial.h"
#include "tests/support.h"

static const int64_t HOUR_US = 3600000000;

/* ---- an algorithm that learns nothing, but moves every parameter by what it was shown ---- */

struct drift_hyper {
    enum policy_head head;
    struct exploration exploration;
    bool whole_episodes;
};

struct drift {
    real *params;
    size_t n;
};

static int drift_check(const void *hyper, const struct settings *s, const struct env_spec *spec,
                       struct error *err)
{
    (void)hyper, (void)s, (void)spec, (void)err;
    return 0;
}

static void drift_describe(const void *hyper, const struct env_spec *spec, struct algorithm_traits *out)
{
    const struct drift_hyper *h = hyper;
    (void)spec;
    *out = (struct algorithm_traits){ .head = h->head, .exploration = h->exploration, .discount = 0.99,
                                      .takes_whole_episodes = h->whole_episodes };
}

static void *drift_create(const struct algorithm_setup *setup, struct arena *arena)
{
    const struct drift_hyper *h = setup->hyper;
    struct policy_shape shape = policy_shape_make(h->head, &setup->policy, setup->shape, setup->n_choices);
    struct drift *d = arena_alloc(arena, 1, sizeof(*d));
    struct rng rng;
    d->n = policy_n_params(&shape);
    d->params = arena_alloc(arena, d->n, sizeof(*d->params));
    rng_init(&rng, setup->seed, RNG_INIT, 0, 0);
    rng_fill_normal(&rng, d->params, d->n);
    for (size_t i = 0; i < d->n; i++)
        d->params[i] *= 0.1f;
    return d;
}

static int drift_update(void *self, struct batch *b, double *metrics, struct error *err)
{
    struct drift *d = self;
    double sum = 0;
    (void)metrics, (void)err;
    for (int i = 0; i < 2 * b->n * row_stride(b->shape); i++)
        sum += (double)b->rows[i];
    for (size_t i = 0; i < d->n; i++)
        d->params[i] += 1e-3f * (float)sin(sum + (double)i);
    return 0;
}

static const real *drift_policy(const void *self, size_t *n)
{
    const struct drift *d = self;
    *n = d->n;
    return d->params;
}

static int drift_arrays(void *self, struct array out[ALGORITHM_MAX_ARRAYS])
{
    struct drift *d = self;
    out[0] = (struct array){ .name = "params", .data = d->params, .n = d->n };
    return 1;
}

static const char *const nothing[] = { NULL };
static const struct preset drift_presets[] = { { "", "", nothing } };

static const struct algorithm drift_algorithm = {
    .name = "drift", .presets = drift_presets, .n_presets = 1, .hyper_bytes = sizeof(struct drift_hyper), .check = drift_check,
    .describe = drift_describe, .create = drift_create, .update = drift_update, .policy = drift_policy,
    .arrays = drift_arrays,
};

/* ---- what is tried ---- */

static const struct way {
    const char *environment;
    struct drift_hyper hyper;
} ways[] = {
    { "Pendulum-v1", { HEAD_DETERMINISTIC, { EXPLORATION_ORNSTEIN_UHLENBECK, 0.5, 0.15, 0.2 }, false } },
    { "Pendulum-v1", { HEAD_DETERMINISTIC, { EXPLORATION_GAUSSIAN, 0.1, 0, 0 }, true } },
    { "Pendulum-v1", { HEAD_GAUSSIAN, { .kind = EXPLORATION_NONE }, false } },
    { "Pendulum-v1", { HEAD_GAUSSIAN_OF_STATE, { .kind = EXPLORATION_NONE }, true } },
    { "CartPole-v1", { HEAD_CATEGORICAL, { .kind = EXPLORATION_NONE }, false } },
    { "CartPole-v1", { HEAD_CATEGORICAL, { .kind = EXPLORATION_NONE }, true } },
};

static void prepare(struct trial *s, const struct way *way, enum mode mode, int actors, int envs)
{
    trial_defaults(s, &drift_algorithm, mode, actors, envs);
    snprintf(s->settings.env.name, sizeof(s->settings.env.name), "%s", way->environment);
    memcpy(s->hyper, &way->hyper, sizeof(way->hyper));
    s->settings.network.activation = ACTIVATION_SILU;
    s->settings.network.layer_norm = LAYER_NORM_ALL;
    s->settings.learner.normalise_observations = true;
    s->settings.top.total_steps = 1500;
    s->settings.replay.min_size = 300;
    s->settings.learner.batch_size = 32;
    s->settings.replay.samples_per_insert = 8;
    s->settings.metrics.hash_every = 50;
    s->settings.eval.episodes = 2;
}

START_TEST(sync_gives_the_same_hashes_however_it_acts_and_whoever_dies)
{
    for (size_t i = 0; i < TEST_COUNT(ways); i++) {
        struct trial s;
        struct trial_result calm, moved, dying;
        prepare(&s, &ways[i], MODE_SYNC, 1, 3);
        trial_run(&s, HOUR_US, &calm);
        ck_assert_int_eq(calm.status, TRAINING_FINISHED);
        ck_assert_int_gt(calm.report.updates, 200);
        for (int r = 0; r < N_REJECTIONS; r++)
            ck_assert_int_eq(calm.counts.rejected[r], 0);

        prepare(&s, &ways[i], MODE_SYNC, 3, 1);
        s.jitter_us = s.step_jitter_us = 9000;
        trial_run(&s, HOUR_US, &moved);
        ck_assert_msg(moved.hashes == calm.hashes, "way %zu differs when it is placed otherwise", i);

        prepare(&s, &ways[i], MODE_SYNC, 3, 1);
        s.kill_every_us = 31000;
        trial_run(&s, HOUR_US, &dying);
        ck_assert_int_gt(dying.kills, 3);
        ck_assert_int_eq(dying.status, TRAINING_FINISHED);
        ck_assert_msg(dying.hashes == calm.hashes, "way %zu differs when actors die", i);
        ck_assert_double_eq(dying.evaluation.mean, calm.evaluation.mean);
    }
}
END_TEST

START_TEST(async_takes_every_way_of_acting)
{
    for (size_t i = 0; i < TEST_COUNT(ways); i++) {
        struct trial s;
        struct trial_result r;
        prepare(&s, &ways[i], MODE_ASYNC, 2, 2);
        trial_run(&s, HOUR_US, &r);
        ck_assert_int_eq(r.status, TRAINING_FINISHED);
        ck_assert_int_eq(r.report.env_steps, 1500);
        for (int k = 0; k < N_REJECTIONS; k++)
            ck_assert_int_eq(r.counts.rejected[k], 0);
    }
}
END_TEST

START_TEST(noise_shows_in_the_results)
{
    struct way way = ways[0];
    struct trial s;
    struct trial_result noisy, less, still;
    prepare(&s, &way, MODE_SYNC, 1, 2);
    trial_run(&s, HOUR_US, &noisy);
    way.hyper.exploration.sigma /= 2;
    prepare(&s, &way, MODE_SYNC, 1, 2);
    trial_run(&s, HOUR_US, &less);
    way.hyper.exploration.kind = EXPLORATION_NONE;
    prepare(&s, &way, MODE_SYNC, 1, 2);
    trial_run(&s, HOUR_US, &still);
    ck_assert_uint_ne(noisy.hashes, less.hashes);
    ck_assert_uint_ne(less.hashes, still.hashes);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        sync_gives_the_same_hashes_however_it_acts_and_whoever_dies, async_takes_every_way_of_acting,
        noise_shows_in_the_results,
    };
    return suite_run("acting", tests, TEST_COUNT(tests), 300);
}
