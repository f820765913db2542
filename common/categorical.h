/* Categorical distributions over n choices, given by logits z:
 *
 *   log pi(a) = z_a - log sum_j exp(z_j)        H = -sum_j pi_j log pi_j
 *
 * Everything in log space, the largest logit subtracted first. An action is its index, as a float; one
 * that is no index, which only a hostile peer sends, has the log-probability NaN. */
#ifndef SHOAL_COMMON_CATEGORICAL_H
#define SHOAL_COMMON_CATEGORICAL_H

#include "common/real.h"

/* In all of these: logits [B][n]; act [B], `lda` apart; log_prob, entropy [B]. */

/* Sample by the inverse of the distribution function; never what has no probability.
 *   uniform [B] in [0, 1) */
void categorical_sample(int B, int n, const real *logits, const real *uniform, real *act, int lda,
                        real *log_prob);

/* The most probable choice; the first of equals. */
void categorical_mode(int B, int n, const real *logits, real *act, int lda);

void categorical_log_prob(int B, int n, const real *logits, const real *act, int lda, real *log_prob,
                          real *entropy);

/* log pi of every choice, [B][n]; may be `logits` itself. */
void categorical_log_softmax(int B, int n, const real *logits, real *log_pi);

/* Gradients of a loss in log_prob and entropy, actions held fixed.
 *   dlog_prob, dentropy    [B]
 *   dlogits                [B][n], set */
void categorical_backward(int B, int n, const real *logits, const real *act, int lda,
                          const real *dlog_prob, const real *dentropy, real *dlogits);

#endif
