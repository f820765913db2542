/* Distributions: what is understood, what is refused with which words, and what is drawn. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/distribution.h"
#include "tests/support.h"

enum { DRAWS = 200000 };

static struct distribution parse(const char *text)
{
    struct distribution d;
    struct error err = { 0 };
    ck_assert_msg(distribution_parse(&d, "key", text, true, &err) == 0, "%s", err.text);
    return d;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Sorted draws, [DRAWS]. */
static double *sample(const struct distribution *d)
{
    double *x = malloc(DRAWS * sizeof(*x));
    struct rng r;
    rng_init(&r, 1, RNG_SIMULATION, 3, 2);
    for (uint64_t i = 0; i < DRAWS; i++)
        x[i] = distribution_draw(d, &r, i);
    qsort(x, DRAWS, sizeof(*x), compare);
    return x;
}

START_TEST(quantiles_are_those_of_the_distribution)
{
    static const double levels[] = { 0.01, 0.25, 0.5, 0.9, 0.99 };
    static const double normal[] = { -2.326348, -0.674490, 0, 1.281552, 2.326348 };
    const struct distribution uniform = parse("uniform 20 80"), lognormal = parse("lognormal 50 0.5"),
                              pareto = parse("pareto 10 2.5");
    double *const u = sample(&uniform), *const l = sample(&lognormal), *const p = sample(&pareto);
    for (size_t k = 0; k < TEST_COUNT(levels); k++) {
        const size_t at = (size_t)(levels[k] * DRAWS);
        ck_assert_double_eq_tol(u[at], 20 + 60 * levels[k], 0.5);
        ck_assert_double_eq_tol(log(l[at] / 50) / 0.5, normal[k], 0.03);
        ck_assert_double_eq_tol(p[at] / (10 * pow(1 - levels[k], -1 / 2.5)), 1, 0.02);
    }
    ck_assert(u[0] >= 20 && u[DRAWS - 1] < 80 && p[0] >= 10);
    free(u), free(l), free(p);
}
END_TEST

START_TEST(constants_are_constant_and_never_never_comes)
{
    const struct distribution constant = parse(" constant  12.5 "), never = parse("never"),
                              still = parse("lognormal 7 0"), narrow = parse("uniform 3 3");
    struct rng r;
    rng_init(&r, 1, RNG_SIMULATION, 0, 0);
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert_double_eq(distribution_draw(&constant, &r, i), 12.5);
        ck_assert_double_eq(distribution_draw(&still, &r, i), 7);
        ck_assert_double_eq(distribution_draw(&narrow, &r, i), 3);
        ck_assert(isinf(distribution_draw(&never, &r, i)));
    }
}
END_TEST

START_TEST(a_draw_does_not_depend_on_those_before_it)
{
    static const char *const texts[] = { "uniform 0 1", "lognormal 1 1", "pareto 1 1" };
    for (size_t k = 0; k < TEST_COUNT(texts); k++) {
        const struct distribution d = parse(texts[k]);
        struct rng a, b, other;
        double forwards[50];
        rng_init(&a, 5, RNG_SIMULATION, 1, 1);
        rng_init(&b, 5, RNG_SIMULATION, 1, 1);
        rng_init(&other, 5, RNG_SIMULATION, 2, 1);
        for (uint64_t i = 0; i < 50; i++)
            forwards[i] = distribution_draw(&d, &a, i);
        for (uint64_t i = 50; i-- > 0;) {
            ck_assert_double_eq(distribution_draw(&d, &b, i), forwards[i]);
            ck_assert_double_ne(distribution_draw(&d, &other, i), forwards[i]);
            if (i > 0)
                ck_assert_double_ne(forwards[i], forwards[i - 1]);
        }
    }
}
END_TEST

