/* Running statistics against Gymnasium's (tests/golden/make_normalisation_golden.py). */
#include "learner/normalisation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/support.h"

static const struct row_shape shape = { 3, 1 };
enum { N_OBS = 3, STRIDE = 7, MAX_ROWS = 32 };

static const double MEAN[N_OBS] = { 0.687494271, 2.74997708, 3.37497188 };
static const double INVERSE_STD[N_OBS] = { 0.197863651, 0.205602411, 0.192841512 };
static const double REWARD_SCALE = 0.891388718;

static struct arena *arena;

static struct normalisation *make(bool of_observations, bool of_rewards)
{
    const struct normalisation_setup setup = { shape, 2, of_observations, of_rewards, 0.9, 3 };
    return normalisation_create(&setup, arena);
}

static float observation(int k, int i)
{
    return (float)((k * 37 + i * 11) % 23 - 9) * 0.75f + (float)i;
}

static void write_row(float *row, int k, enum row_kind kind)
{
    for (int i = 0; i < N_OBS; i++)
        row[i] = kind == ROW_CLOSE ? 1e6f : observation(k, i);    /* must not count */
    row[row_act(shape)] = 5;
    row[row_reward(shape)] = kind == ROW_CLOSE ? 0 : (float)(k * 13 % 7 - 2) * 0.5f;
    row[row_log_prob(shape)] = 0;
    row[row_kind(shape)] = (float)kind;
}

/* Transitions first..last of a stream as a fragment, kind `how` at 2 and 9, shifted by a byte. */
static void consume(struct normalisation *n, int64_t stream, int first, int last,
                    enum row_kind how, int max)
{
    static unsigned char bytes[MAX_ROWS * STRIDE * sizeof(float) + 1];
    float rows[MAX_ROWS][STRIDE];
    int n_rows = 0;
    for (int k = first; k <= last; k++) {
        bool is_end = k == 2 || k == 9;
        write_row(rows[n_rows++], k, is_end ? how : ROW_STEP);
        if (is_end || k == last)
            write_row(rows[n_rows++], k, ROW_CLOSE);
    }
    memcpy(bytes + 1, rows, (size_t)n_rows * sizeof(rows[0]));
    normalisation_consume(n, stream, false, bytes + 1, n_rows, max);
}

static void consume_all(struct normalisation *n, enum row_kind how)
{
    consume(n, 0, 0, 3, how, 4);
    consume(n, 1, 4, 6, how, 3);
    consume(n, 0, 7, 11, how, 5);
}

static void check_near(double found, double expected)
{
    ck_assert_msg(fabs(found - expected) <= 1e-6 * fabs(expected), "%.9g instead of %.9g", found,
                  expected);
}

START_TEST(statistics_are_those_of_gymnasium)
{
    const enum row_kind ends[] = { ROW_TERMINATED, ROW_TRUNCATED };
    for (int e = 0; e < 2; e++) {
        struct normalisation *n = make(true, true);
        float out[2 * N_OBS], batch[2][STRIDE];
        consume_all(n, ends[e]);
        normalisation_refresh(n);
        ck_assert_uint_eq(normalisation_write(n, out), 2 * N_OBS);
        for (int i = 0; i < N_OBS; i++) {
            check_near((double)out[i], MEAN[i]);
            check_near((double)out[N_OBS + i], INVERSE_STD[i]);
        }
        write_row(batch[0], 3, ROW_STEP);
        write_row(batch[1], 4, ROW_STEP);
        normalisation_apply(n, 1, &batch[0][0]);
        for (int i = 0; i < N_OBS; i++)
            for (int k = 0; k < 2; k++)
                check_near((double)batch[k][i],
                           ((double)observation(3 + k, i) - MEAN[i]) * INVERSE_STD[i]);
        check_near((double)batch[0][row_reward(shape)], (3 * 13 % 7 - 2) * 0.5 * REWARD_SCALE);
        ck_assert_double_eq((double)batch[0][row_act(shape)], 5);
    }
}
END_TEST

START_TEST(statistics_hold_from_the_next_refresh_on)
{
    struct normalisation *n = make(true, true);
    float before[2 * N_OBS], after[2 * N_OBS];
    normalisation_write(n, before);
    ck_assert_double_eq((double)before[0], 0);
    ck_assert_double_eq_tol((double)before[N_OBS], 1, 1e-6);
    consume_all(n, ROW_TERMINATED);
    normalisation_write(n, after);
    ck_assert_mem_eq(before, after, sizeof(before));
}
END_TEST

