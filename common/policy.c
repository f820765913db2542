#include "common/policy.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/categorical.h"
#include "common/gaussian.h"
#include "common/normaliser.h"
#include "common/row_kernel.h"
#include "common/squashed_gaussian.h"

struct policy {
    struct policy_shape shape;
    const struct row_kernel *kernel;
    int max_rows;
    size_t n_params;
    float *params;
    float *layer[2];              /* [max_rows][widest], taking turns */
    const float **inputs;         /* [max_rows] */
    float *zeros;                 /* [n_act] */
    float *obs;                   /* [max_rows][n_obs] normalised; NULL: rows are taken raw */
};

struct policy_shape policy_shape_make(enum policy_head head, const struct mlp_body *body,
                                      struct row_shape row, int n_choices)
{
    int n_out = policy_head_outputs(head, row.n_act, n_choices);
    return (struct policy_shape){ .row = row, .n_choices = n_choices, .head = head,
                                  .net = mlp_shape_make(row.n_obs, body, n_out) };
}

size_t policy_head_offset(const struct policy_shape *s)
{
    return mlp_n_params(&s->net);
}

size_t policy_statistics_offset(const struct policy_shape *s)
{
    return policy_head_offset(s) + (size_t)policy_head_extra(s->head, s->row.n_act);
}

size_t policy_n_params(const struct policy_shape *s)
{
    return policy_statistics_offset(s) + (s->normalises ? 2 * (size_t)s->row.n_obs : 0);
}

struct policy *policy_create(const struct policy_shape *s, int max_rows, struct arena *arena)
{
    struct policy *p = arena_alloc(arena, 1, sizeof(*p));
    int widest = 0;
    for (int l = 1; l <= s->net.n_layers; l++)
        widest = s->net.width[l] > widest ? s->net.width[l] : widest;
    p->shape = *s;
    p->kernel = row_kernel_best();
    p->max_rows = max_rows;
    p->n_params = policy_n_params(s);
    p->params = arena_alloc(arena, p->n_params, sizeof(float));
    for (int i = 0; i < 2; i++)
        p->layer[i] = arena_alloc(arena, (size_t)max_rows * (size_t)widest, sizeof(float));
    p->inputs = arena_alloc(arena, (size_t)max_rows, sizeof(*p->inputs));
    p->zeros = arena_alloc(arena, (size_t)s->row.n_act, sizeof(float));
    if (s->normalises)
        p->obs = arena_alloc(arena, (size_t)max_rows * (size_t)s->row.n_obs, sizeof(float));
    return p;
}

const struct policy_shape *policy_shape_of(const struct policy *p)
{
    return &p->shape;
}

void policy_set(struct policy *p, const void *params)
{
    memcpy(p->params, params, p->n_params * sizeof(float));
}

const float *policy_params(const struct policy *p)
{
    return p->params;
}

/* ---- the network ---- */

/* The sum of n numbers, or of their squares, in an order that depends on n alone: eight sums side by
 * side, so that it vectorises. */
static inline float sum(const float *x, int n, bool of_squares)
{
    float lane[8] = { 0 }, total = 0;
    int j = 0;
    for (; j + 8 <= n; j += 8)
        for (int k = 0; k < 8; k++)
            lane[k] += of_squares ? x[j + k] * x[j + k] : x[j + k];
    for (; j < n; j++)
        lane[j % 8] += of_squares ? x[j] * x[j] : x[j];
    for (int k = 0; k < 8; k++)
        total += lane[k];
    return total;
}

/* One row z [n] in place: gain (z - mean) / sqrt(var + 1e-5) + offset.
 *   gain  [n], and behind it the offset [n] */
static void normalise_layer(float *z, int n, const float *gain)
{
    const float *offset = gain + n;
    float mean = sum(z, n, false) / (float)n;
    for (int j = 0; j < n; j++)
        z[j] -= mean;
    float inverse_std = 1 / sqrtf(sum(z, n, true) / (float)n + 1e-5f);
    for (int j = 0; j < n; j++)
        z[j] = gain[j] * (z[j] * inverse_std) + offset[j];
}

static void activate(float *y, size_t count, enum activation f)
{
    switch (f) {
    case ACTIVATION_RELU:
        for (size_t i = 0; i < count; i++)
            y[i] = y[i] > 0 ? y[i] : 0;
        break;
    case ACTIVATION_TANH:
        for (size_t i = 0; i < count; i++)
            y[i] = tanhf(y[i]);
        break;
    case ACTIVATION_SILU:
        for (size_t i = 0; i < count; i++)
            y[i] = y[i] / (1 + expf(-y[i]));
        break;
    }
}

