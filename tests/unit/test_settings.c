/* The table of settings, the combinations that are refused, and every configuration that comes with
 * the program. */
#include "common/settings.h"

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include "actor/env/registry.h"
#include "common/mlp.h"
#include "deploy/experiment.h"
#include "learner/sac.h"
#include "tests/support.h"

static void defaults(struct settings *s)
{
    struct option_section sections[SETTINGS_SECTIONS];
    memset(s, 0xff, sizeof(*s));    /* an option without a place of its own would show */
    options_default(sections, settings_sections(s, sections));
}

static bool is_on_policy;

static void expect_refused(const struct settings *s, const char *words)
{
    struct error err;
    ck_assert_msg(settings_check(s, is_on_policy, &err) == ERR_CONFIG, "accepted, but should say: %s", words);
    ck_assert_msg(strstr(err.text, words) != NULL, "it says: %s", err.text);
}

static void expect_accepted(const struct settings *s)
{
    struct error err = { 0 };
    ck_assert_msg(settings_check(s, is_on_policy, &err) == 0, "%s", err.text);
}

START_TEST(every_default_can_be_read_and_is_in_range)
{
    struct settings s;
    struct option_section sections[SETTINGS_SECTIONS];
    ck_assert_int_eq(settings_sections(&s, sections), SETTINGS_SECTIONS);
    for (int i = 0; i < SETTINGS_SECTIONS; i++)
        for (int k = 0; k < sections[i].n_options; k++) {
            const struct option *o = &sections[i].options[k];
            char text[512];
            char *overrides[] = { "env.name=Pendulum-v1", text };    /* required */
            struct error err;
            if (!o->value)
                continue;
            const char *section = sections[i].name;
            snprintf(text, sizeof(text), "%s%s%s=%s", section, *section ? "." : "", o->name,
                     o->value);
            ck_assert_msg(options_load(sections, SETTINGS_SECTIONS, NULL, NULL, overrides, 2, &err) == 0,
                          "%s", err.text);
        }
}
END_TEST

START_TEST(every_option_has_a_place_of_its_own_and_a_help)
{
    struct settings s;
    struct option_section sections[SETTINGS_SECTIONS];
    static char used[sizeof(struct settings)];
    static const size_t sizes[] = { sizeof(bool), sizeof(int64_t), sizeof(double),
                                    OPTION_TEXT_BYTES, sizeof(int), sizeof(struct option_ints) };
    settings_sections(&s, sections);
    for (int i = 0; i < SETTINGS_SECTIONS; i++) {
        ck_assert_uint_gt(strlen(sections[i].help), 0);
        for (int k = 0; k < sections[i].n_options; k++) {
            const struct option *o = &sections[i].options[k];
            size_t at = (size_t)((char *)sections[i].base - (char *)&s) + o->offset;
            ck_assert_uint_le(at + sizes[o->type], sizeof(s));
            for (size_t b = at; b < at + sizes[o->type]; b++)
                ck_assert_msg(!used[b]++, "%s.%s shares its place", sections[i].name, o->name);
            ck_assert_msg(o->help && *o->help && o->help[strlen(o->help) - 1] != '.',
                          "the help of %s.%s", sections[i].name, o->name);
        }
    }
}
END_TEST

START_TEST(defaults_are_what_the_fields_say)
{
    struct settings s;
    defaults(&s);
    ck_assert(s.top.seed == 1 && s.top.actors == 2 && s.top.envs_per_actor == 1);
    ck_assert_str_eq(s.top.algorithm, "sac");
    ck_assert_int_eq(s.top.mode, MODE_ASYNC);
    ck_assert_int_eq(s.network.hidden.n, 2);
    ck_assert(s.network.hidden.v[0] == 64 && s.network.hidden.v[1] == 64);
    ck_assert_int_eq(s.network.activation, ACTIVATION_RELU);
    ck_assert(s.actor.horizon == 16 && s.learner.batch_size == 256);
    ck_assert(s.replay.capacity == 1000000 && s.replay.min_size == 1000);
    ck_assert(s.transport.window == 2 && s.transport.max_message_bytes == 67108864);
    ck_assert_double_eq(settings_samples_per_insert(&s), 256);
    expect_accepted(&s);
}
END_TEST

