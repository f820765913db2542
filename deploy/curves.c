#include "deploy/curves.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/statistics.h"

enum { FEW_ROWS = 12 };

static const struct bootstrap HOW = { .seed = 1, .n_draws = 2000 };

static struct curve new_curve(int n, struct arena *arena)
{
    const size_t count = (size_t)n + 1;
    return (struct curve){ n, arena_alloc(arena, count, sizeof(double)), arena_alloc(arena, count, sizeof(double)),
                           arena_alloc(arena, count, sizeof(double)), arena_alloc(arena, count, sizeof(double)) };
}

static int by_x(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct curve curve_of_run(const struct results *run, bool is_training, enum curve_against against,
                          struct arena *arena)
{
    const struct results_table *t = is_training ? &run->metrics : &run->eval;
    const double *x = results_column(t, against == AGAINST_TIME ? "time_s" : "env_steps");
    const double *y = results_column(t, is_training ? "return_mean" : "mean");
    struct curve c = new_curve(t->n_rows, arena);
    double *pairs = arena_alloc(arena, 2 * (size_t)t->n_rows + 1, sizeof(*pairs));
    c.n = 0;
    for (int i = 0; x && y && i < t->n_rows; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i]))
            continue;
        pairs[2 * c.n] = x[i];
        pairs[2 * c.n + 1] = y[i];
        c.n++;
    }
    /* Evaluations that took long may come in out of order. */
    qsort(pairs, (size_t)c.n, 2 * sizeof(*pairs), by_x);
    for (int i = 0; i < c.n; i++) {
        c.x[i] = pairs[2 * i];
        c.value[i] = pairs[2 * i + 1];
        c.low[i] = c.high[i] = (double)NAN;
    }
    return c;
}

static bool have_one_grid(const struct curve *each, int n)
{
    for (int i = 1; i < n; i++)
        if (each[i].n != each[0].n || memcmp(each[i].x, each[0].x, (size_t)each[0].n * sizeof(double)) != 0)
            return false;
    return true;
}

/* The x at which all curves have data; n is 0 where they have none in common. */
static struct curve common_grid(const struct curve *each, int n, struct arena *arena)
{
    double first = -INFINITY, last = INFINITY;
    for (int i = 0; i < n; i++) {
        if (each[i].n == 0)
            return (struct curve){ 0 };
        first = fmax(first, each[i].x[0]);
        last = fmin(last, each[i].x[each[i].n - 1]);
    }
    if (n == 0 || !(first <= last))
        return (struct curve){ 0 };
    if (have_one_grid(each, n)) {
        struct curve c = new_curve(each[0].n, arena);
        memcpy(c.x, each[0].x, (size_t)c.n * sizeof(double));
        return c;
    }
    struct curve c = new_curve(first < last ? CURVE_POINTS : 1, arena);
    for (int i = 0; i < c.n; i++)
        c.x[i] = c.n == 1 || i == c.n - 1 ? last : first + (last - first) * i / (c.n - 1);
    return c;
}

struct curve curve_of_returns(const struct results *const *runs, int n, bool is_training,
                              enum curve_against against, struct arena *arena)
{
    struct curve *each = arena_alloc(arena, (size_t)n + 1, sizeof(*each));
    for (int i = 0; i < n; i++)
        each[i] = curve_of_run(runs[i], is_training, against, arena);
    struct curve c = common_grid(each, n, arena);
    if (c.n == 0)
        return c;
    double *at = arena_alloc(arena, (size_t)n * (size_t)c.n, sizeof(*at));      /* [n][c.n] */
    struct interval *band = arena_alloc(arena, (size_t)c.n, sizeof(*band));
    for (int i = 0; i < n; i++)
        statistics_on_grid(each[i].x, each[i].value, each[i].n, BETWEEN_LINEAR, c.x, c.n, at + (size_t)i * (size_t)c.n);
    const struct scores scores = { at, n, 1, c.n };
    statistics_curve(&scores, NULL, &(struct statistic){ .kind = STATISTIC_IQM }, &HOW, band);
    for (int i = 0; i < c.n; i++) {
        c.value[i] = band[i].value;
        c.low[i] = band[i].low;
        c.high[i] = band[i].high;
    }
    return c;
}

