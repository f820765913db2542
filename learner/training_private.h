/* What the files of the training core share. Nothing else includes it.
 *
 *   training.c           the state machine: versions, publishing, evaluation, the end
 *   training_replayed.c  off-policy: replay, the limiter and updates
 *   training_round.c     on-policy: rounds and their steps
 *   training_gradients.c  mode gradients: those of actors, each as it comes
 *   training_numbers.c   updates that failed, and the way back to the last checkpoint
 *   training_state.c     what a checkpoint holds
 *   training_memory.c    what all of it takes, known beforehand
 *   training_report.c    the books: fragments, episodes, staleness, metrics */
#ifndef SHOAL_LEARNER_TRAINING_PRIVATE_H
#define SHOAL_LEARNER_TRAINING_PRIVATE_H

#include "common/arena.h"
#include "common/rng.h"
#include "learner/normalisation.h"
#include "learner/rate_limiter.h"
#include "learner/training.h"

enum { RECENT_EPISODES = 20 };

/* Integers of a checkpoint, in this order. */
enum counter {
    COUNT_VERSION, COUNT_UPDATES, COUNT_INSERTS, COUNT_SAMPLES, COUNT_MIN_SIZE, COUNT_EPISODES,
    COUNT_SAMPLE_RNG, COUNT_UPDATE_RNG, COUNT_NEXT_EVAL, COUNT_STOP_STREAK, COUNT_HASHED, COUNT_EVALUATED,
    COUNT_ROUNDS, COUNT_PREVIOUS,
    N_COUNTERS
};

/* How many versions old fragments were. */
struct ages {
    int64_t bins[TRAINING_STALENESS_BINS];      /* the last one: as old or older */
    int64_t n, max;
    double sum;
};

struct training {
    const struct settings *settings;
    const struct algorithm *algorithm;
    struct training_out out;
    struct fragment_pool *fragments;
    struct row_shape shape;
    int64_t n_streams;
    size_t state_bytes;
    struct arena *arena;

    void *self;                          /* the algorithm */
    struct normalisation *normalisation;
    float *snapshot;                     /* [n] what training_policy gives */
    struct rng sample_rng, update_rng;
    struct algorithm_traits traits;
    struct rate_limiter limiter;         /* on-policy only its `inserts` count */

    struct replay *replay;               /* off-policy */
    struct batch batch;
    struct replay_draw draw;             /* what `batch` reads */
    float *noise;

    struct round round;                  /* on-policy: the one learnt from */
    float *rows;                         /* what it reads */
    int *first;
    int64_t *fragment_staleness;

    float *gradient, *shared;            /* mode gradients: [n_trained] the one applied; [n_shared] what is published */
    double *statistics;                  /* [normalisation_increment_n] what came with it */
    size_t n_trained, n_shared;

    struct fragment_queue *queues;       /* async, gradients: one; lockstep: one per stream */
    int64_t streams_ready;               /* lockstep: streams with something in their queue */
    bool in_round;                       /* lockstep and on-policy: a round's updates are under way */
    int64_t rounds, round_version, previous_version;    /* lockstep: done, and what they gave */
    float *current, *previous;           /* pipelined: [n_snapshot] the policies of those versions */
    size_t n_snapshot;
    /* The round's fragments. lockstep: to be acknowledged at its end; async, on-policy: until there are
     * enough. */
    struct fragment_queue gathered;
    int64_t n_gathered, gathered_transitions;

    int64_t version, updates, episodes, published;
    int64_t hashed_update;               /* last update a hash was emitted for; -1: none */
    int64_t skipped, skipped_in_a_row;
    int64_t good_updates;                /* since the last return */
    int n_returns;                       /* to the last checkpoint, without enough good updates between */
    bool is_unsound;                     /* a number to be given away was not finite */
    float *start_arrays;                 /* the algorithm's arrays at the start, one behind the other */
    int64_t start_counters[ALGORITHM_MAX_ARRAYS], start_update;
    struct normalisation *start_normalisation, *loaded_normalisation;
    int64_t loaded_update;               /* of the checkpoint that training_restore read */
    int64_t forgotten_statistics;        /* fragments older than the statistics that are kept */
    int64_t next_eval;                   /* env_steps; INT64_MAX: only at the end */
    int64_t asked_eval, answered_eval;   /* env_steps of the last ones; -1: none */
    int64_t stop_streak, awaited_eval;   /* awaited_eval: env_steps of the answer waited for, or -1 */
    bool has_ended, is_finished, was_final_evaluated;

