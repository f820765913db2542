#include "learner/algorithms.h"

#include <stddef.h>
#include <string.h>

const struct algorithm *const all_algorithms[] = {
#define X(name) &name##_algorithm,
    ALGORITHMS(X)
#undef X
    NULL
};

const struct algorithm *algorithm_find(const char *name)
{
    for (int i = 0; all_algorithms[i]; i++)
        if (strcmp(all_algorithms[i]->name, name) == 0)
            return all_algorithms[i];
    return NULL;
}

int algorithm_check_gradients(const struct algorithm *a, const void *hyper, const struct settings *s,
                              struct error *err)
{
    if (!a->gradient)
        return error_set(err, ERR_CONFIG, "mode: gradients has actors compute gradients on what they "
                         "collected, and algorithm: %s learns from batches of the replay, which the learner "
                         "holds; set mode: async, or algorithm: a2c", a->name);
    return a->check_gradients(hyper, s, err);
}
