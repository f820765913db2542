#include "deploy/study_run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "deploy/console.h"
#include "deploy/program.h"
#include "deploy/study_progress.h"

enum { MAX_FAILURES = 2, GRACE_US = 40000000, ORPHANS_US = 1000000, STATUS_DIVERGED = 70,
       SAID_BYTES = RUN_PATH_BYTES + 512 };

struct session {
    struct cells *cells;
    const struct study_run_options *options;
    struct study_progress progress;
    char self[4096];
    sigset_t old_mask;
    bool is_stopping, was_cut_short;
    int64_t stop_by_us;
};

/* ---- starting ---- */

/* What a cell is told: a new run, or to go on with one. A simulation begins again, and comes to the same. */
static void make_command(const struct session *s, struct cell *cell, const char *argv[8], char *config, char *run,
                         size_t bytes)
{
    const bool is_simulated = s->options->runner == STUDY_SIMULATE;
    int n = 0;
    cell_path(cell, s->options->dir, "configs", ".yaml", config, bytes);
    cell_path(cell, s->options->dir, "runs", "", run, bytes);
    if (is_simulated && cell->state == CELL_INTERRUPTED && file_remove(run))
        cell->state = CELL_NEW;
    argv[n++] = "shoal";
    argv[n++] = is_simulated ? "simulate" : "train";
    if (cell->state == CELL_INTERRUPTED) {
        argv[n++] = "--resume";
    } else {
        argv[n++] = config;
        argv[n++] = "--run";
    }
    argv[n++] = run;
    argv[n] = NULL;
}

/* The child's half of fork: nothing to read, everything said goes to a file, and it dies with us. Its process group
 * is its own, so that Ctrl-C reaches only us. */
static void become(const struct session *s, pid_t parent, const char *log, char *const argv[])
{
    setpgid(0, 0);
    program_die_with_parent();
    if (getppid() != parent)
        _exit(1);
    const int in = open("/dev/null", O_RDONLY), out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(74);
    if (in > 2)
        close(in);
    if (out > 2)
        close(out);
    sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
    execv(s->self, argv);
    fprintf(stderr, "shoal: cannot start %s: %s\n", s->self, strerror(errno));
    _exit(71);
}

static void start(struct session *s, struct cell *cell)
{
    char config[RUN_PATH_BYTES + 512], run[sizeof(config)], log[sizeof(config)];
    const char *argv[8];
    const pid_t parent = getpid();
    make_command(s, cell, argv, config, run, sizeof(config));
    cell_path(cell, s->options->dir, "logs", ".txt", log, sizeof(log));
    cell->began_us = program_now_us();
    cell->ended_us = 0;
    cell->began_steps = cell->steps = cell->state == CELL_INTERRUPTED ? cell_steps(cell, s->options->dir) : 0;
    fflush(stdout);
    /* execv does not change what it is given. */
    char *copy[8];
    memcpy(copy, argv, sizeof(copy));
    const pid_t pid = fork();
    if (pid == 0)
        become(s, parent, log, copy);
    if (pid < 0)
        return;    /* no room for one now; it is tried again */
    cell->pid = pid;
    cell->state = CELL_RUNNING;
}

/* The next one to start: those that have failed come last. NULL: none. */
static struct cell *next_cell(const struct session *s)
{
    for (int failures = 0; failures < MAX_FAILURES; failures++)
        for (int i = 0; i < s->cells->n; i++) {
            struct cell *cell = &s->cells->v[i];
            if ((cell->state == CELL_NEW || cell->state == CELL_INTERRUPTED) && cell->failures == failures)
                return cell;
        }
    return NULL;
}

static void start_what_fits(struct session *s)
{
    struct cell *cell;
    for (int n = cells_count(s->cells, CELL_RUNNING); n < s->options->jobs && (cell = next_cell(s)); n++)
        start(s, cell);
}

/* ---- endings ---- */

/* ": " and the last line that a cell said. */
static void last_words(const struct cell *cell, const char *dir, char *out, size_t bytes)
{
    char path[RUN_PATH_BYTES + 512], tail[1024];
    cell_path(cell, dir, "logs", ".txt", path, sizeof(path));
    FILE *fp = fopen(path, "r");
    size_t n = 0;
    if (fp) {
        if (fseek(fp, -(long)(sizeof(tail) - 1), SEEK_END) != 0)
            rewind(fp);
        n = fread(tail, 1, sizeof(tail) - 1, fp);
        fclose(fp);
    }
    tail[n] = '\0';
    while (n > 0 && tail[n - 1] == '\n')
        tail[--n] = '\0';
    const char *line = strrchr(tail, '\n');
    line = line ? line + 1 : tail;
    snprintf(out, bytes, ": %.200s", *line ? line : "it said nothing");
}

static void describe(int status, char *out, size_t bytes)
{
    if (WIFSIGNALED(status))
        snprintf(out, bytes, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, bytes, "ended with status %d", WEXITSTATUS(status));
}

static void say_done(struct session *s, const struct cell *cell)
{
    char took[32], left[48], result[48] = "no evaluation";
    const int64_t now_us = program_now_us();
    const double mean = cell_return(cell, s->options->dir);
    study_format_duration((double)(now_us - cell->began_us) * 1e-6, took, sizeof(took));
    study_format_left(s->cells, s->options->jobs, now_us, left, sizeof(left));
    if (isfinite(mean))
        snprintf(result, sizeof(result), "return %.1f", mean);
    console_say("%*d/%d  %s: %s, in %s%s", study_digits(s->cells->n), cells_count(s->cells, CELL_DONE), s->cells->n,
                cell->name, result, took, left);
}

