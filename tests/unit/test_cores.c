/* How many cores there are to use: what containers and services are limited to. */
#include "deploy/cores.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "tests/support.h"

static char root[200];

static void begin(void)
{
    test_directory("cores", root, sizeof(root));
}

/* A file below `root`, with the directories it is in. */
static const char *put(const char *directory, const char *name, const char *text)
{
    static char path[600];
    struct error err;
    snprintf(path, sizeof(path), "%s/%s", root, directory);
    ck_assert_int_eq(file_make_directory(path, &err), 0);
    snprintf(path, sizeof(path), "%s/%s/%s", root, directory, name);
    test_write(path, text, strlen(text));
    return path;
}

static double quota(const char *groups)
{
    return cores_of_quota(put("", "groups", groups), root);
}

START_TEST(without_a_limit_there_is_none)
{
    begin();
    ck_assert(isinf(cores_of_quota("/nowhere/at/all", root)));
    ck_assert(isinf(quota("0::/\n")));
    put("a", "cpu.max", "max 100000\n");
    ck_assert(isinf(quota("0::/a\n")));
    put("cpu/a", "cpu.cfs_period_us", "100000\n");
    put("cpu/a", "cpu.cfs_quota_us", "-1\n");
    ck_assert(isinf(quota("4:cpu:/a\n")));
    ck_assert(isinf(quota("what is this\n:\n::\n")));
}
END_TEST

START_TEST(the_lowest_limit_on_the_way_up_holds)
{
    begin();
    put("a/b", "cpu.max", "600000 100000\n");
    put("a", "cpu.max", "150000 50000\n");
    ck_assert_double_eq(quota("0::/a/b\n"), 3);
    put("", "cpu.max", "350000 100000\n");
    ck_assert_double_eq(quota("0::/a/b\n"), 3);
    ck_assert_double_eq(quota("0::/other\n"), 3.5);
    put("a/b", "cpu.max", "50000 100000\n");
    ck_assert_double_eq(quota("0::/a/b\n"), 0.5);
    ck_assert_double_eq(quota("0::/a\n"), 3);
}
END_TEST

/* Its group has a name there that only the outside knows. */
START_TEST(a_container_sees_its_own_limit_at_the_root)
{
    begin();
    put("cpu", "cpu.cfs_period_us", "100000\n");
    put("cpu", "cpu.cfs_quota_us", "250000\n");
    ck_assert_double_eq(quota("5:memory:/docker/12ab\n4:cpu,cpuacct:/docker/12ab\n"), 2.5);
    ck_assert_double_eq(quota("4:cpuacct,cpu:/docker/12ab\n"), 2.5);
}
END_TEST

START_TEST(limits_of_other_controllers_do_not_count)
{
    begin();
    put("cpu/a", "cpu.cfs_period_us", "100000\n");
    put("cpu/a", "cpu.cfs_quota_us", "100000\n");
    ck_assert(isinf(quota("4:cpuset:/a\n5:memory:/a\n6:cpuacct:/a\n7:cpu:/b\n")));
}
END_TEST

START_TEST(this_process_may_run_on_a_core)
{
    ck_assert_int_ge(cores_available(), 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        without_a_limit_there_is_none, the_lowest_limit_on_the_way_up_holds, a_container_sees_its_own_limit_at_the_root,
        limits_of_other_controllers_do_not_count, this_process_may_run_on_a_core,
    };
    return suite_run("cores", tests, TEST_COUNT(tests), 20);
}
