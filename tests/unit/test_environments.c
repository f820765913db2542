/* All registered environments: what they say they are, how they start, that they can be saved. What
 * they do is compared with Gymnasium in tests/golden. */
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

enum { MOST_OBS = 400, MOST_ACT = 17, MOST_STATE = 600 };

static struct env_setup setup_of(const char *name, const char *options)
{
    const char *dir = getenv("SHOAL_MODELS");
    return (struct env_setup){ .name = name, .options = options,
                               .models_dir = dir && *dir ? dir : SHOAL_MODELS_DIR };
}

static struct env_model *open_with(const char *name, const char *options)
{
    struct env_model *m;
    struct error err;
    const struct env_setup setup = setup_of(name, options);
    ck_assert_msg(env_open(&m, &setup, &err) == 0, "%s", err.text);
    ck_assert_int_le(env_spec(m)->shape.n_obs, MOST_OBS);
    ck_assert_int_le(env_spec(m)->shape.n_act, MOST_ACT);
    ck_assert_int_le(env_state_size(m), MOST_STATE);
    return m;
}

static void check_refused(const char *name, const char *options, const char *because)
{
    struct env_model *m;
    struct error err;
    const struct env_setup setup = setup_of(name, options);
    ck_assert_int_eq(env_open(&m, &setup, &err), ERR_CONFIG);
    ck_assert_ptr_null(m);
    ck_assert_msg(strstr(err.text, because) != NULL, "\"%s\" lacks \"%s\"", err.text, because);
}

/* ---- specifications ---- */

/* Read in Gymnasium 1.2.3 with MuJoCo 3.3.7: spaces, limits and dt; n_carried is what a saved state
 * has beyond time, positions, velocities, warm start and controls. */
static const struct known {
    const char *name;
    int n_obs, n_act, n_choices, time_limit, nq, nv, n_carried;
    double bound, step_s;
} known[] = {
    { "InvertedPendulum-v5", 4, 1, 0, 1000, 2, 2, 0, 3, 0.04 },
    { "InvertedPendulum-v4", 4, 1, 0, 1000, 2, 2, 0, 3, 0.04 },
    { "InvertedDoublePendulum-v5", 9, 1, 0, 1000, 3, 3, 0, 1, 0.05 },
    { "InvertedDoublePendulum-v4", 11, 1, 0, 1000, 3, 3, 0, 1, 0.05 },
    { "Reacher-v5", 10, 2, 0, 50, 4, 4, 0, 1, 0.02 },
    { "Reacher-v4", 11, 2, 0, 50, 4, 4, 1, 1, 0.02 },
    { "Pusher-v5", 23, 7, 0, 100, 11, 11, 0, 2, 0.05 },
    { "Swimmer-v5", 8, 2, 0, 1000, 5, 5, 1, 1, 0.04 },
    { "Swimmer-v4", 8, 2, 0, 1000, 5, 5, 1, 1, 0.04 },
    { "Hopper-v5", 11, 3, 0, 1000, 6, 6, 1, 1, 0.008 },
    { "Hopper-v4", 11, 3, 0, 1000, 6, 6, 1, 1, 0.008 },
    { "HalfCheetah-v5", 17, 6, 0, 1000, 9, 9, 1, 1, 0.05 },
    { "HalfCheetah-v4", 17, 6, 0, 1000, 9, 9, 1, 1, 0.05 },
    { "Walker2d-v5", 17, 6, 0, 1000, 9, 9, 1, 1, 0.008 },
    { "Walker2d-v4", 17, 6, 0, 1000, 9, 9, 1, 1, 0.008 },
    { "Ant-v5", 105, 8, 0, 1000, 15, 14, 1, 1, 0.05 },
    { "Ant-v4", 27, 8, 0, 1000, 15, 14, 1, 1, 0.05 },
    { "Humanoid-v5", 348, 17, 0, 1000, 24, 23, 1, 0.4, 0.015 },
    { "Humanoid-v4", 376, 17, 0, 1000, 24, 23, 1, 0.4, 0.015 },
    { "HumanoidStandup-v5", 348, 17, 0, 1000, 24, 23, 0, 0.4, 0.015 },
    { "HumanoidStandup-v4", 376, 17, 0, 1000, 24, 23, 0, 0.4, 0.015 },
    { "Pendulum-v1", 3, 1, 0, 200, 2, 0, 0, 2, 0.05 },
    { "CartPole-v1", 4, 1, 2, 500, 4, 0, 0, 0, 0.02 },
    { "MountainCarContinuous-v0", 2, 1, 0, 999, 2, 0, 0, 1, 1.0 / 30 },
    { "Acrobot-v1", 6, 1, 3, 500, 4, 0, 0, 0, 0.2 },
};

