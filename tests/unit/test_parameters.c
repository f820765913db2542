#include <math.h>
#include <string.h>

#include "learner/parameters.h"
#include "tests/support.h"

enum { POLICY, LOG_SIGMA, Q };

/* policy (4 inputs, 3 hidden with normalisation, 2 outputs) | log sigma (2) | q (4 inputs, 1 output) */
static struct parameters make(struct arena *arena)
{
    const struct mlp_body deep = { 1, { 3 }, ACTIVATION_RELU, true }, flat = { 0 };
    const struct mlp_shape policy = mlp_shape_make(4, &deep, 2), q = mlp_shape_make(4, &flat, 1);
    struct parameters p = { 0 };
    ck_assert_int_eq(parameters_add_network(&p, "policy", &policy), POLICY);
    ck_assert_int_eq(parameters_add_vector(&p, "log_sigma", 2), LOG_SIGMA);
    ck_assert_int_eq(parameters_add_network(&p, "q", &q), Q);
    parameters_alloc(&p, arena);
    return p;
}

START_TEST(parts_follow_one_another_in_every_array)
{
    struct arena *arena = arena_create(1 << 12);
    struct parameters p = make(arena);
    const size_t n_policy = 4 * 3 + 3 + 3 + 3 + 3 * 2 + 2;
    ck_assert_uint_eq(p.n, n_policy + 2 + 5);
    ck_assert_ptr_eq(parameters_value(&p, POLICY), p.value);
    ck_assert_ptr_eq(parameters_value(&p, LOG_SIGMA), p.value + n_policy);
    ck_assert_ptr_eq(parameters_grad(&p, Q), p.grad + n_policy + 2);
    ck_assert_uint_eq(p.parts[Q].n, 5);
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    ck_assert_int_eq(parameters_arrays(&p, arrays), 3);
    static const char *const names[] = { "params", "moments_m", "moments_v" };
    const real *const data[] = { p.value, p.m, p.v };
    for (int i = 0; i < 3; i++) {
        ck_assert_str_eq(arrays[i].name, names[i]);
        ck_assert_ptr_eq(arrays[i].data, data[i]);
        ck_assert_uint_eq(arrays[i].n, p.n);
        ck_assert_ptr_null(arrays[i].counter);
    }
    arena_destroy(&arena);
}
END_TEST

START_TEST(a_network_starts_with_gain_sqrt_2_and_the_last_gain_asked_for_and_alone)
{
    static const double gains[] = { 1, 0.01 };
    for (size_t i = 0; i < TEST_COUNT(gains); i++) {
        struct arena *arena = arena_create(1 << 12);
        struct parameters p = make(arena);
        const struct mlp_shape *s = &p.parts[POLICY].shape;
        real *expected = arena_alloc(arena, p.n, sizeof(*expected));
        struct rng rng, same;
        rng_init(&rng, 1, RNG_TEST, 0, 0);
        same = rng;
        parameters_start(&p, POLICY, MLP_START_ORTHOGONAL, gains[i], &rng);
        mlp_init(s, expected, MLP_START_ORTHOGONAL, sqrt(2.0), gains[i], &same);
        ck_assert_mem_eq(p.value, expected, p.n * sizeof(*expected));    /* zeros behind the policy */
        ck_assert_uint_eq(rng.position, same.position);
        arena_destroy(&arena);
    }
}
END_TEST

