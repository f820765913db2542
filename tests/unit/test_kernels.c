/* Every set of kernels against sums in double, in every shape that networks have. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/kernels.h"
#include "common/matrix.h"
#include "common/row_kernel.h"
#include "tests/amx_emulated.h"
#include "tests/support.h"

enum { MAX_ROWS = 600, MAX_SETS = 16 };

/* Those of the program, then AMX without AMX. */
static const struct kernels *sets[MAX_SETS];
static int n_sets;

static void list_sets(void)
{
    for (int i = 0; kernels_all[i]; i++)
        sets[n_sets++] = kernels_all[i];
#if defined(__x86_64__)
    sets[n_sets++] = &kernels_amx_emulated_bf16x3;
    sets[n_sets++] = &kernels_amx_emulated_bf16;
#endif
    sets[n_sets++] = &kernels_amx_portable_bf16x3;
    sets[n_sets++] = &kernels_amx_portable_bf16;
}

/* Inputs and outputs of critics and policies, hidden layers, odd ones, and what fills neither a vector nor a
 * block. */
static const int shapes[][2] = { { 1, 1 }, { 4, 2 }, { 3, 64 }, { 17, 64 }, { 17, 256 }, { 23, 256 }, { 64, 64 },
                                 { 64, 6 }, { 64, 1 }, { 256, 256 }, { 256, 12 }, { 256, 1 }, { 33, 17 }, { 100, 70 },
                                 { 5, 31 }, { 376, 48 }, { 7, 15 }, { 48, 13 }, { 40, 15 } };
static const int row_counts[] = { 1, 2, 7, 13, 14, 15, 29, 64, 100, 257, MAX_ROWS };

/* In [-1, 1): Lehmer's generator with Knuth's multiplier is random enough, and quick. */
static float *numbers(size_t n)
{
    static uint64_t state = 1;
    float *x = memory_alloc(n, sizeof(*x));
    for (size_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)(state >> 40) / 8388608.0f - 1;
    }
    return x;
}

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    ck_assert_ptr_nonnull(p);
    memset(p, 0xFF, (bytes + 64) / 64 * 64);    /* NaN: what is not written must not be read */
    return p;
}

/* How far a sum of k products of numbers up to 1 may be off: each of the partial sums, which are about
 * sqrt(k) / 3 and at most some times that, by half a unit; or each product by what rounding its factors costs. */
static double tolerance(const struct kernels *kernels, int k)
{
    const double root = sqrt(k);
    return kernels->precision == PRECISION_F32 ? 6e-8 * (k + 4) * (1 + root / 3)
         : (kernels->precision == PRECISION_BF16X3 ? 4e-6 : 2e-3) * (3 * root + 4);
}

/* Small enough to be checked by plain loops everywhere, also by a sanitizer. */
static bool is_cheap(int rows, const int shape[2])
{
    return (double)rows * shape[0] * shape[1] < 1.1e6;
}

/* A matrix as it lies: floats between rows, and between columns. */
struct view { const float *x; int row, column; };

static double *in_double(struct view v, int rows, int columns)
{
    double *x = memory_alloc((size_t)rows * (size_t)columns, sizeof(*x));
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            x[i * columns + j] = (double)v.x[i * v.row + j * v.column];
    return x;
}

/* a[rows][k] b[k][n] in double; OpenBLAS in double knows large ones. */
static double *product_in_double(int rows, int k, int n, struct view a, struct view b)
{
    const struct view turned = { b.x, b.column, b.row };
    double *left = in_double(a, rows, k), *right = in_double(turned, n, k);
    double *c = memory_alloc((size_t)rows * (size_t)n, sizeof(*c));
    if (!is_cheap(rows, (const int[]){ k, n }))
        matrix_double_nt(rows, n, k, left, k, right, k, c, n);
    else
        for (int i = 0; i < rows * n; i++)
            for (int q = 0; q < k; q++)
                c[i] += left[i / n * k + q] * right[i % n * k + q];
    free(left), free(right);
    return c;
}

