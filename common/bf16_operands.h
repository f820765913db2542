/* Operands of products of bfloat16, made of numbers in f32: c = l r, where l has rows of pairs along k and r
 * pairs of rows k.
 *
 * With one part a number is its bfloat16. With two it is a high and a low one, and three of the four products
 * are made:
 *
 *   l r = l_hi r_lo + l_lo r_hi + l_hi r_hi
 *
 * Segments of an operand follow one another in this order, so that with three the sum over all is one product
 * of three times the length; with two what multiplies combines them itself.
 *
 *   segments    1     2         3
 *   left        hi    hi lo     hi lo hi
 *   right       hi    lo hi     lo hi hi
 *
 * What is behind k, up to the number of pairs asked for, is 0. */
#ifndef SHOAL_COMMON_BF16_OPERANDS_H
#define SHOAL_COMMON_BF16_OPERANDS_H

#include <stddef.h>

#include "common/bf16_lines.h"

static inline int whole_lines(int n)
{
    return (n + LINE - 1) / LINE * LINE;
}

/* Where high and low parts go; the last of three segments is written by `complete`. */
struct halves {
    uint32_t *hi, *lo;
};

LINE_INLINE struct halves left_halves(int segments, size_t segment, uint32_t *to)
{
    return (struct halves){ to, segments > 1 ? to + segment : NULL };
}

LINE_INLINE struct halves right_halves(int segments, size_t segment, uint32_t *to)
{
    return segments > 1 ? (struct halves){ to + segment, to } : (struct halves){ to, NULL };
}

LINE_INLINE void complete(int segments, size_t segment, struct halves h, uint32_t *to)
{
    if (segments > 2)
        memcpy(to + 2 * segment, h.hi, segment * sizeof(*to));
}

/* Left: a[rows][k], `lda` apart, as [rows][segments][pairs]. */
LINE_INLINE void left_of_rows(int segments, int pairs, int rows, int k, const float *a, int lda, uint32_t *to)
{
    const size_t segment = (size_t)pairs;
    for (int r = 0; r < rows; r++, a += lda, to += (size_t)segments * segment) {
        const struct halves h = left_halves(segments, segment, to);
        int q = 0;
        for (; 2 * (q + LINE) <= k; q += LINE)
            line_of_row(a + 2 * q, 2 * LINE, LINE, h.hi + q, h.lo ? h.lo + q : NULL);
        for (; q < pairs; q += LINE)
            line_of_row(a + 2 * q, k - 2 * q, pairs - q < LINE ? pairs - q : LINE, h.hi + q, h.lo ? h.lo + q : NULL);
        complete(segments, segment, h, to);
    }
}

/* Words of rows x and y of n numbers, whole lines. */
LINE_INLINE void pair_of_rows(int n, const float *x, const float *y, int has_y, uint32_t *hi, uint32_t *lo)
{
    int v = 0;
    for (; v + LINE <= n; v += LINE)
        line_of_pair(x + v, has_y ? y + v : NULL, LINE, has_y, hi + v, lo ? lo + v : NULL);
    if (v < n)
        line_of_pair(x + v, has_y ? y + v : NULL, n - v, has_y, hi + v, lo ? lo + v : NULL);
}

/* The halves of pairs of rows of w[k][n], `width` words apart. */
LINE_INLINE void pairs_of_rows(int pairs, int width, int k, int n, const float *w, int ldw, struct halves h)
{
    const size_t row = (size_t)ldw, step = (size_t)width;
    int p = 0;
    for (; 2 * p + 1 < k; p++, w += 2 * row)
        pair_of_rows(n, w, w + row, 1, h.hi + (size_t)p * step, h.lo ? h.lo + (size_t)p * step : NULL);
    if (2 * p < k) {
        pair_of_rows(n, w, NULL, 0, h.hi + (size_t)p * step, h.lo ? h.lo + (size_t)p * step : NULL);
        p++;
    }
    memset(h.hi + (size_t)p * step, 0, (size_t)(pairs - p) * step * sizeof(*h.hi));
    if (h.lo)
        memset(h.lo + (size_t)p * step, 0, (size_t)(pairs - p) * step * sizeof(*h.lo));
}

/* Right: w[k][n], `ldw` apart, in panels of `panel` columns (the last in whole lines), each [segments][pairs][width]. */
LINE_INLINE void right_of_rows(int segments, int pairs, int panel, int k, int n, const float *w, int ldw, uint32_t *to)
{
    for (int j = 0; j < n; j += panel) {
        const int left = n - j < panel ? n - j : panel, width = whole_lines(left);
        const size_t segment = (size_t)pairs * (size_t)width;
        const struct halves h = right_halves(segments, segment, to);
        pairs_of_rows(pairs, width, k, left, w + j, ldw, h);
        complete(segments, segment, h, to);
        to += (size_t)segments * segment;
    }
}

