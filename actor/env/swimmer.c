/* Swimmer: swim forward with three links in a viscous fluid. v4 and v5 are the same.
 *
 *   observation   angles (not where it is), velocities
 *   action        torques of the two joints in [-1, 1], gear 150
 *   reward        forward speed - 1e-4 sum a^2
 *   episode       1000 steps, never terminates; start U(-0.1, 0.1) in everything
 *
 * Source: Gymnasium 1.2.3, envs/mujoco/swimmer_v5.py and _v4.py. */
#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct swimmer_options {
    struct mujoco_options mujoco;
    double forward_reward_weight, ctrl_cost_weight, reset_noise_scale;
    bool exclude_current_positions_from_observation;
};

static const struct option options[] = {
    TASK_MUJOCO(swimmer_options, "swimmer.xml", "4"),
    TASK_REAL(swimmer_options, forward_reward_weight, "1", "of the forward speed"),
    TASK_REAL(swimmer_options, ctrl_cost_weight, "1e-4", "of the sum of squared actions"),
    TASK_SCALE(swimmer_options, reset_noise_scale, "0.1", "half width of the start's noise"),
    TASK_BOOL(swimmer_options, exclude_current_positions_from_observation, "true",
              "leave out where it is"),
};

static int build(struct task_terms *t, const mjModel *m, const void *values, int version,
                 struct error *err)
{
    const struct swimmer_options *o = values;
    const int first = o->exclude_current_positions_from_observation ? 2 : 0;
    (void)version, (void)err;
    task_observe(t, operand_part(m, SOURCE_QPOS, first, -1));
    task_observe(t, operand_all(m, SOURCE_QVEL));

    task_reward(t, REWARD_RATE, o->forward_reward_weight, operand_part(m, SOURCE_QPOS, 0, 1));
    task_reward(t, REWARD_ACTION_SQUARES, -o->ctrl_cost_weight, NOTHING);

    task_reset_uniform(t, m, false, o->reset_noise_scale);
    task_reset_uniform(t, m, true, o->reset_noise_scale);
    return 0;
}

static const struct mujoco_definition definition = {
    .version = 5, .time_limit = 1000, .nq = 2, .nv = 1, .nu = 1, .is_least = true, .build = build
};

MUJOCO_ENVIRONMENT(swimmer_v5, "Swimmer-v5", definition, options, swimmer_options);
MUJOCO_ENVIRONMENT(swimmer_v4, "Swimmer-v4", definition, options, swimmer_options);
