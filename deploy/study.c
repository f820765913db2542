/* A study's file: its keys, and what the command line changes. */
#include "deploy/study_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/option.h"
#include "common/text.h"

enum { DEPTH = 5, CHUNK_BYTES = 16 << 10, MAX_SEEDS = 10000 };
#define MAX_SEED 9007199254740992.0    /* as of option `seed` */
#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

/* ---- the file ---- */

/* "3" or "1e3" as a seed; -1: it is none. */
static int64_t seed_of(const char *text)
{
    char *end;
    const double x = strtod(text, &end);
    return end == text || *end || !(x >= 0 && x <= MAX_SEED) || x != floor(x) ? -1 : (int64_t)x;
}

static bool add_seed(struct study *s, const char *text)
{
    const int64_t seed = seed_of(text);
    for (int i = 0; i < s->n_seeds; i++)
        if (s->seeds[i] == seed)
            return false;
    s->seeds[s->n_seeds++] = seed;
    return seed >= 0;
}

static int read_seeds(const struct reader *r, const struct node *root, const struct node *node)
{
    struct study *s = r->s;
    if (!node || node->kind != NODE_LIST || node->n == 0 || node->n > MAX_SEEDS)
        return document_fail(r->d, node ? node : root, r->err, "seeds: expected a list such as [1, 2, 3, 4, 5]");
    s->seeds = study_make(r, node->n, sizeof(*s->seeds));
    for (const struct node *e = node->first; e; e = e->next)
        if (e->kind != NODE_SCALAR || !add_seed(s, e->text))
            return document_fail(r->d, e, r->err, "seeds: expected whole numbers from 0, each once, found "
                                 "\"%.40s\"", e->text);
    return 0;
}

static int read_baseline(const struct reader *r, const struct node *node)
{
    struct study *s = r->s;
    s->baseline = node ? study_find(s->arms, s->n_arms, node->text) : 0;
    if (s->baseline >= 0)
        return 0;
    return document_fail(r->d, node, r->err, "baseline: there is no arm \"%.60s\"; the first of %d is \"%s\"",
                         node->text, s->n_arms, s->arms[0].name);
}

static int read_runner(const struct reader *r, const struct node *node)
{
    const bool is_simulated = node && strcmp(node->text, "simulate") == 0;
    r->s->runner = is_simulated ? STUDY_SIMULATE : STUDY_TRAIN;
    if (!node || is_simulated || strcmp(node->text, "train") == 0)
        return 0;
    return document_fail(r->d, node, r->err, "run: expected train or simulate, found \"%.40s\"", node->text);
}

static int read_measure(const struct reader *r, const struct node *node)
{
    r->s->scores_are_means = node && strcmp(node->text, "mean") == 0;
    if (!node || r->s->scores_are_means || strcmp(node->text, "last") == 0)
        return 0;
    return document_fail(r->d, node, r->err, "measure: expected last or mean, found \"%.40s\"", node->text);
}

/* Whether a node is a finite number. */
static bool is_number(const struct node *node, double *x)
{
    char *end = NULL;
    *x = node->kind == NODE_SCALAR ? strtod(node->text, &end) : 0;
    return end && end != node->text && !*end && isfinite(*x);
}

static int read_scores(const struct reader *r, const struct node *node)
{
    struct study *s = r->s;
    if (!node || document_is_nothing(node))
        return 0;
    if (node->kind != NODE_MAPPING)
        return document_fail(r->d, node, r->err, "scores: expected tasks with [return of 0, return of 1]");
    s->scores = study_make(r, node->n, sizeof(*s->scores));
    for (const struct node *key = node->first; key; key = key->next) {
        const struct node *pair = key->value;
        double low, high;
        if (pair->kind != NODE_LIST || pair->n != 2 || !is_number(pair->first, &low)
            || !is_number(pair->first->next, &high) || low >= high)
            return document_fail(r->d, pair, r->err, "scores: %.60s: expected two numbers, the return that counts "
                                 "as 0 and a higher one that counts as 1", key->text);
        s->scores[s->n_scores++] = (struct study_score){ study_text(s, "%s", key->text), low, high, key->line,
                                                         key->column };
    }
    return 0;
}

static int check_keys(const struct reader *r, const struct node *root)
{
    static const char *const known[] = { "title", "question", "base", "settings", "arms", "tasks", "vary", "seeds",
                                         "baseline", "run", "measure", "scores" };
    for (const struct node *key = root->first; key; key = key->next) {
        bool is_known = false;
        for (int i = 0; i < COUNT(known); i++)
            is_known |= strcmp(key->text, known[i]) == 0;
        const char *near = is_known ? NULL : nearest_word(key->text, known, COUNT(known));
        if (!is_known)
            return document_fail(r->d, key, r->err, "unknown key \"%.60s\" in a study; %s%s%s", key->text,
                                 near ? "did you mean \"" : "what is for all runs stands below settings",
                                 near ? near : "", near ? "\"?" : ":");
    }
    return 0;
}

/* One line of `node`, or what it is without one. */
static const char *line_of(const struct study *s, const struct node *node, const char *otherwise)
{
    char *line = memory_copy_text(node && node->kind == NODE_SCALAR ? node->text : otherwise);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20)
            *c = *c == '\n' && c[1] == '\0' ? '\0' : ' ';
    const char *text = study_text(s, "%s", line);
    free(line);
    return text;
}

