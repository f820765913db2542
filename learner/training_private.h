/* What the files of the training core share. Nothing else includes it.
 *
 *   training.c          the state machine: queues, updates, publishing, evaluation, the end
 *   training_state.c    what a checkpoint holds
 *   training_report.c   the books: episodes, staleness, metrics */
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
    N_COUNTERS
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
    struct replay *replay;
    struct normalisation *normalisation;
    float *snapshot;                     /* [n] what training_policy gives */
    struct rate_limiter limiter;
    struct rng sample_rng, update_rng;
    struct algorithm_traits traits;
    struct batch batch;
    struct replay_draw draw;             /* what `batch` reads */
    float *noise;

    struct fragment_queue *queues;       /* async: one; sync: one per stream */
    int64_t streams_ready;               /* sync: streams with something in their queue */
    bool in_round;                       /* sync: a round was appended, its updates are under way */
    struct fragment_queue round;         /* sync: its fragments, to be acknowledged at its end */

    int64_t version, updates, episodes, published;
    int64_t hashed_update;               /* last update a hash was emitted for; -1: none */
    int64_t skipped, skipped_in_a_row;
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
    int64_t staleness[TRAINING_STALENESS_BINS], staleness_n, staleness_max;
    double staleness_sum;
    double metric_sums[ALGORITHM_MAX_METRICS], last_metrics[ALGORITHM_MAX_METRICS];
    int64_t metric_n;
};

static inline bool is_sync(const struct training *t)
{
    return t->settings->top.mode == MODE_SYNC;
}

/* Enter a consumed fragment into the books: its episodes, and how old its policy was. */
void training_count(struct training *t, const struct fragment *f);

/* Enter the metrics of an update, [n_metrics]. */
void training_count_metrics(struct training *t, const double *metrics);

#endif
