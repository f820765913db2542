/* What the algorithms with a deterministic policy have in common (ddpg.c, td3.c): the action a = tanh(out)
 * of the policy's outputs, the policy's gradient through a critic, what explores for it, and what they
 * refuse. Rows hold obs | action, so they are the critic's input as they lie. */
#ifndef SHOAL_LEARNER_DETERMINISTIC_H
#define SHOAL_LEARNER_DETERMINISTIC_H

#include "common/algorithm.h"

/* Options over a `struct exploration`: EXPLORATION_OPTIONS(struct td3_hyper, exploration, "gaussian", "0.1") */
#define EXPLORATION_OPTIONS(struct_, field, kind_, sigma_) \
    { .name = "noise", .type = OPTION_CHOICE, .offset = offsetof(struct_, field.kind), .value = kind_, \
      .choices = EXPLORATION_CHOICES, .help = "what actors add to the policy's actions" }, \
    { .name = "sigma", .type = OPTION_REAL, .offset = offsetof(struct_, field.sigma), .value = sigma_, \
      .max = 10, .help = "size of that noise; actions are within [-1, 1]" }, \
    { .name = "theta", .type = OPTION_REAL, .offset = offsetof(struct_, field.theta), .value = "0.15", \
      .max = 1e3, .help = "pull of ornstein_uhlenbeck to 0" }, \
    { .name = "dt", .type = OPTION_REAL, .offset = offsetof(struct_, field.dt), .value = "0.01", \
      .min = 1e-6, .max = 10, .help = "time step of ornstein_uhlenbeck; sigma and theta are per unit of time" }

/* Networks' shapes and the intermediate results of at most B rows. */
struct deterministic {
    struct mlp_shape policy_shape, q_shape;
    int n_obs, n_act;
    int ld;                        /* from one transition of a batch to the next: a row and its successor */
    struct mlp_cache policy_cache, q_cache[2];
    real *y;                       /* [B] what a critic shall say */
    real *dq[2];                   /* [B] d loss / d each Q */
    real *dact;                    /* [B][n_act] d loss / d action */
    real *dout;                    /* [B][n_act] d loss / d policy outputs */
};

/*   n_critics   1 or 2 */
void deterministic_init(struct deterministic *d, const struct algorithm_setup *setup, int n_critics,
                        struct arena *arena);

/* Write a = tanh(out) into the action fields of B rows, d->ld apart. */
void deterministic_act(struct deterministic *d, const real *policy, int B, real *rows);

/* Q_i(s, a), i < n, of B rows, d->ld apart: passes for mlp_backward_all, with d->dq. Outputs are owned by
 * d->q_cache[i] until its next use. */
void deterministic_values(struct deterministic *d, real *const *q, int n, int B, const real *rows,
                          struct mlp_pass *pass, const real **out);

/* The policy's loss -1/B sum Q(s, mu(s)) over the batch and its gradient; Q does not move. The actions of
 * the batch are replaced.
 *   grad  as `policy`, set
 * Source: Silver et al. 2014, Eq. 9; Lillicrap et al. 2016, Eq. 6. */
double deterministic_gradient(struct deterministic *d, const real *policy, real *q, struct batch *b,
                              real *grad);

/* `check` of the algorithm called `name`: refuses discrete actions, and an Ornstein-Uhlenbeck process that
 * runs away. */
int deterministic_check(const char *name, const struct exploration *e, const struct env_spec *spec,
                        struct error *err);

#endif
