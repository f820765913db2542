/* Products in blocks that stay in registers, written once for every vector width and kind of number; what
 * includes this defines first
 *
 *   TARGET           attribute of functions with these instructions
 *   VEC, LANES       a vector of LANES floats
 *   MASK             which lanes; mask_first(n): the first n, all from LANES on
 *   ROWS             most rows of a block: 2 ROWS + 3 vectors fit the registers
 *   FOR_ROWS(F)      F(1) ... F(ROWS)
 *   vec_*            operations on vectors
 *
 * vec_fma(a, b, c) is a b + c, in which the 32 bits of an element of a and b may hold anything: kernels_f32.h has
 * floats in them, kernels_avx512_bf16.c pairs.
 *
 * Packed weights stand in panels of 2 LANES columns (the last may be LANES wide), panel after panel, each row
 * after row, filled up with zeros. A block of rows and a panel are multiplied in registers: row times column
 * sums stay there while k runs. */
#ifndef SHOAL_COMMON_KERNELS_BLOCKS_H
#define SHOAL_COMMON_KERNELS_BLOCKS_H

#include "common/kernels.h"

#define INLINE TARGET static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

enum { PANEL = 2 * LANES, STAGE_ROWS = 256 };

static int padded(int n)
{
    return (n + LANES - 1) / LANES * LANES;
}

/* ---- c = epilogue(a w) ---- */

INLINE VEC finish(VEC sum, enum epilogue epilogue, const float *y, MASK mask)
{
    if (epilogue == EPILOGUE_RELU)
        return vec_relu(sum);
    if (epilogue <= EPILOGUE_NONE)
        return sum;
    const VEC out = vec_load_masked(y, mask);
    if (epilogue == EPILOGUE_TIMES_STEP)
        return vec_where_positive(out, sum);
    if (epilogue == EPILOGUE_TIMES)
        return vec_mul(sum, out);
    return vec_mul(sum, vec_sub(vec_set(1), vec_mul(out, out)));
}

/* `rows` rows from row i and `vecs` vectors of columns from column j; both are constants once inlined. */
INLINE void block(int rows, int vecs, const struct product *p, int i, int j, const float *w)
{
    const MASK last = mask_first(p->n - j - (vecs - 1) * LANES);
    const float *a = p->a + (size_t)i * (size_t)p->lda;
    const size_t lda = (size_t)p->lda;
    VEC sum[ROWS][2];
    for (int v = 0; v < vecs; v++) {
        const VEC start = p->epilogue > EPILOGUE_RELU ? vec_set(0)
                        : v + 1 < vecs ? vec_load(p->bias + j + v * LANES)
                        : vec_load_masked(p->bias + j + v * LANES, last);
        UNROLL for (int r = 0; r < rows; r++)
            sum[r][v] = start;
    }
    for (int k = 0; k < p->k; k++, w += vecs * LANES) {
        const VEC w0 = vec_load(w), w1 = vecs > 1 ? vec_load(w + LANES) : w0;
        UNROLL for (int r = 0; r < rows; r++) {
            const VEC x = vec_set(a[(size_t)r * lda + (size_t)k]);
            sum[r][0] = vec_fma(x, w0, sum[r][0]);
            if (vecs > 1)
                sum[r][1] = vec_fma(x, w1, sum[r][1]);
        }
    }
    float *c = p->c + (size_t)i * (size_t)p->ldc + j;
    UNROLL for (int r = 0; r < rows; r++, c += p->ldc) {
        const float *y = p->epilogue > EPILOGUE_NONE ? product_y(p, i + r) + j : NULL;
        for (int v = 0; v < vecs; v++) {
            const float *factors = y ? y + v * LANES : NULL;
            if (v + 1 < vecs)
                vec_store(c + v * LANES, finish(sum[r][v], p->epilogue, factors, mask_first(LANES)));
            else
                vec_store_masked(c + v * LANES, last, finish(sum[r][v], p->epilogue, factors, last));
        }
    }
}

/* The blocks of one number of rows. */
#define BLOCKS(rows) \
    TARGET static void panels_##rows(const struct product *p, int i) \
    { \
        const float *w = p->packed; \
        for (int j = 0; j < p->n; j += PANEL) \
            if (p->n - j > LANES) { \
                block(rows, 2, p, i, j, w); \
                w += (size_t)PANEL * (size_t)p->k; \
            } else { \
                block(rows, 1, p, i, j, w); \
            } \
    }

/* ---- dw = x^T d ---- */

/* Sums of `rows` columns of x from column i and `vecs` vectors of columns of d from column j, over rows m to end;
 * set into dw[i + r][j ...], or where m > 0 added to what is there. */
