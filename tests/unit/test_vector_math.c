#include "common/vector_math.h"

#include <math.h>
#include <string.h>

#include "common/rng.h"
#include "tests/support.h"

/* |y - exact| in units of the last place of `exact` as a float. */
static double ulps(float y, double exact)
{
    float f = fabsf((float)exact);
    return fabs((double)y - exact) / (double)(nextafterf(f, INFINITY) - f);
}

START_TEST(vector_tanh_is_within_four_units_in_the_last_place)
{
    /* Every magnitude from 2^-40 to 2^5, 4096 numbers in each binade. */
    for (int e = -40; e < 5; e++) {
        float x[4096], y[4096];
        for (int i = 0; i < 4096; i++)
            x[i] = y[i] = ldexpf(1 + (float)i / 4096, e);
        vector_tanh(y, 4096);
        for (int i = 0; i < 4096; i++)
            ck_assert_msg(ulps(y[i], tanh((double)x[i])) <= 4, "tanh(%.9g) is %.9g", (double)x[i],
                          (double)y[i]);
    }
}
END_TEST

START_TEST(vector_tanh_is_odd_at_most_one_and_keeps_nan)
{
    float x[] = { 0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1e-40f, -1e-40f, 3e38f, -3e38f, 9.5f };
    const float expected[] = { 0.0f, -0.0f, 1, -1, NAN, 1e-40f, -1e-40f, 1, -1, 1 };
    vector_tanh(x, TEST_COUNT(x));
    for (size_t i = 0; i < TEST_COUNT(x); i++)
        if (isnan(expected[i]))
            ck_assert(isnan(x[i]));
        else
            ck_assert_msg(memcmp(&x[i], &expected[i], sizeof(float)) == 0, "number %zu is %g", i,
                          (double)x[i]);
}
END_TEST

START_TEST(vector_tanh_does_not_depend_on_place_or_length)
{
    struct rng rng;
    float x[71], whole[71], part[71];
    rng_init(&rng, 41, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, x, 71);
    memcpy(whole, x, sizeof(x));
    vector_tanh(whole, 71);
    for (size_t begin = 0; begin < 71; begin++)
        for (size_t n = 1; begin + n <= 71; n++) {
            memcpy(part, x, sizeof(x));
            vector_tanh(part + begin, n);
            ck_assert_mem_eq(part, x, begin * sizeof(float));
            ck_assert_mem_eq(part + begin, whole + begin, n * sizeof(float));
            ck_assert_mem_eq(part + begin + n, x + begin + n, (71 - begin - n) * sizeof(float));
        }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        vector_tanh_is_within_four_units_in_the_last_place,
        vector_tanh_is_odd_at_most_one_and_keeps_nan,
        vector_tanh_does_not_depend_on_place_or_length,
    };
    return suite_run("vector_math", tests, TEST_COUNT(tests), 60);
}
