#include "common/mlp.h"

#include <assert.h>
#include <stdbool.h>
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

void mlp_init(const struct mlp_shape *s, real *params, enum mlp_start start, double hidden_gain,
              double last_gain, struct rng *rng)
{
    (void)start, (void)hidden_gain, (void)last_gain;
    for (int l = 0; l < s->n_layers; l++) {
        double bound = 1.0 / sqrt((double)s->width[l]);
        size_t n = (size_t)(s->width[l] + 1) * (size_t)s->width[l + 1];
        for (size_t i = 0; i < n; i++)
            *params++ = (real)rng_uniform(rng, -bound, bound);
    }
}

void mlp_cache_init(struct mlp_cache *c, const struct mlp_shape *s, int capacity,
                    struct arena *arena)
{
    int widest = 0;
    c->capacity = capacity;
    for (int l = 0; l < s->n_layers; l++) {
        int n = s->width[l + 1];
        c->out[l] = arena_alloc(arena, (size_t)capacity * (size_t)n, sizeof(real));
        widest = n > widest ? n : widest;
    }
    for (int i = 0; i < 2; i++)
        c->delta[i] = arena_alloc(arena, (size_t)capacity * (size_t)widest, sizeof(real));
}

/* y = f(y + b) in place over [B][n]; f is the identity for the output layer. */
static void add_bias(real *y, const real *b, int B, int n, bool is_hidden, enum activation f)
{
    for (int i = 0; i < B; i++, y += n) {
        if (!is_hidden) {
            for (int j = 0; j < n; j++)
                y[j] += b[j];
        } else if (f == ACTIVATION_RELU) {
            for (int j = 0; j < n; j++) {
                real v = y[j] + b[j];
                y[j] = v > 0 ? v : 0;
            }
        } else {
            for (int j = 0; j < n; j++)
                y[j] = real_tanh(y[j] + b[j]);
        }
    }
}

real *mlp_forward(const struct mlp_shape *s, const real *params, int B, const real *x, int ldx,
                  struct mlp_cache *c)
{
    assert(B <= c->capacity);
    for (int l = 0; l < s->n_layers; l++) {
        int k = s->width[l], n = s->width[l + 1];
        matrix_nn(B, n, k, x, ldx, params + mlp_weight_offset(s, l), n, 0, c->out[l], n);
        add_bias(c->out[l], params + mlp_bias_offset(s, l), B, n, l + 1 < s->n_layers,
                 s->activation);
        x = c->out[l];
        ldx = n;
    }
    return c->out[s->n_layers - 1];
}

/* delta *= f'(pre-activation), expressed by the activation's output y; [count] both. */
static void through_activation(real *delta, const real *y, size_t count, enum activation f)
{
    if (f == ACTIVATION_RELU) {
        for (size_t i = 0; i < count; i++)
            delta[i] = y[i] > 0 ? delta[i] : 0;
    } else {
        for (size_t i = 0; i < count; i++)
            delta[i] *= 1 - y[i] * y[i];
    }
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
            through_activation(below, input, (size_t)B * (size_t)k, s->activation);
            delta = below;
        } else if (dx) {
            matrix_nt(B, k, n, delta, n, weights, n, 0, dx, lddx);
        }
    }
}
