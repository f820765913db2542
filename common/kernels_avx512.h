/* Vectors of AVX-512 for kernels_blocks.h; TARGET and vec_fma are the including file's. */
#ifndef SHOAL_COMMON_KERNELS_AVX512_H
#define SHOAL_COMMON_KERNELS_AVX512_H

#include <immintrin.h>

#define VEC __m512
#define MASK __mmask16
enum { LANES = 16, ROWS = 14 };
#define FOR_ROWS(F) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14)

#define vec_set(x) _mm512_set1_ps(x)
#define vec_load(p) _mm512_loadu_ps(p)
#define vec_load_masked(p, mask) _mm512_maskz_loadu_ps(mask, p)
#define vec_store(p, v) _mm512_storeu_ps(p, v)
#define vec_store_masked(p, mask, v) _mm512_mask_storeu_ps(p, mask, v)
#define vec_add(a, b) _mm512_add_ps(a, b)
#define vec_sub(a, b) _mm512_sub_ps(a, b)
#define vec_mul(a, b) _mm512_mul_ps(a, b)
/* x > 0 ? x : 0, so that NaN gives 0, too */
#define vec_relu(x) _mm512_max_ps(x, _mm512_setzero_ps())
#define vec_where_positive(y, x) \
    _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(y, _mm512_setzero_ps(), _CMP_GT_OQ), x)
#define mask_first(n) ((__mmask16)((n) >= LANES ? 0xFFFFu : (1u << (n)) - 1))

#endif
