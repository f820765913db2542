/* What tests need to see of TD3 beyond its ops table. */
#ifndef SHOAL_LEARNER_TD3_H
#define SHOAL_LEARNER_TD3_H

#include "common/algorithm.h"
#include "learner/optimiser.h"

struct td3_hyper {
    double gamma;
    double tau;
    int64_t policy_delay, target_every;
    double policy_lr, q_lr;
    double target_noise, target_noise_clip;
    struct exploration exploration;
    struct optimiser_hyper optimiser;
};

#endif
