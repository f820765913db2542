#include "tests/golden/golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "common/policy_head.h"

/* With float products the rest of a program rounds as much as they do, and the limits are what such a chain of
 * some hundred roundings costs.
 *
 * Coarser products cost more than all else. One is off by at most u: bf16x3 leaves out the product of the low
 * parts and rounds each of them, 3 times 2^-18; bf16 rounds both factors, 2 times 2^-9. A sum of products whose
 * errors have signs of their own is off by no more, as a part of its typical size, and what stands one layer
 * behind another adds up:
 *   outputs      three layers: 3 u
 *   values       the difference between two networks in a row and a third: 9 u
 *   gradients    two networks, forward and backward: 12 u. Behind the bend of a smooth activation, where large
 *                terms cancel, a slope may be off by more; as much again covers it: 24 u
 *   parameters   Adam's and RMSprop's first steps are the gradient's signs. With bf16x3 no sign of these few
 *                hundred numbers should turn (gradient / pi of them do), so the way is float's
 *   later        off by 9 u, and by the way's error of what changes since: with bf16x3 again some 1e-3
 *
 * With bf16 there are kinks, too: of the 300 units and more that a network has in a batch one or two, close to
 * 0, take the other side of relu, or a row that of a clipped ratio. All that such a unit in such a row gives to a
 * gradient is there or is not, so largest numbers say little; where some few rows count it is about 1/25 of a
 * tensor's squares, 1/5 of its norm. Signs of the first step turn for a part of gradient / pi of the parameters,
 * which are then off by twice their way: 2 sqrt(gradient / pi) in norm, 0.61. Losses of such parameters are not
 * compared. And one row of the 12 or more of a batch may be counted on the other side of a bound. */
#define U_BF16X3 (3.0 / (1 << 18))
#define U_BF16 (1.0 / (1 << 8))
#define KINKS 0.2

const struct golden_limits *golden_limits(void)
{
    static const struct golden_limits limits[] = {
        [PRECISION_F32] = { .output = 2e-6, .value = 1e-5, .later = 1e-4, .share = 1e-5, .gradient = 1e-5,
                            .way = 1e-3 },
        [PRECISION_BF16X3] = { .output = 3 * U_BF16X3, .value = 9 * U_BF16X3, .later = 1e-3, .share = 9 * U_BF16X3,
                               .gradient = 24 * U_BF16X3, .way = 1e-3 },
        [PRECISION_BF16] = { .output = 3 * U_BF16, .value = 9 * U_BF16, .later = (double)INFINITY, .share = 1.0 / 12,
                             .gradient = 24 * U_BF16 + KINKS, .in_norm = true, .way = 0.61 },
    };
    return &limits[kernels_default()->precision];
}

struct safetensors *golden_open(const char *name)
{
    char path[128];
    struct error err;
    struct safetensors *file;
    snprintf(path, sizeof(path), "tests/golden/%s.safetensors", name);
    ck_assert_msg(safetensors_open(&file, path, &err) == 0, "%s", err.text);
    return file;
}

size_t golden_count(const struct safetensors *file, const char *name)
{
    const struct tensor *t = safetensors_find(file, name);
    ck_assert_msg(t != NULL, "no tensor %s", name);
    return tensor_count(t);
}

double *golden(const struct safetensors *file, const char *name)
{
    struct error err;
    size_t n = golden_count(file, name);
    double *x = malloc((n ? n : 1) * sizeof(*x));
    ck_assert_msg(safetensors_copy(file, name, TENSOR_F64, n, x, &err) == 0, "%s", err.text);
    return x;
}

real *golden_real(const struct safetensors *file, const char *name)
{
    size_t n = golden_count(file, name);
    double *x = golden(file, name);
    real *y = malloc((n ? n : 1) * sizeof(*y));
    for (size_t i = 0; i < n; i++)
        y[i] = (real)x[i];
    free(x);
    return y;
}

int *golden_int(const struct safetensors *file, const char *name)
{
    size_t n = golden_count(file, name);
    double *x = golden(file, name);
    int *y = malloc((n ? n : 1) * sizeof(*y));
    for (size_t i = 0; i < n; i++)
        y[i] = (int)x[i];
    free(x);
    return y;
}

