/* Running statistics of what was consumed, and what they do to a batch: observations are centred and
 * scaled, rewards are scaled by the spread of the discounted return.
 *
 * Rows keep raw numbers wherever they are stored. Statistics are kept in double, in the order of
 * consumption, and belong to a version: what normalisation_refresh took is used until the next refresh,
 * by batches, actors and evaluations alike.
 *
 *   observation   clip((x - mean) / sqrt(var + 1e-8), -10, 10)
 *   reward        clip(r / sqrt(var_R + 1e-8), -10, 10),  R <- gamma R + r per stream, R <- 0 where an
 *                 episode ends (as Stable-Baselines3's VecNormalize; Gymnasium's wrapper goes on
 *                 behind a truncation)
 * var is the population's. Both begin as 1e-4 samples of mean 0 and variance 1. Every transition's
 * observation counts once; observations that close a fragment or an episode do not count. How they are
 * kept, and merged with what actors consumed in mode gradients: row_statistics.h.
 *
 * Source: Gymnasium, wrappers/utils.py. */
#ifndef SHOAL_LEARNER_NORMALISATION_H
#define SHOAL_LEARNER_NORMALISATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/row.h"
#include "common/row_statistics.h"
#include "common/safetensors.h"

struct normalisation;

struct normalisation_setup {
    struct row_shape shape;
    int64_t n_streams;
    bool of_observations, of_rewards;
    double discount;                /* gamma of the return R */
    int n_kept;                     /* versions whose statistics normalisation_keep remembers */
};

struct normalisation *normalisation_create(const struct normalisation_setup *setup,
                                           struct arena *arena);

/* Take a fragment's rows into the statistics.
 *   rows     [n_rows][stride] float32, of any alignment
 *   max      of its transitions count, from the front
 *   is_fresh the stream began a new life: its running return begins again */
void normalisation_consume(struct normalisation *n, int64_t stream, bool is_fresh, const void *rows,
                           int n_rows, int max);

/* What was consumed so far holds from now on: a new version begins. */
void normalisation_refresh(struct normalisation *n);

/* Normalise a batch where it lies.
 *   rows  [count][2][stride]: transitions and their successors */
void normalisation_apply(const struct normalisation *n, int count, float *rows);

/* ---- on-policy: rows that an older version acted in ---- */

/* What holds now is that of `version`, and remembered as such. Versions never go down. */
void normalisation_keep(struct normalisation *n, int64_t version);

/* Remember for `version` what normalisation_write had written, up to `end`. */
void normalisation_keep_written(struct normalisation *n, int64_t version, const float *end);

/* Normalise the observations of rows [n_rows][stride], CLOSE rows too, as `version` saw them. Returns false
 * when that was too long ago: then the oldest statistics that are remembered were used. */
bool normalisation_apply_version(const struct normalisation *n, int64_t version, int n_rows,
                                 float *rows);

/* Scale the rewards of rows [n_rows][stride] with everything consumed so far. */
void normalisation_scale_rewards(const struct normalisation *n, int n_rows, float *rows);

/* Take over the statistics of `from`, of the same setup, and what holds there; the running returns, which
 * belong to the streams, and what is remembered stay. */
void normalisation_take(struct normalisation *n, const struct normalisation *from);

/* What a snapshot carries behind the network's parameters: mean [n_obs] | 1 / std [n_obs]; nothing
 * when observations are not normalised. Returns how many numbers. */
size_t normalisation_write(const struct normalisation *n, float *out);

/* ---- mode gradients ---- */

/* Take over what an actor consumed (row_statistics.h): instead of normalisation_consume, for rows that stay
 * with the actor.
 *   increment  [normalisation_increment_n]
 * Returns ERR_FORMAT, and changes nothing, for numbers that no rows have. */
size_t normalisation_increment_n(const struct normalisation *n);
int normalisation_merge(struct normalisation *n, const double *increment, struct error *err);

/* What a snapshot carries in addition, for actors that make rounds (algorithm.h) of their rows: 1 / std of
 * the discounted return, this version's; nothing when rewards are not scaled. Returns how many numbers.
 *
 * A snapshot of mode gradients is then
 *     "params" | mean [n_obs] | 1 / std [n_obs] | 1 / std of the return
 * with the policy's parameters in front. An actor keeps its rows raw, takes them into its row_statistics, and
 * makes a round of a copy of them with normaliser_apply_rows and normaliser_scale_rewards, both with the
 * numbers of the version that it acted with. (In the other modes the learner scales a round's rewards with
 * everything up to that round.) */
size_t normalisation_write_reward_scale(const struct normalisation *n, float *out);

/* State for a checkpoint (borrowed until the next consume) and back. Returns how many tensors. */
enum { NORMALISATION_MAX_TENSORS = 4 };
int normalisation_save(struct normalisation *n, struct tensor out[NORMALISATION_MAX_TENSORS]);
int normalisation_load(struct normalisation *n, const struct safetensors *file, struct error *err);

#endif
