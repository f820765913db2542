#include "common/row_kernel.h"

#include <math.h>
#include <string.h>

enum { PANEL = ROW_KERNEL_PANEL };

/* ---- packing ---- */

static int panels_of(int n)
{
    return (n + PANEL - 1) / PANEL;
}

/* Floats of one panel: the biases and k rows. */
static size_t panel_floats(int k)
{
    return ((size_t)k + 1) * PANEL;
}

size_t row_kernel_floats(int k, int n)
{
    return (size_t)panels_of(n) * panel_floats(k);
}

void row_kernel_pack(int k, int n, const float *w, const float *b, float *packed)
{
    for (int j = 0; j < n; j += PANEL) {
        const int columns = n - j < PANEL ? n - j : PANEL;
        const size_t bytes = (size_t)columns * sizeof(float);
        for (int p = -1; p < k; p++, packed += PANEL) {
            const float *row = p < 0 ? b : w + (size_t)p * (size_t)n;
            if (columns == PANEL) {
                memcpy(packed, row + j, PANEL * sizeof(float));
                continue;
            }
            memset(packed, 0, PANEL * sizeof(float));
            memcpy(packed, row + j, bytes);
        }
    }
}

/* ---- plain C ---- */

static bool always(void)
{
    return true;
}

static void dense_portable(int rows, int k, int n, const float *const *x, const float *packed,
                           bool is_rectified, float *y)
{
    for (int i = 0; i < rows; i++, y += n) {
        const float *w = packed;
        for (int j = 0; j < n; j += PANEL) {
            const int columns = n - j < PANEL ? n - j : PANEL;
            float sum[PANEL];
            memcpy(sum, w, sizeof(sum));
            w += PANEL;
            for (int p = 0; p < k; p++, w += PANEL)
                for (int c = 0; c < PANEL; c++)
                    sum[c] = fmaf(x[i][p], w[c], sum[c]);
            for (int c = 0; c < columns; c++)
                y[j + c] = is_rectified && !(sum[c] > 0) ? 0 : sum[c];
        }
    }
}

static const struct row_kernel portable = { "portable", dense_portable, always };

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET_AVX2 __attribute__((target("avx2,fma")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx2,fma")))
#define INLINE static inline __attribute__((always_inline))

/* Every block is `r` rows by `v` vectors of columns, both constants after inlining, so that the sums
 * stay in registers: as many as hide the latency of a multiply-add. Many rows share one pass over few
 * columns, which stay in the first cache for the rows behind them; a single row takes many columns at
 * once. A sum goes over k in the same order in every block. */

/* ---- AVX2: a panel is two vectors ---- */

/* Vector c of a block: where its first weights lie, relative to the block's. */
INLINE size_t vector_at(int c, size_t panel)
{
    return (size_t)(c / 2) * panel + (size_t)(c % 2) * 8;
}

TARGET_AVX2 static __m256i mask_avx2(int columns)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(columns), lane);
}

/* `columns` of the block's are written, at most 8 v. */
TARGET_AVX2 INLINE void block_avx2(int r, int v, int k, int n, const float *const *x, const float *w,
                                   size_t panel, bool is_rectified, float *y, int columns)
{
    __m256 acc[8];
    for (int i = 0; i < r; i++)
        for (int c = 0; c < v; c++)
            acc[i * v + c] = _mm256_loadu_ps(w + vector_at(c, panel));
    w += PANEL;
    for (int p = 0; p < k; p++, w += PANEL)
        for (int c = 0; c < v; c++) {
            const __m256 weights = _mm256_loadu_ps(w + vector_at(c, panel));
            for (int i = 0; i < r; i++)
                acc[i * v + c] = _mm256_fmadd_ps(_mm256_broadcast_ss(x[i] + p), weights,
                                                 acc[i * v + c]);
        }
    for (int i = 0; i < r; i++, y += n)
        for (int c = 0; c < v; c++) {
            const int left = columns - 8 * c;
            const __m256 sum = is_rectified ? _mm256_max_ps(acc[i * v + c], _mm256_setzero_ps())
                                            : acc[i * v + c];
            if (left >= 8)
                _mm256_storeu_ps(y + 8 * c, sum);
            else
                _mm256_maskstore_ps(y + 8 * c, mask_avx2(left), sum);
        }
}

