/* What the tests of plug-ins share: where those of tests/plugins and the example were built, and opening
 * them. */
#ifndef SHOAL_TESTS_UNIT_PLUGIN_SUPPORT_H
#define SHOAL_TESTS_UNIT_PLUGIN_SUPPORT_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actor/env.h"
#include "actor/env/env_source.h"
#include "tests/support.h"

enum { PATH_BYTES = 4096 };

/* Where the plug-ins were built: ../plugins beside this program. */
static inline const char *plugins_dir(void)
{
    static char dir[PATH_BYTES + 16];
    char self[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    ck_assert_int_gt(n, 0);
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(dir, sizeof(dir), "%s/../plugins", self);
    return dir;
}

static inline struct env_setup setup_of(const char *name)
{
    return (struct env_setup){ .name = name, .env_path = plugins_dir() };
}

static inline struct env_model *open_well(const char *name)
{
    struct env_model *m;
    struct error err;
    const struct env_setup setup = setup_of(name);
    ck_assert_msg(env_open(&m, &setup, &err) == 0, "%s", err.text);
    return m;
}

/* That a name cannot be opened, and that what is said ends as expected and holds `also`. */
static inline void assert_refused(const char *name, const char *path, const char *expected, const char *also)
{
    struct env_model *m;
    struct error err = { 0 };
    const struct env_setup setup = { .name = name, .env_path = path };
    ck_assert_int_eq(env_open(&m, &setup, &err), ERR_CONFIG);
    ck_assert_int_eq(err.code, ERR_CONFIG);
    ck_assert_ptr_null(m);
    const size_t n = strlen(err.text), wanted = strlen(expected);
    ck_assert_msg(n >= wanted && strcmp(err.text + n - wanted, expected) == 0, "\"%s\" does not end in \"%s\"",
                  err.text, expected);
    ck_assert_msg(strstr(err.text, also), "\"%s\" lacks \"%s\"", err.text, also);
}

/* Open with options as a configuration gives them. */
struct opened {
    struct env_source source;
    struct env_spec spec;
    void *model;
    _Alignas(16) unsigned char values[ENV_OPTIONS_BYTES];
};

static inline int open_with(struct opened *o, const char *name, char *override, struct error *err)
{
    *o = (struct opened){ 0 };
    ck_assert_msg(env_source_find(&o->source, name, plugins_dir(), err) == 0, "%s", err->text);
    const struct environment *ops = o->source.ops;
    const struct option_section section = { .name = "env", .help = "", .options = ops->options,
                                            .n_options = ops->n_options, .base = o->values };
    int rc = options_load(&section, 1, NULL, NULL, &override, override ? 1 : 0, err);
    if (rc != 0)
        return rc;
    const struct env_context context = { .ops = ops, .name = name, .file = o->source.file,
                                         .handle = o->source.handle, .options = o->values };
    return ops->open(&o->model, &o->spec, &context, err);
}

static inline void close_opened(struct opened *o)
{
    if (o->model)
        o->source.ops->close(o->model);
    env_source_release(&o->source);
}

#endif
