#include "common/policy.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/categorical.h"
#include "common/gaussian.h"
#include "common/normaliser.h"
#include "common/row_kernel.h"
#include "common/row_sum.h"
#include "common/squashed_gaussian.h"
#include "common/vector_math.h"

/* Rows that go through the network together: few enough that what is between two layers stays in the first
 * cache, many enough that reading the weights costs little beside using them. */
enum { GROUP = 32 };

struct policy {
    struct policy_shape shape;
    const struct row_kernel *kernel;
    int max_rows;                     /* group: at most that and GROUP */
    size_t n_params;
    float *params;
    float *packed[MLP_MAX_LAYERS];    /* the layers of `params`, as the kernel wants them */
    float *layer[2];              /* [group][widest], taking turns */
    const float *inputs[GROUP];
    float *zeros;                 /* [group][n_act] */
    float *act;                   /* [group][n_act] */
    float log_prob[GROUP];
    float *obs;                   /* [group][n_obs] normalised; NULL: rows are taken raw */
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
    const size_t group = max_rows < GROUP ? (size_t)max_rows : GROUP;
    p->shape = *s;
    p->kernel = row_kernel_best();
    p->max_rows = max_rows;
    p->n_params = policy_n_params(s);
    p->params = arena_alloc(arena, p->n_params, sizeof(float));
    for (int l = 0; l < s->net.n_layers; l++)
        p->packed[l] = arena_alloc(arena, row_kernel_floats(s->net.width[l], s->net.width[l + 1]),
                                   sizeof(float));
    for (int i = 0; i < 2; i++)
        p->layer[i] = arena_alloc(arena, group * (size_t)widest, sizeof(float));
    p->zeros = arena_alloc(arena, group * (size_t)s->row.n_act, sizeof(float));
    p->act = arena_alloc(arena, group * (size_t)s->row.n_act, sizeof(float));
    if (s->normalises)
        p->obs = arena_alloc(arena, group * (size_t)s->row.n_obs, sizeof(float));
    return p;
}

const struct policy_shape *policy_shape_of(const struct policy *p)
{
    return &p->shape;
}

void policy_set(struct policy *p, const void *params)
{
    const struct mlp_shape *net = &p->shape.net;
    memcpy(p->params, params, p->n_params * sizeof(float));
    for (int l = 0; l < net->n_layers; l++)
        row_kernel_pack(net->width[l], net->width[l + 1], p->params + mlp_weight_offset(net, l),
                        p->params + mlp_bias_offset(net, l), p->packed[l]);
}

const float *policy_params(const struct policy *p)
{
    return p->params;
}

/* ---- the network ---- */

/* One row z [n] in place: gain (z - mean) / sqrt(var + 1e-5) + offset.
 *   gain  [n], and behind it the offset [n] */
static void normalise_layer(float *z, int n, const float *gain)
{
    const float *offset = gain + n;
    float mean = row_sum(z, NULL, n) / (float)n;
    for (int j = 0; j < n; j++)
        z[j] -= mean;
    float inverse_std = 1 / sqrtf(row_sum(z, z, n) / (float)n + 1e-5f);
    for (int j = 0; j < n; j++)
        z[j] = gain[j] * (z[j] * inverse_std) + offset[j];
}

/* y <- y / (1 + exp(-y)), rounded as the learner does. */
static void silu(float *y, size_t count)
{
    enum { PIECE = 256 };
    float exps[PIECE];
    for (size_t first = 0, n; first < count; first += n, y += n) {
        n = count - first < PIECE ? count - first : PIECE;
        for (size_t i = 0; i < n; i++)
            exps[i] = -y[i];
        vector_exp(exps, n);
        for (size_t i = 0; i < n; i++)
            y[i] *= 1 / (1 + exps[i]);
    }
}

