/* Tasks written in YAML: equal to the same tasks in C, and every mistake in its place. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "actor/env.h"
#include "common/file.h"
#include "deploy/experiment.h"
#include "tests/support.h"

static const char *models_dir(void)
{
    const char *dir = getenv("SHOAL_MODELS");
    return dir && *dir ? dir : SHOAL_MODELS_DIR;
}

static struct env_model *open_env(const char *name, const char *env_path)
{
    struct env_model *m;
    struct error err;
    const struct env_setup setup = { name, NULL, models_dir(), env_path };
    ck_assert_msg(env_open(&m, &setup, &err) == 0, "%s", err.text);
    return m;
}

/* ---- equality ---- */

/* One task both ways for 3000 steps of random actions: every number that comes out. */
static void check_equal(const char *file, const char *built_in)
{
    struct env_model *models[2] = { open_env(file, "actor/task"), open_env(built_in, NULL) };
    const struct env_spec *spec = env_spec(models[0]), *other = env_spec(models[1]);
    ck_assert_int_eq(spec->shape.n_obs, other->shape.n_obs);
    ck_assert_int_eq(spec->shape.n_act, other->shape.n_act);
    ck_assert_int_eq(spec->time_limit, other->time_limit);
    ck_assert_mem_eq(spec->act_low, other->act_low, sizeof(spec->act_low));
    ck_assert_str_eq(spec->name, file);

    struct env *e[2];
    struct rng start[2], actions;
    float obs[2][64];
    double exact[2][64];
    const size_t bytes = (size_t)spec->shape.n_obs * sizeof(double);
    int n_ended = 0;
    rng_init(&actions, 5, RNG_TEST, 0, 0);
    for (int i = 0; i < 2; i++) {
        e[i] = env_create(models[i]);
        rng_init(&start[i], 6, RNG_RESET, 0, 0);
        env_reset(e[i], &start[i], obs[i]);
    }
    for (int t = 0; t < 3000; t++) {
        struct env_outcome out[2];
        float action[16];
        for (int k = 0; k < spec->shape.n_act; k++)
            action[k] = (float)rng_uniform(&actions, -1.2, 1.2);
        for (int i = 0; i < 2; i++) {
            env_observation(e[i], exact[i]);
            env_step(e[i], action, obs[i], &out[i]);
        }
        ck_assert_mem_eq(exact[0], exact[1], bytes);
        ck_assert_mem_eq(&out[0].reward, &out[1].reward, sizeof(double));
        ck_assert_int_eq(out[0].kind, out[1].kind);
        for (int i = 0; i < 2 && out[0].kind != ROW_STEP; i++)
            env_reset(e[i], &start[i], obs[i]);
        n_ended += out[0].kind != ROW_STEP;
    }
    ck_assert_int_ge(n_ended, 3);
    for (int i = 0; i < 2; i++) {
        env_destroy(&e[i]);
        env_close(&models[i]);
    }
}

START_TEST(hopper_is_the_built_in_one_to_the_last_bit)
{
    check_equal("hopper.yaml", "Hopper-v5");
}
END_TEST

START_TEST(half_cheetah_is_the_built_in_one_to_the_last_bit)
{
    check_equal("half_cheetah.yaml", "HalfCheetah-v5");
}
END_TEST

START_TEST(walker2d_is_the_built_in_one_to_the_last_bit)
{
    check_equal("walker2d.yaml", "Walker2d-v5");
}
END_TEST

/* ---- what terms mean ---- */

static char directory[256];

