#include "learner/training.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/digest.h"
#include "common/rng.h"
#include "learner/normalisation.h"
#include "learner/rate_limiter.h"
#include "learner/replay.h"

enum { RECENT_EPISODES = 20, MAX_SKIPPED_IN_A_ROW = 10 };

/* Integers of a checkpoint, in this order. */
enum counter {
    COUNT_VERSION, COUNT_UPDATES, COUNT_INSERTS, COUNT_SAMPLES, COUNT_MIN_SIZE, COUNT_EPISODES,
    COUNT_SAMPLE_RNG, COUNT_UPDATE_RNG, COUNT_NEXT_EVAL, COUNT_STOP_STREAK, COUNT_HASHED, COUNT_EVALUATED,
    N_COUNTERS
};

struct training {
    const struct settings *settings;
    const struct algorithm *algorithm;
    struct training_out out;
    struct fragment_pool *fragments;
    struct row_shape shape;
    int64_t n_streams;
    size_t state_bytes;
    struct arena *arena;

    void *self;                          /* the algorithm */
    struct replay *replay;
    struct normalisation *normalisation;
    float *snapshot;                     /* [n] what training_policy gives */
    struct rate_limiter limiter;
    struct rng sample_rng, update_rng;
    struct algorithm_traits traits;
    struct batch batch;
    struct replay_draw draw;             /* what `batch` reads */
    float *noise;

    struct fragment_queue *queues;       /* async: one; sync: one per stream */
    int64_t streams_ready;               /* sync: streams with something in their queue */
    bool in_round;                       /* sync: a round was appended, its updates are under way */
    struct fragment_queue round;         /* sync: its fragments, to be acknowledged at its end */

    int64_t version, updates, episodes, published;
    int64_t hashed_update;               /* last update a hash was emitted for; -1: none */
    int64_t skipped, skipped_in_a_row;
    int64_t next_eval;                   /* env_steps; INT64_MAX: only at the end */
    int64_t asked_eval, answered_eval;   /* env_steps of the last ones; -1: none */
    int64_t stop_streak, awaited_eval;   /* awaited_eval: env_steps of the answer waited for, or -1 */
    bool has_ended, is_finished, was_final_evaluated;

    int64_t *lives, *sequences;          /* [n_streams] consumed */
    int64_t *has_state;                  /* [n_streams] 1: `states` is where the next one begins */
    unsigned char *states;               /* [n_streams][state_bytes] */
    int64_t counters[N_COUNTERS];        /* for training_save */
    double limiter_start;

    double returns[RECENT_EPISODES], lengths[RECENT_EPISODES];    /* rings, by episodes */
    int64_t staleness[TRAINING_STALENESS_BINS], staleness_n, staleness_max;
    double staleness_sum;
    double metric_sums[ALGORITHM_MAX_METRICS], last_metrics[ALGORITHM_MAX_METRICS];
    int64_t metric_n;
};

static bool is_sync(const struct training *t)
{
    return t->settings->top.mode == MODE_SYNC;
}

int64_t training_capacity(const struct settings *s)
{
    int64_t capacity = s->replay.capacity < s->top.total_steps ? s->replay.capacity
                                                               : s->top.total_steps;
    return capacity > s->actor.horizon ? capacity : s->actor.horizon;
}

struct replay_setup training_replay(const struct settings *s, struct row_shape shape, double discount)
{
    return (struct replay_setup){
        .shape = shape, .capacity = training_capacity(s), .horizon = (int)s->actor.horizon,
        .n_step = (int)s->replay.n_step, .discount = discount,
        .is_prioritised = s->replay.prioritised, .priority_exponent = s->replay.priority_exponent,
    };
}

