/* Many instances stepped by one call beside as many stepped one by one: every number the same, to the bit. */
#include "actor/env.h"

#include <math.h>
#include <string.h>

#include "actor/env/registry.h"
#include "tests/support.h"

enum { N = 75, MOST_OBS = 512, N_STEPS = 400 };    /* more than go into one call of an environment */

static struct env_model *open_with(const char *name, const char *options)
{
    struct error err;
    struct env_model *m;
    const struct env_setup setup = { .name = name, .options = options, .models_dir = SHOAL_MODELS_DIR };
    ck_assert_msg(env_open(&m, &setup, &err) == 0, "%s", err.text);
    return m;
}

/* Two crowds of one model that should do the same. */
struct pair {
    struct env_model *model;
    struct env *alone[N], *together[N];
    struct rng rng[2][N];
    float obs[2][N][MOST_OBS];
};
static struct pair pair;

static void restart(struct pair *p, int i)
{
    env_reset(p->alone[i], &p->rng[0][i], p->obs[0][i]);
    env_reset(p->together[i], &p->rng[1][i], p->obs[1][i]);
}

static void pair_open(struct pair *p, const char *name, const char *options, int n)
{
    memset(p, 0, sizeof(*p));
    p->model = open_with(name, options);
    ck_assert_int_le(env_spec(p->model)->shape.n_obs, MOST_OBS);
    for (int i = 0; i < n; i++) {
        p->alone[i] = env_create(p->model);
        p->together[i] = env_create(p->model);
        for (int k = 0; k < 2; k++)
            rng_init(&p->rng[k][i], 1, RNG_TEST, (uint32_t)i, 0);
        restart(p, i);
    }
}

static void pair_close(struct pair *p, int n)
{
    for (int i = 0; i < n; i++) {
        env_destroy(&p->alone[i]);
        env_destroy(&p->together[i]);
    }
    env_close(&p->model);
}

static void expect_equal_outcomes(const struct env_outcome *a, const struct env_outcome *b)
{
    ck_assert_mem_eq(&a->reward, &b->reward, sizeof(a->reward));
    ck_assert_mem_eq(&a->episode_return, &b->episode_return, sizeof(a->episode_return));
    ck_assert(a->kind == b->kind && a->terminated == b->terminated && a->truncated == b->truncated
              && a->diverged == b->diverged && a->episode_length == b->episode_length);
}

/* Actions up to half again beyond the bounds, now and then one that is not finite. Returns the episodes that
 * ended. */
static int step_both(struct pair *p, struct rng *rng, int n)
{
    const struct env_spec *spec = env_spec(p->model);
    const size_t bytes = (size_t)spec->shape.n_obs * sizeof(float);
    float action[N][ENV_MAX_ACT], *next[N];
    const float *chosen[N];
    struct env_outcome out[N], expected;
    int n_ends = 0;
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < spec->shape.n_act; k++)
            action[i][k] = spec->n_choices ? (float)rng_below(rng, (uint64_t)spec->n_choices)
                                           : (float)rng_uniform(rng, -1.5, 1.5);
        if (rng_below(rng, 500) == 0)
            action[i][0] = NAN;
        chosen[i] = action[i];
        next[i] = p->obs[1][i];
    }
    env_step_all(p->together, n, chosen, next, out);
    for (int i = 0; i < n; i++) {
        env_step(p->alone[i], action[i], p->obs[0][i], &expected);
        expect_equal_outcomes(&expected, &out[i]);
        ck_assert_mem_eq(p->obs[0][i], p->obs[1][i], bytes);
        ck_assert_int_eq(env_elapsed(p->alone[i]), env_elapsed(p->together[i]));
        if (expected.kind == ROW_STEP)
            continue;
        n_ends++;
        restart(p, i);
    }
    return n_ends;
}

