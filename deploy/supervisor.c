#include "deploy/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/arena.h"
#include "deploy/console.h"
#include "deploy/guard.h"
#include "deploy/notes.h"
#include "deploy/program.h"
#include "deploy/run.h"

enum { FIRST_PAUSE_US = 500000, LONGEST_PAUSE_US = 10000000, STEADY_US = 30000000,
       MAX_RESTARTS_IN_A_ROW = 5, GRACE_US = 20000000, ORPHANS_US = 1000000,
       MAX_ARGS = 512 };

struct child {
    char name[32];
    pid_t pid;                  /* 0: not running */
    int64_t started_us, start_at_us;
    int64_t pause_us;
    int failures;               /* in a row */
    bool is_done;               /* ended for good */
};

struct supervisor {
    const struct supervisor_options *options;
    char self[4096];
    char endpoint[256];         /* where the learner listens; "" until it said so */
    int snapshot_port;
    int report;                 /* reading end of the learner's pipe, or -1 */
    int notes[2];               /* the pipe that the actors share */
    struct notes_reader reader;
    sigset_t old_mask;
    struct child learner;
    struct child *actors;       /* [n_actors] */
    bool is_stopping, was_cut_short;
    bool has_run;               /* the learner once reached its run directory */
    int64_t stop_by_us;
    int status;                 /* of the learner when it ended for good */
    int actor_status;           /* of an actor that will not come back */
};

