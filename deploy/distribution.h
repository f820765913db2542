/* Distributions of times and factors, given as text:
 *
 *   constant X               uniform LOW HIGH
 *   lognormal MEDIAN SIGMA   sigma of the logarithm
 *   pareto MIN ALPHA         P(x > t) = (MIN / t)^ALPHA
 *   trace FILE               a number per line, in order and round again, from a place drawn by chance
 *   never                    infinity, where that is allowed
 *
 * A draw is a function of a sequence and an index, so that no draw depends on which were made before. */
#ifndef SHOAL_DEPLOY_DISTRIBUTION_H
#define SHOAL_DEPLOY_DISTRIBUTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/rng.h"

enum distribution_kind {
    DISTRIBUTION_CONSTANT, DISTRIBUTION_UNIFORM, DISTRIBUTION_LOGNORMAL, DISTRIBUTION_PARETO,
    DISTRIBUTION_TRACE, DISTRIBUTION_NEVER
};

struct distribution {
    enum distribution_kind kind;
    double a, b;            /* its numbers, in the order of the text */
    double *trace;          /* [n_trace] */
    size_t n_trace;
};

/* Read `text`, all of whose values are at least 0; a trace's file is read. `key` names it in errors.
 * ERR_CONFIG, or what reading the file gave. To be ended by distribution_fini. */
int distribution_parse(struct distribution *d, const char *key, const char *text, bool may_be_never,
                       struct error *err);
void distribution_fini(struct distribution *d);

/* Value number `i` of the sequence `r`, whose position it moves. */
double distribution_draw(const struct distribution *d, struct rng *r, uint64_t i);

#endif