static void check_spec(const struct known *k)
{
    struct env_model *m = open_with(k->name, NULL);
    const struct env_spec *spec = env_spec(m);
    ck_assert_str_eq(spec->name, k->name);
    ck_assert_int_eq(spec->shape.n_obs, k->n_obs);
    ck_assert_int_eq(spec->shape.n_act, k->n_act);
    ck_assert_int_eq(spec->n_choices, k->n_choices);
    ck_assert_int_eq(spec->time_limit, k->time_limit);
    ck_assert_double_eq_tol(spec->step_s, k->step_s, 1e-12);
    for (int i = 0; i < k->n_act && k->n_choices == 0; i++) {
        ck_assert(spec->act_low[i] == (float)-k->bound);
        ck_assert(spec->act_high[i] == (float)k->bound);
    }
    ck_assert_int_eq(spec->n_state, k->nv > 0 ? 1 + k->nq + 2 * k->nv + k->n_act + k->n_carried
                                              : k->nq);
    ck_assert_int_eq(strlen(spec->content), k->nv > 0 ? ENV_SPEC_HASH_BYTES - 1 : 0);
    ck_assert_str_eq(spec->options, "");
    env_close(&m);
}

START_TEST(specifications_are_those_of_gymnasium)
{
    ck_assert_uint_eq(TEST_COUNT(known), N_ENVIRONMENTS);
    for (size_t i = 0; i < TEST_COUNT(known); i++)
        check_spec(&known[i]);
}
END_TEST

START_TEST(every_registered_name_is_found_under_its_name)
{
    const char *names[N_ENVIRONMENTS];
    environment_names(names);
    for (int i = 0; i < N_ENVIRONMENTS; i++) {
        ck_assert_str_eq(environment_find(names[i])->name, names[i]);
        ck_assert_str_eq(names[i], known[i].name);
    }
    ck_assert_ptr_null(environment_find("Pendulum"));
}
END_TEST

START_TEST(options_decide_what_is_observed)
{
    static const char positions[] = "exclude_current_positions_from_observation: false";
    const struct {
        const char *name, *options;
        int n_obs;
    } cases[] = {
        { "Swimmer-v5", positions, 10 },
        { "Hopper-v4", positions, 12 },
        { "HalfCheetah-v5", positions, 18 },
        { "Walker2d-v4", positions, 18 },
        { "Ant-v5", positions, 107 },
        { "Ant-v5", "include_cfrc_ext_in_observation: false", 27 },
        { "Ant-v4", "use_contact_forces: true", 111 },
        { "Humanoid-v5", positions, 350 },
        { "Humanoid-v4", positions, 378 },
        { "Humanoid-v5", "include_cinert_in_observation: false", 218 },
        { "Humanoid-v5", "include_cvel_in_observation: false", 270 },
        { "Humanoid-v5", "include_qfrc_actuator_in_observation: false", 331 },
        { "HumanoidStandup-v5", "include_cfrc_ext_in_observation: false", 270 },
        { "HumanoidStandup-v5", positions, 350 },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct env_model *m = open_with(cases[i].name, cases[i].options);
        ck_assert_int_eq(env_spec(m)->shape.n_obs, cases[i].n_obs);
        ck_assert_str_eq(env_spec(m)->options, cases[i].options);
        env_close(&m);
    }
}
END_TEST