static int read_root(const struct reader *r, const struct node *root)
{
    struct study *s = r->s;
    if (!root || root->kind != NODE_MAPPING)
        return error_set(r->err, ERR_CONFIG, "%s: expected a study: arms, seeds and so on; see configs/study",
                         text_short_path(s->path));
    const struct node *base = document_find(root, "base"), *settings = document_find(root, "settings");
    int rc = check_keys(r, root);
    s->title = line_of(s, document_find(root, "title"), s->path);
    s->question = line_of(s, document_find(root, "question"), "");
    if (rc == 0 && base)
        rc = study_read_base(r, base, &s->base);
    if (rc == 0 && settings)
        rc = study_read_settings(r, "settings", settings, &s->settings, NULL);
    if (rc == 0)
        rc = study_read_parts(r, "arms", document_find(root, "arms"), &s->arms, &s->n_arms);
    if (rc == 0)
        rc = study_read_parts(r, "tasks", document_find(root, "tasks"), &s->tasks, &s->n_tasks);
    if (rc != 0)
        return rc;
    study_name_environments(r);
    rc = study_read_vary(r, document_find(root, "vary"));
    if (rc == 0 && s->n_arms == 0)
        rc = document_fail(r->d, root, r->err, "arms: what is to be compared? Give two or more names with settings, "
                           "or `vary` something");
    s->n_tasks = s->n_tasks > 0 ? s->n_tasks : 1;
    if (rc == 0)
        rc = read_seeds(r, root, document_find(root, "seeds"));
    if (rc == 0)
        rc = read_baseline(r, document_find(root, "baseline"));
    if (rc == 0)
        rc = read_runner(r, document_find(root, "run"));
    if (rc == 0)
        rc = read_measure(r, document_find(root, "measure"));
    if (rc == 0)
        rc = read_scores(r, document_find(root, "scores"));
    if (rc == 0 && (int64_t)s->n_arms * s->n_tasks * s->n_seeds > STUDY_MAX_CELLS)
        rc = document_fail(r->d, root, r->err, "more than %d runs", STUDY_MAX_CELLS);
    return rc;
}

/* ---- the command line ---- */

static int override_seeds(struct study *s, const char *text, struct error *err)
{
    char *list = memory_copy_text(text), *rest = list;
    int n = 1, rc = 0;
    for (const char *c = text; *c; c++)
        n += *c == ',';
    s->seeds = arena_alloc(s->memory, (size_t)n, sizeof(*s->seeds));
    s->n_seeds = 0;
    for (char *word; rc == 0 && (word = strsep(&rest, ","));) {
        word += strspn(word, "[ ");
        word[strcspn(word, "] ")] = '\0';
        if (!add_seed(s, word))
            rc = error_set(err, ERR_CONFIG, "override \"seeds=%.60s\": expected whole numbers, each once: "
                           "seeds=1,2,3", text);
    }
    free(list);
    return rc;
}

/* What a study compares stays as it is. */
static int check_override(const struct study *s, const char *text, const char *key, struct error *err)
{
    if (strcmp(key, "seed") == 0)
        return error_set(err, ERR_CONFIG, "override \"%.60s\": every run has its own seed: seeds=1,2,3", text);
    for (int i = 0; i < s->n_arms; i++)
        if (study_setting_find(&s->arms[i].own, key) || study_setting_find(&s->arms[i].varied, key))
            return error_set(err, ERR_CONFIG, "override \"%.60s\": arm \"%s\" gives %s, and what arms are compared "
                             "by cannot be overridden", text, s->arms[i].name, key);
    for (int i = 0; i < s->n_tasks; i++)
        if (study_setting_find(&s->tasks[i].varied, key)
            || (strcmp(key, "env.name") == 0 && study_setting_find(&s->tasks[i].own, key)))
            return error_set(err, ERR_CONFIG, "override \"%.60s\": the tasks of this study differ by %s", text, key);
    return 0;
}

static int read_override(struct study *s, const char *text, struct error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return error_set(err, ERR_CONFIG, "override \"%.60s\": expected key=value", text);
    const char *key = study_text(s, "%.*s", (int)(equals - text), text);
    if (strcmp(key, "seeds") == 0)
        return override_seeds(s, equals + 1, err);
    int rc = check_override(s, text, key, err);
    const char *value = study_text(s, "%s", equals + 1);
    s->overrides.v[s->overrides.n++] = (struct study_setting){ key, value, 0, 0 };
    return rc;
}

int study_load(struct study *s, const char *path, char *const *overrides, int n_overrides, struct error *err)
{
    struct error local;
    *s = (struct study){ .memory = arena_create(CHUNK_BYTES) };
    struct reader r = { .s = s, .err = err ? err : &local };
    s->path = study_text(s, "%s", path);
    s->overrides.v = study_make(&r, n_overrides, sizeof(*s->overrides.v));
    int rc = document_read_file(&r.d, path, DEPTH, r.err);
    if (rc == 0)
        rc = read_root(&r, document_root(r.d));
    document_free(&r.d);
    for (int i = 0; i < n_overrides && rc == 0; i++)
        rc = read_override(s, overrides[i], r.err);
    return rc;
}

void study_fini(struct study *s)
{
    arena_destroy(&s->memory);
    *s = (struct study){ 0 };
}
