/* The algorithms there are. A new one is a file and a line here. */
#ifndef SHOAL_LEARNER_ALGORITHMS_H
#define SHOAL_LEARNER_ALGORITHMS_H

#include "common/algorithm.h"

#define ALGORITHMS(X) \
    X(ppo) \
    X(a2c) \
    X(ddpg) \
    X(td3) \
    X(sac)

#define X(name) extern const struct algorithm name##_algorithm;
ALGORITHMS(X)
#undef X

/* NULL-terminated. */
extern const struct algorithm *const all_algorithms[];

/* By name; NULL: there is none. */
const struct algorithm *algorithm_find(const char *name);

/* Whether actors can compute this algorithm's gradients, as it is configured: mode gradients. ERR_CONFIG with
 * the reason and what to set. */
int algorithm_check_gradients(const struct algorithm *a, const void *hyper, const struct settings *s,
                              struct error *err);

#endif
