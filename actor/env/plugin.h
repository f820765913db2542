/* Environments from shared libraries: a `struct shoal_environment` (actor/plugin/shoal_environment.h) seen
 * as a `struct environment`.
 *
 * Nothing that a plug-in says is believed: its table, its options and its specification are checked
 * before they are used, and each error is one sentence with the file's path. What its code does is
 * beyond this module; it runs in this process. */
#ifndef SHOAL_ACTOR_ENV_PLUGIN_H
#define SHOAL_ACTOR_ENV_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/environment.h"

struct plugin;    /* a loaded library with its table of options */

/* Whether the name could be a plug-in's: letters, digits, '_' and '-', at most 63. */
bool plugin_is_name(const char *name);

/* The first libNAME.so in the directories of env_path (':' between them; may be NULL).
 *   path  [bytes] where it is
 * Returns false when there is none, or the name is not a plug-in's. */
bool plugin_find(const char *name, const char *env_path, char *path, size_t bytes);

/* Load the library and check its table. ERR_CONFIG when it cannot be used. */
int plugin_load(struct plugin **p, const char *path, const char *name, struct error *err);

/* Borrowed until plugin_unload. Its `open` wants the plug-in as context.handle. */
const struct environment *plugin_environment(const struct plugin *p);

/* After the environment is closed. NULL does nothing. */
void plugin_unload(struct plugin **p);

#endif
