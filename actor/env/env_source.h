/* What an environment's name stands for on this machine: a built-in one, a task in a YAML file, or a
 * plug-in.
 *
 * Names never hold a directory: files are looked for on the environment path only, so that a name
 * from the network opens nothing that the operator of this machine did not put there. */
#ifndef SHOAL_ACTOR_ENV_ENV_SOURCE_H
#define SHOAL_ACTOR_ENV_ENV_SOURCE_H

#include "common/environment.h"

struct env_source {
    const struct environment *ops;      /* with the table of options */
    char file[4096];                    /* "" for the built-in ones */
    void *handle;                       /* struct plugin; NULL for others */
};

/* Whether the name is that of a task's file, which there may or may not be. */
bool env_source_is_task(const char *name);

/* Find `name`: built in, else NAME itself when it ends in .yaml, else libNAME.so on env_path
 * (directories separated by ':'; NULL: none).
 * ERR_CONFIG for an unknown name (with the nearest known one, and where plug-ins were looked for) or
 * an unusable plug-in, ERR_MISSING when a file of that name is nowhere. */
int env_source_find(struct env_source *s, const char *name, const char *env_path,
                    struct error *err);

/* Its table of options is gone afterwards. */
void env_source_release(struct env_source *s);

#endif
