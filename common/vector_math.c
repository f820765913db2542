#include "common/vector_math.h"

#include <stdint.h>
#include <string.h>

#ifdef SHOAL_DOUBLE

void vector_tanh(real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = tanh(x[i]);
}

#else

/* The loops below are compiled once per vector width and are the same operations each time: nothing is
 * reassociated, and -std=c17 keeps multiplications and additions apart. */
#define INLINE static inline __attribute__((always_inline))

INLINE uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof(u));
    return u;
}

INLINE float float_of(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof(x));
    return x;
}

/* tanh |x| = m / (m + 2) with m = exp(2 |x|) - 1 = 2^k p + (2^k - 1), where p = exp(r) - 1,
 * r = 2 |x| - k ln 2 in +-ln(2) / 2: nothing cancels, as k >= 0. */
INLINE float tanh_of(float x)
{
    const float inverse_ln2 = 1.44269504f, ln2_high = 0.693145752f, ln2_low = 1.42860677e-6f;
    const float to_integer = 12582912.0f;    /* 1.5 2^23: what is added to it is rounded */
    const uint32_t sign = bits_of(x) & 0x80000000u;
    float a = float_of(bits_of(x) ^ sign);
    a = a > 10 ? 10 : a;                     /* from 9.02 on tanh is 1; NaN passes */
    const float z = 2 * a, shifted = z * inverse_ln2 + to_integer, k = shifted - to_integer;
    const float r = (z - k * ln2_high) - k * ln2_low;
    float p = 1.0f / 5040;                   /* Taylor: r^8 / 8! is 5e-9 at most */
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r * r + r;
    const float power = float_of((bits_of(shifted) << 23) + 0x3f800000u);    /* 2^k */
    const float m = power * p + (power - 1);
    return float_of(bits_of(m / (m + 2)) | sign);
}

INLINE void tanh_sweep(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = tanh_of(x[i]);
}

static void tanh_plain(float *x, size_t n)
{
    tanh_sweep(x, n);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void tanh_avx2(float *x, size_t n)
{
    tanh_sweep(x, n);
}

__attribute__((target("avx512f,avx512dq,prefer-vector-width=512"))) static void tanh_avx512(float *x, size_t n)
{
    tanh_sweep(x, n);
}
#endif

void vector_tanh(real *x, size_t n)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512dq"))
        tanh_avx512(x, n);
    else if (__builtin_cpu_supports("avx2"))
        tanh_avx2(x, n);
    else
#endif
        tanh_plain(x, n);
}

#endif
