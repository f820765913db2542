/* What a study comes to: settings put together, written down, and compared with an earlier copy. */
#include <inttypes.h>
#include <string.h>

#include "deploy/study.h"

/* ---- settings put together ---- */

static void put(struct study_setting *out, int *n, const struct study_settings *more)
{
    for (int i = 0; i < more->n; i++) {
        int at = 0;
        while (at < *n && strcmp(out[at].key, more->v[i].key) != 0)
            at++;
        out[at] = more->v[i];
        *n += at == *n;
    }
}

int study_merge(const struct study *s, int arm, int task, struct study_setting **out, const char **base)
{
    const struct study_part *a = &s->arms[arm], *t = &s->tasks[task];
    const struct study_settings *const all[] = { &s->settings, &t->own, &a->own, &t->varied, &a->varied,
                                                 &s->overrides };
    int n = 0, most = 1;
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        most += all[i]->n;
    *out = arena_alloc(s->memory, (size_t)most, sizeof(**out));
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        put(*out, &n, all[i]);
    *base = a->base ? a->base : t->base ? t->base : s->base;
    return n;
}

const struct study_score *study_score(const struct study *s, int task)
{
    const struct study_part *t = &s->tasks[task];
    for (int i = 0; i < s->n_scores; i++)
        if ((t->name && strcmp(t->name, s->scores[i].task) == 0)
            || (t->origin && strcmp(t->origin, s->scores[i].task) == 0))
            return &s->scores[i];
    return NULL;
}

/* ---- writing ---- */

/* As YAML: plain where that is safe, a list of numbers as such, else in quotes. */
static void print_text(const char *text, FILE *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+-";
    static const char list[] = "0123456789.,-+ []";
    const size_t n = strlen(text);
    const bool is_plain = n > 0 && strspn(text, plain) == n && text[0] != '-' && strcmp(text, "null") != 0;
    const bool is_list = n > 1 && text[0] == '[' && text[n - 1] == ']' && strspn(text, list) == n;
    if (is_plain || is_list) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text; text++)
        fprintf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    fputc('"', out);
}

static bool is_overridden(const struct study *s, const char *key)
{
    for (int i = 0; i < s->overrides.n; i++)
        if (strcmp(s->overrides.v[i].key, key) == 0)
            return true;
    return false;
}

/* Whether the same key is overridden once more behind override i. */
static bool is_later(const struct study *s, int i)
{
    for (int k = i + 1; k < s->overrides.n; k++)
        if (strcmp(s->overrides.v[k].key, s->overrides.v[i].key) == 0)
            return true;
    return false;
}

static void print_setting(const struct study_setting *setting, int indent, FILE *out)
{
    fprintf(out, "%*s%s: ", indent, "", setting->key);
    print_text(setting->value, out);
    fputc('\n', out);
}

/* Those that the command line does not replace. */
static void print_settings(const struct study *s, const struct study_settings *settings, int indent, FILE *out)
{
    for (int i = 0; i < settings->n; i++)
        if (!is_overridden(s, settings->v[i].key))
            print_setting(&settings->v[i], indent, out);
}

static void print_pair(const char *key, const char *text, FILE *out)
{
    fprintf(out, "%s: ", key);
    print_text(text, out);
    fputc('\n', out);
}

static void print_parts(const struct study *s, const char *what, const struct study_part *parts, int n, FILE *out)
{
    fprintf(out, "%s:\n", what);
    for (int i = 0; i < n; i++) {
        fputs("  ", out);
        print_text(parts[i].name, out);
        fputs(":\n", out);
        if (parts[i].base)
            print_pair("    base", parts[i].base, out);
        print_settings(s, &parts[i].own, 4, out);
        print_settings(s, &parts[i].varied, 4, out);
    }
}

static void print_score(const char *task, const struct study_score *score, FILE *out)
{
    fputs("  ", out);
    print_text(task, out);
    fprintf(out, ": [%.17g, %.17g]\n", score->low, score->high);
}

static void print_scores(const struct study *s, FILE *out)
{
    if (s->n_scores > 0)
        fputs("scores:\n", out);
    for (int i = 0; i < s->n_tasks; i++)
        if (study_score(s, i))
            print_score(s->tasks[i].name, study_score(s, i), out);
}

void study_print(const struct study *s, FILE *out)
{
    print_pair("title", s->title, out);
    print_pair("question", s->question, out);
    if (s->base)
        print_pair("base", s->base, out);
    fputs("settings:\n", out);
    print_settings(s, &s->settings, 2, out);
    for (int i = 0; i < s->overrides.n; i++)
        if (!is_later(s, i))
            print_setting(&s->overrides.v[i], 2, out);
    print_parts(s, "arms", s->arms, s->n_arms, out);
    if (s->tasks[0].name)
        print_parts(s, "tasks", s->tasks, s->n_tasks, out);
    fputs("seeds: [", out);
    for (int i = 0; i < s->n_seeds; i++)
        fprintf(out, "%s%" PRId64, i ? ", " : "", s->seeds[i]);
    fputs("]\n", out);
    print_pair("baseline", s->arms[s->baseline].name, out);
    print_pair("run", s->runner == STUDY_SIMULATE ? "simulate" : "train", out);
    print_pair("measure", s->scores_are_means ? "mean" : "last", out);
    print_scores(s, out);
}

/* ---- what became of an earlier one ---- */

static int compare_parts(const char *what, const struct study_part *parts, int n, const struct study *old,
                         const struct study_part *old_parts, int n_old, struct error *err)
{
    for (int i = 0; i < n_old; i++)
        if (old_parts[i].name && study_find(parts, n, old_parts[i].name) < 0)
            return error_set(err, ERR_CONFIG, "%s has %s \"%s\", which the study no longer has", old->path, what,
                             old_parts[i].name);
    return 0;
}

int study_extends(const struct study *s, const struct study *old, struct error *err)
{
    if (s->runner != old->runner)
        return error_set(err, ERR_CONFIG, "%s has run: %s, the study now says %s", old->path,
                         old->runner == STUDY_SIMULATE ? "simulate" : "train",
                         s->runner == STUDY_SIMULATE ? "simulate" : "train");
    int rc = compare_parts("arm", s->arms, s->n_arms, old, old->arms, old->n_arms, err);
    if (rc == 0)
        rc = compare_parts("task", s->tasks, s->n_tasks, old, old->tasks, old->n_tasks, err);
    for (int i = 0; i < old->n_seeds && rc == 0; i++) {
        bool is_there = false;
        for (int k = 0; k < s->n_seeds; k++)
            is_there |= s->seeds[k] == old->seeds[i];
        if (!is_there)
            rc = error_set(err, ERR_CONFIG, "%s has seed %" PRId64 ", which the study no longer has", old->path,
                           old->seeds[i]);
    }
    return rc;
}
