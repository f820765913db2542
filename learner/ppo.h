/* What tests need to see of PPO beyond its ops table. */
#ifndef SHOAL_LEARNER_PPO_H
#define SHOAL_LEARNER_PPO_H

#include "learner/actor_critic.h"

enum ppo_normalise { PPO_NORMALISE_NONE, PPO_NORMALISE_MINIBATCH };

struct ppo_hyper {
    double learning_rate;
    double gamma, lambda;
    double clip, value_clip;        /* value_clip 0: values are not clipped */
    int64_t epochs;
    double value_coef, entropy_coef;
    int normalise_advantages;       /* enum ppo_normalise */
    double target_kl;               /* 0: every epoch is done */
    bool recompute_advantages, truncation_terminates;
    bool vtrace;
    double rho_bar, c_bar;
    int log_sigma;                  /* enum log_sigma_kind, of continuous actions */
    double log_sigma_init;
    struct optimiser_hyper optimiser;
};

#endif
