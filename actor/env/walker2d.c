/* Walker2d: walk forward on two legs.
 *
 *   observation   heights and angles of the joints (not how far it came), velocities within 10
 *   action        torques of thigh, leg and foot, right and left, in [-1, 1], gear 100
 *   reward        forward speed + 1 while healthy - 1e-3 sum a^2 (v4: the 1 also on the step that
 *                 ends it)
 *   episode       1000 steps; terminates when the torso is outside 0.8 to 2 or tilted by 1; start
 *                 U(-0.005, 0.005) in everything
 *
 * The models differ: in v5 both feet have friction 1.9, in v4 the right one has 0.9.
 * Source: Gymnasium 1.2.3, envs/mujoco/walker2d_v5.py and _v4.py. */
#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct walker2d_options {
    struct mujoco_options mujoco;
    double forward_reward_weight, ctrl_cost_weight, healthy_reward, reset_noise_scale;
    struct option_range healthy_z_range, healthy_angle_range;
    bool terminate_when_unhealthy, exclude_current_positions_from_observation;
};

#define OPTIONS(xml) { \
    TASK_MUJOCO(walker2d_options, xml, "4"), \
    TASK_REAL(walker2d_options, forward_reward_weight, "1", "of the forward speed"), \
    TASK_REAL(walker2d_options, ctrl_cost_weight, "1e-3", "of the sum of squared actions"), \
    TASK_REAL(walker2d_options, healthy_reward, "1", "for every step in health"), \
    TASK_BOOL(walker2d_options, terminate_when_unhealthy, "true", "or go on lying there"), \
    TASK_RANGE(walker2d_options, healthy_z_range, "[0.8, 2]", "of the torso's height"), \
    TASK_RANGE(walker2d_options, healthy_angle_range, "[-1, 1]", "of the torso's angle"), \
    TASK_SCALE(walker2d_options, reset_noise_scale, "5e-3", "half width of the start's noise"), \
    TASK_BOOL(walker2d_options, exclude_current_positions_from_observation, "true", \
              "leave out how far it came"), \
}

static const struct option options_v5[] = OPTIONS("walker2d_v5.xml");
static const struct option options_v4[] = OPTIONS("walker2d.xml");

static int build(struct task_terms *t, const mjModel *m, const void *values, int version,
                 struct error *err)
{
    const struct walker2d_options *o = values;
    const bool pays_at_the_end = version == 4 && o->terminate_when_unhealthy;
    const int first = o->exclude_current_positions_from_observation ? 1 : 0;
    (void)err;
    task_observe(t, operand_part(m, SOURCE_QPOS, first, -1));
    task_clip(task_observe(t, operand_all(m, SOURCE_QVEL)), -10, 10);

    task_reward(t, REWARD_RATE, o->forward_reward_weight, operand_part(m, SOURCE_QPOS, 0, 1));
    task_reward(t, pays_at_the_end ? REWARD_CONSTANT : REWARD_ALIVE, o->healthy_reward, NOTHING);
    task_reward(t, REWARD_ACTION_SQUARES, -o->ctrl_cost_weight, NOTHING);

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

MUJOCO_ENVIRONMENT(walker2d_v5, "Walker2d-v5", v5, options_v5, walker2d_options);
MUJOCO_ENVIRONMENT(walker2d_v4, "Walker2d-v4", v4, options_v4, walker2d_options);
