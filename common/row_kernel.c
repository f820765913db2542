#include "common/row_kernel.h"

#include <math.h>
#include <stddef.h>

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

/* Every block is `r` rows by `v` vectors of columns, both constants after inlining, so that the sums
 * stay in registers. Weights are read once per block: many rows share one pass over few columns, and
 * a single row takes so many columns at once that it reads the weights nearly in the order in which
 * they lie. A sum goes over k in the same order in every block. */

TARGET_AVX2 INLINE void block_avx2(int r, int v, int k, int n, const float *const *x,
                                   const float *w, const float *b, float *y, __m256i last)
{
    __m256 acc[8];
    for (int i = 0; i < r; i++)
        for (int c = 0; c < v; c++)
            acc[i * v + c] = c + 1 < v ? _mm256_loadu_ps(b + 8 * c)
                                       : _mm256_maskload_ps(b + 8 * c, last);
    for (int p = 0; p < k; p++, w += n)
        for (int c = 0; c < v; c++) {
            __m256 weights = c + 1 < v ? _mm256_loadu_ps(w + 8 * c)
                                       : _mm256_maskload_ps(w + 8 * c, last);
            for (int i = 0; i < r; i++)
                acc[i * v + c] = _mm256_fmadd_ps(_mm256_broadcast_ss(x[i] + p), weights,
                                                 acc[i * v + c]);
        }
    for (int i = 0; i < r; i++, y += n)
        for (int c = 0; c < v; c++)
            if (c + 1 < v)
                _mm256_storeu_ps(y + 8 * c, acc[i * v + c]);
            else
                _mm256_maskstore_ps(y + 8 * c, last, acc[i * v + c]);
}

TARGET_AVX2 static __m256i mask_avx2(int columns)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(columns), lane);
}

/* All rows, in blocks of r, over the columns j and the v - 1 vectors behind them. */
TARGET_AVX2 INLINE int rows_avx2(int from, int r, int v, int rows, int j, int k, int n,
                                 const float *const *x, const float *w, const float *b, float *y)
{
    const __m256i last = mask_avx2(n - j - 8 * (v - 1));
    for (; from + r <= rows; from += r)
        block_avx2(r, v, k, n, x + from, w + j, b + j, y + (size_t)from * (size_t)n + j, last);
    return from;
}

TARGET_AVX2 static void dense_avx2(int rows, int k, int n, const float *const *x, const float *w,
                                   const float *b, float *y)
{
    const int shared = rows - rows % 4;
    for (int j = 0; j < n; j += 16)
        if (n - j > 8)
            rows_avx2(0, 4, 2, shared, j, k, n, x, w, b, y);
        else
            rows_avx2(0, 4, 1, shared, j, k, n, x, w, b, y);
    for (int j = 0; shared < rows && j < n;) {
        const int left = n - j;
        if (left > 56)
            rows_avx2(shared, 1, 8, rows, j, k, n, x, w, b, y), j += 64;
        else if (left > 8)
            rows_avx2(shared, 1, 2, rows, j, k, n, x, w, b, y), j += 16;
        else
            rows_avx2(shared, 1, 1, rows, j, k, n, x, w, b, y), j += 8;
    }
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static const struct row_kernel avx2 = { "avx2", dense_avx2, has_avx2 };

TARGET_AVX512 INLINE void block_avx512(int r, int v, int k, int n, const float *const *x,
                                       const float *w, const float *b, float *y, __mmask16 last)
{
    __m512 acc[24];
    for (int i = 0; i < r; i++)
        for (int c = 0; c < v; c++)
            acc[i * v + c] = _mm512_maskz_loadu_ps(c + 1 < v ? 0xFFFF : last, b + 16 * c);
    for (int p = 0; p < k; p++, w += n)
        for (int c = 0; c < v; c++) {
            __m512 weights = _mm512_maskz_loadu_ps(c + 1 < v ? 0xFFFF : last, w + 16 * c);
            for (int i = 0; i < r; i++)
                acc[i * v + c] = _mm512_fmadd_ps(_mm512_set1_ps(x[i][p]), weights, acc[i * v + c]);
        }
    for (int i = 0; i < r; i++, y += n)
        for (int c = 0; c < v; c++)
            _mm512_mask_storeu_ps(y + 16 * c, c + 1 < v ? 0xFFFF : last, acc[i * v + c]);
}

static __mmask16 mask_avx512(int columns)
{
    return (__mmask16)(columns >= 16 ? 0xFFFF : columns <= 0 ? 0 : (1 << columns) - 1);
}

TARGET_AVX512 INLINE int rows_avx512(int from, int r, int v, int rows, int j, int k, int n,
                                     const float *const *x, const float *w, const float *b,
                                     float *y)
{
    const __mmask16 last = mask_avx512(n - j - 16 * (v - 1));
    for (; from + r <= rows; from += r)
        block_avx512(r, v, k, n, x + from, w + j, b + j, y + (size_t)from * (size_t)n + j, last);
    return from;
}

TARGET_AVX512 static void dense_avx512(int rows, int k, int n, const float *const *x,
                                       const float *w, const float *b, float *y)
{
    const int shared = rows - rows % 4;
    for (int j = 0; j < n;) {
        const int left = n - j;
        if (left > 32) {
            int i = rows_avx512(0, 8, 3, shared, j, k, n, x, w, b, y);
            rows_avx512(i, 4, 3, shared, j, k, n, x, w, b, y);
            j += 48;
        } else if (left > 16) {
            rows_avx512(0, 4, 2, shared, j, k, n, x, w, b, y);
            j += 32;
        } else {
            rows_avx512(0, 4, 1, shared, j, k, n, x, w, b, y);
            j += 16;
        }
    }
    for (int j = 0; shared < rows && j < n;) {
        const int left = n - j;
        if (left > 240)
            rows_avx512(shared, 1, 16, rows, j, k, n, x, w, b, y), j += 256;
        else if (left > 48)
            rows_avx512(shared, 1, 4, rows, j, k, n, x, w, b, y), j += 64;
        else if (left > 16)
            rows_avx512(shared, 1, 2, rows, j, k, n, x, w, b, y), j += 32;
        else
            rows_avx512(shared, 1, 1, rows, j, k, n, x, w, b, y), j += 16;
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
