/* Counter-based random numbers.
 *
 * One independent sequence per (seed, purpose, stream, life); its position is one integer, so that
 * saving, moving and replaying a sequence is copying that integer. Nothing random derives from a
 * slot, an incarnation, a clock or an address.
 *
 * Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox4x32-10). */
#ifndef SHOAL_COMMON_RNG_H
#define SHOAL_COMMON_RNG_H

#include <stddef.h>
#include <stdint.h>

enum rng_purpose {
    RNG_INIT = 1,       /* network initialisation */
    RNG_RESET,          /* environment resets */
    RNG_ACTION,         /* exploration noise and random warm-up actions */
    RNG_SAMPLE,         /* drawing transitions from replay */
    RNG_UPDATE,         /* noise inside the updates */
    RNG_EVAL,           /* environment resets of evaluation episodes */
    RNG_TEST,
    RNG_SIMULATION      /* what a simulated network and machines do */
};

struct rng {
    uint32_t key[2];
    uint32_t stream, tag;     /* tag: purpose and life */
    uint64_t position;        /* 32-bit words drawn so far */
    uint32_t block[4];        /* words 4 * (position / 4) ... */
    uint64_t block_index;     /* which block is held; UINT64_MAX: none */
};

/* A sequence at its start. `life` counts modulo 2^24. */
void rng_init(struct rng *r, uint64_t seed, enum rng_purpose purpose, uint32_t stream,
              uint32_t life);

/* Go to a position read from `r->position` earlier. */
void rng_seek(struct rng *r, uint64_t position);

uint32_t rng_u32(struct rng *r);                       /* one word */
uint64_t rng_below(struct rng *r, uint64_t n);         /* uniform in 0 .. n-1, n > 0; two words or more */
double rng_uniform(struct rng *r, double low, double high);    /* [low, high) up to rounding; two words */
double rng_normal(struct rng *r);                      /* standard normal; four words */

/* n standard normals as float; one word each, rounded up to an even count. */
void rng_fill_normal(struct rng *r, float *out, size_t n);

/* One Philox4x32-10 block; exposed for the published test vectors. */
void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

#endif
