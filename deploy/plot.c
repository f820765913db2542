/* Layout, axes and legend; what stands inside a panel is drawn in plot_series.c. */
#include "deploy/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "deploy/plot_private.h"

static const double TITLE_SIZE = 15, LEGEND_SIZE = 12.5, LABEL_SIZE = 12.5, TICK_SIZE = 11.5,
                    CAPTION_SIZE = 11, MARGIN = 14, ROW_HEIGHT = 36, MOST_ROW_NAME = 200;
static const struct svg_style GRID = { .stroke = "#e6e6e6", .width = 1 },
                              SPINE = { .stroke = "#555555", .width = 1 },
                              REFERENCE = { .stroke = "#555555", .width = 1, .dashes = "4 3" };
static const char *const GREY = "#555555";

const char *plot_colour(int i)
{
    static const char *const colours[] = { "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
                                           "#333333" };
    enum { N = sizeof(colours) / sizeof(*colours) };
    return colours[(i % N + N) % N];
}

/* ---- ranges ---- */

struct range {
    double low, high, least_positive;
};

static void include(struct range *r, double value)
{
    if (!isfinite(value))
        return;
    r->low = fmin(r->low, value);
    r->high = fmax(r->high, value);
    if (value > 0)
        r->least_positive = fmin(r->least_positive, value);
}

static void include_all(struct range *r, const double *values, int n)
{
    for (int i = 0; values && i < n; i++)
        include(r, values[i]);
}

/* An axis over what was seen; over 0 to 1 when nothing was. */
static void fit_axis(struct plot_axis *a, const struct range *seen, bool is_log, double margin, int n_wanted)
{
    struct range r = *seen;
    if (is_log)
        r.low = r.least_positive;
    if (!(r.low <= r.high))
        r = (struct range){ .low = is_log ? 1 : 0, .high = is_log ? 10 : 1 };
    plot_axis_fit(a, r.low, r.high, margin, is_log, n_wanted);
}

/* Both axes of a panel from its series. */
static void fit_panel(struct plot_frame *frame, const struct plot_panel *p)
{
    struct range x = { INFINITY, -INFINITY, INFINITY }, y = x;
    for (int i = 0; i < p->n_series; i++) {
        const struct plot_series *s = &p->series[i];
        const bool is_sideways = s->mark == PLOT_INTERVAL;
        include_all(&x, s->x, s->n);
        include_all(s->mark == PLOT_INTERVAL ? &x : &y, s->low, s->n);
        include_all(s->mark == PLOT_INTERVAL ? &x : &y, s->high, s->n);
        if (!is_sideways)
            include_all(&y, s->y, s->n);
    }
    if (p->has_reference)
        include(&x, p->reference);
    const int n_x = (int)fmax(3, frame->width / 75), n_y = (int)fmax(4, frame->height / 48);
    if (p->has_x_range)
        x = (struct range){ p->x_range[0], p->x_range[1], p->x_range[0] };
    if (p->has_y_range)
        y = (struct range){ p->y_range[0], p->y_range[1], p->y_range[0] };
    fit_axis(&frame->x, &x, p->is_log_x, p->has_x_range ? 0 : p->n_rows ? 0.06 : p->is_log_x ? 0.02 : 0.0, n_x);
    fit_axis(&frame->y, &y, p->is_log_y, p->has_y_range ? 0 : 0.05, n_y);
    if (p->n_rows > 0)
        frame->y = (struct plot_axis){ .low = p->n_rows - 0.5, .high = -0.5 };
}

/* ---- a panel ---- */

static double tick_width(const struct plot_axis *a)
{
    char label[PLOT_LABEL_BYTES];
    double width = 0;
    for (int i = 0; i < a->n_ticks; i++) {
        plot_axis_label(a, a->ticks[i], label);
        width = fmax(width, svg_text_width(label, TICK_SIZE));
    }
    return width;
}

static double row_name_width(const struct plot_panel *p)
{
    double width = 0;
    for (int i = 0; i < p->n_rows; i++)
        width = fmax(width, svg_text_width(p->rows[i], LABEL_SIZE));
    return fmin(width, MOST_ROW_NAME);
}

static void draw_x_axis(struct svg *s, const struct plot_frame *f, const char *label)
{
    char text[PLOT_LABEL_BYTES];
    const double bottom = f->top + f->height;
    for (int i = 0; i < f->x.n_ticks; i++) {
        const double x = plot_x(f, f->x.ticks[i]);
        svg_line(s, (double[]){ x, f->top }, (double[]){ x, bottom }, &GRID);
        svg_line(s, (double[]){ x, bottom }, (double[]){ x, bottom + 4 }, &SPINE);
        plot_axis_label(&f->x, f->x.ticks[i], text);
        svg_write(s, &(struct svg_text){ .x = x, .y = bottom + 17, .size = TICK_SIZE, .anchor = SVG_MIDDLE,
                                         .colour = GREY }, text);
    }
    if (*label)
        svg_write(s, &(struct svg_text){ .x = f->left + f->width / 2, .y = bottom + 35, .size = LABEL_SIZE,
                                         .anchor = SVG_MIDDLE }, label);
}

