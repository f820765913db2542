/* A YAML text as a small tree that does not change; the one door to libyaml.
 *
 * Only plain data is read: scalars, lists and mappings with scalar keys, in UTF-8, one document
 * of at most DOCUMENT_BYTES and DOCUMENT_NODES. Anchors, aliases, tags, merge keys, directives,
 * tabs in the indentation, Unicode line separators and keys given twice are refused where they
 * stand, and so is the first list or mapping deeper than the caller allows: hostile text costs
 * little time and memory. What a scalar means (a number, true, nothing) the caller decides.
 *
 * Mistakes are found in reading order: when the text is not accepted, the tree holds what stands
 * in front of that place, so that a caller may first look for mistakes of its own kind there.
 *
 * A document belongs to whoever reads it, in any thread. */
#ifndef SHOAL_COMMON_DOCUMENT_H
#define SHOAL_COMMON_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"

enum { DOCUMENT_BYTES = 1 << 20, DOCUMENT_NODES = 100000 };

struct document;

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAPPING };

/* Elements and keys are chained in the order of the text:
 *   for (const struct node *key = mapping->first; key; key = key->next)
 *       use(key->text, key->value); */
struct node {
    enum node_kind kind;
    bool is_quoted;             /* in quotes, or a block of text */
    bool is_whole;              /* read to its end; false only where the text was not accepted */
    int line, column;           /* from 1; columns count characters */
    int n;                      /* elements of a list, keys of a mapping */
    const struct node *first;   /* the first element or key */
    const struct node *next;    /* the next element or key beside this one */
    const struct node *value;   /* of a key; NULL only where the text was not accepted */
    size_t bytes;               /* of a scalar's text, which may hold any character */
    char text[];                /* NUL-terminated; "" for a list or a mapping */
};

/* Read a text from memory; `name` stands for the path in errors.
 *   max_depth   lists and mappings within each other, 1 for a list of scalars
 * Returns 0 or ERR_CONFIG with "name:line:column: " in front of the message. In both cases *d is
 * the caller's, to be freed. */
int document_parse(struct document **d, const char *name, const char *text, size_t bytes,
                   int max_depth, struct error *err);

/* The same for a file. ERR_MISSING or ERR_IO when it cannot be read, and then *d is NULL. */
int document_read_file(struct document **d, const char *path, int max_depth, struct error *err);

/* The same for the inside of one line's mapping, "a: 1, b: [2, 3]", without its braces. */
int document_parse_line(struct document **d, const char *name, const char *line, size_t bytes,
                        int max_depth, struct error *err);

/* Free the document and all its nodes; NULL is nothing. */
void document_free(struct document **d);

/* NULL when the text holds nothing but comments. Borrowed, like every node. */
const struct node *document_root(const struct document *d);

/* The value of a key, or NULL: not there, or `mapping` is none. */
const struct node *document_find(const struct node *mapping, const char *key);

/* Nothing at all: what stands behind "key:" when all below it is commented out. */
bool document_is_nothing(const struct node *node);

/* Returns ERR_CONFIG with "name:line:column: " of the node in front of the message. */
int document_fail(const struct document *d, const struct node *at, struct error *err,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
