#include "actor/env/env_source.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "actor/env/plugin.h"
#include "actor/env/registry.h"
#include "actor/env/task_file.h"
#include "common/file.h"
#include "common/text.h"

/* On an environment path the name may have been meant for a plug-in. */
static int unknown_plugin(const char *name, const char *env_path, const char *near, struct error *err)
{
    char hint[ENV_NAME_BYTES + 32] = "";
    if (near)
        snprintf(hint, sizeof(hint), "; did you mean \"%s\"?", near);
    return error_set(err, ERR_CONFIG, "unknown environment \"%.63s\": it is not built in, and there is no "
                     "lib%.63s.so in %.200s%s", name, name, env_path, hint);
}

bool env_source_is_task(const char *name)
{
    return text_ends_with(name, ".yaml");
}

static int unknown_name(const char *name, const char *env_path, struct error *err)
{
    const char *names[N_ENVIRONMENTS];
    environment_names(names);
    const char *near = nearest_word(name, names, N_ENVIRONMENTS);
    if (strcmp(name, "Pusher-v4") == 0)
        return error_set(err, ERR_CONFIG, "Pusher-v4 has an almost massless object, with which MuJoCo 3 "
                         "and later do not simulate what version 2 did; use Pusher-v5");
    if (strncmp(name, "lib", 3) == 0 && text_ends_with(name + 3, ".so"))
        return error_set(err, ERR_CONFIG, "unknown environment \"%.80s\"; a plug-in is named without lib "
                         "and .so: \"%.*s\"", name, (int)(strlen(name) < 80 ? strlen(name) - 6 : 74),
                         name + 3);
    if (env_path && env_path[0] && plugin_is_name(name))
        return unknown_plugin(name, env_path, near, err);
    if (near)
        return error_set(err, ERR_CONFIG, "unknown environment \"%.80s\"; did you mean \"%s\"?",
                         name, near);

    return error_set(err, ERR_CONFIG, "unknown environment \"%.60s\"; `shoal envs` lists those there "
                     "are, and a plug-in needs its directory in --env-path", name);
}

int env_source_find(struct env_source *s, const char *name, const char *env_path,
                    struct error *err)
{
    *s = (struct env_source){ .ops = environment_find(name) };
    if (s->ops)
        return 0;
    if (strchr(name, '/'))
        return error_set(err, ERR_CONFIG, "the environment's name \"%.80s\" is a path; directories "
                         "are given with --env-path", name);
    if (strlen(name) >= ENV_NAME_BYTES)
        return error_set(err, ERR_CONFIG, "the environment's name \"%.63s...\" is longer than %d bytes; "
                         "give the file a shorter one", name, ENV_NAME_BYTES - 1);
    if (env_source_is_task(name)) {
        s->ops = &task_file_environment;
        if (file_find(s->file, sizeof(s->file), env_path, name))
            return 0;
        return error_set(err, ERR_MISSING, "there is no task %.80s on the environment path (%.80s); "
                         "give its directory with --env-path", name,
                         env_path && *env_path ? env_path : "which is empty");
    }
    if (!plugin_find(name, env_path, s->file, sizeof(s->file))) {
        s->file[0] = '\0';
        return unknown_name(name, env_path, err);
    }
    struct plugin *p;
    int rc = plugin_load(&p, s->file, name, err);
    if (rc == 0) {
        s->handle = p;
        s->ops = plugin_environment(p);
    }
    return rc;
}

void env_source_release(struct env_source *s)
{
    struct plugin *p = s->handle;
    plugin_unload(&p);
    *s = (struct env_source){ 0 };
}
