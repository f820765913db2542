/* InvertedDoublePendulum: push a cart so that the two poles on it stay upright.
 *
 *   observation   cart position, sines and cosines of the two angles, velocities and the constraint
 *                 force on the cart within 10 (v4: all three constraint forces)
 *   action        force on the cart in [-1, 1], gear 500
 *   reward        10 while the tip is above 1 - 0.01 x^2 - (y - 2)^2 of the tip - 1e-3 w1^2 - 5e-3 w2^2
 *                 (v4: the 10 also on the step that ends it)
 *   episode       1000 steps; terminates when the tip is at 1 or lower; start U(-0.1, 0.1) in
 *                 positions, 0.1 N in velocities
 *
 * Source: Gymnasium 1.2.3, envs/mujoco/inverted_double_pendulum_v5.py and _v4.py. */
#include <math.h>

#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct double_pendulum_options {
    struct mujoco_options mujoco;
    double healthy_reward, reset_noise_scale;
};

static const struct option options[] = {
    TASK_MUJOCO(double_pendulum_options, "inverted_double_pendulum.xml", "5"),
    TASK_REAL(double_pendulum_options, healthy_reward, "10", "for every step above the limit"),
    TASK_SCALE(double_pendulum_options, reset_noise_scale, "0.1", "of the start's noise"),
};

static int build(struct task_terms *t, const mjModel *m, const void *values, int version,
                 struct error *err)
{
    const struct double_pendulum_options *o = values;
    const int n_forces = version == 4 ? 3 : 1;
    const struct operand tip = operand_position(m, SOURCE_SITE_XPOS, "tip", 0, 3);
    const struct operand x = { tip.source, tip.first, 1, false, 0 };
    const struct operand height = { tip.source, tip.first + 2, 1, false, 0 };
    if (tip.n == 0)
        return error_set(err, ERR_CONFIG, "InvertedDoublePendulum: the model has no site \"tip\"");

    task_observe(t, operand_part(m, SOURCE_QPOS, 0, 1));
    task_observe(t, operand_part(m, SOURCE_QPOS, 1, 2))->function = SIN;
    task_observe(t, operand_part(m, SOURCE_QPOS, 1, 2))->function = COS;
    task_clip(task_observe(t, operand_all(m, SOURCE_QVEL)), -10, 10);
    task_clip(task_observe(t, operand_part(m, SOURCE_QFRC_CONSTRAINT, 0, n_forces)), -10, 10);

    task_reward(t, version == 4 ? REWARD_CONSTANT : REWARD_ALIVE, o->healthy_reward, NOTHING);
    task_reward(t, REWARD_SQUARES, -0.01, x);
    task_reward(t, REWARD_SQUARES, -1, height)->target = 2;
    task_reward(t, REWARD_SQUARES, -1e-3, operand_part(m, SOURCE_QVEL, 1, 1));
    task_reward(t, REWARD_SQUARES, -5e-3, operand_part(m, SOURCE_QVEL, 2, 1));

    task_require(t, height, (struct option_range){ 1, INFINITY });
    t->ends_when_unhealthy = true;

    task_reset_uniform(t, m, false, o->reset_noise_scale);
    task_reset_normal(t, m, true, o->reset_noise_scale);
    return 0;
}

static const struct mujoco_definition v5 = { .version = 5, .time_limit = 1000, .nq = 3, .nv = 3, .nu = 1,
                                             .build = build };
static const struct mujoco_definition v4 = { .version = 4, .time_limit = 1000, .nq = 3, .nv = 3, .nu = 1,
                                             .build = build };

MUJOCO_ENVIRONMENT(inverted_double_pendulum_v5, "InvertedDoublePendulum-v5", v5, options,
                   double_pendulum_options);
MUJOCO_ENVIRONMENT(inverted_double_pendulum_v4, "InvertedDoublePendulum-v4", v4, options,
                   double_pendulum_options);
