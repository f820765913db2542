#include "learner/session_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/row.h"

const char *rejection_word(enum rejection r)
{
    static const char *const words[N_REJECTIONS] = {
#define X(name, word) [REJECT_##name] = word,
        REJECTIONS(X)
#undef X
    };
    return words[r];
}

struct session *session_create(const struct session_setup *setup, struct session_out out)
{
    struct session *s = memory_alloc(1, sizeof(*s));
    const struct settings *settings = setup->settings;
    s->setup = *setup;
    s->out = out;
    s->shape = setup->spec->shape;
    s->n_slots = (int)settings->top.actors;
    s->per_slot = settings->top.envs_per_actor;
    s->n_streams = s->n_slots * s->per_slot;
    s->is_lockstep = settings_are_lockstep(settings);
    s->wants_state = s->is_lockstep && setup->state_bytes > 0;
    s->is_gradients = settings->top.mode == MODE_GRADIENTS;
    if (s->is_gradients)
        session_create_gradients(s);
    s->began_us = s->round = -1;
    s->versions[0] = s->versions[1] = -1;
    env_spec_hash(setup->spec, s->spec_hash);
    s->slots = memory_alloc((size_t)s->n_slots, sizeof(*s->slots));
    peer_table_init(&s->members, s->n_slots);
    s->streams = memory_alloc((size_t)s->n_streams, sizeof(*s->streams));
    s->states = memory_alloc((size_t)s->n_streams, setup->state_bytes);
    session_share_out(s);
    const size_t most = (size_t)s->max_streams;
    s->ack_buffer = memory_alloc(most, sizeof(*s->ack_buffer));
    s->life_buffer = memory_alloc(most, sizeof(*s->life_buffer));
    s->saved_buffer = memory_alloc(most, 1);
    s->state_buffer = memory_alloc(s->wants_state ? most : 0, setup->state_bytes);
    s->frames = frame_pool_create(MESSAGE_HEADER_BYTES + most * sizeof(*s->ack_buffer));
    s->welcomes = frame_pool_create(session_welcome_bytes(s, most));
    for (int64_t i = 0; setup->lives && i < s->n_streams; i++) {
        struct stream *st = &s->streams[i];
        st->life = setup->lives[i];
        st->next_sequence = st->acked = setup->sequences[i];
        st->has_state = setup->has_state && setup->has_state[i];
    }
    if (setup->states)
        memcpy(s->states, setup->states, (size_t)s->n_streams * setup->state_bytes);
    return s;
}

void session_destroy(struct session **session)
{
    struct session *s = *session;
    if (!s)
        return;
    frame_release(s->snapshots[0]);
    frame_release(s->snapshots[1]);
    frame_pool_destroy(&s->frames);
    frame_pool_destroy(&s->welcomes);
    for (int i = 0; i < s->n_slots; i++)
        free(s->slots[i].streams);
    free(s->slots);
    peer_table_fini(&s->members);
    free(s->streams);
    free(s->states);
    free(s->ack_buffer);
    free(s->life_buffer);
    free(s->saved_buffer);
    free(s->state_buffer);
    arena_destroy(&s->arena);
    free(s);
    *session = NULL;
}

/* ---- events ---- */

/* run, epoch and incarnation of a message that only a member may send. */
static bool identity_of(const struct message *m, uint64_t *run, int64_t *epoch,
                        uint64_t *incarnation)
{
    switch (m->type) {
    case MESSAGE_WANT:
        *run = m->want.run, *epoch = m->want.epoch, *incarnation = m->want.incarnation;
        return true;
    case MESSAGE_FRAGMENT:
        *run = m->fragment.run, *epoch = m->fragment.epoch;
        *incarnation = m->fragment.incarnation;
        return true;
    case MESSAGE_GRADIENT:
        *run = m->gradient.run, *epoch = m->gradient.epoch;
        *incarnation = m->gradient.incarnation;
        return true;
    case MESSAGE_HEARTBEAT:
        *run = m->heartbeat.run, *epoch = m->heartbeat.epoch;
        *incarnation = m->heartbeat.incarnation;
        return true;
    case MESSAGE_BYE:
        *run = m->bye.run, *epoch = m->bye.epoch, *incarnation = m->bye.incarnation;
        return true;
    default:
        return false;
    }
}