static const char *write_task(const char *text)
{
    char path[300];
    if (!directory[0])
        test_directory("task-file", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/task.yaml", directory);
    test_write(path, text, strlen(text));
    return "task.yaml";
}

/* The first observation of a task on the reacher, whose arm is straight along x. */
static void observe_reacher(const char *observation, double *obs, int n)
{
    char text[512];
    static const double qpos[4] = { 0, 0, 0.05, -0.1 }, qvel[4] = { 1, 2, 3, 4 };
    struct error err;
    snprintf(text, sizeof(text), "model: reacher.xml\nobservation:\n  - %s\n"
             "reward: [{term: constant}]\n", observation);
    const char *name = write_task(text);
    struct env_model *m = open_env(name, directory);
    ck_assert_int_eq(env_spec(m)->shape.n_obs, n);
    struct env *e = env_create(m);
    ck_assert_msg(env_set_physics(e, qpos, 4, qvel, 4, &err) == 0, "%s", err.text);
    env_observation(e, obs);
    env_destroy(&e);
    env_close(&m);
}

START_TEST(terms_name_parts_of_the_simulation)
{
    double obs[64];
    observe_reacher("{source: qvel, from: 1, count: 2}", obs, 2);
    ck_assert_double_eq(obs[0], 2);
    ck_assert_double_eq(obs[1], 3);
    observe_reacher("{source: qpos, joint: target_y}", obs, 1);
    ck_assert_double_eq(obs[0], -0.1);
    observe_reacher("{source: qpos, count: 2, function: cos}", obs, 2);
    ck_assert_double_eq(obs[0], 1);
    observe_reacher("{source: qvel, clip: [-.inf, 2.5]}", obs, 4);
    ck_assert_double_eq(obs[3], 2.5);
    observe_reacher("{source: body_position, body: fingertip, count: 2}", obs, 2);
    ck_assert_double_eq_tol(obs[0], 0.21, 1e-12);
    ck_assert_double_eq_tol(obs[1], 0, 1e-12);
    /* The target stands at its qpos: the model's `ref` of these slides is where they begin. */
    observe_reacher("{source: body_position, body: fingertip, minus: target, count: 2}", obs, 2);
    ck_assert_double_eq_tol(obs[0], 0.21 - 0.05, 1e-12);
    ck_assert_double_eq_tol(obs[1], 0.1, 1e-12);
    observe_reacher("{source: centre_of_mass, from: 2}", obs, 1);
    ck_assert_double_eq_tol(obs[0], 0.01, 0.01);
}
END_TEST

/* The reward of one step of `qvel`-free pendulum with the given terms. */
static double reward_of(const char *terms, float action)
{
    char text[512];
    static const double qpos[2] = { 0.5, 0.1 }, qvel[2] = { 0, 0 };
    struct error err;
    struct env_outcome out;
    float obs[8];
    snprintf(text, sizeof(text), "model: inverted_pendulum.xml\nobservation: [{source: qpos}]\n"
             "reward: %s\nhealthy: [{source: qpos, joint: hinge, range: [-0.2, 0.2]}]\n", terms);
    const char *name = write_task(text);
    struct env_model *m = open_env(name, directory);
    struct env *e = env_create(m);
    ck_assert_msg(env_set_physics(e, qpos, 2, qvel, 2, &err) == 0, "%s", err.text);
    env_step_units(e, &action, obs, &out);
    env_destroy(&e);
    env_close(&m);
    return out.reward;
}

START_TEST(rewards_are_sums_of_weighted_terms)
{
    ck_assert_double_eq(reward_of("[{term: constant, weight: 3}, {term: alive, weight: 0.5}]", 0),
                        3.5);
    ck_assert_double_eq_tol(reward_of("[{term: action_squares, weight: -0.1}]", 2), -0.4, 1e-7);
    ck_assert_double_eq(reward_of("[{term: squares, source: qpos, count: 1, target: 0.5, "
                                  "before: true}]", 0), 0);
    ck_assert_double_eq(reward_of("[{term: value, source: qpos, count: 1, before: true, "
                                  "weight: 4}]", 0), 2);
    ck_assert_double_eq(reward_of("[{term: squares, source: qpos, clip: [-1, 0.05], before: true}]",
                                  0), 0.05 * 0.05 + 0.05 * 0.05);
    ck_assert_double_eq(reward_of("[{term: constant, weight: 7, limit: [-1, 2]}]", 0), 2);
    ck_assert_double_gt(reward_of("[{term: rate, source: qpos, count: 1}]", 3), 0.01);
}
END_TEST

/* ---- mistakes ---- */

static void check_mistake(const char *text, const char *expected)
{
    struct env_model *m;
    struct error err;
    char place[600];
    const char *name = write_task(text);
    const struct env_setup setup = { name, NULL, models_dir(), directory };
    ck_assert_int_ne(env_open(&m, &setup, &err), 0);
    snprintf(place, sizeof(place), "%s/task.yaml:%s", directory, expected);
    ck_assert_msg(strcmp(err.text, place) == 0, "found    %s\nexpected %s", err.text, place);
    ck_assert_ptr_null(m);
}

#define HEAD "model: reacher.xml\nreward: [{term: constant}]\n"

START_TEST(mistakes_are_answered_with_line_column_and_reason)
{
    check_mistake("", "1:1: a task is a mapping: model, observation, reward, ...");
    check_mistake("modle: reacher.xml\n", "1:1: unknown key \"modle\"; did you mean \"model\"?");
    check_mistake("model: reacher.xml\n", "1:1: a task needs an observation");
    check_mistake(HEAD "observation: []\n", "3:14: observation is empty");
    check_mistake(HEAD "observation: qpos\n",
                  "3:14: observation: expected a list, found one value");
    check_mistake(HEAD "observation: [qpos]\n",
                  "3:15: observation: expected a mapping, found one value");
    check_mistake(HEAD "observation:\n  - {source: qpso}\n",
                  "4:14: unknown source \"qpso\"; did you mean \"qpos\"?");
    check_mistake(HEAD "observation:\n  - {source: qpos, from: 4}\n",
                  "4:26: from: expected an integer from 0 to 3, found \"4\"");
    check_mistake(HEAD "observation:\n  - {source: qpos, from: 3, count: 2}\n",
                  "4:36: count: expected an integer from 1 to 1, found \"2\"");
    check_mistake(HEAD "observation:\n  - {source: qpos, clip: [1]}\n",
                  "4:26: clip: expected a list of two numbers, [low, high]");
    check_mistake(HEAD "observation:\n  - {source: qpos, clip: [2, 1]}\n",
                  "4:26: clip: the lower end is above the upper one");
    check_mistake(HEAD "observation:\n  - {source: qpos, clip: [x, 1]}\n",
                  "4:27: clip: expected a number, found \"x\"");
    check_mistake(HEAD "observation:\n  - {source: body_position, body: fingertop}\n",
                  "4:35: the model has no body \"fingertop\"; did you mean \"fingertip\"?");
    check_mistake(HEAD "observation:\n  - {source: qpos, body: target}\n",
                  "4:26: body has no meaning for this source");
    check_mistake(HEAD "observation:\n  - {source: body_position, body: target, joint: joint0}\n",
                  "4:50: joint has no meaning for this source");
    check_mistake(HEAD "observation:\n  - {source: body_position, from: 12, count: 3, minus: target}\n",
                  "4:56: minus needs a body to subtract from");
    check_mistake(HEAD "observation:\n  - {source: qpos, \"from\\0\": 1}\n",
                  "4:20: a key with a NUL character");
    check_mistake(HEAD "observation:\n  - {source: sensordata}\n",
                  "4:5: the model has nothing of this source");
    check_mistake(HEAD "observation: [{source: qpos}]\nhealthy: [{source: qpos}]\n",
                  "4:11: healthy needs a range: [low, high]");
    check_mistake(HEAD "observation: [{source: qpos}]\nreset: [{source: qpos}]\n",
                  "4:9: a reset needs either uniform: [low, high] or normal: scale");
    check_mistake(HEAD "observation: [{source: qpos}]\nreset: [{source: ctrl, normal: 1}]\n",
                  "4:9: a reset draws qpos or qvel");
    check_mistake(HEAD "observation: [{source: qpos}]\nframe_skip: 1.5\n",
                  "4:13: frame_skip: expected an integer from 1 to 10000, found \"1.5\"");
    check_mistake("model: reacher.xml\nobservation: [{source: qpos}]\nreward:\n  - {weight: 1}\n",
                  "4:5: a reward needs a term, one of constant|alive|value|rate|distance|squares|"
                  "action_squares");
    check_mistake("model: reacher.xml\nobservation: [{source: qpos}]\nreward:\n"
                  "  - {term: alive, source: qpos}\n",
                  "4:19: unknown key \"source\"; possible are term|weight|limit");
    check_mistake("model: ../reacher.xml\nobservation: [{source: qpos}]\n"
                  "reward: [{term: alive}]\n",
                  "1:8: model: \"../reacher.xml\" must be the name of a file, which is looked for "
                  "beside the task, on the environment path and among the models");
    check_mistake(HEAD "observation: [{source: qpos}]\ntime_limit: 5\ntime_limit: 6\n",
                  "5:1: this key is given twice; first on line 4");
}
END_TEST

#define BODY "model: reacher.xml\nobservation: [{source: qpos}]\n"

START_TEST(what_would_silently_mean_something_else_is_refused)
{
    check_mistake(HEAD "observation:\n  - {source: body_position, minus: target}\n",
                  "4:36: minus needs a body to subtract from");
    check_mistake(HEAD "observation:\n  - {source: body_position, minus: target, from: 9}\n",
                  "4:36: minus needs a body to subtract from");
    check_mistake(HEAD "observation:\n  - {source: xpos, body: target}\n",
                  "4:14: MuJoCo's xpos is called body_position here");
    check_mistake(BODY "reward:\n  - {term: value, source: qpos}\n",
                  "4:5: value is of one number, and these are 4; pick one with from: and count: 1");
    check_mistake(BODY "reward:\n  - {term: rate, source: qpos, from: 2}\n",
                  "4:5: rate is of one number, and these are 2; pick one with from: and count: 1");
    check_mistake(BODY "reward:\n  - {term: rate, source: qpos, from: 3, before: true}\n",
                  "4:5: rate is over the step; before has no meaning for it");
    check_mistake(BODY "reward: [{term: alive}]\nhealthy:\n  - {source: qpos, range: [1, 1]}\n",
                  "5:27: nothing is inside this range; inclusive: true would count its ends");
    check_mistake(BODY "reward: [{term: alive}]\nend_when_unhealthy: true\n",
                  "4:21: end_when_unhealthy needs a healthy: list that says what health is");
    check_mistake(BODY "reward: [{term: alive}]\nreset: [{source: qvel, normal: -1}]\n",
                  "4:32: normal: a standard deviation is not negative");
}
END_TEST

START_TEST(a_missing_model_names_the_file)
{
    struct env_model *m;
    struct error err;
    const char *name = write_task("model: nothing.xml\nobservation: [{source: qpos}]\n"
                                  "reward: [{term: alive}]\n");
    const struct env_setup setup = { name, NULL, models_dir(), directory };
    ck_assert_int_eq(env_open(&m, &setup, &err), ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "task.yaml: model: there is no nothing.xml beside the task"));
}
END_TEST

