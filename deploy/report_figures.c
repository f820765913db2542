/* The figures of a report: learning curves, scores, profiles, probabilities, and how runs went. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/curves.h"
#include "deploy/plot.h"
#include "deploy/report_private.h"

enum { N_LEVELS = 401, N_SHARES = 51 };

#define SAY(d, ...) comparison_print((d)->arena, __VA_ARGS__)

static const struct bootstrap HOW = { .seed = 1, .n_draws = 2000 };

static double *numbers(const struct report_data *d, size_t n)
{
    return arena_alloc(d->arena, n + 1, sizeof(double));
}

/* Intervals as three columns, for series. */
static void columns(const struct report_data *d, const struct interval *from, int n, double *out[3])
{
    for (int k = 0; k < 3; k++)
        out[k] = numbers(d, (size_t)n);
    for (int i = 0; i < n; i++) {
        out[0][i] = from[i].value;
        out[1][i] = from[i].low;
        out[2][i] = from[i].high;
    }
}

/* A band and a line over it. */
static void add_band(struct plot_panel *p, struct plot_series *series, int n, const double *x, double *const y[3],
                     int colour)
{
    series[p->n_series++] = (struct plot_series){ PLOT_BAND, n, x, NULL, y[1], y[2], colour, false, false };
    series[p->n_series++] = (struct plot_series){ PLOT_LINE, n, x, y[0], NULL, NULL, colour, false, false };
}

static struct plot_key *legend_of_arms(const struct report_data *d)
{
    struct plot_key *legend = arena_alloc(d->arena, (size_t)d->r->n_arms, sizeof(*legend));
    for (int a = 0; a < d->r->n_arms; a++)
        legend[a] = (struct plot_key){ d->r->arms[a], a, false };
    return legend;
}

static char *draw(const struct report_data *d, const char *title, const char *caption,
                  const struct plot_panel *panels, int n_panels, bool has_legend)
{
    const struct plot_figure figure = {
        .title = title, .caption = SAY(d, "%s %s", caption, comparison_provenance(&d->c, d->arena)),
        .legend = legend_of_arms(d), .n_legend = has_legend ? d->r->n_arms : 0, .panels = panels,
        .n_panels = n_panels,
    };
    return plot_draw(&figure);
}

/* ---- over all tasks ---- */

/* Where the evaluations of a task's runs begin and end for all of them, in transitions. */
static void span(const struct report_data *d, int task, double *first, double *last)
{
    *first = 0;
    *last = (double)INFINITY;
    for (int i = 0; i < d->r->n_runs; i++) {
        if (d->r->runs[i].task != task)
            continue;
        const struct curve c = curve_of_run(&d->runs[i], false, AGAINST_STEPS, d->arena);
        if (c.n == 0)
            continue;
        *first = fmax(*first, c.x[0]);
        *last = fmin(*last, c.x[c.n - 1]);
    }
}

/* An arm's normalised returns on a grid of shares of every task's transitions.
 *   out  [n_rows][n_tasks][N_SHARES] */
static void normalised_curves(const struct report_data *d, int arm, const double *shares, double *out)
{
    double grid[N_SHARES];
    const size_t n_tasks = (size_t)d->r->n_tasks;
    for (size_t i = 0; i < (size_t)d->n_rows * n_tasks * N_SHARES; i++)
        out[i] = (double)NAN;
    for (int i = 0; i < d->r->n_runs; i++) {
        const int t = d->r->runs[i].task;
        double first, last;
        if (d->r->runs[i].arm != arm || !(d->high[t] > d->low[t]))
            continue;
        span(d, t, &first, &last);
        const struct curve c = curve_of_run(&d->runs[i], false, AGAINST_STEPS, d->arena);
        double *own = out + ((size_t)d->row[i] * n_tasks + (size_t)t) * N_SHARES;
        for (int k = 0; k < N_SHARES; k++)
            grid[k] = k == N_SHARES - 1 ? last : shares[k] * last;
        statistics_on_grid(c.x, c.value, c.n, BETWEEN_LINEAR, grid, N_SHARES, own);
        for (int k = 0; k < N_SHARES; k++)
            own[k] = (own[k] - d->low[t]) / (d->high[t] - d->low[t]);
    }
}

static char *draw_aggregate(const struct report_data *d)
{
    struct plot_series *series = arena_alloc(d->arena, 2 * (size_t)d->r->n_arms, sizeof(*series));
    struct plot_panel p = { .title = "", .x_label = "Transitions (% of each task's)",
                            .y_label = "Normalised return (IQM)", .series = series };
    double *shares = numbers(d, N_SHARES), *percent = numbers(d, N_SHARES);
    double begin = 0;
    for (int t = 0; t < d->r->n_tasks; t++) {
        double first, last;
        span(d, t, &first, &last);
        begin = isfinite(last) && last > 0 ? fmax(begin, fmin(1, first / last)) : begin;
    }
    for (int k = 0; k < N_SHARES; k++) {
        shares[k] = begin + (1 - begin) * k / (N_SHARES - 1);
        percent[k] = 100 * shares[k];
    }
    for (int a = 0; a < d->r->n_arms; a++) {
        double *at = numbers(d, (size_t)d->n_rows * (size_t)d->r->n_tasks * N_SHARES), *y[3];
        struct interval *band = arena_alloc(d->arena, N_SHARES, sizeof(*band));
        normalised_curves(d, a, shares, at);
        const struct scores s = { at, d->n_rows, d->r->n_tasks, N_SHARES };
        statistics_curve(&s, NULL, &(struct statistic){ .kind = STATISTIC_IQM }, &HOW, band);
        columns(d, band, N_SHARES, y);
        add_band(&p, series, N_SHARES, percent, y, a);
    }
    return draw(d, "Normalised return over all tasks",
                "Line: interquartile mean over seeds and tasks; band: its 95 % stratified bootstrap interval.", &p,
                1, true);
}

