/* Every built-in environment: what it says of itself, its options, its saved states. What it computes
 * is compared with Gymnasium in tests/golden. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor/env.h"
#include "actor/env/registry.h"
#include "tests/support.h"

/* Gymnasium's: observations, actions, choices, limit, bound of the first action. */
static const struct expected {
    const char *name;
    int n_obs, n_act, n_choices, limit;
    float bound;
} expected[] = {
    { "InvertedPendulum-v5", 4, 1, 0, 1000, 3 },
    { "InvertedPendulum-v4", 4, 1, 0, 1000, 3 },
    { "InvertedDoublePendulum-v5", 9, 1, 0, 1000, 1 },
    { "InvertedDoublePendulum-v4", 11, 1, 0, 1000, 1 },
    { "Reacher-v5", 10, 2, 0, 50, 1 },
    { "Reacher-v4", 11, 2, 0, 50, 1 },
    { "Swimmer-v5", 8, 2, 0, 1000, 1 },
    { "Swimmer-v4", 8, 2, 0, 1000, 1 },
    { "Hopper-v5", 11, 3, 0, 1000, 1 },
    { "Hopper-v4", 11, 3, 0, 1000, 1 },
    { "HalfCheetah-v5", 17, 6, 0, 1000, 1 },
    { "HalfCheetah-v4", 17, 6, 0, 1000, 1 },
    { "Walker2d-v5", 17, 6, 0, 1000, 1 },
    { "Walker2d-v4", 17, 6, 0, 1000, 1 },
    { "Ant-v5", 105, 8, 0, 1000, 1 },
    { "Ant-v4", 27, 8, 0, 1000, 1 },
    { "Humanoid-v5", 348, 17, 0, 1000, 0.4f },
    { "Humanoid-v4", 376, 17, 0, 1000, 0.4f },
    { "HumanoidStandup-v5", 348, 17, 0, 1000, 0.4f },
    { "HumanoidStandup-v4", 376, 17, 0, 1000, 0.4f },
    { "Pusher-v5", 23, 7, 0, 100, 2 },
    { "CartPole-v1", 4, 1, 2, 500, 1 },
    { "Pendulum-v1", 3, 1, 0, 200, 2 },
    { "MountainCarContinuous-v0", 2, 1, 0, 999, 1 },
    { "Acrobot-v1", 6, 1, 3, 500, 2 },
};

static const char *models_dir(void)
{
    const char *dir = getenv("SHOAL_MODELS");
    return dir && *dir ? dir : SHOAL_MODELS_DIR;
}

static struct env_model *open_with(const char *name, const char *options)
{
    struct env_model *m;
    struct error err;
    const struct env_setup setup = { name, options, models_dir(), NULL };
    ck_assert_msg(env_open(&m, &setup, &err) == 0, "%s", err.text);
    return m;
}

START_TEST(specifications_are_those_of_gymnasium)
{
    ck_assert_int_eq(TEST_COUNT(expected), N_ENVIRONMENTS);
    for (size_t i = 0; i < TEST_COUNT(expected); i++) {
        const struct expected *e = &expected[i];
        struct env_model *m = open_with(e->name, NULL);
        const struct env_spec *spec = env_spec(m);
        const float low = e->n_choices ? 0 : -e->bound;
        ck_assert_str_eq(spec->name, e->name);
        ck_assert_int_eq(spec->shape.n_obs, e->n_obs);
        ck_assert_int_eq(spec->shape.n_act, e->n_act);
        ck_assert_int_eq(spec->n_choices, e->n_choices);
        ck_assert_int_eq(spec->time_limit, e->limit);
        ck_assert(spec->act_low[0] == low && spec->act_high[0] == e->bound);
        ck_assert(spec->step_s > 0);
        ck_assert_str_eq(spec->options, "");
        env_close(&m);
    }
    ck_assert_ptr_null(environment_find("Pendulum"));
}
END_TEST

/* ---- options ---- */

