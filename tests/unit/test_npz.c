/* Against files that NumPy wrote (tests/golden/make_npz_golden.py), and against damaged ones. */
#include <stdlib.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/unit/npz_support.h"

static const double whole[6] = { 0, 1, 2, 3, 100, 127 };
static const double counting[24] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
                                     18, 19, 20, 21, 22, 23 };
static const double real[6] = { 0.5, -1.25, NAN, INFINITY, -INFINITY, -0.0 };
static const double negative[2] = { -1, -128 }, flags[3] = { 1, 0, 1 }, scalar[1] = { 2.5 };

static const struct known known[] = {
    { "little_f8", 2, { 2, 3 }, real }, { "little_f4", 2, { 2, 3 }, real },
    { "big_f8", 2, { 2, 3 }, real }, { "big_f4", 2, { 2, 3 }, real },
    { "little_i8", 2, { 2, 3 }, whole }, { "little_i4", 2, { 2, 3 }, whole },
    { "little_i2", 2, { 2, 3 }, whole }, { "big_i8", 2, { 2, 3 }, whole },
    { "big_i4", 2, { 2, 3 }, whole }, { "big_i2", 2, { 2, 3 }, whole },
    { "little_u8", 2, { 2, 3 }, whole }, { "little_u4", 2, { 2, 3 }, whole },
    { "little_u2", 2, { 2, 3 }, whole }, { "big_u8", 2, { 2, 3 }, whole },
    { "big_u4", 2, { 2, 3 }, whole }, { "big_u2", 2, { 2, 3 }, whole },
    { "one_i1", 2, { 2, 3 }, whole }, { "one_u1", 2, { 2, 3 }, whole },
    { "negative", 1, { 2 }, negative }, { "flags", 1, { 3 }, flags },
    { "scalar", 0, { 0 }, scalar }, { "empty", 2, { 0, 3 }, whole },
    { "fortran2", 2, { 2, 3 }, counting }, { "fortran3", 3, { 2, 3, 4 }, counting },
    { "fortran4", 4, { 2, 1, 2, 4 }, counting },
};
static const struct refused {
    const char *name, *reason;
} refused[] = {
    { "five", "more than 4 dimensions" }, { "objects", "Python objects (a pickle)" },
    { "complex", "'<c16'" }, { "half", "'<f2'" }, { "text", "'<U2'" },
    { "structures", "structures" },
};

/* ---- what NumPy wrote ---- */

START_TEST(every_type_byte_order_and_shape_is_read_as_doubles_in_c_order)
{
    struct npz *z = open_npz(GOLDEN "stored.npz");
    for (size_t i = 0; i < TEST_COUNT(known); i++)
        check_entry(z, &known[i]);
    npz_close(&z);
    ck_assert_ptr_null(z);
    npz_close(&z);
}
END_TEST

START_TEST(compressed_and_64_bit_archives_are_read)
{
    static const char *const files[] = { GOLDEN "deflated.npz", GOLDEN "zip64.npz" };
    static const double zeros[2000];
    for (size_t f = 0; f < TEST_COUNT(files); f++) {
        int n = 0;
        struct npz *z = open_npz(files[f]);
        for (size_t i = 0; i < TEST_COUNT(known); i++)
            if (npz_has(z, known[i].name)) {
                check_entry(z, &known[i]);
                n++;
            }
        ck_assert_int_eq(n, f == 0 ? 5 : 2);
        npz_close(&z);
    }
    struct npz *z = open_npz(GOLDEN "deflated.npz");
    check_entry(z, &(struct known){ "zeros", 2, { 40, 50 }, zeros });
    npz_close(&z);
}
END_TEST

START_TEST(npy_files_of_version_1_and_2_are_read)
{
    static const double eighths[15] = { 0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 1.125,
                                        1.25, 1.375, 1.5, 1.625, 1.75 };
    struct npz_array a;
    struct error err;
    ck_assert_msg(npy_read(GOLDEN "f64.npy", NPZ_MAX_ELEMENTS, &a, &err) == 0, "%s", err.text);
    check_array(&a, &(struct known){ "f64", 2, { 5, 3 }, eighths });
    npz_array_free(&a);
    ck_assert_msg(npy_read(GOLDEN "v2.npy", NPZ_MAX_ELEMENTS, &a, &err) == 0, "%s", err.text);
    check_array(&a, &(struct known){ "v2", 2, { 2, 3 }, real });
    npz_array_free(&a);
}
END_TEST

