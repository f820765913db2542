#include "deploy/notes.h"

#include <string.h>
#include <unistd.h>

enum { NOTE_BYTES = 512 };

void notes_write(int fd, char mark, const char *text, size_t n)
{
    char note[NOTE_BYTES];
    size_t at = 0;
    if (mark)
        note[at++] = mark;
    if (n > sizeof(note) - 2)
        n = sizeof(note) - 2;
    memcpy(note + at, text, n);
    note[at + n] = '\n';
    (void)!write(fd, note, at + n + 1);
}

const char *notes_read(struct notes_reader *r, int fd)
{
    for (;;) {
        char *begin = r->text + r->used, *end = memchr(begin, '\n', r->n - r->used);
        if (end) {
            *end = '\0';
            r->used = (size_t)(end - r->text) + 1;
            return begin;
        }
        /* Keep the part of a note, unless it is longer than notes are. */
        r->n -= r->used;
        memmove(r->text, begin, r->n);
        r->used = 0;
        if (r->n == sizeof(r->text))
            r->n = 0;
        ssize_t got = read(fd, r->text + r->n, sizeof(r->text) - r->n);
        if (got <= 0)
            return NULL;
        r->n += (size_t)got;
    }
}
