/* What all MuJoCo tasks share: loading, stepping, resetting, errors, saved states.
 *
 * A task file is one `struct mujoco_task`, an `open` that passes it on, and a `struct environment`
 * that ends in MUJOCO_TASK_SLOTS. The model is read-only and shared by all instances; each
 * instance has its own mjData, used by one thread at a time.
 *
 * Every call into MuJoCo, and every task function, runs under a guard: an error inside MuJoCo
 * leaves the call at once and marks the instance as diverged until its next reset.
 * Actions reach `ctrl` as they are; where MuJoCo clamps them it does so on a copy. */
#ifndef SHOAL_ACTOR_ENV_MUJOCO_TASK_H
#define SHOAL_ACTOR_ENV_MUJOCO_TASK_H

#include <mujoco/mujoco.h>

#include "common/environment.h"

struct mujoco_task {
    const char *name;         /* of the environment */
    const char *xml;          /* its model, a file in the models directory */
    int nq, nv, nu;           /* what the model must have, in MuJoCo's words */
    int frame_skip;           /* mj_step calls per environment step, with the same ctrl */
    int n_obs, time_limit;
    bool reads_body_forces;   /* mj_rnePostConstraint each step: fill cacc, cfrc_int, cfrc_ext */

    /* Draw the start: add to d->qpos, then to d->qvel, which hold the model's initial values.
     * mj_forward follows. */
    void (*draw_start)(const mjModel *m, mjData *d, struct rng *rng);

    /* Write the observation [n_obs]. Positions of bodies and sites are those of the last dynamics
     * evaluation inside mj_step, as in Gymnasium: no mj_forward here. */
    void (*observe)(const mjModel *m, const mjData *d, double *obs);

    /* Set out->reward and out->terminated after a step under `action` [nu]. */
    void (*judge)(const mjModel *m, const mjData *d, const float *action, struct env_step *out);
};

/* A task's `open`: load and check the model. Errors: ERR_MISSING without the file, ERR_CONFIG when
 * MuJoCo cannot use it or library and headers differ. */
int mujoco_task_open(const struct mujoco_task *task, void **model, struct env_spec *spec,
                     const char *models_dir, struct error *err);

/* The other slots of struct environment. The state is
 * time | qpos[nq] | qvel[nv] | act[na] | qacc_warmstart[nv] | ctrl[nu]. */
void mujoco_task_close(void *model);
void *mujoco_task_create(const void *model);
void mujoco_task_destroy(void *self);
void mujoco_task_reset(void *self, struct rng *rng);
void mujoco_task_step(void *self, const float *action, struct env_step *out);
void mujoco_task_observe(const void *self, double *obs);
void mujoco_task_get_state(const void *self, double *state);
void mujoco_task_set_state(void *self, const double *state);
void mujoco_task_mujoco(const void *self, const void **model, const void **data);

#define MUJOCO_TASK_SLOTS \
    .close = mujoco_task_close, .create = mujoco_task_create, .destroy = mujoco_task_destroy, \
    .reset = mujoco_task_reset, .step = mujoco_task_step, .observe = mujoco_task_observe, \
    .get_state = mujoco_task_get_state, .set_state = mujoco_task_set_state, \
    .mujoco = mujoco_task_mujoco

/* x[i] += U(-scale, scale), drawn in order. */
void mujoco_add_uniform(struct rng *rng, double *x, int n, double scale);

/* Warnings MuJoCo raised in this process so far. They are counted and printed nowhere. */
unsigned long mujoco_warnings(void);

#endif
