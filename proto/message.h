/* The messages, as PROTOCOL.md specifies them, and their encoding.
 *
 * One table per message type drives both directions. Encoding goes through msgpack-c into a
 * buffer; decoding is a cursor over the received bytes that bounds every count before it is used
 * and allocates nothing: texts are copied into the struct, `struct bytes` fields borrow from the
 * frame and may be unaligned. */
#ifndef SHOAL_PROTO_MESSAGE_H
#define SHOAL_PROTO_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    PROTOCOL_VERSION = 4,
    MESSAGE_HEADER_BYTES = 4096,    /* a message without its `bin` fields never needs more */
    MESSAGE_MAX_STREAMS = 1024,     /* streams of one actor */
    MESSAGE_MAX_HORIZON = 16384,    /* transitions in a fragment */
    MESSAGE_MAX_HIDDEN = 8,
    MESSAGE_MAX_ROUND = MESSAGE_MAX_STREAMS * MESSAGE_MAX_HORIZON    /* transitions of a gradient */
};

struct bytes {
    const unsigned char *data;
    size_t size;
};

enum message_type {
    MESSAGE_HELLO, MESSAGE_WELCOME, MESSAGE_REJECT, MESSAGE_WANT, MESSAGE_FRAGMENT, MESSAGE_ACK,
    MESSAGE_SNAPSHOT, MESSAGE_HEARTBEAT, MESSAGE_DRAIN, MESSAGE_BYE, MESSAGE_GRADIENT,
    N_MESSAGE_TYPES
};

struct hello {
    uint64_t incarnation;
    int64_t protocol;
    char name[64];          /* same name, new incarnation: takes the old one's place at once */
    char program[32];       /* "shoal 0.1.0" */
    char cpu[32];           /* class of CPU; a mix is warned about */
    char spec[17];          /* optional: the environment the actor is bound to */
};

struct welcome {
    uint64_t run, incarnation, seed;
    int64_t epoch, protocol;
    char algorithm[16], mode[16];
    char environment[64], spec[17];
    char options[1024];                     /* the environment's, what is not the default */
    int64_t n_obs, n_act, n_choices;
    int64_t horizon;                        /* T */
    struct bytes streams;                   /* uint32 [n_streams]: their numbers, each once */
    struct bytes lives;                     /* uint32 [n_streams] */
    struct bytes sequences;                 /* int64 [n_streams]: next sequence number */
    struct bytes saved;                     /* uint8 [n_streams]: 1: goes on from its state */
    struct bytes states;                    /* [n_streams][state_bytes]; empty: all start afresh */
    int64_t lag;                            /* optional, rounds: 0 sync, 1 pipelined */
    int64_t max_staleness;                  /* optional, versions: fragments are closed early */
    int64_t credit;                         /* fragments per stream that may be unacknowledged */
    int64_t heartbeat_ms, liveness_ms;
    int64_t step_timeout_ms;                /* optional: what one environment call may take */
    int64_t snapshot_port;
    char head[24], activation[8];
    struct bytes hidden;                    /* uint32 [n layers] */
    bool layer_norm;                        /* in the hidden layers */
    char exploration[24];                   /* noise of a deterministic head: its kind, ... */
    double sigma, theta, dt;                /* ... and what it needs */
    bool whole_episodes;                    /* fragments end where episodes end, too */
    bool normalises;                        /* snapshots end in observation statistics */
    bool wants_state;                       /* fragments must carry `state` */
    /* Mode gradients: how the actor makes an instance of `algorithm`. Optional. */
    char algorithm_options[1024];           /* what is not the default */
    bool critic_layer_norm, scales_rewards;
};

struct reject {
    uint64_t incarnation;
    char of[16];            /* hello, fragment, message */
    char code[24];          /* a word for programs */
    char reason[400];       /* a sentence for people */
    bool retry;             /* say HELLO again; otherwise give up */
    int64_t stream, sequence;   /* of a fragment, else -1 */
};

struct want {
    uint64_t run, incarnation;
    int64_t epoch, version;     /* the version held; -1: none */
    int64_t wanted;             /* optional: this version and no newer one */
};

struct fragment_header {
    uint64_t run, incarnation;
    int64_t epoch, stream, life, sequence, version;
    int64_t n_obs, n_act, n_transitions, n_rows;
    int64_t checksum;           /* CRC-32 of the bytes of `rows` */
    int64_t age_ms;             /* how long the actor took to collect it */
    struct bytes returns;       /* float64 per episode that ended here: undiscounted, unscaled */
    struct bytes lengths;       /* uint32 per episode that ended here */
    struct bytes state;         /* the stream's state at the end of the fragment, or empty */
    struct bytes rows;          /* float32 [n_rows][n_obs + n_act + 3] */
};

