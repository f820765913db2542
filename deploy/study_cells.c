#include "deploy/study_cells.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/text.h"
#include "deploy/experiment.h"
#include "deploy/simulation.h"

enum { MAX_OVERRIDES = 400 };

/* ---- configurations ---- */

/* Settings as overrides; the caller frees the texts. */
static int make_overrides(const struct study_setting *settings, int n, char *out[MAX_OVERRIDES])
{
    int made = 0;
    for (; made < n && made < MAX_OVERRIDES; made++) {
        const size_t bytes = strlen(settings[made].key) + strlen(settings[made].value) + 2;
        out[made] = memory_alloc(bytes, 1);
        snprintf(out[made], bytes, "%s=%s", settings[made].key, settings[made].value);
    }
    return made;
}

/* Where the mistake stands in the study, when it is about one of its settings: "study.yaml:7:3". */
static void locate(const struct study *s, const struct study_setting *settings, int n, char *text, size_t bytes)
{
    static const char begin[] = "override \"";
    for (int i = 0; i < n; i++) {
        const size_t length = strlen(settings[i].key);
        const char *key = text + strlen(begin);
        if (settings[i].line == 0 || strncmp(text, begin, strlen(begin)) != 0
            || strncmp(key, settings[i].key, length) != 0 || key[length] != '=')
            continue;
        const char *rest = strstr(text, "\": ");
        char *copy = memory_copy_text(rest ? rest + strlen("\": ") : text);
        snprintf(text, bytes, "%s:%d:%d: %s: %s", text_short_path(s->path), settings[i].line,
                 settings[i].column, settings[i].key, copy);
        free(copy);
        return;
    }
}

static char *print_config(struct experiment *e, bool with_comments)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    experiment_print(e, with_comments, out);
    fclose(out);
    return text;
}

/* The experiment of an arm on a task, in its environment. Messages name the place in the study. */
static int resolve(struct experiment *e, const struct study *s, int arm, int task, struct error *err)
{
    struct study_setting *settings;
    struct env_model *model = NULL;
    char *overrides[MAX_OVERRIDES];
    const char *base;
    const int n = study_merge(s, arm, task, &settings, &base);
    *e = (struct experiment){ 0 };
    if (s->arms[arm].base && s->tasks[task].base)
        return error_set(err, ERR_CONFIG, "%s: both have a `base`; give it in one of them", text_short_path(s->path));
    if (n > MAX_OVERRIDES)
        return error_set(err, ERR_CONFIG, "%s: more than %d settings", text_short_path(s->path), MAX_OVERRIDES);
    const int n_overrides = make_overrides(settings, n, overrides);
    int rc = experiment_load(e, base, overrides, n_overrides, err);
    for (int i = 0; i < n_overrides; i++)
        free(overrides[i]);
    if (rc == 0)
        rc = env_open(&model, &e->env, err);
    if (rc == 0)
        rc = experiment_bind(e, env_spec(model), err);
    if (rc == 0 && s->runner == STUDY_SIMULATE) {
        struct conditions conditions;
        rc = conditions_read(&conditions, &e->settings, e->algorithm->is_on_policy, err);
        conditions_fini(&conditions);
    }
    env_close(&model);
    /* Cells share the cores by running side by side. */
    if (e->settings.learner.workers == 0)
        e->settings.learner.workers = 1;
    if (rc != 0)
        locate(s, settings, n, err->text, sizeof(err->text));
    return rc;
}

/* ---- mistakes ---- */

/* The same mistake in many cells is one line. */
struct mistake {
    int arm, task, n_more;
    char text[512];
};

static void note(struct mistake *m, int *n, int arm, int task, const char *text)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(m[i].text, text) == 0) {
            m[i].n_more++;
            return;
        }
    m[*n] = (struct mistake){ .arm = arm, .task = task };
    snprintf(m[(*n)++].text, sizeof(m->text), "%s", text);
}

static void say_mistakes(const struct study *s, const struct mistake *m, int n, void (*complain)(const char *))
{
    for (int i = 0; i < n; i++) {
        char line[1024], more[64] = "";
        const char *task = s->tasks[m[i].task].name;
        if (m[i].n_more > 0)
            snprintf(more, sizeof(more), " (and %d more alike)", m[i].n_more);
        snprintf(line, sizeof(line), "arm \"%s\"%s%s%s%s: %s", s->arms[m[i].arm].name, task ? ", task \"" : "",
                 task ? task : "", task ? "\"" : "", more, m[i].text);
        complain(line);
    }
}

