/* What normalisation does to a number, on the learner and on actors: the same operations in the same
 * order, so that both see the same bits. */
#ifndef SHOAL_COMMON_NORMALISER_H
#define SHOAL_COMMON_NORMALISER_H

#include <stddef.h>

#include "common/row.h"

/* Normalised numbers are kept within this distance of 0. */
#define NORMALISER_LIMIT 10.0f

static inline float normaliser_clip(float x)
{
    return x < -NORMALISER_LIMIT ? -NORMALISER_LIMIT : x > NORMALISER_LIMIT ? NORMALISER_LIMIT : x;
}

/* out = clip((x - mean) inverse_std); `out` may be `x`.
 *   mean, inverse_std, x, out  [n] */
static inline void normaliser_apply(int n, const float *mean, const float *inverse_std,
                                    const float *x, float *out)
{
    for (int i = 0; i < n; i++)
        out[i] = normaliser_clip((x[i] - mean[i]) * inverse_std[i]);
}

/* The observations of rows [n_rows][stride] where they lie, CLOSE rows too.
 *   statistics  [2 n_obs] mean | inverse_std */
static inline void normaliser_apply_rows(struct row_shape s, const float *statistics, int n_rows,
                                         float *rows)
{
    for (int i = 0; i < n_rows; i++) {
        float *obs = rows + (size_t)i * (size_t)row_stride(s);
        normaliser_apply(s.n_obs, statistics, statistics + s.n_obs, obs, obs);
    }
}

/* The rewards of rows [n_rows][stride] where they lie: clip(r scale). */
static inline void normaliser_scale_rewards(struct row_shape s, float scale, int n_rows, float *rows)
{
    for (int i = 0; i < n_rows; i++) {
        float *reward = rows + (size_t)i * (size_t)row_stride(s) + row_reward(s);
        *reward = normaliser_clip(*reward * scale);
    }
}

#endif
