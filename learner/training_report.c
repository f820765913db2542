#include "learner/training_private.h"

#include <math.h>
#include <string.h>

/* The last episodes are remembered. */
static void note_episode(struct training *t, const struct fragment *f, size_t i)
{
    const int64_t k = t->episodes++ % RECENT_EPISODES;
    t->returns[k] = bytes_f64(f->returns, i);
    t->lengths[k] = (double)bytes_u32(f->lengths, i);
}

/* How many episodes end within the first n transitions. */
static size_t ended_episodes(struct row_shape shape, const struct fragment *f, int n)
{
    size_t ended = 0;
    for (int k = 0, seen = 0; seen < n && k < f->n_rows; k++) {
        float kind;
        memcpy(&kind, f->rows.data + (size_t)(k * row_stride(shape) + row_kind(shape)) * sizeof(kind), sizeof(kind));
        seen += kind != (float)ROW_CLOSE;
        ended += kind == (float)ROW_TERMINATED || kind == (float)ROW_TRUNCATED;
    }
    return ended;
}

/* The episodes behind the first n transitions, cut off by total_steps, do not count. */
static void count_episodes(struct training *t, const struct fragment *f, int n)
{
    const size_t told = f->returns.size / sizeof(double), ended = ended_episodes(t->shape, f, n);
    for (size_t i = 0; i < told && i < ended; i++)
        note_episode(t, f, i);
}

/* ---- staleness ---- */

static void ages_add(struct ages *a, int64_t age)
{
    a->bins[age < TRAINING_STALENESS_BINS ? age : TRAINING_STALENESS_BINS - 1]++;
    a->n++;
    a->sum += (double)age;
    a->max = age > a->max ? age : a->max;
}

/* Empty it: nothing stands behind the bin of the greatest age. */
static void ages_clear(struct ages *a)
{
    const int64_t last = a->max < TRAINING_STALENESS_BINS ? a->max : TRAINING_STALENESS_BINS - 1;
    memset(a->bins, 0, (size_t)(last + 1) * sizeof(*a->bins));
    a->n = a->max = 0;
    a->sum = 0;
}

static double ages_mean(const struct ages *a)
{
    return a->n ? a->sum / (double)a->n : 0;
}

/* The least age that a share q of all does not exceed. */
static int64_t ages_quantile(const struct ages *a, double q)
{
    const int64_t wanted = (int64_t)ceil(q * (double)a->n);
    int64_t seen = 0;
    for (int64_t bin = 0; bin < TRAINING_STALENESS_BINS - 1 && bin <= a->max; bin++) {
        seen += a->bins[bin];
        if (seen >= wanted && seen > 0)
            return bin;
    }
    return a->max;
}

void training_tell_ages(struct training *t)
{
    const struct ages *a = &t->version_ages;
    if (a->n == 0)
        return;
    if (t->out.aged)
        t->out.aged(t->out.context, &(struct version_staleness){
            .version = t->version, .env_steps = t->limiter.inserts, .fragments = a->n, .mean = ages_mean(a),
            .p50 = ages_quantile(a, 0.5), .p90 = ages_quantile(a, 0.9), .p99 = ages_quantile(a, 0.99), .max = a->max,
        });
    ages_clear(&t->version_ages);
}

static void count_staleness(struct training *t, int64_t stream, int64_t age)
{
    struct place_ages *p = &t->places[stream / t->settings->top.envs_per_actor];
    p->fragments++;
    p->sum += (double)age;
    p->max = age > p->max ? age : p->max;
    ages_add(&t->ages, age);
    ages_add(&t->version_ages, age);
}

struct training_place training_place(const struct training *t, int64_t i)
{
    const struct place_ages *p = &t->places[i];
    return (struct training_place){ p->fragments, p->max, p->fragments ? p->sum / (double)p->fragments : 0 };
}

/* ---- the books ---- */

/* What entered here: f, of which n transitions count. */
static void write_down(struct training *t, const struct fragment *f, int n)
{
    t->out.scheduled(t->out.context, &(struct schedule_record){
        .kind = is_gradients(t) ? SCHEDULE_GRADIENT : SCHEDULE_FRAGMENT, .update = (uint64_t)t->updates,
        .stream = (uint32_t)f->stream, .life = (uint32_t)f->life, .sequence = (uint64_t)f->sequence,
        .version = (uint64_t)f->version, .n_transitions = (uint32_t)f->n_transitions, .n_used = (uint32_t)n });
}

void training_count_gradient(struct training *t, const struct fragment *f, int n)
{
    const int64_t per_actor = t->settings->top.envs_per_actor, first = f->stream / per_actor * per_actor;
    for (int64_t i = first; i < first + per_actor; i++) {
        t->lives[i] = f->life;
        t->sequences[i] = f->sequence + 1;
    }
    t->limiter.inserts += n;
    for (size_t i = 0; n > 0 && i < f->returns.size / sizeof(double); i++)
        note_episode(t, f, i);
    if (n > 0)
        count_staleness(t, f->stream, t->version - f->version);
    write_down(t, f, n);
}

void training_count(struct training *t, const struct fragment *f, int n)
{
    normalisation_consume(t->normalisation, f->stream, f->life != t->lives[f->stream], f->rows.data,
                          f->n_rows, n);
    t->limiter.inserts += n;
    t->lives[f->stream] = f->life;
    t->sequences[f->stream] = f->sequence + 1;
    t->has_state[f->stream] = t->state_bytes && f->state.size == t->state_bytes;
    if (t->has_state[f->stream])
        memcpy(t->states + (size_t)f->stream * t->state_bytes, f->state.data, t->state_bytes);
    if (n) {
        count_episodes(t, f, n);
        count_staleness(t, f->stream, t->version - f->version);
    }
    write_down(t, f, n);
}

void training_count_metrics(struct training *t, const double *metrics)
{
    t->metric_n++;
    for (int i = 0; i < t->algorithm->n_metrics; i++) {
        t->metric_sums[i] += metrics[i];
        t->last_metrics[i] = metrics[i];
    }
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
        .evaluated_steps = t->answered_eval,
        .samples_per_insert = inserted > 0 ? (double)t->limiter.samples / inserted : 0,
        .staleness_mean = ages_mean(&t->ages), .staleness_p50 = ages_quantile(&t->ages, 0.5),
        .staleness_p90 = ages_quantile(&t->ages, 0.9), .staleness_p99 = ages_quantile(&t->ages, 0.99),
        .staleness_max = t->ages.max,
        .is_random = t->version == 0 && !t->algorithm->is_on_policy,
        .forgotten_statistics = t->forgotten_statistics,
    };
    summarise(t->returns, recent, &r->return_mean, &r->return_min, &r->return_max);
    summarise(t->lengths, recent, &r->length_mean, &r->length_min, &r->length_max);
    for (int i = 0; i < t->algorithm->n_metrics; i++) {
        r->metrics[i] = t->metric_n ? t->metric_sums[i] / (double)t->metric_n : t->last_metrics[i];
        t->metric_sums[i] = 0;
    }
    t->metric_n = 0;
    ages_clear(&t->ages);
}
