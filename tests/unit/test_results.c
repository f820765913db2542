#include "deploy/results.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/run_support.h"

static struct error err;
static struct results r;
static char folder[256], path[512];

static int parse(struct results_table *t, const char *text)
{
    char copy[512];
    snprintf(copy, sizeof(copy), "%s", text);
    err = (struct error){ 0 };
    return results_parse_table(t, "a.csv", copy, strlen(text), &err);
}

START_TEST(columns_are_found_by_name)
{
    struct results_table t;
    ck_assert_int_eq(parse(&t, "time_s,mean\n1,2.5\n3,-4e2\n"), 0);
    ck_assert_int_eq(t.n_rows, 2);
    ck_assert_int_eq(t.n_columns, 2);
    ck_assert_double_eq(results_column(&t, "mean")[0], 2.5);
    ck_assert_double_eq(results_column(&t, "mean")[1], -400);
    ck_assert_double_eq(results_column(&t, "time_s")[1], 3);
    ck_assert_ptr_null(results_column(&t, "mea"));
    results_free_table(&t);
}
END_TEST

START_TEST(empty_fields_are_missing_numbers)
{
    struct results_table t;
    ck_assert_int_eq(parse(&t, "a,b,c\n,1,\n"), 0);
    ck_assert(isnan(results_column(&t, "a")[0]));
    ck_assert_double_eq(results_column(&t, "b")[0], 1);
    ck_assert(isnan(results_column(&t, "c")[0]));
    results_free_table(&t);
}
END_TEST

START_TEST(a_line_that_is_still_being_written_is_left_out)
{
    struct results_table t;
    ck_assert_int_eq(parse(&t, "a,b\n1,2\n3"), 0);
    ck_assert_int_eq(t.n_rows, 1);
    results_free_table(&t);
    ck_assert_int_eq(parse(&t, "a,b\n"), 0);
    ck_assert_int_eq(t.n_rows, 0);
    results_free_table(&t);
}
END_TEST

static void expect(int rc, int code, const char *words)
{
    ck_assert_msg(rc == code, "returned %d (%s), but should say: %s", rc, err.text, words);
    ck_assert_msg(strstr(err.text, words) != NULL, "it says: %s", err.text);
}

START_TEST(damaged_tables_are_refused_where_they_are_damaged)
{
    struct results_table t;
    char binary[] = "a\n\0\n";
    expect(parse(&t, "a,b\n1,2\n3\n"), ERR_FORMAT, "a.csv:3: expected 2 fields, found 1");
    expect(parse(&t, "a,b\n1,2,3\n"), ERR_FORMAT, "a.csv:2: expected 2 fields, found 3");
    expect(parse(&t, "a,b\n1,x\n"), ERR_FORMAT, "a.csv:2: expected a number in column \"b\", found \"x\"");
    expect(parse(&t, "a,b\n1,2 \n"), ERR_FORMAT, "found \"2 \"");
    expect(parse(&t, ""), ERR_FORMAT, "a.csv has no header line");
    expect(results_parse_table(&t, "a.csv", binary, 4, &err), ERR_FORMAT, "no text");
}
END_TEST

/* The value is Python's hashlib over the text without its second line. */
START_TEST(the_hash_of_a_configuration_leaves_out_its_seed)
{
    char hash[RESULTS_HASH_BYTES], other[RESULTS_HASH_BYTES];
    results_hash("algorithm: ppo\nseed: 1   # random\nenv:\n  seed: 3\n", hash);
    ck_assert_str_eq(hash, "9069adc3eb9f");
    results_hash("algorithm: ppo\nseed: 22\nenv:\n  seed: 3\n", other);
    ck_assert_str_eq(hash, other);
    results_hash("algorithm: ppo\nseed: 1\nenv:\n  seed: 4\n", other);
    ck_assert_str_ne(hash, other);
}
END_TEST

static void make(const struct made_run *made)
{
    test_directory("results", folder, sizeof(folder));
    make_run(folder, made, path);
    err = (struct error){ 0 };
}

static const struct made_run usual = { .name = "run-7", .seed = 7, .final = 200, .time_s = 20 };