START_TEST(another_robot_will_do_where_the_task_can_use_it)
{
    struct env_model *m = open_with("Ant-v5", "xml_file: humanoid.xml, main_body: torso");
    ck_assert_int_eq(env_spec(m)->shape.n_act, 17);
    ck_assert_int_eq(env_spec(m)->shape.n_obs, 22 + 23 + 6 * 13);
    env_close(&m);

    check_refused("Hopper-v5", "xml_file: inverted_pendulum.xml",
                  "inverted_pendulum.xml: Hopper-v5 expects at least nq 3, nv 1 and nu 1, this "
                  "model has 2, 2 and 1");
    check_refused("Humanoid-v5", "xml_file: hopper.xml", "at least nq 7");
    check_refused("Reacher-v5", "xml_file: ant.xml", "Reacher-v5 expects nq 4");
    check_refused("Hopper-v5", "reset_noise_scale: -0.1", "reset_noise_scale");
    check_refused("Ant-v5", "main_body: nose",
                  "main_body is \"nose\", which is neither the name of a body");
    check_refused("Ant-v5", "main_body: \"14\"", "main_body is \"14\"");
}
END_TEST

START_TEST(pusher_v4_is_refused_and_its_successor_named)
{
    check_refused("Pusher-v4", NULL, "MuJoCo 3");
    check_refused("Pusher-v4", NULL, "use Pusher-v5");
}
END_TEST

/* ---- starts ---- */

enum { N_DRAWS = 3000 };

/* The numbers with which instance after instance starts: positions and velocities, or the state. */
static void draw_starts(struct env *e, const struct known *k, double (*x)[MOST_OBS])
{
    struct rng rng;
    float obs[MOST_OBS];
    rng_init(&rng, 5, RNG_TEST, 0, 0);
    for (int i = 0; i < N_DRAWS; i++) {
        struct env_physics p;
        env_reset(e, &rng, obs);
        if (env_physics(e, &p)) {
            ck_assert_int_eq(p.nq, k->nq);
            ck_assert_int_eq(p.nv, k->nv);
            memcpy(x[i], p.qpos, sizeof(double) * (size_t)p.nq);
            memcpy(x[i] + p.nq, p.qvel, sizeof(double) * (size_t)p.nv);
        } else {
            ck_assert(env_raw_state(e, x[i]));
        }
    }
}

/* Coordinate c is drawn uniformly from centre +- scale; or from centre + scale N(0, 1). Five standard
 * errors of mean and variance, and the ends of the range. */
static void check_noise(double (*x)[MOST_OBS], int c, double centre, double scale, bool is_normal,
                        const char *name)
{
    double sum = 0, squares = 0, most = 0;
    for (int i = 0; i < N_DRAWS; i++) {
        const double z = (x[i][c] - centre) / scale;
        sum += z;
        squares += z * z;
        most = fmax(most, fabs(z));
    }
    const double variance = is_normal ? 1 : 1.0 / 3;
    const double spread = is_normal ? sqrt(2) : sqrt(4.0 / 45);    /* of z^2 */
    ck_assert_msg(fabs(sum / N_DRAWS) < 5 * sqrt(variance / N_DRAWS), "%s: mean of %d", name, c);
    ck_assert_msg(fabs(squares / N_DRAWS - variance) < 5 * spread / sqrt(N_DRAWS),
                  "%s: variance of %d", name, c);
    ck_assert_msg(is_normal ? most > 2.5 && most < 6 : most <= 1 + 1e-9 && most > 0.99,
                  "%s: range of %d is %g", name, c, most);
}

/* Noise of all positions and of all velocities; qpos0 where it is not 0. */
struct start {
    const char *name;
    double position_scale, velocity_scale;
    bool is_normal;    /* the velocities' */
    double centre[8];
};

static void check_start(const struct start *s, double (*x)[MOST_OBS])
{
    const struct known *k = known;
    while (strcmp(k->name, s->name) != 0)
        k++;
    struct env_model *m = open_with(s->name, NULL);
    struct env *e = env_create(m);
    draw_starts(e, k, x);
    for (int c = 0; c < k->nq; c++)
        check_noise(x, c, c < 8 ? s->centre[c] : 0, s->position_scale, false, s->name);
    for (int c = k->nq; c < k->nq + k->nv; c++)
        check_noise(x, c, 0, s->velocity_scale, s->is_normal, s->name);
    env_destroy(&e);
    env_close(&m);
}

