/* The row kernel: dense layers for acting, where a row's result depends on nothing but the row.
 *
 *   y[i][j] = f(b[j] + sum_k x[i][k] W[k][j])
 *
 * The sum runs over k in order, each term one fused multiply-add, vectorised over j; so a row gives
 * the same bits in a batch of 1 or 64 and on AVX-512, AVX2 or plain fma. OpenBLAS gives neither.
 *
 * Weights are packed once, when they are set: panels of 16 columns, each its 16 biases and then its k
 * rows of 16 weights, zeros beside the last column. A block of rows reads them in the order in which
 * they lie, and few rows, too, find them in the cache where a large step of the simulation in between
 * left them. */
#ifndef SHOAL_COMMON_ROW_KERNEL_H
#define SHOAL_COMMON_ROW_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

enum { ROW_KERNEL_PANEL = 16 };

struct row_kernel {
    const char *name;
    /* x [rows] pointers to k floats; packed [row_kernel_floats(k, n)]; y [rows][n]
     * f is max(0, .) when `is_rectified`, else nothing. */
    void (*dense)(int rows, int k, int n, const float *const *x, const float *packed, bool is_rectified,
                  float *y);
    bool (*is_supported)(void);
};

/* Every kernel of this build, best first, NULL-terminated; the last one runs everywhere. */
extern const struct row_kernel *const row_kernels[];

/* The best one this CPU has. */
const struct row_kernel *row_kernel_best(void);

/* Floats of a packed layer, for every kernel. */
size_t row_kernel_floats(int k, int n);

/* Pack a layer: w [k][n], b [n]. */
void row_kernel_pack(int k, int n, const float *w, const float *b, float *packed);

#endif
