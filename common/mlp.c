#include "common/mlp.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "common/vector_math.h"

static const real NORM_EPSILON = (real)1e-5;

static const char *const activation_names[] = {
    [ACTIVATION_RELU] = "relu", [ACTIVATION_TANH] = "tanh", [ACTIVATION_SILU] = "silu",
};

const char *activation_name(enum activation a)
{
    return activation_names[a];
}

int activation_find(const char *name, enum activation *a, struct error *err)
{
    for (size_t i = 0; i < sizeof(activation_names) / sizeof(*activation_names); i++)
        if (strcmp(name, activation_names[i]) == 0) {
            *a = (enum activation)i;
            return 0;
        }
    return error_set(err, ERR_FORMAT, "unknown activation \"%s\"", name);
}

struct mlp_shape mlp_shape_make(int n_in, const struct mlp_body *body, int n_out)
{
    assert(body->n_hidden < MLP_MAX_LAYERS);
    struct mlp_shape s = { .n_layers = body->n_hidden + 1, .activation = body->activation,
                           .has_layer_norm = body->has_layer_norm };
    s.width[0] = n_in;
    for (int l = 0; l < body->n_hidden; l++)
        s.width[l + 1] = body->hidden[l];
    s.width[body->n_hidden + 1] = n_out;
    return s;
}

size_t mlp_weight_offset(const struct mlp_shape *s, int l)
{
    size_t offset = 0;
    for (int i = 0; i < l; i++)
        offset += (size_t)(s->width[i] + 1 + (s->has_layer_norm && i + 1 < s->n_layers ? 2 : 0))
                * (size_t)s->width[i + 1];
    return offset;
}

size_t mlp_bias_offset(const struct mlp_shape *s, int l)
{
    return mlp_weight_offset(s, l) + (size_t)s->width[l] * (size_t)s->width[l + 1];
}

size_t mlp_norm_offset(const struct mlp_shape *s, int l)
{
    return mlp_bias_offset(s, l) + (size_t)s->width[l + 1];
}

size_t mlp_n_params(const struct mlp_shape *s)
{
    return mlp_weight_offset(s, s->n_layers);
}

static bool has_norm(const struct mlp_shape *s, int l)
{
    return s->has_layer_norm && l + 1 < s->n_layers;
}

/* ---- start ---- */

enum { PANEL = 16 };    /* rows that are orthonormalised together */

/* Orthonormalise the rows of v[n][length], n few, among each other. */
static void orthonormalise_panel(double *v, size_t n, size_t length)
{
    for (size_t j = 0; j < n; j++) {
        double *x = v + j * length, norm = 0;
        for (size_t i = 0; i < 2 * j; i++) {
            const double *y = v + i % j * length;
            double product = 0;
            for (size_t k = 0; k < length; k++)
                product += x[k] * y[k];
            for (size_t k = 0; k < length; k++)
                x[k] -= product * y[k];
        }
        for (size_t k = 0; k < length; k++)
            norm += x[k] * x[k];
        for (size_t k = 0; k < length; k++)
            x[k] /= sqrt(norm);
    }
}

/* Orthonormalise the rows of v[n][length], n <= length: Gram and Schmidt's Q with R_jj > 0, which of normal
 * rows is uniformly distributed. What lies along the rows before is taken from a panel of rows at once, as
 * matrix products. Twice is enough (Kahan, in Parlett 1980) for rounding to leave nothing. */
static void orthonormalise(double *v, int n, int length)
{
    double *along = memory_alloc((size_t)n * PANEL, sizeof(*along));    /* [PANEL][rows before] */
    for (int j = 0; j < n; j += PANEL) {
        double *panel = v + (size_t)j * (size_t)length;
        const int m = n - j < PANEL ? n - j : PANEL;
        for (int i = 0; i < 2 && j > 0; i++) {
            matrix_double_nt(m, j, length, panel, length, v, length, along, j);
            matrix_double_subtract(m, length, j, along, j, v, length, panel, length);
        }
        orthonormalise_panel(panel, (size_t)m, (size_t)length);
    }
    free(along);
}

/* w[n_in][n_out]: rows orthonormal where n_in <= n_out, else columns; times gain. The vectors are drawn one
 * after the other. */
static void init_orthogonal(real *w, size_t n_in, size_t n_out, double gain, struct rng *rng)
{
    const bool in_rows = n_in <= n_out;
    const size_t n = in_rows ? n_in : n_out, length = in_rows ? n_out : n_in;
    double *v = memory_alloc(n * length, sizeof(*v));
    for (size_t i = 0; i < n * length; i++)
        v[i] = rng_normal(rng);
    orthonormalise(v, (int)n, (int)length);
    for (size_t j = 0; j < n; j++)
        for (size_t k = 0; k < length; k++)
            w[in_rows ? j * length + k : k * n + j] = (real)(gain * v[j * length + k]);
    free(v);
}

