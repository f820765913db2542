/* Whole on-policy trainings under virtual time, for every algorithm in `algorithms`. */
#include <stdio.h>

#include "learner/algorithms.h"
#include "tests/simulation/trial.h"
#include "tests/simulation/toy.h"
#include "tests/support.h"

static const int64_t HOUR_US = 3600000000;

static const struct algorithm *const algorithms[] = { &toy_algorithm, &ppo_algorithm, &a2c_algorithm };

/* 1203 transitions of three streams, in rounds of 96: the last round is cut to 51. */
enum { TOTAL = 1203, STREAMS = 3, HORIZON = 32, ROUND = STREAMS * HORIZON };

static void short_run(struct trial *s, int algorithm, enum mode mode, int actors, int envs)
{
    trial_defaults(s, algorithms[algorithm], mode, actors, envs);
    s->settings.top.total_steps = TOTAL;
    s->settings.actor.horizon = HORIZON;
    s->settings.learner.batch_size = 24;
    s->settings.metrics.hash_every = 1;
    s->settings.learner.normalise_observations = s->settings.learner.scale_rewards = false;
    s->settings.eval.episodes = 1;
    s->settings.network.hidden = (struct option_ints){ .n = 1, .v = { 16 } };
}

START_TEST(sync_gives_the_same_hashes_whatever_the_timing_and_placement)
{
    static const struct { int actors, envs; uint64_t seed; double jitter_us; } cases[] = {
        { 1, 3, 1, 0 }, { 3, 1, 2, 0 }, { 3, 1, 3, 50000 }, { 1, 3, 4, 20000 },
    };
    struct trial_result first = { 0 }, r;
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct trial s;
        short_run(&s, _i, MODE_SYNC, cases[i].actors, cases[i].envs);
        s.seed = cases[i].seed;
        s.jitter_us = s.step_jitter_us = cases[i].jitter_us;
        trial_run(&s, HOUR_US, &r);
        trial_expect_whole(&r, TOTAL);
        ck_assert_int_eq(r.report.staleness_max, 0);
        ck_assert_int_eq(r.report.version, (TOTAL + ROUND - 1) / ROUND);
        if (i == 0)
            first = r;
        ck_assert_msg(r.hashes == first.hashes, "case %zu differs", i);
        ck_assert_str_eq(r.params_sha256, first.params_sha256);
    }
}
END_TEST

START_TEST(sync_gives_the_same_hashes_when_actors_die)
{
    for (int normalises = 0; normalises < 2; normalises++) {
        struct trial s;
        struct trial_result calm, r;
        short_run(&s, _i, MODE_SYNC, 1, 3);
        s.settings.learner.normalise_observations = s.settings.learner.scale_rewards = normalises;
        trial_run(&s, HOUR_US, &calm);
        s.settings.top.actors = 3;
        s.settings.top.envs_per_actor = 1;
        s.kill_every_us = 17000;
        s.step_us = 500;
        trial_run(&s, HOUR_US, &r);
        ck_assert_int_gt(r.kills, 3);
        trial_expect_whole(&r, TOTAL);
        ck_assert_uint_eq(r.hashes, calm.hashes);
        ck_assert_str_eq(r.params_sha256, calm.params_sha256);
    }
}
END_TEST

START_TEST(what_normalisation_is_for_changes_what_is_learnt)
{
    struct trial_result plain, r;
    struct trial s;
    short_run(&s, _i, MODE_SYNC, 1, 3);
    trial_run(&s, HOUR_US, &plain);
    s.settings.learner.normalise_observations = true;
    trial_run(&s, HOUR_US, &r);
    ck_assert_uint_ne(r.hashes, plain.hashes);
    s.settings.learner.normalise_observations = false;
    s.settings.learner.scale_rewards = true;
    trial_run(&s, HOUR_US, &r);
    ck_assert_uint_ne(r.hashes, plain.hashes);
    s.settings.learner.scale_rewards = false;
    s.settings.top.seed = 2;
    trial_run(&s, HOUR_US, &r);
    ck_assert_uint_ne(r.hashes, plain.hashes);
}
END_TEST

