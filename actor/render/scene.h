/* The picture of an environment, whichever kind it is: the one door to drawing for those who play.
 *
 * Opening one for a MuJoCo task makes a GL context current in the calling thread; at most one such
 * scene at a time. */
#ifndef SHOAL_ACTOR_RENDER_SCENE_H
#define SHOAL_ACTOR_RENDER_SCENE_H

#include <stdint.h>

#include "actor/env.h"

struct scene;

/* Seconds of video that one step of this environment fills: simulated time, but classic_scene_step_s
 * for the classic tasks. 0 when it has neither. */
double scene_step_s(const struct env_spec *spec);

/* Prepare pictures of an environment that was reset.
 *   camera  as in mujoco_scene_open; NULL for the usual one
 * ERR_CONFIG for an environment without a picture, ERR_USAGE for a camera where there is none, and the
 * errors of gl_context_open and mujoco_scene_open. */
int scene_open(struct scene **s, const struct env_model *m, const struct env *e,
               const char *camera, int width, int height, struct error *err);
void scene_close(struct scene **s);

/* Draw it as it is.
 *   action  the last action in policy units [n_act], or NULL
 *   rgb     [height][width][3], rows from the top */
int scene_draw(struct scene *s, const struct env *e, const float *action, uint8_t *rgb,
               struct error *err);

/* What draws: "EGL device" and the like, or "own rasteriser". */
const char *scene_kind(const struct scene *s);

#endif
