/* A study: what is compared (arms), over what (tasks), how often (seeds), and everything else equal.
 *
 *   title: Synchronous against asynchronous PPO
 *   question: Does waiting for every actor pay for itself?
 *   base: ../ppo/cartpole.yaml     # a configuration, from the study's directory; may be left out
 *   settings: {total_steps: 200000, learner.batch_size: 64}     # sections or dotted keys, for all
 *   arms:                          # name: settings, perhaps with a `base`
 *     sync: {mode: sync}
 *     async: {mode: async}
 *   tasks:                         # the same; may be left out
 *     CartPole-v1:
 *     Hopper-v5: {base: ../ppo/hopper.yaml}
 *   vary:                          # every combination with the arms, or with the tasks
 *     actors: {values: [1, 4, 16], into: tasks, as: hands}       # called "hands=4"; otherwise "actors=4"
 *     actor.horizon: [32, 128]     # into the arms
 *   seeds: [1, 2, 3, 4, 5]
 *   baseline: sync                 # the arm that others are compared with; the first by itself
 *   run: train                     # or simulate: under virtual time
 *   measure: last                # a run's score is its last evaluation; or mean: that of its whole curve
 *                                # (of no use where eval.stop_at ends runs early)
 *   scores: {CartPole-v1: [9.3, 500], Hopper-v5: [18, 3000]}    # returns that count as 0 and 1
 *
 * A setting wins over those in front of it: base, settings, task, arm, what is varied, command line. A task
 * that has neither a base nor, itself or in `settings`, an env.name is in the environment it is named after.
 * All memory is the study's; it does not change once it is loaded, but for tasks that have no name
 * (cells_init). */
#ifndef SHOAL_DEPLOY_STUDY_H
#define SHOAL_DEPLOY_STUDY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/arena.h"
#include "common/error.h"

enum { STUDY_NAME_BYTES = 128, STUDY_MAX_PARTS = 1000, STUDY_MAX_CELLS = 10000 };

enum study_runner { STUDY_TRAIN, STUDY_SIMULATE };

struct study_setting {
    const char *key, *value;        /* "learner.batch_size", "64" */
    int line, column;               /* in the study's file */
};

struct study_settings {
    struct study_setting *v;
    int n;
};

/* An arm or a task. */
struct study_part {
    const char *name;               /* "sync, actors=4" */
    const char *origin;             /* the name in front of what was varied into it; NULL: it has none yet, as a
                                     * study without tasks has one, or one for each varied value */
    const char *base;               /* absolute; NULL: the study's */
    struct study_settings own, varied;
};

struct study_score {
    const char *task;               /* its name, or the one in front of what varies */
    double low, high;
    int line, column;
};

struct study {
    struct arena *memory;
    const char *path;               /* the study's file */
    const char *title, *question;   /* one line each; question may be "" */
    const char *base;               /* absolute, or NULL */
    struct study_settings settings, overrides;
    struct study_part *arms, *tasks;
    int n_arms, n_tasks;
    int64_t *seeds;
    int n_seeds, baseline;
    enum study_runner runner;
    bool scores_are_means;          /* of whole curves; or else their ends */
    struct study_score *scores;
    int n_scores;
};

/* Read a study and what the command line changes for all of it: "key=value", or "seeds=1,2,3". Errors name
 * file, line and key. The settings themselves are not looked at. study_fini in any case. */
int study_load(struct study *s, const char *path, char *const *overrides, int n_overrides, struct error *err);
void study_fini(struct study *s);

/* The settings of an arm on a task, each key once, and the configuration they are for (NULL: none).
 * Returns their number; `out` [*] is in the study's memory. */
int study_merge(const struct study *s, int arm, int task, struct study_setting **out, const char **base);

/* Write it so that study_load reads the same again, with everything varied written out and overrides
 * applied. */
void study_print(const struct study *s, FILE *out);

/* Whether `s` still has every arm, task and seed of `old`, and is run in the same way. ERR_CONFIG names the
 * first difference. */
int study_extends(const struct study *s, const struct study *old, struct error *err);

/* A task's score, or NULL. */
const struct study_score *study_score(const struct study *s, int task);

/* A copy in the study's memory. */
const char *study_text(const struct study *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Of the part called `name`, or -1. */
int study_find(const struct study_part *parts, int n, const char *name);

#endif
