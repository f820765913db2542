#include "deploy/plot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/plot_axis.h"
#include "tests/support.h"

/* ---- axes ---- */

static void expect_ticks(const struct plot_axis *a, const char *labels)
{
    char all[512] = "", label[PLOT_LABEL_BYTES];
    for (int i = 0; i < a->n_ticks; i++) {
        plot_axis_label(a, a->ticks[i], label);
        snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? " " : "", label);
    }
    ck_assert_str_eq(all, labels);
}

START_TEST(ticks_stand_at_round_numbers)
{
    struct plot_axis a;
    plot_axis_fit(&a, 0, 100, 0, false, 5);
    expect_ticks(&a, "0 20 40 60 80 100");
    ck_assert_double_eq(a.low, 0);
    ck_assert_double_eq(a.high, 100);
    plot_axis_fit(&a, 0, 150, 0, false, 5);
    expect_ticks(&a, "0 20 40 60 80 100 120 140");
    plot_axis_fit(&a, -1, 1, 0, false, 4);
    expect_ticks(&a, "\xE2\x88\x92" "1.0 \xE2\x88\x92" "0.5 0.0 0.5 1.0");
    plot_axis_fit(&a, 101, 104.9, 0, false, 4);
    expect_ticks(&a, "101 102 103 104");
}
END_TEST

START_TEST(large_numbers_are_labelled_in_thousands_and_millions)
{
    struct plot_axis a;
    plot_axis_fit(&a, 0, 50000, 0, false, 5);
    expect_ticks(&a, "0 10k 20k 30k 40k 50k");
    plot_axis_fit(&a, 0, 1e6, 0, false, 5);
    expect_ticks(&a, "0 0.2M 0.4M 0.6M 0.8M 1.0M");
    plot_axis_fit(&a, 0, 3e9, 0, false, 3);
    expect_ticks(&a, "0 1000M 2000M 3000M");
}
END_TEST

START_TEST(a_range_near_zero_begins_at_zero_and_another_gets_a_margin)
{
    struct plot_axis a;
    plot_axis_fit(&a, 2, 10, 0.05, false, 5);
    ck_assert_double_eq(a.low, 0);
    ck_assert_double_eq_tol(a.high, 10.4, 1e-12);
    plot_axis_fit(&a, 90, 100, 0.1, false, 5);
    ck_assert_double_eq_tol(a.low, 89, 1e-12);
    plot_axis_fit(&a, -1000, -10, 0.05, false, 5);
    ck_assert_double_eq(a.high, 0);
}
END_TEST

START_TEST(a_single_value_gets_room)
{
    struct plot_axis a;
    plot_axis_fit(&a, 500, 500, 0, false, 5);
    ck_assert(a.low < 500 && a.high > 500 && a.n_ticks >= 2);
    plot_axis_fit(&a, 0, 0, 0, false, 5);
    ck_assert(a.low == 0 && a.high > 0);
    plot_axis_fit(&a, 7, 7, 0, true, 5);
    ck_assert(a.low < 7 && a.high > 7 && a.n_ticks >= 1);
}
END_TEST

START_TEST(logarithmic_axes_have_decades_and_equal_steps)
{
    struct plot_axis a;
    plot_axis_fit(&a, 1, 10000, 0, true, 5);
    expect_ticks(&a, "1 10 100 1k 10k");
    ck_assert_double_eq_tol(plot_axis_place(&a, 100), 0.5, 1e-12);
    ck_assert_double_eq_tol(plot_axis_place(&a, 10), 0.25, 1e-12);
    plot_axis_fit(&a, 0.5, 20, 0, true, 5);
    expect_ticks(&a, "0.5 1 2 5 10 20");
    ck_assert(isfinite(plot_axis_place(&a, 0)));
}
END_TEST

static const char *number(double value, int digits)
{
    static char text[PLOT_LABEL_BYTES];
    plot_number(value, digits, text);
    return text;
}

