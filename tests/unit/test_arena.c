#include "common/arena.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support.h"

enum { CHUNK = 4096 };

static bool all_bytes(const void *block, unsigned char value, size_t n)
{
    const unsigned char *p = block;
    for (size_t i = 0; i < n; i++)
        if (p[i] != value)
            return false;
    return true;
}

/* ---- allocation ---- */

START_TEST(blocks_are_zeroed_aligned_and_do_not_overlap)
{
    enum { N = 300 };
    struct arena *a = arena_create(CHUNK);
    unsigned char *block[N];
    for (size_t i = 0; i < N; i++) {
        size_t n = i * 37 % 500 + 1;
        block[i] = arena_alloc(a, n, 1);
        ck_assert_uint_eq((uintptr_t)block[i] % 64, 0);
        ck_assert(all_bytes(block[i], 0, n));
        memset(block[i], (int)(i % 255 + 1), n);
    }
    for (size_t i = 0; i < N; i++)
        ck_assert(all_bytes(block[i], (unsigned char)(i % 255 + 1), i * 37 % 500 + 1));
    arena_destroy(&a);
}
END_TEST

START_TEST(a_block_larger_than_a_chunk_is_whole)
{
    struct arena *a = arena_create(CHUNK);
    size_t n = 5 << 20;
    char *small = arena_alloc(a, 10, 1), *large = arena_alloc(a, n, 1);
    ck_assert(all_bytes(large, 0, n));
    memset(large, 1, n);
    ck_assert(all_bytes(small, 0, 10));
    ck_assert_uint_ge(arena_bytes(a), n);
    arena_destroy(&a);
}
END_TEST

START_TEST(nothing_is_taken_from_the_system_before_the_first_block)
{
    struct arena *a = arena_create(CHUNK);
    ck_assert_uint_eq(arena_bytes(a), 0);
    arena_alloc(a, 1, 1);
    ck_assert_uint_eq(arena_bytes(a), CHUNK);
    for (int i = 0; i < CHUNK / 64 - 1; i++)
        arena_alloc(a, 1, 1);
    ck_assert_uint_eq(arena_bytes(a), CHUNK);
    arena_alloc(a, 1, 1);
    ck_assert_uint_eq(arena_bytes(a), 2 * CHUNK);
    arena_destroy(&a);
}
END_TEST

START_TEST(empty_blocks_are_harmless)
{
    struct arena *a = arena_create(CHUNK);
    arena_alloc(a, 0, 8);
    char *block = arena_alloc(a, 8, 1);
    arena_alloc_dirty(a, 8, 0);
    ck_assert(all_bytes(block, 0, 8));
    arena_destroy(&a);
}
END_TEST

START_TEST(destroying_sets_the_pointer_to_null_and_tolerates_null)
{
    struct arena *a = arena_create(CHUNK);
    arena_alloc(a, 1, 1);
    arena_destroy(&a);
    ck_assert_ptr_null(a);
    arena_destroy(&a);
}
END_TEST

/* ---- marks ---- */

START_TEST(reset_gives_back_what_came_after_the_mark_and_nothing_else)
{
    struct arena *a = arena_create(CHUNK);
    char *kept = arena_alloc(a, 100, 1);
    memset(kept, 7, 100);
    struct arena_mark mark = arena_mark(a);
    char *first = arena_alloc(a, 200, 1);
    memset(first, 8, 200);
    arena_reset(a, mark);
    char *second = arena_alloc(a, 200, 1);
    ck_assert_ptr_eq(first, second);
    ck_assert(all_bytes(second, 0, 200));
    ck_assert(all_bytes(kept, 7, 100));
    arena_destroy(&a);
}
END_TEST

START_TEST(a_dirty_block_keeps_what_the_memory_held)
{
    struct arena *a = arena_create(CHUNK);
    struct arena_mark mark = arena_mark(a);
    memset(arena_alloc(a, 200, 1), 9, 200);
    arena_reset(a, mark);
    ck_assert(all_bytes(arena_alloc_dirty(a, 200, 1), 9, 200));
    arena_destroy(&a);
}
END_TEST

START_TEST(a_mark_of_an_empty_arena_resets_to_the_beginning)
{
    struct arena *a = arena_create(CHUNK);
    struct arena_mark mark = arena_mark(a);
    arena_reset(a, mark);
    char *first = arena_alloc(a, 10, 1);
    for (int i = 0; i < 5; i++)
        arena_alloc(a, CHUNK, 1);
    arena_reset(a, mark);
    ck_assert_ptr_eq(arena_alloc(a, 10, 1), first);
    arena_destroy(&a);
}
END_TEST