static void draw_y_axis(struct svg *s, const struct plot_frame *f, const char *label)
{
    char text[PLOT_LABEL_BYTES];
    for (int i = 0; i < f->y.n_ticks; i++) {
        const double y = plot_y(f, f->y.ticks[i]);
        svg_line(s, (double[]){ f->left, y }, (double[]){ f->left + f->width, y }, &GRID);
        svg_line(s, (double[]){ f->left - 4, y }, (double[]){ f->left, y }, &SPINE);
        plot_axis_label(&f->y, f->y.ticks[i], text);
        svg_write(s, &(struct svg_text){ .x = f->left - 7, .y = y + 4, .size = TICK_SIZE, .anchor = SVG_RIGHT,
                                         .colour = GREY }, text);
    }
    if (*label)
        svg_write(s, &(struct svg_text){ .x = f->left - tick_width(&f->y) - 17, .y = f->top + f->height / 2,
                                         .size = LABEL_SIZE, .anchor = SVG_MIDDLE, .is_vertical = true },
                  label);
}

/* Names of rows, cut where they are too long, with a line between them. */
static void draw_rows(struct svg *s, const struct plot_frame *f, const struct plot_panel *p)
{
    for (int i = 0; i < p->n_rows; i++) {
        char name[128];
        const size_t whole = strlen(p->rows[i]);
        size_t n = svg_text_fit(p->rows[i], LABEL_SIZE, MOST_ROW_NAME);
        n = n < whole && n > 100 ? 100 : n;
        snprintf(name, sizeof(name), "%.*s%s", (int)n, p->rows[i], n < whole ? "\xE2\x80\xA6" : "");
        svg_write(s, &(struct svg_text){ .x = f->left - 10, .y = plot_y(f, i) + 4, .size = LABEL_SIZE,
                                         .anchor = SVG_RIGHT }, name);
        if (i > 0)
            svg_line(s, (double[]){ f->left, plot_y(f, i - 0.5) },
                     (double[]){ f->left + f->width, plot_y(f, i - 0.5) }, &GRID);
    }
}

static void draw_panel(struct svg *s, const struct plot_frame *f, const struct plot_panel *p,
                       const char *x_label, const char *y_label)
{
    draw_x_axis(s, f, x_label);
    if (p->n_rows > 0)
        draw_rows(s, f, p);
    else
        draw_y_axis(s, f, y_label);
    if (p->has_reference)
        svg_line(s, (double[]){ plot_x(f, p->reference), f->top },
                 (double[]){ plot_x(f, p->reference), f->top + f->height }, &REFERENCE);
    for (int i = 0; i < p->n_series; i++)
        plot_draw_series(s, f, &p->series[i]);
    const double bottom = f->top + f->height;
    svg_polyline(s, 3, (double[]){ f->left, f->top, f->left, bottom, f->left + f->width, bottom }, &SPINE);
    if (*p->title)
        svg_write(s, &(struct svg_text){ .x = f->left + f->width / 2, .y = f->top - 8, .size = LABEL_SIZE,
                                         .anchor = SVG_MIDDLE, .is_bold = true }, p->title);
}

/* ---- a figure ---- */

/* Draw, or with s NULL only measure, the legend in lines from the left. Returns the y behind it. */
static double draw_legend(struct svg *s, const struct plot_figure *f, double y)
{
    const double key_width = 24, gap = 7;
    double x = MARGIN;
    if (f->n_legend == 0)
        return y;
    for (int i = 0; i < f->n_legend; i++) {
        const struct plot_key *k = &f->legend[i];
        const double width = key_width + gap + svg_text_width(k->text, LEGEND_SIZE) + 16;
        if (x > MARGIN && x + width > PLOT_WIDTH - MARGIN) {
            x = MARGIN;
            y += 18;
        }
        const struct svg_style style = { .stroke = plot_colour(k->colour), .width = 2.5,
                                         .dashes = k->is_dashed ? PLOT_DASHES : NULL };
        if (s) {
            svg_line(s, (double[]){ x, y + 9 }, (double[]){ x + key_width, y + 9 }, &style);
            svg_write(s, &(struct svg_text){ .x = x + key_width + gap, .y = y + 13, .size = LEGEND_SIZE }, k->text);
        }
        x += width;
    }
    return y + 22;
}

