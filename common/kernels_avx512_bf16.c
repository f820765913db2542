/* Products of bfloat16 by AVX512_BF16, sums in f32: the blocks of kernels_blocks.h over pairs in place of
 * numbers. Weights are packed as pairs, rows are converted as they come. bf16x3 makes three of the products at
 * twice the rate, so that it is slower than f32; it gives what other CPUs' bf16x3 gives, to its accuracy. */
#if defined(__x86_64__) && !defined(SHOAL_DOUBLE)

#define TARGET __attribute__((target("avx512f,avx512bw,avx512bf16")))
#define vec_fma(a, b, c) _mm512_dpbf16_ps(c, (__m512bh)(a), (__m512bh)(b))

#include "common/bf16_operands.h"
#include "common/kernels_avx512.h"
#include "common/kernels_blocks.h"

/* Rows of a product that are converted at once, and of an outer product: what stays in the caches. */
enum { GROUP = 64, STAGE = 256 };

static bool is_supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16");
}

static int pairs_of(int n)
{
    return (n + 1) / 2;
}

/* Words between rows: an odd number of lines, or rows would meet in few sets of the cache. */
static int row_words(int n)
{
    return (padded(n) / LANES | 1) * LANES;
}

/* ---- weights ---- */

static size_t packed_bytes_in(int segments, int k, int n)
{
    const size_t there = (size_t)pairs_of(k) * (size_t)padded(n), back = (size_t)pairs_of(n) * (size_t)padded(k);
    return (size_t)segments * (there > back ? there : back) * sizeof(uint32_t);
}

/* ---- c = epilogue(a w) ---- */

INLINE void product_in(int segments, const struct product *p, void *scratch)
{
    const int pairs = pairs_of(p->k);
    struct product group = *p;
    group.k = group.lda = segments * pairs;
    group.a = scratch;
    for (int i = 0; i < p->rows; i += GROUP) {
        group.rows = p->rows - i < GROUP ? p->rows - i : GROUP;
        group.c = p->c + (size_t)i * (size_t)p->ldc;
        if (p->y_rows)
            group.y_rows = p->y_rows + i;
        else
            group.y = product_y(p, i);
        left_of_rows(segments, pairs, group.rows, p->k, p->a + (size_t)i * (size_t)p->lda, p->lda, scratch);
        product(&group, NULL);
    }
}

/* ---- dw = x^T d ---- */

static size_t outer_words(int segments, int k, int n)
{
    return (size_t)(segments * pairs_of(STAGE)) * (size_t)(row_words(k) + row_words(n));
}

/* Stages of rows one after the other, each a sum of its own: all but the first by way of scratch. */
INLINE void outer_product_in(int segments, const struct outer_product *p, void *scratch)
{
    const int k = p->end - p->first, ldx = row_words(k), ldd = row_words(p->n);
    const size_t count = (size_t)k * (size_t)p->n;
    float *dw = p->dw + (size_t)p->first * (size_t)p->n;
    uint32_t *x = scratch, *d = x + (size_t)(segments * pairs_of(STAGE)) * (size_t)ldx;
    float *sums = (float *)x + outer_words(segments, k, p->n), *turned = sums + padded(k) * padded(p->n);
    if (p->db && p->first == 0)
        sum_columns(p);
    for (int m = 0; m < p->rows; m += STAGE) {
        const int rows = p->rows - m < STAGE ? p->rows - m : STAGE, pairs = pairs_of(rows);
        const size_t x_segment = (size_t)pairs * (size_t)ldx, d_segment = (size_t)pairs * (size_t)ldd;
        const struct halves left = left_halves(segments, x_segment, x), right = right_halves(segments, d_segment, d);
        pairs_of_rows(pairs, ldx, rows, k, p->x + (size_t)m * (size_t)p->ldx + p->first, p->ldx, left);
        pairs_of_rows(pairs, ldd, rows, p->n, p->d + (size_t)m * (size_t)p->ldd, p->ldd, right);
        complete(segments, x_segment, left, x);
        complete(segments, d_segment, right, d);
        const struct outer_product stage = { .rows = segments * pairs, .end = k, .n = p->n, .x = (float *)x, .ldx = ldx,
                                             .d = (float *)d, .ldd = ldd, .dw = m == 0 ? dw : sums };
        outer_product(&stage, turned);
        for (size_t i = 0; m > 0 && i < count; i++)
            dw[i] += sums[i];
    }
}

static size_t scratch_bytes_in(int segments, int k, int inputs, int n)
{
    const size_t sums = (size_t)padded(inputs) * (size_t)padded(n);
    const size_t outer = outer_words(segments, inputs, n) + sums + scratch_bytes(k, inputs, n) / sizeof(float);
    const size_t group = (size_t)GROUP * (size_t)(segments * pairs_of(k));
    return ((group > outer ? group : outer) * sizeof(uint32_t) + 63) / 64 * 64;
}

/* ---- the two sets ---- */

BF16_SET(kernels_avx512_bf16, "avx512_bf16", bf16, PRECISION_BF16, 1, PANEL, 128)
BF16_SET(kernels_avx512_bf16x3, "avx512_bf16", bf16x3, PRECISION_BF16X3, 3, PANEL, 64)

#else
typedef int kernels_avx512_bf16_is_for_another_cpu;
#endif
