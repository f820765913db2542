/* Networks' gradients against finite differences. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "common/mlp.h"
#include "tests/double/differences.h"

struct mlp_case {
    struct mlp_shape shape;
    struct mlp_cache cache;
    int B, ldx, lddx;
    real *params, *x, *c;       /* loss = sum of c[B][n_out] times the outputs */
    real *grad, *dx;
    size_t n_params, n_out;
};

static double mlp_loss(void *context)
{
    struct mlp_case *m = context;
    const real *y = mlp_forward(&m->shape, m->params, m->B, m->x, m->ldx, &m->cache);
    double sum = 0;
    for (size_t i = 0; i < m->n_out; i++)
        sum += m->c[i] * y[i];
    return sum;
}

/* grad and dx set from c; NULL for what is not wanted. */
static void mlp_gradient(struct mlp_case *m, real *grad, real *dx)
{
    real *dout = malloc(m->n_out * sizeof(*dout));
    memcpy(dout, m->c, m->n_out * sizeof(*dout));
    mlp_forward(&m->shape, m->params, m->B, m->x, m->ldx, &m->cache);
    mlp_backward(&m->shape, m->params, m->B, m->x, m->ldx, &m->cache, dout, grad, dx, m->lddx);
    free(dout);
}

/* The gap behind each row must not be used, nor may dx reach into it. */
static void check_gaps(const struct mlp_case *m, const real *untouched)
{
    int n_in = m->shape.width[0];
    for (int b = 0; b < m->B; b++)
        for (int j = n_in; j < m->lddx; j++)
            ck_assert(m->dx[b * m->lddx + j] == untouched[b * m->lddx + j]);
}

static void check_mlp(enum activation activation, bool has_layer_norm, const int *hidden, int n_hidden,
                      int B)
{
    struct rng rng;
    rng_init(&rng, 7, RNG_TEST, (uint32_t)n_hidden, (uint32_t)B);
    struct arena *arena = arena_create(1 << 16);
    int n_in = 4, n_out = 3;
    struct mlp_body body = { .n_hidden = n_hidden, .activation = activation,
                             .has_layer_norm = has_layer_norm };
    for (int l = 0; l < n_hidden; l++)
        body.hidden[l] = hidden[l];
    struct mlp_case m = { .shape = mlp_shape_make(n_in, &body, n_out),
                          .B = B, .ldx = n_in + 3, .lddx = n_in + 5 };
    m.n_params = mlp_n_params(&m.shape);
    m.n_out = (size_t)(B * n_out);
    mlp_cache_init(&m.cache, &m.shape, B + 2, NULL, arena);
    m.params = random_block(&rng, m.n_params, 0.4);
    /* Gains about 1, so that gradients of deep networks do not vanish. */
    for (int l = 0; has_layer_norm && l < n_hidden; l++)
        for (int j = 0; j < hidden[l]; j++)
            m.params[mlp_norm_offset(&m.shape, l) + (size_t)j] += 1;
    m.x = random_block(&rng, (size_t)(B * m.ldx), 1);
    for (int b = 0; b < B; b++)
        for (int j = n_in; j < m.ldx; j++)
            m.x[b * m.ldx + j] = (real)NAN;
    m.c = random_block(&rng, m.n_out, 1);
    /* Garbage where the gradients go: they are set, not added to. */
    size_t n_dx = (size_t)(B * m.lddx);
    m.grad = random_block(&rng, m.n_params, 1);
    m.dx = random_block(&rng, n_dx, 1);
    real *dx_before = malloc(n_dx * sizeof(real));
    memcpy(dx_before, m.dx, n_dx * sizeof(real));
    mlp_gradient(&m, m.grad, m.dx);
    check_gaps(&m, dx_before);

    check_gradient("params", m.grad, mlp_loss, &m, m.params, m.n_params);
    double *numeric = malloc((size_t)(B * n_in) * sizeof(*numeric));
    real *dx = malloc((size_t)(B * n_in) * sizeof(*dx));
    for (int b = 0; b < B; b++) {
        differences(mlp_loss, &m, m.x + b * m.ldx, (size_t)n_in, numeric + b * n_in);
        memcpy(dx + b * n_in, m.dx + b * m.lddx, (size_t)n_in * sizeof(*dx));
    }
    check_close("inputs", dx, numeric, (size_t)(B * n_in));

    /* One without the other gives the same numbers. */
    real *grad_alone = random_block(&rng, m.n_params, 1), *dx_alone = random_block(&rng, n_dx, 1);
    mlp_gradient(&m, grad_alone, NULL);
    ck_assert_mem_eq(grad_alone, m.grad, m.n_params * sizeof(real));
    mlp_gradient(&m, NULL, dx_alone);
    for (int b = 0; b < B; b++)
        ck_assert_mem_eq(dx_alone + b * m.lddx, m.dx + b * m.lddx, (size_t)n_in * sizeof(real));
    mlp_gradient(&m, NULL, NULL);

    free(m.params), free(m.x), free(m.c), free(m.grad), free(m.dx), free(dx_before), free(numeric);
    free(grad_alone), free(dx_alone), free(dx);
    arena_destroy(&arena);
}

static void check_mlps(enum activation activation, bool has_layer_norm)
{
    static const int hidden[] = { 12, 10, 14, 9, 11, 13, 10, 12 };
    static const int depths[] = { 0, 1, 2, 3, MLP_MAX_LAYERS - 1 };
    for (size_t i = 0; i < TEST_COUNT(depths); i++)
        for (int B = 1; B <= 7; B += 6)
            check_mlp(activation, has_layer_norm, hidden, depths[i], B);
}

START_TEST(mlp_backward_equals_finite_differences_with_relu)
{
    check_mlps(ACTIVATION_RELU, false);
}
END_TEST

START_TEST(mlp_backward_equals_finite_differences_with_tanh)
{
    check_mlps(ACTIVATION_TANH, false);
}
END_TEST

START_TEST(mlp_backward_equals_finite_differences_with_silu)
{
    check_mlps(ACTIVATION_SILU, false);
}
END_TEST

START_TEST(mlp_backward_equals_finite_differences_with_layer_normalisation)
{
    check_mlps(ACTIVATION_RELU, true);
    check_mlps(ACTIVATION_TANH, true);
    check_mlps(ACTIVATION_SILU, true);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        mlp_backward_equals_finite_differences_with_relu,
        mlp_backward_equals_finite_differences_with_tanh,
        mlp_backward_equals_finite_differences_with_silu,
        mlp_backward_equals_finite_differences_with_layer_normalisation,
    };
    return suite_run("mlp_gradients", tests, TEST_COUNT(tests), 60);
}
