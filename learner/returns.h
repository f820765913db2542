/* Returns and advantages over the rows of a round, walked backwards from CLOSE row to CLOSE row.
 *
 * V(s') of a row is the value of the row behind it. TERMINATED does not bootstrap; the value behind it is
 * never read. TRUNCATED and the end of a fragment do, and the trace is cut there: A_t = delta_t. */
#ifndef SHOAL_LEARNER_RETURNS_H
#define SHOAL_LEARNER_RETURNS_H

#include "common/algorithm.h"

/* Generalised advantage estimation; lambda 1 gives n-step returns with n the rest of the fragment.
 *   delta_t = r_t + gamma V(s_{t+1}) - V(s_t);  A_t = delta_t + gamma lambda A_{t+1};  R_t = A_t + V(s_t)
 *   value      [n_rows] V of every row
 *   truncation_terminates    time limits do not bootstrap, as in CleanRL's PPO
 *   advantage, target  [n_rows] A and R, set; 0 in CLOSE rows
 * Source: Schulman et al. 2016, Eqs. 11, 12, 16. */
void returns_gae(const struct round *r, const real *value, double gamma, double lambda,
                 bool truncation_terminates, real *advantage, real *target);

/* V-trace targets for rows that another policy mu acted in.
 *   rho_t = min(rho_bar, pi / mu);  c_t = lambda min(c_bar, pi / mu)
 *   v_t = V(s_t) + delta_t + gamma c_t (v_{t+1} - V(s_{t+1})),  delta_t = rho_t (r_t + gamma V(s_{t+1}) - V(s_t))
 *   A_t = min(rho_bar, pi / mu) (r_t + gamma v_{t+1} - V(s_t))
 *   log_ratio  [n_rows] log pi(a|s) - log mu(a|s); not read in CLOSE rows
 *   advantage, target  [n_rows] A and v, set; 0 in CLOSE rows
 * Source: Espeholt et al. 2018 (IMPALA), Eq. 1 and section 4.2. */
struct vtrace {
    double gamma, lambda, rho_bar, c_bar;
};
void returns_vtrace(const struct round *r, const real *value, const real *log_ratio,
                    const struct vtrace *v, real *advantage, real *target);

/* `check` of V-trace for the algorithm called `name`, which has it chosen: refuses weights with which values
 * would not move or not converge, and time limits that do not bootstrap. */
int returns_check_vtrace(const char *name, const struct vtrace *v, bool truncation_terminates,
                         struct error *err);

/* Mean and standard deviation of x[at[i]], i < n, with n - 1 as PyTorch's; std of fewer than two is 0.
 *   at    [n]; NULL: the first n */
struct spread {
    double mean, std;
};
struct spread returns_spread(const real *x, const int *at, int n);

/* Advantages to mean 0 and standard deviation 1: x <- (x - mean) / (std + 1e-8), of the same numbers. */
void returns_normalise(real *x, const int *at, int n, struct spread s);

/* 1 - Var(R - V) / Var(R) over the transitions: 1 is a perfect value function, 0 one that says nothing.
 * 0 too where all targets are the same. */
double returns_explained_variance(const struct round *r, const real *value, const real *target);

#endif
