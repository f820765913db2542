/* The agenda against a search through all sources. */
#include "common/rng.h"
#include "deploy/simulation_agenda.h"
#include "tests/support.h"

enum { MOST = 100 };

START_TEST(the_first_that_is_due_comes_first_whatever_was_set)
{
    static const int sizes[] = { 1, 2, 5, 6, 21, MOST };
    struct rng r;
    rng_init(&r, 1, RNG_TEST, 0, 0);
    for (size_t k = 0; k < TEST_COUNT(sizes); k++) {
        const int n = sizes[k];
        int64_t at[MOST];
        struct agenda *a = agenda_create(n);
        for (int i = 0; i < n; i++)
            at[i] = AGENDA_NEVER;
        for (int i = 0; i < 20000; i++) {
            int64_t next_ns;
            int source = (int)rng_below(&r, (uint64_t)n), first = 0;
            /* Few moments, so that many are equal. */
            at[source] = rng_below(&r, 10) == 0 ? AGENDA_NEVER : (int64_t)rng_below(&r, 30);
            agenda_set(a, source, at[source]);
            for (int j = 1; j < n; j++)
                if (at[j] < at[first])
                    first = j;
            ck_assert_int_eq(agenda_next(a, &next_ns), first);
            ck_assert_int_eq(next_ns, at[first]);
            source = (int)rng_below(&r, (uint64_t)n);
            ck_assert_int_eq(agenda_at(a, source), at[source]);
        }
        agenda_destroy(&a);
        ck_assert_ptr_null(a);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { the_first_that_is_due_comes_first_whatever_was_set };
    return suite_run("simulation agenda", tests, TEST_COUNT(tests), 60);
}
