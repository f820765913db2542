/* The contract between Shoal and an environment.
 *
 * An environment is one file that ends in a `const struct environment`, and one line in
 * ENVIRONMENTS(X) (actor/env/registry.h). It works in double and in its own units; time limits,
 * action scaling, episode books and finiteness checks are done once, around it (actor/env.h). */
#ifndef SHOAL_COMMON_ENVIRONMENT_H
#define SHOAL_COMMON_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/rng.h"
#include "common/row.h"

enum { ENV_MAX_ACT = 64, ENV_MAX_OBS = 4096, ENV_NAME_BYTES = 64, ENV_SPEC_HASH_BYTES = 17 };

/* What a policy must know of an environment. Filled by `open`. */
struct env_spec {
    char name[ENV_NAME_BYTES];
    struct row_shape shape;         /* n_act is 1 for discrete actions */
    int n_choices;                  /* number of discrete actions; 0: continuous */
    int time_limit;                 /* transitions after which an episode is truncated; 0: never */
    int n_state;                    /* doubles that get_state writes */
    float act_low[ENV_MAX_ACT];     /* bounds in the environment's units */
    float act_high[ENV_MAX_ACT];
};

struct env_step {
    double reward;
    bool terminated;    /* the episode ended inside the task: no bootstrap */
    bool diverged;      /* the simulation broke down: truncate and count */
};

struct environment {
    const char *name;

    /* Load what all instances share (read-only afterwards) and describe it. `models_dir` is where
     * MJCF files are; it may be NULL for environments that need none. Called once per process,
     * before any create, from one thread at a time. `*model` may stay NULL. */
    int (*open)(void **model, struct env_spec *spec, const char *models_dir, struct error *err);
    void (*close)(void *model);

    /* One instance. Any thread, one thread per instance. Not reset yet. */
    void *(*create)(const void *model);
    void (*destroy)(void *self);

    /* Begin an episode, drawing only from `rng`. */
    void (*reset)(void *self, struct rng *rng);

    /* Advance by one action, [n_act] in the environment's units, already clipped to the bounds.
     * Must not allocate, print, reset itself or look at a clock. */
    void (*step)(void *self, const float *action, struct env_step *out);

    /* The observation of the current state, [n_obs]; after reset, step and set_state. */
    void (*observe)(const void *self, double *obs);

    /* The whole physical state, [n_state] (physics with warm start, last observation where it
     * is not a function of the rest). set_state(get_state()) in another process continues bit for
     * bit. Both NULL: the environment cannot be saved and n_state is 0. */
    void (*get_state)(const void *self, double *state);
    void (*set_state)(void *self, const double *state);

    /* MuJoCo tasks only: the instance's const mjModel and const mjData, for pictures. Else NULL. */
    void (*mujoco)(const void *self, const void **model, const void **data);
};

/* 16 hexadecimal digits that change whenever name, dimensions, bounds or limit do. */
void env_spec_hash(const struct env_spec *spec, char out[ENV_SPEC_HASH_BYTES]);

/* One readable line: "Pendulum-v1 (3 observations, 1 action in [-2, 2], limit 200)". */
void env_spec_describe(const struct env_spec *spec, char *out, size_t bytes);

#endif
