/* A policy and a value network for on-policy algorithms, whatever the policy's head: categorical,
 * gaussian or gaussian_of_state.
 *
 * Trained parameters, the array "params": policy | log_sigma (free, of head gaussian) | value. What an actor
 * needs to act stands in front. The networks share nothing.
 * One optimiser sweeps over all, and gradients are clipped by their norm together, as CleanRL and
 * Stable-Baselines3 do. Used by the update thread only; nothing is allocated after init. */
#ifndef SHOAL_LEARNER_ACTOR_CRITIC_H
#define SHOAL_LEARNER_ACTOR_CRITIC_H

#include "learner/parameters.h"

/* Where log sigma of continuous actions comes from: a free vector, or outputs of the policy's network. */
enum log_sigma_kind { LOG_SIGMA_INDEPENDENT, LOG_SIGMA_OF_STATE };
#define LOG_SIGMA_CHOICES "independent|state"

struct actor_critic {
    struct row_shape shape;
    int stride, n_choices;
    int capacity;                           /* most rows of one pass, at least as many as asked for */
    enum policy_head head;
    struct parameters params;
    int policy_part, sigma_part, value_part;    /* sigma_part: -1 where the head has none */
    struct optimiser optimiser;
    struct mlp_cache policy_cache, value_cache;
    real *dout;                             /* [capacity][outputs] d loss / d policy outputs */
    real *unwanted;                         /* [capacity] scratch */
};

/* The head of a policy.
 *   log_sigma    enum log_sigma_kind
 *   n_choices    of discrete actions; 0: continuous */
enum policy_head actor_critic_head(int log_sigma, int n_choices);

/* Fresh networks for up to `capacity` rows at once. Gains of an orthogonal start are sqrt(2) in hidden
 * layers, 0.01 of the policy's last and 1 of the value's last layer.
 *   log_sigma    where sigma starts: the free vector, or the bias of the log sigma outputs */
void actor_critic_init(struct actor_critic *ac, const struct algorithm_setup *setup,
                       enum policy_head head, int capacity, double log_sigma,
                       const struct optimiser_hyper *hyper, double learning_rate,
                       struct arena *arena);

/* V, and log pi(a|s), of `n` rows, any number; log_prob of CLOSE rows means nothing.
 *   rows [n][stride]; value, log_prob [n] */
void actor_critic_values(struct actor_critic *ac, int n, const real *rows, real *value);
void actor_critic_log_probs(struct actor_critic *ac, int n, const real *rows, real *log_prob);

/* log pi(a|s), entropy and V of B rows, B <= capacity; activations are kept for backward. Each of
 * log_prob, entropy and value [B] may be NULL: not wanted. */
void actor_critic_forward(struct actor_critic *ac, int B, const real *rows, real *log_prob,
                          real *entropy, real *value);

/* Gradients of a loss through the last forward of the same rows, into params.grad.
 *   dlog_prob, dentropy, dvalue    [B] d loss / d each */
void actor_critic_backward(struct actor_critic *ac, int B, const real *rows, const real *dlog_prob,
                           const real *dentropy, const real *dvalue);

/* One optimiser step; a free log sigma stays within its bounds (gaussian.h). Returns 0, or ERR_NUMERIC as
 * struct algorithm's step does.
 *   loss    checked for being finite first
 *   norm    of the gradient before clipping; NULL: not wanted */
int actor_critic_step(struct actor_critic *ac, double progress, double loss, double *norm,
                      struct error *err);

/* A step's two halves, for who computes gradients elsewhere: see struct algorithm's gradient and apply.
 *   grad  [params.n]
 *
 * take: the gradient of the last backward, unless it or `loss` is not finite; nothing else changes.
 * apply: one step with a gradient that came from elsewhere. */
int actor_critic_take_gradient(struct actor_critic *ac, double loss, real *grad, struct error *err);
int actor_critic_apply(struct actor_critic *ac, const real *grad, double progress, double *norm,
                       struct error *err);

/* As the schedule has it. */
double actor_critic_learning_rate(const struct actor_critic *ac, double progress);

/* The ops that every algorithm over this has: see struct algorithm. */
const real *actor_critic_policy(const struct actor_critic *ac, size_t *n);
const real *actor_critic_gradients(const struct actor_critic *ac, size_t *n);
int actor_critic_arrays(struct actor_critic *ac, struct array out[ALGORITHM_MAX_ARRAYS]);

#endif
