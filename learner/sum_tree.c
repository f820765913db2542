#include "learner/sum_tree.h"

#include <assert.h>
#include <stdbool.h>

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

int64_t sum_tree_find(const struct sum_tree *t, double mass)
{
    int64_t i = 1;
    assert(sum_tree_total(t) > 0);
    while (i < t->n_leaves) {
        double left = t->nodes[2 * i], right = t->nodes[2 * i + 1];
        /* What is left of the mass may be more than there is on the right. */
        bool is_left = mass < left || right <= 0;
        mass -= is_left ? 0 : left;
        i = 2 * i + !is_left;
    }
    return i - t->n_leaves;
}
