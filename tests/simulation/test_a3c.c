/* Whole trainings in mode gradients under virtual time: delays, deaths, bounds, and that A3C learns. */
#include <stdio.h>
#include <string.h>

#include "learner/a2c.h"
#include "learner/algorithms.h"
#include "tests/simulation/trial.h"
#include "tests/support.h"

static const int64_t HOUR_US = 3600000000;

/* 1203 transitions: what was left of the last gradient's counts. */
enum { TOTAL = 1203, HORIZON = 8, PPO = 1 };

static void short_run(struct trial *s, int algorithm, int actors, int envs)
{
    const struct algorithm *const algorithms[] = { &a2c_algorithm, &ppo_algorithm };
    trial_defaults(s, algorithms[algorithm], MODE_GRADIENTS, actors, envs);
    s->settings.top.total_steps = TOTAL;
    s->settings.actor.horizon = HORIZON;
    s->settings.learner.batch_size = 64;
    s->settings.metrics.hash_every = 1;
    s->settings.learner.normalise_observations = s->settings.learner.scale_rewards = true;
    s->settings.eval.episodes = 1;
    s->settings.network.hidden = (struct option_ints){ .n = 1, .v = { 16 } };
    if (algorithm == PPO) {
        char *const overrides[] = { (char[]){ "ppo.epochs=1" } };
        struct option_section section = { .name = "ppo", .options = ppo_algorithm.options,
                                          .n_options = ppo_algorithm.n_options, .base = s->hyper };
        ck_assert_int_eq(options_load(&section, 1, NULL, NULL, overrides, 1, NULL), 0);
    }
}

static void assert_all_counted(const struct trial_result *r, int64_t total)
{
    trial_expect_whole(r, total);
    ck_assert_int_eq(r->report.version, r->report.updates);
}

START_TEST(every_gradient_is_applied_once_and_a_run_repeats)
{
    struct trial s;
    struct trial_result r, again;
    short_run(&s, _i, 3, 2);
    s.update_us = 20000;    /* slower than the actors: they are ahead by what credit allows */
    trial_run(&s, HOUR_US, &r);
    assert_all_counted(&r, TOTAL);
    ck_assert_int_eq(r.report.updates, (TOTAL + 2 * HORIZON - 1) / (2 * HORIZON));
    ck_assert_int_gt(r.report.staleness_max, 0);
    ck_assert_int_le(r.report.staleness_max, 8);
    ck_assert_int_ge(r.counts.accepted, r.report.updates);
    trial_run(&s, HOUR_US, &again);
    ck_assert_uint_eq(r.hashes, again.hashes);
}
END_TEST

START_TEST(dead_actors_cost_what_they_had_and_nothing_more)
{
    struct trial s;
    struct trial_result r;
    short_run(&s, _i, 3, 2);
    s.settings.top.total_steps = 6000;
    s.settings.metrics.hash_every = 1000;
    s.kill_every_us = 300000;
    s.kill_silently = true;
    s.step_us = 5000;
    trial_run(&s, HOUR_US, &r);
    ck_assert_int_gt(r.kills, 3);
    ck_assert_int_gt(r.counts.rejected[REJECT_FULL], 0);
    assert_all_counted(&r, 6000);
}
END_TEST

START_TEST(nothing_is_applied_that_is_older_than_allowed)
{
    struct trial s;
    struct trial_result r;
    short_run(&s, _i, 4, 1);
    s.settings.learner.max_staleness = 3;
    s.settings.top.total_steps = 4000;
    s.jitter_us = 20000;
    s.step_jitter_us = 4000;
    trial_run(&s, HOUR_US, &r);
    assert_all_counted(&r, 4000);
    ck_assert_int_le(r.report.staleness_max, 3);
    ck_assert_int_gt(r.counts.rejected[REJECT_STALE], 0);
}
END_TEST

START_TEST(a_run_goes_on_behind_an_interruption)
{
    char dir[256], path[300];
    struct trial s;
    struct trial_result r;
    test_directory("a3c", dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/state.safetensors", dir);
    short_run(&s, _i, 2, 2);
    s.checkpoint = path;
    s.interrupt_at = 500;
    trial_run(&s, HOUR_US, &r);
    ck_assert_int_eq(r.status, TRAINING_BUSY);
    const int64_t before = r.scheduled;
    s.interrupt_at = 0;
    s.is_resumed = true;
    trial_run(&s, HOUR_US, &r);
    ck_assert_int_eq(r.status, TRAINING_FINISHED);
    ck_assert_int_eq(r.scheduled, TOTAL - before);
    ck_assert_int_eq(r.out_of_order, 0);
}
END_TEST

START_TEST(cart_pole_is_learned_with_delays_and_deaths)
{
    struct trial s;
    struct trial_result r;
    const struct option_preset first = { a2c_algorithm.presets[0].values, NULL };
    struct option_preset chosen = { NULL, NULL }, both = first;
    struct option_section sections[SETTINGS_SECTIONS + 1];
    char *const overrides[] = { (char[]){ "env.name=CartPole-v1" }, (char[]){ "total_steps=60000" },
                                (char[]){ "eval.every=0" }, (char[]){ "metrics.hash_every=100000" } };
    struct error err;
    for (int i = 1; i < a2c_algorithm.n_presets; i++)
        if (strcmp(a2c_algorithm.presets[i].name, "a3c") == 0)
            chosen.values = a2c_algorithm.presets[i].values;
    ck_assert_ptr_nonnull(chosen.values);
    both.next = &chosen;
    trial_defaults(&s, &a2c_algorithm, MODE_GRADIENTS, 8, 1);
    const int n = settings_sections(&s.settings, sections);
    sections[n] = (struct option_section){ .name = "a2c", .options = a2c_algorithm.options,
                                           .n_options = a2c_algorithm.n_options, .base = s.hyper };
    ck_assert_msg(options_load(sections, n + 1, &both, NULL, overrides, TEST_COUNT(overrides), &err) == 0, "%s", err.text);
    s.kill_every_us = 1000000;
    trial_run(&s, HOUR_US, &r);
    assert_all_counted(&r, 60000);
    ck_assert_int_gt(r.kills, 0);
    ck_assert_int_gt(r.report.staleness_max, 3);
    ck_assert_msg(r.evaluation.mean >= 475, "%.1f after %d deaths", r.evaluation.mean, (int)r.kills);
}
END_TEST

int main(void)
{
    const TTest *const both[] = {
        every_gradient_is_applied_once_and_a_run_repeats, dead_actors_cost_what_they_had_and_nothing_more,
        nothing_is_applied_that_is_older_than_allowed, a_run_goes_on_behind_an_interruption,
    };
    Suite *suite = suite_create("a3c");
    TCase *tests = tcase_create("a2c and ppo"), *learning = tcase_create("learning");
    tcase_set_timeout(tests, 120);
    for (size_t i = 0; i < TEST_COUNT(both); i++)
        tcase_add_loop_test(tests, both[i], 0, 2);
    tcase_set_timeout(learning, 300);
    tcase_add_test(learning, cart_pole_is_learned_with_delays_and_deaths);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, learning);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