START_TEST(numbers_have_as_many_digits_as_asked)
{
    ck_assert_str_eq(number(3.14159, 3), "3.14");
    ck_assert_str_eq(number(12345.6, 3), "12346");
    ck_assert_str_eq(number(-0.012345, 3), "\xE2\x88\x92" "0.0123");
    ck_assert_str_eq(number(0, 3), "0");
    ck_assert_str_eq(number((double)NAN, 3), "-");
    ck_assert_str_eq(number(1e-9, 2), "1e-09");
}
END_TEST

/* ---- charts ---- */

/* The points of the n-th element of a kind in a picture; returns how many, or -1 when there is none. */
static int points_of(const char *svg, const char *element, int n, double *xy, int capacity)
{
    char head[64];
    int count = 0;
    snprintf(head, sizeof(head), "<%s points=\"", element);
    for (; n >= 0 && svg; n--) {
        svg = strstr(svg, head);
        svg = svg ? svg + strlen(head) : NULL;
    }
    while (svg && *svg != '"' && count < capacity) {
        char *end;
        xy[2 * count] = strtod(svg, &end);
        xy[2 * count + 1] = strtod(end + 1, &end);
        svg = end;
        count++;
    }
    return svg ? count : -1;
}

static char *draw(const struct plot_series *series, int n, bool is_log_x)
{
    const struct plot_panel panel = { .title = "", .x_label = "steps", .y_label = "return <mean>",
                                      .is_log_x = is_log_x, .has_y_range = true, .y_range = { 0, 1 },
                                      .series = series, .n_series = n };
    const struct plot_key legend = { "A & B", 0, false };
    return plot_draw(&(struct plot_figure){ .title = "T", .caption = "Seeds: 1 to 3.", .legend = &legend,
                                            .n_legend = 1, .panels = &panel, .n_panels = 1 });
}

START_TEST(a_line_lies_where_its_numbers_are)
{
    const double x[] = { 0, 5, 10 }, y[] = { 0, 0.5, 1 };
    double line[6], spine[6];
    char *svg = draw(&(struct plot_series){ PLOT_LINE, 3, x, y, NULL, NULL, 0, false, false }, 1, false);
    ck_assert_int_eq(points_of(svg, "polyline", 0, line, 3), 3);
    ck_assert_int_eq(points_of(svg, "polyline", 1, spine, 3), 3);      /* left top, corner, right bottom */
    ck_assert_double_eq_tol(line[0], spine[2], 0.011);
    ck_assert_double_eq_tol(line[1], spine[3], 0.011);
    ck_assert_double_eq_tol(line[4], spine[4], 0.011);
    ck_assert_double_eq_tol(line[5], spine[1], 0.011);
    ck_assert_double_eq_tol(line[2], (spine[2] + spine[4]) / 2, 0.011);
    ck_assert_double_eq_tol(line[3], (spine[1] + spine[3]) / 2, 0.011);
    /* The frame is large and inside the picture. */
    ck_assert_double_gt(spine[4] - spine[2], 550);
    ck_assert_double_gt(spine[3] - spine[1], 250);
    ck_assert(spine[0] > 20 && spine[4] < PLOT_WIDTH);
    ck_assert_ptr_nonnull(strstr(svg, "width=\"720\" height=\"440\""));
    free(svg);
}
END_TEST

START_TEST(a_logarithmic_line_leaves_out_what_is_not_positive)
{
    const double x[] = { 0, 1, 10, 100 }, y[] = { 1, 0, 0.5, 1 };
    double line[8];
    char *svg = draw(&(struct plot_series){ PLOT_LINE, 4, x, y, NULL, NULL, 0, false, false }, 1, true);
    ck_assert_int_eq(points_of(svg, "polyline", 0, line, 4), 3);
    ck_assert_double_eq_tol(line[2] - line[0], line[4] - line[2], 0.02);
    free(svg);
}
END_TEST

