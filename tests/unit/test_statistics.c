#include "deploy/statistics.h"

#include <math.h>
#include <stdbool.h>

#include "common/rng.h"
#include "tests/support.h"

#define SCORES(a, tasks) { (a), (int)(TEST_COUNT(a) / (tasks)), (tasks), 1 }
#define ASSERT_NEAR(x, y) ck_assert_double_eq_tol((x), (y), 1e-12)

static const struct bootstrap thousand = { .seed = 5, .n_draws = 1000 };

static const struct statistic mean = { .kind = STATISTIC_MEAN }, median = { .kind = STATISTIC_MEDIAN },
                              iqm = { .kind = STATISTIC_IQM }, gap = { .kind = STATISTIC_GAP, .level = 1 },
                              improvement = { .kind = STATISTIC_IMPROVEMENT };

static double above(const struct scores *x, enum statistic_kind kind, double level)
{
    return statistics_of(x, NULL, &(struct statistic){ .kind = kind, .level = level });
}

static bool equal(struct interval a, struct interval b)
{
    return a.value == b.value && a.low == b.low && a.high == b.high;
}

/* 4 runs of 3 tasks with means 0.25, 0.5, 1.5 */
static const double small[] = { 0.1, 0.2, 3.0,
                                0.4, 0.8, 0.0,
                                0.2, 0.6, 2.0,
                                0.3, 0.4, 1.0 };

/* ---- statistics of one arm ---- */

START_TEST(aggregates_are_what_one_works_out_by_hand)
{
    const struct scores x = SCORES(small, 3);
    ASSERT_NEAR(statistics_of(&x, NULL, &mean), 0.75);
    ASSERT_NEAR(statistics_of(&x, NULL, &median), 0.5);
    /* 0 0.1 0.2 | 0.2 0.3 0.4 0.4 0.6 0.8 | 1 2 3 */
    ASSERT_NEAR(statistics_of(&x, NULL, &iqm), 2.7 / 6);
    /* above 1 nothing counts: (3.0 + 3) / 12 */
    ASSERT_NEAR(statistics_of(&x, NULL, &gap), 0.5);
    ASSERT_NEAR(statistics_of(&x, NULL, &(struct statistic){ .kind = STATISTIC_GAP, .level = 2 }), 2 - 8.0 / 12);
}
END_TEST

START_TEST(aggregates_are_those_of_numpy_and_scipy)
{
    /* x = np.sin(np.arange(1, 31)).reshape(6, 5); x.mean(), np.median(x.mean(0)), trim_mean(x, 0.25, None),
     * 1 - np.minimum(x, 1).mean(), (x > 0.1).mean(), (x.mean(0) > 0.01).mean() */
    double sines[30];
    for (int i = 0; i < 30; i++)
        sines[i] = sin(i + 1);
    const struct scores x = SCORES(sines, 5);
    ASSERT_NEAR(statistics_of(&x, NULL, &mean), 0.009335011875733731);
    ASSERT_NEAR(statistics_of(&x, NULL, &median), 0.037390571478485367);
    ASSERT_NEAR(statistics_of(&x, NULL, &iqm), 0.016267773957998666);
    ASSERT_NEAR(statistics_of(&x, NULL, &gap), 0.99066498812426629);
    ASSERT_NEAR(above(&x, STATISTIC_ABOVE, 0.1), 0.5);
    ASSERT_NEAR(above(&x, STATISTIC_TASKS_ABOVE, 0.01), 0.6);
}
END_TEST

START_TEST(the_median_of_an_even_number_of_tasks_lies_between_the_middle_two)
{
    const double four[] = { 8, 1, 4, 2 };
    const struct scores x = SCORES(four, 4);
    ASSERT_NEAR(statistics_of(&x, NULL, &median), 3);
}
END_TEST

START_TEST(the_interquartile_mean_leaves_out_whole_scores_only)
{
    /* n scores 1, 2, 4, ... of which floor(n / 4) at each end do not count */
    static const double expected[] = { 1, 3 / 2.0, 7 / 3.0, 6 / 2.0, 14 / 3.0, 30 / 4.0, 62 / 5.0, 60 / 4.0 };
    double powers[8] = { 1, 2, 4, 8, 16, 32, 64, 128 };
    for (int n = 1; n <= 8; n++) {
        const struct scores x = { powers, n, 1, 1 };
        ASSERT_NEAR(statistics_of(&x, NULL, &iqm), expected[n - 1]);
    }
}
END_TEST

