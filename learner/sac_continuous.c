/* Soft actor-critic with twin critics and a learned temperature, for continuous actions.
 *
 * Paper: Haarnoja et al. 2018b "Soft Actor-Critic Algorithms and Applications" (its equation numbers).
 *
 *   theta_i  q[i]       critics Q_i(s, a), i = 1, 2        Qbar_i   q_target[i], their targets
 *   phi      policy     pi(a|s), a squashed Gaussian       alpha    temperature, stored as log alpha
 *   y        target     d        1 where the row is TERMINATED
 *
 * Deviations and choices where the references disagree (sac.c has those of all forms):
 *   - log sigma is clamped to [-20, 2] (authors, Stable-Baselines3), not squashed (CleanRL).
 *   - Densities are those of actions in [-1, 1], so that the target entropy means the same for every
 *     task's bounds; CleanRL's include the scale of the bounds. */
#include <string.h>

#include "common/squashed_gaussian.h"
#include "learner/sac_private.h"

/* Critics: minimise 1/2 E (Q_i(s, a) - y)^2 for i = 1, 2                          Eqs. 5, 3
 *   y = r + gamma (1 - d) (min_i Qbar_i(s', a') - alpha log pi(a'|s')),  a' ~ pi(.|s') */
static int critic_step(struct sac *sac, struct batch *b, double *metrics, struct error *err)
{
    int B = b->n, ld = 2 * sac->stride;
    real alpha = real_exp(*sac->log_alpha);

    /* a' goes into the successor's action field: obs | action is the critic's input as it lies. */
    real *next = b->rows + sac->stride;
    sac_sample(sac, b, next, ld, 0);
    struct mlp_pass pass[2];
    const real *next_q[2];
    sac_evaluate_critics(sac, sac->q_target, B, next, ld, pass, next_q);
    for (int k = 0; k < B; k++) {
        real q = next_q[0][k] < next_q[1][k] ? next_q[0][k] : next_q[1][k];
        sac->y[k] = sac_target(b, sac_row(sac, b, k), k, q - alpha * sac->log_prob[k]);
    }
    return sac_fit_critics(sac, b, metrics, err);
}

/* Policy: minimise E [ alpha log pi(a|s) - min_i Q_i(s, a) ],  a = tanh(mu + sigma eps)    Eq. 9 */
static int policy_step(struct sac *sac, struct batch *b, int repeat, double *metrics,
                       struct error *err)
{
    int B = b->n, ld = 2 * sac->stride, n_act = sac->n_act;
    int n_noise = (int)sac->hyper.policy_delay + 1;
    real alpha = real_exp(*sac->log_alpha);
    const real *eps = b->noise + (1 + repeat) * n_act;

    /* The action replaces the stored one; the critics have already learnt from that. */
    const real *out = sac_sample(sac, b, b->rows, ld, 1 + repeat);
    struct mlp_pass pass[2];
    const real *q[2];
    sac_evaluate_critics(sac, sac->q, B, b->rows, ld, pass, q);

    /* -min_i Q_i: the gradient flows through the smaller critic of each row, so that only its rows go back
     * through a critic. */
    double loss = 0, entropy = 0;
    for (int k = 0; k < B; k++) {
        const int i = q[0][k] <= q[1][k] ? 0 : 1;
        sac->dq[i][pass[i].n_rows] = -1 / (real)B;
        sac->rows[i][pass[i].n_rows++] = k;
        loss += (double)(alpha * sac->log_prob[k] - q[i][k]) / B;
        entropy -= (double)sac->log_prob[k] / B;
    }
    metrics[METRIC_ENTROPY] = entropy;
    for (int i = 0; i < 2; i++) {
        pass[i].rows = sac->rows[i];
        pass[i].dx = sac->part_dact[i];
        pass[i].lddx = n_act;
        pass[i].dx_first = sac->n_obs;
    }
    mlp_backward_all(pass, 2);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < pass[i].n_rows; j++)
            memcpy(sac->dact + sac->rows[i][j] * n_act, sac->part_dact[i] + j * n_act, (size_t)n_act * sizeof(real));
    squashed_gaussian_backward(B, n_act, out, eps, n_noise * n_act, b->rows + sac->n_obs, ld, sac->dact, n_act,
                               alpha / (real)B, sac->dout);
    return sac_step_policy(sac, b, loss, metrics, err);
}

const struct sac_form sac_continuous = { .evaluate = critic_step, .improve = policy_step };
