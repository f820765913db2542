/* One instance of an environment, with everything that is the same for all of them: options, policy
 * units, time limits, episode books, finiteness, saved states.
 *
 * Invariant: every number that leaves this module is finite. What breaks down ends its episode as
 * truncated and diverged, with the observation before it.
 * A model is shared by any number of threads; an instance belongs to one at a time. */
#ifndef SHOAL_ACTOR_ENV_H
#define SHOAL_ACTOR_ENV_H

#include "common/environment.h"

struct env_model;    /* what the instances of one environment share */
struct env;          /* one instance */

/* What to open. Borrowed during env_open. */
struct env_setup {
    const char *name;           /* "Hopper-v5", "mytask.yaml" or a plug-in's name; never a path */
    const char *options;        /* one line, "key: value, key: [a, b]"; NULL: all defaults */
    const char *models_dir;     /* of MJCF files; NULL: none */
    const char *env_path;       /* directories of tasks and plug-ins, ':' between them; NULL: none */
};

struct env_outcome {
    double reward;
    enum row_kind kind;       /* STEP, TERMINATED or TRUNCATED */
    bool terminated, truncated;    /* both when the step that terminates reaches the limit, too */
    bool diverged;            /* the episode ended because numbers did; kind is TRUNCATED */
    double episode_return;    /* undiscounted, of the episode that ended; 0 while kind is STEP */
    int episode_length;       /* likewise */
};

/* Open an environment. From one thread at a time. ERR_CONFIG for an unknown name or option (with the
 * nearest known one) or an unusable model, ERR_MISSING without its file. */
int env_open(struct env_model **m, const struct env_setup *setup, struct error *err);

/* Close it after all its instances. */
void env_close(struct env_model **m);

/* Borrowed until env_close. */
const struct env_spec *env_spec(const struct env_model *m);

/* A new instance, which must be reset or given a state before its first step. */
struct env *env_create(const struct env_model *m);
void env_destroy(struct env **e);

/* Begin an episode, drawing only from `rng`; its first observation goes to obs [n_obs]. */
void env_reset(struct env *e, struct rng *rng, float *obs);

/* One transition. After a kind other than STEP the caller must reset.
 *   action    [n_act] policy units: [-1, 1] spans the bounds, anything beyond is clipped;
 *             discrete: the index of the choice
 *   next_obs  [n_obs] the successor's observation, also where the episode ends
 * A step that terminates at the time limit is TERMINATED. One that diverges, in the simulation or
 * in a non-finite action, reward or observation, is TRUNCATED with reward 0 and next_obs as before
 * the step. */
void env_step(struct env *e, const float *action, float *next_obs, struct env_outcome *out);

/* One transition of n instances of one model: to the bit what env_step gives one by one.
 *   e, out            [n]
 *   action, next_obs  [n] pointers to n_act and n_obs numbers */
void env_step_all(struct env *const *e, int n, const float *const *action, float *const *next_obs,
                  struct env_outcome *out);

/* Whether that costs less than stepping one by one. */
bool env_steps_together(const struct env *e);

/* env_step with an action in the environment's own units, which reaches it exactly as it is (a
 * discrete one must be a choice, or the step diverges). */
void env_step_units(struct env *e, const float *units, float *next_obs, struct env_outcome *out);

/* Policy units to the environment's, clipped to its bounds: what env_step does. Returns false when
 * an action is not finite.
 *   action, units  [n_act] */
bool env_rescale(const struct env_spec *spec, const float *action, float *units);

/* The last observation [n_obs] before it was rounded to float32. */
void env_observation(const struct env *e, double *obs);

/* Steps of the running episode. */
int env_elapsed(const struct env *e);

/* The inside of a simulation; false for other environments. Borrowed until the next step. */
bool env_physics(const struct env *e, struct env_physics *out);

/* The environment's own saved state, [spec.n_state]; false where it has none. */
bool env_raw_state(const struct env *e, double *state);

/* Begin an episode at given positions and velocities (a simulation), or at a raw state. ERR_CONFIG
 * when the environment has none, the numbers are too few or many, or not finite. */
int env_set_physics(struct env *e, const double *qpos, int nq, const double *qvel, int nv,
                    struct error *err);
int env_set_raw_state(struct env *e, const double *state, int n, struct error *err);

/* A saved state, as doubles: elapsed steps | episode return | last observation [n_obs] | the
 * environment's own [n_state]. Its size; 0 when this environment cannot be saved. */
int env_state_size(const struct env_model *m);

/* Save inside an episode: after env_reset, env_set_state or a step of kind STEP.
 *   state  [env_state_size]
 * Returns ERR_NUMERIC when the environment gave what env_set_state would refuse. */
int env_get_state(const struct env *e, double *state);

/* Continue a saved episode bit for bit, in this or in another process. Returns ERR_FORMAT, and
 * leaves the instance alone, when the numbers cannot be a state: not finite, or elapsed steps that
 * an unfinished episode cannot have. `state` may come from a peer. */
int env_set_state(struct env *e, const double *state);

#endif
