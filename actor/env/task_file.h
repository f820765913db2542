/* A MuJoCo task written down in a YAML file instead of C.
 *
 *     model: hopper.xml              # MJCF, beside this file, on the environment path or a known model
 *     frame_skip: 4                  # simulation steps in a step (default 1)
 *     time_limit: 1000               # steps until an episode is truncated (default 1000; 0: never)
 *     observation:                   # one term behind the other
 *       - {source: qpos, from: 1}
 *       - {source: qvel, clip: [-10, 10]}
 *     reward:                        # the sum of the weighted terms
 *       - {term: rate, source: qpos, count: 1}
 *       - {term: alive}
 *       - {term: action_squares, weight: -0.001}
 *     healthy:                       # every number named lies inside its range
 *       - {source: qpos, from: 1, count: 1, range: [0.7, .inf]}
 *     end_when_unhealthy: true       # (default true when there is a `healthy`)
 *     reset:                         # noise on the model's initial state, drawn in this order
 *       - {source: qpos, uniform: [-0.005, 0.005]}
 *       - {source: qvel, normal: 0.1}
 *
 * What a term is of: `source` names an array of the simulation,
 *
 *     qpos qvel qfrc_actuator qfrc_constraint    all joints', or those of `joint: NAME`
 *     body_position cinert cvel cfrc_ext         all bodies', or those of `body: NAME` (3, 10, 6, 6)
 *     site_position                              all sites', or that of `site: NAME` (3)
 *     ctrl sensordata centre_of_mass             all of it
 *
 * and `from: I` (from 0) and `count: N` (default: to the end) a part of that. A position of a named
 * body or site may be relative to another one: `{source: site_position, site: hand, minus: goal}`.
 *
 *     observation    also function: sin|cos, then clip: [low, high]
 *     reward         term: what, weighted by `weight` (default 1) and then kept in `limit: [low, high]`
 *         constant          1
 *         alive             1 while healthy
 *         value             the number; before: true takes it before the step (the next two also)
 *         distance          the Euclidean norm of the numbers
 *         squares           the sum of (x - target)^2, every x first clipped by clip: [low, high]
 *         rate              the number's change over the step, per second
 *         action_squares    the sum of the squared action
 *     healthy        range: [low, high], its ends excluded unless inclusive: true
 *     reset          uniform: [low, high], or normal: standard deviation; added to qpos or qvel
 *
 * .inf and -.inf end a range that is open. An action is the model's ctrl, so every actuator needs a
 * ctrlrange. As in Gymnasium, what MuJoCo derives from qpos and qvel (positions of bodies and sites,
 * sensors) is after a step that of the beginning of its last simulation step.
 *
 * Terms are evaluated by the same code as those of the tasks in C (actor/env/task_terms.h): the same
 * task written both ways is equal to the last bit. Learner and actors compare a digest of this file and
 * of the model's, not of files that the model includes.
 *
 * Every mistake is answered with file, line, column and reason. */
#ifndef SHOAL_ACTOR_ENV_TASK_FILE_H
#define SHOAL_ACTOR_ENV_TASK_FILE_H

#include "common/environment.h"

/* Opens context->file; its spec is named context->name. */
extern const struct environment task_file_environment;

#endif
