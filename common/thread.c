#include "common/thread.h"

#include <signal.h>
#include <string.h>

int thread_begin(pthread_t *thread, void *(*run)(void *context), void *context, struct error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int problem = pthread_create(thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return problem ? error_set(err, ERR_TEMPORARY, "no thread could be started: %s", strerror(problem)) : 0;
}
