#include "deploy/evaluations.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/thread.h"

enum { MAX_JOBS = 8, MAX_TRIES = 3 };

struct evaluations {
    struct player_setup setup;
    struct evaluations_out out;
    struct player *player;              /* of the thread */
    int tries;                          /* that the next evaluation gets; of the thread */
    pthread_t thread;
    bool is_running;

    pthread_mutex_t mutex;
    pthread_cond_t asked_one, answered_one;
    bool must_stop;
    /* A ring: [read, done) are answers, [done, asked) wait to be played. */
    struct evaluation_job jobs[MAX_JOBS];
    int64_t asked, done, read;
};

static int must_stop(void *context)
{
    struct evaluations *e = context;
    pthread_mutex_lock(&e->mutex);
    bool is_over = e->must_stop;
    pthread_mutex_unlock(&e->mutex);
    return is_over || e->out.stop();
}

struct evaluations *evaluations_create(const struct player_setup *setup, struct evaluations_out out)
{
    struct evaluations *e = memory_alloc(1, sizeof(*e));
    e->setup = *setup;
    e->setup.stop = must_stop;
    e->setup.context = e;
    e->out = out;
    e->tries = MAX_TRIES;
    pthread_mutex_init(&e->mutex, NULL);
    thread_condition_init(&e->asked_one);
    thread_condition_init(&e->answered_one);
    for (int i = 0; i < MAX_JOBS; i++)
        e->jobs[i].params = memory_alloc(policy_n_params(&setup->shape), sizeof(float));
    return e;
}

void evaluations_destroy(struct evaluations **evaluations)
{
    struct evaluations *e = *evaluations;
    if (!e)
        return;
    evaluations_end(e);
    for (int i = 0; i < MAX_JOBS; i++)
        free(e->jobs[i].params);
    pthread_cond_destroy(&e->asked_one);
    pthread_cond_destroy(&e->answered_one);
    pthread_mutex_destroy(&e->mutex);
    free(e);
    *evaluations = NULL;
}

/* ---- the thread ---- */

static void say(struct evaluations *e, const struct evaluation_job *job, const char *what,
                const char *then)
{
    char line[704];
    snprintf(line, sizeof(line), "evaluation at %" PRId64 " transitions: %s; %s", job->env_steps, what,
             then);
    e->out.log(e->out.context, line);
}

/* Returns false when everything shall end. An environment that fails every time is not tried as
 * often the next time: each try may take as long as it may hang. */
static bool play(struct evaluations *e, struct evaluation_job *job)
{
    for (int left = e->tries; left > 0;) {
        struct error err;
        int rc = player_play(e->player, job->params, job->env_steps, &job->result, &err);
        if (rc == ERR_INTERRUPTED)
            return false;
        job->has_failed = rc != 0;
        e->tries = rc == 0 ? MAX_TRIES : 1;
        if (rc == 0)
            return true;
        job->result = (struct evaluation){ .mean = (double)NAN };
        say(e, job, err.text, --left > 0 ? "it is played again" : "it has failed, the run goes on");
    }
    return true;
}

static void *play_jobs(void *context)
{
    struct evaluations *e = context;
    /* Here, because the process dies with the thread that started it. */
    e->player = player_create(&e->setup);
    pthread_mutex_lock(&e->mutex);
    for (;;) {
        while (e->done == e->asked && !e->must_stop)
            pthread_cond_wait(&e->asked_one, &e->mutex);
        if (e->must_stop)
            break;
        struct evaluation_job *job = &e->jobs[e->done % MAX_JOBS];
        pthread_mutex_unlock(&e->mutex);
        bool may_go_on = play(e, job);
        pthread_mutex_lock(&e->mutex);
        if (!may_go_on)
            break;
        e->done++;
        pthread_cond_signal(&e->answered_one);
        pthread_mutex_unlock(&e->mutex);
        e->out.ready(e->out.context);
        pthread_mutex_lock(&e->mutex);
    }
    pthread_mutex_unlock(&e->mutex);
    player_destroy(&e->player);
    return NULL;
}

int evaluations_begin(struct evaluations *e, struct error *err)
{
    int rc = thread_begin(&e->thread, play_jobs, e, err);
    e->is_running = rc == 0;
    return rc;
}

void evaluations_end(struct evaluations *e)
{
    if (!e->is_running)
        return;
    pthread_mutex_lock(&e->mutex);
    e->must_stop = true;
    pthread_cond_signal(&e->asked_one);
    pthread_mutex_unlock(&e->mutex);
    pthread_join(e->thread, NULL);
    e->is_running = false;
}

/* ---- the update thread ---- */

void evaluations_ask(struct evaluations *e, int64_t env_steps, const float *params)
{
    pthread_mutex_lock(&e->mutex);
    /* Waits only when several evaluations are behind; it changes no result. */
    while (e->asked - e->done == MAX_JOBS - 1 && !e->out.stop()) {
        const struct timespec until = thread_deadline(1000);
        pthread_cond_timedwait(&e->answered_one, &e->mutex, &until);
    }
    if (e->asked - e->read < MAX_JOBS) {
        struct evaluation_job *job = &e->jobs[e->asked++ % MAX_JOBS];
        job->env_steps = env_steps;
        memcpy(job->params, params, policy_n_params(&e->setup.shape) * sizeof(float));
        pthread_cond_signal(&e->asked_one);
    }
    pthread_mutex_unlock(&e->mutex);
}

static bool has_answer(struct evaluations *e)
{
    pthread_mutex_lock(&e->mutex);
    bool has_one = e->read < e->done;
    pthread_mutex_unlock(&e->mutex);
    return has_one;
}

const struct evaluation_job *evaluations_take(struct evaluations *e)
{
    return has_answer(e) ? &e->jobs[e->read % MAX_JOBS] : NULL;
}

void evaluations_give(struct evaluations *e)
{
    pthread_mutex_lock(&e->mutex);
    e->read++;
    pthread_mutex_unlock(&e->mutex);
}

bool evaluations_are_read(struct evaluations *e)
{
    pthread_mutex_lock(&e->mutex);
    bool are_read = e->read == e->asked;
    pthread_mutex_unlock(&e->mutex);
    return are_read;
}
