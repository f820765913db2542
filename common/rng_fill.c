/* rng_fill_normal: normals in bulk, several at a time.
 *
 * The numbers are defined as the C library's (reference_pair) rounded to float. Loops that vectorise come
 * within 2^-50 of them in double; where 2^-46 could still round to another float, which happens once in a
 * million numbers, the C library is asked. So the sequence is to the bit what it would be if it always were. */
#include <math.h>
#include <string.h>

#include "common/dispatch.h"
#include "common/rng.h"

enum { PAIRS = 128, BLOCKS = 2 * PAIRS / 4 };    /* of normals, and of Philox, worked on at a time */

static const double TWO_PI = 6.283185307179586476925;

/* Box and Muller 1958, with u in (0, 1] */
static void reference_pair(const uint32_t word[2], float pair[2])
{
    double u = ((double)word[0] + 1.0) * 0x1p-32;
    double angle = TWO_PI * (double)word[1] * 0x1p-32;
    double radius = sqrt(-2.0 * log(u));
    pair[0] = (float)(radius * cos(angle));
    pair[1] = (float)(radius * sin(angle));
}

/* ---- words ---- */

/* Philox's blocks `index`, `index` + 1, ...: rng_philox, one round of all after the other. */
INLINE void philox_loop(uint64_t index, size_t n, const struct rng *r, uint32_t *restrict words)
{
    uint32_t c0[BLOCKS], c1[BLOCKS], c2[BLOCKS], c3[BLOCKS];
    uint32_t k0 = r->key[0], k1 = r->key[1];
    for (size_t i = 0; i < n; i++) {
        c0[i] = (uint32_t)(index + i), c1[i] = (uint32_t)((index + i) >> 32);
        c2[i] = r->stream, c3[i] = r->tag;
    }
    for (int round = 0; round < 10; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
        for (size_t i = 0; i < n; i++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[i];
            uint64_t p1 = (uint64_t)0xCD9E8D57u * c2[i];
            c0[i] = (uint32_t)(p1 >> 32) ^ c1[i] ^ k0;
            c2[i] = (uint32_t)(p0 >> 32) ^ c3[i] ^ k1;
            c1[i] = (uint32_t)p1;
            c3[i] = (uint32_t)p0;
        }
    for (size_t i = 0; i < n; i++)
        words[4 * i] = c0[i], words[4 * i + 1] = c1[i], words[4 * i + 2] = c2[i], words[4 * i + 3] = c3[i];
}
DISPATCH(philox, (uint64_t index, size_t n, const struct rng *r, uint32_t *words), (index, n, r, words))

/* The next n words, n <= 2 PAIRS. */
static void next_words(struct rng *r, uint32_t *words, size_t n)
{
    while (n > 0 && r->position % 4 != 0)
        *words++ = rng_u32(r), n--;
    philox(r->position / 4, n / 4, r, words);
    r->position += n / 4 * 4;
    for (size_t i = n / 4 * 4; i < n; i++)
        words[i] = rng_u32(r);
}

/* ---- normals ---- */

INLINE uint64_t bits_of(double x)
{
    uint64_t u;
    memcpy(&u, &x, sizeof(u));
    return u;
}

INLINE double double_of(uint64_t u)
{
    double x;
    memcpy(&x, &u, sizeof(x));
    return x;
}

/* Exactly; vectors know signed whole numbers only. */
INLINE double double_of_word(uint32_t word)
{
    return (double)(int32_t)(word ^ 0x80000000u) + 0x1p31;
}

/* log u, 0 < u <= 1: u = 2^k m with m in [sqrt(1/2), sqrt(2)), f = m - 1, s = f / (2 + f);
 * log m = 2 s + 2 s^3 / 3 + ... = f - s f + 2 s^3 / 3 + ... */
INLINE double log_of(double u)
{
    const uint64_t root_half = 0x3fe6a09e667f3bcdu;
    const double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
    const uint64_t b = bits_of(u) - root_half + ((uint64_t)64 << 52);    /* exponent k + 64 */
    const double k = double_of(0x4330000000000000u | b >> 52) - (0x1p52 + 64);
    const double f = double_of((b & 0xfffffffffffffu) + root_half) - 1;
    const double s = f / (2 + f), s2 = s * s;
    double p = 2.0 / 19;                     /* Taylor: the next term is 3e-17 of the result at most */
    p = p * s2 + 2.0 / 17;
    p = p * s2 + 2.0 / 15;
    p = p * s2 + 2.0 / 13;
    p = p * s2 + 2.0 / 11;
    p = p * s2 + 2.0 / 9;
    p = p * s2 + 2.0 / 7;
    p = p * s2 + 2.0 / 5;
    p = p * s2 + 2.0 / 3;
    return k * ln2_high + (f - (s * (f - p * s2) - k * ln2_low));
}

/* Cosine and sine of an angle in [0, 2 pi]: of r = angle - q pi/2 in +-pi/4 by Taylor, then turned by q.
 * The three parts of pi/2 let nothing cancel: the first two have 33 bits each. */
INLINE void turn(double angle, double *cosine, double *sine)
{
    const double part1 = 0x1.921fb544p+0, part2 = 0x1.0b4611a6p-34, part3 = 0x1.3198a2e037073p-69;
    const double shifted = angle * 0.636619772367581343 + 0x1.8p52, q = shifted - 0x1.8p52;
    const double r = ((angle - q * part1) - q * part2) - q * part3, r2 = r * r;
    double c = 1.0 / 20922789888000, s = -1.0 / 1307674368000;    /* 1/16!, -1/15! */
    c = c * r2 - 1.0 / 87178291200, s = s * r2 + 1.0 / 6227020800;
    c = c * r2 + 1.0 / 479001600, s = s * r2 - 1.0 / 39916800;
    c = c * r2 - 1.0 / 3628800, s = s * r2 + 1.0 / 362880;
    c = c * r2 + 1.0 / 40320, s = s * r2 - 1.0 / 5040;
    c = c * r2 - 1.0 / 720, s = s * r2 + 1.0 / 120;
    c = c * r2 + 1.0 / 24, s = s * r2 - 1.0 / 6;
    c = c * r2 - 0.5, s = s * r2 * r + r;
    c = c * r2 + 1;
    const uint64_t quarter = bits_of(shifted), swap = -(quarter & 1), u = bits_of(c), v = bits_of(s);
    *cosine = double_of(((u & ~swap) | (v & swap)) ^ ((quarter + 1) & 2) << 62);
    *sine = double_of(((v & ~swap) | (u & swap)) ^ (quarter & 2) << 62);
}

/* Whether x may be rounded to another float than what it estimates, or to a zero of another sign. */
INLINE uint32_t is_open(double x)
{
    return (float)(x * (1 - 0x1p-46)) != (float)(x * (1 + 0x1p-46)) || x == 0;
}

/* out [2 n] <- normals of words [2 n]; *n_open <- how many are not certain. */
INLINE void normals_loop(const uint32_t *restrict words, size_t n, float *restrict out,
                         uint32_t *restrict n_open)
{
    uint32_t open = 0;
    for (size_t i = 0; i < n; i++) {
        const double u = (double_of_word(words[2 * i]) + 1.0) * 0x1p-32;
        double cosine, sine, radius = sqrt(-2.0 * log_of(u));
        turn(TWO_PI * double_of_word(words[2 * i + 1]) * 0x1p-32, &cosine, &sine);
        open += is_open(radius * cosine) + is_open(radius * sine);
        out[2 * i] = (float)(radius * cosine);
        out[2 * i + 1] = (float)(radius * sine);
    }
    *n_open = open;
}
DISPATCH(normals, (const uint32_t *words, size_t n, float *out, uint32_t *n_open), (words, n, out, n_open))

void rng_fill_normal(struct rng *r, float *out, size_t n)
{
    uint32_t words[2 * PAIRS], n_open;
    float pairs[2 * PAIRS];
    for (size_t taken; n > 0; n -= taken, out += taken) {
        taken = n < 2 * PAIRS ? n : 2 * PAIRS;
        const size_t n_pairs = (taken + 1) / 2;
        next_words(r, words, 2 * n_pairs);
        normals(words, n_pairs, pairs, &n_open);
        for (size_t i = 0; i < n_pairs && n_open > 0; i++)
            reference_pair(words + 2 * i, pairs + 2 * i);
        memcpy(out, pairs, taken * sizeof(*out));
    }
}
