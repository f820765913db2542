/* Policies in files: policy_save and policy_load of policy.h. */
#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/policy.h"

enum { MAX_TENSORS = 4 * MLP_MAX_LAYERS + 3, MAX_METADATA = 16, OWN_METADATA = 4, MAX_CHOICES = 4096,
       MAX_ACT = 64, MAX_WIDTH = 1 << 20 };

static void layer_name(char *name, int l, const char *what)
{
    snprintf(name, TENSOR_NAME_BYTES, "policy.%d.%s", l, what);
}

/* ---- writing ---- */

struct tensor_list {
    struct tensor tensors[MAX_TENSORS];
    int n;
};

static struct tensor *add_vector(struct tensor_list *list, const char *name, int n, const float *data)
{
    struct tensor *t = &list->tensors[list->n++];
    *t = (struct tensor){ .type = TENSOR_F32, .n_dims = 1, .dims = { n }, .data = data };
    snprintf(t->name, sizeof(t->name), "%s", name);
    return t;
}

/* Layer `l`; its weights go to `transposed` [out][in]. Returns what is behind them. */
static float *add_layer(struct tensor_list *list, const struct mlp_shape *net, int l, const float *params,
                        float *transposed)
{
    const int k = net->width[l], m = net->width[l + 1];
    const float *w = params + mlp_weight_offset(net, l), *norm = params + mlp_norm_offset(net, l);
    char name[TENSOR_NAME_BYTES];
    layer_name(name, l, "weight");
    struct tensor *weight = add_vector(list, name, m, transposed);
    weight->n_dims = 2;
    weight->dims[1] = k;
    layer_name(name, l, "bias");
    add_vector(list, name, m, params + mlp_bias_offset(net, l));
    if (net->has_layer_norm && l + 1 < net->n_layers) {
        layer_name(name, l, "norm.weight");
        add_vector(list, name, m, norm);
        layer_name(name, l, "norm.bias");
        add_vector(list, name, m, norm + m);
    }
    for (int j = 0; j < m; j++)
        for (int i = 0; i < k; i++)
            *transposed++ = w[(size_t)i * (size_t)m + (size_t)j];
    return transposed;
}

int policy_save(const char *path, const struct policy_shape *s, const float *params,
                const struct tensor_metadata *metadata, int n, struct error *err)
{
    const int n_obs = s->row.n_obs, n_extra = policy_head_extra(s->head, s->row.n_act);
    struct tensor_list list = { .n = 0 };
    float *transposed = memory_alloc(policy_n_params(s), sizeof(float)), *next = transposed;
    for (int l = 0; l < s->net.n_layers; l++)
        next = add_layer(&list, &s->net, l, params, next);
    if (n_extra)
        add_vector(&list, "policy.log_sigma", n_extra, params + policy_head_offset(s));
    if (s->normalises) {
        const float *mean = params + policy_statistics_offset(s);
        add_vector(&list, "observation.mean", n_obs, mean);
        add_vector(&list, "observation.inverse_std", n_obs, mean + n_obs);
    }
    char n_act[16], n_choices[16];
    snprintf(n_act, sizeof(n_act), "%d", s->row.n_act);
    snprintf(n_choices, sizeof(n_choices), "%d", s->n_choices);
    struct tensor_metadata all[MAX_METADATA] = {
        { "activation", activation_name(s->net.activation) },
        { "head", policy_head_name(s->head) },
        { "n_act", n_act },
        { "n_choices", n_choices },
    };
    assert(n <= MAX_METADATA - OWN_METADATA);
    for (int i = 0; i < n; i++)
        all[OWN_METADATA + i] = metadata[i];
    int rc = safetensors_write(path, list.tensors, list.n, all, OWN_METADATA + n, err);
    free(transposed);
    return rc;
}

/* ---- reading ---- */

/* The widths [n_layers + 1] of the layers that stand there. Returns n_layers, or ERR_FORMAT. */
static int find_layers(const struct safetensors *file, const char *path, int *widths, struct error *err)
{
    char name[TENSOR_NAME_BYTES];
    for (int l = 0; l < MLP_MAX_LAYERS; l++) {
        layer_name(name, l, "weight");
        const struct tensor *t = safetensors_find(file, name);
        if (!t)
            return l;
        bool fits = t->n_dims == 2 && t->type == TENSOR_F32 && t->dims[0] > 0 && t->dims[1] > 0
                 && t->dims[0] < MAX_WIDTH && t->dims[1] < MAX_WIDTH
                 && (l == 0 || t->dims[1] == widths[l]);
        if (!fits)
            return error_set(err, ERR_FORMAT, "%s: the shape of \"%s\" does not fit", path, name);
        widths[l] = (int)t->dims[1];
        widths[l + 1] = (int)t->dims[0];
    }
    return MLP_MAX_LAYERS;
}

/* A whole number from 0 to `max`, or -1. */
static int read_count(const char *text, long max)
{
    char *end;
    long value = strtol(text, &end, 10);
    return end == text || *end || value < 0 || value > max ? -1 : (int)value;
}