static void write_trace(char *text, size_t bytes, const char *contents)
{
    char dir[256], path[300];
    test_directory("distribution", dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/a trace.txt", dir);
    test_write(path, contents, strlen(contents));
    snprintf(text, bytes, "trace %s", path);
}

START_TEST(traces_are_drawn_in_order_and_round_again_from_places_that_differ)
{
    char text[320];
    int begins[5] = { 0 };
    write_trace(text, sizeof(text), "0\n1\n\n 2\n3 \n4");
    struct distribution d = parse(text);
    ck_assert_uint_eq(d.n_trace, 5);
    for (uint32_t actor = 0; actor < 500; actor++) {
        struct rng r;
        rng_init(&r, 1, RNG_SIMULATION, actor, 0);
        const double first = distribution_draw(&d, &r, 0);
        begins[(int)first]++;
        for (uint64_t i = 0; i < 12; i++)
            ck_assert_double_eq(distribution_draw(&d, &r, i), fmod(first + (double)i, 5));
    }
    for (int i = 0; i < 5; i++)
        ck_assert_int_gt(begins[i], 60);
    distribution_fini(&d);
    ck_assert_ptr_null(d.trace);
}
END_TEST

static void assert_refused(const char *text, bool may_be_never, const char *words)
{
    struct distribution d;
    struct error err = { 0 };
    ck_assert_msg(distribution_parse(&d, "simulate.step_us", text, may_be_never, &err) < 0, "\"%s\" is taken", text);
    ck_assert_msg(strstr(err.text, words) && strstr(err.text, "simulate.step_us"), "\"%s\": \"%s\" lacks \"%s\"", text,
                  err.text, words);
    distribution_fini(&d);
}

START_TEST(what_is_wrong_is_said)
{
    static const struct { const char *text, *words; } cases[] = {
        { "", "expected \"constant X\"" }, { "50", "expected \"constant X\"" },
        { "never", "\"never\" is not allowed, as this must come to an end; expected \"constant X\", \"uniform" },
        { "never 5", "\"never\" is not allowed" },
        { "constnat 50", "did you mean \"constant\"" }, { "constant", "expected \"constant X\"" },
        { "constant 5us", "expected \"constant X\"" }, { "constant -1", "numbers of at least 0" },
        { "constant 1 2", "expected \"constant X\"" }, { "constant inf", "expected \"constant X\"" },
        { "constant nan", "expected \"constant X\"" }, { "uniform 1", "expected \"uniform LOW HIGH\"" },
        { "uniform 2 1", "LOW is above HIGH" }, { "lognormal 0 1", "MEDIAN must be above 0" },
        { "lognormal 1", "expected \"lognormal MEDIAN SIGMA\"" }, { "pareto 0 1", "MIN and ALPHA" },
        { "pareto 1 0", "MIN and ALPHA" }, { "trace", "expected \"trace FILE\"" },
        { "trace nowhere.txt", "nowhere.txt" },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++)
        assert_refused(cases[i].text, false, cases[i].words);
    assert_refused("sometimes", true, "\"never\"");
    assert_refused("never 5", true, "expected \"never\"");
}
END_TEST

START_TEST(what_is_wrong_in_a_trace_is_said_with_its_line)
{
    char text[320];
    write_trace(text, sizeof(text), "1\n2\nthree\n");
    assert_refused(text, false, "trace.txt:3: expected a number of at least 0, found \"three\"");
    write_trace(text, sizeof(text), "1\n-2\n");
    assert_refused(text, false, ":2: expected a number");
    write_trace(text, sizeof(text), "1 2\n");
    assert_refused(text, false, ":1: expected a number");
    write_trace(text, sizeof(text), "\n\n");
    assert_refused(text, false, "has no numbers");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        quantiles_are_those_of_the_distribution, constants_are_constant_and_never_never_comes,
        a_draw_does_not_depend_on_those_before_it,
        traces_are_drawn_in_order_and_round_again_from_places_that_differ, what_is_wrong_is_said,
        what_is_wrong_in_a_trace_is_said_with_its_line,
    };
    return suite_run("distribution", tests, TEST_COUNT(tests), 60);
}
