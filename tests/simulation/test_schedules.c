/* Rounds, in sync and pipelined, with every algorithm: what is learnt depends neither on timing, nor on who steps
 * which stream, nor on who dies meanwhile. And async within a bound. */
#include <string.h>

#include "learner/algorithms.h"
#include "tests/simulation/trial.h"
#include "tests/support.h"

static const int64_t HOUR_US = 3600000000;
enum { STREAMS = 8, HORIZON = 16, ROUND = STREAMS * HORIZON, ROUNDS = 6, TOTAL = ROUNDS * ROUND - 37 };

static const struct algorithm *const algorithms[] = { &ppo_algorithm, &a2c_algorithm, &ddpg_algorithm, &td3_algorithm,
                                                      &sac_algorithm };

static void prepare(struct trial *s, const struct algorithm *algorithm, enum mode mode, int actors)
{
    trial_defaults(s, algorithm, mode, actors, STREAMS / actors);
    s->settings.top.total_steps = TOTAL;
    s->settings.actor.horizon = HORIZON;
    s->settings.learner.batch_size = 32;
    s->settings.replay.min_size = 2 * ROUND;
    s->settings.replay.samples_per_insert = 2;
    s->settings.network.hidden = (struct option_ints){ .n = 1, .v = { 16 } };
    s->settings.metrics.hash_every = 1;
    s->settings.eval.episodes = 1;
    /* What normalises knows which version acted. */
    s->settings.learner.normalise_observations = true;
}

static void run(const struct trial *s, struct trial_result *r)
{
    trial_run(s, HOUR_US, r);
    trial_expect_whole(r, TOTAL);
    ck_assert_int_ge(r->report.updates, ROUNDS);
}

static void expect_equal(const struct trial_result *r, const struct trial_result *calm,
                         const struct algorithm *algorithm, enum mode mode, const char *what)
{
    ck_assert_msg(r->hashes == calm->hashes && strcmp(r->params_sha256, calm->params_sha256) == 0,
                  "%s, %s, %s: other hashes", algorithm->name, mode == MODE_SYNC ? "sync" : "pipelined", what);
    ck_assert_double_eq(r->evaluation.mean, calm->evaluation.mean);
}

/* Nobody hears of actors' deaths for 4 s; then others step their streams until the new ones are let in. */
static void let_die_silently(struct trial *s)
{
    s->settings.sync.takeover_s = 0;
    s->kill_silently = true;
    s->kill_every_us = 3100000;
    s->step_us = 60000;
}

static void try_rounds(const struct algorithm *algorithm, enum mode mode, struct trial_result *calm)
{
    struct trial s;
    struct trial_result r;
    prepare(&s, algorithm, mode, 1);
    run(&s, calm);
    for (int n = 0; n < N_REJECTIONS; n++)
        ck_assert_int_eq(calm->counts.rejected[n], 0);
    run(&s, &r);
    expect_equal(&r, calm, algorithm, mode, "again");
    /* On-policy a version is a round: how many it is behind. */
    if (algorithm->is_on_policy)
        ck_assert_int_eq(calm->report.staleness_max, mode == MODE_PIPELINED);

    for (int actors = 1; actors <= 4; actors *= 2)
        for (int slow = 0; slow < 2; slow++) {
            prepare(&s, algorithm, mode, actors);
            s.seed = (uint64_t)(10 * actors + slow);
            s.jitter_us = s.step_jitter_us = slow ? 9000 : 700;
            s.update_us = slow ? 10 : 15000;
            run(&s, &r);
            expect_equal(&r, calm, algorithm, mode, "placed and timed otherwise");
        }

    prepare(&s, algorithm, mode, 4);
    s.kill_every_us = 17000;
    s.step_us = 700;
    run(&s, &r);
    ck_assert_int_gt(r.kills, 3);
    expect_equal(&r, calm, algorithm, mode, "actors die and are replaced at once");

    prepare(&s, algorithm, mode, 4);
    let_die_silently(&s);
    run(&s, &r);
    ck_assert_int_gt(r.kills, 1);
    expect_equal(&r, calm, algorithm, mode, "others stand in for actors that die");
}