void mlp_init(const struct mlp_shape *s, real *params, enum mlp_start start, double hidden_gain,
              double last_gain, struct rng *rng)
{
    for (int l = 0; l < s->n_layers; l++) {
        const size_t n_in = (size_t)s->width[l], n_out = (size_t)s->width[l + 1];
        real *weights = params + mlp_weight_offset(s, l), *bias = params + mlp_bias_offset(s, l);
        if (start == MLP_START_ORTHOGONAL) {
            init_orthogonal(weights, n_in, n_out, l + 1 < s->n_layers ? hidden_gain : last_gain, rng);
            memset(bias, 0, n_out * sizeof(*bias));
        } else {
            const double bound = 1.0 / sqrt((double)n_in);
            for (size_t i = 0; i < (n_in + 1) * n_out; i++)
                weights[i] = (real)rng_uniform(rng, -bound, bound);
        }
        for (size_t j = 0; has_norm(s, l) && j < n_out; j++) {
            params[mlp_norm_offset(s, l) + j] = 1;
            params[mlp_norm_offset(s, l) + n_out + j] = 0;
        }
    }
}

void mlp_cache_init(struct mlp_cache *c, const struct mlp_shape *s, int capacity,
                    struct arena *arena)
{
    int widest = 0;
    *c = (struct mlp_cache){ .capacity = capacity };
    for (int l = 0; l < s->n_layers; l++) {
        int n = s->width[l + 1];
        const size_t count = (size_t)capacity * (size_t)n;
        c->out[l] = arena_alloc(arena, count, sizeof(real));
        if (s->activation == ACTIVATION_SILU && l + 1 < s->n_layers)
            c->slope[l] = arena_alloc(arena, count, sizeof(real));
        if (has_norm(s, l)) {
            c->centred[l] = arena_alloc(arena, count, sizeof(real));
            c->inverse_std[l] = arena_alloc(arena, (size_t)capacity, sizeof(real));
        }
        widest = n > widest ? n : widest;
    }
    for (int i = 0; i < 2; i++)
        c->delta[i] = arena_alloc(arena, (size_t)capacity * (size_t)widest, sizeof(real));
}

size_t mlp_cache_bytes(const struct mlp_shape *s, int capacity)
{
    size_t per_row = 0, widest = 0;
    for (int l = 0; l < s->n_layers; l++) {
        const size_t n = (size_t)s->width[l + 1];
        const bool has_slope = s->activation == ACTIVATION_SILU && l + 1 < s->n_layers;
        per_row += n * (1 + has_slope + has_norm(s, l)) + has_norm(s, l);
        widest = n > widest ? n : widest;
    }
    return (per_row + 2 * widest) * (size_t)capacity * sizeof(real);
}

/* ---- layer normalisation ---- */

/* sum_j x_j y_j, or sum_j x_j where y is NULL; in lanes, which a vector unit adds at once. */
static inline real sum_row(const real *x, const real *y, int n)
{
    enum { LANES = 8 };
    real lane[LANES] = { 0 }, sum = 0;
    int j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int i = 0; i < LANES; i++)
            lane[i] += y ? x[j + i] * y[j + i] : x[j + i];
    for (; j < n; j++)
        sum += y ? x[j] * y[j] : x[j];
    for (int i = 0; i < LANES; i++)
        sum += lane[i];
    return sum;
}

/* y = gain (z - mean) / std + offset in place over [B][n], where z = y + b. */
static void normalise(real *y, const real *b, const real *gain, int B, int n, real *centred,
                      real *inverse_std)
{
    const real *offset = gain + n;
    for (int i = 0; i < B; i++, y += n, centred += n) {
        for (int j = 0; j < n; j++)
            y[j] += b[j];
        const real mean = sum_row(y, NULL, n) / (real)n;
        for (int j = 0; j < n; j++)
            centred[j] = y[j] - mean;
        const real var = sum_row(centred, centred, n) / (real)n;
        const real scale = 1 / real_sqrt(var + NORM_EPSILON);
        inverse_std[i] = scale;
        for (int j = 0; j < n; j++) {
            centred[j] *= scale;
            y[j] = gain[j] * centred[j] + offset[j];
        }
    }
}

/* Back through normalise: delta [B][n] becomes d loss / d z; with c = (z - mean) / std and h = gain delta,
 *   dz = (h - mean(h) - c mean(h c)) / std
 *   dnorm    [2 n] gradients of gain and offset, set; NULL: not wanted */
static void through_norm(real *delta, const real *gain, int B, int n, const real *centred,
                         const real *inverse_std, real *dnorm)
{
    if (dnorm)
        memset(dnorm, 0, 2 * (size_t)n * sizeof(*dnorm));
    for (int i = 0; i < B; i++, delta += n, centred += n) {
        for (int j = 0; dnorm && j < n; j++) {
            dnorm[j] += delta[j] * centred[j];
            dnorm[n + j] += delta[j];
        }
        for (int j = 0; j < n; j++)
            delta[j] *= gain[j];
        const real mean = sum_row(delta, NULL, n) / (real)n;
        const real slope = sum_row(delta, centred, n) / (real)n;
        for (int j = 0; j < n; j++)
            delta[j] = (delta[j] - mean - centred[j] * slope) * inverse_std[i];
    }
}

