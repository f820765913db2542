#include "learner/sum_tree.h"

#include <math.h>
#include <string.h>

#include "common/rng.h"
#include "tests/support.h"

static struct rng rng;

static struct arena *start(struct sum_tree *t, int64_t n)
{
    struct arena *arena = arena_create(1 << 12);
    sum_tree_init(t, n, arena);
    arena_seal(arena);
    rng_init(&rng, 3, RNG_TEST, 0, 0);
    return arena;
}

/* Whole numbers have exact sums: every mass between two of them has one right answer. */
START_TEST(a_mass_finds_the_number_that_covers_it)
{
    for (int64_t n = 1; n <= 70; n++) {
        struct sum_tree t;
        struct arena *arena = start(&t, n);
        for (int64_t i = 0; i < n; i++)
            sum_tree_set(&t, i, (double)rng_below(&rng, 4));
        sum_tree_set(&t, (int64_t)rng_below(&rng, (uint64_t)n), 3);
        double below = 0;
        for (int64_t i = 0; i < n; i++)
            for (double size = sum_tree_get(&t, i), k = 0; k < size; k++, below++) {
                ck_assert_int_eq(sum_tree_find(&t, below), i);
                ck_assert_int_eq(sum_tree_find(&t, nextafter(below + 1, 0)), i);
            }
        ck_assert_double_eq(sum_tree_total(&t), below);
        arena_destroy(&arena);
    }
}
END_TEST

START_TEST(no_mass_finds_a_number_that_is_0)
{
    for (int seed = 0; seed < 300; seed++) {
        struct sum_tree t;
        const int64_t n = 1 + seed % 40;
        struct arena *arena = start(&t, n);
        rng_init(&rng, (uint64_t)seed, RNG_TEST, 0, 0);
        for (int64_t i = 0; i < n; i++)
            if (rng_below(&rng, 3) == 0)
                sum_tree_set(&t, i, pow(10, rng_uniform(&rng, -12, 12)));
        if (sum_tree_total(&t) <= 0)
            sum_tree_set(&t, n / 2, 0.1);
        const double total = sum_tree_total(&t);
        const double masses[] = { 0, nextafter(total, 0), total, 2 * total };
        for (int k = 0; k < 200; k++) {
            double mass = k < 4 ? masses[k] : rng_uniform(&rng, 0, total);
            ck_assert_double_gt(sum_tree_get(&t, sum_tree_find(&t, mass)), 0);
        }
        arena_destroy(&arena);
    }
}
END_TEST

START_TEST(a_mass_of_the_total_finds_the_last_number_that_is_not_0)
{
    struct sum_tree t;
    struct arena *arena = start(&t, 100);
    for (int64_t i = 0; i < 100; i++)
        sum_tree_set(&t, i, i < 77 ? 1 : 0);
    ck_assert_int_eq(sum_tree_find(&t, 77), 76);
    ck_assert_int_eq(sum_tree_find(&t, 1e9), 76);
    arena_destroy(&arena);
}
END_TEST

START_TEST(numbers_put_together_are_summed_like_numbers_set_one_by_one)
{
    for (int64_t n = 1; n <= 300; n += 13) {
        struct sum_tree a, b;
        struct arena *arena_a = start(&a, n), *arena_b = start(&b, n);
        for (int round = 0; round < 40; round++) {
            int64_t first = (int64_t)rng_below(&rng, (uint64_t)n);
            int64_t last = first + 1 + (int64_t)rng_below(&rng, (uint64_t)(n - first));
            for (int64_t i = first; i < last; i++) {
                double x = rng_uniform(&rng, 0, 1);
                sum_tree_set(&a, i, x);
                sum_tree_put(&b, i, x);
            }
            sum_tree_sum(&b, first, last);
            ck_assert_mem_eq(a.nodes, b.nodes, 2 * (size_t)a.n_leaves * sizeof(double));
        }
        arena_destroy(&arena_a);
        arena_destroy(&arena_b);
    }
}
END_TEST

