/* What is lost, late, slow and fails: what `sync` learns does not depend on it, and everything repeats. */
#include <stdlib.h>
#include <string.h>

#include "learner/algorithms.h"
#include "tests/simulation/toy.h"
#include "tests/simulation/trial.h"
#include "tests/support.h"

static const int64_t HOUR_US = 3600000000;

static void prepare(struct trial *t, const struct algorithm *algorithm, const char *environment, enum mode mode,
                    int actors, int envs)
{
    trial_defaults(t, algorithm, mode, actors, envs);
    snprintf(t->settings.env.name, sizeof(t->settings.env.name), "%s", environment);
    t->settings.network.hidden = (struct option_ints){ .n = 1, .v = { 16 } };
    t->settings.eval.episodes = 1;
    t->settings.metrics.hash_every = 10;
}

/* Small trainings on and off policy. */
static void short_run(struct trial *t, int i, enum mode mode, int actors, int envs)
{
    static const struct { const struct algorithm *algorithm; const char *environment; } cases[] = {
        { &ppo_algorithm, "CartPole-v1" }, { &sac_algorithm, "Pendulum-v1" }, { &a2c_algorithm, "Pendulum-v1" },
    };
    prepare(t, cases[i].algorithm, cases[i].environment, mode, actors, envs);
    t->settings.top.total_steps = 1200;
    t->settings.actor.horizon = 16;
    t->settings.replay.min_size = 300;
    t->settings.learner.batch_size = 32;
    t->settings.replay.samples_per_insert = 16;
}

enum { N_SHORT_RUNS = 3 };

/* Some actors end without having sent anything, many times in a row. */
START_TEST(sync_gives_the_same_hashes_whatever_is_lost_and_whoever_fails)
{
    struct trial t;
    struct trial_result calm, r;
    short_run(&t, _i, MODE_SYNC, 1, 6);
    t.update_us = 5000;
    trial_run(&t, HOUR_US, &calm);
    ck_assert_int_eq(calm.status, TRAINING_FINISHED);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        short_run(&t, _i, MODE_SYNC, 6, 1);
        t.seed = seed;
        t.loss = 0.15 * (double)seed;
        t.fail_s = 0.2;
        t.update_us = 5000;
        t.jitter_us = 5000;
        t.has_stragglers = true;
        trial_run(&t, HOUR_US, &r);
        ck_assert_int_eq(r.status, TRAINING_FINISHED);
        ck_assert_int_gt(r.kills, 3);
        ck_assert_int_gt(r.virtual_us, calm.virtual_us);
        ck_assert_int_eq(r.out_of_order, 0);
        ck_assert_msg(r.hashes == calm.hashes, "seed %d differs", (int)seed);
        ck_assert_uint_eq(r.records, calm.records);
        ck_assert_str_eq(r.params_sha256, calm.params_sha256);
    }
}
END_TEST

START_TEST(async_ends_whatever_is_lost_and_whoever_fails)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct trial t;
        struct trial_result r;
        short_run(&t, _i, MODE_ASYNC, 6, 1);
        t.seed = seed;
        t.loss = 0.15 * (double)seed;
        t.fail_s = 0.1;
        t.jitter_us = 5000;
        trial_run(&t, HOUR_US, &r);
        ck_assert_int_eq(r.status, TRAINING_FINISHED);
        ck_assert_int_gt(r.kills, 3);
        ck_assert_int_eq(r.report.env_steps, 1200);
        ck_assert_int_eq(r.out_of_order, 0);
        ck_assert_int_le(r.counts.accepted, r.counts.received);
    }
}
END_TEST

static void thousand(struct trial *t)
{
    prepare(t, &ppo_algorithm, "CartPole-v1", MODE_ASYNC, 1000, 1);
    t->settings.top.total_steps = 60000;
    t->settings.actor.horizon = 16;
    t->settings.learner.batch_size = 4000;
    t->settings.learner.normalise_observations = true;
    t->settings.metrics.hash_every = 1;
    t->loss = 0.05;
    t->fail_s = 0.01;
    t->jitter_us = 2000;
    t->has_stragglers = true;
}

START_TEST(a_thousand_actors_with_losses_and_failures_repeat_bit_for_bit)
{
    struct trial t;
    struct trial_result a, b, other;
    thousand(&t);
    trial_run(&t, HOUR_US, &a);
    trial_run(&t, HOUR_US, &b);
    ck_assert_int_eq(a.status, TRAINING_FINISHED);
    ck_assert_int_gt(a.kills, 500);
    ck_assert_int_eq(a.scheduled, 60000);
    ck_assert_uint_eq(a.hashes, b.hashes);
    ck_assert_uint_eq(a.records, b.records);
    ck_assert_mem_eq(&a.report, &b.report, sizeof(a.report));
    ck_assert_mem_eq(&a.counts, &b.counts, sizeof(a.counts));
    ck_assert_int_eq(a.virtual_us, b.virtual_us);
    ck_assert_int_eq(a.simulated.events, b.simulated.events);
    t.seed = 2;
    trial_run(&t, HOUR_US, &other);
    ck_assert_uint_ne(other.hashes, a.hashes);
    ck_assert_uint_ne(other.records, a.records);
}
END_TEST

