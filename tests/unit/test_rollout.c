/* Rollouts beside streams of the same seed, steps that break down, and actions from files. */
#include "deploy/rollout.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "actor/stream.h"
#include "common/npy.h"
#include "tests/support.h"

static char directory[256];

/* In this test's own directory; valid until the next call. */
static const char *path_of(const char *name)
{
    static char path[512];
    if (!*directory)
        test_directory("rollout", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return path;
}

static struct env_model *open_pendulum(void)
{
    struct env_model *model;
    struct error err;
    const struct env_setup setup = { .name = "Pendulum-v1" };
    ck_assert_msg(env_open(&model, &setup, &err) == 0, "%s", err.text);
    return model;
}

static void read_array(struct npz *z, const char *name, struct npz_array *a)
{
    struct error err;
    ck_assert_msg(npz_read(z, name, NPZ_MAX_ELEMENTS, a, &err) == 0, "%s", err.text);
}

/* Play, and open what was written. */
static struct npz *play(const struct rollout_plan *plan, struct rollout_result *result)
{
    struct npz *z;
    struct error err;
    ck_assert_msg(rollout_play(plan, result, &err) == 0, "%s", err.text);
    ck_assert_msg(npz_open(&z, plan->out, &err) == 0, "%s", err.text);
    return z;
}

START_TEST(random_rollouts_are_what_stream_0_of_a_training_does_first)
{
    enum { STEPS = 430 };    /* episodes have 200 */
    static const struct row_shape shape = { 3, 1 };
    struct env_model *model = open_pendulum();
    struct rollout_result result;
    struct npz_array obs, reward, next_obs;
    struct stream stream;
    struct rollout_plan plan = { .model = model, .actor = ROLLOUT_RANDOM, .steps = STEPS,
                                 .seed = 11, .out = path_of("out.npz"), .is_quiet = true };
    struct npz *z = play(&plan, &result);
    read_array(z, "obs", &obs);
    read_array(z, "reward", &reward);
    read_array(z, "next_obs", &next_obs);
    npz_close(&z);

    struct arena *arena = arena_create(1 << 16);
    struct frame_pool *frames = frame_pool_create(stream_frame_bytes(model, STEPS));
    stream_init(&stream, model, STEPS, arena);
    stream_start(&stream, 11, 0, 0);
    stream_begin(&stream, frame_pool_take(frames), 0);
    for (int t = 0; t < STEPS; t++) {
        float *row = stream_row(&stream);
        row[row_act(shape)] = (float)rng_uniform(&stream.action_rng, -1, 1);
        for (int i = 0; i < 3; i++)
            ck_assert((float)obs.data[3 * t + i] == row[i]);
        ck_assert(!stream_step(&stream));
        ck_assert((float)reward.data[t] == row[row_reward(shape)]);
        for (int i = 0; i < 3; i++)    /* also where the episode ends: not the next one's start */
            ck_assert((float)next_obs.data[3 * t + i] == row[row_stride(shape) + i]);
    }
    ck_assert_int_eq(result.episodes, 2);
    ck_assert_double_eq_tol(result.return_mean, (stream.returns[0] + stream.returns[1]) / 2, 1e-9);

    stream_fini(&stream);
    frame_pool_destroy(&frames);
    arena_destroy(&arena);
    npz_array_free(&obs);
    npz_array_free(&reward);
    npz_array_free(&next_obs);
    env_close(&model);
}
END_TEST

START_TEST(a_step_that_breaks_down_is_truncated_and_stays_where_it_was)
{
    struct env_model *model = open_pendulum();
    struct rollout_result result;
    const double actions[] = { 0.5, NAN, 0.5 };
    struct rollout_plan plan = { .model = model, .actor = ROLLOUT_GIVEN, .actions = actions,
                                 .steps = 3, .out = path_of("out.npz"), .is_quiet = true };
    struct npz *z = play(&plan, &result);
    ck_assert_int_eq(result.steps, 3);
    ck_assert_int_eq(result.episodes, 1);
    ck_assert_int_eq(result.diverged, 1);
    static const struct { const char *name; int width; } pairs[] = { { "obs", 3 }, { "state", 2 } };
    for (size_t k = 0; k < TEST_COUNT(pairs); k++) {
        struct npz_array now, next;
        char name[32];
        const int w = pairs[k].width;
        const size_t bytes = (size_t)w * sizeof(double);
        snprintf(name, sizeof(name), "next_%s", pairs[k].name);
        read_array(z, pairs[k].name, &now);
        read_array(z, name, &next);
        ck_assert_mem_eq(next.data + w, now.data + w, bytes);
        ck_assert_mem_eq(now.data + w, next.data, bytes);
        ck_assert_mem_ne(now.data + 2 * w, next.data + w, bytes);    /* a new episode */
        npz_array_free(&now);
        npz_array_free(&next);
    }
    struct npz_array truncated, terminated;
    read_array(z, "truncated", &truncated);
    read_array(z, "terminated", &terminated);
    for (int t = 0; t < 3; t++)
        ck_assert(truncated.data[t] == (t == 1) && terminated.data[t] == 0);
    npz_array_free(&truncated);
    npz_array_free(&terminated);
    npz_close(&z);
    env_close(&model);
}
END_TEST

static void write_npy(const char *path, int n_dims, const int64_t *dims, const double *data)
{
    char bytes[NPY_HEADER_BYTES + 64 * sizeof(double)];
    size_t n = npy_header(NPZ_F64, n_dims, dims, bytes), count = 1;
    for (int i = 0; i < n_dims; i++)
        count *= (size_t)dims[i];
    ck_assert_uint_le(count, 64);
    memcpy(bytes + n, data, count * sizeof(double));
    test_write(path, bytes, n + count * sizeof(double));
}

/* Read what was written for `spec`; NULL when it is accepted. */
static const char *refusal(const struct env_spec *spec, int64_t *steps, int n_dims,
                           const int64_t *dims, const double *data)
{
    static struct error err;
    struct npz_array actions = { 0 };
    write_npy(path_of("a.npy"), n_dims, dims, data);
    int rc = rollout_read_actions(path_of("a.npy"), spec, steps, &actions, &err);
    if (rc == 0)
        ck_assert_mem_eq(actions.data, data, npz_array_count(&actions) * sizeof(double));
    npz_array_free(&actions);
    return rc == 0 ? NULL : err.text;
}

static void expect(const char *text, const char *words)
{
    ck_assert_msg(text && strstr(text, words), "it says: %s", text ? text : "nothing");
}

START_TEST(actions_have_one_row_per_step_and_one_column_per_number)
{
    const struct env_spec three = { .name = "Three", .shape = { 5, 3 } };
    const double x[6] = { 0.5, 1, -1, 7, 8, 9 };
    int64_t steps = 0;
    ck_assert_ptr_null(refusal(&three, &steps, 2, (const int64_t[]){ 2, 3 }, x));
    ck_assert_int_eq(steps, 2);
    steps = 1;
    ck_assert_ptr_null(refusal(&three, &steps, 2, (const int64_t[]){ 2, 3 }, x));
    ck_assert_int_eq(steps, 1);
    steps = 3;
    expect(refusal(&three, &steps, 2, (const int64_t[]){ 2, 3 }, x), "2 actions, fewer than the 3");
    steps = 0;
    expect(refusal(&three, &steps, 2, (const int64_t[]){ 3, 2 }, x), "[3,2] numbers; Three takes "
           "[steps][3]");
    expect(refusal(&three, &steps, 1, (const int64_t[]){ 6 }, x), "[6] numbers");
    expect(refusal(&three, &steps, 3, (const int64_t[]){ 1, 2, 3 }, x), "[1,2,3] numbers");
    expect(refusal(&three, &steps, 2, (const int64_t[]){ 0, 3 }, x), "0 actions");
}
END_TEST

START_TEST(actions_that_no_float_or_no_choice_is_are_refused)
{
    const struct env_spec one = { .name = "One", .shape = { 5, 1 } };
    const struct env_spec discrete = { .name = "Discrete", .shape = { 5, 1 }, .n_choices = 3 };
    const int64_t dims[] = { 3, 1 };
    int64_t steps = 0;
    ck_assert_ptr_null(refusal(&one, &steps, 1, dims, (const double[]){ 1e9, -0.5, 1e-300 }));
    expect(refusal(&one, &steps, 1, dims, (const double[]){ 0, 1, 1e39 }), "of action 2 is not");
    expect(refusal(&one, &steps, 1, dims, (const double[]){ -INFINITY, 1, 0 }), "of action 0 is not");
    ck_assert_ptr_null(refusal(&discrete, &steps, 1, dims, (const double[]){ 2, 0, 1 }));
    ck_assert_ptr_null(refusal(&discrete, &steps, 2, dims, (const double[]){ 2, 0, 1 }));
    expect(refusal(&discrete, &steps, 1, dims, (const double[]){ 2, 3, 1 }), "action 1 is 3; Discrete "
           "has the choices 0 to 2");
    expect(refusal(&discrete, &steps, 1, dims, (const double[]){ 2, 2, 0.5 }), "action 2 is 0.5");
    expect(refusal(&discrete, &steps, 1, dims, (const double[]){ -1, 2, 0 }), "action 0 is -1");
}
END_TEST

/* ---- policies ---- */

/* CartPole by a network without hidden layers: choice 1 where the pole leans to the right, more surely the
 * more it leans. */
static struct policy *leaning_policy(const struct env_model *model, struct arena *arena)
{
    const struct env_spec *spec = env_spec(model);
    const struct policy_shape shape = policy_shape_make(HEAD_CATEGORICAL, &(struct mlp_body){ .n_hidden = 0 },
                                                        spec->shape, spec->n_choices);
    const float params[10] = { [2 * 2 + 1] = 30 };    /* weights [4][2], biases [2] */
    struct policy *p = policy_create(&shape, 1, arena);
    ck_assert_uint_eq(policy_n_params(&shape), TEST_COUNT(params));
    policy_set(p, params);
    return p;
}

START_TEST(categorical_policies_give_the_environment_an_index)
{
    enum { STEPS = 3000 };
    struct env_model *model;
    struct arena *arena = arena_create(1 << 16);
    ck_assert_int_eq(env_open(&model, &(struct env_setup){ .name = "CartPole-v1" }, NULL), 0);
    for (int sampled = 0; sampled < 2; sampled++) {
        struct rollout_result result;
        struct npz_array obs, action;
        int n_ones = 0, n_other = 0;
        double expected = 0, variance = 0;    /* of n_ones, when they are sampled */
        struct rollout_plan plan = { .model = model, .policy = leaning_policy(model, arena),
                                     .actor = sampled ? ROLLOUT_SAMPLED : ROLLOUT_MEAN, .steps = STEPS,
                                     .seed = 3, .out = path_of("choices.npz"), .is_quiet = true };
        struct npz *z = play(&plan, &result);
        read_array(z, "obs", &obs);
        read_array(z, "action", &action);
        npz_close(&z);
        for (int t = 0; t < STEPS; t++) {
            double best = obs.data[4 * t + 2] > 0, p = 1 / (1 + exp(-30 * obs.data[4 * t + 2]));
            expected += p;
            variance += p * (1 - p);
            ck_assert(action.data[t] == 0 || action.data[t] == 1);
            n_ones += action.data[t] == 1;
            n_other += action.data[t] != best;
        }
        ck_assert_int_eq(n_other > 0, sampled);
        ck_assert(!sampled || fabs(n_ones - expected) < 4 * sqrt(variance));
        npz_array_free(&obs);
        npz_array_free(&action);
    }
    env_close(&model);
    arena_destroy(&arena);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        categorical_policies_give_the_environment_an_index,
        random_rollouts_are_what_stream_0_of_a_training_does_first,
        a_step_that_breaks_down_is_truncated_and_stays_where_it_was,
        actions_have_one_row_per_step_and_one_column_per_number,
        actions_that_no_float_or_no_choice_is_are_refused,
    };
    return suite_run("rollout", tests, TEST_COUNT(tests), 60);
}
