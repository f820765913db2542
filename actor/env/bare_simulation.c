#include "actor/env/bare_simulation.h"

#include <math.h>
#include <mujoco/mujoco.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"

struct bare_simulation {
    const mjModel *m;
    mjData *d;
    int frame_skip, n_act;
    bool reads_body_forces;
};

/* Tasks that have mj_rnePostConstraint fill cfrc_ext after every step. */
static bool reads_body_forces(const char *name)
{
    static const char *const names[] = { "Ant-v5", "Humanoid-v5", "HumanoidStandup-v5",
                                         "Humanoid-v4", "HumanoidStandup-v4" };
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

struct bare_simulation *bare_simulation_create(const struct env *e, const struct env_spec *spec)
{
    struct env_physics p;
    if (!env_physics(e, &p))
        return NULL;
    struct bare_simulation *b = memory_alloc(1, sizeof(*b));
    b->m = p.mj_model;
    b->d = mj_makeData(b->m);
    b->frame_skip = (int)lround(spec->step_s / b->m->opt.timestep);
    b->n_act = spec->shape.n_act;
    b->reads_body_forces = reads_body_forces(spec->name);
    return b;
}

void bare_simulation_destroy(struct bare_simulation **b)
{
    if (*b)
        mj_deleteData((*b)->d);
    free(*b);
    *b = NULL;
}

void bare_simulation_start(struct bare_simulation *b, const double *qpos, const double *qvel)
{
    mj_resetData(b->m, b->d);
    memcpy(b->d->qpos, qpos, (size_t)b->m->nq * sizeof(double));
    memcpy(b->d->qvel, qvel, (size_t)b->m->nv * sizeof(double));
    mj_forward(b->m, b->d);
}

void bare_simulation_step(struct bare_simulation *b, const float *units)
{
    for (int k = 0; k < b->n_act; k++)
        b->d->ctrl[k] = (double)units[k];
    for (int k = 0; k < b->frame_skip; k++)
        mj_step(b->m, b->d);
    if (b->reads_body_forces)
        mj_rnePostConstraint(b->m, b->d);
}