static double finished(const struct product *p, double sum, int i, int j)
{
    const double y = p->y ? (double)product_y(p, i)[j] : 0;
    switch (p->epilogue) {
    case EPILOGUE_BIAS: return sum + (double)p->bias[j];
    case EPILOGUE_RELU: return fmax(sum + (double)p->bias[j], 0);
    case EPILOGUE_NONE: return sum;
    case EPILOGUE_TIMES_STEP: return y > 0 ? sum : 0;
    case EPILOGUE_TIMES_TANH_SLOPE: return sum * (1 - y * y);
    case EPILOGUE_TIMES: return sum * y;
    }
    return NAN;
}

/* c = a w or a w^T, where w is a part of a wider matrix and rows of a, y and c are apart; with an odd number of
 * rows the last row has the first of y, and so on. */
static void check_product(const struct kernels *kernels, int rows, int k, int n, bool is_transposed,
                          enum epilogue epilogue)
{
    const int lda = k + 3, ldy = n + 1, ldc = n + 2, ldw = (is_transposed ? k : n) + 5;
    float *w = numbers((size_t)(is_transposed ? n : k) * (size_t)ldw), *a = numbers((size_t)rows * (size_t)lda);
    float *y = numbers((size_t)rows * (size_t)ldy), *bias = numbers((size_t)n);
    float *c = memory_alloc((size_t)rows * (size_t)ldc, sizeof(*c));
    void *scratch = aligned(kernels->scratch_bytes(k, k, n));
    void *packed = aligned(is_transposed ? kernels->packed_bytes(n, k) : kernels->packed_bytes(k, n));
    int backwards[MAX_ROWS];
    for (int i = 0; i < MAX_ROWS; i++)
        backwards[i] = MAX_ROWS - 1 - i;
    for (int i = 0; i < rows * ldc; i++)
        c[i] = 77;
    if (is_transposed)
        kernels->pack_transposed(n, k, w, ldw, packed);
    else
        kernels->pack(k, n, w, ldw, packed);
    const struct product p = { .rows = rows, .k = k, .n = n, .a = a, .lda = lda, .packed = packed, .bias = bias,
                               .y = epilogue > EPILOGUE_NONE ? y : NULL, .ldy = ldy,
                               .y_rows = rows % 2 ? backwards + MAX_ROWS - rows : NULL, .c = c, .ldc = ldc,
                               .epilogue = epilogue };
    kernels->product(&p, scratch);
    double *sums = product_in_double(rows, k, n, (struct view){ a, lda, 1 },
                                     is_transposed ? (struct view){ w, 1, ldw } : (struct view){ w, ldw, 1 });
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < ldc; j++) {
            const double expected = j < n ? finished(&p, sums[i * n + j], i, j) : 77;
            if (!(fabs((double)c[i * ldc + j] - expected) <= tolerance(kernels, k)))
                ck_abort_msg("%s: %d x %d x %d, transposed %d, epilogue %d: [%d][%d] is %g and should be %g", kernels->name,
                             rows, k, n, is_transposed, epilogue, i, j, (double)c[i * ldc + j], expected);
        }
    free(w), free(a), free(y), free(bias), free(c), free(scratch), free(packed), free(sums);
}

