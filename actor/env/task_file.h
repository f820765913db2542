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
 * Terms mean what actor/env/task_terms.h says, and are evaluated by the same code as those of the
 * tasks in C: the same task written both ways is equal to the last bit.
 *
 * Every mistake is answered with file, line, column and reason. */
#ifndef SHOAL_ACTOR_ENV_TASK_FILE_H
#define SHOAL_ACTOR_ENV_TASK_FILE_H

#include "common/environment.h"

/* Opens context->file; its spec is named context->name. */
extern const struct environment task_file_environment;

#endif
