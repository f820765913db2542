#if defined(__x86_64__) && !defined(SHOAL_DOUBLE)

#define TARGET __attribute__((target("avx512f")))
#define vec_fma(a, b, c) _mm512_fmadd_ps(a, b, c)

#include "common/kernels_avx512.h"
#include "common/kernels_f32.h"

static bool is_supported(void)
{
    return __builtin_cpu_supports("avx512f");
}

const struct kernels kernels_avx512 = {
    .name = "avx512",
    .precision = PRECISION_F32,
    .rows_per_part = 64,
    .columns_per_part = 64,
    .is_supported = is_supported,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .pack_transposed = pack_transposed,
    .product = product,
    .outer_product = outer_product,
    .scratch_bytes = scratch_bytes,
};

#else
typedef int kernels_avx512_is_for_another_cpu;
#endif
