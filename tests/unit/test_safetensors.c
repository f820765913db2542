#include "common/safetensors.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/support.h"

static const size_t element[] = { [TENSOR_F32] = 4, [TENSOR_F64] = 8, [TENSOR_I64] = 8,
                                  [TENSOR_U8] = 1 };
static const float weights[6] = { 1, -2, 3.5f, 0, -0.0f, 1e-40f };
static const double moments[3] = { 1.0 / 3, -1e300, 0 };
static const int64_t counters[2] = { INT64_MIN, 42 };
static const uint8_t bytes_of[5] = { 0, 1, 2, 254, 255 };

/* One tensor of each type, from no dimension to three, the odd-sized one last. */
static const struct tensor tensors[] = {
    { "policy.weights", TENSOR_F32, 2, { 2, 3 }, weights },
    { "moments", TENSOR_F64, 3, { 1, 3, 1 }, moments },
    { "counters", TENSOR_I64, 1, { 2 }, counters },
    { "scalar", TENSOR_F64, 0, { 0 }, moments },
    { "nothing", TENSOR_F32, 2, { 0, 7 }, weights },
    { "bytes \"quoted\"", TENSOR_U8, 1, { 5 }, bytes_of },
};
static const struct tensor_metadata metadata[] = {
    { "version", "1" }, { "algorithm", "sac" }, { "note", "two\nlines, \"quotes\" and \xc3\xa9" },
};

static char directory[256];

