/* Messages to put to the test: an example of every type, and tools to take an encoded one apart and to put
 * another together. */
#ifndef SHOAL_TESTS_MESSAGE_DESK_H
#define SHOAL_TESTS_MESSAGE_DESK_H

#include <stdio.h>

#include "proto/message.h"

enum { CAPACITY = 8192, MAX_BYTES_FIELDS = 6 };

#define EACH_TYPE(t) (enum message_type t = 0; t < N_MESSAGE_TYPES; t++)
#define BYTES(array) (struct bytes){ (const unsigned char *)(array), sizeof(array) }
#define SET(text, value) snprintf(text, sizeof(text), "%s", value)

/* ---- examples: every field of every type, each with a value of its own ---- */

extern const float some_rows[3][6];    /* those of fragments */

/* A message of a type; `full`: with its optional fields. It borrows from static data. */
struct message example(enum message_type type, bool full);

extern const char *const optional_keys[N_MESSAGE_TYPES];    /* each between spaces; NULL: none */

/* The fields of a message that are struct bytes; how many. */
size_t bytes_fields(struct message *m, struct bytes *fields[MAX_BYTES_FIELDS]);

void check_equal(struct message a, struct message b);

/* ---- taking messages apart and putting others together ---- */

struct raw {
    unsigned char data[CAPACITY];
    size_t size;
};

void put(struct raw *r, const void *data, size_t bytes);
#define PUT(r, literal) put(r, literal, sizeof(literal) - 1)

struct entry {
    char key[32];
    unsigned char value[512];    /* as encoded */
    size_t size;
};

struct entries {
    struct entry e[64];
    size_t n;
};

struct entries take_apart(const struct message *m);
struct entry *find(struct entries *all, const char *key);
struct raw put_together(const struct entries *all);

/* Decode a copy in a block of exactly this size, so that a sanitizer sees reads behind it; the sentence about it,
 * or NULL. The struct's bytes fields point nowhere afterwards. */
const char *decode(struct message *m, const void *data, size_t size);
const char *decode_entries(const struct entries *all);

/* The sentence about a message of `type` in which `key` has another value. */
const char *with_value(enum message_type type, const char *key, const void *value, size_t bytes);
#define WITH(type, key, literal) with_value(type, key, literal, sizeof(literal) - 1)
const char *with_integer(enum message_type type, const char *key, int64_t value);
const char *with_text(enum message_type type, const char *key, const char *text);

/* `problem` is a sentence that contains `what`. */
void check_says(const char *problem, const char *what);

#endif
