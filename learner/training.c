#include "learner/training_private.h"

#include <string.h>

#include "common/digest.h"

enum { KEPT_VERSIONS = 64 };

/* Statistics, and what is published with them. */
static void create_normalisation(struct training *t)
{
    const struct settings *settings = t->settings;
    struct normalisation_setup normalised = {
        .shape = t->shape, .n_streams = t->n_streams,
        .of_observations = settings->learner.normalise_observations,
        .of_rewards = settings->learner.scale_rewards,
        .discount = t->traits.discount,
        .n_kept = t->algorithm->is_on_policy && !is_gradients(t) ? KEPT_VERSIONS : 0,
    };
    size_t n_policy;
    t->algorithm->policy(t->self, &n_policy);
    t->normalisation = normalisation_create(&normalised, t->arena);
    normalised.n_kept = 0;
    t->start_normalisation = normalisation_create(&normalised, t->arena);
    t->loaded_normalisation = normalisation_create(&normalised, t->arena);
    t->n_snapshot = n_policy + (settings->learner.normalise_observations ? 2 * (size_t)t->shape.n_obs : 0);
    t->snapshot = arena_alloc(t->arena, t->n_snapshot, sizeof(float));
    const size_t n_kept = settings->top.mode == MODE_PIPELINED ? t->n_snapshot : 0;
    t->current = arena_alloc(t->arena, n_kept, sizeof(float));
    t->previous = arena_alloc(t->arena, n_kept, sizeof(float));
}

/* Where every stream is, and who brings it. */
static void create_streams(struct training *t)
{
    const size_t n_queues = is_lockstep(t) ? (size_t)t->n_streams : 1;
    t->queues = arena_alloc(t->arena, n_queues, sizeof(*t->queues));
    t->lives = arena_alloc(t->arena, (size_t)t->n_streams, sizeof(*t->lives));
    t->sequences = arena_alloc(t->arena, (size_t)t->n_streams, sizeof(*t->sequences));
    t->has_state = arena_alloc(t->arena, (size_t)t->n_streams, sizeof(*t->has_state));
    t->states = arena_alloc(t->arena, (size_t)t->n_streams, t->state_bytes);
    t->places = arena_alloc(t->arena, (size_t)t->settings->top.actors, sizeof(*t->places));
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
        .hyper = setup->hyper, .engine = setup->engine,
    };
    if (t->algorithm->is_on_policy)
        training_size_round(t, &as);
    if (is_gradients(t))    /* rounds are the actors' */
        as.max_fragments = as.max_transitions = as.batch_size = 1, as.max_rows = 2;
    t->self = t->algorithm->create(&as, arena);
    if (t->algorithm->is_on_policy)
        training_create_round(t, &as);
    else
        training_create_replayed(t);

    create_normalisation(t);
    training_create_start(t);
    if (is_gradients(t))
        training_create_gradients(t);
    rng_init(&t->sample_rng, as.seed, RNG_SAMPLE, 0, 0);
    rng_init(&t->update_rng, as.seed, RNG_UPDATE, 0, 0);

    create_streams(t);
    arena_seal(arena);
    return t;
}

