/* What stands inside a panel: lines, bands, steps, bars, intervals and dots. */
#include <math.h>
#include <stdlib.h>

#include "common/arena.h"
#include "deploy/plot_private.h"

enum { FEW_POINTS = 8 };       /* of a line: each gets a dot */

/* Whether both axes can show the point. */
static bool is_shown(const struct plot_frame *f, double x, double y)
{
    return isfinite(x) && isfinite(y) && !(f->x.is_log && x <= 0) && !(f->y.is_log && y <= 0);
}

static void put_point(const struct plot_frame *f, double x, double y, double *xy, int *n)
{
    xy[2 * *n] = plot_x(f, x);
    xy[2 * *n + 1] = plot_y(f, y);
    (*n)++;
}

static void draw_dots(struct svg *s, const struct plot_frame *f, const struct plot_series *series,
                      double radius, double opacity)
{
    const struct svg_style style = { .fill = plot_colour(series->colour), .opacity = opacity };
    for (int i = 0; i < series->n; i++)
        if (is_shown(f, series->x[i], series->y[i]))
            svg_circle(s, plot_x(f, series->x[i]), plot_y(f, series->y[i]), radius, &style);
}

/* Lines and steps, piece by piece between points that cannot be shown. */
static void draw_line(struct svg *s, const struct plot_frame *f, const struct plot_series *series)
{
    const struct svg_style style = { .stroke = plot_colour(series->colour),
                                     .width = series->is_faint ? 1 : 2,
                                     .opacity = series->is_faint ? 0.35 : 0,
                                     .dashes = series->is_dashed ? PLOT_DASHES : NULL };
    double *xy = memory_alloc(2 * (size_t)series->n + 2, 2 * sizeof(*xy));
    int n = 0;
    for (int i = 0; i < series->n; i++) {
        if (is_shown(f, series->x[i], series->y[i])) {
            if (series->mark == PLOT_STEP && n > 0)
                put_point(f, series->x[i], series->y[i - 1], xy, &n);
            put_point(f, series->x[i], series->y[i], xy, &n);
            continue;
        }
        svg_polyline(s, n, xy, &style);
        n = 0;
    }
    svg_polyline(s, n, xy, &style);
    if (series->mark == PLOT_LINE && series->n <= FEW_POINTS && !series->is_faint)
        draw_dots(s, f, series, 3, 0);
    free(xy);
}

/* A polygon: the upper edge forwards, the lower one backwards. */
static void draw_band(struct svg *s, const struct plot_frame *f, const struct plot_series *series)
{
    const struct svg_style style = { .fill = plot_colour(series->colour), .opacity = 0.18 };
    double *xy = memory_alloc(2 * (size_t)series->n + 2, 2 * sizeof(*xy));
    int begin = 0;
    for (int i = 0; i <= series->n; i++) {
        if (i < series->n && is_shown(f, series->x[i], series->low[i])
            && is_shown(f, series->x[i], series->high[i]))
            continue;
        int n = 0;
        for (int k = begin; k < i; k++)
            put_point(f, series->x[k], series->high[k], xy, &n);
        for (int k = i - 1; k >= begin; k--)
            put_point(f, series->x[k], series->low[k], xy, &n);
        if (i - begin > 1)
            svg_polygon(s, n, xy, &style);
        begin = i + 1;
    }
    free(xy);
}

static void draw_intervals(struct svg *s, const struct plot_frame *f, const struct plot_series *series)
{
    const struct svg_style whisker = { .stroke = plot_colour(series->colour), .width = 2.5 },
                           dot = { .fill = plot_colour(series->colour) };
    for (int i = 0; i < series->n; i++) {
        const double y = plot_y(f, series->y[i]);
        const double ends[] = { series->low[i], series->high[i] };
        const bool has_whisker = is_shown(f, ends[0], series->y[i]) && is_shown(f, ends[1], series->y[i]);
        if (has_whisker)
            svg_line(s, (double[]){ plot_x(f, ends[0]), y }, (double[]){ plot_x(f, ends[1]), y }, &whisker);
        for (int k = 0; k < 2 && has_whisker; k++)
            svg_line(s, (double[]){ plot_x(f, ends[k]), y - 4 }, (double[]){ plot_x(f, ends[k]), y + 4 },
                     &whisker);
        if (is_shown(f, series->x[i], series->y[i]))
            svg_circle(s, plot_x(f, series->x[i]), y, 4.5, &dot);
    }
}

void plot_draw_series(struct svg *s, const struct plot_frame *f, const struct plot_series *series)
{
    switch (series->mark) {
    case PLOT_LINE:
    case PLOT_STEP:
        draw_line(s, f, series);
        break;
    case PLOT_BAND:
        draw_band(s, f, series);
        break;
    case PLOT_INTERVAL:
        draw_intervals(s, f, series);
        break;
    case PLOT_DOTS:
        draw_dots(s, f, series, 2.5, 0.45);
        break;
    }
}