struct training *training_create(const struct training_setup *setup, struct training_out out)
{
    const struct settings *settings = setup->settings;
    struct arena *arena = arena_create(1 << 20);
    struct training *t = arena_alloc(arena, 1, sizeof(*t));
    t->arena = arena;
    t->settings = settings;
    t->algorithm = setup->algorithm;
    t->out = out;
    t->fragments = setup->fragments;
    t->shape = setup->spec->shape;
    t->n_streams = settings->top.actors * settings->top.envs_per_actor;
    t->state_bytes = setup->state_bytes;
    t->hashed_update = t->awaited_eval = t->asked_eval = t->answered_eval = -1;
    t->next_eval = settings->eval.every ? settings->eval.every : INT64_MAX;

    t->algorithm->describe(setup->hyper, setup->spec, &t->traits);
    struct algorithm_setup as = {
        .shape = t->shape, .n_choices = setup->spec->n_choices,
        .policy = settings_policy_body(settings), .critic = settings_critic_body(settings),
        .start = (enum mlp_start)settings->network.init,
        .batch_size = (int)settings->learner.batch_size, .seed = (uint64_t)settings->top.seed,
        .hyper = setup->hyper,
    };
    t->self = t->algorithm->create(&as, arena);

    const struct replay_setup replay = training_replay(settings, t->shape, t->traits.discount);
    t->replay = replay_create(&replay, arena);
    rate_limiter_init(&t->limiter, settings_samples_per_insert(settings),
                      settings_error_buffer(settings), settings->replay.min_size);
    const struct normalisation_setup normalised = {
        .shape = t->shape, .n_streams = t->n_streams,
        .of_observations = settings->learner.normalise_observations,
        .of_rewards = settings->learner.scale_rewards,
        .discount = t->traits.discount,
    };
    size_t n_policy;
    t->algorithm->policy(t->self, &n_policy);
    t->normalisation = normalisation_create(&normalised, arena);
    t->snapshot = arena_alloc(arena, n_policy + 2 * (size_t)t->shape.n_obs, sizeof(float));
    rng_init(&t->sample_rng, as.seed, RNG_SAMPLE, 0, 0);
    rng_init(&t->update_rng, as.seed, RNG_UPDATE, 0, 0);

    size_t B = (size_t)as.batch_size;
    t->draw = (struct replay_draw){
        .rows = arena_alloc(arena, B * 2 * (size_t)row_stride(t->shape), sizeof(float)),
        .discount = arena_alloc(arena, B, sizeof(float)),
        .weight = arena_alloc(arena, B, sizeof(float)),
        .tickets = arena_alloc(arena, B, sizeof(struct replay_ticket)),
    };
    t->noise = arena_alloc(arena, B * (size_t)(t->traits.noise_per_action * t->shape.n_act),
                           sizeof(float));
    t->batch = (struct batch){
        .n = as.batch_size, .shape = t->shape, .rows = t->draw.rows, .noise = t->noise,
        .discount = t->draw.discount, .weight = t->draw.weight,
        .td_error = arena_alloc(arena, B, sizeof(float)),
    };
    size_t n_queues = is_sync(t) ? (size_t)t->n_streams : 1;
    t->queues = arena_alloc(arena, n_queues, sizeof(*t->queues));
    t->lives = arena_alloc(arena, (size_t)t->n_streams, sizeof(*t->lives));
    t->sequences = arena_alloc(arena, (size_t)t->n_streams, sizeof(*t->sequences));
    t->has_state = arena_alloc(arena, (size_t)t->n_streams, sizeof(*t->has_state));
    t->states = arena_alloc(arena, (size_t)t->n_streams, t->state_bytes);
    arena_seal(arena);
    return t;
}

void training_destroy(struct training **training)
{
    struct training *t = *training;
    if (!t)
        return;
    struct fragment *f;
    for (int64_t i = 0; i < (is_sync(t) ? t->n_streams : 1); i++)
        while ((f = fragment_pop(&t->queues[i])))
            fragment_pool_give(t->fragments, f);
    while ((f = fragment_pop(&t->round)))
        fragment_pool_give(t->fragments, f);
    struct arena *arena = t->arena;
    arena_destroy(&arena);
    *training = NULL;
}

