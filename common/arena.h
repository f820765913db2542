/* Memory that lives as long as its owner.
 *
 * Each core has two: a *run* arena, filled once from the configuration and then sealed, and a
 * *scratch* arena, marked and reset around one update. Blocks are zeroed, prefaulted and aligned
 * to 64 bytes. Out of memory aborts with size and place, so there are no checks behind it. */
#ifndef SHOAL_COMMON_ARENA_H
#define SHOAL_COMMON_ARENA_H

#include <stddef.h>

struct arena;

struct arena_mark {
    void *chunk;
    size_t used;
};

/* An empty arena that grows by chunks of at least `chunk_bytes`. */
struct arena *arena_create(size_t chunk_bytes);
void arena_destroy(struct arena **a);

/* A zeroed block of `count` x `size` bytes, owned by the arena. A reused scratch block is
 * zeroed again. Aborts when memory is out, or when the arena is sealed and would have to grow. */
void *arena_alloc(struct arena *a, size_t count, size_t size);

/* As arena_alloc, but a reused scratch block keeps its old contents. */
void *arena_alloc_dirty(struct arena *a, size_t count, size_t size);

/* Everything allocated after `mark` is given back by arena_reset. */
struct arena_mark arena_mark(const struct arena *a);
void arena_reset(struct arena *a, struct arena_mark mark);

/* From here on the arena may not take memory from the system. */
void arena_seal(struct arena *a);

/* Bytes taken from the system. */
size_t arena_bytes(const struct arena *a);

/* calloc and realloc that abort with size and place when memory is out; for shells and set-up.
 * Free with free(). */
void *memory_alloc(size_t count, size_t size);
void *memory_grow(void *old, size_t count, size_t size);
char *memory_copy_text(const char *text);

#endif
