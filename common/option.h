/* Configuration: one table of options per section, filled from YAML and key=value overrides.
 *
 * A section is a table of options over one plain struct. The engine knows nothing of what the
 * options mean; every error names file, line, column, what was expected and, for an unknown key,
 * the nearest known one. YAML is plain data as common/document.h reads it, nothing deeper than a
 * list in a section. At the top level "section.key: value" is accepted, too. */
#ifndef SHOAL_COMMON_OPTION_H
#define SHOAL_COMMON_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"

enum { OPTION_TEXT_BYTES = 256, OPTION_MAX_INTS = 8 };

enum option_type {
    OPTION_BOOL,      /* bool: true or false */
    OPTION_INT,       /* int64_t, decimal; 1e6 and 20_000 are accepted when integral */
    OPTION_REAL,      /* double, finite */
    OPTION_TEXT,      /* char[OPTION_TEXT_BYTES] */
    OPTION_CHOICE,    /* int: index into `choices` */
    OPTION_INTS,      /* struct option_ints: [256, 256]; on the command line 256,256 or [256,256] */
    OPTION_RANGE      /* struct option_range: [0.7, .inf]; also 0.7,.inf on the command line */
};

struct option_ints {
    int n;
    int v[OPTION_MAX_INTS];
};

/* low <= high; either may be infinite, written .inf and -.inf. */
struct option_range {
    double low, high;
};

struct option {
    const char *name;
    enum option_type type;
    size_t offset;          /* into the section's struct */
    const char *value;      /* the default, written as after "key=" (no quotes); NULL: required */
    double min, max;        /* inclusive; they bound every element of OPTION_INTS, and both ends
                             * of OPTION_RANGE unless both are 0 */
    const char *choices;    /* OPTION_CHOICE: "sync|pipelined|async" */
    const char *help;       /* one sentence, without a full stop */
};

struct option_section {
    const char *name;       /* "" for the top level */
    const char *help;
    const struct option *options;
    int n_options;
    void *base;             /* the struct that is filled */
    bool is_hidden;         /* accepted and checked, but neither printed nor required */
    bool is_open;           /* keys it does not know are passed over, whatever their value: a first
                             * pass reads what names the table of the second */
    const char *refusal;    /* not NULL: giving any of its keys is an error with this text */
    const void *usual;      /* a struct like `base` with what printing calls defaults; NULL: the table's */
    const void *preset;     /* the same with a preset chosen; NULL: none is */
};

/* Values that are applied together in front of what people give. */
struct option_preset {
    const char *const *values;              /* "section.key=value", NULL-terminated */
    const struct option_preset *next;       /* applied after these; NULL: no more */
};

/* Give every option its default. A required option keeps zeros. */
void options_default(const struct option_section *sections, int n_sections);

/* Defaults, then presets (written as overrides; a wrong one aborts), then the file (NULL: none), then
 * overrides "section.key=value" or "key=value" in order. On an error `err` reads like
 *   configs/a.yaml:3:7: unknown key "gama" in section "sac"; did you mean "gamma"?
 *   configs/a.yaml:4:12: sac.gamma: expected a number from 0 to 1, found "fast"
 *   override "sac.gamma=2": expected a number from 0 to 1, found "2"
 * Returns 0, ERR_CONFIG, or ERR_IO / ERR_MISSING when the file cannot be read. */
int options_load(const struct option_section *sections, int n_sections,
                 const struct option_preset *presets, const char *path, char *const *overrides,
                 int n_overrides, struct error *err);

/* The same from memory; `name` stands for the path in errors. */
int options_parse(const struct option_section *sections, int n_sections, const char *name,
                  const char *text, size_t bytes, struct error *err);

/* The resolved configuration as YAML that options_load reads back to the same values. With
 * comments: help, range or choices, what the preset has where it differs from the default or the value
 * from it, and the default where the value differs from it. */
void options_print(const struct option_section *sections, int n_sections, bool with_comments,
                   FILE *out);

/* One section's options as one line of YAML without braces, "is_fast: true, sizes: [2, 3]", NUL-
 * terminated. With `only_changed` those that differ from their default, and the required ones.
 * Returns its length, or -1 when it does not fit `bytes`; then `out` holds "". */
int options_print_line(const struct option_section *section, bool only_changed, char *out,
                       size_t bytes);

/* Defaults, then such a line, which may hold any bytes: the values are the ones that were printed,
 * bit for bit. `name` stands for the path in errors. Returns 0, or ERR_CONFIG as options_load
 * with nothing but defaults in the section. */
int options_parse_line(const struct option_section *section, const char *name, const char *line,
                       size_t bytes, struct error *err);

/* Name of the chosen entry of an OPTION_CHOICE table row, copied to `out`. */
void option_choice_name(const struct option *o, int index, char *out, size_t bytes);

/* The candidate nearest to `word` by edit distance, or NULL when none is near.
 *   candidates [n] */
const char *nearest_word(const char *word, const char *const *candidates, int n);

#endif