static void say(const struct supervisor *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A line for people and for the log. */
static void say(const struct supervisor *s, const char *format, ...)
{
    char line[640];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    console_say("%s", line);
    if (s->has_run)
        run_append_log(s->options->run, line);
}

/* Start `argv` as a child that dies with us, in a process group of its own so that Ctrl-C reaches
 * only the supervisor. It inherits `inherited_fd`, if that is not -1. Returns 0 when the system has no
 * room for one. */
static pid_t spawn(struct supervisor *s, char *const argv[], int inherited_fd)
{
    pid_t parent = getpid();
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        console_say("cannot start %s: %s; trying again", argv[1], strerror(errno));
    if (pid != 0)
        return pid > 0 ? pid : 0;
    setpgid(0, 0);
    program_die_with_parent();
    if (getppid() != parent)
        _exit(1);
    if (inherited_fd >= 0)
        fcntl(inherited_fd, F_SETFD, 0);
    sigprocmask(SIG_SETMASK, &s->old_mask, NULL);
    execv(s->self, argv);
    fprintf(stderr, "shoal: cannot start %s: %s\n", s->self, strerror(errno));
    _exit(71);
}

static void start_learner(struct supervisor *s)
{
    const struct supervisor_options *o = s->options;
    const char *argv[MAX_ARGS];
    char fd[16], port[16];
    int n = 0, ends[2];
    /* A restarted learner may have been killed after it made the run and before it said so. */
    bool resume = o->resume || s->has_run || (s->learner.failures > 0 && run_exists(o->run));
    if (pipe2(ends, O_CLOEXEC) != 0)
        return;
    snprintf(fd, sizeof(fd), "%d", ends[1]);
    snprintf(port, sizeof(port), "%d", s->snapshot_port);
    argv[n++] = "shoal";
    argv[n++] = "learner";
    if (resume) {
        argv[n++] = "--resume";
        argv[n++] = o->run;
    } else {
        argv[n++] = o->config;
        for (int i = 0; i < o->n_overrides && n < MAX_ARGS - 16; i++)
            argv[n++] = o->overrides[i];
        argv[n++] = "--run";
        argv[n++] = o->run;
    }
    /* After a restart the learner listens where the actors already look for it. */
    argv[n++] = "--bind";
    argv[n++] = s->endpoint[0] ? s->endpoint : "tcp://127.0.0.1:*";
    argv[n++] = "--snapshot-port";
    argv[n++] = port;
    argv[n++] = "--report-fd";
    argv[n++] = fd;
    argv[n] = NULL;
    /* execv does not change what it is given. */
    char *copy[MAX_ARGS];
    memcpy(copy, argv, sizeof(copy));
    s->learner.pid = spawn(s, copy, ends[1]);
    s->learner.started_us = program_now_us();
    s->learner.start_at_us = s->learner.started_us + FIRST_PAUSE_US;
    close(ends[1]);
    if (s->report >= 0)
        close(s->report);
    s->report = ends[0];
}

static void start_actor(struct supervisor *s, struct child *actor)
{
    char fd[16];
    const char *const argv[] = { "shoal", "actor", "--learner", s->endpoint, "--name", actor->name,
                                 "--supervised", "--notes-fd", fd, NULL };
    snprintf(fd, sizeof(fd), "%d", s->notes[1]);
    char *copy[sizeof(argv) / sizeof(*argv)];
    memcpy(copy, argv, sizeof(argv));
    actor->pid = spawn(s, copy, s->notes[1]);
    actor->started_us = program_now_us();
    actor->start_at_us = actor->started_us + FIRST_PAUSE_US;
}

/* The learner tells its endpoint; the actors can start. */
static void read_report(struct supervisor *s)
{
    char text[256];
    ssize_t n = read(s->report, text, sizeof(text) - 1);
    close(s->report);
    s->report = -1;
    if (n <= 0)
        return;
    text[n] = '\0';
    if (sscanf(text, "%255s %d", s->endpoint, &s->snapshot_port) == 2)
        s->has_run = true;
}

/* What the actors say. One that has sent something did not die at once. */
static void read_notes(struct supervisor *s)
{
    const char *note;
    while ((note = notes_read(&s->reader, s->notes[0]))) {
        if (note[0] == NOTE_TROUBLE)
            say(s, "%s", note + 1);
        for (int i = 0; note[0] == NOTE_PROGRESS && i < s->options->n_actors; i++)
            if (strcmp(s->actors[i].name, note + 1) == 0)
                s->actors[i].failures = 0;
    }
}

static void describe(int status, char *out, size_t bytes)
{
    if (WIFSIGNALED(status))
        snprintf(out, bytes, "was killed by signal %d (%s)", WTERMSIG(status),
                 strsignal(WTERMSIG(status)));
    else
        snprintf(out, bytes, "ended with status %d", WEXITSTATUS(status));
}

/* Statuses after which trying again would only say the same. */
static bool is_final(int status)
{
    if (!WIFEXITED(status))
        return false;
    switch (WEXITSTATUS(status)) {
    case 0: case 64: case 65: case 70: case 78: case 130:
        return true;
    default:
        return false;
    }
}

static void schedule_restart(struct supervisor *s, struct child *c, int status)
{
    char how[96];
    int64_t now_us = program_now_us();
    bool is_hung = WIFEXITED(status) && WEXITSTATUS(status) == GUARD_STATUS;
    if (now_us - c->started_us > STEADY_US && !is_hung)
        c->failures = 0;
    c->pause_us = c->failures == 0 ? FIRST_PAUSE_US : 2 * c->pause_us;
    if (c->pause_us > LONGEST_PAUSE_US)
        c->pause_us = LONGEST_PAUSE_US;
    c->failures++;
    c->start_at_us = now_us + c->pause_us;
    describe(status, how, sizeof(how));
    if (c->failures > MAX_RESTARTS_IN_A_ROW) {
        bool is_learner = c == &s->learner;
        say(s, "%s %s, %d times in a row%s; giving up", c->name, how, c->failures,
            is_learner ? "" : " before it had sent anything");
        c->is_done = true;
        if (is_learner)
            s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        else
            s->actor_status = GUARD_STATUS;
        return;
    }
    say(s, "%s %s; starting it again in %.1f s", c->name, how, (double)c->pause_us * 1e-6);
}

static void on_child(struct supervisor *s, pid_t pid, int status)
{
    if (pid == s->learner.pid) {
        s->learner.pid = 0;
        if (is_final(status) || s->is_stopping || (!s->has_run && WIFEXITED(status))) {
            s->learner.is_done = true;
            s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        } else {
            schedule_restart(s, &s->learner, status);
        }
        return;
    }
    for (int i = 0; i < s->options->n_actors; i++) {
        struct child *a = &s->actors[i];
        if (pid != a->pid)
            continue;
        a->pid = 0;
        read_notes(s);    /* its last words */
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            /* Drained. A learner that dies before it has saved needs it again; one that lives sends
             * it away again. */
            a->start_at_us = program_now_us() + LONGEST_PAUSE_US;
        } else if (is_final(status)) {
            a->is_done = true;
            s->actor_status = WEXITSTATUS(status);
        } else if (!s->is_stopping && !s->learner.is_done) {
            schedule_restart(s, a, status);
        }
    }
}

static void reap(struct supervisor *s)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        on_child(s, pid, status);
}

static void kill_all(struct supervisor *s, int signal_number)
{
    if (s->learner.pid > 0)
        kill(s->learner.pid, signal_number);
    for (int i = 0; i < s->options->n_actors; i++)
        if (s->actors[i].pid > 0)
            kill(s->actors[i].pid, signal_number);
}

static bool any_running(const struct supervisor *s)
{
    bool any = s->learner.pid > 0;
    for (int i = 0; i < s->options->n_actors; i++)
        any |= s->actors[i].pid > 0;
    return any;
}

/* First request: the learner saves and drains. Then Ctrl-C ends everything; other signals do not,
 * as a terminal that closes and a service manager may well send theirs twice. */
