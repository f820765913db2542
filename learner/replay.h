/* Replay: a ring of rows.
 *
 * Fragments are appended whole, with one copy, and never straddle the end of the ring (the rest is
 * filled with CLOSE rows, which are never drawn). So every row that is not CLOSE has its successor
 * behind it, always. Used by the update thread only. */
#ifndef SHOAL_LEARNER_REPLAY_H
#define SHOAL_LEARNER_REPLAY_H

#include <stdint.h>

#include "common/arena.h"
#include "common/rng.h"
#include "common/row.h"

struct replay;

/* Room for `capacity` transitions in fragments of `horizon` with one CLOSE row each; where episodes
 * end inside fragments their CLOSE rows take room too: with episodes of 20 steps about 4 % fewer
 * are held, with episodes of one step half. */
struct replay *replay_create(struct row_shape shape, int64_t capacity, int horizon,
                             struct arena *arena);

/* Bytes that replay_create will take from the arena. */
size_t replay_bytes(struct row_shape shape, int64_t capacity, int horizon);

/* Append a fragment that row_check accepted, or its first `max_transitions` transitions. The oldest
 * fragments make room.
 *   rows [n_rows][stride] float32, of any alignment; copied
 * Returns how many transitions were appended. */
int replay_append(struct replay *r, const void *rows, int n_rows, int max_transitions);

/* Transitions held. */
int64_t replay_size(const struct replay *r);

/* Draw B transitions uniformly with replacement: a row, drawn again while it is CLOSE.
 *   out [B][2][stride]: each transition's row and its successor
 * Needs at least one transition. Source: Mnih et al. 2015, Methods. */
void replay_sample(const struct replay *r, struct rng *rng, int B, float *out);

#endif
