/* Who takes part: HELLO and WELCOME, places, leaving. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "learner/session_private.h"

enum { MAX_FRUITLESS = 2 };

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

/* A stream goes on from its saved state, or begins a new life; one of which nothing was accepted begins as if
 * for the first time, unless that is what kills its actors. Returns whether it goes on. */
static bool settle_stream(struct session *s, struct stream *st, bool is_hopeless)
{
    if (st->next_sequence == 0 && !is_hopeless)
        return false;
    if (s->wants_state && st->has_state && !is_hopeless)
        return true;
    st->life++;
    st->has_state = false;
    if (!s->is_lockstep)
        st->next_sequence = st->acked = 0;
    return false;
}

size_t session_welcome_bytes(const struct session *s, size_t n_streams)
{
    const size_t state = s->wants_state ? s->setup.state_bytes : 0;
    return MESSAGE_HEADER_BYTES + n_streams * (2 * sizeof(uint32_t) + sizeof(int64_t) + 1 + state);
}

/* The slot's streams, as they go on from here. */
static void fill_streams(struct session *s, const struct slot *slot, struct welcome *w)
{
    const size_t n = (size_t)slot->n_streams, state_bytes = s->setup.state_bytes;
    const bool is_hopeless = slot->fruitless > MAX_FRUITLESS && !s->setup.is_simulated;
    if (is_hopeless)
        session_say(s, "actor %s: %d processes in a row ended before they sent anything; its "
                    "streams begin new episodes", slot->name, slot->fruitless - 1);
    for (size_t i = 0; i < n; i++) {
        struct stream *st = &s->streams[slot->streams[i]];
        const bool is_saved = settle_stream(s, st, is_hopeless);
        s->life_buffer[i] = (uint32_t)st->life;
        s->ack_buffer[i] = st->next_sequence;
        s->saved_buffer[i] = is_saved;
        if (s->wants_state)
            memcpy(s->state_buffer + i * state_bytes, s->states + slot->streams[i] * state_bytes, state_bytes);
    }
    w->streams = (struct bytes){ (const unsigned char *)slot->streams, n * sizeof(*slot->streams) };
    w->lives = (struct bytes){ (const unsigned char *)s->life_buffer, n * sizeof(*s->life_buffer) };
    w->sequences = (struct bytes){ (const unsigned char *)s->ack_buffer, n * sizeof(*s->ack_buffer) };
    if (!s->wants_state)
        return;
    /* Also where none is saved yet: nothing else tells how many bytes a state has. */
    w->saved = (struct bytes){ s->saved_buffer, n };
    w->states = (struct bytes){ s->state_buffer, n * state_bytes };
}

void session_welcome(struct session *s, struct slot *slot)
{
    const struct settings *settings = s->setup.settings;
    const struct env_spec *spec = s->setup.spec;
    uint32_t hidden[OPTION_MAX_INTS];
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
    w->credit = session_credit(s);
    w->heartbeat_ms = settings->transport.heartbeat_ms;
    w->liveness_ms = settings->transport.liveness_ms;
    if (settings->actor.step_timeout_s > 0)
        w->step_timeout_ms = settings->actor.step_timeout_s * 1000;
    if (s->is_lockstep)
        w->lag = session_lag(s);
    if (settings->learner.max_staleness > 0)
        w->max_staleness = settings->learner.max_staleness;
    w->snapshot_port = s->setup.snapshot_port;
    fill_policy(w, settings, s->setup.traits);
    w->normalises = settings->learner.normalise_observations;
    w->wants_state = s->wants_state;
    if (s->is_gradients)
        session_fill_gradients(s, w);
    w->hidden = (struct bytes){ (const unsigned char *)hidden,
                                (size_t)settings->network.hidden.n * sizeof(*hidden) };
    fill_streams(s, slot, w);
    session_send_from(s, s->welcomes, slot->peer, &m);
    /* At once: before it knows start_version and what is still being learnt from, it must not get a
     * snapshot and begin. */
    session_send_ack(s, slot);
}

struct slot *session_slot_of(struct session *s, uint64_t peer)
{
    const int place = peer_table_find(&s->members, peer);
    return place >= 0 ? &s->slots[place] : NULL;
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

void session_leave(struct session *s, struct slot *slot, const char *why, int64_t now_us)
{
    session_say(s, "actor %s left: %s", slot->name, why);
    peer_table_remove(&s->members, slot->peer);
    slot->is_connected = false;
    slot->wants_ack = false;
    slot->left_us = now_us;
}

/* Whether some stream of the slot may begin a fragment: otherwise whoever is there waits, and does not die of its
 * environments. */
static bool may_act(const struct session *s, const struct slot *slot)
{
    for (int i = 0; i < slot->n_streams; i++) {
        const struct stream *st = &s->streams[slot->streams[i]];
        const int64_t done = s->is_lockstep && s->round >= 0 ? s->round : st->acked;
        if (st->next_sequence - done < session_credit(s))
            return true;
    }
    return false;
}

void session_hello(struct session *s, int64_t now_us, uint64_t peer, const struct hello *h)
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
    const bool is_same = slot->incarnation == h->incarnation;
    bool is_back = slot->is_connected && is_same;
    bool is_replaced = slot->is_connected && !is_back;
    if (is_replaced && slot->peer != peer)
        session_send_reject(s, slot->peer, "message", REJECT_REPLACED, false, NULL,
                            "a newer actor called \"%s\" took this one's place", h->name);
    struct slot *other = session_slot_of(s, peer);
    if (other && other != slot)
        session_leave(s, other, "its connection took another place", now_us);
    if (slot->is_connected)
        peer_table_remove(&s->members, slot->peer);
    peer_table_put(&s->members, peer, (int)(slot - s->slots));
    const int64_t first = (slot - s->slots) * s->per_slot;
    bool is_other_cpu = strcmp(h->cpu, s->setup.cpu) != 0;
    slot->is_connected = true;
    slot->was_told_waiting = false;
    slot->peer = peer;
    slot->incarnation = h->incarnation;
    snprintf(slot->name, sizeof(slot->name), "%s", h->name);
    slot->heard_us = slot->beat_us = now_us;
    if (!is_same) {
        slot->diverged_told = slot->told_credit_ms = slot->told_parameters_ms = 0;
        slot->failures = slot->failures_told = 0;
        slot->fruitless += may_act(s, slot);
    }
    if (is_replaced)
        session_say(s, "actor %s: a new process takes the place of the old one", h->name);
    if (!is_back)
        session_say(s, "actor %s joined (streams %" PRId64 " to %" PRId64 ")%s%s", slot->name, first,
                    first + s->per_slot - 1, is_other_cpu ? "; its class of CPU differs from the learner's, results are not "
                                   "bit-for-bit: " : "", is_other_cpu ? h->cpu : "");
    session_give_back(s, slot);
    session_welcome(s, slot);
}
