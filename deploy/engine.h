/* The learner's engine (mlp.h) as configured: kernels that this CPU has, and threads for its cores. */
#ifndef SHOAL_DEPLOY_ENGINE_H
#define SHOAL_DEPLOY_ENGINE_H

#include "common/mlp.h"
#include "deploy/experiment.h"

/* How many threads share an update on a machine of `cores` cores: `learner.workers`, or by itself all cores up
 * to 8. Actors that wait for the learner leave it theirs: in sync while it learns, and off-policy whenever
 * learning takes longer than acting. In gradients one is enough. Others keep one each, where they share the machine.
 *   has_local_actors   the actors, too, run on this machine */
int engine_workers(const struct settings *s, bool is_on_policy, bool has_local_actors, int cores);

/* Returns ERR_CONFIG when the CPU lacks what `learner.backend` or `learner.precision` needs. */
int engine_init(struct mlp_engine *engine, const struct experiment *e, bool has_local_actors, struct error *err);
void engine_fini(struct mlp_engine *engine);

#endif
