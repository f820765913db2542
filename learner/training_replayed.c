#include "learner/training_private.h"

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

void training_create_replayed(struct training *t)
{
    const struct settings *s = t->settings;
    const size_t B = (size_t)s->learner.batch_size;
    const struct replay_setup replay = training_replay(s, t->shape, t->traits.discount);
    t->replay = replay_create(&replay, t->arena);
    rate_limiter_init(&t->limiter, settings_samples_per_insert(s), settings_error_buffer(s),
                      s->replay.min_size);
    t->draw = (struct replay_draw){
        .rows = arena_alloc(t->arena, B * 2 * (size_t)row_stride(t->shape), sizeof(float)),
        .discount = arena_alloc(t->arena, B, sizeof(float)),
        .weight = arena_alloc(t->arena, B, sizeof(float)),
        .tickets = arena_alloc(t->arena, B, sizeof(struct replay_ticket)),
    };
    t->noise = arena_alloc(t->arena, B * (size_t)(t->traits.noise_per_action * t->shape.n_act),
                           sizeof(float));
    t->batch = (struct batch){
        .n = (int)B, .shape = t->shape, .rows = t->draw.rows, .noise = t->noise,
        .discount = t->draw.discount, .weight = t->draw.weight,
        .td_error = arena_alloc(t->arena, B, sizeof(float)),
    };
}

/* ---- experience ---- */

/* Put a fragment into replay, cut where total_steps is reached, and into the books. */
static void append(struct training *t, const struct fragment *f)
{
    const int64_t left = transitions_left(t);
    const int max = left < f->n_transitions ? (int)left : f->n_transitions;
    training_count(t, f, f->n_rows ? replay_append(t->replay, f->rows.data, f->n_rows, max) : 0);
}

/* async: append what the limiter lets in. Returns whether anything was. */
static bool append_arrived(struct training *t)
{
    bool did = false;
    for (;;) {
        training_turn_away(t);
        if (!t->queues[0].head || transitions_left(t) <= 0
            || !rate_limiter_may_insert(&t->limiter, t->queues[0].head->n_transitions))
            return did;
        struct fragment *f = training_take(t, 0);
        append(t, f);
        training_finish_with(t, f, FRAGMENT_USED);
        did = true;
    }
}

/* lockstep: append one fragment of every stream, in stream order, when all are there. */
static bool append_round(struct training *t)
{
    if (!training_gather_streams(t))
        return false;
    for (const struct fragment *f = t->gathered.head; f; f = f->next)
        append(t, f);
    t->in_round = true;
    return true;
}

/* ---- updates ---- */

bool training_may_update(const struct training *t)
{
    int64_t B = t->batch.n;
    if (t->limiter.inserts < t->limiter.min_size || replay_size(t->replay) == 0)
        return false;
    bool is_owed = rate_limiter_owed(&t->limiter) >= (double)B;
    return is_lockstep(t) || transitions_left(t) <= 0 ? is_owed
                                                  : rate_limiter_may_sample(&t->limiter, B);
}

static void update(struct training *t)
{
    double metrics[ALGORITHM_MAX_METRICS];
    struct error err;
    const size_t n_noise = (size_t)(t->batch.n * t->traits.noise_per_action * t->shape.n_act);
    const double beta = t->settings->replay.importance_exponent;
    t->batch.progress = rate_limiter_progress(&t->limiter, t->settings->top.total_steps, t->batch.n);
    normalisation_refresh(t->normalisation);
    replay_sample(t->replay, &t->sample_rng, t->batch.n, beta + (1 - beta) * t->batch.progress,
                  &t->draw);
    normalisation_apply(t->normalisation, t->batch.n, t->draw.rows);
    rng_fill_normal(&t->update_rng, t->noise, n_noise);
    int rc = t->algorithm->update(t->self, &t->batch, metrics, &err);
    if (rc == 0)
        replay_prioritise(t->replay, t->batch.n, t->draw.tickets, t->batch.td_error);
    t->limiter.samples += t->batch.n;
    training_advance(t);
    training_settle(t, rc, metrics, &err);
}

bool training_step_replayed(struct training *t)
{
    bool did = false;
    if (!is_lockstep(t))
        did = append_arrived(t);
    else if (!t->in_round)
        did = append_round(t);

    if ((!is_lockstep(t) || t->in_round) && training_may_update(t)) {
        update(t);
        if (!is_lockstep(t) && t->version - t->published >= t->settings->learner.publish_every)
            training_publish(t);
        did = true;
    } else if (t->in_round) {
        training_end_round(t);
        did = true;
    }
    if (!is_lockstep(t))
        training_evaluate_when_due(t);
    return did;
}
