#include "learner/training_private.h"

#include <assert.h>
#include <string.h>

void training_size_round(const struct training *t, struct algorithm_setup *as)
{
    const int64_t T = t->settings->actor.horizon;
    as->max_fragments = (int)t->n_streams;
    as->max_transitions = (int)(t->n_streams * T);
    as->max_rows = 2 * as->max_transitions;
}

void training_create_round(struct training *t, const struct algorithm_setup *as)
{
    t->rows = arena_alloc(t->arena, (size_t)as->max_rows * (size_t)row_stride(t->shape), sizeof(float));
    t->first = arena_alloc(t->arena, (size_t)as->max_fragments + 1, sizeof(*t->first));
    t->fragment_staleness = arena_alloc(t->arena, (size_t)as->max_fragments,
                                        sizeof(*t->fragment_staleness));
    t->round = (struct round){ .shape = t->shape, .rows = t->rows, .first = t->first,
                               .staleness = t->fragment_staleness };
}

/* ---- gathering ---- */

/* async: the next fragments in order of arrival, whichever streams they are from. They are acknowledged
 * at once, so that the streams that there are can fill a round alone; into the books they come with the
 * round. Returns whether there are enough. */
static bool gather_arrived(struct training *t)
{
    const int64_t left = transitions_left(t);
    while (t->n_gathered < t->n_streams && t->gathered_transitions < left) {
        struct fragment *f = training_take(t, 0);
        if (!f)
            break;
        const enum fragment_fate fate = training_fate(t, f);
        t->out.consumed(t->out.context, f, fate);
        fragment_push(&t->gathered, f);
        if (fate != FRAGMENT_USED) {
            f->n_rows = 0;    /* to be booked in its turn, behind what its stream did before */
            continue;
        }
        t->n_gathered++;
        t->gathered_transitions += f->n_transitions;
    }
    return t->n_gathered == t->n_streams || t->gathered_transitions >= left;
}

/* ---- laying out ---- */

/* Append the first n > 0 transitions of a fragment to the round, with the row that closes them, as the
 * policy that acted saw them. */
static void lay_out(struct training *t, const struct fragment *f, int n)
{
    struct round *r = &t->round;
    const size_t stride = (size_t)row_stride(t->shape), n_obs = (size_t)t->shape.n_obs;
    float *rows = t->rows + (size_t)r->n_rows * stride;
    assert(f->n_transitions <= t->settings->actor.horizon && f->n_rows <= 2 * f->n_transitions);
    memcpy(rows, f->rows.data, (size_t)f->n_rows * stride * sizeof(float));

    int last = 0;
    for (int seen = 0; seen < n; last++)
        seen += row_kind_of(t->shape, rows + (size_t)last * stride) != ROW_CLOSE;
    float *close = rows + (size_t)last * stride;
    memset(close + n_obs, 0, (stride - n_obs) * sizeof(float));
    close[row_kind(t->shape)] = (float)ROW_CLOSE;

    if (!normalisation_apply_version(t->normalisation, f->version, last + 1, rows))
        t->forgotten_statistics++;
    t->first[r->n_fragments] = r->n_rows;
    t->fragment_staleness[r->n_fragments++] = t->version - f->version;
    r->n_rows += last + 1;
    r->n_transitions += n;
    t->first[r->n_fragments] = r->n_rows;
}

/* Everything gathered, one behind the other, cut where total_steps is reached. */
static void lay_out_round(struct training *t)
{
    struct round *r = &t->round;
    r->n_rows = r->n_transitions = r->n_fragments = 0;
    r->progress = (double)t->limiter.inserts / (double)t->settings->top.total_steps;
    for (const struct fragment *f = t->gathered.head; f; f = f->next) {
        const int64_t left = transitions_left(t);
        const int most = f->n_rows ? f->n_transitions : 0, n = left < most ? (int)left : most;
        if (n > 0)
            lay_out(t, f, n);
        training_count(t, f, n);
    }
    normalisation_scale_rewards(t->normalisation, r->n_rows, t->rows);
}

/* Begin to learn from what was gathered. A round of nothing but refused fragments is over at once. */
static void begin_round(struct training *t)
{
    struct fragment *f;
    lay_out_round(t);
    while (!is_lockstep(t) && (f = fragment_pop(&t->gathered)))
        fragment_pool_give(t->fragments, f);
    t->n_gathered = t->gathered_transitions = 0;
    if (t->round.n_transitions > 0) {
        t->algorithm->begin(t->self, &t->round, &t->update_rng);
        t->in_round = true;
        return;
    }
    if (is_lockstep(t))
        training_publish_round(t);
    while ((f = fragment_pop(&t->gathered)))
        training_finish_with(t, f, FRAGMENT_REFUSED);
}

bool training_step_round(struct training *t)
{
    double metrics[ALGORITHM_MAX_METRICS];
    struct error err;
    if (!t->in_round) {
        if (transitions_left(t) <= 0 || !(is_lockstep(t) ? training_gather_streams(t) : gather_arrived(t)))
            return false;
        begin_round(t);
        return true;
    }
    if (t->algorithm->has_more(t->self)) {
        int rc = t->algorithm->step(t->self, metrics, &err);
        training_settle(t, rc, metrics, &err);
    } else {
        training_advance(t);
        training_end_round(t);
    }
    return true;
}
