#include <math.h>
#include <string.h>

#include "common/exploration.h"
#include "tests/support.h"

enum { N_ACT = 3 };

static struct rng stream(uint32_t number)
{
    struct rng rng;
    rng_init(&rng, 12, RNG_TEST, number, 0);
    return rng;
}

/* Mean, standard deviation and correlation of neighbours of one dimension over n steps. */
static void moments(const struct exploration *e, int n, double *mean, double *std, double *correlation)
{
    struct rng rng = stream(1);
    double state[N_ACT] = { 0 }, sum = 0, squares = 0, products = 0, last = 0;
    for (int t = 0; t < n; t++) {
        float out[N_ACT];
        exploration_draw(e, &rng, N_ACT, state, out);
        sum += (double)out[1];
        squares += (double)out[1] * (double)out[1];
        products += (double)out[1] * last;
        last = (double)out[1];
    }
    *mean = sum / n;
    *std = sqrt(squares / n);
    *correlation = products / squares;
}

START_TEST(gaussian_noise_has_its_sigma_and_no_memory)
{
    const struct exploration e = { .kind = EXPLORATION_GAUSSIAN, .sigma = 0.3, .theta = 5, .dt = 7 };
    double mean, std, correlation;
    moments(&e, 200000, &mean, &std, &correlation);
    ck_assert_double_eq_tol(mean, 0, 0.3 * 0.01);
    ck_assert_double_eq_tol(std / 0.3, 1, 0.01);
    ck_assert_double_eq_tol(correlation, 0, 0.01);
}
END_TEST

START_TEST(ornstein_uhlenbeck_noise_has_its_stationary_moments)
{
    static const struct exploration cases[] = {
        { EXPLORATION_ORNSTEIN_UHLENBECK, 0.2, 0.15, 1 },
        { EXPLORATION_ORNSTEIN_UHLENBECK, 0.5, 1.2, 0.25 },
        { EXPLORATION_ORNSTEIN_UHLENBECK, 3, 40, 0.01 },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        const struct exploration *e = &cases[i];
        /* x' = (1 - theta dt) x + sigma sqrt(dt) N: the variance solves v = (1 - theta dt)^2 v + sigma^2 dt */
        const double keep = 1 - e->theta * e->dt;
        const double expected = e->sigma * sqrt(e->dt / (1 - keep * keep));
        double mean, std, correlation;
        moments(e, 1000000, &mean, &std, &correlation);
        ck_assert_double_eq_tol(mean / expected, 0, 0.02);
        ck_assert_double_eq_tol(std / expected, 1, 0.01);
        ck_assert_double_eq_tol(correlation, keep, 0.005);
    }
}
END_TEST

START_TEST(ornstein_uhlenbeck_noise_begins_at_zero_and_dimensions_differ)
{
    const struct exploration e = { EXPLORATION_ORNSTEIN_UHLENBECK, 0.2, 0.15, 0.01 };
    struct rng rng = stream(2), same = stream(2);
    double state[N_ACT] = { 0 };
    float out[N_ACT];
    exploration_draw(&e, &rng, N_ACT, state, out);
    for (int i = 0; i < N_ACT; i++) {
        ck_assert_double_eq_tol(state[i], 0.2 * 0.1 * rng_normal(&same), 1e-15);
        ck_assert(out[i] == (float)state[i]);
    }
}
END_TEST

START_TEST(noise_continues_bit_for_bit_from_its_state_and_its_position)
{
    for (int kind = EXPLORATION_GAUSSIAN; kind <= EXPLORATION_ORNSTEIN_UHLENBECK; kind++) {
        const struct exploration e = { (enum exploration_kind)kind, 0.2, 0.15, 0.01 };
        struct rng rng = stream(3);
        double state[N_ACT] = { 0 }, saved_state[N_ACT] = { 0 };
        uint64_t position = 0;
        float out[20][N_ACT], again[N_ACT];
        for (int t = 0; t < 20; t++) {
            if (t == 10) {
                memcpy(saved_state, state, sizeof(state));
                position = rng.position;
            }
            exploration_draw(&e, &rng, N_ACT, state, out[t]);
        }
        struct rng later = stream(3);
        rng_seek(&later, position);
        for (int t = 10; t < 20; t++) {
            exploration_draw(&e, &later, N_ACT, saved_state, again);
            ck_assert_mem_eq(again, out[t], sizeof(again));
        }
        ck_assert_mem_eq(saved_state, state, sizeof(state));
    }
}
END_TEST

START_TEST(none_is_zero_and_draws_nothing)
{
    const struct exploration e = { EXPLORATION_NONE, 1, 1, 1 };
    struct rng rng = stream(4);
    double state[N_ACT] = { 1, 2, 3 };
    float out[N_ACT] = { 1, 1, 1 };
    exploration_draw(&e, &rng, N_ACT, state, out);
    for (int i = 0; i < N_ACT; i++)
        ck_assert(out[i] == 0 && state[i] == i + 1);
    ck_assert_uint_eq(rng.position, 0);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        gaussian_noise_has_its_sigma_and_no_memory,
        ornstein_uhlenbeck_noise_has_its_stationary_moments,
        ornstein_uhlenbeck_noise_begins_at_zero_and_dimensions_differ,
        noise_continues_bit_for_bit_from_its_state_and_its_position,
        none_is_zero_and_draws_nothing,
    };
    return suite_run("exploration", tests, TEST_COUNT(tests), 60);
}