START_TEST(objects_and_other_types_are_refused_by_file_array_and_reason)
{
    struct npz_array a;
    struct error err;
    struct npz *z = open_npz(GOLDEN "stored.npz");
    for (size_t i = 0; i < TEST_COUNT(refused); i++) {
        ck_assert_int_eq(npz_read(z, refused[i].name, NPZ_MAX_ELEMENTS, &a, &err), ERR_FORMAT);
        ck_assert_ptr_null(a.data);
        ck_assert_msg(strstr(err.text, GOLDEN "stored.npz") && strstr(err.text, refused[i].name)
                      && strstr(err.text, refused[i].reason), "%s", err.text);
    }
    npz_close(&z);
}
END_TEST

START_TEST(a_missing_array_lists_those_there_are)
{
    struct npz_array a;
    struct error err;
    struct npz *z = open_npz(GOLDEN "zip64.npz");
    ck_assert(!npz_has(z, "actions"));
    ck_assert_int_eq(npz_read(z, "actions", NPZ_MAX_ELEMENTS, &a, &err), ERR_MISSING);
    ck_assert_ptr_null(a.data);
    ck_assert_str_eq(err.text, GOLDEN "zip64.npz has no array \"actions\"; it has little_f8, flags");
    ck_assert_int_eq(npz_read(z, "actions", NPZ_MAX_ELEMENTS, &a, NULL), ERR_MISSING);
    npz_close(&z);
    z = open_npz(GOLDEN "stored.npz");
    ck_assert_int_eq(npz_read(z, "actions", NPZ_MAX_ELEMENTS, &a, &err), ERR_MISSING);
    ck_assert_msg(strstr(err.text, "little_f8, ") && strstr(err.text, ", ..."), "%s", err.text);
    npz_close(&z);
}
END_TEST

START_TEST(missing_files_directories_and_other_files_are_named)
{
    struct error err;
    struct npz *z;
    struct npz_array a;
    char path[512];
    snprintf(path, sizeof(path), "%s", path_of("missing"));
    ck_assert_int_eq(npz_open(&z, path, &err), ERR_IO);
    ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
    ck_assert_int_eq(npy_read(path, NPZ_MAX_ELEMENTS, &a, &err), ERR_IO);
    ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
    ck_assert_int_eq(npz_open(&z, directory, &err), ERR_IO);
    ck_assert_int_eq(npy_read(directory, NPZ_MAX_ELEMENTS, &a, &err), ERR_IO);
    ck_assert_int_eq(npz_open(&z, GOLDEN "f64.npy", &err), ERR_FORMAT);
    ck_assert_ptr_null(z);
    ck_assert_msg(strstr(err.text, GOLDEN "f64.npy") != NULL, "%s", err.text);
    ck_assert_int_eq(npy_read(GOLDEN "stored.npz", NPZ_MAX_ELEMENTS, &a, &err), ERR_FORMAT);
    ck_assert_msg(strstr(err.text, GOLDEN "stored.npz: it is not a .npy") != NULL, "%s", err.text);
    test_write(path_of("empty"), "", 0);
    ck_assert_int_eq(npz_open(&z, path_of("empty"), &err), ERR_FORMAT);
    ck_assert_int_eq(npy_read(path_of("empty"), NPZ_MAX_ELEMENTS, &a, &err), ERR_FORMAT);
}
END_TEST

/* ---- damaged files ---- */

/* Read all that can be read; whether that was everything. */
static bool read_npz(const char *path)
{
    struct npz *z;
    struct npz_array a;
    struct error err;
    bool is_good = true;
    if (npz_open(&z, path, &err) != 0) {
        ck_assert_ptr_null(z);
        ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
        return false;
    }
    for (size_t i = 0; i < TEST_COUNT(known) + TEST_COUNT(refused); i++) {
        const char *name = i < TEST_COUNT(known) ? known[i].name
                                                 : refused[i - TEST_COUNT(known)].name;
        if (npz_read(z, name, NPZ_MAX_ELEMENTS, &a, &err) == 0) {
            volatile double sum = 0;
            for (size_t k = 0; k < npz_array_count(&a); k++)
                sum += a.data[k];
        } else {
            ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
            ck_assert_ptr_null(a.data);
            is_good = false;
        }
        npz_array_free(&a);
    }
    npz_close(&z);
    return is_good;
}

