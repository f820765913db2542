#include "common/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGNMENT = 64, HUGE_PAGE = 2 << 20 };

struct chunk {
    struct chunk *next;
    size_t capacity;    /* of data[] */
    size_t used;
    unsigned char *data;
};

struct arena {
    struct chunk *first, *last;
    size_t chunk_bytes;
    size_t total;
    bool is_sealed;
};

static void out_of_memory(const char *where, size_t bytes)
{
    fprintf(stderr, "shoal: out of memory: %s needs %zu bytes\n", where, bytes);
    abort();
}

struct arena *arena_create(size_t chunk_bytes)
{
    struct arena *a = memory_alloc(1, sizeof(*a));
    a->chunk_bytes = chunk_bytes;
    return a;
}

void arena_destroy(struct arena **a)
{
    if (!*a)
        return;
    for (struct chunk *c = (*a)->first, *next; c; c = next) {
        next = c->next;
        free(c->data);
        free(c);
    }
    free(*a);
    *a = NULL;
}

/* Append a chunk of at least `bytes`, touched page by page so that no update pays for a fault. */
static struct chunk *grow(struct arena *a, size_t bytes)
{
    if (a->is_sealed) {
        fprintf(stderr, "shoal: an arena of %zu bytes was sealed and is asked for %zu more\n",
                a->total, bytes);
        abort();
    }
    size_t capacity = bytes > a->chunk_bytes ? bytes : a->chunk_bytes;
    size_t align = capacity >= HUGE_PAGE ? HUGE_PAGE : 4096;
    capacity = (capacity + align - 1) / align * align;
    struct chunk *c = memory_alloc(1, sizeof(*c));
    c->data = aligned_alloc(align, capacity);
    if (!c->data)
        out_of_memory("arena", capacity);
    if (align == HUGE_PAGE)
        madvise(c->data, capacity, MADV_HUGEPAGE);
    memset(c->data, 0, capacity);
    c->capacity = capacity;
    if (a->last)
        a->last->next = c;
    else
        a->first = c;
    a->last = c;
    a->total += capacity;
    return c;
}

void *arena_alloc_dirty(struct arena *a, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / 2 / size)
        out_of_memory("arena (size overflow)", SIZE_MAX);
    size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct chunk *c = a->last;
    if (!c || c->capacity - c->used < bytes) {
        /* After a reset the chunks behind `last` are empty: take the first that fits. */
        for (c = c ? c->next : a->first; c && c->capacity < bytes; c = c->next)
            c->used = 0;
        if (c) {
            c->used = 0;
            a->last = c;
        } else {
            while (a->last && a->last->next)
                a->last = a->last->next;
            c = grow(a, bytes);
        }
    }
    void *block = c->data + c->used;
    c->used += bytes;
    return block;
}

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
    void *block = arena_alloc_dirty(a, count, size);
    memset(block, 0, count * size);
    return block;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){ a->last, a->last ? a->last->used : 0 };
}

void arena_reset(struct arena *a, struct arena_mark mark)
{
    if (mark.chunk) {
        a->last = mark.chunk;
        a->last->used = mark.used;
    } else if (a->first) {
        a->last = a->first;
        a->first->used = 0;
    }
}

void arena_seal(struct arena *a)
{
    a->is_sealed = true;
}

size_t arena_bytes(const struct arena *a)
{
    return a->total;
}

void *memory_alloc(size_t count, size_t size)
{
    void *block = calloc(count ? count : 1, size ? size : 1);
    if (!block)
        out_of_memory("allocation", count * size);
    return block;
}

void *memory_grow(void *old, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        out_of_memory("allocation (size overflow)", SIZE_MAX);
    size_t bytes = count * size;
    void *block = realloc(old, bytes ? bytes : 1);
    if (!block)
        out_of_memory("allocation", bytes);
    return block;
}

char *memory_copy_text(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(memory_alloc(1, bytes), text, bytes);
}
