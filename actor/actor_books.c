/* The learner's books, snapshots, and which version is held. A snapshot waits in `pending` until no stream is inside a
 * fragment; in rounds it may be older than the one held, and the one behind it be there before its turn. */
#include <inttypes.h>
#include <string.h>

#include "actor/actor_private.h"
#include "common/digest.h"
#include "proto/rounds.h"

int64_t actor_newest_version(const struct actor *a)
{
    int64_t newest = a->version;
    for (int i = 0; i < a->work.n_pending; i++)
        if (a->work.pending[i].version > newest)
            newest = a->work.pending[i].version;
    return newest;
}

static struct pending *find_pending(struct actor *a, int64_t version)
{
    for (int i = 0; i < a->work.n_pending; i++)
        if (a->work.pending[i].version == version)
            return &a->work.pending[i];
    return NULL;
}

static struct pending *find_oldest(struct actor *a)
{
    struct pending *oldest = &a->work.pending[0];
    for (int i = 1; i < a->work.n_pending; i++)
        if (a->work.pending[i].version < oldest->version)
            oldest = &a->work.pending[i];
    return oldest;
}

void actor_on_snapshot(struct actor *a, const struct snapshot *s)
{
    const bool is_needed = s->version == a->needed && a->needed != a->version && !find_pending(a, s->version);
    if (s->run != a->run || s->epoch != a->epoch || (s->version <= actor_newest_version(a) && !is_needed))
        return;
    if (s->parameters.size != a->work.n_params * sizeof(float)
        || digest_crc32(s->parameters.data, s->parameters.size) != (uint32_t)s->checksum) {
        actor_say(a, "a snapshot of version %" PRId64 " arrived damaged and was thrown away", s->version);
        return;
    }
    struct pending *p = find_oldest(a);
    memcpy(p->params, s->parameters.data, s->parameters.size);
    p->version = s->version;
    p->is_random = s->random;
}

int64_t actor_next_round(const struct actor *a)
{
    int64_t round = INT64_MAX;
    for (int i = 0; i < a->work.n_streams; i++)
        if (a->work.streams[i].sequence < round)
            round = a->work.streams[i].sequence;
    return round;
}

static int64_t version_of_round(const struct actor *a, int64_t round)
{
    return round_version(round, a->lag, a->round, a->start_version, a->previous);
}

/* In rounds: ask by name for what comes next, where nothing was held or asked for yet. What comes next may be older
 * than the newest there is. */
static void ask_first(struct actor *a, int64_t now_us)
{
    if (a->lag < 0 || a->needed >= 0 || a->version >= 0)
        return;
    a->needed = version_of_round(a, actor_next_round(a));
    if (a->needed >= 0 && !find_pending(a, a->needed))
        actor_send_want(a, now_us);
}

/* Whether something of ours was learnt from that we have yet to collect. In rounds it is so where fragments were under
 * way when WELCOME was written: it did not know of them, and the rounds it begins with are over. */
static bool has_gone_on(const struct actor *a)
{
    for (int i = 0; a->lag >= 0 && i < a->work.n_streams; i++)
        if (a->work.streams[i].acked > a->work.streams[i].sequence)
            return true;
    return false;
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
    if (newest <= actor_newest_version(a))
        a->behind_since_us = -1;
    else if (a->behind_since_us < 0)
        a->behind_since_us = now_us;
    if (has_gone_on(a)) {
        actor_say(a, "the learner has gone on from where this actor was told to begin; joining again");
        actor_rejoin(a, now_us);
        return;
    }
    ask_first(a, now_us);
}

static void adopt(struct actor *a, const struct pending *p)
{
    struct work *w = &a->work;
    policy_set(w->policy, w->gradients ? gradients_adopt(w->gradients, p->params) : p->params);
    a->version = p->version;
    a->is_random = p->is_random;
}

/* In rounds: hold the version of the next one. Returns whether that is so. */
static bool hold_version_of_round(struct actor *a, int64_t round)
{
    a->needed = version_of_round(a, round);
    const struct pending *p = a->needed >= 0 && a->needed != a->version ? find_pending(a, a->needed) : NULL;
    if (p)
        adopt(a, p);
    return a->needed >= 0 && a->needed == a->version;
}

bool actor_is_outdated(const struct actor *a)
{
    const int64_t known = actor_newest_version(a), newest = a->newest > known ? a->newest : known;
    return a->max_staleness > 0 && newest - a->version >= a->max_staleness;
}

/* Outside rounds: hold the newest version. Returns whether there is one that will do. */
static bool hold_newest(struct actor *a)
{
    const int64_t newest = actor_newest_version(a);
    if (newest > a->version)
        adopt(a, find_pending(a, newest));
    return a->version >= 0 && a->version >= a->start_version && !actor_is_outdated(a);
}

bool actor_hold_version(struct actor *a, int64_t round)
{
    return round < 0 ? hold_newest(a) : hold_version_of_round(a, round);
}
