/* Elementary functions of whole arrays, for hot loops: the C library's take one number at a time. */
#ifndef SHOAL_COMMON_VECTOR_MATH_H
#define SHOAL_COMMON_VECTOR_MATH_H

#include <stddef.h>

#include "common/real.h"

/* x <- tanh(x), [n]. Of floats it is within 4 units in the last place, and a number's result depends
 * neither on its place in the array nor on the CPU: odd, 1 at infinity, NaN stays. */
void vector_tanh(real *x, size_t n);

#endif
