/* Products of bfloat16 by AMX, sums in f32: blocks of up to 2 x 2 tiles of results, which stay in registers
 * while k runs. bf16x3 makes three products of high and low parts, which is still faster than f32.
 *
 * Operands are filled up with zeros to whole tiles, weights when they are packed, rows as they come into
 * scratch; results beyond the edges are dropped on their way out of it.
 *
 * Tests build it in two more ways, which give the same bits: with SHOAL_AMX_EMULATED the tiles are plain C, and
 * with SHOAL_BF16_PORTABLE the conversions, too, which runs everywhere. SHOAL_AMX is the name of either. */
#if (defined(__x86_64__) || defined(SHOAL_BF16_PORTABLE)) && !defined(SHOAL_DOUBLE)

#ifndef SHOAL_AMX
#define SHOAL_AMX amx
#endif

#if defined(SHOAL_BF16_PORTABLE)
#define TARGET
#elif defined(SHOAL_AMX_EMULATED)
#define TARGET __attribute__((target("avx512f,avx512bw,avx512bf16")))
#else
#define TARGET __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512bf16,prefer-vector-width=512")))
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "common/amx_tiles.h"
#include "common/bf16_operands.h"
#include "common/kernels.h"

#define INLINE TARGET static inline __attribute__((always_inline))

/* Columns of a panel and rows of a block: two tiles. Rows of a product that are converted at once, and of an
 * outer product: what stays in the caches. */
enum { BLOCK = 2 * TILE, GROUP = 64, STAGE = 256 };

/* Scratch begins with the results of two blocks, so that one can be written while the other is read. */
enum { BLOCK_SUMS = BLOCK * BLOCK, SUMS = 2 * BLOCK_SUMS };

#if defined(SHOAL_BF16_PORTABLE)
static bool is_supported(void)
{
    return true;
}
#else
static bool can_convert(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512bf16");
}

#if defined(SHOAL_AMX_EMULATED)
static bool is_supported(void)
{
    return can_convert();
}
#else
static bool is_permitted;

