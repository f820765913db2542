/* The bench's windows, and what it counts as the work of an update. */
#include <check.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "common/matrix.h"
#include "deploy/bench_learner.h"
#include "learner/algorithms.h"
#include "tests/support.h"

/* A work that takes `busy_s` of CPU time and says it did `units`; in between, `hidden_s` outside of the window. */
struct fake {
    double busy_s, hidden_s, units;
    int calls, fails_at;
};

static void burn(double seconds)
{
    struct timespec t;
    double end = 0;
    do {
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        const double now = (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
        end = end > 0 ? end : now + seconds;
        if (now >= end)
            return;
    } while (true);
}

static int run(void *context, struct bench_window *w, struct error *err)
{
    struct fake *f = context;
    if (++f->calls == f->fails_at)
        return error_set(err, ERR_NUMERIC, "as told");
    if (f->hidden_s > 0) {
        bench_pause(w);
        burn(f->hidden_s);
        bench_resume(w);
    }
    burn(f->busy_s);
    w->units += f->units;
    return 0;
}

static void rests(double seconds)
{
    struct timespec t = { 0, (long)(seconds * 1e9) };
    nanosleep(&t, NULL);
}

/* Half of its wall time it does not have the core. */
static int run_disturbed(void *context, struct bench_window *w, struct error *err)
{
    rests(((struct fake *)context)->busy_s);
    return run(context, w, err);
}

static struct bench_result measure(int (*f)(void *, struct bench_window *, struct error *), struct fake *fake)
{
    const struct bench_plan plan = { 0.004, 5, 10, BENCH_THREAD };
    const struct bench_work work = { f, fake, -1 };
    struct bench_result r;
    struct error err;
    ck_assert_int_eq(bench_measure(&plan, &work, 1, &r, &err), 0);
    return r;
}

START_TEST(a_rate_is_units_by_the_time_of_the_thread)
{
    struct fake f = { .busy_s = 1e-3, .units = 3 };
    const struct bench_result r = measure(run, &f);
    ck_assert_double_ge(r.median, 0.7 * 3000);
    ck_assert_double_le(r.median, 3000);
    ck_assert(r.min <= r.median && r.median <= r.max && r.n == 5);
}
END_TEST

START_TEST(what_is_paused_is_no_part_of_a_window)
{
    struct fake f = { .busy_s = 1e-3, .hidden_s = 2e-3, .units = 1 };
    const struct bench_result r = measure(run, &f);
    ck_assert_double_ge(r.median, 700);
}
END_TEST

START_TEST(windows_without_the_core_are_measured_again_and_in_the_end_marked)
{
    struct fake f = { .busy_s = 1e-3, .units = 1 };
    const struct bench_result r = measure(run_disturbed, &f);
    ck_assert_int_eq(r.n, 5);
    ck_assert_int_eq(r.n_rejected, 10);
    ck_assert(r.is_disturbed);
    /* Still the thread's own time: resting is not counted. */
    ck_assert_double_ge(r.median, 700);
}
END_TEST

START_TEST(a_ratio_is_to_the_window_of_the_same_round)
{
    struct fake slow = { .busy_s = 1e-3, .units = 1 }, fast = { .busy_s = 1e-3, .units = 2 };
    const struct bench_plan plan = { 0.004, 5, 10, BENCH_THREAD };
    const struct bench_work works[] = { { run, &slow, -1 }, { run, &fast, 0 } };
    struct bench_result r[2];
    struct error err;
    ck_assert_int_eq(bench_measure(&plan, works, 2, r, &err), 0);
    ck_assert(isnan(r[0].ratio));
    ck_assert_double_ge(r[1].ratio, 1.7);
    ck_assert_double_le(r[1].ratio, 2.3);
}
END_TEST

START_TEST(a_work_that_fails_ends_the_measurement)
{
    struct fake f = { .busy_s = 1e-5, .units = 1, .fails_at = 2 };
    const struct bench_plan plan = { 1, 5, 10, BENCH_THREAD };
    const struct bench_work work = { run, &f, -1 };
    struct bench_result r;
    struct error err;
    ck_assert_int_eq(bench_measure(&plan, &work, 1, &r, &err), ERR_NUMERIC);
    ck_assert_str_eq(err.text, "as told");
    ck_assert_int_eq(f.calls, 2);
}
END_TEST

START_TEST(medians_and_times)
{
    const double odd[] = { 5, 1, 3 }, even[] = { 4, 1, 2, 100 };
    struct bench_result r = bench_of(odd, 3);
    ck_assert(r.median == 3 && r.min == 1 && r.max == 5 && r.n == 3);
    ck_assert_double_eq(bench_of(even, 4).median, 3);
    r = bench_as_time(bench_of(odd, 3), 30);
    ck_assert(r.median == 10 && r.min == 6 && r.max == 30);
    ck_assert(isnan(bench_none().median));
}
END_TEST

/* Counted by hand, layer by layer: forward, weights' gradients, and inputs' gradients where somebody needs
 * them. */
static const struct {
    struct bench_case subject;
    double mflops;
} counted[] = {
    { { "sac", &sac_algorithm, "256, 256", "relu", 256, 0, 0 }, 581.566464 },
    { { "td3", &td3_algorithm, "256, 256", "relu", 256, 0, 0 }, 414.580736 },
    { { "ddpg", &ddpg_algorithm, "256, 256", "relu", 256, 0, 0 }, 361.234432 },
    { { "ppo", &ppo_algorithm, "64, 64", "tanh", 64, 1, 2048 }, 3.874816 },
    { { "a2c", &a2c_algorithm, "256, 256", "tanh", 1024, 64, 16 }, 851.968 },
};
enum { N_COUNTED = sizeof(counted) / sizeof(*counted) };

START_TEST(nominal_work_is_that_of_the_shapes)
{
    struct bench_variant variants[BENCH_MAX_VARIANTS];
    struct bench_learner l;
    struct error err;
    bench_variants(variants);
    for (int i = 0; i < N_COUNTED; i++) {
        ck_assert_msg(bench_learner_create(&l, &counted[i].subject, &variants[0], &err) == 0, "%s", err.text);
        ck_assert_double_eq_tol(l.flops * 1e-6, counted[i].mflops, 1e-6);
        bench_learner_destroy(&l);
    }
}
END_TEST

static void update_often(struct bench_case c)
{
    struct bench_variant variants[BENCH_MAX_VARIANTS];
    struct bench_learner l;
    struct bench_window w = { 0 };
    struct error err;
    size_t n;
    bench_variants(variants);
    ck_assert_msg(bench_learner_create(&l, &c, &variants[0], &err) == 0, "%s", err.text);
    for (int i = 0; i < 300; i++)
        ck_assert_msg(bench_learner_update(&l, &w, &err) == 0, "%s", err.text);
    ck_assert_double_eq(w.units, 300);
    const real *policy = c.algorithm->policy(l.self, &n);
    for (size_t i = 0; i < n; i++)
        ck_assert(isfinite(policy[i]));
    bench_learner_destroy(&l);
}

/* Made-up experience must not drive an algorithm anywhere: the bench would stop with an error. */
START_TEST(updates_of_made_up_experience_stay_finite)
{
    matrix_setup();
    for (int i = 0; i < N_COUNTED; i++) {
        struct bench_case small = counted[i].subject;
        small.hidden = "16, 16";
        if (!small.algorithm->is_on_policy)
            small.batch_size = 32;
        update_often(small);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_rate_is_units_by_the_time_of_the_thread, what_is_paused_is_no_part_of_a_window,
        windows_without_the_core_are_measured_again_and_in_the_end_marked,
        a_ratio_is_to_the_window_of_the_same_round, a_work_that_fails_ends_the_measurement,
        medians_and_times, nominal_work_is_that_of_the_shapes, updates_of_made_up_experience_stay_finite,
    };
    return suite_run("bench", tests, TEST_COUNT(tests), 60);
}
