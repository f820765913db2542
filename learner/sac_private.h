/* What the three forms of SAC share. Each form is a file that reads beside its paper:
 *
 *   sac_continuous.c   Haarnoja et al. 2018b: critics and their targets, a squashed Gaussian
 *   sac_value.c        Haarnoja et al. 2018a: a value network V and its target besides, a squashed Gaussian
 *   sac_discrete.c     Christodoulou 2019: critics of all choices at once, a categorical policy
 *
 * sac.c holds the options, the algorithm's box, the critics' regression and the temperature. */
#ifndef SHOAL_LEARNER_SAC_PRIVATE_H
#define SHOAL_LEARNER_SAC_PRIVATE_H

#include "learner/parameters.h"
#include "learner/sac.h"

enum { METRIC_Q_LOSS, METRIC_PI_LOSS, METRIC_ALPHA_LOSS, METRIC_ALPHA, METRIC_ENTROPY,
       METRIC_Q_MEAN, METRIC_Q_GRAD_NORM, METRIC_PI_GRAD_NORM, METRIC_V_LOSS, N_METRICS };

enum { N_POLICY_METRICS = 4 };

/* The value network is there in its form alone. */
enum { PART_POLICY, PART_Q1, PART_Q2, PART_LOG_ALPHA, PART_V };

struct sac {
    struct sac_hyper hyper;
    const struct sac_form *form;
    struct mlp_shape policy_shape, q_shape, v_shape;
    int n_obs, n_act, n_choices, stride;
    real target_entropy;           /* Hbar */

    struct parameters params;      /* policy | q1 | q2 | log alpha (| v) */
    real *policy, *q[2], *log_alpha, *v;
    size_t n_policy, n_q, n_v;
    real *targets;                 /* [2 n_q]: Qbar_1 | Qbar_2, or [n_v]: Vbar */
    real *q_target[2], *v_target;
    struct optimiser policy_adam, q_adam, alpha_adam, v_adam;

    struct mlp_cache policy_cache, q_cache[2], v_cache;
    real *y;                       /* [B] what critics or V are to say */
    real *dq[2];                   /* [B][Q's outputs] d loss / d Q_i; of V, too */
    real *log_prob;                /* [B] of the action just sampled; discrete: [B][n_choices] of all */
    real *sampled;                 /* [B][n_obs + n_act] states with actions just sampled */
    real *dact;                    /* [B][n_act] d loss / d action */
    real *part_dact[2];            /* [B][n_act] the same, of the rows that went through each critic */
    int *rows[2];                  /* [B] the rows whose smaller critic it is */
    real *dout;                    /* [B][the policy's outputs] */
    real policy_metrics[N_POLICY_METRICS];    /* the last ones: they stay while the policy waits */
};

/* A form: the two halves of an update. Each returns 0 or ERR_NUMERIC, as `update` does. */
struct sac_form {
    /* Everything that says how good actions are: psi and theta. */
    int (*evaluate)(struct sac *sac, struct batch *b, double *metrics, struct error *err);

    /* One step of phi, the `repeat`-th of this update from 0. Rows' actions may be overwritten. Sets the
     * policy's loss and entropy. */
    int (*improve)(struct sac *sac, struct batch *b, int repeat, double *metrics, struct error *err);
};

extern const struct sac_form sac_continuous, sac_value, sac_discrete;

/* The transition of batch row k. */
static inline real *sac_row(const struct sac *sac, const struct batch *b, int k)
{
    return b->rows + (size_t)(2 * sac->stride) * (size_t)k;
}

/* r + discount (1 - d) next: the one place where episodes end. A termination's `next` is not looked at. */
static inline real sac_target(const struct batch *b, const real *row, int k, real next)
{
    real bootstrap = b->discount[k] * next;
    bool terminated = row[row_kind(b->shape)] == (real)ROW_TERMINATED;
    return row[row_reward(b->shape)] + (terminated ? 0 : bootstrap);
}

/* Both critics, or their targets, going over B rows at once: passes for mlp_forward_all and, with what the
 * caller adds, mlp_backward_all. Those of critics and targets share their caches.
 *   q    sac->q or sac->q_target
 *   out  their outputs, owned by sac->q_cache; set by the call */
void sac_evaluate_critics(struct sac *sac, real *const q[2], int B, const real *rows, int ld,
                          struct mlp_pass pass[2], const real *out[2]);

/* One step of both critics towards sac->y at the stored actions, and b->td_error. */
int sac_fit_critics(struct sac *sac, struct batch *b, double *metrics, struct error *err);

/* Draw an action of the present squashed Gaussian for each of B rows.
 *   rows    [B] of obs | action ..., `ld` apart: obs are read, actions set
 *   column  which of each transition's normals
 * Sets sac->log_prob [B]; returns the policy's outputs [B][2 n_act], for squashed_gaussian_backward. */
const real *sac_sample(struct sac *sac, const struct batch *b, real *rows, int ld, int column);

/* One step of the policy down sac->dout, the gradient in the outputs of its last forward pass, which was
 * over the batch's states. Returns ERR_NUMERIC when `loss` or a gradient is not finite. */
int sac_step_policy(struct sac *sac, struct batch *b, double loss, double *metrics,
                    struct error *err);

#endif
