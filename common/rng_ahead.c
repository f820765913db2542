#include "common/rng_ahead.h"

#include <string.h>

void rng_ahead_normal(struct rng_ahead *a, struct rng *r, float *out, size_t n)
{
    const uint64_t begin = r->position, words = (n + 1) / 2 * 2;
    if (words > RNG_AHEAD) {
        rng_fill_normal(r, out, n);
        return;
    }
    /* Pairs of words give pairs of numbers, so only a position an even distance away will do. */
    if (begin < a->begin || begin + words > a->end || (begin - a->begin) % 2 != 0) {
        rng_fill_normal(r, a->numbers, RNG_AHEAD);
        a->begin = begin;
        a->end = begin + RNG_AHEAD;
    }
    memcpy(out, a->numbers + (begin - a->begin), n * sizeof(*out));
    rng_seek(r, begin + words);
}
