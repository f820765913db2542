/* Statistics for comparing trainings: what runs over seeds and tasks scored, and how sure that is.
 *
 * Definitions are those of Agarwal et al. 2021, "Deep reinforcement learning at the edge of the statistical
 * precipice", and of its library rliable, against which `make test-peers` holds every one of them.
 *
 * A score that is not finite is missing: no statistic counts it, and a task is described by the runs it has.
 * So a training that failed makes a statement about the others alone; whoever wants failures to count gives
 * them a score. With equal numbers of runs everywhere all tasks weigh the same; otherwise mean, median,
 * TASKS_ABOVE and improvement weigh tasks alike, IQM, gap and ABOVE weigh scores alike. A statistic of no
 * scores at all is NaN.
 *
 * Pure functions, for any thread; they allocate their scratch once per call. */
#ifndef SHOAL_DEPLOY_STATISTICS_H
#define SHOAL_DEPLOY_STATISTICS_H

#include <stdint.h>

/* What one arm scored: run r of task t has at[(r * n_tasks + t) * stride]. Tasks with fewer runs than others
 * have NaN in the rows they lack. */
struct scores {
    const double *at;       /* [n_runs][n_tasks][stride]; borrowed */
    int n_runs, n_tasks;
    int stride;             /* 1; or the points of a curve, of which `at` points to one */
};

enum statistic_kind {
    STATISTIC_MEAN,         /* mean over tasks of the mean over runs */
    STATISTIC_MEDIAN,       /* median over tasks of the mean over runs */
    STATISTIC_IQM,          /* mean of all scores but the floor(n / 4) lowest and highest */
    STATISTIC_GAP,          /* optimality gap: level - mean of min(score, level); 1 is the usual level */
    STATISTIC_ABOVE,        /* share of scores > level: a point of the performance profile */
    STATISTIC_TASKS_ABOVE,  /* share of tasks with mean > level: of the profile of average scores */
    STATISTIC_IMPROVEMENT   /* P(x > y): mean over tasks of the share of pairs with x > y, ties counted half
                             * (Mann and Whitney's U / n_x n_y), over the tasks that both arms have */
};

/* A number that one arm has or, but for an improvement, the comparison of two arms' numbers. */
enum statistic_form {
    STATISTIC_DIFFERENCE,   /* x - y */
    STATISTIC_RATIO         /* x / y; NaN unless y > 0 */
};

struct statistic {
    enum statistic_kind kind;
    double level;                  /* of GAP, ABOVE and TASKS_ABOVE */
    enum statistic_form form;      /* of two arms */
};

/* The statistic, and the 2.5 and 97.5 percentiles of its draws. */
struct interval {
    double value, low, high;
};

enum { STATISTICS_DRAWS = 10000 };

struct bootstrap {
    uint64_t seed;          /* the same seed, the same intervals */
    int n_draws;            /* STATISTICS_DRAWS; > 0 */
};

/* `what` of arm x, or of x against y where y is not NULL; y has the tasks of x. */
double statistics_of(const struct scores *x, const struct scores *y, const struct statistic *what);

/* The same with its 95 % interval by the stratified bootstrap, percentile method: every draw takes from each
 * task of each arm as many runs as it has, with replacement. Percentiles are interpolated linearly.
 * low and high are NaN where nothing tells how runs differ, as no task of an arm has two of them, or where
 * a draw has no value (a ratio to something not positive). */
struct interval statistics_interval(const struct scores *x, const struct scores *y,
                                    const struct statistic *what, const struct bootstrap *how);

/* A performance profile: out[i] has what->level = levels[i]; `what` is of the ABOVE kinds.
 *   levels, out  [n] */
void statistics_profile(const struct scores *x, const struct scores *y, const struct statistic *what,
                        const double *levels, int n, const struct bootstrap *how, struct interval *out);

/* Curves, point by point: x and y point to the first of `stride` points each, y may be NULL. All points
 * that have the same runs see the same draws, hence whole runs are resampled and bands are smooth.
 *   out  [x->stride] */
void statistics_curve(const struct scores *x, const struct scores *y, const struct statistic *what,
                      const struct bootstrap *how, struct interval *out);

/* (score - low) / (high - low), task by task; missing where high == low.
 *   low, high  [n_tasks]
 *   out        [n_runs][n_tasks]; may be x->at when x->stride is 1 */
void statistics_normalise(const struct scores *x, const double *low, const double *high, double *out);

/* How a curve goes on from a point to the next. */
enum between {
    BETWEEN_LINEAR,         /* on a straight line */
    BETWEEN_STEP            /* at the same height */
};

/* The curve (x, y) at the points of a grid; NaN before its first and behind its last point. Points that are
 * not finite are left out; of several with one x the last counts at x and behind it.
 *   x, y       [n] x ascending
 *   grid, out  [n_grid] grid ascending */
void statistics_on_grid(const double *x, const double *y, int n, enum between between, const double *grid,
                        int n_grid, double *out);

/* The area under the curve over [from, to], from < to; NaN if the curve does not span that. Divided by
 * to - from it is the curve's mean height. Points as above. */
double statistics_area(const double *x, const double *y, int n, enum between between, double from, double to);

#endif
