#include "deploy/player.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/matrix.h"
#include "deploy/guard.h"
#include "deploy/program.h"

enum {
    CHILD_FD = 3, POLL_MS = 50,
    SILENCE_US = 30000000,          /* the process beats every second unless it is stuck */
    LEAVE_US = 1000000, PATH_BYTES = 4096, ENV_PATH_BYTES = 16384
};

/* What the process is told first. */
struct opening {
    char environment[ENV_NAME_BYTES], options[ENV_OPTIONS_LINE_BYTES];
    char models_dir[PATH_BYTES], env_path[ENV_PATH_BYTES], spec[ENV_SPEC_HASH_BYTES];
    struct policy_shape shape;
    int episodes;
    uint64_t seed;
    int64_t timeout_ms;
};

/* Behind it comes, for every evaluation, an int64_t number and the parameters. What it says. */
struct reply {
    enum { REPLY_ALIVE, REPLY_RESULT, REPLY_PROBLEM } kind;
    struct evaluation result;
    char text[480];                 /* of a problem */
};

struct player {
    struct player_setup setup;
    size_t params_bytes;
    char self[PATH_BYTES];
    pid_t pid;                      /* 0: not running */
    int fd;
    char problem[480];              /* the last words of the process */
};

/* ---- the learner's side ---- */

struct player *player_create(const struct player_setup *setup)
{
    struct player *p = memory_alloc(1, sizeof(*p));
    p->setup = *setup;
    p->params_bytes = policy_n_params(&setup->shape) * sizeof(float);
    p->fd = -1;
    return p;
}

/* Kill the process unless it has ended; how it ended. */
static int end(struct player *p)
{
    int status = 0;
    close(p->fd);
    kill(p->pid, SIGKILL);
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
        ;
    p->pid = 0;
    p->fd = -1;
    return status;
}

void player_destroy(struct player **player)
{
    struct player *p = *player;
    if (!p)
        return;
    if (p->pid > 0) {
        /* It leaves when nobody is at the other end; a pid that is gone stays ours until it is waited
         * for, so that `end` kills nobody else. */
        siginfo_t gone = { 0 };
        int64_t until = program_now_us() + LEAVE_US;
        shutdown(p->fd, SHUT_RDWR);
        while (waitid(P_PID, (id_t)p->pid, &gone, WEXITED | WNOHANG | WNOWAIT) == 0
               && gone.si_pid == 0 && program_now_us() < until)
            program_sleep_us(1000);
        end(p);
    }
    free(p);
    *player = NULL;
}

/* Become the process. Between fork and exec only what a signal handler may do. */
static void become(struct player *p, pid_t parent, int fd)
{
    char *const argv[] = { "shoal", "evaluator", "--fd", "3", NULL };
    sigset_t none;
    setpgid(0, 0);
    program_die_with_parent();
    if (getppid() != parent)
        _exit(1);
    dup2(fd, CHILD_FD);
    fcntl(CHILD_FD, F_SETFD, 0);
    close_range(CHILD_FD + 1, ~0U, 0);
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
    execv(p->self, argv);
    _exit(71);
}

static int start(struct player *p, struct error *err)
{
    int ends[2];
    int rc = program_self(p->self, sizeof(p->self), err);
    if (rc != 0)
        return rc;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return error_errno(err, "cannot talk to a process for evaluations");
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become(p, parent, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return error_errno(err, "cannot start a process for evaluations");
    }
    p->pid = pid;
    p->fd = ends[0];
    return 0;
}

static bool must_stop(const struct player *p)
{
    return p->setup.stop(p->setup.context) != 0;
}

/* Send all of it, for as long as the process takes something. That it died shows when it is
 * listened to. */
