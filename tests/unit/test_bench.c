/* The bench's windows, and what it counts as the work of an update. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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

/* ---- windows of the whole machine ---- */

/* What the system says of the machine, made up: this process's time and that of others, who take `share_of_others`
 * of a core. Linked with --wrap=fopen. */
static struct {
    bool is_on;
    double share_of_others;
} machine;

static double clock_s(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

FILE *__real_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen(const char *path, const char *mode)
{
    static char text[128];
    struct rusage c;
    if (!machine.is_on || strcmp(path, "/proc/stat") != 0)
        return __real_fopen(path, mode);
    getrusage(RUSAGE_CHILDREN, &c);
    const double children = (double)(c.ru_utime.tv_sec + c.ru_stime.tv_sec)
                          + (double)(c.ru_utime.tv_usec + c.ru_stime.tv_usec) * 1e-6;
    const double own = clock_s(CLOCK_PROCESS_CPUTIME_ID) + children;
    const double seconds = own + machine.share_of_others * clock_s(CLOCK_MONOTONIC);
    snprintf(text, sizeof(text), "cpu %.0f 0 0 77 88 0 0 0\n", seconds * (double)sysconf(_SC_CLK_TCK));
    return fmemopen(text, strlen(text), "r");
}

/* Sleeps; with a child, waits for that to have worked, too; then sleeps for `forgotten_s`, which it forgets. */
struct sleeper {
    bool has_child;
    double forgotten_s;
    int calls;
    double kept_s, all_forgotten_s;    /* by the test's own clock */
};

static int run_sleeper(void *context, struct bench_window *w, struct error *err)
{
    struct sleeper *s = context;
    (void)err;
    const double began = clock_s(CLOCK_MONOTONIC);
    rests(0.01);
    const pid_t child = s->has_child ? fork() : 0;
    if (child == 0 && s->has_child) {
        burn(0.1);
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
    const double kept = clock_s(CLOCK_MONOTONIC);
    rests(s->forgotten_s);
    const double forgotten = clock_s(CLOCK_MONOTONIC) - kept;
    bench_forget(w, s->forgotten_s > 0 ? forgotten : 0);
    s->all_forgotten_s += s->forgotten_s > 0 ? forgotten : 0;
    s->kept_s += kept - began;
    s->calls++;
    w->units += 1;
    return 0;
}

/* One window of 0.2 s that counts, after one more if the first does not. Others may have 5 % and three ticks of it:
 * 0.04 s. */
static struct bench_result measure_machine(struct sleeper *s, double share_of_others)
{
    const struct bench_plan plan = { 0.2, 1, 1, BENCH_MACHINE };
    const struct bench_work work = { run_sleeper, s, -1 };
    struct bench_result r;
    struct error err;
    machine.is_on = true;
    machine.share_of_others = share_of_others;
    ck_assert_int_eq(bench_measure(&plan, &work, 1, &r, &err), 0);
    machine.is_on = false;
    return r;
}

START_TEST(windows_of_the_machine_count_unless_others_use_it_too)
{
    struct sleeper alone = { .has_child = false }, with_child = { .has_child = true }, disturbed = alone;
    struct bench_result r = measure_machine(&alone, 0.02);
    ck_assert(r.n_rejected == 0 && !r.is_disturbed);
    /* What it waited for is its own, though it has slept all the time. */
    r = measure_machine(&with_child, 0.02);
    ck_assert(r.n_rejected == 0 && !r.is_disturbed);
    r = measure_machine(&disturbed, 0.5);
    ck_assert(r.n_rejected == 1 && r.is_disturbed);
}
END_TEST

START_TEST(rates_of_the_machine_are_by_wall_time_without_what_is_forgotten)
{
    for (int forgets = 0; forgets < 2; forgets++) {
        struct sleeper s = { .forgotten_s = forgets ? 0.02 : 0 };
        const double began = clock_s(CLOCK_MONOTONIC);
        const struct bench_result r = measure_machine(&s, 0);
        const double kept = clock_s(CLOCK_MONOTONIC) - began - s.all_forgotten_s;
        ck_assert_int_eq(r.n_rejected, 0);
        ck_assert_double_ge(kept, 0.2);
        /* Between what it counted itself and what passed around it. */
        ck_assert_double_ge(r.median, s.calls / kept);
        ck_assert_double_le(r.median, s.calls / s.kept_s);
    }
}
END_TEST

/* ---- several works ---- */

/* One call is a window, and call k does its own number of units: a rate that changes from round to round. */
struct series {
    const double *units;
    int calls;
};

static int run_series(void *context, struct bench_window *w, struct error *err)
{
    (void)err;
    struct series *s = context;
    burn(4.1e-3);
    w->units += s->units[s->calls++];
    return 0;
}

/* The rounds' ratios are 4, 8, 4, 1/2, 4, the ratio of the medians of the units is 2, that of their sums again. No
 * round is measured again, whatever else the machine does. */
START_TEST(a_ratio_is_to_the_window_of_the_same_round)
{
    static const double of_one[] = { 1, 1, 4, 16, 4 }, of_other[] = { 4, 8, 16, 8, 16 };
    struct series one = { of_one, 0 }, other = { of_other, 0 };
    const struct bench_plan plan = { 0.004, 5, 0, BENCH_THREAD };
    const struct bench_work works[] = { { run_series, &one, -1 }, { run_series, &other, 0 } };
    struct bench_result r[2];
    struct error err;
    ck_assert_int_eq(bench_measure(&plan, works, 2, r, &err), 0);
    ck_assert_int_eq(one.calls, 5);
    ck_assert(isnan(r[0].ratio));
    ck_assert_double_ge(r[1].ratio, 0.85 * 4);
    ck_assert_double_le(r[1].ratio, 4 / 0.85);
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
        windows_of_the_machine_count_unless_others_use_it_too,
        rates_of_the_machine_are_by_wall_time_without_what_is_forgotten,
        a_ratio_is_to_the_window_of_the_same_round, a_work_that_fails_ends_the_measurement,
        medians_and_times, nominal_work_is_that_of_the_shapes, updates_of_made_up_experience_stay_finite,
    };
    return suite_run("bench", tests, TEST_COUNT(tests), 60);
}
