#include "common/policy.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static const char *const head_names[N_POLICY_HEADS] = {
    [HEAD_SQUASHED_GAUSSIAN] = "squashed_gaussian", [HEAD_GAUSSIAN] = "gaussian",
    [HEAD_GAUSSIAN_OF_STATE] = "gaussian_of_state", [HEAD_CATEGORICAL] = "categorical",
    [HEAD_DETERMINISTIC] = "deterministic",
};

const char *policy_head_name(enum policy_head head)
{
    return head_names[head];
}

int policy_head_find(const char *name, enum policy_head *head, struct error *err)
{
    for (int i = 0; i < N_POLICY_HEADS; i++)
        if (strcmp(name, head_names[i]) == 0) {
            *head = (enum policy_head)i;
            return 0;
        }
    return error_set(err, ERR_FORMAT, "unknown policy head \"%s\"", name);
}

int policy_head_outputs(enum policy_head head, int n_act, int n_choices)
{
    return head == HEAD_CATEGORICAL ? n_choices
         : head == HEAD_GAUSSIAN || head == HEAD_DETERMINISTIC ? n_act : 2 * n_act;
}

int policy_head_extra(enum policy_head head, int n_act)
{
    return head == HEAD_GAUSSIAN ? n_act : 0;
}

struct policy_shape policy_shape_make(enum policy_head head, const struct mlp_body *body,
                                      struct row_shape row, int n_choices)
{
    int n_out = policy_head_outputs(head, row.n_act, n_choices);
    return (struct policy_shape){ .row = row, .n_choices = n_choices, .head = head,
                                  .net = mlp_shape_make(row.n_obs, body, n_out) };
}

