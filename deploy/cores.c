#include "deploy/cores.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CORES = 64 * CPU_SETSIZE };

/* ---- the cores that the system lets it run on ---- */

/* Of a machine with more cores than a cpu_set_t has. */
static int cores_of_large_set(void)
{
    int n = 0;
    for (int most = 8 * CPU_SETSIZE; n == 0 && most <= MOST_CORES; most *= 8) {
        cpu_set_t *set = CPU_ALLOC((size_t)most);
        const size_t bytes = CPU_ALLOC_SIZE((size_t)most);
        if (set && sched_getaffinity(0, bytes, set) == 0)
            n = CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
    }
    return n;
}

/* ---- the time that control groups allow ---- */

/* One number or two from a file of a control group. Returns how many there were: "max" is none. */
static int read_numbers(const char *directory, const char *name, double *first, double *second)
{
    char path[2 * PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    const int n = fscanf(f, "%lf %lf", first, second);
    fclose(f);
    return n;
}

static double limit_at(const char *directory)
{
    double quota, period, none;    /* microseconds of CPU time in so many of real time */
    const bool is_limited = read_numbers(directory, "cpu.max", &quota, &period) == 2
                         || (read_numbers(directory, "cpu.cfs_quota_us", &quota, &none) == 1
                             && read_numbers(directory, "cpu.cfs_period_us", &period, &none) == 1);
    return is_limited && quota > 0 && period > 0 ? quota / period : (double)INFINITY;
}

/* Of a group and all above it: the lowest. */
static double limit_of(const char *root, const char *hierarchy, char *group)
{
    char directory[PATH_MAX];
    double limit = (double)INFINITY;
    for (char *end = group + strlen(group); end; end = strrchr(group, '/')) {
        *end = '\0';
        snprintf(directory, sizeof(directory), "%s%s%s", root, hierarchy, group);
        limit = fmin(limit, limit_at(directory));
    }
    return limit;
}

/* Whether `name` is in a list with ',' between. */
static bool has(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (; list; list = strchr(list, ',') ? strchr(list, ',') + 1 : NULL)
        if (strncmp(list, name, n) == 0 && (list[n] == ',' || list[n] == '\0'))
            return true;
    return false;
}

double cores_of_quota(const char *groups, const char *root)
{
    char line[PATH_MAX];
    double limit = (double)INFINITY;
    FILE *f = fopen(groups, "re");
    while (f && fgets(line, sizeof(line), f)) {
        /* NUMBER:CONTROLLERS:GROUP, without controllers in version 2. */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group)
            continue;
        *group++ = '\0';
        controllers++;
        if (*controllers == '\0' || has(controllers, "cpu"))
            limit = fmin(limit, limit_of(root, *controllers ? "/cpu" : "", group));
    }
    if (f)
        fclose(f);
    return limit;
}

/* ---- both ---- */

int cores_available(void)
{
    cpu_set_t set;
    const int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : cores_of_large_set();
    const double limit = cores_of_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    return (int)fmax(1, fmin(n, round(limit)));
}
