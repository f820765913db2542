#include "deploy/comparison.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "deploy/curves.h"
#include "deploy/plot.h"

enum { MAX_HASHES = 8, ANY_ARM = -1, NEUTRAL = -1 /* the last colour */ };

static const struct {
    const char *file, *title;
} figures[N_COMPARISON_FIGURES] = {
    [FIGURE_RETURN_STEPS] = { "return_transitions.svg", "Return against transitions" },
    [FIGURE_RETURN_TIME] = { "return_time.svg", "Return against time" },
    [FIGURE_STALENESS] = { "staleness.svg", "Staleness of what was learnt from" },
    [FIGURE_THROUGHPUT] = { "throughput.svg", "Throughput" },
};

const char *comparison_file(enum comparison_figure which)
{
    return figures[which].file;
}

const char *comparison_title(enum comparison_figure which)
{
    return figures[which].title;
}

char *comparison_print(struct arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = arena_alloc(a, (size_t)n + 1, 1);
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return text;
}

int comparison_select(const struct comparison *c, int arm, int task, const struct results **out)
{
    int n = 0;
    for (int i = 0; i < c->n_runs; i++)
        if (c->arm[i] == arm && c->task[i] == task)
            out[n++] = &c->runs[i];
    return n;
}

const char *comparison_time_unit(double most_s, double *seconds)
{
    *seconds = most_s < 300 ? 1 : most_s < 3 * 3600 ? 60 : 3600;
    return *seconds < 2 ? "s" : *seconds < 100 ? "min" : "h";
}

/* ---- where it comes from ---- */

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

char *comparison_seeds(const int64_t *seeds, int n, struct arena *arena)
{
    int64_t *sorted = arena_alloc(arena, (size_t)n + 1, sizeof(*sorted));
    char *text = comparison_print(arena, "%s", n == 0 ? "none" : "");
    for (int i = 0; i < n; i++)
        sorted[i] = seeds[i];
    qsort(sorted, (size_t)n, sizeof(*sorted), by_value);
    for (int i = 0; i < n;) {
        int end = i;
        while (end + 1 < n && sorted[end + 1] - sorted[end] <= 1)
            end++;
        const int64_t from = sorted[i], to = sorted[end];
        text = comparison_print(arena, "%s%s%" PRId64, text, *text ? ", " : "", from);
        if (to > from)
            text = comparison_print(arena, "%s%s%" PRId64, text, to == from + 1 ? ", " : " to ", to);
        i = end + 1;
    }
    return text;
}

static char *arm_seeds(const struct comparison *c, int arm, struct arena *arena)
{
    int64_t *seeds = arena_alloc(arena, (size_t)c->n_runs + 1, sizeof(*seeds));
    int n = 0;
    for (int i = 0; i < c->n_runs; i++)
        if (c->arm[i] == arm || arm == ANY_ARM)
            seeds[n++] = c->runs[i].seed;
    return comparison_seeds(seeds, n, arena);
}

/* The hashes of an arm's configurations, each once; counts them. */
static char *arm_hashes(const struct comparison *c, int arm, int *n, struct arena *arena)
{
    char *text = comparison_print(arena, "%s", c->arms[arm]);
    const char **seen = arena_alloc(arena, (size_t)c->n_runs + 1, sizeof(*seen));
    int n_seen = 0;
    for (int i = 0; i < c->n_runs; i++) {
        bool is_new = c->arm[i] == arm;
        for (int k = 0; k < n_seen; k++)
            is_new = is_new && strcmp(seen[k], c->runs[i].config_hash) != 0;
        if (!is_new)
            continue;
        seen[n_seen++] = c->runs[i].config_hash;
        if ((*n)++ < MAX_HASHES)
            text = comparison_print(arena, "%s %s", text, c->runs[i].config_hash);
    }
    return text;
}

