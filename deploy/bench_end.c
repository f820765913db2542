/* End to end, `shoal train` as people start it, in processes of its own and a directory that is removed:
 * transitions per second, and the time from starting the command until it ends because three evaluations of 20
 * episodes in a row reached the threshold. */
#include "deploy/bench.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/kernels.h"
#include "deploy/program.h"

enum { PATH_BYTES = 4096, MAX_ARGUMENTS = 24, MAX_SEEDS = 5, SPEED_ROUNDS = 3,
       SPEED_STEPS = 200000 };

/* A training: what `shoal train` gets behind its configuration, which only names the environment. */
struct training_case {
    const char *name, *configuration;
    const char *const *overrides;       /* NULL-terminated */
    int n_seeds;
    bool needs_bf16;                    /* a CPU with kernels for it */
};

static const struct training_case speed = {
    "ppo 64-64 half_cheetah", "algorithm: ppo\npreset: tuned\nenv: {name: HalfCheetah-v5}\n",
    (const char *const[]){ "total_steps=200000", "eval.every=0", NULL }, 1, false
};

#define THRESHOLD "eval.stop_at=950", "eval.stop_count=3", "eval.episodes=20"
#define SAC_256 "network.hidden=[256,256]", "learner.batch_size=256", "eval.every=1000", "total_steps=50000", \
                "sac.policy_lr=1e-3", "sac.q_lr=1e-3", "sac.alpha_lr=1e-3"
static const struct training_case thresholds[] = {
    { "ppo 64-64 b64", "algorithm: ppo\npreset: tuned\nenv: {name: InvertedPendulum-v5}\n",
      (const char *const[]){ THRESHOLD, "network.hidden=[64,64]", "learner.batch_size=64", "eval.every=5000",
                             "total_steps=500000", NULL }, 5, false },
    { "sac 256-256 b256", "algorithm: sac\nenv: {name: InvertedPendulum-v5}\n",
      (const char *const[]){ THRESHOLD, SAC_256, NULL }, 5, false },
    { "sac 256-256 b256 bf16", "algorithm: sac\nenv: {name: InvertedPendulum-v5}\n",
      (const char *const[]){ THRESHOLD, SAC_256, "learner.precision=bf16", NULL }, 5, true },
};
enum { N_THRESHOLDS = sizeof(thresholds) / sizeof(*thresholds) };

/* One run of it. */
struct trial {
    const struct training_case *subject;
    int seed;
    bool has_stopped;                   /* at eval.stop_at */
};

/* ---- files ---- */

static int write_configuration(const char *path, const char *text, struct error *err)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return error_errno(err, "open %s", path);
    const bool is_written = fputs(text, f) >= 0;
    return fclose(f) == 0 && is_written ? 0 : error_errno(err, "write %s", path);
}

/* Whether the run in `directory` ended because its evaluations reached the threshold. */
static bool has_stopped(const char *directory)
{
    char path[PATH_BYTES + 32];
    snprintf(path, sizeof(path), "%s/run/summary.json", directory);
    json_t *summary = json_load_file(path, 0, NULL);
    const char *status = json_string_value(json_object_get(summary, "status"));
    const bool stopped = status && strcmp(status, "stopped at eval.stop_at") == 0;
    json_decref(summary);
    return stopped;
}

/* ---- the process ---- */