static void on_stop(struct supervisor *s, bool is_ctrl_c)
{
    if (s->is_stopping && !is_ctrl_c)
        return;
    if (s->is_stopping) {
        kill_all(s, SIGKILL);
        s->was_cut_short = true;
        console_say("stopped at once; what came after the last checkpoint is lost");
        return;
    }
    s->is_stopping = true;
    s->stop_by_us = program_now_us() + GRACE_US;
    if (s->learner.pid > 0) {
        console_say("stopping: the learner writes a checkpoint (once more: stop at once)");
        kill(s->learner.pid, SIGTERM);
    } else {
        char word[RUN_PATH_BYTES + 8];
        run_shell_word(s->options->run, word, sizeof(word));
        console_say("interrupted; go on with: shoal train --resume %s", word);
        s->learner.is_done = true;
        s->status = error_exit_status(ERR_INTERRUPTED);
        kill_all(s, SIGTERM);    /* nobody else tells the actors */
    }
}

/* Ctrl-Z: everybody sleeps until we are continued. */
static void suspend(struct supervisor *s)
{
    kill_all(s, SIGSTOP);
    kill(getpid(), SIGSTOP);
    kill_all(s, SIGCONT);
}

static void start_what_is_due(struct supervisor *s)
{
    int64_t now_us = program_now_us();
    if (s->is_stopping || s->learner.is_done)
        return;
    if (s->learner.pid == 0 && now_us >= s->learner.start_at_us)
        start_learner(s);
    bool all_gone = s->options->n_actors > 0;
    for (int i = 0; i < s->options->n_actors; i++) {
        struct child *a = &s->actors[i];
        if (s->endpoint[0] && a->pid == 0 && !a->is_done && now_us >= a->start_at_us)
            start_actor(s, a);
        all_gone &= a->is_done;
    }
    if (all_gone && s->actor_status) {
        say(s, "no actor can run (status %d): stopping", s->actor_status);
        on_stop(s, false);
        s->status = s->actor_status;
    }
}

/* The learner has ended: the actors were drained and leave; who does not is made to. */
static void end_actors(struct supervisor *s)
{
    int64_t until = program_now_us() + 3000000;
    while (any_running(s) && program_now_us() < until) {
        reap(s);
        program_sleep_us(5000);
    }
    kill_all(s, SIGKILL);
    while (any_running(s)) {
        reap(s);
        program_sleep_us(2000);
    }
    /* What a killed learner had started is dying with it. */
    until = program_now_us() + ORPHANS_US;
    while (waitpid(-1, NULL, WNOHANG) >= 0 && program_now_us() < until)
        program_sleep_us(2000);
}

int supervisor_run(const struct supervisor_options *o, struct error *err)
{
    struct supervisor s = { .options = o, .report = -1, .learner = { .name = "learner" } };
    sigset_t watched;
    int rc = program_self(s.self, sizeof(s.self), err);
    if (rc != 0)
        return rc;
    s.actors = memory_alloc((size_t)o->n_actors, sizeof(*s.actors));
    for (int i = 0; i < o->n_actors; i++)
        snprintf(s.actors[i].name, sizeof(s.actors[i].name), "actor-%d", i);
    if (pipe2(s.notes, O_CLOEXEC | O_NONBLOCK) != 0) {
        free(s.actors);
        return error_errno(err, "cannot make a pipe");
    }
    program_adopt_orphans();
    sigemptyset(&watched);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGHUP);
    sigaddset(&watched, SIGTSTP);
    sigaddset(&watched, SIGCHLD);
    sigprocmask(SIG_BLOCK, &watched, &s.old_mask);
    int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);

    while (!s.learner.is_done) {
        start_what_is_due(&s);
        struct pollfd polled[3] = { { .fd = signals, .events = POLLIN },
                                    { .fd = s.report, .events = POLLIN },
                                    { .fd = s.notes[0], .events = POLLIN } };
        poll(polled, 3, 100);
        struct signalfd_siginfo info;
        while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
            if (info.ssi_signo == SIGTSTP)
                suspend(&s);
            else if (info.ssi_signo != SIGCHLD)
                on_stop(&s, info.ssi_signo == SIGINT);
        if (s.report >= 0 && polled[1].revents)
            read_report(&s);
        read_notes(&s);
        reap(&s);
        if (s.is_stopping && !s.was_cut_short && program_now_us() > s.stop_by_us) {
            console_say("the learner did not end within %d s: stopped at once; what came after the "
                        "last checkpoint is lost", GRACE_US / 1000000);
            kill_all(&s, SIGKILL);
            s.was_cut_short = true;
        }
    }
    end_actors(&s);
    close(signals);
    close(s.notes[0]);
    close(s.notes[1]);
    if (s.report >= 0)
        close(s.report);
    sigprocmask(SIG_SETMASK, &s.old_mask, NULL);
    free(s.actors);
    if (s.was_cut_short)
        return error_exit_status(ERR_INTERRUPTED);
    return s.actor_status && s.status == 130 ? s.actor_status : s.status;
}
