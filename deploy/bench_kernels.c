/* Matrix products in the shapes that networks have: a layer of K inputs and N outputs over M rows.
 *
 *   forward     Y[M][N]  = relu(X[M][K] W[K][N] + b)
 *   backward    dX[M][K] = dY[M][N] W[K][N]^T where X > 0
 *   weights     dW[K][N] = X[M][K]^T dY[M][N], and db
 *
 * Weights are packed beforehand, as before every pass over a batch. Operands stay where they are, so that they are as warm as
 * the caches can hold them. */
#include "deploy/bench.h"

#include <math.h>
#include <stdio.h>

#include "common/arena.h"
#include "common/kernels.h"
#include "common/rng.h"

enum { PARTS = 10 };            /* of b->seconds, one of them a window: there are many figures */
#define FLOPS_BETWEEN_LOOKS 1e6 /* tens of microseconds */

static const struct { int k, n; } shapes[] = {
    { 23, 256 }, { 256, 256 }, { 256, 6 }, { 256, 1 }, { 17, 64 }, { 64, 64 }
};
static const int sizes[] = { 1, 8, 16, 32, 64, 256, 1024 };
static const char *const columns[] = { "M = 1", "8", "16", "32", "64", "256", "1024" };
enum form { FORWARD, BACKWARD, WEIGHTS };
static const char *const forms[] = { "forward", "backward", "weights" };
enum { N_SHAPES = sizeof(shapes) / sizeof(*shapes), N_SIZES = sizeof(sizes) / sizeof(*sizes),
       N_FORMS = sizeof(forms) / sizeof(*forms) };

struct layer {
    const struct kernels *kernels;
    enum form form;
    int repeats;                /* between looks at the clock */
    double flops;
    struct product product;
    struct outer_product outer;
    void *scratch;
};

static int run(void *context, struct bench_window *window, struct error *err)
{
    const struct layer *l = context;
    (void)err;
    for (int i = 0; i < l->repeats; i++)
        if (l->form == WEIGHTS)
            l->kernels->outer_product(&l->outer, l->scratch);
        else
            l->kernels->product(&l->product, l->scratch);
    window->units += l->repeats * l->flops * 1e-9;
    return 0;
}

static float *random_block(struct arena *arena, int rows, int columns_)
{
    struct rng rng;
    const size_t n = (size_t)rows * (size_t)columns_;
    float *block = arena_alloc(arena, n, sizeof(float));
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, block, n);
    return block;
}

/* A layer of M rows, K inputs and N outputs, there or back. */
static void create_layer(struct layer *l, const struct kernels *kernels, enum form form, int m, int k, int n,
                         struct arena *arena)
{
    float *x = random_block(arena, m, k), *y = random_block(arena, m, n), *w = random_block(arena, k, n);
    float *result = random_block(arena, m, form == FORWARD ? n : k), *bias = random_block(arena, 1, n);
    void *packed = arena_alloc(arena, kernels->packed_bytes(k, n), 1);
    *l = (struct layer){ .kernels = kernels, .form = form, .flops = 2.0 * m * k * n };
    l->repeats = 1 + (int)(FLOPS_BETWEEN_LOOKS / l->flops);
    l->scratch = arena_alloc(arena, kernels->scratch_bytes(k > n ? k : n, k, n), 1);
    l->outer = (struct outer_product){ .rows = m, .end = k, .n = n, .x = x, .ldx = k, .d = y, .ldd = n, .dw = w,
                                       .db = bias };
    l->product = form == FORWARD
               ? (struct product){ .rows = m, .k = k, .n = n, .a = x, .lda = k, .packed = packed, .bias = bias,
                                   .c = result, .ldc = n, .epilogue = EPILOGUE_RELU }
               : (struct product){ .rows = m, .k = n, .n = k, .a = y, .lda = n, .packed = packed, .y = x, .ldy = k,
                                   .c = result, .ldc = k, .epilogue = EPILOGUE_TIMES_STEP };
    (form == FORWARD ? kernels->pack : kernels->pack_transposed)(k, n, w, n, packed);
}

/* One row: a shape and a form over every M. */
static int measure_row(struct bench *b, const struct kernels *kernels, enum form form, int k, int n, struct error *err)
{
    const struct bench_plan plan = bench_plan_make(b, PARTS, BENCH_THREAD);
    struct arena *arena = arena_create(1 << 20);
    int rc = 0;
    for (int i = 0; i < N_SIZES && rc == 0; i++) {
        struct layer layer;
        create_layer(&layer, kernels, form, sizes[i], k, n, arena);
        const struct bench_work work = { run, &layer, -1 };
        struct bench_result r;
        rc = bench_measure(&plan, &work, 1, &r, err);
        if (rc == 0)
            bench_cell(b, &r, bench_share(b, kernels, r.median));
    }
    arena_destroy(&arena);
    return rc;
}

static int measure_products(struct bench *b, const struct kernels *kernels, struct error *err)
{
    char name[64];
    int rc = 0;
    for (int s = 0; s < N_SHAPES; s++)
        for (int f = 0; f < N_FORMS && rc == 0; f++) {
            snprintf(name, sizeof(name), "%s %dx%d", forms[f], shapes[s].k, shapes[s].n);
            if (!bench_wants(b, name))
                continue;
            bench_begin_row(b, name);
            rc = measure_row(b, kernels, (enum form)f, shapes[s].k, shapes[s].n, err);
            bench_end_row(b);
        }
    return rc;
}

static void show_peaks(struct bench *b)
{
    static const char *const peak_columns[] = { "FMA float32", "AVX512_BF16", "AMX bfloat16" };
    static const struct bench_table table = { .group = "kernels", .title = "one core at most", .unit = "GF/s",
                                              .columns = peak_columns, .n_columns = 3 };
    if (!bench_wants(b, "peak"))
        return;
    const double peaks[] = { b->peaks.fma, b->peaks.bf16, b->peaks.amx };
    bench_begin_table(b, &table);
    bench_begin_row(b, "peak");
    for (int i = 0; i < 3; i++) {
        const struct bench_result r = peaks[i] > 0 ? bench_of(&peaks[i], 1) : bench_none();
        bench_cell(b, &r, (double)NAN);
    }
    bench_end_row(b);
}

int bench_kernels(struct bench *b, struct error *err)
{
    struct bench_variant variants[BENCH_MAX_VARIANTS];
    char name[BENCH_VARIANT_BYTES], title[96];
    const int n_variants = bench_variants(variants);
    const struct bench_table table = { .group = "kernels", .title = title, .unit = "GF/s", .variant = name,
                                       .share_of = "the unit's peak", .columns = columns, .n_columns = N_SIZES };
    int rc = bench_peaks(b, err);
    if (rc == 0)
        show_peaks(b);
    for (int i = 0; i < n_variants && rc == 0; i++) {
        if (variants[i].workers > 1)
            continue;
        bench_variant_name(&variants[i], name);
        snprintf(title, sizeof(title), "products of M rows, %s", name);
        bench_begin_table(b, &table);
        rc = measure_products(b, variants[i].kernels, err);
    }
    return rc;
}
