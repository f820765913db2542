#include "deploy/schedule_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>

#include "tests/support.h"

static char path[512];

static const char *fresh_path(void)
{
    char directory[400];
    test_directory("schedule-file", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/schedule.bin", directory);
    return path;
}

static struct schedule_record fragment(int i)
{
    return (struct schedule_record){ .kind = SCHEDULE_FRAGMENT, .update = (uint64_t)(100 * i), .stream = (uint32_t)(i % 3),
                                     .sequence = (uint64_t)(i / 3), .version = (uint64_t)i, .n_transitions = 16, .n_used = 16 };
}

/* The updates of the records in the file, or -1 behind what is no record. */
static int read_updates(int64_t *updates, int max)
{
    size_t size;
    char *data = test_read(path, &size);
    struct schedule_reader s;
    struct schedule_record r;
    int n = 0;
    schedule_reader_init(&s, data, size);
    while (n < max && schedule_read(&s, &r))
        updates[n++] = (int64_t)r.update;
    if (s.problem || s.is_torn)
        updates[n] = -1;
    schedule_reader_fini(&s);
    free(data);
    return n;
}

static void write_records(struct schedule_file *f, int first, int end)
{
    for (int i = first; i < end; i++) {
        const struct schedule_record r = fragment(i);
        schedule_file_write(f, &r);
    }
}

START_TEST(a_file_goes_on_behind_what_a_checkpoint_knew)
{
    struct schedule_file *f = NULL;
    struct error err;
    int64_t updates[40] = { 0 };
    ck_assert_int_eq(schedule_file_create(&f, fresh_path(), 3, 16, &err), 0);
    write_records(f, 0, 10);
    const uint64_t kept = schedule_file_bytes(f);
    ck_assert_int_eq(schedule_file_flush(f, &err), 0);
    write_records(f, 10, 20);
    schedule_file_close(&f);
    ck_assert(!f);
    ck_assert_int_eq(read_updates(updates, 40), 20);

    ck_assert_int_eq(schedule_file_resume(&f, path, kept, &err), 0);
    ck_assert_uint_eq(schedule_file_bytes(f), kept);
    schedule_file_close(&f);
    ck_assert_int_eq(read_updates(updates, 40), 20);    /* nothing was written: nothing is forgotten */

    ck_assert_int_eq(schedule_file_resume(&f, path, kept, &err), 0);
    write_records(f, 30, 33);
    schedule_file_close(&f);
    ck_assert_int_eq(read_updates(updates, 40), 13);
    ck_assert_int_eq(updates[9], 900);
    ck_assert_int_eq(updates[10], 3000);

    ck_assert_int_eq(schedule_file_resume(&f, path, 0, &err), 0);
    write_records(f, 5, 6);
    schedule_file_close(&f);
    ck_assert_int_eq(read_updates(updates, 40), 1);
}
END_TEST

START_TEST(a_file_that_is_no_whole_schedule_is_left_alone)
{
    struct schedule_file *f = NULL;
    struct error err;
    int64_t updates[8] = { 0 };
    ck_assert_int_eq(schedule_file_create(&f, fresh_path(), 3, 16, &err), 0);
    write_records(f, 0, 4);
    const uint64_t size = schedule_file_bytes(f);
    schedule_file_close(&f);
    ck_assert_int_eq(schedule_file_resume(&f, path, size + 1, &err), ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "the checkpoint was made behind"));
    ck_assert_int_eq(schedule_file_resume(&f, path, size - 1, &err), ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "in the middle of a record"));
    ck_assert_int_eq(read_updates(updates, 8), 4);
    test_write(path, "shoal-schedule-1 and what was behind it", 40);
    ck_assert_int_eq(schedule_file_resume(&f, path, 0, &err), ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "this version"));
    ck_assert(!f);
}
END_TEST

/* A limit on the size of files stands for a disk that is full for a while. */
START_TEST(on_a_full_disk_records_wait_and_none_is_torn)
{
    struct schedule_file *f = NULL;
    struct error err;
    struct rlimit limit, before;
    int64_t *updates = malloc(100001 * sizeof(*updates));
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(schedule_file_create(&f, fresh_path(), 3, 16, &err), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 1001;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    write_records(f, 0, 60000);
    ck_assert_int_eq(schedule_file_flush(f, &err), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "schedule.bin cannot be written: File too large"));
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    write_records(f, 60000, 60010);
    ck_assert_int_eq(schedule_file_flush(f, &err), 0);
    schedule_file_close(&f);
    ck_assert_int_eq(read_updates(updates, 100000), 60010);
    for (int i = 0; i < 60010; i++)
        ck_assert_int_eq(updates[i], 100 * i);
    free(updates);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_file_goes_on_behind_what_a_checkpoint_knew,
        a_file_that_is_no_whole_schedule_is_left_alone,
        on_a_full_disk_records_wait_and_none_is_torn,
    };
    return suite_run("schedule_file", tests, TEST_COUNT(tests), 60);
}
