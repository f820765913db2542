/* Mode gradients repeated: what the actors of a run computed, in this process. Every place for an actor has its own
 * instance, as its statistics go on from one gradient of a life to the next. One thread. */
#ifndef SHOAL_DEPLOY_RERUN_GRADIENTS_H
#define SHOAL_DEPLOY_RERUN_GRADIENTS_H

#include "actor/stream.h"
#include "common/arena.h"
#include "deploy/experiment.h"
#include "learner/fragment.h"
#include "learner/schedule.h"

struct rerun_gradients;

/* All in `arena` but frames; `e` and `spec` are borrowed. NULL with an error for what no actor could compute. */
struct rerun_gradients *rerun_gradients_create(const struct experiment *e, const struct env_spec *spec,
                                               struct arena *arena, struct error *err);
void rerun_gradients_destroy(struct rerun_gradients **g);

/* The place of a stream goes on with a snapshot, in a new life or not. Returns what policy_set takes. */
const float *rerun_gradients_adopt(struct rerun_gradients *g, uint32_t stream, bool is_new, const float *snapshot);

/* The gradient of a record, as if it had come in a message, of its streams' complete fragments.
 *   streams  [envs_per_actor] those of its place
 * NULL: no message is like that. */
struct fragment *rerun_gradients_make(struct rerun_gradients *g, struct stream *streams,
                                      const struct schedule_record *r, struct fragment_pool *fragments);

#endif
