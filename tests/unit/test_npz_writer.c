/* What is written: NumPy's own bytes (tests/golden/make_npz_golden.py), or nothing. */
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/npy.h"
#include "tests/unit/npz_support.h"

START_TEST(headers_are_those_of_numpy_byte_for_byte)
{
    size_t n, n_records = 0;
    char *data = test_read(GOLDEN "headers.bin", &n), ours[NPY_HEADER_BYTES];
    for (size_t at = 0; at < n; n_records++) {
        int64_t record[7];    /* type, n_dims, dims[4], bytes */
        memcpy(record, data + at, sizeof(record));
        at += sizeof(record);
        size_t bytes = npy_header((enum npz_type)record[0], (int)record[1], record + 2, ours);
        ck_assert_uint_eq(bytes, (size_t)record[6]);
        ck_assert_mem_eq(ours, data + at, bytes);
        at += bytes;
    }
    ck_assert_uint_ge(n_records, 40);
    free(data);
}
END_TEST

static void append(struct npz_writer *w, int column, const void *row)
{
    struct error err;
    ck_assert_msg(npz_writer_append(w, column, row, &err) == 0, "%s", err.text);
}

static int add(struct npz_writer *w, const char *name, enum npz_type type, int n_dims,
               const int64_t *dims)
{
    struct error err;
    int column = npz_writer_add(w, name, type, n_dims, dims, &err);
    ck_assert_msg(column >= 0, "%s", err.text);
    return column;
}

/* The arrays of the golden .npy files, with rows interleaved. */
static void write_golden(const char *path)
{
    struct error err;
    struct npz_writer *w = npz_writer_create(path);
    int f64 = add(w, "f64", NPZ_F64, 1, (const int64_t[]){ 3 });
    int f32 = add(w, "f32", NPZ_F32, 2, (const int64_t[]){ 1, 2 });
    int i64 = add(w, "i64", NPZ_I64, 3, (const int64_t[]){ 2, 2, 2 });
    int boolean = add(w, "bool", NPZ_BOOL, 1, (const int64_t[]){ 2 });
    int flat = add(w, "flat", NPZ_F64, 0, NULL);
    for (int t = 0; t < 5; t++) {
        int64_t cube[8];
        for (int i = 0; i < 8; i++)
            cube[i] = (8 * t + i) * -((int64_t)1 << 40);
        append(w, f64, (const double[]){ 3 * t / 8.0, (3 * t + 1) / 8.0, (3 * t + 2) / 8.0 });
        if (t < 4)
            append(w, f32, (const float[]){ (float)(2 * t) - 0.5f, (float)(2 * t) + 0.5f });
        if (t < 2)
            append(w, i64, cube);
        if (t < 3) {
            append(w, boolean, (const bool[]){ t != 1, t != 0 });
            append(w, flat, &(const double){ t + 0.25 });
        }
    }
    ck_assert_msg(npz_writer_finish(w, &err) == 0, "%s", err.text);
    npz_writer_destroy(&w);
    ck_assert_ptr_null(w);
    npz_writer_destroy(&w);
}

static const char *const written[] = { "f64", "f32", "i64", "bool", "flat" };

START_TEST(what_is_written_are_the_bytes_of_numpy_and_is_read_back)
{
    size_t n, n_npy;
    write_golden(path_of("ours.npz"));
    struct npz *z = open_npz(path_of("ours.npz"));
    char *ours = test_read(path_of("ours.npz"), &n);
    for (size_t i = 0; i < TEST_COUNT(written); i++) {
        struct npz_array a, b;
        char path[128];
        snprintf(path, sizeof(path), GOLDEN "%s.npy", written[i]);
        char *npy = test_read(path, &n_npy);
        ck_assert_msg(memmem(ours, n, npy, n_npy) != NULL, "%s", path);
        free(npy);
        ck_assert_int_eq(npy_read(path, NPZ_MAX_ELEMENTS, &a, NULL), 0);
        ck_assert_int_eq(npz_read(z, written[i], NPZ_MAX_ELEMENTS, &b, NULL), 0);
        check_array(&b, &(struct known){ path, a.n_dims, { a.dims[0], a.dims[1], a.dims[2],
                                                           a.dims[3] }, a.data });
        npz_array_free(&a);
        npz_array_free(&b);
    }
    npz_close(&z);
    free(ours);
}
END_TEST

START_TEST(numpy_reads_what_is_written)
{
    char command[1200];
    write_golden(path_of("ours.npz"));
    if (system("python3 -c 'import numpy' 2>/dev/null") != 0)
        return;    /* the bytes are checked above */
    snprintf(command, sizeof(command), "python3 -c \"\n"
             "import numpy as np, zipfile\n"
             "z = np.load('%s', allow_pickle=False)\n"
             "assert z.files == 'f64 f32 i64 bool flat'.split(), z.files\n"
             "for name in z.files:\n"
             "    golden = np.load('" GOLDEN "' + name + '.npy')\n"
             "    assert z[name].dtype == golden.dtype and z[name].shape == golden.shape\n"
             "    assert (z[name] == golden).all(), name\n"
             "for i in zipfile.ZipFile(z.zip.filename).infolist():\n"
             "    assert i.compress_type == 0 and i.date_time == (1980, 1, 1, 0, 0, 0), i\n\"",
             path_of("ours.npz"));
    ck_assert_int_eq(system(command), 0);
}
END_TEST

