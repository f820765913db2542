#include "common/workers.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/thread.h"

/* How often a worker looks for the next piece of work before it sleeps: about 50 microseconds. */
enum { LOOKS = 1000 };

/* The piece of work's number, how many tasks it has and the next one that nobody has taken, in one word: a worker
 * that comes late can neither take a task of the next piece nor hold one number for another. */
enum { TASK_BITS = 20, TASK_MASK = (1 << TASK_BITS) - 1, PIECE_BITS = 24 };

static inline uint64_t ticket_make(uint64_t piece, uint64_t n)
{
    return piece << (2 * TASK_BITS) | n << TASK_BITS;
}

static inline uint32_t ticket_piece(uint64_t ticket)
{
    return (uint32_t)(ticket >> (2 * TASK_BITS));
}

struct workers {
    int n_threads;
    pthread_t threads[WORKERS_MAX];

    /* Of the piece of work at hand; written while nobody works. */
    void (*task)(void *context, int i, int worker);
    void *context;
    _Atomic uint64_t ticket;
    _Atomic int n_left;             /* tasks that are not done */

    _Atomic int n_asleep;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
};

struct start {
    struct workers *workers;
    int number;
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Do tasks of piece `piece` while there are any. */
static void work(struct workers *w, uint32_t piece, int number)
{
    uint64_t ticket = atomic_load_explicit(&w->ticket, memory_order_acquire);
    while (ticket_piece(ticket) == piece) {
        const int i = (int)(ticket & TASK_MASK), n = (int)(ticket >> TASK_BITS & TASK_MASK);
        if (i == n)
            return;
        if (!atomic_compare_exchange_weak_explicit(&w->ticket, &ticket, ticket + 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        w->task(w->context, i, number);
        atomic_fetch_sub_explicit(&w->n_left, 1, memory_order_release);
        ticket = atomic_load_explicit(&w->ticket, memory_order_acquire);
    }
}

/* Wait for a piece of work other than `seen`; 0: there will be none. */
static uint32_t next_piece(struct workers *w, uint32_t seen)
{
    for (int i = 0; i < LOOKS; i++) {
        const uint32_t piece = ticket_piece(atomic_load_explicit(&w->ticket, memory_order_acquire));
        if (piece != seen)
            return piece;
        relax();
    }
    uint32_t piece;
    pthread_mutex_lock(&w->mutex);
    atomic_fetch_add(&w->n_asleep, 1);
    while ((piece = ticket_piece(atomic_load(&w->ticket))) == seen)
        pthread_cond_wait(&w->wake, &w->mutex);
    atomic_fetch_sub(&w->n_asleep, 1);
    pthread_mutex_unlock(&w->mutex);
    return piece;
}

static void *run_thread(void *context)
{
    struct start start = *(struct start *)context;
    uint32_t seen = 1;
    free(context);
    while ((seen = next_piece(start.workers, seen)) != 0)
        work(start.workers, seen, start.number);
    return NULL;
}

/* Numbers of pieces go round and leave out 0, which ends the threads. */
static void begin_piece(struct workers *w, uint32_t piece, int n)
{
    atomic_store(&w->ticket, ticket_make(piece, (uint64_t)n));
    if (atomic_load(&w->n_asleep) > 0) {
        pthread_mutex_lock(&w->mutex);
        pthread_cond_broadcast(&w->wake);
        pthread_mutex_unlock(&w->mutex);
    }
}

struct workers *workers_create(int n)
{
    assert(n >= 1 && n <= WORKERS_MAX);
    struct workers *w = memory_alloc(1, sizeof(*w));
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->wake, NULL);
    atomic_store(&w->ticket, ticket_make(1, 0));
    for (int i = 0; i + 1 < n; i++) {
        struct start *start = memory_alloc(1, sizeof(*start));
        *start = (struct start){ w, i + 1 };
        if (thread_begin(&w->threads[i], run_thread, start, NULL) != 0) {
            free(start);
            break;
        }
        w->n_threads++;
    }
    return w;
}

void workers_destroy(struct workers **workers)
{
    struct workers *w = *workers;
    if (!w)
        return;
    begin_piece(w, 0, 0);
    for (int i = 0; i < w->n_threads; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->mutex);
    free(w);
    *workers = NULL;
}

int workers_count(const struct workers *w)
{
    return w ? w->n_threads + 1 : 1;
}

void workers_run(struct workers *w, int n, void (*task)(void *context, int i, int worker), void *context)
{
    if (!w || w->n_threads == 0 || n <= 1) {
        for (int i = 0; i < n; i++)
            task(context, i, 0);
        return;
    }
    assert(n <= TASK_MASK);
    uint32_t piece = (ticket_piece(atomic_load(&w->ticket)) + 1) & ((1u << PIECE_BITS) - 1);
    piece += piece == 0;
    w->task = task;
    w->context = context;
    atomic_store_explicit(&w->n_left, n, memory_order_relaxed);
    begin_piece(w, piece, n);
    work(w, piece, 0);
    /* What others still do takes no longer than one task; a core that is busy with other programs may need to
     * be given up for it. */
    for (int i = 0; atomic_load_explicit(&w->n_left, memory_order_acquire) > 0; i++)
        if (i < LOOKS)
            relax();
        else
            sched_yield();
}
