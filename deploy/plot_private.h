/* Between the files of the charts: the frame of a panel, in pixels and in the data's units. */
#ifndef SHOAL_DEPLOY_PLOT_PRIVATE_H
#define SHOAL_DEPLOY_PLOT_PRIVATE_H

#include "deploy/plot.h"
#include "deploy/plot_axis.h"
#include "deploy/svg.h"

#define PLOT_DASHES "6 4"

struct plot_frame {
    double left, top, width, height;
    struct plot_axis x, y;
};

static inline double plot_x(const struct plot_frame *f, double x)
{
    return f->left + f->width * plot_axis_place(&f->x, x);
}

static inline double plot_y(const struct plot_frame *f, double y)
{
    return f->top + f->height * (1 - plot_axis_place(&f->y, y));
}

void plot_draw_series(struct svg *s, const struct plot_frame *f, const struct plot_series *series);

#endif
