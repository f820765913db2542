/* The contract between the training core and an algorithm.
 *
 * An algorithm is one file that ends in a `const struct algorithm`, and one line in
 * ALGORITHMS(X) (learner/algorithms.h). It sees a batch and leaves new parameters and metrics: no
 * sockets, files, YAML, threads or clocks. */
#ifndef SHOAL_COMMON_ALGORITHM_H
#define SHOAL_COMMON_ALGORITHM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/mlp.h"
#include "common/option.h"
#include "common/real.h"
#include "common/row.h"

enum { ALGORITHM_MAX_ARRAYS = 16, ALGORITHM_MAX_METRICS = 12 };

/* Transitions to learn from. Rows are scratch: an algorithm may write into their action fields. */
struct batch {
    int n;                  /* B */
    struct row_shape shape;
    real *rows;             /* [B][2][stride]: each transition's row and its successor */
    const real *noise;      /* [B][noise_per_action][n_act] standard normals */
};

struct algorithm_setup {
    struct row_shape shape;
    int hidden[MLP_MAX_LAYERS];
    int n_hidden;
    enum activation activation;
    int batch_size;
    uint64_t seed;
    const void *hyper;      /* the algorithm's own struct of hyper-parameters */
};

/* Part of an algorithm's state, to be saved, restored and hashed. */
struct array {
    const char *name;       /* "params" holds every trained parameter and is what gets hashed */
    real *data;             /* [n], or NULL when it is `counter` */
    int64_t *counter;
    size_t n;
};

struct algorithm {
    const char *name;
    const char *head;                   /* policy head, as WELCOME names it */
    const struct option *options;       /* of the section named like the algorithm */
    int n_options;
    size_t hyper_bytes;
    int noise_per_action;               /* normals per action and transition in a batch */
    const char *const *metric_names;    /* [n_metrics] */
    int n_metrics;

    /* Networks freshly initialised from setup->seed; everything lives in `arena`. */
    void *(*create)(const struct algorithm_setup *setup, struct arena *arena);

    /* One optimiser step on `b`.
     *   metrics [n_metrics], set
     * Returns 0, or ERR_NUMERIC: a loss or gradient was not finite, and the parameters it
     * belongs to did not move. */
    int (*update)(void *self, struct batch *b, double *metrics);

    /* The discount of its returns, for scaling rewards. */
    double (*discount)(const void *hyper);

    /* What an actor needs: the policy's parameters in mlp order. Borrowed. */
    const real *(*policy)(const void *self, size_t *n);

    /* Everything to save. Returns how many; borrowed. */
    int (*arrays)(void *self, struct array out[ALGORITHM_MAX_ARRAYS]);
};

#endif
