/* The two networks of on-policy algorithms: how they start, passes over many rows, one step. */
#include "learner/actor_critic.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "tests/support.h"

enum { N_OBS = 5, N_ACT = 2, N_CHOICES = 3, CAPACITY = 48, N_ROWS = 1100 };

static struct arena *arena;
static const struct optimiser_hyper adam = { .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-5 };

static void init(struct actor_critic *ac, enum policy_head head)
{
    const struct mlp_body body = { 2, { 16, 12 }, ACTIVATION_TANH, false };
    const bool is_discrete = head == HEAD_CATEGORICAL;
    const struct algorithm_setup setup = {
        .shape = { N_OBS, is_discrete ? 1 : N_ACT }, .n_choices = is_discrete ? N_CHOICES : 0,
        .policy = body, .critic = body, .start = MLP_START_ORTHOGONAL, .seed = 4,
    };
    matrix_setup();
    arena = arena_create(1 << 20);
    actor_critic_init(ac, &setup, head, CAPACITY, -0.75, &adam, 1e-2, arena);
}

static real *draw_rows(const struct actor_critic *ac)
{
    struct rng rng;
    rng_init(&rng, 21, RNG_TEST, 0, 0);
    real *rows = malloc((size_t)(N_ROWS * ac->stride) * sizeof(*rows));
    for (int i = 0; i < N_ROWS * ac->stride; i++)
        rows[i] = (real)rng_normal(&rng);
    for (int t = 0; ac->n_choices && t < N_ROWS; t++)
        rows[t * ac->stride + row_act(ac->shape)] = (real)rng_below(&rng, N_CHOICES);
    return rows;
}

static const enum policy_head heads[] = { HEAD_GAUSSIAN, HEAD_GAUSSIAN_OF_STATE, HEAD_CATEGORICAL };

START_TEST(sigma_starts_as_asked_and_the_policy_next_to_uninformed)
{
    for (size_t k = 0; k < TEST_COUNT(heads); k++) {
        struct actor_critic ac;
        real log_prob[CAPACITY], entropy[CAPACITY], value[CAPACITY];
        init(&ac, heads[k]);
        real *rows = draw_rows(&ac);
        actor_critic_forward(&ac, CAPACITY, rows, log_prob, entropy, value);
        double gaussian = N_ACT * (-0.75 + 0.5 * (1 + log(2 * acos(-1.0))));
        for (int i = 0; i < CAPACITY; i++) {
            ck_assert_double_eq_tol((double)entropy[i],
                                    heads[k] == HEAD_CATEGORICAL ? log(N_CHOICES) : gaussian, 0.05);
            ck_assert(isfinite(log_prob[i]) && value[i] != 0);
        }
        free(rows);
        arena_destroy(&arena);
    }
}
END_TEST

START_TEST(the_policy_is_its_network_and_a_free_log_sigma)
{
    for (size_t k = 0; k < TEST_COUNT(heads); k++) {
        struct actor_critic ac;
        struct array arrays[ALGORITHM_MAX_ARRAYS];
        size_t n;
        init(&ac, heads[k]);
        const real *policy = actor_critic_policy(&ac, &n);
        const size_t network = mlp_n_params(&ac.params.parts[ac.policy_part].shape);
        ck_assert_uint_eq(n, network + (size_t)policy_head_extra(heads[k], N_ACT));
        for (size_t i = network; i < n; i++)
            ck_assert(policy[i] == (real)-0.75);
        ck_assert_int_eq(actor_critic_arrays(&ac, arrays), 4);
        ck_assert_str_eq(arrays[0].name, "params");
        ck_assert_ptr_eq(arrays[0].data, policy);
        arena_destroy(&arena);
    }
}
END_TEST

START_TEST(passes_over_any_number_of_rows_equal_those_over_few)
{
    for (size_t k = 0; k < TEST_COUNT(heads); k++) {
        struct actor_critic ac;
        real log_prob[CAPACITY], value[CAPACITY];
        init(&ac, heads[k]);
        real *rows = draw_rows(&ac);
        real *values = malloc(N_ROWS * sizeof(real)), *log_probs = malloc(N_ROWS * sizeof(real));
        actor_critic_values(&ac, N_ROWS, rows, values);
        actor_critic_log_probs(&ac, N_ROWS, rows, log_probs);
        for (int t = 0; t < N_ROWS; t += CAPACITY) {
            int B = N_ROWS - t < CAPACITY ? N_ROWS - t : CAPACITY;
            actor_critic_forward(&ac, B, rows + t * ac.stride, log_prob, NULL, value);
            for (int i = 0; i < B; i++) {
                ck_assert_double_eq_tol((double)values[t + i], (double)value[i], 1e-5);
                ck_assert_double_eq_tol((double)log_probs[t + i], (double)log_prob[i],
                                        1e-5 * (1 + fabs((double)log_prob[i])));
            }
        }
        free(rows), free(values), free(log_probs);
        arena_destroy(&arena);
    }
}
END_TEST