/* The acknowledgement of fragment k, behind which the next begins, travels much longer than the update that
 * makes version k + 1 takes. */
START_TEST(fragments_are_acted_with_the_version_that_is_so_many_older)
{
    static const int64_t ages[] = { 1, 4, 16, 40 };
    for (size_t i = 0; i < TEST_COUNT(ages); i++) {
        struct trial t;
        struct trial_result r;
        prepare(&t, &toy_algorithm, "Pendulum-v1", MODE_ASYNC, 1, 1);
        t.settings.actor.horizon = 16;
        t.settings.learner.batch_size = 16;
        t.settings.top.total_steps = 16 * TRIAL_FIRST;
        t.settings.transport.window = 1;
        t.update_us = 1;
        t.jitter_us = t.step_jitter_us = 0;
        t.staleness = ages[i];
        trial_run(&t, HOUR_US, &r);
        ck_assert_int_eq(r.status, TRAINING_FINISHED);
        ck_assert_int_eq(r.n_first, TRIAL_FIRST);
        for (int64_t k = 0; k < r.n_first; k++)
            ck_assert_int_eq((int64_t)r.first[k].version, k > ages[i] ? k - ages[i] : 0);
    }
}
END_TEST

START_TEST(staleness_is_injected_off_policy_and_with_failing_actors_too)
{
    struct trial t;
    struct trial_result natural, r;
    short_run(&t, 1, MODE_ASYNC, 4, 1);
    t.settings.learner.publish_every = 1;
    t.loss = 0.1;
    t.fail_s = 0.3;
    trial_run(&t, HOUR_US, &natural);
    t.staleness = 64;
    trial_run(&t, HOUR_US, &r);
    ck_assert_int_eq(r.status, TRAINING_FINISHED);
    ck_assert_int_gt(r.kills, 1);
    ck_assert_double_gt(r.report.staleness_mean, natural.report.staleness_mean + 30);
    ck_assert_int_ge(r.report.staleness_max, 64);
}
END_TEST

/* Actors that wait for a slow learner are there for heartbeats and little else. */
START_TEST(waiting_costs_no_events)
{
    struct trial t;
    struct trial_result r;
    short_run(&t, 0, MODE_SYNC, 6, 1);
    t.settings.metrics.hash_every = 1;
    t.update_us = 1e6;
    trial_run(&t, HOUR_US, &r);
    ck_assert_int_eq(r.status, TRAINING_FINISHED);
    ck_assert_int_gt(r.virtual_us, 100 * 1000000);
    /* 200 looks of the session at its places and, for every actor, heartbeats both ways. */
    ck_assert_int_lt(r.simulated.events, 5000 + r.virtual_us / 1000000 * (200 + 6 * 4));
}
END_TEST

/* Fragments that are lost or late neither go missing nor overtake each other: nothing is refused. */
START_TEST(what_is_lost_comes_later_and_in_its_order)
{
    struct trial t;
    struct trial_result calm, r;
    short_run(&t, 0, MODE_ASYNC, 4, 2);
    t.settings.transport.window = 8;
    trial_run(&t, HOUR_US, &calm);
    t.loss = 0.3;
    t.jitter_us = 3000;
    trial_run(&t, HOUR_US, &r);
    ck_assert_int_eq(r.status, TRAINING_FINISHED);
    ck_assert_int_eq(r.counts.lost, 0);
    for (int k = 0; k < N_REJECTIONS; k++)
        ck_assert_int_eq(r.counts.rejected[k], 0);
    ck_assert_int_gt(r.virtual_us, calm.virtual_us + 2 * 20000);
}
END_TEST

static void one_by_one(struct trial *t)
{
    prepare(t, &toy_algorithm, "Pendulum-v1", MODE_SYNC, 1, 1);
    t->settings.actor.horizon = 16;
    t->settings.learner.batch_size = 16;
    t->settings.top.total_steps = 160;
    t->jitter_us = t->step_jitter_us = 0;
    t->delay_us = 1000, t->step_us = 100, t->update_us = 5000;
}

/* Ten rounds of 16 steps, a fragment on its way and two updates, and nine ways back of a version; joining takes a
 * HELLO, a WELCOME, a WANT and a snapshot. */
static const int64_t ONE_BY_ONE_US = 10 * (1600 + 1000 + 2 * 5000) + 9 * 1000 + 4 * 1000;

START_TEST(time_is_that_of_steps_messages_and_updates)
{
    struct trial t;
    struct trial_result r;
    one_by_one(&t);
    trial_run(&t, HOUR_US, &r);
    ck_assert_int_eq(r.status, TRAINING_FINISHED);
    ck_assert_int_ge(r.virtual_us, ONE_BY_ONE_US);
    ck_assert_int_le(r.virtual_us, ONE_BY_ONE_US + 100);
}
END_TEST

