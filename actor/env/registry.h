/* The environments this program was built with. A new one is a file in this folder and a word
 * in the list: X(pendulum) stands for `const struct environment pendulum_environment`. */
#ifndef SHOAL_ACTOR_ENV_REGISTRY_H
#define SHOAL_ACTOR_ENV_REGISTRY_H

#include "common/environment.h"

#define ENVIRONMENTS(X) \
    X(inverted_pendulum_v5) X(inverted_pendulum_v4) \
    X(inverted_double_pendulum_v5) X(inverted_double_pendulum_v4) \
    X(reacher_v5) X(reacher_v4) X(pusher_v5) \
    X(swimmer_v5) X(swimmer_v4) X(hopper_v5) X(hopper_v4) \
    X(half_cheetah_v5) X(half_cheetah_v4) X(walker2d_v5) X(walker2d_v4) \
    X(ant_v5) X(ant_v4) X(humanoid_v5) X(humanoid_v4) \
    X(humanoid_standup_v5) X(humanoid_standup_v4) \
    X(pendulum) X(cartpole) X(mountain_car) X(acrobot)

enum {
#define X(symbol) +1
    N_ENVIRONMENTS = 0 ENVIRONMENTS(X)
#undef X
};

#define X(symbol) extern const struct environment symbol##_environment;
ENVIRONMENTS(X)
#undef X

/* The environment of that name, or NULL. */
const struct environment *environment_find(const char *name);

/* All names, in the order of the list; static texts. */
void environment_names(const char *names[N_ENVIRONMENTS]);

#endif
