/* What the tests of reading and of writing .npz files share. */
#ifndef SHOAL_TESTS_NPZ_SUPPORT_H
#define SHOAL_TESTS_NPZ_SUPPORT_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/npz.h"
#include "tests/support.h"

#define GOLDEN "tests/golden/npz/"

/* What an array must hold. */
struct known {
    const char *name;
    int n_dims;
    int64_t dims[NPZ_MAX_DIMS];
    const double *data;
};

static char directory[256];

/* In this test's own directory; valid until the next call. */
static inline const char *path_of(const char *name)
{
    static char path[512];
    if (!*directory)
        test_directory("npz", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static inline struct npz *open_npz(const char *path)
{
    struct npz *z;
    struct error err;
    ck_assert_msg(npz_open(&z, path, &err) == 0, "%s", err.text);
    return z;
}

static inline void check_array(const struct npz_array *a, const struct known *k)
{
    ck_assert_msg(a->n_dims == k->n_dims, "%s", k->name);
    for (int d = 0; d < a->n_dims; d++)
        ck_assert_msg(a->dims[d] == k->dims[d], "%s", k->name);
    for (size_t i = 0; i < npz_array_count(a); i++)
        ck_assert_msg(isnan(k->data[i]) ? isnan(a->data[i])
                      : memcmp(&a->data[i], &k->data[i], sizeof(double)) == 0,
                      "%s: element %zu is %g, not %g", k->name, i, a->data[i], k->data[i]);
}

static inline void check_entry(struct npz *z, const struct known *k)
{
    struct npz_array a;
    struct error err;
    ck_assert(npz_has(z, k->name));
    ck_assert_msg(npz_read(z, k->name, NPZ_MAX_ELEMENTS, &a, &err) == 0, "%s", err.text);
    check_array(&a, k);
    npz_array_free(&a);
    ck_assert_ptr_null(a.data);
}

#endif