/* ---- columns of metrics.csv ---- */

static const char *column_name(enum curve_kind kind)
{
    switch (kind) {
    case CURVE_RETURN: return "return_mean";
    case CURVE_STALENESS: return "staleness_mean";
    case CURVE_STALENESS_P99: return "staleness_p99";
    case CURVE_STEPS_RATE: return "steps_per_s";
    case CURVE_UPDATES_RATE: return "updates_per_s";
    }
    return "";
}

/* Means of one run's column in `n_bins` bins from 0 to `end`; NAN in those it has no rows in. */
static void bin_column(const struct results *run, enum curve_kind kind, enum curve_against against, double end,
                       int n_bins, double *out)
{
    const struct results_table *t = &run->metrics;
    const double *x = results_column(t, against == AGAINST_TIME ? "time_s" : "env_steps");
    const double *y = results_column(t, column_name(kind));
    double count[CURVE_BINS] = { 0 };
    for (int b = 0; b < n_bins; b++)
        out[b] = 0;
    for (int i = 0; x && y && i < t->n_rows; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i]) || x[i] < 0)
            continue;
        /* A row tells of what lies in front of its x. */
        const int b = (int)fmin(n_bins - 1, fmax(0, ceil(x[i] / end * n_bins) - 1));
        out[b] += y[i];
        count[b]++;
    }
    for (int b = 0; b < n_bins; b++)
        out[b] = count[b] > 0 ? out[b] / count[b] : (double)NAN;
}

/* How far the runs go and how many rows the longest has. */
static double measure(const struct results *const *runs, int n, enum curve_against against, int *n_rows)
{
    double end = 0;
    *n_rows = 0;
    for (int i = 0; i < n; i++) {
        const struct results_table *t = &runs[i]->metrics;
        const double *x = results_column(t, against == AGAINST_TIME ? "time_s" : "env_steps");
        *n_rows = t->n_rows > *n_rows ? t->n_rows : *n_rows;
        for (int k = 0; k < t->n_rows; k++)
            end = isfinite(x[k]) ? fmax(end, x[k]) : end;
    }
    return end;
}

struct curve curve_of_column(const struct results *const *runs, int n, enum curve_kind kind,
                             enum curve_against against, struct arena *arena)
{
    int n_bins;
    const double end = measure(runs, n, against, &n_bins);
    /* Several rows to a bin, so that a fragment more or less in a row is not seen. */
    n_bins = n_bins <= FEW_ROWS ? n_bins : n_bins / 3 < FEW_ROWS ? FEW_ROWS : n_bins / 3;
    n_bins = n_bins < CURVE_BINS ? n_bins : CURVE_BINS;
    struct curve c = new_curve(n_bins, arena);
    double *at = arena_alloc(arena, (size_t)n * (size_t)n_bins + 1, sizeof(*at));   /* [n][n_bins] */
    c.n = 0;
    for (int i = 0; i < n && end > 0; i++)
        bin_column(runs[i], kind, against, end, n_bins, at + (size_t)i * (size_t)n_bins);
    for (int b = 0; b < n_bins && end > 0; b++) {
        double sum = 0, low = INFINITY, high = -INFINITY;
        int count = 0;
        for (int i = 0; i < n; i++) {
            const double v = at[(size_t)i * (size_t)n_bins + (size_t)b];
            if (!isfinite(v))
                continue;
            sum += v;
            low = fmin(low, v);
            high = fmax(high, v);
            count++;
        }
        if (2 * count < n || count == 0)
            continue;
        c.x[c.n] = end * (b + 0.5) / n_bins;
        c.value[c.n] = sum / count;
        c.low[c.n] = count > 1 ? low : (double)NAN;
        c.high[c.n++] = count > 1 ? high : (double)NAN;
    }
    return c;
}
