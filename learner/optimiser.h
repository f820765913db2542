/* First-order optimisers over a flat range of parameters, gradient clipping, learning-rate schedules,
 * and Polyak averaging. */
#ifndef SHOAL_LEARNER_OPTIMISER_H
#define SHOAL_LEARNER_OPTIMISER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/option.h"
#include "common/real.h"
#include "common/workers.h"

enum optimiser_kind {
    OPTIMISER_ADAM,         /* PyTorch's: weight decay is added to the gradient */
    OPTIMISER_ADAMW,        /* weight decay is taken from the parameters */
    OPTIMISER_RMSPROP,      /* PyTorch's: epsilon outside the root, mean square from 0 */
    OPTIMISER_RMSPROP_TF    /* TensorFlow's: epsilon inside the root, mean square from 1 */
};
#define OPTIMISER_CHOICES "adam|adamw|rmsprop|rmsprop_tf"

enum schedule { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE };
#define SCHEDULE_CHOICES "constant|linear|cosine"

/* What an algorithm's options say about its optimisers, all but the learning rates. */
struct optimiser_hyper {
    int kind;                   /* enum optimiser_kind */
    int schedule;               /* enum schedule: of all learning rates, to 0 behind the last update */
    double epsilon;
    double beta1, beta2;        /* of Adam and AdamW */
    double decay;               /* alpha of RMSProp */
    double weight_decay;
    double max_grad_norm;       /* 0: gradients are not clipped */
};

/* Its rows in an algorithm's table: OPTIMISER_OPTIONS(struct ppo_hyper, optimiser, "adam", "constant",
 * "1e-5", "0.5") over `struct optimiser_hyper optimiser` in struct ppo_hyper. */
#define OPTIMISER_ROW(struct_, field, member, name_, type_, value_, min_, max_, choices_, help_) \
    { .name = name_, .type = type_, .offset = offsetof(struct_, field.member), .value = value_, \
      .min = min_, .max = max_, .choices = choices_, .help = help_ }
#define OPTIMISER_OPTIONS(struct_, field, kind_, schedule_, epsilon_, max_norm_) \
    OPTIMISER_ROW(struct_, field, kind, "optimiser", OPTION_CHOICE, kind_, 0, 0, OPTIMISER_CHOICES, \
                  "what turns gradients into steps"), \
    OPTIMISER_ROW(struct_, field, schedule, "lr_schedule", OPTION_CHOICE, schedule_, 0, 0, \
                  SCHEDULE_CHOICES, "of the learning rates: constant, or falling to 0 over the run"), \
    OPTIMISER_ROW(struct_, field, epsilon, "epsilon", OPTION_REAL, epsilon_, 1e-20, 1, NULL, \
                  "keeps the optimiser's divisor from 0"), \
    OPTIMISER_ROW(struct_, field, beta1, "beta1", OPTION_REAL, "0.9", 0, 0.9999999, NULL, \
                  "memory of Adam's mean gradient"), \
    OPTIMISER_ROW(struct_, field, beta2, "beta2", OPTION_REAL, "0.999", 0, 0.9999999, NULL, \
                  "memory of Adam's mean squared gradient"), \
    OPTIMISER_ROW(struct_, field, decay, "rmsprop_decay", OPTION_REAL, "0.99", 0, 0.9999999, NULL, \
                  "memory of RMSProp's mean squared gradient"), \
    OPTIMISER_ROW(struct_, field, weight_decay, "weight_decay", OPTION_REAL, "0", 0, 1, NULL, \
                  "pull of the parameters to 0"), \
    OPTIMISER_ROW(struct_, field, max_grad_norm, "max_grad_norm", OPTION_REAL, max_norm_, 0, 1e9, \
                  NULL, "longer gradients are scaled to this norm; 0: never")

struct optimiser {
    struct optimiser_hyper hyper;
    double learning_rate;       /* before the schedule */
    real *m, *v;                /* [n] moments in the caller's arena; m may be NULL for RMSProp */
    size_t n;
    int64_t t;                  /* steps done; saved by the algorithm */
    struct workers *workers;    /* who share a step; NULL: the caller alone */
};

/* Bring the moments to their start. */
void optimiser_reset(struct optimiser *o);

/* One step in place, at `progress` (0 to 1) through the run.
 *   grad  [n]; scaled in place when it is longer than max_grad_norm:
 *         g <- g min(1, max / (||g|| + 1e-6))
 * Adam       m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
 *            theta <- theta - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
 * RMSProp    v <- a v + (1 - a) g^2;  theta <- theta - lr g / (sqrt(v) + eps), or g / sqrt(v + eps)
 * Returns ERR_NUMERIC, and leaves everything as it was, when the gradient is not usable.
 *   norm  set to ||g|| before clipping; NULL: not wanted
 * Source: Kingma and Ba 2015, algorithm 1; Loshchilov and Hutter 2019; Tieleman and Hinton 2012; the
 * places of epsilon as in PyTorch and TensorFlow. */
int optimiser_step(struct optimiser *o, real *theta, real *grad, double progress, double *norm);

/* What the schedule leaves of a learning rate: 1 at progress 0. */
double schedule_factor(enum schedule s, double progress);

/* Sum of squares: those of blocks of OPTIMISER_BLOCK, added in order; of floats it is finite exactly when each of
 * them is. */
enum { OPTIMISER_BLOCK = 16384 };
double sum_of_squares(const real *x, size_t n);

/* Whether every number is finite and the sum of their squares is a finite `real`: a larger gradient would
 * make moments infinite. */
bool gradient_is_usable(const real *grad, size_t n);

/* target <- tau source + (1 - tau) target, [n]; a copy when tau is 1.
 *   workers   who share it; NULL: the caller alone */
void polyak(real *target, const real *source, size_t n, double tau, struct workers *workers);

#endif
