/* deploy/statistics for other programs: reads requests, answers each with a line of numbers.
 *
 *   interval KIND FORM LEVEL SEED DRAWS ARMS {RUNS TASKS score...} per arm    -> value low high
 *   grid BETWEEN N x... y... N_GRID grid...                                   -> out...
 *   area BETWEEN FROM TO N x... y...                                          -> area
 *
 * KIND, FORM and BETWEEN are numbers of the enumerations; missing numbers are nan. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "deploy/statistics.h"

static double number(void)
{
    double x;
    if (scanf("%lf", &x) != 1) {
        fprintf(stderr, "statistics_of: a number is missing\n");
        exit(1);
    }
    return x;
}

static int whole(void) { return (int)number(); }

static double *numbers(int n)
{
    double *x = memory_alloc((size_t)n + 1, sizeof(double));
    for (int i = 0; i < n; i++)
        x[i] = number();
    return x;
}

static void interval(void)
{
    struct statistic what = { 0 };
    what.kind = (enum statistic_kind)whole();
    what.form = (enum statistic_form)whole();
    what.level = number();
    struct bootstrap how = { .seed = (uint64_t)number() };
    how.n_draws = whole();

    const int n_arms = whole();
    double *held[2] = { NULL, NULL };
    struct scores arm[2];
    for (int i = 0; i < n_arms && i < 2; i++) {
        const int n_runs = whole(), n_tasks = whole();
        held[i] = numbers(n_runs * n_tasks);
        arm[i] = (struct scores){ held[i], n_runs, n_tasks, 1 };
    }
    const struct interval v = statistics_interval(&arm[0], n_arms > 1 ? &arm[1] : NULL, &what, &how);
    printf("%.17g %.17g %.17g\n", v.value, v.low, v.high);
    free(held[0]);
    free(held[1]);
}

static void grid(void)
{
    const enum between between = (enum between)whole();
    const int n = whole();
    double *x = numbers(n), *y = numbers(n);
    const int n_grid = whole();
    double *at = numbers(n_grid), *out = memory_alloc((size_t)n_grid + 1, sizeof(double));
    statistics_on_grid(x, y, n, between, at, n_grid, out);
    for (int i = 0; i < n_grid; i++)
        printf("%.17g ", out[i]);
    printf("\n");
    free(x);
    free(y);
    free(at);
    free(out);
}

static void area(void)
{
    const enum between between = (enum between)whole();
    const double from = number(), to = number();
    const int n = whole();
    double *x = numbers(n), *y = numbers(n);
    printf("%.17g\n", statistics_area(x, y, n, between, from, to));
    free(x);
    free(y);
}

int main(void)
{
    char word[16];
    while (scanf("%15s", word) == 1) {
        if (strcmp(word, "interval") == 0)
            interval();
        else if (strcmp(word, "grid") == 0)
            grid();
        else if (strcmp(word, "area") == 0)
            area();
        else
            return fprintf(stderr, "statistics_of: no request is called %s\n", word), 1;
        fflush(stdout);
    }
    return 0;
}
