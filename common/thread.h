/* Threads of our own. */
#ifndef SHOAL_COMMON_THREAD_H
#define SHOAL_COMMON_THREAD_H

#include <pthread.h>

#include "common/error.h"

/* Start a thread that gets no signals: those are the main thread's. 0, or ERR_TEMPORARY. */
int thread_begin(pthread_t *thread, void *(*run)(void *context), void *context, struct error *err);

#endif
