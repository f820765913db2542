/* Charts: what is shown is described here, how it is laid out is decided by plot_draw.
 *
 * A figure has a title, a legend, one or several panels with axes, and a caption. Everything is borrowed
 * and unchanged. The same description gives the same bytes. Points that are not finite, and on a
 * logarithmic axis those that are not positive, are left out; a line has a gap there. */
#ifndef SHOAL_DEPLOY_PLOT_H
#define SHOAL_DEPLOY_PLOT_H

#include <stdbool.h>

enum plot_mark {
    PLOT_LINE,          /* through (x, y); with dots when there are few */
    PLOT_BAND,          /* between (x, low) and (x, high) */
    PLOT_STEP,          /* y from x to the next x */
    PLOT_INTERVAL,      /* a dot at (x, y) and a whisker from low to high along x */
    PLOT_DOTS           /* small, faint dots at (x, y) */
};

struct plot_series {
    enum plot_mark mark;
    int n;
    const double *x, *y, *low, *high;   /* [n]; those that the mark names */
    int colour;                         /* of plot_colour */
    bool is_dashed, is_faint;
};

struct plot_panel {
    const char *title, *x_label, *y_label;      /* "" for none; labels with their unit */
    bool is_log_x, is_log_y;
    bool has_x_range, has_y_range;              /* use the ranges below instead of what the data span */
    double x_range[2], y_range[2];
    bool has_reference;                         /* a vertical line at `reference`, which x must show */
    double reference;
    const char *const *rows;                    /* [n_rows] names along y instead of numbers: y of 0 is the */
    int n_rows;                                 /* first, at the top; 0: a usual axis */
    const struct plot_series *series;           /* [n_series], drawn in this order */
    int n_series;
};

struct plot_key {
    const char *text;
    int colour;
    bool is_dashed;
};

struct plot_figure {
    const char *title;
    const char *caption;                        /* wrapped below; "" for none */
    const struct plot_key *legend;              /* [n_legend] */
    int n_legend;
    const struct plot_panel *panels;            /* [n_panels] one or more */
    int n_panels;
    int n_columns;                              /* of panels; 0: as fits */
    double row_height;                          /* pixels per row of named rows; 0: as fits */
};

enum { PLOT_WIDTH = 720, PLOT_HEIGHT = 440 };

/* The picture as SVG text, PLOT_WIDTH wide and, for one panel without rows and a short caption,
 * PLOT_HEIGHT high; freed by the caller. */
char *plot_draw(const struct plot_figure *f);

/* "#0072B2": seven colours that people with any kind of colour vision tell apart, repeated.
 * Source: Okabe and Ito 2008, without yellow, which is too light on white. */
const char *plot_colour(int i);

#endif