START_TEST(a_run_is_read_with_everything_that_plots_need)
{
    make(&usual);
    strncat(path, "//", sizeof(path) - strlen(path) - 1);
    ck_assert_msg(results_read(&r, path, &err) == 0, "%s", err.text);
    ck_assert_str_eq(r.name, "run-7");
    ck_assert_str_eq(r.algorithm, "ppo");
    ck_assert_str_eq(r.mode, "sync");
    ck_assert_str_eq(r.environment, "CartPole-v1");
    ck_assert_int_eq(r.seed, 7);
    ck_assert_int_eq(r.actors, 2);
    ck_assert_int_eq(r.envs_per_actor, 2);
    ck_assert_str_eq(results_config(&r, "ppo.clip"), "0.2");
    ck_assert_str_eq(results_config(&r, "network.hidden"), "64,32");
    ck_assert_ptr_null(results_config(&r, "clip"));
    ck_assert(r.is_finished && !r.is_virtual);
    ck_assert_str_eq(r.status, "finished");
    ck_assert_double_eq(r.final_return, 200);
    ck_assert_double_eq(r.env_steps, 1000);
    ck_assert_double_eq(r.updates, 100);
    ck_assert_double_eq(r.time_s, 20);
    ck_assert_int_eq(r.eval.n_rows, 4);
    ck_assert_int_eq(r.metrics.n_rows, 10);
    results_fini(&r);
    results_fini(&r);
}
END_TEST

/* Evaluations count for the transitions they stand for: (0 + 10) / 2 * 100 + 10 * 900, over 1000. */
START_TEST(the_mean_return_is_that_of_the_curve)
{
    make(&(struct made_run){ .name = "run", .seed = 1, .final = 10, .time_s = 10 });
    made_file(path, "eval.csv", "env_steps,time_s,mean,std\n0,0,0,1\n100,1,10,1\n1000,10,10,1\n");
    ck_assert_int_eq(results_read(&r, path, &err), 0);
    ck_assert_double_eq_tol(r.mean_return, 9.5, 1e-12);
    results_fini(&r);
    made_file(path, "eval.csv", "env_steps,time_s,mean,std\n0,0,nan,1\n100,1,10,1\n200,2,20,1\n300,3,nan,1\n");
    ck_assert_int_eq(results_read(&r, path, &err), 0);
    ck_assert_double_eq_tol(r.mean_return, 15, 1e-12);
    results_fini(&r);
    made_file(path, "eval.csv", "env_steps,time_s,mean,std\n1000,10,10,1\n");
    ck_assert_int_eq(results_read(&r, path, &err), 0);
    ck_assert_double_eq(r.mean_return, 10);
    results_fini(&r);
    made_file(path, "eval.csv", "env_steps,time_s,mean,std\n");
    ck_assert_int_eq(results_read(&r, path, &err), 0);
    ck_assert(isnan(r.mean_return));
    results_fini(&r);
}
END_TEST

START_TEST(a_run_that_goes_on_is_read_as_far_as_it_is)
{
    make(&(struct made_run){ .name = "run", .seed = 1, .final = 80, .time_s = 10, .is_unfinished = true });
    ck_assert_int_eq(results_read(&r, path, &err), 0);
    ck_assert(!r.is_finished);
    ck_assert_str_eq(r.status, "not finished");
    ck_assert_double_eq(r.final_return, 80);
    ck_assert_double_eq(r.env_steps, 1000);
    results_fini(&r);
}
END_TEST

START_TEST(virtual_time_is_known_from_the_summary)
{
    make(&(struct made_run){ .name = "run", .seed = 1, .time_s = 10, .is_virtual = true });
    ck_assert_int_eq(results_read(&r, path, &err), 0);
    ck_assert(r.is_virtual);
    results_fini(&r);
}
END_TEST

