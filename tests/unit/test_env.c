/* The wrapper around environments (actor/env.h), and the MuJoCo mechanics seen through it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor/env.h"
#include "actor/env/mujoco_guard.h"
#include "actor/env/registry.h"
#include "tests/support.h"

static const char CART[] = "InvertedPendulum-v5";
static const char PENDULUM[] = "Pendulum-v1";

/* Saved states: elapsed | return | observation | the environment's own. */
enum { CART_SIZE = 2 + 4 + 8, CART_POSITION = 7, CART_ANGLE, CART_SPEED };
enum { PENDULUM_SIZE = 2 + 3 + 2, PENDULUM_THETA = 5, PENDULUM_SPEED = 6 };

static const char *models_dir(void)
{
    const char *dir = getenv("SHOAL_MODELS");
    return dir && *dir ? dir : SHOAL_MODELS_DIR;
}

/* ---- one open instance ---- */

struct fixture {
    struct env_model *m;
    struct env *e;
    struct rng rng;
    float obs[8];
};

static struct fixture begin_from(const char *name, const char *dir)
{
    struct fixture f;
    struct error err;
    ck_assert_msg(env_open(&f.m, &(struct env_setup){ .name = name, .models_dir = dir }, &err) == 0, "%s", err.text);
    f.e = env_create(f.m);
    rng_init(&f.rng, 1, RNG_TEST, 0, 0);
    env_reset(f.e, &f.rng, f.obs);
    return f;
}

static struct fixture begin(const char *name)
{
    return begin_from(name, models_dir());
}

static struct env_outcome act(struct fixture *f, float action)
{
    struct env_outcome out;
    env_step(f->e, &action, f->obs, &out);
    return out;
}

static void end(struct fixture *f)
{
    env_destroy(&f->e);
    env_close(&f->m);
    ck_assert_ptr_null(f->e);
    ck_assert_ptr_null(f->m);
}

/* ---- opening ---- */

START_TEST(specifications_are_those_of_gymnasium)
{
    struct fixture f = begin(CART);
    const struct env_spec *spec = env_spec(f.m);
    ck_assert_str_eq(spec->name, CART);
    ck_assert_int_eq(spec->shape.n_obs, 4);
    ck_assert_int_eq(spec->shape.n_act, 1);
    ck_assert_int_eq(spec->n_choices, 0);
    ck_assert_int_eq(spec->time_limit, 1000);
    ck_assert_double_eq((double)spec->act_low[0], -3);
    ck_assert_double_eq((double)spec->act_high[0], 3);
    ck_assert_int_eq(env_state_size(f.m), CART_SIZE);
    end(&f);

    f = begin(PENDULUM);
    spec = env_spec(f.m);
    ck_assert_str_eq(spec->name, PENDULUM);
    ck_assert_int_eq(spec->shape.n_obs, 3);
    ck_assert_int_eq(spec->shape.n_act, 1);
    ck_assert_int_eq(spec->n_choices, 0);
    ck_assert_int_eq(spec->time_limit, 200);
    ck_assert_double_eq((double)spec->act_low[0], -2);
    ck_assert_double_eq((double)spec->act_high[0], 2);
    ck_assert_int_eq(env_state_size(f.m), PENDULUM_SIZE);
    end(&f);
}
END_TEST

START_TEST(every_registered_name_opens_under_its_name)
{
    const char *names[N_ENVIRONMENTS];
    environment_names(names);
    for (int i = 0; i < N_ENVIRONMENTS; i++) {
        ck_assert_str_eq(environment_find(names[i])->name, names[i]);
        struct fixture f = begin(names[i]);
        ck_assert_str_eq(env_spec(f.m)->name, names[i]);
        end(&f);
    }
    ck_assert_ptr_null(environment_find("Pendulum"));
}
END_TEST

START_TEST(specification_hash_is_that_of_the_protocol)
{
    /* printf %s 'shoal-env-2 Pendulum-v1 n_obs 3 n_act 1 n_choices 0 limit 200 low -2 high 2 content -
     * options -' | sha256sum | cut -c 1-16 */
    struct fixture f = begin(PENDULUM);
    char hash[ENV_SPEC_HASH_BYTES];
    env_spec_hash(env_spec(f.m), hash);
    ck_assert_str_eq(hash, "029df39b74b87c0e");

    struct env_spec other = *env_spec(f.m);
    char changed[ENV_SPEC_HASH_BYTES];
    other.act_high[0] = 2.0000002f;
    env_spec_hash(&other, changed);
    ck_assert_str_ne(hash, changed);
    end(&f);
}
END_TEST

