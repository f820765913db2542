#include "common/row_statistics.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const double VARIANCE_FLOOR = 1e-8;

/* ---- moments ---- */

static size_t moments_size(int n)
{
    return 1 + 2 * (size_t)n;
}

static struct moments moments_create(int n, struct arena *arena)
{
    return (struct moments){ n, arena_alloc(arena, moments_size(n), sizeof(double)) };
}

/* So many samples of mean 0 and variance 1. */
static void moments_start(struct moments *m, double count)
{
    m->store[0] = count;
    for (int i = 0; i < m->n; i++) {
        m->store[1 + i] = 0;
        m->store[1 + m->n + i] = count;
    }
}

/* Merge a sample: count > 0, mean [n], M2 [n]. */
static void moments_merge(struct moments *m, double count, const double *mean, const double *m2)
{
    double *own = m->store, *own_mean = own + 1, *own_m2 = own + 1 + m->n;
    double total = own[0] + count;
    for (int i = 0; i < m->n; i++) {
        double delta = mean[i] - own_mean[i];
        own_mean[i] += delta * count / total;
        own_m2[i] += m2[i] + delta * delta * own[0] * count / total;
    }
    own[0] = total;
}

double moments_inverse_std(const struct moments *m, int i)
{
    double variance = m->store[1 + m->n + i] / m->store[0];
    return 1 / sqrt(variance + VARIANCE_FLOOR);
}

void row_statistics_init(struct row_statistics *s, const struct row_statistics_setup *setup,
                         struct arena *arena)
{
    const size_t n_obs = (size_t)setup->shape.n_obs;
    *s = (struct row_statistics){ .setup = *setup };
    s->obs = moments_create(setup->shape.n_obs, arena);
    s->ret = moments_create(1, arena);
    s->returns = arena_alloc(arena, (size_t)setup->n_streams, sizeof(double));
    s->mean = arena_alloc(arena, n_obs, sizeof(double));
    s->m2 = arena_alloc(arena, n_obs, sizeof(double));
    moments_start(&s->obs, setup->first_count);
    moments_start(&s->ret, setup->first_count);
}

/* ---- consuming ---- */

/* One row's field, from bytes of any alignment. */
static float field(const struct row_statistics *s, const void *rows, int row, int i)
{
    float x;
    const size_t at = (size_t)row * (size_t)row_stride(s->setup.shape) + (size_t)i;
    memcpy(&x, (const unsigned char *)rows + at * sizeof(x), sizeof(x));
    return x;
}

static enum row_kind kind_at(const struct row_statistics *s, const void *rows, int row)
{
    return (enum row_kind)(int)field(s, rows, row, row_kind(s->setup.shape));
}

/* Mean and squared deviations of the observations of the first `max` transitions, in two passes. */
static void consume_observations(struct row_statistics *s, const void *rows, int n_rows, int max)
{
    const int n_obs = s->setup.shape.n_obs;
    const size_t bytes = (size_t)n_obs * sizeof(double);
    int count = 0;
    memset(s->mean, 0, bytes);
    memset(s->m2, 0, bytes);
    for (int r = 0; r < n_rows && count < max; r++) {
        if (kind_at(s, rows, r) == ROW_CLOSE)
            continue;
        for (int i = 0; i < n_obs; i++)
            s->mean[i] += (double)field(s, rows, r, i);
        count++;
    }
    if (count == 0)
        return;
    for (int i = 0; i < n_obs; i++)
        s->mean[i] /= count;
    for (int r = 0, seen = 0; r < n_rows && seen < count; r++) {
        if (kind_at(s, rows, r) == ROW_CLOSE)
            continue;
        for (int i = 0; i < n_obs; i++) {
            double deviation = (double)field(s, rows, r, i) - s->mean[i];
            s->m2[i] += deviation * deviation;
        }
        seen++;
    }
    moments_merge(&s->obs, count, s->mean, s->m2);
}

static void consume_rewards(struct row_statistics *s, double *running, const void *rows, int n_rows,
                            int max)
{
    for (int r = 0, seen = 0; r < n_rows && seen < max; r++) {
        const enum row_kind kind = kind_at(s, rows, r);
        if (kind == ROW_CLOSE)
            continue;
        *running = s->setup.discount * *running
                 + (double)field(s, rows, r, row_reward(s->setup.shape));
        moments_merge(&s->ret, 1, running, &(double){ 0 });
        if (kind != ROW_STEP)
            *running = 0;
        seen++;
    }
}

void row_statistics_consume(struct row_statistics *s, int64_t stream, bool is_fresh, const void *rows,
                            int n_rows, int max)
{
    if (s->setup.of_observations)
        consume_observations(s, rows, n_rows, max);
    if (s->setup.of_rewards) {
        if (is_fresh)
            s->returns[stream] = 0;
        consume_rewards(s, &s->returns[stream], rows, n_rows, max);
    }
}

/* ---- increments ---- */

/* Where the moments of R stand in an increment. */
static size_t returns_offset(const struct row_statistics_setup *setup)
{
    return setup->of_observations ? moments_size(setup->shape.n_obs) : 0;
}

size_t row_statistics_increment_n(const struct row_statistics_setup *setup)
{
    return returns_offset(setup) + (setup->of_rewards ? moments_size(1) : 0);
}

void row_statistics_increment(const struct row_statistics *s, double *out)
{
    if (s->setup.of_observations)
        memcpy(out, s->obs.store, moments_size(s->obs.n) * sizeof(double));
    if (s->setup.of_rewards)
        memcpy(out + returns_offset(&s->setup), s->ret.store, moments_size(1) * sizeof(double));
}

void row_statistics_clear(struct row_statistics *s)
{
    moments_start(&s->obs, s->setup.first_count);
    moments_start(&s->ret, s->setup.first_count);
}

/* Whether these can be the count, mean and M2 of numbers up to `limit` in size. */
static bool are_possible(const double *x, int n, double limit)
{
    const double max_count = 9007199254740992.0;    /* 2^53, up to which doubles count */
    bool is_possible = x[0] >= 0 && x[0] <= max_count && x[0] == floor(x[0]);
    for (int i = 0; i < n && is_possible; i++)
        is_possible = fabs(x[1 + i]) <= limit && x[1 + n + i] >= 0
                   && x[1 + n + i] <= 4 * limit * limit * x[0];
    return is_possible;
}

int row_statistics_merge(struct row_statistics *s, const double *increment, struct error *err)
{
    /* Observations are float32; returns are sums of such numbers. */
    const double max_return = 1e60;
    const double *obs = increment, *ret = increment + returns_offset(&s->setup);
    if (s->setup.of_observations && !are_possible(obs, s->obs.n, (double)FLT_MAX))
        return error_set(err, ERR_FORMAT, "the increment's statistics of observations cannot be");
    if (s->setup.of_rewards && !are_possible(ret, 1, max_return))
        return error_set(err, ERR_FORMAT, "the increment's statistics of returns cannot be");
    if (s->setup.of_observations && s->setup.of_rewards && obs[0] != ret[0])
        return error_set(err, ERR_FORMAT, "the increment is of %g observations and %g rewards, and transitions have "
                         "one of each", obs[0], ret[0]);
    if (s->setup.of_observations && obs[0] > 0)
        moments_merge(&s->obs, obs[0], obs + 1, obs + 1 + s->obs.n);
    if (s->setup.of_rewards && ret[0] > 0)
        moments_merge(&s->ret, ret[0], ret + 1, ret + 2);
    return 0;
}
