#include "learner/rate_limiter.h"

#include <math.h>

#include "common/rng.h"
#include "tests/support.h"

START_TEST(nothing_is_sampled_before_min_size_and_inserting_is_free)
{
    struct rate_limiter l;
    rate_limiter_init(&l, 256, 300, 1000);
    for (; l.inserts < 1000; l.inserts += 16) {
        ck_assert(rate_limiter_may_insert(&l, 16));
        ck_assert(!rate_limiter_may_sample(&l, 1));
        ck_assert_double_eq(rate_limiter_owed(&l), 0);
    }
    ck_assert_int_eq(l.inserts, 1008);
    ck_assert(rate_limiter_may_sample(&l, 1));
    ck_assert_double_eq(rate_limiter_owed(&l), 8 * 256);
}
END_TEST

/* By hand: d = (inserts - 10) 4 - samples, buffer 20. */
START_TEST(each_side_may_be_ahead_by_the_error_buffer)
{
    static const struct { int64_t inserts, samples; int most_inserts, most_samples; } cases[] = {
        { 10, 0, 5, 20 },     /* d = 0 */
        { 15, 0, 0, 40 },     /* d = 20: inserters wait */
        { 10, 20, 10, 0 },    /* d = -20: samplers wait */
        { 14, 10, 3, 26 },    /* d = 6 */
        { 1010, 3990, 2, 30 },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        struct rate_limiter l;
        rate_limiter_init(&l, 4, 20, 10);
        l.inserts = cases[i].inserts;
        l.samples = cases[i].samples;
        for (int n = 1; n <= 50; n++) {
            ck_assert_int_eq(rate_limiter_may_insert(&l, n), n <= cases[i].most_inserts);
            ck_assert_int_eq(rate_limiter_may_sample(&l, n), n <= cases[i].most_samples);
        }
    }
}
END_TEST

START_TEST(owed_is_what_inserts_earned_and_samples_did_not_take)
{
    struct rate_limiter l;
    rate_limiter_init(&l, 0.5, 100, 10);
    l.inserts = 50;
    l.samples = 8;
    ck_assert_double_eq(rate_limiter_owed(&l), 12);
    l.samples = 30;
    ck_assert_double_eq(rate_limiter_owed(&l), -10);
}
END_TEST

/* Inserts of T and samples of B in random turns; whoever has the turn waits when it must. */
static void run_randomly(struct rng *rng, double ratio, double buffer, int64_t T, int64_t B)
{
    struct rate_limiter l;
    int64_t min_size = (int64_t)rng_below(rng, 200);
    double bias = rng_uniform(rng, 0.02, 0.98);    /* of the interleaving */
    rate_limiter_init(&l, ratio, buffer, min_size);
    /* The last insert before min_size may overshoot. */
    double most = fmax(buffer, (double)(T - 1) * ratio), slack = 1e-6 * buffer;
    for (int i = 0; i < 3000; i++) {
        bool may_insert = rate_limiter_may_insert(&l, T);
        bool may_sample = rate_limiter_may_sample(&l, B);
        if (!may_insert && !may_sample)
            ck_abort_msg("stuck with ratio %g, buffer %.17g, T %lld, B %lld at %lld inserts and "
                         "%lld samples", ratio, buffer, (long long)T, (long long)B,
                         (long long)l.inserts, (long long)l.samples);
        bool inserts = may_insert && (!may_sample || rng_uniform(rng, 0, 1) < bias);
        l.inserts += inserts ? T : 0;
        l.samples += inserts ? 0 : B;
        double owed = rate_limiter_owed(&l);
        if (owed > most + slack || owed < -buffer - slack)
            ck_abort_msg("%g are owed, the buffer is %g", owed, buffer);
        if (l.inserts >= min_size && owed <= buffer)
            most = buffer;    /* once inside, it stays inside */
    }
    ck_assert_int_gt(l.inserts, min_size);
    ck_assert_int_gt(l.samples, 0);
}

START_TEST(half_an_insert_and_half_a_sample_of_buffer_never_get_stuck)
{
    static const double ratios[] = { 0.25, 0.5, 1, 2, 32, 64, 256, 0.1, 0.3, 1.0 / 3, 7.7, 31.1 };
    static const double factors[] = { 1, 1.001, 1.5, 4 };
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    for (size_t i = 0; i < TEST_COUNT(ratios); i++) {
        for (int k = 0; k < 40; k++) {
            int64_t T = 1 + (int64_t)rng_below(&rng, 64), B = 1 + (int64_t)rng_below(&rng, 300);
            double least = ((double)T * ratios[i] + (double)B) / 2;
            run_randomly(&rng, ratios[i], least * factors[k % 4], T, B);
        }
    }
}
END_TEST

