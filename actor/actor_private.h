/* What the files of the actor core share: the actor's state, and what they ask of each other. actor_core.c says and
 * hears, and knows when; actor_join.c sets up what WELCOME asks for; actor_books.c holds versions; actor_fragments.c
 * steps. */
#ifndef SHOAL_ACTOR_ACTOR_PRIVATE_H
#define SHOAL_ACTOR_ACTOR_PRIVATE_H

#include "actor/actor_core.h"
#include "actor/gradients.h"
#include "actor/stream.h"
#include "common/exploration.h"
#include "common/policy.h"
#include "proto/message.h"

enum { RETRY_US = 1000000 };    /* between HELLOs, and between WANTs */

/* A snapshot that is not adopted, or was. */
struct pending {
    int64_t version;                     /* -1: none */
    bool is_random;
    float *params;                       /* [n_params] */
};

/* What one WELCOME set up; replaced whole by the next one. */
struct work {
    struct arena *arena;
    struct env_model *model;             /* `opened`, or the one shared with others */
    struct env_model *opened;
    struct policy *policy;
    struct frame_pool *frames;
    struct gradients *gradients;         /* mode gradients; else NULL */
    struct stream *streams;              /* [n_streams] */
    int n_streams;
    float *noise;                        /* [ACTING_GROUP][n_act] what policy_act takes */
    struct exploration exploration;      /* of a deterministic head */
    struct pending pending[2];           /* in rounds two: the learner may be one ahead of what comes next */
    int n_pending;
    size_t n_params;                     /* of a snapshot */
    int n_act, horizon;
};

struct actor {
    struct actor_setup setup;
    struct actor_out out;
    enum actor_phase phase;
    struct error error;                  /* code 0: stopped as asked */
    struct frame_pool *frames;           /* small messages */

    uint64_t run;
    int64_t epoch, heartbeat_us, liveness_us;
    int64_t heard_us, hello_us, beat_us, want_us, waiting_since_us, behind_since_us;
    int64_t newest, start_version, credit;
    int64_t round, previous;             /* rounds done, and the version behind one less; -1: not known yet */
    int64_t lag;                         /* rounds; -1: none are kept */
    int64_t max_staleness;               /* versions; 0: any */
    int64_t version;                     /* the one held; -1: none */
    int64_t needed;                      /* the version waited for; -1: none in particular */
    int64_t idle_since_us;               /* without credit; -1: not so */
    int64_t missing_since_us;            /* a version is waited for that there is; -1: none */
    bool is_random, wants_state, was_told_full, was_told_silent;
    int64_t began_us;                    /* first tick; -1 before */
    struct work work;
    struct actor_counts counts;
};

/* ---- actor_core.c ---- */

/* A line for people. */
void actor_say(struct actor *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

void actor_send_hello(struct actor *a, int64_t now_us);

/* Ask for the version that is needed, or the newest. */
void actor_send_want(struct actor *a, int64_t now_us);

/* End for good: code 0 as asked, or an error. */
void actor_end(struct actor *a, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* ---- actor_join.c ---- */

void actor_on_welcome(struct actor *a, int64_t now_us, const struct welcome *w);
void actor_on_reject(struct actor *a, int64_t now_us, const struct reject *r);

/* What was set up is not what the learner thinks: begin again. */
void actor_rejoin(struct actor *a, int64_t now_us);

/* Close the environment and let go of all that WELCOME set up; nothing where there is none. */
void actor_end_work(struct actor *a);

/* ---- actor_books.c: which versions there are, and which is held ---- */

void actor_on_snapshot(struct actor *a, const struct snapshot *s);

/* What ACK and the learner's heartbeats say of rounds, versions, credit and acknowledged fragments. */
void actor_on_books(struct actor *a, int64_t now_us, const struct ack *books);

/* The newest version that is held or pending; -1: none. */
int64_t actor_newest_version(const struct actor *a);

/* The round that comes next: that of the stream that is furthest behind. */
int64_t actor_next_round(const struct actor *a);

/* Hold the version that `round` is acted with; -1: the newest. Returns whether there is one that will do. */
bool actor_hold_version(struct actor *a, int64_t round);

/* Whether what is being collected would be too old: then fragments end here, and none begins. */
bool actor_is_outdated(const struct actor *a);

/* ---- actor_fragments.c ---- */

/* Whether no stream is inside a fragment. */
bool actor_is_between_fragments(const struct actor *a);

#endif
