/* The actor core with a learner's session at the other end of an in-process link: its steps are what is
 * measured, what the learner does with the fragments is not. One thread. */
#ifndef SHOAL_DEPLOY_BENCH_ACTOR_H
#define SHOAL_DEPLOY_BENCH_ACTOR_H

#include "actor/env.h"
#include "common/policy.h"
#include "deploy/bench.h"

/* A policy with hidden layers like these: SAC's for the environment's actions, with small random parameters. Lives
 * in `arena`. */
struct policy *bench_policy_create(const struct env_model *model, const struct mlp_body *body, struct arena *arena);

struct bench_actor;

/* An actor of n environments that has joined and holds the same network.
 *   horizon  of fragments
 * ERR_REFUSED when it does not get to act. */
int bench_actor_create(struct bench_actor **a, const struct env_model *model, const struct mlp_body *body, int n,
                       int horizon, struct error *err);
void bench_actor_destroy(struct bench_actor **a);

/* Some steps of every environment, which are the units. A work of struct bench_work. */
int bench_actor_run(void *actor, struct bench_window *w, struct error *err);

#endif
