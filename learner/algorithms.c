#include "learner/algorithms.h"

#include <stddef.h>

const struct algorithm *const all_algorithms[] = {
#define X(name) &name##_algorithm,
    ALGORITHMS(X)
#undef X
    NULL
};
