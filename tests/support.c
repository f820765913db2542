#include "tests/support.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/kernels.h"

/* SHOAL_TEST_KERNELS=openblas, or amx/bf16x3 with a precision: networks are multiplied by another set than the
 * CPU's best. Returns false, having said so, when this CPU or build lacks it; an unknown name ends the program. */
static bool choose_kernels(void)
{
    const char *asked = getenv("SHOAL_TEST_KERNELS");
    char name[64];
    if (!asked)
        return true;
    for (int i = 0; kernels_all[i]; i++) {
        const struct kernels *k = kernels_all[i];
        snprintf(name, sizeof(name), "%s/%s", k->name, precision_name(k->precision));
        if (strcmp(asked, name) != 0 && !(k->precision == PRECISION_F32 && strcmp(asked, k->name) == 0))
            continue;
        kernels_set_default(k);
        if (!k->is_supported())
            printf("    skipped: this CPU lacks what %s kernels need\n", name);
        return k->is_supported();
    }
    const int length = (int)strcspn(asked, "/");
    snprintf(name, sizeof(name), "|%.*s|", length, asked);
    if (length > 0 && strstr("|" KERNELS_CHOICES "|", name)) {
        printf("    skipped: this build has no %s kernels\n", asked);
        return false;
    }
    fprintf(stderr, "SHOAL_TEST_KERNELS: there are no kernels called \"%s\"\n", asked);
    exit(EXIT_FAILURE);
}

int suite_run(const char *name, const TTest *const *tests, size_t n, int timeout_s)
{
    if (!choose_kernels()) {
        printf("Checks: 0, Failures: 0, Errors: 0\n");
        return EXIT_SUCCESS;
    }
    Suite *suite = suite_create(name);
    TCase *cases = tcase_create(name);
    tcase_set_timeout(cases, timeout_s);
    for (size_t i = 0; i < n; i++)
        tcase_add_test(cases, tests[i]);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

const char *test_directory(const char *name, char *path, size_t bytes)
{
    const char *parent = getenv("TMPDIR");
    snprintf(path, bytes, "%s/shoal-%s-XXXXXX", parent ? parent : "/tmp", name);
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

void test_write(const char *path, const void *data, size_t bytes)
{
    FILE *fp = fopen(path, "wb");
    ck_assert_ptr_nonnull(fp);
    ck_assert_uint_eq(fwrite(data, 1, bytes, fp), bytes);
    ck_assert_int_eq(fclose(fp), 0);
}

char *test_read(const char *path, size_t *bytes)
{
    FILE *fp = fopen(path, "rb");
    ck_assert_msg(fp != NULL, "cannot open %s", path);
    fseek(fp, 0, SEEK_END);
    long size = ftell(fp);
    rewind(fp);
    char *data = calloc(1, (size_t)size + 1);
    ck_assert_uint_eq(fread(data, 1, (size_t)size, fp), (size_t)size);
    fclose(fp);
    if (bytes)
        *bytes = (size_t)size;
    return data;
}
