/* Algorithms that learn nothing: they move a few parameters by numbers in which every row of what they
 * are given counts, in its order. For tests of what stands around an algorithm. */
#ifndef SHOAL_TESTS_TOY_H
#define SHOAL_TESTS_TOY_H

#include "common/algorithm.h"

struct toy_hyper {
    double gamma;
    int64_t epochs;                 /* of an on-policy round */
};

extern const struct algorithm toy_algorithm;             /* on-policy */
extern const struct algorithm toy_replayed_algorithm;    /* off-policy */

/* What all toys of this process were given, and what tests want of them. */
struct toy_books {
    int64_t updates, rounds, transitions, fragments, malformed;
    double progress;                /* of the last update off-policy */
    int64_t staleness_max, weights_below_one;
    /* What is to go wrong; updates are counted from 1 over all toys; 0: nothing. */
    int64_t fail_from, fail_to;     /* updates that fail */
    int64_t poison_at;              /* an update that succeeds and leaves an infinite parameter */
    void (*began)(const struct round *r);    /* called with every round; NULL: nobody */
};
extern struct toy_books toy_books;

#endif
