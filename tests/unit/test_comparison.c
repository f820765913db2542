#include "deploy/comparison.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/arena.h"
#include "deploy/commands.h"
#include "deploy/curves.h"
#include "deploy/plot_groups.h"
#include "tests/unit/run_support.h"

enum { MAX_RUNS = 12 };

static struct results runs[MAX_RUNS];
static const struct results *selected[MAX_RUNS];
static char folder[256], paths[MAX_RUNS][512];
static struct arena *arena;
static struct comparison c;
static struct error err;

static void begin(void)
{
    arena_destroy(&arena);
    for (int i = 0; i < MAX_RUNS; i++)
        results_fini(&runs[i]);
    test_directory("comparison", folder, sizeof(folder));
    arena = arena_create(1 << 16);
}

static void load(const struct made_run *made, int n)
{
    begin();
    for (int i = 0; i < n; i++) {
        struct made_run one = made[i];
        char name[32];
        snprintf(name, sizeof(name), "run-%d", i);
        one.name = one.name ? one.name : name;
        one.time_s = one.time_s > 0 ? one.time_s : 10;
        ck_assert_msg(results_read(&runs[i], make_run(folder, &one, paths[i]), &err) == 0, "%s", err.text);
        selected[i] = &runs[i];
    }
}

/* ---- curves ---- */

START_TEST(returns_are_interquartile_means_at_common_evaluations)
{
    const struct made_run made[] = { { .seed = 1, .final = 1000 }, { .seed = 2, .final = 40 },
                                     { .seed = 3, .final = 80 }, { .seed = 4, .final = -1000 } };
    load(made, 4);
    const struct curve curve = curve_of_returns(selected, 4, false, AGAINST_STEPS, arena);
    ck_assert_int_eq(curve.n, 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_double_eq(curve.x[i], 250 * (i + 1));
        ck_assert_double_eq_tol(curve.value[i], 60 * (i + 1) / 4.0, 1e-9);
        ck_assert(curve.low[i] < curve.value[i] && curve.high[i] > curve.value[i]);
    }
}
END_TEST

START_TEST(returns_against_time_are_interpolated_where_all_runs_have_data)
{
    const struct made_run made[] = { { .seed = 1, .final = 100, .time_s = 10 },
                                     { .seed = 2, .final = 100, .time_s = 20 } };
    load(made, 2);
    /* Evaluations from 2.5 to 10 s and from 5 to 20 s: both from 5 to 10 s, rising by 10 and 5 per second. */
    const struct curve curve = curve_of_returns(selected, 2, false, AGAINST_TIME, arena);
    ck_assert_int_eq(curve.n, CURVE_POINTS);
    ck_assert_double_eq(curve.x[0], 5);
    ck_assert_double_eq(curve.x[CURVE_POINTS - 1], 10);
    ck_assert_double_eq_tol(curve.value[0], (50 + 25) / 2.0, 1e-9);
    ck_assert_double_eq_tol(curve.value[CURVE_POINTS - 1], (100 + 50) / 2.0, 1e-9);
    ck_assert_double_eq_tol(curve.value[50], (75 + 37.5) / 2, 1e-9);
}
END_TEST

START_TEST(one_run_has_no_interval)
{
    load((const struct made_run[]){ { .seed = 1, .final = 100 } }, 1);
    const struct curve curve = curve_of_returns(selected, 1, false, AGAINST_STEPS, arena);
    ck_assert_double_eq(curve.value[3], 100);
    ck_assert(isnan(curve.low[3]) && isnan(curve.high[3]));
}
END_TEST

START_TEST(columns_are_means_over_runs_with_their_range)
{
    const struct made_run made[] = { { .seed = 1, .time_s = 10 }, { .seed = 2, .time_s = 20 } };
    load(made, 2);
    const struct curve rate = curve_of_column(selected, 2, CURVE_STEPS_RATE, AGAINST_STEPS, arena);
    ck_assert_int_eq(rate.n, MADE_ROWS);
    ck_assert_double_eq_tol(rate.value[0], (100 + 50) / 2.0, 1e-9);
    ck_assert_double_eq_tol(rate.low[0], 50, 1e-9);
    ck_assert_double_eq_tol(rate.high[0], 100, 1e-9);
    const struct curve stale = curve_of_column(selected, 2, CURVE_STALENESS_P99, AGAINST_STEPS, arena);
    ck_assert_double_eq(stale.value[MADE_ROWS - 1], 2);
    const struct curve none = curve_of_column(selected, 2, CURVE_RETURN, AGAINST_STEPS, arena);
    ck_assert_int_eq(none.n, 0);
}
END_TEST

/* ---- groups ---- */

static void group(const struct made_run *made, int n, const char *by)
{
    load(made, n);
    ck_assert_msg(plot_group(&c, runs, n, by, arena, &err) == 0, "%s", err.text);
}

