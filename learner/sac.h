/* What tests need to see of SAC beyond its ops table. */
#ifndef SHOAL_LEARNER_SAC_H
#define SHOAL_LEARNER_SAC_H

#include "common/algorithm.h"
#include "learner/optimiser.h"

struct sac_hyper {
    double gamma;
    double tau;
    double policy_lr, q_lr, alpha_lr;
    double alpha_init;
    bool learn_alpha;
    double target_entropy;    /* per action dimension */
    struct optimiser_hyper optimiser;
};

#endif
