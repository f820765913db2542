/* One stream: an environment instance, its random sequences and the fragment it is inside of.
 *
 * Rows are written where they will be sent from: the frame's buffer has room for the header in
 * front of them. */
#ifndef SHOAL_ACTOR_STREAM_H
#define SHOAL_ACTOR_STREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "actor/env.h"
#include "actor/watch.h"
#include "common/arena.h"
#include "common/rng.h"
#include "common/rng_ahead.h"
#include "proto/frame.h"
#include "proto/message.h"

struct stream {
    int64_t number, life;
    int64_t sequence;               /* of the fragment that is open or comes next */
    int64_t acked;                  /* fragments of this life that the learner dealt with */
    struct row_shape shape;
    int stride, horizon;
    bool whole_episodes;            /* set behind stream_init: fragments end where episodes end, too */
    struct env *env;
    struct watch *watch;            /* told of every call into it; NULL: nobody looks */
    struct rng reset_rng, action_rng;
    struct rng_ahead ahead;         /* of action_rng */
    double *process;                /* [n_act] of exploration noise; 0 where an episode begins */
    float *obs;                     /* [n_obs] where the next fragment begins */

    struct frame *frame;            /* the open fragment, or NULL */
    size_t room;                    /* bytes in front of the rows */
    float *rows;                    /* [2 horizon][stride] inside the frame */
    int n_rows, n_transitions;
    bool is_complete;
    int64_t began_us;
    int n_episodes;
    double *returns;                /* [horizon] */
    uint32_t *lengths;              /* [horizon] */
    unsigned char *state;           /* [state_bytes] */
    size_t state_bytes;
};

/* Bytes of a stream's saved state: two random positions (uint64), the environment's doubles, then
 * `process`. 0 when the environment cannot be saved. */
size_t stream_state_bytes(const struct env_model *model);

/* Bytes of buffer that a fragment of such streams needs. */
size_t stream_frame_bytes(const struct env_model *model, int horizon);

void stream_init(struct stream *s, const struct env_model *model, int horizon, struct arena *arena);
void stream_fini(struct stream *s);

/* Tell `watch` (borrowed) of every call into the environment from now on. */
void stream_watch(struct stream *s, struct watch *watch);

/* Begin a life from its start, or from a saved state ([state_bytes], from a peer; ERR_FORMAT). */
void stream_start(struct stream *s, uint64_t seed, int64_t number, int64_t life);
int stream_restore(struct stream *s, uint64_t seed, int64_t number, int64_t life,
                   const unsigned char *state);

/* Open a fragment in `frame` (its reference passes). */
void stream_begin(struct stream *s, struct frame *frame, int64_t now_us);

/* The row that waits for an action. */
float *stream_row(struct stream *s);

/* The action is in the row: step the environment, write what came of it. Returns whether the
 * simulation broke down. */
bool stream_step(struct stream *s);

/* The same of n streams of one model, [n], to the bit. Those whose simulation broke down go to
 * broken [n]; returns how many. */
int streams_step(struct stream *const *s, int n, struct stream **broken);

static inline bool stream_is_open(const struct stream *s) { return s->frame != NULL; }
static inline bool stream_is_complete(const struct stream *s)
{
    return s->frame && s->is_complete;
}

/* End the open fragment here, where it has transitions; without any it is thrown away. */
void stream_close(struct stream *s);

/* What there is to say of the complete fragment: fill `h` (returns, lengths and rows are borrowed until the next
 * stream_begin) except for run, epoch, incarnation, version and state. */
void stream_describe(const struct stream *s, struct fragment_header *h, int64_t now_us);

/* The stream's state between fragments, for stream_restore; empty where the environment has none to give. It is
 * borrowed until the next call. Returns ERR_NUMERIC when it has numbers that nobody could restore. */
int stream_save(struct stream *s, struct bytes *state);

/* Hand over the frame; the next fragment has the next sequence number. */
struct frame *stream_take(struct stream *s);

/* The same with the message before the rows: `m` is a FRAGMENT that stream_describe and the caller filled. */
struct frame *stream_pack(struct stream *s, const struct message *m);

/* Throw the open fragment away. */
void stream_abandon(struct stream *s);

#endif
