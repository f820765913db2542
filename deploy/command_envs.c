/* shoal envs: the environments there are, and what they can be told. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "actor/env/env_source.h"
#include "actor/env/registry.h"
#include "common/arena.h"
#include "common/text.h"
#include "deploy/args.h"
#include "deploy/commands.h"
#include "deploy/experiment.h"
#include "deploy/program.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

/* ---- the environment path ---- */

int use_env_path(const char *directories, struct error *err)
{
    char part[4096];
    struct stat st;
    for (const char *p = directories; p;) {
        const char *colon = strchr(p, ':');
        const size_t n = colon ? (size_t)(colon - p) : strlen(p);
        snprintf(part, sizeof(part), "%.*s", (int)(n < sizeof(part) ? n : sizeof(part) - 1), p);
        if (stat(part, &st) != 0 || !S_ISDIR(st.st_mode))
            return error_set(err, ERR_MISSING, "--env-path: there is no directory \"%.200s\"", part);
        p = colon ? colon + 1 : NULL;
    }
    if (directories)
        program_add_env_path(directories);
    return 0;
}

int check_env_overrides(const char *command, char *const *overrides, int n, struct error *err)
{
    for (int i = 0; i < n; i++)
        if (strncmp(overrides[i], "env.", 4) != 0 || !strchr(overrides[i], '='))
            return error_set(err, ERR_USAGE, "%s: \"%.100s\" is not expected; options of the environment "
                             "are given as env.option=value", command, overrides[i]);
    return 0;
}

/* ---- names ---- */

struct names {
    char **v;
    int n;
};

static void add_name(struct names *names, const char *name)
{
    for (int i = 0; i < names->n; i++)
        if (strcmp(names->v[i], name) == 0)
            return;
    names->v = memory_grow(names->v, (size_t)names->n + 1, sizeof(*names->v));
    names->v[names->n++] = memory_copy_text(name);
}

/* A file's name as an environment's: libNAME.so is NAME, a task keeps its ending. */
static bool name_of_file(const char *file, char name[256])
{
    const bool is_plugin = strncmp(file, "lib", 3) == 0 && text_ends_with(file + 3, ".so");
    const bool is_task = file[0] != '.' && env_source_is_task(file);
    if (is_plugin)
        snprintf(name, 256, "%.*s", (int)strlen(file) - 6, file + 3);
    else if (is_task)
        snprintf(name, 256, "%s", file);
    return is_plugin || is_task;
}

static void add_directory(struct names *names, const char *directory)
{
    struct dirent **entries = NULL;
    char name[256];
    int n = scandir(*directory ? directory : ".", &entries, NULL, alphasort);
    if (n < 0)
        fprintf(stderr, "shoal: cannot list %s: %s\n", directory, strerror(errno));
    for (int i = 0; i < n; i++) {
        if (name_of_file(entries[i]->d_name, name))
            add_name(names, name);
        free(entries[i]);
    }
    free(entries);
}

/* Built in first, then what is on the environment path. */
static void list_names(struct names *names)
{
    const char *built_in[N_ENVIRONMENTS];
    environment_names(built_in);
    for (int i = 0; i < N_ENVIRONMENTS; i++)
        add_name(names, built_in[i]);
    char *path = memory_copy_text(program_env_path()), *rest = path;
    for (char *directory; *path && (directory = strsep(&rest, ":"));)
        add_directory(names, directory);
    free(path);
}

/* ---- one environment ---- */

/* What could be found out about it. */
struct subject {
    const char *name;
    struct experiment experiment;       /* its options, where has_source */
    bool has_source;
    struct env_model *model;            /* NULL when it does not open; then `error` says why */
    struct error error;
};

static void subject_open(struct subject *s, const char *name)
{
    *s = (struct subject){ .name = name };
    int rc = experiment_load_environment(&s->experiment, name, NULL, 0, &s->error);
    s->has_source = s->experiment.env_rows[0].name != NULL;
    if (rc == 0)
        env_open(&s->model, &s->experiment.env, &s->error);
}

static void subject_close(struct subject *s)
{
    env_close(&s->model);
    experiment_fini(&s->experiment);
}

/* Its options: section "env" but for the name. */
static struct option_section options_of(const struct subject *s)
{
    struct option_section section = s->experiment.sections[SETTINGS_ENV];
    section.options++;
    section.n_options--;
    return section;
}

static const char *kind_of(const struct subject *s)
{
    return !s->experiment.source.file[0] ? "built in" : env_source_is_task(s->name) ? "task" : "plug-in";
}

static bool is_mujoco(const struct subject *s)
{
    return s->experiment.source.ops->physics != NULL;
}

