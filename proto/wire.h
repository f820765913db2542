/* MessagePack, as far as the protocol needs it: a flat map of integers, doubles, booleans, texts and bytes.
 *
 * The writer fills a fixed buffer through msgpack-c. The reader is a cursor of our own: it builds
 * no objects, allocates nothing, does not recurse, and compares every announced length with the
 * bytes that are left before it moves. Its errors are sticky: after the first one every read
 * returns zero, so that a caller reads on and asks once. Both belong to one thread. */
#ifndef SHOAL_PROTO_WIRE_H
#define SHOAL_PROTO_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_writer {
    unsigned char *data;
    size_t capacity;
    size_t size;        /* bytes needed so far; those beyond `capacity` are only counted */
};

/* `capacity` 0 counts (data may be NULL). */
void wire_writer_init(struct wire_writer *w, unsigned char *data, size_t capacity);

void wire_write_map(struct wire_writer *w, size_t n_entries);
void wire_write_unsigned(struct wire_writer *w, uint64_t value);
void wire_write_integer(struct wire_writer *w, int64_t value);
void wire_write_double(struct wire_writer *w, double value);
void wire_write_bool(struct wire_writer *w, bool value);
void wire_write_text(struct wire_writer *w, const char *text, size_t bytes);

/* A bin's header and its body; `bytes` fits 32 bits. The body may also be put behind by hand. */
void wire_write_bin(struct wire_writer *w, size_t bytes);
void wire_write_body(struct wire_writer *w, const void *data, size_t bytes);

struct wire_reader {
    const unsigned char *at, *end;
    char problem[160];      /* the first one, printable; "" while all is well */
};

void wire_reader_init(struct wire_reader *r, const void *data, size_t bytes);

static inline bool wire_good(const struct wire_reader *r) { return r->problem[0] == '\0'; }
static inline size_t wire_left(const struct wire_reader *r) { return (size_t)(r->end - r->at); }

/* Record a problem unless there is one, and read nothing more. */
void wire_fail(struct wire_reader *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Entries of the map that begins here; each needs two bytes at least, and they are left. */
size_t wire_read_map(struct wire_reader *r);

uint64_t wire_read_unsigned(struct wire_reader *r);     /* any width, 0 ... 2^64 - 1 */
int64_t wire_read_integer(struct wire_reader *r);       /* any width, -2^63 ... 2^63 - 1 */
double wire_read_double(struct wire_reader *r);         /* float 64 alone; any value, NaN as well */
bool wire_read_bool(struct wire_reader *r);

/* Where the text or the bytes lie in the message (borrowed, not terminated), all of them there;
 * NULL and 0 after a problem. */
const char *wire_read_text(struct wire_reader *r, size_t *bytes);
const unsigned char *wire_read_bin(struct wire_reader *r, size_t *bytes);

/* Whether bytes are well-formed UTF-8 without control characters (C0, DEL, C1).
 * Source: RFC 3629, section 4. */
bool wire_text_is_printable(const char *text, size_t bytes);

#endif
