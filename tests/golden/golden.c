#include "tests/golden/golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

size_t golden_check_network(const char *what, const struct mlp_shape *s, const real *grad,
                            const double *expected, double tolerance)
{
    for (int l = 0; l < s->n_layers; l++) {
        const size_t n_out = (size_t)s->width[l + 1];
        const bool has_norm = s->has_layer_norm && l + 1 < s->n_layers;
        const size_t w = mlp_weight_offset(s, l), b = mlp_bias_offset(s, l), g = mlp_norm_offset(s, l);
        const struct { const char *name; size_t at, n; } tensors[] = {
            { "W", w, b - w }, { "b", b, n_out },
            { "gain", g, has_norm ? n_out : 0 }, { "offset", g + n_out, has_norm ? n_out : 0 },
        };
        for (size_t t = 0; t < TEST_COUNT(tensors); t++) {
            double worst = worst_relative(grad + tensors[t].at, expected + tensors[t].at,
                                          tensors[t].n);
            ck_assert_msg(worst <= tolerance, "%s: layer %d's %s is off by %.2g of its largest number",
                          what, l, tensors[t].name, worst);
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
                      const char *expected_name, const char *start_name, double tolerance)
{
    double *expected = golden(file, expected_name), *start = golden(file, start_name);
    ck_assert_uint_ge(golden_count(file, expected_name), a.n);
    double share = share_of_way(a.data, expected, start, a.n);
    ck_assert_msg(share <= tolerance, "%s: %s is off by %.2g of its way", what, expected_name, share);
    free(expected);
    free(start);
}
