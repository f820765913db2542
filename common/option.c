/* The tables: names, defaults, the file and the overrides put together. */
#include "common/option_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/document.h"
#include "common/text.h"

enum { OVERRIDE_LINE = -1, NEAR_BYTES = 64 };

/* ---- the nearest word ---- */

/* A search for the candidate nearest to one word. */
struct near {
    const char *word;
    int n;
    int best;       /* a candidate must be nearer than this */
};

static struct near near_start(const char *word)
{
    /* A third of the letters may be wrong, but never all of them. */
    size_t n = strnlen(word, NEAR_BYTES + 1);
    int best = ((int)n + 2) / 3 + 1;
    best = n > NEAR_BYTES ? 0 : best > (int)n ? (int)n : best;
    return (struct near){ word, (int)n, best };
}

static int min3(int a, int b, int c)
{
    int least = a < b ? a : b;
    return least < c ? least : c;
}

/* Insertions, deletions, substitutions and swaps of neighbours; upper and lower case alike.
 * Optimal string alignment: Boytsov 2011, section 2.1. */
static int edit_distance(const char *word, int n, const char *candidate)
{
    int rows[3][NEAR_BYTES + 1];
    int *before = rows[0], *above = rows[1], *row = rows[2];
    for (int j = 0; j <= n; j++)
        row[j] = j;
    int last_c = 0;
    for (int i = 1; candidate[i - 1]; i++) {
        int *oldest = before;
        before = above;
        above = row;
        row = oldest;
        row[0] = i;
        int c = tolower((unsigned char)candidate[i - 1]), last_w = 0;
        for (int j = 1; j <= n; j++) {
            int w = tolower((unsigned char)word[j - 1]);
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (w != c));
            if (i > 1 && j > 1 && w == last_c && c == last_w)
                row[j] = min3(row[j], before[j - 2] + 1, row[j]);
            last_w = w;
        }
        last_c = c;
    }
    return row[n];
}

static bool near_improves(struct near *near, const char *candidate)
{
    if (near->best == 0)
        return false;
    int distance = edit_distance(near->word, near->n, candidate);
    if (distance >= near->best)
        return false;
    near->best = distance;
    return true;
}

const char *nearest_word(const char *word, const char *const *candidates, int n)
{
    struct near near = near_start(word);
    const char *nearest = NULL;
    for (int i = 0; i < n; i++)
        if (near_improves(&near, candidates[i]))
            nearest = candidates[i];
    return nearest;
}

/* ---- names ---- */

static bool word_equals(struct word w, const char *text)
{
    return w.bytes == strlen(text) && memcmp(w.text, text, w.bytes) == 0;
}

int *option_line(const struct option_fill *fill, int section, int option)
{
    int at = 0;
    for (int i = 0; i < section; i++)
        at += 1 + fill->sections[i].n_options;
    return &fill->lines[at + 1 + option];
}

const char *option_path(const struct option_section *s, const struct option *o,
                        char out[OPTION_WORDS_BYTES])
{
    snprintf(out, OPTION_WORDS_BYTES, "%s%s%s", s->name, *s->name ? "." : "", o->name);
    return out;
}

int option_section_find(const struct option_fill *fill, struct word name)
{
    for (int i = 0; i < fill->n_sections; i++)
        if (word_equals(name, fill->sections[i].name))
            return i;
    return -1;
}

static int unknown(const char *what, struct word name, const char *where, const char *nearest,
                   struct error *err)
{
    char shown[OPTION_SHOWN_BYTES], hint[OPTION_WORDS_BYTES] = "";
    if (nearest && *nearest)
        snprintf(hint, sizeof(hint), "; did you mean \"%.200s\"?", nearest);
    return error_set(err, ERR_CONFIG, "unknown %s \"%s\"%s%s", what, option_shown(name, shown),
                     where, hint);
}

static int unknown_section(const struct option_fill *fill, struct word name, struct error *err)
{
    char shown[OPTION_SHOWN_BYTES];
    struct near near = near_start(option_shown(name, shown));
    const char *nearest = NULL;
    for (int i = 0; i < fill->n_sections; i++)
        if (!fill->sections[i].refusal && near_improves(&near, fill->sections[i].name))
            nearest = fill->sections[i].name;
    return unknown("section", name, "", nearest, err);
}

