#include "deploy/report.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/run_support.h"

enum { MAX_RUNS = 36 };

static const char *const arms[] = { "sync", "async" };
static const char *const tasks[] = { "CartPole-v1", "Pendulum-v1" };
static struct report_run runs[MAX_RUNS];
static char paths[MAX_RUNS][512], folder[256], out[300];
static int n_runs;
static struct report report;
static struct error err;
static char *markdown, *html;

static void begin(int n_tasks)
{
    test_directory("report", folder, sizeof(folder));
    snprintf(out, sizeof(out), "%s/report", folder);
    n_runs = 0;
    report = (struct report){ .title = "Sync <or> async", .question = "Does waiting pay?", .config_hash = "0123456789ab",
                              .command = "shoal study a.yaml", .arms = arms, .n_arms = 2, .tasks = tasks,
                              .n_tasks = n_tasks, .runs = runs };
}

static void add(int arm, int task, int seed, double final, double time_s)
{
    char name[64];
    snprintf(name, sizeof(name), "%s-%d-%d", arms[arm], task, seed);
    make_run(folder, &(struct made_run){ .name = name, .mode = arms[arm], .environment = report.tasks[task], .seed = seed,
                                         .final = final, .time_s = time_s, .is_virtual = report.is_virtual },
             paths[n_runs]);
    runs[n_runs] = (struct report_run){ paths[n_runs], arm, task, seed };
    report.n_runs = ++n_runs;
}

static char *read_out(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", out, name);
    return test_read(path, NULL);
}

static void write_report(void)
{
    err = (struct error){ 0 };
    ck_assert_msg(report_write(&report, out, &err) == 0, "%s", err.text);
    free(markdown);
    free(html);
    markdown = read_out("report.md");
    html = read_out("report.html");
}

static void expect(const char *words)
{
    ck_assert_msg(strstr(markdown, words) != NULL, "\"%s\" is not in:\n%.3000s", words, markdown);
}

static void expect_not(const char *words)
{
    ck_assert_msg(strstr(markdown, words) == NULL, "\"%s\" is in:\n%s", words, markdown);
}

/* Five seeds each; async at half of sync's returns and twice its time. */
static void add_clear_difference(int task)
{
    for (int seed = 1; seed <= 5; seed++) {
        add(0, task, seed, 98 + seed - 1 + (seed == 5 ? 50 : 0), 10);
        add(1, task, seed, (98 + seed - 1 + (seed == 5 ? 50 : 0)) / 2.0, 20);
    }
}

/* The middle three of 98, 99, 100, 101, 152 are 99, 100, 101. */
START_TEST(a_clear_difference_is_found_with_its_numbers)
{
    begin(1);
    add_clear_difference(0);
    write_report();
    expect("CartPole-v1: async reaches 0.50 times sync's interquartile mean return (95 % interval ");
    expect("): async is worse at 5 seeds.");
    expect("A run of async is better than one of sync with probability 0.00 (0.00 to 0.00).");
    expect("It takes 2.00 times as much wall-clock time to the end (2.00 to 2.00).");
    expect("| CartPole-v1 | sync | 5 | 100.0 |");
    expect("| CartPole-v1 | async | 5 | 50.00 |");
    expect("| CartPole-v1 | **sync** | async | **yes** |");
    expect("| CartPole-v1 | sync | 10.0 | 100 | 10.0 | 1.00 | 3 |");
    expect("| CartPole-v1 | async | 20.0 | 50.0 | 5.00 | 1.00 | 3 |");
    expect_not("Caution");
    expect_not("Normalised returns");
}
END_TEST

START_TEST(an_interval_that_holds_equality_shows_no_difference)
{
    begin(1);
    for (int seed = 1; seed <= 5; seed++) {
        add(0, 0, seed, 100 * seed, 10);
        add(1, 0, seed, 100 * seed + (seed % 2 ? 10 : -10), 10);
    }
    write_report();
    expect("no difference shown at 5 seeds");
    expect_not("is better at");
    expect_not("is worse at");
    expect("| no |");
}
END_TEST

START_TEST(better_is_said_of_the_higher_arm)
{
    begin(1);
    add_clear_difference(0);
    report.baseline = 1;
    write_report();
    expect("sync reaches 2.00 times async's interquartile mean return");
    expect("): sync is better at 5 seeds.");
    expect("A run of sync is better than one of async with probability 1.00");
}
END_TEST

