/* What normalisation does to a number, on the learner and on actors: the same operations in the same
 * order, so that both see the same bits. */
#ifndef SHOAL_COMMON_NORMALISER_H
#define SHOAL_COMMON_NORMALISER_H

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

#endif