/* The same for the caption. */
static double draw_caption(struct svg *s, const char *caption, double y)
{
    while (*caption) {
        char line[512];
        size_t n = svg_text_fit(caption, CAPTION_SIZE, PLOT_WIDTH - 2 * MARGIN);
        n = n < sizeof(line) ? n : sizeof(line) - 1;
        snprintf(line, sizeof(line), "%.*s", (int)n, caption);
        if (s)
            svg_write(s, &(struct svg_text){ .x = MARGIN, .y = y + CAPTION_SIZE, .size = CAPTION_SIZE,
                                             .colour = GREY }, line);
        y += CAPTION_SIZE + 4;
        caption += n;
        caption += strspn(caption, " ");
    }
    return y;
}

static int columns_of(const struct plot_figure *f)
{
    if (f->n_columns > 0)
        return f->n_columns;
    if (f->panels[0].n_rows > 0 && f->n_panels != 2)
        return 1;
    return f->n_panels <= 3 ? f->n_panels : f->n_panels == 4 ? 2 : 3;
}

/* The height of a panel's inside. */
static double inner_height(const struct plot_figure *f, int n_columns, double around)
{
    const double row = f->row_height > 0 ? f->row_height : ROW_HEIGHT;
    int n_rows = 0;
    for (int i = 0; i < f->n_panels; i++)
        n_rows = f->panels[i].n_rows > n_rows ? f->panels[i].n_rows : n_rows;
    if (n_rows > 0)
        return fmax(row * n_rows, 1.5 * row);
    if (f->n_panels == 1)
        return fmax(240, PLOT_HEIGHT - around);
    return n_columns == 3 ? 150 : 210;
}

/* Whether y means different things in different panels. */
static bool has_own_labels(const struct plot_figure *f)
{
    for (int i = 1; i < f->n_panels; i++)
        if (strcmp(f->panels[i].y_label, f->panels[0].y_label) != 0)
            return true;
    return false;
}

/* Place the panels in cells from `top` on. Every column leaves as much room for its ticks as the widest
 * needs, so that the frames of a column are aligned. */
static double lay_out(struct plot_frame *frames, const struct plot_figure *f, double top, double after)
{
    const int n_columns = columns_of(f), n_lines = (f->n_panels + n_columns - 1) / n_columns;
    const bool has_titles = *f->panels[0].title != '\0';
    const double above = has_titles ? 26 : 10, below = n_lines > 1 ? 30 : 46;
    const double height = inner_height(f, n_columns, top + above + below + after);
    const double cell = (PLOT_WIDTH - 2 * MARGIN) / n_columns;
    double room = 0;
    for (int i = 0; i < f->n_panels; i++) {
        const struct plot_panel *p = &f->panels[i];
        frames[i].width = cell - 70;
        frames[i].height = height;
        fit_panel(&frames[i], p);
        room = fmax(room, p->n_rows ? row_name_width(p) + 12 : tick_width(&frames[i].y) + 10);
    }
    for (int i = 0; i < f->n_panels; i++) {
        const int column = i % n_columns, line = i / n_columns;
        const double label = f->panels[0].n_rows ? 0 : 18, right = 16;
        /* Only the first column has the label of y, unless it differs. */
        const int n_labels = has_own_labels(f) ? n_columns : 1;
        const double width = (PLOT_WIDTH - 2 * MARGIN - label * n_labels - n_columns * (room + right)) / n_columns;
        const double next = width + room + right + (n_labels > 1 ? label : 0);
        frames[i].left = MARGIN + label + room + column * next;
        frames[i].top = top + above + line * (above + height + below);
        frames[i].width = width;
        fit_panel(&frames[i], &f->panels[i]);
    }
    return top + n_lines * (above + height + below) + (n_lines > 1 ? 16 : 0);
}

char *plot_draw(const struct plot_figure *f)
{
    struct plot_frame *frames = memory_alloc((size_t)f->n_panels, sizeof(*frames));
    const double title_end = *f->title ? 36 : 10, legend_end = draw_legend(NULL, f, title_end);
    const double caption = draw_caption(NULL, f->caption, 0) + MARGIN;
    const double panels_end = lay_out(frames, f, legend_end, caption);
    struct svg *s = svg_create(PLOT_WIDTH, ceil(panels_end + caption), f->title);
    const int n_columns = columns_of(f);
    if (*f->title)
        svg_write(s, &(struct svg_text){ .x = MARGIN, .y = 25, .size = TITLE_SIZE, .is_bold = true }, f->title);
    draw_legend(s, f, title_end);
    for (int i = 0; i < f->n_panels; i++) {
        const struct plot_panel *p = &f->panels[i];
        /* x is the same in a column; y usually in a line. */
        const bool is_last = i + n_columns >= f->n_panels, is_first = i % n_columns == 0;
        draw_panel(s, &frames[i], p, is_last ? p->x_label : "",
                   is_first || has_own_labels(f) ? p->y_label : "");
    }
    draw_caption(s, f->caption, panels_end);
    free(frames);
    return svg_finish(&s);
}