START_TEST(specification_reads_as_one_line)
{
    struct fixture f = begin(PENDULUM);
    struct env_spec spec = *env_spec(f.m);
    char line[128];
    env_spec_describe(&spec, line, sizeof(line));
    ck_assert_str_eq(line, "Pendulum-v1 (3 observations, 1 action in [-2, 2], limit 200)");

    spec.n_choices = 2;
    spec.time_limit = 0;
    env_spec_describe(&spec, line, sizeof(line));
    ck_assert_str_eq(line, "Pendulum-v1 (3 observations, 2 choices, no limit)");

    char cut[12];
    env_spec_describe(&spec, cut, sizeof(cut));
    ck_assert_str_eq(cut, "Pendulum-v1");
    end(&f);
}
END_TEST

START_TEST(unknown_name_is_answered_with_the_nearest_one)
{
    struct env_model *m;
    struct error err;
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = "InvertedPendulum-v9", .models_dir = models_dir() }, &err), ERR_CONFIG);
    ck_assert_ptr_null(m);
    ck_assert_str_eq(err.text, "unknown environment \"InvertedPendulum-v9\"; did you mean "
                               "\"InvertedPendulum-v5\"?");
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = "chess", .models_dir = models_dir() }, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "unknown environment \"chess\"; `shoal envs` lists"));
}
END_TEST

START_TEST(missing_model_names_the_file_and_the_remedy)
{
    struct env_model *m;
    struct error err;
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = CART, .models_dir = "/nowhere" }, &err), ERR_MISSING);
    ck_assert_ptr_null(m);
    ck_assert_ptr_nonnull(strstr(err.text, "/nowhere/inverted_pendulum.xml"));
    ck_assert_ptr_nonnull(strstr(err.text, "SHOAL_MODELS"));
    ck_assert_ptr_nonnull(strstr(err.text, "make deps"));
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = CART, .models_dir = NULL }, &err), ERR_MISSING);
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = PENDULUM, .models_dir = NULL }, &err), 0);
    env_close(&m);
}
END_TEST

/* A models directory whose only model is `xml`. */
static void make_models(const char *xml, char *dir, size_t bytes)
{
    char path[512];
    test_directory("models", dir, bytes);
    snprintf(path, sizeof(path), "%s/inverted_pendulum.xml", dir);
    test_write(path, xml, strlen(xml));
}

START_TEST(broken_model_is_reported_in_the_words_of_mujoco)
{
    struct env_model *m;
    struct error err;
    char dir[256];
    make_models("<mujoco><worldbody><geom shape=\"egg\"/></worldbody></mujoco>", dir, sizeof(dir));
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = CART, .models_dir = dir }, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, dir));
    ck_assert_ptr_nonnull(strstr(err.text, "inverted_pendulum.xml: "));
    ck_assert_ptr_nonnull(strstr(err.text, "unrecognized attribute"));
    ck_assert_ptr_null(strchr(err.text, '\n'));
}
END_TEST

START_TEST(model_of_another_robot_is_refused)
{
    struct env_model *m;
    struct error err;
    char dir[256];
    make_models("<mujoco><worldbody><geom size=\"1\"/></worldbody></mujoco>", dir, sizeof(dir));
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = CART, .models_dir = dir }, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "expects nq 2, nv 2 and nu 1"));
}
END_TEST

/* ---- stepping ---- */

START_TEST(time_limit_truncates_and_closes_the_books)
{
    struct fixture f = begin(PENDULUM);
    for (int episode = 0; episode < 2; episode++) {
        double sum = 0;
        for (int t = 1; t <= 200; t++) {
            struct env_outcome out = act(&f, 0.3f);
            sum += out.reward;
            ck_assert_int_eq(out.kind, t < 200 ? ROW_STEP : ROW_TRUNCATED);
            ck_assert(!out.diverged);
            ck_assert_int_eq(out.episode_length, t < 200 ? 0 : 200);
            ck_assert_double_eq_tol(out.episode_return, t < 200 ? 0 : sum, 1e-3);
        }
        env_reset(f.e, &f.rng, f.obs);
    }
    end(&f);
}
END_TEST

