/* mj_step alone: what a simulation could reach without anything around it. For benchmarks; nothing is observed,
 * rewarded or checked. Used by one thread. */
#ifndef SHOAL_ACTOR_ENV_BARE_SIMULATION_H
#define SHOAL_ACTOR_ENV_BARE_SIMULATION_H

#include "actor/env.h"

struct bare_simulation;

/* Beside an instance of a simulation, whose model it borrows; NULL for other environments. */
struct bare_simulation *bare_simulation_create(const struct env *e, const struct env_spec *spec);
void bare_simulation_destroy(struct bare_simulation **b);

/* Begin at qpos [nq] and qvel [nv]. */
void bare_simulation_start(struct bare_simulation *b, const double *qpos, const double *qvel);

/* One step of the environment: its frame skip, and what its observations read of body forces.
 *   units  [n_act] in the environment's units, within its bounds */
void bare_simulation_step(struct bare_simulation *b, const float *units);

#endif
