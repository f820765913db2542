#include "learner/sum_tree.h"

#include <assert.h>
#include <stdbool.h>

enum { GROUP = 64 };    /* masses found side by side */

static int64_t leaves_for(int64_t n)
{
    int64_t leaves = 1;
    while (leaves < n)
        leaves *= 2;
    return leaves;
}

size_t sum_tree_bytes(int64_t n)
{
    return 2 * (size_t)leaves_for(n) * sizeof(double);
}

void sum_tree_init(struct sum_tree *t, int64_t n, struct arena *arena)
{
    t->n_leaves = leaves_for(n);
    t->nodes = arena_alloc(arena, 2 * (size_t)t->n_leaves, sizeof(double));
}

void sum_tree_put(struct sum_tree *t, int64_t i, double value)
{
    assert(i >= 0 && i < t->n_leaves && value >= 0);
    t->nodes[t->n_leaves + i] = value;
}

void sum_tree_sum(struct sum_tree *t, int64_t first, int64_t last)
{
    int64_t low = t->n_leaves + first, high = t->n_leaves + last - 1;
    assert(first >= 0 && first < last && last <= t->n_leaves);
    while (low > 1) {
        low /= 2;
        high /= 2;
        for (int64_t i = low; i <= high; i++)
            t->nodes[i] = t->nodes[2 * i] + t->nodes[2 * i + 1];
    }
}

void sum_tree_set(struct sum_tree *t, int64_t i, double value)
{
    sum_tree_put(t, i, value);
    sum_tree_sum(t, i, i + 1);
}

void sum_tree_sum_above(struct sum_tree *t, int n, const int64_t *i)
{
    double *nodes = t->nodes;
    for (int shift = 1; t->n_leaves >> shift; shift++)
        for (int k = 0; k < n; k++) {
            const int64_t node = (t->n_leaves + i[k]) >> shift;
            nodes[node] = nodes[2 * node] + nodes[2 * node + 1];
        }
}

/* From the root down, all of them a level at a time: what each step needs was asked for one level before. */
static void find_group(const struct sum_tree *t, int n, const double *mass, int64_t *i)
{
    const double *nodes = t->nodes;
    double rest[GROUP];
    for (int k = 0; k < n; k++) {
        rest[k] = mass[k];
        i[k] = 1;
    }
    for (int64_t first = 1; first < t->n_leaves; first *= 2)
        for (int k = 0; k < n; k++) {
            const double left = nodes[2 * i[k]], right = nodes[2 * i[k] + 1];
            /* What is left of the mass may be more than there is on the right. No branches: half of them
             * would be mispredicted. */
            const bool is_right = (rest[k] >= left) & (right > 0);
            rest[k] -= left * (double)is_right;
            i[k] = 2 * i[k] + is_right;
            __builtin_prefetch(&nodes[2 * i[k]]);    /* never faults, not even below the leaves */
        }
    for (int k = 0; k < n; k++)
        i[k] -= t->n_leaves;
}

void sum_tree_find_many(const struct sum_tree *t, int n, const double *mass, int64_t *i)
{
    assert(sum_tree_total(t) > 0);
    for (int k = 0; k < n; k += GROUP)
        find_group(t, n - k < GROUP ? n - k : GROUP, mass + k, i + k);
}

int64_t sum_tree_find(const struct sum_tree *t, double mass)
{
    int64_t i;
    sum_tree_find_many(t, 1, &mass, &i);
    return i;
}