START_TEST(profiles_count_scores_strictly_above)
{
    const struct scores x = SCORES(small, 3);
    ASSERT_NEAR(above(&x, STATISTIC_ABOVE, -1), 1);
    ASSERT_NEAR(above(&x, STATISTIC_ABOVE, 0), 11.0 / 12);
    ASSERT_NEAR(above(&x, STATISTIC_ABOVE, 0.4), 5.0 / 12);    /* two are equal to it */
    ASSERT_NEAR(above(&x, STATISTIC_ABOVE, 3), 0);
    ASSERT_NEAR(above(&x, STATISTIC_TASKS_ABOVE, 0.3), 2.0 / 3);
    ASSERT_NEAR(above(&x, STATISTIC_TASKS_ABOVE, 1.5), 0);

    const double levels[] = { 0, 0.4, 3 };
    struct interval out[3];
    const struct statistic what = { .kind = STATISTIC_ABOVE };
    statistics_profile(&x, NULL, &what, levels, 3, &thousand, out);
    for (int i = 0; i < 3; i++) {
        ck_assert_double_eq(out[i].value, above(&x, STATISTIC_ABOVE, levels[i]));
        ck_assert_double_le(out[i].low, out[i].value);
        ck_assert_double_ge(out[i].high, out[i].value);
    }
    ck_assert_double_lt(out[1].low, out[1].high);
}
END_TEST

START_TEST(scores_that_are_not_finite_count_in_no_statistic)
{
    /* Tasks with 2, 1 and no runs: 1 3 | 5 */
    const double ragged[] = { 1, NAN, NAN, INFINITY, 5, -INFINITY, 3, NAN, NAN };
    const struct scores x = SCORES(ragged, 3);
    ASSERT_NEAR(statistics_of(&x, NULL, &mean), 3.5);
    ASSERT_NEAR(statistics_of(&x, NULL, &median), 3.5);
    ASSERT_NEAR(statistics_of(&x, NULL, &iqm), 3);
    ASSERT_NEAR(statistics_of(&x, NULL, &(struct statistic){ .kind = STATISTIC_GAP, .level = 4 }), 4 - 8 / 3.0);
    ASSERT_NEAR(above(&x, STATISTIC_ABOVE, 1), 2 / 3.0);
    ASSERT_NEAR(above(&x, STATISTIC_TASKS_ABOVE, 2), 0.5);

    const struct interval v = statistics_interval(&x, NULL, &mean, &thousand);
    ASSERT_NEAR(v.low, 3);      /* the second task always has 5, the first 1, 2 or 3 */
    ASSERT_NEAR(v.high, 4);
}
END_TEST

START_TEST(no_scores_at_all_have_no_statistic_and_no_interval)
{
    const double none[] = { NAN, NAN }, some[] = { 1, 2 };
    const struct scores x = SCORES(none, 1), y = SCORES(some, 1), empty = { NULL, 0, 1, 1 };
    for (int kind = STATISTIC_MEAN; kind < STATISTIC_IMPROVEMENT; kind++) {
        const struct statistic what = { .kind = (enum statistic_kind)kind };
        const struct interval v = statistics_interval(&x, NULL, &what, &thousand);
        ck_assert(isnan(v.value) && isnan(v.low) && isnan(v.high));
        ck_assert(isnan(statistics_of(&empty, NULL, &what)));
        ck_assert(isnan(statistics_of(&y, &x, &what)));
    }
    ck_assert(isnan(statistics_of(&x, &y, &improvement)));
}
END_TEST

/* ---- of two arms ---- */