/* Run `argv` to its end without output.   Returns its exit status, -1 when it could not be started. */
static int call(char *const argv[])
{
    fflush(stdout);
    int status = 0;
    const pid_t pid = fork();
    if (pid == 0) {
        program_die_with_parent();
        const int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execv(argv[0], argv);
        _exit(127);
    }
    if (pid < 0)
        return -1;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int train(struct trial *t, const char *directory, struct error *err)
{
    static char train_word[] = "train", run_flag[] = "--run";
    char self[PATH_BYTES], config[PATH_BYTES + 16], run[PATH_BYTES + 16], seed[32];
    char overrides[MAX_ARGUMENTS][64];
    char *argv[MAX_ARGUMENTS + 8] = { self, train_word, config, run_flag, run, seed };
    int n = 6, k = 0;
    int rc = program_self(self, sizeof(self), err);
    snprintf(config, sizeof(config), "%s/config.yaml", directory);
    snprintf(run, sizeof(run), "%s/run", directory);
    snprintf(seed, sizeof(seed), "seed=%d", t->seed);
    for (; t->subject->overrides[k]; k++) {
        snprintf(overrides[k], sizeof(overrides[k]), "%s", t->subject->overrides[k]);
        argv[n++] = overrides[k];
    }
    if (rc == 0)
        rc = write_configuration(config, t->subject->configuration, err);
    if (rc != 0)
        return rc;
    const int status = call(argv);
    if (status != 0)
        return error_set(err, ERR_TEMPORARY, "shoal bench: the training \"%s\" with seed %d ended with status %d; "
                         "try a training by itself: shoal train", t->subject->name, t->seed, status);
    t->has_stopped = has_stopped(directory);
    return 0;
}

/* A whole training is a window. */
static int run_trial(void *context, struct bench_window *w, struct error *err)
{
    char directory[PATH_BYTES];
    int rc = file_make_temporary("shoal-bench", directory, sizeof(directory), err);
    if (rc != 0)
        return rc;
    rc = train(context, directory, err);
    w->units += 1;
    (void)file_remove(directory);
    return rc;
}

/* ---- groups ---- */

/* A window shorter than any training: one training each. */
static const double one_training_s = 1e-3;

int bench_speed(struct bench *b, struct error *err)
{
    static const char *const columns[] = { "2 actors" };
    static const struct bench_table table = {
        .group = "speed", .title = "shoal train from start to end, 200 000 transitions, all cores",
        .unit = "transitions/s", .columns = columns, .n_columns = 1
    };
    const struct bench_plan plan = { one_training_s, SPEED_ROUNDS, 1, BENCH_MACHINE };
    struct trial trial = { .subject = &speed, .seed = 1 };
    const struct bench_work work = { run_trial, &trial, -1 };
    struct bench_result r;
    if (!bench_wants(b, speed.name))
        return 0;
    bench_begin_table(b, &table);
    bench_begin_row(b, speed.name);
    int rc = bench_measure(&plan, &work, 1, &r, err);
    if (rc == 0) {
        r.median *= SPEED_STEPS;
        r.min *= SPEED_STEPS;
        r.max *= SPEED_STEPS;
        bench_cell(b, &r, (double)NAN);
    }
    bench_end_row(b);
    return rc;
}

/* Seconds of every seed; infinite where the threshold was not reached. */
static int measure_threshold(struct bench *b, const struct training_case *c, struct error *err)
{
    const struct bench_plan plan = { one_training_s, 1, 1, BENCH_MACHINE };
    double seconds[MAX_SEEDS];
    int n_rejected = 0, rc = 0;
    bool is_disturbed = false;
    for (int i = 0; i < c->n_seeds && rc == 0; i++) {
        struct trial trial = { .subject = c, .seed = i + 1 };
        const struct bench_work work = { run_trial, &trial, -1 };
        struct bench_result r;
        rc = bench_measure(&plan, &work, 1, &r, err);
        seconds[i] = trial.has_stopped ? 1 / r.median : (double)INFINITY;
        n_rejected += r.n_rejected;
        is_disturbed |= r.is_disturbed;
    }
    if (rc == 0) {
        struct bench_result r = bench_of(seconds, c->n_seeds);
        r.n_rejected = n_rejected;
        r.is_disturbed = is_disturbed;
        bench_cell(b, &r, (double)NAN);
    }
    return rc;
}

int bench_threshold(struct bench *b, struct error *err)
{
    static const char *const columns[] = { "InvertedPendulum-v5" };
    static const struct bench_table table = {
        .group = "threshold", .title = "shoal train until three evaluations in a row reach 950, median of seeds",
        .unit = "s", .columns = columns, .n_columns = 1
    };
    int rc = 0;
    bench_begin_table(b, &table);
    for (int i = 0; i < N_THRESHOLDS && rc == 0; i++) {
        if (!bench_wants(b, thresholds[i].name) || (thresholds[i].needs_bf16 && !kernels_best(PRECISION_BF16)))
            continue;
        bench_begin_row(b, thresholds[i].name);
        rc = measure_threshold(b, &thresholds[i], err);
        bench_end_row(b);
    }
    return rc;
}
