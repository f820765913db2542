/* Gradients against central finite differences, in double: SHOAL_DOUBLE makes `real` one.
 *
 * A difference quotient with step 1e-6 carries an error of about 1e-9 of the loss; gradients are compared at
 * 1e-7 of their largest number. */
#ifndef SHOAL_TESTS_DOUBLE_DIFFERENCES_H
#define SHOAL_TESTS_DOUBLE_DIFFERENCES_H

#include "common/real.h"
#include "common/rng.h"
#include "tests/support.h"

_Static_assert(sizeof(real) == sizeof(double), "build with -DSHOAL_DOUBLE");

/* n normals times `scale`, for free(). */
real *random_block(struct rng *rng, size_t n, double scale);

/* What the differences are taken of: a loss at the present value of `x`. */
typedef double loss_function(void *context);

/* d loss / d x[i] for all i into out[n]. */
void differences(loss_function *loss, void *context, real *x, size_t n, double *out);

/* Fail unless the gradients agree, and unless there is one; `what` is told. */
void check_close(const char *what, const real *grad, const double *numeric, size_t n);

/* check_close with the differences of `loss` in x[n]. */
void check_gradient(const char *what, const real *grad, loss_function *loss, void *context, real *x,
                    size_t n);

#endif