/* A cart 999 steps into its episode whose pole leans by `angle`. */
static struct fixture begin_last_step(double angle)
{
    struct fixture f = begin(CART);
    double state[CART_SIZE];
    env_get_state(f.e, state);
    state[0] = 999;
    state[1] = 999;
    state[CART_ANGLE] = angle;
    ck_assert_int_eq(env_set_state(f.e, state), 0);
    return f;
}

START_TEST(termination_at_the_time_limit_is_termination)
{
    struct fixture f = begin_last_step(0.3);
    struct env_outcome out = act(&f, 0);
    ck_assert_int_eq(out.kind, ROW_TERMINATED);
    ck_assert_double_eq(out.reward, 0);
    ck_assert_double_eq(out.episode_return, 999);
    ck_assert_int_eq(out.episode_length, 1000);
    end(&f);

    f = begin_last_step(0.01);
    out = act(&f, 0);
    ck_assert_int_eq(out.kind, ROW_TRUNCATED);
    ck_assert_double_eq(out.reward, 1);
    ck_assert_double_eq(out.episode_return, 1000);
    end(&f);
}
END_TEST

START_TEST(fallen_pole_terminates_with_its_own_last_observation)
{
    struct fixture f = begin(CART);
    struct env_outcome out;
    int n = 0;
    do {
        out = act(&f, 1);
        n++;
    } while (out.kind == ROW_STEP);
    ck_assert_int_eq(out.kind, ROW_TERMINATED);
    ck_assert_double_eq(out.reward, 0);
    ck_assert_int_eq(out.episode_length, n);
    ck_assert_double_eq(out.episode_return, n - 1);
    ck_assert(fabsf(f.obs[1]) > 0.2f);
    end(&f);
}
END_TEST

/* The angular speed that one step from rest upright gives: 3 u dt. */
static double speed_after(float action)
{
    struct fixture f = begin(PENDULUM);
    double state[PENDULUM_SIZE] = { 0, 0, 1 };
    ck_assert_int_eq(env_set_state(f.e, state), 0);
    act(&f, action);
    double speed = (double)f.obs[2];
    end(&f);
    return speed;
}

START_TEST(actions_are_rescaled_and_clipped)
{
    ck_assert_double_eq_tol(speed_after(0), 0, 1e-7);
    ck_assert_double_eq_tol(speed_after(0.5f), 0.15, 1e-7);
    ck_assert_double_eq_tol(speed_after(-1), -0.3, 1e-7);
    ck_assert_double_eq(speed_after(1.5f), speed_after(1));
    ck_assert_double_eq(speed_after(-1e30f), speed_after(-1));
}
END_TEST

START_TEST(instances_of_one_model_do_not_touch_each_other)
{
    struct fixture alone = begin(CART), f = begin(CART);
    struct env *other = env_create(f.m);
    float other_obs[4], push = -0.2f;
    struct env_outcome out;
    for (int t = 0; t < 5; t++) {
        if (t % 4 == 0)
            env_reset(other, &(struct rng){ 0 }, other_obs);
        env_step(other, &push, other_obs, &out);
        act(&alone, 0.1f);
        act(&f, 0.1f);
        ck_assert_mem_eq(alone.obs, f.obs, 4 * sizeof(float));
        ck_assert_mem_ne(alone.obs, other_obs, 4 * sizeof(float));
    }
    env_destroy(&other);
    end(&alone);
    end(&f);
}
END_TEST

/* ---- resets ---- */

/* Mean, spread and range of n draws from U(-scale, scale); 5 standard errors. */
static void check_uniform(const double *x, int n, double scale)
{
    double sum = 0, squares = 0, low = x[0], high = x[0];
    for (int i = 0; i < n; i++) {
        sum += x[i];
        squares += x[i] * x[i];
        low = fmin(low, x[i]);
        high = fmax(high, x[i]);
    }
    ck_assert_double_ge(low, -scale);
    ck_assert_double_le(high, scale);
    ck_assert_double_lt(low, -0.99 * scale);
    ck_assert_double_gt(high, 0.99 * scale);
    ck_assert_double_eq_tol(sum / n, 0, 5 * scale / sqrt(3.0 * n));
    ck_assert_double_eq_tol(squares / n, scale * scale / 3, 5 * scale * scale * 0.3 / sqrt(n));
}

