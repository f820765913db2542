/* The training core: experience in, versions out.
 *
 * A deterministic state machine. Results depend on the fragments and their order only. It owns no socket,
 * file, thread or clock.
 *
 * Lockstep (`sync`, `pipelined`) means rounds of one fragment of every stream, in stream order whatever the order
 * of arrival. The two differ in what actors do meanwhile: in `sync` they wait for what round k gave before they
 * begin round k + 1, in `pipelined` they collect it with what round k - 1 gave.
 *
 * Off-policy, fragments are appended to replay only between updates; in lockstep a round is appended, then the
 * updates it owes are done. A version is an update.
 *
 * On-policy, a round is learnt from and forgotten; in `async` it is the next n_streams fragments in order of
 * arrival, whichever streams they are from, while the queue goes on filling. A version is a round, and every
 * version is published. An update is a
 * step of the algorithm: PPO's minibatch, also the one whose KL ends the round and that is not learnt from;
 * A2C's step of both networks, with the value_epochs before it. Observations are normalised with the
 * statistics of the version that acted, rewards scaled with the statistics as they are behind this round.
 *
 * In `gradients` (A3C) actors have the rounds, of their own streams alone, and send gradients and what their rows
 * add to the statistics. Each is applied as it comes, whatever version it was computed at: an update, a version of its
 * own, and every version is published, with all that is trained. One that an actor could not compute is an update that
 * failed. The one that reaches total_steps is applied whole, and of its transitions as many count as were left.
 *
 * An update whose numbers are not finite is skipped. After 10 in a row, or where a number to be published,
 * evaluated or saved is not finite, what was learnt returns to the last checkpoint, or to the start; where
 * that was done 3 times without 1000 good updates between, training has diverged. When a checkpoint is
 * written depends on time: a run that returned to one repeats bit for bit only up to there. */
#ifndef SHOAL_LEARNER_TRAINING_H
#define SHOAL_LEARNER_TRAINING_H

#include <stdbool.h>
#include <stdint.h>

#include "common/algorithm.h"
#include "common/environment.h"
#include "common/safetensors.h"
#include "common/settings.h"
#include "learner/fragment.h"
#include "learner/replay.h"
#include "learner/schedule.h"

/* How old was what a version was learnt from: the fragments consumed since the last version that had any. In
 * versions, as far as quantiles are integers. */
struct version_staleness {
    int64_t version, env_steps, fragments;
    double mean;
    int64_t p50, p90, p99, max;
};

struct training_out {
    void *context;
    /* A fragment is dealt with, or (async, on-policy) taken into a round. Called before its frame is given
     * back. */
    void (*consumed)(void *context, const struct fragment *f, enum fragment_fate fate);
    /* A new version for the actors; `params` is borrowed during the call. */
    void (*publish)(void *context, int64_t version, bool random, const float *params, size_t n);
    /* Lockstep: `round` rounds are done, `version` is behind them and `previous` behind one less (the same at the
     * beginning); both were published. */
    void (*round)(void *context, int64_t round, int64_t version, int64_t previous);
    /* Play the policy; the answer comes back through training_evaluated. Borrowed. */
    void (*evaluate)(void *context, int64_t env_steps, const float *params, size_t n);
    /* Digest of all trained parameters after `update`. */
    void (*hash)(void *context, int64_t update, int64_t env_steps, const char *sha256);
    /* A fragment or gradient entered, or was turned away: SCHEDULE_FRAGMENT, SCHEDULE_GRADIENT. */
    void (*scheduled)(void *context, const struct schedule_record *r);
    /* A version is done for which something was consumed. May be NULL. */
    void (*aged)(void *context, const struct version_staleness *s);
    /* A line for people. May be NULL. */
    void (*log)(void *context, const char *line);
    /* Call training_restore with the last checkpoint. Returns 0, or an error when there is none to be
     * had. May be NULL: there never is one. */
    int (*restore)(void *context, struct error *err);
};

struct training_setup {
    const struct settings *settings;
    const struct algorithm *algorithm;
    const void *hyper;
    const struct env_spec *spec;
    size_t state_bytes;              /* of a stream's state; 0: none */
    struct fragment_pool *fragments;
    const struct mlp_engine *engine; /* copied; NULL: the default kernels, the caller alone */
};

enum training_status {
    TRAINING_BUSY,          /* did something; call again */
    TRAINING_WAITING,       /* needs fragments or an evaluation */
    TRAINING_FINISHED,      /* total_steps and the updates owed, or eval.stop_at */
    TRAINING_DIVERGED       /* too many updates in a row with numbers that are not finite */
};

enum { TRAINING_STALENESS_BINS = 4096 };

