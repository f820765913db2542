#include "common/vector_math.h"

#include <stdint.h>
#include <string.h>

#include "common/dispatch.h"

#ifdef SHOAL_DOUBLE

void vector_tanh(real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = tanh(x[i]);
}

void vector_exp(real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = exp(x[i]);
}

void vector_log(real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = log(x[i]);
}

void vector_softplus(real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = fmax(x[i], 0) + log1p(exp(-fabs(x[i])));
}

#else

/* ln 2 in two parts; a whole number's product with the first is exact. */
static const float LN2_HIGH = 0.693145752f, LN2_LOW = 1.42860677e-6f, INVERSE_LN2 = 1.44269504f;
static const float TO_INTEGER = 12582912.0f;    /* 1.5 2^23: what is added to it is rounded */

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
    const uint32_t sign = bits_of(x) & 0x80000000u;
    float a = float_of(bits_of(x) ^ sign);
    a = a > 10 ? 10 : a;                     /* from 9.02 on tanh is 1; NaN passes */
    const float z = 2 * a, shifted = z * INVERSE_LN2 + TO_INTEGER, k = shifted - TO_INTEGER;
    const float r = (z - k * LN2_HIGH) - k * LN2_LOW;
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

/* exp x = 2^k exp(r), r = x - k ln 2 in +-ln(2) / 2. 2^k is two factors, as it may be beyond a float: the
 * first product is exact, and the second rounds where the result is denormal or infinite. */
INLINE float exp_of(float x)
{
    float a = x > 89 ? 89 : x;               /* infinite from there on; NaN passes */
    a = a < -104 ? -104 : a;                 /* 0 from there on */
    const float shifted = a * INVERSE_LN2 + TO_INTEGER, k = shifted - TO_INTEGER;
    const float high = a - k * LN2_HIGH, low = k * LN2_LOW, r = high - low;    /* high is exact */
    float p = 1.0f / 5040;                   /* Taylor: r^8 / 8! is 5e-9 at most */
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = 1 + (high + (p * r * r - low));
    const uint32_t sum = bits_of(shifted) - bits_of(TO_INTEGER) + 2 * 127;    /* k and both biases */
    const uint32_t half = sum >> 1;
    return p * float_of(half << 23) * float_of((sum - half) << 23);
}

/* k ln 2 + log(1 + f), f in [-0.3, 0.5]. With s = f / (2 + f): log(1 + f) = 2 s + 2 s^3 / 3 + ..., and
 * 2 s = f - s f, s f = f^2 / 2 - s f^2 / 2: the largest term, f, is exact and comes last. */
INLINE float log_of_parts(float k, float f)
{
    const float s = f / (2 + f), s2 = s * s, half_square = 0.5f * f * f;
    float p = 2.0f / 9;                      /* Taylor: the next term is 4e-9 of the result at most */
    p = p * s2 + 2.0f / 7;
    p = p * s2 + 2.0f / 5;
    p = p * s2 + 2.0f / 3;
    p = p * s2;
    return k * LN2_HIGH - ((half_square - (s * (half_square + p) + k * LN2_LOW)) - f);
}

/* log x = k ln 2 + log m, x = 2^k m with m in [sqrt(1/2), sqrt(2)). */
INLINE float log_of(float x)
{
    const uint32_t root_half = 0x3f3504f3u;
    const float is_denormal = x < 0x1p-126f ? 1 : 0;
    const float z = x * (1 + is_denormal * (0x1p24f - 1));
    const uint32_t u = bits_of(z) - root_half + (256u << 23);    /* exponent k + 256 */
    const float k = (float)(int32_t)(u >> 23) - (256 + is_denormal * 24);
    const float y = log_of_parts(k, float_of((u & 0x7fffffu) + root_half) - 1);
    const float at_least_0 = x > 0 ? y : x == 0 ? -INFINITY : NAN;
    return x < INFINITY ? at_least_0 : x;    /* infinity and NaN */
}

/* log(1 + exp(x)) = max(x, 0) + log(1 + y), y = exp(-|x|) in [0, 1]; 1 + y = 2 (1 + (y - 1) / 2). */
INLINE float softplus_of(float x)
{
    const float y = exp_of(float_of(bits_of(x) | 0x80000000u)), half = 0.5f * (y - 1);
    const float k = y > 0.5f ? 1 : 0, f = y > 0.5f ? half : y;
    return (x > 0 ? x : 0) + log_of_parts(k, f);
}

#define IN_PLACE(function) \
    INLINE void function##_sweep_loop(float *x, size_t n) \
    { \
        for (size_t i = 0; i < n; i++) \
            x[i] = function##_of(x[i]); \
    } \
    DISPATCH(function##_sweep, (float *x, size_t n), (x, n)) \
    void vector_##function(real *x, size_t n) \
    { \
        function##_sweep(x, n); \
    }

IN_PLACE(tanh)
IN_PLACE(exp)
IN_PLACE(log)
IN_PLACE(softplus)

#endif