const float *training_policy(const struct training *t, size_t *n)
{
    const float *params = t->algorithm->policy(t->self, n);
    memcpy(t->snapshot, params, *n * sizeof(float));
    *n += normalisation_write(t->normalisation, t->snapshot + *n);
    return t->snapshot;
}

static void publish(struct training *t)
{
    size_t n;
    const float *params = training_policy(t, &n);
    int64_t start_version = is_sync(t) ? t->version : 0;
    t->published = t->version;
    t->out.publish(t->out.context, t->version, start_version, t->version == 0, params, n);
}

void training_begin(struct training *t)
{
    publish(t);
}

void training_hash(struct training *t)
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    char hex[DIGEST_HEX_BYTES];
    int n = t->algorithm->arrays(t->self, arrays);
    if (t->hashed_update == t->updates)
        return;
    t->hashed_update = t->updates;
    for (int i = 0; i < n; i++)
        if (strcmp(arrays[i].name, "params") == 0)
            digest_sha256_hex(arrays[i].data, arrays[i].n * sizeof(real), hex);
    t->out.hash(t->out.context, t->updates, t->limiter.inserts, hex);
}

/* ---- experience ---- */

void training_offer(struct training *t, struct fragment *f)
{
    struct fragment_queue *q = &t->queues[is_sync(t) ? f->stream : 0];
    t->streams_ready += q->head == NULL;
    fragment_push(q, f);
}

static struct fragment *take(struct training *t, int64_t queue)
{
    struct fragment *f = fragment_pop(&t->queues[queue]);
    t->streams_ready -= f && !t->queues[queue].head;
    return f;
}

static void count_episodes(struct training *t, const struct fragment *f)
{
    size_t n = f->returns.size / sizeof(double);
    for (size_t i = 0; i < n; i++) {
        int64_t k = t->episodes++ % RECENT_EPISODES;
        t->returns[k] = bytes_f64(f->returns, i);
        t->lengths[k] = (double)bytes_u32(f->lengths, i);
    }
}

static void count_staleness(struct training *t, int64_t staleness)
{
    int64_t bin = staleness < TRAINING_STALENESS_BINS ? staleness : TRAINING_STALENESS_BINS - 1;
    t->staleness[bin]++;
    t->staleness_n++;
    t->staleness_sum += (double)staleness;
    t->staleness_max = staleness > t->staleness_max ? staleness : t->staleness_max;
}

/* Put a fragment into replay, cut where total_steps is reached, and into the books. */
static void append(struct training *t, const struct fragment *f)
{
    int64_t left = t->settings->top.total_steps - t->limiter.inserts;
    int max = left < f->n_transitions ? (int)left : f->n_transitions;
    int n = f->n_rows ? replay_append(t->replay, f->rows.data, f->n_rows, max) : 0;
    struct schedule_record record = {
        .update = (uint64_t)t->updates, .stream = (uint32_t)f->stream, .life = (uint32_t)f->life,
        .sequence = (uint64_t)f->sequence, .version = (uint64_t)f->version,
        .n_transitions = (uint32_t)n,
    };
    normalisation_consume(t->normalisation, f->stream, f->life != t->lives[f->stream], f->rows.data,
                          f->n_rows, n);
    t->limiter.inserts += n;
    t->lives[f->stream] = f->life;
    t->sequences[f->stream] = f->sequence + 1;
    t->has_state[f->stream] = t->state_bytes && f->state.size == t->state_bytes;
    if (t->has_state[f->stream])
        memcpy(t->states + (size_t)f->stream * t->state_bytes, f->state.data, t->state_bytes);
    if (n) {
        count_episodes(t, f);
        count_staleness(t, t->version - f->version);
    }
    t->out.scheduled(t->out.context, &record);
}

