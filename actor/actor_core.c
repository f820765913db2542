#include "actor/actor_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SILENCE_US = 4000000,          /* until somebody is told that no learner answers */
    BARRIER_PATIENCE_US = 50000    /* until a version that a round needs is asked for */
};

struct actor *actor_create(const struct actor_setup *setup, struct actor_out out)
{
    struct actor *a = memory_alloc(1, sizeof(*a));
    a->setup = *setup;
    a->out = out;
    a->frames = frame_pool_create(MESSAGE_HEADER_BYTES);
    a->hello_us = INT64_MIN / 2;
    a->version = a->began_us = -1;
    a->round = a->previous = a->needed = a->lag = a->idle_since_us = a->missing_since_us = -1;
    return a;
}

void actor_destroy(struct actor **actor)
{
    if (!*actor)
        return;
    actor_end_work(*actor);
    frame_pool_destroy(&(*actor)->frames);
    free(*actor);
    *actor = NULL;
}

void actor_say(struct actor *a, const char *format, ...)
{
    char line[640];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    a->out.log(a->out.context, line);
}

static void send_message(struct actor *a, const struct message *m)
{
    struct frame *f = frame_pool_take(a->frames);
    f->size = message_encode(m, f->data, frame_capacity(f));
    a->out.send(a->out.context, f, false);
}

void actor_send_hello(struct actor *a, int64_t now_us)
{
    struct message m;
    message_init(&m, MESSAGE_HELLO);
    m.hello.incarnation = a->setup.incarnation;
    m.hello.protocol = PROTOCOL_VERSION;
    snprintf(m.hello.name, sizeof(m.hello.name), "%s", a->setup.name);
    snprintf(m.hello.program, sizeof(m.hello.program), "%s", a->setup.program);
    snprintf(m.hello.cpu, sizeof(m.hello.cpu), "%s", a->setup.cpu);
    a->hello_us = now_us;
    send_message(a, &m);
}

void actor_send_want(struct actor *a, int64_t now_us)
{
    struct message m;
    message_init(&m, MESSAGE_WANT);
    m.want.run = a->run;
    m.want.incarnation = a->setup.incarnation;
    m.want.epoch = a->epoch;
    m.want.version = actor_newest_version(a);
    m.want.wanted = a->needed;
    a->want_us = now_us;
    send_message(a, &m);
}

void actor_end(struct actor *a, int code, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    error_set(&a->error, code, "%s", text);
    if (a->phase == ACTOR_ACTING) {
        struct message m;
        message_init(&m, MESSAGE_BYE);
        m.bye.run = a->run;
        m.bye.incarnation = a->setup.incarnation;
        m.bye.epoch = a->epoch;
        snprintf(m.bye.reason, sizeof(m.bye.reason), "%.127s", text);
        send_message(a, &m);
    }
    a->phase = ACTOR_STOPPED;
}

void actor_stop(struct actor *a, const char *reason)
{
    if (a->phase != ACTOR_STOPPED)
        actor_end(a, 0, "%s", reason);
}

void actor_receive(struct actor *a, int64_t now_us, const struct frame *f)
{
    struct message m;
    if (a->phase == ACTOR_STOPPED || message_decode(&m, f->data, f->size) != NULL)
        return;
    a->heard_us = now_us;
    a->was_told_silent = false;
    if (m.type == MESSAGE_WELCOME)
        actor_on_welcome(a, now_us, &m.welcome);
    else if (m.type == MESSAGE_REJECT)
        actor_on_reject(a, now_us, &m.reject);
    else if (m.type == MESSAGE_DRAIN)
        actor_end(a, 0, "%s", m.drain.reason);
    else if (a->phase != ACTOR_ACTING)
        return;
    else if (m.type == MESSAGE_SNAPSHOT)
        actor_on_snapshot(a, &m.snapshot);
    else if (m.type == MESSAGE_ACK)
        actor_on_books(a, now_us, &m.ack);
    else if (m.type == MESSAGE_HEARTBEAT)
        actor_on_books(a, now_us, &(struct ack){
            .run = m.heartbeat.run, .epoch = m.heartbeat.epoch, .newest = m.heartbeat.newest,
            .start_version = m.heartbeat.start_version, .round = m.heartbeat.round,
            .previous = m.heartbeat.previous, .credit = m.heartbeat.credit, .acked = m.heartbeat.acked });
}

