/* Frames and their pools. */
#include "proto/frame.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "tests/support.h"

START_TEST(a_frame_starts_empty_at_an_aligned_buffer)
{
    struct frame_pool *pool = frame_pool_create(1000);
    struct frame *f[5];
    for (int i = 0; i < 5; i++) {
        f[i] = frame_pool_take(pool);
        ck_assert_uint_eq((uintptr_t)f[i]->data % 64, 0);
        ck_assert_ptr_eq(f[i]->data, frame_buffer(f[i]));
        ck_assert_uint_eq(f[i]->size, 0);
        ck_assert_uint_eq(frame_capacity(f[i]), 1000);
        ck_assert_ptr_null(f[i]->next);
        memset(f[i]->data, i, 1000);
    }
    for (int i = 0; i < 5; i++) {
        ck_assert_uint_eq(f[i]->data[0], i);
        ck_assert_uint_eq(f[i]->data[999], i);
        frame_release(f[i]);
    }
    frame_pool_destroy(&pool);
    ck_assert_ptr_null(pool);
}
END_TEST

START_TEST(a_released_frame_is_taken_again_as_if_new)
{
    struct frame_pool *pool = frame_pool_create(64);
    struct frame *first = frame_pool_take(pool), *second = frame_pool_take(pool);
    ck_assert_ptr_ne(first, second);
    first->data += 10;
    first->size = 20;
    frame_release(first);
    struct frame *again = frame_pool_take(pool);
    ck_assert_ptr_eq(again, first);
    ck_assert_ptr_eq(again->data, frame_buffer(again));
    ck_assert_uint_eq(again->size, 0);
    ck_assert_ptr_null(again->next);
    frame_release(again);
    frame_release(second);
    frame_pool_destroy(&pool);
}
END_TEST

START_TEST(only_the_last_reference_gives_a_frame_back)
{
    struct frame_pool *pool = frame_pool_create(64);
    struct frame *f = frame_pool_take(pool);
    ck_assert_ptr_eq(frame_retain(f), f);
    frame_release(f);
    struct frame *other = frame_pool_take(pool);
    ck_assert_ptr_ne(other, f);
    frame_release(f);
    struct frame *again = frame_pool_take(pool);
    ck_assert_ptr_eq(again, f);
    frame_release(other);
    frame_release(again);
    frame_release(NULL);
    frame_pool_destroy(&pool);
}
END_TEST

/* A leak or a use after free here is the address sanitizer's to find. */
START_TEST(frames_outlive_their_pool)
{
    struct frame_pool *pool = frame_pool_create(100);
    struct frame *a = frame_pool_take(pool), *b = frame_pool_take(pool);
    frame_release(frame_pool_take(pool));
    frame_pool_destroy(&pool);
    memset(a->data, 1, 100);
    memset(b->data, 2, 100);
    ck_assert_uint_eq(frame_capacity(b), 100);
    frame_release(a);
    ck_assert_uint_eq(b->data[99], 2);
    frame_release(b);
    frame_pool_destroy(&pool);
}
END_TEST

enum { THREADS = 4, ROUNDS = 20000 };

static void *churn(void *argument)
{
    struct frame_pool *pool = argument;
    for (int i = 0; i < ROUNDS; i++) {
        struct frame *a = frame_pool_take(pool), *b = frame_pool_take(pool);
        a->data[0] = 1;
        b->data[0] = 2;
        frame_release(frame_retain(a));
        if (a->data[0] != 1 || b->data[0] != 2)
            return pool;
        frame_release(a);
        frame_release(b);
    }
    return NULL;
}

START_TEST(threads_never_hold_the_same_frame)
{
    struct frame_pool *pool = frame_pool_create(8);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, churn, pool), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
    frame_pool_destroy(&pool);
}
END_TEST

static void *release_frame(void *f)
{
    frame_release(f);
    return NULL;
}

START_TEST(a_pool_and_its_last_frame_may_end_at_the_same_time)
{
    for (int i = 0; i < 200; i++) {
        struct frame_pool *pool = frame_pool_create(8);
        pthread_t thread;
        pthread_create(&thread, NULL, release_frame, frame_pool_take(pool));
        frame_pool_destroy(&pool);
        pthread_join(thread, NULL);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        a_frame_starts_empty_at_an_aligned_buffer,
        a_released_frame_is_taken_again_as_if_new,
        only_the_last_reference_gives_a_frame_back,
        frames_outlive_their_pool,
        threads_never_hold_the_same_frame,
        a_pool_and_its_last_frame_may_end_at_the_same_time,
    };
    return suite_run("frame", tests, TEST_COUNT(tests), 20);
}
