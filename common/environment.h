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
#include "common/option.h"
#include "common/rng.h"
#include "common/row.h"

enum {
    ENV_MAX_ACT = 64, ENV_MAX_OBS = 4096, ENV_NAME_BYTES = 64, ENV_SPEC_HASH_BYTES = 17,
    ENV_MAX_OPTIONS = 40,           /* of one environment */
    ENV_OPTIONS_BYTES = 1024,       /* of the struct they fill */
    ENV_OPTIONS_LINE_BYTES = 1024   /* of those that differ from their defaults, written down */
};

/* What a policy must know of an environment. Filled by `open`, but for `options`. */
struct env_spec {
    char name[ENV_NAME_BYTES];
    struct row_shape shape;         /* n_act is 1 for discrete actions */
    int n_choices;                  /* number of discrete actions; 0: continuous */
    int time_limit;                 /* transitions after which an episode is truncated; 0: never */
    int n_state;                    /* doubles that get_state writes */
    double step_s;                  /* simulated seconds in a step; 0: not a simulation in time */
    float act_low[ENV_MAX_ACT];     /* bounds in the environment's units */
    float act_high[ENV_MAX_ACT];
    char content[ENV_SPEC_HASH_BYTES];       /* digest of the files behind the name; "": none */
    char options[ENV_OPTIONS_LINE_BYTES];    /* "key: value, ..." of what is not the default */
};

/* What an environment is opened with. Borrowed during `open`. */
struct env_context {
    const struct environment *ops;
    const char *name;           /* as asked for */
    const char *models_dir;     /* where MJCF files are; NULL: nowhere */
    const char *env_path;       /* directories of tasks and plug-ins, separated by ':'; NULL: none */
    const char *file;           /* what was found there under the name; NULL: built in */
    void *handle;               /* of a plug-in */
    const void *options;        /* [options_bytes], filled */
};

struct env_step {
    double reward;
    bool terminated;    /* the episode ended inside the task: no bootstrap */
    bool diverged;      /* the simulation broke down: truncate and count */
};

/* A simulation's inside, for recordings and pictures. Borrowed until the next step. */
struct env_physics {
    int nq, nv;
    const double *qpos, *qvel;      /* [nq], [nv] */
    const void *mj_model, *mj_data; /* mjModel and mjData */
};

struct environment {
    const char *name;
    const struct option *options;   /* over a struct of options_bytes, at most ENV_OPTIONS_BYTES */
    int n_options;
    size_t options_bytes;
    const void *definition;         /* for an `open` that serves several environments */

    /* Load what all instances share (read-only afterwards) and describe it. From one thread at a
     * time, also while other models are open. `*model` may stay NULL. */
    int (*open)(void **model, struct env_spec *spec, const struct env_context *context,
                struct error *err);
    void (*close)(void *model);

    /* One instance. Any thread, one thread per instance. Not reset yet. */
    void *(*create)(const void *model);
    void (*destroy)(void *self);

    /* Begin an episode, drawing only from `rng`. */
    void (*reset)(void *self, struct rng *rng);

    /* Advance by one action, [n_act] in the environment's units, within the bounds unless somebody
     * replays foreign actions. Must not allocate, print, reset itself or look at a clock. */
    void (*step)(void *self, const float *action, struct env_step *out);

    /* Optional, of environments whose steps cost little beside a call: `step` and `observe` of n instances of
     * one model, to the bit what these would have given one by one. It cannot hang or crash, as nobody
     * is told which instance it is in.
     *   self [n];  actions [n][n_act];  out [n];  obs [n] pointers to n_obs numbers */
    void (*step_all)(void *const *self, int n, const float *actions, struct env_step *out,
                     double *const *obs);

    /* The observation of the current state, [n_obs]; after reset, step and set_state. */
    void (*observe)(const void *self, double *obs);

    /* The whole physical state, [n_state] (physics with warm start, whatever a later reward compares
     * with). set_state(get_state()) in another process continues bit for bit. Both NULL: the
     * environment cannot be saved and n_state is 0. */
    void (*get_state)(const void *self, double *state);
    void (*set_state)(void *self, const double *state);

    /* Only of simulations, NULL elsewhere: look inside; begin an episode at positions qpos [nq] and
     * velocities qvel [nv], everything else as after a reset. */
    void (*physics)(const void *self, struct env_physics *out);
    void (*set_physics)(void *self, const double *qpos, const double *qvel);
};

/* The options that every environment has, before its own. */
struct env_common_options {
    int64_t max_episode_steps;      /* 0: the environment's own limit */
};
enum { N_ENV_COMMON_OPTIONS = 1 };
extern const struct option env_common_options[N_ENV_COMMON_OPTIONS];

/* 16 hexadecimal digits that change whenever name, dimensions, bounds, limit, files or options
 * do. */
void env_spec_hash(const struct env_spec *spec, char out[ENV_SPEC_HASH_BYTES]);

bool env_bounds_are_equal(const struct env_spec *spec);

/* One readable line: "Pendulum-v1 (3 observations, 1 action in [-2, 2], limit 200)". */
void env_spec_describe(const struct env_spec *spec, char *out, size_t bytes);

#endif