char *comparison_provenance(const struct comparison *c, struct arena *arena)
{
    bool same_seeds = true;
    char *seeds = "", *hashes = "";
    int n_hashes = 0;
    for (int i = 0; i < c->n_arms; i++) {
        const char *own = arm_seeds(c, i, arena);
        same_seeds = same_seeds && strcmp(own, arm_seeds(c, 0, arena)) == 0;
        seeds = comparison_print(arena, "%s%s%s %s", seeds, i ? "; " : "", c->arms[i], own);
        const int before = n_hashes;
        const char *text = arm_hashes(c, i, &n_hashes, arena);
        if (before < MAX_HASHES)
            hashes = comparison_print(arena, "%s%s%s", hashes, i ? ", " : "", text);
    }
    if (same_seeds || c->n_arms > MAX_HASHES)
        seeds = arm_seeds(c, same_seeds ? 0 : ANY_ARM, arena);
    if (c->config_hash)
        return comparison_print(arena, "Seeds: %s. Configuration: %s.", seeds, c->config_hash);
    if (n_hashes > MAX_HASHES)
        hashes = comparison_print(arena, "%s and %d more", hashes, n_hashes - MAX_HASHES);
    return comparison_print(arena, "Seeds: %s. Configuration%s: %s.", seeds, text_plural(n_hashes), hashes);
}

/* ---- figures ---- */

/* What a figure is put together from. */
struct sheet {
    const struct comparison *c;
    struct arena *arena;
    const struct results **selected;    /* [n_runs] scratch */
    struct plot_panel *panels;
    int n_panels;
    double time_unit;                   /* seconds */
    const char *time_label;
    bool is_training;                   /* returns of training episodes: some run was never evaluated */
    bool has_bands;
};

static struct plot_series *new_series(struct sheet *s, int n)
{
    return arena_alloc(s->arena, (size_t)n + 1, sizeof(struct plot_series));
}

/* A band, where there is one, and a line over it. */
static void add_curve(struct sheet *s, struct plot_panel *p, struct plot_series *series, const struct curve *c,
                      int colour, bool is_dashed)
{
    bool has_band = false;
    for (int i = 0; i < c->n; i++)
        has_band = has_band || isfinite(c->low[i]);
    if (has_band && !is_dashed)
        series[p->n_series++] = (struct plot_series){ PLOT_BAND, c->n, c->x, NULL, c->low, c->high, colour, false, false };
    series[p->n_series++] = (struct plot_series){ PLOT_LINE, c->n, c->x, c->value, NULL, NULL, colour, is_dashed, false };
    s->has_bands = s->has_bands || has_band;
}

static struct plot_panel *new_panel(struct sheet *s, int task, const char *x_label, const char *y_label)
{
    struct plot_panel *p = &s->panels[s->n_panels++];
    *p = (struct plot_panel){ .title = s->c->n_tasks > 1 ? s->c->tasks[task] : "", .x_label = x_label,
                              .y_label = y_label };
    return p;
}

static void scale(double *x, int n, double unit)
{
    for (int i = 0; i < n; i++)
        x[i] /= unit;
}

static void add_returns(struct sheet *s, int task, enum curve_against against)
{
    const struct comparison *c = s->c;
    struct plot_panel *p = new_panel(s, task, against == AGAINST_TIME ? s->time_label : "Transitions",
                                     s->is_training ? "Return of training episodes" : "Return of evaluations");
    struct plot_series *series = new_series(s, 2 * c->n_arms);
    for (int arm = 0; arm < c->n_arms; arm++) {
        const int n = comparison_select(c, arm, task, s->selected);
        struct curve curve = curve_of_returns(s->selected, n, s->is_training, against, s->arena);
        if (against == AGAINST_TIME)
            scale(curve.x, curve.n, s->time_unit);
        add_curve(s, p, series, &curve, arm, false);
    }
    p->series = series;
}

static void add_staleness(struct sheet *s, int task)
{
    const struct comparison *c = s->c;
    struct plot_panel *p = new_panel(s, task, "Transitions", "Staleness (versions)");
    struct plot_series *series = new_series(s, 3 * c->n_arms);
    for (int arm = 0; arm < c->n_arms; arm++) {
        const int n = comparison_select(c, arm, task, s->selected);
        struct curve mean = curve_of_column(s->selected, n, CURVE_STALENESS, AGAINST_STEPS, s->arena);
        struct curve p99 = curve_of_column(s->selected, n, CURVE_STALENESS_P99, AGAINST_STEPS, s->arena);
        add_curve(s, p, series, &mean, arm, false);
        add_curve(s, p, series, &p99, arm, true);
    }
    p->series = series;
}

/* Whether few values lie so far above the others that these could not be told apart. */
static bool wants_log(const struct plot_series *series, int n)
{
    double most = 0, sum = 0;
    int count = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; series[i].mark == PLOT_LINE && k < series[i].n; k++)
            if (series[i].y[k] > 0) {
                most = fmax(most, series[i].y[k]);
                sum += log(series[i].y[k]);
                count++;
            }
    return count > 0 && most > 12 * exp(sum / count);
}

