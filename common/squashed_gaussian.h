/* The squashed Gaussian policy head: a = tanh(u), u = mu + sigma eps, in policy units.
 *
 *   log pi(a) = sum_i [ -eps_i^2/2 - log sigma_i - log(2 pi)/2 - log(1 - tanh(u_i)^2) ]
 *   log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u))           stable for every u
 *
 * log sigma is clamped to [-20, 2]. Source: Haarnoja et al. 2018b, appendix C. */
#ifndef SHOAL_COMMON_SQUASHED_GAUSSIAN_H
#define SHOAL_COMMON_SQUASHED_GAUSSIAN_H

#include "common/real.h"

#define LOG_SIGMA_MIN (-20)
#define LOG_SIGMA_MAX 2

static inline real log_sigma_clamp(real s)
{
    return s < LOG_SIGMA_MIN ? LOG_SIGMA_MIN : s > LOG_SIGMA_MAX ? LOG_SIGMA_MAX : s;
}

/* Sample B actions.
 *   out       [B][2 n_act]: mu, then log sigma before clamping
 *   eps       [B] rows of n_act standard normals, `ldeps` apart
 *   act       [B] rows of n_act actions, `lda` apart
 *   log_prob  [B] */
void squashed_gaussian_sample(int B, int n_act, const real *out, const real *eps, int ldeps,
                              real *act, int lda, real *log_prob);

/* Gradients of a loss that depends on actions and log-probabilities, with eps held fixed
 * (reparameterisation).
 *   dact      [B] rows of n_act, `ldda` apart: d loss / d act
 *   dlog_prob one number for every row: d loss / d log_prob
 *   dout      [B][2 n_act], set */
void squashed_gaussian_backward(int B, int n_act, const real *out, const real *eps, int ldeps,
                                const real *act, int lda, const real *dact, int ldda,
                                real dlog_prob, real *dout);

#endif