/* ---- scores ---- */

static const char *score_label(const struct report_data *d)
{
    return d->r->scores_are_means ? "Mean return" : "Final return";
}

/* The rows of an arm in a task: an interval, and its runs below it. */
static void add_scores(const struct report_data *d, struct plot_panel *p, struct plot_series *series, int arm, int task)
{
    const struct scores s = report_view(d, &d->own, arm, task);
    const struct interval iqm = report_iqm(d, arm, task);
    double *x = numbers(d, (size_t)d->n_rows), *y = numbers(d, (size_t)d->n_rows), *row = numbers(d, 1), *own[3];
    columns(d, &iqm, 1, own);
    row[0] = p->n_rows - 0.12;
    for (int i = 0; i < d->n_rows; i++) {
        x[i] = s.at[i * s.stride];
        y[i] = p->n_rows + 0.22;
    }
    series[p->n_series++] = (struct plot_series){ PLOT_DOTS, d->n_rows, x, y, NULL, NULL, arm, false, false };
    series[p->n_series++] = (struct plot_series){ PLOT_INTERVAL, 1, own[0], row, own[1], own[2], arm, false, false };
}

/* A panel for a family of tasks, a row for each task and arm. */
static struct plot_panel family_panel(const struct report_data *d, const int *members, int n)
{
    const struct report *r = d->r;
    const size_t n_rows = (size_t)n * (size_t)r->n_arms;
    const char *name = r->tasks[members[0]], **rows = arena_alloc(d->arena, n_rows, sizeof(*rows));
    struct plot_series *series = arena_alloc(d->arena, 2 * n_rows, sizeof(*series));
    const int length = (int)(n > 1 ? report_family(name) : strlen(name));
    struct plot_panel p = { .title = r->n_tasks > 1 ? SAY(d, "%.*s", length, name) : "",
                            .x_label = score_label(d), .y_label = "", .rows = rows, .series = series };
    for (int i = 0; i < n; i++)
        for (int a = 0; a < r->n_arms; a++) {
            const char *task = r->tasks[members[i]];
            rows[p.n_rows] = n > 1 ? SAY(d, "%s, %s", report_varied(task), r->arms[a]) : r->arms[a];
            add_scores(d, &p, series, a, members[i]);
            p.n_rows++;
        }
    return p;
}

static char *draw_scores(const struct report_data *d)
{
    const struct report *r = d->r;
    struct plot_panel *panels = arena_alloc(d->arena, (size_t)r->n_tasks, sizeof(*panels));
    int *members = arena_alloc(d->arena, (size_t)r->n_tasks, sizeof(*members)), n_panels = 0;
    for (int t = 0; t < r->n_tasks; t++) {
        const int n = report_members(d, t, members);
        if (n > 0)
            panels[n_panels++] = family_panel(d, members, n);
    }
    return draw(d, r->n_tasks > 1 ? report_score_title(d) : SAY(d, "%s, %s", report_score_title(d), r->tasks[0]),
                "Dot and whisker: interquartile mean and its 95 % stratified bootstrap interval; faint dots: single "
                "runs.", panels, n_panels, false);
}

