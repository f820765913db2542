#include "actor/render/canvas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"

enum { SIDE = 64, GUARD = 64 };

static const struct colour BLACK = { 0, 0, 0 }, WHITE = { 255, 255, 255 };
static const double PI = 3.141592653589793;

/* A black picture between guards that no drawing may touch. */
static uint8_t store[GUARD + SIDE * SIDE * 3 + GUARD];
static struct canvas canvas = { SIDE, SIDE, store + GUARD };

static void blank(void)
{
    memset(store, 0xa5, sizeof(store));
    canvas_clear(&canvas, BLACK);
}

static int red(int x, int y)
{
    return canvas.rgb[3 * (y * SIDE + x)];
}

/* White in pixels' worth, over the picture. */
static double area(void)
{
    double sum = 0;
    for (int i = 0; i < SIDE * SIDE; i++)
        sum += canvas.rgb[3 * i] / 255.0;
    return sum;
}

static void check_guards(void)
{
    for (int i = 0; i < GUARD; i++) {
        ck_assert_uint_eq(store[i], 0xa5);
        ck_assert_uint_eq(store[sizeof(store) - 1 - (size_t)i], 0xa5);
    }
}

static void rectangle(double left, double top, double right, double bottom, struct colour colour)
{
    const struct point corners[] = {
        { left, top }, { right, top }, { right, bottom }, { left, bottom }
    };
    canvas_polygon(&canvas, corners, 4, colour);
}

START_TEST(clear_sets_every_pixel)
{
    memset(store, 0xa5, sizeof(store));
    canvas_clear(&canvas, (struct colour){ 10, 20, 30 });
    for (int i = 0; i < SIDE * SIDE; i++) {
        const uint8_t expected[] = { 10, 20, 30 };
        ck_assert_mem_eq(canvas.rgb + 3 * i, expected, 3);
    }
    check_guards();
}
END_TEST

START_TEST(a_polygon_on_pixel_borders_fills_those_pixels_and_no_others)
{
    blank();
    rectangle(3, 5, 9, 7, WHITE);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            ck_assert_int_eq(red(x, y), x >= 3 && x < 9 && y >= 5 && y < 7 ? 255 : 0);
}
END_TEST

START_TEST(a_pixel_is_mixed_by_the_share_that_is_covered)
{
    blank();
    rectangle(10.25, 20.5, 12.75, 22, WHITE);
    ck_assert_int_eq(red(10, 20), (int)lround(255 * 0.75 * 0.5));
    ck_assert_int_eq(red(11, 20), (int)lround(255 * 0.5));
    ck_assert_int_eq(red(10, 21), (int)lround(255 * 0.75));
    ck_assert_int_eq(red(11, 21), 255);
    ck_assert_int_eq(red(12, 21), (int)lround(255 * 0.75));
    ck_assert_int_eq(red(13, 21), 0);
    ck_assert_int_eq(red(11, 22), 0);

    /* Over another colour. */
    canvas_clear(&canvas, (struct colour){ 100, 100, 100 });
    rectangle(1, 1, 1.5, 2, (struct colour){ 200, 0, 100 });
    const uint8_t half[] = { 150, 50, 100 };
    ck_assert_mem_eq(canvas.rgb + 3 * (SIDE + 1), half, 3);
}
END_TEST

START_TEST(x_goes_right_and_y_goes_down)
{
    blank();
    rectangle(50, 2, 60, 6, WHITE);
    ck_assert_int_eq(canvas.rgb[3 * (3 * SIDE + 55)], 255);
    ck_assert_int_eq(canvas.rgb[3 * (55 * SIDE + 3)], 0);
}
END_TEST

START_TEST(areas_are_those_of_geometry)
{
    const struct point triangle[] = { { 5.3, 6.1 }, { 50.2, 20.4 }, { 17.7, 58.9 } };
    blank();
    canvas_polygon(&canvas, triangle, 3, WHITE);
    const double twice = (50.2 - 5.3) * (58.9 - 6.1) - (17.7 - 5.3) * (20.4 - 6.1);
    ck_assert_double_eq_tol(area(), twice / 2, 0.5);

    blank();
    canvas_circle(&canvas, (struct point){ 31.4, 32.7 }, 20.3, WHITE);
    ck_assert_double_eq_tol(area(), PI * 20.3 * 20.3, 1.5);

    blank();
    canvas_line(&canvas, (struct point){ 10, 12 }, (struct point){ 40, 52 }, 6, WHITE);
    ck_assert_double_eq_tol(area(), 50 * 6 + PI * 9, 1.5);

    /* Thinner than a pixel: paler, not wider. */
    blank();
    canvas_line(&canvas, (struct point){ 10, 20.5 }, (struct point){ 50, 20.5 }, 0.25, WHITE);
    ck_assert_double_eq_tol(area(), 40 * 0.25, 0.5);
}
END_TEST

