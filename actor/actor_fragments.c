/* Acting: fragments begin, are stepped side by side and go out. */
#include <inttypes.h>
#include <stdio.h>

#include "actor/acting.h"
#include "actor/actor_private.h"

enum { TOLD_ONE_BY_ONE = 5 };    /* episodes that broke down */

bool actor_is_between_fragments(const struct actor *a)
{
    for (int i = 0; i < a->work.n_streams; i++)
        if (stream_is_open(&a->work.streams[i]))
            return false;
    return true;
}

bool actor_wants_frames(const struct actor *a)
{
    return a->max_staleness > 0 || actor_is_between_fragments(a);
}

/* The clock of a wait: runs from the first time that `is_waiting`, and adds to `total_us` when it is over. */
static void keep_time(bool is_waiting, int64_t now_us, int64_t *since_us, int64_t *total_us)
{
    if (is_waiting && *since_us < 0)
        *since_us = now_us;
    if (is_waiting || *since_us < 0)
        return;
    *total_us += now_us - *since_us;
    *since_us = -1;
}

/* Whether a stream may begin a fragment; in mode gradients all may or none. */
static bool may_begin(const struct actor *a, const struct stream *s, int64_t round)
{
    const struct stream *of = a->work.gradients ? &a->work.streams[0] : s;
    return (round < 0 || of->sequence == round) && of->sequence - of->acked < a->credit;
}

/* Between fragments: open what credit and parameters allow. Returns whether any stream is open now. */
static bool begin_fragments(struct actor *a, int64_t now_us)
{
    struct work *w = &a->work;
    const int64_t round = a->lag >= 0 ? actor_next_round(a) : -1;
    bool did = false, has_credit = false;
    for (int i = 0; i < w->n_streams; i++)
        has_credit |= may_begin(a, &w->streams[i], round);
    const bool has_version = actor_hold_version(a, round);
    keep_time(!has_version, now_us, &a->waiting_since_us, &a->counts.parameters_us);
    keep_time(has_version && !has_credit, now_us, &a->idle_since_us, &a->counts.credit_us);
    /* In rounds there is nothing to ask for before the round that gives it is done. */
    const bool is_missing = !has_version && (round < 0 || a->needed >= 0);
    a->missing_since_us = !is_missing ? -1 : a->missing_since_us < 0 ? now_us : a->missing_since_us;
    if (!has_credit || !has_version)
        return false;
    for (int i = 0; i < w->n_streams; i++) {
        struct stream *s = &w->streams[i];
        if (!may_begin(a, s, round))
            continue;
        stream_begin(s, frame_pool_take(w->frames), now_us);
        did = true;
    }
    return did;
}

/* Whoever took the stream over could not go on from here: end as in a crash, so that it goes on from
 * the state before, and after a few of those with new episodes. */
static void on_bad_state(struct actor *a, const struct stream *s)
{
    actor_end(a, ERR_TEMPORARY, "environment %s, stream %" PRId64 ", step %d of its episode: get_state gave "
              "numbers that are not finite; let it write finite numbers only",
              env_spec(a->work.model)->name, s->number, env_elapsed(s->env));
}

static void finish_fragment(struct actor *a, struct stream *s, int64_t now_us)
{
    struct message m;
    message_init(&m, MESSAGE_FRAGMENT);
    stream_describe(s, &m.fragment, now_us);
    if (a->wants_state && stream_save(s, &m.fragment.state) != 0) {
        on_bad_state(a, s);
        return;
    }
    m.fragment.run = a->run;
    m.fragment.epoch = a->epoch;
    m.fragment.incarnation = a->setup.incarnation;
    m.fragment.version = a->version;
    a->counts.sent++;
    a->out.send(a->out.context, stream_pack(s, &m), true);
}

/* Mode gradients: all streams began together and end together. */
static void finish_round(struct actor *a, int64_t now_us)
{
    struct work *w = &a->work;
    struct message m;
    for (int i = 0; i < w->n_streams; i++)
        if (!stream_is_complete(&w->streams[i]))
            return;
    message_init(&m, MESSAGE_GRADIENT);
    m.gradient.run = a->run;
    m.gradient.epoch = a->epoch;
    m.gradient.incarnation = a->setup.incarnation;
    m.gradient.version = a->version;
    struct frame *f = gradients_make(w->gradients, &m, w->streams, now_us);
    a->counts.sent++;
    a->out.send(a->out.context, f, true);
}

static void finish_fragments(struct actor *a, int64_t now_us)
{
    if (a->work.gradients) {
        finish_round(a, now_us);
        return;
    }
    for (int i = 0; i < a->work.n_streams && a->phase == ACTOR_ACTING; i++)
        if (stream_is_complete(&a->work.streams[i]))
            finish_fragment(a, &a->work.streams[i], now_us);
}

/* Actions for n open streams, at most ACTING_GROUP, each from its own sequence. */
static void choose_actions(struct actor *a, struct stream *const *open, int n)
{
    const struct work *w = &a->work;
    acting_choose(&(struct acting){ w->policy, &w->exploration, a->is_random, w->noise }, open, n);
}

/* An episode broke down. The first are told one by one, then every time their number has doubled. */
static void on_diverged(struct actor *a, const struct stream *s)
{
    char line[320];
    int64_t n = ++a->counts.diverged;
    if (n > TOLD_ONE_BY_ONE && (n & (n - 1)) != 0)
        return;
    snprintf(line, sizeof(line), "environment %s, stream %" PRId64 ": the simulation broke down (numbers "
             "that are not finite) in step %" PRIu32 " of its episode, after %" PRId64 " transitions of "
             "this actor; the episode was truncated, %" PRId64 " so far", env_spec(a->work.model)->name,
             s->number, s->lengths[s->n_episodes - 1], a->counts.steps, n);
    (a->out.trouble ? a->out.trouble : a->out.log)(a->out.context, line);
}

bool actor_step(struct actor *a, int64_t now_us)
{
    struct work *w = &a->work;
    struct stream *open[ACTING_GROUP], *broken[ACTING_GROUP];
    int n_steps = 0;
    if (a->phase != ACTOR_ACTING)
        return false;
    if (!actor_is_between_fragments(a) && actor_is_outdated(a))
        for (int i = 0; i < w->n_streams; i++)
            if (stream_is_open(&w->streams[i]))
                stream_close(&w->streams[i]);
    finish_fragments(a, now_us);
    if (actor_is_between_fragments(a) && !begin_fragments(a, now_us))
        return false;
    for (int i = 0; i < w->n_streams;) {
        int n = 0;
        for (; i < w->n_streams && n < ACTING_GROUP; i++)
            if (stream_is_open(&w->streams[i]))
                open[n++] = &w->streams[i];
        choose_actions(a, open, n);
        const int n_broken = streams_step(open, n, broken);
        for (int k = 0; k < n_broken; k++)
            on_diverged(a, broken[k]);
        n_steps += n;
    }
    a->counts.steps += n_steps;
    watch_count(a->setup.watch, a->counts.steps);
    finish_fragments(a, now_us);
    return true;
}
