/* Central finite differences, in double: what gradients are compared with.
 *
 * Tests that include this are built with SHOAL_DOUBLE from the numerical sources alone. A difference
 * quotient with step 1e-6 carries an error of about 1e-9 of the loss; gradients are compared at 1e-7 of
 * their largest. */
#ifndef SHOAL_TESTS_DOUBLE_DIFFERENCES_H
#define SHOAL_TESTS_DOUBLE_DIFFERENCES_H

#include <math.h>
#include <stdlib.h>

#include "common/real.h"
#include "common/rng.h"
#include "tests/support.h"

_Static_assert(sizeof(real) == sizeof(double), "build with -DSHOAL_DOUBLE");

static const double STEP = 1e-6, TOLERANCE = 1e-7;

/* [n] normals times `scale`, for free(). */
static inline real *random_block(struct rng *rng, size_t n, double scale)
{
    real *x = malloc((n ? n : 1) * sizeof(*x));
    for (size_t i = 0; i < n; i++)
        x[i] = scale * rng_normal(rng);
    return x;
}

/* What the differences are taken of: a loss at the present value of `x`. */
typedef double loss_function(void *context);

/* d loss / d x[i] for all i into out[n]. */
static inline void differences(loss_function *loss, void *context, real *x, size_t n, double *out)
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

/* Fail unless a gradient equals `numeric`; `what` is told. */
static inline void check_close(const char *what, const real *grad, const double *numeric, size_t n)
{
    double scale = 0;
    for (size_t i = 0; i < n; i++)
        scale = fmax(scale, fabs(numeric[i]));
    ck_assert_msg(scale > 0, "%s: no gradient to compare with", what);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs(grad[i] - numeric[i]) <= TOLERANCE * scale,
                      "%s: element %zu is %.12g instead of %.12g", what, i, grad[i], numeric[i]);
}

/* Fail unless `grad` [n] is d loss / d x. */
static inline void check_gradient(const char *what, const real *grad, loss_function *loss,
                                  void *context, real *x, size_t n)
{
    double *numeric = malloc(n * sizeof(*numeric));
    differences(loss, context, x, n, numeric);
    check_close(what, grad, numeric, n);
    free(numeric);
}

#endif
