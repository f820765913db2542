/* Pictures of a MuJoCo simulation, drawn by MuJoCo's own renderer.
 *
 * The scene has a model and data of its own, so the simulation is only read. A GL context
 * (actor/render/gl_context.h) must be current in the calling thread from open to close. Calls into
 * MuJoCo are guarded (actor/env/mujoco_guard.h). */
#ifndef SHOAL_ACTOR_RENDER_MUJOCO_SCENE_H
#define SHOAL_ACTOR_RENDER_MUJOCO_SCENE_H

#include <mujoco/mujoco.h>
#include <stdint.h>

#include "common/error.h"

struct mujoco_scene;

/* Prepare pictures of one size.
 *   d       the simulation at its first picture; a free camera looks at its middle
 *   name    of the environment, which decides the camera as in Gymnasium
 *   camera  a camera's name in the model, its number, or "free"; NULL: Gymnasium's
 * ERR_CONFIG for an unknown camera (with those there are), ERR_MISSING when this OpenGL cannot do it. */
int mujoco_scene_open(struct mujoco_scene **s, const mjModel *m, const mjData *d,
                      const char *name, const char *camera, int width, int height,
                      struct error *err);
void mujoco_scene_close(struct mujoco_scene **s);

/* Draw the simulation as it is.
 *   d    data of the model given to open
 *   rgb  [height][width][3], rows from the top */
int mujoco_scene_draw(struct mujoco_scene *s, const mjData *d, uint8_t *rgb, struct error *err);

#endif
