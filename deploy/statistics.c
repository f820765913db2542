#include "deploy/statistics.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/rng.h"

static const double LOW_SHARE = 0.025, HIGH_SHARE = 0.975;

/* ---- one arm ---- */

struct score {
    double value;
    int task, place;        /* place: among the scores in order of tasks, then runs */
};

/* The scores that are there. They stay sorted; a draw only changes how often each of them counts. */
struct strata {
    int n, n_tasks;
    struct score *score;    /* [n] ascending */
    int *begin;             /* [n_tasks + 1] places of each task */
    int *rank;              /* [n] the score at each place */
    int *count;             /* [n] how often each score counts: once, or as drawn */
    double *mean;           /* [n_tasks] scratch */
    struct rng rng;
};

static int by_value(const void *a, const void *b)
{
    const struct score *x = a, *y = b;
    return x->value != y->value ? (x->value > y->value) - (x->value < y->value) : x->place - y->place;
}

static double score_at(const struct scores *x, int run, int task)
{
    return x->at[((size_t)run * (size_t)x->n_tasks + (size_t)task) * (size_t)x->stride];
}

static void strata_init(struct strata *s, const struct scores *x, uint64_t seed, uint32_t arm)
{
    assert(x->n_runs >= 0 && x->n_tasks >= 0 && x->stride > 0);
    const size_t most = (size_t)x->n_runs * (size_t)x->n_tasks, n_tasks = (size_t)x->n_tasks;
    *s = (struct strata){ .n_tasks = x->n_tasks,
                          .score = memory_alloc(most + 1, sizeof(struct score)),
                          .begin = memory_alloc(n_tasks + 1, sizeof(int)),
                          .rank = memory_alloc(most + 1, sizeof(int)),
                          .count = memory_alloc(most + 1, sizeof(int)),
                          .mean = memory_alloc(n_tasks + 1, sizeof(double)) };
    for (int t = 0; t < x->n_tasks; t++) {
        for (int r = 0; r < x->n_runs; r++)
            if (isfinite(score_at(x, r, t))) {
                s->score[s->n] = (struct score){ score_at(x, r, t), t, s->n };
                s->count[s->n++] = 1;
            }
        s->begin[t + 1] = s->n;
    }
    qsort(s->score, (size_t)s->n, sizeof(*s->score), by_value);
    for (int i = 0; i < s->n; i++)
        s->rank[s->score[i].place] = i;
    rng_init(&s->rng, seed, RNG_BOOTSTRAP, arm, 0);
}

static void strata_fini(struct strata *s)
{
    free(s->score);
    free(s->begin);
    free(s->rank);
    free(s->count);
    free(s->mean);
}

static int runs_of(const struct strata *s, int task)
{
    return s->begin[task + 1] - s->begin[task];
}

/* Whether some task has two runs, so that draws can differ. */
static bool has_spread(const struct strata *s)
{
    for (int t = 0; t < s->n_tasks; t++)
        if (runs_of(s, t) > 1)
            return true;
    return false;
}

/* As many runs of each task as it has, with replacement. One word per run; no run is favoured by more
 * than n / 2^32. */
static void draw(struct strata *s)
{
    memset(s->count, 0, (size_t)s->n * sizeof(*s->count));
    for (int t = 0; t < s->n_tasks; t++) {
        const int n = runs_of(s, t), *rank = s->rank + s->begin[t];
        for (int i = 0; i < n; i++)
            s->count[rank[(uint64_t)rng_u32(&s->rng) * (uint64_t)n >> 32]]++;
    }
}

/* ---- statistics of one arm ---- */

/* Trimmed by ranks: the floor(n / 4) lowest and highest of the counted scores do not count. */
static double interquartile_mean(const struct strata *s)
{
    const int from = s->n / 4, to = s->n - from;
    double sum = 0;
    for (int i = 0, first = 0; i < s->n; i++) {
        const int end = first + s->count[i];
        const int inside = (end < to ? end : to) - (first > from ? first : from);
        if (inside > 0)
            sum += inside * s->score[i].value;
        first = end;
    }
    return sum / (to - from);
}

static double optimality_gap(const struct strata *s, double level)
{
    double sum = 0;
    for (int i = 0; i < s->n; i++)
        sum += s->count[i] * fmin(s->score[i].value, level);
    return level - sum / s->n;
}

