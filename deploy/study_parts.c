/* Arms and tasks of a study, with their settings, and the combinations with what varies. */
#include "deploy/study_private.h"

#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/text.h"

/* ---- small things ---- */

const char *study_text(const struct study *s, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    char *text = arena_alloc(s->memory, (size_t)n + 1, 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(args);
    va_end(again);
    return text;
}

int study_find(const struct study_part *parts, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (parts[i].name && strcmp(parts[i].name, name) == 0)
            return i;
    return -1;
}

const struct study_setting *study_setting_find(const struct study_settings *s, const char *key)
{
    for (int i = 0; i < s->n; i++)
        if (strcmp(s->v[i].key, key) == 0)
            return &s->v[i];
    return NULL;
}

void *study_make(const struct reader *r, int n, size_t bytes)
{
    return arena_alloc(r->s->memory, n > 0 ? (size_t)n : 1, bytes);
}

static const char *kind_of(const struct node *node)
{
    return node->kind == NODE_LIST ? "a list" : node->kind == NODE_MAPPING ? "a mapping" : "a text";
}

/* Names stand in reports, in file names and on lines of their own. */
static int check_text(const struct reader *r, const struct node *node, const char *what, size_t max_bytes)
{
    if (node->kind != NODE_SCALAR)
        return document_fail(r->d, node, r->err, "%s: expected a text, found %s", what, kind_of(node));
    for (size_t i = 0; i < node->bytes; i++)
        if ((unsigned char)node->text[i] < 0x20 || node->text[i] == 0x7F)
            return document_fail(r->d, node, r->err, "%s: a control character or a line's end is not "
                                 "accepted", what);
    if (node->bytes == 0 || node->bytes > max_bytes)
        return document_fail(r->d, node, r->err, "%s: expected 1 to %zu bytes, found %zu", what, max_bytes,
                             node->bytes);
    return 0;
}

/* The configuration that `base` names, from the study's directory. */
int study_read_base(const struct reader *r, const struct node *node, const char **base)
{
    char path[PATH_MAX], absolute[PATH_MAX];
    const char *slash = strrchr(r->s->path, '/');
    int rc = check_text(r, node, "base", PATH_MAX - 1);
    if (rc != 0)
        return rc;
    const int n = slash && node->text[0] != '/' ? (int)(slash - r->s->path) + 1 : 0;
    if (snprintf(path, sizeof(path), "%.*s%s", n, r->s->path, node->text) >= PATH_MAX)
        return document_fail(r->d, node, r->err, "base: the path is too long");
    if (!realpath(path, absolute))
        return document_fail(r->d, node, r->err, "base: there is no configuration %.200s", path);
    *base = study_text(r->s, "%s", absolute);
    return 0;
}

/* ---- settings ---- */

/* A value as it stands behind "key=". */
static int read_value(const struct reader *r, const char *key, const struct node *node, const char **value)
{
    if (node->kind == NODE_LIST) {
        const char *text = "";
        for (const struct node *e = node->first; e; e = e->next) {
            if (e->kind != NODE_SCALAR || strlen(e->text) != e->bytes)
                return document_fail(r->d, e, r->err, "%s: expected a list of numbers or words, found %s in "
                                     "it", key, kind_of(e));
            text = study_text(r->s, "%s%s%s", text, *text ? ", " : "", e->text);
        }
        *value = study_text(r->s, "[%s]", text);
        return 0;
    }
    if (node->kind == NODE_MAPPING)
        return document_fail(r->d, node, r->err, "%s: expected a value, found a mapping", key);
    if (document_is_nothing(node))
        return document_fail(r->d, node, r->err, "%s: expected a value, found nothing", key);
    if (strlen(node->text) != node->bytes)
        return document_fail(r->d, node, r->err, "%s: a NUL character is not accepted", key);
    *value = study_text(r->s, "%s", node->text);
    return 0;
}

/* A task's YAML file is that of the working directory, or else the one beside the study. */
static const char *locate_task(const struct study *s, const char *value)
{
    char absolute[PATH_MAX];
    const char *slash = strrchr(s->path, '/'), *beside = value;
    if (!text_ends_with(value, ".yaml"))
        return value;
    if (slash && value[0] != '/')
        beside = study_text(s, "%.*s/%s", (int)(slash - s->path), s->path, value);
    const char *found = file_exists(value) ? value : file_exists(beside) ? beside : NULL;
    return found && realpath(found, absolute) ? study_text(s, "%s", absolute) : value;
}

static int check_key(const struct reader *r, const struct node *node, const char *key)
{
    if (strlen(node->text) != node->bytes || !*node->text || strpbrk(node->text, "= "))
        return document_fail(r->d, node, r->err, "expected the name of an option, found \"%.40s\"", node->text);
    if (strcmp(key, "seed") == 0)
        return document_fail(r->d, node, r->err, "seed: every run of a study has its own; list them in `seeds`");
    return 0;
}

static int add_setting(const struct reader *r, struct study_settings *out, const char *section,
                       const struct node *node)
{
    const char *key = study_text(r->s, "%s%s%s", section ? section : "", section ? "." : "", node->text);
    const char *value = NULL;
    int rc = 0;
    if ((rc = check_key(r, node, key)) != 0)
        return rc;
    const struct study_setting *first = study_setting_find(out, key);
    if (first)
        return document_fail(r->d, node, r->err, "%s is given twice; first on line %d", key, first->line);
    if ((rc = read_value(r, key, node->value, &value)) != 0)
        return rc;
    if (strcmp(key, "env.name") == 0)
        value = locate_task(r->s, value);
    out->v[out->n++] = (struct study_setting){ key, value, node->line, node->column };
    return 0;
}

/* Settings as they stand in configurations: keys, sections with keys, "section.key". `base` goes elsewhere. */
int study_read_settings(const struct reader *r, const char *what, const struct node *node,
                         struct study_settings *out, const char **base)
{
    int n = 0, rc = 0;
    if (document_is_nothing(node))
        return 0;
    if (node->kind != NODE_MAPPING)
        return document_fail(r->d, node, r->err, "%s: expected settings below it, found %s", what, kind_of(node));
    for (const struct node *key = node->first; key; key = key->next)
        n += key->value->kind == NODE_MAPPING ? key->value->n : 1;
    out->v = study_make(r, n, sizeof(*out->v));
    for (const struct node *key = node->first; key && rc == 0; key = key->next) {
        const struct node *inner = key->value->kind == NODE_MAPPING ? key->value->first : NULL;
        if (base && strcmp(key->text, "base") == 0)
            rc = study_read_base(r, key->value, base);
        else if (key->value->kind != NODE_MAPPING)
            rc = add_setting(r, out, NULL, key);
        for (; inner && rc == 0; inner = inner->next)
            rc = add_setting(r, out, key->text, inner);
    }
    return rc;
}

/* ---- arms and tasks ---- */

int study_read_parts(const struct reader *r, const char *what, const struct node *node, struct study_part **parts,
                      int *n)
{
    const bool is_list = node && node->kind == NODE_LIST;
    int rc = 0;
    *parts = study_make(r, node ? node->n : 1, sizeof(**parts));
    if (!node || document_is_nothing(node))
        return 0;
    if (node->kind == NODE_SCALAR || node->n == 0)
        return document_fail(r->d, node, r->err, "%s: expected names with settings below it", what);
    if (node->n > STUDY_MAX_PARTS)
        return document_fail(r->d, node, r->err, "%s: more than %d", what, STUDY_MAX_PARTS);
    for (const struct node *key = node->first; key && rc == 0; key = key->next) {
        struct study_part *p = &(*parts)[*n];
        if ((rc = check_text(r, key, what, STUDY_NAME_BYTES / 2)) != 0)
            return rc;
        p->name = p->origin = study_text(r->s, "%s", key->text);
        if (study_find(*parts, *n, p->name) >= 0)
            return document_fail(r->d, key, r->err, "%s: \"%s\" is given twice", what, p->name);
        (*n)++;
        if (!is_list)
            rc = study_read_settings(r, p->name, key->value, &p->own, &p->base);
    }
    return rc;
}

/* A task in the environment it is named after. */
void study_name_environments(const struct reader *r)
{
    struct study *s = r->s;
    for (int i = 0; i < s->n_tasks; i++) {
        struct study_part *t = &s->tasks[i];
        if (t->base || study_setting_find(&t->own, "env.name") || study_setting_find(&s->settings, "env.name"))
            continue;
        struct study_settings more = { study_make(r, t->own.n + 1, sizeof(*more.v)), 0 };
        for (int k = 0; k < t->own.n; k++)
            more.v[more.n++] = t->own.v[k];
        more.v[more.n++] = (struct study_setting){ "env.name", locate_task(s, t->name), 0, 0 };
        t->own = more;
    }
}

/* ---- what varies ---- */

/* What varies. */
struct factor {
    const struct node *list;    /* of its values */
    const char *label;          /* in names */
    bool is_tasks;              /* goes into the tasks */
};

/* Every part once with each value: "sync, actors=4". No part yet: "actors=4". */
static void multiply(const struct reader *r, struct study_part **parts, int *n, const char *label,
                     const struct study_setting *key, const char *const *values, int n_values)
{
    const struct study_part none = { 0 };
    const int n_before = *n > 0 ? *n : 1;
    struct study_part *more = study_make(r, n_before * n_values, sizeof(*more));
    for (int i = 0; i < n_before; i++)
        for (int k = 0; k < n_values; k++) {
            struct study_part *p = &more[i * n_values + k];
            *p = *n > 0 ? (*parts)[i] : none;
            struct study_settings varied = { study_make(r, p->varied.n + 1, sizeof(*varied.v)), p->varied.n };
            for (int j = 0; j < varied.n; j++)
                varied.v[j] = p->varied.v[j];
            varied.v[varied.n++] = (struct study_setting){ key->key, values[k], key->line, key->column };
            p->varied = varied;
            p->name = study_text(r->s, "%s%s%s=%s", p->name ? p->name : "", p->name ? ", " : "", label,
                                 values[k]);
        }
    *parts = more;
    *n = n_before * n_values;
}

/* "arms" or "tasks". */
static int read_into(const struct reader *r, const char *key, const struct node *node, bool *is_tasks)
{
    if (!node)
        return 0;
    *is_tasks = strcmp(node->text, "tasks") == 0;
    return *is_tasks || strcmp(node->text, "arms") == 0 ? 0
         : document_fail(r->d, node, r->err, "vary.%s: `into` is arms or tasks", key);
}

/* What is varied cannot be fixed as well. */
static int check_free(const struct reader *r, const struct node *key, const struct study_part *parts, int n,
                      const char *what)
{
    for (int i = 0; i < n; i++)
        if (study_setting_find(&parts[i].own, key->text) || study_setting_find(&parts[i].varied, key->text))
            return document_fail(r->d, key, r->err, "vary: %s \"%s\" gives %s as well; take it out of one", what,
                                 parts[i].name, key->text);
    return 0;
}

/* A factor with more than a list of values. */
static int read_mapping(const struct reader *r, const struct node *key, struct factor *f)
{
    const struct node *as = document_find(key->value, "as");
    for (const struct node *k = key->value->first; k; k = k->next)
        if (strcmp(k->text, "values") != 0 && strcmp(k->text, "into") != 0 && strcmp(k->text, "as") != 0)
            return document_fail(r->d, k, r->err, "vary.%s: unknown key \"%.40s\"; write values: [...], into: arms or "
                                 "tasks, and as: NAME; sections are dotted here: vary.%s.%.40s", key->text, k->text,
                                 key->text, k->text);
    f->list = document_find(key->value, "values");
    int rc = read_into(r, key->text, document_find(key->value, "into"), &f->is_tasks);
    if (rc == 0 && as && (rc = check_text(r, as, "as", STUDY_NAME_BYTES / 2)) == 0)
        f->label = study_text(r->s, "%s", as->text);
    return rc;
}

/* Its list of values, where they go, and what it is called. */
static int find_values(const struct reader *r, const struct node *key, struct factor *f)
{
    const char *dot = strrchr(key->text, '.');
    *f = (struct factor){ .list = key->value, .label = dot ? dot + 1 : key->text };
    int rc = key->value->kind == NODE_MAPPING ? read_mapping(r, key, f) : 0;
    if (rc == 0 && (!f->list || f->list->kind != NODE_LIST || f->list->n == 0))
        rc = document_fail(r->d, f->list ? f->list : key, r->err, "vary.%s: expected a list of values", key->text);
    return rc;
}

static int read_values(const struct reader *r, const struct node *key, const struct node *list, const char **values)
{
    int rc = 0, n = 0;
    for (const struct node *e = list->first; e && rc == 0; e = e->next, n++) {
        rc = read_value(r, key->text, e, &values[n]);
        for (int i = 0; i < n && rc == 0; i++)
            if (strcmp(values[i], values[n]) == 0)
                rc = document_fail(r->d, e, r->err, "vary.%s: %s is given twice", key->text, values[n]);
    }
    return rc;
}

static int read_factor(const struct reader *r, const struct node *key)
{
    struct study *s = r->s;
    struct factor f;
    int rc = check_text(r, key, "vary", STUDY_NAME_BYTES / 2);
    if (rc == 0)
        rc = check_key(r, key, key->text);
    if (rc == 0)
        rc = find_values(r, key, &f);
    if (rc == 0)
        rc = check_free(r, key, s->arms, s->n_arms, "arm");
    if (rc == 0)
        rc = check_free(r, key, s->tasks, s->n_tasks, "task");
    if (rc != 0)
        return rc;
    const char **values = study_make(r, f.list->n, sizeof(*values));
    if ((rc = read_values(r, key, f.list, values)) != 0)
        return rc;
    const int64_t n_before = f.is_tasks ? s->n_tasks : s->n_arms;
    if ((n_before > 0 ? n_before : 1) * f.list->n > STUDY_MAX_PARTS)
        return document_fail(r->d, key, r->err, "vary: more than %d combinations", STUDY_MAX_PARTS);
    const struct study_setting setting = { study_text(s, "%s", key->text), NULL, key->line, key->column };
    if (f.is_tasks)
        multiply(r, &s->tasks, &s->n_tasks, f.label, &setting, values, f.list->n);
    else
        multiply(r, &s->arms, &s->n_arms, f.label, &setting, values, f.list->n);
    return 0;
}

int study_read_vary(const struct reader *r, const struct node *node)
{
    int rc = 0;
    if (!node || document_is_nothing(node))
        return 0;
    if (node->kind != NODE_MAPPING)
        return document_fail(r->d, node, r->err, "vary: expected keys with lists of values below it");
    for (const struct node *key = node->first; key && rc == 0; key = key->next)
        rc = read_factor(r, key);
    return rc;
}
