/* The contract between the training core and an algorithm.
 *
 * An algorithm is one file that ends in a `const struct algorithm`, and one line in
 * ALGORITHMS(X) (learner/algorithms.h). It sees experience and leaves new parameters and metrics: no
 * sockets, files, YAML, threads or clocks.
 *
 * There are two kinds. Off-policy ones take batches that replay drew (`update`). On-policy ones take
 * rounds: `begin` with a round, then `step` while `has_more`; the next round comes after that.
 *
 * A step is a gradient and its application. Where an algorithm gives both (`gradient`, `apply`), actors
 * compute gradients on rounds of their own and the learner applies each as it comes (A3C). Such an actor
 * holds an instance too: made with the learner's setup but for max_*, which are of its own rounds, and
 * given all trained parameters of each version (algorithm_params). */
#ifndef SHOAL_COMMON_ALGORITHM_H
#define SHOAL_COMMON_ALGORITHM_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/arena.h"
#include "common/environment.h"
#include "common/error.h"
#include "common/exploration.h"
#include "common/mlp.h"
#include "common/option.h"
#include "common/policy_head.h"
#include "common/real.h"
#include "common/row.h"
#include "common/settings.h"

enum { ALGORITHM_MAX_ARRAYS = 16, ALGORITHM_MAX_METRICS = 16 };

/* Transitions to learn from, drawn from replay. With n-step returns a "transition" spans k <= n steps:
 * its reward is sum_{i<k} gamma^i r_i, its kind that of its last step, its successor that step's. Rows are
 * scratch: an algorithm may write into their action fields. */
struct batch {
    int n;                  /* B */
    struct row_shape shape;
    real *rows;             /* [B][2][stride]: each transition's row and its successor */
    const real *noise;      /* [B][noise_per_action][n_act] standard normals */
    const real *discount;   /* [B] gamma^k, in front of what is bootstrapped */
    const real *weight;     /* [B] in front of each critic's squared error; 1 without priorities */
    real *td_error;         /* [B] out: how wrong the critics were, for priorities */
    double progress;        /* 0 to 1: how many of the run's updates are done; 1 is behind the last one */
};

/* What on-policy algorithms learn from: fragments, one behind the other, each ending in CLOSE. Values of
 * all rows, CLOSE ones too, give every V(s) and V(s'). Borrowed until the round is done. */
struct round {
    struct row_shape shape;
    int n_rows, n_transitions, n_fragments;
    const real *rows;           /* [n_rows][stride] observations normalised, rewards scaled */
    const int *first;           /* [n_fragments + 1] each fragment's first row; then n_rows */
    const int64_t *staleness;   /* [n_fragments] versions between acting and now */
    double progress;            /* 0 to 1: how much of total_steps was done before this round */
};

struct algorithm_setup {
    struct row_shape shape;
    int n_choices;              /* of discrete actions; 0: continuous */
    struct mlp_body policy, critic;
    enum mlp_start start;
    int batch_size;             /* of an off-policy update or an on-policy minibatch */
    int max_rows, max_transitions, max_fragments;    /* of a round; 0 off-policy */
    uint64_t seed;
    const struct mlp_engine *engine;    /* copied; NULL: the default kernels, the caller alone */
    const void *hyper;          /* the algorithm's own struct of hyper-parameters */
};

static inline struct workers *algorithm_workers(const struct algorithm_setup *setup)
{
    return setup->engine ? setup->engine->workers : NULL;
}

/* What the other parts must know of an algorithm as it is configured. */
struct algorithm_traits {
    enum policy_head head;
    struct exploration exploration;    /* of actors, where the head is deterministic */
    double discount;                   /* of its returns */
    int noise_per_action;              /* normals per action and transition in a batch */
    bool takes_whole_episodes;         /* fragments end where episodes end */
    bool ignores_batch_size;           /* on-policy: rounds are not cut into minibatches */
};

/* Part of an algorithm's state, to be saved, restored and hashed. */
struct array {
    const char *name;       /* "params" holds every trained parameter and is what gets hashed */
    real *data;             /* [n], or NULL when it is `counter` */
    int64_t *counter;
    size_t n;
};