START_TEST(less_buffer_can_get_stuck)
{
    struct rate_limiter l;
    rate_limiter_init(&l, 4, 30, 0);    /* (8 x 4 + 32) / 2 = 32 is needed */
    l.inserts = 8;
    l.samples = 32 - 1;                 /* d = 1: 33 after an insert, -31 after a sample */
    ck_assert(!rate_limiter_may_insert(&l, 8));
    ck_assert(!rate_limiter_may_sample(&l, 32));
}
END_TEST

START_TEST(a_restart_earns_nothing_until_replay_is_filled_again)
{
    struct rate_limiter l;
    rate_limiter_init(&l, 4, 100, 10);
    l.inserts = 50;
    l.samples = 130;    /* 30 are owed */
    rate_limiter_restart(&l, 20);
    ck_assert_double_eq(rate_limiter_owed(&l), 0);
    for (; l.inserts < 70; l.inserts += 5) {
        ck_assert(rate_limiter_may_insert(&l, 5));
        ck_assert(!rate_limiter_may_sample(&l, 1));
    }
    ck_assert_double_eq_tol(rate_limiter_owed(&l), 30, 1e-9);
    l.inserts += 10;
    ck_assert_double_eq_tol(rate_limiter_owed(&l), 70, 1e-9);
    ck_assert(rate_limiter_may_insert(&l, 7));
    ck_assert(!rate_limiter_may_insert(&l, 8));
}
END_TEST

START_TEST(restarts_add_up_without_losing_what_is_owed)
{
    struct rate_limiter l;
    rate_limiter_init(&l, 2.5, 1000, 16);
    l.inserts = 100;
    l.samples = 64;    /* (100 - 16) 2.5 - 64 = 146 */
    for (int k = 0; k < 10; k++) {
        ck_assert_double_eq_tol(rate_limiter_owed(&l), 146, 1e-6);
        rate_limiter_restart(&l, 16);
        l.inserts += 16;
    }
    ck_assert_double_eq_tol(rate_limiter_owed(&l), 146, 1e-6);
}
END_TEST

START_TEST(a_restart_without_refill_changes_nothing)
{
    struct rate_limiter l;
    rate_limiter_init(&l, 4, 100, 10);
    l.inserts = 50;
    l.samples = 130;
    rate_limiter_restart(&l, 0);
    ck_assert_double_eq_tol(rate_limiter_owed(&l), 30, 1e-9);
    ck_assert(rate_limiter_may_sample(&l, 130));
    ck_assert(!rate_limiter_may_sample(&l, 131));
}
END_TEST

START_TEST(progress_is_the_share_of_all_draws_that_are_done)
{
    struct rate_limiter l;
    rate_limiter_init(&l, 2, 1000, 10);
    l.inserts = 60;
    ck_assert_double_eq(rate_limiter_progress(&l, 110, 30), 0);    /* (110 - 10) x 2 / 30: six draws */
    l.samples = 90;
    ck_assert_double_eq(rate_limiter_progress(&l, 110, 30), 0.5);
    rate_limiter_restart(&l, 40);                                  /* which earn nothing: four draws in all */
    ck_assert_double_eq_tol(rate_limiter_progress(&l, 110, 30), 90.0 / 120, 1e-12);
    l.samples = 210;
    ck_assert_double_eq(rate_limiter_progress(&l, 110, 30), 1);    /* ahead of what was earned */
    ck_assert_double_eq(rate_limiter_progress(&l, 5, 30), 1);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nothing_is_sampled_before_min_size_and_inserting_is_free,
        each_side_may_be_ahead_by_the_error_buffer,
        owed_is_what_inserts_earned_and_samples_did_not_take,
        half_an_insert_and_half_a_sample_of_buffer_never_get_stuck,
        less_buffer_can_get_stuck,
        a_restart_earns_nothing_until_replay_is_filled_again,
        restarts_add_up_without_losing_what_is_owed,
        a_restart_without_refill_changes_nothing,
        progress_is_the_share_of_all_draws_that_are_done,
    };
    return suite_run("rate_limiter", tests, TEST_COUNT(tests), 60);
}
