/* A configuration file: from the document's tree to values, with a position in every error.
 *
 * The grammar is two mappings deep and holds scalars and lists of scalars. Where the text is not
 * YAML, or goes deeper, the tree ends there; a mistake in front of that place is named first. */
#include "common/option_private.h"

#include "common/document.h"

enum { FILE_DEPTH = 3, LINE_DEPTH = 2 };    /* the top level, a section, a list; the latter two */

struct reader {
    struct option_fill *fill;
    const struct document *d;
    struct error *err;
};

static struct word word_of(const struct node *node)
{
    return (struct word){ node->text, node->bytes, node->is_quoted ? WORD_QUOTED : WORD_PLAIN };
}

/* What a node is: "a list", or the quoted scalar. */
static const char *found(const struct node *node, char out[OPTION_WORDS_BYTES])
{
    char shown[OPTION_SHOWN_BYTES];
    if (node->kind != NODE_SCALAR)
        return node->kind == NODE_LIST ? "a list" : "a mapping";
    snprintf(out, OPTION_WORDS_BYTES, "\"%s\"", option_shown(word_of(node), shown));
    return out;
}

/* ---- the grammar ---- */

static int read_elements(struct reader *r, const struct option_target *t, const struct node *list)
{
    char path[OPTION_WORDS_BYTES], words[OPTION_WORDS_BYTES];
    option_path(t->section, t->option, path);
    struct option_list elements = { 0 };
    struct error err;
    for (const struct node *e = list->first; e; e = e->next) {
        if (e->kind != NODE_SCALAR)
            return document_fail(r->d, e, r->err, "%s: expected %s, found %s", path,
                                 option_element(t->option), found(e, words));
        if (option_read_element(t->option, &elements, word_of(e), &err) != 0)
            return document_fail(r->d, e, r->err, "%s, element %d: %s", path, elements.n + 1,
                                 err.text);
    }
    void *field = option_field(t->section, t->option);
    if (list->is_whole && option_end_list(t->option, &elements, field, &err) != 0)
        return document_fail(r->d, list, r->err, "%s: %s", path, err.text);
    return 0;
}

static int read_value(struct reader *r, const struct option_target *t, const struct node *value)
{
    char path[OPTION_WORDS_BYTES], expected[OPTION_WORDS_BYTES], words[OPTION_WORDS_BYTES];
    option_path(t->section, t->option, path);
    if (value->kind == NODE_LIST && option_is_list(t->option))
        return read_elements(r, t, value);
    if (value->kind != NODE_SCALAR)
        return document_fail(r->d, value, r->err, "%s: expected %s, found %s", path,
                             option_expected(t->option, expected), found(value, words));
    struct error err;
    if (option_read(t->option, option_field(t->section, t->option), word_of(value), &err) != 0)
        return document_fail(r->d, value, r->err, "%s: %s", path, err.text);
    return 0;
}

/* Note where a name was given; giving it again is an error. */
static int note_line(struct reader *r, const struct node *key, int *line, const char *what,
                     const char *name)
{
    if (*line != 0)
        return document_fail(r->d, key, r->err, "%s%s is given twice; first on line %d", what,
                             name, *line);
    *line = key->line;
    return 0;
}

/* An option on the top level (section -1) or in a section. */
static int read_option(struct reader *r, int section, const struct node *key)
{
    struct option_target t;
    struct error err;
    char path[OPTION_WORDS_BYTES];
    if (option_find(r->fill, section, word_of(key), &t, &err) != 0)
        return document_fail(r->d, key, r->err, "%s", err.text);
    if (!t.option)
        return 0;
    int rc = note_line(r, key, t.line, "", option_path(t.section, t.option, path));
    return rc == 0 && key->value ? read_value(r, &t, key->value) : rc;
}

static int read_options(struct reader *r, int section, const struct node *mapping)
{
    int rc = 0;
    for (const struct node *key = mapping->first; key && rc == 0; key = key->next)
        rc = read_option(r, section, key);
    return rc;
}

/* A section whose keys are all commented out is empty. */
static int read_section(struct reader *r, int section, const struct node *key)
{
    const char *name = r->fill->sections[section].name;
    const struct node *value = key->value;
    int rc = note_line(r, key, option_line(r->fill, section, -1), "section ", name);
    if (rc != 0 || !value || document_is_nothing(value))
        return rc;
    char words[OPTION_WORDS_BYTES];
    if (value->kind != NODE_MAPPING)
        return document_fail(r->d, value, r->err,
                             "section %s: expected keys indented below it, found %s", name,
                             found(value, words));
    return read_options(r, section, value);
}

static int read_line(struct reader *r, const struct node *root)
{
    return read_options(r, 0, root);
}

static int read_root(struct reader *r, const struct node *root)
{
    char words[OPTION_WORDS_BYTES];
    if (root->kind != NODE_MAPPING)
        return document_fail(r->d, root, r->err, "expected \"key: value\" lines, found %s",
                             found(root, words));
    int rc = 0;
    for (const struct node *key = root->first; key && rc == 0; key = key->next) {
        int section = key->bytes ? option_section_find(r->fill, word_of(key)) : -1;
        rc = section >= 0 ? read_section(r, section, key) : read_option(r, -1, key);
    }
    return rc;
}

/* ---- documents ---- */

typedef int reader_fn(struct reader *r, const struct node *root);

/* Take the values of a document that was read with `rc` and `err`, and free it. What is wrong in
 * front of the place where the text ceased to be YAML comes first, as people read. */
static int take(struct option_fill *fill, struct document *d, reader_fn *read, int rc,
                struct error *err)
{
    struct error earlier;
    struct reader r = { fill, d, &earlier };
    const struct node *root = d ? document_root(d) : NULL;
    if (root && read(&r, root) != 0) {
        *err = earlier;
        rc = earlier.code;
    }
    document_free(&d);
    return rc;
}

int option_read_yaml(struct option_fill *fill, const char *name, const char *text, size_t bytes,
                     struct error *err)
{
    struct document *d = NULL;
    int rc = document_parse(&d, name, text, bytes, FILE_DEPTH, err);
    return take(fill, d, read_root, rc, err);
}

int option_read_file(struct option_fill *fill, const char *path, struct error *err)
{
    struct document *d = NULL;
    int rc = document_read_file(&d, path, FILE_DEPTH, err);
    return take(fill, d, read_root, rc, err);
}

int option_read_line(struct option_fill *fill, const char *name, const char *line, size_t bytes,
                     struct error *err)
{
    struct document *d = NULL;
    int rc = document_parse_line(&d, name, line, bytes, LINE_DEPTH, err);
    return take(fill, d, read_line, rc, err);
}
