/* One instance of an environment, with everything that is the same for all of them: policy units,
 * time limits, episode books, finiteness, saved states.
 *
 * Invariant: every number that leaves this module is finite. What breaks down ends its episode as
 * truncated and diverged, with the observation before it.
 * A model is shared by any number of threads; an instance belongs to one at a time. */
#ifndef SHOAL_ACTOR_ENV_H
#define SHOAL_ACTOR_ENV_H

#include "common/environment.h"

struct env_model;    /* what the instances of one environment share */
struct env;          /* one instance */

struct env_outcome {
    float reward;
    enum row_kind kind;       /* STEP, TERMINATED or TRUNCATED */
    bool diverged;            /* the episode ended because numbers did; kind is TRUNCATED */
    double episode_return;    /* undiscounted, of the episode that ended; 0 while kind is STEP */
    int episode_length;       /* likewise */
};

/* Open an environment by name; models_dir may be NULL for those without a model file. From one
 * thread at a time. ERR_CONFIG for an unknown name (with the nearest known one) or an unusable
 * model, ERR_MISSING without the model's file. */
int env_open(struct env_model **m, const char *name, const char *models_dir, struct error *err);

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

/* The last observation [n_obs] before it was rounded to float32. */
void env_observation(const struct env *e, double *obs);

/* What a picture needs to know of an instance. Borrowed until the instance changes. */
struct env_physics {
    const void *mj_model, *mj_data;    /* const mjModel and const mjData of MuJoCo tasks, else NULL */
    const double *state;               /* [n_state] the environment's own, else NULL */
    int n_state;
};

/* Look inside an instance that was reset. Returns false when there is nothing to see. */
bool env_physics(const struct env *e, struct env_physics *out);

/* A saved state, as doubles: elapsed steps | episode return | last observation [n_obs] | the
 * environment's own [n_state]. Its size; 0 when this environment cannot be saved. */
int env_state_size(const struct env_model *m);

/* Save inside an episode: after env_reset, env_set_state or a step of kind STEP.
 *   state  [env_state_size] */
void env_get_state(const struct env *e, double *state);

/* Continue a saved episode bit for bit, in this or in another process. Returns ERR_FORMAT, and
 * leaves the instance alone, when the numbers cannot be a state: not finite, or elapsed steps that
 * an unfinished episode cannot have. `state` may come from a peer. */
int env_set_state(struct env *e, const double *state);

#endif
