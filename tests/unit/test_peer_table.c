#include "learner/peer_table.h"

#include <stdbool.h>

#include "common/rng.h"
#include "tests/support.h"

enum { N_NUMBERS = 64 };    /* peers that a test draws from */

START_TEST(a_peer_is_found_from_when_it_comes_until_it_goes)
{
    struct peer_table t;
    peer_table_init(&t, 3);
    ck_assert_int_eq(peer_table_find(&t, 7), -1);
    ck_assert_int_eq(peer_table_find(&t, 0), -1);
    peer_table_put(&t, 7, 0);
    peer_table_put(&t, 0, 2);
    peer_table_put(&t, UINT64_MAX, 1);
    ck_assert_int_eq(peer_table_find(&t, 7), 0);
    ck_assert_int_eq(peer_table_find(&t, 0), 2);
    ck_assert_int_eq(peer_table_find(&t, UINT64_MAX), 1);
    peer_table_remove(&t, 7);
    peer_table_remove(&t, 8);
    ck_assert_int_eq(peer_table_find(&t, 7), -1);
    ck_assert_int_eq(peer_table_find(&t, 0), 2);
    ck_assert_int_eq(peer_table_find(&t, UINT64_MAX), 1);
    peer_table_fini(&t);
}
END_TEST

START_TEST(a_peer_that_takes_another_place_has_only_that_one)
{
    struct peer_table t;
    peer_table_init(&t, 2);
    peer_table_put(&t, 7, 0);
    peer_table_put(&t, 7, 1);
    ck_assert_int_eq(peer_table_find(&t, 7), 1);
    peer_table_remove(&t, 7);
    ck_assert_int_eq(peer_table_find(&t, 7), -1);
    peer_table_fini(&t);
}
END_TEST

START_TEST(ten_thousand_peers_are_found_with_few_looks)
{
    enum { N = 10000 };
    struct peer_table t;
    peer_table_init(&t, N);
    ck_assert_uint_ge(t.capacity, 2 * N);
    for (int i = 0; i < N; i++)
        peer_table_put(&t, 1 + (uint64_t)i, i);
    for (int i = 0; i < N; i++)
        ck_assert_int_eq(peer_table_find(&t, 1 + (uint64_t)i), i);
    /* The longest way is one longer than the longest row of entries without a gap. */
    int longest = 0, row = 0;
    for (uint32_t i = 0; i < t.capacity; i++) {
        row = t.entries[i].place >= 0 ? row + 1 : 0;
        longest = row > longest ? row : longest;
    }
    ck_assert_int_lt(longest, 16);
    peer_table_fini(&t);
}
END_TEST

/* Places drawn again and again, beside a plain array; `stride` apart, peers collide at many indices or few. */
static void come_and_go(int n_places, uint64_t stride, uint64_t seed)
{
    struct rng rng;
    struct peer_table t;
    int place_of[N_NUMBERS], n = 0;
    rng_init(&rng, seed, RNG_TEST, 0, 0);
    peer_table_init(&t, n_places);
    for (int i = 0; i < N_NUMBERS; i++)
        place_of[i] = -1;
    for (int k = 0; k < 2000; k++) {
        const int i = (int)rng_below(&rng, N_NUMBERS);
        const bool is_there = place_of[i] >= 0, comes = rng_below(&rng, 2) && (is_there || n < n_places);
        n += comes - is_there;
        place_of[i] = comes ? (int)rng_below(&rng, 1000) : -1;
        if (comes)
            peer_table_put(&t, (uint64_t)i * stride, place_of[i]);
        else
            peer_table_remove(&t, (uint64_t)i * stride);
        for (int j = 0; j < N_NUMBERS; j++)
            ck_assert_int_eq(peer_table_find(&t, (uint64_t)j * stride), place_of[j]);
    }
    peer_table_fini(&t);
}

START_TEST(peers_come_and_go_as_in_a_plain_list)
{
    static const int n_places[] = { 1, 2, 3, 16, 31, 64 };
    /* The inverse of the factor of home(): numbers that it maps to 0, 1, 2, ..., so that all begin at one index. */
    static const uint64_t strides[] = { 1, (uint64_t)1 << 58, 0xf1de83e19937733d };
    ck_assert_uint_eq(strides[2] * 0x9e3779b97f4a7c15, 1);
    for (size_t i = 0; i < TEST_COUNT(n_places); i++)
        for (size_t k = 0; k < TEST_COUNT(strides); k++)
            come_and_go(n_places[i], strides[k], 10 * i + k);
}
END_TEST

START_TEST(those_that_are_in_each_others_way_at_the_end_go_on_at_the_beginning)
{
    struct peer_table t;
    const uint64_t inverse = 0xf1de83e19937733d, last = (uint64_t)7 << 61;    /* begin at index 7 of 8 */
    peer_table_init(&t, 4);
    ck_assert_uint_eq(t.capacity, 8);
    for (uint64_t i = 0; i < 4; i++)
        peer_table_put(&t, (last + i) * inverse, (int)i);
    ck_assert_int_eq(t.entries[7].place, 0);
    ck_assert_int_eq(t.entries[2].place, 3);
    peer_table_remove(&t, last * inverse);
    ck_assert_int_eq(t.entries[7].place, 1);
    ck_assert_int_eq(t.entries[2].place, -1);
    for (uint64_t i = 0; i < 4; i++)
        ck_assert_int_eq(peer_table_find(&t, (last + i) * inverse), i == 0 ? -1 : (int)i);
    peer_table_fini(&t);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_peer_is_found_from_when_it_comes_until_it_goes,
        a_peer_that_takes_another_place_has_only_that_one,
        ten_thousand_peers_are_found_with_few_looks,
        peers_come_and_go_as_in_a_plain_list,
        those_that_are_in_each_others_way_at_the_end_go_on_at_the_beginning,
    };
    return suite_run("peer table", tests, TEST_COUNT(tests), 60);
}
