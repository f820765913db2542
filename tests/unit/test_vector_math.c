/* Accuracy against the C library in double, odd numbers, and sameness of all widths of vectors. */
#include "common/vector_math.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "common/dispatch.h"
#include "common/rng.h"
#include "tests/support.h"

static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

enum { EXP, LOG, SOFTPLUS, TANH, N_FUNCTIONS };
static const struct {
    const char *name;
    void (*vector)(float *x, size_t n);
    double (*exact)(double x);
    double ulps;
} functions[N_FUNCTIONS] = {
    [EXP] = { "exp", vector_exp, exp, 1 }, [LOG] = { "log", vector_log, log, 1 },
    [SOFTPLUS] = { "softplus", vector_softplus, softplus, 2 }, [TANH] = { "tanh", vector_tanh, tanh, 4 },
};

static const int widths[] = { 512, 256, 128 };

/* |y - exact| in units of the last place of `exact` as a float; 0 for what no distance can be told of. */
static double ulps(float y, double exact)
{
    const float f = fabsf((float)exact);
    if (isnan(exact) || isinf(f))
        return isnan(exact) ? (isnan(y) ? 0 : INFINITY) : y == (float)exact ? 0 : INFINITY;
    return fabs((double)y - exact) / (double)(f < FLT_MAX ? nextafterf(f, INFINITY) - f
                                                          : f - nextafterf(f, 0));
}

static void check_range(int f, uint32_t first, uint32_t last, uint32_t step)
{
    enum { N = 4096 };
    float x[N], y[N];
    for (uint64_t next = first; next <= last;) {
        size_t n = 0;
        for (; n < N && next <= last; next += step) {
            const uint32_t bits = (uint32_t)next;
            memcpy(&x[n++], &bits, sizeof(bits));
        }
        memcpy(y, x, sizeof(y));
        functions[f].vector(y, n);
        for (size_t i = 0; i < n; i++)
            ck_assert_msg(ulps(y[i], functions[f].exact((double)x[i])) <= functions[f].ulps,
                          "%s of %a is %a", functions[f].name, (double)x[i], (double)y[i]);
    }
}

START_TEST(functions_keep_their_accuracy_over_all_floats)
{
    /* Every 4001st of all floats there are, denormals, infinities and NaN among them. */
    for (int f = 0; f < N_FUNCTIONS; f++)
        check_range(f, 0, UINT32_MAX, 4001);
}
END_TEST

/* The floats from 256 before to 256 behind x. */
static void check_near(int f, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    check_range(f, bits < 256 ? 0 : bits - 256, bits + 256, 1);
}

START_TEST(functions_keep_their_accuracy_at_their_edges)
{
    static const float edges[N_FUNCTIONS][10] = {
        [EXP] = { 0, -0.0f, 88.7228394f, -87.3365402f, -103.972084f, 0.346573591f, -0.346573591f, 89, -104, 1 },
        [LOG] = { 0, FLT_MIN, 1, 0.707106769f, 1.41421354f, FLT_MAX, 2, 0.5f, 1e-40f, 3 },
        [SOFTPLUS] = { 0, -0.0f, 0.693147182f, -0.693147182f, 16, -16, -87.3365402f, -103.972084f, FLT_MAX, -104 },
        [TANH] = { 0, -0.0f, 10, -10, 9.01091385f, 0.173286796f, -0.173286796f, FLT_MIN, FLT_MAX, 1 },
    };
    for (int f = 0; f < N_FUNCTIONS; f++)
        for (size_t i = 0; i < TEST_COUNT(edges[f]); i++)
            check_near(f, edges[f][i]);
}
END_TEST

