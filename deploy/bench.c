#include "deploy/bench.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* A window counts when its thread had this part of a core, or when others had less than this of one. */
#define LEAST_SHARE 0.98
#define MOST_BY_OTHERS 0.05
enum { TICKS_OF_DOUBT = 3 };        /* the system counts the machine's time in ticks */

/* ---- clocks ---- */

static double clock_s(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

/* CPU time of this process and of the children it has waited for. */
static double own_s(void)
{
    struct rusage children;
    getrusage(RUSAGE_CHILDREN, &children);
    return clock_s(CLOCK_PROCESS_CPUTIME_ID) + seconds_of(children.ru_utime) + seconds_of(children.ru_stime);
}

/* CPU time of everybody, what the host took included; 0 where the system does not say. */
static double machine_s(void)
{
    double user = 0, nice = 0, system = 0, idle, io, irq = 0, soft = 0, steal = 0;
    FILE *f = fopen("/proc/stat", "r");
    if (!f)
        return 0;
    if (fscanf(f, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &io, &irq, &soft,
               &steal) != 8)
        user = nice = system = irq = soft = steal = 0;
    fclose(f);
    return (user + nice + system + irq + soft + steal) / (double)sysconf(_SC_CLK_TCK);
}

/* ---- one window ---- */

void bench_resume(struct bench_window *w)
{
    const bool is_thread = w->time == BENCH_THREAD;
    w->machine_from = is_thread ? 0 : machine_s();
    w->cpu_from = is_thread ? clock_s(CLOCK_THREAD_CPUTIME_ID) : own_s();
    w->wall_from = clock_s(CLOCK_MONOTONIC);
}

void bench_pause(struct bench_window *w)
{
    const bool is_thread = w->time == BENCH_THREAD;
    w->wall_s += clock_s(CLOCK_MONOTONIC) - w->wall_from;
    w->cpu_s += (is_thread ? clock_s(CLOCK_THREAD_CPUTIME_ID) : own_s()) - w->cpu_from;
    w->machine_s += is_thread ? 0 : machine_s() - w->machine_from;
}

void bench_forget(struct bench_window *w, double seconds)
{
    w->wall_from += seconds;
}

static bool is_undisturbed(const struct bench_window *w)
{
    if (w->time == BENCH_THREAD)
        return w->cpu_s >= LEAST_SHARE * w->wall_s;
    const double doubt_s = TICKS_OF_DOUBT / (double)sysconf(_SC_CLK_TCK);
    return w->machine_s - w->cpu_s <= MOST_BY_OTHERS * w->wall_s + doubt_s;
}

/* Units per second in one window of about `seconds`. */
static int run_window(const struct bench_plan *plan, const struct bench_work *work, double *rate,
                      bool *counts, struct error *err)
{
    struct bench_window w = { .time = plan->time };
    int rc = 0;
    bench_resume(&w);
    do
        rc = work->run(work->context, &w, err);
    while (rc == 0 && w.wall_s + clock_s(CLOCK_MONOTONIC) - w.wall_from < plan->seconds);
    bench_pause(&w);
    *counts = is_undisturbed(&w);
    *rate = w.units / (plan->time == BENCH_THREAD ? w.cpu_s : w.wall_s);
    return rc;
}

/* ---- many ---- */

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct bench_result bench_of(const double *x, int n)
{
    double sorted[BENCH_MAX_ROUNDS];
    assert(n >= 1 && n <= BENCH_MAX_ROUNDS);
    memcpy(sorted, x, (size_t)n * sizeof(*x));
    qsort(sorted, (size_t)n, sizeof(*sorted), ascending);
    return (struct bench_result){
        .median = n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2,
        .min = sorted[0], .max = sorted[n - 1], .ratio = (double)NAN, .n = n,
    };
}

struct bench_result bench_none(void)
{
    const double nan = (double)NAN;
    return (struct bench_result){ .median = nan, .min = nan, .max = nan, .ratio = nan };
}

struct bench_result bench_as_time(struct bench_result r, double scale)
{
    const double fastest = r.max;
    r.median = scale / r.median;
    r.max = scale / r.min;
    r.min = scale / fastest;
    return r;
}

struct bench_plan bench_plan_make(const struct bench *b, double parts, enum bench_time time)
{
    return (struct bench_plan){ b->seconds / parts, BENCH_ROUNDS, 2 * BENCH_ROUNDS, time };
}

int bench_measure(const struct bench_plan *plan, const struct bench_work *works, int n,
                  struct bench_result *out, struct error *err)
{
    double rates[BENCH_MAX_WORKS][BENCH_MAX_ROUNDS], ratios[BENCH_MAX_ROUNDS];
    int n_rejected = 0, n_good = 0;
    bool is_disturbed = false;
    assert(n <= BENCH_MAX_WORKS && plan->rounds >= 1 && plan->rounds <= BENCH_MAX_ROUNDS);
    while (n_good < plan->rounds) {
        bool all_count = true;
        for (int i = 0; i < n; i++) {
            bool counts;
            int rc = run_window(plan, &works[i], &rates[i][n_good], &counts, err);
            if (rc != 0)
                return rc;
            all_count &= counts;
        }
        if (!all_count && n_rejected < plan->most_rejected) {
            n_rejected++;
        } else {
            n_good++;
            is_disturbed |= !all_count;
        }
    }
    for (int i = 0; i < n; i++) {
        out[i] = bench_of(rates[i], n_good);
        out[i].n_rejected = n_rejected;
        out[i].is_disturbed = is_disturbed;
        if (works[i].reference < 0)
            continue;
        for (int k = 0; k < n_good; k++)
            ratios[k] = rates[i][k] / rates[works[i].reference][k];
        out[i].ratio = bench_of(ratios, n_good).median;
    }
    return 0;
}
