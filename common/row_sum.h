/* Sums over a row, for layer normalisation: in one order wherever they are made, so that what an actor computes of
 * a row is what the learner computes. */
#ifndef SHOAL_COMMON_ROW_SUM_H
#define SHOAL_COMMON_ROW_SUM_H

#include <stddef.h>

#include "common/real.h"

/* sum_j x_j y_j, or sum_j x_j where y is NULL, of rows [n]; in lanes, which a vector unit adds at once. */
static inline real row_sum(const real *x, const real *y, int n)
{
    enum { LANES = 8 };
    real lane[LANES] = { 0 }, sum = 0;
    int j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int i = 0; i < LANES; i++)
            lane[i] += y ? x[j + i] * y[j + i] : x[j + i];
    for (; j < n; j++)
        sum += y ? x[j] * y[j] : x[j];
    for (int i = 0; i < LANES; i++)
        sum += lane[i];
    return sum;
}

#endif
