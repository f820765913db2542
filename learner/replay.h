/* Replay: a ring of rows, drawn from uniformly or by priority.
 *
 * Fragments are appended whole, with one copy, and never straddle the end of the ring (the rest is
 * filled with CLOSE rows, which are never drawn). So every row that is not CLOSE has its successor
 * behind it, always. Used by the update thread only. */
#ifndef SHOAL_LEARNER_REPLAY_H
#define SHOAL_LEARNER_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/rng.h"
#include "common/row.h"

struct replay;

struct replay_setup {
    struct row_shape shape;
    int64_t capacity;           /* transitions */
    int horizon;                /* T, the longest fragment */
    int n_step;                 /* n of n-step returns */
    double discount;            /* gamma, of the rewards inside them */
    bool is_prioritised;
    double priority_exponent;   /* alpha */
};

/* Room for `capacity` transitions in fragments of `horizon` with one CLOSE row each; where episodes
 * end inside fragments their CLOSE rows take room too: with episodes of 20 steps about 4 % fewer
 * are held, with episodes of one step half. */
struct replay *replay_create(const struct replay_setup *setup, struct arena *arena);

/* Bytes that replay_create will take from the arena. */
size_t replay_bytes(const struct replay_setup *setup);

/* Append a fragment that row_check accepted, or its first `max_transitions` transitions. The oldest
 * fragments make room. Priorities of the new transitions are the largest so far (1 at first).
 *   rows [n_rows][stride] float32, of any alignment; copied
 * Returns how many transitions were appended. */
int replay_append(struct replay *r, const void *rows, int n_rows, int max_transitions);

/* Transitions held. */
int64_t replay_size(const struct replay *r);

/* Names a drawn transition for good, and never another one that takes its place: a row is written at most
 * once while the ring goes round, so the row and the round are enough. */
struct replay_ticket {
    int64_t row, lap;
};

/* A draw; every array is the caller's. */
struct replay_draw {
    float *rows;                    /* [B][2][stride]: each transition's row and its successor */
    float *discount;                /* [B] gamma^k for the k <= n steps taken */
    float *weight;                  /* [B] importance weights; 1 when not prioritised */
    struct replay_ticket *tickets;  /* [B] */
};

/* Draw B transitions with replacement. Needs at least one transition.
 *   uniform       a row, drawn again while it is CLOSE                   Mnih et al. 2015, Methods
 *   prioritised   P(i) = p_i^alpha / sum_k p_k^alpha, one draw from each of B equal parts of the total
 *                 mass; weight w_i = (N P(i))^-beta / max_j w_j, the maximum over the batch
 *                                                                       Schaul et al. 2016, section 3.3
 * n-step: the row's reward becomes sum_{i<k} gamma^i r_{t+i}, its kind that of row t + k - 1, the successor
 * row is the one behind that; k = n, or fewer where a fragment or an episode ends before.
 *   importance_exponent    beta
 *
 * Rows are as they were appended. Whoever scales rewards scales the sum: that is the sum of the scaled
 * rewards, but a clip behind it acts on the sum instead of on each reward. */
void replay_sample(const struct replay *r, struct rng *rng, int B, double importance_exponent,
                   struct replay_draw *out);

/* p_i = |td_error_i| + 1e-6. Tickets whose transition is gone are passed over, and so are errors that are
 * not finite. Does nothing when not prioritised.
 *   td_error  [B]
 * Returns how many were passed over. */
int replay_prioritise(struct replay *r, int B, const struct replay_ticket *tickets,
                      const float *td_error);

#endif
