/* What an off-policy run costs the learner beside its updates: the real learner in a process of its own, with an
 * actor process that feeds it, a run directory, metrics and snapshots as in any run; only the algorithm's update
 * is wrapped, so that the update thread's time within it and outside of it can be told apart.
 *
 *   outside   CPU time of the update thread that is not the algorithm's: messages, appending, drawing, noise,
 *             priorities, snapshots, hashes, metrics; part of all its CPU time
 *   waiting   wall time in which the update thread did not run: it waited for transitions, or others had the core;
 *             part of all wall time */
#include "deploy/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "deploy/cores.h"
#include "deploy/learner.h"
#include "deploy/program.h"

enum { HELD = 200000,           /* transitions before the first update: more than caches hold */
       WARM_UP = 100, WINDOWS = 5, PER_WINDOW = 400,    /* updates */
       N_UPDATES = WARM_UP + WINDOWS * PER_WINDOW,
       PATH_BYTES = 4096, MAX_OVERRIDES = 8, OVERRIDE_BYTES = 64 };

struct moment {
    double cpu_s, wall_s;
};

/* What the process finds out; in memory shared with the bench. */
struct finding {
    int n;                                      /* updates */
    struct moment last;                         /* end of the one before */
    struct moment within[WINDOWS], outside[WINDOWS];
};

/* The learner's process has one of each. */
static struct finding *finding;
static struct algorithm timed;
static int (*algorithm_update)(void *self, struct batch *b, double *metrics, struct error *err);

static double clock_s(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct moment now(void)
{
    return (struct moment){ clock_s(CLOCK_THREAD_CPUTIME_ID), clock_s(CLOCK_MONOTONIC) };
}

static void add(struct moment *sum, struct moment from, struct moment to)
{
    sum->cpu_s += to.cpu_s - from.cpu_s;
    sum->wall_s += to.wall_s - from.wall_s;
}

static int update_timed(void *self, struct batch *b, double *metrics, struct error *err)
{
    const int window = finding->n < WARM_UP ? -1 : (finding->n - WARM_UP) / PER_WINDOW;
    const struct moment began = now();
    int rc = algorithm_update(self, b, metrics, err);
    const struct moment ended = now();
    if (window >= 0 && window < WINDOWS) {
        add(&finding->outside[window], finding->last, began);
        add(&finding->within[window], began, ended);
    }
    finding->last = ended;
    finding->n++;
    return rc;
}

/* ---- processes ---- */

/* Where the learner listens comes through `fd`; then be an actor. */
static void become_actor(int fd)
{
    char self[PATH_BYTES], endpoint[128] = "";
    struct error err;
    FILE *f = fdopen(fd, "r");
    program_die_with_parent();
    if (!f || fscanf(f, "%127s", endpoint) != 1 || program_self(self, sizeof(self), &err) != 0)
        _exit(1);
    execl(self, "shoal", "actor", "--learner", endpoint, "--name", "bench", (char *)NULL);
    _exit(127);
}

static int learn(const char *config, const char *run, char *const *overrides, int n, struct error *err)
{
    struct experiment e = { 0 };
    int ends[2] = { -1, -1 };
    program_catch_signals();
    int rc = experiment_load(&e, config, overrides, n, err);
    if (rc == 0 && pipe2(ends, O_CLOEXEC) != 0)
        rc = error_errno(err, "make a pipe");
    const pid_t actor = rc == 0 ? fork() : -1;
    if (actor == 0) {
        close(ends[1]);
        become_actor(ends[0]);
    }
    if (rc == 0) {
        timed = *e.algorithm;
        algorithm_update = timed.update;
        timed.update = update_timed;
        e.algorithm = &timed;
        rc = learner_run(&(struct learner_options){ .experiment = &e, .run = run, .bind = "tcp://127.0.0.1:*",
                                                    .report_fd = ends[1] }, err);
    }
    if (actor > 0)
        waitpid(actor, NULL, 0);
    experiment_fini(&e);
    return rc;
}

/* The learner's process, without output but for what went wrong. */
static void become_learner(const char *directory, const char *const *values)
{
    char config[PATH_BYTES + 16], run[PATH_BYTES + 16], text[MAX_OVERRIDES][OVERRIDE_BYTES], *overrides[MAX_OVERRIDES];
    struct error err;
    int n = 0;
    program_die_with_parent();
    const int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    snprintf(config, sizeof(config), "%s/config.yaml", directory);
    snprintf(run, sizeof(run), "%s/run", directory);
    for (; values[n] && n < MAX_OVERRIDES - 2; n++)
        snprintf(text[n], OVERRIDE_BYTES, "%s", values[n]);
    snprintf(text[n++], OVERRIDE_BYTES, "replay.min_size=%d", HELD);
    snprintf(text[n++], OVERRIDE_BYTES, "total_steps=%d", HELD + N_UPDATES);
    for (int i = 0; i < n; i++)
        overrides[i] = text[i];
    FILE *f = fopen(config, "w");
    if (!f || fputs("algorithm: sac\nenv: {name: HalfCheetah-v5}\nactors: 1\nmode: async\neval: {every: 0, episodes: 1}\n"
                    "network: {hidden: [256, 256]}\nlearner: {batch_size: 256, workers: 1}\n", f) < 0 || fclose(f) != 0)
        _exit(1);
    if (learn(config, run, overrides, n, &err) != 0) {
        fprintf(stderr, "shoal bench: %s\n", err.text);
        _exit(1);
    }
    _exit(0);
}

static int train(const char *const *values, struct error *err)
{
    char directory[PATH_BYTES];
    int status = -1;
    int rc = file_make_temporary("shoal-bench", directory, sizeof(directory), err);
    if (rc != 0)
        return rc;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid == 0)
        become_learner(directory, values);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    (void)file_remove(directory);
    if (status != 0 || finding->n < N_UPDATES)
        return error_set(err, ERR_TEMPORARY, "shoal bench: the learner made %d of %d updates; try a training by "
                         "itself: shoal train", finding->n, N_UPDATES);
    return 0;
}

