/* What the option sources share; nobody else includes this.
 *
 *   option.c        the tables: names, defaults, files and overrides put together
 *   option_value.c  one value from the operator's text
 *   option_print.c  values and what is allowed, for people and as YAML
 *   option_yaml.c   from a document's tree to values, with a position in every error */
#ifndef SHOAL_COMMON_OPTION_PRIVATE_H
#define SHOAL_COMMON_OPTION_PRIVATE_H

#include "common/option.h"

enum {
    OPTION_SHOWN_BYTES = 64,                       /* of foreign text in a message */
    OPTION_WORDS_BYTES = 256,                      /* of "a number from 0 to 1" */
    OPTION_NUMBER_BYTES = 64,
    OPTION_MAX_CHOICES = 32,
    OPTION_FORMAT_BYTES = 2 * OPTION_TEXT_BYTES + 2    /* a text, every byte escaped, in quotes */
};

enum word_style {
    WORD_BARE,      /* from a table or the command line: no YAML syntax but [ ] */
    WORD_PLAIN,     /* YAML without quotes */
    WORD_QUOTED     /* YAML in quotes, or a block */
};

/* A piece of text as the operator wrote it. Not NUL-terminated; may hold any byte. */
struct word {
    const char *text;
    size_t bytes;
    enum word_style style;
};

/* The field of one option, of any type. */
union option_value {
    bool b;
    int64_t i;
    double x;
    char text[OPTION_TEXT_BYTES];
    int choice;
    struct option_ints ints;
    struct option_range range;
};

/* The elements of an OPTION_INTS or OPTION_RANGE while they are read. */
struct option_list {
    int n;
    union {
        int ints[OPTION_MAX_INTS];
        double ends[2];
    };
};

/* An OPTION_CHOICE's names, taken apart. */
struct option_choices {
    char text[512];
    const char *names[OPTION_MAX_CHOICES];
    int n;
};

/* The tables that are being filled, and where each option was given. */
struct option_fill {
    const struct option_section *sections;
    int n_sections;
    int *lines;     /* per section its own line, then one per option; 0: not given */
};

/* One option found by name. */
struct option_target {
    const struct option_section *section;
    const struct option *option;    /* NULL: an open section does not know it */
    int *line;
};

/* ---- option.c ---- */

/* The line a section (option -1) or an option was given on. */
int *option_line(const struct option_fill *fill, int section, int option);

/* Index of the section called `name`, or -1. */
int option_section_find(const struct option_fill *fill, struct word name);

/* Find "key" or "section.key"; with `section` >= 0 a key in that section. On an unknown name
 * `err` names the nearest known one. Returns 0 or ERR_CONFIG. */
int option_find(const struct option_fill *fill, int section, struct word key,
                struct option_target *target, struct error *err);

/* "section.key" or "key". Returns `out`. */
const char *option_path(const struct option_section *s, const struct option *o,
                        char out[OPTION_WORDS_BYTES]);

static inline void *option_field(const struct option_section *s, const struct option *o)
{
    return (char *)s->base + o->offset;
}

/* ---- option_value.c ---- */

/* Read `w` into the option's field. Lists are read from a bare word only. On an error
 * `err` reads: expected a number from 0 to 1, found "fast". Returns 0 or ERR_CONFIG. */
int option_read(const struct option *o, void *field, struct word w, struct error *err);

static inline bool option_is_list(const struct option *o)
{
    return o->type == OPTION_INTS || o->type == OPTION_RANGE;
}

/* No bounds were given for the ends of a range. */
static inline bool option_is_unbounded(const struct option *o)
{
    return o->type == OPTION_RANGE && o->min == 0 && o->max == 0;
}

/* What one element of a list is: "an integer". */
const char *option_element(const struct option *o);

/* Append one element to a list that began as { 0 }, and put the whole list into the field. Errors
 * as above. */
int option_read_element(const struct option *o, struct option_list *list, struct word w,
                        struct error *err);
int option_end_list(const struct option *o, const struct option_list *list, void *field,
                    struct error *err);

/* The default, or zeros for a required option. A wrong default in a table aborts. */
void option_default(const struct option *o, void *field);

/* ---- option_print.c ---- */

/* The value as YAML, within one line. */
void option_format(const struct option *o, const void *field, char out[OPTION_FORMAT_BYTES]);

/* What is allowed, for a message: "a number from 0 to 1". Returns `out`. */
const char *option_expected(const struct option *o, char out[OPTION_WORDS_BYTES]);

/* As above with the noun chosen by the caller: "an integer" for one element of a list. */
const char *option_expected_number(const struct option *o, const char *what,
                                   char out[OPTION_WORDS_BYTES]);

void option_choices(const struct option *o, struct option_choices *c);

/* Bytes of the UTF-8 character at `text`; 0 when malformed, a control or a line separator. */
size_t option_printable(const char *text, size_t bytes);

/* Foreign text, shortened and with '?' for what is not printable. Returns `out`. */
const char *option_shown(struct word w, char out[OPTION_SHOWN_BYTES]);

/* ---- option_yaml.c ---- */

/* Read a configuration from memory. Errors begin with name:line:column. */
int option_read_yaml(struct option_fill *fill, const char *name, const char *text, size_t bytes,
                     struct error *err);

/* The same from a file; ERR_MISSING or ERR_IO when it cannot be read. */
int option_read_file(struct option_fill *fill, const char *path, struct error *err);

/* The same from one line that holds the first section's keys. */
int option_read_line(struct option_fill *fill, const char *name, const char *line, size_t bytes,
                     struct error *err);

#endif
