/* What all MuJoCo tasks share: loading, stepping, resetting, errors, saved states.
 *
 * A task file is a table of options, a function that writes the task down as terms
 * (actor/env/task_terms.h), and a `struct environment` made by MUJOCO_ENVIRONMENT. The model is
 * read-only and shared by all instances; each instance has its own mjData, used by one thread at a time.
 *
 * Every call into MuJoCo runs under a guard: an error inside MuJoCo leaves the call at once and marks
 * the instance as diverged until its next reset. Actions reach `ctrl` as they are; where MuJoCo clamps
 * them it does so on a copy. */
#ifndef SHOAL_ACTOR_ENV_MUJOCO_TASK_H
#define SHOAL_ACTOR_ENV_MUJOCO_TASK_H

#include "actor/env/task_terms.h"
#include "common/environment.h"

/* The options of every MuJoCo task; first member of its own struct of options. */
struct mujoco_options {
    char xml_file[OPTION_TEXT_BYTES];
    int64_t frame_skip;
};

/* Rows of an option table over `struct_`, whose first member is `struct mujoco_options mujoco`. */
#define TASK_REAL(struct_, field, value_, help_) \
    { .name = #field, .type = OPTION_REAL, .offset = offsetof(struct struct_, field), \
      .value = value_, .min = -1e300, .max = 1e300, .help = help_ }
/* The width of something random: not negative, as NumPy asks for. */
#define TASK_SCALE(struct_, field, value_, help_) \
    { .name = #field, .type = OPTION_REAL, .offset = offsetof(struct struct_, field), \
      .value = value_, .min = 0, .max = 1e300, .help = help_ }
#define TASK_RANGE(struct_, field, value_, help_) \
    { .name = #field, .type = OPTION_RANGE, .offset = offsetof(struct struct_, field), \
      .value = value_, .help = help_ }
#define TASK_BOOL(struct_, field, value_, help_) \
    { .name = #field, .type = OPTION_BOOL, .offset = offsetof(struct struct_, field), \
      .value = value_, .help = help_ }
#define TASK_MUJOCO(struct_, xml_, frame_skip_) \
    { .name = "xml_file", .type = OPTION_TEXT, \
      .offset = offsetof(struct struct_, mujoco.xml_file), .value = xml_, \
      .help = "MJCF model: a file among Gymnasium's models or on the environment path" }, \
    { .name = "frame_skip", .type = OPTION_INT, \
      .offset = offsetof(struct struct_, mujoco.frame_skip), .value = frame_skip_, \
      .min = 1, .max = 10000, .help = "simulation steps in one step of the environment" }

/* A task as its file defines it. */
struct mujoco_definition {
    int version;              /* of Gymnasium's environment, for `build` */
    int time_limit;
    int nq, nv, nu;           /* what the model must have, in MuJoCo's words */
    bool is_least;            /* more of them will do, too: the task fits many robots */

    /* Write that version of the task down for this model. Under the guard; ERR_CONFIG when the model
     * lacks something. */
    int (*build)(struct task_terms *t, const mjModel *m, const void *options, int version,
                 struct error *err);

    /* Instead of, or after, the terms' noise: add to d->qpos, then to d->qvel. May be NULL. */
    void (*draw_start)(const mjModel *m, mjData *d, const void *options, struct rng *rng);
};

/* A `struct environment` over a definition, a table of options and the struct that it fills. */
#define MUJOCO_ENVIRONMENT(symbol, name_, definition_, table_, struct_) \
    _Static_assert(sizeof(struct struct_) <= ENV_OPTIONS_BYTES, "options of " name_); \
    const struct environment symbol##_environment = { \
        .name = name_, .options = table_, .n_options = sizeof(table_) / sizeof(*(table_)), \
        .options_bytes = sizeof(struct struct_), .definition = &(definition_), \
        .open = mujoco_task_open, MUJOCO_TASK_SLOTS \
    }

/* The slots of struct environment, also for tasks that are not in a C file. The state is
 * time | qpos[nq] | qvel[nv] | act[na] | qacc_warmstart[nv] | ctrl[nu] | carried[n_carried]. */
int mujoco_task_open(void **model, struct env_spec *spec, const struct env_context *context,
                     struct error *err);
void mujoco_task_close(void *model);
void *mujoco_task_create(const void *model);
void mujoco_task_destroy(void *self);
void mujoco_task_reset(void *self, struct rng *rng);
void mujoco_task_step(void *self, const float *action, struct env_step *out);
void mujoco_task_observe(const void *self, double *obs);
void mujoco_task_get_state(const void *self, double *state);
void mujoco_task_set_state(void *self, const double *state);
void mujoco_task_physics(const void *self, struct env_physics *out);
void mujoco_task_set_physics(void *self, const double *qpos, const double *qvel);

#define MUJOCO_TASK_SLOTS \
    .close = mujoco_task_close, .create = mujoco_task_create, .destroy = mujoco_task_destroy, \
    .reset = mujoco_task_reset, .step = mujoco_task_step, .observe = mujoco_task_observe, \
    .get_state = mujoco_task_get_state, .set_state = mujoco_task_set_state, \
    .physics = mujoco_task_physics, .set_physics = mujoco_task_set_physics

/* What `open` needs to know, wherever it comes from. */
struct mujoco_source {
    const char *name;                              /* of the task, for messages */
    const char *xml;                               /* file name, looked for beside the task's file, on
                                                    * env_path and in models_dir */
    int frame_skip, time_limit;
    int nq, nv, nu;                                /* 0: anything */
    bool is_least;
    int (*build)(void *context, struct task_terms *t, const mjModel *m, struct error *err);
    void *context;
    void (*draw_start)(const mjModel *m, mjData *d, const void *options, struct rng *rng);
    const void *options;                           /* [options_bytes] for draw_start, copied */
    size_t options_bytes;
    const char *digest;                            /* of the task's own file; "" or NULL: none */
};

/* Load, check and describe a task from any source. */
int mujoco_task_load(void **model, struct env_spec *spec, const struct mujoco_source *source,
                     const struct env_context *context, struct error *err);

/* x[i] += U(-scale, scale), drawn in order. */
void mujoco_add_uniform(struct rng *rng, double *x, int n, double scale);

#endif
