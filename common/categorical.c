#include "common/categorical.h"

/* The largest logit, the first of equals. */
static int largest(int n, const real *z)
{
    int best = 0;
    for (int j = 1; j < n; j++)
        if (z[j] > z[best])
            best = j;
    return best;
}

/* log sum_j exp(z_j - z_max), for one row. */
static real log_total(int n, const real *z, real z_max)
{
    real total = 0;
    for (int j = 0; j < n; j++)
        total += real_exp(z[j] - z_max);
    return real_log(total);
}

/* pi log pi; 0 where pi is, whose logarithm may be infinite. */
static real p_log_p(real log_pi)
{
    real pi = real_exp(log_pi);
    return pi == 0 ? 0 : pi * log_pi;
}

/* The index that an action is; -1 when it is none of the n. */
static int index_of(real act, int n)
{
    return act >= 0 && act < (real)n ? (int)act : -1;
}

void categorical_log_softmax(int B, int n, const real *logits, real *log_pi)
{
    for (int b = 0; b < B; b++, logits += n, log_pi += n) {
        real z_max = logits[largest(n, logits)];
        real total = log_total(n, logits, z_max);
        for (int j = 0; j < n; j++)
            log_pi[j] = (logits[j] - z_max) - total;
    }
}

void categorical_sample(int B, int n, const real *logits, const real *uniform, real *act, int lda,
                        real *log_prob)
{
    for (int b = 0; b < B; b++, logits += n, act += lda) {
        real z_max = logits[largest(n, logits)];
        double total = 0, below = 0;
        for (int j = 0; j < n; j++)
            total += (double)real_exp(logits[j] - z_max);
        /* The first j with u < F(j), which has pi_j > 0; where rounding leaves none, the last possible. */
        int choice = 0;
        for (int j = 0; j < n; j++) {
            double p = (double)real_exp(logits[j] - z_max);
            below += p;
            if (p > 0)
                choice = j;
            if ((double)uniform[b] * total < below)
                break;
        }
        act[0] = (real)choice;
        log_prob[b] = (logits[choice] - z_max) - log_total(n, logits, z_max);
    }
}

void categorical_mode(int B, int n, const real *logits, real *act, int lda)
{
    for (int b = 0; b < B; b++)
        act[b * lda] = (real)largest(n, logits + b * n);
}

void categorical_log_prob(int B, int n, const real *logits, const real *act, int lda, real *log_prob,
                          real *entropy)
{
    for (int b = 0; b < B; b++, logits += n, act += lda) {
        int a = index_of(act[0], n);
        real z_max = logits[largest(n, logits)];
        real total = log_total(n, logits, z_max), sum = 0;
        for (int j = 0; j < n; j++)
            sum += p_log_p((logits[j] - z_max) - total);
        entropy[b] = -sum;
        log_prob[b] = a < 0 ? (real)NAN : (logits[a] - z_max) - total;
    }
}

void categorical_backward(int B, int n, const real *logits, const real *act, int lda,
                          const real *dlog_prob, const real *dentropy, real *dlogits)
{
    categorical_log_softmax(B, n, logits, dlogits);
    for (int b = 0; b < B; b++, act += lda, dlogits += n) {
        int a = index_of(act[0], n);
        real entropy = 0;
        for (int j = 0; j < n; j++)
            entropy -= p_log_p(dlogits[j]);
        for (int j = 0; j < n; j++) {
            /* d log pi(a) / dz_j = [j = a] - pi_j;  dH / dz_j = -pi_j (log pi_j + H) */
            real log_pi = dlogits[j], pi = real_exp(log_pi);
            real through_entropy = pi == 0 ? 0 : -pi * (log_pi + entropy);
            dlogits[j] = dlog_prob[b] * ((real)(j == a) - pi) + dentropy[b] * through_entropy;
        }
    }
}