/* "3 in [-1, 1]", "2 choices". */
static void describe_actions(const struct env_spec *spec, char *out, size_t bytes)
{
    if (spec->n_choices > 0)
        snprintf(out, bytes, "%d choice%s", spec->n_choices, text_plural(spec->n_choices));
    else if (env_bounds_are_equal(spec))
        snprintf(out, bytes, "%d in [%.4g, %.4g]", spec->shape.n_act, (double)spec->act_low[0],
                 (double)spec->act_high[0]);
    else
        snprintf(out, bytes, "%d, each its bounds", spec->shape.n_act);
}

/* A number that may be none: "-" for 0. */
static void describe_number(double x, char *out, size_t bytes)
{
    if (x > 0)
        snprintf(out, bytes, "%.6g", x);
    else
        snprintf(out, bytes, "-");
}

/* ---- for people ---- */

static void print_row(const struct subject *s, int width)
{
    char actions[64], limit[32], seconds[32];
    if (!s->model) {
        printf("%-*s  %s\n", width, s->name, s->error.text);
        return;
    }
    const struct env_spec *spec = env_spec(s->model);
    describe_actions(spec, actions, sizeof(actions));
    describe_number(spec->time_limit, limit, sizeof(limit));
    describe_number(spec->step_s, seconds, sizeof(seconds));
    printf("%-*s  %12d  %-19s  %6s  %10s  %s\n", width, s->name, spec->shape.n_obs, actions, limit,
           seconds, is_mujoco(s) ? "MuJoCo" : "-");
}

static void print_details(const struct subject *s)
{
    printf("%s (%s%s%s)\n", s->name, kind_of(s), s->experiment.source.file[0] ? ", " : "",
           s->experiment.source.file);
    if (s->model) {
        const struct env_spec *spec = env_spec(s->model);
        printf("  observations      %d\n", spec->shape.n_obs);
        if (spec->n_choices > 0)
            printf("  actions           choices 0 to %d\n", spec->n_choices - 1);
        else
            printf("  actions           %d\n", spec->shape.n_act);
        for (int i = 0; i < spec->shape.n_act && spec->n_choices == 0; i++)
            printf("    action %-8d  %.9g to %.9g\n", i, (double)spec->act_low[i],
                   (double)spec->act_high[i]);
        if (spec->time_limit > 0)
            printf("  limit             %d steps\n", spec->time_limit);
        else
            printf("  limit             none\n");
        if (spec->step_s > 0)
            printf("  seconds per step  %.9g\n", spec->step_s);
        printf("  simulated by      %s\n", is_mujoco(s) ? "MuJoCo" : "its own code");
        printf("  can be saved      %s\n", env_state_size(s->model) ? "yes" : "no");
    }
    if (s->has_source) {
        struct option_section section = options_of(s);
        section.help = "options, as in a configuration; on the command line env.option=value";
        printf("\n");
        options_print(&section, 1, true, stdout);
    }
}

/* ---- for programs ---- */

/* A text of any bytes: those that are not UTF-8, as file names may have, are written as \\xNN. */
static json_t *text_json(const char *text)
{
    json_t *j = json_string(text);
    if (j)
        return j;
    char *escaped = memory_alloc(4 * strlen(text) + 1, 1), *out = escaped;
    for (; *text; text++)
        if ((unsigned char)*text < 0x80)
            *out++ = *text;
        else
            out += snprintf(out, 5, "\\x%02x", (unsigned char)*text);
    j = json_string(escaped);
    free(escaped);
    return j;
}

