#if defined(__x86_64__) && !defined(SHOAL_DOUBLE)

#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma")))
#define VEC __m256
#define MASK __m256i
enum { LANES = 8, ROWS = 6 };
#define FOR_ROWS(F) F(1) F(2) F(3) F(4) F(5) F(6)

#define vec_set(x) _mm256_set1_ps(x)
#define vec_load(p) _mm256_loadu_ps(p)
#define vec_load_masked(p, mask) _mm256_maskload_ps(p, mask)
#define vec_store(p, v) _mm256_storeu_ps(p, v)
#define vec_store_masked(p, mask, v) _mm256_maskstore_ps(p, mask, v)
#define vec_add(a, b) _mm256_add_ps(a, b)
#define vec_sub(a, b) _mm256_sub_ps(a, b)
#define vec_mul(a, b) _mm256_mul_ps(a, b)
#define vec_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
/* x > 0 ? x : 0, so that NaN gives 0, too */
#define vec_relu(x) _mm256_max_ps(x, _mm256_setzero_ps())
#define vec_where_positive(y, x) _mm256_and_ps(_mm256_cmp_ps(y, _mm256_setzero_ps(), _CMP_GT_OQ), x)
#define mask_first(n) \
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))

#include "common/kernels_f32.h"

static bool is_supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const struct kernels kernels_avx2 = {
    .name = "avx2",
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
typedef int kernels_avx2_is_for_another_cpu;
#endif
