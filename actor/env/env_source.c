#include "actor/env/env_source.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actor/env/registry.h"

/* Append the names to "known are ...", as many as fit. */
static void list_names(const char *const *names, int n, char *out, size_t bytes)
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < n && used < bytes; i++)
        used += (size_t)snprintf(out + used, bytes - used, "%s%s", i ? ", " : "", names[i]);
}

static int unknown_name(const char *name, struct error *err)
{
    const char *names[N_ENVIRONMENTS];
    environment_names(names);
    const char *near = nearest_word(name, names, N_ENVIRONMENTS);
    if (near)
        return error_set(err, ERR_CONFIG, "unknown environment \"%.80s\"; did you mean \"%s\"?",
                         name, near);

    char known[120];
    list_names(names, N_ENVIRONMENTS, known, sizeof(known));
    return error_set(err, ERR_CONFIG, "unknown environment \"%.60s\"; `shoal envs` lists those there "
                     "are (%.60s...)", name, known);
}

int env_source_find(struct env_source *s, const char *name, const char *env_path,
                    struct error *err)
{
    (void)env_path;
    *s = (struct env_source){ .ops = environment_find(name) };
    return s->ops ? 0 : unknown_name(name, err);
}

void env_source_release(struct env_source *s)
{
    *s = (struct env_source){ 0 };
}
