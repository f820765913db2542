/* Lines of 16 words, a word being a pair of bfloat16, the first in its lower half. What makes products with
 * them reads operands in this form (bf16_operands.h).
 *
 * A number is rounded to the nearest, ties to even; where `lo` is wanted, too, it is what rounding took off,
 * itself rounded, so that hi + lo has 16 bits of the number. Denormals become 0, NaN and infinity stay (as lo
 * they are NaN). Both implementations give the same bits: AVX512_BF16's instructions, and with
 * SHOAL_BF16_PORTABLE plain C.
 *
 * What includes this defines TARGET, the attribute of functions with these instructions. */
#ifndef SHOAL_COMMON_BF16_LINES_H
#define SHOAL_COMMON_BF16_LINES_H

#include <stdint.h>
#include <string.h>

#define LINE_INLINE TARGET static inline __attribute__((always_inline))

enum { LINE = 16 };    /* words */

#ifndef SHOAL_BF16_PORTABLE

#include <immintrin.h>

LINE_INLINE __mmask16 line_mask(int n)
{
    return (__mmask16)(n >= LINE ? 0xFFFFu : n <= 0 ? 0 : (1u << n) - 1);
}

/* What rounding takes off. */
LINE_INLINE __m512 line_rest(__m512 x)
{
    const __m512i bits = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x));
    return _mm512_sub_ps(x, _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16)));
}

/* Words of x[0] x[1], x[2] x[3] and so on.
 *   count    of numbers that there are; in place of the others stands 0
 *   words    how many words to write
 *   lo       NULL: not wanted */
LINE_INLINE void line_of_row(const float *x, int count, int words, uint32_t *hi, uint32_t *lo)
{
    const __m512 a = _mm512_maskz_loadu_ps(line_mask(count), x), b = _mm512_maskz_loadu_ps(line_mask(count - LINE), x + LINE);
    _mm512_mask_storeu_epi32(hi, line_mask(words), (__m512i)_mm512_cvtne2ps_pbh(b, a));
    if (lo)
        _mm512_mask_storeu_epi32(lo, line_mask(words), (__m512i)_mm512_cvtne2ps_pbh(line_rest(b), line_rest(a)));
}

/* a[0] b[0], a[1] b[1] and so on, of all of a and b behind one another. */
LINE_INLINE __m512i line_interleaved(__m512 a, __m512 b)
{
    const __m512i order = _mm512_add_epi32(_mm512_set1_epi32(16 << 16), _mm512_mullo_epi32(_mm512_set1_epi32(0x10001),
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(b, a));
}

/* Words of x[0] y[0], x[1] y[1] and so on; without `has_y` of x[0] 0, x[1] 0. Writes the whole line. */
LINE_INLINE void line_of_pair(const float *x, const float *y, int count, int has_y, uint32_t *hi, uint32_t *lo)
{
    const __m512 a = _mm512_maskz_loadu_ps(line_mask(count), x);
    const __m512 b = has_y ? _mm512_maskz_loadu_ps(line_mask(count), y) : _mm512_setzero_ps();
    _mm512_storeu_si512(hi, line_interleaved(a, b));
    if (lo)
        _mm512_storeu_si512(lo, line_interleaved(line_rest(a), line_rest(b)));
}

/* Word j of line i becomes word i of line j, for the first `lines` of them, `stride` words apart. */
LINE_INLINE void line_transpose(uint32_t (*from)[LINE], uint32_t *to, size_t stride, int lines)
{
    __m512 a[LINE], b[LINE];
    for (int i = 0; i < LINE; i++)
        a[i] = _mm512_loadu_ps(from[i]);
    for (int i = 0; i < LINE; i += 2) {
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    /* a[4 q + r]: of each quarter of a line, word r of lines 4 q to 4 q + 3 */
    for (int i = 0; i < LINE; i += 4)
        for (int half = 0; half < 2; half++) {
            const __m512d even = _mm512_castps_pd(b[i + half]), odd = _mm512_castps_pd(b[i + half + 2]);
            a[i + 2 * half] = _mm512_castpd_ps(_mm512_unpacklo_pd(even, odd));
            a[i + 2 * half + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(even, odd));
        }
    /* Quarters are exchanged: those of lines 0 to 7 in front of those of lines 8 to 15. */
    for (int r = 0; r < 4; r++) {
        const __m512 even_low = _mm512_shuffle_f32x4(a[r], a[4 + r], 0x88), odd_low = _mm512_shuffle_f32x4(a[r], a[4 + r], 0xDD);
        const __m512 even_high = _mm512_shuffle_f32x4(a[8 + r], a[12 + r], 0x88), odd_high = _mm512_shuffle_f32x4(a[8 + r], a[12 + r], 0xDD);
        b[r] = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
        b[4 + r] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
        b[8 + r] = _mm512_shuffle_f32x4(even_low, even_high, 0xDD);
        b[12 + r] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xDD);
    }
    if (lines >= LINE)
        for (int i = 0; i < LINE; i++)
            _mm512_storeu_ps(to + (size_t)i * stride, b[i]);
    else
        for (int i = 0; i < lines; i++)
            _mm512_storeu_ps(to + (size_t)i * stride, b[i]);
}

#else

LINE_INLINE uint32_t line_round(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    if (x != x)
        return bits >> 16 | 0x40;
    if ((bits & 0x7F800000) == 0)
        return bits >> 16 & 0x8000;
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

LINE_INLINE float line_rest(float x)
{
    const uint32_t bits = line_round(x) << 16;
    float rounded;
    memcpy(&rounded, &bits, sizeof(rounded));
    return x - rounded;
}

LINE_INLINE void line_of_row(const float *x, int count, int words, uint32_t *hi, uint32_t *lo)
{
    for (int i = 0; i < words; i++) {
        const float a = 2 * i < count ? x[2 * i] : 0, b = 2 * i + 1 < count ? x[2 * i + 1] : 0;
        hi[i] = line_round(a) | line_round(b) << 16;
        if (lo)
            lo[i] = line_round(line_rest(a)) | line_round(line_rest(b)) << 16;
    }
}

LINE_INLINE void line_of_pair(const float *x, const float *y, int count, int has_y, uint32_t *hi, uint32_t *lo)
{
    for (int i = 0; i < LINE; i++) {
        const float a = i < count ? x[i] : 0, b = has_y && i < count ? y[i] : 0;
        hi[i] = line_round(a) | line_round(b) << 16;
        if (lo)
            lo[i] = line_round(line_rest(a)) | line_round(line_rest(b)) << 16;
    }
}

LINE_INLINE void line_transpose(uint32_t (*from)[LINE], uint32_t *to, size_t stride, int lines)
{
    for (int i = 0; i < lines; i++)
        for (int j = 0; j < LINE; j++)
            to[(size_t)i * stride + (size_t)j] = from[j][i];
}

#endif
#endif
