/* Measuring, for `shoal bench`: windows of work, what they say together, and the tables they are shown in.
 *
 * A window is a stretch of wall time in which a piece of work is repeated. A shared or virtual machine is taken
 * away now and then, so a window counts only where it was not: a single thread got at least 98 % of a core, or
 * nothing but this program used the machine. What is printed is the median of the windows that count, with
 * their spread. Where too many were rejected, disturbed ones count, too, and the figure is marked.
 *
 * Works that are compared take turns, so that a disturbance meets all of them; a ratio is the median of the
 * rounds' ratios. Used by one thread. */
#ifndef SHOAL_DEPLOY_BENCH_H
#define SHOAL_DEPLOY_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/algorithm.h"
#include "common/error.h"

enum { BENCH_ROUNDS = 5, BENCH_MAX_ROUNDS = 64, BENCH_MAX_WORKS = 16, BENCH_MAX_COLUMNS = 16, BENCH_MAX_VARIANTS = 32 };

struct bench;

/* ---- windows ---- */

/* What a window is told about. */
enum bench_time {
    BENCH_THREAD,       /* the calling thread does all of it, and its time is the thread's CPU time */
    BENCH_MACHINE       /* several threads or processes share it, and its time is wall time */
};

/* One window under way. */
struct bench_window {
    enum bench_time time;
    double units;                       /* done in it: the work adds to them */
    double wall_s, cpu_s, machine_s;    /* so far; machine_s: CPU time of everybody on the machine */
    double wall_from, cpu_from, machine_from;
};

/* What stands between these is no part of the window: preparations of the next piece of work. */
void bench_pause(struct bench_window *w);
void bench_resume(struct bench_window *w);

/* The last `seconds` of wall time are no part of it either, which only came out afterwards. */
void bench_forget(struct bench_window *w, double seconds);

/* A thing to be measured. */
struct bench_work {
    /* Do some of it, best 20 us or more, and add what was done to w->units. Returns 0 or a negative code. */
    int (*run)(void *context, struct bench_window *w, struct error *err);
    void *context;
    int reference;      /* which of the works its ratio is to; -1: to none */
};

struct bench_plan {
    double seconds;         /* of a window */
    int rounds;             /* windows of each work that are to count, at most BENCH_MAX_ROUNDS */
    int most_rejected;      /* rounds measured again, before disturbed ones count, too */
    enum bench_time time;
};

struct bench_result {
    double median, min, max;    /* units per second; NaN: not measured */
    double ratio;               /* to the reference; NaN: it has none */
    int n, n_rejected;          /* windows */
    bool is_disturbed;          /* too many were rejected: some of those that count were disturbed */
};

/* Five rounds, or twice as many again, of windows of b->seconds / `parts`. */
struct bench_plan bench_plan_make(const struct bench *b, double parts, enum bench_time time);

/* Run n works in turns.
 *   out  [n]
 * Returns 0, or what a work returned. */
int bench_measure(const struct bench_plan *plan, const struct bench_work *works, int n,
                  struct bench_result *out, struct error *err);

/* The same figures as time per unit: median, min and max become `scale` / rate. */
struct bench_result bench_as_time(struct bench_result r, double scale);

/* From single measurements instead of windows, for what is done a few times only.
 *   x [n], n at least 1 */
struct bench_result bench_of(const double *x, int n);

/* What is there where nothing was measured. */
struct bench_result bench_none(void);

/* ---- what learners are measured with ---- */

/* How a learner computes. */
struct bench_variant {
    const struct kernels *kernels;
    int workers;                /* threads */
};

/* Those that this machine can run, the default first. Returns how many. */
int bench_variants(struct bench_variant out[BENCH_MAX_VARIANTS]);

/* "avx512 f32 x2" */
enum { BENCH_VARIANT_BYTES = 40 };
void bench_variant_name(const struct bench_variant *v, char out[BENCH_VARIANT_BYTES]);

/* For struct algorithm_setup; the caller destroys its workers. */
struct mlp_engine bench_variant_engine(const struct bench_variant *v);

/* Clock of windows in which such a learner updates. */
enum bench_time bench_variant_time(const struct bench_variant *v);

/* ---- a run of the bench ---- */

/* GF/s that one core reached in this run; 0: not measured, or unknown on this machine. */
struct bench_peaks {
    bool are_measured;
    double fma;             /* float32 fused multiply-adds in registers */
    double bf16;            /* dot products of pairs of bfloat16 (AVX512_BF16) in registers */
    double amx;             /* products of bfloat16 tiles */
};

struct bench_output;

struct bench {
    double seconds;         /* of a window; groups with many figures take a part of it */
    const char *filter;     /* rows without this text in their names are left out; NULL: none are */
    struct bench_peaks peaks;
    struct bench_output *output;
};

/* Measured when first asked for (bench_peak.c). */
int bench_peaks(struct bench *b, struct error *err);

/* What part so many GF/s are of the peak of the unit that these kernels compute with; NaN where that is unknown. */
double bench_share(const struct bench *b, const struct kernels *kernels, double gflops);

/* ---- tables ---- */

/* Rows of figures in columns, one unit in all of them. Static texts. */
struct bench_table {
    const char *group, *title, *unit;
    const char *variant;                /* what all its rows are measured with, where other tables have the same rows; NULL */
    const char *share_of;               /* what percentages are of; NULL: there are none */
    const char *const *columns;         /* [n_columns] */
    int n_columns;
};

struct bench_output *bench_output_create(bool is_json);

/* Print what --json prints at the end, and free. */
void bench_output_end(struct bench_output **o, const struct bench *b);

/* The rows that follow belong to `t`, borrowed while they do. */
void bench_begin_table(struct bench *b, const struct bench_table *t);

/* Whether a row of that name is wanted. */
bool bench_wants(const struct bench *b, const char *name);

/* One row, cell by cell as they are measured.
 *   share  of what the table says, 1 is all of it; NaN: none */
void bench_begin_row(struct bench *b, const char *name);
void bench_cell(struct bench *b, const struct bench_result *r, double share);
void bench_end_row(struct bench *b);

/* ---- the groups: command_bench.c lists them ---- */

int bench_kernels(struct bench *b, struct error *err);
int bench_updates(struct bench *b, struct error *err);
int bench_acting(struct bench *b, struct error *err);
int bench_ingest(struct bench *b, struct error *err);
int bench_snapshots(struct bench *b, struct error *err);
int bench_replay(struct bench *b, struct error *err);
int bench_speed(struct bench *b, struct error *err);
int bench_overhead(struct bench *b, struct error *err);
int bench_threshold(struct bench *b, struct error *err);

#endif
