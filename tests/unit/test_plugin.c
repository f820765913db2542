/* Environments from shared libraries (actor/env/plugin.h), as env_open and the options' tables see them:
 * those that work. */
#include <fenv.h>
#include <math.h>
#include <stdlib.h>

#include "actor/env/plugin.h"
#include "actor/plugin/shoal_environment.h"
#include "actor/stream.h"
#include "tests/unit/plugin_support.h"

/* ---- names and places ---- */

START_TEST(the_example_is_found_and_described)
{
    struct env_model *m = open_well("slider");
    const struct env_spec *spec = env_spec(m);
    ck_assert_str_eq(spec->name, "slider");
    ck_assert_int_eq(spec->shape.n_obs, 2);
    ck_assert_int_eq(spec->shape.n_act, 1);
    ck_assert_int_eq(spec->n_choices, 0);
    ck_assert_int_eq(spec->time_limit, 100);
    ck_assert_int_eq(spec->n_state, 2);
    ck_assert_double_eq(spec->step_s, 0.1);
    ck_assert_double_eq((double)spec->act_low[0], -2);
    ck_assert_double_eq((double)spec->act_high[0], 2);
    ck_assert_uint_eq(strspn(spec->content, "0123456789abcdef"), 16);
    env_close(&m);
}
END_TEST

START_TEST(names_never_lead_out_of_the_path)
{
    static const char *const names[] = { "../slider", "plugins/slider", "/slider", "slider.so", "a b", "",
                                         "sl\xc3\xbc", "slider\n", "." };
    char path[PATH_BYTES];
    struct error err;
    struct env_source s;
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        ck_assert_msg(!plugin_is_name(names[i]), "%s", names[i]);
        ck_assert(!plugin_find(names[i], plugins_dir(), path, sizeof(path)));
        ck_assert_int_eq(env_source_find(&s, names[i], plugins_dir(), &err), ERR_CONFIG);
    }
    char longest[ENV_NAME_BYTES + 1];
    memset(longest, 'a', sizeof(longest));
    longest[ENV_NAME_BYTES] = '\0';
    ck_assert(!plugin_is_name(longest));
    longest[ENV_NAME_BYTES - 1] = '\0';
    ck_assert(plugin_is_name(longest));
    ck_assert(plugin_is_name("A-b_9"));
}
END_TEST

START_TEST(directories_are_searched_in_their_order)
{
    char empty[PATH_BYTES], first[PATH_BYTES], path[3 * PATH_BYTES + 64], found[PATH_BYTES], file[2 * PATH_BYTES];
    test_directory("plugin-empty", empty, sizeof(empty));
    test_directory("plugin-first", first, sizeof(first));
    snprintf(file, sizeof(file), "%s/libslider.so", first);
    test_write(file, "not one", 7);

    snprintf(path, sizeof(path), ":%s::%s:%s:", empty, plugins_dir(), first);
    ck_assert(plugin_find("slider", path, found, sizeof(found)));
    ck_assert_ptr_nonnull(strstr(found, "/plugins/libslider.so"));
    snprintf(path, sizeof(path), "%s:%s", first, plugins_dir());
    ck_assert(plugin_find("slider", path, found, sizeof(found)));
    ck_assert_str_eq(found, file);
    ck_assert(!plugin_find("slider", empty, found, sizeof(found)));
    ck_assert(!plugin_find("slider", NULL, found, sizeof(found)));
    ck_assert(!plugin_find("slider", "::", found, sizeof(found)));
}
END_TEST

START_TEST(unknown_names_say_where_was_searched)
{
    assert_refused("sldier", "/nowhere:/there",
                   "unknown environment \"sldier\": it is not built in, and there is no libsldier.so in "
                   "/nowhere:/there", "");
    assert_refused("Pendulm-v1", "/nowhere", "in /nowhere; did you mean \"Pendulum-v1\"?", "");
    assert_refused("libslider.so", "/nowhere", "a plug-in is named without lib and .so: \"slider\"", "");
    assert_refused("slider", "", "unknown environment \"slider\"; `shoal envs` lists those there are, and a "
                   "plug-in needs its directory in --env-path", "");
    assert_refused("Pendulm-v1", "", "unknown environment \"Pendulm-v1\"; did you mean \"Pendulum-v1\"?", "");
    assert_refused("Pendulm-v1", NULL, "unknown environment \"Pendulm-v1\"; did you mean \"Pendulum-v1\"?",
                   "");
}
END_TEST