/* dw = x^T d in two parts, and db. */
static void check_outer(const struct kernels *kernels, int rows, int k, int n)
{
    const int ldx = k + 2, ldd = n + 3;
    float *x = numbers((size_t)rows * (size_t)ldx), *d = numbers((size_t)rows * (size_t)ldd);
    float *dw = memory_alloc((size_t)k * (size_t)n + 1, sizeof(*dw)), *db = memory_alloc((size_t)n + 1, sizeof(*db));
    void *scratch = aligned(kernels->scratch_bytes(k, k, n));
    dw[k * n] = db[n] = 77;
    struct outer_product p = { .rows = rows, .end = k / 2, .n = n, .x = x, .ldx = ldx, .d = d, .ldd = ldd, .dw = dw,
                               .db = db };
    kernels->outer_product(&p, scratch);
    p.first = k / 2;
    p.end = k;
    kernels->outer_product(&p, scratch);
    double *sums = product_in_double(k, rows, n, (struct view){ x, 1, ldx }, (struct view){ d, ldd, 1 });
    double *columns = memory_alloc((size_t)n, sizeof(*columns));
    for (int i = 0; i < rows * n; i++)
        columns[i % n] += (double)d[i / n * ldd + i % n];
    for (int i = 0; i <= k; i++)
        for (int j = 0; j < n; j++) {
            const double sum = i < k ? sums[i * n + j] : columns[j];
            const float got = i < k ? dw[i * n + j] : db[j];
            if (!(fabs((double)got - sum) <= tolerance(kernels, rows) * 2))
                ck_abort_msg("%s: %d x %d x %d: dw[%d][%d] is %g and should be %g", kernels->name, rows, k, n, i, j,
                             (double)got, sum);
        }
    ck_assert(dw[k * n] == 77 && db[n] == 77);
    free(x), free(d), free(dw), free(db), free(scratch), free(sums), free(columns);
}

START_TEST(products_equal_sums_in_double)
{
    const struct kernels *kernels = sets[_i];
    if (!kernels->is_supported())
        return;
    for (size_t s = 0; s < sizeof(shapes) / sizeof(*shapes); s++)
        for (size_t r = 0; r < sizeof(row_counts) / sizeof(*row_counts); r++)
            for (int is_transposed = 0; is_transposed < 2 && is_cheap(row_counts[r], shapes[s]); is_transposed++)
                check_product(kernels, row_counts[r], shapes[s][is_transposed], shapes[s][!is_transposed], is_transposed,
                              (enum epilogue)((s + r) % (EPILOGUE_TIMES + 1)));
}
END_TEST

START_TEST(outer_products_equal_sums_in_double)
{
    const struct kernels *kernels = sets[_i];
    if (!kernels->is_supported())
        return;
    for (size_t s = 0; s < sizeof(shapes) / sizeof(*shapes); s++)
        for (size_t r = 0; r < sizeof(row_counts) / sizeof(*row_counts); r++)
            if (is_cheap(row_counts[r], shapes[s]))
                check_outer(kernels, row_counts[r], shapes[s][0], shapes[s][1]);
}
END_TEST

/* What learners mostly do, a little less and a little more: many blocks of every kind, and what is left of them. */
START_TEST(batches_through_large_layers_equal_sums_in_double)
{
    static const enum epilogue epilogues[][2] = { { EPILOGUE_BIAS, EPILOGUE_NONE },
                                                  { EPILOGUE_RELU, EPILOGUE_TIMES_STEP },
                                                  { EPILOGUE_BIAS, EPILOGUE_TIMES_TANH_SLOPE } };
    const struct kernels *kernels = sets[_i];
    if (!kernels->is_supported())
        return;
    for (int i = getenv("SHOAL_TEST_SHORT") ? 2 : 0; i < 3; i++) {
        for (int is_transposed = 0; is_transposed < 2; is_transposed++)
            check_product(kernels, 255 + i, 256, 256, is_transposed, epilogues[i][is_transposed]);
        check_outer(kernels, 255 + i, 256, 256);
    }
}
END_TEST

