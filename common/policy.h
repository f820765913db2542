/* A policy as actors and evaluators use it: parameters in, actions out.
 *
 * Inference goes through the row kernel, so an action depends on its own observation, parameters
 * and noise only, never on how many environments are stepped together. */
#ifndef SHOAL_COMMON_POLICY_H
#define SHOAL_COMMON_POLICY_H

#include <stdbool.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/mlp.h"
#include "common/policy_head.h"
#include "common/rng.h"
#include "common/rng_ahead.h"
#include "common/row.h"
#include "common/safetensors.h"

struct policy_shape {
    struct row_shape row;
    int n_choices;          /* of discrete actions; 0: continuous */
    enum policy_head head;
    struct mlp_shape net;
    bool normalises;        /* observations: their mean and 1 / std stand behind the parameters */
};

struct policy;

/* A shape that does not normalise. */
struct policy_shape policy_shape_make(enum policy_head head, const struct mlp_body *body,
                                      struct row_shape row, int n_choices);

/* Buffers for up to `max_rows` rows, all parameters zero. */
struct policy *policy_create(const struct policy_shape *s, int max_rows, struct arena *arena);

const struct policy_shape *policy_shape_of(const struct policy *p);

/* Numbers of a policy: the network's parameters in mlp order, what its head has behind them, then mean
 * [n_obs] | 1 / std [n_obs] when it normalises. */
size_t policy_n_params(const struct policy_shape *s);

/* Where in these numbers the head's own begin, and the observations' mean. */
size_t policy_head_offset(const struct policy_shape *s);
size_t policy_statistics_offset(const struct policy_shape *s);

/* Replace all [policy_n_params] numbers; `params` may be unaligned bytes. */
void policy_set(struct policy *p, const void *params);
const float *policy_params(const struct policy *p);

/* Act in n rows, whose observations stay raw.
 *   rows   [n] pointers to rows whose `obs` is filled; `action` and `log_prob` are set
 *   noise  [n][n_act] standard normals of Gaussian heads, numbers in [0, 1) of the categorical one, what is
 *          added to the action of the deterministic one; NULL: the mean (squashed: of what is squashed),
 *          the most probable choice, the action without noise
 * log_prob is that of the action; 0 without noise and of the deterministic head. */
void policy_act(struct policy *p, int n, float *const *rows, const float *noise);

/* Draw what policy_act needs to sample one row's action.
 *   noise  [n_act]; zeros of the deterministic head, whose noise is not the policy's */
void policy_draw(const struct policy *p, struct rng *rng, float *noise);

/* The same numbers for who draws from one sequence again and again. */
void policy_draw_ahead(const struct policy *p, struct rng *rng, struct rng_ahead *ahead, float *noise);

/* policy.safetensors: "observation.mean" and "observation.inverse_std" [n_obs] when it normalises,
 * layers as "policy.<l>.weight" [out][in] and "policy.<l>.bias" [out] (as PyTorch keeps them), layer
 * normalisation as "policy.<l>.norm.weight" and "policy.<l>.norm.bias" [out], a free log sigma as
 * "policy.log_sigma" [n_act]; as metadata "head", "activation", "n_act" and "n_choices". Nothing in it
 * depends on time, host or directory.
 *   metadata [n]: up to 12 further entries */
int policy_save(const char *path, const struct policy_shape *s, const float *params,
                const struct tensor_metadata *metadata, int n, struct error *err);

/* Read one; the shape is found in the file. `params` is allocated with malloc. ERR_FORMAT for a file that
 * is no policy, lacks something or holds what its head has no use for; ERR_NUMERIC for numbers that are
 * not finite. */
int policy_load(const char *path, struct policy_shape *s, float **params, struct error *err);

#endif
