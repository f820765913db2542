/* Sampling, strides and odd actions; the numbers are in golden/test_distribution_golden.c. */
#include <math.h>
#include <string.h>

#include "common/categorical.h"
#include "common/dispatch.h"
#include "common/gaussian.h"
#include "common/rng.h"
#include "common/squashed_gaussian.h"
#include "tests/support.h"

enum { B = 40, N_ACT = 3 };

static void fill(real *x, size_t n, double scale, uint32_t stream)
{
    struct rng rng;
    rng_init(&rng, 13, RNG_TEST, stream, 0);
    for (size_t i = 0; i < n; i++)
        x[i] = (real)(scale * rng_normal(&rng));
}

/* ---- Gaussian ---- */

START_TEST(the_log_probability_of_a_gaussian_sample_is_that_of_its_action)
{
    real mean[B * N_ACT], log_sigma[B * N_ACT], eps[B * N_ACT], act[B * N_ACT];
    real log_prob[B], again[B], entropy[B];
    fill(mean, B * N_ACT, 3, 1);
    fill(log_sigma, B * N_ACT, 9, 2);    /* beyond both clamps, too */
    fill(eps, B * N_ACT, 1, 3);
    for (int lds = 0; lds <= N_ACT; lds += N_ACT) {
        gaussian_sample(B, N_ACT, mean, N_ACT, log_sigma, lds, eps, N_ACT, act, N_ACT, log_prob);
        gaussian_log_prob(B, N_ACT, mean, N_ACT, log_sigma, lds, act, N_ACT, again, entropy);
        ck_assert_mem_eq(log_prob, again, sizeof(again));
        for (int i = 0; i < B * N_ACT; i++) {
            double s = (double)log_sigma[lds ? i : i % N_ACT];
            double expected = (double)mean[i] + exp(fmin(fmax(s, -20), 2)) * (double)eps[i];
            ck_assert_double_le(fabs((double)act[i] - expected), 1e-6 * (1 + fabs(expected)));
        }
    }
}
END_TEST

START_TEST(a_shared_log_sigma_is_the_same_one_in_every_row)
{
    real mean[B * N_ACT], shared[N_ACT] = { -1, 0.5, -21 }, rows[B * N_ACT], act[B * N_ACT];
    real dlog_prob[B], dentropy[B], dmean[2][B * N_ACT], ds[N_ACT], ds_rows[B * N_ACT];
    real log_prob[2][B], entropy[2][B];
    fill(mean, B * N_ACT, 1, 1);
    fill(act, B * N_ACT, 2, 2);
    fill(dlog_prob, B, 1, 3);
    fill(dentropy, B, 1, 4);
    for (int b = 0; b < B; b++)
        memcpy(rows + b * N_ACT, shared, sizeof(shared));
    gaussian_log_prob(B, N_ACT, mean, N_ACT, shared, 0, act, N_ACT, log_prob[0], entropy[0]);
    gaussian_log_prob(B, N_ACT, mean, N_ACT, rows, N_ACT, act, N_ACT, log_prob[1], entropy[1]);
    ck_assert_mem_eq(log_prob[0], log_prob[1], sizeof(log_prob[0]));
    ck_assert_mem_eq(entropy[0], entropy[1], sizeof(entropy[0]));
    gaussian_backward(B, N_ACT, mean, N_ACT, shared, 0, act, N_ACT, dlog_prob, dentropy, dmean[0], N_ACT,
                      ds, 0);
    gaussian_backward(B, N_ACT, mean, N_ACT, rows, N_ACT, act, N_ACT, dlog_prob, dentropy, dmean[1],
                      N_ACT, ds_rows, N_ACT);
    ck_assert_mem_eq(dmean[0], dmean[1], sizeof(dmean[0]));
    for (int i = 0; i < N_ACT; i++) {
        double sum = 0;
        for (int b = 0; b < B; b++)
            sum += (double)ds_rows[b * N_ACT + i];
        ck_assert((real)sum == ds[i]);
    }
    ck_assert(ds[2] == 0);
}
END_TEST