/* What happened since the last report, and totals. */
struct training_report {
    int64_t env_steps, updates, episodes, version, sampled, skipped_updates;
    int64_t evaluated_steps;        /* env_steps of the last evaluation that came in; none: -1 */
    double samples_per_insert;      /* transitions sampled per transition inserted behind min_size */
    /* over the last episodes (up to 20); 0 episodes: NaN */
    double return_mean, return_min, return_max, length_mean, length_min, length_max;
    /* versions, over the fragments since the last report; none: 0 */
    double staleness_mean;
    int64_t staleness_p50, staleness_p90, staleness_p99, staleness_max;
    double metrics[ALGORITHM_MAX_METRICS];    /* means since the last report; none: the last ones */
    bool is_random;                 /* warm-up */
    int64_t forgotten_statistics;   /* on-policy fragments normalised with later statistics than theirs */
};

struct training;

/* Transitions that replay will have room for: never more than the run collects. */
int64_t training_capacity(const struct settings *s);

/* The replay that a run will have; for knowing its memory beforehand. */
struct replay_setup training_replay(const struct settings *s, struct row_shape shape, double discount);

/* Bytes that an on-policy round takes: its rows as they arrived and as they are learnt from, and the
 * numbers that algorithms keep beside each of them. */
size_t training_round_bytes(const struct settings *s, struct row_shape shape);

/* Bytes that the networks take at most, with their gradients, moments, targets and copies, and with what a
 * batch goes through them with. For any algorithm of that kind, so that one with fewer networks takes less:
 * DDPG about half.
 *   engine   what they will be computed with; NULL: as mlp_cache_init has it */
size_t training_network_bytes(const struct settings *s, bool is_on_policy, const struct env_spec *spec,
                              const struct mlp_engine *engine);

/* Refuse experience and networks that `available` bytes cannot hold, before anything is allocated for them:
 * ERR_CONFIG. What actors take, and fragments under way, is left out. */
int training_check_memory(const struct settings *s, bool is_on_policy, const struct env_spec *spec,
                          const struct mlp_engine *engine, double available, struct error *err);

struct training *training_create(const struct training_setup *setup, struct training_out out);
void training_destroy(struct training **t);

/* Publish the version that actors begin with; after training_load where there is something to load. */
void training_begin(struct training *t);

/* An accepted fragment; it passes to the core. Between steps only. */
void training_offer(struct training *t, struct fragment *f);

/* The mean return of the evaluation asked for at `env_steps`; NaN: it failed. */
void training_evaluated(struct training *t, int64_t env_steps, double mean);

/* Whether total_steps, the updates owed and the last evaluation are done, or eval.stop_at was
 * reached. */
bool training_is_complete(const struct training *t);

/* One unit of work: an update, or appending what may be appended. */
enum training_status training_step(struct training *t);

/* Whether training_save would miss nothing: on-policy only between rounds. An on-policy run that is saved
 * at rest continues bit for bit in `sync`. */
bool training_is_at_rest(const struct training *t);

/* Updates done so far. */
int64_t training_updates(const struct training *t);

/* Fill `r` and begin a new interval. */
void training_report(struct training *t, struct training_report *r);

/* What came from the streams of place i (envs_per_actor neighbours), all along: fragments consumed, and how many
 * versions old they were. */
struct training_place {
    int64_t fragments, staleness_max;
    double staleness_mean;
};
struct training_place training_place(const struct training *t, int64_t i);

/* Whether everything that would be saved is finite. Otherwise ERR_NUMERIC, it counts as a failed update, and
 * the next step returns to the last checkpoint. */
int training_check(struct training *t, struct error *err);

/* Everything to go on from, as tensors (borrowed until the next step), and back. At rest only, and where
 * training_check is content. The contents of replay are not part of it: after training_load, min_size
 * transitions are collected with the loaded policy before updates go on. Returns the number of tensors. */
enum { TRAINING_MAX_TENSORS = ALGORITHM_MAX_ARRAYS + 13 };
int training_save(struct training *t, struct tensor out[TRAINING_MAX_TENSORS]);
int training_load(struct training *t, const struct safetensors *file, struct error *err);

/* Only what was learnt: the algorithm's arrays and the statistics. Counters, random positions, versions and
 * streams go on. For training_out.restore; after an error the core falls back on the start. */
int training_restore(struct training *t, const struct safetensors *file, struct error *err);

/* What `publish` gives: the policy as below or, in mode gradients, "params" of which the policy is the first part,
 * the statistics of observations, and 1 / std of the return (normalisation.h). How many numbers that is, and how
 * many are trained: what a gradient has. */
size_t training_snapshot_n(const struct training *t);
size_t training_n_trained(const struct training *t);

/* The policy as it is now: the network's parameters and, when observations are normalised, their
 * statistics (policy_n_params numbers). Borrowed until the next step. */
const float *training_policy(const struct training *t, size_t *n);

/* Where the consumed part of every stream stands, for the session after a restart.
 * lives, sequences, has_state [n_streams]; states [n_streams][state_bytes]. Borrowed. */
struct training_streams {
    const int64_t *lives, *sequences, *has_state;
    const unsigned char *states;
};
struct training_streams training_streams(const struct training *t);

/* Emit the hash of the parameters now, unless that was the last thing emitted. */
void training_hash(struct training *t);

#endif