START_TEST(every_algorithm_learns_the_same_in_rounds_whatever_happens)
{
    struct trial_result sync, pipelined;
    try_rounds(algorithms[_i], MODE_SYNC, &sync);
    try_rounds(algorithms[_i], MODE_PIPELINED, &pipelined);
    ck_assert_uint_ne(sync.hashes, pipelined.hashes);
}
END_TEST

/* Collecting and learning take turns in one and go on together in the other. */
START_TEST(pipelined_takes_less_time_than_sync)
{
    struct trial s;
    struct trial_result sync, pipelined;
    prepare(&s, &ppo_algorithm, MODE_SYNC, 4);
    s.step_us = s.update_us = 1000;
    run(&s, &sync);
    s.settings.top.mode = MODE_PIPELINED;
    run(&s, &pipelined);
    ck_assert_double_lt((double)pipelined.virtual_us, 0.8 * (double)sync.virtual_us);
}
END_TEST

START_TEST(strict_rounds_learn_the_same_as_well)
{
    struct trial s;
    struct trial_result calm, r;
    prepare(&s, &a2c_algorithm, MODE_PIPELINED, 4);
    run(&s, &calm);
    s.settings.sync.strict = true;
    let_die_silently(&s);
    run(&s, &r);
    ck_assert_int_gt(r.kills, 1);
    expect_equal(&r, &calm, &a2c_algorithm, MODE_PIPELINED, "strict");
}
END_TEST

/* The bound, with slow updates or a slow network: what is learnt from is never older, and the run completes. */
START_TEST(async_keeps_its_bound)
{
    static const int64_t bounds[] = { 1, 2, 5 };
    for (size_t b = 0; b < TEST_COUNT(bounds); b++)
        for (int is_slow_network = 0; is_slow_network < 2; is_slow_network++) {
            struct trial s;
            struct trial_result r;
            prepare(&s, algorithms[_i], MODE_ASYNC, 4);
            s.settings.transport.window = 6;
            s.settings.learner.publish_every = 1;
            s.settings.learner.max_staleness = bounds[b];
            s.delay_us = is_slow_network ? 3000 : 100;
            s.update_us = is_slow_network ? 200 : 4000;
            run(&s, &r);
            ck_assert_int_le(r.report.staleness_max, bounds[b]);
            int64_t refused = 0;
            for (int n = 0; n < N_REJECTIONS; n++)
                refused += n == REJECT_STALE ? 0 : r.counts.rejected[n];
            ck_assert_int_eq(refused, 0);
        }
}
END_TEST

START_TEST(without_a_bound_async_gets_older_than_that)
{
    struct trial s;
    struct trial_result r;
    prepare(&s, &ppo_algorithm, MODE_ASYNC, 4);
    s.settings.transport.window = 6;
    s.update_us = 4000;
    run(&s, &r);
    ck_assert_int_gt(r.report.staleness_max, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schedules");
    TCase *every = tcase_create("every algorithm"), *some = tcase_create("some");
    tcase_set_timeout(every, 300);
    tcase_set_timeout(some, 300);
    tcase_add_loop_test(every, every_algorithm_learns_the_same_in_rounds_whatever_happens, 0,
                        (int)TEST_COUNT(algorithms));
    tcase_add_loop_test(every, async_keeps_its_bound, 0, (int)TEST_COUNT(algorithms));
    tcase_add_test(some, pipelined_takes_less_time_than_sync);
    tcase_add_test(some, strict_rounds_learn_the_same_as_well);
    tcase_add_test(some, without_a_bound_async_gets_older_than_that);
    suite_add_tcase(suite, every);
    suite_add_tcase(suite, some);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
