#include "actor/gradients.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "common/normaliser.h"
#include "common/row_statistics.h"

enum { ALIGNMENT = 64 };

struct gradients {
    const struct algorithm *algorithm;
    void *self;
    struct array params;            /* of `self` */
    size_t n_policy;                /* the first of them */
    struct row_shape shape;
    int n_streams;
    bool normalises, scales_rewards;
    struct row_statistics statistics;
    float *normaliser, reward_scale;    /* [2 n_obs], and 1 / std of the return: this version's */
    float *policy;                  /* [n_policy + 2 n_obs] what acts */

    struct round round;
    float *rows;                    /* [2 n_streams horizon][stride] what it reads */
    int *first;                     /* [n_streams + 1] */
    int64_t *staleness;             /* [n_streams] 0 */
    double *metrics, *increment;    /* [n_metrics], [row_statistics_increment_n] */
    double *returns;                /* [n_streams horizon] of the episodes that ended */
    uint32_t *lengths;
    struct frame_pool *frames;
    size_t room;                    /* bytes in front of the gradient */
};

/* ---- joining ---- */

/* The settings that an algorithm's checks may look at, as the learner's would be if this actor's rounds were all
 * there is. A second actor, as batch_size may not be above a round, and not below 2. */
static void settings_of_welcome(struct settings *s, const struct welcome *w)
{
    struct option_section sections[SETTINGS_SECTIONS];
    const int64_t n_streams = (int64_t)(w->streams.size / sizeof(uint32_t)), round = n_streams * w->horizon;
    const int n = settings_sections(s, sections);
    options_default(sections, n);
    snprintf(s->top.algorithm, sizeof(s->top.algorithm), "%s", w->algorithm);
    s->top.mode = MODE_GRADIENTS;
    s->top.actors = 2;
    s->top.envs_per_actor = n_streams;
    s->actor.horizon = w->horizon;
    s->learner.batch_size = round < 2 ? 2 : round;
    s->learner.normalise_observations = w->normalises;
    s->learner.scale_rewards = w->scales_rewards;
}

/* The algorithm's options, checked: nothing that a peer says may break an assertion of it. */
static int read_hyper(void *hyper, const struct welcome *w, const struct algorithm *a, const struct settings *s,
                      const struct env_spec *spec, struct error *err)
{
    const struct option_section section = { .name = a->name, .options = a->options, .n_options = a->n_options,
                                            .base = hyper };
    int rc = a->gradient ? options_parse_line(&section, "WELCOME: algorithm_options", w->algorithm_options,
                                              strlen(w->algorithm_options), err)
                         : error_set(err, ERR_CONFIG, "%s computes no gradients apart from its replay", a->name);
    if (rc == 0)
        rc = a->check_gradients(hyper, s, err);
    if (rc == 0)
        rc = a->check(hyper, s, spec, err);
    return rc == 0 ? 0 : error_prefix(err, "the learner asks for gradients of %s", a->name);
}

/* All streams live and number their fragments together. */
static int check_streams(const struct welcome *w, struct error *err)
{
    for (size_t i = 1; i < w->streams.size / sizeof(uint32_t); i++)
        if (bytes_u32(w->lives, i) != bytes_u32(w->lives, 0)
            || bytes_i64(w->sequences, i) != bytes_i64(w->sequences, 0))
            return error_set(err, ERR_FORMAT, "WELCOME: in mode gradients an actor's streams have one life and "
                             "sequence, and stream %u has others than stream %u", (unsigned)bytes_u32(w->streams, i),
                             (unsigned)bytes_u32(w->streams, 0));
    return 0;
}

static struct mlp_body body_of(const struct welcome *w, enum activation activation, bool has_layer_norm)
{
    struct mlp_body body = { .n_hidden = (int)(w->hidden.size / sizeof(uint32_t)), .activation = activation,
                             .has_layer_norm = has_layer_norm };
    for (int l = 0; l < body.n_hidden; l++)
        body.hidden[l] = (int)bytes_u32(w->hidden, (size_t)l);
    return body;
}

static void *create_instance(const struct welcome *w, const struct algorithm *a, const void *hyper,
                             const struct settings *s, const struct env_spec *spec, enum activation activation,
                             struct arena *arena)
{
    const int round = (int)(s->top.envs_per_actor * s->actor.horizon);
    const struct algorithm_setup setup = {
        .shape = spec->shape, .n_choices = spec->n_choices, .policy = body_of(w, activation, w->layer_norm),
        .critic = body_of(w, activation, w->critic_layer_norm), .batch_size = (int)s->learner.batch_size,
        .max_rows = 2 * round, .max_transitions = round, .max_fragments = (int)s->top.envs_per_actor, .seed = w->seed,
        .hyper = hyper,
    };
    return a->create(&setup, arena);
}