/* Say how many episodes broke down, every time their number has doubled. */
static void on_diverged(struct session *s, struct slot *slot, int64_t n)
{
    if (n <= 0 || n < 2 * slot->diverged_told)
        return;
    slot->diverged_told = n;
    session_say(s, "actor %s: %" PRId64 " episode%s broke down so far (numbers that are not finite)",
                slot->name, n, n == 1 ? "" : "s");
}

/* The version asked for, where it is still held, or the newest. */
static void on_want(struct session *s, const struct slot *slot, const struct want *w)
{
    struct frame *f = w->wanted >= 0 && w->wanted == s->versions[1] ? s->snapshots[1] : s->snapshots[0];
    if (!f)
        return;
    s->counts.bytes_out += (int64_t)f->size;
    s->out.send(s->out.context, slot->peer, frame_retain(f));
}

/* An actor's clock has gone on: so do the clock of its place and that of all. */
static void count_wait(int64_t now_ms, int64_t *told_ms, int64_t *place_ms, int64_t *all_ms)
{
    if (now_ms <= *told_ms)
        return;
    *place_ms += now_ms - *told_ms;
    *all_ms += now_ms - *told_ms;
    *told_ms = now_ms;
}

/* Act on a message of a member. Returns whether the frame was kept. */
static bool on_member(struct session *s, int64_t now_us, struct slot *slot, const struct message *m,
                      struct frame *frame)
{
    switch (m->type) {
    case MESSAGE_WANT:
        on_want(s, slot, &m->want);
        return false;
    case MESSAGE_FRAGMENT:
        return session_fragment(s, slot, &m->fragment, frame);
    case MESSAGE_GRADIENT:
        return session_gradient(s, slot, &m->gradient, frame);
    case MESSAGE_HEARTBEAT:
        on_diverged(s, slot, m->heartbeat.diverged);
        count_wait(m->heartbeat.credit_ms, &slot->told_credit_ms, &slot->credit_ms, &s->counts.credit_ms);
        count_wait(m->heartbeat.parameters_ms, &slot->told_parameters_ms, &slot->parameters_ms,
                   &s->counts.parameters_ms);
        return false;
    case MESSAGE_BYE:
        session_leave(s, slot, m->bye.reason, now_us);
        return false;
    default:
        return false;
    }
}

void session_receive(struct session *s, int64_t now_us, uint64_t peer, struct frame *f)
{
    struct message m;
    uint64_t run, incarnation;
    int64_t epoch;
    bool is_kept = false;
    s->counts.bytes_in += (int64_t)f->size;
    const char *wrong = message_decode(&m, f->data, f->size);
    s->counts.received += m.type == MESSAGE_FRAGMENT || m.type == MESSAGE_GRADIENT;
    struct slot *slot = session_slot_of(s, peer);
    if (wrong) {
        /* It may have been a fragment: a round cannot go on without it. */
        session_send_reject(s, peer, "message", REJECT_MALFORMED, s->is_lockstep, NULL, "%s", wrong);
    } else if (m.type == MESSAGE_HELLO) {
        session_hello(s, now_us, peer, &m.hello);
    } else if (!identity_of(&m, &run, &epoch, &incarnation)) {
        session_send_reject(s, peer, "message", REJECT_MALFORMED, s->is_lockstep, NULL,
                            "an actor does not send %s", message_name(m.type));
    } else if (!slot || run != s->setup.run || epoch != s->setup.epoch
               || incarnation != slot->incarnation) {
        if (m.type != MESSAGE_BYE)
            session_send_reject(s, peer, "message", REJECT_UNKNOWN, true,
                                NULL, "%s of an actor, run or epoch that is not current: say HELLO again",
                                message_name(m.type));
    } else {
        slot->heard_us = now_us;
        is_kept = on_member(s, now_us, slot, &m, f);
    }
    if (!is_kept)
        frame_release(f);
}

