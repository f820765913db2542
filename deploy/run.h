/* A run directory: everything one training leaves behind.
 *
 *   config.yaml    fully resolved           metrics.csv   a line every metrics.every_s
 *   eval.csv       a line per evaluation    hashes.csv    digests; nothing in it depends on time
 *   staleness.csv  a line per version       actors.csv    a line per learner and place for an actor, at checkpoints
 *   log.txt        what happened, when      schedule.bin  where every fragment entered
 *   summary.json   how it ended             session       run id and learner epoch
 *   machines.txt   a line per learner: where it ran
 *   checkpoint/    learner.safetensors (to resume from), policy.safetensors (the last policy)
 *   best/          policy.safetensors (the best evaluated)
 *
 * One learner at a time holds its lock. */
#ifndef SHOAL_DEPLOY_RUN_H
#define SHOAL_DEPLOY_RUN_H

#include <stdint.h>
#include <stdio.h>

#include "deploy/experiment.h"
#include "deploy/evaluator.h"
#include "deploy/schedule_file.h"
#include "learner/session.h"
#include "learner/training.h"

enum { RUN_PATH_BYTES = 3072 };

struct run {
    char path[RUN_PATH_BYTES];
    uint64_t id;
    int64_t epoch;
    int lock;
    struct row_shape row;           /* of the environment; set by whoever opens the run */
    char spec_hash[ENV_SPEC_HASH_BYTES];    /* of the environment */
    const struct kernels *kernels;  /* that updates are computed with */
    double time_before_s;           /* training time of earlier learners of this run */
    double best_mean;               /* -INFINITY before the first evaluation */
    FILE *metrics, *eval, *hashes, *staleness, *log;
    struct schedule_file *schedule; /* NULL: an older file that cannot be gone on with */
    struct schedule_record begin;   /* written with the first record of this learner */
    bool has_begun;                 /* that is done */
    int64_t saved_update;           /* of the last checkpoint */
    bool is_cut;                    /* the file `cut` could not be written lately */
    char cut[32];
};

/* runs/<config>-<seed>-<date>, free so far. */
void run_default_path(const char *config, int64_t seed, char *out, size_t bytes);

/* A path as one word of a shell, in quotes where it needs them. */
void run_shell_word(const char *path, char *out, size_t bytes);

/* `name` below the run directory. */
void run_file(const struct run *r, const char *name, char *out, size_t bytes);

/* A new directory (it may exist if it holds no run). */
int run_create(struct run *r, const char *path, struct experiment *e, const struct kernels *kernels,
               struct error *err);

/* Go on in an existing one with a higher epoch. */
int run_resume(struct run *r, const char *path, const struct kernels *kernels, struct error *err);

void run_close(struct run *r);

/* Where the configuration of a run is, whether there is a run, and whether it has a checkpoint. */
void run_config_path(const char *run, char *out, size_t bytes);
bool run_exists(const char *run);
/* What is no run, where an environment may stand too: ERR_MISSING when it looks like a place and is not
 * a task's YAML file. */
int run_refuse_place(const char *subject, struct error *err);
bool run_has_checkpoint(const struct run *r);

/* Checkpoint the training core: the resumable state first, then the policy for others to read. ERR_NUMERIC,
 * and nothing is written, where it holds numbers that are not finite. */
int run_save(struct run *r, const struct experiment *e, struct training *t, struct error *err);

/* Load it, and forget lines that were written after it. ERR_CONFIG where it was written in another mode. */
int run_load(struct run *r, const struct experiment *e, struct training *t, struct error *err);

/* Return to what the last checkpoint had learnt (training_restore); ERR_MISSING when there is none. */
int run_restore(struct run *r, struct training *t, struct error *err);

/* There is no checkpoint to go on from: forget every line that was written. */
int run_begin_again(struct run *r, struct error *err);

int run_save_policy(const struct run *r, const struct experiment *e, const char *folder,
                    const float *params, struct error *err);

/* Read the last policy, or the best, of the run in `run` for an environment. `params` is allocated with
 * malloc. ERR_MISSING when there is none yet, ERR_FORMAT when it does not fit. */
int run_load_policy(const char *run, bool best, const struct env_spec *env,
                    struct policy_shape *shape, float **params, struct error *err);

/* Whether the policy in `run` was trained in an environment of another specification: other files,
 * options or bounds than it has today. False when there is no telling. */
bool run_environment_differs(const char *run, bool best, const struct env_spec *env);

/* What only a clock tells: over the last line, and how long the learner waited for data, all along. */
struct run_speeds {
    double steps_per_s, updates_per_s, learner_wait_s;
};

void run_write_metrics(struct run *r, const struct experiment *e, double time_s,
                       const struct training_report *t, const struct session_counts *s,
                       const struct run_speeds *speeds);
void run_write_staleness(struct run *r, const struct version_staleness *s);

/* What the places for actors did under this learner, [n] each; what they did under earlier ones stays. */
int run_write_actors(struct run *r, int n, const struct session_actor *actors, const struct training_place *places,
                     struct error *err);

void run_write_eval(struct run *r, int64_t env_steps, double time_s, const struct evaluation *e);
void run_write_hash(struct run *r, int64_t update, int64_t env_steps, const char *sha256);

/* Records of fragments and gradients; the others are written by who saves, loads and ends. */
void run_write_schedule(struct run *r, const struct schedule_record *record);

/* One line with the wall-clock time. */
void run_write_log(struct run *r, const char *line);

/* A line for the log of run `path` from another process, if there is one. */
void run_append_log(const char *path, const char *line);

/* The newest evaluation, for the summary. */
struct last_evaluation {
    struct evaluation result;       /* no episodes: there was none, or it failed */
    bool has_failed;
    int64_t n_failed;               /* of all */
};

/* How it went. `status` is "finished", "stopped at eval.stop_at", "interrupted" or "diverged". */
int run_write_summary(struct run *r, const struct experiment *e, const char *status,
                      double time_s, const struct training_report *t,
                      const struct last_evaluation *last, struct error *err);

#endif
