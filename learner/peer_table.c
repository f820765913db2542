#include "learner/peer_table.h"

#include <assert.h>
#include <stdlib.h>

#include "common/arena.h"

void peer_table_init(struct peer_table *t, int n)
{
    *t = (struct peer_table){ .capacity = 2, .shift = 63 };
    for (; t->capacity / 2 < (uint32_t)n; t->capacity *= 2)
        t->shift--;
    t->entries = memory_alloc(t->capacity, sizeof(*t->entries));
    for (uint32_t i = 0; i < t->capacity; i++)
        t->entries[i].place = -1;
}

void peer_table_fini(struct peer_table *t)
{
    free(t->entries);
    *t = (struct peer_table){ 0 };
}

/* Where the search for it begins: the upper bits of its product with 2^64 / golden ratio, which spreads neighbours.
 * Source: Knuth, The Art of Computer Programming, vol. 3, section 6.4, "Fibonacci hashing". */
static uint32_t home(const struct peer_table *t, uint64_t peer)
{
    return (uint32_t)(peer * 0x9e3779b97f4a7c15u >> t->shift);
}

static uint32_t after(const struct peer_table *t, uint32_t i)
{
    return (i + 1) & (t->capacity - 1);
}

/* Its entry, or the empty one that it would get. */
static uint32_t search(const struct peer_table *t, uint64_t peer)
{
    uint32_t i = home(t, peer);
    while (t->entries[i].place >= 0 && t->entries[i].peer != peer)
        i = after(t, i);
    return i;
}

int peer_table_find(const struct peer_table *t, uint64_t peer)
{
    return t->entries[search(t, peer)].place;
}

void peer_table_put(struct peer_table *t, uint64_t peer, int place)
{
    assert(place >= 0);
    t->entries[search(t, peer)] = (struct peer_place){ peer, place };
}

void peer_table_remove(struct peer_table *t, uint64_t peer)
{
    const uint32_t mask = t->capacity - 1;
    uint32_t gap = search(t, peer);
    if (t->entries[gap].place < 0)
        return;
    /* Whoever stands behind the gap moves into it, unless its own index lies behind the gap, too. */
    for (uint32_t i = after(t, gap); t->entries[i].place >= 0; i = after(t, i)) {
        const uint32_t way = (i - home(t, t->entries[i].peer)) & mask, back = (i - gap) & mask;
        if (way < back)
            continue;
        t->entries[gap] = t->entries[i];
        gap = i;
    }
    t->entries[gap].place = -1;
}
