/* A heap of all sources, each with four below it: setting one moves it up or down. */
#include "deploy/simulation_agenda.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/arena.h"

enum { BRANCHES = 4 };

struct entry {
    int64_t at_ns;
    int source;
};

struct agenda {
    int n;
    int *place;              /* [n] of a source in the heap */
    struct entry heap[];     /* [n] */
};

struct agenda *agenda_create(int n)
{
    struct agenda *a = memory_alloc(1, sizeof(*a) + (size_t)n * sizeof(a->heap[0]));
    a->n = n;
    a->place = memory_alloc((size_t)n, sizeof(*a->place));
    for (int i = 0; i < n; i++) {
        a->heap[i] = (struct entry){ AGENDA_NEVER, i };
        a->place[i] = i;
    }
    return a;
}

void agenda_destroy(struct agenda **a)
{
    if (!*a)
        return;
    free((*a)->place);
    free(*a);
    *a = NULL;
}

static bool is_before(struct entry a, struct entry b)
{
    return a.at_ns < b.at_ns || (a.at_ns == b.at_ns && a.source < b.source);
}

static void put(struct agenda *a, int i, struct entry e)
{
    a->heap[i] = e;
    a->place[e.source] = i;
}

static void move_up(struct agenda *a, int i, struct entry e)
{
    while (i > 0 && is_before(e, a->heap[(i - 1) / BRANCHES])) {
        put(a, i, a->heap[(i - 1) / BRANCHES]);
        i = (i - 1) / BRANCHES;
    }
    put(a, i, e);
}

static void move_down(struct agenda *a, int i, struct entry e)
{
    for (int first; (first = BRANCHES * i + 1) < a->n;) {
        int least = first;
        for (int k = first + 1; k < first + BRANCHES && k < a->n; k++)
            if (is_before(a->heap[k], a->heap[least]))
                least = k;
        if (!is_before(a->heap[least], e))
            break;
        put(a, i, a->heap[least]);
        i = least;
    }
    put(a, i, e);
}

void agenda_set(struct agenda *a, int source, int64_t at_ns)
{
    const int i = a->place[source];
    const int64_t before_ns = a->heap[i].at_ns;
    if (at_ns < before_ns)
        move_up(a, i, (struct entry){ at_ns, source });
    else if (at_ns > before_ns)
        move_down(a, i, (struct entry){ at_ns, source });
}

int64_t agenda_at(const struct agenda *a, int source)
{
    return a->heap[a->place[source]].at_ns;
}

int agenda_next(const struct agenda *a, int64_t *at_ns)
{
    *at_ns = a->heap[0].at_ns;
    return a->heap[0].source;
}