START_TEST(starts_are_drawn_as_in_gymnasium)
{
    static double x[N_DRAWS][MOST_OBS];
    const struct start starts[] = {
        { "InvertedPendulum-v5", 0.01, 0.01, false, { 0 } },
        { "InvertedDoublePendulum-v5", 0.1, 0.1, true, { 0 } },
        { "InvertedDoublePendulum-v4", 0.1, 0.1, true, { 0 } },
        { "Swimmer-v5", 0.1, 0.1, false, { 0 } },
        { "Hopper-v5", 0.005, 0.005, false, { 0, 1.25 } },
        { "HalfCheetah-v5", 0.1, 0.1, true, { 0 } },
        { "Walker2d-v5", 0.005, 0.005, false, { 0, 1.25 } },
        { "Ant-v5", 0.1, 0.1, true, { 0, 0, 0.75, 1 } },
        { "Humanoid-v5", 0.01, 0.01, false, { 0, 0, 1.4, 1 } },
        { "HumanoidStandup-v5", 0.01, 0.01, false, { 0, 0, 0.105, 1 } },
        { "HumanoidStandup-v4", 0.01, 0.01, false, { 0, 0, 0.105, 1 } },
        { "CartPole-v1", 0.05, 0, false, { 0 } },
        { "Acrobot-v1", 0.1, 0, false, { 0 } },
    };
    for (size_t i = 0; i < TEST_COUNT(starts); i++)
        check_start(&starts[i], x);
}
END_TEST

/* Draw starts of an environment without a uniform rule for all coordinates. */
static void draw_named(const char *name, double (*x)[MOST_OBS])
{
    const struct known *k = known;
    while (strcmp(k->name, name) != 0)
        k++;
    struct env_model *m = open_with(name, NULL);
    struct env *e = env_create(m);
    draw_starts(e, k, x);
    env_destroy(&e);
    env_close(&m);
}

START_TEST(reacher_starts_with_its_target_anywhere_in_a_disc)
{
    static double x[N_DRAWS][MOST_OBS];
    draw_named("Reacher-v5", x);
    check_noise(x, 0, 0, 0.1, false, "angle");
    check_noise(x, 1, 0, 0.1, false, "angle");
    check_noise(x, 4, 0, 0.005, false, "velocity");
    check_noise(x, 5, 0, 0.005, false, "velocity");
    double squares = 0, most = 0;
    for (int i = 0; i < N_DRAWS; i++) {
        const double r2 = x[i][2] * x[i][2] + x[i][3] * x[i][3];
        squares += r2;
        most = fmax(most, r2);
        ck_assert_double_eq(x[i][6], 0);
        ck_assert_double_eq(x[i][7], 0);
    }
    /* r^2 is uniform in [0, 0.04]. */
    ck_assert_double_lt(most, 0.04);
    ck_assert_double_gt(most, 0.0399);
    ck_assert_double_eq_tol(squares / N_DRAWS, 0.02, 5 * 0.04 / sqrt(12.0 * N_DRAWS));
}
END_TEST

START_TEST(pusher_starts_with_its_object_away_from_the_goal)
{
    static double x[N_DRAWS][MOST_OBS];
    draw_named("Pusher-v5", x);
    double low[2] = { 0, 0 }, high[2] = { -1, -1 }, nearest = 1;
    for (int i = 0; i < N_DRAWS; i++) {
        for (int c = 0; c < 7; c++)
            ck_assert_double_eq(x[i][c], 0);
        for (int c = 0; c < 2; c++) {
            low[c] = fmin(low[c], x[i][7 + c]);
            high[c] = fmax(high[c], x[i][7 + c]);
            ck_assert_double_eq(x[i][9 + c], 0);
        }
        nearest = fmin(nearest, sqrt(x[i][7] * x[i][7] + x[i][8] * x[i][8]));
        for (int c = 18; c < 22; c++)
            ck_assert_double_eq(x[i][c], 0);
    }
    for (int c = 11; c < 18; c++)
        check_noise(x, c, 0, 0.005, false, "velocity");
    ck_assert(low[0] >= -0.3 && low[0] < -0.299 && high[0] <= 0 && high[0] > -0.02);
    ck_assert(low[1] >= -0.2 && low[1] < -0.199 && high[1] <= 0.2 && high[1] > 0.199);
    ck_assert(nearest > 0.17 && nearest < 0.172);
}
END_TEST

START_TEST(mountain_car_starts_at_rest_in_the_valley)
{
    static double x[N_DRAWS][MOST_OBS];
    draw_named("MountainCarContinuous-v0", x);
    check_noise(x, 0, -0.5, 0.1, false, "position");
    for (int i = 0; i < N_DRAWS; i++)
        ck_assert_double_eq(x[i][1], 0);
}
END_TEST

