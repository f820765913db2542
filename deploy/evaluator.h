/* The evaluator: plays a policy's mean action, or its most probable choice, in environments of its own.
 *
 * Its streams and random purpose are its own, so it changes nothing that is trained. Episode i of
 * evaluation k always starts alike for a given seed. */
#ifndef SHOAL_DEPLOY_EVALUATOR_H
#define SHOAL_DEPLOY_EVALUATOR_H

#include <stdint.h>

#include "actor/env.h"
#include "actor/watch.h"
#include "common/policy.h"

struct evaluation {
    int episodes;
    double mean, std, min, max, length_mean;    /* of undiscounted returns; std over n */
    int diverged;                               /* episodes that broke down */
};

struct evaluator;

/* `model` is shared and outlives the evaluator. */
struct evaluator *evaluator_create(const struct env_model *model, const struct policy_shape *shape,
                                   int episodes);
void evaluator_destroy(struct evaluator **e);

/* Tell `watch` (borrowed) of every call into an environment from now on. */
void evaluator_watch(struct evaluator *e, struct watch *watch);

/* Play all episodes side by side with `params`.
 *   number   which evaluation of the run
 *   returns  [episodes], may be NULL
 *   stop     looked at between steps, may be NULL; not 0: give up, ERR_INTERRUPTED */
int evaluator_play(struct evaluator *e, const float *params, uint64_t seed, int64_t number,
                   struct evaluation *out, double *returns, int (*stop)(void));

#endif
