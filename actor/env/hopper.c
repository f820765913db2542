/* Hopper: hop forward on one leg.
 *
 *   observation   heights and angles of the joints (not how far it came), velocities within 10
 *   action        torques of thigh, leg and foot in [-1, 1], gear 200
 *   reward        forward speed + 1 while healthy - 1e-3 sum a^2 (v4: the 1 also on the step that
 *                 ends it)
 *   episode       1000 steps; terminates when the torso is low (0.7) or tilted (0.2), or a number leaves
 *                 its range; start U(-0.005, 0.005) in everything
 *
 * Source: Gymnasium 1.2.3, envs/mujoco/hopper_v5.py and _v4.py. */
#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct hopper_options {
    struct mujoco_options mujoco;
    double forward_reward_weight, ctrl_cost_weight, healthy_reward, reset_noise_scale;
    struct option_range healthy_state_range, healthy_z_range, healthy_angle_range;
    bool terminate_when_unhealthy, exclude_current_positions_from_observation;
};

static const struct option options[] = {
    TASK_MUJOCO(hopper_options, "hopper.xml", "4"),
    TASK_REAL(hopper_options, forward_reward_weight, "1", "of the forward speed"),
    TASK_REAL(hopper_options, ctrl_cost_weight, "1e-3", "of the sum of squared actions"),
    TASK_REAL(hopper_options, healthy_reward, "1", "for every step in health"),
    TASK_BOOL(hopper_options, terminate_when_unhealthy, "true", "or go on lying there"),
    TASK_RANGE(hopper_options, healthy_state_range, "[-100, 100]",
               "of all positions and velocities but the first two positions"),
    TASK_RANGE(hopper_options, healthy_z_range, "[0.7, .inf]", "of the torso's height"),
    TASK_RANGE(hopper_options, healthy_angle_range, "[-0.2, 0.2]", "of the torso's angle"),
    TASK_SCALE(hopper_options, reset_noise_scale, "5e-3", "half width of the start's noise"),
    TASK_BOOL(hopper_options, exclude_current_positions_from_observation, "true",
              "leave out how far it came"),
};

static int build(struct task_terms *t, const mjModel *m, const void *values, int version,
                 struct error *err)
{
    const struct hopper_options *o = values;
    const bool pays_at_the_end = version == 4 && o->terminate_when_unhealthy;
    const int first = o->exclude_current_positions_from_observation ? 1 : 0;
    (void)err;
    task_observe(t, operand_part(m, SOURCE_QPOS, first, -1));
    task_clip(task_observe(t, operand_all(m, SOURCE_QVEL)), -10, 10);

    task_reward(t, REWARD_RATE, o->forward_reward_weight, operand_part(m, SOURCE_QPOS, 0, 1));
    task_reward(t, pays_at_the_end ? REWARD_CONSTANT : REWARD_ALIVE, o->healthy_reward, NOTHING);
    task_reward(t, REWARD_ACTION_SQUARES, -o->ctrl_cost_weight, NOTHING);

    task_require(t, operand_part(m, SOURCE_QPOS, 2, -1), o->healthy_state_range);
    task_require(t, operand_all(m, SOURCE_QVEL), o->healthy_state_range);
    task_require(t, operand_part(m, SOURCE_QPOS, 1, 1), o->healthy_z_range);
    task_require(t, operand_part(m, SOURCE_QPOS, 2, 1), o->healthy_angle_range);
    t->ends_when_unhealthy = o->terminate_when_unhealthy;

    task_reset_uniform(t, m, false, o->reset_noise_scale);
    task_reset_uniform(t, m, true, o->reset_noise_scale);
    return 0;
}

static const struct mujoco_definition v5 = { .version = 5, .time_limit = 1000, .nq = 3, .nv = 1, .nu = 1,
                                             .is_least = true, .build = build };
static const struct mujoco_definition v4 = { .version = 4, .time_limit = 1000, .nq = 3, .nv = 1, .nu = 1,
                                             .is_least = true, .build = build };

MUJOCO_ENVIRONMENT(hopper_v5, "Hopper-v5", v5, options, hopper_options);
MUJOCO_ENVIRONMENT(hopper_v4, "Hopper-v4", v4, options, hopper_options);