/* What begins its log says it while there is no summary; the log of a real run may mention the words later. */
START_TEST(virtual_time_of_a_run_without_a_summary_is_known_from_its_log)
{
    static const struct { const char *log; bool is_virtual; } cases[] = {
        { "2026-01-02 03:04:05  simulating ppo on CartPole-v1, sync\n2026-01-02 03:04:06  more\n", true },
        { "2026-01-02 03:04:05  training ppo on CartPole-v1,  simulating nothing\n", false },
        { "2026-01-02 03:04:05  training ppo\n2026-01-02 03:04:06  simulating ppo\n", false },
        { "", false },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        make(&(struct made_run){ .name = "run", .seed = 1, .time_s = 10, .is_unfinished = true });
        made_file(path, "log.txt", cases[i].log);
        ck_assert_int_eq(results_read(&r, path, &err), 0);
        ck_assert_msg(r.is_virtual == cases[i].is_virtual, "%s", cases[i].log);
        results_fini(&r);
    }
    make(&usual);
    made_file(path, "log.txt", cases[0].log);
    ck_assert_int_eq(results_read(&r, path, &err), 0);
    ck_assert_msg(!r.is_virtual, "the log wins over the summary");
    results_fini(&r);
}
END_TEST

static void remove_file(const char *name)
{
    char file[640];
    snprintf(file, sizeof(file), "%s/%s", path, name);
    ck_assert_int_eq(unlink(file), 0);
}

START_TEST(directories_that_lack_a_file_are_refused)
{
    expect(results_read(&r, "/nowhere/run", &err), ERR_MISSING, "/nowhere/run holds no run");
    make(&usual);
    remove_file("config.yaml");
    expect(results_read(&r, path, &err), ERR_MISSING, "there is no config.yaml");
    make(&usual);
    remove_file("eval.csv");
    expect(results_read(&r, path, &err), ERR_MISSING, "holds no eval.csv");
    make(&usual);
    remove_file("metrics.csv");
    expect(results_read(&r, path, &err), ERR_MISSING, "holds no metrics.csv");
}
END_TEST

static void expect_broken(const char *name, const char *text, int code, const char *words)
{
    make(&usual);
    made_file(path, name, text);
    expect(results_read(&r, path, &err), code, words);
    ck_assert_ptr_null(r.path);
}

START_TEST(damaged_files_are_refused_by_name)
{
    expect_broken("summary.json", "{\"status\": ", ERR_FORMAT, "summary.json:1:");
    expect_broken("summary.json", "[1]", ERR_FORMAT, "no JSON object");
    expect_broken("eval.csv", "env_steps,time_s\n", ERR_FORMAT, "eval.csv:1: there is no column \"mean\"");
    expect_broken("metrics.csv", "env_steps\n", ERR_FORMAT, "metrics.csv:1: there is no column \"time_s\"");
    expect_broken("metrics.csv", "time_s,env_steps\n1\n", ERR_FORMAT, "metrics.csv:2:");
    expect_broken("config.yaml", "seed: 1\n", ERR_FORMAT, "config.yaml has no algorithm");
    expect_broken("config.yaml", "[1, 2]\n", ERR_FORMAT, "config.yaml has no algorithm");
    expect_broken("config.yaml", "", ERR_FORMAT, "config.yaml has no algorithm");
    expect_broken("config.yaml", "seed: [1\n", ERR_CONFIG, "config.yaml:");
    expect_broken("config.yaml", "seed: x\nalgorithm: a\nmode: b\nactors: 1\nenvs_per_actor: 1\nenv: {name: c}\n",
                  ERR_FORMAT, "seed: expected a whole number, found \"x\"");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        columns_are_found_by_name,
        empty_fields_are_missing_numbers,
        a_line_that_is_still_being_written_is_left_out,
        damaged_tables_are_refused_where_they_are_damaged,
        the_hash_of_a_configuration_leaves_out_its_seed,
        a_run_is_read_with_everything_that_plots_need,
        the_mean_return_is_that_of_the_curve,
        a_run_that_goes_on_is_read_as_far_as_it_is,
        virtual_time_is_known_from_the_summary,
        virtual_time_of_a_run_without_a_summary_is_known_from_its_log,
        directories_that_lack_a_file_are_refused,
        damaged_files_are_refused_by_name,
    };
    return suite_run("results", tests, TEST_COUNT(tests), 60);
}
