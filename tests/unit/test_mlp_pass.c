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
enum { FIRST = 5, N_DX = N_IN - FIRST };
struct back {
    struct mlp_cache cache;
    struct mlp_pass pass;
    int rows[B];
    real dout[B * N_OUT], dx[B * N_DX];
};

static void go_back(struct back *b, struct world *w, const struct mlp_engine *engine)
{
    mlp_cache_init(&b->cache, &w->shape, B, engine, w->arena);
    b->pass = (struct mlp_pass){ .shape = &w->shape, .params = w->params[0], .B = B, .x = w->x, .ldx = N_IN,
                                 .cache = &b->cache, .dout = b->dout, .dx = b->dx, .lddx = N_DX, .dx_first = FIRST,
                                 .rows = b->rows, .n_rows = b->pass.n_rows };
    for (int k = 0; k < b->pass.n_rows; k++)
        memcpy(b->dout + k * N_OUT, w->dout[0] + b->rows[k] * N_OUT, N_OUT * sizeof(real));
    for (int k = 0; k < B * N_DX; k++)
        b->dx[k] = 77;
    mlp_forward_all(&b->pass, 1);
    mlp_backward_all(&b->pass, 1);
}

/* Bit for bit; OpenBLAS sums in orders that depend on the rows beside. */
static void expect_rows_of(const struct back *b, const struct world *w, const struct kernels *kernels)
{
    for (int j = 0; j < b->pass.n_rows; j++) {
        const real *got = b->dx + j * N_DX, *expected = w->dx[0] + b->rows[j] * N_IN + FIRST;
        for (int i = 0; i < N_DX && kernels == &kernels_openblas; i++)
            ck_assert_double_eq_tol((double)got[i], (double)expected[i], 1e-3);
        if (kernels != &kernels_openblas)
            ck_assert_mem_eq(got, expected, N_DX * sizeof(real));
    }
    for (int i = b->pass.n_rows * N_DX; i < B * N_DX; i++)
        ck_assert(b->dx[i] == 77);
}

START_TEST(rows_that_go_back_alone_give_what_they_give_among_all)
{
    static struct back b;
    for (int k = 0; kernels_all[k]; k++)
        for (int has_norm = 0; has_norm < 2 && kernels_all[k]->is_supported(); has_norm++) {
            struct world w;
            const struct mlp_engine engine = { kernels_all[k], NULL };
            create(&w, has_norm ? ACTIVATION_SILU : ACTIVATION_RELU, has_norm);
            go(&w, &engine, 1);
            for (int which = 0; which < 3; which++) {    /* none, some, all */
                b.pass.n_rows = 0;
                for (int i = 0; i < B && which > 0; i += which == 2 || i % 5 ? 1 : 2)
                    b.rows[b.pass.n_rows++] = i;
                ck_assert_int_eq(b.pass.n_rows == B, which == 2);
                ck_assert_int_eq(b.pass.n_rows == 0, which == 0);
                go_back(&b, &w, &engine);
                expect_rows_of(&b, &w, kernels_all[k]);
            }
            arena_destroy(&w.arena);
        }
}
END_TEST

/* y = x w + b for one input and one output. */
START_TEST(a_network_of_one_layer_and_width_one_is_a_line)
{
    enum { N = 70 };
    const struct mlp_body none = { 0 };
    const struct mlp_shape s = mlp_shape_make(1, &none, 1);
    for (int k = 0; kernels_all[k]; k++) {
        const struct mlp_engine engine = { kernels_all[k], NULL };
        struct mlp_cache cache;
        real params[] = { 2, -1 }, x[N], dout[N], grad[2], dx[N];
        if (!kernels_all[k]->is_supported())
            continue;
        struct arena *arena = arena_create(1 << 16);
        mlp_cache_init(&cache, &s, N, &engine, arena);
        for (int i = 0; i < N; i++)
            x[i] = (real)(i - 30), dout[i] = (real)(i % 4);    /* exact in every precision */
        const real *y = mlp_forward(&s, params, N, x, 1, &cache);
        mlp_backward(&s, params, N, x, 1, &cache, dout, grad, dx, 1);
        real dw = 0, db = 0;
        for (int i = 0; i < N; i++) {
            ck_assert(y[i] == 2 * x[i] - 1);
            ck_assert(dx[i] == 2 * dout[i]);
            dw += x[i] * dout[i], db += dout[i];
        }
        ck_assert(grad[0] == dw && grad[1] == db);
        arena_destroy(&arena);
    }
}
END_TEST

START_TEST(a_cache_takes_the_bytes_that_are_known_beforehand)
{
    enum { ARRAYS = 5 * MLP_MAX_LAYERS + 1, ALIGNMENT = 64 };
    for (int n = 1; n <= 3; n += 2)
        for (int k = 0; kernels_all[k]; k++)
            for (int has_norm = 0; has_norm < 2 && kernels_all[k]->is_supported(); has_norm++) {
                const struct mlp_body body = { 2, { 300, 70 }, ACTIVATION_SILU, has_norm };
                const struct mlp_shape s = mlp_shape_make(N_IN, &body, N_OUT);
                struct mlp_engine engine = { kernels_all[k], n > 1 ? workers_create(n) : NULL };
                struct arena *arena = arena_create(1 << 24);
                struct mlp_cache cache;
                mlp_cache_init(&cache, &s, B, &engine, arena);
                const size_t used = arena_mark(arena).used, known = mlp_cache_bytes(&s, B, &engine);
                ck_assert_uint_ge(used, known);
                ck_assert_uint_le(used, known + ARRAYS * ALIGNMENT);
                arena_destroy(&arena);
                workers_destroy(&engine.workers);
            }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        results_depend_neither_on_the_number_of_workers_nor_on_the_networks_beside,
        rows_that_go_back_alone_give_what_they_give_among_all,
        a_network_of_one_layer_and_width_one_is_a_line,
        a_cache_takes_the_bytes_that_are_known_beforehand,
    };
    matrix_setup();
    return suite_run("mlp_pass", tests, TEST_COUNT(tests), 60);
}