START_TEST(odd_numbers_have_the_results_that_are_promised)
{
    static const struct { int function; float x, y; } cases[] = {
        { EXP, 0, 1 }, { EXP, -0.0f, 1 }, { EXP, INFINITY, INFINITY }, { EXP, -INFINITY, 0 },
        { EXP, 88.73f, INFINITY }, { EXP, -103.98f, 0 }, { EXP, -103.9f, 0x1p-149f }, { EXP, NAN, NAN },
        { LOG, 1, 0 }, { LOG, 0, -INFINITY }, { LOG, -0.0f, -INFINITY }, { LOG, INFINITY, INFINITY },
        { LOG, -0x1p-149f, NAN }, { LOG, -INFINITY, NAN }, { LOG, NAN, NAN }, { LOG, -NAN, NAN },
        { SOFTPLUS, INFINITY, INFINITY }, { SOFTPLUS, -INFINITY, 0 }, { SOFTPLUS, FLT_MAX, FLT_MAX },
        { SOFTPLUS, 100, 100 }, { SOFTPLUS, -103.9f, 0x1p-149f }, { SOFTPLUS, NAN, NAN },
        { TANH, 0, 0 }, { TANH, -0.0f, -0.0f }, { TANH, INFINITY, 1 }, { TANH, -INFINITY, -1 },
        { TANH, NAN, NAN }, { TANH, 1e-40f, 1e-40f }, { TANH, -1e-40f, -1e-40f }, { TANH, 3e38f, 1 },
        { TANH, -3e38f, -1 }, { TANH, 9.5f, 1 },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        float y = cases[i].x;
        functions[cases[i].function].vector(&y, 1);
        ck_assert_msg(isnan(cases[i].y) ? isnan(y) : memcmp(&y, &cases[i].y, sizeof(y)) == 0, "%s of %a is %a",
                      functions[cases[i].function].name, (double)cases[i].x, (double)y);
    }
}
END_TEST

START_TEST(a_result_depends_neither_on_place_nor_on_length)
{
    struct rng rng;
    float x[71], whole[71], part[71];
    rng_init(&rng, 41, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, x, 71);
    for (int f = 0; f < N_FUNCTIONS; f++) {
        memcpy(whole, x, sizeof(x));
        functions[f].vector(whole, 71);
        for (size_t begin = 0; begin < 71; begin++)
            for (size_t n = 1; begin + n <= 71; n++) {
                memcpy(part, x, sizeof(x));
                functions[f].vector(part + begin, n);
                ck_assert_mem_eq(part, x, begin * sizeof(float));
                for (size_t i = begin; i < begin + n; i++)
                    ck_assert(memcmp(&part[i], &whole[i], sizeof(float)) == 0 || (isnan(part[i]) && isnan(whole[i])));
                ck_assert_mem_eq(part + begin + n, x + begin + n, (71 - begin - n) * sizeof(float));
            }
    }
}
END_TEST

START_TEST(every_width_of_vectors_has_the_same_results)
{
    enum { N = 1 << 16 };
    static float x[N], y[2][N];
    for (size_t i = 0; i < N; i++) {
        const uint32_t bits = (uint32_t)i << 16 | 0x5a5au;
        memcpy(&x[i], &bits, sizeof(bits));
    }
    for (int f = 0; f < N_FUNCTIONS; f++)
        for (size_t w = 0; w < TEST_COUNT(widths); w++) {
            dispatch_limit = widths[w];
            memcpy(y[w > 0], x, sizeof(x));
            functions[f].vector(y[w > 0], N);
            for (size_t i = 0; i < N && w > 0; i++)
                ck_assert_msg(memcmp(&y[0][i], &y[1][i], sizeof(float)) == 0
                              || (isnan(y[0][i]) && isnan(y[1][i])), "%s of %a with %d bits is %a, not %a",
                              functions[f].name, (double)x[i], widths[w], (double)y[1][i], (double)y[0][i]);
        }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        functions_keep_their_accuracy_over_all_floats,
        functions_keep_their_accuracy_at_their_edges,
        odd_numbers_have_the_results_that_are_promised,
        a_result_depends_neither_on_place_nor_on_length,
        every_width_of_vectors_has_the_same_results,
    };
    return suite_run("vector_math", tests, TEST_COUNT(tests), 60);
}
