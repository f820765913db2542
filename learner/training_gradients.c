#include "learner/training_private.h"

#include <string.h>

void training_create_gradients(struct training *t)
{
    const size_t n_statistics = normalisation_increment_n(t->normalisation);
    t->n_trained = training_n_trained(t);
    t->n_shared = t->n_trained + (t->settings->learner.normalise_observations ? 2 * (size_t)t->shape.n_obs : 0)
                + (t->settings->learner.scale_rewards ? 1 : 0);
    t->gradient = arena_alloc(t->arena, t->n_trained, sizeof(*t->gradient));
    t->shared = arena_alloc(t->arena, t->n_shared, sizeof(*t->shared));
    t->statistics = arena_alloc(t->arena, n_statistics, sizeof(*t->statistics));
}

const float *training_share(struct training *t)
{
    size_t n = t->n_trained;
    memcpy(t->shared, algorithm_params(t->algorithm, t->self).data, n * sizeof(*t->shared));
    n += normalisation_write(t->normalisation, t->shared + n);
    normalisation_write_reward_scale(t->normalisation, t->shared + n);
    return t->shared;
}

/* One step with it, wherever it was computed. */
static int apply(struct training *t, const struct fragment *f, double progress, double *metrics, struct error *err)
{
    if (f->gradient.size == 0)
        return error_set(err, ERR_NUMERIC, "the actor of stream %lld had a gradient that was not finite",
                         (long long)f->stream);
    memcpy(t->gradient, f->gradient.data, f->gradient.size);
    memcpy(metrics, f->metrics.data, f->metrics.size);
    return t->algorithm->apply(t->self, t->gradient, progress, metrics, err);
}

/* An update and a version. What is published holds the statistics of its rows, too. */
static void take_in(struct training *t, struct fragment *f)
{
    double metrics[ALGORITHM_MAX_METRICS] = { 0 };
    struct error err;
    const double progress = (double)t->limiter.inserts / (double)t->settings->top.total_steps;
    const int64_t left = transitions_left(t);
    training_count_gradient(t, f, left < f->n_transitions ? (int)left : f->n_transitions);
    if (f->statistics.size > 0) {
        memcpy(t->statistics, f->statistics.data, f->statistics.size);
        (void)normalisation_merge(t->normalisation, t->statistics, &err);    /* the session has looked at them */
    }
    const int rc = apply(t, f, progress, metrics, &err);
    training_settle(t, rc, metrics, &err);
    training_advance(t);
    training_finish_with(t, f, FRAGMENT_USED);
    training_publish(t);
}

bool training_step_gradient(struct training *t)
{
    if (transitions_left(t) <= 0)
        return false;
    struct fragment *f = training_take(t, 0);
    if (!f)
        return false;
    const enum fragment_fate fate = training_fate(t, f);
    if (fate != FRAGMENT_USED) {
        training_count_gradient(t, f, 0);
        training_finish_with(t, f, fate);
        return true;
    }
    take_in(t, f);
    training_evaluate_when_due(t);
    return true;
}