START_TEST(options_change_what_they_name)
{
    static const struct {
        const char *name, *options;
        int n_obs, limit;
    } cases[] = {
        { "HalfCheetah-v5", "exclude_current_positions_from_observation: false", 18, 1000 },
        { "Ant-v5", "include_cfrc_ext_in_observation: false", 27, 1000 },
        { "Ant-v4", "use_contact_forces: true", 111, 1000 },
        { "Humanoid-v5", "include_cinert_in_observation: false, include_cvel_in_observation: false, "
                         "include_qfrc_actuator_in_observation: false, "
                         "include_cfrc_ext_in_observation: false", 45, 1000 },
        { "Reacher-v5", "max_episode_steps: 7", 10, 7 },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct env_model *m = open_with(cases[i].name, cases[i].options);
        struct env_model *plain = open_with(cases[i].name, NULL);
        char one[ENV_SPEC_HASH_BYTES], other[ENV_SPEC_HASH_BYTES];
        ck_assert_int_eq(env_spec(m)->shape.n_obs, cases[i].n_obs);
        ck_assert_int_eq(env_spec(m)->time_limit, cases[i].limit);
        env_spec_hash(env_spec(m), one);
        env_spec_hash(env_spec(plain), other);
        ck_assert_str_ne(one, other);
        env_close(&m);
        env_close(&plain);
    }
}
END_TEST

START_TEST(an_option_that_changes_only_numbers_changes_the_hash)
{
    struct env_model *m = open_with("Hopper-v5", "ctrl_cost_weight: 0.5");
    struct env_model *again = open_with("Hopper-v5", "ctrl_cost_weight: 5e-1, healthy_reward: 1");
    struct env_model *plain = open_with("Hopper-v5", "ctrl_cost_weight: 0.001");
    char hash[3][ENV_SPEC_HASH_BYTES];
    env_spec_hash(env_spec(m), hash[0]);
    env_spec_hash(env_spec(again), hash[1]);
    env_spec_hash(env_spec(plain), hash[2]);
    ck_assert_str_eq(hash[0], hash[1]);
    ck_assert_str_ne(hash[0], hash[2]);
    ck_assert_str_eq(env_spec(again)->options, "ctrl_cost_weight: 0.5");
    ck_assert_str_eq(env_spec(plain)->options, "");
    env_close(&m);
    env_close(&again);
    env_close(&plain);
}
END_TEST

static void check_refused(const char *name, const char *options, const char *words)
{
    struct env_model *m;
    struct error err;
    const struct env_setup setup = { name, options, models_dir(), NULL };
    ck_assert_int_ne(env_open(&m, &setup, &err), 0);
    ck_assert_ptr_null(m);
    ck_assert_msg(strstr(err.text, words) != NULL, "\"%s\" is not in: %s", words, err.text);
}

START_TEST(options_that_cannot_be_are_refused)
{
    check_refused("Hopper-v5", "healthy_z_rang: [1, 2]", "did you mean \"healthy_z_range\"?");
    check_refused("Hopper-v5", "healthy_z_range: [2, 1]", "healthy_z_range");
    check_refused("Hopper-v5", "frame_skip: 0", "frame_skip");
    check_refused("Hopper-v5", "xml_file: nowhere.xml", "nowhere.xml");
    check_refused("Hopper-v5", "xml_file: ../hopper.xml", "must be the name of a file");
    check_refused("Hopper-v5", "xml_file: ant.xml", "expects nq 6, nv 6 and nu 3");
    check_refused("Ant-v5", "main_body: 77", "main_body is 77");
    check_refused("Pusher-v4", NULL, "Pusher-v5");
}
END_TEST

/* ---- saved states ---- */

enum { N_BEFORE = 37, N_AFTER = 40, MAX_STATE = 1024 };

struct trace {
    double reward[N_AFTER], obs[N_AFTER];
    int kind[N_AFTER], length[N_AFTER];
};

/* N_AFTER steps of random actions, with resets where episodes end. */
static void go_on(struct env *e, const struct env_spec *spec, struct trace *trace)
{
    float obs[ENV_MAX_OBS], action[ENV_MAX_ACT];
    double exact[ENV_MAX_OBS];
    struct rng actions, starts;
    rng_init(&actions, 3, RNG_TEST, 1, 0);
    rng_init(&starts, 3, RNG_TEST, 2, 0);
    memset(trace, 0, sizeof(*trace));
    for (int t = 0; t < N_AFTER; t++) {
        struct env_outcome out;
        for (int i = 0; i < spec->shape.n_act; i++)
            action[i] = spec->n_choices ? (float)rng_below(&actions, (uint64_t)spec->n_choices)
                                        : (float)rng_uniform(&actions, -1, 1);
        env_step(e, action, obs, &out);
        env_observation(e, exact);
        for (int i = 0; i < spec->shape.n_obs; i++)
            trace->obs[t] += (i + 1) * exact[i];
        trace->reward[t] = out.reward;
        trace->kind[t] = (int)out.kind;
        trace->length[t] = out.episode_length;
        if (out.kind != ROW_STEP)
            env_reset(e, &starts, obs);
    }
}