/* Right: the transpose of w[n][k], `ldw` apart, in the same form. */
LINE_INLINE void right_of_columns(int segments, int pairs, int panel, int k, int n, const float *w, int ldw, uint32_t *to)
{
    uint32_t hi[LINE][LINE], lo[LINE][LINE];
    for (int j = 0; j < n; j += panel) {
        const int left = n - j < panel ? n - j : panel, width = whole_lines(left);
        const size_t segment = (size_t)pairs * (size_t)width;
        const struct halves h = right_halves(segments, segment, to);
        for (int v = 0; v < left; v += LINE)
            for (int q = 0; q < pairs; q += LINE) {
                const float *from = w + (size_t)(j + v) * (size_t)ldw + 2 * q;
                const int there = left - v < LINE ? left - v : LINE, lines = pairs - q < LINE ? pairs - q : LINE;
                if (2 * (q + LINE) <= k)
                    for (int i = 0; i < there; i++)
                        line_of_row(from + (size_t)i * (size_t)ldw, 2 * LINE, LINE, hi[i], h.lo ? lo[i] : NULL);
                else
                    for (int i = 0; i < there; i++)
                        line_of_row(from + (size_t)i * (size_t)ldw, k - 2 * q, LINE, hi[i], h.lo ? lo[i] : NULL);
                for (int i = there; i < LINE; i++)
                    memset(hi[i], 0, sizeof(hi[i])), memset(lo[i], 0, sizeof(lo[i]));
                const size_t at = (size_t)q * (size_t)width + (size_t)v;
                line_transpose(hi, h.hi + at, (size_t)width, lines);
                if (h.lo)
                    line_transpose(lo, h.lo + at, (size_t)width, lines);
            }
        complete(segments, segment, h, to);
        to += (size_t)segments * segment;
    }
}

/* Left: the transpose of x[k][n], `ldx` apart, as [whole_lines(n)][segments][pairs]; pairs in whole lines,
 * segments up to 2. */
LINE_INLINE void left_of_columns(int segments, int pairs, int k, int n, const float *x, int ldx, uint32_t *to)
{
    uint32_t hi[LINE][LINE], lo[LINE][LINE];
    const size_t row = (size_t)ldx, stride = (size_t)segments * (size_t)pairs;
    for (int v = 0; v < n; v += LINE, to += LINE * stride) {
        const struct halves h = left_halves(segments, (size_t)pairs, to);
        const int there = n - v < LINE ? n - v : LINE;
        for (int q = 0; q < pairs; q += LINE) {
            for (int i = 0; i < LINE; i++) {
                const int m = 2 * (q + i);
                const float *from = x + (size_t)m * row + v;
                if (m + 1 < k)
                    line_of_pair(from, from + row, there, 1, hi[i], h.lo ? lo[i] : NULL);
                else
                    line_of_pair(from, NULL, m < k ? there : 0, 0, hi[i], h.lo ? lo[i] : NULL);
            }
            line_transpose(hi, h.hi + q, stride, LINE);
            if (h.lo)
                line_transpose(lo, h.lo + q, stride, LINE);
        }
    }
}

/* A set of kernels over pairs, `set`, by the file's own packed_bytes_in, product_in, outer_product_in and
 * scratch_bytes_in.
 *   name_     tells the functions of a file's sets apart
 *   panel     columns of a panel of weights */
#define BF16_SET(set, text, name_, precision_, segments, panel, columns) \
    static size_t packed_bytes_##name_(int k, int n) \
    { \
        return packed_bytes_in(segments, k, n); \
    } \
    TARGET static void pack_##name_(int k, int n, const float *w, int ldw, void *packed) \
    { \
        right_of_rows(segments, pairs_of(k), panel, k, n, w, ldw, packed); \
    } \
    TARGET static void pack_transposed_##name_(int k, int n, const float *w, int ldw, void *packed) \
    { \
        right_of_columns(segments, pairs_of(n), panel, n, k, w, ldw, packed); \
    } \
    TARGET static void product_##name_(const struct product *p, void *scratch) \
    { \
        product_in(segments, p, scratch); \
    } \
    TARGET static void outer_product_##name_(const struct outer_product *p, void *scratch) \
    { \
        outer_product_in(segments, p, scratch); \
    } \
    static size_t scratch_bytes_##name_(int k, int inputs, int n) \
    { \
        return scratch_bytes_in(segments, k, inputs, n); \
    } \
    const struct kernels set = { \
        .name = text, \
        .precision = precision_, \
        .rows_per_part = 64, \
        .columns_per_part = columns, \
        .is_supported = is_supported, \
        .packed_bytes = packed_bytes_##name_, \
        .pack = pack_##name_, \
        .pack_transposed = pack_transposed_##name_, \
        .product = product_##name_, \
        .outer_product = outer_product_##name_, \
        .scratch_bytes = scratch_bytes_##name_, \
    };

#endif
