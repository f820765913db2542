#include "learner/session_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/row.h"

enum { MAX_FRUITLESS = 2 };

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
    s->wants_state = settings->top.mode == MODE_SYNC && setup->state_bytes > 0;
    env_spec_hash(setup->spec, s->spec_hash);
    s->slots = memory_alloc((size_t)s->n_slots, sizeof(*s->slots));
    s->streams = memory_alloc((size_t)s->n_streams, sizeof(*s->streams));
    s->states = memory_alloc((size_t)s->n_streams, setup->state_bytes);
    s->ack_buffer = memory_alloc((size_t)s->per_slot, sizeof(*s->ack_buffer));
    s->life_buffer = memory_alloc((size_t)s->per_slot, sizeof(*s->life_buffer));
    size_t per_stream = sizeof(int64_t) + sizeof(uint32_t) + setup->state_bytes;
    s->frames = frame_pool_create(MESSAGE_HEADER_BYTES + (size_t)s->per_slot * per_stream);
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
    frame_release(s->snapshot);
    frame_pool_destroy(&s->frames);
    free(s->slots);
    free(s->streams);
    free(s->states);
    free(s->ack_buffer);
    free(s->life_buffer);
    free(s);
    *session = NULL;
}

/* ---- joining and leaving ---- */

/* What the actor's policy is and how it explores; but for `hidden`. */
static void fill_policy(struct welcome *w, const struct settings *settings,
                        const struct algorithm_traits *traits)
{
    const struct mlp_body body = settings_policy_body(settings);
    const struct exploration *e = &traits->exploration;
    snprintf(w->head, sizeof(w->head), "%s", policy_head_name(traits->head));
    snprintf(w->activation, sizeof(w->activation), "%s", activation_name(body.activation));
    snprintf(w->exploration, sizeof(w->exploration), "%s", exploration_name(e->kind));
    w->layer_norm = body.has_layer_norm;
    w->sigma = e->sigma;
    w->theta = e->theta;
    w->dt = e->dt;
    w->whole_episodes = traits->takes_whole_episodes;
}

static void welcome(struct session *s, struct slot *slot)
{
    const struct settings *settings = s->setup.settings;
    const struct env_spec *spec = s->setup.spec;
    int64_t first = session_first_stream(s, slot);
    uint32_t hidden[OPTION_MAX_INTS];
    bool is_saved = false;
    /* What kills an actor may come again wherever it begins as before. */
    bool is_hopeless = slot->fruitless > MAX_FRUITLESS && !s->setup.is_simulated;
    for (int64_t i = 0; i < s->per_slot; i++) {
        struct stream *st = &s->streams[first + i];
        if (st->next_sequence == 0 && !is_hopeless)
            continue;    /* nothing of this life was accepted: it begins as if for the first time */
        if (s->wants_state && st->has_state && !is_hopeless) {
            is_saved = true;
        } else {
            st->life++;
            st->next_sequence = st->acked = 0;
        }
    }
    if (is_hopeless)
        session_say(s, "actor %s: %d processes in a row ended before they sent anything; its "
                    "streams begin new episodes", slot->name, slot->fruitless - 1);
    for (int64_t i = 0; i < s->per_slot; i++) {
        s->life_buffer[i] = (uint32_t)s->streams[first + i].life;
        s->ack_buffer[i] = s->streams[first + i].next_sequence;
    }
    for (int l = 0; l < settings->network.hidden.n; l++)
        hidden[l] = (uint32_t)settings->network.hidden.v[l];

    struct message m;
    message_init(&m, MESSAGE_WELCOME);
    struct welcome *w = &m.welcome;
    w->run = s->setup.run;
    w->incarnation = slot->incarnation;
    w->seed = (uint64_t)settings->top.seed;
    w->epoch = s->setup.epoch;
    w->protocol = PROTOCOL_VERSION;
    snprintf(w->algorithm, sizeof(w->algorithm), "%.15s", settings->top.algorithm);
    snprintf(w->mode, sizeof(w->mode), "%s", settings_mode(settings));
    snprintf(w->environment, sizeof(w->environment), "%s", spec->name);
    memcpy(w->spec, s->spec_hash, sizeof(w->spec));
    snprintf(w->options, sizeof(w->options), "%s", spec->options);
    w->n_obs = spec->shape.n_obs;
    w->n_act = spec->shape.n_act;
    w->n_choices = spec->n_choices;
    w->horizon = settings->actor.horizon;
    w->first_stream = first;
    w->n_streams = s->per_slot;
    w->credit = session_credit(s);
    w->heartbeat_ms = settings->transport.heartbeat_ms;
    w->liveness_ms = settings->transport.liveness_ms;
    if (settings->actor.step_timeout_s > 0)
        w->step_timeout_ms = settings->actor.step_timeout_s * 1000;
    w->snapshot_port = s->setup.snapshot_port;
    fill_policy(w, settings, s->setup.traits);
    w->normalises = settings->learner.normalise_observations;
    w->wants_state = s->wants_state;
    w->hidden = (struct bytes){ (const unsigned char *)hidden,
                                (size_t)settings->network.hidden.n * sizeof(*hidden) };
    w->lives = (struct bytes){ (const unsigned char *)s->life_buffer,
                               (size_t)s->per_slot * sizeof(*s->life_buffer) };
    w->sequences = (struct bytes){ (const unsigned char *)s->ack_buffer,
                                   (size_t)s->per_slot * sizeof(*s->ack_buffer) };
    if (is_saved)
        w->states = (struct bytes){ s->states + (size_t)first * s->setup.state_bytes,
                                    (size_t)s->per_slot * s->setup.state_bytes };
    session_send(s, slot->peer, &m);
    /* At once: before it knows start_version and what is still being learnt from, it must not get a
     * snapshot and begin. */
    session_send_ack(s, slot);
}

