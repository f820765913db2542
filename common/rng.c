#include "common/rng.h"

#include <math.h>

static const double TWO_PI = 6.283185307179586476925;

void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void rng_init(struct rng *r, uint64_t seed, enum rng_purpose purpose, uint32_t stream,
              uint32_t life)
{
    *r = (struct rng){
        .key = { (uint32_t)seed, (uint32_t)(seed >> 32) },
        .stream = stream,
        .tag = (uint32_t)purpose << 24 | (life & 0xFFFFFFu),
        .block_index = UINT64_MAX,
    };
}

void rng_seek(struct rng *r, uint64_t position)
{
    r->position = position;
}

uint32_t rng_u32(struct rng *r)
{
    uint64_t index = r->position / 4;
    if (index != r->block_index) {
        const uint32_t counter[4] = { (uint32_t)index, (uint32_t)(index >> 32), r->stream, r->tag };
        rng_philox(counter, r->key, r->block);
        r->block_index = index;
    }
    return r->block[r->position++ % 4];
}

static uint64_t rng_u64(struct rng *r)
{
    uint64_t low = rng_u32(r);
    return low | (uint64_t)rng_u32(r) << 32;
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
    /* Rejection over 64 bits: a second draw is needed once in 2^64 / n. */
    uint64_t limit = UINT64_MAX - UINT64_MAX % n, x;
    do
        x = rng_u64(r);
    while (x >= limit);
    return x % n;
}

double rng_uniform(struct rng *r, double low, double high)
{
    return low + (high - low) * ((double)(rng_u64(r) >> 11) * 0x1p-53);
}

double rng_normal(struct rng *r)
{
    /* Box and Muller 1958; 1 - u lies in (0, 1] */
    double radius = sqrt(-2.0 * log(1.0 - rng_uniform(r, 0, 1)));
    return radius * cos(TWO_PI * rng_uniform(r, 0, 1));
}