static int read_npy(const void *data, size_t n, struct error *err)
{
    struct npz_array a;
    const char *path = path_of("given.npy");
    remove(path);
    test_write(path, data, n);
    int rc = npy_read(path, NPZ_MAX_ELEMENTS, &a, err);
    if (rc != 0)
        ck_assert_msg(strstr(err->text, path) && !a.data, "%s", err->text);
    npz_array_free(&a);
    return rc;
}

START_TEST(every_truncation_is_refused)
{
    static const char *const archives[] = { GOLDEN "stored.npz", GOLDEN "deflated.npz",
                                            GOLDEN "zip64.npz" };
    static const char *const arrays[] = { GOLDEN "f64.npy", GOLDEN "v2.npy", GOLDEN "bool.npy" };
    struct error err;
    size_t n;
    for (size_t f = 0; f < TEST_COUNT(archives); f++) {
        char *data = test_read(archives[f], &n);
        for (size_t k = 0; k < n; k++) {
            remove(path_of("part.npz"));
            test_write(path_of("part.npz"), data, k);
            ck_assert(!read_npz(path_of("part.npz")));
        }
        free(data);
    }
    for (size_t f = 0; f < TEST_COUNT(arrays); f++) {
        char *data = test_read(arrays[f], &n);
        ck_assert_int_eq(read_npy(data, n, &err), 0);
        for (size_t k = 0; k < n; k++)
            ck_assert_int_eq(read_npy(data, k, &err), ERR_FORMAT);
        ck_assert_int_eq(read_npy(data, n + 1, &err), ERR_FORMAT);    /* a NUL is behind it */
        free(data);
    }
}
END_TEST

START_TEST(random_damage_is_refused_or_harmless)
{
    static const char *const files[] = { GOLDEN "stored.npz", GOLDEN "deflated.npz",
                                         GOLDEN "zip64.npz", GOLDEN "f64.npy", GOLDEN "v2.npy" };
    struct rng rng;
    struct error err;
    rng_init(&rng, 3, RNG_TEST, 0, 0);
    for (size_t f = 0; f < TEST_COUNT(files); f++) {
        size_t n;
        char *data = test_read(files[f], &n), *damaged = malloc(n);
        for (int round = 0; round < 500; round++) {
            memcpy(damaged, data, n);
            for (uint64_t k = rng_below(&rng, 4) + 1; k; k--) {
                uint64_t at = rng_below(&rng, n);
                damaged[at] = (char)(rng_below(&rng, 2) ? rng_below(&rng, 256)
                                                        : (uint64_t)damaged[at] ^ 0xff);
            }
            if (f < 3) {
                remove(path_of("damaged.npz"));
                test_write(path_of("damaged.npz"), damaged, n);
                read_npz(path_of("damaged.npz"));
            } else {
                read_npy(damaged, n, &err);
            }
        }
        free(data);
        free(damaged);
    }
}
END_TEST

/* The last place of a text in a block. */
static char *last_place(char *data, size_t n, const char *what, size_t length)
{
    for (size_t at = n - length + 1; at-- > 0;)
        if (memcmp(data + at, what, length) == 0)
            return data + at;
    ck_abort_msg("the pattern is not there");
}

START_TEST(a_damaged_element_in_an_archive_is_noticed)
{
    struct npz_array a;
    struct error err;
    size_t n;
    char *data = test_read(GOLDEN "zip64.npz", &n);
    last_place(data, n, "\x01\x00\x01PK", 5)[0] = 0;    /* flags: True, False, True */
    test_write(path_of("crc.npz"), data, n);
    struct npz *z = open_npz(path_of("crc.npz"));
    ck_assert_int_eq(npz_read(z, "flags", NPZ_MAX_ELEMENTS, &a, &err), ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "\"flags\"") && strstr(err.text, "CRC"), "%s", err.text);
    npz_close(&z);
    free(data);
}
END_TEST