/* What the network sees of a row's observation. */
static const float *observation(struct policy *p, int i, const float *row)
{
    const int n_obs = p->shape.row.n_obs;
    if (!p->obs)
        return row;
    const float *mean = p->params + policy_statistics_offset(&p->shape);
    float *out = p->obs + (size_t)i * (size_t)n_obs;
    normaliser_apply(n_obs, mean, mean + n_obs, row, out);
    return out;
}

/* Outputs of the network for n rows, [n][width[n_layers]]. */
static const float *forward(struct policy *p, int n, float *const *rows)
{
    const struct mlp_shape *net = &p->shape.net;
    for (int i = 0; i < n; i++)
        p->inputs[i] = observation(p, i, rows[i]);
    for (int l = 0; l < net->n_layers; l++) {
        int width = net->width[l + 1];
        bool is_hidden = l + 1 < net->n_layers;
        float *y = p->layer[l % 2];
        p->kernel->dense(n, net->width[l], width, p->inputs, p->params + mlp_weight_offset(net, l),
                         p->params + mlp_bias_offset(net, l), y);
        for (int i = 0; i < n; i++) {
            float *row = y + (size_t)i * (size_t)width;
            if (is_hidden && net->has_layer_norm)
                normalise_layer(row, width, p->params + mlp_norm_offset(net, l));
            p->inputs[i] = row;
        }
        if (is_hidden)
            activate(y, (size_t)n * (size_t)width, net->activation);
    }
    return p->layer[(net->n_layers - 1) % 2];
}

/* ---- the heads ---- */

/* a = clip(tanh(out) + noise, -1, 1) */
static void act_deterministically(int n_act, const float *out, const float *noise, float *act)
{
    for (int j = 0; j < n_act; j++)
        act[j] = fminf(fmaxf(tanhf(out[j]) + noise[j], -1), 1);
}

/* The action of one row.
 *   out    [outputs] of the network
 *   noise  [n_act], or NULL
 *   act    [n_act], set
 * Returns its log_prob. */
static float act_in_row(const struct policy *p, const float *out, const float *noise, float *act)
{
    const int n_act = p->shape.row.n_act;
    const float *log_sigma = p->shape.head == HEAD_GAUSSIAN
                           ? p->params + policy_head_offset(&p->shape) : out + n_act;
    const float *eps = noise ? noise : p->zeros;
    float log_prob = 0;
    switch (p->shape.head) {
    case HEAD_SQUASHED_GAUSSIAN:
        squashed_gaussian_sample(1, n_act, out, eps, n_act, act, n_act, &log_prob);
        break;
    case HEAD_GAUSSIAN:
    case HEAD_GAUSSIAN_OF_STATE:
        gaussian_sample(1, n_act, out, n_act, log_sigma, n_act, eps, n_act, act, n_act, &log_prob);
        break;
    case HEAD_CATEGORICAL:
        if (noise)
            categorical_sample(1, p->shape.n_choices, out, noise, act, 1, &log_prob);
        else
            categorical_mode(1, p->shape.n_choices, out, act, 1);
        break;
    default:
        act_deterministically(n_act, out, eps, act);
    }
    return noise ? log_prob : 0;
}

void policy_act(struct policy *p, int n, float *const *rows, const float *noise)
{
    assert(n <= p->max_rows);
    const struct mlp_shape *net = &p->shape.net;
    const float *out = forward(p, n, rows);
    for (int i = 0; i < n; i++, out += net->width[net->n_layers]) {
        float *row = rows[i];
        const float *eps = noise ? noise + (size_t)i * (size_t)p->shape.row.n_act : NULL;
        row[row_log_prob(p->shape.row)] = act_in_row(p, out, eps, row + row_act(p->shape.row));
    }
}

void policy_draw(const struct policy *p, struct rng *rng, float *noise)
{
    const size_t n_act = (size_t)p->shape.row.n_act;
    if (p->shape.head == HEAD_CATEGORICAL)
        noise[0] = (float)(rng_u32(rng) >> 8) * 0x1p-24f;    /* never 1, not even rounded */
    else if (p->shape.head == HEAD_DETERMINISTIC)
        memset(noise, 0, n_act * sizeof(*noise));
    else
        rng_fill_normal(rng, noise, n_act);
}