/* A process asks the system for tiles before it uses them; the answer holds for all its threads. */
static void ask(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    is_permitted = can_convert() && __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
                   syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

static bool is_supported(void)
{
    static pthread_once_t asked = PTHREAD_ONCE_INIT;
    pthread_once(&asked, ask);
    return is_permitted;
}
#endif
#endif

/* Pairs of n numbers, in whole tiles. */
static int pairs_of(int n)
{
    return whole_lines((n + 1) / 2);
}

/* ---- a block ---- */

/* The registers of a block: results, rows, columns. */
#define C00 0
#define C01 1
#define C10 2
#define C11 3
#define A0 4
#define A1 5
#define B0 6
#define B1 7

INLINE void load_rows(int row_tiles, const uint32_t *from, size_t bytes)
{
    tile_load(A0, from, bytes);
    if (row_tiles > 1)
        tile_load(A1, from + TILE * bytes / sizeof(*from), bytes);
}

INLINE void load_columns(int column_tiles, const uint32_t *from)
{
    const size_t bytes = (size_t)column_tiles * TILE_BYTES;
    tile_load(B0, from, bytes);
    if (column_tiles > 1)
        tile_load(B1, from + TILE, bytes);
}

INLINE void multiply(int row_tiles, int column_tiles)
{
    tile_dp(C00, A0, B0);
    if (column_tiles > 1)
        tile_dp(C01, A0, B1);
    if (row_tiles > 1)
        tile_dp(C10, A1, B0);
    if (row_tiles > 1 && column_tiles > 1)
        tile_dp(C11, A1, B1);
}

/* sums[BLOCK][BLOCK] = left right, in as many tiles as are asked for; all but the pointers and `pairs` are
 * constants once inlined.
 *   left     rows of [segments][pairs]
 *   right    a panel of [segments][pairs][TILE column_tiles] */
INLINE void block(int segments, int row_tiles, int column_tiles, int pairs, const uint32_t *left, const uint32_t *right,
                  float *sums)
{
    const size_t segment = (size_t)pairs, width = (size_t)(column_tiles * TILE);
    const size_t bytes = (size_t)segments * segment * sizeof(*left), sum_bytes = BLOCK * sizeof(*sums);
    tile_zero(C00);
    tile_zero(C01);
    tile_zero(C10);
    tile_zero(C11);
    for (size_t q = 0; q < segment; q += TILE, left += TILE, right += TILE * width) {
        load_rows(row_tiles, left, bytes);
        load_columns(column_tiles, right);
        multiply(row_tiles, column_tiles);                        /* hi hi, or hi lo */
        if (segments > 1) {
            load_columns(column_tiles, right + segment * width);
            multiply(row_tiles, column_tiles);                    /* hi hi */
            load_rows(row_tiles, left + segment, bytes);
            multiply(row_tiles, column_tiles);                    /* lo hi */
        }
    }
    tile_store(C00, sums, sum_bytes);
    if (column_tiles > 1)
        tile_store(C01, sums + TILE, sum_bytes);
    if (row_tiles > 1)
        tile_store(C10, sums + TILE * BLOCK, sum_bytes);
    if (row_tiles > 1 && column_tiles > 1)
        tile_store(C11, sums + TILE * BLOCK + TILE, sum_bytes);
}

INLINE void any_block(int segments, int rows, int columns, int pairs, const uint32_t *left, const uint32_t *right, float *sums)
{
    if (rows > TILE && columns > TILE)
        block(segments, 2, 2, pairs, left, right, sums);
    else if (rows > TILE)
        block(segments, 2, 1, pairs, left, right, sums);
    else if (columns > TILE)
        block(segments, 1, 2, pairs, left, right, sums);
    else
        block(segments, 1, 1, pairs, left, right, sums);
}

/* Words of a panel of `columns` columns. */
static inline size_t panel_words(int segments, int pairs, int columns)
{
    return (size_t)(segments * pairs) * (size_t)whole_lines(columns);
}

static inline int at_most(int most, int n)
{
    return n < most ? n : most;
}

/* ---- c = epilogue(a w) ---- */

/* c[j] for `count` columns of a row. */
INLINE void finish(enum epilogue epilogue, int count, const float *restrict sum, const float *restrict bias,
                   const float *restrict y, float *restrict c)
{
    for (int j = 0; j < count; j++)
        switch (epilogue) {
        case EPILOGUE_BIAS:
            c[j] = sum[j] + bias[j];
            break;
        case EPILOGUE_RELU:
            c[j] = sum[j] + bias[j] > 0 ? sum[j] + bias[j] : 0;
            break;
        case EPILOGUE_NONE:
            c[j] = sum[j];
            break;
        case EPILOGUE_TIMES_STEP:
            c[j] = y[j] > 0 ? sum[j] : 0;
            break;
        case EPILOGUE_TIMES_TANH_SLOPE:
            c[j] = sum[j] * (1 - y[j] * y[j]);
            break;
        case EPILOGUE_TIMES:
            c[j] = sum[j] * y[j];
            break;
        }
}

/* A block's results from row i and column j; whole blocks have a fixed number of columns, as vectors like it. */
INLINE void finish_rows(enum epilogue epilogue, const struct product *p, int i, int j, const float *sums)
{
    const int rows = at_most(BLOCK, p->rows - i), columns = at_most(BLOCK, p->n - j);
    const float *bias = epilogue <= EPILOGUE_RELU ? p->bias + j : NULL;
    for (int r = i; r < i + rows; r++, sums += BLOCK) {
        const float *y = epilogue > EPILOGUE_NONE ? product_y(p, r) + j : NULL;
        float *c = p->c + (size_t)r * (size_t)p->ldc + j;
        if (columns == BLOCK)
            finish(epilogue, BLOCK, sums, bias, y, c);
        else
            finish(epilogue, columns, sums, bias, y, c);
    }
}

TARGET static void finish_block(const struct product *p, int i, int j, const float *sums)
{
    switch (p->epilogue) {
#define FINISH(epilogue) case epilogue: finish_rows(epilogue, p, i, j, sums); break;
    FINISH(EPILOGUE_BIAS)
    FINISH(EPILOGUE_RELU)
    FINISH(EPILOGUE_NONE)
    FINISH(EPILOGUE_TIMES_STEP)
    FINISH(EPILOGUE_TIMES_TANH_SLOPE)
    FINISH(EPILOGUE_TIMES)
#undef FINISH
    }
}

INLINE void product_in(int segments, const struct product *p, void *scratch)
{
    const int pairs = pairs_of(p->k);
    const size_t row_words = (size_t)(segments * pairs);
    float *sums = scratch;
    uint32_t *left = (uint32_t *)scratch + SUMS;
    int turn = 0;
    tiles_begin();
    for (int i = 0; i < p->rows; i += GROUP) {
        const int rows = at_most(GROUP, p->rows - i), beyond = whole_lines(rows) - rows;
        const uint32_t *right = p->packed;
        left_of_rows(segments, pairs, rows, p->k, p->a + (size_t)i * (size_t)p->lda, p->lda, left);
        memset(left + (size_t)rows * row_words, 0, (size_t)beyond * row_words * sizeof(*left));
        for (int j = 0; j < p->n; j += BLOCK) {
            const int columns = at_most(BLOCK, p->n - j);
            for (int r = 0; r < rows; r += BLOCK, turn ^= BLOCK_SUMS) {
                any_block(segments, rows - r, columns, pairs, left + (size_t)r * row_words, right, sums + turn);
                finish_block(p, i + r, j, sums + turn);
            }
            right += panel_words(segments, pairs, columns);
        }
    }
    tiles_end();
}

/* ---- dw = x^T d ---- */

/* db_j = sum of column j, row after row. */
TARGET static void sum_columns(const struct outer_product *p)
{
    memset(p->db, 0, (size_t)p->n * sizeof(*p->db));
    for (int m = 0; m < p->rows; m++) {
        const float *restrict d = p->d + (size_t)m * (size_t)p->ldd;
        float *restrict db = p->db;
        for (int j = 0; j < p->n; j++)
            db[j] += d[j];
    }
}

/* A block's results to dw[i ...][j ...], or on top of what is there. */
INLINE void keep_block(const struct outer_product *p, int i, int j, int is_more, const float *sums)
{
    const int rows = at_most(BLOCK, p->end - i), columns = at_most(BLOCK, p->n - j);
    for (int r = 0; r < rows; r++) {
        float *restrict dw = p->dw + (size_t)(i + r) * (size_t)p->n + j;
        const float *restrict sum = sums + r * BLOCK;
        if (!is_more)
            memcpy(dw, sum, (size_t)columns * sizeof(*dw));
        else
            for (int column = 0; column < columns; column++)
                dw[column] += sum[column];
    }
}

INLINE void outer_product_in(int segments, const struct outer_product *p, void *scratch)
{
    const int k = p->end - p->first;
    float *sums = scratch;
    uint32_t *left = (uint32_t *)scratch + SUMS;
    int turn = 0;
    if (p->db && p->first == 0)
        sum_columns(p);
    tiles_begin();
    for (int m = 0; m < p->rows; m += STAGE) {
        const int rows = at_most(STAGE, p->rows - m), pairs = pairs_of(rows);
        const size_t row_words = (size_t)(segments * pairs);
        uint32_t *right = left + row_words * (size_t)whole_lines(k);
        left_of_columns(segments, pairs, rows, k, p->x + (size_t)m * (size_t)p->ldx + p->first, p->ldx, left);
        right_of_rows(segments, pairs, BLOCK, rows, p->n, p->d + (size_t)m * (size_t)p->ldd, p->ldd, right);
        for (int j = 0; j < p->n; j += BLOCK) {
            const int columns = at_most(BLOCK, p->n - j);
            for (int i = 0; i < k; i += BLOCK, turn ^= BLOCK_SUMS) {
                any_block(segments, k - i, columns, pairs, left + (size_t)i * row_words, right, sums + turn);
                keep_block(p, p->first + i, j, m > 0, sums + turn);
            }
            right += panel_words(segments, pairs, columns);
        }
    }
    tiles_end();
}

/* ---- sizes ---- */

static size_t packed_bytes_in(int segments, int k, int n)
{
    const size_t there = panel_words(segments, pairs_of(k), n), back = panel_words(segments, pairs_of(n), k);
    return (there > back ? there : back) * sizeof(uint32_t);
}

static size_t scratch_bytes_in(int segments, int k, int inputs, int n)
{
    const size_t group = panel_words(segments, pairs_of(k), GROUP);
    const size_t outer = panel_words(segments, pairs_of(STAGE), whole_lines(inputs) + whole_lines(n));
    return ((SUMS + (group > outer ? group : outer)) * sizeof(uint32_t) + 63) / 64 * 64;
}

/* ---- the two sets ---- */

#define NAMED_(set, precision) kernels_##set##_##precision
#define NAMED(set, precision) NAMED_(set, precision)
#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)

/* Both sides of an outer product are converted in each of its parts: few parts, as products are cheap. */
BF16_SET(NAMED(SHOAL_AMX, bf16), TEXT(SHOAL_AMX), bf16, PRECISION_BF16, 1, BLOCK, 128)
BF16_SET(NAMED(SHOAL_AMX, bf16x3), TEXT(SHOAL_AMX), bf16x3, PRECISION_BF16X3, 2, BLOCK, 128)

#else
typedef int kernels_amx_is_for_another_cpu;
#endif
