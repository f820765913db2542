/* libyaml's events to a tree, with a position in every error. */
#include "common/document.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "common/arena.h"
#include "common/text.h"

enum { CHUNK_BYTES = 16 << 10 };

struct document {
    char name[TEXT_SHORT_PATH_BYTES + 1];
    struct arena *nodes;
    const struct node *root;
};

struct reader {
    struct document *d;
    const char *text;
    size_t bytes;
    bool is_line;           /* "{", the caller's line, "\n}" */
    int max_depth, n_nodes;
    yaml_parser_t parser;
    yaml_event_t event;     /* the current one; reading the next deletes it */
    struct error *err;
};

/* ---- errors ---- */

static yaml_mark_t mark_of(const struct reader *r, size_t offset);

/* Line and column for people: libyaml counts from zero and sees the braces around a line. */
struct place {
    int line, column;
};

static struct place place_of(const struct reader *r, yaml_mark_t mark)
{
    if (r->is_line && mark.line > 0)
        mark = mark_of(r, r->bytes - strlen("\n}"));
    size_t before = r->is_line && mark.column > 0;
    return (struct place){ (int)mark.line + 1, (int)(mark.column - before) + 1 };
}

static int fail_at(const struct document *d, struct place p, struct error *err,
                   const char *format, va_list args) __attribute__((format(printf, 4, 0)));

static int fail_at(const struct document *d, struct place p, struct error *err,
                   const char *format, va_list args)
{
    char text[sizeof(err->text)];
    vsnprintf(text, sizeof(text), format, args);
    return error_set(err, ERR_CONFIG, "%s:%d:%d: %s", d->name, p.line, p.column, text);
}

static int fail(struct reader *r, yaml_mark_t mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct reader *r, yaml_mark_t mark, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = fail_at(r->d, place_of(r, mark), r->err, format, args);
    va_end(args);
    return rc;
}

int document_fail(const struct document *d, const struct node *at, struct error *err,
                  const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int rc = fail_at(d, (struct place){ at->line, at->column }, err, format, args);
    va_end(args);
    return rc;
}

/* The position of a byte; columns count characters. */
static yaml_mark_t mark_of(const struct reader *r, size_t offset)
{
    yaml_mark_t mark = { 0 };
    for (size_t i = 0; i < offset && i < r->bytes; i++) {
        char c = r->text[i];
        if (c == '\n' || (c == '\r' && (i + 1 == r->bytes || r->text[i + 1] != '\n'))) {
            mark.line++;
            mark.column = 0;
        } else {
            mark.column += ((unsigned char)c & 0xC0) != 0x80;
        }
    }
    return mark;
}

/* Whether there is a tab at the position or in front of it on its line, before any text. */
static bool is_indented_by_tab(const struct reader *r, yaml_mark_t mark)
{
    const char *s = r->text, *end = r->text + r->bytes;
    for (size_t line = 0; line < mark.line && s; line++) {
        s = memchr(s, '\n', (size_t)(end - s));
        s = s ? s + 1 : NULL;
    }
    while (s && s < end && *s == ' ')
        s++;
    return s && s < end && *s == '\t';
}

static int fail_parser(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_READER_ERROR) {
        yaml_mark_t mark = mark_of(r, p->problem_offset);
        if (p->problem_value >= 0 && p->problem_value < 0x20)
            return fail(r, mark, "control character 0x%02x is not accepted",
                        (unsigned)p->problem_value);
        return fail(r, mark, "not UTF-8 text: %s", p->problem);
    }
    if (!p->problem)
        return fail(r, p->mark, "libyaml ran out of memory");
    if (is_indented_by_tab(r, p->problem_mark))
        return fail(r, p->problem_mark, "a tab in the indentation; YAML takes spaces only");
    if (!p->context)
        return fail(r, p->problem_mark, "not YAML: %s", p->problem);
    struct place begin = place_of(r, p->context_mark);
    return fail(r, p->problem_mark, "not YAML: %s (%s that begins at line %d, column %d)",
                p->problem, p->context, begin.line, begin.column);
}