static void check_division(const struct kernels *kernels, int rows, int k, int n)
{
    float *a = numbers((size_t)(rows * k)), *w = numbers((size_t)(k * n)), *bias = numbers((size_t)n);
    float *d = numbers((size_t)(rows * n)), *whole = numbers((size_t)(rows * n)), *parts = numbers((size_t)(rows * n));
    float *dw = numbers((size_t)(k * n)), *dw_parts = numbers((size_t)(k * n));
    void *packed = aligned(kernels->packed_bytes(k, n)), *scratch = aligned(kernels->scratch_bytes(k, k, n));
    kernels->pack(k, n, w, n, packed);
    struct product p = { .rows = rows, .k = k, .n = n, .a = a, .lda = k, .packed = packed, .bias = bias, .c = whole,
                         .ldc = n };
    kernels->product(&p, scratch);
    struct outer_product o = { .rows = rows, .end = k, .n = n, .x = a, .ldx = k, .d = d, .ldd = n, .dw = dw };
    kernels->outer_product(&o, scratch);
    for (int part = 1; part < 70; part += 4) {
        for (int i = 0; i < rows; i += part) {
            p.a = a + i * k;
            p.c = parts + i * n;
            p.rows = rows - i < part ? rows - i : part;
            kernels->product(&p, scratch);
        }
        ck_assert_mem_eq(parts, whole, (size_t)(rows * n) * sizeof(*whole));
        o.dw = dw_parts;
        for (o.first = 0; o.first < k; o.first = o.end) {
            o.end = o.first + part < k ? o.first + part : k;
            kernels->outer_product(&o, scratch);
        }
        ck_assert_mem_eq(dw_parts, dw, (size_t)(k * n) * sizeof(*dw));
    }
    free(a), free(w), free(bias), free(d), free(whole), free(parts), free(dw), free(dw_parts), free(packed), free(scratch);
}

/* Rows in any number of parts, columns of x in any: the same bits, with one stage of rows and with several, with
 * few columns of d, too. OpenBLAS's are not. */
START_TEST(a_result_does_not_depend_on_how_the_work_is_divided)
{
    const struct kernels *kernels = sets[_i];
    if (kernels == &kernels_openblas || !kernels->is_supported())
        return;
    check_division(kernels, 150, 70, 45);
    check_division(kernels, 600, 40, 6);
    check_division(kernels, 301, 37, 17);
}
END_TEST

/* What the learner computes of a row is what the actor computed. */
START_TEST(f32_kernels_of_our_own_equal_the_row_kernel_bit_for_bit)
{
    const struct kernels *kernels = sets[_i];
    if (kernels == &kernels_openblas || kernels->precision != PRECISION_F32 || !kernels->is_supported())
        return;
    for (size_t s = 0; s < sizeof(shapes) / sizeof(*shapes); s++) {
        enum { ROWS = 37 };
        const int k = shapes[s][0], n = shapes[s][1];
        float *a = numbers((size_t)(ROWS * k)), *w = numbers((size_t)(k * n)), *bias = numbers((size_t)n);
        float *got = memory_alloc((size_t)(ROWS * n), sizeof(*got)), *expected = memory_alloc((size_t)(ROWS * n), sizeof(*got));
        const float *rows[ROWS];
        void *packed = aligned(kernels->packed_bytes(k, n)), *scratch = aligned(kernels->scratch_bytes(k, k, n));
        for (int i = 0; i < ROWS; i++)
            rows[i] = a + i * k;
        float *panels = aligned(row_kernel_floats(k, n) * sizeof(*panels));
        row_kernel_pack(k, n, w, bias, panels);
        row_kernel_best()->dense(ROWS, k, n, rows, panels, false, expected);
        kernels->pack(k, n, w, n, packed);
        const struct product p = { .rows = ROWS, .k = k, .n = n, .a = a, .lda = k, .packed = packed, .bias = bias,
                                   .c = got, .ldc = n };
        kernels->product(&p, scratch);
        ck_assert_mem_eq(got, expected, (size_t)(ROWS * n) * sizeof(float));
        free(a), free(w), free(bias), free(got), free(expected), free(packed), free(scratch), free(panels);
    }
}
END_TEST

START_TEST(numbers_that_are_not_finite_stay_so_or_are_cut_off_by_relu)
{
    const struct kernels *kernels = sets[_i];
    if (!kernels->is_supported())
        return;
    float a[2] = { NAN, INFINITY }, w[2] = { 1, 1 }, bias[1] = { 0 }, c[2];
    void *packed = aligned(kernels->packed_bytes(1, 1)), *scratch = aligned(kernels->scratch_bytes(1, 1, 1));
    kernels->pack(1, 1, w, 1, packed);
    struct product p = { .rows = 2, .k = 1, .n = 1, .a = a, .lda = 1, .packed = packed, .bias = bias, .c = c, .ldc = 1 };
    kernels->product(&p, scratch);
    ck_assert(isnan(c[0]) && !isfinite(c[1]));
    p.epilogue = EPILOGUE_RELU;
    kernels->product(&p, scratch);
    ck_assert(c[0] == 0);
    free(packed), free(scratch);
}
END_TEST

