/* What the session does with a fragment: accept it once, or refuse it for a reason. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/digest.h"
#include "common/row.h"
#include "learner/session_private.h"
#include "proto/rounds.h"

const char *session_piece(const struct session *s)
{
    return s->is_gradients ? "gradient" : "fragment";
}

/* The stream goes on behind `h`; so do all of the actor's where they go on together. */
static void move_on(struct session *s, const struct slot *slot, const struct fragment_header *h)
{
    s->streams[h->stream].next_sequence = h->sequence + 1;
    for (int i = 0; s->is_gradients && i < slot->n_streams; i++)
        s->streams[slot->streams[i]].next_sequence = h->sequence + 1;
}

static int64_t version_of_round(const struct session *s, int64_t round)
{
    return round_version(round, session_lag(s), s->round, s->start_version, s->previous);
}

static void send_refusal(struct session *s, const struct slot *slot, enum rejection r,
                         const struct fragment_header *h, const char *why)
{
    session_send_reject(s, slot->peer, session_piece(s), r, false, h, "%s %" PRId64 " of stream %" PRId64
                        " refused: %s", session_piece(s), h->sequence, h->stream, why);
}

/* A round goes on without it, and the schedule tells what its stream did. */
struct fragment *session_refuse(struct session *s, struct slot *slot, enum rejection r,
                                const struct fragment_header *h, const char *why)
{
    send_refusal(s, slot, r, h, why);
    session_say(s, "actor %s: %s %" PRId64 " of stream %" PRId64 " refused (%s): %s", slot->name,
                session_piece(s), h->sequence, h->stream, rejection_word(r), why);
    move_on(s, slot, h);
    const int64_t T = settings_message_transitions(s->setup.settings);
    const int64_t newest = s->versions[0] > 0 ? s->versions[0] : 0, due = version_of_round(s, h->sequence);
    struct fragment *empty = fragment_pool_take(s->setup.fragments);
    empty->stream = h->stream;
    empty->life = h->life;
    empty->sequence = h->sequence;
    empty->version = due >= 0 ? due : h->version < newest ? h->version : newest;    /* one that there was */
    empty->n_transitions = (int)(h->n_transitions < T ? h->n_transitions : T);
    return empty;
}

/* What row_check does not know: the run's choices, and where its fragments must end. NULL: all is well. */
static const char *inspect_rows(const struct session *s, const struct fragment_header *h)
{
    const size_t stride = (size_t)row_stride(s->shape);
    const int n_choices = s->setup.spec->n_choices;
    const bool is_short = h->n_transitions < s->setup.settings->actor.horizon;
    for (size_t i = 0; i + 1 < (size_t)h->n_rows; i++) {
        const unsigned char *row = h->rows.data + i * stride * sizeof(float);
        const bool is_last = i + 2 == (size_t)h->n_rows;
        float action, kind;
        memcpy(&action, row + (size_t)row_act(s->shape) * sizeof(float), sizeof(action));
        memcpy(&kind, row + (size_t)row_kind(s->shape) * sizeof(float), sizeof(kind));
        if (n_choices && kind != ROW_CLOSE
            && !(action >= 0 && action < (float)n_choices && action == (float)(int)action))
            return "an action is none of the choices";
        if (!s->setup.traits->takes_whole_episodes)
            continue;
        if (kind != ROW_STEP && !is_last)
            return "it goes on behind the end of an episode, where this run's fragments end";
        if (kind == ROW_STEP && is_last && is_short && s->setup.settings->learner.max_staleness == 0)
            return "it ends before the horizon and before its episode does";
    }
    return NULL;
}

/* What is wrong with the version that acted, or NULL. */
static const char *inspect_version(const struct session *s, const struct fragment_header *h)
{
    static _Thread_local char text[256];
    const int64_t due = version_of_round(s, h->sequence);
    if (h->version > s->versions[0] || h->version < 0)
        snprintf(text, sizeof(text), "it was acted with version %" PRId64 ", but the newest is %" PRId64, h->version,
                 s->versions[0]);
    else if (s->round >= 0 && due < 0)
        snprintf(text, sizeof(text), "it was acted with version %" PRId64 ", but round %" PRId64 " is acted with the one "
                 "behind %" PRId64 " rounds, and %" PRId64 " are done", h->version, h->sequence,
                 rounds_before(h->sequence, session_lag(s)), s->round);
    else if (s->round >= 0 && h->version != due)
        snprintf(text, sizeof(text), "it was acted with version %" PRId64 ", but round %" PRId64 " is acted with version %"
                 PRId64 " and no other", h->version, h->sequence, due);
    else
        return NULL;
    return text;
}

