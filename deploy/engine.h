/* The learner's engine (mlp.h) as configured: kernels that this CPU has, and threads for its cores. */
#ifndef SHOAL_DEPLOY_ENGINE_H
#define SHOAL_DEPLOY_ENGINE_H

#include "common/mlp.h"
#include "deploy/experiment.h"

/* Cores that this process may run on. */
int engine_cores(void);

/* How many threads share an update with `learner.workers` as it is, on a machine of `cores` cores. */
int engine_workers(const struct experiment *e, int cores);

/* Returns ERR_CONFIG when the CPU lacks what `learner.backend` or `learner.precision` needs. */
int engine_init(struct mlp_engine *engine, const struct experiment *e, struct error *err);
void engine_fini(struct mlp_engine *engine);

#endif