/* ---- activations ---- */

/* y = y + b in place over [B][n]: the output layer. */
static void add_bias(real *y, const real *b, int B, int n)
{
    for (int i = 0; i < B; i++, y += n)
        for (int j = 0; j < n; j++)
            y[j] += b[j];
}

/* y = f(y + b) in place over [B][n]; b NULL: none.    slope [B][n], of silu, set */
static void activate(real *y, const real *b, int B, int n, enum activation f, real *slope)
{
    for (int i = 0; i < B; i++, y += n) {
        if (f == ACTIVATION_RELU) {
            for (int j = 0; j < n; j++) {
                real v = b ? y[j] + b[j] : y[j];
                y[j] = v > 0 ? v : 0;
            }
        } else if (f == ACTIVATION_TANH) {
            for (int j = 0; b && j < n; j++)
                y[j] += b[j];
            vector_tanh(y, (size_t)n);
        } else {
            for (int j = 0; j < n; j++) {
                real z = b ? y[j] + b[j] : y[j];
                real sigmoid = 1 / (1 + real_exp(-z));
                y[j] = z * sigmoid;
                slope[j] = sigmoid + y[j] * (1 - sigmoid);
            }
            slope += n;
        }
    }
}

/* delta *= f'; relu and tanh express theirs by their output y; [count] all. */
static void through_activation(real *delta, const real *y, const real *slope, size_t count,
                               enum activation f)
{
    if (f == ACTIVATION_RELU) {
        for (size_t i = 0; i < count; i++)
            delta[i] = y[i] > 0 ? delta[i] : 0;
    } else if (f == ACTIVATION_TANH) {
        for (size_t i = 0; i < count; i++)
            delta[i] *= 1 - y[i] * y[i];
    } else {
        for (size_t i = 0; i < count; i++)
            delta[i] *= slope[i];
    }
}

/* ---- the network ---- */

real *mlp_forward(const struct mlp_shape *s, const real *params, int B, const real *x, int ldx,
                  struct mlp_cache *c)
{
    assert(B <= c->capacity);
    for (int l = 0; l < s->n_layers; l++) {
        int k = s->width[l], n = s->width[l + 1];
        const real *bias = params + mlp_bias_offset(s, l);
        real *y = c->out[l];
        matrix_nn(B, n, k, x, ldx, params + mlp_weight_offset(s, l), n, 0, y, n);
        if (has_norm(s, l)) {
            normalise(y, bias, params + mlp_norm_offset(s, l), B, n, c->centred[l], c->inverse_std[l]);
            activate(y, NULL, B, n, s->activation, c->slope[l]);
        } else if (l + 1 < s->n_layers) {
            activate(y, bias, B, n, s->activation, c->slope[l]);
        } else {
            add_bias(y, bias, B, n);
        }
        x = y;
        ldx = n;
    }
    return c->out[s->n_layers - 1];
}

/* db[n] = column sums of delta[B][n] */
static void sum_columns(const real *delta, int B, int n, real *db)
{
    memset(db, 0, (size_t)n * sizeof(*db));
    for (int i = 0; i < B; i++, delta += n)
        for (int j = 0; j < n; j++)
            db[j] += delta[j];
}

void mlp_backward(const struct mlp_shape *s, const real *params, int B, const real *x, int ldx,
                  struct mlp_cache *c, real *dout, real *grad, real *dx, int lddx)
{
    real *delta = dout;    /* d loss / d (x W + b) of the layer at hand, [B][n] */
    for (int l = s->n_layers - 1; l >= 0; l--) {
        int k = s->width[l], n = s->width[l + 1];
        const real *weights = params + mlp_weight_offset(s, l);
        const real *input = l ? c->out[l - 1] : x;
        if (grad) {
            /* dW = input^T delta */
            matrix_tn(k, n, B, input, l ? k : ldx, delta, n, 0, grad + mlp_weight_offset(s, l), n);
            sum_columns(delta, B, n, grad + mlp_bias_offset(s, l));
        }
        if (l) {
            real *below = c->delta[l % 2];
            matrix_nt(B, k, n, delta, n, weights, n, 0, below, k);
            through_activation(below, input, c->slope[l - 1], (size_t)B * (size_t)k, s->activation);
            if (has_norm(s, l - 1))
                through_norm(below, params + mlp_norm_offset(s, l - 1), B, k, c->centred[l - 1],
                             c->inverse_std[l - 1], grad ? grad + mlp_norm_offset(s, l - 1) : NULL);
            delta = below;
        } else if (dx) {
            matrix_nt(B, k, n, delta, n, weights, n, 0, dx, lddx);
        }
    }
}