START_TEST(what_is_not_wanted_changes_nothing)
{
    struct actor_critic ac;
    real all[3][CAPACITY], one[CAPACITY];
    init(&ac, HEAD_GAUSSIAN);
    real *rows = draw_rows(&ac);
    actor_critic_forward(&ac, CAPACITY, rows, all[0], all[1], all[2]);
    for (int k = 0; k < 3; k++) {
        actor_critic_forward(&ac, CAPACITY, rows, k == 0 ? one : NULL, k == 1 ? one : NULL,
                             k == 2 ? one : NULL);
        ck_assert_mem_eq(one, all[k], sizeof(one));
    }
    free(rows);
    arena_destroy(&arena);
}
END_TEST

/* Backward and a step for the given d loss / d log_prob and d V of the first row. */
static int step(struct actor_critic *ac, const real *rows, real dlog_prob, real dvalue, double loss,
                struct error *err)
{
    real a[2] = { dlog_prob, 0 }, b[2] = { 0, 0 }, c[2] = { dvalue, 0 }, out[2];
    actor_critic_forward(ac, 2, rows, out, out, out);
    actor_critic_backward(ac, 2, rows, a, b, c);
    return actor_critic_step(ac, 0, loss, NULL, err);
}

START_TEST(a_step_that_is_not_finite_moves_nothing_and_names_the_first_bad_tensor)
{
    struct actor_critic ac;
    struct error err;
    init(&ac, HEAD_GAUSSIAN);
    real *rows = draw_rows(&ac), *before = malloc(ac.params.n * sizeof(real));
    memcpy(before, ac.params.value, ac.params.n * sizeof(real));
    ck_assert_int_eq(step(&ac, rows, (real)NAN, 1, 1, &err), ERR_NUMERIC);
    ck_assert_str_eq(err.text, "the gradient of policy's layer 0 weights is not finite");
    ck_assert_int_eq(step(&ac, rows, 1, (real)INFINITY, 1, &err), ERR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(err.text, "the gradient of value's layer 0"));
    ck_assert_int_eq(step(&ac, rows, 1, 1, (double)NAN, &err), ERR_NUMERIC);
    ck_assert_str_eq(err.text, "the loss is not finite");
    ck_assert_mem_eq(before, ac.params.value, ac.params.n * sizeof(real));
    ck_assert_int_eq(ac.optimiser.t, 0);
    /* Nothing bad stays behind in the moments. */
    ck_assert_int_eq(step(&ac, rows, 1, 1, 1, &err), 0);
    ck_assert(gradient_is_usable(ac.params.value, ac.params.n));
    free(rows), free(before);
    arena_destroy(&arena);
}
END_TEST

START_TEST(a_free_log_sigma_comes_back_from_its_bounds)
{
    struct actor_critic ac;
    struct error err;
    real out[1];
    const real zero = 0, entropy_up = -1, entropy_down = 1;
    init(&ac, HEAD_GAUSSIAN);
    real *rows = draw_rows(&ac);
    const real *sigma = parameters_value(&ac.params, ac.sigma_part);
    for (int i = 0; i < 800; i++) {
        actor_critic_forward(&ac, 1, rows, out, out, out);
        actor_critic_backward(&ac, 1, rows, &zero, i < 400 ? &entropy_up : &entropy_down, &zero);
        ck_assert_int_eq(actor_critic_step(&ac, 0, 0, NULL, &err), 0);
        ck_assert(sigma[0] <= 2 && sigma[1] <= 2);
        ck_assert(i != 399 || sigma[0] == 2);
    }
    ck_assert(sigma[0] < 0 && sigma[1] < 0);
    free(rows);
    arena_destroy(&arena);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        sigma_starts_as_asked_and_the_policy_next_to_uninformed,
        the_policy_is_its_network_and_a_free_log_sigma,
        passes_over_any_number_of_rows_equal_those_over_few,
        what_is_not_wanted_changes_nothing,
        a_step_that_is_not_finite_moves_nothing_and_names_the_first_bad_tensor,
        a_free_log_sigma_comes_back_from_its_bounds,
    };
    return suite_run("actor_critic", tests, TEST_COUNT(tests), 60);
}