START_TEST(runs_that_differ_in_their_seed_are_one_group)
{
    group((const struct made_run[]){ { .seed = 1 }, { .seed = 2 } }, 2, NULL);
    ck_assert_int_eq(c.n_arms, 1);
    ck_assert_int_eq(c.n_tasks, 1);
    ck_assert_str_eq(c.arms[0], "ppo, sync");
    ck_assert_str_eq(c.tasks[0], "CartPole-v1");
}
END_TEST

START_TEST(groups_are_named_by_the_fewest_keys_that_tell_them_apart)
{
    group((const struct made_run[]){ { .seed = 1, .mode = "async", .clip = 0.1 }, { .seed = 1, .mode = "sync" },
                                     { .seed = 2, .mode = "async", .clip = 0.1 } }, 3, NULL);
    ck_assert_int_eq(c.n_arms, 2);
    ck_assert_str_eq(c.arms[0], "async");
    ck_assert_str_eq(c.arms[1], "sync");
    ck_assert_int_eq(c.arm[2], 0);
    group((const struct made_run[]){ { .seed = 1, .mode = "async", .clip = 0.1 }, { .seed = 1, .mode = "async" },
                                     { .seed = 2, .mode = "sync", .actors = 1 } }, 3, NULL);
    ck_assert_int_eq(c.n_arms, 3);
    ck_assert_str_eq(c.arms[0], "async, ppo.clip 0.1");
    ck_assert_str_eq(c.arms[2], "sync, ppo.clip 0.2");
    group((const struct made_run[]){ { .seed = 1, .actors = 1 }, { .seed = 1, .actors = 4 } }, 2, NULL);
    ck_assert_str_eq(c.arms[0], "1 actor");
    ck_assert_str_eq(c.arms[1], "4 actors");
}
END_TEST

START_TEST(environments_are_tasks_and_their_options_no_groups)
{
    group((const struct made_run[]){ { .seed = 1, .mode = "async" }, { .seed = 1, .mode = "sync" },
                                     { .seed = 1, .mode = "sync", .environment = "Pendulum-v1", .clip = 0.3 } }, 3, NULL);
    ck_assert_int_eq(c.n_tasks, 2);
    ck_assert_str_eq(c.tasks[1], "Pendulum-v1");
    ck_assert_int_eq(c.task[2], 1);
    ck_assert_int_eq(c.n_arms, 2);
    ck_assert_int_eq(c.arm[2], 1);
}
END_TEST

START_TEST(runs_are_grouped_by_the_key_that_is_asked_for)
{
    const struct made_run made[] = { { .seed = 1, .mode = "async" }, { .seed = 2, .mode = "sync", .clip = 0.3 } };
    group(made, 2, "ppo.clip");
    ck_assert_int_eq(c.n_arms, 2);
    ck_assert_str_eq(c.arms[1], "ppo.clip 0.3");
    group(made, 2, "algorithm");
    ck_assert_int_eq(c.n_arms, 1);
    group(made, 2, "run");
    ck_assert_int_eq(c.n_arms, 2);
    ck_assert_str_eq(c.arms[1], "run-1");
    ck_assert_int_eq(plot_group(&c, runs, 2, "pppo.clip", arena, &err), ERR_USAGE);
    ck_assert_msg(strstr(err.text, "did you mean \"ppo.clip\"?") != NULL, "%s", err.text);
}
END_TEST

START_TEST(clocks_are_not_mixed)
{
    load((const struct made_run[]){ { .seed = 1 }, { .seed = 2, .is_virtual = true } }, 2);
    ck_assert_int_eq(plot_group(&c, runs, 2, NULL, arena, &err), ERR_USAGE);
    ck_assert_msg(strstr(err.text, "run-0 and run-1 have different clocks") != NULL, "%s", err.text);
}
END_TEST

/* ---- figures ---- */

START_TEST(seeds_are_listed_in_ranges)
{
    begin();
    ck_assert_str_eq(comparison_seeds((const int64_t[]){ 3, 1, 2, 9, 5, 6 }, 6, arena), "1 to 3, 5, 6, 9");
    ck_assert_str_eq(comparison_seeds((const int64_t[]){ 4, 4 }, 2, arena), "4");
    ck_assert_str_eq(comparison_seeds(NULL, 0, arena), "none");
}
END_TEST

START_TEST(every_figure_names_axes_seeds_and_configurations)
{
    static const char *const x_labels[] = { ">Transitions</text>", ">Wall-clock time (s)</text>", ">Transitions</text>",
                                            ">Wall-clock time (s)</text>" };
    static const char *const y_labels[] = { ">Return of evaluations</text>", ">Return of evaluations</text>",
                                            ">Staleness (versions)</text>", ">Updates/s</text>" };
    group((const struct made_run[]){ { .seed = 1, .mode = "async", .final = 9 }, { .seed = 2, .mode = "async", .final = 8 },
                                     { .seed = 4, .mode = "sync", .final = 7 } }, 3, NULL);
    for (enum comparison_figure i = 0; i < N_COMPARISON_FIGURES; i++) {
        char *svg = comparison_draw(&c, i), *again = comparison_draw(&c, i);
        ck_assert_ptr_nonnull(strstr(svg, x_labels[i]));
        ck_assert_ptr_nonnull(strstr(svg, y_labels[i]));
        ck_assert_ptr_nonnull(strstr(svg, "async 1, 2; sync 4."));
        ck_assert_ptr_nonnull(strstr(svg, runs[0].config_hash));
        ck_assert_ptr_nonnull(strstr(svg, runs[2].config_hash));
        ck_assert_ptr_nonnull(strstr(svg, ">async</text>"));
        ck_assert_str_eq(svg, again);
        free(svg);
        free(again);
    }
    ck_assert_str_eq(runs[0].config_hash, runs[1].config_hash);
    ck_assert_str_ne(runs[0].config_hash, runs[2].config_hash);
}
END_TEST

