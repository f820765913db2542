/* Pictures of the classic control tasks, drawn from their physical state alone.
 *
 *   CartPole-v1                 x, x', theta, theta'               theta 0 is upright
 *   Pendulum-v1                 theta, theta'                      theta 0 is upright
 *   MountainCarContinuous-v0    position, velocity
 *   Acrobot-v1                  theta1, theta2, theta1', theta2'   both 0 hang down
 *
 * Angles of the pendulum and the acrobot grow counter-clockwise, that of the pole clockwise, as in
 * Gymnasium. */
#ifndef SHOAL_ACTOR_RENDER_CLASSIC_SCENE_H
#define SHOAL_ACTOR_RENDER_CLASSIC_SCENE_H

#include <stdbool.h>

#include "actor/render/canvas.h"

/* Whether there is a picture of the environment of that name. Versions are not told apart. */
bool classic_scene_knows(const char *name);

/* Seconds of video a step fills; 0 for a name that is not known. Simulated time for CartPole (0.02) and
 * Pendulum (0.05); MountainCarContinuous, which has no unit of time, and Acrobot, whose 0.2 s would
 * jerk, play at Gymnasium's 30 and 15 steps a second. */
double classic_scene_step_s(const char *name);

/* Doubles the state must have at least. */
int classic_scene_n_state(const char *name);

/* Draw the whole picture.
 *   state   [classic_scene_n_state], in the order above
 *   action  the last action in policy units, or NULL; the pendulum's torque is an arrow */
void classic_scene_draw(const char *name, const double *state, const float *action,
                        struct canvas *c);

#endif
