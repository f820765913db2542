/* Ant: walk forward on four legs.
 *
 *   observation   height, orientation and joint angles (not where it is), velocities, contact forces of
 *                 the bodies within [-1, 1] (v4: no forces, or with use_contact_forces those of the
 *                 world, too)
 *   action        torques of hips and ankles in [-1, 1], gear 150, from the fourth leg on
 *   reward        forward speed of the torso + 1 while healthy - 0.5 sum a^2 - 5e-4 sum of squared
 *                 contact forces (v4: the 1 also on the step that ends it, and forces only with
 *                 use_contact_forces)
 *   episode       1000 steps; terminates when the torso is outside 0.2 to 1, or a number is not finite;
 *                 start U(-0.1, 0.1) in positions (the quaternion, too), 0.1 N in velocities
 *
 * Source: Gymnasium 1.2.3, envs/mujoco/ant_v5.py and _v4.py. */
#include <math.h>

#include <stdlib.h>

#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct ant_options {
    struct mujoco_options mujoco;
    double forward_reward_weight, ctrl_cost_weight, contact_cost_weight, healthy_reward;
    double reset_noise_scale;
    struct option_range healthy_z_range, contact_force_range;
    char main_body[OPTION_TEXT_BYTES];
    bool terminate_when_unhealthy, exclude_current_positions_from_observation;
    bool include_cfrc_ext_in_observation;
    bool use_contact_forces;
};

#define COMMON_OPTIONS \
    TASK_MUJOCO(ant_options, "ant.xml", "5"), \
    TASK_REAL(ant_options, ctrl_cost_weight, "0.5", "of the sum of squared actions"), \
    TASK_REAL(ant_options, contact_cost_weight, "5e-4", "of the sum of squared contact forces"), \
    TASK_REAL(ant_options, healthy_reward, "1", "for every step in health"), \
    TASK_BOOL(ant_options, terminate_when_unhealthy, "true", "or go on lying there"), \
    TASK_RANGE(ant_options, healthy_z_range, "[0.2, 1]", "of the torso's height"), \
    TASK_RANGE(ant_options, contact_force_range, "[-1, 1]", "that contact forces are clipped to"), \
    TASK_SCALE(ant_options, reset_noise_scale, "0.1", "of the start's noise"), \
    TASK_BOOL(ant_options, exclude_current_positions_from_observation, "true", \
              "leave out where it is")

static const struct option options_v5[] = {
    COMMON_OPTIONS,
    TASK_REAL(ant_options, forward_reward_weight, "1", "of the forward speed"),
    { .name = "main_body", .type = OPTION_TEXT, .offset = offsetof(struct ant_options, main_body),
      .value = "1", .help = "name or number of the body whose speed is rewarded" },
    TASK_BOOL(ant_options, include_cfrc_ext_in_observation, "true",
              "observe the contact forces of the bodies"),
};

static const struct option options_v4[] = {
    COMMON_OPTIONS,
    TASK_BOOL(ant_options, use_contact_forces, "false", "observe contact forces and pay for them"),
};

/* The number of the body called so, or of that number. */
static int find_body(const mjModel *m, const char *name, int *body, struct error *err)
{
    char *end;
    const long number = strtol(name, &end, 10);
    *body = mj_name2id(m, mjOBJ_BODY, name);
    if (*body < 0 && *name && *end == '\0' && number >= 0 && number < m->nbody)
        *body = (int)number;
    if (*body >= 0)
        return 0;
    return error_set(err, ERR_CONFIG, "Ant: main_body is \"%.60s\", which is neither the name of a body "
                     "of the model nor a number up to %d", name, (int)m->nbody - 1);
}

static void pay_for_contact(struct task_terms *t, const mjModel *m, const struct ant_options *o)
{
    struct reward_term *cost = task_reward(t, REWARD_SQUARES, -o->contact_cost_weight,
                                           operand_all(m, SOURCE_CFRC_EXT));
    cost->is_clipped = true;
    cost->clip_low = o->contact_force_range.low;
    cost->clip_high = o->contact_force_range.high;
}

static void observe_contact(struct task_terms *t, const mjModel *m, const struct ant_options *o,
                            int first)
{
    task_clip(task_observe(t, operand_part(m, SOURCE_CFRC_EXT, first, -1)),
              o->contact_force_range.low, o->contact_force_range.high);
}

/* v5 pays for contact always and observes the bodies' forces; v4 does both, with the world's forces, or
 * neither. */
static int build(struct task_terms *t, const mjModel *m, const void *values, int version,
                 struct error *err)
{
    const struct ant_options *o = values;
    const bool is_v4 = version == 4, pays_at_the_end = is_v4 && o->terminate_when_unhealthy;
    const int first = o->exclude_current_positions_from_observation ? 2 : 0;
    int body = 1;
    if (!is_v4 && find_body(m, o->main_body, &body, err) != 0)
        return ERR_CONFIG;

    task_observe(t, operand_part(m, SOURCE_QPOS, first, -1));
    task_observe(t, operand_all(m, SOURCE_QVEL));
    if (is_v4 ? o->use_contact_forces : o->include_cfrc_ext_in_observation)
        observe_contact(t, m, o, is_v4 ? 0 : 6);

    task_reward(t, REWARD_RATE, is_v4 ? 1 : o->forward_reward_weight,
                operand_part(m, SOURCE_XPOS, 3 * body, 1));
    task_reward(t, pays_at_the_end ? REWARD_CONSTANT : REWARD_ALIVE, o->healthy_reward, NOTHING);
    task_reward(t, REWARD_ACTION_SQUARES, -o->ctrl_cost_weight, NOTHING);
    if (!is_v4 || o->use_contact_forces)
        pay_for_contact(t, m, o);

    task_require(t, operand_all(m, SOURCE_QPOS), EVERYTHING);
    task_require(t, operand_all(m, SOURCE_QVEL), EVERYTHING);
    task_require(t, operand_part(m, SOURCE_QPOS, 2, 1), o->healthy_z_range)->includes_bounds = true;
    t->ends_when_unhealthy = o->terminate_when_unhealthy;

    task_reset_uniform(t, m, false, o->reset_noise_scale);
    task_reset_normal(t, m, true, o->reset_noise_scale);
    return 0;
}

static const struct mujoco_definition v5 = { .version = 5, .time_limit = 1000, .nq = 3, .nv = 1, .nu = 1,
                                             .is_least = true, .build = build };
static const struct mujoco_definition v4 = { .version = 4, .time_limit = 1000, .nq = 3, .nv = 1, .nu = 1,
                                             .is_least = true, .build = build };

MUJOCO_ENVIRONMENT(ant_v5, "Ant-v5", v5, options_v5, ant_options);
MUJOCO_ENVIRONMENT(ant_v4, "Ant-v4", v4, options_v4, ant_options);
