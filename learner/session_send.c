#include "learner/session_private.h"

#include <stdarg.h>
#include <stdio.h>

void session_say(struct session *s, const char *format, ...)
{
    char line[640];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    s->out.log(s->out.context, line);
}

void session_send(struct session *s, uint64_t peer, const struct message *m)
{
    session_send_from(s, s->frames, peer, m);
}

void session_send_from(struct session *s, struct frame_pool *pool, uint64_t peer, const struct message *m)
{
    struct frame *f = frame_pool_take(pool);
    f->size = message_encode(m, f->data, frame_capacity(f));
    s->counts.bytes_out += (int64_t)f->size;
    s->out.send(s->out.context, peer, f);
}

int64_t session_lag(const struct session *s)
{
    return s->setup.settings->top.mode == MODE_PIPELINED;
}

int64_t session_credit(const struct session *s)
{
    const struct settings *settings = s->setup.settings;
    if (s->is_lockstep)
        return 1 + session_lag(s);
    /* So many that the last of them is not too old when its turn comes. */
    const double versions = settings_versions_per_fragment(settings, s->setup.is_on_policy);
    const double most = (double)settings->learner.max_staleness / versions;
    const int64_t window = settings->transport.window;
    return settings->learner.max_staleness == 0 || most >= (double)window ? window : most < 1 ? 1 : (int64_t)most;
}

/* What ACK and the learner's HEARTBEAT have in common. */
static struct bytes acked_of(struct session *s, const struct slot *slot)
{
    for (int i = 0; i < slot->n_streams; i++)
        s->ack_buffer[i] = s->streams[slot->streams[i]].acked;
    return (struct bytes){ (const unsigned char *)s->ack_buffer,
                           (size_t)slot->n_streams * sizeof(*s->ack_buffer) };
}

void session_send_ack(struct session *s, struct slot *slot)
{
    struct message m;
    message_init(&m, MESSAGE_ACK);
    m.ack.run = s->setup.run;
    m.ack.epoch = s->setup.epoch;
    m.ack.incarnation = slot->incarnation;
    m.ack.newest = s->versions[0] > 0 ? s->versions[0] : 0;
    m.ack.start_version = s->start_version;
    if (s->round >= 0) {
        m.ack.round = s->round;
        m.ack.previous = s->previous;
    }
    m.ack.credit = session_credit(s);
    m.ack.acked = acked_of(s, slot);
    slot->wants_ack = false;
    session_send(s, slot->peer, &m);
}

void session_send_heartbeat(struct session *s, struct slot *slot)
{
    struct message m;
    message_init(&m, MESSAGE_HEARTBEAT);
    m.heartbeat.run = s->setup.run;
    m.heartbeat.epoch = s->setup.epoch;
    m.heartbeat.incarnation = slot->incarnation;
    m.heartbeat.newest = s->versions[0] > 0 ? s->versions[0] : 0;
    m.heartbeat.start_version = s->start_version;
    if (s->round >= 0) {
        m.heartbeat.round = s->round;
        m.heartbeat.previous = s->previous;
    }
    m.heartbeat.credit = session_credit(s);
    m.heartbeat.acked = acked_of(s, slot);
    session_send(s, slot->peer, &m);
}

void session_send_drain(struct session *s, const struct slot *slot)
{
    struct message m;
    message_init(&m, MESSAGE_DRAIN);
    m.drain.run = s->setup.run;
    m.drain.epoch = s->setup.epoch;
    snprintf(m.drain.reason, sizeof(m.drain.reason), "%s", s->drain_reason);
    session_send(s, slot->peer, &m);
}

void session_send_reject(struct session *s, uint64_t peer, const char *of, enum rejection r,
                        bool retry, const struct fragment_header *fragment, const char *format, ...)
{
    struct message m;
    message_init(&m, MESSAGE_REJECT);
    snprintf(m.reject.of, sizeof(m.reject.of), "%s", of);
    snprintf(m.reject.code, sizeof(m.reject.code), "%s", rejection_word(r));
    va_list args;
    va_start(args, format);
    vsnprintf(m.reject.reason, sizeof(m.reject.reason), format, args);
    va_end(args);
    m.reject.retry = retry;
    if (fragment) {
        m.reject.incarnation = fragment->incarnation;
        m.reject.stream = fragment->stream;
        m.reject.sequence = fragment->sequence;
    }
    s->counts.rejected[r]++;
    struct slot *slot = session_slot_of(s, peer);
    if (slot)
        slot->rejected[r]++;
    session_send(s, peer, &m);
}
