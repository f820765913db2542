#include "common/digest.h"

#include <sodium.h>
#include <stdbool.h>
#include <zlib.h>

_Static_assert(DIGEST_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

void digest_sha256(const void *data, size_t bytes, unsigned char out[DIGEST_BYTES])
{
    crypto_hash_sha256(out, data, bytes);
}

void digest_sha256_hex(const void *data, size_t bytes, char out[DIGEST_HEX_BYTES])
{
    unsigned char raw[DIGEST_BYTES];
    digest_sha256(data, bytes, raw);
    sodium_bin2hex(out, DIGEST_HEX_BYTES, raw, sizeof(raw));
}

uint32_t digest_crc32(const void *data, size_t bytes)
{
    return digest_crc32_add(0, data, bytes);
}

#if defined(__x86_64__)
#include <immintrin.h>
#define TARGET __attribute__((target("pclmul,sse4.1")))

/* x^n mod P, bit-reflected and one place to the left: what 128 bits are multiplied with to stand n bits
 * further behind in the message. Gopal et al. 2009, "Fast CRC computation for generic polynomials using
 * PCLMULQDQ instruction", for P of CRC-32. */
TARGET static inline __m128i fold(__m128i x, __m128i behind, int64_t high, int64_t low)
{
    const __m128i by = _mm_set_epi64x(low, high);
    return _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(x, by, 0x00), _mm_clmulepi64_si128(x, by, 0x11)),
                         behind);
}

/* 128 bits to the 32 of their remainder. */
TARGET static uint32_t reduce(__m128i x)
{
    const __m128i low_32 = _mm_setr_epi32(-1, 0, -1, 0);
    const __m128i by_64 = _mm_set_epi64x(0, 0x163cd6124), by_96 = _mm_set_epi64x(0, 0x0ccaa009e);
    const __m128i barrett = _mm_set_epi64x(0x1f7011641, 0x1db710641);    /* x^64 / P, P */
    x = _mm_xor_si128(_mm_srli_si128(x, 8), _mm_clmulepi64_si128(x, by_96, 0x00));
    x = _mm_xor_si128(_mm_srli_si128(x, 4), _mm_clmulepi64_si128(_mm_and_si128(x, low_32), by_64, 0x00));
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(x, low_32), barrett, 0x10);
    x = _mm_xor_si128(x, _mm_clmulepi64_si128(_mm_and_si128(quotient, low_32), barrett, 0x00));
    return (uint32_t)_mm_extract_epi32(x, 1);
}

static inline const __m128i *at(const unsigned char *data)
{
    return (const __m128i *)(const void *)data;
}

/* Of a multiple of 16 bytes, at least 64: four remainders of 128 bits side by side, then one. */
TARGET static uint32_t crc32_folded(uint32_t before, const unsigned char *data, size_t bytes)
{
    __m128i x[4];
    for (int i = 0; i < 4; i++)
        x[i] = _mm_loadu_si128(at(data + 16 * i));
    x[0] = _mm_xor_si128(x[0], _mm_cvtsi32_si128((int)~before));
    for (data += 64, bytes -= 64; bytes >= 64; data += 64, bytes -= 64)
        for (int i = 0; i < 4; i++)
            x[i] = fold(x[i], _mm_loadu_si128(at(data + 16 * i)), 0x154442bd4, 0x1c6e41596);
    for (int i = 1; i < 4; i++)
        x[0] = fold(x[0], x[i], 0x1751997d0, 0x0ccaa009e);
    for (; bytes >= 16; data += 16, bytes -= 16)
        x[0] = fold(x[0], _mm_loadu_si128(at(data)), 0x1751997d0, 0x0ccaa009e);
    return ~reduce(x[0]);
}

static bool can_fold(void)
{
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}
#else
static uint32_t crc32_folded(uint32_t before, const unsigned char *data, size_t bytes)
{
    return (uint32_t)crc32_z(before, data, bytes);
}

static bool can_fold(void)
{
    return false;
}
#endif

uint32_t digest_crc32_add(uint32_t before, const void *data, size_t bytes)
{
    const unsigned char *byte = data;
    const size_t folded = bytes >= 64 && can_fold() ? bytes - bytes % 16 : 0;
    if (folded)
        before = crc32_folded(before, byte, folded);
    return (uint32_t)crc32_z(before, byte + folded, bytes - folded);
}

uint64_t digest_random_id(void)
{
    uint64_t id = 0;
    while (id == 0)
        randombytes_buf(&id, sizeof(id));
    return id;
}