double golden_at(const struct safetensors *file, const char *name, size_t i)
{
    double *x = golden(file, name), at;
    ck_assert_uint_lt(i, golden_count(file, name));
    at = x[i];
    free(x);
    return at;
}

double worst_relative(const real *x, const double *expected, size_t n)
{
    double worst = 0, scale = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]) || !isfinite(expected[i]))
            return INFINITY;
        worst = fmax(worst, fabs((double)x[i] - expected[i]));
        scale = fmax(scale, fabs(expected[i]));
    }
    return scale > 0 ? worst / scale : worst;
}

double share_of_way(const real *x, const double *expected, const double *start, size_t n)
{
    double error = 0, way = 0;
    for (size_t i = 0; i < n; i++) {
        error += pow((double)x[i] - expected[i], 2);
        way += pow(expected[i] - start[i], 2);
    }
    ck_assert(way > 0);
    return sqrt(error / way);
}

double golden_norm(const double *x, size_t begin, size_t end)
{
    double sum = 0;
    for (size_t i = begin; i < end; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

void golden_check(const char *what, const real *x, const double *expected, size_t n, double tolerance)
{
    double worst = worst_relative(x, expected, n);
    ck_assert_msg(worst <= tolerance, "%s is off by %.2g of its largest number", what, worst);
}

/* ||x - expected|| against ||expected||; infinite when a number is not finite. */
static double relative_in_norm(const real *x, const double *expected, size_t n)
{
    double off = 0, all = golden_norm(expected, 0, n);
    for (size_t i = 0; i < n; i++)
        off += pow((double)x[i] - expected[i], 2);
    return isfinite(off) ? sqrt(off) / (all > 0 ? all : 1) : (double)INFINITY;
}

void golden_check_gradient(const char *what, const real *grad, const double *expected, size_t n)
{
    const struct golden_limits *limits = golden_limits();
    const double off = limits->in_norm ? relative_in_norm(grad, expected, n) : worst_relative(grad, expected, n);
    ck_assert_msg(off <= limits->gradient, "%s is off by %.2g of its %s", what, off,
                  limits->in_norm ? "norm" : "largest number");
}

void golden_check_norm(double x, const double *expected, size_t begin, size_t end)
{
    ck_assert_double_eq_tol(x / golden_norm(expected, begin, end), 1, golden_limits()->gradient);
}

size_t golden_check_network(const char *what, const struct mlp_shape *s, const real *grad,
                            const double *expected)
{
    char name[128];
    for (int l = 0; l < s->n_layers; l++) {
        const size_t n_out = (size_t)s->width[l + 1];
        const bool has_norm = s->has_layer_norm && l + 1 < s->n_layers;
        const size_t w = mlp_weight_offset(s, l), b = mlp_bias_offset(s, l), g = mlp_norm_offset(s, l);
        const struct { const char *name; size_t at, n; } tensors[] = {
            { "W", w, b - w }, { "b", b, n_out },
            { "gain", g, has_norm ? n_out : 0 }, { "offset", g + n_out, has_norm ? n_out : 0 },
        };
        for (size_t t = 0; t < TEST_COUNT(tensors); t++) {
            snprintf(name, sizeof(name), "%s: layer %d's %s", what, l, tensors[t].name);
            golden_check_gradient(name, grad + tensors[t].at, expected + tensors[t].at, tensors[t].n);
        }
    }
    return mlp_n_params(s);
}

struct array golden_array(const struct algorithm *a, void *self, const char *name)
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    int n = a->arrays(self, arrays);
    for (int i = 0; i < n; i++)
        if (strcmp(arrays[i].name, name) == 0)
            return arrays[i];
    ck_abort_msg("%s has no array %s", a->name, name);
}

void golden_overwrite(struct array a, const struct safetensors *file, const char *name)
{
    real *x = golden_real(file, name);
    ck_assert_uint_eq(golden_count(file, name), a.n);
    memcpy(a.data, x, a.n * sizeof(*x));
    free(x);
}

void golden_check_way(const char *what, struct array a, const struct safetensors *file,
                      const char *expected_name, const char *start_name)
{
    double *expected = golden(file, expected_name), *start = golden(file, start_name);
    ck_assert_uint_ge(golden_count(file, expected_name), a.n);
    double share = share_of_way(a.data, expected, start, a.n);
    ck_assert_msg(share <= golden_limits()->way, "%s: %s is off by %.2g of its way", what, expected_name, share);
    free(expected);
    free(start);
}

/* ---- an algorithm from the start that a file holds ---- */

void golden_case_open(struct golden_case *c, const struct algorithm *algorithm, const char *name)
{
    matrix_setup();
    *c = (struct golden_case){ .algorithm = algorithm, .name = name, .file = golden_open(name) };
    c->rows = golden_real(c->file, "rows");
    c->arena = arena_create(1 << 20);
}

void golden_case_create(struct golden_case *c)
{
    c->self = c->algorithm->create(&c->setup, c->arena);
    c->params = golden_array(c->algorithm, c->self, "params");
    golden_overwrite(c->params, c->file, "params0");
    if (!safetensors_find(c->file, "targets0"))
        return;
    c->targets = golden_array(c->algorithm, c->self, "targets");
    golden_overwrite(c->targets, c->file, "targets0");
}

void golden_case_close(struct golden_case *c)
{
    free(c->rows);
    arena_destroy(&c->arena);
    safetensors_close(&c->file);
}

struct mlp_body golden_body(const double *sizes)
{
    return (struct mlp_body){ (int)sizes[0], { (int)sizes[1], (int)sizes[2] },
                              (enum activation)(int)sizes[3], false };
}

double golden_metric(const struct golden_case *c, const char *name)
{
    for (int i = 0; i < c->algorithm->n_metrics; i++)
        if (strcmp(c->algorithm->metric_names[i], name) == 0)
            return c->metrics[i];
    ck_abort_msg("%s has no metric %s", c->algorithm->name, name);
}

/* By what a metric is, which its name says. */
static double limit_of(const char *metric, int update)
{
    const struct golden_limits *limits = golden_limits();
    if (update > 0)
        return limits->later;
    if (strstr(metric, "grad_norm"))
        return limits->gradient;
    return strcmp(metric, "clip_fraction") == 0 || strcmp(metric, "rho_clipped") == 0 ? limits->share : limits->value;
}

void golden_check_metrics(const struct golden_case *c, int update, const struct golden_column *columns, int n)
{
    ck_assert_uint_eq(golden_count(c->file, "metrics") % (size_t)n, 0);
    for (int j = 0; j < n; j++) {
        const double limit = limit_of(columns[j].name, update);
        double x = golden_metric(c, columns[j].name);
        double expected = golden_at(c->file, "metrics", (size_t)(update * n + j));
        double scale = fmax(fabs(expected), columns[j].typical);
        const bool is_close = isfinite(x) && (isinf(limit) || fabs(x - expected) <= limit * scale);
        ck_assert_msg(is_close, "%s, update %d: %s is %.9g instead of %.9g", c->name, update + 1, columns[j].name, x,
                      expected);
    }
}

void golden_check_actor_critic(const struct golden_case *c)
{
    const struct algorithm_setup *setup = &c->setup;
    const int n_obs = setup->shape.n_obs, n_act = setup->shape.n_act;
    const struct env_spec spec = { .n_choices = setup->n_choices };
    struct algorithm_traits traits;
    c->algorithm->describe(setup->hyper, &spec, &traits);
    const int n_out = policy_head_outputs(traits.head, n_act, setup->n_choices);
    const size_t n_free = (size_t)policy_head_extra(traits.head, n_act);
    const struct mlp_shape policy = mlp_shape_make(n_obs, &setup->policy, n_out);
    const struct mlp_shape value = mlp_shape_make(n_obs, &setup->critic, 1);
    size_t n, n_policy;
    const real *grad = c->algorithm->gradients(c->self, &n);
    double *expected = golden(c->file, "gradients");
    ck_assert_uint_eq(n, golden_count(c->file, "gradients"));
    size_t at = golden_check_network("policy", &policy, grad, expected);
    golden_check_gradient("log_sigma", grad + at, expected + at, n_free);
    at += n_free;
    c->algorithm->policy(c->self, &n_policy);
    ck_assert_uint_eq(n_policy, at);
    at += golden_check_network("value", &value, grad + at, expected + at);
    ck_assert_uint_eq(at, n);
    free(expected);
}
