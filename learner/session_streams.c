/* Who steps which streams. A slot's own are envs_per_actor neighbours. In rounds, where streams carry their state
 * along, actors that are here stand in for those that vanished: no result depends on who steps a stream. */
#include <inttypes.h>

#include "common/arena.h"
#include "learner/session_private.h"

static void give(struct session *s, struct slot *slot, uint32_t stream)
{
    if (slot->n_streams == slot->capacity) {
        slot->capacity = slot->capacity ? 2 * slot->capacity : (int)s->per_slot;
        slot->streams = memory_grow(slot->streams, (size_t)slot->capacity, sizeof(*slot->streams));
    }
    slot->streams[slot->n_streams++] = stream;
    s->streams[stream].owner = (int)(slot - s->slots);
}

void session_share_out(struct session *s)
{
    const struct settings *settings = s->setup.settings;
    const size_t room = (size_t)settings->transport.max_message_bytes;
    s->max_streams = (int)s->per_slot;
    while (s->is_lockstep && s->max_streams < s->n_streams && s->max_streams < MESSAGE_MAX_STREAMS
           && session_welcome_bytes(s, (size_t)s->max_streams + 1) <= room)
        s->max_streams++;
    for (int64_t i = 0; i < s->n_streams; i++)
        give(s, &s->slots[i / s->per_slot], (uint32_t)i);
}

/* The actor here that steps the fewest streams and has room for one more, or NULL. */
static struct slot *least_busy(struct session *s)
{
    struct slot *least = NULL;
    for (int i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->is_connected && slot->n_streams < s->max_streams && (!least || slot->n_streams < least->n_streams))
            least = slot;
    }
    return least;
}

static bool is_anybody_here(const struct session *s)
{
    for (int i = 0; i < s->n_slots; i++)
        if (s->slots[i].is_connected)
            return true;
    return false;
}

/* Everything that `absent` steps goes to others, as far as there is room. Returns whether anything did; what is
 * left waits, and that is said once. */
static bool share(struct session *s, struct slot *absent, double absent_s)
{
    const char *name = absent->name[0] ? absent->name : "(not joined yet)";
    int n = 0;
    struct slot *to;
    while (absent->n_streams > 0 && (to = least_busy(s))) {
        give(s, to, absent->streams[--absent->n_streams]);
        to->wants_welcome = true;
        n++;
    }
    if (n > 0)
        session_say(s, "actor %s has been away for %.0f s: others step %d stream%s for it until it is back "
                    "(sync.strict would wait)%s", name, absent_s, n, n == 1 ? "" : "s",
                    s->wants_state ? "" : "; they and those of whoever steps them begin new episodes, as this "
                    "environment cannot save its state");
    if (absent->n_streams > 0 && !absent->was_told_waiting && is_anybody_here(s)) {
        absent->was_told_waiting = true;
        session_say(s, "the round waits: actor %s is away, and nobody here has room for %d stream%s of it (at most %d "
                    "each)", name, absent->n_streams, absent->n_streams == 1 ? "" : "s", s->max_streams);
    }
    return n > 0;
}

static void welcome_the_changed(struct session *s)
{
    for (int i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->is_connected && slot->wants_welcome)
            session_welcome(s, slot);
        slot->wants_welcome = false;
    }
}

void session_stand_in(struct session *s, int64_t now_us)
{
    const int64_t patience_us = (int64_t)(s->setup.settings->sync.takeover_s * 1e6);
    bool did = false;
    for (int i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        const int64_t since_us = slot->left_us > s->began_us ? slot->left_us : s->began_us;
        if (slot->is_connected || slot->n_streams == 0 || now_us - since_us < patience_us)
            continue;
        did |= share(s, slot, (double)(now_us - since_us) * 1e-6);
    }
    if (did)
        welcome_the_changed(s);
}

static void take_away(struct slot *slot, uint32_t stream)
{
    int n = 0;
    for (int i = 0; i < slot->n_streams; i++)
        if (slot->streams[i] != stream)
            slot->streams[n++] = slot->streams[i];
    slot->n_streams = n;
}

void session_give_back(struct session *s, struct slot *slot)
{
    const int64_t me = slot - s->slots, first = me * s->per_slot;
    int n = 0;
    for (int64_t i = first; i < first + s->per_slot; i++) {
        struct slot *owner = &s->slots[s->streams[i].owner];
        if (owner == slot)
            continue;
        take_away(owner, (uint32_t)i);
        owner->wants_welcome = true;
        give(s, slot, (uint32_t)i);
        n++;
    }
    if (n == 0)
        return;
    session_say(s, "actor %s is back and gets its %d stream%s", slot->name, n, n == 1 ? "" : "s");
    slot->wants_welcome = false;    /* it gets one from whoever let it in */
    welcome_the_changed(s);
}
