/* Errors an operator or a caller can act on.
 *
 * A function that can fail returns 0 or a negative code and fills a `struct error` on the
 * caller's stack: what was wrong, where, and what to do. Only main prints and exits.
 * Our own bugs are asserts; what peers send is counted, never an error here. */
#ifndef SHOAL_COMMON_ERROR_H
#define SHOAL_COMMON_ERROR_H

#include <stddef.h>

/* code, value, text, process exit status */
#define ERRORS(X) \
    X(ERR_USAGE, -1, "wrong usage", 64) \
    X(ERR_CONFIG, -2, "invalid configuration", 78) \
    X(ERR_MISSING, -3, "something needed is missing", 78) \
    X(ERR_IO, -4, "input or output failed", 74) \
    X(ERR_FORMAT, -5, "malformed data", 65) \
    X(ERR_AGAIN, -6, "not ready yet", 75) \
    X(ERR_REFUSED, -7, "refused by the other side", 78) \
    X(ERR_NUMERIC, -8, "non-finite numbers", 70) \
    X(ERR_INTERRUPTED, -9, "interrupted", 130) \
    X(ERR_LIMIT, -10, "a limit was exceeded", 65) \
    X(ERR_TEMPORARY, -11, "failed for now", 75) \
    X(ERR_DIFFERENT, -12, "results differ", 1)

enum error_code {
#define X(name, value, text, status) name = value,
    ERRORS(X)
#undef X
};

struct error {
    int code;
    char text[512];    /* holds a path, a key and a hint; longer texts are cut */
};

/* Fill `err` (may be NULL) and return `code`, so that callers write `return error_set(...)`. */
int error_set(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set with ERR_IO, followed by ": " and the text of errno. */
int error_errno(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Put "format: " in front of what `err` already says. Returns err->code. */
int error_prefix(struct error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The general text of a code, and the exit status a process ends with because of it. */
const char *error_text(int code);
int error_exit_status(int code);

#endif
