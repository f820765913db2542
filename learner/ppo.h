/* What tests need to see of PPO beyond its ops table. */
#ifndef SHOAL_LEARNER_PPO_H
#define SHOAL_LEARNER_PPO_H

#include "common/algorithm.h"
#include "learner/optimiser.h"

enum ppo_normalise { PPO_NORMALISE_NONE, PPO_NORMALISE_MINIBATCH };
enum ppo_log_sigma { PPO_LOG_SIGMA_INDEPENDENT, PPO_LOG_SIGMA_STATE };

struct ppo_hyper {
    double learning_rate;
    double gamma, lambda;
    double clip, clip_value;        /* clip_value 0: values are not clipped */
    int64_t epochs;
    double value_coef, entropy_coef;
    int normalise_advantages;       /* enum ppo_normalise */
    double target_kl;               /* 0: every epoch is done */
    bool recompute_advantages, truncation_terminates;
    bool vtrace;
    double rho_bar, c_bar;
    int log_sigma;                  /* enum ppo_log_sigma, of continuous actions */
    double log_sigma_init;
    struct optimiser_hyper optimiser;
};

#endif
