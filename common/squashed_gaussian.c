#include "common/squashed_gaussian.h"

static const real LOG_2 = (real)0.693147180559945309417;
static const real HALF_LOG_2PI = (real)0.918938533204672741780;

/* log(1 + exp(x)) without overflow */
static inline real softplus(real x)
{
    return x > 0 ? x + real_log1p(real_exp(-x)) : real_log1p(real_exp(x));
}

void squashed_gaussian_sample(int B, int n_act, const real *out, const real *eps, int ldeps,
                              real *act, int lda, real *log_prob)
{
    for (int b = 0; b < B; b++, out += 2 * n_act, eps += ldeps, act += lda) {
        real sum = 0;
        for (int i = 0; i < n_act; i++) {
            real log_sigma = log_sigma_clamp(out[n_act + i]);
            real u = out[i] + real_exp(log_sigma) * eps[i];
            act[i] = real_tanh(u);
            sum -= (real)0.5 * eps[i] * eps[i] + log_sigma + HALF_LOG_2PI
                 + 2 * (LOG_2 - u - softplus(-2 * u));
        }
        log_prob[b] = sum;
    }
}

void squashed_gaussian_backward(int B, int n_act, const real *out, const real *eps, int ldeps,
                                const real *act, int lda, const real *dact, int ldda,
                                real dlog_prob, real *dout)
{
    for (int b = 0; b < B; b++) {
        for (int i = 0; i < n_act; i++) {
            real a = act[i];
            real raw = out[n_act + i];
            real log_sigma = log_sigma_clamp(raw);
            /* da/du = 1 - a^2;  d log pi / du = 2 a;  d log pi / d log sigma = -1 directly */
            real du = dact[i] * (1 - a * a) + dlog_prob * 2 * a;
            dout[i] = du;
            dout[n_act + i] = raw < LOG_SIGMA_MIN || raw > LOG_SIGMA_MAX
                            ? 0 : du * real_exp(log_sigma) * eps[i] - dlog_prob;
        }
        out += 2 * n_act, dout += 2 * n_act;
        eps += ldeps, act += lda, dact += ldda;
    }
}