/* ---- the group ---- */

static const struct overhead_case {
    const char *name;
    enum precision precision;
    int workers;
    const char *values[4];
} cases[] = {
    { "sac 256-256 b256 f32 x1", PRECISION_F32, 1, { NULL } },
    { "sac 256-256 b256 f32 x2", PRECISION_F32, 2, { "learner.workers=2", NULL } },
    { "sac 256-256 b256 bf16 x1", PRECISION_BF16, 1, { "learner.precision=bf16", NULL } },
    { "sac 256-256 b256 bf16 x2", PRECISION_BF16, 2, { "learner.precision=bf16", "learner.workers=2", NULL } },
    { "prioritised f32 x1", PRECISION_F32, 1, { "replay.prioritised=true", NULL } },
};
enum { N_CASES = sizeof(cases) / sizeof(*cases) };

static bool is_possible(const struct overhead_case *c)
{
    return kernels_best(c->precision) != NULL && c->workers <= cores_available();
}

/* In percent: of all windows together, and the least and most of one. */
static void shares(struct bench_result *outside, struct bench_result *waiting)
{
    double cpu[WINDOWS], wait[WINDOWS];
    struct moment in = { 0 }, out = { 0 };
    for (int i = 0; i < WINDOWS; i++) {
        const struct moment a = finding->within[i], b = finding->outside[i];
        cpu[i] = 100 * b.cpu_s / (a.cpu_s + b.cpu_s);
        wait[i] = 100 * fmax(1 - (a.cpu_s + b.cpu_s) / (a.wall_s + b.wall_s), 0);
        add(&in, (struct moment){ 0 }, a);
        add(&out, (struct moment){ 0 }, b);
    }
    *outside = bench_of(cpu, WINDOWS);
    *waiting = bench_of(wait, WINDOWS);
    outside->median = 100 * out.cpu_s / (in.cpu_s + out.cpu_s);
    waiting->median = 100 * fmax(1 - (in.cpu_s + out.cpu_s) / (in.wall_s + out.wall_s), 0);
}

int bench_overhead(struct bench *b, struct error *err)
{
    static const char *const columns[] = { "outside", "waiting" };
    static const struct bench_table table = {
        .group = "overhead", .title = "a learner of HalfCheetah with an actor: the update thread's CPU time outside of "
        "updates, its wall time not running", .unit = "%", .columns = columns, .n_columns = 2
    };
    int rc = 0;
    bench_begin_table(b, &table);
    for (int i = 0; i < N_CASES && rc == 0; i++) {
        struct bench_result outside, waiting;
        if (!bench_wants(b, cases[i].name) || !is_possible(&cases[i]))
            continue;
        finding = mmap(NULL, sizeof(*finding), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (finding == MAP_FAILED)
            return error_errno(err, "map a page");
        bench_begin_row(b, cases[i].name);
        rc = train(cases[i].values, err);
        if (rc == 0) {
            shares(&outside, &waiting);
            bench_cell(b, &outside, (double)NAN);
            bench_cell(b, &waiting, (double)NAN);
        }
        bench_end_row(b);
        munmap(finding, sizeof(*finding));
    }
    return rc;
}
