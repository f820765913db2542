/* Temporary directories, and removing what is in them. */
#include "common/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support.h"

static struct error err;

START_TEST(temporary_directories_are_new_ones_where_tmpdir_says)
{
    char here[256], first[300], second[300], small[8];
    test_directory("file", here, sizeof(here));
    setenv("TMPDIR", here, 1);
    ck_assert_int_eq(file_make_temporary("shoal-x", first, sizeof(first), &err), 0);
    ck_assert_int_eq(file_make_temporary("shoal-x", second, sizeof(second), &err), 0);
    ck_assert_str_ne(first, second);
    ck_assert_int_eq(strncmp(first, here, strlen(here)), 0);
    ck_assert_ptr_nonnull(strstr(first, "/shoal-x-"));
    ck_assert(access(first, W_OK | X_OK) == 0);

    ck_assert_int_eq(file_make_temporary("shoal-x", small, sizeof(small), &err), ERR_IO);
    setenv("TMPDIR", "/nonexistent", 1);
    ck_assert_int_ne(file_make_temporary("shoal-x", first, sizeof(first), &err), 0);
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/shoal-x-"));
}
END_TEST

START_TEST(removing_takes_all_below_and_nothing_that_links_point_at)
{
    char here[256], kept[300], tree[300], path[400];
    test_directory("file", here, sizeof(here));
    snprintf(kept, sizeof(kept), "%s/kept", here);
    snprintf(tree, sizeof(tree), "%s/tree", here);
    snprintf(path, sizeof(path), "%s/a/b/c", tree);
    ck_assert_int_eq(file_make_directory(path, &err), 0);
    ck_assert_int_eq(file_make_directory(kept, &err), 0);
    snprintf(path, sizeof(path), "%s/a/b/file", tree);
    test_write(path, "x", 1);
    snprintf(path, sizeof(path), "%s/file", kept);
    test_write(path, "y", 1);
    snprintf(path, sizeof(path), "%s/a/link", tree);
    ck_assert_int_eq(symlink(kept, path), 0);

    ck_assert(file_remove(tree));
    ck_assert(!file_exists(tree));
    snprintf(path, sizeof(path), "%s/file", kept);
    ck_assert(file_exists(path));
    ck_assert(file_remove(path) && !file_exists(path));
    ck_assert(!file_remove(path));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        temporary_directories_are_new_ones_where_tmpdir_says,
        removing_takes_all_below_and_nothing_that_links_point_at,
    };
    return suite_run("file", tests, TEST_COUNT(tests), 30);
}
