/* Frames are passed on as they are: nobody changes one that was sent. */
#include "deploy/simulation_private.h"

#include <stdlib.h>

#include "common/arena.h"

/* Snapshots that may still be under way to somebody: older ones are lost. */
enum { LEAST_KEPT = 128, KEPT_BYTES = 64 << 20 };

void network_create(struct simulation *s, size_t snapshot_bytes)
{
    const uint64_t fit = KEPT_BYTES / snapshot_bytes;
    const uint64_t least = (uint64_t)s->conditions.staleness + LEAST_KEPT;
    s->n_kept = fit > least ? fit : least;
    s->publications = memory_alloc(s->n_kept, sizeof(*s->publications));
}

void network_destroy(struct simulation *s)
{
    for (int i = 0; i < s->n_actors; i++) {
        network_cut(s, &s->actors[i].up);
        network_cut(s, &s->actors[i].down);
    }
    for (struct parcel *p = s->unused, *next; p; p = next) {
        next = p->next;
        free(p);
    }
    for (uint64_t i = 0; s->publications && i < s->n_kept; i++)
        frame_release(s->publications[i].frame);
    free(s->publications);
}

/* ---- experience and control ---- */

/* Append, to arrive behind what was sent before. */
static int64_t append(struct simulation *s, struct channel *c, struct frame *f, uint64_t peer, int64_t at_ns)
{
    struct parcel *p = s->unused;
    if (p)
        s->unused = p->next;
    else
        p = memory_alloc(1, sizeof(*p));
    c->n_sent++;
    c->last_ns = at_ns > c->last_ns ? at_ns : c->last_ns;
    *p = (struct parcel){ .frame = f, .peer = peer, .at_ns = c->last_ns };
    if (c->tail)
        c->tail->next = p;
    else
        c->head = p;
    c->tail = p;
    return c->last_ns;
}

static struct frame *remove_first(struct simulation *s, struct channel *c)
{
    struct parcel *p = c->head;
    c->head = p->next;
    if (!c->head)
        c->tail = NULL;
    p->next = s->unused;
    s->unused = p;
    return p->frame;
}

/* How long the next message of a channel travels; what is lost is sent again. */
static int64_t delay_ns(const struct simulation *s, const struct distribution *d, int actor, enum draw purpose,
                        enum draw loss, uint64_t i)
{
    const double us = simulation_draw(s, d, actor, purpose, i);
    return simulation_ns(us + s->conditions.retransmit_us
                              * simulation_strikes_in_a_row(s, s->conditions.loss, actor, loss, i));
}

void network_send_up(struct simulation *s, int actor, struct frame *f, int64_t sent_ns)
{
    struct channel *c = &s->actors[actor].up;
    const int64_t delay = delay_ns(s, &s->conditions.up_us, actor, DRAW_UP, DRAW_UP_LOSS, c->n_sent);
    append(s, c, f, s->actors[actor].peer, delay < AGENDA_NEVER - sent_ns ? sent_ns + delay : AGENDA_NEVER);
    agenda_set(s->agenda, simulation_up_source(actor), c->head->at_ns);
}

/* A snapshot that was asked for comes outside the fast path: held back, it is none that is wanted. */
static bool is_held_back(const struct simulation *s, const struct frame *f)
{
    return s->conditions.staleness > 0 && s->n_published > 0
        && s->publications[(s->n_published - 1) % s->n_kept].frame == f;
}

void network_send_down(struct simulation *s, uint64_t peer, struct frame *f)
{
    const int actor = (int)((peer - 1) % (uint64_t)s->n_actors);
    struct simulated_actor *a = &s->actors[actor];
    if (!a->core || a->peer != peer || is_held_back(s, f)) {
        frame_release(f);
        return;
    }
    const int64_t delay = delay_ns(s, &s->conditions.down_us, actor, DRAW_DOWN, DRAW_DOWN_LOSS, a->down.n_sent);
    simulated_actor_expect(s, actor, append(s, &a->down, f, peer, simulation_after(s, delay)));
}

struct frame *network_receive(struct simulation *s, struct channel *c, uint64_t *peer)
{
    if (!c->head || c->head->at_ns > s->now_ns)
        return NULL;
    if (peer)
        *peer = c->head->peer;
    return remove_first(s, c);
}

void network_cut(struct simulation *s, struct channel *c)
{
    while (c->head)
        frame_release(remove_first(s, c));
    c->last_ns = 0;
}

/* ---- the fast path of snapshots ---- */

void network_publish(struct simulation *s, struct frame *f)
{
    struct publication *p = &s->publications[s->n_published++ % s->n_kept];
    frame_release(p->frame);
    *p = (struct publication){ f, s->now_ns };
    simulated_actors_expect_snapshot(s);
}

static const struct publication *publication(const struct simulation *s, uint64_t number)
{
    return &s->publications[number % s->n_kept];
}

/* When publication `number` reaches an actor; never, when it is lost. */
static int64_t arrival_ns(const struct simulation *s, int actor, uint64_t number)
{
    if (simulation_strikes(s, s->conditions.loss, actor, DRAW_SNAPSHOT_LOSS, number))
        return AGENDA_NEVER;
    const int64_t delay = simulation_ns(simulation_draw(s, &s->conditions.down_us, actor, DRAW_SNAPSHOT, number));
    return delay < AGENDA_NEVER - publication(s, number)->at_ns ? publication(s, number)->at_ns + delay
                                                                : AGENDA_NEVER;
}

/* The oldest publication that is kept and that an actor may not have seen. */
static uint64_t first_of_interest(const struct simulation *s, int actor)
{
    const uint64_t kept = s->n_published > s->n_kept ? s->n_published - s->n_kept : 0;
    return s->actors[actor].seen > kept ? s->actors[actor].seen : kept;
}

/* Held back by so many versions, and there at once. */
static struct frame *old_snapshot(const struct simulation *s)
{
    const uint64_t newest = s->n_published - 1, age = (uint64_t)s->conditions.staleness;
    return s->n_published == 0 ? NULL : publication(s, newest > age ? newest - age : 0)->frame;
}

/* The newest that has arrived, also in rounds, where the real link has each in turn: what is passed over is asked
 * for. */
struct frame *network_snapshot(struct simulation *s, int actor)
{
    if (s->conditions.staleness > 0)
        return old_snapshot(s);
    for (uint64_t i = s->n_published, first = first_of_interest(s, actor); i > first; i--) {
        if (arrival_ns(s, actor, i - 1) > s->now_ns)
            continue;
        s->actors[actor].seen = i;
        return publication(s, i - 1)->frame;
    }
    return NULL;
}

int64_t network_next_snapshot(const struct simulation *s, int actor)
{
    int64_t next_ns = AGENDA_NEVER;
    if (s->conditions.staleness > 0)
        return AGENDA_NEVER;
    for (uint64_t i = first_of_interest(s, actor); i < s->n_published; i++) {
        const int64_t at_ns = arrival_ns(s, actor, i);
        next_ns = at_ns < next_ns ? at_ns : next_ns;
    }
    return next_ns;
}