/* Mode gradients: what all streams of an actor collected side by side, one fragment each, as a gradient. */
struct gradient_header {
    uint64_t run, incarnation;
    int64_t epoch;
    int64_t stream;             /* the first of the actor's; life and sequence are those of them all */
    int64_t life, sequence, version;
    int64_t n_transitions;      /* of all streams together */
    int64_t checksum;           /* CRC-32 of the bytes of `gradient` */
    int64_t age_ms;             /* how long the actor took to collect and differentiate */
    char failure[160];          /* optional: why there is no gradient */
    struct bytes returns, lengths;    /* as FRAGMENT's, stream after stream */
    struct bytes metrics;       /* float64 [n_metrics] of the algorithm */
    struct bytes statistics;    /* float64: what these rows add (common/row_statistics.h), or empty */
    struct bytes gradient;      /* float32 [n_params], or empty: it was not finite */
};

struct ack {
    uint64_t run, incarnation;
    int64_t epoch;
    int64_t newest;             /* newest version there is */
    int64_t start_version;      /* begin no fragment with an older version than this */
    int64_t round, previous;    /* optional: rounds done, with start_version behind them; behind one less */
    int64_t credit;
    struct bytes acked;         /* int64 [n_streams]: fragments dealt with, this life */
};

struct snapshot {
    uint64_t run;
    int64_t epoch, version;
    bool random;                /* warm-up: act uniformly at random */
    int64_t checksum;           /* CRC-32 of the bytes of `parameters` */
    struct bytes parameters;    /* float32: the policy, or (mode gradients) all that is trained, and statistics */
};

struct heartbeat {
    uint64_t run, incarnation;
    int64_t epoch;
    /* learner to actor: as in ACK (optional) */
    int64_t newest, start_version, credit, round, previous;
    struct bytes acked;
    /* actor to learner (optional) */
    int64_t steps;              /* transitions collected by this incarnation */
    int64_t version;            /* version it acts with */
    int64_t diverged;           /* episodes of this incarnation that broke down */
    int64_t credit_ms, parameters_ms;    /* it waited for each */
    char state[16];             /* acting, credit, parameters */
};

struct drain {
    uint64_t run;
    int64_t epoch;
    char reason[128];
};

struct bye {
    uint64_t run, incarnation;
    int64_t epoch;
    char reason[128];
};

struct message {
    enum message_type type;
    union {
        struct hello hello;
        struct welcome welcome;
        struct reject reject;
        struct want want;
        struct fragment_header fragment;
        struct ack ack;
        struct snapshot snapshot;
        struct heartbeat heartbeat;
        struct drain drain;
        struct bye bye;
        struct gradient_header gradient;
    };
};

/* "HELLO", ... */
const char *message_name(enum message_type type);

/* All zero, except that optional integers are -1. What an optional field holds now means absent:
 * integers -1, incarnations 0, texts "", bytes {NULL, 0}. No optional field is a double. */
void message_init(struct message *m, enum message_type type);

/* Encode into `out`. Returns the size, or 0 when `capacity` is too small. Values are not checked:
 * one that the decoder would refuse is the caller's bug. */
size_t message_encode(const struct message *m, unsigned char *out, size_t capacity);

/* Encode a FRAGMENT or GRADIENT whose last field already lies at `bulk` inside a buffer, with at least
 * MESSAGE_HEADER_BYTES plus the sizes of its other bytes fields free in front of it; of the last field only
 * the size is read. Returns where the message begins; it ends behind the bulk. */
unsigned char *message_encode_before(const struct message *m, unsigned char *bulk);

/* Decode a whole frame. Returns NULL and fills `m`, or a sentence saying what is wrong
 * (m->type is then the type as far as it was understood, else N_MESSAGE_TYPES). The sentence is
 * printable, shorter than 256 bytes and lies in the thread's buffer until its next message_decode.
 * Checked: known type as first key, known keys of the right type once each, all required ones
 * there, every number in range and finite, texts printable UTF-8, sizes of bytes a multiple of
 * their element and in agreement with the counts beside them, no byte left over. Not looked into:
 * `rows`, `parameters`, `gradient`, `state`, `states`. */
const char *message_decode(struct message *m, const unsigned char *data, size_t size);

/* Elements of a `struct bytes` field, wherever it lies. */
static inline int64_t bytes_i64(struct bytes b, size_t i)
{
    int64_t v;
    memcpy(&v, b.data + i * sizeof(v), sizeof(v));
    return v;
}
static inline uint32_t bytes_u32(struct bytes b, size_t i)
{
    uint32_t v;
    memcpy(&v, b.data + i * sizeof(v), sizeof(v));
    return v;
}
static inline double bytes_f64(struct bytes b, size_t i)
{
    double v;
    memcpy(&v, b.data + i * sizeof(v), sizeof(v));
    return v;
}

#endif
