/* InvertedPendulum: push a cart so that the pole on it stays upright.
 *
 *   observation   cart position, pole angle, their velocities
 *   action        force on the cart in [-3, 3], gear 100
 *   reward        1 while the pole stands, 0 on the step that ends it (v4: 1 there, too)
 *   episode       1000 steps; terminates at |angle| > 0.2; start U(-0.01, 0.01) in all four
 *
 * Source: Gymnasium 1.2.3, envs/mujoco/inverted_pendulum_v5.py and _v4.py. */
#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct inverted_pendulum_options {
    struct mujoco_options mujoco;
    double reset_noise_scale;
};

static const struct option options[] = {
    TASK_MUJOCO(inverted_pendulum_options, "inverted_pendulum.xml", "2"),
    TASK_SCALE(inverted_pendulum_options, reset_noise_scale, "0.01",
              "half width of the start's noise"),
};

static int build(struct task_terms *t, const mjModel *m, const void *values, int version,
                 struct error *err)
{
    const struct inverted_pendulum_options *o = values;
    (void)err;
    task_observe(t, operand_all(m, SOURCE_QPOS));
    task_observe(t, operand_all(m, SOURCE_QVEL));

    task_reward(t, version == 4 ? REWARD_CONSTANT : REWARD_ALIVE, 1, NOTHING);

    task_require(t, operand_all(m, SOURCE_QPOS), EVERYTHING);
    task_require(t, operand_all(m, SOURCE_QVEL), EVERYTHING);
    task_require(t, operand_part(m, SOURCE_QPOS, 1, 1),
                 (struct option_range){ -0.2, 0.2 })->includes_bounds = true;
    t->ends_when_unhealthy = true;

    task_reset_uniform(t, m, false, o->reset_noise_scale);
    task_reset_uniform(t, m, true, o->reset_noise_scale);
    return 0;
}

static const struct mujoco_definition v5 = { .version = 5, .time_limit = 1000, .nq = 2, .nv = 2, .nu = 1,
                                             .build = build };
static const struct mujoco_definition v4 = { .version = 4, .time_limit = 1000, .nq = 2, .nv = 2, .nu = 1,
                                             .build = build };

MUJOCO_ENVIRONMENT(inverted_pendulum_v5, "InvertedPendulum-v5", v5, options,
                   inverted_pendulum_options);
MUJOCO_ENVIRONMENT(inverted_pendulum_v4, "InvertedPendulum-v4", v4, options,
                   inverted_pendulum_options);
