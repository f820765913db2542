/* The f32 kernels, written once for every vector width: the blocks of kernels_blocks.h, which says what to define
 * before this is included, and the packing for them. */
#ifndef SHOAL_COMMON_KERNELS_F32_H
#define SHOAL_COMMON_KERNELS_F32_H

#include <string.h>
#include <xmmintrin.h>

#include "common/kernels_blocks.h"

static size_t packed_bytes(int k, int n)
{
    const size_t there = (size_t)k * (size_t)padded(n), back = (size_t)n * (size_t)padded(k);
    return ((there > back ? there : back) * sizeof(float) + 63) / 64 * 64;
}

/* By vectors: memcpy of so little becomes a string instruction, which takes several times as long. */
TARGET static void pack(int k, int n, const float *w, int ldw, void *packed)
{
    float *to = packed;
    for (int j = 0; j < n; j += PANEL) {
        const int before_last = n - j > LANES ? LANES : 0;
        const MASK last = mask_first(n - j - before_last);
        const float *from = w + j;
        for (int i = 0; i < k; i++, from += ldw, to += before_last + LANES) {
            if (before_last)
                vec_store(to, vec_load(from));
            vec_store(to + before_last, vec_load_masked(from + before_last, last));
        }
    }
}

/* Four rows of four, `ldw` apart, into four columns, `width` apart. */
static inline void transpose_4x4(const float *w, int ldw, float *to, int width)
{
    const size_t row = (size_t)ldw, column = (size_t)width;
    __m128 a = _mm_loadu_ps(w), b = _mm_loadu_ps(w + row), c = _mm_loadu_ps(w + 2 * row), d = _mm_loadu_ps(w + 3 * row);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm_storeu_ps(to, a);
    _mm_storeu_ps(to + column, b);
    _mm_storeu_ps(to + 2 * column, c);
    _mm_storeu_ps(to + 3 * column, d);
}

/* What was [k][n] becomes panels of columns k, with n rows each. */
static void pack_transposed(int k, int n, const float *w, int ldw, void *packed)
{
    float *to = packed;
    for (int j = 0; j < k; j += PANEL) {
        const int width = k - j < PANEL ? padded(k - j) : PANEL, left = k - j < width ? k - j : width;
        const float *from = w + (size_t)j * (size_t)ldw;
        const int quads = left / 4 * 4, quads_n = n / 4 * 4;
        for (int column = 0; column < quads; column += 4)
            for (int i = 0; i < quads_n; i += 4)
                transpose_4x4(from + (size_t)column * (size_t)ldw + i, ldw, to + (size_t)i * (size_t)width + column,
                              width);
        for (int i = 0; i < n; i++)
            for (int column = i < quads_n ? quads : 0; column < width; column++)
                to[(size_t)i * (size_t)width + (size_t)column] = column < left ? from[(size_t)column * (size_t)ldw + (size_t)i] : 0;
        to += (size_t)n * (size_t)width;
    }
}

#endif