/* Another section's key was perhaps put here; else the nearest key of this one is named. Sections that are
 * refused help nobody. */
static int unknown_key(const struct option_fill *fill, const struct option_section *s, struct word name,
                       struct error *err)
{
    char shown[OPTION_SHOWN_BYTES], where[OPTION_WORDS_BYTES] = "";
    struct near near = near_start(option_shown(name, shown));
    const char *nearest = NULL;
    for (int i = 0; i < s->n_options; i++)
        if (near_improves(&near, s->options[i].name))
            nearest = s->options[i].name;
    if (*s->name)
        snprintf(where, sizeof(where), " in section \"%s\"", s->name);
    for (int i = 0; i < fill->n_sections && near.best > 1; i++)
        for (int j = 0; j < fill->sections[i].n_options && !fill->sections[i].refusal; j++)
            if (word_equals(name, fill->sections[i].options[j].name)) {
                char path[OPTION_WORDS_BYTES];
                option_path(&fill->sections[i], &fill->sections[i].options[j], path);
                return error_set(err, ERR_CONFIG, "unknown key \"%s\"%s; there is \"%s\"", shown, where,
                                 path);
            }
    return unknown("key", name, where, nearest, err);
}

/* At the top level a section or a key that stands in some section may have been meant, too. */
static int unknown_top_key(const struct option_fill *fill, struct word name, struct error *err)
{
    char shown[OPTION_SHOWN_BYTES], nearest[OPTION_WORDS_BYTES] = "";
    struct near near = near_start(option_shown(name, shown));
    for (int i = 0; i < fill->n_sections; i++) {
        const struct option_section *s = &fill->sections[i];
        if (s->refusal)
            continue;
        if (near_improves(&near, s->name))
            snprintf(nearest, sizeof(nearest), "%s", s->name);
        for (int j = 0; j < s->n_options; j++)
            if (near_improves(&near, s->options[j].name))
                option_path(s, &s->options[j], nearest);
    }
    return unknown("key", name, "", nearest, err);
}

int option_find(const struct option_fill *fill, int section, struct word key,
                struct option_target *target, struct error *err)
{
    bool is_top = section < 0;
    const char *dot = is_top ? memchr(key.text, '.', key.bytes) : NULL;
    if (dot) {
        struct word name = { key.text, (size_t)(dot - key.text), key.style };
        section = option_section_find(fill, name);
        if (section < 0 || name.bytes == 0)
            return unknown_section(fill, name, err);
        key = (struct word){ dot + 1, key.bytes - name.bytes - 1, key.style };
    } else if (is_top) {
        section = option_section_find(fill, (struct word){ "", 0, WORD_BARE });
    }
    const struct option_section *s = section < 0 ? NULL : &fill->sections[section];
    if (s && s->refusal)
        return error_set(err, ERR_CONFIG, "%s", s->refusal);
    for (int i = 0; s && i < s->n_options; i++) {
        if (word_equals(key, s->options[i].name)) {
            *target = (struct option_target){ s, &s->options[i], option_line(fill, section, i) };
            return 0;
        }
    }
    if (s && s->is_open) {
        *target = (struct option_target){ s, NULL, NULL };
        return 0;
    }
    return is_top && !dot ? unknown_top_key(fill, key, err) : unknown_key(fill, s, key, err);
}

/* ---- filling ---- */

void options_default(const struct option_section *sections, int n_sections)
{
    for (int i = 0; i < n_sections; i++)
        for (int j = 0; j < sections[i].n_options; j++)
            option_default(&sections[i].options[j],
                           option_field(&sections[i], &sections[i].options[j]));
}

static struct option_fill fill_start(const struct option_section *sections, int n_sections)
{
    size_t n = 0;
    for (int i = 0; i < n_sections; i++)
        n += 1 + (size_t)sections[i].n_options;
    options_default(sections, n_sections);
    return (struct option_fill){ sections, n_sections, memory_alloc(n, sizeof(int)) };
}