/* Once more, or not at all. */
static void on_failure(struct session *s, struct cell *cell, int status)
{
    char how[96], words[SAID_BYTES];
    const char *dir = s->options->dir;
    const bool has_diverged = cell->state == CELL_FAILED
                              || (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_DIVERGED);
    describe(status, how, sizeof(how));
    snprintf(words, sizeof(words), "; %s/logs/%s.txt", dir, cell->name);
    if (WIFEXITED(status))
        last_words(cell, dir, words, sizeof(words));
    cell->failures++;
    if (has_diverged || cell->failures >= MAX_FAILURES)
        cell->state = CELL_FAILED;
    console_say("%s %s%s%s", cell->name, how, cell->state != CELL_FAILED ? ", and is tried once more behind the others"
                : has_diverged ? "" : ", again, and is left out", words);
}

static void on_end(struct session *s, struct cell *cell, int status)
{
    cell->pid = 0;
    cell->ended_us = program_now_us();
    cell->state = cell_look(cell, s->options->dir);
    cell->steps = cell_steps(cell, s->options->dir);
    if (cell->state == CELL_DONE)
        say_done(s, cell);
    else if (!s->is_stopping)
        on_failure(s, cell, status);
}

static void reap(struct session *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < s->cells->n; i++)
            if (s->cells->v[i].pid == pid)
                on_end(s, &s->cells->v[i], status);
}

/* ---- signals ---- */

static void tell_all(const struct session *s, int signal_number)
{
    for (int i = 0; i < s->cells->n; i++)
        if (s->cells->v[i].pid > 0)
            kill(s->cells->v[i].pid, signal_number);
}

static void on_stop(struct session *s, bool is_ctrl_c)
{
    const int n = cells_count(s->cells, CELL_RUNNING);
    if (!s->is_stopping) {
        s->is_stopping = true;
        s->stop_by_us = program_now_us() + GRACE_US;
        if (s->options->runner == STUDY_SIMULATE)
            console_say("stopping: what is not finished will begin again (once more: stop at once)");
        else
            console_say("stopping: %d run%s a checkpoint (once more: stop at once)", n, n == 1 ? " writes" : "s write");
        tell_all(s, SIGTERM);
    } else if (is_ctrl_c) {
        console_say("stopped at once; what came after the last checkpoints is lost");
        s->was_cut_short = true;
        tell_all(s, SIGKILL);
    }
}

/* Ctrl-Z: everybody sleeps until we are continued; a child sees to its own children. */
static void suspend(struct session *s)
{
    tell_all(s, SIGTSTP);
    kill(getpid(), SIGSTOP);
    tell_all(s, SIGCONT);
}

static void on_signals(struct session *s, int signals)
{
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        if (info.ssi_signo == SIGTSTP)
            suspend(s);
        else if (info.ssi_signo != SIGCHLD)
            on_stop(s, info.ssi_signo == SIGINT);
}

static int watch_signals(struct session *s)
{
    sigset_t watched;
    const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCHLD };
    sigemptyset(&watched);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        sigaddset(&watched, numbers[i]);
    sigprocmask(SIG_BLOCK, &watched, &s->old_mask);
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- the session ---- */

static bool has_more(const struct session *s)
{
    return cells_count(s->cells, CELL_RUNNING) > 0 || (!s->is_stopping && next_cell(s) != NULL);
}

static void one_turn(struct session *s, int signals)
{
    if (!s->is_stopping)
        start_what_fits(s);
    struct pollfd polled = { .fd = signals, .events = POLLIN };
    poll(&polled, 1, 100);
    on_signals(s, signals);
    reap(s);
    if (s->is_stopping && !s->was_cut_short && program_now_us() > s->stop_by_us) {
        console_say("not all ended within %d s: stopped at once", GRACE_US / 1000000);
        s->was_cut_short = true;
        tell_all(s, SIGKILL);
    }
    study_progress_show(&s->progress, s->cells, s->options->dir, s->options->jobs, program_now_us());
}

int study_run(struct cells *c, const struct study_run_options *o, struct error *err)
{
    struct session s = { .cells = c, .options = o };
    int rc = program_self(s.self, sizeof(s.self), err);
    if (rc != 0)
        return rc;
    program_adopt_orphans();
    const int signals = watch_signals(&s);
    if (signals < 0)
        return error_errno(err, "cannot wait for signals");
    while (has_more(&s))
        one_turn(&s, signals);
    console_live("");
    /* What a killed child had started is dying with it. */
    const int64_t until = program_now_us() + ORPHANS_US;
    while (waitpid(-1, NULL, WNOHANG) >= 0 && program_now_us() < until)
        program_sleep_us(2000);
    close(signals);
    sigprocmask(SIG_SETMASK, &s.old_mask, NULL);
    return s.is_stopping && cells_count(c, CELL_DONE) + cells_count(c, CELL_FAILED) < c->n
               ? error_set(err, ERR_INTERRUPTED, "interrupted") : 0;
}
