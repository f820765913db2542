/* Play one environment for a number of steps and write every transition to a file.
 *
 * Stream 0 of the same seed in a training begins with the same episodes: starts and random actions
 * are drawn from the same sequences. */
#ifndef SHOAL_DEPLOY_ROLLOUT_H
#define SHOAL_DEPLOY_ROLLOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "actor/env.h"
#include "actor/watch.h"
#include "common/npz.h"
#include "common/policy.h"

enum rollout_actor {
    ROLLOUT_RANDOM,     /* uniform within the bounds */
    ROLLOUT_ZERO,
    ROLLOUT_GIVEN,      /* `actions` */
    ROLLOUT_MEAN,       /* what `policy` deems best: its mean or the most probable choice */
    ROLLOUT_SAMPLED     /* drawn from `policy`, which is not deterministic */
};

/* Borrowed during rollout_play. */
struct rollout_plan {
    const struct env_model *model;
    enum rollout_actor actor;
    const double *actions;          /* [steps][n_act] float32 values in the environment's units */
    struct policy *policy;          /* for one row */
    const char *state;              /* .npz with the start of the first episode; NULL: a reset */
    int64_t steps;
    uint64_t seed;
    const char *out;                /* .npz or .csv */
    struct watch *watch;            /* told of episodes and steps; NULL: nobody looks */
    bool is_quiet;                  /* no progress */
};

struct rollout_result {
    int64_t steps, episodes;        /* episodes that ended */
    int64_t diverged;               /* of those, by numbers that broke down */
    double return_mean;             /* undiscounted, of the episodes that ended; 0 without any */
    double time_s;
};

/* The actions in a .npy file, [steps][n_act], or [steps] when n_act is 1; every one a number that the
 * environment takes. `steps` 0: all of them, and it is set. */
int rollout_read_actions(const char *path, const struct env_spec *spec, int64_t *steps,
                         struct npz_array *actions, struct error *err);

/* Play. ERR_INTERRUPTED after a signal; the file then holds the steps until there. */
int rollout_play(const struct rollout_plan *plan, struct rollout_result *out, struct error *err);

#endif