static struct slot *slot_of_peer(struct session *s, uint64_t peer)
{
    for (int i = 0; i < s->n_slots; i++)
        if (s->slots[i].is_connected && s->slots[i].peer == peer)
            return &s->slots[i];
    return NULL;
}

/* The slot a HELLO gets: its own, its predecessor's of the same name, a free one, or none. */
static struct slot *slot_for(struct session *s, const struct hello *h)
{
    struct slot *vacant = NULL;
    for (int i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->is_connected
            && (slot->incarnation == h->incarnation || strcmp(slot->name, h->name) == 0))
            return slot;
        /* Prefer the place the name had before. */
        if (!slot->is_connected && (!vacant || strcmp(slot->name, h->name) == 0))
            vacant = slot;
    }
    return vacant;
}

static void leave(struct session *s, struct slot *slot, const char *why)
{
    session_say(s, "actor %s left: %s", slot->name, why);
    slot->is_connected = false;
    slot->wants_ack = false;
}

static void on_hello(struct session *s, int64_t now_us, uint64_t peer, const struct hello *h)
{
    if (h->protocol != PROTOCOL_VERSION) {
        session_send_reject(s, peer, "hello", REJECT_PROTOCOL, false, NULL, "this learner speaks protocol "
                            "%d, the actor (%s) %" PRId64 "; use the same version of shoal on both sides",
                            PROTOCOL_VERSION, h->program, h->protocol);
        return;
    }
    if (h->spec[0] && strcmp(h->spec, s->spec_hash) != 0) {
        char ours[256];
        env_spec_describe(s->setup.spec, ours, sizeof(ours));
        session_send_reject(s, peer, "hello", REJECT_SPEC, false, NULL, "this run trains %s, specification "
                            "%s; the actor is bound to specification %s", ours, s->spec_hash, h->spec);
        return;
    }
    if (s->is_draining) {
        struct slot leaving = { .peer = peer };
        session_send_drain(s, &leaving);
        return;
    }
    struct slot *slot = slot_for(s, h);
    if (!slot) {
        session_send_reject(s, peer, "hello", REJECT_FULL, true, NULL, "all %d places for actors are "
                            "taken; raise `actors` in the configuration, or wait until one leaves",
                            s->n_slots);
        return;
    }
    bool is_back = slot->is_connected && slot->incarnation == h->incarnation;
    bool is_replaced = slot->is_connected && !is_back;
    if (is_replaced && slot->peer != peer)
        session_send_reject(s, slot->peer, "message", REJECT_REPLACED, false, NULL,
                            "a newer actor called \"%s\" took this one's place", h->name);
    struct slot *other = slot_of_peer(s, peer);
    if (other && other != slot)
        leave(s, other, "its connection took another place");
    bool is_other_cpu = strcmp(h->cpu, s->setup.cpu) != 0;
    slot->is_connected = true;
    slot->peer = peer;
    slot->incarnation = h->incarnation;
    snprintf(slot->name, sizeof(slot->name), "%s", h->name);
    slot->heard_us = slot->beat_us = now_us;
    if (!is_back) {
        slot->diverged_told = 0;
        slot->fruitless++;
    }
    if (is_replaced)
        session_say(s, "actor %s: a new process takes the place of the old one", h->name);
    if (!is_back)
        session_say(s, "actor %s joined (streams %" PRId64 " to %" PRId64 ")%s%s", slot->name,
                    session_first_stream(s, slot), session_first_stream(s, slot) + s->per_slot - 1,
                    is_other_cpu ? "; its class of CPU differs from the learner's, results are not "
                                   "bit-for-bit: " : "", is_other_cpu ? h->cpu : "");
    welcome(s, slot);
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

/* Act on a message of a member. Returns whether the frame was kept. */
static bool on_member(struct session *s, struct slot *slot, const struct message *m,
                      struct frame *frame)
{
    switch (m->type) {
    case MESSAGE_WANT:
        if (s->snapshot) {
            s->counts.bytes_out += (int64_t)s->snapshot->size;
            s->out.send(s->out.context, slot->peer, frame_retain(s->snapshot));
        }
        return false;
    case MESSAGE_FRAGMENT:
        return session_fragment(s, slot, &m->fragment, frame);
    case MESSAGE_HEARTBEAT:
        on_diverged(s, slot, m->heartbeat.diverged);
        return false;
    case MESSAGE_BYE:
        leave(s, slot, m->bye.reason);
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
    s->counts.received += m.type == MESSAGE_FRAGMENT;
    struct slot *slot = slot_of_peer(s, peer);
    if (wrong) {
        /* It may have been a fragment: `sync` cannot go on without it. */
        session_send_reject(s, peer, "message", REJECT_MALFORMED,
                            s->setup.settings->top.mode == MODE_SYNC, NULL, "%s", wrong);
    } else if (m.type == MESSAGE_HELLO) {
        on_hello(s, now_us, peer, &m.hello);
    } else if (!identity_of(&m, &run, &epoch, &incarnation)) {
        session_send_reject(s, peer, "message", REJECT_MALFORMED,
                            s->setup.settings->top.mode == MODE_SYNC, NULL,
                            "an actor does not send %s", message_name(m.type));
    } else if (!slot || run != s->setup.run || epoch != s->setup.epoch
               || incarnation != slot->incarnation) {
        if (m.type != MESSAGE_BYE)
            session_send_reject(s, peer, "message", REJECT_UNKNOWN, true,
                                NULL, "%s of an actor, run or epoch that is not current: say HELLO again",
                                message_name(m.type));
    } else {
        slot->heard_us = now_us;
        is_kept = on_member(s, slot, &m, f);
    }
    if (!is_kept)
        frame_release(f);
}

void session_tick(struct session *s, int64_t now_us)
{
    const struct settings *settings = s->setup.settings;
    for (int i = 0; i < s->n_slots; i++) {
        struct slot *slot = &s->slots[i];
        if (!slot->is_connected)
            continue;
        if (now_us - slot->heard_us > settings->transport.liveness_ms * 1000) {
            char why[64];
            snprintf(why, sizeof(why), "silent for %.1f s",
                     (double)(now_us - slot->heard_us) * 1e-6);
            leave(s, slot, why);
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

void session_consumed(struct session *s, int64_t stream, int64_t life, int64_t sequence)
{
    struct stream *st = &s->streams[stream];
    if (st->life != life)
        return;
    if (sequence + 1 > st->acked)
        st->acked = sequence + 1;
    s->slots[stream / s->per_slot].wants_ack = true;
}

void session_publish(struct session *s, int64_t version, int64_t start_version, struct frame *f)
{
    frame_release(s->snapshot);
    s->snapshot = f;
    s->newest = version;
    s->start_version = start_version;
    struct session_counts counts;
    session_count(s, &counts);
    s->counts.bytes_out += (int64_t)f->size * counts.actors;
    s->out.publish(s->out.context, frame_retain(f));
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