void session_tick(struct session *s, int64_t now_us)
{
    const struct settings *settings = s->setup.settings;
    if (s->began_us < 0)
        s->began_us = now_us;
    if (s->is_lockstep && !settings->sync.strict && !s->is_draining)
        session_stand_in(s, now_us);
    for (int i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        if (!slot->is_connected)
            continue;
        if (now_us - slot->heard_us > settings->transport.liveness_ms * 1000) {
            char why[64];
            snprintf(why, sizeof(why), "silent for %.1f s",
                     (double)(now_us - slot->heard_us) * 1e-6);
            session_leave(s, slot, why, now_us);
            continue;
        }
        if (slot->wants_ack)
            session_send_ack(s, slot);
        if (now_us - slot->beat_us >= settings->transport.heartbeat_ms * 1000) {
            slot->beat_us = now_us;
            if (s->is_draining)
                session_send_drain(s, slot);
            else
                session_send_heartbeat(s, slot);
        }
    }
}

/* Fragments that were too old when their turn came: the actor hears of each, people every time their number
 * has doubled. */
static void on_stale(struct session *s, struct slot *slot, int64_t stream, int64_t sequence)
{
    const struct fragment_header h = { .incarnation = slot->incarnation, .stream = stream, .sequence = sequence };
    if (!slot->is_connected) {
        s->counts.rejected[REJECT_STALE]++;
        slot->rejected[REJECT_STALE]++;
        return;
    }
    session_send_reject(s, slot->peer, session_piece(s), REJECT_STALE, false, &h, "%s %" PRId64 " of stream %" PRId64
                        " was more than %" PRId64 " versions old when its turn came", session_piece(s), sequence,
                        stream, s->setup.settings->learner.max_staleness);
    const int64_t n = slot->rejected[REJECT_STALE];
    if (n < 2 * slot->stale_told)
        return;
    slot->stale_told = n;
    session_say(s, "actor %s: %" PRId64 " %s%s so far came too late (learner.max_staleness %" PRId64 ")",
                slot->name, n, session_piece(s), n == 1 ? "" : "s", s->setup.settings->learner.max_staleness);
}

void session_consumed(struct session *s, int64_t stream, int64_t life, int64_t sequence, enum fragment_fate fate)
{
    struct stream *st = &s->streams[stream];
    struct slot *slot = &s->slots[st->owner];
    if (fate == FRAGMENT_STALE)
        on_stale(s, slot, stream, sequence);
    /* In rounds numbers go on over lives. */
    if (st->life != life && !s->is_lockstep)
        return;
    for (int i = 0; s->is_gradients && i < slot->n_streams; i++)
        s->streams[slot->streams[i]].acked = sequence + 1;
    if (sequence + 1 > st->acked)
        st->acked = sequence + 1;
    slot->wants_ack = true;
}

void session_publish(struct session *s, int64_t version, struct frame *f)
{
    frame_release(s->snapshots[1]);
    s->snapshots[1] = s->snapshots[0];
    s->versions[1] = s->versions[0];
    s->snapshots[0] = f;
    s->versions[0] = version;
    struct session_counts counts;
    session_count(s, &counts);
    s->counts.bytes_out += (int64_t)f->size * counts.actors;
    s->out.publish(s->out.context, frame_retain(f));
}

void session_round(struct session *s, int64_t round, int64_t version, int64_t previous)
{
    s->round = round;
    s->start_version = version;
    s->previous = previous;
}

void session_drain(struct session *s, const char *reason)
{
    s->is_draining = true;
    snprintf(s->drain_reason, sizeof(s->drain_reason), "%s", reason);
    for (int i = 0; i < s->n_slots; i++)
        if (s->slots[i].is_connected)
            session_send_drain(s, &s->slots[i]);
}

void session_count(const struct session *s, struct session_counts *out)
{
    *out = s->counts;
    out->actors = 0;
    for (int i = 0; i < s->n_slots; i++)
        out->actors += s->slots[i].is_connected;
}

void session_count_actor(const struct session *s, int i, struct session_actor *out)
{
    const struct slot *slot = &s->slots[i];
    *out = (struct session_actor){
        .is_connected = slot->is_connected, .n_streams = slot->n_streams, .accepted = slot->accepted,
        .transitions = slot->transitions, .credit_ms = slot->credit_ms, .parameters_ms = slot->parameters_ms,
    };
    memcpy(out->name, slot->name, sizeof(out->name));
    memcpy(out->rejected, slot->rejected, sizeof(out->rejected));
}
