#include "common/matrix.h"

#include <cblas.h>
#include <stdio.h>

#ifdef SHOAL_DOUBLE
#define gemm cblas_dgemm
#else
#define gemm cblas_sgemm
#endif

void matrix_setup(void)
{
    openblas_set_num_threads(1);
}

void matrix_cpu_class(char *out, size_t bytes)
{
#if defined(__x86_64__)
    const char *vectors = __builtin_cpu_supports("avx512f") ? "avx512"
                        : __builtin_cpu_supports("avx2") ? "avx2" : "sse";
#else
    const char *vectors = "generic";
#endif
    snprintf(out, bytes, "%s %s", vectors, openblas_get_corename());
}

void matrix_library(char *out, size_t bytes)
{
    /* Behind the two words come the options it was built with. */
    char name[32] = "", version[32] = "";
    const int n = sscanf(openblas_get_config(), "%31s %31s", name, version);
    snprintf(out, bytes, "%s%s%s", name, n == 2 ? " " : "", version);
}

void matrix_nn(int m, int n, int k, const real *a, int lda, const real *b, int ldb,
               real beta, real *c, int ldc)
{
    gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

void matrix_nt(int m, int n, int k, const real *a, int lda, const real *b, int ldb,
               real beta, real *c, int ldc)
{
    gemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

void matrix_tn(int m, int n, int k, const real *a, int lda, const real *b, int ldb,
               real beta, real *c, int ldc)
{
    gemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, n, k, 1, a, lda, b, ldb, beta, c, ldc);
}

void matrix_double_nt(int m, int n, int k, const double *a, int lda, const double *b, int ldb,
                      double *c, int ldc)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, a, lda, b, ldb, 0, c, ldc);
}

void matrix_double_subtract(int m, int n, int k, const double *a, int lda, const double *b, int ldb,
                            double *c, int ldc)
{
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, -1, a, lda, b, ldb, 1, c, ldc);
}