TARGET_AVX2 static void dense_avx2(int rows, int k, int n, const float *const *x, const float *packed,
                                   bool is_rectified, float *y)
{
    const size_t panel = panel_floats(k), width = (size_t)n;
    const int shared = rows - rows % 4;
    const float *w = packed;
    for (int j = 0; j < n && shared > 0; j += PANEL, w += panel)
        for (int i = 0; i < shared; i += 4)
            block_avx2(4, 2, k, n, x + i, w, panel, is_rectified, y + (size_t)i * width + j, n - j);
    for (int i = shared; i < rows; i++) {
        int j = 0;
        for (w = packed; n - j >= 4 * PANEL; j += 4 * PANEL, w += 4 * panel)
            block_avx2(1, 8, k, n, x + i, w, panel, is_rectified, y + (size_t)i * width + j, 4 * PANEL);
        for (; j < n; j += PANEL, w += panel)
            block_avx2(1, 2, k, n, x + i, w, panel, is_rectified, y + (size_t)i * width + j, n - j);
    }
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static const struct row_kernel avx2 = { "avx2", dense_avx2, has_avx2 };

/* ---- AVX-512: a panel is one vector ---- */

TARGET_AVX512 INLINE void block_avx512(int r, int v, int k, int n, const float *const *x, const float *w,
                                       size_t panel, bool is_rectified, float *y, int columns)
{
    __m512 acc[16];
    for (int i = 0; i < r; i++)
        for (int c = 0; c < v; c++)
            acc[i * v + c] = _mm512_loadu_ps(w + (size_t)c * panel);
    w += PANEL;
    for (int p = 0; p < k; p++, w += PANEL)
        for (int c = 0; c < v; c++) {
            const __m512 weights = _mm512_loadu_ps(w + (size_t)c * panel);
            for (int i = 0; i < r; i++)
                acc[i * v + c] = _mm512_fmadd_ps(_mm512_set1_ps(x[i][p]), weights, acc[i * v + c]);
        }
    for (int i = 0; i < r; i++, y += n)
        for (int c = 0; c < v; c++) {
            const int left = columns - PANEL * c;
            const __m512 sum = is_rectified ? _mm512_max_ps(acc[i * v + c], _mm512_setzero_ps())
                                            : acc[i * v + c];
            _mm512_mask_storeu_ps(y + PANEL * c, (__mmask16)(left >= PANEL ? 0xFFFF : (1 << left) - 1),
                                  sum);
        }
}

/* Eight rows by at most 8 columns, the first half of a panel: half the work where a vector of 16 takes two
 * turns. */
TARGET_AVX512 INLINE void narrow_block_avx512(int k, int n, const float *const *x, const float *w,
                                              bool is_rectified, float *y, __mmask16 columns)
{
    __m256 acc[8];
    for (int i = 0; i < 8; i++)
        acc[i] = _mm256_loadu_ps(w);
    w += PANEL;
    for (int p = 0; p < k; p++, w += PANEL) {
        const __m256 weights = _mm256_loadu_ps(w);
        for (int i = 0; i < 8; i++)
            acc[i] = _mm256_fmadd_ps(_mm256_set1_ps(x[i][p]), weights, acc[i]);
    }
    for (int i = 0; i < 8; i++, y += n) {
        const __m256 sum = is_rectified ? _mm256_max_ps(acc[i], _mm256_setzero_ps()) : acc[i];
        _mm512_mask_storeu_ps(y, columns, _mm512_castps256_ps512(sum));
    }
}

/* Rows from `from` on, in blocks of r, over the columns j and behind them. Returns the first row left. */
TARGET_AVX512 INLINE int rows_avx512(int from, int r, int v, int rows, int j, int k, int n,
                                     const float *const *x, const float *packed, bool is_rectified,
                                     float *y)
{
    const size_t panel = panel_floats(k);
    const float *w = packed + (size_t)(j / PANEL) * panel;
    for (; from + r <= rows; from += r)
        block_avx512(r, v, k, n, x + from, w, panel, is_rectified, y + (size_t)from * (size_t)n + j, n - j);
    return from;
}

TARGET_AVX512 INLINE int narrow_rows_avx512(int rows, int j, int k, int n, const float *const *x,
                                            const float *packed, bool is_rectified, float *y)
{
    const float *w = packed + (size_t)(j / PANEL) * panel_floats(k);
    int i = 0;
    for (; i + 8 <= rows; i += 8)
        narrow_block_avx512(k, n, x + i, w, is_rectified, y + (size_t)i * (size_t)n + j,
                            (__mmask16)((1 << (n - j)) - 1));
    return i;
}

/* One or two rows at a time, from `from` on. Returns the first row left. */
TARGET_AVX512 INLINE int few_rows_avx512(int from, int r, int rows, int k, int n, const float *const *x,
                                         const float *packed, bool is_rectified, float *y)
{
    const int most = 16 / r;
    int left = from;
    for (int j = 0; j < n && from + r <= rows;)
        if (n - j > (most - 1) * PANEL)
            left = rows_avx512(from, r, most, rows, j, k, n, x, packed, is_rectified, y), j += most * PANEL;
        else if (n - j > 3 * PANEL)
            left = rows_avx512(from, r, 4, rows, j, k, n, x, packed, is_rectified, y), j += 4 * PANEL;
        else
            left = rows_avx512(from, r, 1, rows, j, k, n, x, packed, is_rectified, y), j += PANEL;
    return left;
}

TARGET_AVX512 static void dense_avx512(int rows, int k, int n, const float *const *x, const float *packed,
                                       bool is_rectified, float *y)
{
    const int shared = rows - rows % 4;
    for (int j = 0; j < n && shared > 0;)
        if (n - j > PANEL) {
            int i = rows_avx512(0, 8, 2, shared, j, k, n, x, packed, is_rectified, y);
            rows_avx512(i, 4, 2, shared, j, k, n, x, packed, is_rectified, y);
            j += 2 * PANEL;
        } else {
            int i = n - j > 8 ? rows_avx512(0, 8, 1, shared, j, k, n, x, packed, is_rectified, y)
                              : narrow_rows_avx512(shared, j, k, n, x, packed, is_rectified, y);
            rows_avx512(i, 4, 1, shared, j, k, n, x, packed, is_rectified, y);
            j += PANEL;
        }
    const int paired = few_rows_avx512(shared, 2, rows, k, n, x, packed, is_rectified, y);
    few_rows_avx512(paired, 1, rows, k, n, x, packed, is_rectified, y);
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
