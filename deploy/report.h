/* The report of a study: what was compared, what was found and how sure that is, in words, tables and
 * figures. For a shell, in one thread. */
#ifndef SHOAL_DEPLOY_REPORT_H
#define SHOAL_DEPLOY_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

/* One finished run directory. */
struct report_run {
    const char *path;
    int arm, task;
    int64_t seed;
};

struct report {
    const char *title, *question, *config_hash, *command; /* texts for the head of the report; question may be "" */
    const char *const *arms; int n_arms;                  /* what is compared: "sync", "async" */
    const char *const *tasks; int n_tasks;                /* over what: "CartPole-v1", "HalfCheetah-v5, 16 actors" */
    const struct report_run *runs; int n_runs;
    int baseline;                                         /* the arm that others are compared with */
    bool is_virtual;                                      /* time is virtual */
    bool scores_are_means;                                /* a score is that of the whole curve, not its end */
    const double *low, *high;                             /* [n_tasks] what counts as 0 and 1; NULL: a task's extremes */
    int n_missing;                                        /* cells that failed or were not run */
};

/* Write folder/report.html (self-contained), report.md and the figures as .svg; the folder is made if it is
 * not there, and files of an earlier report are replaced.
 * Returns 0, or the error of the first run directory that cannot be read or file that cannot be written;
 * then nothing, or an older report beside newer figures, is there. */
int report_write(const struct report *r, const char *folder, struct error *err);

#endif
