/* Where results come from, and the trail of their hashes. */
#include "deploy/provenance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/hash_trail.h"
#include "tests/support.h"

#define HASH_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define HASH_B "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char directory[400], path[512];

static const char *file(const char *name, const char *text)
{
    if (directory[0] == '\0')
        test_directory("provenance", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (text)
        test_write(path, text, strlen(text));
    return path;
}

START_TEST(this_machine_does_not_differ_from_itself)
{
    char ours[PROVENANCE_BYTES], out[200];
    provenance_describe(&kernels_openblas, ours, sizeof(ours));
    ck_assert_ptr_nonnull(strstr(ours, "; kernels openblas f32; "));
    ck_assert_ptr_nonnull(strstr(ours, "; processor "));
    ck_assert_ptr_nonnull(strstr(ours, "; blas OpenBLAS "));
    ck_assert_ptr_nonnull(strstr(ours, "; mujoco 3."));
    provenance_compare(ours, ours, out, sizeof(out));
    ck_assert_str_eq(out, "");
}
END_TEST

START_TEST(what_differs_is_named_with_both_values)
{
    static const struct { const char *ours, *theirs, *says; } cases[] = {
        { "a 1; b x y", "epoch 2; a 1; b x z", "b: x z there, x y here" },
        { "a 1; b x y; c 3", "c 4; b x y; a 2", "a: 2 there, 1 here; c: 4 there, 3 here" },
        { "a 1", "", "" }, { "a 1", "ab 2; b 1", "" }, { "a 1", "a", "" }, { "", "a 1", "" }, { "a 1", ";;; a 2", "a: 2 there, 1 here" },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        char out[100];
        provenance_compare(cases[i].ours, cases[i].theirs, out, sizeof(out));
        ck_assert_str_eq(out, cases[i].says);
    }
    char small[8];
    provenance_compare("a 11111111; b 2", "a 22222222; b 3", small, sizeof(small));
    ck_assert_str_eq(small, "a: 2222");
}
END_TEST

START_TEST(a_configuration_is_known_apart_from_its_comments_and_total_steps)
{
    static const struct { const char *text; bool is_same; uint64_t total; } cases[] = {
        { "# new\nseed: 1     # other words\n\ntotal_steps: 300\nsac:\n  gamma: 0.99\n", true, 300 },
        { "seed: 1\ntotal_steps: 2e6\nsac:\n  gamma: 0.99", true, 2000000 },
        { "seed: 2\ntotal_steps: 200\nsac:\n  gamma: 0.99\n", false, 200 },
        { "seed: 1\ntotal_steps: 200\nsac:\n  gamma: 0.98\n", false, 200 },
        { "seed: 1\ntotal_steps: 200\nsac:\n  total_steps: 5\n  gamma: 0.99\n", false, 200 },
    };
    struct provenance_config first, c;
    struct error err;
    ck_assert_int_eq(provenance_read_config(file("c.yaml", "seed: 1  # the seed\ntotal_steps: 200  # all\nsac:\n  gamma: 0.99\n"),
                                            &first, &err), 0);
    ck_assert_uint_eq(first.total_steps, 200);
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        ck_assert_int_eq(provenance_read_config(file("c.yaml", cases[i].text), &c, &err), 0);
        ck_assert_msg((c.digest == first.digest) == cases[i].is_same, "case %zu", i);
        ck_assert_uint_eq(c.total_steps, cases[i].total);
    }
}
END_TEST

START_TEST(hashes_are_compared_in_order_until_they_differ)
{
    struct hash_trail t;
    struct error err;
    char reached[512];
    snprintf(reached, sizeof(reached), "%s", file("reached.csv", NULL));
    file("hashes.csv", "update,env_steps,params_sha256\n10,100," HASH_A "\n20,200," HASH_B "\n30,300," HASH_A "\n40,4");
    int64_t until, behind;
    ck_assert_int_eq(hash_trail_open(&t, path, reached, &err), 0);
    hash_trail_left(&t, 20, &until, &behind);
    ck_assert_int_eq(until, 2);
    ck_assert_int_eq(behind, 1);
    ck_assert(hash_trail_reach(&t, 10, 100, HASH_A));
    ck_assert(!hash_trail_reach(&t, 20, 200, HASH_A));
    ck_assert(!hash_trail_reach(&t, 20, 200, HASH_B));    /* too late */
    ck_assert_int_eq(t.n_equal, 1);
    ck_assert_int_eq(t.last_equal.update, 10);
    hash_trail_left(&t, 20, &until, &behind);
    ck_assert_int_eq(until, 1);
    ck_assert_int_eq(hash_trail_finish(&t, &err), 0);
    hash_trail_fini(&t);
    char *text = test_read(reached, NULL);
    ck_assert_str_eq(text, "update,env_steps,params_sha256\n10,100," HASH_A "\n20,200," HASH_A "\n20,200," HASH_B "\n");
    free(text);
}
END_TEST

START_TEST(another_update_or_another_number_of_transitions_differs)
{
    static const struct { int64_t update, env_steps; } wrong[] = { { 11, 100 }, { 10, 101 } };
    for (size_t i = 0; i < TEST_COUNT(wrong); i++) {
        struct hash_trail t;
        struct error err;
        ck_assert_int_eq(hash_trail_open(&t, file("hashes.csv", "update\n10,100," HASH_A "\n"), NULL, &err), 0);
        ck_assert(!hash_trail_reach(&t, wrong[i].update, wrong[i].env_steps, HASH_A));
        hash_trail_fini(&t);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        this_machine_does_not_differ_from_itself,
        what_differs_is_named_with_both_values,
        a_configuration_is_known_apart_from_its_comments_and_total_steps,
        hashes_are_compared_in_order_until_they_differ,
        another_update_or_another_number_of_transitions_differs,
    };
    return suite_run("provenance", tests, TEST_COUNT(tests), 60);
}
