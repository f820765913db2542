#include "deploy/experiment.h"

#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env/env_source.h"
#include "common/arena.h"
#include "common/file.h"
#include "deploy/program.h"
#include "learner/algorithms.h"

/* In front of messages that are about all that was given. */
static const char *source_name(const char *path)
{
    return path ? path : "the configuration";
}

/* "ppo", "a2c", ...; returns how many. */
static int algorithm_names(const char *names[EXPERIMENT_MAX_ALGORITHMS])
{
    int n = 0;
    for (; all_algorithms[n]; n++)
        names[n] = all_algorithms[n]->name;
    return n;
}

static int unknown_name(const char *path, const char *what, const char *name, const char *const *names,
                        int n, struct error *err)
{
    char list[128] = "";
    size_t used = 0;
    const char *near = nearest_word(name, names, n);
    for (int i = 0; i < n && used < sizeof(list) - 1; i++)
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "", names[i]);
    return near ? error_set(err, ERR_CONFIG, "%s: unknown %s \"%.40s\"; did you mean \"%s\"?",
                            source_name(path), what, name, near)
                : error_set(err, ERR_CONFIG, "%s: unknown %s \"%.40s\"; there is %s", source_name(path), what,
                            name, n ? list : "none");
}

/* Find the algorithm; giving an option of another one is an error from now on. */
static int choose_algorithm(struct experiment *e, const char *path, struct error *err)
{
    const char *names[EXPERIMENT_MAX_ALGORITHMS];
    const char *name = e->settings.top.algorithm;
    int n = algorithm_names(names);
    for (int i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0) {
            e->algorithm = all_algorithms[i];
            e->hyper = e->hypers[i];
            continue;
        }
        snprintf(e->refusals[i], sizeof(e->refusals[i]), "section \"%s\" is another algorithm's; the "
                 "algorithm is %.30s, its options stand in section \"%.30s\"", names[i], name, name);
        e->sections[SETTINGS_SECTIONS + i].refusal = e->refusals[i];
    }
    return e->algorithm ? 0 : unknown_name(path, "algorithm", name, names, n, err);
}