START_TEST(choices_have_the_names_of_their_lists)
{
    struct settings s;
    defaults(&s);
    ck_assert_str_eq(settings_mode(&s), "async");
    s.top.mode = MODE_SYNC;
    ck_assert_str_eq(settings_mode(&s), "sync");
    s.top.mode = MODE_PIPELINED;
    ck_assert_str_eq(settings_mode(&s), "pipelined");
    s.top.mode = MODE_GRADIENTS;
    ck_assert_str_eq(settings_mode(&s), "gradients");
    ck_assert_str_eq(activation_name(settings_policy_body(&s).activation), "relu");
    s.network.activation = ACTIVATION_TANH;
    ck_assert_str_eq(activation_name(settings_policy_body(&s).activation), "tanh");
    ck_assert_str_eq(MODE_CHOICES, "sync|pipelined|async|gradients");
    ck_assert_str_eq(ACTIVATION_CHOICES, "relu|tanh|silu");
}
END_TEST

START_TEST(combinations_that_cannot_work_are_refused)
{
    struct settings s;
    defaults(&s);
    s.network.hidden.n = 0;
    expect_refused(&s, "network.hidden");
    s.network.hidden.n = MLP_MAX_LAYERS - 1;
    for (int l = 0; l < MLP_MAX_LAYERS - 1; l++)
        s.network.hidden.v[l] = 8;
    expect_accepted(&s);

    defaults(&s);
    s.top.actors = 1000;
    s.top.envs_per_actor = 1000;
    expect_accepted(&s);
    s.top.actors = 1001;
    expect_refused(&s, "1001000 streams");

    defaults(&s);
    s.replay.capacity = 999;
    expect_refused(&s, "replay.capacity is 999");
    s.replay.capacity = 1000;
    expect_accepted(&s);
    s.actor.horizon = 1001;
    expect_refused(&s, "replay.capacity is 1000");

    defaults(&s);
    s.transport.liveness_ms = 1999;
    expect_refused(&s, "transport.liveness_ms");
    s.transport.liveness_ms = 2000;
    expect_accepted(&s);
}
END_TEST

START_TEST(a_bound_of_staleness_that_does_nothing_or_too_much_is_refused)
{
    struct settings s;
    defaults(&s);
    s.learner.publish_every = 10;
    s.learner.max_staleness = 9;
    expect_refused(&s, "learner.max_staleness 9 is less than learner.publish_every 10");
    s.learner.max_staleness = 10;
    expect_accepted(&s);
    s.top.mode = MODE_SYNC;
    expect_refused(&s, "in sync every fragment is 0 rounds behind");
    s.top.mode = MODE_PIPELINED;
    expect_refused(&s, "in pipelined every fragment is 1 round behind");
    s.learner.max_staleness = 0;
    expect_accepted(&s);
    s.top.mode = MODE_ASYNC;
    s.learner.max_staleness = 1;    /* every version is published on-policy */
    s.learner.batch_size = 32;
    is_on_policy = true;
    expect_accepted(&s);
}
END_TEST

START_TEST(versions_of_a_fragment_are_those_its_round_is_worth)
{
    struct settings s;
    defaults(&s);
    s.top.actors = 3;
    s.top.envs_per_actor = 4;
    s.learner.batch_size = 32;
    s.replay.samples_per_insert = 8;
    ck_assert_double_eq(settings_versions_per_fragment(&s, false), 3 * 4 * 16 * 8 / 32.0);
    ck_assert_double_eq(settings_versions_per_fragment(&s, true), 1);
    ck_assert_int_eq(settings_message_transitions(&s), s.actor.horizon);
    const int mode = s.top.mode;
    s.top.mode = MODE_GRADIENTS;    /* each actor's gradient is a version */
    ck_assert_double_eq(settings_versions_per_fragment(&s, true), (double)s.top.actors);
    ck_assert_int_eq(settings_message_transitions(&s), s.actor.horizon * s.top.envs_per_actor);
    s.top.mode = mode;
    s.replay.samples_per_insert = 0.01;
    ck_assert_double_eq(settings_versions_per_fragment(&s, false), 1);
}
END_TEST

