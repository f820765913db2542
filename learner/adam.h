/* Adam over a flat range of parameters, and Polyak averaging. */
#ifndef SHOAL_LEARNER_ADAM_H
#define SHOAL_LEARNER_ADAM_H

#include <stddef.h>
#include <stdint.h>

#include "common/real.h"

struct adam {
    real *m, *v;        /* [n] first and second moments, owned by the caller's arena */
    size_t n;
    double learning_rate, beta1, beta2, epsilon;
};

/* One step, in place. `t` counts this step, from 1.
 *   m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2
 *   theta <- theta - lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
 * Source: Kingma and Ba 2015, algorithm 1; epsilon placed as in PyTorch. */
void adam_step(struct adam *a, real *theta, const real *grad, int64_t t);

/* target <- tau source + (1 - tau) target, [n]. */
void polyak(real *target, const real *source, size_t n, double tau);

#endif