static int choose_preset(struct experiment *e, const char *path, struct error *err)
{
    const struct algorithm *a = e->algorithm;
    const char *names[EXPERIMENT_MAX_PRESETS], *name = e->settings.top.preset;
    e->presets[0].values = a->presets[0].values;
    if (!*name)
        return 0;
    for (int i = 1; i < a->n_presets; i++) {
        names[i - 1] = a->presets[i].name;
        if (strcmp(name, a->presets[i].name) == 0) {
            e->presets[1].values = a->presets[i].values;
            e->presets[0].next = &e->presets[1];
            return 0;
        }
    }
    char what[64];
    snprintf(what, sizeof(what), "preset of %s", a->name);
    return unknown_name(path, what, name, names, a->n_presets - 1, err);
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
    const char *slash = config ? strrchr(config, '/') : NULL;
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

/* Take any key as long as it is not known which environment has it, or whose options are refused: a hint
 * would name another algorithm's. */
static void open_sections(struct experiment *e, bool is_open)
{
    for (int i = 0; i < e->n_sections; i++)
        e->sections[i].is_open = is_open;
}

/* Read the name first: it decides which options section "env" has. */
static int find_environment(struct experiment *e, const char *path, char *const *overrides,
                            int n_overrides, struct error *err)
{
    open_sections(e, true);
    int rc = options_load(e->sections, e->n_sections, NULL, path, overrides, n_overrides, err);
    open_sections(e, false);
    if (rc != 0) {
        /* A misspelt "env" is the better error than a missing one. */
        e->sections[SETTINGS_ENV].is_open = true;
        rc = options_load(e->sections, e->n_sections, NULL, path, overrides, n_overrides, err);
        e->sections[SETTINGS_ENV].is_open = false;
    }
    if (rc != 0)
        return rc;
    look_beside(path, e->settings.env.name, sizeof(e->settings.env.name));
    rc = experiment_locate_task(e->settings.env.name, sizeof(e->settings.env.name), err);
    if (rc == 0)
        rc = env_source_find(&e->source, last_part(e->settings.env.name), program_env_path(), err);
    if (rc != 0)
        return error_prefix(err, "%s", source_name(path));
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
                         source_name(path), sizeof(e->env_options) - 1);
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
        rc = choose_algorithm(e, path, err);
    if (rc == 0)
        rc = choose_preset(e, path, err);
    if (rc == 0)
        rc = options_load(e->sections, e->n_sections, e->presets, path, overrides, n_overrides, err);
    /* The path of a task as it was found, also where overrides named it otherwise. */
    if (rc == 0) {
        look_beside(path, e->settings.env.name, sizeof(e->settings.env.name));
        rc = experiment_locate_task(e->settings.env.name, sizeof(e->settings.env.name), err);
    }
    if (rc == 0)
        rc = describe_environment(e, path, err);
    if (rc == 0 && e->settings.top.mode == MODE_GRADIENTS) {
        rc = algorithm_check_gradients(e->algorithm, e->hyper, &e->settings, err);
        if (rc != 0)
            error_prefix(err, "%s", source_name(path));
    }
    if (rc == 0) {
        rc = settings_check(&e->settings, e->algorithm->is_on_policy, err);
        if (rc != 0)
            error_prefix(err, "%s", source_name(path));
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
    rc = options_load(&section, 1, NULL, NULL, overrides, n_overrides, err);
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

/* What presets alone give, in structs of their own. */
struct preset_values {
    struct settings settings;
    void *hyper;
};

static void fill_preset_values(const struct experiment *e, const struct option_preset *presets,
                               struct preset_values *v)
{
    struct option_section sections[SETTINGS_SECTIONS + 1];
    const struct algorithm *a = e->algorithm;
    int n = settings_sections(&v->settings, sections);
    v->hyper = memory_alloc(1, a->hyper_bytes);
    sections[n++] = (struct option_section){ .name = a->name, .options = a->options,
                                             .n_options = a->n_options, .base = v->hyper };
    for (int i = 0; i < n; i++)
        sections[i].is_hidden = true;    /* nothing is required */
    sections[SETTINGS_ENV].options = e->env_rows;
    sections[SETTINGS_ENV].n_options = e->sections[SETTINGS_ENV].n_options;
    options_load(sections, n, presets, NULL, NULL, 0, NULL);
}

/* Let sections' comments say what is in `usual` and `preset` (NULL: none). */
static void compare_with(struct experiment *e, const struct preset_values *usual,
                         const struct preset_values *preset)
{
    for (int i = 0; i < e->n_sections; i++) {
        struct option_section *s = &e->sections[i];
        const ptrdiff_t at = i < SETTINGS_SECTIONS ? (char *)s->base - (char *)&e->settings : 0;
        const bool is_own = s->base == e->hyper;
        if (i >= SETTINGS_SECTIONS && !is_own)
            continue;
        s->usual = !usual ? NULL : is_own ? usual->hyper : (const char *)&usual->settings + at;
        s->preset = !preset ? NULL : is_own ? preset->hyper : (const char *)&preset->settings + at;
    }
}

/* The heading of the algorithm's section: its presets, a line each. */
static void list_presets(const struct algorithm *a, char *out, size_t bytes)
{
    size_t used = (size_t)snprintf(out, bytes, "the algorithm; its presets, for `preset: NAME`:");
    for (int i = 1; i < a->n_presets && used < bytes; i++)
        used += (size_t)snprintf(out + used, bytes - used, "\n#   %-8s  %s", a->presets[i].name,
                                 a->presets[i].help);
}

void experiment_print(struct experiment *e, bool with_comments, FILE *out)
{
    char heading[1024];
    struct option_preset chosen[2] = { e->presets[0], e->presets[1] };
    struct preset_values usual, preset;
    const bool has_preset = chosen[0].next != NULL;
    for (int i = SETTINGS_SECTIONS; i < e->n_sections; i++) {
        e->sections[i].is_hidden = e->sections[i].base != e->hyper;
        if (!e->sections[i].is_hidden && e->algorithm->n_presets > 1)
            e->sections[i].help = heading;
    }
    list_presets(e->algorithm, heading, sizeof(heading));
    chosen[0].next = NULL;
    fill_preset_values(e, chosen, &usual);
    chosen[0].next = &chosen[1];
    if (has_preset)
        fill_preset_values(e, chosen, &preset);
    compare_with(e, &usual, has_preset ? &preset : NULL);
    options_print(e->sections, e->n_sections, with_comments, out);
    compare_with(e, NULL, NULL);
    for (int i = SETTINGS_SECTIONS; i < e->n_sections; i++)
        e->sections[i].help = "the algorithm";
    free(usual.hyper);
    if (has_preset)
        free(preset.hyper);
}