/* An update's acknowledgement and version leave when it is over: with nothing in reserve each fragment is asked
 * for, acted and brought behind an update. */
START_TEST(updates_take_their_time_before_anybody_hears_of_them)
{
    struct trial t;
    struct trial_result r;
    prepare(&t, &toy_replayed_algorithm, "Pendulum-v1", MODE_ASYNC, 1, 1);
    t.settings.actor.horizon = t.settings.learner.batch_size = t.settings.replay.min_size = 16;
    t.settings.replay.samples_per_insert = 1;
    t.settings.replay.error_buffer = 16;
    t.settings.transport.window = 1;
    t.settings.top.total_steps = 800;
    t.jitter_us = t.step_jitter_us = 0;
    t.delay_us = 1000, t.step_us = 100, t.update_us = 5000;
    trial_run(&t, HOUR_US, &r);
    ck_assert_int_eq(r.status, TRAINING_FINISHED);
    ck_assert_int_ge(r.report.updates, 49);
    ck_assert_int_ge(r.virtual_us, 48 * (5000 + 1000 + 1600 + 1000));
}
END_TEST

/* Its steps and messages take 20 ms from its start to its first fragment. */
START_TEST(an_actor_does_nothing_behind_its_end)
{
    struct trial t;
    struct trial_result r;
    one_by_one(&t);
    t.step_us = 1000;
    t.kill_every_us = 19000;
    trial_run(&t, 1000000, &r);
    ck_assert_int_ge(r.kills, 50);
    ck_assert_int_eq(r.counts.received, 0);
    t.kill_every_us = 21000;
    trial_run(&t, 1000000, &r);
    ck_assert_int_gt(r.counts.accepted, 0);
}
END_TEST

/* A snapshot that is lost is asked for 50 ms later and comes after another way there and back; what else is lost
 * costs nothing here. */
START_TEST(snapshots_of_the_fast_path_are_lost_for_good)
{
    struct trial t;
    struct trial_result r;
    int n_lost = 0;
    one_by_one(&t);
    t.loss = 0.3;
    t.retransmit_us = 0;
    for (t.seed = 1; t.seed <= 10; t.seed++) {
        trial_run(&t, HOUR_US, &r);
        const int64_t more_us = r.virtual_us - ONE_BY_ONE_US, each_us = 50000 + 1 + 2 * 1000;
        ck_assert_int_eq(r.status, TRAINING_FINISHED);
        const int64_t n = (more_us + 1000) / each_us;
        ck_assert_int_le(llabs(more_us - n * each_us), 100);
        n_lost += (int)n;
    }
    /* Nine of each seed can be lost, with probability 0.3. */
    ck_assert_int_gt(n_lost, 15);
    ck_assert_int_lt(n_lost, 40);
}
END_TEST

START_TEST(stragglers_take_their_time)
{
    struct trial t;
    struct trial_result even, r;
    short_run(&t, 0, MODE_SYNC, 6, 1);
    t.step_us = 1000;
    trial_run(&t, HOUR_US, &even);
    t.has_stragglers = true;
    trial_run(&t, HOUR_US, &r);
    /* A round waits for the slowest: of six draws of pareto 1 2 the largest is mostly between 1.5 and 10. */
    ck_assert_double_gt((double)r.virtual_us, 1.3 * (double)even.virtual_us);
    ck_assert_double_lt((double)r.virtual_us, 12 * (double)even.virtual_us);
    ck_assert_uint_eq(r.hashes, even.hashes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faults");
    TCase *every = tcase_create("every algorithm"), *single = tcase_create("single");
    const TTest *const tests[] = {
        a_thousand_actors_with_losses_and_failures_repeat_bit_for_bit,
        fragments_are_acted_with_the_version_that_is_so_many_older,
        staleness_is_injected_off_policy_and_with_failing_actors_too, waiting_costs_no_events,
        what_is_lost_comes_later_and_in_its_order, time_is_that_of_steps_messages_and_updates,
        snapshots_of_the_fast_path_are_lost_for_good, stragglers_take_their_time,
        updates_take_their_time_before_anybody_hears_of_them, an_actor_does_nothing_behind_its_end,
    };
    tcase_set_timeout(every, 300);
    tcase_set_timeout(single, 300);
    tcase_add_loop_test(every, sync_gives_the_same_hashes_whatever_is_lost_and_whoever_fails, 0, N_SHORT_RUNS);
    tcase_add_loop_test(every, async_ends_whatever_is_lost_and_whoever_fails, 0, N_SHORT_RUNS);
    for (size_t i = 0; i < TEST_COUNT(tests); i++)
        tcase_add_test(single, tests[i]);
    suite_add_tcase(suite, every);
    suite_add_tcase(suite, single);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