START_TEST(a_mirrored_shape_is_the_mirrored_picture)
{
    const struct point shape[] = { { 5.3, 6.1 }, { 50.2, 20.4 }, { 17.7, 58.9 } };
    struct point mirrored[3];
    static uint8_t upright[SIDE][SIDE];
    blank();
    canvas_polygon(&canvas, shape, 3, WHITE);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            upright[y][x] = (uint8_t)red(x, y);
    for (int i = 0; i < 3; i++)
        mirrored[i] = (struct point){ SIDE - shape[i].x, SIDE - shape[i].y };
    blank();
    canvas_polygon(&canvas, mirrored, 3, WHITE);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            ck_assert_int_le(abs(red(SIDE - 1 - x, SIDE - 1 - y) - upright[y][x]), 1);
}
END_TEST

START_TEST(a_polygon_that_crosses_itself_follows_the_even_odd_rule)
{
    struct point star[5];
    for (int i = 0; i < 5; i++) {
        const double angle = 4 * PI * i / 5;
        star[i] = (struct point){ 32 + 30 * sin(angle), 32 - 30 * cos(angle) };
    }
    blank();
    canvas_polygon(&canvas, star, 5, WHITE);
    ck_assert_int_eq(red(32, 32), 0);
    ck_assert_int_eq(red(32, 12), 255);
}
END_TEST

START_TEST(shapes_may_leave_the_picture)
{
    blank();
    rectangle(-1e9, -1e9, 1e9, 1e9, WHITE);
    ck_assert_double_eq_tol(area(), SIDE * SIDE, 1e-9);
    check_guards();

    blank();
    rectangle(-10, -10, 2, 3, WHITE);
    ck_assert_double_eq_tol(area(), 6, 1e-9);
    for (int corner = 0; corner < 4; corner++) {
        const struct point at = { corner % 2 * SIDE, (corner - corner % 2) / 2 * SIDE };
        canvas_circle(&canvas, at, 10, WHITE);
        canvas_line(&canvas, at, (struct point){ at.x * 3 - SIDE, at.y * 3 - SIDE }, 5, WHITE);
    }
    check_guards();

    blank();
    rectangle(100, 100, 200, 200, WHITE);
    rectangle(-200, 5, -100, 10, WHITE);
    canvas_circle(&canvas, (struct point){ 1e12, -1e12 }, 50, WHITE);
    ck_assert_double_eq(area(), 0);
    check_guards();
}
END_TEST

START_TEST(what_is_not_finite_is_not_drawn)
{
    const struct point bad[] = { { 1, 1 }, { NAN, 5 }, { 9, 9 } };
    const struct point far[] = { { 1, 1 }, { INFINITY, 5 }, { 9, 9 } };
    blank();
    canvas_polygon(&canvas, bad, 3, WHITE);
    canvas_polygon(&canvas, far, 3, WHITE);
    canvas_circle(&canvas, (struct point){ NAN, 3 }, 5, WHITE);
    canvas_circle(&canvas, (struct point){ 3, 3 }, INFINITY, WHITE);
    canvas_line(&canvas, (struct point){ 1, 1 }, (struct point){ 5, -INFINITY }, 2, WHITE);
    canvas_circle(&canvas, (struct point){ 3, 3 }, 0, WHITE);
    ck_assert_double_eq(area(), 0);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        clear_sets_every_pixel,
        a_polygon_on_pixel_borders_fills_those_pixels_and_no_others,
        a_pixel_is_mixed_by_the_share_that_is_covered,
        x_goes_right_and_y_goes_down,
        areas_are_those_of_geometry,
        a_mirrored_shape_is_the_mirrored_picture,
        a_polygon_that_crosses_itself_follows_the_even_odd_rule,
        shapes_may_leave_the_picture,
        what_is_not_finite_is_not_drawn,
    };
    return suite_run("canvas", tests, TEST_COUNT(tests), 20);
}
