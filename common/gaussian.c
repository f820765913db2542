#include "common/gaussian.h"

#include <stdbool.h>

#include "common/row_block.h"
#include "common/squashed_gaussian.h"
#include "common/vector_math.h"

static const real HALF_LOG_2PI = (real)0.918938533204672741780;

/* Log sigmas of one block, clamped, and exp(sign log sigma): sigma or its inverse; both [n_act][rows] */
static void sigmas(int rows, int n_act, const real *log_sigma_rows, int lds, int sign, real *log_sigma,
                   real *power)
{
    const int n = rows * n_act;
    row_block_gather(log_sigma, rows, n_act, log_sigma_rows, lds);
    for (int k = 0; k < n; k++) {
        log_sigma[k] = log_sigma_clamp(log_sigma[k]);
        power[k] = sign < 0 ? -log_sigma[k] : log_sigma[k];
    }
    vector_exp(power, (size_t)n);
}

/* One block of gaussian_log_prob. */
static void log_prob_block(int rows, int n_act, const real *mean, int ldm, const real *log_sigma_rows,
                           int lds, const real *act, int lda, real *log_prob, real *entropy)
{
    const int n = rows * n_act;
    real log_sigma[ROW_BLOCK], inverse_sigma[ROW_BLOCK], z[ROW_BLOCK], mu[ROW_BLOCK];
    sigmas(rows, n_act, log_sigma_rows, lds, -1, log_sigma, inverse_sigma);
    row_block_gather(z, rows, n_act, act, lda);
    row_block_gather(mu, rows, n_act, mean, ldm);
    for (int k = 0; k < n; k++) {
        z[k] = (z[k] - mu[k]) * inverse_sigma[k];
        z[k] = (real)0.5 * z[k] * z[k] + log_sigma[k] + HALF_LOG_2PI;    /* -log pi's term */
    }
    for (int r = 0; r < rows; r++)
        log_prob[r] = entropy[r] = 0;
    for (int i = 0; i < n_act; i++)
        for (int r = 0; r < rows; r++) {
            log_prob[r] -= z[i * rows + r];
            entropy[r] += log_sigma[i * rows + r] + (real)0.5 + HALF_LOG_2PI;
        }
}

/* One block of the actions of gaussian_sample. */
static void sample_block(int rows, int n_act, const real *mean, int ldm, const real *log_sigma_rows, int lds,
                         const real *eps_rows, int ldeps, real *act, int lda)
{
    const int n = rows * n_act;
    real log_sigma[ROW_BLOCK], sigma[ROW_BLOCK], eps[ROW_BLOCK], a[ROW_BLOCK];
    sigmas(rows, n_act, log_sigma_rows, lds, 1, log_sigma, sigma);
    row_block_gather(eps, rows, n_act, eps_rows, ldeps);
    row_block_gather(a, rows, n_act, mean, ldm);
    for (int k = 0; k < n; k++)
        a[k] += sigma[k] * eps[k];
    row_block_scatter(a, rows, n_act, act, lda);
}

void gaussian_sample(int B, int n_act, const real *mean, int ldm, const real *log_sigma, int lds,
                     const real *eps, int ldeps, real *act, int lda, real *log_prob)
{
    real entropy[ROW_BLOCK];
    for (int rows; B > 0; B -= rows, log_prob += rows) {
        rows = row_block_rows(n_act, B);
        sample_block(rows, n_act, mean, ldm, log_sigma, lds, eps, ldeps, act, lda);
        /* Of the action as it was rounded: who has only the action finds the same number. */
        log_prob_block(rows, n_act, mean, ldm, log_sigma, lds, act, lda, log_prob, entropy);
        mean += rows * ldm, log_sigma += rows * lds, eps += rows * ldeps, act += rows * lda;
    }
}

void gaussian_log_prob(int B, int n_act, const real *mean, int ldm, const real *log_sigma, int lds,
                       const real *act, int lda, real *log_prob, real *entropy)
{
    for (int rows; B > 0; B -= rows, log_prob += rows, entropy += rows) {
        rows = row_block_rows(n_act, B);
        log_prob_block(rows, n_act, mean, ldm, log_sigma, lds, act, lda, log_prob, entropy);
        mean += rows * ldm, log_sigma += rows * lds, act += rows * lda;
    }
}

/* One block of gaussian_backward, each row's gradient of log sigma into ds [n_act][rows]. */
static void backward_block(int rows, int n_act, const real *mean, int ldm, const real *log_sigma_rows,
                           int lds, const real *act, int lda, const real *dlog_prob, const real *dentropy,
                           real *dmean, int lddm, real *ds)
{
    real log_sigma[ROW_BLOCK], inverse_sigma[ROW_BLOCK];
    sigmas(rows, n_act, log_sigma_rows, lds, -1, log_sigma, inverse_sigma);
    for (int i = 0; i < n_act; i++)
        for (int r = 0; r < rows; r++) {
            const int k = i * rows + r;
            const real raw = log_sigma_rows[r * lds + i];
            const real z = (act[r * lda + i] - mean[r * ldm + i]) * inverse_sigma[k];
            const bool is_clamped = raw < LOG_SIGMA_MIN || raw > LOG_SIGMA_MAX;
            /* d log pi / d mu = z / sigma;  d log pi / d log sigma = z^2 - 1;  dH / d log sigma = 1 */
            ds[k] = is_clamped ? 0 : dlog_prob[r] * (z * z - 1) + dentropy[r];
            dmean[r * lddm + i] = dlog_prob[r] * z * inverse_sigma[k];
        }
}

void gaussian_backward(int B, int n_act, const real *mean, int ldm, const real *log_sigma, int lds,
                       const real *act, int lda, const real *dlog_prob, const real *dentropy,
                       real *dmean, int lddm, real *dlog_sigma, int ldds)
{
    real ds[ROW_BLOCK];
    double sum[ROW_BLOCK] = { 0 };    /* over the rows, of a shared log sigma */
    for (int rows; B > 0; B -= rows, dlog_prob += rows, dentropy += rows) {
        rows = row_block_rows(n_act, B);
        backward_block(rows, n_act, mean, ldm, log_sigma, lds, act, lda, dlog_prob, dentropy, dmean, lddm, ds);
        if (lds > 0)
            row_block_scatter(ds, rows, n_act, dlog_sigma, ldds), dlog_sigma += rows * ldds;
        for (int i = 0; lds == 0 && i < n_act; i++)
            for (int r = 0; r < rows; r++)
                sum[i] += (double)ds[i * rows + r];
        mean += rows * ldm, log_sigma += rows * lds, act += rows * lda, dmean += rows * lddm;
    }
    for (int i = 0; lds == 0 && i < n_act; i++)
        dlog_sigma[i] = (real)sum[i];
}
