/* Pusher: push an object to a goal with a seven-joint arm.
 *
 *   observation   angles and velocities of the arm, positions of its tip, the object and the goal
 *   action        torques of the joints in [-2, 2]
 *   reward        -|object - goal| - 0.1 sum a^2 - 0.5 |object - tip|
 *   episode       100 steps, never terminates; the arm starts at 0, the object at y ~ U(-0.3, 0), x ~
 *                 U(-0.2, 0.2) farther than 0.17 from the goal, velocities of the arm U(-0.005, 0.005)
 *
 * Positions are a whole simulation step older than the angles (the model integrates with Euler's
 * method), as in Gymnasium. v4's almost massless object does not work with MuJoCo 3 and later.
 * Source: Gymnasium 1.2.3, envs/mujoco/pusher_v5.py. */
#include <math.h>

#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

struct pusher_options {
    struct mujoco_options mujoco;
    double reward_near_weight, reward_dist_weight, reward_control_weight;
};

static const struct option options[] = {
    TASK_MUJOCO(pusher_options, "pusher_v5.xml", "5"),
    TASK_REAL(pusher_options, reward_near_weight, "0.5", "of the distance from tip to object"),
    TASK_REAL(pusher_options, reward_dist_weight, "1", "of the distance from object to goal"),
    TASK_REAL(pusher_options, reward_control_weight, "0.1", "of the sum of squared actions"),
};

enum { N_ARM = 7 };

static int build(struct task_terms *t, const mjModel *m, const void *values, int version,
                 struct error *err)
{
    const struct pusher_options *o = values;
    (void)version;
    const struct operand tip = operand_position(m, SOURCE_XPOS, "tips_arm", 0, 3);
    const struct operand object = operand_position(m, SOURCE_XPOS, "object", 0, 3);
    const struct operand goal = operand_position(m, SOURCE_XPOS, "goal", 0, 3);
    if (tip.n == 0 || object.n == 0 || goal.n == 0)
        return error_set(err, ERR_CONFIG, "Pusher: the model needs bodies \"tips_arm\", \"object\" "
                         "and \"goal\"");

    task_observe(t, operand_part(m, SOURCE_QPOS, 0, N_ARM));
    task_observe(t, operand_part(m, SOURCE_QVEL, 0, N_ARM));
    task_observe(t, tip);
    task_observe(t, object);
    task_observe(t, goal);

    task_reward(t, REWARD_DISTANCE, -o->reward_dist_weight, operand_difference(object, goal));
    task_reward(t, REWARD_ACTION_SQUARES, -o->reward_control_weight, NOTHING);
    task_reward(t, REWARD_DISTANCE, -o->reward_near_weight, operand_difference(object, tip));
    return 0;
}

static void draw_start(const mjModel *m, mjData *d, const void *values, struct rng *rng)
{
    double *object = d->qpos + N_ARM, *goal = object + 2;    /* both as y, x */
    (void)values;
    do {
        object[0] = rng_uniform(rng, -0.3, 0);
        object[1] = rng_uniform(rng, -0.2, 0.2);
    } while (hypot(object[0], object[1]) <= 0.17);
    goal[0] = goal[1] = 0;
    mujoco_add_uniform(rng, d->qvel, (int)m->nv, 0.005);
    for (int i = N_ARM; i < m->nv; i++)
        d->qvel[i] = 0;
}

static const struct mujoco_definition v5 = {
    .version = 5, .time_limit = 100, .nq = 11, .nv = 11, .nu = 7, .build = build,
    .draw_start = draw_start,
};

MUJOCO_ENVIRONMENT(pusher_v5, "Pusher-v5", v5, options, pusher_options);
