/* What tests need to see of SAC beyond its ops table. */
#ifndef SHOAL_LEARNER_SAC_H
#define SHOAL_LEARNER_SAC_H

#include "common/algorithm.h"
#include "learner/optimiser.h"

enum sac_actions { SAC_ACTIONS_AUTO, SAC_ACTIONS_CONTINUOUS, SAC_ACTIONS_DISCRETE };
#define SAC_ACTIONS_CHOICES "auto|continuous|discrete"

struct sac_hyper {
    int actions;              /* enum sac_actions */
    bool value_network;
    double gamma;
    double tau;
    int64_t target_every, policy_delay;    /* updates, at least 1 */
    double policy_lr, q_lr, alpha_lr;
    double alpha_init;
    bool learn_alpha;
    double target_entropy;          /* continuous: per action dimension, in nats */
    double target_entropy_ratio;    /* discrete: of log n_choices */
    struct optimiser_hyper optimiser;
};

#endif
