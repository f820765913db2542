#include "learner/rate_limiter.h"

#include <math.h>

void rate_limiter_init(struct rate_limiter *l, double ratio, double error_buffer,
                       int64_t min_size)
{
    *l = (struct rate_limiter){ .ratio = ratio, .error_buffer = error_buffer,
                                .min_size = min_size, .start = (double)min_size };
}

static double surplus(const struct rate_limiter *l)
{
    return ((double)l->inserts - l->start) * l->ratio - (double)l->samples;
}

bool rate_limiter_may_insert(const struct rate_limiter *l, int64_t n)
{
    return l->inserts < l->min_size || surplus(l) + (double)n * l->ratio <= l->error_buffer;
}

bool rate_limiter_may_sample(const struct rate_limiter *l, int64_t n)
{
    return l->inserts >= l->min_size && surplus(l) - (double)n >= -l->error_buffer;
}

double rate_limiter_owed(const struct rate_limiter *l)
{
    return l->inserts < l->min_size ? 0 : surplus(l);
}

double rate_limiter_progress(const struct rate_limiter *l, int64_t total, int64_t n)
{
    const double all = floor(((double)total - l->start) * l->ratio / (double)n) * (double)n;
    return (double)l->samples < all ? (double)l->samples / all : 1;
}

void rate_limiter_restart(struct rate_limiter *l, int64_t refill)
{
    double owed = rate_limiter_owed(l);
    l->min_size = l->inserts + refill;
    l->start = (double)l->min_size - (owed + (double)l->samples) / l->ratio;
}
