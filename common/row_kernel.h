/* The row kernel: dense layers for acting, where a row's result depends on nothing but the row.
 *
 *   y[i][j] = f(b[j] + sum_k x[i][k] W[k][j])
 *
 * The sum runs over k in order, each term one fused multiply-add, vectorised over j; so a row gives
 * the same bits in a batch of 1 or 64 and on AVX-512, AVX2 or plain fma. OpenBLAS gives neither. */
#ifndef SHOAL_COMMON_ROW_KERNEL_H
#define SHOAL_COMMON_ROW_KERNEL_H

#include <stdbool.h>

struct row_kernel {
    const char *name;
    /* x [rows] pointers to k floats; w [k][n]; b [n]; y [rows][n] */
    void (*dense)(int rows, int k, int n, const float *const *x, const float *w, const float *b,
                  float *y);
    bool (*is_supported)(void);
};

/* Every kernel of this build, best first, NULL-terminated; the last one runs everywhere. */
extern const struct row_kernel *const row_kernels[];

/* The best one this CPU has. */
const struct row_kernel *row_kernel_best(void);

#endif
