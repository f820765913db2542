/* How networks are laid out and how they start. What they compute is in golden/test_mlp_golden.c and
 * double/test_mlp_gradients.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/matrix.h"
#include "common/mlp.h"
#include "tests/support.h"

static struct rng stream(uint32_t number)
{
    struct rng rng;
    rng_init(&rng, 11, RNG_TEST, number, 0);
    return rng;
}

START_TEST(activations_have_words)
{
    struct error err;
    for (int i = ACTIVATION_RELU; i <= ACTIVATION_SILU; i++) {
        enum activation found;
        ck_assert_int_eq(activation_find(activation_name((enum activation)i), &found, &err), 0);
        ck_assert_int_eq((int)found, i);
    }
    enum activation none;
    ck_assert_int_eq(activation_find("gelu", &none, &err), ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "gelu"));
}
END_TEST

START_TEST(parameters_are_weights_biases_gain_and_offset_layer_by_layer)
{
    struct mlp_body body = { 2, { 7, 5 }, ACTIVATION_RELU, true };
    struct mlp_shape s = mlp_shape_make(3, &body, 2);
    ck_assert_uint_eq(mlp_weight_offset(&s, 0), 0);
    ck_assert_uint_eq(mlp_bias_offset(&s, 0), 21);
    ck_assert_uint_eq(mlp_norm_offset(&s, 0), 28);
    ck_assert_uint_eq(mlp_weight_offset(&s, 1), 42);
    ck_assert_uint_eq(mlp_bias_offset(&s, 1), 77);
    ck_assert_uint_eq(mlp_norm_offset(&s, 1), 82);
    ck_assert_uint_eq(mlp_weight_offset(&s, 2), 92);
    ck_assert_uint_eq(mlp_n_params(&s), 104);
    body.has_layer_norm = false;
    s = mlp_shape_make(3, &body, 2);
    ck_assert_uint_eq(mlp_n_params(&s), 80);
}
END_TEST

START_TEST(caches_hold_what_the_network_needs_and_no_more)
{
    struct arena *arena = arena_create(1 << 16);
    for (int f = ACTIVATION_RELU; f <= ACTIVATION_SILU; f++)
        for (int has_norm = 0; has_norm < 2; has_norm++) {
            struct mlp_body body = { 1, { 7 }, (enum activation)f, has_norm };
            struct mlp_shape s = mlp_shape_make(3, &body, 2);
            struct mlp_cache c;
            memset(&c, 0xFF, sizeof(c));
            mlp_cache_init(&c, &s, 4, NULL, arena);
            ck_assert_int_eq(c.slope[0] != NULL, f == ACTIVATION_SILU);
            ck_assert_int_eq(c.centred[0] != NULL, has_norm);
            ck_assert_int_eq(c.inverse_std[0] != NULL, has_norm);
            ck_assert(!c.slope[1] && !c.centred[1] && !c.inverse_std[1]);
        }
    arena_destroy(&arena);
}
END_TEST

/* ---- start ---- */

START_TEST(a_uniform_start_draws_weights_then_biases_within_one_over_root_inputs)
{
    for (int has_norm = 0; has_norm < 2; has_norm++) {
        struct mlp_body body = { 1, { 7 }, ACTIVATION_RELU, has_norm };
        struct mlp_shape s = mlp_shape_make(4, &body, 2);
        real params[80];
        struct rng rng = stream(1), same = stream(1);
        mlp_init(&s, params, MLP_START_UNIFORM, 9, 9, &rng);
        for (size_t i = 0; i < 5 * 7; i++)
            ck_assert(params[i] == (real)rng_uniform(&same, -0.5, 0.5));
        const double bound = 1 / sqrt(7.0);
        for (size_t i = 0; i < 8 * 2; i++)
            ck_assert(params[mlp_weight_offset(&s, 1) + i] == (real)rng_uniform(&same, -bound, bound));
        for (size_t j = 0; has_norm && j < 7; j++)
            ck_assert(params[35 + j] == 1 && params[42 + j] == 0);
        ck_assert_uint_eq(rng.position, same.position);
    }
}
END_TEST

/* sum of a[k lda] b[k ldb] */
static double product(size_t n, const double *a, size_t lda, const real *b, size_t ldb)
{
    double sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += a[k * lda] * (double)b[k * ldb];
    return sum;
}

/* Of PyTorch's recipe Q is what A = Q R makes it, R upper triangular with a positive diagonal and A's columns
 * normal; here A's columns are drawn one by one. */
