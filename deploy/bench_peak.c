/* What one core can do at most, measured in the same run as what is compared with it: with each unit that networks
 * are computed with, products whose operands never leave the registers. */
#include "deploy/bench.h"

#include <math.h>
#include <string.h>

#include "common/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET __attribute__((target("amx-tile,amx-bf16,avx512f")))
#include "common/amx_tiles.h"
#endif

enum { N_CHAINS = 12,           /* independent sums: more than latency (4) times units (2), and registers are left */
       N_REPEATS = 1 << 14,     /* of all chains, between looks at the clock: tens of microseconds */
       N_TILES = 4,             /* sums of the tiles' unit; the other four registers hold what is multiplied */
       FLOPS_OF_FMA = 2 };

#if defined(__x86_64__)

/* A function of twelve chains x <- fma(x, a, b) in a loop that touches no memory. The empty statements keep the
 * compiler from combining iterations; their operands are registers. */
#define CHAINS(X, with) X(0, with) X(1, with) X(2, with) X(3, with) X(4, with) X(5, with) X(6, with) X(7, with) \
                        X(8, with) X(9, with) X(10, with) X(11, with)
#define DECLARE(i, vector) vector x##i = b;
#define MULTIPLY_ADD(i, fma) x##i = fma(x##i, a, b);
#define HOLD(i, constraint) __asm__ volatile("" : constraint(x##i));
#define ADD(i, sum) total = sum(total, x##i);
#define CHAINS_OF(name, cpu, vector, constraint, all, fma, sum, lowest) \
    __attribute__((target(cpu), noinline)) static float name(void) \
    { \
        const vector a = all(0.999f), b = all(0.001f); \
        vector total = b; \
        CHAINS(DECLARE, vector) \
        for (int k = 0; k < N_REPEATS; k++) { \
            CHAINS(MULTIPLY_ADD, fma) \
            CHAINS(HOLD, constraint) \
        } \
        CHAINS(ADD, sum) \
        return lowest(total); \
    }
#define DOT(x, a, b) _mm512_dpbf16_ps(x, (__m512bh)(a), (__m512bh)(b))

CHAINS_OF(multiply_add_512, "avx512f", __m512, "+v", _mm512_set1_ps, _mm512_fmadd_ps, _mm512_add_ps, _mm512_cvtss_f32)
CHAINS_OF(multiply_add_256, "avx2,fma", __m256, "+x", _mm256_set1_ps, _mm256_fmadd_ps, _mm256_add_ps, _mm256_cvtss_f32)
CHAINS_OF(dot_products_512, "avx512f,avx512bf16", __m512, "+v", _mm512_set1_ps, DOT, _mm512_add_ps, _mm512_cvtss_f32)

/* All eight tiles hold zeros: the unit's time does not depend on the numbers. */
TARGET __attribute__((noinline)) static float tile_products(void)
{
    tiles_begin();
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    tile_zero(4);
    tile_zero(5);
    tile_zero(6);
    tile_zero(7);
    for (int k = 0; k < N_REPEATS; k++) {
        tile_dp(0, 4, 6);
        tile_dp(1, 4, 7);
        tile_dp(2, 5, 6);
        tile_dp(3, 5, 7);
    }
    tiles_end();
    return 0;
}

static double no_peak(float (**kernel)(void))
{
    *kernel = NULL;
    return 0;
}

/* What there is to measure of each unit on this CPU, and the flops of a call; NULL: nothing. */
static double find_fma(float (**kernel)(void))
{
    const bool is_wide = __builtin_cpu_supports("avx512f");
    if (!is_wide && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")))
        return no_peak(kernel);
    *kernel = is_wide ? multiply_add_512 : multiply_add_256;
    return (double)N_REPEATS * N_CHAINS * (is_wide ? 16 : 8) * FLOPS_OF_FMA;
}

static double find_bf16(float (**kernel)(void))
{
    if (!kernels_avx512_bf16.is_supported())
        return no_peak(kernel);
    *kernel = dot_products_512;
    return (double)N_REPEATS * N_CHAINS * 16 * 2 * FLOPS_OF_FMA;
}

static double find_amx(float (**kernel)(void))
{
    if (!kernels_amx_bf16.is_supported())
        return no_peak(kernel);
    *kernel = tile_products;
    return (double)N_REPEATS * N_TILES * TILE * TILE * (TILE * 2) * FLOPS_OF_FMA;
}

#else

static double find_fma(float (**kernel)(void))
{
    *kernel = NULL;
    return 0;
}
#define find_bf16 find_fma
#define find_amx find_fma

#endif

struct subject {
    float (*kernel)(void);
    double flops;
    volatile float seen;        /* so that the result is wanted */
};

static int run(void *context, struct bench_window *w, struct error *err)
{
    struct subject *s = context;
    (void)err;
    s->seen = s->kernel();
    w->units += s->flops * 1e-9;
    return 0;
}

/* *peak: GF/s, or 0 where the CPU lacks the unit. */
static int measure(struct bench *b, double (*find)(float (**kernel)(void)), double *peak, struct error *err)
{
    struct subject s = { 0 };
    struct bench_result r;
    s.flops = find(&s.kernel);
    if (!s.kernel)
        return 0;
    const struct bench_plan plan = bench_plan_make(b, 1, BENCH_THREAD);
    const struct bench_work work = { run, &s, -1 };
    int rc = bench_measure(&plan, &work, 1, &r, err);
    *peak = rc == 0 ? r.median : 0;
    return rc;
}

int bench_peaks(struct bench *b, struct error *err)
{
    if (b->peaks.are_measured)
        return 0;
    b->peaks.are_measured = true;
    int rc = measure(b, find_fma, &b->peaks.fma, err);
    if (rc == 0)
        rc = measure(b, find_bf16, &b->peaks.bf16, err);
    return rc == 0 ? measure(b, find_amx, &b->peaks.amx, err) : rc;
}

double bench_share(const struct bench *b, const struct kernels *kernels, double gflops)
{
    const double peak = kernels->precision == PRECISION_F32 ? b->peaks.fma
                      : strcmp(kernels->name, "amx") == 0 ? b->peaks.amx : b->peaks.bf16;
    return peak > 0 ? gflops / peak : (double)NAN;
}