/* Of normalised returns, or of one task's own. NULL where all runs scored alike: there is nothing to see. */
static char *draw_profile(const struct report_data *d)
{
    const struct report *r = d->r;
    const bool is_one = r->n_tasks == 1;
    const struct report_scores *scores = is_one ? &d->own : &d->normal;
    struct plot_series *series = arena_alloc(d->arena, 2 * (size_t)r->n_arms, sizeof(*series));
    struct plot_panel p = {
        .title = "", .x_label = is_one ? SAY(d, "%s \xCF\x84", score_label(d))
                                       : SAY(d, "Normalised %s \xCF\x84", report_score_word(d)),
        .y_label = "Share of runs above \xCF\x84", .has_y_range = true, .y_range = { 0, 1 }, .has_x_range = true,
        .series = series,
    };
    double *levels = numbers(d, N_LEVELS);
    p.x_range[0] = (double)INFINITY;
    p.x_range[1] = -(double)INFINITY;
    for (size_t i = 0; i < (size_t)r->n_arms * (size_t)d->n_rows * (size_t)r->n_tasks; i++)
        if (isfinite(scores->at[i])) {
            p.x_range[0] = fmin(p.x_range[0], scores->at[i]);
            p.x_range[1] = fmax(p.x_range[1], scores->at[i]);
        }
    if (!(p.x_range[0] < p.x_range[1]))
        return NULL;
    for (int i = 0; i < N_LEVELS; i++)
        levels[i] = p.x_range[0] + (p.x_range[1] - p.x_range[0]) * i / (N_LEVELS - 1);
    for (int a = 0; a < r->n_arms; a++) {
        struct interval *out = arena_alloc(d->arena, N_LEVELS, sizeof(*out));
        const struct scores s = report_view(d, scores, a, ALL_TASKS);
        double *y[3];
        statistics_profile(&s, NULL, &(struct statistic){ .kind = STATISTIC_ABOVE }, levels, N_LEVELS, &HOW, out);
        columns(d, out, N_LEVELS, y);
        add_band(&p, series, N_LEVELS, levels, y, a);
    }
    const char *scale = is_one || d->has_scale ? ""
        : SAY(d, " 0 and 1 are a task's lowest and highest %s here.", report_score_word(d));
    return draw(d, is_one ? SAY(d, "Performance profile, %s", r->tasks[0]) : "Performance profile",
                SAY(d, "Share of runs whose %s is above a level, with its 95 %% interval; higher is better.%s",
                    report_score_word(d), scale), &p, 1, true);
}

/* NULL where no two arms have runs in one task. */
static char *draw_improvement(const struct report_data *d)
{
    const struct report *r = d->r;
    const int n_scopes = r->n_tasks > 1 ? r->n_tasks + 1 : 1, n_rows = (r->n_arms - 1) * n_scopes;
    const char **rows = arena_alloc(d->arena, (size_t)n_rows, sizeof(*rows));
    struct plot_series *series = arena_alloc(d->arena, (size_t)n_rows, sizeof(*series));
    struct plot_panel p = { .title = "", .x_label = SAY(d, "Probability that a run is better than one of %s",
                                                        r->arms[r->baseline]),
                            .y_label = "", .has_x_range = true, .x_range = { 0, 1 }, .has_reference = true,
                            .reference = 0.5, .rows = rows, .series = series };
    for (int a = 0; a < r->n_arms; a++)
        for (int k = 0; k < n_scopes && a != r->baseline; k++) {
            const int task = r->n_tasks == 1 ? 0 : k == 0 ? ALL_TASKS : k - 1;
            const struct duel duel = report_duel(d, a, r->baseline, task);
            double *row = numbers(d, 1), *own[3];
            if (!isfinite(duel.improvement.value))
                continue;
            columns(d, &duel.improvement, 1, own);
            row[0] = p.n_series;
            rows[p.n_series] = r->n_tasks == 1 ? r->arms[a]
                : SAY(d, "%s, %s", r->arms[a], task == ALL_TASKS ? "all tasks" : r->tasks[task]);
            series[p.n_series++] = (struct plot_series){ PLOT_INTERVAL, 1, own[0], row, own[1], own[2], a, false, false };
        }
    p.n_rows = p.n_series;
    if (p.n_rows == 0)
        return NULL;
    return draw(d, "Probability of improvement",
                "P(X > Y) over pairs of runs, ties count one half, with its 95 % stratified bootstrap interval; an "
                "interval that crosses 0.5 shows no difference.", &p, 1, false);
}

/* ---- all of them ---- */

static int put(struct report_page *page, const char *folder, const char *file, const char *about, char *svg,
               struct error *err)
{
    const int rc = report_page_save(folder, file, svg, err);
    if (rc == 0)
        report_page_figure(page, file, about, svg);
    free(svg);
    return rc;
}

static int put_comparison(const struct report_data *d, struct report_page *page, const char *folder,
                          enum comparison_figure which, struct error *err)
{
    return put(page, folder, comparison_file(which), comparison_title(which), comparison_draw(&d->c, which), err);
}

int report_figures(const struct report_data *d, struct report_page *page, const char *folder, struct error *err)
{
    report_page_heading(page, "Learning curves");
    int rc = put_comparison(d, page, folder, FIGURE_RETURN_STEPS, err);
    if (rc == 0)
        rc = put_comparison(d, page, folder, FIGURE_RETURN_TIME, err);
    if (rc == 0 && d->r->n_tasks > 1)
        rc = put(page, folder, "aggregate.svg", "Normalised return over all tasks", draw_aggregate(d), err);
    report_page_heading(page, "Scores");
    if (rc == 0)
        rc = put(page, folder, "scores.svg", report_score_title(d), draw_scores(d), err);
    char *improvement = rc == 0 && d->r->n_arms > 1 ? draw_improvement(d) : NULL;
    if (improvement)
        rc = put(page, folder, "improvement.svg", "Probability of improvement", improvement, err);
    char *profile = rc == 0 ? draw_profile(d) : NULL;
    if (profile)
        rc = put(page, folder, "profile.svg", "Performance profile", profile, err);
    report_page_heading(page, "How runs went");
    if (rc == 0)
        rc = put_comparison(d, page, folder, FIGURE_STALENESS, err);
    if (rc == 0)
        rc = put_comparison(d, page, folder, FIGURE_THROUGHPUT, err);
    return rc;
}