INLINE void outer_block(int rows, int vecs, const struct outer_product *p, int m, int end, int i, int j)
{
    const MASK last = mask_first(p->n - j - (vecs - 1) * LANES);
    const float *x = p->x + (size_t)m * (size_t)p->ldx + i, *d = p->d + (size_t)m * (size_t)p->ldd + j;
    float *dw = p->dw + (size_t)i * (size_t)p->n + j;
    VEC sum[ROWS][2];
    UNROLL for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            sum[r][v] = m == 0 ? vec_set(0)
                      : vec_load_masked(dw + (size_t)r * (size_t)p->n + v * LANES, v + 1 < vecs ? mask_first(LANES) : last);
    for (; m < end; m++, x += p->ldx, d += p->ldd) {
        const VEC d0 = vecs > 1 ? vec_load(d) : vec_load_masked(d, last);
        const VEC d1 = vecs > 1 ? vec_load_masked(d + LANES, last) : d0;
        UNROLL for (int r = 0; r < rows; r++) {
            const VEC xr = vec_set(x[r]);
            sum[r][0] = vec_fma(xr, d0, sum[r][0]);
            if (vecs > 1)
                sum[r][1] = vec_fma(xr, d1, sum[r][1]);
        }
    }
    UNROLL for (int r = 0; r < rows; r++, dw += p->n)
        for (int v = 0; v < vecs; v++)
            vec_store_masked(dw + v * LANES, v + 1 < vecs ? mask_first(LANES) : last, sum[r][v]);
}

#define OUTER_BLOCKS(rows) \
    TARGET static void outer_##rows(const struct outer_product *p, int m, int end, int i) \
    { \
        for (int j = 0; j < p->n; j += PANEL) \
            if (p->n - j > LANES) \
                outer_block(rows, 2, p, m, end, i, j); \
            else \
                outer_block(rows, 1, p, m, end, i, j); \
    }

FOR_ROWS(BLOCKS)
FOR_ROWS(OUTER_BLOCKS)

#define NAME_BLOCKS(rows) panels_##rows,
#define NAME_OUTER(rows) outer_##rows,
static void (*const panels_of[])(const struct product *, int) = { NULL, FOR_ROWS(NAME_BLOCKS) };
static void (*const outer_of[])(const struct outer_product *, int, int, int) = { NULL, FOR_ROWS(NAME_OUTER) };

/* How many of `left` rows the next block takes, so that blocks are about as large. */
static int next_rows(int left)
{
    const int blocks = (left + ROWS - 1) / ROWS;
    return (left + blocks - 1) / blocks;
}

static void product(const struct product *p, void *scratch)
{
    (void)scratch;
    for (int i = 0, rows; i < p->rows; i += rows) {
        rows = next_rows(p->rows - i);
        panels_of[rows](p, i);
    }
}

/* db_j = sum of column j, row after row. */
TARGET static void sum_columns(const struct outer_product *p)
{
    for (int j = 0; j < p->n; j += LANES) {
        const MASK mask = mask_first(p->n - j);
        VEC sum = vec_set(0);
        for (int m = 0; m < p->rows; m++)
            sum = vec_add(sum, vec_load_masked(p->d + (size_t)m * (size_t)p->ldd + j, mask));
        vec_store_masked(p->db + j, mask, sum);
    }
}

/* With few columns of d their roles change: dw^T = d^T x keeps vectors full. dw^T goes by way of scratch. */
static void outer_product_thin(const struct outer_product *p, float *transposed)
{
    const int k = p->end - p->first;
    const struct outer_product turned = { .rows = p->rows, .end = p->n, .n = k, .x = p->d, .ldx = p->ldd,
                                          .d = p->x + p->first, .ldd = p->ldx, .dw = transposed };
    for (int m = 0; m < p->rows; m += STAGE_ROWS)
        outer_of[p->n](&turned, m, m + STAGE_ROWS < p->rows ? m + STAGE_ROWS : p->rows, 0);
    for (int i = 0; i < k; i++)
        for (int j = 0; j < p->n; j++)
            p->dw[(size_t)(p->first + i) * (size_t)p->n + (size_t)j] = transposed[(size_t)j * (size_t)k + (size_t)i];
}

static void outer_product(const struct outer_product *p, void *scratch)
{
    if (p->db && p->first == 0)
        sum_columns(p);
    if (p->n <= ROWS && p->n < LANES && p->end - p->first >= LANES) {
        outer_product_thin(p, scratch);
        return;
    }
    /* In stages, so that what is multiplied stays in the cache over all blocks. */
    for (int m = 0; m < p->rows; m += STAGE_ROWS)
        for (int i = p->first, rows; i < p->end; i += rows) {
            rows = next_rows(p->end - i);
            outer_of[rows](p, m, m + STAGE_ROWS < p->rows ? m + STAGE_ROWS : p->rows, i);
        }
}

static size_t scratch_bytes(int k, int inputs, int n)
{
    (void)k;
    return n <= ROWS ? ((size_t)inputs * (size_t)n * sizeof(float) + 63) / 64 * 64 : 0;
}

#endif
