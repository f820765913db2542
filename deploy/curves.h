/* Curves over several runs of one kind: returns with their bootstrap interval, rates and staleness with
 * their range. Arrays belong to the arena that is given. */
#ifndef SHOAL_DEPLOY_CURVES_H
#define SHOAL_DEPLOY_CURVES_H

#include "common/arena.h"
#include "deploy/results.h"

enum curve_kind {
    CURVE_RETURN,               /* of evaluations; of training episodes where `is_training` asks for it */
    CURVE_STALENESS, CURVE_STALENESS_P99,
    CURVE_STEPS_RATE, CURVE_UPDATES_RATE
};

enum curve_against { AGAINST_STEPS, AGAINST_TIME };

struct curve {
    int n;                      /* 0: nothing to show */
    double *x;                  /* [n] transitions or seconds, ascending */
    double *value, *low, *high; /* [n]; low and high are NAN where nothing tells how runs differ */
};

enum { CURVE_BINS = 40, CURVE_POINTS = 101 };

/* The interquartile mean of the runs' returns and its 95 % stratified bootstrap interval, where all runs
 * have data: at their common evaluations, or at CURVE_POINTS points with straight lines between evaluations. */
struct curve curve_of_returns(const struct results *const *runs, int n, bool is_training,
                              enum curve_against against, struct arena *arena);

/* The mean over runs of a column's mean in up to CURVE_BINS bins of x; low and high are the range. Bins that
 * fewer than half of the runs have are left out. */
struct curve curve_of_column(const struct results *const *runs, int n, enum curve_kind kind,
                             enum curve_against against, struct arena *arena);

/* One run's returns against x: those of the file with finite numbers, x ascending. */
struct curve curve_of_run(const struct results *run, bool is_training, enum curve_against against,
                          struct arena *arena);

#endif
