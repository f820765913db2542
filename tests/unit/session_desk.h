/* The desk at which tests put a session core: hand-made frames go in, everything it says is captured and decoded,
 * every frame is counted, and when the desk is destroyed the books must balance. */
#ifndef SHOAL_TESTS_SESSION_DESK_H
#define SHOAL_TESTS_SESSION_DESK_H

#include "learner/session.h"
#include "proto/message.h"

enum { T = 4, STRIDE = 7, STATE_BYTES = 24, MAX_SENT = 4096, MAX_DELIVERED = 4096 };
enum { ALICE = 11, BOB = 12, CAROL = 13 };              /* peers; incarnations are 100 x as much */
static const uint64_t RUN = 0xfedcba9876543210;
static const int64_t EPOCH = 3, SECOND = 1000000;

struct desk {
    struct settings settings;
    struct env_spec spec;
    struct algorithm_traits traits;
    bool is_on_policy;
    const struct algorithm *algorithm;        /* mode gradients; set between desk_settings and desk_open */
    const void *hyper;
    size_t n_trained;
    struct fragment_pool *fragments;
    struct session *session;
    int64_t now_us;
    struct { uint64_t peer; struct frame *frame; } sent[MAX_SENT];
    int n_sent, n_read;                       /* n_read: looked at by `next` */
    struct fragment *delivered[MAX_DELIVERED];
    int n_delivered, n_published, n_lines;
    char line[768];                           /* said last */
    int64_t fragments_in, fragments_rejected, rejects;
    int64_t rejects_of_nobody;                /* counted, with nobody there to tell */
    bool is_sending_fragment;
    struct message m;                         /* read last; borrows from its frame */
    float rows[2 * T][STRIDE];                /* of the fragment made last */
    double returns[T];
    uint32_t lengths[T];
    unsigned char state[STATE_BYTES];
};

/* A desk with actors x envs streams of Pendulum-v1, horizon T, a window of 3, at which version 0 was published. In
 * two steps and without it for tests that change the settings or go on from a checkpoint. */
struct desk *desk_create(enum mode mode, int actors, int envs);
void desk_settings(struct desk *d, enum mode mode, int actors, int envs);
void desk_open(struct desk *d, const int64_t *lives, const int64_t *sequences, const int64_t *has_state,
               const unsigned char *states);

/* Everything received was accepted or refused with an answer, and every frame was let go. */
void desk_destroy(struct desk *d);

struct session_counts counts_of(const struct desk *d);
struct session_actor books_of(const struct desk *d, int place);

/* ---- talking to it ---- */

size_t encode(const struct message *m, unsigned char out[4096]);

/* `bytes` of data in a block of exactly their size. */
struct frame *frame_make(const void *data, size_t bytes);

void receive(struct desk *d, uint64_t peer, const struct message *m);

/* Time goes by. */
void tick(struct desk *d, int64_t us);

/* The next unread message, which must be of this type and go to this peer. */
const struct message *next(struct desk *d, uint64_t peer, enum message_type type);
void expect_silence(const struct desk *d);
void skip(struct desk *d);
const struct reject *expect_reject(struct desk *d, uint64_t peer, const char *of, enum rejection code, bool retry);

struct message hello(uint64_t peer, const char *name);

/* Say HELLO and read WELCOME; the ACK that follows is read as well. */
const struct welcome *join(struct desk *d, uint64_t peer, const char *name);

/* Read a WELCOME and the ACK behind it. */
const struct welcome *next_welcome(struct desk *d, uint64_t peer);

/* Whether an actor was given exactly these streams, as letters: "03" are 0 and 3. */
bool has_streams(const struct welcome *w, const char *digits);

/* A message that only a member may send. */
struct message member(enum message_type type, uint64_t peer);
void say(struct desk *d, enum message_type type, uint64_t peer);

/* A fragment as it should be: T steps, the second of which ends an episode. Its state is of bytes
 * 16 stream + sequence + 1. */
struct message fragment(struct desk *d, uint64_t peer, int64_t stream, int64_t life, int64_t sequence);

/* The same whose rows are of these kinds, a letter each: Step, Terminated, Limit, Close. */
struct message fragment_of(struct desk *d, uint64_t peer, int64_t stream, int64_t life, int64_t sequence,
                           const char *kinds);

/* Send a good one that must be accepted. */
void send_good(struct desk *d, uint64_t peer, int64_t stream, int64_t life, int64_t sequence);

/* Spoil a good fragment in way number `what`; returns what it is refused for while the newest version is 7. */
enum { N_SPOILS = 12 };
enum rejection spoil(struct desk *d, struct message *m, int what);

/* Of stream number i of the actor, by an ACK or a HEARTBEAT. */
int64_t acked(const struct message *m, size_t i);

void publish(struct desk *d, int64_t version);

#endif
