/* A run of `shoal simulate`: a simulation with a run directory, like a real one's but in virtual time. */
#ifndef SHOAL_DEPLOY_SIMULATION_RUN_H
#define SHOAL_DEPLOY_SIMULATION_RUN_H

#include "deploy/experiment.h"

/* Begins the first line of the log: a run that has no summary yet is known by it. */
#define SIMULATION_SAYS "simulating "

struct simulation_options {
    struct experiment *experiment;
    const char *run;            /* a new run directory */
};

/* Simulate to the end. Returns 0 when training ended as asked, ERR_NUMERIC when it diverged, ERR_INTERRUPTED
 * after a signal, and other codes when it could not begin or its files could not be written. */
int simulation_run(const struct simulation_options *o, struct error *err);

#endif
