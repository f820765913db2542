#include "actor/render/video.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/render/decode.h"
#include "tests/support.h"

enum { WIDTH = 96, HEIGHT = 64, SQUARE = 16 };

static const uint8_t INK[3] = { 220, 60, 40 }, PAPER[3] = { 240, 242, 245 };

/* A square that moves to the right by one pixel a frame. */
static void paint(uint8_t *rgb, int frame)
{
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            const int inside = x >= frame && x < frame + SQUARE && y >= 8 && y < 8 + SQUARE;
            memcpy(rgb + 3 * (y * WIDTH + x), inside ? INK : PAPER, 3);
        }
}

static void write_film(const char *path, int n_frames, double fps)
{
    uint8_t rgb[WIDTH * HEIGHT * 3];
    struct error err = { 0 };
    struct video *v;
    ck_assert_msg(video_open(&v, path, WIDTH, HEIGHT, fps, &err) == 0, "%s", err.text);
    for (int i = 0; i < n_frames; i++) {
        paint(rgb, i);
        ck_assert_msg(video_write(v, rgb, &err) == 0, "%s", err.text);
    }
    ck_assert_msg(video_finish(&v, &err) == 0, "%s", err.text);
    ck_assert_ptr_null(v);
}

static void check_pixel(const struct film *f, int frame, int x, int y, const uint8_t *expected,
                        int tolerance)
{
    const uint8_t *found = film_pixel(f, frame, x, y);
    for (int k = 0; k < 3; k++)
        ck_assert_msg(abs(found[k] - expected[k]) <= tolerance,
                      "frame %d, (%d, %d): %d %d %d, expected %d %d %d", frame, x, y, found[0],
                      found[1], found[2], expected[0], expected[1], expected[2]);
}

/* Every frame shows the square where it was painted. */
static void check_film(const struct film *f, int n_frames, int tolerance)
{
    ck_assert_int_eq(f->n_frames, n_frames);
    ck_assert_int_eq(f->width, WIDTH);
    ck_assert_int_eq(f->height, HEIGHT);
    for (int i = 0; i < n_frames; i++) {
        check_pixel(f, i, i + SQUARE / 2, 8 + SQUARE / 2, INK, tolerance);
        check_pixel(f, i, i + SQUARE + 6, 8 + SQUARE / 2, PAPER, tolerance);
        check_pixel(f, i, i + SQUARE / 2, HEIGHT - 8, PAPER, tolerance);
    }
}

static int files_in(const char *directory)
{
    int n = 0;
    DIR *d = opendir(directory);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static const char *place(char *path, size_t bytes, const char *name)
{
    char directory[512];
    test_directory("video", directory, sizeof(directory));
    snprintf(path, bytes, "%s/%s", directory, name);
    return path;
}

START_TEST(an_mp4_decodes_to_the_frames_it_was_given)
{
    char path[600];
    write_film(place(path, sizeof(path), "a.mp4"), 37, 25);
    struct film f = decode(path);
    check_film(&f, 37, 10);
    ck_assert_double_eq_tol(f.fps, 25, 1e-6);
    ck_assert_double_eq_tol(f.duration_s, 37.0 / 25, 1e-6);
    film_free(&f);
}
END_TEST

START_TEST(an_mp4_begins_with_its_magic_and_its_index_comes_before_the_pictures)
{
    char path[600];
    size_t bytes;
    write_film(place(path, sizeof(path), "a.mp4"), 10, 25);
    char *data = test_read(path, &bytes);
    ck_assert_mem_eq(data + 4, "ftyp", 4);
    const char *moov = memmem(data, bytes, "moov", 4), *mdat = memmem(data, bytes, "mdat", 4);
    ck_assert_ptr_nonnull(moov);
    ck_assert_ptr_nonnull(mdat);
    ck_assert_int_lt(moov - data, mdat - data);
    free(data);
}
END_TEST

START_TEST(a_gif_decodes_to_the_frames_it_was_given)
{
    char path[600];
    write_film(place(path, sizeof(path), "a.gif"), 30, 20);
    char *data = test_read(path, NULL);
    ck_assert_mem_eq(data, "GIF89a", 6);
    free(data);
    struct film f = decode(path);
    check_film(&f, 30, 1);
    ck_assert_double_eq_tol(f.duration_s, 1.5, 0.011);
    film_free(&f);
}
END_TEST

START_TEST(a_gif_keeps_its_mean_rate_where_a_hundredth_does_not_divide_it)
{
    char path[600];
    write_film(place(path, sizeof(path), "a.gif"), 61, 30);
    struct film f = decode(path);
    ck_assert_int_eq(f.n_frames, 61);
    ck_assert_double_eq_tol(f.duration_s, 61.0 / 30, 0.03);
    film_free(&f);
}
END_TEST

START_TEST(a_gif_of_many_colours_errs_little_and_keeps_small_things)
{
    char path[600];
    uint8_t rgb[WIDTH * HEIGHT * 3];
    struct error err = { 0 };
    struct video *v;
    const uint8_t odd[3] = { 250, 0, 250 };
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            const uint8_t colour[3] = { (uint8_t)(x * 2), (uint8_t)(y * 3), (uint8_t)(x + y) };
            memcpy(rgb + 3 * (y * WIDTH + x), x >= 40 && x < 42 && y == 20 ? odd : colour, 3);
        }
    place(path, sizeof(path), "a.gif");
    ck_assert_int_eq(video_open(&v, path, WIDTH, HEIGHT, 10, &err), 0);
    ck_assert_int_eq(video_write(v, rgb, &err), 0);
    ck_assert_int_eq(video_finish(&v, &err), 0);

    struct film f = decode(path);
    double sum = 0;
    for (int i = 0; i < WIDTH * HEIGHT * 3; i++)
        sum += abs(f.rgb[i] - rgb[i]);
    ck_assert_double_le(sum / (WIDTH * HEIGHT * 3), 3.5);
    check_pixel(&f, 0, 40, 20, odd, 12);
    film_free(&f);
}
END_TEST