START_TEST(a_name_from_elsewhere_opens_nothing_outside_the_path)
{
    struct env_model *m;
    struct error err;
    char path[300];
    write_task("model: reacher.xml\n");
    snprintf(path, sizeof(path), "%s/task.yaml", directory);
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = path, .env_path = directory }, &err),
                     ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "is a path"));
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = "task.yaml", .env_path = "" }, &err),
                     ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "--env-path"));
}
END_TEST

START_TEST(a_name_too_long_for_messages_is_refused_as_such)
{
    struct env_model *m;
    struct error err;
    char name[71], path[400];
    memset(name, 'a', 65);
    memcpy(name + 65, ".yaml", 6);
    write_task("");
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    test_write(path, "model: reacher.xml\n", 19);
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = name, .env_path = directory }, &err),
                     ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "longer than 63 bytes"));
}
END_TEST

START_TEST(a_pipe_in_place_of_a_task_is_refused_at_once)
{
    struct env_model *m;
    struct error err;
    char path[300];
    write_task("");
    snprintf(path, sizeof(path), "%s/pipe.yaml", directory);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = "pipe.yaml", .env_path = directory },
                              &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "pipe.yaml is not a regular file"));
}
END_TEST

START_TEST(a_directory_that_cannot_stand_on_the_path_is_refused)
{
    struct error err;
    char odd[300], name[400];
    write_task("");
    snprintf(odd, sizeof(odd), "%s/a:b", directory);
    ck_assert_int_eq(file_make_directory(odd, &err), 0);
    snprintf(name, sizeof(name), "%s/task.yaml", odd);
    test_write(name, "", 0);
    ck_assert_int_eq(experiment_locate_task(name, sizeof(name), &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "/a:b cannot be searched"));
}
END_TEST

