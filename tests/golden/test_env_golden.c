/* Every environment against episodes of Gymnasium's own, recorded by make_env_golden.py (which
 * documents the file). Each episode runs twice side by side: on the bare environment in double,
 * and through actor/env.h in policy units with the time limit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env.h"
#include "actor/env/registry.h"
#include "tests/support.h"

static const double OBS_TOLERANCE = 1e-10;
static const double REWARD_TOLERANCE = 1e-9;    /* costs in float32 may differ in their last bit */

struct golden {
    const char *path;
    const double *at, *end;
    int n_obs, n_act, n_state;
};

/* The next n numbers of the file. */
static const double *next(struct golden *g, int n)
{
    const double *numbers = g->at;
    ck_assert_msg(n >= 0 && n <= g->end - g->at, "%s is too short", g->path);
    g->at += n;
    return numbers;
}

static const char *models_dir(void)
{
    const char *dir = getenv("SHOAL_MODELS");
    return dir && *dir ? dir : SHOAL_MODELS_DIR;
}

static void check_near(const double *found, const double *expected, int n, double tolerance,
                       const char *what, int t)
{
    for (int i = 0; i < n; i++)
        ck_assert_msg(fabs(found[i] - expected[i]) <= tolerance,
                      "step %d, %s %d: %.17g, Gymnasium has %.17g", t, what, i, found[i],
                      expected[i]);
}

/* One step on both levels. Returns whether the episode goes on. */
static bool check_step(struct golden *g, const struct environment *ops, void *bare, struct env *e,
                       int t)
{
    const double *action = next(g, g->n_act);
    const double *units = next(g, g->n_act);
    const double *obs = next(g, g->n_obs);
    const double *flags = next(g, 3);    /* reward, terminated, truncated */

    float action32[ENV_MAX_ACT], units32[ENV_MAX_ACT];
    for (int i = 0; i < g->n_act; i++) {
        action32[i] = (float)action[i];
        units32[i] = (float)units[i];
    }

    struct env_step step;
    double found[ENV_MAX_OBS];
    ops->step(bare, units32, &step);
    ops->observe(bare, found);
    check_near(found, obs, g->n_obs, OBS_TOLERANCE, "observation", t);
    check_near(&step.reward, &flags[0], 1, REWARD_TOLERANCE, "reward", t);
    ck_assert_int_eq(step.terminated, flags[1] != 0);
    ck_assert(!step.diverged);

    struct env_outcome outcome;
    float next_obs[ENV_MAX_OBS];
    double wrapped[ENV_MAX_OBS];
    env_step(e, action32, next_obs, &outcome);
    env_observation(e, wrapped);
    ck_assert_mem_eq(wrapped, found, sizeof(double) * (size_t)g->n_obs);
    ck_assert_double_eq(outcome.reward, step.reward);
    for (int i = 0; i < g->n_obs; i++)
        ck_assert_double_eq((double)next_obs[i], (double)(float)found[i]);
    ck_assert_int_eq(outcome.kind, flags[1] != 0   ? ROW_TERMINATED
                                   : flags[2] != 0 ? ROW_TRUNCATED
                                                   : ROW_STEP);
    return outcome.kind == ROW_STEP;
}

static void check_episode(struct golden *g, const struct environment *ops, void *bare,
                          struct env *e)
{
    const int n_steps = (int)*next(g, 1);
    const double *state = next(g, g->n_state);
    const double *obs = next(g, g->n_obs);

    double found[ENV_MAX_OBS];
    ops->set_state(bare, state);
    ops->observe(bare, found);
    check_near(found, obs, g->n_obs, OBS_TOLERANCE, "first observation", 0);

    /* elapsed | return | observation | the environment's own */
    double saved[2 + ENV_MAX_OBS + 1024] = { 0 };
    ck_assert_int_lt(g->n_state, 1024);
    memcpy(saved + 2, obs, sizeof(double) * (size_t)g->n_obs);
    memcpy(saved + 2 + g->n_obs, state, sizeof(double) * (size_t)g->n_state);
    ck_assert_int_eq(env_set_state(e, saved), 0);

    for (int t = 1; t <= n_steps; t++)
        ck_assert(check_step(g, ops, bare, e, t) || t == n_steps);
}

static void check_environment(const struct environment *ops)
{
    char path[256];
    snprintf(path, sizeof(path), "tests/golden/env_%s.bin", ops->name);
    size_t bytes;
    char *data = test_read(path, &bytes);
    double *numbers = malloc(bytes);
    memcpy(numbers, data, bytes);
    free(data);
    struct golden g = { .path = path, .at = numbers, .end = numbers + bytes / sizeof(double) };
    g.n_obs = (int)*next(&g, 1);
    g.n_act = (int)*next(&g, 1);
    g.n_state = (int)*next(&g, 1);
    const int n_episodes = (int)*next(&g, 1);

    struct error err;
    struct env_spec spec;
    void *model = NULL;
    _Alignas(16) unsigned char options[ENV_OPTIONS_BYTES];
    const struct option_section section = { .name = "env", .options = ops->options,
                                            .n_options = ops->n_options, .base = options };
    options_default(&section, 1);
    const struct env_context context = { .ops = ops, .name = ops->name,
                                         .models_dir = models_dir(), .options = options };
    ck_assert_msg(ops->open(&model, &spec, &context, &err) == 0, "%s", err.text);
    ck_assert_int_eq(spec.shape.n_obs, g.n_obs);
    ck_assert_int_eq(spec.shape.n_act, g.n_act);
    ck_assert_int_eq(spec.n_state, g.n_state);
    void *bare = ops->create(model);
    struct env_model *m;
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = ops->name, .models_dir = models_dir() }, &err), 0);
    struct env *e = env_create(m);

    for (int i = 0; i < n_episodes; i++)
        check_episode(&g, ops, bare, e);
    ck_assert_ptr_eq(g.at, g.end);

    env_destroy(&e);
    env_close(&m);
    ops->destroy(bare);
    ops->close(model);
    free(numbers);
}

START_TEST(episodes_are_those_of_gymnasium)
{
    const char *names[N_ENVIRONMENTS];
    environment_names(names);
    for (int i = 0; i < N_ENVIRONMENTS; i++)
        if (strstr(names[i], "-v4") == NULL)
            check_environment(environment_find(names[i]));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { episodes_are_those_of_gymnasium };
    return suite_run("env_golden", tests, TEST_COUNT(tests), 60);
}
