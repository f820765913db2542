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

/* Twelve chains x <- x a + b in a loop that touches no memory. The empty statements keep the compiler from
 * combining iterations; their operands are registers. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define DECLARE(i) vector x##i = b;
#define MULTIPLY_ADD(i) x##i = fma(x##i, a, b);
#define HOLD(i) __asm__ volatile("" : "+" REGISTER(x##i));
#define ADD(i) total = sum(total, x##i);

#define vector __m512
#define fma _mm512_fmadd_ps
#define sum _mm512_add_ps
#define REGISTER(x) "v"(x)
__attribute__((target("avx512f"), noinline)) static float multiply_add_512(void)
{
    const vector a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    vector total = b;
    CHAINS(DECLARE)
    for (int k = 0; k < N_REPEATS; k++) {
        CHAINS(MULTIPLY_ADD)
        CHAINS(HOLD)
    }
    CHAINS(ADD)
    return _mm512_cvtss_f32(total);
}
#undef vector
#undef fma
#undef sum
#undef REGISTER

#define vector __m256
#define fma _mm256_fmadd_ps
#define sum _mm256_add_ps
#define REGISTER(x) "x"(x)
__attribute__((target("avx2,fma"), noinline)) static float multiply_add_256(void)
{
    const vector a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    vector total = b;
    CHAINS(DECLARE)
    for (int k = 0; k < N_REPEATS; k++) {
        CHAINS(MULTIPLY_ADD)
        CHAINS(HOLD)
    }
    CHAINS(ADD)
    return _mm256_cvtss_f32(total);
}
#undef vector
#undef fma
#undef sum
#undef REGISTER

#define vector __m512
#define fma(x, a, b) _mm512_dpbf16_ps(x, (__m512bh)(a), (__m512bh)(b))
#define sum _mm512_add_ps
#define REGISTER(x) "v"(x)
__attribute__((target("avx512f,avx512bf16"), noinline)) static float dot_products_512(void)
{
    const vector a = _mm512_set1_ps(0x1p-20f), b = _mm512_set1_ps(0x1p-20f);
    vector total = b;
    CHAINS(DECLARE)
    for (int k = 0; k < N_REPEATS; k++) {
        CHAINS(MULTIPLY_ADD)
        CHAINS(HOLD)
    }
    CHAINS(ADD)
    return _mm512_cvtss_f32(total);
}
#undef vector
#undef fma
#undef sum
#undef REGISTER

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