START_TEST(orientation_of_the_ant_is_normalised_by_its_first_step_only)
{
    struct env_model *m = open_with("Ant-v5", NULL);
    struct env *e = env_create(m);
    struct rng rng;
    float obs[MOST_OBS], action[MOST_ACT] = { 0 };
    struct env_outcome out;
    double norms[2];
    rng_init(&rng, 5, RNG_TEST, 0, 0);
    env_reset(e, &rng, obs);
    for (int t = 0; t < 2; t++) {
        norms[t] = 0;
        for (int i = 1; i < 5; i++)
            norms[t] += (double)(obs[i] * obs[i]);
        env_step(e, action, obs, &out);
    }
    ck_assert_double_gt(fabs(norms[0] - 1), 1e-3);
    ck_assert_double_eq_tol(norms[1], 1, 1e-6);
    env_destroy(&e);
    env_close(&m);
}
END_TEST

/* ---- saved states ---- */

enum { N_STEPS = 12 };

struct trace {
    float obs[N_STEPS][MOST_OBS];
    struct env_outcome out[N_STEPS];
    double state[MOST_STATE];    /* after the last step, if the episode goes on */
};

/* Actions up to half again beyond the bounds, in policy units; every choice. */
static void draw_action(const struct env_spec *spec, struct rng *rng, float *action)
{
    for (int i = 0; i < spec->shape.n_act; i++)
        action[i] = spec->n_choices ? (float)rng_below(rng, (uint64_t)spec->n_choices)
                                    : (float)rng_uniform(rng, -1.5, 1.5);
}

/* N_STEPS steps, or fewer where the episode ends. */
static void follow(struct env *e, const struct env_spec *spec, struct trace *trace)
{
    struct rng rng;
    float action[MOST_ACT];
    memset(trace, 0, sizeof(*trace));
    rng_init(&rng, 9, RNG_TEST, 0, 0);
    for (int t = 0; t < N_STEPS; t++) {
        draw_action(spec, &rng, action);
        env_step(e, action, trace->obs[t], &trace->out[t]);
        if (trace->out[t].kind != ROW_STEP)
            return;
    }
    env_get_state(e, trace->state);
}

/* The same from a saved state in a process that opens the environment itself and has used it. */
static void follow_elsewhere(const char *name, const double *state, struct trace *trace)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct env_model *m = open_with(name, NULL);
        struct env *e = env_create(m);
        struct rng rng;
        float obs[MOST_OBS];
        rng_init(&rng, 3, RNG_TEST, 0, 0);
        env_reset(e, &rng, obs);
        follow(e, env_spec(m), trace);
        ck_assert_int_eq(env_set_state(e, state), 0);
        follow(e, env_spec(m), trace);
        env_destroy(&e);
        env_close(&m);
        for (size_t sent = 0; sent < sizeof(*trace);)
            sent += (size_t)write(ends[1], (char *)trace + sent, sizeof(*trace) - sent);
        _exit(0);
    }
    close(ends[1]);
    for (size_t got = 0; got < sizeof(*trace);) {
        ssize_t n = read(ends[0], (char *)trace + got, sizeof(*trace) - got);
        ck_assert_int_gt(n, 0);
        got += (size_t)n;
    }
    close(ends[0]);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

/* Walk until at least 40 steps are over and the episode is a few steps old. */
static void get_under_way(struct env *e, const struct env_spec *spec)
{
    struct rng rng;
    float obs[MOST_OBS], action[MOST_ACT];
    struct env_outcome out;
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    env_reset(e, &rng, obs);
    for (int t = 0; t < 40 || env_elapsed(e) < 4; t++) {
        draw_action(spec, &rng, action);
        env_step(e, action, obs, &out);
        if (out.kind != ROW_STEP)
            env_reset(e, &rng, obs);
    }
}

