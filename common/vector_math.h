/* Elementary functions of whole arrays, for hot loops: the C library's take one number at a time.
 *
 * Of floats the results are within the stated number of units in the last place (ulp), denormals included,
 * and a number's result depends neither on its place in the array nor on the CPU (common/dispatch.h). NaN
 * stays NaN. Of doubles they are the C library's. Each is in place, x [n]. */
#ifndef SHOAL_COMMON_VECTOR_MATH_H
#define SHOAL_COMMON_VECTOR_MATH_H

#include <stddef.h>

#include "common/real.h"

/* x <- tanh(x), 4 ulp: odd, 1 at infinity. */
void vector_tanh(real *x, size_t n);

/* x <- exp(x), 1 ulp: 1 at 0, infinite from 88.73 on, 0 below -103.98. */
void vector_exp(real *x, size_t n);

/* x <- log(x), 1 ulp: 0 at 1, minus infinity at 0, NaN below. */
void vector_log(real *x, size_t n);

/* x <- log(1 + exp(x)), 2 ulp, never overflowing: x where that is large. */
void vector_softplus(real *x, size_t n);

#endif