    int64_t *lives, *sequences;          /* [n_streams] consumed */
    int64_t *has_state;                  /* [n_streams] 1: `states` is where the next one begins */
    unsigned char *states;               /* [n_streams][state_bytes] */
    int64_t counters[N_COUNTERS];        /* for training_save */
    double limiter_start;

    double returns[RECENT_EPISODES], lengths[RECENT_EPISODES];    /* rings, by episodes */
    struct ages ages, version_ages;      /* since the last report, and for the version to come */
    struct place_ages {
        int64_t fragments, max;
        double sum;
    } *places;                           /* [actors] */
    double metric_sums[ALGORITHM_MAX_METRICS], last_metrics[ALGORITHM_MAX_METRICS];
    int64_t metric_n;
};

static inline bool is_lockstep(const struct training *t)
{
    return settings_are_lockstep(t->settings);
}

static inline bool is_gradients(const struct training *t)
{
    return t->settings->top.mode == MODE_GRADIENTS;
}

static inline int64_t transitions_left(const struct training *t)
{
    return t->settings->top.total_steps - t->limiter.inserts;
}

/* ---- training.c ---- */

/* The oldest fragment of a queue, or NULL. */
struct fragment *training_take(struct training *t, int64_t queue);

/* Acknowledge a fragment and give it back. */
void training_finish_with(struct training *t, struct fragment *f, enum fragment_fate fate);

/* Outside rounds: what becomes of a fragment whose turn it is. */
enum fragment_fate training_fate(const struct training *t, const struct fragment *f);

/* async, off-policy: book the fragments at the head of the queue that cannot be learnt from, refused or too old,
 * and give them back. */
void training_turn_away(struct training *t);

/* lockstep: one fragment of every stream, in stream order, into `gathered`, when all are there. Returns
 * whether they were. */
bool training_gather_streams(struct training *t);

/* An update is done and its numbers are in: `rc` and `err` as the algorithm gave them. */
void training_settle(struct training *t, int rc, const double *metrics, const struct error *err);

/* What was learnt is a version of its own. */
void training_advance(struct training *t);

void training_publish(struct training *t);
void training_evaluate_when_due(struct training *t);

/* Publish, and tell which version is behind the rounds that are done. */
void training_publish_round(struct training *t);

/* The round's updates are done; let everybody go on. */
void training_end_round(struct training *t);

/* ---- training_replayed.c, training_round.c, training_gradients.c ---- */

void training_create_replayed(struct training *t);
void training_size_round(const struct training *t, struct algorithm_setup *as);
void training_create_round(struct training *t, const struct algorithm_setup *as);

/* One unit of work. Return whether there was anything to do. */
bool training_step_replayed(struct training *t);
bool training_step_round(struct training *t);
bool training_step_gradient(struct training *t);

/* Room for rounds there are none of at the learner; what gradients need instead. */
void training_create_gradients(struct training *t);

/* What is published, [n_shared] in `shared`. */
const float *training_share(struct training *t);

/* Whether an update is due by what is in replay. */
bool training_may_update(const struct training *t);

/* ---- training_numbers.c ---- */

void training_create_start(struct training *t);
void training_keep_start(struct training *t);

/* Count an update that came to nothing, and tell. */
void training_fail(struct training *t, const char *why);

/* Whether x [n] may be given away; otherwise that is a failed update, called by `what`. */
bool training_is_finite(struct training *t, const float *x, size_t n, const char *what);

/* After too many failures in a row return to the last good state. Returns false when that was done too
 * often already. */
bool training_recover(struct training *t);

/* Before the end: never leave numbers that are not finite behind. */
void training_recover_for_good(struct training *t);

/* ---- training_report.c ---- */

/* Enter a consumed fragment, of which the first n transitions count, into the books and statistics. */
void training_count(struct training *t, const struct fragment *f, int n);

/* The same of a gradient, of whose transitions n count, but for the statistics that came with it. */
void training_count_gradient(struct training *t, const struct fragment *f, int n);

/* The version is done: tell how old what it was learnt from was. */
void training_tell_ages(struct training *t);

/* Enter the metrics of an update, [n_metrics]. */
void training_count_metrics(struct training *t, const double *metrics);

#endif