/* Scattered changes with repetitions, as replay makes them. */
START_TEST(scattered_numbers_are_summed_like_numbers_set_one_by_one)
{
    enum { MOST = 90 };
    for (int64_t n = 1; n <= 300; n += 13) {
        struct sum_tree a, b;
        struct arena *arena_a = start(&a, n), *arena_b = start(&b, n);
        for (int round = 0; round < 40; round++) {
            const int n_set = (int)rng_below(&rng, MOST);
            int64_t i[MOST];
            for (int k = 0; k < n_set; k++) {
                const double x = rng_uniform(&rng, 0, 1);
                i[k] = (int64_t)rng_below(&rng, (uint64_t)n);
                sum_tree_set(&a, i[k], x);
                sum_tree_put(&b, i[k], x);
            }
            sum_tree_sum_above(&b, n_set, i);
            ck_assert_mem_eq(a.nodes, b.nodes, 2 * (size_t)a.n_leaves * sizeof(double));
        }
        arena_destroy(&arena_a);
        arena_destroy(&arena_b);
    }
}
END_TEST

START_TEST(masses_found_side_by_side_find_what_each_finds_alone)
{
    enum { MOST = 200, N = 5000 };
    struct sum_tree t;
    struct arena *arena = start(&t, N);
    for (int64_t i = 0; i < N; i++)
        sum_tree_set(&t, i, rng_below(&rng, 3) ? rng_uniform(&rng, 0, 1) : 0);
    for (int n = 1; n <= MOST; n++) {
        double mass[MOST];
        int64_t found[MOST + 1];
        for (int k = 0; k < n; k++)
            mass[k] = rng_uniform(&rng, 0, sum_tree_total(&t));
        found[n] = -7;
        sum_tree_find_many(&t, n, mass, found);
        for (int k = 0; k < n; k++) {
            ck_assert_int_eq(found[k], sum_tree_find(&t, mass[k]));
            ck_assert_double_gt(sum_tree_get(&t, found[k]), 0);
        }
        ck_assert_int_eq(found[n], -7);
    }
    arena_destroy(&arena);
}
END_TEST

/* Numbers of 24 orders of magnitude: adjusting sums by differences would leave garbage behind. */
START_TEST(a_million_changes_of_a_million_numbers_leave_no_drift)
{
    enum { N = 1000 * 1000 };
    struct sum_tree t, fresh;
    struct arena *arena = start(&t, N), *other = start(&fresh, N);
    for (int64_t i = 0; i < N; i++)
        sum_tree_put(&t, i, 1);
    sum_tree_sum(&t, 0, N);
    for (int k = 0; k < N; k++)
        sum_tree_set(&t, (int64_t)rng_below(&rng, N), pow(10, rng_uniform(&rng, -12, 12)));
    for (int64_t i = 0; i < N; i++)
        sum_tree_put(&fresh, i, sum_tree_get(&t, i));
    sum_tree_sum(&fresh, 0, N);
    ck_assert_int_eq(memcmp(t.nodes, fresh.nodes, 2 * (size_t)t.n_leaves * sizeof(double)), 0);
    for (int64_t i = 0; i < N; i++)
        sum_tree_set(&t, i, 0);
    ck_assert_double_eq(sum_tree_total(&t), 0);
    arena_destroy(&arena);
    arena_destroy(&other);
}
END_TEST

START_TEST(sum_tree_bytes_covers_what_is_taken)
{
    static const int64_t sizes[] = { 1, 1000, 1 << 18, (1 << 18) + 1 };
    for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
        struct sum_tree t;
        struct arena *arena = arena_create(1);
        sum_tree_init(&t, sizes[i], arena);
        ck_assert_uint_le(arena_bytes(arena), sum_tree_bytes(sizes[i]) + (2 << 20));
        ck_assert_uint_ge(sum_tree_bytes(sizes[i]), 2 * (size_t)sizes[i] * sizeof(double));
        arena_destroy(&arena);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_mass_finds_the_number_that_covers_it,
        no_mass_finds_a_number_that_is_0,
        a_mass_of_the_total_finds_the_last_number_that_is_not_0,
        numbers_put_together_are_summed_like_numbers_set_one_by_one,
        scattered_numbers_are_summed_like_numbers_set_one_by_one,
        masses_found_side_by_side_find_what_each_finds_alone,
        a_million_changes_of_a_million_numbers_leave_no_drift,
        sum_tree_bytes_covers_what_is_taken,
    };
    return suite_run("sum tree", tests, TEST_COUNT(tests), 60);
}
