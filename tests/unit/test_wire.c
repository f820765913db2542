/* The MessagePack cursor and the writer, without any message. */
#include "proto/wire.h"

#include <string.h>

#include "tests/support.h"

#define READER(r, literal) \
    struct wire_reader r; \
    wire_reader_init(&r, literal, sizeof(literal) - 1)

static void check_says(const struct wire_reader *r, const char *what)
{
    ck_assert_msg(strstr(r->problem, what) != NULL, "\"%s\" does not say \"%s\"", r->problem, what);
    ck_assert_uint_eq(wire_left(r), 0);
}

/* ---- integers ---- */

static const struct { const char *raw; size_t size; int64_t value; } widths[] = {
#define W(literal, value) { literal, sizeof(literal) - 1, value }
    W("\x00", 0), W("\x7f", 127), W("\xff", -1), W("\xe0", -32), W("\xcc\x05", 5),
    W("\xcc\xff", 255), W("\xcd\x00\x05", 5), W("\xcd\xff\xff", 65535),
    W("\xce\x00\x00\x00\x05", 5), W("\xce\xff\xff\xff\xff", UINT32_MAX),
    W("\xcf\x00\x00\x00\x00\x00\x00\x00\x05", 5),
    W("\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", INT64_MAX), W("\xd0\x05", 5), W("\xd0\xff", -1),
    W("\xd0\x80", -128), W("\xd1\x00\x05", 5), W("\xd1\xff\xff", -1), W("\xd1\x80\x00", INT16_MIN),
    W("\xd2\x00\x00\x00\x05", 5), W("\xd2\xff\xff\xff\xff", -1),
    W("\xd2\x80\x00\x00\x00", INT32_MIN), W("\xd2\x7f\xff\xff\xff", INT32_MAX),
    W("\xd3\x00\x00\x00\x00\x00\x00\x00\x05", 5), W("\xd3\xff\xff\xff\xff\xff\xff\xff\xff", -1),
    W("\xd3\x80\x00\x00\x00\x00\x00\x00\x00", INT64_MIN),
#undef W
};

START_TEST(integers_of_every_width_are_read)
{
    for (size_t i = 0; i < TEST_COUNT(widths); i++) {
        struct wire_reader r;
        wire_reader_init(&r, widths[i].raw, widths[i].size);
        ck_assert_int_eq(wire_read_integer(&r), widths[i].value);
        ck_assert(wire_good(&r) && wire_left(&r) == 0);
        wire_reader_init(&r, widths[i].raw, widths[i].size);
        uint64_t value = wire_read_unsigned(&r);
        ck_assert(wire_good(&r) == (widths[i].value >= 0));
        ck_assert_uint_eq(value, widths[i].value >= 0 ? (uint64_t)widths[i].value : 0);
        for (size_t n = 0; n < widths[i].size; n++) {
            wire_reader_init(&r, widths[i].raw, n);
            ck_assert_int_eq(wire_read_integer(&r), 0);
            check_says(&r, "the message ends");
        }
    }
}
END_TEST