static void finish_with(struct training *t, struct fragment *f)
{
    t->out.consumed(t->out.context, f);
    fragment_pool_give(t->fragments, f);
}

/* async: append what the limiter lets in. Returns whether anything was. */
static bool append_arrived(struct training *t)
{
    bool did = false;
    while (t->queues[0].head && t->limiter.inserts < t->settings->top.total_steps
           && rate_limiter_may_insert(&t->limiter, t->queues[0].head->n_transitions)) {
        struct fragment *f = take(t, 0);
        append(t, f);
        finish_with(t, f);
        did = true;
    }
    return did;
}

/* sync: append one fragment of every stream, in stream order, when all are there. */
static bool append_round(struct training *t)
{
    if (t->streams_ready < t->n_streams)
        return false;
    for (int64_t i = 0; i < t->n_streams; i++) {
        struct fragment *f = take(t, i);
        append(t, f);
        fragment_push(&t->round, f);
    }
    t->in_round = true;
    return true;
}

/* ---- updates ---- */

static bool may_update(const struct training *t)
{
    int64_t B = t->batch.n;
    if (t->limiter.inserts < t->limiter.min_size || replay_size(t->replay) == 0)
        return false;
    bool is_owed = rate_limiter_owed(&t->limiter) >= (double)B;
    bool has_all = t->limiter.inserts >= t->settings->top.total_steps;
    return is_sync(t) || has_all ? is_owed : rate_limiter_may_sample(&t->limiter, B);
}

/* One update. Returns false when too many in a row came to nothing. */
static bool update(struct training *t)
{
    double metrics[ALGORITHM_MAX_METRICS];
    struct error err;
    size_t n_noise = (size_t)(t->batch.n * t->traits.noise_per_action * t->shape.n_act);
    normalisation_refresh(t->normalisation);
    replay_sample(t->replay, &t->sample_rng, t->batch.n, 1, &t->draw);
    normalisation_apply(t->normalisation, t->batch.n, t->draw.rows);
    rng_fill_normal(&t->update_rng, t->noise, n_noise);
    t->batch.progress = (double)t->limiter.inserts / (double)t->settings->top.total_steps;
    int rc = t->algorithm->update(t->self, &t->batch, metrics, &err);
    t->limiter.samples += t->batch.n;
    t->updates++;
    t->version++;
    if (rc == 0) {
        t->skipped_in_a_row = 0;
        t->metric_n++;
        for (int i = 0; i < t->algorithm->n_metrics; i++) {
            t->metric_sums[i] += metrics[i];
            t->last_metrics[i] = metrics[i];
        }
    } else {
        t->skipped++;
        t->skipped_in_a_row++;
    }
    if (t->updates % t->settings->metrics.hash_every == 0)
        training_hash(t);
    return t->skipped_in_a_row < MAX_SKIPPED_IN_A_ROW;
}

/* ---- evaluation and the end ---- */

static void ask_evaluation(struct training *t)
{
    size_t n;
    const float *params = training_policy(t, &n);
    int64_t env_steps = t->limiter.inserts;
    t->asked_eval = env_steps;
    if (is_sync(t) && t->settings->eval.stop_at < 1e300)
        t->awaited_eval = env_steps;    /* so that the run stops at the same place every time */
    t->out.evaluate(t->out.context, env_steps, params, n);
}

/* At the points in env_steps that the configuration asks for. */
static void evaluate_when_due(struct training *t)
{
    int64_t every = t->settings->eval.every;
    if (t->limiter.inserts < t->next_eval || t->limiter.inserts >= t->settings->top.total_steps)
        return;
    t->next_eval = (t->limiter.inserts / every + 1) * every;
    ask_evaluation(t);
}

void training_evaluated(struct training *t, int64_t env_steps, double mean)
{
    t->answered_eval = env_steps;
    if (t->awaited_eval == env_steps)
        t->awaited_eval = -1;
    t->stop_streak = mean >= t->settings->eval.stop_at ? t->stop_streak + 1 : 0;
    if (t->stop_streak >= t->settings->eval.stop_count)
        t->has_ended = true;
}

