#include "learner/optimiser.h"

#include <math.h>
#include <stdbool.h>

double sum_of_squares(const real *x, size_t n)
{
    enum { LANES = 8 };    /* which a vector unit adds at once */
    double lane[LANES] = { 0 }, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < n; i++)
        total += (double)x[i] * (double)x[i];
    for (size_t k = 0; k < LANES; k++)
        total += lane[k];
    return total;
}

bool gradient_is_usable(const real *grad, size_t n)
{
    return isfinite((real)sum_of_squares(grad, n));
}

double schedule_factor(enum schedule s, double progress)
{
    const double pi = 3.14159265358979323846;
    double p = fmin(fmax(progress, 0), 1);
    return s == SCHEDULE_LINEAR ? 1 - p : s == SCHEDULE_COSINE ? 0.5 * (1 + cos(pi * p)) : 1;
}

void optimiser_reset(struct optimiser *o)
{
    real start = o->hyper.kind == OPTIMISER_RMSPROP_TF ? 1 : 0;
    o->t = 0;
    for (size_t i = 0; i < o->n; i++) {
        if (o->m)
            o->m[i] = 0;
        o->v[i] = start;
    }
}

/* Adam and AdamW; `decay` is what the latter leaves of a parameter. */
static void adam_sweep(const struct optimiser *o, real *theta, const real *grad, double lr, real l2,
                       real decay)
{
    const struct optimiser_hyper *h = &o->hyper;
    const real b1 = (real)h->beta1, b2 = (real)h->beta2, epsilon = (real)h->epsilon;
    const real rest1 = (real)(1 - h->beta1), rest2 = (real)(1 - h->beta2);
    const real step = (real)(lr / (1 - pow(h->beta1, (double)o->t)));
    const real scale = (real)(1 / sqrt(1 - pow(h->beta2, (double)o->t)));
    real *restrict m = o->m, *restrict v = o->v;
    for (size_t i = 0; i < o->n; i++) {
        real g = grad[i] + l2 * theta[i];
        m[i] = b1 * m[i] + rest1 * g;
        v[i] = b2 * v[i] + rest2 * g * g;
        theta[i] = decay * theta[i] - step * m[i] / (real_sqrt(v[i]) * scale + epsilon);
    }
}

static void rmsprop_sweep(const struct optimiser *o, real *theta, const real *grad, double lr, real l2)
{
    const struct optimiser_hyper *h = &o->hyper;
    const bool is_inside = h->kind == OPTIMISER_RMSPROP_TF;
    const real alpha = (real)h->decay, rest = (real)(1 - h->decay), step = (real)lr;
    const real inside = is_inside ? (real)h->epsilon : 0, outside = is_inside ? 0 : (real)h->epsilon;
    real *restrict v = o->v;
    for (size_t i = 0; i < o->n; i++) {
        real g = grad[i] + l2 * theta[i];
        v[i] = alpha * v[i] + rest * g * g;
        theta[i] -= step * g / (real_sqrt(v[i] + inside) + outside);
    }
}

int optimiser_step(struct optimiser *o, real *theta, real *grad, double progress, double *norm)
{
    const struct optimiser_hyper *h = &o->hyper;
    const double square = sum_of_squares(grad, o->n), length = sqrt(square);
    const double factor = h->max_grad_norm / (length + 1e-6);
    if (norm)
        *norm = length;
    if (!isfinite((real)square))
        return ERR_NUMERIC;
    for (size_t i = 0; h->max_grad_norm > 0 && factor < 1 && i < o->n; i++)
        grad[i] *= (real)factor;
    double lr = o->learning_rate * schedule_factor((enum schedule)h->schedule, progress);
    o->t++;
    if (h->kind == OPTIMISER_ADAM)
        adam_sweep(o, theta, grad, lr, (real)h->weight_decay, 1);
    else if (h->kind == OPTIMISER_ADAMW)
        adam_sweep(o, theta, grad, lr, 0, (real)(1 - lr * h->weight_decay));
    else
        rmsprop_sweep(o, theta, grad, lr, (real)h->weight_decay);
    return 0;
}

void polyak(real *target, const real *source, size_t n, double tau)
{
    const real t = (real)tau;
    for (size_t i = 0; i < n; i++)
        target[i] += t * (source[i] - target[i]);
}
