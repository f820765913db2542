/* The number networks are made of: float. Tests build the same numerical sources with
 * SHOAL_DOUBLE to compare gradients with finite differences. */
#ifndef SHOAL_COMMON_REAL_H
#define SHOAL_COMMON_REAL_H

#include <math.h>

#ifdef SHOAL_DOUBLE
typedef double real;
#define real_sqrt sqrt
#define real_exp exp
#define real_tanh tanh
#define real_log log
#define real_log1p log1p
#else
typedef float real;
#define real_sqrt sqrtf
#define real_exp expf
#define real_tanh tanhf
#define real_log logf
#define real_log1p log1pf
#endif

#endif
