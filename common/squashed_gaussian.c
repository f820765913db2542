#include "common/squashed_gaussian.h"

#include "common/row_block.h"
#include "common/vector_math.h"

static const real LOG_2 = (real)0.693147180559945309417;
static const real HALF_LOG_2PI = (real)0.918938533204672741780;

/* sigma and its clamped logarithm, [n] */
static void sigma_of(int n, real *log_sigma, real *sigma)
{
    for (int k = 0; k < n; k++)
        sigma[k] = log_sigma[k] = log_sigma_clamp(log_sigma[k]);
    vector_exp(sigma, (size_t)n);
}

/* One block of squashed_gaussian_sample. */
static void sample_block(int rows, int n_act, const real *out, const real *eps_rows, int ldeps, real *act,
                         int lda, real *log_prob)
{
    const int n = rows * n_act;
    real eps[ROW_BLOCK], log_sigma[ROW_BLOCK], sigma[ROW_BLOCK], u[ROW_BLOCK], a[ROW_BLOCK], s[ROW_BLOCK];
    row_block_gather(eps, rows, n_act, eps_rows, ldeps);
    row_block_gather(u, rows, n_act, out, 2 * n_act);
    row_block_gather(log_sigma, rows, n_act, out + n_act, 2 * n_act);
    sigma_of(n, log_sigma, sigma);
    for (int k = 0; k < n; k++) {
        u[k] += sigma[k] * eps[k];
        a[k] = u[k];
        s[k] = -2 * u[k];
    }
    vector_tanh(a, (size_t)n);
    vector_softplus(s, (size_t)n);
    row_block_scatter(a, rows, n_act, act, lda);
    /* -log pi's terms, then their sums */
    for (int k = 0; k < n; k++)
        s[k] = (real)0.5 * eps[k] * eps[k] + log_sigma[k] + HALF_LOG_2PI + 2 * (LOG_2 - u[k] - s[k]);
    for (int r = 0; r < rows; r++)
        log_prob[r] = 0;
    for (int i = 0; i < n_act; i++)
        for (int r = 0; r < rows; r++)
            log_prob[r] -= s[i * rows + r];
}

void squashed_gaussian_sample(int B, int n_act, const real *out, const real *eps, int ldeps,
                              real *act, int lda, real *log_prob)
{
    for (int rows; B > 0; B -= rows, out += rows * 2 * n_act, eps += rows * ldeps, act += rows * lda) {
        rows = row_block_rows(n_act, B);
        sample_block(rows, n_act, out, eps, ldeps, act, lda, log_prob);
        log_prob += rows;
    }
}

/* One block of squashed_gaussian_backward. */
static void backward_block(int rows, int n_act, const real *out, const real *eps, int ldeps, const real *act,
                           int lda, const real *dact, int ldda, real dlog_prob, real *dout)
{
    real log_sigma[ROW_BLOCK], sigma[ROW_BLOCK];
    row_block_gather(log_sigma, rows, n_act, out + n_act, 2 * n_act);
    sigma_of(rows * n_act, log_sigma, sigma);
    for (int r = 0; r < rows; r++) {
        for (int i = 0; i < n_act; i++) {
            real a = act[i], raw = out[n_act + i];
            /* da/du = 1 - a^2;  d log pi / du = 2 a;  d log pi / d log sigma = -1 directly */
            real du = dact[i] * (1 - a * a) + dlog_prob * 2 * a;
            dout[i] = du;
            dout[n_act + i] = raw < LOG_SIGMA_MIN || raw > LOG_SIGMA_MAX
                            ? 0 : du * sigma[i * rows + r] * eps[i] - dlog_prob;
        }
        out += 2 * n_act, dout += 2 * n_act;
        eps += ldeps, act += lda, dact += ldda;
    }
}

void squashed_gaussian_backward(int B, int n_act, const real *out, const real *eps, int ldeps,
                                const real *act, int lda, const real *dact, int ldda,
                                real dlog_prob, real *dout)
{
    for (int rows; B > 0; B -= rows) {
        rows = row_block_rows(n_act, B);
        backward_block(rows, n_act, out, eps, ldeps, act, lda, dact, ldda, dlog_prob, dout);
        out += rows * 2 * n_act, dout += rows * 2 * n_act;
        eps += rows * ldeps, act += rows * lda, dact += rows * ldda;
    }
}