bool training_is_complete(const struct training *t)
{
    bool has_stopped = t->stop_streak >= t->settings->eval.stop_count;
    return has_stopped || (t->limiter.inserts >= t->settings->top.total_steps && !t->in_round
                           && t->answered_eval >= t->limiter.inserts
                           && rate_limiter_owed(&t->limiter) < (double)t->batch.n);
}

/* The last evaluation and hash; then nothing more. */
static enum training_status finish(struct training *t)
{
    if (!t->was_final_evaluated) {
        t->was_final_evaluated = true;
        training_hash(t);
        if (!t->has_ended && t->answered_eval < t->limiter.inserts)
            ask_evaluation(t);
    }
    t->is_finished = true;
    return TRAINING_FINISHED;
}

/* sync: the round's updates are done; let everybody go on with the new version. */
static void end_round(struct training *t)
{
    struct fragment *f;
    t->in_round = false;
    if (t->version != t->published)
        publish(t);
    while ((f = fragment_pop(&t->round)))
        finish_with(t, f);
    evaluate_when_due(t);
}

enum training_status training_step(struct training *t)
{
    bool did = false;
    if (t->is_finished)
        return TRAINING_FINISHED;
    if (t->awaited_eval >= 0)
        return TRAINING_WAITING;
    if (t->has_ended)
        return finish(t);
    if (!is_sync(t))
        did = append_arrived(t);
    else if (!t->in_round)
        did = append_round(t);

    if ((!is_sync(t) || t->in_round) && may_update(t)) {
        if (!update(t))
            return TRAINING_DIVERGED;
        if (!is_sync(t) && t->version - t->published >= t->settings->learner.publish_every)
            publish(t);
        did = true;
    } else if (t->in_round) {
        end_round(t);
        did = true;
    }
    if (!is_sync(t))
        evaluate_when_due(t);
    if (t->limiter.inserts >= t->settings->top.total_steps && !t->in_round && !may_update(t))
        return finish(t);
    return did ? TRAINING_BUSY : TRAINING_WAITING;
}

/* ---- reports ---- */

static int64_t staleness_quantile(const struct training *t, double q)
{
    int64_t seen = 0, wanted = (int64_t)ceil(q * (double)t->staleness_n);
    for (int64_t bin = 0; bin < TRAINING_STALENESS_BINS; bin++) {
        seen += t->staleness[bin];
        if (seen >= wanted && seen > 0)
            return bin == TRAINING_STALENESS_BINS - 1 ? t->staleness_max : bin;
    }
    return 0;
}

/* Mean, least and greatest of the first n numbers; NaN of none. */
static void summarise(const double *x, int64_t n, double *mean, double *min, double *max)
{
    double sum = 0;
    *min = *max = n ? x[0] : (double)NAN;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i];
        *min = fmin(*min, x[i]);
        *max = fmax(*max, x[i]);
    }
    *mean = n ? sum / (double)n : (double)NAN;
}

void training_report(struct training *t, struct training_report *r)
{
    int64_t recent = t->episodes < RECENT_EPISODES ? t->episodes : RECENT_EPISODES;
    double inserted = (double)t->limiter.inserts - t->limiter.start;
    *r = (struct training_report){
        .env_steps = t->limiter.inserts, .updates = t->updates, .episodes = t->episodes,
        .version = t->version, .sampled = t->limiter.samples, .skipped_updates = t->skipped,
        .samples_per_insert = inserted > 0 ? (double)t->limiter.samples / inserted : 0,
        .staleness_mean = t->staleness_n ? t->staleness_sum / (double)t->staleness_n : 0,
        .staleness_p50 = staleness_quantile(t, 0.5), .staleness_p99 = staleness_quantile(t, 0.99),
        .staleness_max = t->staleness_max, .is_random = t->version == 0,
    };
    summarise(t->returns, recent, &r->return_mean, &r->return_min, &r->return_max);
    summarise(t->lengths, recent, &r->length_mean, &r->length_min, &r->length_max);
    for (int i = 0; i < t->algorithm->n_metrics; i++) {
        r->metrics[i] = t->metric_n ? t->metric_sums[i] / (double)t->metric_n : t->last_metrics[i];
        t->metric_sums[i] = 0;
    }
    t->metric_n = 0;
    memset(t->staleness, 0, sizeof(t->staleness));
    t->staleness_n = t->staleness_max = 0;
    t->staleness_sum = 0;
}

