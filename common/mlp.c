#include "common/mlp.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"

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

bool mlp_has_norm(const struct mlp_shape *s, int l)
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
        for (size_t j = 0; mlp_has_norm(s, l) && j < n_out; j++) {
            params[mlp_norm_offset(s, l) + j] = 1;
            params[mlp_norm_offset(s, l) + n_out + j] = 0;
        }
    }
}

/* ---- room for a pass ---- */

/* The most that a kernel asks for in any layer, for one worker. */
static size_t scratch_bytes(const struct mlp_shape *s, const struct kernels *kernels)
{
    const int columns = kernels->columns_per_part;
    size_t most = 0;
    for (int l = 0; l < s->n_layers; l++) {
        const int k = s->width[l], n = s->width[l + 1];
        const size_t bytes = kernels->scratch_bytes(k > n ? k : n, k < columns ? k : columns, n);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static struct mlp_engine engine_or_default(const struct mlp_engine *engine)
{
    return engine ? *engine : (struct mlp_engine){ kernels_default(), NULL };
}

static size_t parts_of(const struct kernels *kernels, int B)
{
    return ((size_t)B + (size_t)kernels->rows_per_part - 1) / (size_t)kernels->rows_per_part;
}

size_t mlp_parts(const struct mlp_cache *c, int B)
{
    return parts_of(c->engine.kernels, B);
}

void mlp_cache_init(struct mlp_cache *c, const struct mlp_shape *s, int capacity,
                    const struct mlp_engine *engine, struct arena *arena)
{
    *c = (struct mlp_cache){ .capacity = capacity };
    c->engine = engine_or_default(engine);
    const struct kernels *kernels = c->engine.kernels;
    for (int l = 0; l < s->n_layers; l++) {
        const int n = s->width[l + 1];
        const size_t count = (size_t)capacity * (size_t)n;
        c->out[l] = arena_alloc(arena, count, sizeof(real));
        c->packed[l] = arena_alloc(arena, kernels->packed_bytes(s->width[l], n), 1);
        if (l + 1 < s->n_layers)
            c->delta[l] = arena_alloc(arena, count, sizeof(real));
        if (s->activation == ACTIVATION_SILU && l + 1 < s->n_layers)
            c->slope[l] = arena_alloc(arena, count, sizeof(real));
        if (mlp_has_norm(s, l)) {
            c->centred[l] = arena_alloc(arena, count, sizeof(real));
            c->inverse_std[l] = arena_alloc(arena, (size_t)capacity, sizeof(real));
            c->norm_sums[l] = arena_alloc(arena, 2 * mlp_parts(c, capacity) * (size_t)n, sizeof(real));
        }
    }
    c->scratch_bytes = scratch_bytes(s, kernels);
    c->scratch = arena_alloc(arena, c->scratch_bytes, (size_t)workers_count(c->engine.workers));
}

size_t mlp_cache_bytes(const struct mlp_shape *s, int capacity, const struct mlp_engine *engine)
{
    const struct mlp_engine e = engine_or_default(engine);
    size_t per_row = 0, numbers = 0, bytes = scratch_bytes(s, e.kernels) * (size_t)workers_count(e.workers);
    for (int l = 0; l < s->n_layers; l++) {
        const size_t n = (size_t)s->width[l + 1];
        const bool is_hidden = l + 1 < s->n_layers, has_slope = s->activation == ACTIVATION_SILU && is_hidden;
        per_row += n * (1 + is_hidden + has_slope + mlp_has_norm(s, l)) + mlp_has_norm(s, l);
        numbers += mlp_has_norm(s, l) ? 2 * parts_of(e.kernels, capacity) * n : 0;
        bytes += e.kernels->packed_bytes(s->width[l], s->width[l + 1]);
    }
    return (per_row * (size_t)capacity + numbers) * sizeof(real) + bytes;
}
