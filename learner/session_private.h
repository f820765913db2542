/* What the files session*.c share: the session's state, and what it says. */
#ifndef SHOAL_LEARNER_SESSION_PRIVATE_H
#define SHOAL_LEARNER_SESSION_PRIVATE_H

#include "common/row_statistics.h"
#include "learner/peer_table.h"
#include "learner/session.h"
#include "proto/message.h"

struct stream {
    int64_t life, next_sequence, acked;
    bool has_state;             /* `states` holds where fragment next_sequence begins */
    int owner;                  /* number of the slot that steps it */
};

struct slot {
    bool is_connected, wants_ack, wants_welcome, was_told_waiting;
    uint64_t peer, incarnation;
    char name[64];
    uint32_t *streams;          /* [n_streams] those it steps; its own, and in rounds those of absent slots */
    int n_streams, capacity;
    int64_t heard_us, beat_us, left_us;
    int64_t accepted, transitions;      /* fragments, and what was in them */
    int64_t rejected[N_REJECTIONS];
    int64_t stale_told;         /* fragments that came too late, when it was last said */
    int64_t credit_ms, parameters_ms;   /* actors in this place waited for */
    int64_t told_credit_ms, told_parameters_ms;     /* of that, the last heartbeat of the actor there now */
    int64_t diverged_told;      /* episodes that broke down, when it was last said */
    int64_t failures, failures_told;    /* gradients that were not finite */
    int fruitless;              /* incarnations in a row of which nothing was accepted */
};

struct session {
    struct session_setup setup;
    struct session_out out;
    struct row_shape shape;
    int64_t n_streams, per_slot;
    int n_slots, max_streams;        /* max_streams: of one slot, when it stands in for others */
    bool is_lockstep, wants_state;
    bool is_gradients;               /* actors send GRADIENT, of all their streams together, and no FRAGMENT */
    struct arena *arena;             /* gradients: what the next two lie in, else NULL */
    struct row_statistics increment; /* scratch: whether what came can be */
    double *statistics;              /* [row_statistics_increment_n] */
    int64_t began_us;                /* first tick; -1 before */
    char spec_hash[ENV_SPEC_HASH_BYTES];

    struct slot *slots;              /* [n_slots] */
    struct peer_table members;       /* the places of those that are connected */
    struct stream *streams;          /* [n_streams] */
    unsigned char *states;           /* [n_streams][state_bytes] after the last fragment received */
    int64_t *ack_buffer;             /* [max_streams] */
    uint32_t *life_buffer;           /* [max_streams] */
    unsigned char *saved_buffer, *state_buffer;     /* [max_streams], [max_streams][state_bytes] */

    struct frame_pool *frames;       /* for what the session says itself, */
    struct frame_pool *welcomes;     /* and for what takes states along */
    struct frame *snapshots[2];      /* newest SNAPSHOT and the one before, or NULL */
    int64_t versions[2];
    int64_t round, start_version, previous;     /* rounds done, -1: none are kept; versions behind them */
    bool is_draining;
    char drain_reason[128];
    struct session_counts counts;
};

/* A line for people. */
void session_say(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fragments of a stream that may be unacknowledged. */
int64_t session_credit(const struct session *s);

/* In rounds: 0 for sync, 1 for pipelined. */
int64_t session_lag(const struct session *s);

/* ---- session_join.c ---- */

void session_hello(struct session *s, int64_t now_us, uint64_t peer, const struct hello *h);

/* Tell an actor what it is to do, and the bytes that takes. */
void session_welcome(struct session *s, struct slot *slot);
size_t session_welcome_bytes(const struct session *s, size_t n_streams);

struct slot *session_slot_of(struct session *s, uint64_t peer);     /* or NULL */
void session_leave(struct session *s, struct slot *slot, const char *why, int64_t now_us);

/* ---- session_streams.c: who steps which streams ---- */

void session_share_out(struct session *s);

/* In rounds: actors that are here step the streams of those that vanished some time ago. */
void session_stand_in(struct session *s, int64_t now_us);

/* A slot's actor is here again: its own streams go back to it. */
void session_give_back(struct session *s, struct slot *slot);

/* Messages to one peer; counted. */
void session_send(struct session *s, uint64_t peer, const struct message *m);
void session_send_from(struct session *s, struct frame_pool *pool, uint64_t peer, const struct message *m);
void session_send_ack(struct session *s, struct slot *slot);
void session_send_heartbeat(struct session *s, struct slot *slot);
void session_send_drain(struct session *s, const struct slot *slot);

/* A fragment of a member. Takes the frame when it returns true. */
bool session_fragment(struct session *s, struct slot *slot, const struct fragment_header *h,
                      struct frame *frame);

/* ---- what fragments and gradients share ---- */

/* Whether this is what comes next from its stream; otherwise it is refused. Of `h` only what places it. */
bool session_is_next(struct session *s, struct slot *slot, const struct fragment_header *h);

/* Refuse what is in it for good: it is dealt with. Returns an empty one, to be delivered in its place. */
struct fragment *session_refuse(struct session *s, struct slot *slot, enum rejection r,
                                const struct fragment_header *h, const char *why);

/* Enter it into the books. Returns it without contents, to be filled and delivered. */
struct fragment *session_accept(struct session *s, struct slot *slot, const struct fragment_header *h);

/* "fragment" or "gradient". */
const char *session_piece(const struct session *s);

/* ---- session_gradient.c ---- */

void session_create_gradients(struct session *s);

/* As session_fragment. */
bool session_gradient(struct session *s, struct slot *slot, const struct gradient_header *g, struct frame *frame);

/* What WELCOME says of it. */
void session_fill_gradients(const struct session *s, struct welcome *w);

/* REJECT, counted by its reason `r`; `fragment` is what it answers, or NULL. */
void session_send_reject(struct session *s, uint64_t peer, const char *of, enum rejection r,
                         bool retry, const struct fragment_header *fragment, const char *format,
                         ...) __attribute__((format(printf, 7, 8)));

#endif