START_TEST(marks_nest)
{
    struct arena *a = arena_create(CHUNK);
    struct arena_mark outer = arena_mark(a);
    char *first = arena_alloc(a, 3000, 1);
    struct arena_mark inner = arena_mark(a);
    char *second = arena_alloc(a, 3000, 1);
    arena_alloc(a, 3000, 1);
    arena_reset(a, inner);
    ck_assert_ptr_eq(arena_alloc(a, 3000, 1), second);
    arena_reset(a, outer);
    ck_assert_ptr_eq(arena_alloc(a, 3000, 1), first);
    arena_destroy(&a);
}
END_TEST

START_TEST(a_repeated_pattern_of_scratch_needs_no_more_memory_and_can_be_sealed)
{
    static const size_t sizes[] = { 100, 5000, 4000, 20, 9000, 64 };
    struct arena *a = arena_create(CHUNK);
    struct arena_mark mark = arena_mark(a);
    char *block[TEST_COUNT(sizes)] = { NULL };
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
            char *p = arena_alloc(a, sizes[i], 1);
            ck_assert(round == 0 || p == block[i]);
            block[i] = p;
            memset(p, 1, sizes[i]);
        }
        arena_reset(a, mark);
        if (round == 0)
            arena_seal(a);
    }
    arena_destroy(&a);
}
END_TEST

START_TEST(blocks_of_changing_size_do_not_grow_the_arena_for_ever)
{
    /* What fitted once fits again after a reset, whatever chunks lie between. */
    struct arena *a = arena_create(CHUNK);
    arena_alloc(a, CHUNK, 1);
    struct arena_mark mark = arena_mark(a);
    arena_alloc(a, 100, 1);
    arena_reset(a, mark);
    arena_alloc(a, 3 * CHUNK, 1);
    arena_reset(a, mark);
    size_t bytes = arena_bytes(a);
    for (int round = 0; round < 10; round++) {
        memset(arena_alloc(a, round % 2 ? 100 : 3 * CHUNK, 1), 1, round % 2 ? 100 : 3 * CHUNK);
        arena_reset(a, mark);
        ck_assert_uint_eq(arena_bytes(a), bytes);
    }
    arena_destroy(&a);
}
END_TEST

/* ---- ends ---- */

/* Run `body` in a child; it must abort, with `text` in what it says. */
static void check_aborts(void (*body)(void), const char *text)
{
    int ends[2];
    char said[4096] = "";
    size_t used = 0;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        body();
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], said + used, sizeof(said) - 1 - used)) > 0;)
        used += (size_t)n;
    close(ends[0]);
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "status %d: %s", status,
                  said);
    ck_assert_msg(strstr(said, text) != NULL, "it said: %s", said);
}

static void outgrow_a_seal(void)
{
    struct arena *a = arena_create(CHUNK);
    arena_alloc(a, 1, 1);
    arena_seal(a);
    arena_alloc(a, CHUNK - 64, 1);
    arena_alloc(a, 1234, 1);
}

static void overflow_a_size(void)
{
    struct arena *a = arena_create(CHUNK);
    arena_alloc(a, SIZE_MAX / 4, 8);
}

static void overflow_a_growth(void)
{
    memory_grow(NULL, SIZE_MAX / 4, 8);
}

START_TEST(a_sealed_arena_aborts_when_it_would_have_to_grow)
{
    check_aborts(outgrow_a_seal, "sealed");
}
END_TEST

START_TEST(a_size_that_overflows_aborts)
{
    check_aborts(overflow_a_size, "overflow");
    check_aborts(overflow_a_growth, "overflow");
}
END_TEST

START_TEST(plain_memory_is_zeroed_grows_with_its_contents_and_copies_text)
{
    char *p = memory_alloc(10, 10);
    ck_assert(all_bytes(p, 0, 100));
    memset(p, 5, 100);
    p = memory_grow(p, 100000, 1);
    ck_assert(all_bytes(p, 5, 100));
    free(p);
    p = memory_grow(NULL, 10, 1);
    ck_assert_ptr_nonnull(p);
    free(p);
    p = memory_alloc(0, 0);
    ck_assert_ptr_nonnull(p);
    free(p);
    p = memory_copy_text("shoal");
    ck_assert_str_eq(p, "shoal");
    free(p);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        blocks_are_zeroed_aligned_and_do_not_overlap,
        a_block_larger_than_a_chunk_is_whole,
        nothing_is_taken_from_the_system_before_the_first_block,
        empty_blocks_are_harmless,
        destroying_sets_the_pointer_to_null_and_tolerates_null,
        reset_gives_back_what_came_after_the_mark_and_nothing_else,
        a_dirty_block_keeps_what_the_memory_held,
        a_mark_of_an_empty_arena_resets_to_the_beginning,
        marks_nest,
        a_repeated_pattern_of_scratch_needs_no_more_memory_and_can_be_sealed,
        blocks_of_changing_size_do_not_grow_the_arena_for_ever,
        a_sealed_arena_aborts_when_it_would_have_to_grow,
        a_size_that_overflows_aborts,
        plain_memory_is_zeroed_grows_with_its_contents_and_copies_text,
    };
    return suite_run("arena", tests, TEST_COUNT(tests), 60);
}
