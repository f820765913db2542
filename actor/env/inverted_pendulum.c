/* InvertedPendulum-v5: push a cart so that the pole on it stays upright.
 *
 *   observation   cart position, pole angle, their velocities
 *   action        force on the cart in [-3, 3], gear 100
 *   reward        1 while the pole stands, 0 on the step that ends it
 *   episode       1000 steps; terminates at |angle| > 0.2; start U(-0.01, 0.01) in all four
 *
 * Source: Gymnasium 1.2.3, envs/mujoco/inverted_pendulum_v5.py. */
#include <math.h>
#include <string.h>

#include "actor/env/mujoco_task.h"
#include "actor/env/registry.h"

static void draw_start(const mjModel *m, mjData *d, struct rng *rng)
{
    mujoco_add_uniform(rng, d->qpos, (int)m->nq, 0.01);
    mujoco_add_uniform(rng, d->qvel, (int)m->nv, 0.01);
}

static void observe(const mjModel *m, const mjData *d, double *obs)
{
    (void)m;
    memcpy(obs, d->qpos, 2 * sizeof(*obs));
    memcpy(obs + 2, d->qvel, 2 * sizeof(*obs));
}

static void judge(const mjModel *m, const mjData *d, const float *action, struct env_step *out)
{
    (void)m, (void)action;
    const bool is_upright = fabs(d->qpos[1]) <= 0.2;    /* false for NaN */
    out->terminated = !is_upright;
    out->reward = is_upright ? 1 : 0;
}

static const struct mujoco_task task = {
    .name = "InvertedPendulum-v5",
    .xml = "inverted_pendulum.xml",
    .nq = 2, .nv = 2, .nu = 1,
    .frame_skip = 2,
    .n_obs = 4,
    .time_limit = 1000,
    .draw_start = draw_start,
    .observe = observe,
    .judge = judge,
};

static int open_task(void **model, struct env_spec *spec, const char *models_dir,
                     struct error *err)
{
    return mujoco_task_open(&task, model, spec, models_dir, err);
}

const struct environment inverted_pendulum_environment = {
    .name = "InvertedPendulum-v5",
    .open = open_task,
    MUJOCO_TASK_SLOTS,
};
