/* The numbers of a report: runs arranged by arm, seed and task, and what is computed from them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/report_private.h"

static const struct bootstrap HOW = { .seed = 1, .n_draws = STATISTICS_DRAWS };

static double *cell(const struct report_data *d, const struct report_scores *s, int arm, int row, int task)
{
    return s->at + ((size_t)arm * (size_t)d->n_rows + (size_t)row) * (size_t)d->r->n_tasks + (size_t)task;
}

static struct report_scores new_scores(struct report_data *d)
{
    const size_t n = (size_t)d->r->n_arms * (size_t)d->n_rows * (size_t)d->r->n_tasks;
    struct report_scores s = { arena_alloc(d->arena, n + 1, sizeof(double)) };
    for (size_t i = 0; i < n; i++)
        s.at[i] = (double)NAN;
    return s;
}

struct scores report_view(const struct report_data *d, const struct report_scores *s, int arm, int task)
{
    const double *at = cell(d, s, arm, 0, task == ALL_TASKS ? 0 : task);
    if (task == ALL_TASKS)
        return (struct scores){ at, d->n_rows, d->r->n_tasks, 1 };
    return (struct scores){ at, d->n_rows, 1, d->r->n_tasks };      /* a column */
}

/* ---- reading ---- */

static int read_runs(struct report_data *d, struct error *err)
{
    const struct report *r = d->r;
    for (int i = 0; i < r->n_runs; i++) {
        int rc = results_read(&d->runs[i], r->runs[i].path, err);
        if (rc == 0 && !d->runs[i].is_finished)
            rc = error_set(err, ERR_MISSING, "%.200s has no summary.json: the run did not end; leave it out or "
                           "resume it", r->runs[i].path);
        if (rc == 0 && d->runs[i].is_virtual != r->is_virtual)
            rc = error_set(err, ERR_FORMAT, "%.200s has %s time, the study %s time: it is not one of its runs",
                           r->runs[i].path, r->is_virtual ? "wall-clock" : "virtual",
                           r->is_virtual ? "virtual" : "wall-clock");
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* Number the runs of each arm and task. */
static void number_rows(struct report_data *d)
{
    const struct report *r = d->r;
    int *count = arena_alloc(d->arena, (size_t)r->n_arms * (size_t)r->n_tasks + 1, sizeof(*count));
    for (int i = 0; i < r->n_runs; i++) {
        int *n = &count[r->runs[i].arm * r->n_tasks + r->runs[i].task];
        d->row[i] = (*n)++;
        d->n_rows = *n > d->n_rows ? *n : d->n_rows;
    }
}

double report_score(const struct report_data *d, int run)
{
    return d->r->scores_are_means ? d->runs[run].mean_return : d->runs[run].final_return;
}

/* The lowest and the highest score of every task, where the study gives no others. */
static void find_scale(struct report_data *d)
{
    const struct report *r = d->r;
    double *low = arena_alloc(d->arena, (size_t)r->n_tasks, sizeof(*low));
    double *high = arena_alloc(d->arena, (size_t)r->n_tasks, sizeof(*high));
    for (int t = 0; t < r->n_tasks; t++) {
        low[t] = (double)INFINITY;
        high[t] = -(double)INFINITY;
    }
    for (int i = 0; i < r->n_runs; i++) {
        const int t = r->runs[i].task;
        if (isfinite(report_score(d, i))) {
            low[t] = fmin(low[t], report_score(d, i));
            high[t] = fmax(high[t], report_score(d, i));
        }
    }
    d->has_scale = r->low && r->high;
    d->low = d->has_scale ? r->low : low;
    d->high = d->has_scale ? r->high : high;
}

static void arrange(struct report_data *d)
{
    const struct report *r = d->r;
    d->own = new_scores(d);
    d->normal = new_scores(d);
    d->time = new_scores(d);
    for (int i = 0; i < r->n_runs; i++) {
        *cell(d, &d->own, r->runs[i].arm, d->row[i], r->runs[i].task) = report_score(d, i);
        *cell(d, &d->time, r->runs[i].arm, d->row[i], r->runs[i].task) = d->runs[i].time_s;
    }
    for (int a = 0; a < r->n_arms && d->n_rows > 0; a++) {
        const struct scores s = report_view(d, &d->own, a, ALL_TASKS);
        statistics_normalise(&s, d->low, d->high, cell(d, &d->normal, a, 0, 0));
    }
}

size_t report_family(const char *task)
{
    for (const char *at = strstr(task, ", "); at; at = strstr(at + 2, ", "))
        if (at[2 + strcspn(at + 2, "=,")] == '=')
            return (size_t)(at - task);
    return strlen(task);
}

const char *report_varied(const char *task)
{
    const size_t n = report_family(task);
    return task[n] ? task + n + 2 : task;
}

int report_members(const struct report_data *d, int task, int *members)
{
    const char *name = d->r->tasks[task];
    const size_t length = report_family(name);
    int n = 0;
    for (int t = 0; t < d->r->n_tasks; t++)
        if (report_family(d->r->tasks[t]) == length && strncmp(d->r->tasks[t], name, length) == 0)
            members[n++] = t;
    return members[0] == task ? n : 0;
}

int report_collect(struct report_data *d, const struct report *r, struct arena *arena, struct error *err)
{
    *d = (struct report_data){ .r = r, .arena = arena };
    d->runs = arena_alloc(arena, (size_t)r->n_runs + 1, sizeof(*d->runs));
    d->row = arena_alloc(arena, (size_t)r->n_runs + 1, sizeof(*d->row));
    int *arm = arena_alloc(arena, (size_t)r->n_runs + 1, sizeof(*arm));
    int *task = arena_alloc(arena, (size_t)r->n_runs + 1, sizeof(*task));
    for (int i = 0; i < r->n_runs; i++) {
        arm[i] = r->runs[i].arm;
        task[i] = r->runs[i].task;
    }
    d->c = (struct comparison){ r->arms, r->tasks, r->n_arms, r->n_tasks, d->runs, arm, task, r->n_runs,
                                r->is_virtual, r->config_hash && *r->config_hash ? r->config_hash : NULL };
    const int rc = read_runs(d, err);
    if (rc != 0) {
        report_forget(d);
        return rc;
    }
    number_rows(d);
    find_scale(d);
    arrange(d);
    return 0;
}

void report_forget(struct report_data *d)
{
    for (int i = 0; d->runs && i < d->r->n_runs; i++)
        results_fini(&d->runs[i]);
}

/* ---- comparing ---- */

int report_seeds(const struct report_data *d, int arm, int task)
{
    int fewest = d->n_rows;
    for (int t = task == ALL_TASKS ? 0 : task; t < (task == ALL_TASKS ? d->r->n_tasks : task + 1); t++) {
        int n = 0;
        for (int row = 0; row < d->n_rows; row++)
            n += isfinite(*cell(d, &d->own, arm, row, t));
        fewest = n < fewest ? n : fewest;
    }
    return fewest;
}

/* The scores that a comparison is made of. */
static const struct report_scores *scores_for(const struct report_data *d, int task)
{
    return task == ALL_TASKS ? &d->normal : &d->own;
}

struct interval report_iqm(const struct report_data *d, int arm, int task)
{
    const struct scores x = report_view(d, scores_for(d, task), arm, task);
    return statistics_interval(&x, NULL, &(struct statistic){ .kind = STATISTIC_IQM }, &HOW);
}

/* Whether both arms' scores are positive on a scale whose zero means something. */
static bool allows_ratio(const struct report_data *d, int arm, int other, int task)
{
    const int arms[] = { arm, other };
    if (task == ALL_TASKS && !d->has_scale)
        return false;
    for (int i = 0; i < 2; i++)
        for (int row = 0; row < d->n_rows; row++)
            for (int t = 0; t < d->r->n_tasks; t++)
                if ((task == ALL_TASKS || t == task) && *cell(d, scores_for(d, task), arms[i], row, t) <= 0)
                    return false;
    return true;
}

static enum verdict judge(const struct interval *i, double equality, int n_seeds)
{
    if (!isfinite(i->low) || !isfinite(i->high))
        return VERDICT_UNKNOWN;
    if (n_seeds < FEW_SEEDS && (i->low > equality || i->high < equality))
        return VERDICT_FEW;
    return i->low > equality ? VERDICT_BETTER : i->high < equality ? VERDICT_WORSE : VERDICT_OPEN;
}

struct duel report_duel(const struct report_data *d, int arm, int other, int task)
{
    const struct scores x = report_view(d, scores_for(d, task), arm, task),
                        y = report_view(d, scores_for(d, task), other, task);
    /* Raw returns: a task in which all scored alike has no normalised ones, but ties. */
    const struct scores raw_x = report_view(d, &d->own, arm, task),
                        raw_y = report_view(d, &d->own, other, task);
    struct duel duel = { .is_ratio = allows_ratio(d, arm, other, task) };
    const struct statistic iqm = { .kind = STATISTIC_IQM,
                                   .form = duel.is_ratio ? STATISTIC_RATIO : STATISTIC_DIFFERENCE };
    duel.iqm = statistics_interval(&x, &y, &iqm, &HOW);
    duel.improvement = statistics_interval(&raw_x, &raw_y, &(struct statistic){ .kind = STATISTIC_IMPROVEMENT },
                                           &HOW);
    const int n = report_seeds(d, arm, task), m = report_seeds(d, other, task);
    duel.verdict = judge(&duel.iqm, duel.is_ratio ? 1 : 0, n < m ? n : m);
    return duel;
}

/* ---- how runs went ---- */

static void mean_and_max(const struct results_table *t, const char *name, double *mean, double *most)
{
    const double *column = results_column(t, name);
    double sum = 0;
    int n = 0;
    *most = (double)NAN;
    for (int i = 0; column && i < t->n_rows; i++)
        if (isfinite(column[i])) {
            sum += column[i];
            *most = n ? fmax(*most, column[i]) : column[i];
            n++;
        }
    *mean = n ? sum / n : (double)NAN;
}

struct course report_course(const struct report_data *d, int arm, int task)
{
    struct course c = { 0 };
    double most = (double)NAN;
    int n = 0;
    for (int i = 0; i < d->r->n_runs; i++) {
        const struct results *run = &d->runs[i];
        double staleness, ignored, highest;
        if (d->r->runs[i].arm != arm || d->r->runs[i].task != task)
            continue;
        mean_and_max(&run->metrics, "staleness_mean", &staleness, &ignored);
        mean_and_max(&run->metrics, "staleness_max", &ignored, &highest);
        c.time_s += run->time_s;
        c.steps_per_s += run->env_steps / run->time_s;
        c.updates_per_s += run->updates / run->time_s;
        c.staleness_mean += staleness;
        most = isfinite(most) ? fmax(most, highest) : highest;
        n++;
    }
    return (struct course){ c.time_s / n, c.steps_per_s / n, c.updates_per_s / n, c.staleness_mean / n, most };
}
