/* Multilayer perceptrons over a flat parameter arena, forward and backward side by side.
 *
 * Parameters of one network are consecutive: per layer the weights W[n_in][n_out] (row-major), then
 * the biases b[n_out] and, behind those of hidden layers with layer normalisation, its gain [n_out] and
 * offset [n_out]. A hidden layer computes y = f(x W + b), or y = f(LN(x W + b)); the last one is linear.
 *
 *   LN(z)_j = gain_j (z_j - mean(z)) / sqrt(var(z) + 1e-5) + offset_j    over the layer's width, var of
 *                                                 the population       Ba, Kiros, Hinton 2016, Eq. 4
 *
 * The arena belongs to the caller, so that one optimiser sweep, one hash or one broadcast covers several
 * networks. */
#ifndef SHOAL_COMMON_MLP_H
#define SHOAL_COMMON_MLP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/kernels.h"
#include "common/real.h"
#include "common/rng.h"
#include "common/workers.h"

enum { MLP_MAX_LAYERS = 9 };    /* hidden layers plus the output layer */

/* silu(z) = z / (1 + exp(-z)) */
enum activation { ACTIVATION_RELU, ACTIVATION_TANH, ACTIVATION_SILU };
#define ACTIVATION_CHOICES "relu|tanh|silu"

/* Its word, and back; ERR_FORMAT names the unknown one. */
const char *activation_name(enum activation a);
int activation_find(const char *name, enum activation *a, struct error *err);

/* The hidden part of a network, whatever its inputs and outputs. */
struct mlp_body {
    int n_hidden;
    int hidden[MLP_MAX_LAYERS];          /* [n_hidden] widths */
    enum activation activation;
    bool has_layer_norm;
};

struct mlp_shape {
    int n_layers;                        /* weight matrices */
    int width[MLP_MAX_LAYERS + 1];       /* inputs, hidden widths ..., outputs */
    enum activation activation;          /* of the hidden layers */
    bool has_layer_norm;                 /* in the hidden layers */
};

/* What computes: matrix kernels, and the threads that share the work (NULL: the caller alone). Results do not
 * depend on how many they are. */
struct mlp_engine {
    const struct kernels *kernels;
    struct workers *workers;
};

/* Room for one network's passes over at most `capacity` rows, with what its last pass left for the way back. */
struct mlp_cache {
    struct mlp_engine engine;
    int capacity;
    real *out[MLP_MAX_LAYERS];    /* [capacity][width[l + 1]] after activation */
    real *delta[MLP_MAX_LAYERS];  /* [capacity][width[l + 1]] of hidden layers: d loss / d (x W + b) */
    void *packed[MLP_MAX_LAYERS]; /* weights as the kernels read them, of the pass under way */
    void *scratch;                /* [workers][scratch_bytes] the kernels' */
    size_t scratch_bytes;
    /* Of hidden layers that need them; else NULL. */
    real *slope[MLP_MAX_LAYERS];          /* [capacity][width[l + 1]] the activation's derivative: silu */
    real *centred[MLP_MAX_LAYERS];        /* [capacity][width[l + 1]] (z - mean) / std: normalisation */
    real *inverse_std[MLP_MAX_LAYERS];    /* [capacity]: normalisation */
    real *norm_sums[MLP_MAX_LAYERS];      /* [parts][2 width[l + 1]] gradients of gain and offset */
};

struct mlp_shape mlp_shape_make(int n_in, const struct mlp_body *body, int n_out);

size_t mlp_n_params(const struct mlp_shape *s);

/* Where layer `l`'s weights and biases begin in the parameters, and its layer normalisation's gain
 * (hidden layers that have one; the offset follows the gain). */
size_t mlp_weight_offset(const struct mlp_shape *s, int l);
size_t mlp_bias_offset(const struct mlp_shape *s, int l);
size_t mlp_norm_offset(const struct mlp_shape *s, int l);
bool mlp_has_norm(const struct mlp_shape *s, int l);

/* How parameters start. Layer normalisation starts as gain 1, offset 0. */
enum mlp_start {
    MLP_START_UNIFORM,      /* weights and biases in +-1/sqrt(n_in), as PyTorch's linear layers */
    MLP_START_ORTHOGONAL    /* orthogonal weights times a gain, biases 0        Saxe et al. 2014 */
                            /* (W W^T or W^T W, whichever is smaller, is gain^2 I) */
};
#define MLP_START_CHOICES "uniform|orthogonal"

/* The gains, of the hidden layers and of the last one, are for MLP_START_ORTHOGONAL alone. */
void mlp_init(const struct mlp_shape *s, real *params, enum mlp_start start, double hidden_gain,
              double last_gain, struct rng *rng);

/*   engine   copied; NULL: the default kernels, the caller alone */
void mlp_cache_init(struct mlp_cache *c, const struct mlp_shape *s, int capacity,
                    const struct mlp_engine *engine, struct arena *arena);

/* Bytes that such a cache takes, but for alignment. */
size_t mlp_cache_bytes(const struct mlp_shape *s, int capacity, const struct mlp_engine *engine);

/* Parts that B rows are worked on in. */
size_t mlp_parts(const struct mlp_cache *c, int B);

enum { MLP_MAX_PASSES = 8 };

/* One network going over a batch of B rows. */
struct mlp_pass {
    const struct mlp_shape *shape;
    const real *params;
    int B;
    const real *x;              /* [B] rows of width[0] inputs, `ldx` apart */
    int ldx;
    struct mlp_cache *cache;    /* no other pass of the same call may have it */

    /* Backward only. */
    const real *dout;           /* [B][width[n_layers]] d loss / d outputs */
    real *grad;                 /* as params, set (not added to); NULL: not wanted */
    real *dx;                   /* [B] rows, `lddx` apart: d loss / d inputs from `dx_first` on, set; NULL: not wanted */
    int lddx, dx_first;
    /* Where most of dout is 0: the rows that count, ascending. dout and dx hold these n_rows alone, one after
     * the other, and there is no grad. NULL: all. */
    const int *rows;
    int n_rows;
};

/* Evaluate, or back-propagate through the last evaluation of the same pass, n networks at once, n up to
 * MLP_MAX_PASSES, with one engine. */
void mlp_forward_all(const struct mlp_pass *passes, int n);
void mlp_backward_all(const struct mlp_pass *passes, int n);

/* The outputs [B][width[n_layers]] of the pass, owned by its cache until the next one. */
real *mlp_output(const struct mlp_pass *p);

/* One network alone; mlp_forward returns its outputs. */
real *mlp_forward(const struct mlp_shape *s, const real *params, int B, const real *x, int ldx,
                  struct mlp_cache *c);
void mlp_backward(const struct mlp_shape *s, const real *params, int B, const real *x, int ldx,
                  struct mlp_cache *c, const real *dout, real *grad, real *dx, int lddx);

#endif