enum { N_RESETS = 4000 };

START_TEST(cart_starts_uniformly_within_a_hundredth)
{
    struct fixture f = begin(CART);
    static double x[4][N_RESETS];
    for (int i = 0; i < N_RESETS; i++) {
        double obs[4];
        env_reset(f.e, &f.rng, f.obs);
        env_observation(f.e, obs);
        for (int k = 0; k < 4; k++) {
            x[k][i] = obs[k];
            ck_assert_double_eq((double)f.obs[k], (double)(float)obs[k]);
        }
    }
    for (int k = 0; k < 4; k++)
        check_uniform(x[k], N_RESETS, 0.01);
    end(&f);
}
END_TEST

START_TEST(pendulum_starts_anywhere_at_up_to_unit_speed)
{
    struct fixture f = begin(PENDULUM);
    static double angle[N_RESETS], speed[N_RESETS];
    for (int i = 0; i < N_RESETS; i++) {
        double obs[3];
        env_reset(f.e, &f.rng, f.obs);
        env_observation(f.e, obs);
        angle[i] = atan2(obs[1], obs[0]);
        speed[i] = obs[2];
    }
    check_uniform(angle, N_RESETS, 3.14159265358979);
    check_uniform(speed, N_RESETS, 1);
    end(&f);
}
END_TEST

START_TEST(reset_forgets_everything_that_was_before)
{
    struct fixture used = begin(CART), fresh = begin(CART);
    while (act(&used, 1).kind == ROW_STEP)
        ;
    rng_init(&used.rng, 7, RNG_RESET, 3, 0);
    rng_init(&fresh.rng, 7, RNG_RESET, 3, 0);
    env_reset(used.e, &used.rng, used.obs);
    env_reset(fresh.e, &fresh.rng, fresh.obs);
    double a[CART_SIZE], b[CART_SIZE];
    for (int t = 0; t < 3; t++) {
        env_get_state(used.e, a);
        env_get_state(fresh.e, b);
        ck_assert_mem_eq(a, b, sizeof(a));
        act(&used, 0.1f);
        act(&fresh, 0.1f);
    }
    end(&used);
    end(&fresh);
}
END_TEST

/* ---- saved states ---- */

enum { N_STEPS = 6, MAX_STATE = 32 };

struct trace {
    float obs[N_STEPS][8];
    struct env_outcome out[N_STEPS];
    double state[MAX_STATE];
};

/* Let the cart lean on its stop, so that MuJoCo's solver has something to warm-start. */
static void lean(struct fixture *f)
{
    double state[CART_SIZE];
    env_get_state(f->e, state);
    state[CART_POSITION] = 1.001;
    memset(&state[CART_ANGLE], 0, 3 * sizeof(double));
    ck_assert_int_eq(env_set_state(f->e, state), 0);
    memset(f->obs, 0, sizeof(f->obs));
}

/* Steps that press against the stop and keep the pole up. */
static void run(struct fixture *f, struct trace *trace)
{
    memset(trace, 0, sizeof(*trace));
    for (int t = 0; t < N_STEPS; t++) {
        const float *o = f->obs;
        float push = 0.05f + 0.002f * (float)(t % 3) + 2.2f * o[1] + 0.55f * o[3];
        struct env_outcome out = act(f, push);
        ck_assert_int_eq(out.kind, ROW_STEP);
        memcpy(trace->obs[t], f->obs, sizeof(float) * (size_t)env_spec(f->m)->shape.n_obs);
        trace->out[t].reward = out.reward;
    }
    env_get_state(f->e, trace->state);
}

