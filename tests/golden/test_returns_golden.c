/* GAE, V-trace and explained variance against their definitions in float64; make_returns_golden.py says
 * what the file holds. */
#include "learner/returns.h"

#include <stdlib.h>

#include "tests/golden/golden.h"

struct golden_round {
    struct safetensors *file;
    struct round round;
    real *rows, *value, *log_ratio;
    int *first;
    real *advantage, *target;
};

static void open_round(struct golden_round *g)
{
    g->file = golden_open("returns");
    g->rows = golden_real(g->file, "rows");
    g->value = golden_real(g->file, "value");
    g->log_ratio = golden_real(g->file, "log_ratio");
    double *sizes = golden(g->file, "sizes"), *first = golden(g->file, "first");
    size_t n = golden_count(g->file, "first");
    g->first = malloc(n * sizeof(*g->first));
    for (size_t i = 0; i < n; i++)
        g->first[i] = (int)first[i];
    g->round = (struct round){
        .shape = { (int)sizes[0], (int)sizes[1] }, .n_rows = (int)sizes[2],
        .n_fragments = (int)sizes[3], .n_transitions = (int)sizes[4],
        .rows = g->rows, .first = g->first,
    };
    g->advantage = malloc((size_t)g->round.n_rows * sizeof(real));
    g->target = malloc((size_t)g->round.n_rows * sizeof(real));
    free(sizes);
    free(first);
}

static void close_round(struct golden_round *g)
{
    free(g->rows);
    free(g->value);
    free(g->log_ratio);
    free(g->first);
    free(g->advantage);
    free(g->target);
    safetensors_close(&g->file);
}

/* Row `k` of the golden table `name` against `x`. */
static void compare(const struct golden_round *g, const char *name, size_t k, const real *x)
{
    size_t n_rows = (size_t)g->round.n_rows;
    double *all = golden(g->file, name);
    const double *expected = all + k * n_rows;
    for (size_t t = 0; t < n_rows; t++)
        if (!(fabs((double)x[t] - expected[t]) <= 1e-6 * (1 + fabs(expected[t]))))
            ck_abort_msg("%s of case %zu, row %zu: %.9g, not %.9g", name, k, t, (double)x[t],
                         expected[t]);
    free(all);
}

START_TEST(gae_is_the_sum_of_discounted_deltas)
{
    struct golden_round g;
    open_round(&g);
    size_t n = golden_count(g.file, "gae_cases");
    double *cases = golden(g.file, "gae_cases");
    ck_assert_uint_ge(n, 3 * 32);
    for (size_t k = 0; k < n / 3; k++) {
        const double *c = cases + 3 * k;
        returns_gae(&g.round, g.value, c[0], c[1], c[2] > 0, g.advantage, g.target);
        compare(&g, "gae_advantage", k, g.advantage);
        compare(&g, "gae_target", k, g.target);
    }
    free(cases);
    close_round(&g);
}
END_TEST

START_TEST(vtrace_is_the_sum_over_products_of_clipped_ratios)
{
    struct golden_round g;
    open_round(&g);
    size_t n = golden_count(g.file, "vtrace_cases");
    double *cases = golden(g.file, "vtrace_cases");
    ck_assert_uint_ge(n, 4 * 27);
    for (size_t k = 0; k < n / 4; k++) {
        const double *c = cases + 4 * k;
        const struct vtrace v = { .gamma = c[0], .lambda = c[1], .rho_bar = c[2], .c_bar = c[3] };
        returns_vtrace(&g.round, g.value, g.log_ratio, &v, g.advantage, g.target);
        compare(&g, "vtrace_advantage", k, g.advantage);
        compare(&g, "vtrace_target", k, g.target);
    }
    free(cases);
    close_round(&g);
}
END_TEST

START_TEST(explained_variance_is_that_of_the_transitions)
{
    struct golden_round g;
    open_round(&g);
    size_t n = golden_count(g.file, "gae_cases");
    double *cases = golden(g.file, "gae_cases"), *explained = golden(g.file, "explained");
    ck_assert_uint_eq(golden_count(g.file, "explained"), n / 3);
    for (size_t k = 0; k < n / 3; k++) {
        const double *c = cases + 3 * k;
        returns_gae(&g.round, g.value, c[0], c[1], c[2] > 0, g.advantage, g.target);
        ck_assert_double_eq_tol(returns_explained_variance(&g.round, g.value, g.target),
                                explained[k], 1e-6 * (1 + fabs(explained[k])));
    }
    free(cases);
    free(explained);
    close_round(&g);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        gae_is_the_sum_of_discounted_deltas,
        vtrace_is_the_sum_over_products_of_clipped_ratios,
        explained_variance_is_that_of_the_transitions,
    };
    return suite_run("returns golden", tests, TEST_COUNT(tests), 60);
}
