/* Lines from supervised actors to their supervisor, through a pipe that they share.
 *
 * A note is a mark, a text and a newline, written at once, so that notes of several processes do not
 * mix. */
#ifndef SHOAL_DEPLOY_NOTES_H
#define SHOAL_DEPLOY_NOTES_H

#include <stdbool.h>
#include <stddef.h>

enum {
    NOTE_PROGRESS = '+',        /* the actor of that name has sent its first fragment */
    NOTE_TROUBLE = '!'          /* for the screen and the log */
};

/* Write a note of up to 500 bytes; mark 0: just the line. A reader that does not keep up loses it. Signal
 * handlers may call this. */
void notes_write(int fd, char mark, const char *text, size_t n);

/* What was read so far of the next note. */
struct notes_reader {
    char text[4096];
    size_t n, used;
};

/* The next note of a pipe that does not block, or NULL. Borrowed until the next call. */
const char *notes_read(struct notes_reader *r, int fd);

#endif
