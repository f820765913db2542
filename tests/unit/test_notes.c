/* Lines that several processes write into one pipe. */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "deploy/notes.h"
#include "tests/support.h"

static int ends[2];

static void open_pipe(void)
{
    ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
}

static void close_pipe(void)
{
    close(ends[0]);
    close(ends[1]);
}

START_TEST(notes_come_out_as_they_went_in)
{
    struct notes_reader r = { 0 };
    open_pipe();
    ck_assert_ptr_null(notes_read(&r, ends[0]));
    notes_write(ends[1], NOTE_PROGRESS, "actor-0", 7);
    notes_write(ends[1], NOTE_TROUBLE, "it crashed, and more", 10);
    ck_assert_str_eq(notes_read(&r, ends[0]), "+actor-0");
    ck_assert_str_eq(notes_read(&r, ends[0]), "!it crashed");
    ck_assert_ptr_null(notes_read(&r, ends[0]));
    notes_write(ends[1], 0, "plain", 5);
    ck_assert_str_eq(notes_read(&r, ends[0]), "plain");
    close_pipe();
}
END_TEST

START_TEST(notes_arrive_whole_however_they_are_cut)
{
    struct notes_reader r = { 0 };
    char text[400], expected[402];
    int written = 0, read = 0;
    open_pipe();
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 30; i++, written++) {
            int n = 1 + (written * 37) % (int)sizeof(text);
            memset(text, 'a' + written % 26, (size_t)n);
            notes_write(ends[1], NOTE_TROUBLE, text, (size_t)n);
        }
        for (const char *note; (note = notes_read(&r, ends[0])); read++) {
            int n = 1 + (read * 37) % (int)sizeof(text);
            memset(expected, 'a' + read % 26, sizeof(expected));
            expected[0] = '!';
            expected[n + 1] = '\0';
            ck_assert_str_eq(note, expected);
        }
    }
    ck_assert_int_eq(read, written);
    close_pipe();
}
END_TEST

START_TEST(a_long_note_is_cut_and_a_full_pipe_loses_notes_only)
{
    struct notes_reader r = { 0 };
    static char text[5000];
    memset(text, 'x', sizeof(text));
    open_pipe();
    for (int i = 0; i < 1000; i++)
        notes_write(ends[1], NOTE_TROUBLE, text, sizeof(text));    /* would wait for ever */
    int n = 0;
    for (const char *note; (note = notes_read(&r, ends[0])); n++)
        ck_assert_uint_eq(strlen(note), 511);
    ck_assert_int_gt(n, 100);
    ck_assert_int_lt(n, 1000);
    /* What is not a note is thrown away, and the next is read again. */
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(write(ends[1], text, 3000), 3000);
    ck_assert_ptr_null(notes_read(&r, ends[0]));
    ck_assert_int_eq(write(ends[1], "\n", 1), 1);
    notes_write(ends[1], NOTE_PROGRESS, "actor-1", 7);
    while (notes_read(&r, ends[0])[0] == 'x')
        ;
    notes_write(ends[1], NOTE_PROGRESS, "actor-2", 7);
    ck_assert_str_eq(notes_read(&r, ends[0]), "+actor-2");
    close_pipe();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        notes_come_out_as_they_went_in, notes_arrive_whole_however_they_are_cut,
        a_long_note_is_cut_and_a_full_pipe_loses_notes_only,
    };
    return suite_run("notes", tests, TEST_COUNT(tests), 20);
}