START_TEST(negative_returns_are_compared_by_their_difference)
{
    begin(1);
    for (int seed = 1; seed <= 3; seed++) {
        add(0, 0, seed, -100, 10);
        add(1, 0, seed, -300 - seed, 10);
    }
    write_report();
    expect("async's interquartile mean return is 202 below sync's (95 % interval of the difference ");
    expect("3 seeds are too few to show a difference");
    expect("Caution: some arm has only 3 seeds");
    add(0, 0, 4, -100, 10);
    add(0, 0, 5, -100, 10);
    write_report();
    expect("3 and 5 seeds are too few to show a difference");
    expect("Missing: async, CartPole-v1, seeds 4, 5.");
}
END_TEST

START_TEST(a_single_seed_shows_nothing)
{
    begin(1);
    add(0, 0, 1, 100, 10);
    add(1, 0, 1, 500, 10);
    write_report();
    expect("async reaches 5.00 times sync's interquartile mean return: nothing is shown, as 1 seed gives no interval.");
    expect("| no | 5.00");
    ck_assert_ptr_null(strstr(html, "nan"));
}
END_TEST

START_TEST(several_tasks_are_summed_up_in_normalised_returns)
{
    begin(2);
    add_clear_difference(0);
    add_clear_difference(1);
    report.low = (const double[]){ 0, 0 };
    report.high = (const double[]){ 100, 200 };
    write_report();
    expect("> Over all 2 tasks: async reaches 0.50 times sync's interquartile mean of normalised returns (95 % interval ");
    expect("Pendulum-v1: async reaches 0.50 times");
    expect("0 and 1 are the returns that the study names");
    /* 5 scores around 1 and 5 around 0.5: without 2 at each end 0.5, 0.505, 0.76, 0.98, 0.99, 1. */
    expect("| all (normalised) | sync | 5 | 0.789 |");
    expect("![Normalised return over all tasks](aggregate.svg)");
}
END_TEST

START_TEST(a_task_without_differences_is_not_passed_over)
{
    begin(2);
    add_clear_difference(0);
    for (int seed = 1; seed <= 5; seed++) {
        add(0, 1, seed, 500, 10);
        add(1, 1, seed, 500, 10);
    }
    write_report();
    expect("Over all 2 tasks (final returns differ in 1): ");
    expect("Pendulum-v1: async reaches 1.00 times sync's interquartile mean return (95 % interval 1.00 to 1.00): no "
           "difference shown");
    expect("Pendulum-v1: all runs scored the same");
    expect("A run of async is better than one of sync with probability 0.25");
}
END_TEST

START_TEST(missing_cells_are_named)
{
    begin(2);
    add_clear_difference(0);
    add(0, 1, 1, 10, 10);
    add(0, 1, 2, 11, 10);
    report.n_missing = 8;
    write_report();
    expect("8 cells are missing, see the end.");
    expect("8 cells of the study failed or were not run");
    expect("Missing: sync, Pendulum-v1, seeds 3 to 5.");
    expect("Missing: async, Pendulum-v1, seeds 1 to 5.");
    expect("Pendulum-v1: async and sync cannot be compared, as async has no final return.");
    ck_assert_ptr_null(strstr(html, "nan"));
}
END_TEST

/* Evaluations rise evenly to the last one, four of them: their mean is 5/8 of it. */
START_TEST(scores_may_be_means_over_all_evaluations)
{
    begin(1);
    report.scores_are_means = true;
    add_clear_difference(0);
    write_report();
    expect("## Mean returns");
    expect("| CartPole-v1 | sync | 5 | 62.50 |");
    expect("| CartPole-v1 | async | 5 | 31.25 |");
    expect("the mean height of a run's learning curve");
    expect_not("inal return");
}
END_TEST

START_TEST(what_is_varied_into_tasks_is_summed_up)
{
    static const char *const lags[] = { "Acrobot-v1, lag=0", "Acrobot-v1, lag=16", "Acrobot-v1, lag=64", "Acrobot-v1" };
    begin(4);
    report.tasks = lags;
    for (int seed = 1; seed <= 5; seed++)
        for (int arm = 0; arm < 2; arm++) {
            add(arm, 0, seed, 100 * seed + (arm && seed % 2 ? 10 : 0), 10);
            add(arm, 1, seed, 100 + seed + 50 * arm, 10);
            add(arm, 2, seed, 100 + seed - 50 * arm, 10);
            if (seed <= 3)
                add(arm, 3, seed, 100 + seed - 50 * arm, 10);
        }
    write_report();
    expect("async (baseline: sync) in Acrobot-v1 (lag=0, lag=16, lag=64 and Acrobot-v1);");
    expect("> Acrobot-v1: async is shown to be better than sync at lag=16, and worse at lag=64. No difference is shown "
           "at lag=0. Seeds are too few at Acrobot-v1.");
    char *svg = read_out("scores.svg");
    ck_assert_ptr_nonnull(strstr(svg, ">lag=16, async<"));
    ck_assert_ptr_null(strstr(svg, ">Acrobot-v1, lag=16<"));
    free(svg);
}
END_TEST

