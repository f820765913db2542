/* HalfCheetah: run forward. v4 and v5 are the same.
 *
 *   observation   height and angles of the joints (not how far it came), velocities
 *   action        torques of thigh, shin and foot, back and front, in [-1, 1]
 *   reward        forward speed - 0.1 sum a^2
 *   episode       1000 steps, never terminates; start U(-0.1, 0.1) in positions, 0.1 N in velocities
 *
 * Source: Gymnasium 1.2.3, envs/mujoco/half_cheetah_v5.py and _v4.py. */
#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct half_cheetah_options {
    struct mujoco_options mujoco;
    double forward_reward_weight, ctrl_cost_weight, reset_noise_scale;
    bool exclude_current_positions_from_observation;
};

static const struct option options[] = {
    TASK_MUJOCO(half_cheetah_options, "half_cheetah.xml", "5"),
    TASK_REAL(half_cheetah_options, forward_reward_weight, "1", "of the forward speed"),
    TASK_REAL(half_cheetah_options, ctrl_cost_weight, "0.1", "of the sum of squared actions"),
    TASK_SCALE(half_cheetah_options, reset_noise_scale, "0.1", "of the start's noise"),
    TASK_BOOL(half_cheetah_options, exclude_current_positions_from_observation, "true",
              "leave out how far it came"),
};

static int build(struct task_terms *t, const mjModel *m, const void *values, int version,
                 struct error *err)
{
    const struct half_cheetah_options *o = values;
    const int first = o->exclude_current_positions_from_observation ? 1 : 0;
    (void)version, (void)err;
    task_observe(t, operand_part(m, SOURCE_QPOS, first, -1));
    task_observe(t, operand_all(m, SOURCE_QVEL));

    task_reward(t, REWARD_RATE, o->forward_reward_weight, operand_part(m, SOURCE_QPOS, 0, 1));
    task_reward(t, REWARD_ACTION_SQUARES, -o->ctrl_cost_weight, NOTHING);

    task_reset_uniform(t, m, false, o->reset_noise_scale);
    task_reset_normal(t, m, true, o->reset_noise_scale);
    return 0;
}

static const struct mujoco_definition definition = {
    .version = 5, .time_limit = 1000, .nq = 1, .nv = 1, .nu = 1, .is_least = true, .build = build
};

MUJOCO_ENVIRONMENT(half_cheetah_v5, "HalfCheetah-v5", definition, options, half_cheetah_options);
MUJOCO_ENVIRONMENT(half_cheetah_v4, "HalfCheetah-v4", definition, options, half_cheetah_options);
