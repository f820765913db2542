#include "deploy/svg.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support.h"

/* What `text` is after escaping; freed by the caller. */
static char *escaped(const char *text)
{
    char *out = NULL;
    size_t bytes = 0;
    FILE *fp = open_memstream(&out, &bytes);
    svg_escape(fp, text);
    fclose(fp);
    return out;
}

static void expect_escaped(const char *text, const char *wanted)
{
    char *out = escaped(text);
    ck_assert_str_eq(out, wanted);
    free(out);
}

START_TEST(texts_cannot_become_markup)
{
    expect_escaped("a<b & \"c\" > 'd'", "a&lt;b &amp; &quot;c&quot; &gt; &#39;d&#39;");
    expect_escaped("</text><script>", "&lt;/text&gt;&lt;script&gt;");
}
END_TEST

START_TEST(only_characters_that_xml_allows_are_written)
{
    expect_escaped("\xCF\x84 \xE2\x88\x92 \xF0\x9F\x90\x9F", "\xCF\x84 \xE2\x88\x92 \xF0\x9F\x90\x9F");
    expect_escaped("a\x01" "b\xFF" "c", "a?b?c");
    expect_escaped("\xC0\x80", "??");               /* overlong */
    expect_escaped("\xED\xA0\x80", "???");          /* half a surrogate pair */
    expect_escaped("\xEF\xBF\xBF", "???");          /* no character */
    expect_escaped("cut \xE2\x88", "cut ??");
}
END_TEST

static char *draw_line(double x)
{
    struct svg *s = svg_create(100, 50, "a < b");
    const struct svg_style style = { .stroke = "#000000", .width = 1.5, .dashes = "6 4", .opacity = 0.25 };
    svg_polyline(s, 2, (double[]){ x, 2, -0.001, 100.0 / 3 }, &style);
    svg_polyline(s, 1, (double[]){ 7, 7 }, &style);
    svg_write(s, &(struct svg_text){ .x = 3, .y = 4, .size = 12, .anchor = SVG_RIGHT }, "x & y");
    return svg_finish(&s);
}

START_TEST(coordinates_have_two_decimals_and_no_more_than_they_need)
{
    char *text = draw_line(1.50);
    ck_assert_msg(strstr(text, "<polyline points=\"1.5,2 0,33.33\"") != NULL, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "stroke-width=\"1.5\""));
    ck_assert_ptr_nonnull(strstr(text, "stroke-dasharray=\"6 4\""));
    ck_assert_ptr_nonnull(strstr(text, "opacity=\"0.25\""));
    ck_assert_ptr_null(strstr(text, "7,7"));
    free(text);
}
END_TEST

START_TEST(a_picture_is_one_whole_element_with_size_and_title)
{
    char *text = draw_line(0);
    ck_assert(strncmp(text, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100\" height=\"50\" "
                      "viewBox=\"0 0 100 50\"", 81) == 0);
    ck_assert_ptr_nonnull(strstr(text, "<title>a &lt; b</title>"));
    ck_assert_ptr_nonnull(strstr(text, "<text x=\"3\" y=\"4\" font-size=\"12\" text-anchor=\"end\" fill=\"#222222\">"
                                 "x &amp; y</text>"));
    ck_assert_str_eq(text + strlen(text) - 7, "</svg>\n");
    free(text);
}
END_TEST

START_TEST(the_same_calls_give_the_same_bytes)
{
    char *a = draw_line(1 / 3.0), *b = draw_line(1 / 3.0);
    ck_assert_str_eq(a, b);
    free(a);
    free(b);
}
END_TEST

/* Helvetica's H e l l o are 722 556 222 222 556 thousandths wide; a little is added. */
START_TEST(texts_are_measured_in_helvetica)
{
    const double width = svg_text_width("Hello", 10);
    ck_assert_double_ge(width, 22.78);
    ck_assert_double_le(width, 22.78 * 1.1);
    ck_assert_double_eq_tol(svg_text_width("Hello", 20), 2 * width, 1e-9);
    ck_assert_double_eq(svg_text_width("", 10), 0);
    /* One character, though three bytes. */
    ck_assert_double_lt(svg_text_width("\xE2\x88\x92", 10), 10);
}
END_TEST

START_TEST(lines_are_broken_at_spaces_and_long_words_anywhere)
{
    const double width = svg_text_width("one two", 10) + 0.1;
    ck_assert_uint_eq(svg_text_fit("one two", 10, width), 7);
    ck_assert_uint_eq(svg_text_fit("one two three", 10, width), 7);
    ck_assert_uint_eq(svg_text_fit("one twooooo", 10, width), 3);
    ck_assert_uint_eq(svg_text_fit("onetwothree", 10, svg_text_width("onet", 10) + 0.1), 4);
    ck_assert_uint_eq(svg_text_fit("\xE2\x88\x92x", 10, 0), 3);
    ck_assert_uint_eq(svg_text_fit("", 10, 5), 0);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        texts_cannot_become_markup,
        only_characters_that_xml_allows_are_written,
        coordinates_have_two_decimals_and_no_more_than_they_need,
        a_picture_is_one_whole_element_with_size_and_title,
        the_same_calls_give_the_same_bytes,
        texts_are_measured_in_helvetica,
        lines_are_broken_at_spaces_and_long_words_anywhere,
    };
    return suite_run("svg", tests, TEST_COUNT(tests), 60);
}
