/* Networks against PyTorch in float64; make_numerics_golden.py says what the file holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "tests/golden/golden.h"

static void check_case(enum activation activation, bool has_layer_norm)
{
    struct safetensors *f = golden_open("mlp");
    char name[64], what[32];
    snprintf(what, sizeof(what), "%s_%s", activation_name(activation), has_layer_norm ? "norm" : "plain");
#define PART(tensor) (snprintf(name, sizeof(name), "%s_%s", what, tensor), name)
    real *params = golden_real(f, PART("params")), *x = golden_real(f, PART("x"));
    real *dout = golden_real(f, PART("dout"));
    double *y = golden(f, PART("y")), *grad = golden(f, PART("grad")), *dx = golden(f, PART("dx"));
    const size_t n_params = golden_count(f, PART("params")), n_y = golden_count(f, PART("y"));
    const size_t n_x = golden_count(f, PART("x"));
    double *widths = golden(f, "widths");
    struct mlp_body body = { 2, { (int)widths[1], (int)widths[2] }, activation, has_layer_norm };
    struct mlp_shape s = mlp_shape_make((int)widths[0], &body, (int)widths[3]);
    const int B = (int)n_x / s.width[0];
    ck_assert_uint_eq(mlp_n_params(&s), n_params);
    ck_assert_uint_eq(golden_count(f, "widths"), 4);

    matrix_setup();
    struct arena *arena = arena_create(1 << 16);
    struct mlp_cache cache;
    mlp_cache_init(&cache, &s, B, NULL, arena);
    real *got_grad = malloc(n_params * sizeof(real)), *got_dx = malloc(n_x * sizeof(real));
    const real *got_y = mlp_forward(&s, params, B, x, s.width[0], &cache);
    golden_check(PART("y"), got_y, y, n_y, golden_limits()->output);
    mlp_backward(&s, params, B, x, s.width[0], &cache, dout, got_grad, got_dx, s.width[0]);
    golden_check_network(what, &s, got_grad, grad);
    golden_check_gradient(PART("dx"), got_dx, dx, n_x);
#undef PART
    free(params), free(x), free(dout), free(y), free(grad), free(dx), free(widths);
    free(got_grad), free(got_dx);
    arena_destroy(&arena);
    safetensors_close(&f);
}

START_TEST(networks_equal_pytorch_with_each_activation)
{
    check_case(ACTIVATION_RELU, false);
    check_case(ACTIVATION_TANH, false);
    check_case(ACTIVATION_SILU, false);
}
END_TEST

START_TEST(networks_equal_pytorch_with_layer_normalisation_and_each_activation)
{
    check_case(ACTIVATION_RELU, true);
    check_case(ACTIVATION_TANH, true);
    check_case(ACTIVATION_SILU, true);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        networks_equal_pytorch_with_each_activation,
        networks_equal_pytorch_with_layer_normalisation_and_each_activation,
    };
    return suite_run("mlp_golden", tests, TEST_COUNT(tests), 60);
}