static void expect_equal_states(const struct pair *p, int n)
{
    for (int i = 0; i < n; i++) {
        double a[2 * MOST_OBS], b[2 * MOST_OBS];
        ck_assert_int_le(env_state_size(p->model), 2 * MOST_OBS);
        ck_assert_int_eq(env_get_state(p->alone[i], a), 0);
        ck_assert_int_eq(env_get_state(p->together[i], b), 0);
        ck_assert_mem_eq(a, b, (size_t)env_state_size(p->model) * sizeof(double));
    }
}

static const struct { const char *name, *options; bool at_once; } crowds[] = {
    { "CartPole-v1", NULL, true },
    { "CartPole-v1", "sutton_barto_reward: true", true },
    { "Pendulum-v1", NULL, true },
    { "Acrobot-v1", NULL, true },
    { "MountainCarContinuous-v0", NULL, true },
    { "InvertedPendulum-v5", NULL, false },
};

START_TEST(stepping_together_gives_the_bits_of_stepping_alone)
{
    static const int sizes[] = { 1, 2, 31, 32, 33, N };
    for (size_t c = 0; c < TEST_COUNT(crowds); c++)
        for (size_t k = 0; k < (crowds[c].at_once ? TEST_COUNT(sizes) : 2); k++) {
            struct rng rng;
            int n_ends = 0;
            rng_init(&rng, 7, RNG_TEST, (uint32_t)k, 0);
            pair_open(&pair, crowds[c].name, crowds[c].options, sizes[k]);
            ck_assert_int_eq(env_steps_together(pair.together[0]), crowds[c].at_once);
            for (int t = 0; t < N_STEPS; t++)
                n_ends += step_both(&pair, &rng, sizes[k]);
            expect_equal_states(&pair, sizes[k]);
            ck_assert_int_ge(n_ends, sizes[k] / 4);
            pair_close(&pair, sizes[k]);
        }
}
END_TEST

/* Foreign states: beyond float32 from the start, beyond it after a step, and on the way to infinity. */
START_TEST(instances_that_break_down_leave_those_beside_them_alone)
{
    static const double states[][4] = {
        { 1e300, 0, 0, 0 }, { 0, 3e38, 0, 0 }, { 0, 0, 0, 1e200 }, { 0, 0, 1e300, 0 }, { 3.4e38, 1e38, 0, 0 },
        { 3.41e38, -1e38, 0, 0 }    /* beyond it at the start alone */
    };
    struct rng rng;
    struct error err;
    rng_init(&rng, 7, RNG_TEST, 0, 0);
    pair_open(&pair, "CartPole-v1", NULL, N);
    for (int round = 0; round < 50; round++) {
        for (int i = round % 3; i < N; i += 3) {
            const double *state = states[rng_below(&rng, TEST_COUNT(states))];
            ck_assert_int_eq(env_set_raw_state(pair.alone[i], state, 4, &err), 0);
            ck_assert_int_eq(env_set_raw_state(pair.together[i], state, 4, &err), 0);
        }
        ck_assert_int_gt(step_both(&pair, &rng, N), 0);
    }
    expect_equal_states(&pair, N);
    pair_close(&pair, N);
}
END_TEST

/* Whoever writes an environment decides; those with a simulation inside stay visible to the watch. */
START_TEST(simulations_are_stepped_one_by_one)
{
    const char *names[N_ENVIRONMENTS];
    environment_names(names);
    for (int i = 0; i < N_ENVIRONMENTS; i++) {
        struct env_physics p;
        struct env_model *m = open_with(names[i], NULL);
        struct env *e = env_create(m);
        if (env_physics(e, &p))
            ck_assert_msg(!env_steps_together(e), "%s", names[i]);
        env_destroy(&e);
        env_close(&m);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        stepping_together_gives_the_bits_of_stepping_alone,
        instances_that_break_down_leave_those_beside_them_alone,
        simulations_are_stepped_one_by_one,
    };
    return suite_run("env_together", tests, TEST_COUNT(tests), 120);
}
