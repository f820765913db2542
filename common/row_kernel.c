#include "common/row_kernel.h"

#include <math.h>
#include <stddef.h>

/* Rows that share one pass over a block of weights. */
enum { ROWS = 4 };

static bool always(void)
{
    return true;
}

static void dense_portable(int rows, int k, int n, const float *const *x, const float *w,
                           const float *b, float *y)
{
    for (int i = 0; i < rows; i++, y += n) {
        for (int j = 0; j < n; j++)
            y[j] = b[j];
        for (int p = 0; p < k; p++) {
            const float *row = w + (size_t)p * (size_t)n;
            for (int j = 0; j < n; j++)
                y[j] = fmaf(x[i][p], row[j], y[j]);
        }
    }
}

static const struct row_kernel portable = { "portable", dense_portable, always };

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET_AVX2 __attribute__((target("avx2,fma")))
#define TARGET_AVX512 __attribute__((target("avx512f")))
#define INLINE static inline __attribute__((always_inline))

/* One block of `r` rows (a constant after inlining) by up to two vectors of columns. */
TARGET_AVX2 INLINE void block_avx2(int r, int k, int n, const float *const *x, const float *w,
                                   const float *b, float *y, __m256i mask0, __m256i mask1)
{
    __m256 acc[ROWS][2];
    for (int i = 0; i < r; i++) {
        acc[i][0] = _mm256_maskload_ps(b, mask0);
        acc[i][1] = _mm256_maskload_ps(b + 8, mask1);
    }
    for (int p = 0; p < k; p++, w += n) {
        __m256 w0 = _mm256_maskload_ps(w, mask0), w1 = _mm256_maskload_ps(w + 8, mask1);
        for (int i = 0; i < r; i++) {
            __m256 v = _mm256_broadcast_ss(x[i] + p);
            acc[i][0] = _mm256_fmadd_ps(v, w0, acc[i][0]);
            acc[i][1] = _mm256_fmadd_ps(v, w1, acc[i][1]);
        }
    }
    for (int i = 0; i < r; i++) {
        _mm256_maskstore_ps(y + (size_t)i * (size_t)n, mask0, acc[i][0]);
        _mm256_maskstore_ps(y + (size_t)i * (size_t)n + 8, mask1, acc[i][1]);
    }
}

TARGET_AVX2 static __m256i mask_avx2(int columns)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(columns), lane);
}

TARGET_AVX2 static void dense_avx2(int rows, int k, int n, const float *const *x, const float *w,
                                   const float *b, float *y)
{
    for (int j = 0; j < n; j += 16) {
        __m256i m0 = mask_avx2(n - j), m1 = mask_avx2(n - j - 8);
        int i = 0;
        for (; i + ROWS <= rows; i += ROWS)
            block_avx2(ROWS, k, n, x + i, w + j, b + j, y + (size_t)i * (size_t)n + j, m0, m1);
        for (; i < rows; i++)
            block_avx2(1, k, n, x + i, w + j, b + j, y + (size_t)i * (size_t)n + j, m0, m1);
    }
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static const struct row_kernel avx2 = { "avx2", dense_avx2, has_avx2 };

TARGET_AVX512 INLINE void block_avx512(int r, int k, int n, const float *const *x, const float *w,
                                       const float *b, float *y, __mmask16 mask0, __mmask16 mask1)
{
    __m512 acc[ROWS][2];
    for (int i = 0; i < r; i++) {
        acc[i][0] = _mm512_maskz_loadu_ps(mask0, b);
        acc[i][1] = _mm512_maskz_loadu_ps(mask1, b + 16);
    }
    for (int p = 0; p < k; p++, w += n) {
        __m512 w0 = _mm512_maskz_loadu_ps(mask0, w), w1 = _mm512_maskz_loadu_ps(mask1, w + 16);
        for (int i = 0; i < r; i++) {
            __m512 v = _mm512_set1_ps(x[i][p]);
            acc[i][0] = _mm512_fmadd_ps(v, w0, acc[i][0]);
            acc[i][1] = _mm512_fmadd_ps(v, w1, acc[i][1]);
        }
    }
    for (int i = 0; i < r; i++) {
        _mm512_mask_storeu_ps(y + (size_t)i * (size_t)n, mask0, acc[i][0]);
        _mm512_mask_storeu_ps(y + (size_t)i * (size_t)n + 16, mask1, acc[i][1]);
    }
}

static __mmask16 mask_avx512(int columns)
{
    return (__mmask16)(columns >= 16 ? 0xFFFF : columns <= 0 ? 0 : (1 << columns) - 1);
}

TARGET_AVX512 static void dense_avx512(int rows, int k, int n, const float *const *x,
                                       const float *w, const float *b, float *y)
{
    for (int j = 0; j < n; j += 32) {
        __mmask16 m0 = mask_avx512(n - j), m1 = mask_avx512(n - j - 16);
        int i = 0;
        for (; i + ROWS <= rows; i += ROWS)
            block_avx512(ROWS, k, n, x + i, w + j, b + j, y + (size_t)i * (size_t)n + j, m0, m1);
        for (; i < rows; i++)
            block_avx512(1, k, n, x + i, w + j, b + j, y + (size_t)i * (size_t)n + j, m0, m1);
    }
}

static bool has_avx512(void)
{
    return __builtin_cpu_supports("avx512f");
}

static const struct row_kernel avx512 = { "avx512", dense_avx512, has_avx512 };

const struct row_kernel *const row_kernels[] = { &avx512, &avx2, &portable, NULL };
#else
const struct row_kernel *const row_kernels[] = { &portable, NULL };
#endif

const struct row_kernel *row_kernel_best(void)
{
    const struct row_kernel *const *kernel = row_kernels;
    while (!(*kernel)->is_supported())
        kernel++;
    return *kernel;
}