START_TEST(replay_is_only_checked_where_there_is_one)
{
    struct settings s;
    defaults(&s);
    s.top.total_steps = 500;
    expect_refused(&s, "replay.min_size");
    is_on_policy = true;
    s.learner.batch_size = 32;
    expect_accepted(&s);
    s.replay.capacity = 1;
    s.replay.error_buffer = 1;
    expect_accepted(&s);
}
END_TEST

START_TEST(returns_longer_than_a_fragment_are_refused)
{
    struct settings s;
    defaults(&s);
    s.replay.n_step = 16;
    expect_accepted(&s);
    s.replay.n_step = 17;
    expect_refused(&s, "replay.n_step 17 is above actor.horizon 16");
    expect_refused(&s, "lower replay.n_step or raise actor.horizon to 256");
}
END_TEST

START_TEST(what_works_badly_is_warned_of)
{
    struct settings s;
    char lines[SETTINGS_MAX_WARNINGS][SETTINGS_WARNING_BYTES];
    defaults(&s);
    ck_assert_int_eq(settings_warnings(&s, false, false, lines), 0);
    s.replay.n_step = 2;
    ck_assert_int_eq(settings_warnings(&s, false, false, lines), 0);
    s.replay.n_step = 3;
    ck_assert_int_eq(settings_warnings(&s, false, false, lines), 1);
    ck_assert_str_eq(lines[0], "actor.horizon 16 is short for replay.n_step 3: returns are cut where "
                     "fragments end, here 12 % of them; from 32 on under 7 % are");
    s.actor.horizon = 8;
    s.replay.n_step = 1;
    ck_assert_int_eq(settings_warnings(&s, false, false, lines), 0);
    s.actor.horizon = 7;
    ck_assert_int_eq(settings_warnings(&s, false, false, lines), 1);
    ck_assert_ptr_nonnull(strstr(lines[0], "actor.horizon 7 is short"));
    s.replay.n_step = 5;
    ck_assert_int_eq(settings_warnings(&s, false, false, lines), 2);
    ck_assert_int_eq(settings_warnings(&s, true, false, lines), 0);
    s.actor.horizon = s.top.total_steps / (s.top.actors * s.top.envs_per_actor);
    ck_assert_int_eq(settings_warnings(&s, true, false, lines), 0);
    s.actor.horizon++;
    ck_assert_int_eq(settings_warnings(&s, true, false, lines), 1);
    ck_assert_ptr_nonnull(strstr(lines[0], "total_steps 20000 is less than a round of 20002 transitions"));
}
END_TEST

START_TEST(settings_that_do_nothing_on_policy_are_told_of_in_one_line)
{
    struct settings s;
    char lines[SETTINGS_MAX_WARNINGS][SETTINGS_WARNING_BYTES];
    defaults(&s);
    snprintf(s.top.algorithm, sizeof(s.top.algorithm), "a2c");
    ck_assert_int_eq(settings_warnings(&s, true, true, lines), 0);
    s.learner.batch_size = 32;
    ck_assert_int_eq(settings_warnings(&s, true, false, lines), 0);
    ck_assert_int_eq(settings_warnings(&s, true, true, lines), 1);
    ck_assert_str_eq(lines[0], "a2c keeps no replay, publishes every version and does nothing with "
                     "learner.batch_size");
    s.replay.capacity = s.replay.min_size = s.learner.publish_every = 5;
    s.replay.samples_per_insert = s.replay.error_buffer = 5;
    s.replay.priority_exponent = s.replay.importance_exponent = 1;
    ck_assert_int_eq(settings_warnings(&s, true, true, lines), 1);
    ck_assert_str_eq(lines[0], "a2c keeps no replay, publishes every version and does nothing with "
                     "replay.capacity, replay.min_size, replay.samples_per_insert, replay.error_buffer, "
                     "replay.priority_exponent, replay.importance_exponent, learner.publish_every, "
                     "learner.batch_size");
    ck_assert_int_eq(settings_warnings(&s, false, false, lines), 0);
}
END_TEST