START_TEST(transitions_beyond_the_cut_do_not_count)
{
    struct normalisation *all = make(true, true), *cut = make(true, true);
    float a[2 * N_OBS], b[2 * N_OBS];
    consume(all, 0, 0, 2, ROW_TERMINATED, 3);
    consume(cut, 0, 0, 6, ROW_TERMINATED, 3);
    normalisation_refresh(all);
    normalisation_refresh(cut);
    normalisation_write(all, a);
    normalisation_write(cut, b);
    ck_assert_mem_eq(a, b, sizeof(a));
}
END_TEST

START_TEST(far_numbers_are_kept_within_ten)
{
    struct normalisation *n = make(true, true);
    float batch[2][STRIDE] = { { 0 } };
    consume_all(n, ROW_TERMINATED);
    normalisation_refresh(n);
    batch[0][0] = 1e20f;
    batch[1][1] = -1e20f;
    batch[0][row_reward(shape)] = -1e9f;
    normalisation_apply(n, 1, &batch[0][0]);
    ck_assert_double_eq((double)batch[0][0], 10);
    ck_assert_double_eq((double)batch[1][1], -10);
    ck_assert_double_eq((double)batch[0][row_reward(shape)], -10);
}
END_TEST

START_TEST(what_is_not_asked_for_is_left_alone)
{
    float batch[2][STRIDE], before[2][STRIDE], out[2 * N_OBS];
    write_row(batch[0], 3, ROW_STEP);
    write_row(batch[1], 4, ROW_STEP);
    memcpy(before, batch, sizeof(batch));
    struct normalisation *n = make(false, false);
    consume_all(n, ROW_TERMINATED);
    normalisation_refresh(n);
    normalisation_apply(n, 1, &batch[0][0]);
    ck_assert_mem_eq(before, batch, sizeof(batch));
    ck_assert_uint_eq(normalisation_write(n, out), 0);
}
END_TEST

START_TEST(a_new_life_begins_with_a_new_return)
{
    /* The same rewards, once in one life and once with a fresh one in front of the second half. */
    float rows[3][STRIDE], a[2][STRIDE], b[2][STRIDE];
    struct normalisation *one = make(false, true), *two = make(false, true);
    write_row(rows[0], 1, ROW_STEP);
    write_row(rows[1], 1, ROW_STEP);
    write_row(rows[2], 1, ROW_CLOSE);
    for (int k = 0; k < 2; k++) {
        normalisation_consume(one, 0, false, rows, 3, 2);
        normalisation_consume(two, 0, k == 1, rows, 3, 2);
    }
    normalisation_refresh(one);
    normalisation_refresh(two);
    memcpy(a, rows, sizeof(a));
    memcpy(b, rows, sizeof(b));
    normalisation_apply(one, 1, &a[0][0]);
    normalisation_apply(two, 1, &b[0][0]);
    ck_assert(a[0][row_reward(shape)] < b[0][row_reward(shape)]);    /* less spread, larger scale */
}
END_TEST

