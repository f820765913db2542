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
    double *state;                  /* [n_state] of a classic task, else NULL */
    struct gl_context *gl;          /* of a MuJoCo task */
    struct mujoco_scene *mujoco;
};

static bool is_classic(const struct env_spec *spec)
{
    return classic_scene_knows(spec->name) && spec->n_state >= classic_scene_n_state(spec->name);
}

double scene_step_s(const struct env_spec *spec)
{
    return is_classic(spec) ? classic_scene_step_s(spec->name) : spec->step_s;
}

static int open_mujoco(struct scene *s, const struct env_physics *p, const char *camera,
                       struct error *err)
{
    const int rc = gl_context_open(&s->gl, err);
    if (rc != 0)
        return rc;
    return mujoco_scene_open(&s->mujoco, p->mj_model, p->mj_data, s->name, camera, s->width,
                             s->height, err);
}

static int open_classic(struct scene *s, const struct env_spec *spec, const char *camera,
                        struct error *err)
{
    if (!is_classic(spec))
        return error_set(err, ERR_CONFIG,
                         "shoal has no picture of %s: it draws MuJoCo tasks, CartPole, Pendulum, "
                         "MountainCarContinuous and Acrobot", s->name);
    if (camera)
        return error_set(err, ERR_USAGE, "%s is drawn flat and has no camera; leave --camera out",
                         s->name);
    s->state = memory_alloc((size_t)spec->n_state, sizeof(*s->state));
    return 0;
}

int scene_open(struct scene **s, const struct env_model *m, const struct env *e,
               const char *camera, int width, int height, struct error *err)
{
    const struct env_spec *spec = env_spec(m);
    struct env_physics physics;
    struct scene *made = memory_alloc(1, sizeof(*made));
    *made = (struct scene){ .width = width, .height = height };
    snprintf(made->name, sizeof(made->name), "%s", spec->name);
    const bool is_mujoco = env_physics(e, &physics) && physics.mj_model;
    const int rc = is_mujoco ? open_mujoco(made, &physics, camera, err)
                             : open_classic(made, spec, camera, err);
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
    free((*s)->state);
    free(*s);
    *s = NULL;
}

int scene_draw(struct scene *s, const struct env *e, const float *action, uint8_t *rgb,
               struct error *err)
{
    struct env_physics physics;
    if (s->mujoco && env_physics(e, &physics))
        return mujoco_scene_draw(s->mujoco, physics.mj_data, rgb, err);
    struct canvas canvas = { s->width, s->height, rgb };
    env_raw_state(e, s->state);
    classic_scene_draw(s->name, s->state, action, &canvas);
    return 0;
}

const char *scene_kind(const struct scene *s)
{
    return s->gl ? gl_context_kind(s->gl) : "own rasteriser";
}
