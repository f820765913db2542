/* Diagonal Gaussians that are not squashed: a = mu + sigma eps.
 *
 *   log pi(a) = sum_i [ -((a_i - mu_i) / sigma_i)^2 / 2 - log sigma_i - log(2 pi) / 2 ]
 *   H         = sum_i [ log sigma_i + (1 + log(2 pi)) / 2 ]
 *
 * log sigma is one vector for every row (lds 0) or one per row; it is clamped to [-20, 2], and beyond
 * the bounds it has no gradient. */
#ifndef SHOAL_COMMON_GAUSSIAN_H
#define SHOAL_COMMON_GAUSSIAN_H

#include "common/real.h"

/* In all of these: mean [B] rows of n_act, `ldm` apart; log_sigma [B] rows of n_act, `lds` apart;
 * act [B] rows of n_act, `lda` apart; log_prob, entropy [B]. */

/* Sample; log_prob is gaussian_log_prob's of the action, to the bit.
 *   eps    [B] rows of n_act standard normals, `ldeps` apart */
void gaussian_sample(int B, int n_act, const real *mean, int ldm, const real *log_sigma, int lds,
                     const real *eps, int ldeps, real *act, int lda, real *log_prob);

void gaussian_log_prob(int B, int n_act, const real *mean, int ldm, const real *log_sigma, int lds,
                       const real *act, int lda, real *log_prob, real *entropy);

/* Gradients of a loss in log_prob and entropy, actions held fixed.
 *   dlog_prob, dentropy    [B] d loss / d log_prob and d entropy
 *   dmean                  [B] rows of n_act, `lddm` apart, set
 *   dlog_sigma             lds > 0: [B] rows of n_act, `ldds` apart, set;
 *                          lds = 0: [n_act], set to the sum over the rows */
void gaussian_backward(int B, int n_act, const real *mean, int ldm, const real *log_sigma, int lds,
                       const real *act, int lda, const real *dlog_prob, const real *dentropy,
                       real *dmean, int lddm, real *dlog_sigma, int ldds);

#endif
