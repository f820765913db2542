/* Which version acts in which round; what actors hold to and the learner insists on. */
#ifndef SHOAL_PROTO_ROUNDS_H
#define SHOAL_PROTO_ROUNDS_H

#include <stdint.h>

/* Rounds that are done when `round` begins: those behind which its version was learnt. lag 0: sync, 1: pipelined. */
static inline int64_t rounds_before(int64_t round, int64_t lag)
{
    return round > lag ? round - lag : 0;
}

/* The only version that acts in `round`, when `done` rounds are done (-1: not known how many), `start` is the
 * version behind them and `previous` the one behind one less. -1: not known yet, or any more. */
static inline int64_t round_version(int64_t round, int64_t lag, int64_t done, int64_t start, int64_t previous)
{
    const int64_t before = rounds_before(round, lag);
    return done < 0            ? -1
         : before == done      ? start
         : before == done - 1  ? previous
                               : -1;
}

#endif