static const char *path_of(const char *name)
{
    static char path[512];
    if (!*directory)
        test_directory("safetensors", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static void write_all(const char *path)
{
    struct error err;
    ck_assert_msg(safetensors_write(path, tensors, TEST_COUNT(tensors), metadata,
                                    TEST_COUNT(metadata), &err) == 0, "%s", err.text);
}

/* Read every byte that is reachable through the interface. */
static unsigned touch(struct safetensors *file)
{
    unsigned sum = 0;
    for (int i = 0; i < safetensors_count(file); i++) {
        const struct tensor *t = safetensors_get(file, i);
        size_t n = tensor_count(t) * element[t->type];
        char *copy = malloc(n + 1);
        struct error err;
        ck_assert_msg(safetensors_copy(file, t->name, t->type, tensor_count(t), copy, &err) == 0,
                      "%s", err.text);
        for (size_t k = 0; k < n; k++)
            sum += (unsigned char)copy[k];
        free(copy);
    }
    return sum + (safetensors_metadata(file, "algorithm") != NULL);
}

/* Open a file with these contents: 0 and it is walked, or ERR_FORMAT with its path in the text. */
static int open_bytes(const void *data, size_t n, struct error *err)
{
    const char *path = path_of("given");
    struct safetensors *file;
    remove(path);    /* truncating instead makes some filesystems flush, 10,000 times */
    test_write(path, data, n);
    int rc = safetensors_open(&file, path, err);
    if (rc == 0) {
        touch(file);
        safetensors_close(&file);
    } else {
        ck_assert_int_eq(rc, ERR_FORMAT);
        ck_assert_ptr_null(file);
        ck_assert_msg(strstr(err->text, path) != NULL, "%s", err->text);
    }
    return rc;
}

/* A file made of a header's text and n zero bytes of data. */
static int open_header(const char *text, size_t n_data, struct error *err)
{
    uint64_t length = strlen(text);
    size_t n = sizeof(length) + (size_t)length + n_data;
    char *file = calloc(n, 1);
    memcpy(file, &length, sizeof(length));
    memcpy(file + sizeof(length), text, (size_t)length);
    int rc = open_bytes(file, n, err);
    free(file);
    return rc;
}

/* ---- round trip ---- */

START_TEST(what_is_written_is_read_back)
{
    struct error err;
    struct safetensors *file;
    const char *path = path_of("all");
    write_all(path);
    ck_assert_msg(safetensors_open(&file, path, &err) == 0, "%s", err.text);
    ck_assert_int_eq(safetensors_count(file), TEST_COUNT(tensors));
    for (size_t i = 0; i < TEST_COUNT(tensors); i++) {
        const struct tensor *t = safetensors_find(file, tensors[i].name);
        ck_assert_ptr_eq(t, safetensors_get(file, (int)i));
        ck_assert_int_eq(t->type, tensors[i].type);
        ck_assert_int_eq(t->n_dims, tensors[i].n_dims);
        for (int d = 0; d < t->n_dims; d++)
            ck_assert_int_eq(t->dims[d], tensors[i].dims[d]);
        ck_assert_uint_eq(tensor_count(t), tensor_count(&tensors[i]));
        ck_assert_int_eq(memcmp(t->data, tensors[i].data, tensor_count(t) * element[t->type]), 0);
    }
    for (size_t i = 0; i < TEST_COUNT(metadata); i++)
        ck_assert_str_eq(safetensors_metadata(file, metadata[i].key), metadata[i].value);
    ck_assert_ptr_null(safetensors_metadata(file, "missing"));
    ck_assert_ptr_null(safetensors_find(file, "missing"));
    ck_assert_ptr_null(safetensors_find(file, "__metadata__"));
    safetensors_close(&file);
    ck_assert_ptr_null(file);
    safetensors_close(&file);
}
END_TEST

START_TEST(a_file_without_tensors_or_metadata_is_read_back)
{
    struct error err;
    struct safetensors *file;
    const char *path = path_of("empty");
    ck_assert_int_eq(safetensors_write(path, NULL, 0, NULL, 0, &err), 0);
    ck_assert_int_eq(safetensors_open(&file, path, &err), 0);
    ck_assert_int_eq(safetensors_count(file), 0);
    ck_assert_ptr_null(safetensors_metadata(file, "version"));
    safetensors_close(&file);
}
END_TEST

START_TEST(equal_contents_give_equal_files_with_aligned_data_and_no_temporary)
{
    size_t n[2];
    char *first, *second;
    uint64_t length;
    write_all(path_of("first"));
    first = test_read(path_of("first"), &n[0]);
    write_all(path_of("second"));
    second = test_read(path_of("second"), &n[1]);
    ck_assert_uint_eq(n[0], n[1]);
    ck_assert_mem_eq(first, second, n[0]);
    memcpy(&length, first, sizeof(length));
    ck_assert_uint_eq(length % 8, 0);
    ck_assert_int_eq(access(path_of("first.tmp"), F_OK), -1);
    free(first);
    free(second);
}
END_TEST

START_TEST(tensors_keep_their_order_and_metadata_are_sorted_by_key)
{
    write_all(path_of("order"));
    char *data = test_read(path_of("order"), NULL), *header = data + 8;
    const char *at[] = { strstr(header, "\"__metadata__\""), strstr(header, "\"algorithm\""),
                         strstr(header, "\"note\""), strstr(header, "\"version\""),
                         strstr(header, "\"policy.weights\""), strstr(header, "\"moments\""),
                         strstr(header, "\"counters\"") };
    for (size_t i = 0; i < TEST_COUNT(at); i++) {
        ck_assert_ptr_nonnull(at[i]);
        ck_assert_msg(i == 0 || at[i - 1] < at[i], "%.200s", header);
    }
    free(data);
}
END_TEST

/* ---- damaged files ---- */

START_TEST(every_truncation_is_refused)
{
    struct error err;
    size_t n;
    write_all(path_of("whole"));
    char *data = test_read(path_of("whole"), &n);
    ck_assert_int_eq(open_bytes(data, n, &err), 0);
    for (size_t k = 0; k < n; k++) {
        char *part = malloc(k ? k : 1);
        memcpy(part, data, k);
        ck_assert_int_eq(open_bytes(part, k, &err), ERR_FORMAT);
        free(part);
    }
    char *longer = calloc(n + 1, 1);
    memcpy(longer, data, n);
    ck_assert_int_eq(open_bytes(longer, n + 1, &err), ERR_FORMAT);
    free(longer);
    free(data);
}
END_TEST

START_TEST(random_damage_to_the_header_is_refused_or_harmless)
{
    struct error err;
    struct rng rng;
    size_t n;
    uint64_t length;
    int n_refused = 0, n_rounds = 10000;
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    write_all(path_of("whole"));
    char *data = test_read(path_of("whole"), &n), *damaged = malloc(n);
    memcpy(&length, data, sizeof(length));
    for (int round = 0; round < n_rounds; round++) {
        memcpy(damaged, data, n);
        for (uint64_t flips = rng_below(&rng, 4) + 1; flips; flips--) {
            uint64_t bit = rng_below(&rng, 8 * (sizeof(length) + length));
            damaged[bit / 8] = (char)(damaged[bit / 8] ^ (1 << bit % 8));
        }
        n_refused += open_bytes(damaged, n, &err) != 0;
    }
    ck_assert_int_gt(n_refused, n_rounds / 4);
    free(data);
    free(damaged);
}
END_TEST

START_TEST(random_shapes_and_offsets_are_refused_or_harmless)
{
    static const char *const numbers[] = { "0", "1", "2", "3", "8", "16", "24", "32", "33", "-1",
        "-8", "4294967296", "2147483648", "4611686018427387904", "9223372036854775807",
        "-9223372036854775808", "99999999999999999999", "1.5", "true", "null", "[]", "\"8\"" };
    struct error err;
    struct rng rng;
    rng_init(&rng, 2, RNG_TEST, 0, 0);
    for (int round = 0; round < 5000; round++) {
        const char *x[7];
        char header[1024];
        for (size_t i = 0; i < TEST_COUNT(x); i++)
            x[i] = numbers[rng_below(&rng, TEST_COUNT(numbers))];
        snprintf(header, sizeof(header), "{\"a\":{\"dtype\":\"F32\",\"shape\":[%s,%s],"
                 "\"data_offsets\":[%s,%s]},\"b\":{\"dtype\":\"U8\",\"shape\":[%s],"
                 "\"data_offsets\":[%s,%s]}}", x[0], x[1], x[2], x[3], x[4], x[5], x[6]);
        open_header(header, 32, &err);
    }
}
END_TEST

START_TEST(a_header_that_lies_is_refused_with_the_reason)
{
    static const struct {
        const char *header, *reason;
        size_t n_data;
    } cases[] = {
        { "", "JSON", 0 },
        { "[]", "JSON object", 0 },
        { "{\"a\":3}", "lacks", 0 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "lacks", 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", "lacks", 4 },
        { "{\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", "dtype", 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1],\"data_offsets\":[0,4]}}",
          "dimensions", 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", "shape", 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}",
          "shape", 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", "offsets", 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "offsets", 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", "offsets", 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", "offsets", 4 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "cover", 8 },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
          "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", "JSON", 8 },
        { "{\"a123456789012345678901234567890123456789012345678901234567890123\":"
          "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", "name", 4 },
    };
    struct error err;
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        ck_assert_msg(open_header(cases[i].header, cases[i].n_data, &err) == ERR_FORMAT, "%s",
                      cases[i].header);
        ck_assert_msg(strstr(err.text, cases[i].reason) != NULL, "%s: %s", cases[i].header,
                      err.text);
    }
}
END_TEST

START_TEST(overlapping_tensors_and_shapes_that_are_not_integers_are_refused)
{
    struct error err;
    ck_assert_int_eq(open_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
                                 "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
                                 8, &err), ERR_FORMAT);
    ck_assert_int_eq(open_header("{\"a\":{\"dtype\":\"F32\",\"shape\":[\"7\"],"
                                 "\"data_offsets\":[0,0]}}", 0, &err), ERR_FORMAT);
}
END_TEST

