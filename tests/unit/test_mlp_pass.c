/* Networks going over batches in parts: who does the parts, and which rows go back, changes nothing. What
 * they compute is in golden/test_mlp_golden.c and double/test_mlp_gradients.c. */
#include <stdlib.h>
#include <string.h>

#include "common/matrix.h"
#include "common/mlp.h"
#include "tests/support.h"

enum { B = 200, N_IN = 9, N_OUT = 3, NETS = 2 };

/* Two networks, one batch. */
struct world {
    struct mlp_shape shape;
    struct arena *arena;
    real *params[NETS], *x, *dout[NETS];
    real *grad[NETS], *dx[NETS], *out[NETS];    /* results */
};

static real *numbers(struct arena *arena, size_t n, struct rng *rng)
{
    real *x = arena_alloc(arena, n, sizeof(*x));
    for (size_t i = 0; i < n; i++)
        x[i] = (real)rng_uniform(rng, -1, 1);
    return x;
}

static void create(struct world *w, enum activation activation, bool has_norm)
{
    const struct mlp_body body = { 2, { 150, 70 }, activation, has_norm };
    struct rng rng;
    rng_init(&rng, 5, RNG_TEST, 0, 0);
    w->arena = arena_create(1 << 20);
    w->shape = mlp_shape_make(N_IN, &body, N_OUT);
    w->x = numbers(w->arena, B * N_IN, &rng);
    for (int i = 0; i < NETS; i++) {
        w->params[i] = numbers(w->arena, mlp_n_params(&w->shape), &rng);
        w->dout[i] = numbers(w->arena, B * N_OUT, &rng);
        w->grad[i] = arena_alloc(w->arena, mlp_n_params(&w->shape), sizeof(real));
        w->dx[i] = arena_alloc(w->arena, B * N_IN, sizeof(real));
    }
}

/* There and back, `n` networks at once. */
static void go(struct world *w, const struct mlp_engine *engine, int n)
{
    for (int i = 0; i < NETS; i += n) {
        struct mlp_cache caches[NETS];
        struct mlp_pass pass[NETS];
        for (int j = 0; j < n; j++) {
            mlp_cache_init(&caches[j], &w->shape, B, engine, w->arena);
            pass[j] = (struct mlp_pass){ .shape = &w->shape, .params = w->params[i + j], .B = B, .x = w->x, .ldx = N_IN,
                                         .cache = &caches[j], .dout = w->dout[i + j], .grad = w->grad[i + j],
                                         .dx = w->dx[i + j], .lddx = N_IN };
        }
        mlp_forward_all(pass, n);
        mlp_backward_all(pass, n);
        for (int j = 0; j < n; j++)
            w->out[i + j] = mlp_output(&pass[j]);
    }
}

static void expect_equal(const struct world *a, const struct world *b)
{
    for (int i = 0; i < NETS; i++) {
        ck_assert_mem_eq(a->out[i], b->out[i], B * N_OUT * sizeof(real));
        ck_assert_mem_eq(a->grad[i], b->grad[i], mlp_n_params(&a->shape) * sizeof(real));
        ck_assert_mem_eq(a->dx[i], b->dx[i], B * N_IN * sizeof(real));
    }
}

START_TEST(results_depend_neither_on_the_number_of_workers_nor_on_the_networks_beside)
{
    for (int k = 0; kernels_all[k]; k++)
        for (int f = ACTIVATION_RELU; f <= ACTIVATION_SILU && kernels_all[k]->is_supported(); f++) {
            struct world alone, shared;
            create(&alone, (enum activation)f, f != ACTIVATION_RELU);
            go(&alone, &(struct mlp_engine){ kernels_all[k], NULL }, 1);
            for (int n = 2; n < 5; n++) {
                struct workers *workers = workers_create(n);
                create(&shared, (enum activation)f, f != ACTIVATION_RELU);
                go(&shared, &(struct mlp_engine){ kernels_all[k], workers }, NETS);
                expect_equal(&alone, &shared);
                arena_destroy(&shared.arena);
                workers_destroy(&workers);
            }
            arena_destroy(&alone.arena);
        }
}
END_TEST

/* d loss / d inputs of some rows, from a given input on. */
START_TEST(rows_that_go_back_alone_give_what_they_give_among_all)
{
    for (int has_norm = 0; has_norm < 2; has_norm++) {
        struct world w;
        struct mlp_cache cache;
        enum { FIRST = 5 };
        static real dout[B * N_OUT], dx[B * (N_IN - FIRST)];
        int rows[B];
        create(&w, has_norm ? ACTIVATION_SILU : ACTIVATION_RELU, has_norm);
        go(&w, NULL, 1);
        mlp_cache_init(&cache, &w.shape, B, NULL, w.arena);
        struct mlp_pass pass = { .shape = &w.shape, .params = w.params[0], .B = B, .x = w.x, .ldx = N_IN, .cache = &cache,
                                 .dout = dout, .dx = dx, .lddx = N_IN - FIRST, .dx_first = FIRST, .rows = rows };
        for (int k = 0; k < B; k += k % 5 ? 1 : 2) {
            memcpy(dout + pass.n_rows * N_OUT, w.dout[0] + k * N_OUT, N_OUT * sizeof(real));
            rows[pass.n_rows++] = k;
        }
        ck_assert_int_gt(pass.n_rows, B / 2);
        ck_assert_int_lt(pass.n_rows, B);
        mlp_forward_all(&pass, 1);
        mlp_backward_all(&pass, 1);
        for (int j = 0; j < pass.n_rows; j++)
            for (int i = FIRST; i < N_IN; i++)
                ck_assert_double_eq_tol((double)dx[j * (N_IN - FIRST) + i - FIRST],
                                        (double)w.dx[0][rows[j] * N_IN + i], 1e-3);
        arena_destroy(&w.arena);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        results_depend_neither_on_the_number_of_workers_nor_on_the_networks_beside,
        rows_that_go_back_alone_give_what_they_give_among_all,
    };
    matrix_setup();
    return suite_run("mlp_pass", tests, TEST_COUNT(tests), 60);
}