/* Continue from `state` in a process that opens the environment itself. */
static void go_on_elsewhere(const char *name, const double *state, struct trace *trace)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct env_model *m = open_with(name, NULL);
        struct env *e = env_create(m);
        if (env_set_state(e, state) != 0)
            _exit(1);
        go_on(e, env_spec(m), trace);
        _exit(write(ends[1], trace, sizeof(*trace)) == (ssize_t)sizeof(*trace) ? 0 : 1);
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], trace, sizeof(*trace)), sizeof(*trace));
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

/* A state inside an episode after at least N_BEFORE steps. */
static void wander(struct env *e, const struct env_spec *spec)
{
    float obs[ENV_MAX_OBS], action[ENV_MAX_ACT];
    struct rng rng;
    bool is_inside = false;
    rng_init(&rng, 4, RNG_TEST, 0, 0);
    env_reset(e, &rng, obs);
    for (int t = 0; t < N_BEFORE || !is_inside; t++) {
        struct env_outcome out;
        for (int i = 0; i < spec->shape.n_act; i++)
            action[i] = spec->n_choices ? (float)rng_below(&rng, (uint64_t)spec->n_choices)
                                        : (float)rng_uniform(&rng, -1, 1);
        env_step(e, action, obs, &out);
        is_inside = out.kind == ROW_STEP;
        if (!is_inside)
            env_reset(e, &rng, obs);
    }
}

START_TEST(saved_states_continue_bit_for_bit_in_another_process)
{
    for (size_t i = 0; i < TEST_COUNT(expected); i++) {
        struct env_model *m = open_with(expected[i].name, NULL);
        struct env *e = env_create(m);
        double state[MAX_STATE];
        struct trace here, there;
        ck_assert_int_gt(env_state_size(m), 0);
        ck_assert_int_le(env_state_size(m), MAX_STATE);
        wander(e, env_spec(m));
        env_get_state(e, state);
        go_on(e, env_spec(m), &here);
        go_on_elsewhere(expected[i].name, state, &there);
        ck_assert_msg(memcmp(&here, &there, sizeof(here)) == 0, "%s goes on differently",
                      expected[i].name);
        env_destroy(&e);
        env_close(&m);
    }
}
END_TEST

/* States come from peers and files: whatever finite number stands in one, a step comes back. */
START_TEST(a_step_from_any_finite_state_comes_to_an_end)
{
    static const double numbers[] = { 1e9, -1e18, 1e300 };
    for (size_t i = 0; i < TEST_COUNT(expected); i++) {
        struct env_model *m = open_with(expected[i].name, NULL);
        struct env *e = env_create(m);
        const struct env_spec *spec = env_spec(m);
        const int begin = env_state_size(m) - spec->n_state;
        double state[MAX_STATE];
        float obs[ENV_MAX_OBS], action[ENV_MAX_ACT] = { 0 };
        wander(e, spec);
        env_get_state(e, state);
        for (int k = 0; k < 3 * spec->n_state; k++) {
            double *number = &state[begin + k / 3], old = *number;
            struct env_outcome out;
            *number = numbers[k % 3];
            ck_assert_int_eq(env_set_state(e, state), 0);
            env_step(e, action, obs, &out);
            ck_assert_msg(fabs(out.reward) <= (double)FLT_MAX, "%s", expected[i].name);
            *number = old;
        }
        env_destroy(&e);
        env_close(&m);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        specifications_are_those_of_gymnasium,
        options_change_what_they_name,
        an_option_that_changes_only_numbers_changes_the_hash,
        options_that_cannot_be_are_refused,
        saved_states_continue_bit_for_bit_in_another_process,
        a_step_from_any_finite_state_comes_to_an_end,
    };
    return suite_run("environments", tests, TEST_COUNT(tests), 120);
}