/* What libyaml would accept, and in quadratic time (%TAG), or count as a line where editors see
 * none (U+0085, U+2028, U+2029). */
static int check_lines(struct reader *r)
{
    bool is_line_start = true;
    for (size_t i = 0; i < r->bytes; i++) {
        const char *s = r->text + i;
        size_t left = r->bytes - i;
        if (*s == '%' && is_line_start)
            return fail(r, mark_of(r, i), "directives (%%YAML, %%TAG) are not accepted");
        if ((left >= 2 && memcmp(s, "\xC2\x85", 2) == 0)
            || (left >= 3 && (memcmp(s, "\xE2\x80\xA8", 3) == 0
                              || memcmp(s, "\xE2\x80\xA9", 3) == 0)))
            return fail(r, mark_of(r, i), "a Unicode line separator is not accepted");
        is_line_start = *s == '\n' || *s == '\r';
    }
    return 0;
}

/* ---- events ---- */

static int refuse_features(struct reader *r)
{
    const yaml_event_t *e = &r->event;
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (e->type) {
    case YAML_ALIAS_EVENT:
        return fail(r, e->start_mark, "aliases (*name) are not accepted; write the value out");
    case YAML_SCALAR_EVENT:
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
        break;
    default: break;
    }
    if (anchor)
        return fail(r, e->start_mark, "anchors (&name) are not accepted; remove it");
    if (tag)
        return fail(r, e->start_mark, "tags (!name) are not accepted; remove it");
    return 0;
}

static int next(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (!yaml_parser_parse(&r->parser, &r->event))
        return fail_parser(r);
    return refuse_features(r);
}

/* ---- the tree ---- */

/* The node that the current event begins; NULL when there are too many. */
static struct node *node_create(struct reader *r)
{
    const yaml_event_t *e = &r->event;
    if (r->n_nodes == DOCUMENT_NODES) {
        fail(r, e->start_mark, "more than %d keys and values", DOCUMENT_NODES);
        return NULL;
    }
    r->n_nodes++;
    bool is_scalar = e->type == YAML_SCALAR_EVENT;
    size_t bytes = is_scalar ? e->data.scalar.length : 0;
    struct node *node = arena_alloc(r->d->nodes, 1, sizeof(*node) + bytes + 1);
    bool is_list = e->type == YAML_SEQUENCE_START_EVENT;
    node->kind = is_scalar ? NODE_SCALAR : is_list ? NODE_LIST : NODE_MAPPING;
    struct place p = place_of(r, e->start_mark);
    node->line = p.line;
    node->column = p.column;
    node->bytes = bytes;
    if (is_scalar) {
        node->is_whole = true;
        node->is_quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
        memcpy(node->text, e->data.scalar.value, bytes);
    }
    return node;
}

static int read_node(struct reader *r, int depth, struct node **node);

/* The elements of a list, up to its end. */
static int read_list(struct reader *r, int depth, struct node *list)
{
    const struct node **end = &list->first;
    int rc;
    while ((rc = next(r)) == 0 && r->event.type != YAML_SEQUENCE_END_EVENT) {
        struct node *element = NULL;
        rc = read_node(r, depth + 1, &element);
        if (element) {
            list->n++;
            *end = element;
            end = &element->next;
        }
        if (rc != 0)
            break;
    }
    return rc;
}

/* The current event must be a key. */
static int read_key(struct reader *r, struct node **key)
{
    yaml_mark_t mark = r->event.start_mark;
    if (r->event.type != YAML_SCALAR_EVENT)
        return fail(r, mark, "expected a key, found %s",
                    r->event.type == YAML_SEQUENCE_START_EVENT ? "a list" : "a mapping");
    if (r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE
        && strcmp((const char *)r->event.data.scalar.value, "<<") == 0)
        return fail(r, mark, "merge keys (<<) are not accepted; write the keys out");
    *key = node_create(r);
    return *key ? 0 : ERR_CONFIG;
}

