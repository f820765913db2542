#include "common/categorical.h"

#include <assert.h>
#include <string.h>

#include "common/vector_math.h"

/* Rows are worked on in blocks: as many as 256 numbers hold, or one that is longer. */
enum { BLOCK = 256, MAX_N = 4096 };

static int block_rows(int n, int left)
{
    assert(n >= 1 && n <= MAX_N);
    const int rows = n < BLOCK ? BLOCK / n : 1;
    return rows < left ? rows : left;
}

/* One block's softmax: z_j - max z and exp of it, [rows][n], and the logarithm of the latter's sum, [rows].
 *   logits   may be `below_max` itself
 * Column by column, so that the rows' sums do not wait for one another. */
static void softmax_block(int rows, int n, const real *logits, real *below_max, real *power, real *log_total)
{
    real z_max[BLOCK];
    for (int r = 0; r < rows; r++)
        z_max[r] = logits[r * n], log_total[r] = 0;
    for (int j = 1; j < n; j++)
        for (int r = 0; r < rows; r++)
            z_max[r] = logits[r * n + j] > z_max[r] ? logits[r * n + j] : z_max[r];
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < n; j++)
            power[r * n + j] = below_max[r * n + j] = logits[r * n + j] - z_max[r];
    vector_exp(power, (size_t)rows * (size_t)n);
    for (int j = 0; j < n; j++)
        for (int r = 0; r < rows; r++)
            log_total[r] += power[r * n + j];
    vector_log(log_total, (size_t)rows);
}

/* One block's log pi and pi, [rows][n]; `logits` may be `log_pi` itself. */
static void log_pi_block(int rows, int n, const real *logits, real *log_pi, real *pi)
{
    real log_total[BLOCK];
    softmax_block(rows, n, logits, log_pi, pi, log_total);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < n; j++)
            pi[r * n + j] = log_pi[r * n + j] -= log_total[r];
    vector_exp(pi, (size_t)rows * (size_t)n);
}

/* pi log pi; 0 where pi is, whose logarithm may be infinite. */
static real p_log_p(real pi, real log_pi)
{
    return pi == 0 ? 0 : pi * log_pi;
}

static real entropy_of(int n, const real *pi, const real *log_pi)
{
    real entropy = 0;
    for (int j = 0; j < n; j++)
        entropy -= p_log_p(pi[j], log_pi[j]);
    return entropy;
}

/* The largest logit, the first of equals. */
static int largest(int n, const real *z)
{
    int best = 0;
    for (int j = 1; j < n; j++)
        if (z[j] > z[best])
            best = j;
    return best;
}

/* The index that an action is; -1 when it is none of the n. */
static int index_of(real act, int n)
{
    return act >= 0 && act < (real)n ? (int)act : -1;
}

void categorical_log_softmax(int B, int n, const real *logits, real *log_pi)
{
    real power[MAX_N], log_total[BLOCK];
    for (int rows; B > 0; B -= rows, logits += rows * n, log_pi += rows * n) {
        rows = block_rows(n, B);
        softmax_block(rows, n, logits, log_pi, power, log_total);
        for (int r = 0; r < rows; r++)
            for (int j = 0; j < n; j++)
                log_pi[r * n + j] -= log_total[r];
    }
}

/* The first j with u < F(j), which has pi_j > 0; where rounding leaves none, the last possible. */
static int choose(int n, const real *power, real uniform)
{
    double total = 0, below = 0;
    int choice = 0;
    for (int j = 0; j < n; j++)
        total += (double)power[j];
    for (int j = 0; j < n; j++) {
        below += (double)power[j];
        if (power[j] > 0)
            choice = j;
        if ((double)uniform * total < below)
            break;
    }
    return choice;
}

void categorical_sample(int B, int n, const real *logits, const real *uniform, real *act, int lda,
                        real *log_prob)
{
    real below_max[MAX_N], power[MAX_N], log_total[BLOCK];
    for (int rows; B > 0; B -= rows, logits += rows * n, uniform += rows, log_prob += rows) {
        rows = block_rows(n, B);
        softmax_block(rows, n, logits, below_max, power, log_total);
        for (int r = 0; r < rows; r++, act += lda) {
            int choice = choose(n, power + r * n, uniform[r]);
            act[0] = (real)choice;
            log_prob[r] = below_max[r * n + choice] - log_total[r];
        }
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
    real log_pi[MAX_N], pi[MAX_N];
    for (int rows; B > 0; B -= rows, logits += rows * n, log_prob += rows, entropy += rows) {
        rows = block_rows(n, B);
        log_pi_block(rows, n, logits, log_pi, pi);
        for (int r = 0; r < rows; r++, act += lda) {
            int a = index_of(act[0], n);
            entropy[r] = entropy_of(n, pi + r * n, log_pi + r * n);
            log_prob[r] = a < 0 ? (real)NAN : log_pi[r * n + a];
        }
    }
}

/* One row: log pi and pi into the gradient of the logits. */
static void backward_row(int n, int a, real dlog_prob, real dentropy, const real *pi, real *log_pi_to_dlogits)
{
    real *z = log_pi_to_dlogits;
    const real entropy = entropy_of(n, pi, z);
    for (int j = 0; j < n; j++) {
        /* d log pi(a) / dz_j = [j = a] - pi_j;  dH / dz_j = -pi_j (log pi_j + H) */
        real through_entropy = pi[j] == 0 ? 0 : -pi[j] * (z[j] + entropy);
        z[j] = dlog_prob * ((real)(j == a) - pi[j]) + dentropy * through_entropy;
    }
}

void categorical_backward(int B, int n, const real *logits, const real *act, int lda,
                          const real *dlog_prob, const real *dentropy, real *dlogits)
{
    real pi[MAX_N];
    for (int rows; B > 0; B -= rows, logits += rows * n, dlogits += rows * n) {
        rows = block_rows(n, B);
        log_pi_block(rows, n, logits, dlogits, pi);
        for (int r = 0; r < rows; r++, act += lda)
            backward_row(n, index_of(act[0], n), *dlog_prob++, *dentropy++, pi + r * n, dlogits + r * n);
    }
}
