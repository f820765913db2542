#include "deploy/experiment.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env/env_source.h"
#include "common/arena.h"
#include "common/file.h"
#include "deploy/program.h"
#include "learner/algorithms.h"

static int choose_algorithm(struct experiment *e, const char *path, struct error *err)
{
    const char *names[EXPERIMENT_MAX_ALGORITHMS];
    const char *name = e->settings.top.algorithm;
    int n = 0;
    for (; all_algorithms[n]; n++) {
        names[n] = all_algorithms[n]->name;
        if (strcmp(name, names[n]) == 0) {
            e->algorithm = all_algorithms[n];
            e->hyper = e->hypers[n];
            return 0;
        }
    }
    const char *near = nearest_word(name, names, n);
    return near ? error_set(err, ERR_CONFIG, "%s: algorithm: unknown algorithm \"%s\"; did you mean "
                            "\"%s\"?", path, name, near)
                : error_set(err, ERR_CONFIG, "%s: algorithm: unknown algorithm \"%s\"; there is "
                            "\"%s\"", path, name, names[0]);
}

static void list_sections(struct experiment *e)
{
    e->n_sections = settings_sections(&e->settings, e->sections);
    for (int i = 0; all_algorithms[i]; i++) {
        const struct algorithm *a = all_algorithms[i];
        e->hypers[i] = memory_alloc(1, a->hyper_bytes);
        e->sections[e->n_sections++] = (struct option_section){
            .name = a->name, .help = "the algorithm", .options = a->options,
            .n_options = a->n_options, .base = e->hypers[i],
        };
    }
}

/* A task's file that the working directory does not have is taken from beside the configuration. */
static void look_beside(const char *config, char *name, size_t bytes)
{
    char beside[PATH_MAX];
    const char *slash = strrchr(config, '/');
    if (!slash || name[0] == '/' || !env_source_is_task(name) || file_exists(name))
        return;
    const int n = snprintf(beside, sizeof(beside), "%.*s/%s", (int)(slash - config), config, name);
    if (n < (int)sizeof(beside) && (size_t)n < bytes && file_exists(beside))
        memcpy(name, beside, (size_t)n + 1);
}

int experiment_locate_task(char *name, size_t bytes, struct error *err)
{
    const bool is_task = env_source_is_task(name);
    char absolute[PATH_MAX];
    if (strchr(name, '/') && !is_task)
        return error_set(err, ERR_CONFIG, "env.name: \"%.100s\" is a path; name a task's .yaml file, "
                         "or an environment or plug-in by its name (--env-path says where plug-ins "
                         "are)", name);
    if (!is_task || (!strchr(name, '/') && !file_exists(name)))
        return 0;
    if (!realpath(name, absolute))
        return error_errno(err, "env.name: cannot open the task %.150s", name);
    if (strlen(absolute) >= bytes)
        return error_set(err, ERR_CONFIG, "env.name: the path of the task is longer than %zu bytes: "
                         "%.100s", bytes - 1, absolute);
    snprintf(name, bytes, "%s", absolute);
    *strrchr(absolute, '/') = '\0';
    if (strchr(absolute, ':'))
        return error_set(err, ERR_CONFIG, "env.name: the directory %.150s cannot be searched for tasks, "
                         "as ':' stands between directories; rename it", absolute);
    program_add_env_path(absolute[0] ? absolute : "/");
    return 0;
}

/* The last part of a path. */
static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* Section "env": the name, what all environments have, what this one has. */
static void fill_env_section(struct experiment *e)
{
    struct option_section *section = &e->sections[SETTINGS_ENV];
    const struct environment *ops = e->source.ops;
    const size_t common = offsetof(struct settings, env.common) - offsetof(struct settings, env);
    const size_t own = offsetof(struct settings, env.own) - offsetof(struct settings, env);
    struct option *row = e->env_rows;
    *row++ = section->options[0];
    for (int i = 0; i < N_ENV_COMMON_OPTIONS; i++, row++) {
        *row = env_common_options[i];
        row->offset += common;
    }
    for (int i = 0; i < ops->n_options; i++, row++) {
        *row = ops->options[i];
        row->offset += own;
    }
    section->options = e->env_rows;
    section->n_options = (int)(row - e->env_rows);
}

