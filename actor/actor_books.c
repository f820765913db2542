/* The learner's books, snapshots, and which version is held. A snapshot waits in `pending` until no stream is inside a
 * fragment; in rounds it may be older than the one held. */
#include <inttypes.h>
#include <string.h>

#include "actor/actor_private.h"
#include "common/digest.h"

void actor_on_snapshot(struct actor *a, const struct snapshot *s)
{
    int64_t held = a->version > a->pending_version ? a->version : a->pending_version;
    const bool is_needed = a->needed >= 0 && s->version == a->needed && a->needed != a->version;
    if (s->run != a->run || s->epoch != a->epoch || (s->version <= held && !is_needed))
        return;
    if (s->parameters.size != a->work.n_params * sizeof(float)
        || digest_crc32(s->parameters.data, s->parameters.size) != (uint32_t)s->checksum) {
        actor_say(a, "a snapshot of version %" PRId64 " arrived damaged and was thrown away", s->version);
        return;
    }
    memcpy(a->work.pending, s->parameters.data, s->parameters.size);
    a->pending_version = s->version;
    a->pending_random = s->random;
}

int64_t actor_next_round(const struct actor *a)
{
    int64_t round = INT64_MAX;
    for (int i = 0; i < a->work.n_streams; i++)
        if (a->work.streams[i].sequence < round)
            round = a->work.streams[i].sequence;
    return round;
}

/* The version that `round` is acted with: what is behind round - lag rounds, or the first. -1: not known yet. */
static int64_t version_of_round(const struct actor *a, int64_t round)
{
    const int64_t behind = round > a->lag ? round - a->lag : 0;
    return a->round < 0             ? -1
         : behind == a->round       ? a->start_version
         : behind == a->round - 1   ? a->previous
                                    : -1;
}

/* In rounds: ask by name for what comes next, where nothing was held or asked for yet. What comes next may be older
 * than the newest there is. */
static void ask_first(struct actor *a, int64_t now_us)
{
    if (a->lag < 0 || a->needed >= 0 || a->version >= 0)
        return;
    a->needed = version_of_round(a, actor_next_round(a));
    if (a->needed >= 0 && a->needed != a->pending_version)
        actor_send_want(a, now_us);
}

void actor_on_books(struct actor *a, int64_t now_us, const struct ack *books)
{
    if (books->run != a->run || books->epoch != a->epoch
        || books->acked.size != (size_t)a->work.n_streams * sizeof(int64_t))
        return;
    const int64_t newest = books->newest;
    a->newest = newest;
    a->start_version = books->start_version;
    a->round = books->round;
    a->previous = books->previous;
    a->credit = books->credit;
    for (int i = 0; i < a->work.n_streams; i++)
        a->work.streams[i].acked = bytes_i64(books->acked, (size_t)i);
    int64_t held = a->version > a->pending_version ? a->version : a->pending_version;
    if (newest <= held)
        a->behind_since_us = -1;
    else if (a->behind_since_us < 0)
        a->behind_since_us = now_us;
    ask_first(a, now_us);
}

static void adopt_pending(struct actor *a)
{
    struct work *w = &a->work;
    policy_set(w->policy, w->gradients ? gradients_adopt(w->gradients, w->pending) : w->pending);
    a->version = a->pending_version;
    a->is_random = a->pending_random;
}

/* In rounds: hold the version of the next one. Returns whether that is so. */
static bool hold_version_of_round(struct actor *a, int64_t round)
{
    a->needed = version_of_round(a, round);
    if (a->needed >= 0 && a->needed != a->version && a->needed == a->pending_version)
        adopt_pending(a);
    return a->needed >= 0 && a->needed == a->version;
}

bool actor_is_outdated(const struct actor *a)
{
    const int64_t newest = a->newest > a->pending_version ? a->newest : a->pending_version;
    return a->max_staleness > 0 && newest - a->version >= a->max_staleness;
}

/* Outside rounds: hold the newest version. Returns whether there is one that will do. */
static bool hold_newest(struct actor *a)
{
    if (a->pending_version > a->version)
        adopt_pending(a);
    return a->version >= 0 && a->version >= a->start_version && !actor_is_outdated(a);
}

bool actor_hold_version(struct actor *a, int64_t round)
{
    return round < 0 ? hold_newest(a) : hold_version_of_round(a, round);
}
