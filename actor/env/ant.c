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

#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct ant_options {
    struct mujoco_options mujoco;
    double forward_reward_weight, ctrl_cost_weight, contact_cost_weight, healthy_reward;
    double reset_noise_scale;
    struct option_range healthy_z_range, contact_force_range;
    int64_t main_body;
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
    TASK_INT(ant_options, main_body, "1", 0, 1000, "number of the body whose speed is rewarded"),
    TASK_BOOL(ant_options, include_cfrc_ext_in_observation, "true",
              "observe the contact forces of the bodies"),
};

static const struct option options_v4[] = {
    COMMON_OPTIONS,
    TASK_BOOL(ant_options, use_contact_forces, "false", "observe contact forces and pay for them"),
};

static int check_body(const mjModel *m, int64_t body, struct error *err)
{
    if (body < m->nbody)
        return 0;
    return error_set(err, ERR_CONFIG, "Ant: main_body is %lld and the model's last body is %d",
                     (long long)body, (int)m->nbody - 1);
}

static void build_common(struct task_terms *t, const mjModel *m, const struct ant_options *o,
                         int body, double forward, enum reward_kind alive)
{
    task_reward(t, REWARD_RATE, forward, operand_part(m, SOURCE_XPOS, 3 * body, 1));
    task_reward(t, alive, o->healthy_reward, NOTHING);
    task_reward(t, REWARD_ACTION_SQUARES, -o->ctrl_cost_weight, NOTHING);

    task_require(t, operand_all(m, SOURCE_QPOS), EVERYTHING);
    task_require(t, operand_all(m, SOURCE_QVEL), EVERYTHING);
    task_require(t, operand_part(m, SOURCE_QPOS, 2, 1), o->healthy_z_range)->includes_bounds = true;
    t->ends_when_unhealthy = o->terminate_when_unhealthy;

    const int first = o->exclude_current_positions_from_observation ? 2 : 0;
    task_observe(t, operand_part(m, SOURCE_QPOS, first, -1));
    task_observe(t, operand_all(m, SOURCE_QVEL));

    task_reset_uniform(t, m, false, o->reset_noise_scale);
    task_reset_normal(t, m, true, o->reset_noise_scale);
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

static int build_v5(struct task_terms *t, const mjModel *m, const void *values, struct error *err)
{
    const struct ant_options *o = values;
    if (check_body(m, o->main_body, err) != 0)
        return ERR_CONFIG;
    build_common(t, m, o, (int)o->main_body, o->forward_reward_weight, REWARD_ALIVE);
    pay_for_contact(t, m, o);
    if (o->include_cfrc_ext_in_observation)
        observe_contact(t, m, o, 6);    /* not the world's */
    return 0;
}

static int build_v4(struct task_terms *t, const mjModel *m, const void *values, struct error *err)
{
    const struct ant_options *o = values;
    (void)err;
    build_common(t, m, o, 1, 1,
                 o->terminate_when_unhealthy ? REWARD_CONSTANT : REWARD_ALIVE);
    if (o->use_contact_forces) {
        pay_for_contact(t, m, o);
        observe_contact(t, m, o, 0);
    }
    return 0;
}

static const struct mujoco_definition v5 = { .time_limit = 1000, .nq = 15, .nv = 14, .nu = 8,
                                             .build = build_v5 };
static const struct mujoco_definition v4 = { .time_limit = 1000, .nq = 15, .nv = 14, .nu = 8,
                                             .build = build_v4 };

MUJOCO_ENVIRONMENT(ant_v5, "Ant-v5", v5, options_v5, ant_options);
MUJOCO_ENVIRONMENT(ant_v4, "Ant-v4", v4, options_v4, ant_options);
