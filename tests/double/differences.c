#include "tests/double/differences.h"

#include <math.h>
#include <stdlib.h>

static const double STEP = 1e-6, TOLERANCE = 1e-7;

real *random_block(struct rng *rng, size_t n, double scale)
{
    real *x = malloc((n ? n : 1) * sizeof(*x));
    for (size_t i = 0; i < n; i++)
        x[i] = scale * rng_normal(rng);
    return x;
}

void differences(loss_function *loss, void *context, real *x, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        real saved = x[i];
        x[i] = saved + STEP;
        double above = loss(context);
        x[i] = saved - STEP;
        double below = loss(context);
        x[i] = saved;
        out[i] = (above - below) / (2 * STEP);
    }
}

void check_close(const char *what, const real *grad, const double *numeric, size_t n)
{
    double scale = 0;
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs(numeric[i]));
    ck_assert_msg(scale > 0, "%s: no gradient to compare with", what);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs(grad[i] - numeric[i]) <= TOLERANCE * scale,
                      "%s: element %zu is %.12g instead of %.12g", what, i, grad[i], numeric[i]);
}

void check_gradient(const char *what, const real *grad, loss_function *loss, void *context, real *x,
                    size_t n)
{
    double *numeric = malloc(n * sizeof(*numeric));
    differences(loss, context, x, n, numeric);
    check_close(what, grad, numeric, n);
    free(numeric);
}