START_TEST(sizes_that_cannot_be_true_are_refused_before_memory_is_taken)
{
    static const struct {
        const char *file;
        size_t place, n;    /* of the size in an entry of the archive's directory */
        const char *reason;
    } cases[] = {
        { GOLDEN "deflated.npz", 24, 4, "compressed size" },
        { GOLDEN "stored.npz", 24, 4, "compressed size" },
        { GOLDEN "stored.npz", 20, 8, "larger than the file" },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct npz_array a;
        struct error err;
        size_t n;
        char *data = test_read(cases[i].file, &n);
        char *entry = last_place(data, n, "objects.npy", 11) - 46;
        ck_assert_mem_eq(entry, "PK\x01\x02", 4);
        memcpy(entry + cases[i].place, "\xf0\xff\xff\x7f\xf0\xff\xff\x7f", cases[i].n);
        test_write(path_of("size.npz"), data, n);
        struct npz *z = open_npz(path_of("size.npz"));
        ck_assert_int_eq(npz_read(z, "objects", NPZ_MAX_ELEMENTS, &a, &err), ERR_FORMAT);
        ck_assert_msg(strstr(err.text, cases[i].reason) != NULL, "%s", err.text);
        npz_close(&z);
        free(data);
    }
}
END_TEST

START_TEST(names_of_arrays_cannot_steer_a_terminal)
{
    struct npz_array a;
    struct error err;
    size_t n;
    char *data = test_read(GOLDEN "zip64.npz", &n);
    for (size_t at = 0; at + 9 <= n; at++)
        if (memcmp(data + at, "flags.npy", 9) == 0)
            data[at] = '\x1b';
    test_write(path_of("escape.npz"), data, n);
    struct npz *z = open_npz(path_of("escape.npz"));
    ck_assert_int_eq(npz_read(z, "flags", NPZ_MAX_ELEMENTS, &a, &err), ERR_MISSING);
    ck_assert_msg(strstr(err.text, "it has little_f8, ?lags") != NULL, "%s", err.text);
    npz_close(&z);
    free(data);
}
END_TEST

/* A version 1.0 file made of a header's text and n zero bytes. */
static int read_header(const char *text, size_t n, struct error *err)
{
    size_t length = strlen(text);
    char *file = calloc(10 + length + n, 1);
    memcpy(file, "\x93NUMPY\x01\x00", 8);
    file[8] = (char)(length & 0xff);
    file[9] = (char)(length >> 8);
    memcpy(file + 10, text, length);
    int rc = read_npy(file, 10 + length + n, err);
    free(file);
    return rc;
}

START_TEST(a_header_is_read_however_it_is_spaced_and_ordered)
{
    static const char *const texts[] = {
        "{'descr':'<f4','fortran_order':False,'shape':(2,3)}\n",
        "{\"shape\": (2L, 3L), \"descr\": \"<f4\", \"fortran_order\": True, }   \n",
        " { 'fortran_order' : False , 'shape' : ( 6 , ) , 'descr' : '<f4' , } ",
    };
    struct error err;
    for (size_t i = 0; i < TEST_COUNT(texts); i++)
        ck_assert_msg(read_header(texts[i], 24, &err) == 0, "%s: %s", texts[i], err.text);
}
END_TEST

#define HEADER(descr, order, shape) \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }\n"
#define SHAPE(shape) HEADER("'<f8'", "False", shape)

