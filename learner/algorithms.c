#include "learner/algorithms.h"

#include <string.h>

const struct algorithm *const all_algorithms[] = {
#define X(name) &name##_algorithm,
    ALGORITHMS(X)
#undef X
    NULL
};

const struct algorithm *algorithm_find(const char *name)
{
    for (const struct algorithm *const *a = all_algorithms; *a; a++)
        if (strcmp((*a)->name, name) == 0)
            return *a;
    return NULL;
}
