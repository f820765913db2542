/* Small things that several modules do with texts. */
#ifndef SHOAL_COMMON_TEXT_H
#define SHOAL_COMMON_TEXT_H

#include <stdbool.h>
#include <stdint.h>

enum { TEXT_SHORT_PATH_BYTES = 160 };

/* Whether `text` ends in `end` and has something in front of it. */
bool text_ends_with(const char *text, const char *end);

/* The end of a path, short enough to leave room for the message behind it: at most
 * TEXT_SHORT_PATH_BYTES, inside `path`. */
const char *text_short_path(const char *path);

/* Make one line of several, in place. */
void text_join_lines(char *text);

/* What stands behind a noun: "" for 1, else "s". */
const char *text_plural(int64_t n);

#endif
