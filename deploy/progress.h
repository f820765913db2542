/* Where a training stands, for people and for metrics.csv. Used by the update thread. */
#ifndef SHOAL_DEPLOY_PROGRESS_H
#define SHOAL_DEPLOY_PROGRESS_H

#include <stdint.h>

#include "deploy/run.h"

struct progress {
    struct training_report report;              /* the newest; filled by the caller */
    int64_t began_us, written_us, shown_us, window_us;
    double time_before_s;                       /* training time of earlier learners of the run */
    int64_t written_steps, written_updates;     /* at the last line of metrics.csv */
    int64_t window_steps, window_updates;       /* at the start of the speed window */
    double steps_per_s, updates_per_s;          /* over the last speed window */
    int64_t waited_us;                          /* for data; kept by the caller */
};

/* Start all clocks; `report` stands for the beginning. */
void progress_begin(struct progress *p, double time_before_s, int64_t now_us);

double progress_time_s(const struct progress *p, int64_t now_us);

/* Speeds up to the report just made, over a window so that they are calm; progress_write does it, too. */
void progress_measure(struct progress *p, int64_t now_us);

/* A line of metrics.csv from a report just made. */
void progress_write(struct progress *p, struct run *run, const struct experiment *e,
                    const struct session_counts *counts, int64_t now_us);

/* When it is time: the live line on a terminal twice a second, otherwise a line every 10 s. */
void progress_show(struct progress *p, int64_t total_steps, int actors, int64_t now_us);

/* How a training ended that goes on no more, in a word or three. */
const char *progress_ending(const struct progress *p, int64_t total_steps, enum training_status status);

#endif
