/* Rates of every set of kernels that this CPU runs, side by side on one core: products, products with the
 * transpose and outer products, over the layers that networks have; conversions are part of each, packing is
 * not, as a pass packs weights once for all its rows. A product goes over parts of its rows and an outer one
 * over parts of its columns, as in a network.
 *
 * Sets take turns, window by window, so that a disturbance of the machine meets all of them; a figure is the
 * median of the windows, in GF/s of CPU time.
 *
 *   bench_kernels [--windows N] [--ms T] [SET ...]    for example: bench_kernels avx512 avx512_bf16 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/arena.h"
#include "common/kernels.h"
#include "common/matrix.h"

enum { MAX_SETS = 16, MAX_WINDOWS = 64, MAX_ROWS = 1024, MAX_SIDE = 256, N_KINDS = 3 };
static const int layers[][2] = { { 256, 256 }, { 23, 256 }, { 17, 64 }, { 64, 64 }, { 256, 6 }, { 256, 1 } };
static const int row_counts[] = { 64, 256, 1024 };
static const char *const kinds[N_KINDS] = { "product", "transposed", "outer" };
static const char *const precisions[] = { "f32", "bf16x3", "bf16" };

/* What the kernels work on: one size, all sets. */
static float x[MAX_ROWS * MAX_SIDE], d[MAX_ROWS * MAX_SIDE], w[MAX_SIDE * MAX_SIDE], bias[MAX_SIDE];
static void *packed[MAX_SETS], *scratch[MAX_SETS];

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *aligned(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (!p)
        exit(1);
    memset(p, 0, (bytes + 64) / 64 * 64);
    return p;
}

/* What any of the layers needs. */
static size_t most_scratch(const struct kernels *set)
{
    size_t most = 0;
    for (size_t l = 0; l < sizeof(layers) / sizeof(*layers); l++)
        for (int back = 0; back < 2; back++) {
            const size_t bytes = set->scratch_bytes(MAX_ROWS, layers[l][back], layers[l][!back]);
            most = bytes > most ? bytes : most;
        }
    return most;
}

/* c = a w or a w^T over parts of the rows. */
static void run_product(const struct kernels *set, int i, int rows, int k, int n, int is_transposed)
{
    for (int first = 0; first < rows; first += set->rows_per_part) {
        const struct product p = {
            .rows = rows - first < set->rows_per_part ? rows - first : set->rows_per_part, .k = k, .n = n,
            .a = (is_transposed ? d : x) + first * k, .lda = k, .packed = packed[i], .bias = bias,
            .y = is_transposed ? x + first * n : NULL, .ldy = n, .c = (is_transposed ? x : d) + first * n, .ldc = n,
            .epilogue = is_transposed ? EPILOGUE_TIMES_STEP : EPILOGUE_RELU,
        };
        set->product(&p, scratch[i]);
    }
}

static void run_outer(const struct kernels *set, int i, int rows, int k, int n)
{
    struct outer_product p = { .rows = rows, .n = n, .x = x, .ldx = k, .d = d, .ldd = n, .dw = w, .db = bias };
    for (p.first = 0; p.first < k; p.first = p.end) {
        p.end = p.first + set->columns_per_part < k ? p.first + set->columns_per_part : k;
        set->outer_product(&p, scratch[i]);
    }
}

/* GF/s of one window. */
static double window(const struct kernels *set, int i, int kind, int rows, int k, int n, double seconds)
{
    const double start = now_s();
    double spent = 0, runs = 0;
    while (spent < seconds) {
        for (int r = 0; r < 4; r++, runs++)
            if (kind == 2)
                run_outer(set, i, rows, k, n);
            else
                run_product(set, i, rows, kind ? n : k, kind ? k : n, kind);
        spent = now_s() - start;
    }
    return runs * 2 * rows * k * n / spent * 1e-9;
}

static void fill(float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (float)(i * 2654435761u % 1000) / 1000 - 0.5f;
}

static int by_size(const void *a, const void *b)
{
    const double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

static void row_of_table(const struct kernels *const *sets, int n_sets, int kind, int rows, const int layer[2],
                         int windows, double seconds)
{
    double rates[MAX_SETS][MAX_WINDOWS];
    for (int v = 0; v < windows; v++)
        for (int i = 0; i < n_sets; i++) {
            fill(x, MAX_ROWS * MAX_SIDE);
            fill(d, MAX_ROWS * MAX_SIDE);
            fill(w, MAX_SIDE * MAX_SIDE);
            if (kind == 1)
                sets[i]->pack_transposed(layer[0], layer[1], w, layer[1], packed[i]);
            else
                sets[i]->pack(layer[0], layer[1], w, layer[1], packed[i]);
            rates[i][v] = window(sets[i], i, kind, rows, layer[0], layer[1], seconds);
        }
    printf("%3d x %-3d  %5d  %-10s", layer[0], layer[1], rows, kinds[kind]);
    for (int i = 0; i < n_sets; i++) {
        qsort(rates[i], (size_t)windows, sizeof(double), by_size);
        printf("  %18.1f", rates[i][windows / 2]);
    }
    printf("\n");
}

static int is_wanted(const struct kernels *set, char **names, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], set->name) == 0)
            return 1;
    return n == 0;
}

int main(int argc, char **argv)
{
    const struct kernels *sets[MAX_SETS];
    int n_sets = 0, windows = 5, at = 1;
    double seconds = 0.01;
    for (; at + 1 < argc && strncmp(argv[at], "--", 2) == 0; at += 2)
        if (strcmp(argv[at], "--windows") == 0)
            windows = (int)strtol(argv[at + 1], NULL, 10);
        else
            seconds = strtod(argv[at + 1], NULL) * 1e-3;
    windows = windows < 1 ? 1 : windows > MAX_WINDOWS ? MAX_WINDOWS : windows;
    matrix_setup();
    printf("layer       rows  kind      ");
    for (int i = 0; kernels_all[i] && n_sets < MAX_SETS; i++) {
        const struct kernels *set = kernels_all[i];
        if (!set->is_supported() || !is_wanted(set, argv + at, argc - at))
            continue;
        packed[n_sets] = aligned(set->packed_bytes(MAX_SIDE, MAX_SIDE));
        scratch[n_sets] = aligned(most_scratch(set));
        sets[n_sets++] = set;
        printf("  %11s %6s", set->name, precisions[set->precision]);
    }
    printf("\n");
    for (size_t l = 0; l < sizeof(layers) / sizeof(*layers); l++)
        for (size_t r = 0; r < sizeof(row_counts) / sizeof(*row_counts); r++)
            for (int kind = 0; kind < N_KINDS; kind++)
                row_of_table(sets, n_sets, kind, row_counts[r], layers[l], windows, seconds);
    for (int i = 0; i < n_sets; i++)
        free(packed[i]), free(scratch[i]);
    return 0;
}
