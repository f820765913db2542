#include "common/gaussian.h"

#include <stdbool.h>

#include "common/squashed_gaussian.h"

static const real HALF_LOG_2PI = (real)0.918938533204672741780;

/* log pi of one row, and its entropy. */
static real log_prob_of(int n_act, const real *mean, const real *log_sigma, const real *act,
                        real *entropy)
{
    real log_prob = 0, sum = 0;
    for (int i = 0; i < n_act; i++) {
        real s = log_sigma_clamp(log_sigma[i]);
        real z = (act[i] - mean[i]) * real_exp(-s);
        log_prob -= (real)0.5 * z * z + s + HALF_LOG_2PI;
        sum += s + (real)0.5 + HALF_LOG_2PI;
    }
    *entropy = sum;
    return log_prob;
}

void gaussian_sample(int B, int n_act, const real *mean, int ldm, const real *log_sigma, int lds,
                     const real *eps, int ldeps, real *act, int lda, real *log_prob)
{
    for (int b = 0; b < B; b++, mean += ldm, log_sigma += lds, eps += ldeps, act += lda) {
        for (int i = 0; i < n_act; i++)
            act[i] = mean[i] + real_exp(log_sigma_clamp(log_sigma[i])) * eps[i];
        /* Of the action as it was rounded: who has only the action finds the same number. */
        real entropy;
        log_prob[b] = log_prob_of(n_act, mean, log_sigma, act, &entropy);
    }
}

void gaussian_log_prob(int B, int n_act, const real *mean, int ldm, const real *log_sigma, int lds,
                       const real *act, int lda, real *log_prob, real *entropy)
{
    for (int b = 0; b < B; b++, mean += ldm, log_sigma += lds, act += lda)
        log_prob[b] = log_prob_of(n_act, mean, log_sigma, act, &entropy[b]);
}

void gaussian_backward(int B, int n_act, const real *mean, int ldm, const real *log_sigma, int lds,
                       const real *act, int lda, const real *dlog_prob, const real *dentropy,
                       real *dmean, int lddm, real *dlog_sigma, int ldds)
{
    for (int i = 0; i < n_act; i++) {
        double sum = 0;    /* over the rows, of a shared log sigma */
        for (int b = 0; b < B; b++) {
            real raw = log_sigma[b * lds + i];
            bool is_clamped = raw < LOG_SIGMA_MIN || raw > LOG_SIGMA_MAX;
            real inverse_sigma = real_exp(-log_sigma_clamp(raw));
            real z = (act[b * lda + i] - mean[b * ldm + i]) * inverse_sigma;
            /* d log pi / d mu = z / sigma;  d log pi / d log sigma = z^2 - 1;  dH / d log sigma = 1 */
            real ds = is_clamped ? 0 : dlog_prob[b] * (z * z - 1) + dentropy[b];
            dmean[b * lddm + i] = dlog_prob[b] * z * inverse_sigma;
            if (lds > 0)
                dlog_sigma[b * ldds + i] = ds;
            sum += (double)ds;
        }
        if (lds == 0)
            dlog_sigma[i] = (real)sum;
    }
}
