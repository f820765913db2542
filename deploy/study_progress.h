/* How far a study is: a live line on a terminal, else a line a minute.
 *
 * What is left is transitions times seconds per transition, divided by the cells that run at a time. A speed is
 * that of the same arm and task in this session, or else of the same task, or else of all. */
#ifndef SHOAL_DEPLOY_STUDY_PROGRESS_H
#define SHOAL_DEPLOY_STUDY_PROGRESS_H

#include "deploy/study_cells.h"

struct study_progress {
    int64_t shown_us;           /* 0: never */
};

void study_progress_show(struct study_progress *p, struct cells *c, const char *dir, int jobs, int64_t now_us);

/* Seconds until all cells are done, NAN when there is no telling yet. */
double study_seconds_left(const struct cells *c, int jobs, int64_t now_us);

/* ", 12m05s left", or "" when there is no telling, or nothing is left. */
void study_format_left(const struct cells *c, int jobs, int64_t now_us, char *out, size_t bytes);

/* "2h05m", "12m05s" or "8s". */
void study_format_duration(double seconds, char *out, size_t bytes);

/* How many digits a number has. */
int study_digits(int n);

#endif