START_TEST(an_optimiser_moves_its_parts_and_no_other)
{
    static const struct { int first, last; } ranges[] = {
        { POLICY, POLICY }, { LOG_SIGMA, LOG_SIGMA }, { POLICY, LOG_SIGMA }, { LOG_SIGMA, Q }, { POLICY, Q },
    };
    const struct optimiser_hyper hyper = { .kind = OPTIMISER_RMSPROP_TF, .decay = 0.9, .epsilon = 1e-5 };
    for (size_t i = 0; i < TEST_COUNT(ranges); i++) {
        struct arena *arena = arena_create(1 << 12);
        struct parameters p = make(arena);
        struct optimiser o = parameters_optimiser(&p, ranges[i].first, ranges[i].last, &hyper, 0.1);
        for (size_t k = 0; k < p.n; k++)
            p.grad[k] = 1;
        ck_assert_int_eq(optimiser_step(&o, parameters_value(&p, ranges[i].first),
                                        parameters_grad(&p, ranges[i].first), 0, NULL), 0);
        for (int part = POLICY; part <= Q; part++)
            for (size_t k = 0; k < p.parts[part].n; k++) {
                bool moves = part >= ranges[i].first && part <= ranges[i].last;
                ck_assert_int_eq(parameters_value(&p, part)[k] != 0, moves);
                ck_assert_int_eq(p.v[p.parts[part].offset + k] != 0, moves);
            }
        arena_destroy(&arena);
    }
}
END_TEST

START_TEST(the_first_gradient_that_is_not_finite_is_called_by_its_name)
{
    static const struct { int part; size_t from, to; const char *text; } tensors[] = {
        { POLICY, 0, 12, "the gradient of policy's layer 0 weights is not finite" },
        { POLICY, 12, 15, "the gradient of policy's layer 0 biases is not finite" },
        { POLICY, 15, 18, "the gradient of policy's layer 0 normalisation gain is not finite" },
        { POLICY, 18, 21, "the gradient of policy's layer 0 normalisation offset is not finite" },
        { POLICY, 21, 27, "the gradient of policy's layer 1 weights is not finite" },
        { POLICY, 27, 29, "the gradient of policy's layer 1 biases is not finite" },
        { LOG_SIGMA, 0, 2, "the gradient of log_sigma is not finite" },
        { Q, 0, 4, "the gradient of q's layer 0 weights is not finite" },
        { Q, 4, 5, "the gradient of q's layer 0 biases is not finite" },
    };
    struct arena *arena = arena_create(1 << 12);
    struct parameters p = make(arena);
    struct error err;
    for (size_t i = 0; i < TEST_COUNT(tensors); i++)
        for (size_t k = tensors[i].from; k < tensors[i].to; k++) {
            real *bad = parameters_grad(&p, tensors[i].part) + k;
            *bad = k % 2 ? (real)NAN : (real)-INFINITY;
            p.grad[p.n - 1] = (real)NAN;    /* the last one of all never comes first, but alone */
            ck_assert_int_eq(parameters_blame(&p, POLICY, Q, "loss", &err), ERR_NUMERIC);
            ck_assert_int_eq(err.code, ERR_NUMERIC);
            ck_assert_str_eq(err.text, tensors[i].text);
            *bad = p.grad[p.n - 1] = 0;
        }
    arena_destroy(&arena);
}
END_TEST

START_TEST(gradients_of_other_parts_are_not_blamed_and_without_one_it_is_the_loss)
{
    struct arena *arena = arena_create(1 << 12);
    struct parameters p = make(arena);
    struct error err;
    *parameters_grad(&p, POLICY) = (real)NAN;
    ck_assert_int_eq(parameters_blame(&p, LOG_SIGMA, Q, "critics' loss", &err), ERR_NUMERIC);
    ck_assert_str_eq(err.text, "the critics' loss is not finite");
    *parameters_grad(&p, Q) = 1e30f;    /* finite, but its square is not: what the optimiser refuses */
    ck_assert_int_eq(parameters_blame(&p, LOG_SIGMA, Q, "critics' loss", &err), ERR_NUMERIC);
    ck_assert_str_eq(err.text, "the gradient of q's layer 0 weights is not finite");
    arena_destroy(&arena);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        parts_follow_one_another_in_every_array,
        a_network_starts_with_gain_sqrt_2_and_the_last_gain_asked_for_and_alone,
        an_optimiser_moves_its_parts_and_no_other,
        the_first_gradient_that_is_not_finite_is_called_by_its_name,
        gradients_of_other_parts_are_not_blamed_and_without_one_it_is_the_loss,
    };
    return suite_run("parameters", tests, TEST_COUNT(tests), 60);
}