static void create_buffers(struct gradients *g, const struct row_statistics_setup *statistics, int horizon,
                           struct arena *arena)
{
    const size_t n_streams = (size_t)g->n_streams, round = n_streams * (size_t)horizon, n_obs = (size_t)g->shape.n_obs;
    const size_t n_increment = row_statistics_increment_n(statistics), n_metrics = (size_t)g->algorithm->n_metrics;
    row_statistics_init(&g->statistics, statistics, arena);
    g->normaliser = arena_alloc(arena, 2 * n_obs, sizeof(float));
    g->policy = arena_alloc(arena, g->n_policy + 2 * n_obs, sizeof(float));
    g->rows = arena_alloc(arena, 2 * round * (size_t)row_stride(g->shape), sizeof(float));
    g->first = arena_alloc(arena, n_streams + 1, sizeof(*g->first));
    g->staleness = arena_alloc(arena, n_streams, sizeof(*g->staleness));
    g->metrics = arena_alloc(arena, n_metrics, sizeof(double));
    g->increment = arena_alloc(arena, n_increment, sizeof(double));
    g->returns = arena_alloc(arena, round, sizeof(*g->returns));
    g->lengths = arena_alloc(arena, round, sizeof(*g->lengths));
    g->round = (struct round){ .shape = g->shape, .rows = g->rows, .first = g->first, .staleness = g->staleness };
    const size_t room = MESSAGE_HEADER_BYTES + round * (sizeof(double) + sizeof(uint32_t))
                      + (n_metrics + n_increment) * sizeof(double);
    g->room = (room + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    g->frames = frame_pool_create(g->room + g->params.n * sizeof(float));
}

int gradients_create(struct gradients **out, const struct welcome *w, const struct algorithm *a,
                     const struct env_spec *spec, struct arena *arena, struct error *err)
{
    struct settings settings;
    enum activation activation;
    *out = NULL;
    if (!a)
        return error_set(err, ERR_CONFIG, "the learner asks for gradients of \"%s\", which this actor does not have; "
                         "use the same version of shoal on both sides", w->algorithm);
    void *hyper = arena_alloc(arena, 1, a->hyper_bytes);
    settings_of_welcome(&settings, w);
    int rc = read_hyper(hyper, w, a, &settings, spec, err);
    if (rc == 0)
        rc = check_streams(w, err);
    if (rc == 0)
        rc = activation_find(w->activation, &activation, err);
    if (rc != 0)
        return rc;
    struct algorithm_traits traits;
    a->describe(hyper, spec, &traits);
    if (strcmp(policy_head_name(traits.head), w->head) != 0 || traits.takes_whole_episodes != w->whole_episodes)
        return error_set(err, ERR_FORMAT, "WELCOME: the head \"%s\" is not that of %s with the options it gives",
                         w->head, a->name);
    struct gradients *g = *out = arena_alloc(arena, 1, sizeof(*g));
    *g = (struct gradients){
        .algorithm = a, .shape = spec->shape, .n_streams = (int)settings.top.envs_per_actor,
        .normalises = w->normalises, .scales_rewards = w->scales_rewards,
    };
    g->self = create_instance(w, a, hyper, &settings, spec, activation, arena);
    g->params = algorithm_params(a, g->self);
    a->policy(g->self, &g->n_policy);
    create_buffers(g, &(struct row_statistics_setup){
        .shape = spec->shape, .n_streams = g->n_streams, .of_observations = w->normalises,
        .of_rewards = w->scales_rewards, .discount = traits.discount }, (int)w->horizon, arena);
    return 0;
}

void gradients_destroy(struct gradients **g)
{
    if (*g)
        frame_pool_destroy(&(*g)->frames);
    *g = NULL;
}

void gradients_restart(struct gradients *g)
{
    row_statistics_clear(&g->statistics);
    memset(g->statistics.returns, 0, (size_t)g->n_streams * sizeof(*g->statistics.returns));
}

/* ---- versions ---- */

static size_t normaliser_n(const struct gradients *g)
{
    return g->normalises ? 2 * (size_t)g->shape.n_obs : 0;
}

size_t gradients_snapshot_n(const struct gradients *g)
{
    return g->params.n + normaliser_n(g) + (g->scales_rewards ? 1 : 0);
}

const float *gradients_adopt(struct gradients *g, const float *snapshot)
{
    const size_t n = normaliser_n(g);
    const float *statistics = snapshot + g->params.n;
    memcpy(g->params.data, snapshot, g->params.n * sizeof(float));
    memcpy(g->normaliser, statistics, n * sizeof(float));
    g->reward_scale = g->scales_rewards ? statistics[n] : 1;
    memcpy(g->policy, snapshot, g->n_policy * sizeof(float));
    memcpy(g->policy + g->n_policy, statistics, n * sizeof(float));
    return g->policy;
}

/* ---- rounds ---- */

/* The streams' rows one behind the other, raw. Returns why they are none to learn from, or NULL. */
static const char *lay_out(struct gradients *g, const struct stream *streams)
{
    struct round *r = &g->round;
    const size_t stride = (size_t)row_stride(g->shape);
    const char *wrong = NULL;
    r->n_rows = r->n_transitions = 0;
    r->n_fragments = g->n_streams;
    for (int i = 0; i < g->n_streams; i++) {
        const struct stream *s = &streams[i];
        if (!wrong)
            wrong = row_check(g->shape, s->rows, s->n_rows, s->n_transitions);
        memcpy(g->rows + (size_t)r->n_rows * stride, s->rows, (size_t)s->n_rows * stride * sizeof(float));
        g->first[i] = r->n_rows;
        r->n_rows += s->n_rows;
        r->n_transitions += s->n_transitions;
    }
    g->first[g->n_streams] = r->n_rows;
    return wrong;
}

/* Into the statistics, and as the policy that acted saw it. */
static void normalise(struct gradients *g)
{
    const struct round *r = &g->round;
    const size_t stride = (size_t)row_stride(g->shape);
    for (int i = 0; i < g->n_streams; i++) {
        const int n_rows = g->first[i + 1] - g->first[i];
        row_statistics_consume(&g->statistics, i, false, g->rows + (size_t)g->first[i] * stride, n_rows, n_rows);
    }
    if (g->normalises)
        normaliser_apply_rows(g->shape, g->normaliser, r->n_rows, g->rows);
    if (g->scales_rewards)
        normaliser_scale_rewards(g->shape, g->reward_scale, r->n_rows, g->rows);
}

/* Messages hold finite numbers: a metric of a gradient that is finite may all the same have left its range. */
static void bound_metrics(struct gradients *g)
{
    for (int i = 0; i < g->algorithm->n_metrics; i++)
        g->metrics[i] = isnan(g->metrics[i]) ? 0 : fmax(-DBL_MAX, fmin(DBL_MAX, g->metrics[i]));
}

/* Returns, lengths and age of what the streams collected. */
static void describe(struct gradients *g, struct gradient_header *h, const struct stream *streams, int64_t now_us)
{
    size_t n = 0;
    for (int i = 0; i < g->n_streams; i++) {
        const struct stream *s = &streams[i];
        memcpy(g->returns + n, s->returns, (size_t)s->n_episodes * sizeof(*g->returns));
        memcpy(g->lengths + n, s->lengths, (size_t)s->n_episodes * sizeof(*g->lengths));
        n += (size_t)s->n_episodes;
    }
    h->stream = streams[0].number;
    h->life = streams[0].life;
    h->sequence = streams[0].sequence;
    h->n_transitions = g->round.n_transitions;
    h->age_ms = (now_us - streams[0].began_us) / 1000;
    h->returns = (struct bytes){ (const unsigned char *)g->returns, n * sizeof(*g->returns) };
    h->lengths = (struct bytes){ (const unsigned char *)g->lengths, n * sizeof(*g->lengths) };
}

struct frame *gradients_make(struct gradients *g, struct message *m, struct stream *streams, int64_t now_us)
{
    struct gradient_header *h = &m->gradient;
    const size_t n_increment = row_statistics_increment_n(&g->statistics.setup);
    struct frame *frame = frame_pool_take(g->frames);
    unsigned char *bulk = frame_buffer(frame) + g->room;
    size_t bytes = g->params.n * sizeof(float);
    struct error err = { 0 };