/* What an interruption breaks off is only ever between two rounds. */
START_TEST(rounds_continue_bit_for_bit_behind_an_interruption)
{
    char dir[256], path[300];
    test_directory("on_policy", dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/state.safetensors", dir);
    for (int i = 0; i < 4; i++) {
        const bool normalises = i & 1;
        const enum mode mode = i & 2 ? MODE_PIPELINED : MODE_SYNC;
        struct trial s;
        struct trial_result whole, first, rest;
        short_run(&s, _i, mode, 3, 1);
        s.settings.learner.normalise_observations = s.settings.learner.scale_rewards = normalises;
        s.settings.eval.every = 300;
        trial_run(&s, HOUR_US, &whole);
        s.checkpoint = path;
        for (int64_t at = 1; at < TOTAL; at += 250) {
            s.interrupt_at = at;
            s.is_resumed = false;
            s.hashes_before = 0;
            trial_run(&s, HOUR_US, &first);
            ck_assert_int_eq(first.status, TRAINING_BUSY);
            ck_assert_int_eq(first.scheduled % ROUND, 0);
            s.interrupt_at = 0;
            s.is_resumed = true;
            s.hashes_before = first.hashes;
            s.seed += 7;
            trial_run(&s, HOUR_US, &rest);
            ck_assert_int_eq(rest.status, TRAINING_FINISHED);
            ck_assert_int_eq(first.scheduled + rest.scheduled, TOTAL);
            ck_assert_int_eq(rest.report.updates, whole.report.updates);
            ck_assert_msg(rest.hashes == whole.hashes, "mode %d, interrupted at %d: it differs", mode, (int)at);
            ck_assert_str_eq(rest.params_sha256, whole.params_sha256);
        }
    }
}
END_TEST

START_TEST(rounds_continue_as_often_as_they_are_interrupted)
{
    char dir[256], path[300];
    for (int mode = MODE_SYNC; mode <= MODE_PIPELINED; mode++) {
        struct trial s;
        struct trial_result whole, r = { 0 };
        short_run(&s, _i, (enum mode)mode, 1, 3);
        s.settings.learner.normalise_observations = s.settings.learner.scale_rewards = true;
        trial_run(&s, HOUR_US, &whole);
        test_directory("on_policy", dir, sizeof(dir));
        snprintf(path, sizeof(path), "%s/state.safetensors", dir);
        s.checkpoint = path;
        s.interrupt_at = 200;
        int times = 0;
        for (; r.status != TRAINING_FINISHED && times < 100; times++) {
            trial_run(&s, HOUR_US, &r);
            s.is_resumed = true;
            s.hashes_before = r.hashes;
        }
        ck_assert_int_eq(times, 5);
        ck_assert_uint_eq(r.hashes, whole.hashes);
    }
}
END_TEST

START_TEST(async_learns_from_every_transition_once)
{
    for (int normalises = 0; normalises < 2; normalises++) {
        struct trial s;
        struct trial_result r, again;
        short_run(&s, _i, MODE_ASYNC, 3, 1);
        s.settings.learner.normalise_observations = s.settings.learner.scale_rewards = normalises;
        s.update_us = 20000;    /* slower than the actors: they are ahead by what credit allows */
        trial_run(&s, HOUR_US, &r);
        trial_expect_whole(&r, TOTAL);
        ck_assert_int_gt(r.report.staleness_max, 0);
        ck_assert_int_le(r.report.staleness_max, 8);
        ck_assert_double_gt(r.report.staleness_mean, 0);
        trial_run(&s, HOUR_US, &again);
        ck_assert_uint_eq(r.hashes, again.hashes);
    }
}
END_TEST

/* One living actor of three fills rounds alone while the places of the others are empty. */
START_TEST(async_goes_on_while_actors_die_and_their_places_time_out)
{
    struct trial s;
    struct trial_result r;
    short_run(&s, _i, MODE_ASYNC, 3, 1);
    s.settings.top.total_steps = 6000;
    s.settings.transport.window = 1;
    s.settings.metrics.hash_every = 1000;
    s.kill_every_us = 300000;
    s.kill_silently = true;
    s.step_us = 5000;
    trial_run(&s, HOUR_US, &r);
    ck_assert_int_gt(r.kills, 3);
    ck_assert_int_gt(r.counts.rejected[REJECT_FULL], 0);
    trial_expect_whole(&r, 6000);
}
END_TEST

START_TEST(a_run_ends_when_evaluations_reach_the_mark)
{
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct trial s;
        struct trial_result r;
        short_run(&s, _i, (enum mode)mode, 3, 1);
        s.settings.eval.every = 300;
        s.settings.eval.stop_at = -1e6;
        s.settings.eval.stop_count = 2;
        trial_run(&s, HOUR_US, &r);
        ck_assert_int_eq(r.status, TRAINING_FINISHED);
        ck_assert_int_ge(r.report.env_steps, 600);
        ck_assert_int_lt(r.report.env_steps, 600 + 2 * ROUND);
        ck_assert_int_eq(r.report.env_steps % ROUND, 0);
    }
}
END_TEST

/* What only the toy tells. */
START_TEST(rounds_are_what_was_scheduled)
{
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct trial s;
        struct trial_result r;
        short_run(&s, 0, (enum mode)mode, 3, 1);
        s.update_us = 20000;
        toy_books = (struct toy_books){ 0 };
        trial_run(&s, HOUR_US, &r);
        trial_expect_whole(&r, TOTAL);
        ck_assert_int_eq(toy_books.transitions, TOTAL);
        ck_assert_int_eq(toy_books.malformed, 0);
        ck_assert_int_eq(toy_books.rounds, r.report.version);
        ck_assert_int_eq(toy_books.rounds, (TOTAL + ROUND - 1) / ROUND);
        ck_assert_int_eq(toy_books.fragments, (TOTAL + HORIZON - 1) / HORIZON);
        ck_assert_int_eq(toy_books.updates, r.report.updates);
        /* two epochs of 96 by 24, and of 51 */
        ck_assert_int_eq(r.report.updates, 2 * (TOTAL / ROUND * 4 + 3));
        ck_assert_int_eq(toy_books.staleness_max > 0, mode != MODE_SYNC);
        ck_assert(mode != MODE_PIPELINED || toy_books.staleness_max == 1);
    }
}
END_TEST

int main(void)
{
    const TTest *const every[] = {
        sync_gives_the_same_hashes_whatever_the_timing_and_placement,
        sync_gives_the_same_hashes_when_actors_die,
        what_normalisation_is_for_changes_what_is_learnt,
        rounds_continue_bit_for_bit_behind_an_interruption,
        rounds_continue_as_often_as_they_are_interrupted,
        async_learns_from_every_transition_once,
        async_goes_on_while_actors_die_and_their_places_time_out,
        a_run_ends_when_evaluations_reach_the_mark,
    };

    Suite *suite = suite_create("on_policy");
    TCase *tests = tcase_create("every algorithm"), *toy = tcase_create("toy");
    tcase_set_timeout(tests, 300);
    for (size_t i = 0; i < TEST_COUNT(every); i++)
        tcase_add_loop_test(tests, every[i], 0, (int)TEST_COUNT(algorithms));
    tcase_set_timeout(toy, 300);
    tcase_add_test(toy, rounds_are_what_was_scheduled);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, toy);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