START_TEST(a_missing_number_is_a_gap)
{
    const double x[] = { 0, 1, 2, 3, 4 }, y[] = { 0, 1, (double)NAN, 1, 0 };
    double line[10];
    char *svg = draw(&(struct plot_series){ PLOT_LINE, 5, x, y, NULL, NULL, 0, false, false }, 1, false);
    ck_assert_int_eq(points_of(svg, "polyline", 0, line, 5), 2);
    ck_assert_int_eq(points_of(svg, "polyline", 1, line, 5), 2);
    ck_assert_int_eq(points_of(svg, "polyline", 2, line, 5), 3);       /* the frame */
    ck_assert_ptr_null(strstr(svg, "nan"));
    free(svg);
}
END_TEST

START_TEST(a_band_is_a_closed_shape_between_its_edges)
{
    const double x[] = { 0, 1 }, low[] = { 0, 0.25 }, high[] = { 0.5, 1 };
    double shape[16];
    char *svg = draw(&(struct plot_series){ PLOT_BAND, 2, x, NULL, low, high, 0, false, false }, 1, false);
    ck_assert_int_eq(points_of(svg, "polygon", 0, shape, 8), 4);
    ck_assert_double_eq(shape[0], shape[6]);        /* from the upper left ... to the lower left */
    ck_assert_double_eq(shape[2], shape[4]);
    ck_assert_double_lt(shape[1], shape[7]);
    /* High is 0.5 and 1: the upper edge rises by half of the frame, the lower by a quarter. */
    ck_assert_double_eq_tol(shape[1] - shape[3], 2 * (shape[7] - shape[5]), 0.05);
    free(svg);
}
END_TEST

START_TEST(steps_hold_a_value_until_the_next)
{
    const double x[] = { 0, 1, 2 }, y[] = { 0, 1, 0.5 };
    double line[12];
    char *svg = draw(&(struct plot_series){ PLOT_STEP, 3, x, y, NULL, NULL, 0, false, false }, 1, false);
    ck_assert_int_eq(points_of(svg, "polyline", 0, line, 6), 5);
    ck_assert_double_eq(line[1], line[3]);
    ck_assert_double_eq(line[2], line[4]);
    free(svg);
}
END_TEST

START_TEST(intervals_have_rows_with_names_and_a_reference)
{
    const char *const rows[] = { "x > y", "a very long name that nobody could ever hope to fit beside a chart" };
    const double x[] = { 0.25 }, y[] = { 0 }, low[] = { 0 }, high[] = { 0.5 };
    const struct plot_series series = { PLOT_INTERVAL, 1, x, y, low, high, 0, false, false };
    const struct plot_panel panel = { .title = "", .x_label = "P", .y_label = "", .has_x_range = true,
                                      .x_range = { 0, 1 }, .has_reference = true, .reference = 0.5, .rows = rows,
                                      .n_rows = 2, .series = &series, .n_series = 1 };
    double spine[6];
    char *svg = plot_draw(&(struct plot_figure){ .title = "", .caption = "", .panels = &panel, .n_panels = 1 });
    ck_assert_int_eq(points_of(svg, "polyline", 0, spine, 3), 3);
    ck_assert_ptr_nonnull(strstr(svg, ">x &gt; y</text>"));
    ck_assert_ptr_nonnull(strstr(svg, "\xE2\x80\xA6</text>"));
    /* The dot is at a quarter, its whisker from the left to the middle, where the reference is. */
    const char *dot = strstr(svg, "<circle cx=\"");
    ck_assert_ptr_nonnull(dot);
    ck_assert_double_eq_tol(strtod(dot + 12, NULL), spine[2] + (spine[4] - spine[2]) / 4, 0.011);
    ck_assert_ptr_nonnull(strstr(svg, "stroke-dasharray=\"4 3\""));
    free(svg);
}
END_TEST

START_TEST(a_reference_beyond_the_data_is_shown)
{
    const char *const rows[] = { "a" };
    const double x[] = { 1 }, y[] = { 0 };
    const struct plot_series series = { PLOT_INTERVAL, 1, x, y, x, x, 0, false, false };
    const struct plot_panel panel = { .title = "", .x_label = "P", .y_label = "", .has_reference = true, .reference = 5,
                                      .rows = rows, .n_rows = 1, .series = &series, .n_series = 1 };
    double spine[6];
    char *svg = plot_draw(&(struct plot_figure){ .title = "", .caption = "", .panels = &panel, .n_panels = 1 });
    ck_assert_int_eq(points_of(svg, "polyline", 0, spine, 3), 3);
    char *line = strstr(svg, "stroke-dasharray=\"4 3\"");
    ck_assert_ptr_nonnull(line);
    while (strncmp(line, "<line x1=\"", 10) != 0)
        line--;
    const double at = strtod(line + 10, NULL);
    ck_assert(at > spine[2] && at <= spine[4]);
    free(svg);
}
END_TEST

