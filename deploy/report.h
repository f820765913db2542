/* A study's report. */
#ifndef SHOAL_DEPLOY_REPORT_H
#define SHOAL_DEPLOY_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct report_run { const char *path; int arm, task; int64_t seed; };   /* one finished run directory */

struct report {
    const char *title, *question, *config_hash, *command;   /* texts for the head of the report; question may be "" */
    const char *const *arms; int n_arms;        /* what is compared: "sync", "async" */
    const char *const *tasks; int n_tasks;      /* over what: "CartPole-v1", "HalfCheetah-v5, 16 actors" */
    const struct report_run *runs; int n_runs;
    int baseline;                               /* the arm that others are compared with */
    bool is_virtual;                            /* time is virtual */
    const double *low, *high;                   /* [n_tasks] returns that count as 0 and 1; NULL: the lowest and
                                                 * highest final return of the task */
    int n_missing;                              /* cells that failed or were not run */
};

/* folder/report.html, report.md and figures. */
int report_write(const struct report *r, const char *folder, struct error *err);

#endif