START_TEST(improvement_counts_pairs_and_ties_half_and_averages_over_tasks)
{
    /* task 1: 3 > 1, 3 > 2, 2 > 1, 2 = 2: 3.5 of 4; task 2: 1 of 2 with one run; task 3 only y has */
    const double a[] = { 3, 5, NAN, 2, NAN, NAN }, b[] = { 1, 4, 1, 2, 6, 1 };
    const struct scores x = SCORES(a, 3), y = SCORES(b, 3);
    ASSERT_NEAR(statistics_of(&x, &y, &improvement), (3.5 / 4 + 0.5) / 2);
    ASSERT_NEAR(statistics_of(&y, &x, &improvement), (0.5 / 4 + 0.5) / 2);
    ck_assert_double_eq(statistics_of(&x, &x, &improvement), 0.5);
}
END_TEST

START_TEST(differences_and_ratios_are_of_the_arms_statistics)
{
    const double a[] = { 4, 6 }, b[] = { 1, 2, 3 };
    const struct scores x = SCORES(a, 1), y = SCORES(b, 1);
    const struct statistic ratio = { .kind = STATISTIC_IQM, .form = STATISTIC_RATIO };
    ck_assert_double_eq(statistics_of(&x, &y, &iqm), 3);
    ck_assert_double_eq(statistics_of(&x, &y, &ratio), 2.5);
    const struct interval v = statistics_interval(&x, &y, &iqm, &thousand);
    ck_assert_double_lt(v.low, 3);
    ck_assert_double_gt(v.high, 3);
}
END_TEST

START_TEST(a_ratio_to_something_not_positive_has_no_value)
{
    const double a[] = { 1, 2 }, negative[] = { -1, -2 }, crosses[] = { -1, 3 };
    const struct scores x = SCORES(a, 1), y = SCORES(negative, 1), z = SCORES(crosses, 1);
    const struct statistic ratio = { .kind = STATISTIC_IQM, .form = STATISTIC_RATIO };
    ck_assert(isnan(statistics_of(&x, &y, &ratio)));
    /* Some draws of z are negative: a value, but no interval. */
    const struct interval v = statistics_interval(&x, &z, &ratio, &thousand);
    ck_assert_double_eq(v.value, 1.5);
    ck_assert(isnan(v.low) && isnan(v.high));
}
END_TEST

START_TEST(arms_are_resampled_independently)
{
    const struct scores x = SCORES(small, 3);
    const struct interval v = statistics_interval(&x, &x, &mean, &thousand);
    ck_assert_double_eq(v.value, 0);
    ck_assert_double_lt(v.low, -0.1);
    ck_assert_double_gt(v.high, 0.1);

    /* Of twos, and of 1 and 3: draws of the latter are two ones, two threes or one of each. */
    const double twos[] = { 2, 2 }, around[] = { 1, 3 };
    const struct scores a = SCORES(twos, 1), b = SCORES(around, 1);
    const struct interval won = statistics_interval(&a, &b, &improvement, &thousand);
    const struct interval lost = statistics_interval(&b, &a, &improvement, &thousand);
    ck_assert(won.value == 0.5 && won.low == 0 && won.high == 1);
    ck_assert(lost.value == 0.5 && lost.low == 0 && lost.high == 1);
}
END_TEST

/* ---- intervals ---- */

START_TEST(draws_take_runs_by_the_words_of_the_seeds_sequence)
{
    /* The bootstrap of the mean once more, run by run and task by task. */
    enum { DRAWS = 41 };    /* 0.025 x 40 = 1: the ends are the second and the second to last draw */
    struct rng rng;
    rng_init(&rng, 99, RNG_BOOTSTRAP, 0, 0);
    double draws[DRAWS], lowest[2] = { INFINITY, INFINITY }, highest[2] = { -INFINITY, -INFINITY };
    for (int d = 0; d < DRAWS; d++) {
        draws[d] = 0;
        for (int i = 0; i < 12; i++)
            draws[d] += small[(rng_u32(&rng) >> 30) * 3 + (uint32_t)i / 4] / 12;
        if (draws[d] < lowest[1])
            lowest[1] = draws[d];
        if (draws[d] > highest[1])
            highest[1] = draws[d];
        if (lowest[1] < lowest[0]) {
            const double other = lowest[0];
            lowest[0] = lowest[1];
            lowest[1] = other;
        }
        if (highest[1] > highest[0]) {
            const double other = highest[0];
            highest[0] = highest[1];
            highest[1] = other;
        }
    }
    const struct scores x = SCORES(small, 3);
    const struct bootstrap how = { .seed = 99, .n_draws = DRAWS };
    const struct interval v = statistics_interval(&x, NULL, &mean, &how);
    ASSERT_NEAR(v.value, 0.75);
    ASSERT_NEAR(v.low, lowest[1]);
    ASSERT_NEAR(v.high, highest[1]);
}
END_TEST