/* But for relu, which the kernel does unless a layer is normalised. */
static void activate(float *y, size_t count, enum activation f)
{
    switch (f) {
    case ACTIVATION_RELU:
        for (size_t i = 0; i < count; i++)
            y[i] = y[i] > 0 ? y[i] : 0;
        break;
    case ACTIVATION_TANH:
        vector_tanh(y, count);
        break;
    case ACTIVATION_SILU:
        silu(y, count);
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

/* Outputs of the network for n rows, at most GROUP: [n][width[n_layers]]. */
static const float *forward(struct policy *p, int n, float *const *rows)
{
    const struct mlp_shape *net = &p->shape.net;
    for (int i = 0; i < n; i++)
        p->inputs[i] = observation(p, i, rows[i]);
    for (int l = 0; l < net->n_layers; l++) {
        const int width = net->width[l + 1];
        const bool is_hidden = l + 1 < net->n_layers;
        const bool is_normalised = is_hidden && net->has_layer_norm;
        const bool is_rectified = is_hidden && !is_normalised && net->activation == ACTIVATION_RELU;
        float *y = p->layer[l % 2];
        p->kernel->dense(n, net->width[l], width, p->inputs, p->packed[l], is_rectified, y);
        for (int i = 0; i < n; i++) {
            p->inputs[i] = y + (size_t)i * (size_t)width;
            if (is_normalised)
                normalise_layer(y + (size_t)i * (size_t)width, width,
                                p->params + mlp_norm_offset(net, l));
        }
        if (is_hidden && !is_rectified)
            activate(y, (size_t)n * (size_t)width, net->activation);
    }
    return p->layer[(net->n_layers - 1) % 2];
}

/* ---- the heads ---- */

/* a = clip(tanh(out) + noise, -1, 1), [n] */
static void act_deterministically(int n, const float *out, const float *noise, float *act)
{
    memcpy(act, out, (size_t)n * sizeof(*act));
    vector_tanh(act, (size_t)n);
    for (int j = 0; j < n; j++)
        act[j] = fminf(fmaxf(act[j] + noise[j], -1), 1);
}

/* The actions of n rows, to p->act and p->log_prob.
 *   out    [n][outputs] of the network
 *   noise  [n][n_act], or NULL */
static void act_in_rows(struct policy *p, int n, const float *out, const float *noise)
{
    const int n_act = p->shape.row.n_act, n_out = p->shape.net.width[p->shape.net.n_layers];
    const float *eps = noise ? noise : p->zeros;
    switch (p->shape.head) {
    case HEAD_SQUASHED_GAUSSIAN:
        squashed_gaussian_sample(n, n_act, out, eps, n_act, p->act, n_act, p->log_prob);
        break;
    case HEAD_GAUSSIAN:
        gaussian_sample(n, n_act, out, n_out, p->params + policy_head_offset(&p->shape), 0, eps, n_act,
                        p->act, n_act, p->log_prob);
        break;
    case HEAD_GAUSSIAN_OF_STATE:
        gaussian_sample(n, n_act, out, n_out, out + n_act, n_out, eps, n_act, p->act, n_act, p->log_prob);
        break;
    case HEAD_CATEGORICAL:
        if (noise)
            categorical_sample(n, p->shape.n_choices, out, noise, p->act, 1, p->log_prob);
        else
            categorical_mode(n, p->shape.n_choices, out, p->act, 1);
        break;
    default:
        act_deterministically(n * n_act, out, eps, p->act);
        memset(p->log_prob, 0, sizeof(p->log_prob));
    }
}

void policy_act(struct policy *p, int n, float *const *rows, const float *noise)
{
    assert(n <= p->max_rows);
    const struct row_shape row = p->shape.row;
    const size_t n_act = (size_t)row.n_act;
    for (int first = 0; first < n; first += GROUP) {
        const int m = n - first < GROUP ? n - first : GROUP;
        const float *out = forward(p, m, rows + first);
        act_in_rows(p, m, out, noise ? noise + (size_t)first * n_act : NULL);
        for (int i = 0; i < m; i++) {
            float *to = rows[first + i];
            for (size_t j = 0; j < n_act; j++)
                to[row_act(row) + (int)j] = p->act[(size_t)i * n_act + j];
            to[row_log_prob(row)] = noise ? p->log_prob[i] : 0;
        }
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

void policy_draw_ahead(const struct policy *p, struct rng *rng, struct rng_ahead *ahead, float *noise)
{
    if (p->shape.head == HEAD_CATEGORICAL || p->shape.head == HEAD_DETERMINISTIC)
        policy_draw(p, rng, noise);
    else
        rng_ahead_normal(ahead, rng, noise, (size_t)p->shape.row.n_act);
}