/* ---- saving ---- */

struct training_streams training_streams(const struct training *t)
{
    return (struct training_streams){ t->lives, t->sequences, t->has_state, t->states };
}

static struct tensor tensor_make(const char *name, enum tensor_type type, size_t n,
                                 const void *data)
{
    struct tensor tensor = { .type = type, .n_dims = 1, .dims = { (int64_t)n }, .data = data };
    snprintf(tensor.name, sizeof(tensor.name), "%s", name);
    return tensor;
}

int training_save(struct training *t, struct tensor out[TRAINING_MAX_TENSORS])
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    int n_arrays = t->algorithm->arrays(t->self, arrays), n = 0;
    for (int i = 0; i < n_arrays; i++)
        out[n++] = arrays[i].data
                 ? tensor_make(arrays[i].name, TENSOR_F32, arrays[i].n, arrays[i].data)
                 : tensor_make(arrays[i].name, TENSOR_I64, 1, arrays[i].counter);
    const int64_t counters[N_COUNTERS] = {
        [COUNT_VERSION] = t->version, [COUNT_UPDATES] = t->updates,
        [COUNT_INSERTS] = t->limiter.inserts, [COUNT_SAMPLES] = t->limiter.samples,
        [COUNT_MIN_SIZE] = t->limiter.min_size, [COUNT_EPISODES] = t->episodes,
        [COUNT_SAMPLE_RNG] = (int64_t)t->sample_rng.position,
        [COUNT_UPDATE_RNG] = (int64_t)t->update_rng.position,
        /* What was asked for and not answered is asked for again. */
        [COUNT_NEXT_EVAL] = t->asked_eval == t->answered_eval ? t->next_eval : t->answered_eval + 1,
        [COUNT_STOP_STREAK] = t->stop_streak,
        [COUNT_HASHED] = t->hashed_update, [COUNT_EVALUATED] = t->answered_eval,
    };
    memcpy(t->counters, counters, sizeof(counters));
    t->limiter_start = t->limiter.start;
    size_t streams = (size_t)t->n_streams;
    out[n++] = tensor_make("training.counters", TENSOR_I64, N_COUNTERS, t->counters);
    out[n++] = tensor_make("training.limiter_start", TENSOR_F64, 1, &t->limiter_start);
    out[n++] = tensor_make("training.returns", TENSOR_F64, RECENT_EPISODES, t->returns);
    out[n++] = tensor_make("training.lengths", TENSOR_F64, RECENT_EPISODES, t->lengths);
    out[n++] = tensor_make("streams.lives", TENSOR_I64, streams, t->lives);
    out[n++] = tensor_make("streams.sequences", TENSOR_I64, streams, t->sequences);
    out[n++] = tensor_make("streams.has_state", TENSOR_I64, streams, t->has_state);
    out[n++] = tensor_make("streams.states", TENSOR_U8, streams * t->state_bytes, t->states);
    return n + normalisation_save(t->normalisation, out + n);
}