static json_t *bound(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *choices_json(const struct option *o)
{
    json_t *choices = json_array();
    char *text = memory_copy_text(o->choices), *rest = text;
    for (char *name; (name = strsep(&rest, "|"));)
        json_array_append_new(choices, json_string(name));
    free(text);
    return choices;
}

/* Defaults are texts as they stand behind "key=". */
static json_t *option_json(const struct option *o)
{
    static const char *const types[] = {
        [OPTION_BOOL] = "boolean", [OPTION_INT] = "integer", [OPTION_REAL] = "real",
        [OPTION_TEXT] = "text", [OPTION_CHOICE] = "choice", [OPTION_INTS] = "integers",
        [OPTION_RANGE] = "range",
    };
    json_t *j = json_object();
    json_object_set_new(j, "name", json_string(o->name));
    json_object_set_new(j, "default", o->value ? json_string(o->value) : json_null());
    json_object_set_new(j, "type", json_string(types[o->type]));
    if (o->type != OPTION_BOOL && o->type != OPTION_TEXT && o->type != OPTION_CHOICE) {
        const bool is_free = o->type == OPTION_RANGE && o->min == 0 && o->max == 0;
        json_object_set_new(j, "min", bound(is_free ? -HUGE_VAL : o->min));
        json_object_set_new(j, "max", bound(is_free ? HUGE_VAL : o->max));
    } else if (o->type == OPTION_CHOICE) {
        json_object_set_new(j, "choices", choices_json(o));
    }
    json_object_set_new(j, "help", o->help ? json_string(o->help) : json_null());
    return j;
}

static void spec_into_json(json_t *j, const struct subject *s)
{
    const struct env_spec *spec = env_spec(s->model);
    json_t *low = json_array(), *high = json_array();
    json_object_set_new(j, "observations", json_integer(spec->shape.n_obs));
    json_object_set_new(j, "actions", json_integer(spec->shape.n_act));
    json_object_set_new(j, "choices", json_integer(spec->n_choices));
    for (int i = 0; i < spec->shape.n_act; i++) {
        json_array_append_new(low, json_real((double)spec->act_low[i]));
        json_array_append_new(high, json_real((double)spec->act_high[i]));
    }
    json_object_set_new(j, "low", low);
    json_object_set_new(j, "high", high);
    json_object_set_new(j, "limit", json_integer(spec->time_limit));
    json_object_set_new(j, "seconds_per_step", json_real(spec->step_s));
    json_object_set_new(j, "mujoco", json_boolean(is_mujoco(s)));
    json_object_set_new(j, "can_be_saved", json_boolean(env_state_size(s->model) > 0));
}

static json_t *subject_json(const struct subject *s)
{
    json_t *j = json_object();
    json_object_set_new(j, "name", text_json(s->name));
    if (s->has_source) {
        const struct option_section section = options_of(s);
        json_t *options = json_array();
        for (int i = 0; i < section.n_options; i++)
            json_array_append_new(options, option_json(&section.options[i]));
        json_object_set_new(j, "kind", json_string(kind_of(s)));
        if (s->experiment.source.file[0])
            json_object_set_new(j, "file", text_json(s->experiment.source.file));
        json_object_set_new(j, "options", options);
    }
    if (s->model)
        spec_into_json(j, s);
    else
        json_object_set_new(j, "error", text_json(s->error.text));
    return j;
}

static void print_json(json_t *j)
{
    json_dumpf(j, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
    printf("\n");
    json_decref(j);
}

/* ---- the command ---- */

static void show_all(bool json)
{
    struct names names = { 0 };
    json_t *all = json_array();
    int width = (int)strlen("name");
    list_names(&names);
    for (int i = 0; i < names.n; i++)
        width = (int)strlen(names.v[i]) > width ? (int)strlen(names.v[i]) : width;
    if (!json)
        printf("%-*s  %12s  %-19s  %6s  %10s  %s\n", width, "name", "observations", "actions",
               "limit", "s per step", "physics");
    for (int i = 0; i < names.n; i++) {
        struct subject s;
        subject_open(&s, names.v[i]);
        if (json)
            json_array_append_new(all, subject_json(&s));
        else
            print_row(&s, width);
        subject_close(&s);
        free(names.v[i]);
    }
    free(names.v);
    if (json)
        print_json(all);
    else
        json_decref(all);
}

static int show_one(const char *name, bool json, struct error *err)
{
    struct subject s;
    subject_open(&s, name);
    int rc = s.error.code;
    if (s.has_source) {
        if (json)
            print_json(subject_json(&s));
        else
            print_details(&s);
    }
    if (rc != 0)
        *err = s.error;
    subject_close(&s);
    return rc;
}

int command_envs(int argc, char **argv, struct error *err)
{
    const char *env_path = NULL;
    bool wants_help, json = false;
    const struct flag flags[] = {
        { "--json", NULL, NULL, &json, "print JSON: a list of objects, or one object" },
        ENV_PATH_FLAG(env_path),
    };
    const struct command command = {
        "envs", "[NAME] [flags]", NULL,
        "List the environments: those built in, and the tasks and plug-ins on the environment path\n"
        "(--env-path, then $SHOAL_ENV_PATH). With a NAME: that one and its options.",
        "shoal envs Pendulum-v1", flags, COUNT(flags)
    };
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    if (n > 1)
        return error_set(err, ERR_USAGE, "shoal envs takes one name at most; \"%.100s\" is not "
                         "expected", argv[1]);
    int rc = use_env_path(env_path, err);
    if (rc == 0 && n == 1)
        return show_one(argv[0], json, err);
    if (rc == 0)
        show_all(json);
    return rc;
}