/* Continue from `state` in a process that opens the environment itself. */
static void run_elsewhere(const char *name, const double *state, const float *obs,
                          struct trace *trace)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct fixture f = begin(name);
        ck_assert_int_eq(env_set_state(f.e, state), 0);
        memcpy(f.obs, obs, sizeof(f.obs));
        run(&f, trace);
        end(&f);
        ck_assert_int_eq(write(ends[1], trace, sizeof(*trace)), sizeof(*trace));
        _exit(0);
    }
    close(ends[1]);
    ck_assert_int_eq(read(ends[0], trace, sizeof(*trace)), sizeof(*trace));
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(saved_state_continues_bit_for_bit_in_another_process)
{
    const char *const names[] = { CART, PENDULUM };
    for (int i = 0; i < 2; i++) {
        struct fixture f = begin(names[i]);
        struct trace here, there;
        if (i == 0)
            lean(&f);
        run(&f, &here);

        double state[MAX_STATE];
        float obs[8];
        env_get_state(f.e, state);
        memcpy(obs, f.obs, sizeof(obs));
        ck_assert_double_eq(state[0], N_STEPS);
        run(&f, &here);
        run_elsewhere(names[i], state, obs, &there);
        ck_assert_mem_eq(&here, &there, sizeof(here));
        end(&f);
    }
}
END_TEST

START_TEST(state_given_back_is_the_state_taken)
{
    struct fixture f = begin(CART);
    struct trace trace;
    lean(&f);
    run(&f, &trace);
    double again[CART_SIZE];
    env_reset(f.e, &f.rng, f.obs);
    ck_assert_int_eq(env_set_state(f.e, trace.state), 0);
    env_get_state(f.e, again);
    ck_assert_mem_eq(again, trace.state, sizeof(again));
    end(&f);
}
END_TEST

START_TEST(numbers_that_cannot_be_a_state_are_refused_and_change_nothing)
{
    struct fixture f = begin(CART);
    double before[CART_SIZE], after[CART_SIZE], bad[CART_SIZE];
    env_get_state(f.e, before);
    const struct {
        int index;
        double value;
    } cases[] = { { 0, -1 },  { 0, 1000 }, { 0, 0.5 },       { 0, 1e300 },          { 0, NAN },
                  { 1, NAN }, { 2, 1e39 }, { 2, -INFINITY }, { CART_ANGLE, NAN },
                  { CART_SIZE - 1, INFINITY } };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        memcpy(bad, before, sizeof(bad));
        bad[cases[i].index] = cases[i].value;
        ck_assert_int_eq(env_set_state(f.e, bad), ERR_FORMAT);
        env_get_state(f.e, after);
        ck_assert_mem_eq(before, after, sizeof(before));
    }
    end(&f);
}
END_TEST

/* ---- what breaks down ---- */

static void check_diverged(struct fixture *f, const float *obs_before, struct env_outcome out)
{
    ck_assert(out.diverged);
    ck_assert_int_eq(out.kind, ROW_TRUNCATED);
    ck_assert_double_eq(out.reward, 0);
    ck_assert(isfinite(out.episode_return));
    ck_assert_int_eq(out.episode_length, 1);
    const size_t bytes = sizeof(float) * (size_t)env_spec(f->m)->shape.n_obs;
    ck_assert_mem_eq(f->obs, obs_before, bytes);

    /* The instance works again. */
    env_reset(f->e, &f->rng, f->obs);
    out = act(f, 0);
    ck_assert(!out.diverged);
    ck_assert_int_eq(out.kind, ROW_STEP);
}

START_TEST(diverged_simulation_ends_the_episode_as_truncated_with_finite_numbers)
{
    const struct {
        int index;
        double value;
    } cases[] = { { CART_ANGLE, 1e11 },
                  { CART_SPEED, -1e12 },
                  { CART_POSITION, 1e300 },
                  { CART_SPEED, 9e9 } };
    char dir[256], log[300];
    test_directory("quiet", dir, sizeof(dir));
    snprintf(log, sizeof(log), "%s/MUJOCO_LOG.TXT", dir);
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct fixture f = begin(CART);
        ck_assert_int_eq(chdir(dir), 0);
        double state[CART_SIZE];
        env_get_state(f.e, state);
        state[cases[i].index] = cases[i].value;
        ck_assert_int_eq(env_set_state(f.e, state), 0);
        float before[8];
        memcpy(before, f.obs, sizeof(before));
        unsigned long warnings = mujoco_warnings();
        struct env_outcome out = act(&f, 0);
        ck_assert_uint_gt(mujoco_warnings(), warnings);
        check_diverged(&f, before, out);
        ck_assert_int_ne(access(log, F_OK), 0);
        end(&f);
    }
}
END_TEST

