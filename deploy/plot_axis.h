/* One axis of a chart: its range, its ticks and their labels. Pure functions. */
#ifndef SHOAL_DEPLOY_PLOT_AXIS_H
#define SHOAL_DEPLOY_PLOT_AXIS_H

#include <stdbool.h>

enum { PLOT_MAX_TICKS = 32, PLOT_LABEL_BYTES = 32 };

struct plot_axis {
    double low, high;           /* low < high; both > 0 when logarithmic */
    bool is_log;
    int n_ticks;
    double ticks[PLOT_MAX_TICKS];   /* ascending, within the range */
    double unit;                /* labels count in it: 1, 1e3, 1e6 ... */
    int decimals;               /* of a label */
};

/* An axis over the values from `low` to `high` with about `n_wanted` ticks at 1, 2 or 5 times a power of
 * ten. `margin` is the share of the range that is added on both sides, but for a side that is moved to 0
 * because 0 is near. A logarithmic axis needs low > 0. */
void plot_axis_fit(struct plot_axis *a, double low, double high, double margin, bool is_log, int n_wanted);

/* Where a value lies: 0 at the low end, 1 at the high end. */
double plot_axis_place(const struct plot_axis *a, double value);

/* "-2.5", "50k", "1.5M": all ticks of a linear axis in the same unit and with as many decimals. */
void plot_axis_label(const struct plot_axis *a, double tick, char out[PLOT_LABEL_BYTES]);

/* A number for people with `digits` significant digits, no exponent between 1e-4 and 1e15, and a real
 * minus sign. "-" when it is not finite. */
void plot_number(double value, int digits, char out[PLOT_LABEL_BYTES]);

#endif