/* ---- making cells ---- */

/* "HalfCheetah-v5, actors=4" to "HalfCheetah-v5_actors4": a word for shells, and no override. */
static void append_slug(char *out, size_t bytes, const char *name)
{
    static const char kept[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-+";
    size_t n = strlen(out);
    for (; *name && n + 1 < bytes; name++) {
        const bool is_kept = strchr(kept, *name) != NULL && !(n == 0 && *name == '.');
        if (is_kept)
            out[n++] = *name;
        else if (*name != '=' && n > 0 && out[n - 1] != '_')
            out[n++] = '_';
    }
    out[n] = '\0';
}

static void name_cell(struct cell *cell, const struct study *s)
{
    const size_t bytes = sizeof(cell->name);
    append_slug(cell->name, bytes, s->arms[cell->arm].name);
    append_slug(cell->name, bytes, "-");
    append_slug(cell->name, bytes, s->tasks[cell->task].name);
    snprintf(cell->name + strlen(cell->name), bytes - strlen(cell->name), "-%" PRId64, cell->seed);
}

/* The run's seed, wherever it counts. What a simulation draws differs from seed to seed as well, unless the study
 * gives simulate.seed. */
static void set_seed(struct experiment *e, int64_t seed, bool has_simulation_seed)
{
    e->settings.top.seed = seed;
    for (int i = 0; i < e->n_sections; i++) {
        const struct option_section *section = &e->sections[i];
        for (int k = 0; k < section->n_options; k++)
            if (!has_simulation_seed && strcmp(section->name, "simulate") == 0
                && strcmp(section->options[k].name, "seed") == 0)
                memcpy((char *)section->base + section->options[k].offset, &seed, sizeof(seed));
    }
}

static bool gives(const struct study *s, int arm, int task, const char *key)
{
    struct study_setting *settings;
    const char *base;
    const int n = study_merge(s, arm, task, &settings, &base);
    for (int i = 0; i < n; i++)
        if (strcmp(settings[i].key, key) == 0)
            return true;
    return false;
}

/* The cells of all seeds of an arm on a task. */
static void fill(struct cells *c, const struct study *s, struct experiment *e, int arm, int task)
{
    const bool has_simulation_seed = gives(s, arm, task, "simulate.seed");
    for (int k = 0; k < s->n_seeds; k++) {
        struct cell *cell = &c->v[(k * s->n_tasks + task) * s->n_arms + arm];
        set_seed(e, s->seeds[k], has_simulation_seed);
        cell->arm = arm;
        cell->task = task;
        cell->seed = s->seeds[k];
        cell->total_steps = e->settings.top.total_steps;
        cell->config = print_config(e, false);
    }
}

/* All arms must be in the same environment where the task does not say in which. */
static int note_environment(struct study *s, const struct experiment *e, int task, const char **envs, struct error *err)
{
    const char *name = e->settings.env.name;
    if (!envs[task])
        envs[task] = study_text(s, "%s", name);
    if (s->tasks[task].origin || strcmp(envs[task], name) == 0)
        return 0;
    return error_set(err, ERR_CONFIG, "the environment is %s, and another arm's %s; arms are compared on the same "
                     "tasks", name, envs[task]);
}

/* A task without a name is called after its environment: "CartPole-v1", "CartPole-v1, actors=4". */
static void name_tasks(struct study *s, const char *const *envs)
{
    for (int i = 0; i < s->n_tasks; i++) {
        struct study_part *task = &s->tasks[i];
        const char *slash = envs[i] ? strrchr(envs[i], '/') : NULL;
        if (task->origin || !envs[i])
            continue;
        task->origin = slash ? slash + 1 : envs[i];
        task->name = task->name ? study_text(s, "%s, %s", task->origin, task->name) : task->origin;
        task->own.v = arena_alloc(s->memory, 1, sizeof(*task->own.v));
        task->own.v[task->own.n++] = (struct study_setting){ "env.name", envs[i], 0, 0 };
    }
}

static int compare_names(const void *a, const void *b)
{
    const struct cell *x = *(const struct cell *const *)a, *y = *(const struct cell *const *)b;
    return strcmp(x->name, y->name);
}

/* Two names that differ in a comma only would share a directory. */
static int check_names(const struct cells *c, const struct study *s, struct error *err)
{
    const struct cell **sorted = memory_alloc((size_t)c->n, sizeof(struct cell *));
    int rc = 0;
    for (int i = 0; i < c->n; i++)
        sorted[i] = &c->v[i];
    qsort(sorted, (size_t)c->n, sizeof(*sorted), compare_names);
    for (int i = 1; i < c->n && rc == 0; i++)
        if (compare_names(&sorted[i - 1], &sorted[i]) == 0)
            rc = error_set(err, ERR_CONFIG, "%s: arm \"%.60s\" with task \"%.60s\" and arm \"%.60s\" with task "
                           "\"%.60s\" would both be called %.60s; rename one", text_short_path(s->path),
                           s->arms[sorted[i - 1]->arm].name, s->tasks[sorted[i - 1]->task].name,
                           s->arms[sorted[i]->arm].name, s->tasks[sorted[i]->task].name, sorted[i]->name);
    free(sorted);
    return rc;
}

/* All tasks or none, so that scores can be averaged over them. */
static int check_scores(const struct study *s, struct error *err)
{
    for (int i = 0; i < s->n_tasks && s->n_scores > 0; i++)
        if (!study_score(s, i))
            return error_set(err, ERR_CONFIG, "%s: scores: \"%s\" has none; give every task one, or leave `scores` "
                             "out", text_short_path(s->path), s->tasks[i].name);
    for (int i = 0; i < s->n_scores; i++) {
        bool is_used = false;
        for (int k = 0; k < s->n_tasks; k++)
            is_used |= study_score(s, k) == &s->scores[i];
        if (!is_used)
            return error_set(err, ERR_CONFIG, "%s:%d:%d: scores: there is no task \"%.60s\"", text_short_path(s->path),
                             s->scores[i].line, s->scores[i].column, s->scores[i].task);
    }
    return 0;
}

int cells_init(struct cells *c, struct study *s, void (*complain)(const char *line), struct error *err)
{
    struct mistake *mistakes = memory_alloc((size_t)(s->n_arms * s->n_tasks), sizeof(*mistakes));
    const char **envs = memory_alloc((size_t)s->n_tasks, sizeof(*envs));
    int n_mistakes = 0, n_wrong = 0;
    c->n = s->n_arms * s->n_tasks * s->n_seeds;
    c->v = memory_alloc((size_t)c->n, sizeof(*c->v));
    for (int task = 0; task < s->n_tasks; task++)
        for (int arm = 0; arm < s->n_arms; arm++) {
            struct experiment e;
            int rc = resolve(&e, s, arm, task, err);
            if (rc == 0)
                rc = note_environment(s, &e, task, envs, err);
            if (rc == 0)
                fill(c, s, &e, arm, task);
            else
                note(mistakes, &n_mistakes, arm, task, err->text);
            n_wrong += rc != 0;
            experiment_fini(&e);
        }
    say_mistakes(s, mistakes, n_mistakes, complain);
    name_tasks(s, envs);
    free(envs);
    free(mistakes);
    if (n_wrong > 0)
        return error_set(err, ERR_CONFIG, "%s: %d of %d combinations of arm and task cannot be run, for %s above; "
                         "nothing was started", text_short_path(s->path), n_wrong, s->n_arms * s->n_tasks,
                         n_mistakes == 1 ? "the reason" : "the reasons");
    for (int i = 0; i < c->n; i++)
        name_cell(&c->v[i], s);
    int rc = check_names(c, s, err);
    return rc == 0 ? check_scores(s, err) : rc;
}

void cells_fini(struct cells *c)
{
    for (int i = 0; i < c->n; i++)
        free(c->v[i].config);
    free(c->v);
    *c = (struct cells){ 0 };
}

int cells_count(const struct cells *c, enum cell_state state)
{
    int n = 0;
    for (int i = 0; i < c->n; i++)
        n += c->v[i].state == state;
    return n;
}

void cells_hash(const struct cells *c, const struct study *s, char *hex)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    for (int i = 0; i < c->n; i++)
        fprintf(out, "%s\n%s\n%s\n", s->arms[c->v[i].arm].name, s->tasks[c->v[i].task].name, c->v[i].config);
    fclose(out);
    digest_sha256_hex(text, bytes, hex);
    free(text);
}

void cell_path(const struct cell *cell, const char *dir, const char *folder, const char *ending, char *out,
               size_t bytes)
{
    snprintf(out, bytes, "%s/%s/%s%s", dir, folder, cell->name, ending);
}