size_t policy_n_params(const struct policy_shape *s)
{
    return mlp_n_params(&s->net) + (s->normalises ? 2 * (size_t)s->row.n_obs : 0);
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

static void activate(float *y, size_t count, enum activation f)
{
    if (f == ACTIVATION_RELU)
        for (size_t i = 0; i < count; i++)
            y[i] = y[i] > 0 ? y[i] : 0;
    else
        for (size_t i = 0; i < count; i++)
            y[i] = tanhf(y[i]);
}

/* What the network sees of a row's observation. */
static const float *observation(struct policy *p, int i, const float *row)
{
    const int n_obs = p->shape.row.n_obs;
    if (!p->obs)
        return row;
    const float *mean = p->params + mlp_n_params(&p->shape.net);
    float *out = p->obs + (size_t)i * (size_t)n_obs;
    normaliser_apply(n_obs, mean, mean + n_obs, row, out);
    return out;
}

/* Outputs of the network for n rows, [n][2 n_act]. */
static const float *forward(struct policy *p, int n, float *const *rows)
{
    const struct mlp_shape *net = &p->shape.net;
    for (int i = 0; i < n; i++)
        p->inputs[i] = observation(p, i, rows[i]);
    for (int l = 0; l < net->n_layers; l++) {
        int width = net->width[l + 1];
        float *y = p->layer[l % 2];
        p->kernel->dense(n, net->width[l], width, p->inputs, p->params + mlp_weight_offset(net, l),
                         p->params + mlp_bias_offset(net, l), y);
        if (l + 1 < net->n_layers)
            activate(y, (size_t)n * (size_t)width, net->activation);
        for (int i = 0; i < n; i++)
            p->inputs[i] = y + (size_t)i * (size_t)width;
    }
    return p->layer[(net->n_layers - 1) % 2];
}

void policy_act(struct policy *p, int n, float *const *rows, const float *noise)
{
    assert(n <= p->max_rows);
    int n_act = p->shape.row.n_act;
    const float *out = forward(p, n, rows);
    for (int i = 0; i < n; i++, out += 2 * n_act) {
        float *act = rows[i] + row_act(p->shape.row);
        float log_prob;
        const float *eps = noise ? noise + (size_t)i * (size_t)n_act : p->zeros;
        squashed_gaussian_sample(1, n_act, out, eps, n_act, act, n_act, &log_prob);
        rows[i][row_log_prob(p->shape.row)] = noise ? log_prob : 0;
    }
}

/* ---- files ---- */

int policy_save(const char *path, const struct policy_shape *s, const float *params, const struct tensor_metadata *metadata, int n,
                struct error *err)
{
    const struct mlp_shape *net = &s->net;
    struct tensor tensors[2 * MLP_MAX_LAYERS + 2];
    int n_tensors = 2 * net->n_layers;
    float *transposed = memory_alloc(policy_n_params(s), sizeof(float)), *next = transposed;
    for (int l = 0; l < net->n_layers; l++) {
        int k = net->width[l], m = net->width[l + 1];
        const float *w = params + mlp_weight_offset(net, l);
        struct tensor *weight = &tensors[2 * l], *bias = &tensors[2 * l + 1];
        *weight = (struct tensor){ .type = TENSOR_F32, .n_dims = 2, .dims = { m, k },
                                   .data = next };
        *bias = (struct tensor){ .type = TENSOR_F32, .n_dims = 1, .dims = { m },
                                 .data = params + mlp_bias_offset(net, l) };
        snprintf(weight->name, sizeof(weight->name), "policy.%d.weight", l);
        snprintf(bias->name, sizeof(bias->name), "policy.%d.bias", l);
        for (int j = 0; j < m; j++)
            for (int i = 0; i < k; i++)
                *next++ = w[(size_t)i * (size_t)m + (size_t)j];
    }
    if (s->normalises) {
        const float *mean = params + mlp_n_params(net);
        const int n_obs = s->row.n_obs;
        tensors[n_tensors++] = (struct tensor){ .name = "observation.mean", .type = TENSOR_F32,
                                                .n_dims = 1, .dims = { n_obs }, .data = mean };
        tensors[n_tensors++] = (struct tensor){ .name = "observation.inverse_std",
                                                .type = TENSOR_F32, .n_dims = 1,
                                                .dims = { n_obs }, .data = mean + n_obs };
    }
    char n_act[16];
    snprintf(n_act, sizeof(n_act), "%d", s->row.n_act);
    struct tensor_metadata all[16] = {
        { "activation", activation_name(net->activation) },
        { "head", policy_head_name(s->head) },
        { "n_act", n_act },
    };
    assert(n <= 13);
    for (int i = 0; i < n; i++)
        all[3 + i] = metadata[i];
    int rc = safetensors_write(path, tensors, n_tensors, all, 3 + n, err);
    free(transposed);
    return rc;
}

/* The shape that the file's tensors and metadata describe. */
static int shape_of_file(const struct safetensors *file, const char *path, struct policy_shape *s,
                         struct error *err)
{
    const char *head = safetensors_metadata(file, "head");
    const char *activation = safetensors_metadata(file, "activation");
    const char *n_act = safetensors_metadata(file, "n_act");
    int widths[MLP_MAX_LAYERS + 1], n_layers = 0;
    char name[TENSOR_NAME_BYTES];
    for (; n_layers < MLP_MAX_LAYERS; n_layers++) {
        snprintf(name, sizeof(name), "policy.%d.weight", n_layers);
        const struct tensor *t = safetensors_find(file, name);
        if (!t)
            break;
        bool fits = t->n_dims == 2 && t->type == TENSOR_F32 && t->dims[0] > 0 && t->dims[1] > 0
                 && t->dims[0] < 1 << 20 && t->dims[1] < 1 << 20
                 && (n_layers == 0 || t->dims[1] == widths[n_layers]);
        if (!fits)
            return error_set(err, ERR_FORMAT, "%s: the shape of \"%s\" does not fit", path, name);
        widths[n_layers] = (int)t->dims[1];
        widths[n_layers + 1] = (int)t->dims[0];
    }
    if (!head || !activation || !n_act || n_layers == 0)
        return error_set(err, ERR_FORMAT, "%s is not a policy written by shoal: its metadata or "
                         "its first layer is missing", path);
    char *end;
    struct row_shape row = { widths[0], (int)strtol(n_act, &end, 10) };
    if (*end || row.n_act < 1 || widths[n_layers] != 2 * row.n_act)
        return error_set(err, ERR_FORMAT, "%s: n_act %s does not fit %d outputs", path, n_act,
                         widths[n_layers]);
    struct mlp_body body = { .n_hidden = n_layers - 1 };
    enum policy_head kind = HEAD_SQUASHED_GAUSSIAN;
    for (int l = 0; l < body.n_hidden; l++)
        body.hidden[l] = widths[l + 1];
    int rc = policy_head_find(head, &kind, err);
    if (rc == 0)
        rc = activation_find(activation, &body.activation, err);
    if (rc != 0)
        return error_prefix(err, "%s", path);
    *s = policy_shape_make(kind, &body, row, 0);
    s->normalises = safetensors_find(file, "observation.mean") != NULL;
    return 0;
}

int policy_load(const char *path, struct policy_shape *s, float **params, struct error *err)
{
    struct safetensors *file;
    int rc = safetensors_open(&file, path, err);
    if (rc != 0)
        return rc;
    float *p = NULL, *block = NULL;
    rc = shape_of_file(file, path, s, err);
    if (rc != 0)
        goto out;
    size_t n_params = policy_n_params(s);
    p = memory_alloc(n_params, sizeof(float));
    block = memory_alloc(n_params, sizeof(float));
    for (int l = 0; l < s->net.n_layers && rc == 0; l++) {
        char name[TENSOR_NAME_BYTES];
        size_t k = (size_t)s->net.width[l], m = (size_t)s->net.width[l + 1];
        float *w = p + mlp_weight_offset(&s->net, l);
        snprintf(name, sizeof(name), "policy.%d.weight", l);
        rc = safetensors_copy(file, name, TENSOR_F32, k * m, block, err);
        for (size_t j = 0; j < m && rc == 0; j++)
            for (size_t i = 0; i < k; i++)
                w[i * m + j] = block[j * k + i];
        snprintf(name, sizeof(name), "policy.%d.bias", l);
        if (rc == 0)
            rc = safetensors_copy(file, name, TENSOR_F32, m, p + mlp_bias_offset(&s->net, l), err);
    }
    if (rc == 0 && s->normalises) {
        const size_t n_obs = (size_t)s->row.n_obs;
        float *mean = p + mlp_n_params(&s->net);
        rc = safetensors_copy(file, "observation.mean", TENSOR_F32, n_obs, mean, err);
        if (rc == 0)
            rc = safetensors_copy(file, "observation.inverse_std", TENSOR_F32, n_obs, mean + n_obs,
                                  err);
    }
    for (size_t i = 0; i < n_params && rc == 0; i++)
        if (!isfinite(p[i]))
            rc = error_set(err, ERR_NUMERIC, "%s holds numbers that are not finite", path);
out:
    if (rc == 0) {
        *params = p;
        p = NULL;
    }
    free(p);
    free(block);
    safetensors_close(&file);
    return rc;
}