START_TEST(an_on_policy_round_has_a_limit)
{
    struct settings s;
    defaults(&s);
    is_on_policy = true;
    s.top.actors = s.top.envs_per_actor = 1000;
    s.actor.horizon = 1073;
    expect_accepted(&s);
    s.actor.horizon = 1074;
    expect_refused(&s, "a round of 1074000000 transitions");
}
END_TEST

START_TEST(on_policy_algorithms_take_no_settings_of_replay)
{
    struct settings s;
    defaults(&s);
    is_on_policy = true;
    s.learner.batch_size = 32;
    snprintf(s.top.algorithm, sizeof(s.top.algorithm), "ppo");
    s.replay.prioritised = true;
    expect_refused(&s, "replay.prioritised: ppo learns from a round once");
    s.replay.prioritised = false;
    s.replay.n_step = 3;
    expect_refused(&s, "replay.n_step: ppo learns");
}
END_TEST

/* Half a fragment's samples and half a batch: below that both sides may have to wait. */
START_TEST(an_error_buffer_that_would_stop_the_run_is_refused)
{
    struct settings s;
    defaults(&s);
    s.replay.error_buffer = (16 * 256 + 256) / 2;
    expect_accepted(&s);
    s.replay.error_buffer -= 0.5;
    expect_refused(&s, "under 2176");
    s.replay.error_buffer = 0;
    expect_accepted(&s);
}
END_TEST

START_TEST(the_default_error_buffer_is_a_round_and_a_batch)
{
    struct settings s;
    defaults(&s);
    s.top.actors = 3;
    s.top.envs_per_actor = 4;
    s.replay.samples_per_insert = 2;
    ck_assert_double_eq(settings_error_buffer(&s), 3 * 4 * 16 * 2 + 256);
    s.replay.error_buffer = 5000;
    ck_assert_double_eq(settings_error_buffer(&s), 5000);
}
END_TEST

/* ---- the configurations that come with the program ---- */

START_TEST(every_configuration_loads)
{
    static const char *const patterns[] = { "configs/*.yaml", "configs/*/*.yaml",
                                            "configs/*/*/*.yaml" };
    int n = 0;
    for (size_t k = 0; k < TEST_COUNT(patterns); k++) {
        glob_t found;
        if (glob(patterns[k], 0, NULL, &found) != 0)
            continue;
        for (size_t i = 0; i < found.gl_pathc; i++, n++) {
            struct experiment e;
            struct error err = { 0 };
            if (strncmp(found.gl_pathv[i], "configs/study/", strlen("configs/study/")) == 0)
                continue;    /* no configurations */
            int rc = experiment_load(&e, found.gl_pathv[i], NULL, 0, &err);
            ck_assert_msg(rc == 0, "%s", err.text);
            ck_assert_msg(environment_find(e.settings.env.name) != NULL, "%s: unknown %s",
                          found.gl_pathv[i], e.settings.env.name);
            ck_assert_str_eq(e.algorithm->name, e.settings.top.algorithm);
            experiment_fini(&e);
        }
        globfree(&found);
    }
    ck_assert_int_ge(n, 2);
}
END_TEST