/* Settings that belong together: "section.key=value", NULL-terminated. */
struct preset {
    const char *name;
    const char *help;           /* what it follows, one sentence without a full stop */
    const char *const *values;
};

struct algorithm {
    const char *name;
    bool is_on_policy;
    const struct option *options;       /* of the section named like the algorithm */
    int n_options;
    size_t hyper_bytes;
    /* presets[0] is always applied first; the others are chosen with `preset: NAME`. What the file and
     * the command line say comes after. */
    const struct preset *presets;
    int n_presets;
    const char *const *metric_names;    /* [n_metrics] */
    int n_metrics;

    /* Refuse what cannot work, before anything is made: what, why and the alternatives. ERR_CONFIG. */
    int (*check)(const void *hyper, const struct settings *s, const struct env_spec *spec,
                 struct error *err);

    void (*describe)(const void *hyper, const struct env_spec *spec, struct algorithm_traits *out);

    /* Networks freshly initialised from setup->seed; everything lives in `arena`. */
    void *(*create)(const struct algorithm_setup *setup, struct arena *arena);

    /* Off-policy: one optimiser step on `b`.
     *   metrics [n_metrics], set
     * Returns 0, or ERR_NUMERIC: a loss or gradient was not finite, `err` names the first such tensor, and
     * the parameters it belongs to did not move. */
    int (*update)(void *self, struct batch *b, double *metrics, struct error *err);

    /* On-policy: take a round; whether it asks for another step; one optimiser step, as `update`. A step
     * that fails has used up its minibatch, so that a round always ends. After a return to a checkpoint
     * `begin` may come while steps are left: they are forgotten.
     *   rng  for shuffling; borrowed until the round is done */
    void (*begin)(void *self, const struct round *r, struct rng *rng);
    bool (*has_more)(const void *self);
    int (*step)(void *self, double *metrics, struct error *err);

    /* Mode gradients; NULL where an algorithm has none.
     *
     * check_gradients  refuse what cannot be computed apart from where it is applied. ERR_CONFIG
     *
     * gradient   of the loss over a whole round of one transition or more, at the present parameters
     *     grad     [n_params] set, laid out as the array "params", before clipping
     *     metrics  [n_metrics] set; those of the step itself, as the learning rate, are 0
     *   No parameter, moment or counter moves; a round that was begun is forgotten. r->progress is not
     *   read. Returns 0, or ERR_NUMERIC as `update`: then `grad` is not set.
     *
     * apply      one optimiser step with such a gradient, wherever it was computed: clipping, learning
     *            rate, moments, bounds
     *     progress as of a round
     *     metrics  [n_metrics] as `gradient` set them; those of the step are filled in, no others
     *   Returns 0, or ERR_NUMERIC as `update`: then nothing moved.
     *
     * With the same parameters, `gradient` and `apply` leave bit for bit what `begin` and the one `step`
     * of the round leave, as far as that learns from the rows in their order. */
    int (*check_gradients)(const void *hyper, const struct settings *s, struct error *err);
    int (*gradient)(void *self, const struct round *r, real *grad, double *metrics, struct error *err);
    int (*apply)(void *self, const real *grad, double progress, double *metrics, struct error *err);

    /* What an actor needs: the network's parameters in mlp order, then the head's own. Borrowed. Where there
     * is `gradient`, they are the first n of the array "params", so that who has that has a policy. */
    const real *(*policy)(const void *self, size_t *n);

    /* Everything to save. Returns how many; borrowed. */
    int (*arrays)(void *self, struct array out[ALGORITHM_MAX_ARRAYS]);

    /* For tests: the gradients of the last step, laid out as the array "params". Borrowed. */
    const real *(*gradients)(const void *self, size_t *n);
};

/* The array "params" of an instance, to be read, or written with those of another one. */
static inline struct array algorithm_params(const struct algorithm *a, void *self)
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    const int n = a->arrays(self, arrays);
    for (int i = 0; i < n; i++)
        if (strcmp(arrays[i].name, "params") == 0)
            return arrays[i];
    return (struct array){ .name = "params" };
}

#endif