START_TEST(state_survives_a_checkpoint_to_the_last_bit)
{
    char dir[256], path[300];
    struct error err;
    struct safetensors *file;
    struct tensor tensors[NORMALISATION_MAX_TENSORS];
    struct normalisation *n = make(true, true), *other = make(true, true);
    consume(n, 0, 0, 3, ROW_TERMINATED, 4);
    normalisation_refresh(n);
    test_directory("normalisation", dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/state.safetensors", dir);
    /* What was consumed since the last refresh is not this version's yet. */
    consume(n, 1, 4, 6, ROW_TERMINATED, 3);
    ck_assert_int_eq(normalisation_save(n, tensors), 4);
    ck_assert_int_eq(safetensors_write(path, tensors, 4, NULL, 0, &err), 0);
    ck_assert_int_eq(safetensors_open(&file, path, &err), 0);
    ck_assert_int_eq(normalisation_load(other, file, &err), 0);
    safetensors_close(&file);

    float a[2 * N_OBS], b[2 * N_OBS], one[2][STRIDE], two[2][STRIDE];
    for (int round = 0; round < 2; round++) {
        normalisation_write(n, a);
        normalisation_write(other, b);
        ck_assert_mem_eq(a, b, sizeof(a));
        write_row(one[0], 3, ROW_STEP);
        write_row(one[1], 4, ROW_STEP);
        memcpy(two, one, sizeof(one));
        normalisation_apply(n, 1, &one[0][0]);
        normalisation_apply(other, 1, &two[0][0]);
        ck_assert_mem_eq(one, two, sizeof(one));
        consume(n, 0, 7, 11, ROW_TERMINATED, 5);    /* goes on from the same running return */
        consume(other, 0, 7, 11, ROW_TERMINATED, 5);
        normalisation_refresh(n);
        normalisation_refresh(other);
    }
}
END_TEST

START_TEST(a_state_that_cannot_be_is_refused)
{
    char dir[256], path[300];
    double bad[] = { 5, 0, 0, 0, 1, -1, 1 }, returns[] = { 4, 0, 1 }, running[] = { 0, 0 };
    const float active[7] = { 0, 0, 0, 1, 1, 1, 1 };
    struct error err;
    struct safetensors *file;
    const struct tensor tensors[] = {
        { "normalisation.observations", TENSOR_F64, 1, { 7 }, bad },
        { "normalisation.return", TENSOR_F64, 1, { 3 }, returns },
        { "normalisation.running_returns", TENSOR_F64, 1, { 2 }, running },
        { "normalisation.version", TENSOR_F32, 1, { 7 }, active },
    };
    test_directory("normalisation", dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/state.safetensors", dir);
    ck_assert_int_eq(safetensors_write(path, tensors, 4, NULL, 0, &err), 0);
    ck_assert_int_eq(safetensors_open(&file, path, &err), 0);
    ck_assert_int_eq(normalisation_load(make(true, true), file, &err), ERR_FORMAT);
    safetensors_close(&file);
}
END_TEST

START_TEST(rows_are_normalised_as_their_version_saw_them)
{
    struct normalisation *n = make(true, true);
    float statistics[6][2 * N_OBS], rows[2][STRIDE];
    for (int v = 0; v < 6; v++) {    /* three are remembered: 3, 4 and 5 */
        consume(n, 0, v, v, ROW_STEP, 1);
        normalisation_refresh(n);
        normalisation_keep(n, v);
        normalisation_write(n, statistics[v]);
    }
    for (int v = 0; v < 6; v++) {
        const float *used = statistics[v < 3 ? 3 : v];
        write_row(rows[0], 3, ROW_STEP);
        write_row(rows[1], 4, ROW_CLOSE);
        ck_assert_int_eq(normalisation_apply_version(n, v, 2, rows[0]), v >= 3);
        for (int i = 0; i < N_OBS; i++)
            check_near((double)rows[0][i],
                       (double)((observation(3, i) - used[i]) * used[N_OBS + i]));
        ck_assert(rows[1][0] == 10);
        ck_assert_double_eq((double)rows[0][row_reward(shape)], (3 * 13 % 7 - 2) * 0.5);
    }
}
END_TEST

START_TEST(statistics_are_taken_over_but_not_the_running_returns)
{
    struct normalisation *n = make(true, true), *other = make(true, true);
    float a[2 * N_OBS], b[2 * N_OBS], one[1][STRIDE], two[1][STRIDE];
    consume_all(n, ROW_TERMINATED);
    normalisation_refresh(n);
    consume(other, 0, 4, 6, ROW_STEP, 3);    /* its streams are in the middle of episodes */
    normalisation_take(other, n);
    normalisation_write(n, a);
    normalisation_write(other, b);
    ck_assert_mem_eq(a, b, sizeof(a));
    for (int i = 0; i < 2; i++)
        write_row(i ? two[0] : one[0], 3, ROW_STEP);
    normalisation_scale_rewards(n, 1, one[0]);
    normalisation_scale_rewards(other, 1, two[0]);
    ck_assert_mem_eq(one, two, sizeof(one));
    /* The same reward behind different returns. */
    consume(n, 0, 8, 8, ROW_STEP, 1);
    consume(other, 0, 8, 8, ROW_STEP, 1);
    normalisation_scale_rewards(n, 1, one[0]);
    normalisation_scale_rewards(other, 1, two[0]);
    ck_assert_mem_ne(one, two, sizeof(one));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        statistics_are_those_of_gymnasium,
        statistics_hold_from_the_next_refresh_on,
        transitions_beyond_the_cut_do_not_count,
        far_numbers_are_kept_within_ten,
        what_is_not_asked_for_is_left_alone,
        a_new_life_begins_with_a_new_return,
        state_survives_a_checkpoint_to_the_last_bit,
        a_state_that_cannot_be_is_refused,
        rows_are_normalised_as_their_version_saw_them,
        statistics_are_taken_over_but_not_the_running_returns,
    };
    arena = arena_create(1 << 12);
    int failed = suite_run("normalisation", tests, TEST_COUNT(tests), 20);
    arena_destroy(&arena);
    return failed;
}