static void send_all(struct player *p, const void *data, size_t bytes)
{
    const char *at = data;
    int64_t silent_ms = 0;
    while (bytes > 0 && silent_ms * 1000 < SILENCE_US && !must_stop(p)) {
        ssize_t n = send(p->fd, at, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return;
        if (n > 0) {
            at += n;
            bytes -= (size_t)n;
            silent_ms = 0;
            continue;
        }
        struct pollfd polled = { .fd = p->fd, .events = POLLOUT };
        if (poll(&polled, 1, POLL_MS) == 0)
            silent_ms += POLL_MS;
    }
}

static void send_opening(struct player *p)
{
    struct opening *o = memory_alloc(1, sizeof(*o));
    const struct env_setup *env = p->setup.env;
    snprintf(o->environment, sizeof(o->environment), "%s", env->name);
    snprintf(o->options, sizeof(o->options), "%s", env->options ? env->options : "");
    snprintf(o->models_dir, sizeof(o->models_dir), "%s", env->models_dir ? env->models_dir : "");
    snprintf(o->env_path, sizeof(o->env_path), "%s", env->env_path ? env->env_path : "");
    env_spec_hash(p->setup.spec, o->spec);
    o->shape = p->setup.shape;
    o->episodes = p->setup.episodes;
    o->seed = p->setup.seed;
    o->timeout_ms = p->setup.timeout_ms;
    send_all(p, o, sizeof(*o));
    free(o);
}

/* The next reply. Returns 0, ERR_AGAIN when none came for a while, or ERR_IO: nobody is there. */
static int receive(struct player *p, struct reply *r, size_t *n)
{
    struct pollfd polled = { .fd = p->fd, .events = POLLIN };
    if (poll(&polled, 1, POLL_MS) <= 0)
        return ERR_AGAIN;
    ssize_t got = recv(p->fd, (char *)r + *n, sizeof(*r) - *n, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return ERR_AGAIN;
    if (got <= 0)
        return ERR_IO;
    *n += (size_t)got;
    if (*n < sizeof(*r))
        return ERR_AGAIN;
    *n = 0;
    return 0;
}

/* Wait for the result. Returns 0, ERR_INTERRUPTED, ERR_IO when the process is gone, ERR_LIMIT when it
 * says nothing any more. Silence is counted in polls: being stopped ourselves is none. */
static int await(struct player *p, struct evaluation *out)
{
    struct reply r;
    size_t n = 0;
    int64_t silent_ms = 0;
    while (silent_ms * 1000 < SILENCE_US) {
        if (must_stop(p))
            return ERR_INTERRUPTED;
        int rc = receive(p, &r, &n);
        silent_ms = rc == ERR_AGAIN ? silent_ms + POLL_MS : 0;
        if (rc == ERR_IO)
            return rc;
        if (rc == ERR_AGAIN || r.kind == REPLY_ALIVE)
            continue;
        if (r.kind == REPLY_PROBLEM) {
            snprintf(p->problem, sizeof(p->problem), "%.*s", (int)sizeof(r.text), r.text);
            continue;
        }
        *out = r.result;
        return 0;
    }
    return ERR_LIMIT;
}

/* What became of the process, for people. */
static int fail(struct player *p, int rc, int status, struct error *err)
{
    const char *name = p->setup.spec->name;
    if (rc == ERR_INTERRUPTED)
        return error_set(err, rc, "interrupted");
    if (p->problem[0])
        return error_set(err, ERR_TEMPORARY, "%s", p->problem);
    if (rc == ERR_LIMIT)
        return error_set(err, ERR_TEMPORARY, "the process that plays environment %s said nothing for "
                         "%d s", name, SILENCE_US / 1000000);
    if (WIFSIGNALED(status))
        return error_set(err, ERR_TEMPORARY, "the process that plays environment %s was killed by "
                         "signal %d (%s)", name, WTERMSIG(status), strsignal(WTERMSIG(status)));
    return error_set(err, ERR_TEMPORARY, "the process that plays environment %s ended with status %d",
                     name, WEXITSTATUS(status));
}

int player_play(struct player *p, const float *params, int64_t number, struct evaluation *out,
                struct error *err)
{
    p->problem[0] = '\0';
    if (p->pid == 0) {
        int rc = start(p, err);
        if (rc != 0)
            return rc;
        send_opening(p);
    }
    send_all(p, &number, sizeof(number));
    send_all(p, params, p->params_bytes);
    int rc = await(p, out);
    return rc == 0 ? 0 : fail(p, rc, end(p), err);
}

/* ---- the process ---- */

static int learner_fd;    /* for callbacks without a context; one player per process */

static void say(const struct reply *r)
{
    /* Small enough to pass whole, whichever thread sends; a learner that is gone ends us elsewhere. */
    (void)!send(learner_fd, r, sizeof(*r), MSG_NOSIGNAL);
}

static void tell(const char *line, size_t n)
{
    struct reply r = { .kind = REPLY_PROBLEM };
    memcpy(r.text, line, n < sizeof(r.text) ? n : sizeof(r.text) - 1);
    say(&r);
}

static void beat(void)
{
    const struct reply r = { .kind = REPLY_ALIVE };
    say(&r);
}

/* Returns false when the learner is gone. */
static bool receive_all(void *data, size_t bytes)
{
    char *at = data;
    while (bytes > 0) {
        ssize_t n = recv(learner_fd, at, bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        bytes -= (size_t)n;
    }
    return true;
}

static int open_env(struct env_model **model, const struct opening *o, struct watch *w,
                    struct error *err)
{
    char hash[ENV_SPEC_HASH_BYTES];
    const struct env_setup setup = { o->environment, o->options, o->models_dir, o->env_path };
    watch_enter(w, WATCH_OPENING, 0, 0);
    int rc = env_open(model, &setup, err);
    watch_leave(w);
    if (rc != 0)
        return rc;
    env_spec_hash(env_spec(*model), hash);
    return strcmp(hash, o->spec) == 0 ? 0
         : error_set(err, ERR_CONFIG, "environment %s is not what it was when the learner started: its "
                     "specification has changed", o->environment);
}

static void play_all(const struct opening *o, const struct env_model *model, struct watch *w)
{
    struct reply r = { .kind = REPLY_RESULT };
    int64_t number;
    size_t n_params = policy_n_params(&o->shape);
    float *params = memory_alloc(n_params, sizeof(*params));
    watch_enter(w, WATCH_CREATING, 0, 0);
    struct evaluator *evaluator = evaluator_create(model, &o->shape, o->episodes);
    watch_leave(w);
    evaluator_watch(evaluator, w);
    while (receive_all(&number, sizeof(number))
           && receive_all(params, n_params * sizeof(*params))) {
        evaluator_play(evaluator, params, o->seed, number, &r.result, NULL, NULL);
        say(&r);
    }
    evaluator_destroy(&evaluator);
    free(params);
}

int player_serve(int fd, struct error *err)
{
    static struct watch watch;
    const struct guard guard = { .who = "the evaluator", .place = "episode", .watch = &watch,
                                 .tell = tell, .beat = beat };
    struct opening *o = memory_alloc(1, sizeof(*o));
    struct env_model *model = NULL;
    int rc = 0;
    learner_fd = fd;
    matrix_setup();
    if (!receive_all(o, sizeof(*o)))
        goto out;
    watch_begin(&watch, o->environment, o->timeout_ms);
    rc = guard_begin(&guard, err);
    if (rc != 0)
        goto out;
    rc = open_env(&model, o, &watch, err);
    if (rc == 0)
        play_all(o, model, &watch);
    else
        tell(err->text, strlen(err->text));
    env_close(&model);
    guard_end();
out:
    free(o);
    return rc;
}
