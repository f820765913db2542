/* What session.c, session_fragment.c and session_send.c share: the session's state, and what it says. */
#ifndef SHOAL_LEARNER_SESSION_PRIVATE_H
#define SHOAL_LEARNER_SESSION_PRIVATE_H

#include "learner/session.h"
#include "proto/message.h"

struct stream {
    int64_t life, next_sequence, acked;
    bool has_state;             /* `states` holds where fragment next_sequence begins */
};

struct slot {
    bool is_connected, wants_ack;
    uint64_t peer, incarnation;
    char name[64];
    int64_t heard_us, beat_us;
    int64_t diverged_told;      /* episodes that broke down, when it was last said */
    int fruitless;              /* incarnations in a row of which nothing was accepted */
};

struct session {
    struct session_setup setup;
    struct session_out out;
    struct row_shape shape;
    int64_t n_streams, per_slot;
    int n_slots;
    bool wants_state;
    char spec_hash[ENV_SPEC_HASH_BYTES];

    struct slot *slots;              /* [n_slots] */
    struct stream *streams;          /* [n_streams] */
    unsigned char *states;           /* [n_streams][state_bytes] after the last fragment received */
    int64_t *ack_buffer;             /* [per_slot] */
    uint32_t *life_buffer;           /* [per_slot] */

    struct frame_pool *frames;       /* for what the session says itself */
    struct frame *snapshot;          /* newest SNAPSHOT, or NULL */
    int64_t newest, start_version;
    bool is_draining;
    char drain_reason[128];
    struct session_counts counts;
};

/* A line for people. */
void session_say(struct session *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fragments of a stream that may be unacknowledged, and the first stream of a slot. */
int64_t session_credit(const struct session *s);
int64_t session_first_stream(const struct session *s, const struct slot *slot);

/* Messages to one peer; counted. */
void session_send(struct session *s, uint64_t peer, const struct message *m);
void session_send_ack(struct session *s, struct slot *slot);
void session_send_heartbeat(struct session *s, struct slot *slot);
void session_send_drain(struct session *s, const struct slot *slot);

/* A fragment of a member. Takes the frame when it returns true. */
bool session_fragment(struct session *s, struct slot *slot, const struct fragment_header *h,
                      struct frame *frame);

/* REJECT, counted by its reason `r`; `fragment` is what it answers, or NULL. */
void session_send_reject(struct session *s, uint64_t peer, const char *of, enum rejection r,
                         bool retry, const struct fragment_header *fragment, const char *format,
                         ...) __attribute__((format(printf, 7, 8)));

#endif