/* By text, equal ones in the order they stand in. */
static int compare_keys(const void *a, const void *b)
{
    const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    int order = memcmp(x->text, y->text, x->bytes);
    return order ? order : x->line != y->line ? x->line - y->line : x->column - y->column;
}

/* Sorting, so that no choice of keys makes it slow. */
static int check_keys_differ(struct reader *r, const struct node *mapping)
{
    if (mapping->n < 2)
        return 0;
    const struct node **keys = memory_alloc((size_t)mapping->n, sizeof(*keys));
    int n = 0, rc = 0;
    for (const struct node *key = mapping->first; key; key = key->next)
        keys[n++] = key;
    qsort(keys, (size_t)n, sizeof(*keys), compare_keys);
    for (int i = 1; i < n && rc == 0; i++)
        if (keys[i]->bytes == keys[i - 1]->bytes
            && memcmp(keys[i]->text, keys[i - 1]->text, keys[i]->bytes) == 0)
            rc = document_fail(r->d, keys[i], r->err, "this key is given twice; first on line %d",
                               keys[i - 1]->line);
    free(keys);
    return rc;
}

/* The keys and values of a mapping, up to its end. */
static int read_mapping(struct reader *r, int depth, struct node *mapping)
{
    const struct node **end = &mapping->first;
    int rc;
    while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
        struct node *key = NULL, *value = NULL;
        if ((rc = read_key(r, &key)) != 0)
            return rc;
        mapping->n++;
        *end = key;
        end = &key->next;
        if ((rc = next(r)) == 0)
            rc = read_node(r, depth + 1, &value);
        key->value = value;
        if (rc != 0)
            return rc;
    }
    return rc == 0 ? check_keys_differ(r, mapping) : rc;
}

/* The current event begins a node, `depth` deep if it is a list or a mapping. On an error *node
 * holds what was read of it, if anything. */
static int read_node(struct reader *r, int depth, struct node **node)
{
    yaml_mark_t mark = r->event.start_mark;
    *node = node_create(r);
    if (!*node)
        return ERR_CONFIG;
    if ((*node)->kind == NODE_SCALAR)
        return 0;
    if (depth > r->max_depth)
        return fail(r, mark, "nested too deeply; %d lists and mappings within each other are the "
                    "most", r->max_depth);
    bool is_list = (*node)->kind == NODE_LIST;
    int rc = is_list ? read_list(r, depth, *node) : read_mapping(r, depth, *node);
    (*node)->is_whole = rc == 0;
    return rc;
}

/* No document or one. */
static int read_stream(struct reader *r)
{
    int rc = check_lines(r);
    if (rc != 0 || (rc = next(r)) != 0 || (rc = next(r)) != 0
        || r->event.type == YAML_STREAM_END_EVENT || (rc = next(r)) != 0)
        return rc;
    struct node *root = NULL;
    rc = read_node(r, 1, &root);
    r->d->root = root && document_is_nothing(root) ? NULL : root;
    if (rc != 0 || (rc = next(r)) != 0 || (rc = next(r)) != 0)
        return rc;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail(r, r->event.start_mark, "a second document; a configuration is one");
    return 0;
}

/* ---- documents ---- */

static struct document *document_create(const char *name)
{
    struct document *d = memory_alloc(1, sizeof(*d));
    snprintf(d->name, sizeof(d->name), "%s", text_short_path(name));
    d->nodes = arena_create(CHUNK_BYTES);
    return d;
}

void document_free(struct document **d)
{
    if (!*d)
        return;
    arena_destroy(&(*d)->nodes);
    free(*d);
    *d = NULL;
}

