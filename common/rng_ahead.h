/* Normals drawn ahead: a few at a time cost nearly as much as many.
 *
 * A cache beside a sequence and nothing else: the numbers, and the position that is saved, are those of
 * rng_fill_normal. It belongs to one sequence until rng_ahead_forget. */
#ifndef SHOAL_COMMON_RNG_AHEAD_H
#define SHOAL_COMMON_RNG_AHEAD_H

#include "common/rng.h"

enum { RNG_AHEAD = 64 };

struct rng_ahead {
    uint64_t begin, end;         /* positions of the sequence that `numbers` are of; equal: none */
    float numbers[RNG_AHEAD];
};

/* As rng_fill_normal, which it calls for what is longer than RNG_AHEAD. */
void rng_ahead_normal(struct rng_ahead *a, struct rng *r, float *out, size_t n);

/* What comes now is another sequence. */
static inline void rng_ahead_forget(struct rng_ahead *a)
{
    a->begin = a->end = 0;
}

#endif
