/* What tests need to see of A2C beyond its ops table. */
#ifndef SHOAL_LEARNER_A2C_H
#define SHOAL_LEARNER_A2C_H

#include "learner/actor_critic.h"

enum a2c_form { A2C_NSTEP, A2C_EPISODES, A2C_ONLINE };
#define A2C_FORMS "nstep|episodes|online"

enum a2c_normalise { A2C_NORMALISE_NONE, A2C_NORMALISE_ROUND };
#define A2C_NORMALISE "none|round"

enum { A2C_CHUNK_TRANSITIONS = 1024 };    /* that are forward and backward at once */

struct a2c_hyper {
    int form;                      /* enum a2c_form */
    double learning_rate;
    double gamma, lambda;
    double value_coef, entropy_coef;
    int normalise_advantages;      /* enum a2c_normalise */
    int64_t value_epochs;
    bool vtrace;
    double rho_bar, c_bar;
    bool truncation_terminates;
    int log_sigma;                 /* enum log_sigma_kind */
    double log_sigma_init;
    struct optimiser_hyper optimiser;
};

#endif
