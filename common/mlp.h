/* Multilayer perceptrons over a flat parameter arena, forward and backward side by side.
 *
 * Parameters of one network are consecutive: per layer the weights W[n_in][n_out] (row-major), then
 * the biases b[n_out]. A layer computes y = f(x W + b); the last one is linear. The arena belongs to
 * the caller, so that one optimiser sweep, one hash or one broadcast covers several networks. */
#ifndef SHOAL_COMMON_MLP_H
#define SHOAL_COMMON_MLP_H

#include <stddef.h>

#include "common/arena.h"
#include "common/real.h"
#include "common/rng.h"

enum { MLP_MAX_LAYERS = 9 };    /* hidden layers plus the output layer */

enum activation { ACTIVATION_RELU, ACTIVATION_TANH };
#define ACTIVATION_CHOICES "relu|tanh"

struct mlp_shape {
    int n_layers;                        /* weight matrices */
    int width[MLP_MAX_LAYERS + 1];       /* inputs, hidden widths ..., outputs */
    enum activation activation;          /* of the hidden layers */
};

/* Intermediate results of one forward pass over at most `capacity` rows. */
struct mlp_cache {
    int capacity;
    real *out[MLP_MAX_LAYERS];    /* [capacity][width[l + 1]] after activation */
    real *delta[2];               /* [capacity][widest]: gradients under way */
};

struct mlp_shape mlp_shape_make(int n_in, const int *hidden, int n_hidden, int n_out,
                                enum activation activation);

size_t mlp_n_params(const struct mlp_shape *s);

/* Where layer `l`'s weights and biases begin in the parameters. */
size_t mlp_weight_offset(const struct mlp_shape *s, int l);
size_t mlp_bias_offset(const struct mlp_shape *s, int l);

/* Weights and biases uniform in +-1/sqrt(n_in), as PyTorch's linear layers start. */
void mlp_init(const struct mlp_shape *s, real *params, struct rng *rng);

void mlp_cache_init(struct mlp_cache *c, const struct mlp_shape *s, int capacity,
                    struct arena *arena);

/* Evaluate B rows.
 *   x       [B] rows of width[0] inputs, `ldx` apart
 * Returns the outputs [B][width[n_layers]], owned by the cache until its next use. */
real *mlp_forward(const struct mlp_shape *s, const real *params, int B, const real *x, int ldx,
                  struct mlp_cache *c);

/* Back-propagate through the last mlp_forward of `c`, same params, B and x.
 *   dout    [B][width[n_layers]]: d loss / d outputs; overwritten
 *   grad    as params, set (not added to); NULL: not wanted
 *   dx      [B] rows of width[0], `lddx` apart, set; NULL: not wanted */
void mlp_backward(const struct mlp_shape *s, const real *params, int B, const real *x, int ldx,
                  struct mlp_cache *c, real *dout, real *grad, real *dx, int lddx);

#endif
