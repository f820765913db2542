/* Algorithms that learn nothing: they move a few parameters by numbers in which every row of what they
 * are given counts, in its order. For tests of what stands around an algorithm. */
#ifndef SHOAL_TESTS_TOY_H
#define SHOAL_TESTS_TOY_H

#include "common/algorithm.h"

struct toy_hyper {
    double gamma;
    int64_t epochs;                 /* of an on-policy round */
    int64_t fail_from, fail_to;     /* updates that fail, counted from 1 over all toys; 0: none */
    int64_t poison_at;              /* an update that succeeds and leaves an infinite parameter; 0: none */
    int64_t overflow_from;          /* an update from which on everything doubles, until it overflows */
};

extern const struct algorithm toy_algorithm;             /* on-policy */
extern const struct algorithm toy_replayed_algorithm;    /* off-policy */

/* What all toys of this process were given. */
struct toy_books {
    int64_t updates, rounds, transitions, fragments, malformed;
    int64_t staleness_max;
    void (*began)(const struct round *r);    /* called with every round; NULL: nobody */
};
extern struct toy_books toy_books;

#endif