static const char *config(const char *text)
{
    static char directory[256], path[512];
    if (!*directory)
        test_directory("settings", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/config.yaml", directory);
    test_write(path, text, strlen(text));
    return path;
}

static void expect_load_error(const char *text, char *override, const char *words)
{
    struct experiment e;
    struct error err = { 0 };
    char *overrides[] = { override };
    int rc = experiment_load(&e, config(text), overrides, override != NULL, &err);
    ck_assert_msg(rc == ERR_CONFIG, "accepted, but should say: %s", words);
    ck_assert_msg(strstr(err.text, words) != NULL, "it says: %s", err.text);
    experiment_fini(&e);
}

START_TEST(mistakes_in_a_configuration_are_explained)
{
    static const char good[] = "env:\n  name: Pendulum-v1\n";
    expect_load_error("seed: 1\n", NULL, "env.name");
    expect_load_error(good, "algorithm=sax", "did you mean \"sac\"");
    expect_load_error(good, "sac.gamma=2", "sac.gamma");
    expect_load_error(good, "sac.gama=0.9", "did you mean \"gamma\"");
    expect_load_error(good, "transport.liveness_ms=100", "config.yaml: transport.liveness_ms");
    expect_load_error(good, "actors=0", "actors");
    expect_load_error("preset: cleanrl\nalgorithm: td3\nenv:\n  name: Pendulum-v1\n", "total_steps=20000",
                      "total_steps is 20000, not more than replay.min_size 25000: nothing would be learnt; raise "
                      "total_steps or lower replay.min_size");
    expect_load_error(good, "mode=parallel", "mode");
}
END_TEST

START_TEST(options_without_effect_or_sense_are_out_of_range)
{
    static char *const wrong[][2] = {
        { "sac", "sac.tau=0" }, { "ddpg", "ddpg.tau=0" }, { "td3", "td3.tau=9e-7" },
        { "ppo", "ppo.log_sigma_init=-5.1" }, { "a2c", "a2c.log_sigma_init=-5.1" },
    };
    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        char text[80];
        snprintf(text, sizeof(text), "algorithm: %s\nenv:\n  name: Pendulum-v1\n", wrong[i][0]);
        expect_load_error(text, wrong[i][1], i < 3 ? "1e-6 to 1" : "-5 to 2");
    }
}
END_TEST

START_TEST(a_hint_never_offers_an_option_of_another_algorithm)
{
    static const char td3[] = "algorithm: td3\nenv:\n  name: Pendulum-v1\n";
    static char *const wrong[] = { "td3.value_clip=1", "td3.value_cli=1", "learner.value_clip=1",
                                   "value_clip=1", "gamma=0.5" };
    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        struct experiment e;
        struct error err = { 0 };
        ck_assert_int_eq(experiment_load(&e, config(td3), (char *const *)&wrong[i], 1, &err), ERR_CONFIG);
        ck_assert_msg(strstr(err.text, "unknown key") && !strstr(err.text, "ppo."), "%s", err.text);
        experiment_fini(&e);
    }
    expect_load_error(td3, "td3.value_clip=1", "it belongs to \"ppo\", which is not in use here");
    expect_load_error(td3, "gamma=0.5", "did you mean \"td3.gamma\"?");
    expect_load_error("algorithm: td3\nenvv:\n  name: Pendulum-v1\n", NULL, "did you mean \"env\"?");
}
END_TEST