static void send_heartbeat(struct actor *a, int64_t now_us)
{
    struct message m;
    message_init(&m, MESSAGE_HEARTBEAT);
    m.heartbeat.run = a->run;
    m.heartbeat.incarnation = a->setup.incarnation;
    m.heartbeat.epoch = a->epoch;
    m.heartbeat.steps = a->counts.steps;
    m.heartbeat.version = a->version;
    m.heartbeat.diverged = a->counts.diverged;
    m.heartbeat.credit_ms = a->counts.credit_us / 1000;
    m.heartbeat.parameters_ms = a->counts.parameters_us / 1000;
    const char *state = a->waiting_since_us >= 0 ? "parameters"
                      : actor_is_between_fragments(a) ? "credit" : "acting";
    snprintf(m.heartbeat.state, sizeof(m.heartbeat.state), "%s", state);
    a->beat_us = now_us;
    send_message(a, &m);
}

void actor_tick(struct actor *a, int64_t now_us)
{
    if (a->phase == ACTOR_STOPPED)
        return;
    if (a->began_us < 0)
        a->began_us = a->heard_us = now_us;
    if (!a->was_told_silent && now_us - a->heard_us > SILENCE_US) {
        a->was_told_silent = true;
        actor_say(a, "nothing heard from a learner for %d s; waiting for it", SILENCE_US / 1000000);
    }
    bool is_lost = a->phase == ACTOR_JOINING || now_us - a->heard_us > a->liveness_us;
    if (is_lost && now_us - a->hello_us >= RETRY_US)
        actor_send_hello(a, now_us);
    if (a->phase != ACTOR_ACTING)
        return;
    if (now_us - a->beat_us >= a->heartbeat_us)
        send_heartbeat(a, now_us);
    bool has_none = actor_newest_version(a) < 0;
    bool is_stuck = a->missing_since_us >= 0 && now_us - a->missing_since_us > BARRIER_PATIENCE_US;
    bool is_behind = a->behind_since_us >= 0 && now_us - a->behind_since_us > 2 * a->heartbeat_us && a->lag < 0;
    int64_t patience = is_stuck && !has_none && a->want_us < a->missing_since_us ? 0 : RETRY_US;
    if ((has_none || is_stuck || is_behind) && now_us - a->want_us >= patience)
        actor_send_want(a, now_us);
}

static inline int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t actor_due(const struct actor *a)
{
    const int64_t hello = a->hello_us + RETRY_US, want = a->want_us + RETRY_US;
    if (a->phase != ACTOR_ACTING)
        return a->phase == ACTOR_STOPPED ? INT64_MAX : a->began_us < 0 ? 0 : hello;
    int64_t due = earlier(a->beat_us + a->heartbeat_us, later(hello, a->heard_us + a->liveness_us + 1));
    const bool has_none = actor_newest_version(a) < 0;
    const int64_t stuck = a->missing_since_us + BARRIER_PATIENCE_US + 1;
    if (has_none)
        due = earlier(due, want);
    if (a->missing_since_us >= 0)
        due = earlier(due, !has_none && a->want_us < a->missing_since_us ? stuck : later(stuck, want));
    if (a->behind_since_us >= 0 && a->lag < 0)
        due = earlier(due, later(a->behind_since_us + 2 * a->heartbeat_us + 1, want));
    return due;
}

bool actor_awaits_version(const struct actor *a)
{
    return a->phase == ACTOR_ACTING && a->waiting_since_us >= 0;
}

enum actor_phase actor_phase(const struct actor *a)
{
    return a->phase;
}

int actor_result(const struct actor *a, struct error *err)
{
    *err = a->error;
    return a->error.code;
}

void actor_count(const struct actor *a, struct actor_counts *out)
{
    *out = a->counts;
}
