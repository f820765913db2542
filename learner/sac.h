/* What tests need to see of SAC beyond its ops table. */
#ifndef SHOAL_LEARNER_SAC_H
#define SHOAL_LEARNER_SAC_H

#include "common/algorithm.h"

struct sac_hyper {
    double gamma;
    double tau;
    double policy_lr, q_lr, alpha_lr;
    double alpha_init;
    bool learn_alpha;
    double target_entropy;    /* per action dimension */
};

/* The gradients of the last update, laid out as the array "params": policy | q1 | q2 | log alpha. */
const real *sac_gradients(const void *self, size_t *n);

#endif