START_TEST(gaussians_leave_gaps_between_rows_alone)
{
    /* Rows of 3 in rows of 4, 5, 6, 7, 8 and 9; gaps are NaN where read and -7 where written. */
    enum { LDM = 4, LDS = 5, LDE = 6, LDA = 7, LDDM = 8, LDDS = 9 };
    real mean[B * LDM], log_sigma[B * LDS], eps[B * LDE], act[B * LDA], log_prob[B], entropy[B];
    real dmean[B * LDDM], dlog_sigma[B * LDDS], ones[B];
    fill(mean, B * LDM, 1, 1);
    fill(log_sigma, B * LDS, 1, 2);
    fill(eps, B * LDE, 1, 3);
    for (int b = 0; b < B; b++) {
        ones[b] = 1;
        mean[b * LDM + 3] = log_sigma[b * LDS + 3] = eps[b * LDE + 3] = (real)NAN;
    }
    for (int i = 0; i < B * LDDS; i++)
        act[i % (B * LDA)] = dmean[i % (B * LDDM)] = dlog_sigma[i] = -7;
    gaussian_sample(B, N_ACT, mean, LDM, log_sigma, LDS, eps, LDE, act, LDA, log_prob);
    gaussian_log_prob(B, N_ACT, mean, LDM, log_sigma, LDS, act, LDA, log_prob, entropy);
    gaussian_backward(B, N_ACT, mean, LDM, log_sigma, LDS, act, LDA, ones, ones, dmean, LDDM, dlog_sigma,
                      LDDS);
    for (int b = 0; b < B; b++) {
        ck_assert(isfinite(log_prob[b]) && isfinite(entropy[b]));
        for (int i = 0; i < LDDS; i++) {
            ck_assert_int_eq(i >= LDA || act[b * LDA + i] != -7, i < N_ACT || i >= LDA);
            ck_assert_int_eq(i >= LDDM || dmean[b * LDDM + i] != -7, i < N_ACT || i >= LDDM);
            ck_assert_int_eq(dlog_sigma[b * LDDS + i] != -7, i < N_ACT);
        }
    }
}
END_TEST

/* ---- categorical ---- */

START_TEST(samples_are_as_frequent_as_they_are_probable)
{
    enum { N = 5, DRAWS = 200000 };
    const real logits[N] = { 0, 1, -2, 0.5f, -40 };
    int count[N] = { 0 };
    struct rng rng;
    rng_init(&rng, 14, RNG_TEST, 0, 0);
    for (int i = 0; i < DRAWS; i++) {
        real act, log_prob, uniform = (real)rng_uniform(&rng, 0, 1);
        if (uniform < 1) {
            categorical_sample(1, N, logits, &uniform, &act, 1, &log_prob);
            count[(int)act]++;
        }
    }
    double total = 0;
    for (int j = 0; j < N; j++)
        total += exp((double)logits[j]);
    for (int j = 0; j < N; j++) {
        double p = exp((double)logits[j]) / total;
        ck_assert_double_eq_tol((double)count[j] / DRAWS, p, 5 * sqrt(p / DRAWS));
    }
}
END_TEST

