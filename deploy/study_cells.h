/* The cells of a study: one run for every arm, task and seed, each with a configuration of its own.
 *
 * A study's directory, DIR:
 *   study.yaml             the study as it was run, everything written out; `shoal study DIR` goes on with it
 *   configs/<cell>.yaml    what each cell was given, complete
 *   runs/<cell>/           its run directory
 *   logs/<cell>.txt        what it said
 *   report.html, report.md, *.svg
 *
 * What a cell is waiting for is read from its run directory and nowhere else. Cells are in the order in which
 * they are run: all of the first seed, then all of the second, so that a study that was stopped compares
 * something. */
#ifndef SHOAL_DEPLOY_STUDY_CELLS_H
#define SHOAL_DEPLOY_STUDY_CELLS_H

#include <sys/types.h>

#include "deploy/run.h"
#include "deploy/study.h"

enum cell_state {
    CELL_NEW,           /* nothing there */
    CELL_INTERRUPTED,   /* a run that can go on */
    CELL_RUNNING,
    CELL_DONE,
    CELL_FAILED         /* its numbers diverged, or it failed twice in this session */
};

struct cell {
    int arm, task;
    int64_t seed, total_steps;
    char name[2 * STUDY_NAME_BYTES + 32];   /* "sync-CartPole-v1-1": of its directory */
    char *config;                           /* resolved, without comments */
    enum cell_state state;
    /* While they are run (study_run.h) */
    pid_t pid;
    int failures;
    int64_t began_us, ended_us;             /* in this session; 0: not yet */
    int64_t began_steps, steps;             /* transitions then, and now */
};

struct cells {
    struct cell *v;         /* [n], seeds outermost, arms innermost */
    int n;
};

/* Resolve and check the configuration of every cell: as `shoal train` would, environments included, with
 * learner.workers 1 where it is left to the program. A task without a name gets its environment's.
 *   complain   gets every mistake as a line that names arm and task; the same one is said once
 * Returns 0 or ERR_CONFIG. cells_fini in any case. */
int cells_init(struct cells *c, struct study *s, void (*complain)(const char *line), struct error *err);
void cells_fini(struct cells *c);

/* `folder`/cell`ending` below the study's directory. */
void cell_path(const struct cell *cell, const char *dir, const char *folder, const char *ending, char *out,
               size_t bytes);

/* Find out what is there of each cell. ERR_CONFIG when one was run with another configuration, naming the
 * first setting that differs, or when DIR/study.yaml has what `s` has not. */
int cells_look(struct cells *c, const struct study *s, const char *dir, struct error *err);

/* What there is of one cell. */
enum cell_state cell_look(const struct cell *cell, const char *dir);

/* Transitions that a run has had so far, by its metrics.csv. */
int64_t cell_steps(const struct cell *cell, const char *dir);

/* Mean return of the last evaluation, by its summary.json; NAN: there is none. */
double cell_return(const struct cell *cell, const char *dir);

/* Write DIR/study.yaml, whose first line is a command that gives all of it, and what cells are given. */
int cells_write(const struct cells *c, const struct study *s, const char *dir, const char *command, struct error *err);

/* SHA-256 over all configurations and names. */
void cells_hash(const struct cells *c, const struct study *s, char *hex);

int cells_count(const struct cells *c, enum cell_state state);

#endif