/* The shape that the file's tensors and metadata describe. */
static int shape_of_file(const struct safetensors *file, const char *path, struct policy_shape *s,
                         struct error *err)
{
    const char *head = safetensors_metadata(file, "head");
    const char *activation = safetensors_metadata(file, "activation");
    const char *n_act = safetensors_metadata(file, "n_act");
    const char *choices = safetensors_metadata(file, "n_choices");
    int widths[MLP_MAX_LAYERS + 1] = { 0 }, n_layers = find_layers(file, path, widths, err);
    if (n_layers < 0)
        return n_layers;
    if (!head || !activation || !n_act || n_layers == 0)
        return error_set(err, ERR_FORMAT, "%s is not a policy written by shoal: its metadata or "
                         "its first layer is missing", path);
    struct mlp_body body = { .n_hidden = n_layers - 1,
                             .has_layer_norm = n_layers > 1
                                            && safetensors_find(file, "policy.0.norm.weight") };
    enum policy_head kind = HEAD_SQUASHED_GAUSSIAN;
    memcpy(body.hidden, widths + 1, (size_t)body.n_hidden * sizeof(*widths));
    int rc = policy_head_find(head, &kind, err);
    if (rc == 0)
        rc = activation_find(activation, &body.activation, err);
    if (rc != 0)
        return error_prefix(err, "%s", path);

    struct row_shape row = { widths[0], read_count(n_act, MAX_ACT) };
    int n_choices = choices ? read_count(choices, MAX_CHOICES) : 0;    /* once there were none */
    if (!policy_head_fits(kind, row.n_act, n_choices)
        || widths[n_layers] != policy_head_outputs(kind, row.n_act, n_choices))
        return error_set(err, ERR_FORMAT, "%s: n_act \"%s\" and n_choices \"%s\" do not fit %d outputs of "
                         "the head \"%s\"", path, n_act, choices ? choices : "0", widths[n_layers], head);
    *s = policy_shape_make(kind, &body, row, n_choices);
    s->normalises = safetensors_find(file, "observation.mean") != NULL;
    return 0;
}

static int read_vector(const struct safetensors *file, const char *name, size_t n, float *out, int *n_read,
                       struct error *err)
{
    ++*n_read;
    return safetensors_copy(file, name, TENSOR_F32, n, out, err);
}

/* Layer `l` into its place in `params`.
 *   block  [in * out] scratch */
static int read_layer(const struct safetensors *file, const struct mlp_shape *net, int l, float *params,
                      float *block, int *n_read, struct error *err)
{
    const size_t k = (size_t)net->width[l], m = (size_t)net->width[l + 1];
    float *w = params + mlp_weight_offset(net, l), *norm = params + mlp_norm_offset(net, l);
    char name[TENSOR_NAME_BYTES];
    layer_name(name, l, "weight");
    int rc = read_vector(file, name, k * m, block, n_read, err);
    for (size_t j = 0; j < m && rc == 0; j++)
        for (size_t i = 0; i < k; i++)
            w[i * m + j] = block[j * k + i];
    layer_name(name, l, "bias");
    if (rc == 0)
        rc = read_vector(file, name, m, params + mlp_bias_offset(net, l), n_read, err);
    if (!net->has_layer_norm || l + 1 == net->n_layers)
        return rc;
    layer_name(name, l, "norm.weight");
    if (rc == 0)
        rc = read_vector(file, name, m, norm, n_read, err);
    layer_name(name, l, "norm.bias");
    return rc == 0 ? read_vector(file, name, m, norm + m, n_read, err) : rc;
}

/* Everything that a policy of shape `s` has, and that there is nothing else. */
static int read_params(const struct safetensors *file, const char *path, const struct policy_shape *s,
                       float *params, float *block, struct error *err)
{
    const size_t n_params = policy_n_params(s), n_obs = (size_t)s->row.n_obs;
    const size_t n_extra = (size_t)policy_head_extra(s->head, s->row.n_act);
    float *mean = params + policy_statistics_offset(s);
    int rc = 0, n_read = 0;
    for (int l = 0; l < s->net.n_layers && rc == 0; l++)
        rc = read_layer(file, &s->net, l, params, block, &n_read, err);
    if (rc == 0 && n_extra)
        rc = read_vector(file, "policy.log_sigma", n_extra, params + policy_head_offset(s), &n_read, err);
    if (rc == 0 && s->normalises)
        rc = read_vector(file, "observation.mean", n_obs, mean, &n_read, err);
    if (rc == 0 && s->normalises)
        rc = read_vector(file, "observation.inverse_std", n_obs, mean + n_obs, &n_read, err);
    if (rc == 0 && n_read != safetensors_count(file))
        rc = error_set(err, ERR_FORMAT, "%s holds %d tensors, where a policy with its layers and the head "
                       "\"%s\" has %d", path, safetensors_count(file), policy_head_name(s->head), n_read);
    for (size_t i = 0; i < n_params && rc == 0; i++)
        if (!isfinite(params[i]))
            rc = error_set(err, ERR_NUMERIC, "%s holds numbers that are not finite", path);
    return rc;
}

int policy_load(const char *path, struct policy_shape *s, float **params, struct error *err)
{
    struct safetensors *file;
    float *p = NULL, *block = NULL;
    int rc = safetensors_open(&file, path, err);
    if (rc != 0)
        return rc;
    rc = shape_of_file(file, path, s, err);
    if (rc != 0)
        goto out;
    p = memory_alloc(policy_n_params(s), sizeof(float));
    block = memory_alloc(policy_n_params(s), sizeof(float));
    rc = read_params(file, path, s, p, block, err);
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
