/* Files: whole reads with a limit, atomic durable writes, directories. */
#ifndef SHOAL_COMMON_FILE_H
#define SHOAL_COMMON_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "common/error.h"

/* `path`.tmp opened for writing, to be ended by file_commit. */
struct file_writer {
    FILE *fp;
    char path[4096], temporary[4096 + 8];
};

int file_begin(struct file_writer *w, const char *path, struct error *err);

/* Flush, fsync, rename over `path`, fsync the directory. On failure the old file is untouched and
 * the temporary is gone. */
int file_commit(struct file_writer *w, struct error *err);

/* Open a regular file for reading. Anything else is refused (ERR_IO), a pipe at once and not when
 * somebody writes into it. */
int file_open(const char *path, FILE **fp, size_t *bytes, struct error *err);

/* The contents, NUL-terminated, freed by the caller; refuses more than `limit` bytes. */
int file_read(const char *path, size_t limit, char **data, size_t *bytes, struct error *err);

/* Create a directory and its parents. */
int file_make_directory(const char *path, struct error *err);

/* A new directory in $TMPDIR or /tmp whose name begins with `name`.
 *   path  [bytes] where it is */
int file_make_temporary(const char *name, char *path, size_t bytes, struct error *err);

/* Remove a file, or a directory with all that is in it; links are not followed. Returns whether it is gone. */
bool file_remove(const char *path);

bool file_exists(const char *path);

/* The first readable file of that name in `directories` (':' between them; NULL: none).
 *   path  [bytes] where it is; untouched otherwise */
bool file_find(char *path, size_t bytes, const char *directories, const char *name);

#endif
