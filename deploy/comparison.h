/* Runs as arms x tasks, and the figures that show how they went: returns, staleness, throughput. */
#ifndef SHOAL_DEPLOY_COMPARISON_H
#define SHOAL_DEPLOY_COMPARISON_H

#include <stdbool.h>

#include "common/arena.h"
#include "deploy/results.h"

struct comparison {
    const char *const *arms;            /* [n_arms] what is compared; a colour each */
    const char *const *tasks;           /* [n_tasks] over what; a panel each */
    int n_arms, n_tasks;
    const struct results *runs;         /* [n_runs] */
    const int *arm, *task;              /* [n_runs] of every run */
    int n_runs;
    bool is_virtual;                    /* time is virtual */
    const char *config_hash;            /* of all together; NULL: each arm's own are named */
};

enum comparison_figure {
    FIGURE_RETURN_STEPS,                /* return against transitions */
    FIGURE_RETURN_TIME,                 /* return against time */
    FIGURE_STALENESS,                   /* mean and 99th percentile against transitions */
    FIGURE_THROUGHPUT,                  /* transitions and updates per second against time */
    N_COMPARISON_FIGURES
};

/* The figure as SVG text, freed by the caller. Its caption says what lines and bands are, and names seeds
 * and configurations. */
char *comparison_draw(const struct comparison *c, enum comparison_figure which);

/* "return_transitions.svg": the name of the figure's file; and its title. */
const char *comparison_file(enum comparison_figure which);
const char *comparison_title(enum comparison_figure which);

/* The runs of an arm in a task. Returns how many; `out` [n_runs] */
int comparison_select(const struct comparison *c, int arm, int task, const struct results **out);

/* What all figures say of seeds and configurations: "Seeds 1 to 3. Configurations: sync 0123456789ab ..." */
char *comparison_provenance(const struct comparison *c, struct arena *arena);

/* "1 to 5", "1, 2, 7 to 9": seeds [n] in any order, each once. */
char *comparison_seeds(const int64_t *seeds, int n, struct arena *arena);

/* The unit in which times up to `most_s` are read best: "s", "min" or "h", and its seconds. */
const char *comparison_time_unit(double most_s, double *seconds);

/* printf into the arena. */
char *comparison_print(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