START_TEST(times_are_called_virtual_and_in_minutes_or_hours)
{
    group((const struct made_run[]){ { .seed = 1, .time_s = 7200, .is_virtual = true } }, 1, NULL);
    char *svg = comparison_draw(&c, FIGURE_RETURN_TIME);
    ck_assert_ptr_nonnull(strstr(svg, ">Virtual time (min)</text>"));
    free(svg);
    double unit;
    ck_assert_str_eq(comparison_time_unit(200, &unit), "s");
    ck_assert_str_eq(comparison_time_unit(2e4, &unit), "h");
    ck_assert_double_eq(unit, 3600);
}
END_TEST

/* ---- the command ---- */

static int plot(const char *const *words, int n)
{
    static char copies[8][600];
    char *args[8];
    for (int i = 0; i < n; i++) {
        snprintf(copies[i], sizeof(copies[i]), "%s", words[i]);
        args[i] = copies[i];
    }
    err = (struct error){ 0 };
    fflush(stdout);
    return command_plot(n, args, &err);
}

START_TEST(plot_writes_four_figures_and_a_page_that_holds_them)
{
    static const char *const files[] = { "return_transitions.svg", "return_time.svg", "staleness.svg", "throughput.svg" };
    char out[400], path[600];
    load((const struct made_run[]){ { .seed = 1, .mode = "async" }, { .seed = 2, .mode = "sync" } }, 2);
    snprintf(out, sizeof(out), "%s/figures", folder);
    ck_assert_msg(plot((const char *[]){ paths[0], "--out", out, paths[1], "--by", "mode" }, 6) == 0, "%s", err.text);
    snprintf(path, sizeof(path), "%s/index.html", out);
    char *page = test_read(path, NULL);
    for (size_t i = 0; i < TEST_COUNT(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", out, files[i]);
        char *svg = test_read(path, NULL);
        ck_assert_ptr_nonnull(strstr(page, svg));
        free(svg);
    }
    ck_assert_ptr_nonnull(strstr(page, paths[1]));
    ck_assert_ptr_null(strstr(page, "src="));
    ck_assert_ptr_null(strstr(page, "href="));
    free(page);
    ck_assert_int_eq(plot((const char *[]){ paths[0] }, 1), 0);
    snprintf(path, sizeof(path), "%s/plots/index.html", paths[0]);
    ck_assert_int_eq(access(path, R_OK), 0);
}
END_TEST

START_TEST(plot_refuses_what_it_cannot_draw)
{
    load((const struct made_run[]){ { .seed = 1 } }, 1);
    ck_assert_int_eq(plot(NULL, 0), ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "one or more run directories"));
    ck_assert_int_eq(plot((const char *[]){ "--bye" }, 1), ERR_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean --by?"));
    ck_assert_int_eq(plot((const char *[]){ paths[0], "--out", "" }, 3), ERR_USAGE);
    ck_assert_int_eq(plot((const char *[]){ paths[0], "--by", "nonsense" }, 3), ERR_USAGE);
    ck_assert_int_eq(plot((const char *[]){ "/nowhere" }, 1), ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "/nowhere holds no run"));
    made_file(paths[0], "eval.csv", "env_steps,time_s,mean,std\n");
    made_file(paths[0], "metrics.csv", "time_s,env_steps\n");
    ck_assert_int_eq(plot((const char *[]){ paths[0] }, 1), ERR_AGAIN);
    ck_assert_ptr_nonnull(strstr(err.text, "wait, or leave it out"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        returns_are_interquartile_means_at_common_evaluations,
        returns_against_time_are_interpolated_where_all_runs_have_data,
        one_run_has_no_interval,
        columns_are_means_over_runs_with_their_range,
        runs_that_differ_in_their_seed_are_one_group,
        groups_are_named_by_the_fewest_keys_that_tell_them_apart,
        environments_are_tasks_and_their_options_no_groups,
        runs_are_grouped_by_the_key_that_is_asked_for,
        clocks_are_not_mixed,
        seeds_are_listed_in_ranges,
        every_figure_names_axes_seeds_and_configurations,
        times_are_called_virtual_and_in_minutes_or_hours,
        plot_writes_four_figures_and_a_page_that_holds_them,
        plot_refuses_what_it_cannot_draw,
    };
    return suite_run("comparison", tests, TEST_COUNT(tests), 60);
}