START_TEST(numbered_pictures_are_exact)
{
    char pattern[600], path[700];
    uint8_t rgb[WIDTH * HEIGHT * 3];
    write_film(place(pattern, sizeof(pattern), "f%03d.png"), 3, 10);
    char *slash = strrchr(pattern, '/');
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%.*s/f%03d.png", (int)(slash - pattern), pattern, i);
        struct film f = decode(path);
        paint(rgb, i);
        ck_assert_int_eq(f.n_frames, 1);
        ck_assert_mem_eq(f.rgb, rgb, sizeof(rgb));
        film_free(&f);
    }
    *slash = '\0';
    ck_assert_int_eq(files_in(pattern), 3);
}
END_TEST

START_TEST(the_same_frames_give_the_same_bytes)
{
    static const char *const names[] = { "a.mp4", "a.gif" };
    for (int i = 0; i < 2; i++) {
        char first[600], second[600];
        size_t n, m;
        write_film(place(first, sizeof(first), names[i]), 20, 25);
        write_film(place(second, sizeof(second), names[i]), 20, 25);
        char *a = test_read(first, &n), *b = test_read(second, &m);
        ck_assert_uint_eq(n, m);
        ck_assert_mem_eq(a, b, n);
        free(a);
        free(b);
    }
}
END_TEST

START_TEST(a_video_given_up_leaves_what_was_there_and_nothing_else)
{
    static const char *const names[] = { "a.mp4", "a.gif" };
    uint8_t rgb[WIDTH * HEIGHT * 3];
    for (int i = 0; i < 2; i++) {
        char path[600];
        struct error err = { 0 };
        struct video *v;
        test_write(place(path, sizeof(path), names[i]), "before", 6);
        ck_assert_int_eq(video_open(&v, path, WIDTH, HEIGHT, 25, &err), 0);
        for (int k = 0; k < 60; k++) {
            paint(rgb, k % 60);
            ck_assert_int_eq(video_write(v, rgb, &err), 0);
        }
        char *data = test_read(path, NULL);
        ck_assert_str_eq(data, "before");
        free(data);
        video_discard(&v);
        data = test_read(path, NULL);
        ck_assert_str_eq(data, "before");
        free(data);
        *strrchr(path, '/') = '\0';
        ck_assert_int_eq(files_in(path), 1);
    }
}
END_TEST