/* The set of the same name with another precision. */
static const struct kernels *sibling(const struct kernels *kernels, enum precision precision)
{
    for (int i = 0; i < n_sets; i++)
        if (sets[i]->precision == precision && strcmp(sets[i]->name, kernels->name) == 0)
            return sets[i];
    return NULL;
}

/* Root mean square of a w - sums in double, as a part of that of the sums. */
static double relative_error(const struct kernels *kernels, const float *a, const float *w, int rows, int k, int n)
{
    float *c = memory_alloc((size_t)(rows * n), sizeof(*c));
    void *packed = aligned(kernels->packed_bytes(k, n)), *scratch = aligned(kernels->scratch_bytes(k, k, n));
    double off = 0, all = 0;
    kernels->pack(k, n, w, n, packed);
    const struct product p = { .rows = rows, .k = k, .n = n, .a = a, .lda = k, .packed = packed, .c = c, .ldc = n,
                               .epilogue = EPILOGUE_NONE };
    kernels->product(&p, scratch);
    for (int i = 0; i < rows * n; i++) {
        double sum = 0;
        for (int q = 0; q < k; q++)
            sum += (double)a[i / n * k + q] * (double)w[q * n + i % n];
        off += pow((double)c[i] - sum, 2);
        all += sum * sum;
    }
    free(c), free(packed), free(scratch);
    return sqrt(off / all);
}

START_TEST(bf16x3_is_a_hundred_times_closer_than_bf16_and_that_as_close_as_it_says)
{
    enum { ROWS = 40, K = 256, N = 48 };
    const struct kernels *three = sets[_i], *one = sibling(three, PRECISION_BF16);
    if (three->precision != PRECISION_BF16X3 || !three->is_supported())
        return;
    ck_assert_ptr_nonnull(one);
    float *a = numbers(ROWS * K), *w = numbers(K * N);
    const double with_three = relative_error(three, a, w, ROWS, K, N), with_one = relative_error(one, a, w, ROWS, K, N);
    ck_assert_double_lt(with_three, 1e-5);
    ck_assert_double_lt(with_one, 4e-3);
    ck_assert_double_gt(with_one, 100 * with_three);
    free(a), free(w);
}
END_TEST

/* 2^-8 is half of the last of a bfloat16's places at 1. */
START_TEST(bf16_rounds_to_the_nearest_ties_to_even_and_denormals_to_zero)
{
    static const float cases[][2] = { { 1.00390625f, 1 }, { 1.01171875f, 1.015625f }, { 1.00390637f, 1.0078125f },
                                      { -1.00390625f, -1 }, { 3.3e38f, 3.2964854e38f }, { 1e-40f, 0 }, { 1.5f, 1.5f } };
    enum { N = sizeof(cases) / sizeof(*cases) };
    const struct kernels *kernels = sets[_i];
    if (kernels->precision != PRECISION_BF16 || !kernels->is_supported())
        return;
    float one = 1, a[N], c[N];
    void *packed = aligned(kernels->packed_bytes(1, 1)), *scratch = aligned(kernels->scratch_bytes(1, 1, 1));
    for (int i = 0; i < N; i++)
        a[i] = cases[i][0];
    kernels->pack(1, 1, &one, 1, packed);
    const struct product p = { .rows = N, .k = 1, .n = 1, .a = a, .lda = 1, .packed = packed, .c = c, .ldc = 1,
                               .epilogue = EPILOGUE_NONE };
    kernels->product(&p, scratch);
    for (int i = 0; i < N; i++)
        ck_assert_msg(fabsf(c[i] - cases[i][1]) <= 1e-6f * fabsf(cases[i][1]), "%s: %.9g became %.9g, should be %.9g",
                      kernels->name, (double)a[i], (double)c[i], (double)cases[i][1]);
    free(packed), free(scratch);
}
END_TEST

