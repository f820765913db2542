#include "deploy/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/thread.h"
#include "deploy/program.h"

enum { LINE_BYTES = 480, STACK_BYTES = 65536, LOOK_US = 100000, BEAT_US = 1000000 };

static const struct {
    int number;
    const char *name;
} crashes[] = {
    { SIGSEGV, "SIGSEGV, a bad address" }, { SIGBUS, "SIGBUS, a bad address" },
    { SIGFPE, "SIGFPE, bad arithmetic" }, { SIGILL, "SIGILL, a bad instruction" },
    { SIGABRT, "SIGABRT, an abort" },
};
enum { N_CRASHES = sizeof(crashes) / sizeof(*crashes) };

static const struct guard *guard;
static struct sigaction before[N_CRASHES];
static unsigned char stack[STACK_BYTES];
static pthread_t looker;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake;
static bool must_stop;

/* ---- lines, put together with nothing that a signal handler may not call ---- */

struct line {
    char text[LINE_BYTES];
    size_t n;
};

static void add(struct line *l, const char *text)
{
    while (*text && l->n < sizeof(l->text))
        l->text[l->n++] = *text++;
}

static void add_number(struct line *l, int64_t x)
{
    char digits[24];
    size_t n = sizeof(digits);
    digits[--n] = '\0';
    uint64_t rest = x < 0 ? -(uint64_t)x : (uint64_t)x;
    do
        digits[--n] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (x < 0)
        digits[--n] = '-';
    add(l, digits + n);
}

/* "stepping environment X: stream 3, step 41 of its episode, after 1041 transitions of this process" */
static void add_place(struct line *l)
{
    static const char *const words[N_WATCH_CALLS] = {
#define X(name, word) [WATCH_##name] = word,
        WATCH_CALLS(X)
#undef X
    };
    const struct watch *w = guard->watch;
    int call = atomic_load_explicit(&w->call, memory_order_relaxed);
    add(l, words[call]);
    add(l, " environment ");
    add(l, w->environment);
    if (call != WATCH_OPENING) {
        add(l, ": ");
        add(l, guard->place);
        add(l, " ");
        add_number(l, atomic_load_explicit(&w->place, memory_order_relaxed));
        add(l, ", step ");
        add_number(l, atomic_load_explicit(&w->step, memory_order_relaxed));
        add(l, " of its episode");
    }
    add(l, ", after ");
    add_number(l, atomic_load_explicit(&w->transitions, memory_order_relaxed));
    add(l, " transitions of this process");
}

/* ---- crashes ---- */

static void on_crash(int number, siginfo_t *info, void *context)
{
    (void)context;
    int saved = errno, i = 0;
    struct line l = { .n = 0 };
    while (i < N_CRASHES - 1 && crashes[i].number != number)
        i++;
    /* What comes next, from here or from another thread, takes its course. */
    sigaction(number, &before[i], NULL);
    uint64_t turns = atomic_load_explicit(&guard->watch->turns, memory_order_relaxed);
    add(&l, guard->who);
    add(&l, ": crashed with signal ");
    add_number(&l, number);
    add(&l, " (");
    add(&l, crashes[i].name);
    add(&l, turns % 2 ? ") while " : turns ? ") outside of its environment; the last call was " : ")");
    if (turns)
        add_place(&l);
    guard->tell(l.text, l.n);
    errno = saved;
    /* A fault comes again when we return; what was sent does not. */
    if (info->si_code <= 0)
        raise(number);
}

static void catch_crashes(void)
{
    const stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
    struct sigaction action = { .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaltstack(&alternate, NULL);
    for (int i = 0; i < N_CRASHES; i++)
        sigaction(crashes[i].number, &action, &before[i]);
}

static void release_crashes(void)
{
    const stack_t none = { .ss_flags = SS_DISABLE };
    for (int i = 0; i < N_CRASHES; i++)
        sigaction(crashes[i].number, &before[i], NULL);
    sigaltstack(&none, NULL);
}

/* ---- exits and hangs ---- */

/* exit() was called, by an environment if we are inside of one. */
static void on_exit_call(void)
{
    struct line l = { .n = 0 };
    if (!guard || atomic_load_explicit(&guard->watch->turns, memory_order_relaxed) % 2 == 0)
        return;
    add(&l, guard->who);
    add(&l, ": exit() was called while ");
    add_place(&l);
    guard->tell(l.text, l.n);
    _exit(GUARD_STATUS);
}

static void give_up(int64_t stuck_ms)
{
    struct line l = { .n = 0 };
    add(&l, guard->who);
    add(&l, ": no answer for ");
    add_number(&l, stuck_ms / 1000);
    add(&l, ".");
    add_number(&l, stuck_ms % 1000 / 100);
    add(&l, " s while ");
    add_place(&l);
    add(&l, "; this process ends");
    guard->tell(l.text, l.n);
    _exit(GUARD_STATUS);
}

/* Time is counted in looks, so that a process that was stopped meanwhile did not hang. */
static void *look(void *unused)
{
    const struct watch *w = guard->watch;
    uint64_t seen = 0;
    int64_t stuck_us = 0, beat_us = 0, last_us = program_now_us();
    (void)unused;
    pthread_mutex_lock(&mutex);
    while (!must_stop) {
        const struct timespec until = thread_deadline(LOOK_US / 1000);
        pthread_cond_timedwait(&wake, &mutex, &until);
        int64_t now_us = program_now_us(), passed_us = now_us - last_us;
        uint64_t turns = atomic_load_explicit(&w->turns, memory_order_acquire);
        int64_t limit_ms = atomic_load_explicit(&w->limit_ms, memory_order_relaxed);
        last_us = now_us;
        passed_us = passed_us < 2 * LOOK_US ? passed_us : 2 * LOOK_US;
        stuck_us = turns % 2 && turns == seen ? stuck_us + passed_us : 0;
        seen = turns;
        if (limit_ms > 0 && stuck_us > limit_ms * 1000)
            give_up(stuck_us / 1000);
        beat_us += passed_us;
        if (guard->beat && beat_us >= BEAT_US) {
            guard->beat();
            beat_us = 0;
        }
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

int guard_begin(const struct guard *g, struct error *err)
{
    guard = g;
    must_stop = false;
    thread_condition_init(&wake);
    int rc = thread_begin(&looker, look, NULL, err);
    if (rc != 0)
        return rc;
    catch_crashes();
    atexit(on_exit_call);
    return 0;
}

void guard_end(void)
{
    release_crashes();
    pthread_mutex_lock(&mutex);
    must_stop = true;
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&mutex);
    pthread_join(looker, NULL);
    pthread_cond_destroy(&wake);
    guard = NULL;
}