START_TEST(the_ends_of_the_uniform_range_choose_the_first_and_the_last_possible_choice)
{
    const real nearly = nextafterf(1, 0), tiny = 1e-30f, zero = 0, one = 1;
    static const struct { real logits[4]; int first, last; } cases[] = {
        { { 0, 0, 0, 0 }, 0, 3 },
        { { -1e30f, 0, 0, -1e30f }, 1, 2 },    /* what has no probability is never chosen */
        { { 0, -200, -200, -200 }, 0, 0 },
        { { -200, -200, -200, 5 }, 3, 3 },
        { { -INFINITY, 1, 3, -INFINITY }, 1, 2 },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        const real *z = cases[i].logits;
        real act, log_prob, again, entropy;
        categorical_sample(1, 4, z, &zero, &act, 1, &log_prob);
        ck_assert_int_eq((int)act, cases[i].first);
        categorical_sample(1, 4, z, &tiny, &act, 1, &log_prob);
        ck_assert_int_eq((int)act, cases[i].first);
        categorical_sample(1, 4, z, &nearly, &act, 1, &log_prob);
        ck_assert_int_eq((int)act, cases[i].last);
        categorical_sample(1, 4, z, &one, &act, 1, &log_prob);    /* what rounding to float makes of 1 - 1e-9 */
        ck_assert_int_eq((int)act, cases[i].last);
        real dlogits[4];
        categorical_backward(1, 4, z, &act, 1, &one, &one, dlogits);
        for (int j = 0; j < 4; j++)
            ck_assert(isfinite(dlogits[j]));
        categorical_log_prob(1, 4, z, &act, 1, &again, &entropy);
        ck_assert(log_prob == again && isfinite(log_prob) && isfinite(entropy));
    }
}
END_TEST

START_TEST(an_improbable_last_choice_is_found_by_the_last_numbers_below_one)
{
    /* 3e-8 of the mass is less than a float next to 1 resolves, 3e-7 is more. */
    const real nearly = nextafterf(1, 0);
    real act, log_prob;
    categorical_sample(1, 2, (const real[]){ 0, -17.3f }, &nearly, &act, 1, &log_prob);
    ck_assert(act == 0);
    categorical_sample(1, 2, (const real[]){ 0, -15 }, &nearly, &act, 1, &log_prob);
    ck_assert(act == 1);
}
END_TEST

START_TEST(the_mode_is_the_first_of_the_most_probable)
{
    const real logits[3][4] = { { 0, 2, 2, 1 }, { 5, 5, 5, 5 }, { -3, -2, -9, -1 } };
    real act[3 * 2] = { 0 };
    categorical_mode(3, 4, &logits[0][0], act, 2);
    ck_assert(act[0] == 1 && act[2] == 0 && act[4] == 3);
    ck_assert(act[1] == 0 && act[3] == 0 && act[5] == 0);
}
END_TEST

START_TEST(what_is_no_index_has_no_log_probability)
{
    const real logits[3] = { 0, 1, 2 }, odd[] = { -1, 3, 1e30f, (real)NAN, -INFINITY, INFINITY };
    const real one = 1;
    for (size_t i = 0; i < TEST_COUNT(odd); i++) {
        real log_prob, entropy, dlogits[3];
        categorical_log_prob(1, 3, logits, &odd[i], 1, &log_prob, &entropy);
        ck_assert(isnan(log_prob));
        categorical_backward(1, 3, logits, &odd[i], 1, &one, &one, dlogits);
    }
}
END_TEST

START_TEST(a_choice_without_alternatives_is_certain)
{
    const real logits[1] = { 7 }, zero = 0, one = 1;
    real log_prob, entropy, dlogits[1];
    categorical_log_prob(1, 1, logits, &zero, 1, &log_prob, &entropy);
    categorical_backward(1, 1, logits, &zero, 1, &one, &one, dlogits);
    ck_assert(log_prob == 0 && entropy == 0 && dlogits[0] == 0);
}
END_TEST

/* ---- all of them ---- */

enum { MANY = 150, WIDE = 1300 };    /* rows and their numbers: several blocks, and part of one */

/* What goes in and what comes out, row after row. */
struct in { real x[MANY * WIDE], eps[MANY * WIDE], g[MANY], uniform[MANY], choice[MANY]; };
struct out { real y[5][2 * MANY * WIDE], of_row[9][MANY]; };

