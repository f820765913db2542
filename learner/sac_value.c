/* Soft actor-critic as first published: a value network with a target, critics without one.
 *
 * Paper: Haarnoja et al. 2018a "Soft Actor-Critic: Off-Policy Maximum Entropy Deep Reinforcement
 *        Learning with a Stochastic Actor" (its equation numbers and its algorithm 1).
 *
 *   psi      v          V(s)                               Vbar     v_target, its target
 *   theta_i  q[i]       critics Q_i(s, a), i = 1, 2        alpha    temperature
 *   phi      policy     pi(a|s), a squashed Gaussian       d        1 where the row is TERMINATED
 *
 * The paper has no alpha: it scales rewards. Maximising E sum (c r + H) is maximising E sum (r + H / c), so
 * its reward scale c is alpha = 1 / c here, with values, losses and their gradients smaller by c; c = 5
 * (Hopper, HalfCheetah, Walker2d, Ant) is sac.alpha_init 0.2 with sac.learn_alpha false (preset v1), c = 20
 * (Humanoid) is 0.05. A learned temperature works here, too, and is not in the paper.
 *
 * Deviations and choices where the references disagree (sac.c has those of all forms):
 *   - Order psi, theta, phi, Vbar, as in algorithm 1, each with the parameters that the one before left;
 *     the authors' code computes all gradients from the same ones.
 *   - V's target takes the smaller critic (paper, authors). The policy follows Q_1 alone, as in the authors'
 *     code; the paper says the smaller one for it, too.
 *   - V and the policy draw an action each; the authors' code draws one for both.
 *   - No penalty on mu and log sigma (authors: 1e-3); log sigma is clamped to [-20, 2].
 *   - V learns with q_lr; the authors have one learning rate for everything. */
#include "common/squashed_gaussian.h"
#include "learner/sac_private.h"

#include <string.h>

/* Value: minimise 1/2 E (V(s) - (min_i Q_i(s, a) - alpha log pi(a|s)))^2,  a ~ pi(.|s)      Eqs. 5, 6 */
static int value_step(struct sac *sac, struct batch *b, double *metrics, struct error *err)
{
    int B = b->n, n_in = sac->n_obs + sac->n_act;
    real alpha = real_exp(*sac->log_alpha);

    /* The stored actions are still to be learnt from: sample beside them. */
    for (int k = 0; k < B; k++)
        memcpy(sac->sampled + k * n_in, sac_row(sac, b, k), (size_t)sac->n_obs * sizeof(real));
    sac_sample(sac, b, sac->sampled, n_in, 0);
    struct mlp_pass pass[2];
    const real *q[2];
    sac_evaluate_critics(sac, sac->q, B, sac->sampled, n_in, pass, q);

    const real *v = mlp_forward(&sac->v_shape, sac->v, B, b->rows, 2 * sac->stride, &sac->v_cache);
    double loss = 0;
    for (int k = 0; k < B; k++) {
        real min_q = q[0][k] < q[1][k] ? q[0][k] : q[1][k];
        real error = v[k] - (min_q - alpha * sac->log_prob[k]);
        sac->dq[0][k] = b->weight[k] * error / (real)B;
        loss += 0.5 * (double)(b->weight[k] * error * error) / B;
    }
    metrics[METRIC_V_LOSS] = loss;
    real *grad = parameters_grad(&sac->params, PART_V);
    mlp_backward(&sac->v_shape, sac->v, B, b->rows, 2 * sac->stride, &sac->v_cache, sac->dq[0], grad,
                 NULL, 0);
    if (!isfinite(loss) || optimiser_step(&sac->v_adam, sac->v, grad, b->progress, NULL) != 0)
        return parameters_blame(&sac->params, PART_V, PART_V, "value network's loss", err);
    return 0;
}

/* Critics: minimise 1/2 E (Q_i(s, a) - y)^2,   y = r + gamma (1 - d) Vbar(s')              Eqs. 7, 8 */
static int critic_step(struct sac *sac, struct batch *b, double *metrics, struct error *err)
{
    const real *next_v = mlp_forward(&sac->v_shape, sac->v_target, b->n, b->rows + sac->stride,
                                     2 * sac->stride, &sac->v_cache);
    for (int k = 0; k < b->n; k++)
        sac->y[k] = sac_target(b, sac_row(sac, b, k), k, next_v[k]);
    return sac_fit_critics(sac, b, metrics, err);
}

static int evaluate(struct sac *sac, struct batch *b, double *metrics, struct error *err)
{
    int rc = value_step(sac, b, metrics, err);             /* psi     */
    return rc ? rc : critic_step(sac, b, metrics, err);    /* theta_i */
}

/* Policy: minimise E [ alpha log pi(a|s) - Q_1(s, a) ],  a = tanh(mu + sigma eps)        Eqs. 12, 13 */
static int policy_step(struct sac *sac, struct batch *b, int repeat, double *metrics,
                       struct error *err)
{
    int B = b->n, ld = 2 * sac->stride, n_act = sac->n_act;
    int n_noise = (int)sac->hyper.policy_delay + 1;
    real alpha = real_exp(*sac->log_alpha);
    const real *eps = b->noise + (1 + repeat) * n_act;

    const real *out = sac_sample(sac, b, b->rows, ld, 1 + repeat);
    struct mlp_pass pass = { .shape = &sac->q_shape, .params = sac->q[0], .B = B, .x = b->rows, .ldx = ld,
                             .cache = &sac->q_cache[0], .dout = sac->dq[0], .dx = sac->dact, .lddx = n_act,
                             .dx_first = sac->n_obs };
    const real *q = mlp_output(&pass);
    mlp_forward_all(&pass, 1);
    double loss = 0, entropy = 0;
    for (int k = 0; k < B; k++) {
        sac->dq[0][k] = -1 / (real)B;
        loss += (double)(alpha * sac->log_prob[k] - q[k]) / B;
        entropy -= (double)sac->log_prob[k] / B;
    }
    metrics[METRIC_ENTROPY] = entropy;
    mlp_backward_all(&pass, 1);
    squashed_gaussian_backward(B, n_act, out, eps, n_noise * n_act, b->rows + sac->n_obs, ld, sac->dact, n_act,
                               alpha / (real)B, sac->dout);
    return sac_step_policy(sac, b, loss, metrics, err);
}

const struct sac_form sac_value = { .evaluate = evaluate, .improve = policy_step };