START_TEST(integers_beyond_their_type_are_problems)
{
    READER(a, "\xcf\x80\x00\x00\x00\x00\x00\x00\x00");
    ck_assert_int_eq(wire_read_integer(&a), 0);
    check_says(&a, "9223372036854775808 is too large");
    READER(b, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff");
    ck_assert_uint_eq(wire_read_unsigned(&b), UINT64_MAX);
    ck_assert(wire_good(&b));
    READER(c, "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
    ck_assert_uint_eq(wire_read_unsigned(&c), 0);
    check_says(&c, "-9223372036854775808 is negative");
}
END_TEST

/* ---- floats ---- */

START_TEST(doubles_pass_both_ways_bit_for_bit)
{
    static const double values[] = { 0, -0.0, 0.1, -1e300, 5e-324, 0x1.fffffffffffffp1023 };
    for (size_t i = 0; i < TEST_COUNT(values); i++) {
        unsigned char data[16];
        struct wire_writer w;
        struct wire_reader r;
        wire_writer_init(&w, data, sizeof(data));
        wire_write_double(&w, values[i]);
        ck_assert_uint_eq(w.size, 9);
        wire_reader_init(&r, data, w.size);
        double back = wire_read_double(&r);
        ck_assert_mem_eq(&back, &values[i], sizeof(back));
        ck_assert(wire_good(&r) && wire_left(&r) == 0);
        for (size_t n = 0; n < w.size; n++) {
            wire_reader_init(&r, data, n);
            ck_assert(wire_read_double(&r) == 0);
            check_says(&r, "the message ends");
        }
    }
    READER(a, "\xca\x3f\x80\x00\x00");
    ck_assert(wire_read_double(&a) == 0);
    check_says(&a, "a float of 32 bits where one of 64 belongs");
    READER(b, "\x01");
    ck_assert(wire_read_double(&b) == 0);
    check_says(&b, "an integer where a float belongs");
}
END_TEST

/* ---- texts, bytes, maps ---- */

START_TEST(lengths_of_every_width_are_read)
{
    static const struct { const char *raw; size_t header; } texts[] = {
        { "\xa2" "ab", 1 }, { "\xd9\x02" "ab", 2 }, { "\xda\x00\x02" "ab", 3 },
        { "\xdb\x00\x00\x00\x02" "ab", 5 } };
    static const struct { const char *raw; size_t header; } bins[] = {
        { "\xc4\x02" "ab", 2 }, { "\xc5\x00\x02" "ab", 3 }, { "\xc6\x00\x00\x00\x02" "ab", 5 } };
    struct wire_reader r;
    for (size_t i = 0; i < TEST_COUNT(texts); i++)
        for (size_t n = 0; n <= texts[i].header + 2; n++) {
            size_t size;
            wire_reader_init(&r, texts[i].raw, n);
            const char *text = wire_read_text(&r, &size);
            ck_assert((text != NULL) == (n == texts[i].header + 2));
            ck_assert(text == NULL || text == texts[i].raw + texts[i].header);
            ck_assert_uint_eq(size, text ? 2 : 0);
        }
    for (size_t i = 0; i < TEST_COUNT(bins); i++)
        for (size_t n = 0; n <= bins[i].header + 2; n++) {
            size_t size;
            wire_reader_init(&r, bins[i].raw, n);
            const unsigned char *data = wire_read_bin(&r, &size);
            ck_assert((data != NULL) == (n == bins[i].header + 2));
            ck_assert_uint_eq(size, data ? 2 : 0);
        }
    READER(small, "\x82\x01\x01\x01\x01");
    ck_assert_uint_eq(wire_read_map(&small), 2);
    READER(medium, "\xde\x00\x01\x01\x01");
    ck_assert_uint_eq(wire_read_map(&medium), 1);
    READER(large, "\xdf\x00\x00\x00\x01\x01\x01");
    ck_assert_uint_eq(wire_read_map(&large), 1);
}
END_TEST

START_TEST(counts_are_compared_with_the_bytes_that_are_left)
{
    size_t size;
    READER(a, "\xdf\xff\xff\xff\xff" "12");
    ck_assert_uint_eq(wire_read_map(&a), 0);
    check_says(&a, "a map of 4294967295 entries announced, 2 bytes left");
    READER(b, "\x82\x01\x01\x01");
    ck_assert_uint_eq(wire_read_map(&b), 0);
    check_says(&b, "a map of 2 entries announced, 3 bytes left");
    READER(c, "\xdb\xff\xff\xff\xff" "12");
    ck_assert_ptr_null(wire_read_text(&c, &size));
    check_says(&c, "4294967295 bytes announced, 2 left");
    READER(d, "\xc5\x00\x60" "12");
    ck_assert_ptr_null(wire_read_bin(&d, &size));
    check_says(&d, "96 bytes announced, 2 left");
}
END_TEST

START_TEST(the_first_problem_stays)
{
    size_t size = 9;
    READER(r, "\xc0\x05\xa1" "a\xc4\x01" "a\xc3");
    ck_assert_int_eq(wire_read_integer(&r), 0);
    check_says(&r, "nil where an integer belongs");
    ck_assert_int_eq(wire_read_integer(&r), 0);
    ck_assert_uint_eq(wire_read_unsigned(&r), 0);
    ck_assert(!wire_read_bool(&r));
    ck_assert_uint_eq(wire_read_map(&r), 0);
    ck_assert_ptr_null(wire_read_text(&r, &size));
    ck_assert_uint_eq(size, 0);
    ck_assert_ptr_null(wire_read_bin(&r, &size));
    wire_fail(&r, "another");
    check_says(&r, "nil where an integer belongs");
}
END_TEST

START_TEST(text_is_utf8_without_control_characters)
{
    static const char *const good[] = { "", " ~", "\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80",
        "\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf" };
    static const char *const bad[] = { "\n", "\033[2J", "\x1f", "\x7f", "\xc2\x85", "\x80", "\xbf",
        "\xc0\x80", "\xc1\xbf", "\xc3", "a\xc3", "\xc3(", "\xe2\x82", "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xff" };
    for (size_t i = 0; i < TEST_COUNT(good); i++)
        ck_assert_msg(wire_text_is_printable(good[i], strlen(good[i])), "good %zu", i);
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        ck_assert_msg(!wire_text_is_printable(bad[i], strlen(bad[i])), "bad %zu", i);
    ck_assert(!wire_text_is_printable("a\0b", 3));
}
END_TEST

/* ---- writing ---- */

START_TEST(what_does_not_fit_is_counted)
{
    unsigned char room[8] = { 0 };
    struct wire_writer w;
    wire_writer_init(&w, room, 4);
    wire_write_map(&w, 1);                      /* 81 */
    wire_write_text(&w, "ab", 2);               /* a2 61 62 */
    ck_assert_uint_eq(w.size, 4);
    wire_write_integer(&w, -1);
    wire_write_unsigned(&w, UINT64_MAX);
    wire_write_bool(&w, true);
    wire_write_bin(&w, 300);
    wire_write_body(&w, NULL, 0);
    ck_assert_uint_eq(w.size, 4 + 1 + 9 + 1 + 3);
    static const unsigned char expected[8] = { 0x81, 0xa2, 'a', 'b' };
    ck_assert_mem_eq(room, expected, sizeof(room));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        integers_of_every_width_are_read, integers_beyond_their_type_are_problems,
        doubles_pass_both_ways_bit_for_bit,
        lengths_of_every_width_are_read, counts_are_compared_with_the_bytes_that_are_left,
        the_first_problem_stays, text_is_utf8_without_control_characters,
        what_does_not_fit_is_counted,
    };
    return suite_run("wire", tests, TEST_COUNT(tests), 20);
}
