/* What one core can do at most, measured in the same run as what is compared with it: float32 fused
 * multiply-adds whose operands never leave the registers.
 *
 * The peak of another unit (AMX tiles) is one more work here, and a field of struct bench_peaks. */
#include "deploy/bench.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { N_CHAINS = 12,           /* independent sums: more than latency (4) times units (2), and registers are left */
       N_REPEATS = 1 << 14,     /* of all chains, between looks at the clock: tens of microseconds */
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

/* What there is to measure on this CPU. */
static float (*find_kernel(int *lanes))(void)
{
    if (__builtin_cpu_supports("avx512f")) {
        *lanes = 16;
        return multiply_add_512;
    }
    *lanes = 8;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? multiply_add_256 : NULL;
}

#else

static float (*find_kernel(int *lanes))(void)
{
    *lanes = 0;
    return NULL;
}

#endif

struct subject {
    float (*kernel)(void);
    int lanes;
    volatile float seen;        /* so that the result is wanted */
};

static int run(void *context, struct bench_window *w, struct error *err)
{
    struct subject *s = context;
    (void)err;
    s->seen = s->kernel();
    w->units += (double)N_REPEATS * N_CHAINS * s->lanes * FLOPS_OF_FMA * 1e-9;
    return 0;
}

int bench_peaks(struct bench *b, struct error *err)
{
    struct subject s = { 0 };
    struct bench_result r;
    s.kernel = find_kernel(&s.lanes);
    if (b->peaks.are_measured)
        return 0;
    b->peaks.are_measured = true;
    if (!s.kernel)
        return 0;
    const struct bench_plan plan = bench_plan_make(b, 1, BENCH_THREAD);
    const struct bench_work work = { run, &s, -1 };
    int rc = bench_measure(&plan, &work, 1, &r, err);
    b->peaks.fma = r.median;
    return rc;
}