static int parse(struct document *d, const char *text, size_t bytes, bool is_line,
                 int max_depth, struct error *err)
{
    struct reader r = { .d = d, .text = text, .bytes = bytes, .is_line = is_line,
                        .max_depth = max_depth, .err = err };
    if (!yaml_parser_initialize(&r.parser))
        return error_set(err, ERR_CONFIG, "libyaml ran out of memory");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, bytes);
    int rc = read_stream(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return rc;
}

static int check_size(const struct document *d, size_t bytes, struct error *err)
{
    if (bytes <= DOCUMENT_BYTES)
        return 0;
    return error_set(err, ERR_CONFIG, "%s: a configuration is at most %d bytes, found more",
                     d->name, DOCUMENT_BYTES);
}

int document_parse(struct document **d, const char *name, const char *text, size_t bytes,
                   int max_depth, struct error *err)
{
    *d = document_create(name);
    int rc = check_size(*d, bytes, err);
    size_t skipped = bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    return rc ? rc : parse(*d, text + skipped, bytes - skipped, false, max_depth, err);
}

int document_parse_line(struct document **d, const char *name, const char *line, size_t bytes,
                        int max_depth, struct error *err)
{
    *d = document_create(name);
    int rc = check_size(*d, bytes, err);
    if (rc != 0)
        return rc;
    if (memchr(line, '\n', bytes) || memchr(line, '\r', bytes))
        return error_set(err, ERR_CONFIG, "%s: expected one line, found more", (*d)->name);
    /* The last brace stands on a line of its own, out of reach of a comment. */
    char *text = memory_alloc(1, bytes + 3);
    text[0] = '{';
    memcpy(text + 1, line, bytes);
    memcpy(text + 1 + bytes, "\n}", 2);
    rc = parse(*d, text, bytes + 3, true, max_depth, err);
    free(text);
    return rc;
}

const struct node *document_root(const struct document *d)
{
    return d->root;
}

const struct node *document_find(const struct node *mapping, const char *key)
{
    const struct node *k = mapping->kind == NODE_MAPPING ? mapping->first : NULL;
    while (k && (k->bytes != strlen(key) || memcmp(k->text, key, k->bytes) != 0))
        k = k->next;
    return k ? k->value : NULL;
}

bool document_is_nothing(const struct node *node)
{
    return node->kind == NODE_SCALAR && node->bytes == 0 && !node->is_quoted;
}

/* ---- files ---- */

/* Up to DOCUMENT_BYTES + 1 bytes, so that a longer file shows. */
static int read_all(int fd, const char *path, char *text, size_t *bytes, struct error *err)
{
    for (*bytes = 0; *bytes <= DOCUMENT_BYTES;) {
        ssize_t n = read(fd, text + *bytes, DOCUMENT_BYTES + 1 - *bytes);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return error_errno(err, "%s: cannot be read", text_short_path(path));
        *bytes += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* A pipe without a writer must not hold up the program before it is found to be one. */
static int open_regular(const char *path, int *fd, struct error *err)
{
    const char *name = text_short_path(path);
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR;
        int rc = error_errno(err, "%s: cannot be opened", name);
        if (is_missing && err)
            err->code = ERR_MISSING;
        return is_missing ? ERR_MISSING : rc;
    }
    if (fstat(*fd, &st) != 0)
        return error_errno(err, "%s: cannot be examined", name);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_IO, "%s: expected a YAML file, found %s", name,
                         S_ISDIR(st.st_mode) ? "a directory" : "something that is not a file");
    return 0;
}

int document_read_file(struct document **d, const char *path, int max_depth, struct error *err)
{
    int fd = -1;
    char *text = NULL;
    size_t bytes = 0;
    *d = NULL;
    int rc = open_regular(path, &fd, err);
    if (rc != 0)
        goto out;
    text = memory_alloc(1, DOCUMENT_BYTES + 1);
    rc = read_all(fd, path, text, &bytes, err);
    if (rc == 0)
        rc = document_parse(d, path, text, bytes, max_depth, err);
out:
    free(text);
    if (fd >= 0)
        close(fd);
    return rc;
}