/* ---- episodes ---- */

enum { STEPS = 40, SLIDER_SIZE = 2 + 2 + 2 };

/* Some steps of a fixed course, whose observations and rewards are kept. */
static void play(struct env *e, int from, float obs[STEPS][2], double rewards[STEPS])
{
    for (int t = from; t < STEPS; t++) {
        const float action = sinf((float)t);
        struct env_outcome out;
        env_step(e, &action, obs[t], &out);
        ck_assert_int_eq(out.kind, ROW_STEP);
        rewards[t] = out.reward;
    }
}

static void start(struct env *e, uint64_t seed)
{
    struct rng rng;
    float obs[2];
    rng_init(&rng, seed, RNG_TEST, 0, 0);
    env_reset(e, &rng, obs);
}

START_TEST(the_example_moves_as_it_says)
{
    struct env_model *m = open_well("slider");
    struct env *e = env_create(m);
    struct env_outcome out;
    struct error err;
    float obs[2];
    const double state[2] = { 0.5, -1 };
    ck_assert_int_eq(env_set_raw_state(e, state, 2, &err), 0);
    env_step(e, &(float){ 0.5 }, obs, &out);
    /* Worked by hand: force 0.5 * 2 - 0.1 * -1 = 1.1 N on 1 kg for 0.1 s; speed -0.89, position 0.411. */
    ck_assert_double_eq_tol((double)obs[1], -0.89, 1e-7);
    ck_assert_double_eq_tol((double)obs[0], 0.411, 1e-7);
    ck_assert_double_eq_tol(out.reward, 1 / (1 + 20 * 0.411 * 0.411), 1e-12);

    const double edge[2] = { 1.95, 1 };
    ck_assert_int_eq(env_set_raw_state(e, edge, 2, &err), 0);
    env_step(e, &(float){ 0 }, obs, &out);
    ck_assert(out.terminated && out.kind == ROW_TERMINATED);
    env_destroy(&e);
    env_close(&m);
}
END_TEST

START_TEST(a_seed_repeats_an_episode)
{
    struct env_model *m = open_well("slider");
    static float obs[3][STEPS][2];
    static double rewards[3][STEPS];
    const uint64_t seeds[3] = { 5, 5, 6 };
    for (int i = 0; i < 3; i++) {
        struct env *e = env_create(m);
        start(e, seeds[i]);
        play(e, 0, obs[i], rewards[i]);
        env_destroy(&e);
    }
    ck_assert_mem_eq(obs[0], obs[1], sizeof(obs[0]));
    ck_assert_mem_eq(rewards[0], rewards[1], sizeof(rewards[0]));
    ck_assert_mem_ne(obs[0], obs[2], sizeof(obs[0]));
    env_close(&m);
}
END_TEST

START_TEST(random_numbers_are_those_of_shoal)
{
    struct env_model *m = open_well("slider");
    struct env *e = env_create(m);
    struct rng rng;
    double state[2];
    start(e, 9);
    ck_assert(env_raw_state(e, state));
    rng_init(&rng, 9, RNG_TEST, 0, 0);
    ck_assert_double_eq(state[0], rng_uniform(&rng, -1, 1));
    ck_assert_double_eq(state[1], 0.1 * rng_normal(&rng));
    env_destroy(&e);
    env_close(&m);
}
END_TEST

START_TEST(a_saved_episode_continues_bit_for_bit)
{
    struct env_model *m = open_well("slider");
    struct env *e = env_create(m), *other = env_create(m);
    static float obs[2][STEPS][2];
    static double rewards[2][STEPS];
    double state[SLIDER_SIZE], later[2][SLIDER_SIZE];
    ck_assert_int_eq(env_state_size(m), SLIDER_SIZE);
    start(e, 3);
    for (int t = 0; t < 10; t++)
        env_step(e, &(float){ 0.3F }, obs[0][0], &(struct env_outcome){ 0 });
    env_get_state(e, state);
    ck_assert_int_eq(env_set_state(other, state), 0);
    play(e, 10, obs[0], rewards[0]);
    play(other, 10, obs[1], rewards[1]);
    ck_assert_mem_eq(obs[0][10], obs[1][10], (STEPS - 10) * sizeof(obs[0][0]));
    ck_assert_mem_eq(rewards[0] + 10, rewards[1] + 10, (STEPS - 10) * sizeof(double));
    env_get_state(e, later[0]);
    env_get_state(other, later[1]);
    ck_assert_mem_eq(later[0], later[1], sizeof(later[0]));
    env_destroy(&other);
    env_destroy(&e);
    env_close(&m);
}
END_TEST