/* Numbers of all kinds: each fifth is one that rounding must get right. */
static float *odd_numbers(size_t n)
{
    static const float odd[] = { 0, -0.0f, NAN, -NAN, INFINITY, -INFINITY, 1e-40f, -1e-45f, 3.4e38f, 1.00390625f, 1.01171875f,
                                 1.17549435e-38f, 2e-38f };
    float *x = numbers(n);
    for (size_t i = 0; i < n; i += 5)
        x[i] = odd[i / 5 % (sizeof(odd) / sizeof(*odd))];
    return x;
}

static void check_same_packing(const struct kernels *kernels, const struct kernels *portable, int k, int n)
{
    const size_t bytes = portable->packed_bytes(k, n);
    ck_assert_uint_eq(kernels->packed_bytes(k, n), bytes);
    float *w = odd_numbers((size_t)(k * (n + 3)));
    void *got = aligned(bytes), *expected = aligned(bytes);
    kernels->pack(k, n, w, n + 3, got);
    portable->pack(k, n, w, n + 3, expected);
    ck_assert_mem_eq(got, expected, bytes);
    kernels->pack_transposed(k, n, w, n + 3, got);
    portable->pack_transposed(k, n, w, n + 3, expected);
    ck_assert_mem_eq(got, expected, bytes);
    free(w), free(got), free(expected);
}

/* Tiles in C give the same bits. Those of a CPU may round within an instruction in an order of their own: what
 * is rounded are sums of at most a few tens, in f32. */
static void expect_same(const struct kernels *kernels, const float *got, const float *expected, size_t n)
{
    if (strcmp(kernels->name, "amx") != 0) {
        ck_assert_mem_eq(got, expected, n * sizeof(*got));
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)expected[i]) <= 5e-5))
            ck_abort_msg("%s: %g and should be %g", kernels->name, (double)got[i], (double)expected[i]);
}

static void check_same_products(const struct kernels *kernels, const struct kernels *portable, int rows, int k, int n)
{
    const struct kernels *both[] = { kernels, portable };
    float *a = numbers((size_t)(rows * k)), *w = numbers((size_t)(k * n)), *d = numbers((size_t)(rows * n));
    float *c[2], *dw[2];
    for (int i = 0; i < 2; i++) {
        void *packed = aligned(both[i]->packed_bytes(k, n)), *scratch = aligned(both[i]->scratch_bytes(k, k, n));
        c[i] = memory_alloc((size_t)(rows * n), sizeof(**c));
        dw[i] = memory_alloc((size_t)(k * n), sizeof(**dw));
        both[i]->pack(k, n, w, n, packed);
        const struct product p = { .rows = rows, .k = k, .n = n, .a = a, .lda = k, .packed = packed, .y = d, .ldy = n,
                                   .c = c[i], .ldc = n, .epilogue = EPILOGUE_TIMES_TANH_SLOPE };
        const struct outer_product o = { .rows = rows, .end = k, .n = n, .x = a, .ldx = k, .d = d, .ldd = n, .dw = dw[i] };
        both[i]->product(&p, scratch);
        both[i]->outer_product(&o, scratch);
        free(packed), free(scratch);
    }
    expect_same(kernels, c[0], c[1], (size_t)(rows * n));
    expect_same(kernels, dw[0], dw[1], (size_t)(k * n));
    free(a), free(w), free(d), free(c[0]), free(c[1]), free(dw[0]), free(dw[1]);
}