/* A checkpoint that was damaged or made by hand must not be trained on. */
static int check_loaded(const struct training *t, const struct array *arrays, int n_arrays,
                        const int64_t *counters, struct error *err)
{
    for (int i = 0; i < n_arrays; i++)
        for (size_t j = 0; arrays[i].data && j < arrays[i].n; j++)
            if (!isfinite(arrays[i].data[j]))
                return error_set(err, ERR_NUMERIC, "the checkpoint's \"%s\" holds numbers that "
                                 "are not finite", arrays[i].name);
    bool is_sane = isfinite(t->limiter.start);
    for (int i = 0; i < N_COUNTERS; i++)
        is_sane &= counters[i] >= (i == COUNT_HASHED || i == COUNT_EVALUATED ? -1 : 0);
    for (int64_t i = 0; i < t->n_streams; i++)
        is_sane &= t->lives[i] >= 0 && t->lives[i] <= UINT32_MAX && t->sequences[i] >= 0;
    if (!is_sane)
        return error_set(err, ERR_FORMAT, "the checkpoint's counters cannot be");
    return 0;
}

int training_load(struct training *t, const struct safetensors *file, struct error *err)
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    int n_arrays = t->algorithm->arrays(t->self, arrays), rc = 0;
    int64_t c[N_COUNTERS];
    size_t streams = (size_t)t->n_streams;
    for (int i = 0; i < n_arrays && rc == 0; i++)
        rc = arrays[i].data
           ? safetensors_copy(file, arrays[i].name, TENSOR_F32, arrays[i].n, arrays[i].data, err)
           : safetensors_copy(file, arrays[i].name, TENSOR_I64, 1, arrays[i].counter, err);
    const struct {
        const char *name;
        enum tensor_type type;
        size_t n;
        void *to;
    } rest[] = {
        { "training.counters", TENSOR_I64, N_COUNTERS, c },
        { "training.limiter_start", TENSOR_F64, 1, &t->limiter.start },
        { "training.returns", TENSOR_F64, RECENT_EPISODES, t->returns },
        { "training.lengths", TENSOR_F64, RECENT_EPISODES, t->lengths },
        { "streams.lives", TENSOR_I64, streams, t->lives },
        { "streams.sequences", TENSOR_I64, streams, t->sequences },
        { "streams.has_state", TENSOR_I64, streams, t->has_state },
        { "streams.states", TENSOR_U8, streams * t->state_bytes, t->states },
    };
    for (size_t i = 0; i < sizeof(rest) / sizeof(*rest) && rc == 0; i++)
        rc = safetensors_copy(file, rest[i].name, rest[i].type, rest[i].n, rest[i].to, err);
    if (rc == 0)
        rc = normalisation_load(t->normalisation, file, err);
    if (rc == 0)
        rc = check_loaded(t, arrays, n_arrays, c, err);
    if (rc != 0)
        return rc;
    t->version = c[COUNT_VERSION];
    t->updates = c[COUNT_UPDATES];
    t->limiter.inserts = c[COUNT_INSERTS];
    t->limiter.samples = c[COUNT_SAMPLES];
    t->limiter.min_size = c[COUNT_MIN_SIZE];
    t->episodes = c[COUNT_EPISODES];
    rng_seek(&t->sample_rng, (uint64_t)c[COUNT_SAMPLE_RNG]);
    rng_seek(&t->update_rng, (uint64_t)c[COUNT_UPDATE_RNG]);
    t->next_eval = t->settings->eval.every ? c[COUNT_NEXT_EVAL] : INT64_MAX;
    t->stop_streak = c[COUNT_STOP_STREAK];
    t->hashed_update = c[COUNT_HASHED];
    t->asked_eval = t->answered_eval = c[COUNT_EVALUATED];
    /* Leave something to learn from where little of the run is left. */
    int64_t refill = t->settings->replay.min_size;
    int64_t left = t->settings->top.total_steps - t->limiter.inserts;
    if (t->limiter.inserts >= t->limiter.min_size)
        rate_limiter_restart(&t->limiter, refill < left / 2 ? refill : left / 2);
    return 0;
}