static void add_rate(struct sheet *s, int task, enum curve_kind kind)
{
    const struct comparison *c = s->c;
    struct plot_panel *p = new_panel(s, task, s->time_label,
                                     kind == CURVE_STEPS_RATE ? "Transitions/s" : "Updates/s");
    struct plot_series *series = new_series(s, 2 * c->n_arms);
    for (int arm = 0; arm < c->n_arms; arm++) {
        const int n = comparison_select(c, arm, task, s->selected);
        struct curve curve = curve_of_column(s->selected, n, kind, AGAINST_TIME, s->arena);
        scale(curve.x, curve.n, s->time_unit);
        add_curve(s, p, series, &curve, arm, false);
    }
    p->series = series;
    p->is_log_y = wants_log(series, p->n_series);
    if (p->is_log_y)
        p->y_label = comparison_print(s->arena, "%s (logarithmic)", p->y_label);
}

static void add_panels(struct sheet *s, int task, enum comparison_figure which)
{
    switch (which) {
    case FIGURE_RETURN_STEPS:
        add_returns(s, task, AGAINST_STEPS);
        break;
    case FIGURE_RETURN_TIME:
        add_returns(s, task, AGAINST_TIME);
        break;
    case FIGURE_STALENESS:
        add_staleness(s, task);
        break;
    case FIGURE_THROUGHPUT:
        add_rate(s, task, CURVE_STEPS_RATE);
        add_rate(s, task, CURVE_UPDATES_RATE);
        break;
    case N_COMPARISON_FIGURES:
        break;
    }
}

static const char *what_is_drawn(const struct sheet *s, enum comparison_figure which)
{
    switch (which) {
    case FIGURE_RETURN_STEPS:
    case FIGURE_RETURN_TIME:
        return s->has_bands ? "Line: interquartile mean over seeds; band: its 95 % stratified bootstrap interval."
               : "One run per line: no interval.";
    case FIGURE_STALENESS:
        return "Versions that the learner was ahead of the one that had acted; solid: mean over seeds, with their "
               "range as a band; dashed: 99th percentile.";
    case FIGURE_THROUGHPUT:
        return s->has_bands ? "Line: mean over seeds; band: their range." : "";
    case N_COMPARISON_FIGURES:
        break;
    }
    return "";
}

/* The time axis's label, and what is common to all panels. */
static void prepare(struct sheet *s)
{
    const struct comparison *c = s->c;
    double most = 0;
    for (int i = 0; i < c->n_runs; i++) {
        most = isfinite(c->runs[i].time_s) ? fmax(most, c->runs[i].time_s) : most;
        s->is_training = s->is_training || c->runs[i].eval.n_rows == 0;
    }
    const char *unit = comparison_time_unit(most, &s->time_unit);
    s->time_label = comparison_print(s->arena, "%s time (%s)", c->is_virtual ? "Virtual" : "Wall-clock", unit);
    s->selected = arena_alloc(s->arena, (size_t)c->n_runs + 1, sizeof(*s->selected));
    s->panels = arena_alloc(s->arena, 2 * (size_t)c->n_tasks, sizeof(*s->panels));
}

char *comparison_draw(const struct comparison *c, enum comparison_figure which)
{
    struct arena *arena = arena_create(1 << 20);
    struct sheet s = { .c = c, .arena = arena };
    struct plot_key *legend = arena_alloc(arena, (size_t)c->n_arms + 1, sizeof(*legend));
    prepare(&s);
    for (int task = 0; task < c->n_tasks; task++)
        add_panels(&s, task, which);
    for (int arm = 0; arm < c->n_arms; arm++)
        legend[arm] = (struct plot_key){ c->arms[arm], arm, false };
    legend[c->n_arms] = (struct plot_key){ "99th percentile", NEUTRAL, true };
    const char *drawn = what_is_drawn(&s, which);
    const struct plot_figure figure = {
        .title = c->n_tasks > 1 ? figures[which].title
                 : comparison_print(arena, "%s, %s", figures[which].title, c->tasks[0]),
        .caption = comparison_print(arena, "%s%s%s", drawn, *drawn ? " " : "", comparison_provenance(c, arena)),
        .legend = legend, .n_legend = c->n_arms + (which == FIGURE_STALENESS), .panels = s.panels, .n_panels = s.n_panels,
        .n_columns = which == FIGURE_THROUGHPUT ? 2 : 0,
    };
    char *svg = plot_draw(&figure);
    arena_destroy(&arena);
    return svg;
}