START_TEST(arbitrary_bytes_never_crash_the_reader)
{
    struct rng rng;
    size_t bytes;
    char *good = test_read("actor/task/hopper.yaml", &bytes);
    char *bad = malloc(bytes + 1);
    write_task("");
    rng_init(&rng, 9, RNG_TEST, 0, 0);
    for (int round = 0; round < 300; round++) {
        memcpy(bad, good, bytes + 1);
        for (uint64_t k = 0, n = 1 + rng_below(&rng, 4); k < n; k++)
            bad[rng_below(&rng, bytes)] = (char)rng_below(&rng, 128);
        struct env_model *m;
        struct error err;
        char path[300];
        snprintf(path, sizeof(path), "%s/task.yaml", directory);
        test_write(path, bad, bytes);
        const struct env_setup setup = { "task.yaml", NULL, models_dir(), directory };
        if (env_open(&m, &setup, &err) == 0)
            env_close(&m);
        else
            ck_assert_int_gt((int)strlen(err.text), 10);
    }
    free(bad);
    free(good);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        hopper_is_the_built_in_one_to_the_last_bit,
        half_cheetah_is_the_built_in_one_to_the_last_bit,
        walker2d_is_the_built_in_one_to_the_last_bit,
        terms_name_parts_of_the_simulation,
        rewards_are_sums_of_weighted_terms,
        mistakes_are_answered_with_line_column_and_reason,
        what_would_silently_mean_something_else_is_refused,
        a_missing_model_names_the_file,
        a_name_from_elsewhere_opens_nothing_outside_the_path,
        a_name_too_long_for_messages_is_refused_as_such,
        a_pipe_in_place_of_a_task_is_refused_at_once,
        a_directory_that_cannot_stand_on_the_path_is_refused,
        arbitrary_bytes_never_crash_the_reader,
    };
    return suite_run("task_file", tests, TEST_COUNT(tests), 60);
}
