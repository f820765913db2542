/* Mode gradients: what an actor makes of its streams' fragments instead of sending them.
 *
 * It holds an instance of the learner's algorithm, given all trained parameters of each version, and statistics of
 * what it consumed since its last gradient. A round is one fragment of every stream, acted with one version and laid
 * out as the learner lays its rounds out, one stream behind the other: raw rows go into the statistics, observations
 * are normalised and rewards scaled with the numbers of that version. Used by the actor core; owns no clock or
 * socket. */
#ifndef SHOAL_ACTOR_GRADIENTS_H
#define SHOAL_ACTOR_GRADIENTS_H

#include "actor/stream.h"
#include "common/algorithm.h"
#include "proto/frame.h"
#include "proto/message.h"

struct gradients;

/* Make what WELCOME describes.
 *   algorithm  the one it names, or NULL: there is none of that name
 *   spec       borrowed during the call, as `w`
 *   arena      where all lies but the frames
 * Returns ERR_CONFIG or ERR_FORMAT for what cannot be: everything in WELCOME is a peer's. `out` is then NULL or to
 * be destroyed all the same. */
int gradients_create(struct gradients **out, const struct welcome *w, const struct algorithm *algorithm,
                     const struct env_spec *spec, struct arena *arena, struct error *err);
void gradients_destroy(struct gradients **g);

/* The streams begin new lives: what is kept of their rows is forgotten. */
void gradients_restart(struct gradients *g);

/* Numbers in a snapshot of this mode: "params" | mean | 1 / std of observations | 1 / std of the return, as far as
 * the run has them. */
size_t gradients_snapshot_n(const struct gradients *g);

/* Go on with a snapshot, [gradients_snapshot_n]. Returns what policy_set takes, borrowed until the next call. */
const float *gradients_adopt(struct gradients *g, const float *snapshot);

/* The streams' complete fragments as a GRADIENT; they are closed, and the next ones have the next number.
 *   m        GRADIENT with run, incarnation, epoch and version; the rest is filled in
 *   streams  [n_streams] as in WELCOME
 * Where numbers are not finite the message has no gradient and says why. Returns its frame, the caller's. */
struct frame *gradients_make(struct gradients *g, struct message *m, struct stream *streams, int64_t now_us);

#endif
