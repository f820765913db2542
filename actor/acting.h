/* Choosing actions for streams: the one place that decides what an actor does in an observation, used by the
 * actor core and by whoever repeats what an actor did.
 *
 * An action depends on its own stream's row and sequences and on the parameters; never on how many streams
 * act together. */
#ifndef SHOAL_ACTOR_ACTING_H
#define SHOAL_ACTOR_ACTING_H

#include <stdbool.h>

#include "actor/stream.h"
#include "common/exploration.h"
#include "common/policy.h"

enum { ACTING_GROUP = 32 };    /* streams that act together: what they touch stays in the cache */

/* Everything is borrowed. */
struct acting {
    struct policy *policy;                    /* for ACTING_GROUP rows */
    const struct exploration *exploration;    /* of a deterministic head */
    bool is_random;                           /* warm-up: uniform over what there is */
    float *noise;                             /* [ACTING_GROUP][n_act] what policy_act takes */
};

/* Fill the action of the row that every open stream is at, each from its own sequence.
 *   open  [n], n at most ACTING_GROUP */
void acting_choose(const struct acting *a, struct stream *const *open, int n);

#endif
