/* A few threads that share the tasks of one piece of work, for the update thread: workers_run returns when all
 * tasks are done. Which worker does which task is left to chance, so tasks must not depend on it.
 *
 * Between pieces of work the threads look out for the next one for some microseconds, then sleep. Only one
 * thread may call, and it works, too. */
#ifndef SHOAL_COMMON_WORKERS_H
#define SHOAL_COMMON_WORKERS_H

enum { WORKERS_MAX = 64 };

struct workers;

/* The caller and n - 1 threads, 1 <= n <= WORKERS_MAX. Where the system gives fewer threads, the rest do
 * the work. */
struct workers *workers_create(int n);
void workers_destroy(struct workers **w);

/* How many; NULL: 1, the caller alone. */
int workers_count(const struct workers *w);

/* Call task(context, i, worker) for every i in 0 to n - 1, at the same time on several threads.
 *   worker   0 to workers_count - 1: who does it, for scratch memory
 *   w        NULL: the caller does all */
void workers_run(struct workers *w, int n, void (*task)(void *context, int i, int worker), void *context);

#endif
