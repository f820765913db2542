/* Running statistics of rows: of raw observations, and of every stream's discounted return R <- gamma R + r.
 *
 * Of n numbers x they keep, in double
 *     count = n        mean        M2 = sum (x - mean)^2        (variance M2 / count)
 * and two samples a, b merge into one (exact but for rounding, in any order):
 *     delta = mean_b - mean_a       count = count_a + count_b
 *     mean  = mean_a + delta count_b / count
 *     M2    = M2_a + M2_b + delta^2 count_a count_b / count
 *
 * Every transition's observation counts once; observations that close a fragment or an episode do not.
 * R <- 0 behind an episode's end.
 *
 * The learner keeps those of all rows (learner/normalisation.h). In mode gradients rows stay with the actor
 * that computes a gradient of them, so each actor keeps those of what it consumed since its last gradient,
 * sends them along with the next one, and forgets them. Such an increment is an array of doubles:
 *     count | mean [n_obs] | M2 [n_obs]    of observations, when they are normalised
 *     count | mean | M2                    of R, when rewards are scaled
 * R itself runs on at the actor from one increment to the next. The learner that merges the increments of all
 * transitions has the statistics, to rounding, that it would have of their rows.
 *
 * Source: Chan, Golub, LeVeque 1983 (merging two samples). */
#ifndef SHOAL_COMMON_ROW_STATISTICS_H
#define SHOAL_COMMON_ROW_STATISTICS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/row.h"

/* Of n quantities that are counted together. */
struct moments {
    int n;
    double *store;    /* count | mean [n] | M2 [n] */
};

struct row_statistics_setup {
    struct row_shape shape;
    int64_t n_streams;
    bool of_observations, of_rewards;
    double discount;            /* gamma of R */
    double first_count;         /* begin as so many samples of mean 0 and variance 1; 0 for increments */
};

struct row_statistics {
    struct row_statistics_setup setup;
    struct moments obs, ret;
    double *returns;            /* [n_streams] R */
    double *mean, *m2;          /* [n_obs] scratch: of one fragment */
};

void row_statistics_init(struct row_statistics *s, const struct row_statistics_setup *setup,
                         struct arena *arena);

/* Take a fragment's rows in, raw ones.
 *   stream   0 .. n_streams - 1
 *   rows     [n_rows][stride] float32, of any alignment
 *   max      of its transitions count, from the front
 *   is_fresh the stream began a new life: its R begins again */
void row_statistics_consume(struct row_statistics *s, int64_t stream, bool is_fresh, const void *rows,
                            int n_rows, int max);

/* 1 / sqrt(variance + 1e-8) of quantity i. */
double moments_inverse_std(const struct moments *m, int i);

/* ---- increments ---- */

/* How many doubles an increment has; 0 when nothing is wanted. */
size_t row_statistics_increment_n(const struct row_statistics_setup *setup);

/* What was taken in since the beginning or the last clear.
 *   out  [row_statistics_increment_n] */
void row_statistics_increment(const struct row_statistics *s, double *out);

/* Forget that; every R stays. */
void row_statistics_clear(struct row_statistics *s);

/* Merge what others took in; R of no stream moves.
 *   increment  [row_statistics_increment_n], from a peer
 * Returns ERR_FORMAT, and changes nothing, for numbers that no rows have; afterwards all is finite. */
int row_statistics_merge(struct row_statistics *s, const double *increment, struct error *err);

#endif