void training_destroy(struct training **training)
{
    struct training *t = *training;
    if (!t)
        return;
    struct fragment *f;
    for (int64_t i = 0; i < (is_lockstep(t) ? t->n_streams : 1); i++)
        while ((f = fragment_pop(&t->queues[i])))
            fragment_pool_give(t->fragments, f);
    while ((f = fragment_pop(&t->gathered)))
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

size_t training_snapshot_n(const struct training *t)
{
    return is_gradients(t) ? t->n_shared : t->n_snapshot;
}

size_t training_n_trained(const struct training *t)
{
    return algorithm_params(t->algorithm, t->self).n;
}

void training_publish(struct training *t)
{
    size_t n = t->n_shared;
    const float *params = is_gradients(t) ? training_share(t) : training_policy(t, &n);
    const bool is_random = t->version == 0 && !t->algorithm->is_on_policy;
    if (!training_is_finite(t, params, n, is_gradients(t) ? "the parameters" : "the policy"))
        return;
    t->published = t->version;
    t->out.publish(t->out.context, t->version, is_random, params, n);
}

/* pipelined: what is published now. A run that is resumed needs the one before again. */
static void keep_current(struct training *t)
{
    size_t n;
    if (t->settings->top.mode == MODE_PIPELINED)
        memcpy(t->current, training_policy(t, &n), t->n_snapshot * sizeof(float));
}

void training_publish_round(struct training *t)
{
    if (t->version != t->published)
        training_publish(t);
    if (!is_lockstep(t))
        return;
    t->rounds++;
    t->previous_version = t->round_version;
    t->round_version = t->published;
    if (t->settings->top.mode == MODE_PIPELINED)
        memcpy(t->previous, t->current, t->n_snapshot * sizeof(float));
    if (t->published == t->version)
        keep_current(t);
    t->out.round(t->out.context, t->rounds, t->round_version, t->previous_version);
}

/* Actors need the version before the last one, too, where a pipelined run goes on. */
static void begin_rounds(struct training *t)
{
    t->round_version = t->version;
    keep_current(t);
    if (t->rounds == 0) {
        t->previous_version = t->version;
        memcpy(t->previous, t->current, t->settings->top.mode == MODE_PIPELINED ? t->n_snapshot * sizeof(float) : 0);
    } else if (t->settings->top.mode == MODE_SYNC) {
        t->previous_version = t->version;    /* nobody begins with it */
    } else if (t->previous_version != t->version) {
        const bool is_random = t->previous_version == 0 && !t->algorithm->is_on_policy;
        normalisation_keep_written(t->normalisation, t->previous_version, t->previous + t->n_snapshot);
        t->out.publish(t->out.context, t->previous_version, is_random, t->previous, t->n_snapshot);
    }
}

void training_advance(struct training *t)
{
    t->version++;
    training_tell_ages(t);
    if (t->algorithm->is_on_policy) {
        normalisation_refresh(t->normalisation);
        normalisation_keep(t->normalisation, t->version);
    }
}

void training_begin(struct training *t)
{
    if (is_lockstep(t))
        begin_rounds(t);
    normalisation_keep(t->normalisation, t->version);
    training_keep_start(t);
    training_publish(t);
    if (is_lockstep(t))
        t->out.round(t->out.context, t->rounds, t->round_version, t->previous_version);
    /* An evaluation that was asked for before a restart and not answered: between rounds the policy is
     * still the same. */
    if (t->algorithm->is_on_policy)
        training_evaluate_when_due(t);
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
    struct fragment_queue *q = &t->queues[is_lockstep(t) ? f->stream : 0];
    t->streams_ready += q->head == NULL;
    fragment_push(q, f);
}

struct fragment *training_take(struct training *t, int64_t queue)
{
    struct fragment *f = fragment_pop(&t->queues[queue]);
    t->streams_ready -= f && !t->queues[queue].head;
    return f;
}

bool training_gather_streams(struct training *t)
{
    if (t->streams_ready < t->n_streams)
        return false;
    for (int64_t i = 0; i < t->n_streams; i++)
        fragment_push(&t->gathered, training_take(t, i));
    return true;
}

void training_finish_with(struct training *t, struct fragment *f, enum fragment_fate fate)
{
    t->out.consumed(t->out.context, f, fate);
    fragment_pool_give(t->fragments, f);
}

enum fragment_fate training_fate(const struct training *t, const struct fragment *f)
{
    const int64_t bound = t->settings->learner.max_staleness;
    return f->n_rows == 0                                 ? FRAGMENT_REFUSED
         : bound > 0 && t->version - f->version > bound   ? FRAGMENT_STALE
                                                          : FRAGMENT_USED;
}

void training_turn_away(struct training *t)
{
    const struct fragment *head;
    while ((head = t->queues[0].head) && training_fate(t, head) != FRAGMENT_USED) {
        struct fragment *f = training_take(t, 0);
        training_count(t, f, 0);
        training_finish_with(t, f, training_fate(t, f));
    }
}

void training_settle(struct training *t, int rc, const double *metrics, const struct error *err)
{
    t->updates++;
    if (rc == 0) {
        t->skipped_in_a_row = 0;
        t->good_updates++;
        training_count_metrics(t, metrics);
    } else {
        training_fail(t, err->text);
    }
    if (t->updates % t->settings->metrics.hash_every == 0)
        training_hash(t);
}

void training_end_round(struct training *t)
{
    struct fragment *f;
    t->in_round = false;
    training_publish_round(t);
    while ((f = fragment_pop(&t->gathered)))
        training_finish_with(t, f, f->n_rows ? FRAGMENT_USED : FRAGMENT_REFUSED);
    training_evaluate_when_due(t);
}

bool training_is_at_rest(const struct training *t)
{
    return !t->in_round || !t->algorithm->is_on_policy;
}

int64_t training_updates(const struct training *t)
{
    return t->updates;
}

/* ---- evaluation and the end ---- */

static void ask_evaluation(struct training *t)
{
    size_t n;
    const float *params = training_policy(t, &n);
    int64_t env_steps = t->limiter.inserts, every = t->settings->eval.every;
    if (every)
        t->next_eval = (env_steps / every + 1) * every;
    if (!training_is_finite(t, params, n, "the policy"))
        return;
    t->asked_eval = env_steps;
    if (is_lockstep(t) && t->settings->eval.stop_at < 1e300)
        t->awaited_eval = env_steps;    /* so that the run stops at the same place every time */
    t->out.evaluate(t->out.context, env_steps, params, n);
}

/* At the points in env_steps that the configuration asks for. */
void training_evaluate_when_due(struct training *t)
{
    if (t->limiter.inserts < t->next_eval || t->limiter.inserts >= t->settings->top.total_steps)
        return;
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

/* Whether all that total_steps asks for was collected and learnt from. */
static bool is_done(const struct training *t)
{
    return transitions_left(t) <= 0 && !t->in_round
        && (t->algorithm->is_on_policy || !training_may_update(t));
}

bool training_is_complete(const struct training *t)
{
    bool has_stopped = t->stop_streak >= t->settings->eval.stop_count;
    bool owes = !t->algorithm->is_on_policy
             && rate_limiter_owed(&t->limiter) >= (double)t->batch.n;
    return has_stopped || (transitions_left(t) <= 0 && !t->in_round && !owes
                           && t->answered_eval >= t->limiter.inserts);
}

/* The last evaluation and hash; then nothing more. */
static enum training_status finish(struct training *t)
{
    if (!t->was_final_evaluated) {
        t->was_final_evaluated = true;
        training_recover_for_good(t);
        training_hash(t);
        if (!t->has_ended && t->answered_eval < t->limiter.inserts)
            ask_evaluation(t);
    }
    t->is_finished = true;
    return TRAINING_FINISHED;
}

enum training_status training_step(struct training *t)
{
    if (t->is_finished)
        return TRAINING_FINISHED;
    if (t->awaited_eval >= 0)
        return TRAINING_WAITING;
    if (t->has_ended && training_is_at_rest(t))
        return finish(t);
    const bool did = is_gradients(t)              ? training_step_gradient(t)
                   : t->algorithm->is_on_policy   ? training_step_round(t)
                                                  : training_step_replayed(t);
    if (!training_recover(t))
        return TRAINING_DIVERGED;
    if (is_done(t))
        return finish(t);
    return did ? TRAINING_BUSY : TRAINING_WAITING;
}
