/* What a MuJoCo task is made of: terms for its observation, reward, health and start.
 *
 * A task is lists of these, whether a C file or a YAML file wrote them down, and one evaluator reads
 * them; a task written both ways is the same to the last bit. Terms are evaluated in their order. */
#ifndef SHOAL_ACTOR_ENV_TASK_TERMS_H
#define SHOAL_ACTOR_ENV_TASK_TERMS_H

#include <math.h>
#include <mujoco/mujoco.h>
#include <stdbool.h>

#include "common/option.h"
#include "common/rng.h"

enum { TASK_MAX_TERMS = 64 };

/* Arrays of mjData, in MuJoCo's words, and the centre of mass of everything. */
#define TERM_SOURCES(X) \
    X(QPOS, qpos) X(QVEL, qvel) X(CTRL, ctrl) X(QFRC_ACTUATOR, qfrc_actuator) \
    X(QFRC_CONSTRAINT, qfrc_constraint) X(CINERT, cinert) X(CVEL, cvel) X(CFRC_EXT, cfrc_ext) \
    X(XPOS, xpos) X(SITE_XPOS, site_xpos) X(SENSORDATA, sensordata)

enum term_source {
#define X(symbol, field) SOURCE_##symbol,
    TERM_SOURCES(X)
#undef X
    SOURCE_CENTRE_OF_MASS,      /* [3] world coordinates, by body_mass over xipos */
    N_SOURCES
};

/* `n` consecutive numbers of a source, or their difference to `n` others of the same source. */
struct operand {
    enum term_source source;
    int first, n;
    bool is_difference;
    int minus;                  /* where the subtracted ones begin */
};

struct observation_term {
    struct operand of;
    enum { PLAIN, SIN, COS } function;
    bool is_clipped;
    double low, high;           /* clipped to */
};

struct reward_term {
    enum reward_kind {
        REWARD_CONSTANT,        /* 1 */
        REWARD_ALIVE,           /* 1 while healthy */
        REWARD_VALUE,           /* the operand's first number */
        REWARD_RATE,            /* its change over the step, per second */
        REWARD_DISTANCE,        /* the operand's Euclidean norm */
        REWARD_SQUARES,         /* sum of (x - target)^2, every x clipped to clip_low..clip_high */
        REWARD_ACTION_SQUARES   /* sum of a^2 in float32, as NumPy does it */
    } kind;
    double weight;              /* of the above; a cost has a negative one */
    struct operand of;
    double target;
    bool is_clipped;
    double clip_low, clip_high;
    bool is_limited;            /* the weighted term is kept in limit_low..limit_high */
    double limit_low, limit_high;
    bool is_before;             /* of the state before the step */
};

/* Every number of the operand must lie in a range; NaN never does. */
struct health_term {
    struct operand of;
    double low, high;
    bool includes_bounds;
};

struct reset_term {
    bool is_velocity;           /* of qvel instead of qpos */
    int first, n;
    bool is_normal;             /* scale N(0, 1) instead of U(low, high) */
    double low, high, scale;
};

struct task_terms {
    struct observation_term observations[TASK_MAX_TERMS];
    struct reward_term rewards[TASK_MAX_TERMS];
    struct health_term healths[TASK_MAX_TERMS];
    struct reset_term resets[TASK_MAX_TERMS];
    int n_observations, n_rewards, n_healths, n_resets;
    bool ends_when_unhealthy;
};

/* All of a source, to its end in this model. */
struct operand operand_all(const mjModel *m, enum term_source source);
/* `n` numbers from `first` on; n < 0: to the end. */
struct operand operand_part(const mjModel *m, enum term_source source, int first, int n);
/* The position of a body or site by name (SOURCE_XPOS, SOURCE_SITE_XPOS), its x, y, z from `first` on.
 * n is 0 when the model has none of that name. */
struct operand operand_position(const mjModel *m, enum term_source source, const char *name,
                                int first, int n);
/* The difference of two operands of one source and length. */
struct operand operand_difference(struct operand a, struct operand b);

/* Numbers in a source of this model. */
int term_source_size(const mjModel *m, enum term_source source);

/* For terms without an operand; and the range of all finite numbers. */
#define NOTHING ((struct operand){ .n = 0 })
#define EVERYTHING ((struct option_range){ -INFINITY, INFINITY })

/* Append a term. Our bug: more than TASK_MAX_TERMS or a negative operand (both asserted), or one that
 * ends outside its source. */
struct observation_term *task_observe(struct task_terms *t, struct operand of);
struct reward_term *task_reward(struct task_terms *t, enum reward_kind kind, double weight,
                                struct operand of);
struct health_term *task_require(struct task_terms *t, struct operand of,
                                 struct option_range range);
/* Clip what an observation shows. */
void task_clip(struct observation_term *term, double low, double high);
/* All of qpos or qvel += U(-scale, scale), or scale N(0, 1). */
void task_reset_uniform(struct task_terms *t, const mjModel *m, bool is_velocity, double scale);
void task_reset_normal(struct task_terms *t, const mjModel *m, bool is_velocity, double scale);

/* Whether anything reads what only mj_rnePostConstraint fills. */
bool terms_read_body_forces(const struct task_terms *t);

int terms_n_obs(const struct task_terms *t);
void terms_observe(const struct task_terms *t, const mjModel *m, const mjData *d, double *obs);

/* What the next step's reward will compare with: one number for each REWARD_RATE term and each one
 * with is_before. Write them after a reset and, once the reward is known, after a step. */
int terms_n_carried(const struct task_terms *t);
void terms_carry(const struct task_terms *t, const mjModel *m, const mjData *d, double *carried);

bool terms_are_healthy(const struct task_terms *t, const mjModel *m, const mjData *d);

/* The reward of a step of step_s seconds under `action` [nu], with `carried` from before it. */
double terms_reward(const struct task_terms *t, const mjModel *m, const mjData *d,
                    const float *action, double step_s, bool is_healthy, const double *carried);

/* Add the start's noise to d->qpos and d->qvel. */
void terms_draw_start(const struct task_terms *t, mjData *d, struct rng *rng);

#endif
