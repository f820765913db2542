/* Threads of our own, and what they wait at. */
#ifndef SHOAL_COMMON_THREAD_H
#define SHOAL_COMMON_THREAD_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "common/error.h"

/* Start a thread that gets no signals: those are the main thread's. 0, or ERR_TEMPORARY. */
int thread_begin(pthread_t *thread, void *(*run)(void *context), void *context, struct error *err);

/* A condition whose timed waits end at thread_deadline, whatever becomes of the time of day. */
void thread_condition_init(pthread_cond_t *condition);
struct timespec thread_deadline(int64_t ms);

#endif
