/* What tests need to see of DDPG beyond its ops table. */
#ifndef SHOAL_LEARNER_DDPG_H
#define SHOAL_LEARNER_DDPG_H

#include "common/algorithm.h"
#include "learner/optimiser.h"

struct ddpg_hyper {
    double gamma;
    double tau;
    int64_t target_every;
    double policy_lr, q_lr;
    int64_t policy_delay;
    double q_weight_decay;
    bool small_last_layer;
    struct exploration exploration;
    struct optimiser_hyper optimiser;
};

#endif