static void check_orthogonal(const real *w, size_t n_in, size_t n_out, double gain, struct rng *rng)
{
    const bool in_rows = n_in <= n_out;
    const size_t n = in_rows ? n_in : n_out, length = in_rows ? n_out : n_in;
    const size_t next = in_rows ? length : 1, step = in_rows ? 1 : n;    /* q_j[k] = w[j next + k step] */
    double *a = malloc(length * sizeof(*a));
    for (size_t j = 0; j < n; j++) {
        double left = 0, whole = 0;
        for (size_t i = 0; i < n; i++) {
            double *q = malloc(length * sizeof(*q));
            for (size_t k = 0; k < length; k++)
                q[k] = (double)w[i * next + k * step];
            ck_assert_double_eq_tol(product(length, q, 1, w + j * next, step) / (gain * gain), i == j, 2e-6);
            free(q);
        }
        for (size_t k = 0; k < length; k++)
            whole += pow(a[k] = rng_normal(rng), 2);
        for (size_t i = 0; i <= j; i++) {
            double r = product(length, a, 1, w + i * next, step) / gain;
            ck_assert(i < j || r > 0);
            for (size_t k = 0; k < length; k++)
                a[k] -= r * (double)w[i * next + k * step] / gain;
        }
        for (size_t k = 0; k < length; k++)
            left += a[k] * a[k];
        ck_assert_double_le(left, 1e-10 * whole);
    }
    free(a);
}

START_TEST(an_orthogonal_start_is_the_qr_of_normals_with_a_positive_diagonal_times_its_gain)
{
    static const int widths[][3] = { { 3, 8, 2 }, { 8, 8, 8 }, { 9, 4, 1 }, { 1, 5, 12 }, { 64, 96, 40 } };
    for (size_t i = 0; i < TEST_COUNT(widths); i++)
        for (int has_norm = 0; has_norm < 2; has_norm++) {
            struct mlp_body body = { 1, { widths[i][1] }, ACTIVATION_TANH, has_norm };
            struct mlp_shape s = mlp_shape_make(widths[i][0], &body, widths[i][2]);
            real *params = malloc(mlp_n_params(&s) * sizeof(*params));
            struct rng rng = stream(2), same = stream(2);
            mlp_init(&s, params, MLP_START_ORTHOGONAL, sqrt(2.0), 0.01, &rng);
            for (int l = 0; l < 2; l++) {
                size_t n_out = (size_t)s.width[l + 1];
                check_orthogonal(params + mlp_weight_offset(&s, l), (size_t)s.width[l], n_out,
                                 l ? 0.01 : sqrt(2.0), &same);
                for (size_t j = 0; j < n_out; j++)
                    ck_assert(params[mlp_bias_offset(&s, l) + j] == 0);
            }
            for (size_t j = 0; has_norm && j < (size_t)s.width[1]; j++) {
                ck_assert(params[mlp_norm_offset(&s, 0) + j] == 1);
                ck_assert(params[mlp_norm_offset(&s, 0) + (size_t)s.width[1] + j] == 0);
            }
            ck_assert_uint_eq(rng.position, same.position);
            free(params);
        }
}
END_TEST

START_TEST(a_wide_orthogonal_start_is_orthogonal_and_quick)
{
    enum { N = 1024 };
    struct mlp_body body = { 0 };
    struct mlp_shape s = mlp_shape_make(N, &body, N);
    real *w = malloc(mlp_n_params(&s) * sizeof(*w)), *square = malloc((size_t)N * N * sizeof(*square));
    struct rng rng = stream(4);
    double worst = 0;
    matrix_setup();
    const clock_t start = clock();
    mlp_init(&s, w, MLP_START_ORTHOGONAL, 1, 1, &rng);
    ck_assert_double_le((double)(clock() - start) / CLOCKS_PER_SEC, 6);    /* row by row it takes 13 s */
    matrix_nt(N, N, N, w, N, w, N, 0, square, N);
    for (size_t i = 0; i < (size_t)N * N; i++)
        worst = fmax(worst, fabs((double)square[i] - (i % (N + 1) == 0)));
    ck_assert_double_le(worst, 1e-5);
    free(w);
    free(square);
}
END_TEST

START_TEST(orthogonal_starts_are_spread_evenly_over_all_orthogonal_matrices)
{
    /* Then the trace has mean 0 and mean square 1 (Diaconis and Shahshahani 1994); 20,000 draws. */
    enum { DRAWS = 20000, N = 4 };
    struct mlp_body body = { 0 };
    struct mlp_shape s = mlp_shape_make(N, &body, N);
    struct rng rng = stream(3);
    real params[N * N + N];
    double sum = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        mlp_init(&s, params, MLP_START_ORTHOGONAL, 1, 1, &rng);
        double trace = 0;
        for (int j = 0; j < N; j++)
            trace += (double)params[j * N + j];
        sum += trace;
        squares += trace * trace;
    }
    ck_assert_double_eq_tol(sum / DRAWS, 0, 0.03);
    ck_assert_double_eq_tol(squares / DRAWS, 1, 0.05);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        activations_have_words,
        parameters_are_weights_biases_gain_and_offset_layer_by_layer,
        caches_hold_what_the_network_needs_and_no_more,
        a_uniform_start_draws_weights_then_biases_within_one_over_root_inputs,
        an_orthogonal_start_is_the_qr_of_normals_with_a_positive_diagonal_times_its_gain,
        a_wide_orthogonal_start_is_orthogonal_and_quick,
        orthogonal_starts_are_spread_evenly_over_all_orthogonal_matrices,
    };
    return suite_run("mlp", tests, TEST_COUNT(tests), 60);
}