/* Every function, with strides of its own for every matrix, of rows `first` .. `first` + `rows` - 1. */
static void run_gaussians(int first, int rows, int n, const struct in *in, struct out *out)
{
    const int at = first * n, ld = 2 * n;
    const int lds = 4 * n, lde = 5 * n, lda = 3 * n, ldd = 6 * n;
    const real *x = in->x + 2 * at, *s = in->x + 4 * at, *eps = in->eps + 5 * at, *g = in->g + first;
    real *act = out->y[0] + 3 * at, *act_squashed = out->y[1] + 3 * at, *d = out->y[2] + 6 * at;
    squashed_gaussian_sample(rows, n, x, eps, lde, act_squashed, lda, out->of_row[0] + first);
    squashed_gaussian_backward(rows, n, x, eps, lde, act_squashed, lda, s, lds, 0.3f, out->y[3] + 2 * at);
    gaussian_sample(rows, n, x, ld, s, lds, eps, lde, act, lda, out->of_row[1] + first);
    gaussian_log_prob(rows, n, x, ld, s, lds, act, lda, out->of_row[2] + first, out->of_row[3] + first);
    gaussian_backward(rows, n, x, ld, s, lds, act, lda, g, g, d, ldd, out->y[4] + 7 * at, 7 * n);
}

static void run_categorical(int first, int rows, int n, const struct in *in, struct out *out)
{
    const int at = first * n;
    const real *x = in->x + at, *g = in->g + first;
    categorical_sample(rows, n, x, in->uniform + first, out->of_row[4] + first, 1, out->of_row[5] + first);
    categorical_mode(rows, n, x, out->of_row[6] + first, 1);
    categorical_log_prob(rows, n, x, in->choice + first, 1, out->of_row[7] + first, out->of_row[8] + first);
    categorical_log_softmax(rows, n, x, out->y[0] + at);
    categorical_backward(rows, n, x, in->choice + first, 1, g, g, out->y[1] + at);
}

START_TEST(a_row_has_the_same_results_alone_in_a_batch_and_with_every_width_of_vectors)
{
    static const struct {
        void (*run)(int first, int rows, int n, const struct in *in, struct out *out);
        int n;
    } cases[] = { { run_gaussians, 1 }, { run_gaussians, 6 }, { run_gaussians, 17 }, { run_gaussians, 64 },
                  { run_categorical, 1 }, { run_categorical, 2 }, { run_categorical, 18 },
                  { run_categorical, 255 }, { run_categorical, 256 }, { run_categorical, WIDE } };
    static struct in in;
    static struct out batch, single;
    fill(in.x, TEST_COUNT(in.x), 2, 1);
    fill(in.eps, TEST_COUNT(in.eps), 1, 2);
    fill(in.g, MANY, 1, 3);
    for (int b = 0; b < MANY; b++)
        in.uniform[b] = (real)(b + 0.5) / MANY;
    for (size_t c = 0; c < TEST_COUNT(cases); c++) {
        dispatch_limit = 512;
        memset(&batch, 0, sizeof(batch));
        cases[c].run(0, MANY, cases[c].n, &in, &batch);
        for (int width = 512; width >= 128; width /= 2) {
            dispatch_limit = width;
            memset(&single, 0, sizeof(single));
            for (int b = 0; b < MANY; b++)
                cases[c].run(b, 1, cases[c].n, &in, &single);
            ck_assert_msg(memcmp(&batch, &single, sizeof(batch)) == 0, "case %zu, %d bits", c, width);
        }
    }
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        the_log_probability_of_a_gaussian_sample_is_that_of_its_action,
        a_shared_log_sigma_is_the_same_one_in_every_row,
        gaussians_leave_gaps_between_rows_alone,
        samples_are_as_frequent_as_they_are_probable,
        the_ends_of_the_uniform_range_choose_the_first_and_the_last_possible_choice,
        an_improbable_last_choice_is_found_by_the_last_numbers_below_one,
        the_mode_is_the_first_of_the_most_probable,
        what_is_no_index_has_no_log_probability,
        a_choice_without_alternatives_is_certain,
        a_row_has_the_same_results_alone_in_a_batch_and_with_every_width_of_vectors,
    };
    return suite_run("distributions", tests, TEST_COUNT(tests), 60);
}