START_TEST(overrides_reach_settings_and_the_algorithm)
{
    struct experiment e;
    struct error err = { 0 };
    char *overrides[] = { "seed=9", "mode=sync", "sac.gamma=0.5", "network.hidden=8,4",
                          "total_steps=1e6" };
    const char *path = config("env:\n  name: Pendulum-v1\nsac:\n  tau: 0.25\n");
    int rc = experiment_load(&e, path, overrides, 5, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    const struct sac_hyper *hyper = e.hyper;
    ck_assert(e.settings.top.seed == 9 && e.settings.top.mode == MODE_SYNC);
    ck_assert(e.settings.top.total_steps == 1000000);
    ck_assert(e.settings.network.hidden.n == 2 && e.settings.network.hidden.v[1] == 4);
    ck_assert(hyper->gamma == 0.5 && hyper->tau == 0.25);
    experiment_fini(&e);
}
END_TEST

START_TEST(a_resolved_configuration_loads_to_the_same)
{
    for (int with_comments = 0; with_comments < 2; with_comments++) {
        struct experiment a, b;
        struct error err = { 0 };
        char text[16384] = "", again[16384] = "";
        char *overrides[] = { "seed=9007199254740992", "sac.gamma=0.1", "eval.stop_at=-150.5" };
        ck_assert_int_eq(experiment_load(&a, "configs/sac/pendulum.yaml", overrides, 3, &err), 0);
        FILE *out = fmemopen(text, sizeof(text), "w");
        experiment_print(&a, with_comments, out);
        fclose(out);
        ck_assert_msg(experiment_load(&b, config(text), NULL, 0, &err) == 0, "%s", err.text);
        ck_assert_mem_eq(a.hyper, b.hyper, a.algorithm->hyper_bytes);
        out = fmemopen(again, sizeof(again), "w");
        experiment_print(&b, with_comments, out);
        fclose(out);
        ck_assert_str_eq(again, text);
        ck_assert_ptr_nonnull(strstr(text, "-150.5"));
        experiment_fini(&a);
        experiment_fini(&b);
    }
}
END_TEST

START_TEST(a_resolved_configuration_says_what_its_preset_has)
{
    struct experiment e;
    struct error err = { 0 };
    char text[16384] = "";
    char *overrides[] = { "ppo.value_coef=0.75", "ppo.gamma=0.5", "preset=tuned" };
    int rc = experiment_load(&e, "configs/ppo/pendulum.yaml", overrides, 3, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    FILE *out = fmemopen(text, sizeof(text), "w");
    experiment_print(&e, true, out);
    fclose(out);
    /* Of the algorithm's presets each with what it follows; of its values where they are from. */
    ck_assert_ptr_nonnull(strstr(text, "\n#   cleanrl   CleanRL's ppo_continuous_action.py\n"));
    ck_assert_ptr_nonnull(strstr(text, "\n#   tuned "));
    ck_assert_ptr_nonnull(strstr(text, "(preset; default minibatch)"));
    ck_assert_ptr_nonnull(strstr(text, "(preset 0.25; default 0.5)"));
    ck_assert_ptr_nonnull(strstr(text, "gamma: 0.5 "));
    ck_assert_ptr_nonnull(strstr(text, "(default 0.99)\n"));
    /* tanh is what PPO has without a preset, whatever other algorithms have. */
    ck_assert_ptr_nonnull(strstr(text, "activation: tanh  # of the hidden layers [relu, tanh or silu]\n"));
    experiment_fini(&e);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_default_can_be_read_and_is_in_range,
        every_option_has_a_place_of_its_own_and_a_help,
        defaults_are_what_the_fields_say,
        choices_have_the_names_of_their_lists,
        combinations_that_cannot_work_are_refused,
        a_bound_of_staleness_that_does_nothing_or_too_much_is_refused,
        versions_of_a_fragment_are_those_its_round_is_worth,
        replay_is_only_checked_where_there_is_one, returns_longer_than_a_fragment_are_refused,
        what_works_badly_is_warned_of, settings_that_do_nothing_on_policy_are_told_of_in_one_line,
        an_on_policy_round_has_a_limit,
        on_policy_algorithms_take_no_settings_of_replay,
        an_error_buffer_that_would_stop_the_run_is_refused,
        the_default_error_buffer_is_a_round_and_a_batch,
        every_configuration_loads,
        mistakes_in_a_configuration_are_explained,
        options_without_effect_or_sense_are_out_of_range,
        a_hint_never_offers_an_option_of_another_algorithm,
        overrides_reach_settings_and_the_algorithm,
        a_resolved_configuration_loads_to_the_same,
        a_resolved_configuration_says_what_its_preset_has,
    };
    return suite_run("settings", tests, TEST_COUNT(tests), 60);
}