static size_t entries_in(const char *path)
{
    char command[600];
    unsigned n;
    snprintf(command, sizeof(command), "ls -A '%s' | wc -l", path);
    FILE *fp = popen(command, "r");
    ck_assert_int_eq(fscanf(fp, "%u", &n), 1);
    pclose(fp);
    return n;
}

START_TEST(equal_rows_give_equal_files_in_every_time_zone_and_nothing_else)
{
    static const char *const zones[] = { "UTC", "America/New_York", "XYZ-13:45" };
    char *first = NULL, path[512];
    size_t n, n_first = 0;
    snprintf(path, sizeof(path), "%s", path_of("alone"));
    ck_assert_int_eq(mkdir(path, 0777), 0);
    for (size_t i = 0; i < TEST_COUNT(zones); i++) {
        setenv("TZ", zones[i], 1);
        write_golden(path_of("alone/same.npz"));
        char *data = test_read(path_of("alone/same.npz"), &n);
        if (first) {
            ck_assert_uint_eq(n, n_first);
            ck_assert_mem_eq(data, first, n);
            free(data);
        } else {
            first = data;
            n_first = n;
        }
    }
    free(first);
    ck_assert_uint_eq(entries_in(path), 1);
    /* Abandoned, a writer leaves nothing. */
    struct npz_writer *w = npz_writer_create(path_of("alone/never.npz"));
    append(w, add(w, "x", NPZ_F64, 0, NULL), &(const double){ 1 });
    npz_writer_destroy(&w);
    ck_assert_uint_eq(entries_in(path), 1);
}
END_TEST

START_TEST(arrays_without_rows_or_without_elements_are_written)
{
    struct error err;
    struct npz_writer *w = npz_writer_create(path_of("none.npz"));
    add(w, "rows", NPZ_F32, 1, (const int64_t[]){ 4 });
    int elements = add(w, "elements", NPZ_F64, 1, (const int64_t[]){ 0 });
    append(w, elements, "");
    append(w, elements, "");
    ck_assert_msg(npz_writer_finish(w, &err) == 0, "%s", err.text);
    npz_writer_destroy(&w);
    struct npz *z = open_npz(path_of("none.npz"));
    check_entry(z, &(struct known){ "rows", 2, { 0, 4 }, NULL });
    check_entry(z, &(struct known){ "elements", 2, { 2, 0 }, NULL });
    npz_close(&z);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_said_before_any_row)
{
    struct error err;
    struct npz_writer *w = npz_writer_create(path_of("no/such/place.npz"));
    ck_assert_int_eq(npz_writer_add(w, "x", NPZ_F64, 0, NULL, &err), ERR_IO);
    ck_assert_msg(strstr(err.text, "no/such/place.npz: No such file") != NULL, "%s", err.text);
    npz_writer_destroy(&w);
}
END_TEST

/* Under a limit on the size of files: whether a writer of 2 x 2000 numbers fails and says so. Without
 * Check, whose messages are files too. */
static bool fails_within(const char *path, rlim_t bytes)
{
    struct error err = { 0 };
    struct npz_writer *w = npz_writer_create(path);
    int x = npz_writer_add(w, "x", NPZ_F64, 0, NULL, &err);
    int y = npz_writer_add(w, "y", NPZ_F64, 0, NULL, &err);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &(const struct rlimit){ bytes, bytes });
    int rc = 0;
    for (int t = 0; t < 2000 && rc == 0; t++) {
        rc = npz_writer_append(w, x, &(const double){ t }, &err);
        if (rc == 0)
            rc = npz_writer_append(w, y, &(const double){ t }, &err);
    }
    bool is_good = rc == 0 || strstr(err.text, path) != NULL;
    rc = npz_writer_finish(w, &err);
    npz_writer_destroy(&w);
    return is_good && rc == ERR_IO && strstr(err.text, path) != NULL;
}

START_TEST(a_write_cut_short_leaves_the_old_file_and_no_temporary)
{
    /* Rows that do not fit, their last ones that do not, an archive that does not. */
    static const rlim_t limits[] = { 4096, 16000, 20000 };
    char folder[512], path[600];
    snprintf(folder, sizeof(folder), "%s", path_of("short"));
    ck_assert_int_eq(mkdir(folder, 0777), 0);
    snprintf(path, sizeof(path), "%s/kept.npz", folder);
    test_write(path, "old", 3);
    for (size_t i = 0; i < TEST_COUNT(limits); i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(fails_within(path, limits[i]) ? 0 : 1);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        size_t n;
        char *data = test_read(path, &n);
        ck_assert_uint_eq(n, 3);
        ck_assert_str_eq(data, "old");
        free(data);
        ck_assert_uint_eq(entries_in(folder), 1);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        headers_are_those_of_numpy_byte_for_byte,
        what_is_written_are_the_bytes_of_numpy_and_is_read_back,
        numpy_reads_what_is_written,
        equal_rows_give_equal_files_in_every_time_zone_and_nothing_else,
        arrays_without_rows_or_without_elements_are_written,
        a_directory_that_is_not_there_is_said_before_any_row,
        a_write_cut_short_leaves_the_old_file_and_no_temporary,
    };
    return suite_run("npz_writer", tests, TEST_COUNT(tests), 60);
}
