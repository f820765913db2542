/* Matrix products. OpenBLAS behind one door, one thread per caller; row-major with leading
 * dimensions, so that a column range of a batch of rows is an operand as it lies. */
#ifndef SHOAL_COMMON_MATRIX_H
#define SHOAL_COMMON_MATRIX_H

#include <stddef.h>

#include "common/real.h"

/* Call once per process before any product: OpenBLAS must not start threads of its own. */
void matrix_setup(void);

/* Class of CPU, within which results are equal bit for bit: vector instructions and the kernels
 * OpenBLAS chose, for example "avx512 SkylakeX". */
void matrix_cpu_class(char *out, size_t bytes);

/* Name and version of the library, for example "OpenBLAS 0.3.26". */
void matrix_library(char *out, size_t bytes);

/* C[m][n] = A[m][k] B[k][n] + beta C */
void matrix_nn(int m, int n, int k, const real *a, int lda, const real *b, int ldb,
               real beta, real *c, int ldc);

/* C[m][n] = A[m][k] B[n][k]^T + beta C */
void matrix_nt(int m, int n, int k, const real *a, int lda, const real *b, int ldb,
               real beta, real *c, int ldc);

/* C[m][n] = A[k][m]^T B[k][n] + beta C */
void matrix_tn(int m, int n, int k, const real *a, int lda, const real *b, int ldb,
               real beta, real *c, int ldc);

/* In double, whatever real is:  C[m][n] = A[m][k] B[n][k]^T  and  C[m][n] -= A[m][k] B[k][n] */
void matrix_double_nt(int m, int n, int k, const double *a, int lda, const double *b, int ldb,
                      double *c, int ldc);
void matrix_double_subtract(int m, int n, int k, const double *a, int lda, const double *b, int ldb,
                            double *c, int ldc);

#endif
