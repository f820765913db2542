/* Reacher: bring the fingertip of a two-link arm to a target.
 *
 *   observation   cosines and sines of the two angles, target position, the arm's velocities,
 *                 fingertip - target in x and y (v4: and z)
 *   action        torques of the two joints in [-1, 1], gear 200
 *   reward        -|fingertip - target| - sum a^2 (v4: the distance is that before the step)
 *   episode       50 steps, never terminates; start U(-0.1, 0.1) in the arm's angles, U(-0.005, 0.005)
 *                 in its velocities, the target anywhere within 0.2
 *
 * Source: Gymnasium 1.2.3, envs/mujoco/reacher_v5.py and _v4.py. */
#include <math.h>

#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct reacher_options {
    struct mujoco_options mujoco;
    double reward_dist_weight, reward_control_weight;
};

static const struct option options[] = {
    TASK_MUJOCO(reacher_options, "reacher.xml", "2"),
    TASK_REAL(reacher_options, reward_dist_weight, "1", "of the distance"),
    TASK_REAL(reacher_options, reward_control_weight, "1", "of the sum of squared actions"),
};

static int build(struct task_terms *t, const mjModel *m, const void *values, int version,
                 struct error *err)
{
    const struct reacher_options *o = values;
    const struct operand finger = operand_position(m, SOURCE_XPOS, "fingertip", 0, 3);
    const struct operand target = operand_position(m, SOURCE_XPOS, "target", 0, 3);
    if (finger.n == 0 || target.n == 0)
        return error_set(err, ERR_CONFIG, "Reacher: the model needs bodies \"fingertip\" and "
                         "\"target\"");
    const struct operand gap = operand_difference(finger, target);
    struct operand seen = gap;
    seen.n = version == 4 ? 3 : 2;

    task_observe(t, operand_part(m, SOURCE_QPOS, 0, 2))->function = COS;
    task_observe(t, operand_part(m, SOURCE_QPOS, 0, 2))->function = SIN;
    task_observe(t, operand_part(m, SOURCE_QPOS, 2, 2));
    task_observe(t, operand_part(m, SOURCE_QVEL, 0, 2));
    task_observe(t, seen);

    task_reward(t, REWARD_DISTANCE, -o->reward_dist_weight, gap)->is_before = version == 4;
    task_reward(t, REWARD_ACTION_SQUARES, -o->reward_control_weight, NOTHING);
    return 0;
}

static void draw_start(const mjModel *m, mjData *d, const void *values, struct rng *rng)
{
    double *target = d->qpos + 2;
    (void)values;
    mujoco_add_uniform(rng, d->qpos, (int)m->nq, 0.1);
    do {
        target[0] = rng_uniform(rng, -0.2, 0.2);
        target[1] = rng_uniform(rng, -0.2, 0.2);
    } while (hypot(target[0], target[1]) >= 0.2);
    mujoco_add_uniform(rng, d->qvel, (int)m->nv, 0.005);
    d->qvel[2] = d->qvel[3] = 0;
}

static const struct mujoco_definition v5 = { .version = 5, .time_limit = 50, .nq = 4, .nv = 4, .nu = 2,
                                             .build = build, .draw_start = draw_start };
static const struct mujoco_definition v4 = { .version = 4, .time_limit = 50, .nq = 4, .nv = 4, .nu = 2,
                                             .build = build, .draw_start = draw_start };

MUJOCO_ENVIRONMENT(reacher_v5, "Reacher-v5", v5, options, reacher_options);
MUJOCO_ENVIRONMENT(reacher_v4, "Reacher-v4", v4, options, reacher_options);