#if defined(__x86_64__)
/* One product each of a w or a w^T; with an odd number of rows, rows of y in another order. */
static void check_same_epilogue(int rows, int k, int n, bool is_transposed, enum epilogue epilogue)
{
    const struct kernels *both[] = { &kernels_avx2, &kernels_avx512 };
    const int ldw = (is_transposed ? k : n) + 5, ldc = n + 2;
    float *w = numbers((size_t)(is_transposed ? n : k) * (size_t)ldw), *a = numbers((size_t)(rows * k));
    float *y = numbers((size_t)(rows * n)), *bias = numbers((size_t)n), *c[2];
    int backwards[MAX_ROWS];
    for (int i = 0; i < rows; i++)
        backwards[i] = rows - 1 - i;
    for (int i = 0; i < 2; i++) {
        void *scratch = aligned(both[i]->scratch_bytes(k, k, n));
        void *packed = aligned(is_transposed ? both[i]->packed_bytes(n, k) : both[i]->packed_bytes(k, n));
        c[i] = memory_alloc((size_t)(rows * ldc), sizeof(**c));
        if (is_transposed)
            both[i]->pack_transposed(n, k, w, ldw, packed);
        else
            both[i]->pack(k, n, w, ldw, packed);
        const struct product p = { .rows = rows, .k = k, .n = n, .a = a, .lda = k, .packed = packed, .bias = bias,
                                   .y = epilogue > EPILOGUE_NONE ? y : NULL, .ldy = n,
                                   .y_rows = rows % 2 ? backwards : NULL, .c = c[i], .ldc = ldc, .epilogue = epilogue };
        both[i]->product(&p, scratch);
        free(scratch), free(packed);
    }
    if (memcmp(c[0], c[1], (size_t)(rows * ldc) * sizeof(**c)) != 0)
        ck_abort_msg("%d x %d x %d, transposed %d, epilogue %d differ", rows, k, n, is_transposed, epilogue);
    free(w), free(a), free(y), free(bias), free(c[0]), free(c[1]);
}

/* dw in two parts, and db. */
static void check_same_outer(int rows, int k, int n)
{
    const struct kernels *both[] = { &kernels_avx2, &kernels_avx512 };
    float *x = numbers((size_t)(rows * k)), *d = numbers((size_t)(rows * n)), *dw[2], *db[2];
    for (int i = 0; i < 2; i++) {
        void *scratch = aligned(both[i]->scratch_bytes(k, k, n));
        dw[i] = memory_alloc((size_t)(k * n), sizeof(**dw));
        db[i] = memory_alloc((size_t)n, sizeof(**db));
        struct outer_product o = { .rows = rows, .end = k / 2, .n = n, .x = x, .ldx = k, .d = d, .ldd = n, .dw = dw[i],
                                   .db = db[i] };
        both[i]->outer_product(&o, scratch);
        o.first = k / 2;
        o.end = k;
        both[i]->outer_product(&o, scratch);
        free(scratch);
    }
    ck_assert_mem_eq(dw[0], dw[1], (size_t)(k * n) * sizeof(**dw));
    ck_assert_mem_eq(db[0], db[1], (size_t)n * sizeof(**db));
    free(x), free(d), free(dw[0]), free(dw[1]), free(db[0]), free(db[1]);
}
#endif

START_TEST(avx2_and_avx512_give_the_same_bits)
{
#if defined(__x86_64__)
    if (!kernels_avx2.is_supported() || !kernels_avx512.is_supported())
        return;
    for (size_t s = 0; s < sizeof(shapes) / sizeof(*shapes); s++)
        for (int rows = 1; rows <= 64; rows += rows < 33 ? 4 : 31) {
            for (int i = 0; i < 2 * (EPILOGUE_TIMES + 1); i++)
                check_same_epilogue(rows, shapes[s][i % 2], shapes[s][1 - i % 2], i % 2, (enum epilogue)(i / 2));
            check_same_outer(10 * rows, shapes[s][0], shapes[s][1]);
        }
#endif
}
END_TEST

