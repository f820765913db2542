/* Numbers and their sums, in a binary tree: change one, or find where a running sum is passed, in
 * O(log n).
 *
 * Invariant: every inner node is the sum of its two children as they are now. Sums are computed anew, not
 * adjusted by differences, so rounding does not pile up however often numbers change. */
#ifndef SHOAL_LEARNER_SUM_TREE_H
#define SHOAL_LEARNER_SUM_TREE_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"

struct sum_tree {
    int64_t n_leaves;    /* a power of two */
    double *nodes;       /* [2 n_leaves]: 1 is the root, i has the children 2 i and 2 i + 1, leaves last */
};

/* A tree of n numbers >= 0, all 0. */
void sum_tree_init(struct sum_tree *t, int64_t n, struct arena *arena);

/* Bytes that sum_tree_init will take from the arena. */
size_t sum_tree_bytes(int64_t n);

static inline double sum_tree_total(const struct sum_tree *t) { return t->nodes[1]; }
static inline double sum_tree_get(const struct sum_tree *t, int64_t i)
{
    return t->nodes[t->n_leaves + i];
}

void sum_tree_set(struct sum_tree *t, int64_t i, double value);

/* Many neighbours at once: put each, then sum over [first, last), last > first, which takes
 * O(last - first + log n). Nothing else may be asked in between. */
void sum_tree_put(struct sum_tree *t, int64_t i, double value);
void sum_tree_sum(struct sum_tree *t, int64_t first, int64_t last);

/* The same for scattered numbers: put each, then sum above all of them. Waits for memory together, which is
 * most of the time in a large tree.
 *   i  [n], in any order, twice or more often, too */
void sum_tree_sum_above(struct sum_tree *t, int n, const int64_t *i);

/* The number i with sum_{k<i} <= mass < sum_{k<=i}, up to rounding; never one that is 0, even where
 * rounding or a mass of the total or more leads past the end. The total must not be 0. */
int64_t sum_tree_find(const struct sum_tree *t, double mass);

/* The same numbers for n masses, found side by side: memory is waited for together.
 *   mass  [n], fastest in ascending order
 *   i     [n] */
void sum_tree_find_many(const struct sum_tree *t, int n, const double *mass, int64_t *i);

#endif
