/* The one layout of experience, from the environment to the gradient.
 *
 *     row = obs[n_obs] | action[n_act] | reward | log_prob | kind          float32
 *
 * A transition is a row that is not CLOSE, with its neighbour: the successor state of a row is the
 * `obs` of the next row. A CLOSE row carries only an observation, the successor of the last row of
 * a fragment or of an episode; every TERMINATED or TRUNCATED row is followed by one. Bootstrapping
 * stops at TERMINATED and only there. Actions are in policy units: [-1, 1] spans the bounds. */
#ifndef SHOAL_COMMON_ROW_H
#define SHOAL_COMMON_ROW_H

#include <stdbool.h>
#include <stddef.h>

enum row_kind { ROW_STEP = 0, ROW_TERMINATED = 1, ROW_TRUNCATED = 2, ROW_CLOSE = 3 };

struct row_shape {
    int n_obs, n_act;
};

/* Floats in a row, and where its fields begin. */
static inline int row_stride(struct row_shape s) { return s.n_obs + s.n_act + 3; }
static inline int row_act(struct row_shape s) { return s.n_obs; }
static inline int row_reward(struct row_shape s) { return s.n_obs + s.n_act; }
static inline int row_log_prob(struct row_shape s) { return s.n_obs + s.n_act + 1; }
static inline int row_kind(struct row_shape s) { return s.n_obs + s.n_act + 2; }

static inline enum row_kind row_kind_of(struct row_shape s, const float *row)
{
    return (enum row_kind)(int)row[row_kind(s)];
}

/* Why a sequence of rows is not a fragment, or NULL when it is one: every number finite, kinds
 * among the four, exactly n_transitions rows that are not CLOSE, each TERMINATED or TRUNCATED row
 * followed by CLOSE, no two CLOSE rows in a row, CLOSE first never, CLOSE last always, the unused
 * fields of CLOSE zero.
 *   rows [n_rows][stride] float32, of any alignment */
const char *row_check(struct row_shape s, const void *rows, int n_rows, int n_transitions);

#endif
