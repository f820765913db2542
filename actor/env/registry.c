#include "actor/env/registry.h"

#include <string.h>

static const struct environment *const environments[N_ENVIRONMENTS] = {
#define X(symbol) &symbol##_environment,
    ENVIRONMENTS(X)
#undef X
};

const struct environment *environment_find(const char *name)
{
    for (int i = 0; i < N_ENVIRONMENTS; i++)
        if (strcmp(environments[i]->name, name) == 0)
            return environments[i];
    return NULL;
}

void environment_names(const char *names[N_ENVIRONMENTS])
{
    for (int i = 0; i < N_ENVIRONMENTS; i++)
        names[i] = environments[i]->name;
}
