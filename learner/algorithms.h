/* The algorithms there are. A new one is a file and a line here. */
#ifndef SHOAL_LEARNER_ALGORITHMS_H
#define SHOAL_LEARNER_ALGORITHMS_H

#include "common/algorithm.h"

#define ALGORITHMS(X) \
    X(a2c) \
    X(ppo) \
    X(sac)

#define X(name) extern const struct algorithm name##_algorithm;
ALGORITHMS(X)
#undef X

/* NULL-terminated. */
extern const struct algorithm *const all_algorithms[];

#endif
