#include "learner/adam.h"

void adam_step(struct adam *a, real *theta, const real *grad, int64_t t)
{
    const real b1 = (real)a->beta1, b2 = (real)a->beta2, epsilon = (real)a->epsilon;
    const real rest1 = (real)(1 - a->beta1), rest2 = (real)(1 - a->beta2);
    const real step = (real)(a->learning_rate / (1 - pow(a->beta1, (double)t)));
    const real scale = (real)(1 / sqrt(1 - pow(a->beta2, (double)t)));
    real *restrict m = a->m, *restrict v = a->v;
    for (size_t i = 0; i < a->n; i++) {
        real g = grad[i];
        m[i] = b1 * m[i] + rest1 * g;
        v[i] = b2 * v[i] + rest2 * g * g;
        theta[i] -= step * m[i] / (real_sqrt(v[i]) * scale + epsilon);
    }
}

void polyak(real *target, const real *source, size_t n, double tau)
{
    const real t = (real)tau;
    for (size_t i = 0; i < n; i++)
        target[i] += t * (source[i] - target[i]);
}