START_TEST(a_header_length_beyond_the_file_or_the_limit_is_refused)
{
    static const uint64_t lengths[] = { 3, 1 << 20, (1 << 20) + 1, UINT64_MAX, UINT64_MAX - 7,
                                        (uint64_t)1 << 63, (uint64_t)1 << 32 };
    struct error err;
    char file[10] = { 0 };
    for (size_t i = 0; i < TEST_COUNT(lengths); i++) {
        memcpy(file, &lengths[i], sizeof(lengths[i]));
        memcpy(file + 8, "{}", 2);
        ck_assert_int_eq(open_bytes(file, sizeof(file), &err), ERR_FORMAT);
    }
    ck_assert_int_eq(open_bytes(file, 0, &err), ERR_FORMAT);
}
END_TEST

START_TEST(deep_nesting_is_refused)
{
    enum { DEPTH = 500000 };
    struct error err;
    char *text = malloc(DEPTH + 1);
    memset(text, '[', DEPTH);
    text[DEPTH] = '\0';
    ck_assert_int_eq(open_header(text, 0, &err), ERR_FORMAT);
    free(text);
}
END_TEST

/* ---- errors ---- */

START_TEST(a_missing_file_and_a_directory_are_named)
{
    struct error err;
    struct safetensors *file;
    char path[512];
    snprintf(path, sizeof(path), "%s", path_of("missing"));
    ck_assert_int_lt(safetensors_open(&file, path, &err), 0);
    ck_assert_ptr_null(file);
    ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
    ck_assert_int_lt(safetensors_open(&file, directory, &err), 0);
    ck_assert_msg(strstr(err.text, directory) != NULL, "%s", err.text);
}
END_TEST