START_TEST(percentiles_lie_on_the_line_between_draws)
{
    /* Scores 0 and 1: find a seed whose two draws differ; its ends are 2.5 % inside them. */
    const double coin[] = { 0, 1 };
    const struct scores x = SCORES(coin, 1);
    for (uint64_t seed = 0; seed < 100; seed++) {
        const struct bootstrap one = { .seed = seed, .n_draws = 1 }, two = { .seed = seed, .n_draws = 2 };
        const struct interval first = statistics_interval(&x, NULL, &mean, &one);
        const struct interval both = statistics_interval(&x, NULL, &mean, &two);
        ck_assert_double_eq(first.low, first.high);
        if (first.low != 0 || both.high < 0.9)
            continue;
        ASSERT_NEAR(both.low, 0.025);
        ASSERT_NEAR(both.high, 0.975);
        return;
    }
    ck_abort_msg("no seed draws 0 and then 1");
}
END_TEST

START_TEST(intervals_of_one_score_are_those_of_the_binomial_distribution)
{
    /* 10 of 20 runs above: scipy.stats.binom.ppf([0.025, 0.975], 20, 0.5) / 20 */
    double half[20];
    for (int i = 0; i < 20; i++)
        half[i] = i % 2;
    const struct scores x = SCORES(half, 1);
    const struct bootstrap how = { .seed = 1, .n_draws = STATISTICS_DRAWS };
    const struct statistic what = { .kind = STATISTIC_ABOVE, .level = 0.5 };
    const struct interval v = statistics_interval(&x, NULL, &what, &how);
    ASSERT_NEAR(v.low, 0.3);
    ASSERT_NEAR(v.high, 0.7);
}
END_TEST

START_TEST(the_seed_alone_decides_an_interval)
{
    double sines[30];
    for (int i = 0; i < 30; i++)
        sines[i] = sin(i + 1);
    const struct scores x = SCORES(sines, 5);
    const struct bootstrap other = { .seed = 6, .n_draws = 1000 };
    const struct interval v = statistics_interval(&x, NULL, &iqm, &thousand);
    ck_assert(equal(statistics_interval(&x, NULL, &iqm, &thousand), v));
    const struct interval w = statistics_interval(&x, NULL, &iqm, &other);
    ck_assert(w.value == v.value && w.low != v.low && w.high != v.high);
}
END_TEST

START_TEST(tasks_are_resampled_each_by_itself)
{
    const double constant[] = { 1, 10, 100, 1, 10, 100 };
    const struct scores x = SCORES(constant, 3);
    const struct interval v = statistics_interval(&x, NULL, &mean, &thousand);
    ck_assert(v.value == 37 && v.low == 37 && v.high == 37);
}
END_TEST

START_TEST(equal_scores_have_an_interval_without_width)
{
    const double equal_scores[] = { 500, 500, 500, 500, 500, 500 };
    const struct scores x = SCORES(equal_scores, 2);
    for (int kind = STATISTIC_MEAN; kind <= STATISTIC_IQM; kind++) {
        const struct statistic what = { .kind = (enum statistic_kind)kind };
        const struct interval v = statistics_interval(&x, NULL, &what, &thousand);
        ck_assert(v.value == 500 && v.low == 500 && v.high == 500);
    }
    const struct interval v = statistics_interval(&x, &x, &improvement, &thousand);
    ck_assert(v.value == 0.5 && v.low == 0.5 && v.high == 0.5);
}
END_TEST

