#include "learner/training_private.h"

#include <string.h>

#include "common/digest.h"

enum { MAX_SKIPPED_IN_A_ROW = 10 };

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
    if (n)
        training_count(t, f);
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
        training_count_metrics(t, metrics);
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