/* With contacts, warm starts and contact forces of an episode before, also of one that broke down. */
START_TEST(a_used_instance_starts_like_a_fresh_one)
{
    static struct trace used, fresh;
    for (size_t i = 0; i < TEST_COUNT(known); i++) {
        struct env_model *m = open_with(known[i].name, NULL);
        const struct env_spec *spec = env_spec(m);
        struct env *e[2] = { env_create(m), env_create(m) };
        float obs[2][MOST_OBS];
        double exact[2][MOST_OBS];
        for (int round = 0; round < 2; round++) {
            const float wrong[MOST_ACT] = { NAN }, still[MOST_ACT] = { 0 };
            struct env_outcome out;
            struct rng starts[2];
            get_under_way(e[0], spec);
            out.kind = ROW_STEP;
            for (int t = 0; t < 60 && out.kind == ROW_STEP; t++)    /* until it lies on the ground */
                env_step(e[0], still, obs[0], &out);
            if (round == 1 && out.kind == ROW_STEP)
                env_step_units(e[0], wrong, obs[0], &out);
            env_destroy(&e[1]);
            e[1] = env_create(m);
            for (int k = 0; k < 2; k++) {
                rng_init(&starts[k], 11, RNG_RESET, 0, 0);
                env_reset(e[k], &starts[k], obs[k]);
                env_observation(e[k], exact[k]);
            }
            ck_assert_mem_eq(exact[0], exact[1], sizeof(double) * (size_t)spec->shape.n_obs);
            follow(e[0], spec, &used);
            follow(e[1], spec, &fresh);
            ck_assert_msg(memcmp(&used, &fresh, sizeof(used)) == 0, "%s starts differently",
                          known[i].name);
        }
        env_destroy(&e[0]);
        env_destroy(&e[1]);
        env_close(&m);
    }
}
END_TEST

START_TEST(saved_state_continues_bit_for_bit_in_another_process)
{
    static struct trace here, there;
    for (size_t i = 0; i < TEST_COUNT(known); i++) {
        struct env_model *m = open_with(known[i].name, NULL);
        struct env *e = env_create(m);
        double state[MOST_STATE], again[MOST_STATE];
        get_under_way(e, env_spec(m));
        env_get_state(e, state);
        follow(e, env_spec(m), &here);
        follow_elsewhere(known[i].name, state, &there);
        ck_assert_msg(memcmp(&here, &there, sizeof(here)) == 0, "%s goes on differently",
                      known[i].name);

        ck_assert_int_eq(env_set_state(e, state), 0);
        env_get_state(e, again);
        ck_assert_mem_eq(state, again, sizeof(double) * (size_t)env_state_size(m));
        env_destroy(&e);
        env_close(&m);
    }
}
END_TEST

/* States come from peers and files: whatever finite number stands in one, a step comes back. */
START_TEST(a_step_from_any_finite_state_comes_to_an_end)
{
    static const double numbers[] = { 1e9, -1e18, 1e300 };
    for (size_t i = 0; i < TEST_COUNT(known); i++) {
        struct env_model *m = open_with(known[i].name, NULL);
        struct env *e = env_create(m);
        const struct env_spec *spec = env_spec(m);
        const int begin = env_state_size(m) - spec->n_state;
        double state[MOST_STATE];
        float obs[ENV_MAX_OBS], action[ENV_MAX_ACT] = { 0 };
        get_under_way(e, spec);
        env_get_state(e, state);
        for (int k = 0; k < 3 * spec->n_state; k++) {
            double *number = &state[begin + k / 3], old = *number;
            struct env_outcome out;
            *number = numbers[k % 3];
            ck_assert_int_eq(env_set_state(e, state), 0);
            env_step(e, action, obs, &out);
            ck_assert_msg(fabs(out.reward) <= (double)FLT_MAX, "%s", known[i].name);
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
        every_registered_name_is_found_under_its_name,
        options_decide_what_is_observed,
        another_robot_will_do_where_the_task_can_use_it,
        pusher_v4_is_refused_and_its_successor_named,
        starts_are_drawn_as_in_gymnasium,
        reacher_starts_with_its_target_anywhere_in_a_disc,
        pusher_starts_with_its_object_away_from_the_goal,
        mountain_car_starts_at_rest_in_the_valley,
        orientation_of_the_ant_is_normalised_by_its_first_step_only,
        a_used_instance_starts_like_a_fresh_one,
        saved_state_continues_bit_for_bit_in_another_process,
        a_step_from_any_finite_state_comes_to_an_end,
    };
    return suite_run("environments", tests, TEST_COUNT(tests), 120);
}
