/* The session core: who takes part, what is fresh, what is refused, and the books.
 *
 * A deterministic state machine: events and the time come in, frames and fragments go out through
 * callbacks. It owns no socket, thread or clock. Experience is accepted at most once, never from
 * another run, epoch, incarnation or life, and every refusal is counted by reason. */
#ifndef SHOAL_LEARNER_SESSION_H
#define SHOAL_LEARNER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/algorithm.h"
#include "common/environment.h"
#include "common/settings.h"
#include "learner/fragment.h"
#include "proto/frame.h"

/* Reasons a message is refused; the words of PROTOCOL.md. */
#define REJECTIONS(X) \
    X(MALFORMED, "malformed") X(PROTOCOL, "protocol") X(SPEC, "spec") \
    X(FULL, "full") X(REPLACED, "replaced") X(UNKNOWN, "unknown") X(STREAM, "stream") \
    X(LIFE, "life") X(DUPLICATE, "duplicate") X(GAP, "gap") X(DIMENSIONS, "dimensions") \
    X(VERSION, "version") X(CHECKSUM, "checksum") X(NONFINITE, "nonfinite") X(ROWS, "rows") \
    X(STATE, "state") X(STALE, "stale") X(STATISTICS, "statistics")

enum rejection {
#define X(name, word) REJECT_##name,
    REJECTIONS(X)
#undef X
    N_REJECTIONS
};

const char *rejection_word(enum rejection r);

struct session_out {
    void *context;
    /* Send to one peer, or to everybody who listens; one reference passes. */
    void (*send)(void *context, uint64_t peer, struct frame *f);
    void (*publish)(void *context, struct frame *f);
    /* An accepted fragment; it passes to the callee. */
    void (*deliver)(void *context, struct fragment *f);
    /* One line for people, without a newline. */
    void (*log)(void *context, const char *line);
};

struct session_setup {
    uint64_t run;
    int64_t epoch;
    const struct settings *settings;
    const struct env_spec *spec;
    const struct algorithm_traits *traits;    /* borrowed */
    bool is_on_policy;
    /* Mode gradients: what actors compute with, and how many parameters it trains. Borrowed. */
    const struct algorithm *algorithm;
    const void *hyper;
    size_t n_trained;
    int snapshot_port;
    const char *cpu;             /* class of CPU of the learner */
    size_t state_bytes;          /* of a stream's state; 0: streams cannot be saved */
    struct fragment_pool *fragments;
    /* Actors end by chance and not for what their environments do: a stream goes on from where it is, however
     * many ended there. */
    bool is_simulated;
    /* Where streams stand, from a checkpoint; NULL: at the beginning.
     * lives, sequences, has_state [n_streams]; states [n_streams][state_bytes] */
    const int64_t *lives, *sequences, *has_state;
    const unsigned char *states;
};

struct session_counts {
    int64_t received, accepted, lost;       /* fragments, or gradients; lost: gaps in sequence numbers */
    int64_t rejected[N_REJECTIONS];
    int64_t bytes_in, bytes_out;
    int64_t credit_ms, parameters_ms;       /* all actors waited for each, together */
    int actors;                             /* connected now */
};

struct session;

struct session *session_create(const struct session_setup *setup, struct session_out out);
void session_destroy(struct session **s);

/* A frame from `peer`; it passes to the session. */
void session_receive(struct session *s, int64_t now_us, uint64_t peer, struct frame *f);

/* Heartbeats, liveness, acknowledgements that wait. Call at least every few milliseconds and after
 * every batch of events. */
void session_tick(struct session *s, int64_t now_us);

/* The training core dealt with a fragment. */
void session_consumed(struct session *s, int64_t stream, int64_t life, int64_t sequence, enum fragment_fate fate);

/* A new version exists. `f` holds its encoded SNAPSHOT (one reference passes). */
void session_publish(struct session *s, int64_t version, struct frame *f);

/* Rounds (lockstep only): `round` of them are done. `version` is behind them and `previous` behind one less; both
 * were published. */
void session_round(struct session *s, int64_t round, int64_t version, int64_t previous);

/* Training is over or interrupted: tell everybody. Actors that answer leave with BYE. */
void session_drain(struct session *s, const char *reason);

void session_count(const struct session *s, struct session_counts *out);

/* The books of one place for an actor; there are as many as the configuration has actors. */
struct session_actor {
    char name[64];                  /* of the actor that has or had the place; "" before the first */
    bool is_connected;
    int n_streams;                  /* it steps now */
    int64_t accepted, transitions;  /* fragments or gradients, and what was in them */
    int64_t rejected[N_REJECTIONS];
    int64_t credit_ms, parameters_ms;   /* actors there waited for credit, and for parameters */
};
void session_count_actor(const struct session *s, int i, struct session_actor *out);

#endif