START_TEST(a_header_that_lies_is_refused_with_the_reason)
{
    static const struct {
        const char *header, *reason;
        int code;
    } cases[] = {
        { "", "dictionary", ERR_FORMAT }, { "{}", "dictionary", ERR_FORMAT },
        { "{", "dictionary", ERR_FORMAT }, { "{'descr'", "dictionary", ERR_FORMAT },
        { "{'descr': '<f8', 'shape': (1,), }", "dictionary", ERR_FORMAT },
        { "{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': (1,), }",
          "dictionary", ERR_FORMAT },
        { HEADER("'<f8'", "False", "(1,), 'more': 1"), "dictionary", ERR_FORMAT },
        { SHAPE("(1,)") "x", "dictionary", ERR_FORMAT },
        { HEADER("'<f8'", "Maybe", "(1,)"), "dictionary", ERR_FORMAT },
        { HEADER("['<f8']", "False", "(1,)"), "structures", ERR_FORMAT },
        { HEADER("''", "False", "(1,)"), "dtype", ERR_FORMAT },
        { HEADER("'<f\x1b'", "False", "(1,)"), "dtype '<f?'", ERR_FORMAT },
        { HEADER("'<f16'", "False", "(1,)"), "dtype '<f16'", ERR_FORMAT },
        { SHAPE("1"), "tuple", ERR_FORMAT }, { SHAPE("(-1,)"), "tuple", ERR_FORMAT },
        { SHAPE("(1.0,)"), "tuple", ERR_FORMAT }, { SHAPE("(,)"), "tuple", ERR_FORMAT },
        { SHAPE("(1, 1, 1, 1, 1)"), "4 dimensions", ERR_FORMAT },
        { SHAPE("(2,)"), "needs 16 bytes of data and it has 8", ERR_FORMAT },
        { SHAPE("(0,)"), "needs 0 bytes of data and it has 8", ERR_FORMAT },
        { SHAPE("(2147483648,)"), "needs 17179869184 bytes", ERR_FORMAT },
        { SHAPE("(2147483649,)"), "2^31", ERR_LIMIT },
        { SHAPE("(4294967296, 4294967296)"), "2^31", ERR_LIMIT },
        { SHAPE("(65536, 65536, 65536, 65536)"), "2^31", ERR_LIMIT },
        { SHAPE("(0, 65536, 65536)"), "2^31", ERR_LIMIT },
        { SHAPE("(18446744073709551617,)"), "2^31", ERR_LIMIT },
    };
    struct error err;
    ck_assert_int_eq(read_header(SHAPE("(1,)"), 8, &err), 0);
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        ck_assert_msg(read_header(cases[i].header, 8, &err) == cases[i].code, "%s: %s",
                      cases[i].header, err.text);
        ck_assert_msg(strstr(err.text, cases[i].reason) != NULL, "%s: %s", cases[i].header,
                      err.text);
    }
}
END_TEST

START_TEST(more_elements_than_the_caller_can_use_are_refused)
{
    struct npz_array a;
    struct error err;
    struct npz *z = open_npz(GOLDEN "deflated.npz");
    ck_assert_int_eq(npz_read(z, "zeros", 2000, &a, &err), 0);
    npz_array_free(&a);
    ck_assert_int_eq(npz_read(z, "zeros", 1999, &a, &err), ERR_LIMIT);
    ck_assert_msg(strstr(err.text, "array \"zeros\": it has 2000 elements, but at most 1999 can be used here")
                  && !a.data, "%s", err.text);
    npz_close(&z);
    ck_assert_int_eq(npy_read(GOLDEN "f64.npy", 15, &a, &err), 0);
    npz_array_free(&a);
    ck_assert_int_eq(npy_read(GOLDEN "f64.npy", 14, &a, &err), ERR_LIMIT);
}
END_TEST

START_TEST(a_header_length_beyond_the_file_or_the_limit_is_refused)
{
    struct error err;
    char file[20000] = "\x93NUMPY\x02\x00\xff\xff\xff\xff";
    ck_assert_int_eq(read_npy(file, sizeof(file), &err), ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "4294967295 bytes") != NULL, "%s", err.text);
    memcpy(file + 8, "\x11\x27\x00\x00", 4);    /* 10001 */
    ck_assert_int_eq(read_npy(file, sizeof(file), &err), ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "10001 bytes") != NULL, "%s", err.text);
    file[6] = 3;
    ck_assert_int_eq(read_npy(file, sizeof(file), &err), ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "version 3.0") != NULL, "%s", err.text);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        every_type_byte_order_and_shape_is_read_as_doubles_in_c_order,
        compressed_and_64_bit_archives_are_read,
        npy_files_of_version_1_and_2_are_read,
        objects_and_other_types_are_refused_by_file_array_and_reason,
        a_missing_array_lists_those_there_are,
        missing_files_directories_and_other_files_are_named,
        every_truncation_is_refused,
        random_damage_is_refused_or_harmless,
        a_damaged_element_in_an_archive_is_noticed,
        sizes_that_cannot_be_true_are_refused_before_memory_is_taken,
        names_of_arrays_cannot_steer_a_terminal,
        a_header_is_read_however_it_is_spaced_and_ordered,
        a_header_that_lies_is_refused_with_the_reason,
        more_elements_than_the_caller_can_use_are_refused,
        a_header_length_beyond_the_file_or_the_limit_is_refused,
    };
    return suite_run("npz", tests, TEST_COUNT(tests), 120);
}