START_TEST(one_seed_tells_a_value_but_no_interval)
{
    const double once[] = { 1, 2, 6 };
    const struct scores x = SCORES(once, 3), y = SCORES(small, 3);
    const struct interval v = statistics_interval(&x, NULL, &mean, &thousand);
    ck_assert(v.value == 3 && isnan(v.low) && isnan(v.high));
    /* Nor does it against an arm that has more. */
    const struct interval d = statistics_interval(&x, &y, &mean, &thousand);
    ck_assert(d.value == 2.25 && isnan(d.low) && isnan(d.high));
    const struct interval e = statistics_interval(&y, &x, &improvement, &thousand);
    ck_assert(isfinite(e.value) && isnan(e.low) && isnan(e.high));
}
END_TEST

/* ---- curves ---- */

START_TEST(a_curve_has_at_each_point_the_interval_of_that_point)
{
    /* 4 runs of 2 tasks at 3 points; two of the runs end before the last, which leaves each task one */
    double curves[4][2][3], other[4][2][3], at[3][8], other_at[3][8];
    for (int r = 0; r < 4; r++)
        for (int t = 0; t < 2; t++)
            for (int p = 0; p < 3; p++) {
                curves[r][t][p] = p < 2 || r == 3 ? cos(7 * r + 3 * t + p) : (double)NAN;
                other[r][t][p] = sin(5 * r + 2 * t + p);
                at[p][r * 2 + t] = curves[r][t][p];
                other_at[p][r * 2 + t] = other[r][t][p];
            }
    const struct scores x = { &curves[0][0][0], 4, 2, 3 }, y = { &other[0][0][0], 4, 2, 3 };
    struct interval out[3], against[3];
    statistics_curve(&x, NULL, &iqm, &thousand, out);
    statistics_curve(&x, &y, &iqm, &thousand, against);
    for (int p = 0; p < 2; p++) {
        const struct scores x_there = SCORES(at[p], 2), y_there = SCORES(other_at[p], 2);
        ck_assert(equal(out[p], statistics_interval(&x_there, NULL, &iqm, &thousand)));
        ck_assert(equal(against[p], statistics_interval(&x_there, &y_there, &iqm, &thousand)));
    }
    ASSERT_NEAR(out[2].value, (cos(23) + cos(26)) / 2);
    ck_assert(isnan(out[2].low) && isnan(out[2].high));
}
END_TEST

START_TEST(whole_runs_are_resampled_of_curves)
{
    /* Runs that change their order from point to point, by as much: were points drawn by sorted scores or
     * each by itself, ends of the mirrored point would not be the mirrored ends. */
    double curves[5][2];
    for (int r = 0; r < 5; r++) {
        curves[r][0] = r * r;
        curves[r][1] = -r * r;
    }
    const struct scores x = { &curves[0][0], 5, 1, 2 };
    struct interval out[2];
    const struct bootstrap few = { .seed = 3, .n_draws = 9 };
    statistics_curve(&x, NULL, &mean, &few, out);
    ASSERT_NEAR(out[0].low, -out[1].high);
    ASSERT_NEAR(out[0].high, -out[1].low);
}
END_TEST

START_TEST(curves_meet_the_grid_inside_their_range_only)
{
    const double x[] = { 1, 2, 4 }, y[] = { 10, 20, 0 }, grid[] = { 0.5, 1, 1.5, 2, 3, 4, 4.5 };
    const double linear[] = { NAN, 10, 15, 20, 10, 0, NAN }, step[] = { NAN, 10, 10, 20, 20, 0, NAN };
    double out[7];
    statistics_on_grid(x, y, 3, BETWEEN_LINEAR, grid, 7, out);
    for (int i = 0; i < 7; i++)
        ck_assert(out[i] == linear[i] || (isnan(out[i]) && isnan(linear[i])));
    statistics_on_grid(x, y, 3, BETWEEN_STEP, grid, 7, out);
    for (int i = 0; i < 7; i++)
        ck_assert(out[i] == step[i] || (isnan(out[i]) && isnan(step[i])));
    statistics_on_grid(x, y, 0, BETWEEN_STEP, grid, 7, out);
    for (int i = 0; i < 7; i++)
        ck_assert(isnan(out[i]));
}
END_TEST