/* What is wrong with a fragment's contents, or NULL. */
static const char *inspect(struct session *s, const struct fragment_header *h, enum rejection *r)
{
    static _Thread_local char text[256];
    const struct settings *settings = s->setup.settings;
    const bool may_be_short = s->setup.traits->takes_whole_episodes || settings->learner.max_staleness > 0;
    const int64_t least = may_be_short ? 1 : settings->actor.horizon;
    if (h->n_obs != s->shape.n_obs || h->n_act != s->shape.n_act || h->n_transitions < least
        || h->n_transitions > settings->actor.horizon) {
        *r = REJECT_DIMENSIONS;
        snprintf(text, sizeof(text), "it has n_obs %" PRId64 ", n_act %" PRId64 ", n_transitions %"
                 PRId64 "; this run needs %d, %d, %s%" PRId64, h->n_obs, h->n_act, h->n_transitions,
                 s->shape.n_obs, s->shape.n_act, least == 1 ? "at most " : "", settings->actor.horizon);
        return text;
    }
    *r = REJECT_VERSION;
    const char *wrong_version = inspect_version(s, h);
    if (wrong_version)
        return wrong_version;
    if (digest_crc32(h->rows.data, h->rows.size) != (uint32_t)h->checksum) {
        *r = REJECT_CHECKSUM;
        return "the checksum of its rows does not match";
    }
    if (s->wants_state && h->state.size != s->setup.state_bytes) {
        *r = REJECT_STATE;
        snprintf(text, sizeof(text), "its stream state has %zu bytes, %zu are needed in rounds",
                 h->state.size, s->setup.state_bytes);
        return text;
    }
    const char *wrong = row_check(s->shape, h->rows.data, (int)h->n_rows, (int)h->n_transitions);
    *r = wrong && strstr(wrong, "NaN") ? REJECT_NONFINITE : REJECT_ROWS;
    return wrong ? wrong : inspect_rows(s, h);
}

bool session_is_next(struct session *s, struct slot *slot, const struct fragment_header *h)
{
    const char *piece = session_piece(s);
    if (h->stream >= s->n_streams || &s->slots[s->streams[h->stream].owner] != slot) {
        session_send_reject(s, slot->peer, piece, REJECT_STREAM, true, h, "stream %" PRId64 " is not "
                            "among this actor's %d", h->stream, slot->n_streams);
        return false;
    }
    struct stream *st = &s->streams[h->stream];
    if (h->life != st->life) {
        send_refusal(s, slot, REJECT_LIFE, h, "it belongs to another life of the stream");
        return false;
    }
    if (h->sequence < st->next_sequence && s->wants_state) {
        /* Collected again behind a WELCOME that crossed the first one: the actor's environment is not
         * where this stream is. */
        session_send_reject(s, slot->peer, piece, REJECT_DUPLICATE, true, h, "fragment %" PRId64 " of "
                            "stream %" PRId64 " was dealt with before", h->sequence, h->stream);
        return false;
    }
    if (h->sequence < st->next_sequence) {
        send_refusal(s, slot, REJECT_DUPLICATE, h, "it was dealt with before");
        return false;
    }
    /* What happened in between would be unknown: without it a round cannot go on, and no run be repeated. */
    if (h->sequence > st->next_sequence) {
        s->counts.lost += h->sequence - st->next_sequence;
        session_send_reject(s, slot->peer, piece, REJECT_GAP, true, h, "%s %" PRId64 " of stream %" PRId64
                            " never arrived", piece, st->next_sequence, h->stream);
        return false;
    }
    return true;
}

struct fragment *session_accept(struct session *s, struct slot *slot, const struct fragment_header *h)
{
    s->counts.accepted++;
    slot->accepted++;
    slot->transitions += h->n_transitions;
    slot->fruitless = 0;
    move_on(s, slot, h);
    struct fragment *f = fragment_pool_take(s->setup.fragments);
    f->stream = h->stream;
    f->life = h->life;
    f->sequence = h->sequence;
    f->version = h->version;
    f->n_rows = (int)h->n_rows;
    f->n_transitions = (int)h->n_transitions;
    return f;
}

/* Where the stream goes on when it changes hands: the state of a refused fragment, too, because its actor goes on
 * from there. Otherwise its life would depend on whether a WELCOME comes before its next fragment. One of another
 * size is of no use, and only an actor that is not this program's sends it: then a new life begins. */
static void keep_state(struct session *s, const struct fragment_header *h)
{
    struct stream *st = &s->streams[h->stream];
    st->has_state = s->wants_state && h->state.size == s->setup.state_bytes;
    if (st->has_state)
        memcpy(s->states + (size_t)h->stream * s->setup.state_bytes, h->state.data, h->state.size);
}

bool session_fragment(struct session *s, struct slot *slot, const struct fragment_header *h,
                      struct frame *frame)
{
    enum rejection r;
    if (s->is_gradients) {
        session_send_reject(s, slot->peer, "message", REJECT_MALFORMED, false, NULL, "this run is in mode gradients: "
                            "its actors send GRADIENT, and FRAGMENT is not learnt from");
        return false;
    }
    if (!session_is_next(s, slot, h))
        return false;
    const char *wrong = inspect(s, h, &r);
    keep_state(s, h);
    struct fragment *f = wrong ? session_refuse(s, slot, r, h, wrong) : session_accept(s, slot, h);
    f->frame = frame;
    f->state = h->state;
    if (!wrong) {
        f->rows = h->rows;
        f->returns = h->returns;
        f->lengths = h->lengths;
    }
    s->out.deliver(s->out.context, f);
    return true;
}
