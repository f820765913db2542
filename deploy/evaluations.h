/* Evaluations of a run, played one after the other beside the training.
 *
 * The update thread asks and reads; a thread of this module has them played by another process
 * (deploy/player.h). What an environment does there is reported and played again, and in the end costs
 * an evaluation. */
#ifndef SHOAL_DEPLOY_EVALUATIONS_H
#define SHOAL_DEPLOY_EVALUATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "deploy/player.h"

/* A policy that was played, and what came of it. */
struct evaluation_job {
    int64_t env_steps;
    float *params;              /* [n_params] own copy */
    bool has_failed;            /* why is in the log */
    struct evaluation result;   /* of no episodes and NaN when it failed */
};

struct evaluations_out {
    void *context;
    /* From a thread of its own: a result is there; one line for people. */
    void (*ready)(void *context);
    void (*log)(void *context, const char *line);
    int (*stop)(void);          /* whether everything shall end */
};

struct evaluations;

/* `setup` without `stop`, which is added here. */
struct evaluations *evaluations_create(const struct player_setup *setup, struct evaluations_out out);
void evaluations_destroy(struct evaluations **e);

/* Between these, evaluations are played. */
int evaluations_begin(struct evaluations *e, struct error *err);
void evaluations_end(struct evaluations *e);

/* Have `params` played (copied). Waits while several evaluations are behind. */
void evaluations_ask(struct evaluations *e, int64_t env_steps, const float *params);

/* The oldest answer not yet given back, or NULL. Borrowed until evaluations_give. */
const struct evaluation_job *evaluations_take(struct evaluations *e);
void evaluations_give(struct evaluations *e);

/* Whether everything that was asked has been answered, taken and given back. */
bool evaluations_are_read(struct evaluations *e);

#endif
