/* The samples-per-insert limiter.
 *
 * It keeps the number of sampled transitions within an error buffer of a fixed multiple of the
 * inserted ones, whichever side is faster:
 *
 *   d = (inserts - min_size) x ratio - samples
 *   insert n only while   d + n x ratio <= error_buffer,  or inserts < min_size
 *   sample n only while   d - n >= -error_buffer,  and inserts >= min_size
 *
 * in units of transitions. Source: Cassirer et al. 2021, "Reverb: a framework for experience
 * replay", section 3.4 (SampleToInsertRatio). */
#ifndef SHOAL_LEARNER_RATE_LIMITER_H
#define SHOAL_LEARNER_RATE_LIMITER_H

#include <stdbool.h>
#include <stdint.h>

struct rate_limiter {
    double ratio;               /* samples per insert */
    double error_buffer;        /* in samples */
    int64_t min_size;           /* inserts before the first sample */
    double start;               /* inserts from which on the ratio counts: min_size at first */
    int64_t inserts, samples;   /* so far */
};

void rate_limiter_init(struct rate_limiter *l, double ratio, double error_buffer,
                       int64_t min_size);

/* Whether n more transitions may be inserted, or sampled, now. Before min_size inserts, inserting
 * is always allowed. */
bool rate_limiter_may_insert(const struct rate_limiter *l, int64_t n);
bool rate_limiter_may_sample(const struct rate_limiter *l, int64_t n);

/* d: how many samples the inserts have earned and not seen; 0 before min_size. */
double rate_limiter_owed(const struct rate_limiter *l);

/* The share of all draws of n samples that are done, of those that `total` inserts earn: 0 at first, 1 behind
 * the last. */
double rate_limiter_progress(const struct rate_limiter *l, int64_t total, int64_t n);

/* After a restart without replay contents: the next `refill` inserts earn no samples, and sampling
 * begins behind them. What was owed stays owed. */
void rate_limiter_restart(struct rate_limiter *l, int64_t refill);

#endif
