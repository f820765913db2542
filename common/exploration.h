/* Noise that is added to the actions of deterministic policies, in policy units.
 *
 *   gaussian              eps = sigma N
 *   ornstein_uhlenbeck    x <- x - theta x dt + sigma sqrt(dt) N,  eps = x,  x = 0 where an episode begins
 *                         Uhlenbeck and Ornstein 1930, as in Lillicrap et al. 2016 */
#ifndef SHOAL_COMMON_EXPLORATION_H
#define SHOAL_COMMON_EXPLORATION_H

#include "common/error.h"
#include "common/rng.h"

enum exploration_kind { EXPLORATION_NONE, EXPLORATION_GAUSSIAN, EXPLORATION_ORNSTEIN_UHLENBECK };
#define EXPLORATION_CHOICES "none|gaussian|ornstein_uhlenbeck"

struct exploration {
    enum exploration_kind kind;
    double sigma, theta, dt;    /* theta and dt of ornstein_uhlenbeck alone */
};

/* Its word in messages, and back; ERR_FORMAT names the unknown one. */
const char *exploration_name(enum exploration_kind kind);
int exploration_find(const char *name, enum exploration_kind *kind, struct error *err);

/* The noise of one action.
 *   state  [n_act] of ornstein_uhlenbeck: zeros where an episode begins, kept between its steps; read
 *          and set. The others neither read nor set it, and `none` draws nothing
 *   out    [n_act] */
void exploration_draw(const struct exploration *e, struct rng *rng, int n_act, double *state,
                      float *out);

#endif