/* Read the name first: it decides which options section "env" has. */
static int find_environment(struct experiment *e, const char *path, char *const *overrides,
                            int n_overrides, struct error *err)
{
    e->sections[SETTINGS_ENV].is_open = true;
    int rc = options_load(e->sections, e->n_sections, path, overrides, n_overrides, err);
    e->sections[SETTINGS_ENV].is_open = false;
    if (rc != 0)
        return rc;
    look_beside(path, e->settings.env.name, sizeof(e->settings.env.name));
    rc = experiment_locate_task(e->settings.env.name, sizeof(e->settings.env.name), err);
    if (rc == 0)
        rc = env_source_find(&e->source, last_part(e->settings.env.name), program_env_path(), err);
    if (rc != 0)
        return error_prefix(err, "%s", path);
    fill_env_section(e);
    return 0;
}

static int describe_environment(struct experiment *e, const char *path, struct error *err)
{
    struct option_section section = e->sections[SETTINGS_ENV];
    section.options++;
    section.n_options--;
    if (options_print_line(&section, true, e->env_options, sizeof(e->env_options)) < 0)
        return error_set(err, ERR_CONFIG, "%s: env: the options are longer than %zu bytes together",
                         path, sizeof(e->env_options) - 1);
    snprintf(e->env_name, sizeof(e->env_name), "%.63s", last_part(e->settings.env.name));
    e->env = (struct env_setup){ e->env_name, e->env_options, program_models_dir(),
                                 program_env_path() };
    return 0;
}

int experiment_load(struct experiment *e, const char *path, char *const *overrides,
                    int n_overrides, struct error *err)
{
    *e = (struct experiment){ 0 };
    list_sections(e);
    int rc = find_environment(e, path, overrides, n_overrides, err);
    if (rc == 0)
        rc = options_load(e->sections, e->n_sections, path, overrides, n_overrides, err);
    /* The path of a task as it was found, also where overrides named it otherwise. */
    if (rc == 0) {
        look_beside(path, e->settings.env.name, sizeof(e->settings.env.name));
        rc = experiment_locate_task(e->settings.env.name, sizeof(e->settings.env.name), err);
    }
    if (rc == 0)
        rc = describe_environment(e, path, err);
    if (rc == 0)
        rc = choose_algorithm(e, path, err);
    if (rc == 0) {
        rc = settings_check(&e->settings, e->algorithm->is_on_policy, err);
        if (rc != 0)
            error_prefix(err, "%s", path);
    }
    return rc;
}

int experiment_load_environment(struct experiment *e, const char *name, char *const *overrides,
                                int n_overrides, struct error *err)
{
    *e = (struct experiment){ 0 };
    settings_sections(&e->settings, e->sections);
    char *known = e->settings.env.name;
    if (snprintf(known, sizeof(e->settings.env.name), "%s", name)
        >= (int)sizeof(e->settings.env.name))
        return error_set(err, ERR_CONFIG, "the environment's name is longer than %zu bytes: %.100s...",
                         sizeof(e->settings.env.name) - 1, name);
    int rc = experiment_locate_task(known, sizeof(e->settings.env.name), err);
    if (rc == 0)
        rc = env_source_find(&e->source, last_part(known), program_env_path(), err);
    if (rc != 0)
        return rc;
    fill_env_section(e);
    struct option_section section = e->sections[SETTINGS_ENV];
    section.options++;    /* but for the name */
    section.n_options--;
    rc = options_load(&section, 1, NULL, overrides, n_overrides, err);
    return rc == 0 ? describe_environment(e, known, err) : rc;
}

void experiment_fini(struct experiment *e)
{
    for (int i = 0; i < EXPERIMENT_MAX_ALGORITHMS; i++)
        free(e->hypers[i]);
    env_source_release(&e->source);
    *e = (struct experiment){ 0 };
}

int experiment_bind(struct experiment *e, const struct env_spec *spec, struct error *err)
{
    const struct mlp_body body = settings_policy_body(&e->settings);
    int rc = e->algorithm->check(e->hyper, &e->settings, spec, err);
    if (rc != 0)
        return rc;
    e->algorithm->describe(e->hyper, spec, &e->traits);
    e->policy = policy_shape_make(e->traits.head, &body, spec->shape, spec->n_choices);
    e->policy.normalises = e->settings.learner.normalise_observations;
    return 0;
}

void experiment_print(struct experiment *e, bool with_comments, FILE *out)
{
    for (int i = 0; i < e->n_sections; i++)
        e->sections[i].is_hidden = i >= SETTINGS_SECTIONS && e->sections[i].base != e->hyper;
    options_print(e->sections, e->n_sections, with_comments, out);
}