START_TEST(action_that_is_not_finite_ends_the_episode)
{
    const char *const names[] = { CART, PENDULUM };
    const float actions[] = { NAN, INFINITY, -INFINITY };
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++) {
            struct fixture f = begin(names[i]);
            float before[8];
            memcpy(before, f.obs, sizeof(before));
            check_diverged(&f, before, act(&f, actions[k]));
            end(&f);
        }
}
END_TEST

START_TEST(observation_beyond_float_ends_the_episode)
{
    struct fixture f = begin(PENDULUM);
    double state[PENDULUM_SIZE] = { 0, 0, 1 };
    float before[8] = { 1 };
    state[PENDULUM_THETA] = 1e305;
    state[PENDULUM_SPEED] = 1e300;    /* its square leaves double: the reward is not finite */
    ck_assert_int_eq(env_set_state(f.e, state), 0);
    struct env_outcome out = act(&f, 0);
    check_diverged(&f, before, out);
    end(&f);
}
END_TEST

/* A models directory whose cart leaves MuJoCo `bytes` of memory. */
static void make_narrow_models(int bytes, char *dir, size_t dir_bytes)
{
    static const char old[] = "<size nstack=\"3000\"/>";
    char path[512], size[64];
    snprintf(path, sizeof(path), "%s/inverted_pendulum.xml", models_dir());
    char *xml = test_read(path, NULL);
    char *at = strstr(xml, old);
    ck_assert_ptr_nonnull(at);
    int n = snprintf(size, sizeof(size), "<size memory=\"%d\"/>", bytes);
    ck_assert_int_le(n, (int)strlen(old));
    memset(at, ' ', strlen(old));
    memcpy(at, size, (size_t)n);
    make_models(xml, dir, dir_bytes);
    free(xml);
}

START_TEST(error_inside_mujoco_leaves_the_step_and_not_the_process)
{
    /* The least memory with which the model works at all is too little when the cart runs into
     * its stop: MuJoCo's stack overflows in the middle of a step. */
    struct env_model *m = NULL;
    struct error err;
    char dir[256];
    for (int bytes = 496; !m && bytes < 9999; bytes += 16) {
        make_narrow_models(bytes, dir, sizeof(dir));
        int rc = env_open(&m, &(struct env_setup){ .name = CART, .models_dir = dir }, &err);
        ck_assert(rc == 0 || rc == ERR_CONFIG);
    }
    ck_assert_ptr_nonnull(m);
    env_close(&m);
    ck_assert_ptr_nonnull(strstr(err.text, "stack overflow"));

    struct fixture f = begin_from(CART, dir);
    for (int episode = 0; episode < 3; episode++) {
        double state[CART_SIZE];
        float before[8];
        env_reset(f.e, &f.rng, f.obs);
        memcpy(before, f.obs, sizeof(before));
        env_get_state(f.e, state);
        state[CART_POSITION] = 0.999;
        state[CART_SPEED] = 5;
        ck_assert_int_eq(env_set_state(f.e, state), 0);
        check_diverged(&f, before, act(&f, 1));
    }
    end(&f);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        specifications_are_those_of_gymnasium,
        every_registered_name_opens_under_its_name,
        specification_hash_is_that_of_the_protocol,
        specification_reads_as_one_line,
        unknown_name_is_answered_with_the_nearest_one,
        missing_model_names_the_file_and_the_remedy,
        broken_model_is_reported_in_the_words_of_mujoco,
        model_of_another_robot_is_refused,
        time_limit_truncates_and_closes_the_books,
        termination_at_the_time_limit_is_termination,
        fallen_pole_terminates_with_its_own_last_observation,
        actions_are_rescaled_and_clipped,
        instances_of_one_model_do_not_touch_each_other,
        cart_starts_uniformly_within_a_hundredth,
        pendulum_starts_anywhere_at_up_to_unit_speed,
        reset_forgets_everything_that_was_before,
        saved_state_continues_bit_for_bit_in_another_process,
        state_given_back_is_the_state_taken,
        numbers_that_cannot_be_a_state_are_refused_and_change_nothing,
        diverged_simulation_ends_the_episode_as_truncated_with_finite_numbers,
        action_that_is_not_finite_ends_the_episode,
        observation_beyond_float_ends_the_episode,
        error_inside_mujoco_leaves_the_step_and_not_the_process,
    };
    return suite_run("env", tests, TEST_COUNT(tests), 60);
}