START_TEST(numbers_that_are_none_end_the_episode)
{
    for (int what = 0; what <= 3; what++) {
        struct opened o;
        struct error err;
        char override[64];
        const float action = 0.5F;
        struct env_step step;
        double obs;
        snprintf(override, sizeof(override), "env.what=%d", what);
        ck_assert_int_eq(open_with(&o, "nan", override, &err), 0);
        void *self = o.source.ops->create(o.model);
        struct rng rng;
        rng_init(&rng, 1, RNG_TEST, 0, 0);
        o.source.ops->reset(self, &rng);
        int t = 0;
        do {
            o.source.ops->step(self, &action, &step);
            o.source.ops->observe(self, &obs);
        } while (++t < 300 && isfinite(obs) && isfinite(step.reward) && !step.diverged);
        ck_assert_int_eq(t, 201);    /* `after` is 200 */
        ck_assert_int_eq(isnan(step.reward) != 0, what == 0);
        ck_assert_int_eq(isfinite(obs) == 0, what == 1 || what == 2);
        ck_assert_int_eq(step.diverged, what == 3);
        o.source.ops->destroy(self);
        close_opened(&o);
    }
}
END_TEST

START_TEST(divergence_of_a_plugin_is_counted_and_truncated)
{
    struct env_model *m = open_well("nan");
    struct env *e = env_create(m);
    struct env_outcome out = { 0 };
    float obs;
    int steps = 0;
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    for (int episode = 0; episode < 2; episode++) {
        env_reset(e, &rng, &obs);
        do {
            env_step(e, &(float){ 0 }, &obs, &out);
            steps++;
        } while (out.kind == ROW_STEP);
        ck_assert(!out.diverged && out.kind == ROW_TRUNCATED && out.episode_length == 100);
    }
    env_reset(e, &rng, &obs);
    env_step(e, &(float){ 0 }, &obs, &out);
    ck_assert(out.diverged && out.truncated && out.kind == ROW_TRUNCATED && out.reward == 0);
    ck_assert_int_eq(steps, 200);
    env_destroy(&e);
    env_close(&m);
}
END_TEST

/* ---- options ---- */

START_TEST(options_reach_the_plugin)
{
    struct opened o;
    struct error err;
    const float action = 2;
    struct env_step step;
    const double state[2] = { 0, 0 };
    double obs[2];
    ck_assert_msg(open_with(&o, "slider", (char[]){ "env.mass=4" }, &err) == 0, "%s", err.text);
    void *self = o.source.ops->create(o.model);
    o.source.ops->set_state(self, state);
    o.source.ops->step(self, &action, &step);
    o.source.ops->observe(self, obs);
    ck_assert_double_eq_tol(obs[1], 0.1 * 2 / 4, 1e-15);    /* 1 kg would reach 0.2 */
    o.source.ops->destroy(self);
    close_opened(&o);
}
END_TEST

START_TEST(unknown_options_are_refused_with_the_nearest)
{
    struct opened o;
    struct error err;
    ck_assert_int_eq(open_with(&o, "slider", (char[]){ "env.mas=4" }, &err), ERR_CONFIG);
    ck_assert_msg(strstr(err.text, "did you mean \"mass\"?"), "%s", err.text);
    close_opened(&o);
    ck_assert_int_eq(open_with(&o, "slider", (char[]){ "env.mass=11" }, &err), ERR_CONFIG);
    ck_assert_msg(strstr(err.text, "a number from 0.1 to 10"), "%s", err.text);
    close_opened(&o);
}
END_TEST

