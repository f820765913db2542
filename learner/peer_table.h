/* Which place a peer has: open addressing, found in a step or two however many there are.
 *
 * Invariant: an entry stands at the first free index from its own on, so that a search ends at the first empty one;
 * taking one out closes the gap. At most half of the table is in use, and it never grows. A peer that has picked its
 * number so that others are in its way costs at most a look at every member. */
#ifndef SHOAL_LEARNER_PEER_TABLE_H
#define SHOAL_LEARNER_PEER_TABLE_H

#include <stdint.h>

struct peer_table {
    struct peer_place { uint64_t peer; int place; } *entries;    /* [capacity]; place -1: empty */
    uint32_t capacity;      /* a power of two */
    int shift;              /* 64 - log2(capacity) */
};

/* Room for n peers, none of them there yet. */
void peer_table_init(struct peer_table *t, int n);
void peer_table_fini(struct peer_table *t);

/* Its place, or -1. */
int peer_table_find(const struct peer_table *t, uint64_t peer);

/* Give it a place >= 0, instead of the one it may have. */
void peer_table_put(struct peer_table *t, uint64_t peer, int place);

/* Nothing where it has none. */
void peer_table_remove(struct peer_table *t, uint64_t peer);

#endif
