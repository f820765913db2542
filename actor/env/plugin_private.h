/* What the two halves of a plug-in share; nobody else includes this.
 *
 *   plugin.c            finding, loading, the table and its options
 *   plugin_adapter.c    the specification and the slots of struct environment */
#ifndef SHOAL_ACTOR_ENV_PLUGIN_PRIVATE_H
#define SHOAL_ACTOR_ENV_PLUGIN_PRIVATE_H

#include "actor/env/plugin.h"
#include "actor/plugin/shoal_environment.h"

enum { PLUGIN_PATH_BYTES = 4096, PLUGIN_VALUE_BYTES = 32 };

struct plugin {
    void *library;                      /* of dlopen */
    struct shoal_environment table;     /* slots that the plug-in does not know are NULL */
    char path[PLUGIN_PATH_BYTES];
    struct environment ops;
    struct option rows[SHOAL_MAX_OPTIONS];
    char values[SHOAL_MAX_OPTIONS][PLUGIN_VALUE_BYTES];    /* defaults as text */
};

/* Returns ERR_CONFIG with the path in front. */
int plugin_refuse(const struct plugin *p, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Fill p->ops from the table and the rows. */
void plugin_make_environment(struct plugin *p);

#endif