START_TEST(amx_gives_what_its_form_in_plain_c_gives)
{
    const struct kernels *kernels = sets[_i];
    if (strncmp(kernels->name, "amx", 3) != 0 || !kernels->is_supported())
        return;
    const struct kernels *portable = sibling(&kernels_amx_portable_bf16, kernels->precision);
    for (size_t s = 0; s < sizeof(shapes) / sizeof(*shapes); s++) {
        check_same_packing(kernels, portable, shapes[s][0], shapes[s][1]);
        check_same_products(kernels, portable, 29, shapes[s][0], shapes[s][1]);
    }
    check_same_products(kernels, portable, 300, 70, 45);
}
END_TEST

START_TEST(kernels_are_found_by_name_and_refused_with_the_alternatives)
{
    struct error err;
    const struct kernels *found = NULL;
    ck_assert_int_eq(kernels_find("auto", PRECISION_F32, &found, &err), 0);
    ck_assert_ptr_eq(found, kernels_best(PRECISION_F32));
    ck_assert_int_eq(kernels_find("openblas", PRECISION_F32, &found, &err), 0);
    ck_assert_ptr_eq(found, &kernels_openblas);
    ck_assert_int_eq(kernels_find("mkl", PRECISION_F32, &found, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "learner.backend is mkl with learner.precision f32, and there are no such"));
    ck_assert_ptr_nonnull(strstr(err.text, "; choose auto"));
    ck_assert_ptr_nonnull(strstr(err.text, " or openblas"));
    for (int i = 0; kernels_all[i]; i++) {
        const struct kernels *k = kernels_all[i];
        const int rc = kernels_find(k->name, k->precision, &found, &err);
        ck_assert_int_eq(rc, k->is_supported() ? 0 : ERR_CONFIG);
        if (rc == 0)
            ck_assert_ptr_eq(found, k);
        else if (kernels_best(k->precision))
            ck_assert_ptr_nonnull(strstr(err.text, "and this CPU cannot run it; choose auto"));
        else
            ck_assert_ptr_nonnull(strstr(err.text, "this CPU has no kernels for it; choose f32"));
    }
    kernels_set_default(&kernels_openblas);
    ck_assert_ptr_eq(kernels_default(), &kernels_openblas);
    kernels_set_default(NULL);
    ck_assert_ptr_eq(kernels_default(), kernels_best(PRECISION_F32));
}
END_TEST

int main(void)
{
    list_sets();
    for (int i = 0; i < n_sets; i++)
        if (!sets[i]->is_supported())
            printf("    skipped: this CPU lacks what %s kernels need\n", sets[i]->name);
    matrix_setup();
    Suite *suite = suite_create("kernels");
    TCase *each = tcase_create("each"), *once = tcase_create("once");
    tcase_set_timeout(each, 120);
    tcase_add_loop_test(each, products_equal_sums_in_double, 0, n_sets);
    tcase_add_loop_test(each, outer_products_equal_sums_in_double, 0, n_sets);
    tcase_add_loop_test(each, batches_through_large_layers_equal_sums_in_double, 0, n_sets);
    tcase_add_loop_test(each, a_result_does_not_depend_on_how_the_work_is_divided, 0, n_sets);
    tcase_add_loop_test(each, f32_kernels_of_our_own_equal_the_row_kernel_bit_for_bit, 0, n_sets);
    tcase_add_loop_test(each, numbers_that_are_not_finite_stay_so_or_are_cut_off_by_relu, 0, n_sets);
    tcase_add_loop_test(each, bf16x3_is_a_hundred_times_closer_than_bf16_and_that_as_close_as_it_says, 0, n_sets);
    tcase_add_loop_test(each, bf16_rounds_to_the_nearest_ties_to_even_and_denormals_to_zero, 0, n_sets);
    tcase_add_loop_test(each, amx_gives_what_its_form_in_plain_c_gives, 0, n_sets);
    tcase_set_timeout(once, 60);
    tcase_add_test(once, avx2_and_avx512_give_the_same_bits);
    tcase_add_test(once, kernels_are_found_by_name_and_refused_with_the_alternatives);
    suite_add_tcase(suite, each);
    suite_add_tcase(suite, once);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
