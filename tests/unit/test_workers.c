/* Tasks shared by threads: each is done once, whoever does it. */
#include <stdatomic.h>
#include <time.h>

#include "common/workers.h"
#include "tests/support.h"

enum { MANY = 4096 };

struct tally {
    _Atomic int done[MANY];
    _Atomic int by[WORKERS_MAX];
    int values[MANY];           /* written by whoever does the task, read by the caller behind it */
    int piece;
    long pause_us;
};

static void count(void *context, int i, int worker)
{
    struct tally *t = context;
    atomic_fetch_add(&t->done[i], 1);
    atomic_fetch_add(&t->by[worker], 1);
    t->values[i] = t->piece + i;
    if (t->pause_us)
        nanosleep(&(struct timespec){ .tv_nsec = t->pause_us * 1000 }, NULL);
}

START_TEST(every_task_is_done_once_in_every_piece_of_work)
{
    for (int n_workers = 1; n_workers <= 5; n_workers++) {
        static struct tally t;
        struct workers *w = workers_create(n_workers);
        ck_assert_int_eq(workers_count(w), n_workers);
        memset(&t, 0, sizeof(t));
        for (t.piece = 1; t.piece <= 300; t.piece++) {
            const int n = t.piece % 37;
            workers_run(w, n, count, &t);
            for (int i = 0; i < n; i++)
                ck_assert_int_eq(t.values[i], t.piece + i);
        }
        int sum = 0, expected = 0;
        for (int piece = 1; piece <= 300; piece++)
            expected += piece % 37;
        for (int i = 0; i < n_workers; i++)
            sum += t.by[i];
        ck_assert_int_eq(sum, expected);
        for (int i = n_workers; i < WORKERS_MAX; i++)
            ck_assert_int_eq(t.by[i], 0);
        workers_destroy(&w);
        ck_assert_ptr_null(w);
    }
}
END_TEST

START_TEST(many_tasks_are_shared)
{
    static struct tally t;
    struct workers *w = workers_create(3);
    t.pause_us = 100;
    workers_run(w, MANY / 8, count, &t);
    for (int i = 0; i < MANY / 8; i++)
        ck_assert_int_eq(t.done[i], 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_gt(t.by[i], 0);
    workers_destroy(&w);
}
END_TEST

/* One of two tasks, which ends when the other has begun: nobody can do both. Ten seconds, and it gives up. */
static void meet(void *context, int i, int worker)
{
    struct tally *t = context;
    atomic_fetch_add(&t->done[i], 1);
    atomic_fetch_add(&t->by[worker], 1);
    const time_t began = time(NULL);
    while (atomic_load(&t->done[1 - i]) < t->piece && time(NULL) - began < 10)
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Longer than they look out for work. */
START_TEST(workers_that_sleep_are_woken)
{
    static struct tally t;
    struct workers *w = workers_create(2);
    for (t.piece = 1; t.piece <= 20; t.piece++) {
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
        workers_run(w, 2, meet, &t);
        for (int i = 0; i < 2; i++) {
            ck_assert_int_eq(t.by[i], t.piece);
            ck_assert_int_eq(t.done[i], t.piece);
        }
    }
    workers_destroy(&w);
}
END_TEST

START_TEST(without_workers_the_caller_does_all)
{
    static struct tally t;
    struct workers *none = NULL;
    ck_assert_int_eq(workers_count(NULL), 1);
    workers_run(NULL, 5, count, &t);
    ck_assert_int_eq(t.by[0], 5);
    workers_run(NULL, 0, count, &t);
    ck_assert_int_eq(t.by[0], 5);
    workers_destroy(&none);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_task_is_done_once_in_every_piece_of_work,
        many_tasks_are_shared,
        workers_that_sleep_are_woken,
        without_workers_the_caller_does_all,
    };
    return suite_run("workers", tests, TEST_COUNT(tests), 60);
}
