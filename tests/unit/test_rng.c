#include "common/rng.h"
#include "common/rng_ahead.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/dispatch.h"
#include "tests/support.h"

static struct rng sequence(uint32_t stream)
{
    struct rng r;
    rng_init(&r, 20111112, RNG_TEST, stream, 0);
    return r;
}

/* ---- the generator ---- */

START_TEST(philox_gives_the_published_known_answers)
{
    /* Random123, tests/kat_vectors: philox4x32, 10 rounds */
    static const struct {
        uint32_t counter[4], key[2], answer[4];
    } known[] = {
        { { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
        { { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff }, { 0xffffffff, 0xffffffff },
          { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
        { { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 }, { 0xa4093822, 0x299f31d0 },
          { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
    };
    for (size_t i = 0; i < TEST_COUNT(known); i++) {
        uint32_t out[4];
        rng_philox(known[i].counter, known[i].key, out);
        ck_assert_mem_eq(out, known[i].answer, sizeof(out));
    }
}
END_TEST

START_TEST(words_are_the_blocks_of_counter_stream_and_tag)
{
    struct rng r;
    rng_init(&r, 0x1122334455667788, RNG_SAMPLE, 5, 9);
    const uint32_t key[2] = { 0x55667788, 0x11223344 };
    for (uint32_t block = 0; block < 3; block++) {
        const uint32_t counter[4] = { block, 0, 5, (uint32_t)RNG_SAMPLE << 24 | 9 };
        uint32_t expected[4];
        rng_philox(counter, key, expected);
        for (int i = 0; i < 4; i++)
            ck_assert_uint_eq(rng_u32(&r), expected[i]);
    }
    /* The block's number has 64 bits. */
    rng_seek(&r, (uint64_t)4 << 32);
    const uint32_t counter[4] = { 0, 1, 5, (uint32_t)RNG_SAMPLE << 24 | 9 };
    uint32_t expected[4];
    rng_philox(counter, key, expected);
    ck_assert_uint_eq(rng_u32(&r), expected[0]);
}
END_TEST

START_TEST(seed_purpose_stream_and_life_each_give_another_sequence)
{
    static const struct {
        uint64_t seed;
        enum rng_purpose purpose;
        uint32_t stream, life;
    } setups[] = {
        { 1, RNG_TEST, 0, 0 },  { 2, RNG_TEST, 0, 0 }, { 1ull << 32 | 1, RNG_TEST, 0, 0 },
        { 1, RNG_RESET, 0, 0 }, { 1, RNG_EVAL, 0, 0 }, { 1, RNG_TEST, 1, 0 },
        { 1, RNG_TEST, 1u << 31, 0 }, { 1, RNG_TEST, 0, 1 }, { 1, RNG_TEST, 0, 0x010000 },
        { 1, RNG_TEST, 0, 0xFFFFFF },
    };
    enum { N = 1000 };
    uint32_t words[TEST_COUNT(setups)][N];
    for (size_t i = 0; i < TEST_COUNT(setups); i++) {
        struct rng r;
        rng_init(&r, setups[i].seed, setups[i].purpose, setups[i].stream, setups[i].life);
        for (int k = 0; k < N; k++)
            words[i][k] = rng_u32(&r);
        for (size_t j = 0; j < i; j++) {
            /* Half the bits differ, give or take five standard deviations. */
            int differing = 0;
            for (int k = 0; k < N; k++)
                differing += __builtin_popcount(words[i][k] ^ words[j][k]);
            ck_assert_int_le(abs(differing - 16 * N), 450);
        }
    }
}
END_TEST

START_TEST(lives_repeat_after_two_to_the_24th_without_touching_the_purpose)
{
    struct rng a, b;
    rng_init(&a, 1, RNG_TEST, 3, 5);
    rng_init(&b, 1, RNG_TEST, 3, (1u << 24) + 5);
    ck_assert_uint_eq(rng_u32(&a), rng_u32(&b));
}
END_TEST

/* ---- positions ---- */

/* One of each kind of draw; returns something of all bits drawn. */
static double draw(struct rng *r, int kind)
{
    float pair[2];
    switch (kind) {
    case 0: return rng_u32(r);
    case 1: return (double)rng_below(r, 1000003);
    case 2: return rng_uniform(r, -1, 1);
    case 3: return rng_normal(r);
    default:
        rng_fill_normal(r, pair, 2);
        return (double)pair[0] + 1000 * (double)pair[1];
    }
}

START_TEST(seeking_to_a_saved_position_continues_as_if_nothing_had_happened)
{
    enum { N = 200 };
    uint64_t position[N];
    double value[N];
    struct rng r = sequence(0);
    for (int i = 0; i < N; i++) {
        position[i] = r.position;
        value[i] = draw(&r, i * i % 5);
    }
    /* In a new sequence, and out of order in the old one. */
    for (int i = 0; i < N; i++) {
        int j = i * 77 % N;
        struct rng fresh = sequence(0);
        rng_seek(&fresh, position[j]);
        rng_seek(&r, position[j]);
        ck_assert(draw(&fresh, j * j % 5) == value[j]);
        ck_assert(draw(&r, j * j % 5) == value[j]);
        ck_assert_uint_eq(r.position, fresh.position);
    }
}
END_TEST

START_TEST(draws_advance_by_the_words_they_promise)
{
    struct rng r = sequence(0);
    float out[8];
    rng_u32(&r);
    ck_assert_uint_eq(r.position, 1);
    rng_below(&r, 6);
    ck_assert_uint_eq(r.position, 3);
    rng_uniform(&r, 0, 1);
    ck_assert_uint_eq(r.position, 5);
    rng_normal(&r);
    ck_assert_uint_eq(r.position, 9);
    rng_fill_normal(&r, out, 8);
    ck_assert_uint_eq(r.position, 17);
    rng_fill_normal(&r, out, 7);
    ck_assert_uint_eq(r.position, 25);
    rng_fill_normal(&r, out, 0);
    ck_assert_uint_eq(r.position, 25);
}
END_TEST

START_TEST(filling_in_even_pieces_equals_filling_at_once_and_stays_inside)
{
    struct rng a = sequence(1), b = sequence(1), c = sequence(1);
    float whole[10], pieces[10], odd[10];
    rng_fill_normal(&a, whole, 10);
    rng_fill_normal(&b, pieces, 4);
    rng_fill_normal(&b, pieces + 4, 6);
    ck_assert_mem_eq(whole, pieces, sizeof(whole));
    odd[9] = 123;
    rng_fill_normal(&c, odd, 9);
    ck_assert_mem_eq(whole, odd, 9 * sizeof(*odd));
    ck_assert(odd[9] == 123);
}
END_TEST

/* The definition, by the C library. */
static void normal_pair(struct rng *r, float pair[2])
{
    const double two_pi = 6.283185307179586476925;
    const double u = ((double)rng_u32(r) + 1.0) * 0x1p-32;
    const double angle = two_pi * (double)rng_u32(r) * 0x1p-32, radius = sqrt(-2.0 * log(u));
    pair[0] = (float)(radius * cos(angle));
    pair[1] = (float)(radius * sin(angle));
}

START_TEST(filling_gives_the_c_librarys_normals_bit_for_bit_with_every_width_of_vectors)
{
    /* Enough that some are too near to the middle of two floats for the fast way. */
    enum { N = 2000 };
    static float filled[N], expected[N + 1];
    struct rng a = sequence(2), b = sequence(2);
    for (int i = 0; i < 3000; i++) {
        const size_t n = (size_t)(i * 37 % N);
        dispatch_limit = 128 << i % 3;
        if (i % 5 == 0)    /* not at a block's beginning */
            ck_assert_uint_eq(rng_u32(&a), rng_u32(&b));
        rng_fill_normal(&a, filled, n);
        for (size_t k = 0; k < n; k += 2)
            normal_pair(&b, expected + k);
        ck_assert_mem_eq(filled, expected, n * sizeof(*filled));
        ck_assert_uint_eq(a.position, b.position);
    }
}
END_TEST

/* ---- distributions; N and the seed are fixed, so nothing here is left to chance ---- */

enum { N_SAMPLES = 50000 };

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double uniform_cdf(double x) { return x; }
static double normal_cdf(double x) { return 0.5 * erfc(-x * 0.70710678118654752); }

/* Kolmogorov and Smirnov's distance times sqrt(n): above 1.95 once in 1000. Sorts x. */
static double kolmogorov(double *x, int n, double (*cdf)(double))
{
    double worst = 0;
    qsort(x, (size_t)n, sizeof(*x), ascending);
    for (int i = 0; i < n; i++) {
        double f = cdf(x[i]);
        worst = fmax(worst, fmax(f - (double)i / n, (double)(i + 1) / n - f));
    }
    return worst * sqrt(n);
}

/* Raw moments within five standard errors of a standard normal's: 0, 1, 0, 3; the variances of
 * x, x^2, x^3, x^4 are 1, 2, 15, 96. */
static void check_normal(double *x, int n)
{
    static const double mean[] = { 0, 1, 0, 3 }, variance[] = { 1, 2, 15, 96 };
    for (int k = 0; k < 4; k++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += pow(x[i], k + 1);
        ck_assert_double_eq_tol(sum / n, mean[k], 5 * sqrt(variance[k] / n));
    }
    ck_assert_double_le(kolmogorov(x, n, normal_cdf), 1.95);
}

static double lag_correlation(const double *x, int n, int lag)
{
    double sum = 0;
    for (int i = 0; i + lag < n; i++)
        sum += x[i] * x[i + lag];
    return sum / (n - lag);
}

/* Whole and odd pieces, with words drawn and places sought in between, as actors do at fragments' ends. */
START_TEST(numbers_drawn_ahead_are_those_drawn_at_once)
{
    static const size_t pieces[] = { 1, 6, 2, 3, 17, 63, 64, 65, 100, 8 };
    struct rng plain, other, turns;
    struct rng_ahead ahead = { 0 };
    rng_init(&turns, 1, RNG_TEST, 9, 9);
    for (uint32_t life = 0; life < 3; life++) {
        rng_init(&plain, 5, RNG_ACTION, 1, life);
        rng_init(&other, 5, RNG_ACTION, 1, life);
        rng_ahead_forget(&ahead);
        for (int k = 0; k < 4000; k++) {
            float expected[128], got[128];
            size_t n = pieces[k % 7 ? rng_below(&turns, TEST_COUNT(pieces)) : 1];
            if (rng_below(&turns, 11) == 0)
                ck_assert_uint_eq(rng_u32(&plain), rng_u32(&other));
            if (rng_below(&turns, 17) == 0) {
                uint64_t to = rng_below(&turns, plain.position + 10);
                rng_seek(&plain, to);
                rng_seek(&other, to);
            }
            rng_fill_normal(&plain, expected, n);
            rng_ahead_normal(&ahead, &other, got, n);
            ck_assert_mem_eq(expected, got, n * sizeof(float));
            ck_assert_uint_eq(plain.position, other.position);
        }
    }
}
END_TEST

START_TEST(uniform_numbers_are_uniform_and_below_the_upper_end)
{
    struct rng r = sequence(2);
    double *x = malloc(N_SAMPLES * sizeof(*x)), sum = 0, squares = 0;
    for (int i = 0; i < N_SAMPLES; i++) {
        double u = rng_uniform(&r, -3, 5);
        ck_assert(u >= -3 && u < 5);
        x[i] = (u + 3) / 8;
        sum += x[i] - 0.5;
        squares += (x[i] - 0.5) * (x[i] - 0.5);
    }
    ck_assert_double_eq_tol(sum / N_SAMPLES, 0, 5 * sqrt(1.0 / 12 / N_SAMPLES));
    ck_assert_double_eq_tol(squares / N_SAMPLES, 1.0 / 12, 5 * sqrt(1.0 / 180 / N_SAMPLES));
    ck_assert_double_le(kolmogorov(x, N_SAMPLES, uniform_cdf), 1.95);
    free(x);
}
END_TEST

START_TEST(normal_numbers_are_normal_and_uncorrelated)
{
    struct rng r = sequence(3);
    double *x = malloc(N_SAMPLES * sizeof(*x));
    for (int i = 0; i < N_SAMPLES; i++)
        x[i] = rng_normal(&r);
    for (int lag = 1; lag <= 4; lag++)
        ck_assert_double_eq_tol(lag_correlation(x, N_SAMPLES, lag), 0, 5 / sqrt(N_SAMPLES));
    check_normal(x, N_SAMPLES);
    free(x);
}
END_TEST

START_TEST(filled_normals_are_finite_normal_and_uncorrelated_within_pairs)
{
    struct rng r = sequence(4);
    float *filled = malloc(N_SAMPLES * sizeof(*filled));
    double *x = malloc(N_SAMPLES * sizeof(*x));
    rng_fill_normal(&r, filled, N_SAMPLES);
    for (int i = 0; i < N_SAMPLES; i++) {
        x[i] = (double)filled[i];
        ck_assert(isfinite(x[i]) && fabs(x[i]) < 6.7);
    }
    for (int lag = 1; lag <= 4; lag++)
        ck_assert_double_eq_tol(lag_correlation(x, N_SAMPLES, lag), 0, 5 / sqrt(N_SAMPLES));
    check_normal(x, N_SAMPLES);
    free(filled);
    free(x);
}
END_TEST

START_TEST(filled_normals_are_box_and_mullers_of_two_words)
{
    struct rng r = sequence(8), words = sequence(8);
    float filled[64];
    rng_fill_normal(&r, filled, TEST_COUNT(filled));
    for (size_t i = 0; i < TEST_COUNT(filled); i += 2) {
        double u = (rng_u32(&words) + 1.0) / 4294967296.0;
        double turn = rng_u32(&words) / 4294967296.0;
        double radius = sqrt(-2 * log(u)), angle = 2 * acos(-1) * turn;
        ck_assert_double_eq_tol((double)filled[i], radius * cos(angle), 1e-6);
        ck_assert_double_eq_tol((double)filled[i + 1], radius * sin(angle), 1e-6);
    }
}
END_TEST

START_TEST(sequences_of_neighbouring_streams_are_uncorrelated)
{
    for (uint32_t stream = 10; stream < 14; stream++) {
        struct rng a = sequence(stream), b = sequence(stream + 1);
        double sum = 0;
        for (int i = 0; i < N_SAMPLES; i++)
            sum += rng_normal(&a) * rng_normal(&b);
        ck_assert_double_eq_tol(sum / N_SAMPLES, 0, 5 / sqrt(N_SAMPLES));
    }
}
END_TEST

START_TEST(below_draws_every_number_equally_often)
{
    static const uint64_t limits[] = { 2, 3, 7, 10, 64, 100 };
    struct rng r = sequence(5);
    for (size_t k = 0; k < TEST_COUNT(limits); k++) {
        uint64_t n = limits[k];
        int count[100] = { 0 };
        for (int i = 0; i < N_SAMPLES; i++) {
            uint64_t x = rng_below(&r, n);
            ck_assert_uint_lt(x, n);
            count[x]++;
        }
        double expected = (double)N_SAMPLES / (double)n, chi2 = 0, freedom = (double)n - 1;
        for (uint64_t x = 0; x < n; x++)
            chi2 += pow(count[x] - expected, 2) / expected;
        /* mean + 4.5 standard deviations, and room for the skew at few degrees of freedom */
        ck_assert_double_le(chi2, freedom + 4.5 * sqrt(2 * freedom) + 6);
    }
}
END_TEST

START_TEST(below_is_unbiased_where_a_remainder_would_not_be)
{
    /* x % n with n = 3/4 2^64 would give the lowest third half of all draws. */
    const uint64_t quarter = (uint64_t)1 << 62, n = 3 * quarter;
    struct rng r = sequence(6);
    int third[3] = { 0 };
    for (int i = 0; i < N_SAMPLES; i++) {
        uint64_t x = rng_below(&r, n);
        ck_assert_uint_lt(x, n);
        third[x / quarter]++;
    }
    for (int k = 0; k < 3; k++)
        ck_assert_double_eq_tol((double)third[k] / N_SAMPLES, 1.0 / 3,
                                5 * sqrt(2.0 / 9 / N_SAMPLES));
}
END_TEST

START_TEST(below_one_is_zero_and_the_largest_limits_hold)
{
    struct rng r = sequence(7);
    for (int i = 0; i < 1000; i++) {
        ck_assert_uint_eq(rng_below(&r, 1), 0);
        ck_assert_uint_lt(rng_below(&r, UINT64_MAX), UINT64_MAX);
        ck_assert_uint_lt(rng_below(&r, ((uint64_t)1 << 63) + 1), ((uint64_t)1 << 63) + 1);
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        philox_gives_the_published_known_answers,
        words_are_the_blocks_of_counter_stream_and_tag,
        seed_purpose_stream_and_life_each_give_another_sequence,
        lives_repeat_after_two_to_the_24th_without_touching_the_purpose,
        seeking_to_a_saved_position_continues_as_if_nothing_had_happened,
        draws_advance_by_the_words_they_promise,
        filling_in_even_pieces_equals_filling_at_once_and_stays_inside,
        filling_gives_the_c_librarys_normals_bit_for_bit_with_every_width_of_vectors,
        numbers_drawn_ahead_are_those_drawn_at_once,
        uniform_numbers_are_uniform_and_below_the_upper_end,
        normal_numbers_are_normal_and_uncorrelated,
        filled_normals_are_finite_normal_and_uncorrelated_within_pairs,
        filled_normals_are_box_and_mullers_of_two_words,
        sequences_of_neighbouring_streams_are_uncorrelated,
        below_draws_every_number_equally_often,
        below_is_unbiased_where_a_remainder_would_not_be,
        below_one_is_zero_and_the_largest_limits_hold,
    };
    return suite_run("rng", tests, TEST_COUNT(tests), 60);
}
