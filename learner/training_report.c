#include "learner/training_private.h"

#include <math.h>
#include <string.h>

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
    for (size_t i = 0; i < told && i < ended; i++) {
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

void training_count(struct training *t, const struct fragment *f, int n)
{
    const struct schedule_record record = {
        .kind = SCHEDULE_FRAGMENT, .update = (uint64_t)t->updates, .stream = (uint32_t)f->stream,
        .life = (uint32_t)f->life, .sequence = (uint64_t)f->sequence, .version = (uint64_t)f->version,
        .n_transitions = (uint32_t)f->n_transitions, .n_used = (uint32_t)n,
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
        count_episodes(t, f, n);
        count_staleness(t, t->version - f->version);
    }
    t->out.scheduled(t->out.context, &record);
}

void training_count_metrics(struct training *t, const double *metrics)
{
    t->metric_n++;
    for (int i = 0; i < t->algorithm->n_metrics; i++) {
        t->metric_sums[i] += metrics[i];
        t->last_metrics[i] = metrics[i];
    }
}

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
        .evaluated_steps = t->answered_eval,
        .samples_per_insert = inserted > 0 ? (double)t->limiter.samples / inserted : 0,
        .staleness_mean = t->staleness_n ? t->staleness_sum / (double)t->staleness_n : 0,
        .staleness_p50 = staleness_quantile(t, 0.5), .staleness_p99 = staleness_quantile(t, 0.99),
        .staleness_max = t->staleness_max,
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
    memset(t->staleness, 0, sizeof(t->staleness));
    t->staleness_n = t->staleness_max = 0;
    t->staleness_sum = 0;
}