static double share_above(const struct strata *s, double level)
{
    int above = 0;
    for (int i = s->n - 1; i >= 0 && s->score[i].value > level; i--)
        above += s->count[i];
    return (double)above / s->n;
}

/* The means of the tasks that have runs, into s->mean; how many they are. */
static int task_means(struct strata *s)
{
    memset(s->mean, 0, (size_t)s->n_tasks * sizeof(*s->mean));
    for (int i = 0; i < s->n; i++)
        s->mean[s->score[i].task] += s->count[i] * s->score[i].value;
    int n = 0;
    for (int t = 0; t < s->n_tasks; t++)
        if (runs_of(s, t) > 0)
            s->mean[n++] = s->mean[t] / runs_of(s, t);
    return n;
}

static double mean_of(const double *v, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += v[i];
    return sum / n;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *v, int n)
{
    qsort(v, (size_t)n, sizeof(*v), ascending);
    return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

static double share_of_tasks_above(const double *mean, int n, double level)
{
    int above = 0;
    for (int t = 0; t < n; t++)
        above += mean[t] > level;
    return (double)above / n;
}

static double of_one(struct strata *s, const struct statistic *what)
{
    if (s->n == 0)
        return NAN;
    switch (what->kind) {
    case STATISTIC_MEAN: return mean_of(s->mean, task_means(s));
    case STATISTIC_MEDIAN: return median_of(s->mean, task_means(s));
    case STATISTIC_IQM: return interquartile_mean(s);
    case STATISTIC_GAP: return optimality_gap(s, what->level);
    case STATISTIC_ABOVE: return share_above(s, what->level);
    case STATISTIC_TASKS_ABOVE: return share_of_tasks_above(s->mean, task_means(s), what->level);
    case STATISTIC_IMPROVEMENT: break;
    }
    assert(!"an improvement is of two arms");
    return NAN;
}

/* ---- of two arms ---- */

/* Twice U: 2 for every pair with x > y, 1 for every tie. */
static double pairs_won(const struct strata *x, const struct strata *y, int task)
{
    double won = 0;
    for (int i = x->begin[task]; i < x->begin[task + 1]; i++)
        for (int j = y->begin[task]; j < y->begin[task + 1]; j++) {
            const int a = x->rank[i], b = y->rank[j];
            const int wins = (x->score[a].value > y->score[b].value) + (x->score[a].value >= y->score[b].value);
            won += wins * x->count[a] * y->count[b];
        }
    return won;
}

static double improvement(const struct strata *x, const struct strata *y)
{
    double sum = 0;
    int n = 0;
    for (int t = 0; t < x->n_tasks; t++) {
        const double pairs = (double)runs_of(x, t) * runs_of(y, t);
        if (pairs > 0) {
            sum += pairs_won(x, y, t) / (2 * pairs);
            n++;
        }
    }
    return sum / n;     /* of no tasks: NaN */
}

static double of_arms(struct strata *x, struct strata *y, const struct statistic *what)
{
    if (what->kind == STATISTIC_IMPROVEMENT && y)
        return improvement(x, y);
    const double a = of_one(x, what);
    if (!y)
        return a;
    const double b = of_one(y, what);
    if (what->form == STATISTIC_DIFFERENCE)
        return a - b;
    return b > 0 ? a / b : (double)NAN;
}

/* ---- intervals ---- */

/* Linear between order statistics, as NumPy's percentile does by default. */
static double percentile(const double *sorted, int n, double share)
{
    const double at = share * (n - 1);
    const int i = (int)at;
    return i + 1 < n ? sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]) : sorted[i];
}

static void interval_draw(struct interval *out, struct strata *x, struct strata *y,
                          const struct statistic *what, int n_draws)
{
    assert(n_draws > 0);
    double *value = memory_alloc((size_t)n_draws, sizeof(double));
    int n = 0;
    for (; n < n_draws; n++) {
        draw(x);
        if (y)
            draw(y);
        value[n] = of_arms(x, y, what);
        if (!isfinite(value[n]))
            break;
    }
    if (n == n_draws) {
        qsort(value, (size_t)n, sizeof(*value), ascending);
        out->low = percentile(value, n, LOW_SHARE);
        out->high = percentile(value, n, HIGH_SHARE);
    }
    free(value);
}