START_TEST(defaults_arrive_to_the_last_bit)
{
    struct opened o;
    struct error err;
    ck_assert_int_eq(open_with(&o, "badspec", (char[]){ "env.mistake=50" }, &err), 0);
    double values[2];
    memcpy(values, o.values, sizeof(values));
    ck_assert(values[1] == 0.1);
    ck_assert_str_eq(o.source.ops->options[1].value, "0.1");
    ck_assert_str_eq(o.source.ops->options[1].help, "");
    close_opened(&o);
}
END_TEST

START_TEST(other_files_have_other_specifications)
{
    char path[PATH_BYTES + 32], before[ENV_SPEC_HASH_BYTES], after[ENV_SPEC_HASH_BYTES];
    size_t bytes;
    struct env_model *m = open_well("slider");
    env_spec_hash(env_spec(m), before);
    env_close(&m);

    snprintf(path, sizeof(path), "%s/libslider.so", plugins_dir());
    char *data = test_read(path, &bytes);
    char *longer = realloc(data, bytes + 1);
    ck_assert_ptr_nonnull(longer);
    longer[bytes] = '\0';    /* behind its end, where the loader does not look */
    char dir[PATH_BYTES], file[PATH_BYTES + 16];
    test_directory("plugin-other", dir, sizeof(dir));
    snprintf(file, sizeof(file), "%s/libslider.so", dir);
    test_write(file, longer, bytes + 1);
    free(longer);
    struct error err;
    const struct env_setup setup = { .name = "slider", .env_path = dir };
    ck_assert_msg(env_open(&m, &setup, &err) == 0, "%s", err.text);
    env_spec_hash(env_spec(m), after);
    env_close(&m);
    ck_assert_str_ne(before, after);
}
END_TEST

START_TEST(the_rounding_mode_stays_as_it_was)
{
    struct opened o;
    struct error err;
    ck_assert_int_eq(fegetround(), FE_TONEAREST);
    ck_assert_int_eq(open_with(&o, "badspec", (char[]){ "env.mistake=50" }, &err), 0);
    ck_assert_int_eq(fegetround(), FE_TONEAREST);
    close_opened(&o);
}
END_TEST

START_TEST(opening_and_closing_again_leaves_nothing)
{
    for (int i = 0; i < 50; i++) {
        struct env_model *a = open_well("slider"), *b = open_well("slider");
        struct env *e = env_create(a);
        env_close(&b);
        start(e, 1);
        env_destroy(&e);
        env_close(&a);
    }
}
END_TEST

START_TEST(a_stream_goes_on_from_the_largest_state)
{
    struct env_model *m = open_well("large");
    struct arena *arena = arena_create(1 << 20);
    struct frame_pool *frames = frame_pool_create(stream_frame_bytes(m, 1));
    struct bytes saved;
    struct stream a, b;
    stream_init(&a, m, 1, arena);
    stream_init(&b, m, 1, arena);
    stream_start(&a, 1, 0, 0);
    stream_begin(&a, frame_pool_take(frames), 0);
    stream_row(&a)[row_act(a.shape)] = 0.5f;
    stream_step(&a);
    ck_assert_int_eq(stream_save(&a, &saved), 0);
    ck_assert_uint_gt(saved.size, SHOAL_MAX_STATE * sizeof(double));
    ck_assert_int_eq(stream_restore(&b, 1, 0, 0, saved.data), 0);
    ck_assert(b.obs[0] == a.obs[0] && a.obs[0] != 0);
    stream_fini(&a);
    stream_fini(&b);
    frame_pool_destroy(&frames);
    arena_destroy(&arena);
    env_close(&m);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_example_is_found_and_described,
        names_never_lead_out_of_the_path,
        directories_are_searched_in_their_order,
        unknown_names_say_where_was_searched,
        the_example_moves_as_it_says,
        a_seed_repeats_an_episode,
        random_numbers_are_those_of_shoal,
        a_saved_episode_continues_bit_for_bit,
        a_stream_goes_on_from_the_largest_state,
        numbers_that_are_none_end_the_episode,
        divergence_of_a_plugin_is_counted_and_truncated,
        options_reach_the_plugin,
        unknown_options_are_refused_with_the_nearest,
        defaults_arrive_to_the_last_bit,
        other_files_have_other_specifications,
        the_rounding_mode_stays_as_it_was,
        opening_and_closing_again_leaves_nothing,
    };
    return suite_run("plugin", tests, TEST_COUNT(tests), 20);
}