START_TEST(points_that_are_not_finite_are_left_out_and_the_last_of_equal_ones_counts)
{
    const double x[] = { 0, 1, NAN, 2, 2, 3, 4 }, y[] = { 0, NAN, 1, 4, 6, 8, INFINITY };
    const double grid[] = { 1, 2, 2.5, 3, 3.5 }, linear[] = { 2, 6, 7, 8 };
    double out[5];
    statistics_on_grid(x, y, 7, BETWEEN_LINEAR, grid, 5, out);
    for (int i = 0; i < 4; i++)
        ck_assert_double_eq(out[i], linear[i]);
    ck_assert(isnan(out[4]));
    ck_assert_double_eq(statistics_area(x, y, 7, BETWEEN_LINEAR, 0, 3), 4 + 7);
    ck_assert_double_eq(statistics_area(x, y, 7, BETWEEN_STEP, 0, 3), 0 + 6);
}
END_TEST

START_TEST(areas_are_of_the_asked_range_and_missing_where_the_curve_is_shorter)
{
    const double x[] = { 0, 2, 4 }, y[] = { 0, 2, 6 };
    ck_assert_double_eq(statistics_area(x, y, 3, BETWEEN_LINEAR, 0, 4), 2 + 8);
    ck_assert_double_eq(statistics_area(x, y, 3, BETWEEN_LINEAR, 1, 3), 1.5 + 3);
    ck_assert_double_eq(statistics_area(x, y, 3, BETWEEN_LINEAR, 2.5, 3), 0.5 * 3.5);
    ck_assert_double_eq(statistics_area(x, y, 3, BETWEEN_STEP, 1, 3), 0 + 2);
    ck_assert(isnan(statistics_area(x, y, 3, BETWEEN_LINEAR, -1, 3)));
    ck_assert(isnan(statistics_area(x, y, 3, BETWEEN_LINEAR, 1, 5)));
    ck_assert(isnan(statistics_area(x, y, 1, BETWEEN_LINEAR, 0, 1)));
    ck_assert(isnan(statistics_area(x, y, 0, BETWEEN_LINEAR, 0, 1)));
}
END_TEST

START_TEST(normalised_scores_are_0_at_low_and_1_at_high)
{
    double returns[] = { -200, 5, 7, -100, 10, 8, 0, NAN, 7 };
    const double low[] = { -200, 5, 7 }, high[] = { 0, 25, 7 };
    const struct scores x = SCORES(returns, 3);
    statistics_normalise(&x, low, high, returns);
    const double expected[] = { 0, 0, NAN, 0.5, 0.25, NAN, 1, NAN, NAN };
    for (int i = 0; i < 9; i++)
        ck_assert(returns[i] == expected[i] || (isnan(returns[i]) && isnan(expected[i])));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        aggregates_are_what_one_works_out_by_hand,
        aggregates_are_those_of_numpy_and_scipy,
        the_median_of_an_even_number_of_tasks_lies_between_the_middle_two,
        the_interquartile_mean_leaves_out_whole_scores_only,
        profiles_count_scores_strictly_above,
        scores_that_are_not_finite_count_in_no_statistic,
        no_scores_at_all_have_no_statistic_and_no_interval,
        improvement_counts_pairs_and_ties_half_and_averages_over_tasks,
        differences_and_ratios_are_of_the_arms_statistics,
        a_ratio_to_something_not_positive_has_no_value,
        arms_are_resampled_independently,
        draws_take_runs_by_the_words_of_the_seeds_sequence,
        percentiles_lie_on_the_line_between_draws,
        intervals_of_one_score_are_those_of_the_binomial_distribution,
        the_seed_alone_decides_an_interval,
        tasks_are_resampled_each_by_itself,
        equal_scores_have_an_interval_without_width,
        one_seed_tells_a_value_but_no_interval,
        a_curve_has_at_each_point_the_interval_of_that_point,
        whole_runs_are_resampled_of_curves,
        curves_meet_the_grid_inside_their_range_only,
        points_that_are_not_finite_are_left_out_and_the_last_of_equal_ones_counts,
        areas_are_of_the_asked_range_and_missing_where_the_curve_is_shorter,
        normalised_scores_are_0_at_low_and_1_at_high,
    };
    return suite_run("statistics", tests, TEST_COUNT(tests), 60);
}