START_TEST(a_wrong_copy_names_file_tensor_and_both_sizes_and_writes_nothing)
{
    struct error err;
    struct safetensors *file;
    char path[512];
    float out[8] = { 7 };
    snprintf(path, sizeof(path), "%s", path_of("all"));
    write_all(path);
    ck_assert_int_eq(safetensors_open(&file, path, &err), 0);
    ck_assert_int_eq(safetensors_copy(file, "policy.weights", TENSOR_F32, 8, out, &err),
                     ERR_FORMAT);
    ck_assert_msg(strstr(err.text, path) && strstr(err.text, "\"policy.weights\"")
                  && strstr(err.text, "6 F32") && strstr(err.text, "8 F32"), "%s", err.text);
    ck_assert_int_eq(safetensors_copy(file, "policy.weights", TENSOR_F64, 6, out, &err),
                     ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "6 F64") != NULL, "%s", err.text);
    ck_assert_int_eq(safetensors_copy(file, "absent", TENSOR_F32, 6, out, &err), ERR_FORMAT);
    ck_assert_msg(strstr(err.text, path) && strstr(err.text, "\"absent\""), "%s", err.text);
    ck_assert(out[0] == 7);
    safetensors_close(&file);
}
END_TEST

/* ---- atomic writing ---- */

static const char old_text[] = "the old file";

static void check_old_file(const char *path)
{
    size_t n;
    char *found = test_read(path, &n);
    ck_assert_uint_eq(n, sizeof(old_text));
    ck_assert_mem_eq(found, old_text, n);
    free(found);
}

static void check_write_fails(const char *path)
{
    struct error err;
    ck_assert_int_eq(safetensors_write(path, tensors, TEST_COUNT(tensors), NULL, 0, &err), ERR_IO);
    ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
    check_old_file(path);
}

START_TEST(a_full_disk_leaves_the_old_file_and_no_temporary)
{
    char path[512];
    snprintf(path, sizeof(path), "%s", path_of("kept"));
    test_write(path, old_text, sizeof(old_text));
    ck_assert_int_eq(symlink("/dev/full", path_of("kept.tmp")), 0);
    check_write_fails(path);
    ck_assert_int_eq(access(path_of("kept.tmp"), F_OK), -1);
    write_all(path);
}
END_TEST

START_TEST(a_write_cut_short_leaves_the_old_file_and_no_temporary)
{
    char path[512];
    snprintf(path, sizeof(path), "%s", path_of("kept"));
    test_write(path, old_text, sizeof(old_text));
    /* In a child of its own: Check's messages are files too. */
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = { 300, 300 };
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(safetensors_write(path, tensors, TEST_COUNT(tensors), NULL, 0, NULL) == ERR_IO ? 0
                                                                                            : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    check_old_file(path);
    ck_assert_int_eq(access(path_of("kept.tmp"), F_OK), -1);
}
END_TEST

START_TEST(an_unwritable_directory_leaves_the_old_file)
{
    char locked[512], path[600];
    snprintf(locked, sizeof(locked), "%s", path_of("locked"));
    snprintf(path, sizeof(path), "%s/kept", locked);
    ck_assert_int_eq(mkdir(locked, 0777), 0);
    test_write(path, old_text, sizeof(old_text));
    if (geteuid() == 0) {
        /* Modes do not bind root; a directory in the temporary's place does. */
        snprintf(path, sizeof(path), "%s/kept.tmp", locked);
        ck_assert_int_eq(mkdir(path, 0777), 0);
        snprintf(path, sizeof(path), "%s/kept", locked);
    } else {
        ck_assert_int_eq(chmod(locked, 0555), 0);
    }
    check_write_fails(path);
    chmod(locked, 0777);
}
END_TEST

START_TEST(writing_into_a_missing_directory_is_an_error)
{
    struct error err;
    ck_assert_int_eq(safetensors_write(path_of("no/such/place"), tensors, 1, NULL, 0, &err),
                     ERR_IO);
    ck_assert_msg(strstr(err.text, "no/such/place") != NULL, "%s", err.text);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        what_is_written_is_read_back,
        a_file_without_tensors_or_metadata_is_read_back,
        equal_contents_give_equal_files_with_aligned_data_and_no_temporary,
        tensors_keep_their_order_and_metadata_are_sorted_by_key,
        every_truncation_is_refused,
        random_damage_to_the_header_is_refused_or_harmless,
        random_shapes_and_offsets_are_refused_or_harmless,
        a_header_that_lies_is_refused_with_the_reason,
        overlapping_tensors_and_shapes_that_are_not_integers_are_refused,
        a_header_length_beyond_the_file_or_the_limit_is_refused,
        deep_nesting_is_refused,
        a_missing_file_and_a_directory_are_named,
        a_wrong_copy_names_file_tensor_and_both_sizes_and_writes_nothing,
        a_full_disk_leaves_the_old_file_and_no_temporary,
        a_write_cut_short_leaves_the_old_file_and_no_temporary,
        an_unwritable_directory_leaves_the_old_file,
        writing_into_a_missing_directory_is_an_error,
    };
    return suite_run("safetensors", tests, TEST_COUNT(tests), 60);
}