START_TEST(virtual_time_is_said_to_be_virtual)
{
    begin(1);
    report.is_virtual = true;
    add_clear_difference(0);
    write_report();
    expect("Times are virtual");
    expect("as much virtual time to the end");
    expect_not("wall-clock");
}
END_TEST

START_TEST(the_page_needs_no_other_file_and_holds_every_figure)
{
    static const char *const files[] = { "return_transitions.svg", "return_time.svg", "scores.svg",
                                         "improvement.svg", "profile.svg", "staleness.svg", "throughput.svg" };
    begin(1);
    add_clear_difference(0);
    write_report();
    for (size_t i = 0; i < TEST_COUNT(files); i++) {
        char *svg = read_out(files[i]), link[64];
        snprintf(link, sizeof(link), "](%s)", files[i]);
        expect(link);
        ck_assert_ptr_nonnull(strstr(html, svg));
        ck_assert_ptr_nonnull(strstr(svg, "1 to 5."));
        ck_assert_ptr_nonnull(strstr(svg, "0123456789ab."));
        free(svg);
    }
    ck_assert_ptr_nonnull(strstr(html, "<h1>Sync &lt;or&gt; async</h1>"));
    ck_assert_ptr_nonnull(strstr(html, "<pre>shoal study a.yaml</pre>"));
    ck_assert_ptr_null(strstr(html, "src="));
    ck_assert_ptr_null(strstr(html, "href="));
    expect("# Sync \\<or\\> async");
    expect("Question: Does waiting pay?");
}
END_TEST

START_TEST(the_same_runs_give_the_same_report)
{
    begin(1);
    add_clear_difference(0);
    write_report();
    char *before = html;
    html = NULL;
    write_report();
    ck_assert_str_eq(before, html);
    free(before);
}
END_TEST

static void expect_refused(int code, const char *words)
{
    char path[512];
    err = (struct error){ 0 };
    ck_assert_int_eq(report_write(&report, out, &err), code);
    ck_assert_msg(strstr(err.text, words) != NULL, "it says: %s", err.text);
    snprintf(path, sizeof(path), "%s/report.md", out);
    ck_assert_int_ne(access(path, F_OK), 0);
}

START_TEST(broken_runs_are_refused_before_anything_is_written)
{
    char path[640];
    begin(1);
    expect_refused(ERR_MISSING, "no finished run");
    add(0, 0, 1, 100, 10);
    add(1, 0, 1, 100, 10);
    made_file(paths[1], "eval.csv", "env_steps,time_s,mean,std\n1,2,x,4\n");
    expect_refused(ERR_FORMAT, "eval.csv:2: expected a number in column \"mean\"");
    begin(1);
    add(0, 0, 1, 100, 10);
    snprintf(path, sizeof(path), "%s/summary.json", paths[0]);
    unlink(path);
    expect_refused(ERR_MISSING, "has no summary.json: the run did not end");
    begin(1);
    add(0, 0, 1, 100, 10);
    report.is_virtual = true;
    expect_refused(ERR_FORMAT, "has wall-clock time, the study virtual time");
    begin(1);
    add(0, 0, 1, 100, 10);
    runs[0].path = "/nowhere/run";
    expect_refused(ERR_MISSING, "/nowhere/run holds no run");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_clear_difference_is_found_with_its_numbers,
        an_interval_that_holds_equality_shows_no_difference,
        better_is_said_of_the_higher_arm,
        negative_returns_are_compared_by_their_difference,
        a_single_seed_shows_nothing,
        several_tasks_are_summed_up_in_normalised_returns,
        a_task_without_differences_is_not_passed_over,
        missing_cells_are_named,
        scores_may_be_means_over_all_evaluations,
        what_is_varied_into_tasks_is_summed_up,
        virtual_time_is_said_to_be_virtual,
        the_page_needs_no_other_file_and_holds_every_figure,
        the_same_runs_give_the_same_report,
        broken_runs_are_refused_before_anything_is_written,
    };
    return suite_run("report", tests, TEST_COUNT(tests), 120);
}
