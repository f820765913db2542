#include "actor/render/scene.h"

#include <stdio.h>
#include <stdlib.h>

#include "actor/render/classic_scene.h"
#include "actor/render/gl_context.h"
#include "actor/render/mujoco_scene.h"
#include "common/arena.h"

struct scene {
    char name[ENV_NAME_BYTES];
    int width, height;
    struct gl_context *gl;          /* of MuJoCo tasks */
    struct mujoco_scene *mujoco;
};

static int no_picture(const char *name, struct error *err)
{
    return error_set(err, ERR_CONFIG,
                     "shoal has no picture of %s: it draws MuJoCo tasks, CartPole, Pendulum, "
                     "MountainCarContinuous and Acrobot", name);
}

/* Whether classic_scene can draw what `p` says about this environment. */
static bool is_classic(const char *name, const struct env_physics *p)
{
    return !p->mj_model && classic_scene_knows(name) && p->n_state >= classic_scene_n_state(name);
}

static double clock_of(const struct env_physics *p)
{
    const mjData *d = p->mj_data;
    return d->time;
}

int scene_step_s(const struct env_model *m, double *step_s, struct error *err)
{
    const struct env_spec *spec = env_spec(m);
    struct env_physics physics;
    struct env *e = env_create(m);
    float *obs = memory_alloc((size_t)spec->shape.n_obs, sizeof(*obs));
    float action[ENV_MAX_ACT] = { 0 };
    struct env_outcome outcome;
    struct rng rng;
    rng_init(&rng, 0, RNG_EVAL, 0, 0);
    env_reset(e, &rng, obs);

    *step_s = 0;
    if (env_physics(e, &physics)) {
        if (physics.mj_model) {
            const double before = clock_of(&physics);
            env_step(e, action, obs, &outcome);
            *step_s = clock_of(&physics) - before;
        } else if (is_classic(spec->name, &physics)) {
            *step_s = classic_scene_step_s(spec->name);
        }
    }
    free(obs);
    env_destroy(&e);
    return *step_s > 0 ? 0 : no_picture(spec->name, err);
}

int scene_open(struct scene **s, const struct env_model *m, const struct env *e,
               const char *camera, int width, int height, struct error *err)
{
    const struct env_spec *spec = env_spec(m);
    struct env_physics physics;
    *s = NULL;
    if (!env_physics(e, &physics) || (!physics.mj_model && !is_classic(spec->name, &physics)))
        return no_picture(spec->name, err);
    if (!physics.mj_model && camera)
        return error_set(err, ERR_USAGE, "%s is drawn flat and has no camera; leave --camera out",
                         spec->name);

    struct scene *made = memory_alloc(1, sizeof(*made));
    *made = (struct scene){ .width = width, .height = height };
    snprintf(made->name, sizeof(made->name), "%s", spec->name);
    int rc = 0;
    if (physics.mj_model) {
        rc = gl_context_open(&made->gl, err);
        if (rc == 0)
            rc = mujoco_scene_open(&made->mujoco, physics.mj_model, physics.mj_data, spec->name,
                                   camera, width, height, err);
    }
    if (rc != 0)
        scene_close(&made);
    *s = made;
    return rc;
}

void scene_close(struct scene **s)
{
    if (!*s)
        return;
    mujoco_scene_close(&(*s)->mujoco);
    gl_context_close(&(*s)->gl);
    free(*s);
    *s = NULL;
}

int scene_draw(struct scene *s, const struct env *e, const float *action, uint8_t *rgb,
               struct error *err)
{
    struct env_physics physics;
    if (!env_physics(e, &physics))
        return no_picture(s->name, err);
    if (s->mujoco)
        return mujoco_scene_draw(s->mujoco, physics.mj_data, rgb, err);
    struct canvas canvas = { s->width, s->height, rgb };
    classic_scene_draw(s->name, physics.state, action, &canvas);
    return 0;
}

const char *scene_kind(const struct scene *s)
{
    return s->gl ? gl_context_kind(s->gl) : "own rasteriser";
}
