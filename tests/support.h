/* What every test program shares: one suite per file, one process per test. */
#ifndef SHOAL_TESTS_SUPPORT_H
#define SHOAL_TESTS_SUPPORT_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

/* Run the tests under Check's runner, print its totals, and return the exit status of the
 * program. CK_FORK=no, CK_RUN_CASE and Check's other variables work. */
int suite_run(const char *name, const TTest *const *tests, size_t n, int timeout_s);

/* A fresh directory below TMPDIR or /tmp, left behind for inspection; its path. */
const char *test_directory(const char *name, char *path, size_t bytes);

/* Write a whole file; read one into a malloc'ed, NUL-terminated block. */
void test_write(const char *path, const void *data, size_t bytes);
char *test_read(const char *path, size_t *bytes);

#define TEST_COUNT(a) (sizeof(a) / sizeof(*(a)))

#endif