START_TEST(a_picture_that_does_not_fit_on_the_disk_leaves_only_whole_ones)
{
    char path[600], first[700];
    struct error err = { 0 };
    struct video *v;
    uint8_t rgb[WIDTH * HEIGHT * 3];
    struct rlimit limit;
    paint(rgb, 0);
    place(path, sizeof(path), "a%d.png");
    ck_assert_int_eq(video_open(&v, path, WIDTH, HEIGHT, 25, &err), 0);
    ck_assert_int_eq(video_write(v, rgb, &err), 0);
    for (size_t i = 0; i < sizeof(rgb); i++)    /* noise is as long as its pixels */
        rgb[i] = (uint8_t)(i * i * 31 >> 7);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 2048;
    setrlimit(RLIMIT_FSIZE, &limit);
    ck_assert_int_eq(video_write(v, rgb, &err), ERR_IO);
    video_discard(&v);
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(files_in(path), 1);
    snprintf(first, sizeof(first), "%s/a0.png", path);
    ck_assert_int_eq(access(first, F_OK), 0);
}
END_TEST

START_TEST(a_video_without_frames_is_refused_and_leaves_no_file)
{
    char path[600];
    struct error err = { 0 };
    struct video *v;
    place(path, sizeof(path), "a.mp4");
    ck_assert_int_eq(video_open(&v, path, WIDTH, HEIGHT, 25, &err), 0);
    ck_assert_int_eq(video_finish(&v, &err), ERR_USAGE);
    ck_assert_ptr_null(v);
    *strrchr(path, '/') = '\0';
    ck_assert_int_eq(files_in(path), 0);
}
END_TEST

START_TEST(names_sizes_and_rates_a_format_cannot_have_are_refused)
{
    static const struct {
        const char *name;
        int width, height;
        double fps;
        int code;
        const char *hint;
    } bad[] = {
        { "a.avi", 64, 64, 25, ERR_USAGE, ".mp4, .gif or .png" },
        { "mp4", 64, 64, 25, ERR_USAGE, ".mp4, .gif or .png" },
        { "a.mp4", 65, 64, 25, ERR_USAGE, "even" },
        { "a.mp4", 64, 65, 25, ERR_USAGE, "even" },
        { "a.gif", 64, 2, 25, ERR_USAGE, "16 to 8192" },
        { "a.gif", 64, 64, 51, ERR_USAGE, "0.1 to 50" },
        { "a.mp4", 64, 64, 0, ERR_USAGE, "0.1 to 1000" },
        { "a.mp4", 64, 64, (double)NAN, ERR_USAGE, "0.1 to 1000" },
        { "a.png", 64, 64, 25, ERR_USAGE, "%04d" },
        { "nowhere/a.mp4", 64, 64, 25, ERR_IO, "nowhere/a.mp4" },
        { "nowhere/a%d.png", 64, 64, 25, 0, NULL },    /* found out at the first picture */
    };
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        char path[600];
        struct error err = { 0 };
        struct video *v = NULL;
        place(path, sizeof(path), bad[i].name);
        const int rc = video_open(&v, path, bad[i].width, bad[i].height, bad[i].fps, &err);
        ck_assert_msg(rc == bad[i].code, "%s: %d, %s", bad[i].name, rc, err.text);
        if (rc != 0) {
            ck_assert_ptr_null(v);
            ck_assert_msg(strstr(err.text, bad[i].hint) != NULL, "%s", err.text);
            continue;
        }
        uint8_t rgb[64 * 64 * 3] = { 0 };
        ck_assert_int_eq(video_write(v, rgb, &err), ERR_IO);
        video_discard(&v);
    }
}
END_TEST

START_TEST(colons_and_percent_signs_in_paths_are_only_characters)
{
    static const char name[] = "tcp:a%d 1.mp4";
    char directory[512];
    ck_assert_int_eq(chdir(test_directory("video", directory, sizeof(directory))), 0);
    write_film(name, 5, 25);
    char *data = test_read(name, NULL);
    ck_assert_mem_eq(data + 4, "ftyp", 4);
    free(data);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        an_mp4_decodes_to_the_frames_it_was_given,
        an_mp4_begins_with_its_magic_and_its_index_comes_before_the_pictures,
        a_gif_decodes_to_the_frames_it_was_given,
        a_gif_keeps_its_mean_rate_where_a_hundredth_does_not_divide_it,
        a_gif_of_many_colours_errs_little_and_keeps_small_things,
        numbered_pictures_are_exact,
        the_same_frames_give_the_same_bytes,
        a_video_given_up_leaves_what_was_there_and_nothing_else,
        a_picture_that_does_not_fit_on_the_disk_leaves_only_whole_ones,
        a_video_without_frames_is_refused_and_leaves_no_file,
        names_sizes_and_rates_a_format_cannot_have_are_refused,
        colons_and_percent_signs_in_paths_are_only_characters,
    };
    return suite_run("video", tests, TEST_COUNT(tests), 60);
}