    const char *wrong = lay_out(g, streams);
    if (wrong) {
        error_set(&err, ERR_NUMERIC, "%s", wrong);
    } else {
        normalise(g);
        g->algorithm->gradient(g->self, &g->round, (float *)(void *)bulk, g->metrics, &err);
    }
    if (err.code != 0) {
        snprintf(h->failure, sizeof(h->failure), "%.159s", err.text);
        memset(g->metrics, 0, (size_t)g->algorithm->n_metrics * sizeof(*g->metrics));
        bytes = 0;
    }
    bound_metrics(g);
    row_statistics_increment(&g->statistics, g->increment);
    row_statistics_clear(&g->statistics);

    describe(g, h, streams, now_us);
    h->metrics = (struct bytes){ (const unsigned char *)g->metrics, (size_t)g->algorithm->n_metrics * sizeof(double) };
    h->statistics = (struct bytes){ (const unsigned char *)g->increment, n_increment * sizeof(double) };
    h->gradient = (struct bytes){ bulk, bytes };
    h->checksum = digest_crc32(bulk, bytes);
    unsigned char *begin = message_encode_before(m, bulk);
    frame->data = begin;
    frame->size = (size_t)(bulk - begin) + bytes;
    for (int i = 0; i < g->n_streams; i++)
        frame_release(stream_take(&streams[i]));
    return frame;
}