/* The statistic and, unless `how` is NULL, its interval. */
static struct interval evaluate(const struct scores *x, const struct scores *y, const struct statistic *what,
                                const struct bootstrap *how)
{
    assert(!y || y->n_tasks == x->n_tasks);
    struct strata arms[2];
    strata_init(&arms[0], x, how ? how->seed : 0, 0);
    if (y)
        strata_init(&arms[1], y, how ? how->seed : 0, 1);
    struct strata *other = y ? &arms[1] : NULL;

    struct interval out = { of_arms(&arms[0], other, what), NAN, NAN };
    if (how && isfinite(out.value) && has_spread(&arms[0]) && (!y || has_spread(other)))
        interval_draw(&out, &arms[0], other, what, how->n_draws);
    strata_fini(&arms[0]);
    if (y)
        strata_fini(other);
    return out;
}

double statistics_of(const struct scores *x, const struct scores *y, const struct statistic *what)
{
    return evaluate(x, y, what, NULL).value;
}

struct interval statistics_interval(const struct scores *x, const struct scores *y,
                                    const struct statistic *what, const struct bootstrap *how)
{
    return evaluate(x, y, what, how);
}

void statistics_profile(const struct scores *x, const struct scores *y, const struct statistic *what,
                        const double *levels, int n, const struct bootstrap *how, struct interval *out)
{
    struct statistic at = *what;
    for (int i = 0; i < n; i++) {
        at.level = levels[i];
        out[i] = evaluate(x, y, &at, how);
    }
}

void statistics_curve(const struct scores *x, const struct scores *y, const struct statistic *what,
                      const struct bootstrap *how, struct interval *out)
{
    assert(!y || y->stride == x->stride);
    for (int p = 0; p < x->stride; p++) {
        struct scores x_there = *x, y_there = y ? *y : *x;
        x_there.at += p;
        y_there.at += p;
        out[p] = evaluate(&x_there, y ? &y_there : NULL, what, how);
    }
}

void statistics_normalise(const struct scores *x, const double *low, const double *high, double *out)
{
    for (int r = 0; r < x->n_runs; r++)
        for (int t = 0; t < x->n_tasks; t++) {
            const double span = high[t] - low[t];
            out[(size_t)r * (size_t)x->n_tasks + (size_t)t] =
                span != 0 ? (score_at(x, r, t) - low[t]) / span : (double)NAN;
        }
}

/* ---- curves ---- */

/* The first finite point from i on; n if there is none. */
static int point_from(const double *x, const double *y, int n, int i)
{
    while (i < n && !(isfinite(x[i]) && isfinite(y[i])))
        i++;
    return i;
}

/* The height at `at`, which lies in [x[i], x[j]], x[i] < x[j]. */
static double height(const double *x, const double *y, int i, int j, enum between between, double at)
{
    return between == BETWEEN_STEP ? y[i] : y[i] + (y[j] - y[i]) * ((at - x[i]) / (x[j] - x[i]));
}

void statistics_on_grid(const double *x, const double *y, int n, enum between between, const double *grid,
                        int n_grid, double *out)
{
    int left = -1, right = point_from(x, y, n, 0);
    for (int g = 0; g < n_grid; g++) {
        for (; right < n && x[right] <= grid[g]; right = point_from(x, y, n, right + 1))
            left = right;
        if (left >= 0 && x[left] == grid[g])
            out[g] = y[left];
        else
            out[g] = left >= 0 && right < n ? height(x, y, left, right, between, grid[g]) : (double)NAN;
    }
}

double statistics_area(const double *x, const double *y, int n, enum between between, double from, double to)
{
    int left = point_from(x, y, n, 0);
    if (left == n || x[left] > from)
        return NAN;
    double sum = 0;
    for (int right; (right = point_from(x, y, n, left + 1)) < n; left = right) {
        const double a = fmax(x[left], from), b = fmin(x[right], to);
        if (a >= b)
            continue;
        if (between == BETWEEN_STEP)
            sum += (b - a) * y[left];
        else
            sum += (b - a) * (height(x, y, left, right, between, a) + height(x, y, left, right, between, b)) / 2;
    }
    return x[left] >= to ? sum : (double)NAN;
}