START_TEST(texts_are_escaped_and_the_same_data_give_the_same_bytes)
{
    const double x[] = { 0, 1.0 / 3 }, y[] = { 0, 2.0 / 3 };
    const struct plot_series line = { PLOT_LINE, 2, x, y, NULL, NULL, 0, true, false };
    char *a = draw(&line, 1, false), *b = draw(&line, 1, false);
    ck_assert_str_eq(a, b);
    ck_assert_ptr_nonnull(strstr(a, ">A &amp; B</text>"));
    ck_assert_ptr_nonnull(strstr(a, ">return &lt;mean&gt;</text>"));
    ck_assert_ptr_nonnull(strstr(a, ">Seeds: 1 to 3.</text>"));
    ck_assert_ptr_nonnull(strstr(a, ">steps</text>"));
    ck_assert_ptr_nonnull(strstr(a, "stroke-dasharray"));
    free(a);
    free(b);
}
END_TEST

START_TEST(nothing_to_show_is_an_empty_chart)
{
    char *svg = draw(NULL, 0, false);
    ck_assert_ptr_nonnull(strstr(svg, "</svg>"));
    ck_assert_ptr_null(strstr(svg, "nan"));
    ck_assert_ptr_null(strstr(svg, "inf"));
    free(svg);
}
END_TEST

START_TEST(panels_do_not_overlap)
{
    const double x[] = { 0, 1 }, y[] = { 0, 1000 };
    const struct plot_series line = { PLOT_LINE, 2, x, y, NULL, NULL, 0, false, false };
    struct plot_panel panels[7];
    double spine[7][6];
    for (int i = 0; i < 7; i++)
        panels[i] = (struct plot_panel){ .title = "t", .x_label = "x", .y_label = "y", .series = &line, .n_series = 1 };
    char *svg = plot_draw(&(struct plot_figure){ .title = "T", .caption = "", .panels = panels, .n_panels = 7 });
    for (int i = 0; i < 7; i++)
        ck_assert_int_eq(points_of(svg, "polyline", 2 * i + 1, spine[i], 3), 3);
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < i; k++)
            ck_assert(spine[i][2] > spine[k][4] + 20 || spine[k][2] > spine[i][4] + 20
                      || spine[i][1] > spine[k][3] + 20 || spine[k][1] > spine[i][3] + 20);
    free(svg);
}
END_TEST

START_TEST(neighbouring_colours_differ)
{
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < i; k++)
            ck_assert_str_ne(plot_colour(i), plot_colour(k));
    ck_assert_str_eq(plot_colour(7), plot_colour(0));
    ck_assert_str_eq(plot_colour(-1), plot_colour(6));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        ticks_stand_at_round_numbers,
        large_numbers_are_labelled_in_thousands_and_millions,
        a_range_near_zero_begins_at_zero_and_another_gets_a_margin,
        a_single_value_gets_room,
        logarithmic_axes_have_decades_and_equal_steps,
        numbers_have_as_many_digits_as_asked,
        a_line_lies_where_its_numbers_are,
        a_logarithmic_line_leaves_out_what_is_not_positive,
        a_missing_number_is_a_gap,
        a_band_is_a_closed_shape_between_its_edges,
        steps_hold_a_value_until_the_next,
        intervals_have_rows_with_names_and_a_reference,
        a_reference_beyond_the_data_is_shown,
        texts_are_escaped_and_the_same_data_give_the_same_bytes,
        nothing_to_show_is_an_empty_chart,
        panels_do_not_overlap,
        neighbouring_colours_differ,
    };
    return suite_run("plot", tests, TEST_COUNT(tests), 60);
}
