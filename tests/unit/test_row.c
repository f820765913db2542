#include "common/row.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"

static const struct row_shape shape = { 3, 2 };
enum { STRIDE = 8, MAX_ROWS = 8 };

/* Rows of the given kinds with plausible fields. */
static int make_rows(float rows[MAX_ROWS][STRIDE], const enum row_kind *kinds, int n)
{
    memset(rows, 0, sizeof(float) * MAX_ROWS * STRIDE);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < STRIDE - 1; j++)
            if (kinds[i] != ROW_CLOSE || j < shape.n_obs)
                rows[i][j] = (float)(i + 1) + 0.125f * (float)j;
        rows[i][STRIDE - 1] = (float)kinds[i];
    }
    return n;
}

static const char *check_kinds(const enum row_kind *kinds, int n, int n_transitions)
{
    float rows[MAX_ROWS][STRIDE];
    make_rows(rows, kinds, n);
    return row_check(shape, rows, n, n_transitions);
}

#define KINDS(...) (const enum row_kind[]){ __VA_ARGS__ }, \
                   (int)(sizeof((const enum row_kind[]){ __VA_ARGS__ }) / sizeof(enum row_kind))

static void expect_text(const char *found, const char *part)
{
    ck_assert_msg(found != NULL, "accepted, but should say: %s", part);
    ck_assert_msg(strstr(found, part) != NULL, "it says: %s", found);
}

START_TEST(fields_lie_where_the_layout_says)
{
    ck_assert_int_eq(row_stride(shape), STRIDE);
    ck_assert_int_eq(row_act(shape), 3);
    ck_assert_int_eq(row_reward(shape), 5);
    ck_assert_int_eq(row_log_prob(shape), 6);
    ck_assert_int_eq(row_kind(shape), 7);
    float row[STRIDE] = { [7] = 2 };
    ck_assert_int_eq(row_kind_of(shape, row), ROW_TRUNCATED);
}
END_TEST

START_TEST(fragments_of_every_form_are_accepted)
{
    ck_assert_ptr_null(check_kinds(KINDS(ROW_STEP, ROW_CLOSE), 1));
    ck_assert_ptr_null(check_kinds(KINDS(ROW_STEP, ROW_STEP, ROW_STEP, ROW_CLOSE), 3));
    ck_assert_ptr_null(check_kinds(KINDS(ROW_TERMINATED, ROW_CLOSE), 1));
    ck_assert_ptr_null(check_kinds(KINDS(ROW_TRUNCATED, ROW_CLOSE), 1));
    ck_assert_ptr_null(check_kinds(KINDS(ROW_STEP, ROW_TERMINATED, ROW_CLOSE, ROW_STEP,
                                         ROW_TRUNCATED, ROW_CLOSE, ROW_STEP, ROW_CLOSE), 5));
}
END_TEST

START_TEST(every_field_of_every_row_must_be_finite)
{
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    float rows[MAX_ROWS][STRIDE];
    int n = make_rows(rows, KINDS(ROW_STEP, ROW_STEP, ROW_CLOSE));
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < STRIDE; j++) {
            for (size_t k = 0; k < TEST_COUNT(bad); k++) {
                float saved = rows[i][j];
                rows[i][j] = bad[k];
                expect_text(row_check(shape, rows, n, 2), "NaN or infinite");
                rows[i][j] = saved;
            }
        }
    }
    rows[0][0] = 3e38f;
    ck_assert_ptr_null(row_check(shape, rows, n, 2));
}
END_TEST

START_TEST(a_kind_is_one_of_the_four_exactly)
{
    static const float bad[] = { -1, 4, 0.5f, 2.9999998f, 3.0000002f, 3e9f, -3e38f, 1e-45f };
    float rows[MAX_ROWS][STRIDE];
    int n = make_rows(rows, KINDS(ROW_STEP, ROW_STEP, ROW_CLOSE));
    for (int i = 0; i < n; i++) {
        for (size_t k = 0; k < TEST_COUNT(bad); k++) {
            float saved = rows[i][STRIDE - 1];
            rows[i][STRIDE - 1] = bad[k];
            expect_text(row_check(shape, rows, n, 2), "kind");
            rows[i][STRIDE - 1] = saved;
        }
    }
}
END_TEST

