/* Between the files of the report: the numbers all of them speak of. */
#ifndef SHOAL_DEPLOY_REPORT_PRIVATE_H
#define SHOAL_DEPLOY_REPORT_PRIVATE_H

#include "common/arena.h"
#include "deploy/comparison.h"
#include "deploy/report.h"
#include "deploy/report_page.h"
#include "deploy/statistics.h"

enum { ALL_TASKS = -1, FEW_SEEDS = 5 };

/* One number of every run, by arm, run and task; a run that is missing has NAN. */
struct report_scores {
    double *at;                         /* [n_arms][n_rows][n_tasks] */
};

struct report_data {
    const struct report *r;
    struct arena *arena;
    struct results *runs;               /* [n_runs] as r->runs */
    struct comparison c;
    int n_rows;                         /* the most runs an arm has in a task */
    int *row;                           /* [n_runs] of every run in the scores */
    const double *low, *high;           /* [n_tasks] returns that count as 0 and 1 */
    bool has_scale;                     /* they were given: 0 and 1 mean something */
    struct report_scores own, normal, time;     /* scores, the same normalised, seconds to the end */
};

/* Read all runs and arrange their numbers. On an error there is nothing to be freed but the arena. */
int report_collect(struct report_data *d, const struct report *r, struct arena *arena, struct error *err);
void report_forget(struct report_data *d);

/* An arm's scores in one task, or in ALL_TASKS. */
struct scores report_view(const struct report_data *d, const struct report_scores *s, int arm, int task);

/* A run's score: its final or its mean return; NAN without evaluations. */
double report_score(const struct report_data *d, int run);

/* How many runs of an arm have a score in a task; the fewest of any task for ALL_TASKS. */
int report_seeds(const struct report_data *d, int arm, int task);

/* The interquartile mean: of scores in a task, of normalised ones over ALL_TASKS. */
struct interval report_iqm(const struct report_data *d, int arm, int task);

/* Of fewer than FEW_SEEDS runs the bootstrap's interval leaves equality out far too often to show anything: between
 * equal arms in about a fifth of all cases with three runs each. */
enum verdict { VERDICT_BETTER, VERDICT_WORSE, VERDICT_OPEN, VERDICT_FEW, VERDICT_UNKNOWN /* no interval */ };

/* An arm against another: its interquartile mean divided by the other's where all returns are positive, or
 * else the difference; and the probability that one of its runs is better than one of the other's. */
struct duel {
    struct interval iqm, improvement;
    bool is_ratio;
    enum verdict verdict;               /* of iqm: whether the interval leaves out equality */
};

struct duel report_duel(const struct report_data *d, int arm, int other, int task);

/* Means over an arm's runs in a task. */
struct course {
    double time_s, steps_per_s, updates_per_s, staleness_mean, staleness_max;
};

struct course report_course(const struct report_data *d, int arm, int task);

/* Tasks that differ by what was varied into them, "Acrobot-v1, lag=4": how much of the name they share, and the rest,
 * "lag=4"; where nothing was varied, each is all of it. */
size_t report_family(const char *task);
const char *report_varied(const char *task);

/* The tasks of `task`'s family, itself included, into members [n_tasks]; how many. 0: `task` is not the first. */
int report_members(const struct report_data *d, int task, int *members);

/* ---- words ---- */

/* What scores are: "final return"; and "Final returns", for titles. */
const char *report_score_word(const struct report_data *d);
const char *report_score_title(const struct report_data *d);

/* "a", "a and b", "a, b and c". */
const char *report_enumerate(const struct report_data *d, const char *const *names, int n);

/* "12.3", "-" for what is not finite; and "12.3 [10.1, 14.0]" split in "10.1 to 14.0". */
const char *report_number(const struct report_data *d, double value, int digits);
const char *report_range(const struct report_data *d, const struct interval *i, int digits);

/* The findings as paragraphs, and how to read them. */
void report_findings(const struct report_data *d, struct report_page *page);
void report_method(const struct report_data *d, struct report_page *page);

void report_tables(const struct report_data *d, struct report_page *page);
void report_runs(const struct report_data *d, struct report_page *page);

/* ---- figures ---- */

/* Draw all figures into the folder and onto the page. */
int report_figures(const struct report_data *d, struct report_page *page, const char *folder, struct error *err);

#endif
