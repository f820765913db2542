/* What the files of the learner's process share: learner.c sets up and has the I/O thread, learner_update.c is
 * the update thread. */
#ifndef SHOAL_DEPLOY_LEARNER_PRIVATE_H
#define SHOAL_DEPLOY_LEARNER_PRIVATE_H

#include <pthread.h>

#include "common/mlp.h"
#include "deploy/evaluations.h"
#include "deploy/exchange.h"
#include "deploy/learner.h"
#include "deploy/progress.h"
#include "deploy/run.h"
#include "proto/link.h"

struct learner {
    const struct learner_options *options;
    struct experiment *experiment;
    struct env_model *model;
    struct run run;
    struct link *link;
    struct fragment_pool *fragments;
    struct frame_pool *snapshots;
    struct session *session;            /* I/O thread */
    struct training *training;          /* update thread */
    struct mlp_engine engine;
    struct evaluations *evaluations;
    struct exchange exchange;
    pthread_mutex_t log_mutex;

    int64_t checkpoint_us;
    struct progress progress;
    struct last_evaluation last;
};

/* A line for the log and for people; any thread. */
void learner_say(void *learner, const char *line);
void learner_say_format(struct learner *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What the training core calls, but for its log. */
struct training_out learner_training_out(struct learner *l);

/* Train to the end and conclude, with the I/O thread running. Returns what learner_run does. */
int learner_update_thread(struct learner *l, struct error *err);

#endif