START_TEST(close_is_never_first)
{
    expect_text(check_kinds(KINDS(ROW_CLOSE, ROW_STEP, ROW_CLOSE), 1), "first row is CLOSE");
    expect_text(check_kinds(KINDS(ROW_CLOSE), 0), "first row is CLOSE");
}
END_TEST

START_TEST(close_is_always_last)
{
    expect_text(check_kinds(KINDS(ROW_STEP), 1), "last row is not CLOSE");
    expect_text(check_kinds(KINDS(ROW_STEP, ROW_CLOSE, ROW_STEP), 2), "last row is not CLOSE");
    expect_text(check_kinds(KINDS(ROW_STEP, ROW_TERMINATED), 2), "last row is not CLOSE");
    float row[STRIDE];
    expect_text(row_check(shape, row, 0, 0), "last row is not CLOSE");
}
END_TEST

START_TEST(close_never_follows_close)
{
    expect_text(check_kinds(KINDS(ROW_STEP, ROW_CLOSE, ROW_CLOSE), 1), "two CLOSE");
}
END_TEST

START_TEST(the_end_of_an_episode_is_followed_by_close)
{
    static const enum row_kind next[] = { ROW_STEP, ROW_TERMINATED, ROW_TRUNCATED };
    for (size_t i = 0; i < TEST_COUNT(next); i++) {
        expect_text(check_kinds(KINDS(ROW_TERMINATED, next[i], ROW_CLOSE), 2), "ends an episode");
        expect_text(check_kinds(KINDS(ROW_TRUNCATED, next[i], ROW_CLOSE), 2), "ends an episode");
    }
}
END_TEST

START_TEST(close_carries_an_observation_only)
{
    float rows[MAX_ROWS][STRIDE];
    int n = make_rows(rows, KINDS(ROW_STEP, ROW_CLOSE, ROW_STEP, ROW_CLOSE));
    for (int i = 1; i < n; i += 2) {
        for (int j = shape.n_obs; j < STRIDE - 1; j++) {
            rows[i][j] = 1e-45f;
            expect_text(row_check(shape, rows, n, 2), "more than an observation");
            rows[i][j] = -0.0f;
            ck_assert_ptr_null(row_check(shape, rows, n, 2));
            rows[i][j] = 0;
        }
    }
}
END_TEST

START_TEST(the_number_of_transitions_must_agree)
{
    static const int wrong[] = { -1, 0, 1, 3, 4, 5 };
    for (size_t i = 0; i < TEST_COUNT(wrong); i++)
        expect_text(check_kinds(KINDS(ROW_STEP, ROW_TERMINATED, ROW_CLOSE), wrong[i]),
                    "number of transitions");
    ck_assert_ptr_null(check_kinds(KINDS(ROW_STEP, ROW_TERMINATED, ROW_CLOSE), 2));
}
END_TEST

START_TEST(rows_may_lie_at_any_address)
{
    float rows[MAX_ROWS][STRIDE];
    int n = make_rows(rows, KINDS(ROW_STEP, ROW_TRUNCATED, ROW_CLOSE));
    size_t bytes = (size_t)n * STRIDE * sizeof(float);
    for (size_t shift = 0; shift < sizeof(float); shift++) {
        char *frame = malloc(bytes + shift);    /* exact, so that reading on is seen */
        memcpy(frame + shift, rows, bytes);
        ck_assert_ptr_null(row_check(shape, frame + shift, n, 2));
        free(frame);
    }
}
END_TEST

START_TEST(the_smallest_shape_works)
{
    struct row_shape tiny = { 1, 1 };
    float rows[2][5] = { { 1, 0.5f, 2, -1, ROW_STEP }, { 3, 0, 0, 0, ROW_CLOSE } };
    ck_assert_int_eq(row_stride(tiny), 5);
    ck_assert_ptr_null(row_check(tiny, rows, 2, 1));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        fields_lie_where_the_layout_says,
        fragments_of_every_form_are_accepted,
        every_field_of_every_row_must_be_finite,
        a_kind_is_one_of_the_four_exactly,
        close_is_never_first,
        close_is_always_last,
        close_never_follows_close,
        the_end_of_an_episode_is_followed_by_close,
        close_carries_an_observation_only,
        the_number_of_transitions_must_agree,
        rows_may_lie_at_any_address,
        the_smallest_shape_works,
    };
    return suite_run("row", tests, TEST_COUNT(tests), 60);
}