static int apply_override(struct option_fill *fill, const char *text, struct error *err)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return error_set(err, ERR_CONFIG, "expected key=value");
    struct word key = { text, (size_t)(equals - text), WORD_BARE };
    struct word value = { equals + 1, strlen(equals + 1), WORD_BARE };
    int section = option_section_find(fill, key);
    if (section >= 0)
        return error_set(err, ERR_CONFIG, "\"%s\" is a section; name a key in it: %s.key=value",
                         fill->sections[section].name, fill->sections[section].name);
    struct option_target t;
    int rc = option_find(fill, -1, key, &t, err);
    if (rc != 0 || !t.option)
        return rc;
    rc = option_read(t.option, option_field(t.section, t.option), value, err);
    if (rc == 0)
        *t.line = OVERRIDE_LINE;
    return rc;
}

static int apply_overrides(struct option_fill *fill, char *const *overrides, int n_overrides,
                           struct error *err)
{
    for (int i = 0; i < n_overrides; i++) {
        if (apply_override(fill, overrides[i], err) != 0) {
            char shown[OPTION_SHOWN_BYTES];
            struct word w = { overrides[i], strlen(overrides[i]), WORD_BARE };
            return error_prefix(err, "override \"%s\"", option_shown(w, shown));
        }
    }
    return 0;
}

/* They count as defaults: the file may give the same keys. */
static void apply_presets(struct option_fill *fill, const struct option_preset *preset)
{
    struct error err = { 0 };
    for (; preset; preset = preset->next)
        for (int i = 0; preset->values[i]; i++)
            if (apply_override(fill, preset->values[i], &err) != 0) {
                fprintf(stderr, "preset \"%s\": %s\n", preset->values[i], err.text);
                abort();
            }
    for (int i = 0; i < fill->n_sections; i++)
        for (int j = 0; j < fill->sections[i].n_options; j++)
            *option_line(fill, i, j) = 0;
}

static int missing(const struct option_section *s, const struct option *o, const char *name,
                   struct error *err)
{
    char path[OPTION_WORDS_BYTES], expected[OPTION_WORDS_BYTES], where[OPTION_WORDS_BYTES];
    option_path(s, o, path);
    option_expected(o, expected);
    if (!name)
        return error_set(err, ERR_CONFIG, "%s is required (%s); give %s=...", path, expected, path);
    if (*s->name)
        snprintf(where, sizeof(where), "in section %s", s->name);
    else
        snprintf(where, sizeof(where), "at the top level");
    return error_set(err, ERR_CONFIG,
                     "%s: %s is required (%s); write \"%s: ...\" %s or give %s=...",
                     text_short_path(name), path, expected, o->name, where, path);
}

/* A hidden section is not in use: what it requires is not asked for. */
static int check_required(const struct option_fill *fill, const char *name, struct error *err)
{
    for (int i = 0; i < fill->n_sections; i++) {
        const struct option_section *s = &fill->sections[i];
        for (int j = 0; j < s->n_options && !s->is_hidden; j++) {
            const struct option *o = &s->options[j];
            if (o->value || *option_line(fill, i, j) != 0)
                continue;
            return missing(s, o, name, err);
        }
    }
    return 0;
}

int options_parse(const struct option_section *sections, int n_sections, const char *name,
                  const char *text, size_t bytes, struct error *err)
{
    struct error local;
    err = err ? err : &local;
    struct option_fill fill = fill_start(sections, n_sections);
    int rc = option_read_yaml(&fill, name, text, bytes, err);
    if (rc == 0)
        rc = check_required(&fill, name, err);
    free(fill.lines);
    return rc;
}

int options_load(const struct option_section *sections, int n_sections,
                 const struct option_preset *presets, const char *path, char *const *overrides,
                 int n_overrides, struct error *err)
{
    struct error local;
    err = err ? err : &local;
    struct option_fill fill = fill_start(sections, n_sections);
    apply_presets(&fill, presets);
    int rc = path ? option_read_file(&fill, path, err) : 0;
    if (rc == 0)
        rc = apply_overrides(&fill, overrides, n_overrides, err);
    if (rc == 0)
        rc = check_required(&fill, path, err);
    free(fill.lines);
    return rc;
}

int options_parse_line(const struct option_section *section, const char *name, const char *line,
                       size_t bytes, struct error *err)
{
    struct error local;
    err = err ? err : &local;
    struct option_fill fill = fill_start(section, 1);
    int rc = option_read_line(&fill, name, line, bytes, err);
    if (rc == 0)
        rc = check_required(&fill, name, err);
    if (rc != 0)
        options_default(section, 1);
    free(fill.lines);
    return rc;
}
