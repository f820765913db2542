/* Soft actor-critic for discrete actions.
 *
 * Paper: Christodoulou 2019 "Soft Actor-Critic for Discrete Action Settings" (its equation numbers).
 *
 *   theta_i  q[i]       critics Q_i(s), one output per choice, i = 1, 2      Qbar_i   q_target[i]
 *   phi      policy     pi(.|s), the softmax of its outputs z                alpha    temperature
 *   y        target     d        1 where the row is TERMINATED
 *
 * Every expectation over actions is a sum, so nothing is sampled here.
 *
 * Deviations and choices where the references disagree (sac.c has those of all forms):
 *   - Means are over states, sums over actions, as in the paper; CleanRL and the author's code take means
 *     over actions, too, in the policy's loss (smaller by the number of choices).
 *   - y sums over the actions, as in the paper; the author's code has versions that sample a'.
 *   - Hbar = ratio log n; the paper has ratio 0.98, CleanRL 0.89. With few choices that is all but
 *     uniform: the default is lower.
 *   - log pi comes from a log-softmax, not from log(pi + 1e-8). */
#include <string.h>

#include "common/categorical.h"
#include "common/vector_math.h"
#include "learner/sac_private.h"

/* pi(.|s) of B rows into sac->dout, until the gradient takes its place, and the logarithms into
 * sac->log_prob; both [B][n_choices]. */
static void log_policy(struct sac *sac, int B, const real *rows)
{
    const real *z = mlp_forward(&sac->policy_shape, sac->policy, B, rows, 2 * sac->stride,
                                &sac->policy_cache);
    const size_t n = (size_t)B * (size_t)sac->n_choices;
    categorical_log_softmax(B, sac->n_choices, z, sac->log_prob);
    memcpy(sac->dout, sac->log_prob, n * sizeof(real));
    vector_exp(sac->dout, n);
}

/* Critics: minimise 1/2 E (Q_i(s)_a - y)^2 for i = 1, 2                                     Eqs. 4, 10
 *   y = r + gamma (1 - d) sum_a' pi(a'|s') (min_i Qbar_i(s')_a' - alpha log pi(a'|s')) */
static int critic_step(struct sac *sac, struct batch *b, double *metrics, struct error *err)
{
    int B = b->n, n = sac->n_choices;
    real alpha = real_exp(*sac->log_alpha);
    const real *next = b->rows + sac->stride, *next_q[2];
    log_policy(sac, B, next);
    struct mlp_pass pass[2];
    sac_evaluate_critics(sac, sac->q_target, B, next, 2 * sac->stride, pass, next_q);
    for (int k = 0; k < B; k++) {
        real v = 0;
        for (int j = k * n; j < (k + 1) * n; j++) {
            real q = next_q[0][j] < next_q[1][j] ? next_q[0][j] : next_q[1][j];
            v += sac->dout[j] * (q - alpha * sac->log_prob[j]);
        }
        sac->y[k] = sac_target(b, sac_row(sac, b, k), k, v);
    }
    return sac_fit_critics(sac, b, metrics, err);
}

/* alpha log pi_a - min_i Q_i(s)_a */
static inline real soft_cost(const real *const q[2], int a, real alpha, real log_pi)
{
    return alpha * log_pi - (q[0][a] < q[1][a] ? q[0][a] : q[1][a]);
}

/* Policy: minimise E L(s),  L(s) = sum_a pi(a|s) (alpha log pi(a|s) - min_i Q_i(s)_a)             Eq. 12
 *   d L / d z_a = pi_a (alpha log pi_a - min_i Q_i(s)_a - L(s)) */
static int policy_step(struct sac *sac, struct batch *b, int repeat, double *metrics,
                       struct error *err)
{
    (void)repeat;
    int B = b->n, n = sac->n_choices;
    real alpha = real_exp(*sac->log_alpha);
    const real *q[2];
    log_policy(sac, B, b->rows);
    struct mlp_pass pass[2];
    sac_evaluate_critics(sac, sac->q, B, b->rows, 2 * sac->stride, pass, q);

    double loss = 0, entropy = 0;
    for (int k = 0; k < B; k++) {
        real l = 0;
        for (int j = k * n; j < (k + 1) * n; j++) {
            const real pi = sac->dout[j];
            l += pi * soft_cost(q, j, alpha, sac->log_prob[j]);
            entropy -= (double)(pi * sac->log_prob[j]) / B;
        }
        for (int j = k * n; j < (k + 1) * n; j++) {
            const real pi = sac->dout[j];
            sac->dout[j] = pi * (soft_cost(q, j, alpha, sac->log_prob[j]) - l) / (real)B;
        }
        loss += (double)l / B;
    }
    metrics[METRIC_ENTROPY] = entropy;
    return sac_step_policy(sac, b, loss, metrics, err);
}

const struct sac_form sac_discrete = { .evaluate = critic_step, .improve = policy_step };
