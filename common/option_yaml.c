/* A configuration file: libyaml events to values, with a position in every error.
 *
 * The grammar is two mappings deep and holds scalars and lists of scalars, so the first event
 * that leads deeper is refused where it stands and hostile nesting costs nothing. Anchors,
 * aliases, tags, merge keys and directives are refused as well. */
#include "common/option_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "common/arena.h"

enum { SHORT_PATH_BYTES = 160 };

struct reader {
    struct option_fill *fill;
    const char *name;
    const char *text;
    size_t bytes;
    yaml_parser_t parser;
    yaml_event_t event;     /* the current one; reading the next deletes it */
    struct error *err;
};

/* ---- errors ---- */

const char *option_short_path(const char *path)
{
    size_t length = strlen(path);
    return path + (length > SHORT_PATH_BYTES ? length - SHORT_PATH_BYTES : 0);
}

static int fail(struct reader *r, yaml_mark_t mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Returns ERR_CONFIG with "name:line:column: " in front; libyaml counts both from zero. */
static int fail(struct reader *r, yaml_mark_t mark, const char *format, ...)
{
    char text[sizeof(r->err->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(r->err, ERR_CONFIG, "%s:%zu:%zu: %s", option_short_path(r->name),
                     mark.line + 1, mark.column + 1, text);
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
    return fail(r, p->problem_mark, "not YAML: %s (%s that begins at line %zu, column %zu)",
                p->problem, p->context, p->context_mark.line + 1, p->context_mark.column + 1);
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

/* The current scalar; gone with the next event. */
static struct word current_word(const struct reader *r)
{
    return (struct word){
        .text = (const char *)r->event.data.scalar.value,
        .bytes = r->event.data.scalar.length,
        .style = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? WORD_PLAIN : WORD_QUOTED,
    };
}

static bool is_null(const struct reader *r)
{
    return r->event.type == YAML_SCALAR_EVENT && current_word(r).bytes == 0
        && current_word(r).style == WORD_PLAIN;
}

/* What the current event begins: "a list", or the quoted scalar. */
static const char *found(const struct reader *r, char out[OPTION_WORDS_BYTES])
{
    char shown[OPTION_SHOWN_BYTES];
    if (r->event.type != YAML_SCALAR_EVENT)
        return r->event.type == YAML_SEQUENCE_START_EVENT ? "a list" : "a mapping";
    snprintf(out, OPTION_WORDS_BYTES, "\"%s\"", option_shown(current_word(r), shown));
    return out;
}

/* ---- the grammar ---- */

/* The elements of a list, up to its end. */
static int read_elements(struct reader *r, const struct option_target *t)
{
    char path[OPTION_WORDS_BYTES], words[OPTION_WORDS_BYTES];
    option_path(t->section, t->option, path);
    struct option_ints ints = { 0 };
    int rc;
    while ((rc = next(r)) == 0 && r->event.type != YAML_SEQUENCE_END_EVENT) {
        yaml_mark_t mark = r->event.start_mark;
        if (r->event.type != YAML_SCALAR_EVENT)
            return fail(r, mark, "%s: expected an integer, found %s", path, found(r, words));
        struct error err;
        if (option_read_element(t->option, &ints, current_word(r), &err) != 0)
            return fail(r, mark, "%s, element %d: %s", path, ints.n + 1, err.text);
    }
    if (rc == 0)
        *(struct option_ints *)option_field(t->section, t->option) = ints;
    return rc;
}

static int read_value(struct reader *r, const struct option_target *t)
{
    int rc = next(r);
    if (rc != 0)
        return rc;
    yaml_mark_t mark = r->event.start_mark;
    char path[OPTION_WORDS_BYTES], expected[OPTION_WORDS_BYTES], words[OPTION_WORDS_BYTES];
    option_path(t->section, t->option, path);
    if (r->event.type == YAML_SEQUENCE_START_EVENT && t->option->type == OPTION_INTS)
        return read_elements(r, t);
    if (r->event.type != YAML_SCALAR_EVENT)
        return fail(r, mark, "%s: expected %s, found %s", path,
                    option_expected(t->option, expected), found(r, words));
    struct error err;
    if (option_read(t->option, option_field(t->section, t->option), current_word(r), &err) != 0)
        return fail(r, mark, "%s: %s", path, err.text);
    return 0;
}

/* The current event must be a key that may stand here. */
static int check_key(struct reader *r)
{
    char words[OPTION_WORDS_BYTES];
    if (r->event.type != YAML_SCALAR_EVENT)
        return fail(r, r->event.start_mark, "expected a key, found %s", found(r, words));
    struct word key = current_word(r);
    if (key.style == WORD_PLAIN && key.bytes == 2 && memcmp(key.text, "<<", 2) == 0)
        return fail(r, r->event.start_mark,
                    "merge keys (<<) are not accepted; write the keys out");
    return 0;
}

/* Note where a name was given; giving it again is an error. */
static int note_line(struct reader *r, int *line, const char *what, const char *name)
{
    if (*line != 0)
        return fail(r, r->event.start_mark, "%s%s is given twice; first on line %d", what, name,
                    *line);
    *line = (int)r->event.start_mark.line + 1;
    return 0;
}

/* The current event is an option's key, on the top level (section -1) or in a section. */
static int read_option(struct reader *r, int section)
{
    struct option_target t;
    struct error err;
    char path[OPTION_WORDS_BYTES];
    if (option_find(r->fill, section, current_word(r), &t, &err) != 0)
        return fail(r, r->event.start_mark, "%s", err.text);
    int rc = note_line(r, t.line, "", option_path(t.section, t.option, path));
    return rc == 0 ? read_value(r, &t) : rc;
}

/* The current event is a section's key. A section whose keys are all commented out is empty. */
static int read_section(struct reader *r, int section)
{
    const char *name = r->fill->sections[section].name;
    int rc = note_line(r, option_line(r->fill, section, -1), "section ", name);
    if (rc != 0 || (rc = next(r)) != 0 || is_null(r))
        return rc;
    char words[OPTION_WORDS_BYTES];
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return fail(r, r->event.start_mark,
                    "section %s: expected keys indented below it, found %s", name,
                    found(r, words));
    while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT)
        if ((rc = check_key(r)) != 0 || (rc = read_option(r, section)) != 0)
            break;
    return rc;
}

/* The current event begins the document. */
static int read_document(struct reader *r)
{
    int rc = next(r);
    if (rc != 0 || is_null(r))
        return rc;
    char words[OPTION_WORDS_BYTES];
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return fail(r, r->event.start_mark, "expected \"key: value\" lines, found %s",
                    found(r, words));
    while ((rc = next(r)) == 0 && r->event.type != YAML_MAPPING_END_EVENT) {
        if ((rc = check_key(r)) != 0)
            break;
        int section = current_word(r).bytes ? option_section_find(r->fill, current_word(r)) : -1;
        rc = section >= 0 ? read_section(r, section) : read_option(r, -1);
        if (rc != 0)
            break;
    }
    return rc;
}

/* No document or one. */
static int read_stream(struct reader *r)
{
    int rc = check_lines(r);
    if (rc != 0 || (rc = next(r)) != 0 || (rc = next(r)) != 0
        || r->event.type == YAML_STREAM_END_EVENT)
        return rc;
    if ((rc = read_document(r)) != 0 || (rc = next(r)) != 0 || (rc = next(r)) != 0)
        return rc;
    if (r->event.type != YAML_STREAM_END_EVENT)
        return fail(r, r->event.start_mark, "a second document; a configuration is one");
    return 0;
}

int option_read_yaml(struct option_fill *fill, const char *name, const char *text, size_t bytes,
                     struct error *err)
{
    if (bytes > OPTION_FILE_BYTES)
        return error_set(err, ERR_CONFIG, "%s: a configuration is at most %d bytes, found more",
                         option_short_path(name), OPTION_FILE_BYTES);
    size_t skipped = bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    struct reader r = { .fill = fill, .name = name, .text = text + skipped,
                        .bytes = bytes - skipped, .err = err };
    if (!yaml_parser_initialize(&r.parser))
        return error_set(err, ERR_CONFIG, "libyaml ran out of memory");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.text, r.bytes);
    int rc = read_stream(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return rc;
}

/* ---- the file ---- */

/* Up to OPTION_FILE_BYTES + 1 bytes, so that a longer file shows. */
static int read_all(int fd, const char *path, char *text, size_t *bytes, struct error *err)
{
    for (*bytes = 0; *bytes <= OPTION_FILE_BYTES;) {
        ssize_t n = read(fd, text + *bytes, OPTION_FILE_BYTES + 1 - *bytes);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return error_errno(err, "%s: cannot be read", option_short_path(path));
        *bytes += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int option_read_file(struct option_fill *fill, const char *path, struct error *err)
{
    int rc = 0;
    char *text = NULL;
    size_t bytes = 0;
    struct stat st;
    /* A pipe without a writer must not hold up the program before it is found to be one. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        bool is_missing = errno == ENOENT || errno == ENOTDIR;
        rc = error_errno(err, "%s: cannot be opened", option_short_path(path));
        if (is_missing)
            rc = err->code = ERR_MISSING;
        goto out;
    }
    if (fstat(fd, &st) != 0) {
        rc = error_errno(err, "%s: cannot be examined", option_short_path(path));
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        rc = error_set(err, ERR_IO, "%s: expected a YAML file, found %s", option_short_path(path),
                       S_ISDIR(st.st_mode) ? "a directory" : "something that is not a file");
        goto out;
    }
    text = memory_alloc(1, OPTION_FILE_BYTES + 1);
    rc = read_all(fd, path, text, &bytes, err);
    if (rc == 0)
        rc = option_read_yaml(fill, path, text, bytes, err);
out:
    free(text);
    if (fd >= 0)
        close(fd);
    return rc;
}
