#include "deploy/args.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support.h"

static const char *run, *seed, *pipe_fd;
static bool has_run, is_json, is_hidden;

static const struct flag flags[] = {
    { "--run", "DIR", &run, &has_run, "where results go" },
    { "--seed", "N", &seed, NULL, "of everything random" },
    { "--json", NULL, NULL, &is_json, "for programs" },
    { "--report-fd", "FD", &pipe_fd, NULL, NULL },
    { "--supervised", NULL, NULL, &is_hidden, NULL },
};
static const struct command command = {
    "eval", "RUN [flags]", "play a policy", "Play the last policy of a run.",
    "shoal eval runs/a --json", flags, TEST_COUNT(flags)
};

enum { MAX_ARGS = 8 };
static char *args[MAX_ARGS];
static struct error err;
static bool wants_help;

/* Parse the words (NULL ends them); what is left stands in `args`. */
static int parse(const char *const words[MAX_ARGS])
{
    static char copies[MAX_ARGS][64];
    int n = 0;
    run = seed = pipe_fd = NULL;
    has_run = is_json = is_hidden = false;
    wants_help = true;
    err = (struct error){ 0 };
    for (; n < MAX_ARGS && words[n]; n++) {
        snprintf(copies[n], sizeof(copies[n]), "%s", words[n]);
        args[n] = copies[n];
    }
    return args_parse(&command, n, args, &wants_help, &err);
}
#define PARSE(...) parse((const char *const[MAX_ARGS]){ __VA_ARGS__ })

static void expect_usage_error(int rc, const char *words)
{
    ck_assert_msg(rc == ERR_USAGE, "accepted, but should say: %s", words);
    ck_assert_int_eq(err.code, ERR_USAGE);
    ck_assert_msg(strstr(err.text, words) != NULL, "it says: %s", err.text);
}

START_TEST(arguments_without_dashes_keep_their_order)
{
    ck_assert_int_eq(PARSE("a.yaml", "seed=1", "x"), 3);
    ck_assert_str_eq(args[0], "a.yaml");
    ck_assert_str_eq(args[1], "seed=1");
    ck_assert_str_eq(args[2], "x");
    ck_assert(!wants_help && !has_run && !is_json);
    ck_assert_int_eq(PARSE(NULL), 0);
}
END_TEST

START_TEST(flags_may_stand_anywhere)
{
    ck_assert_int_eq(PARSE("--json", "a.yaml", "--run", "dir", "b=1", "--seed=7", "c=2"), 3);
    ck_assert_str_eq(args[0], "a.yaml");
    ck_assert_str_eq(args[1], "b=1");
    ck_assert_str_eq(args[2], "c=2");
    ck_assert_str_eq(run, "dir");
    ck_assert_str_eq(seed, "7");
    ck_assert(is_json && has_run);
    ck_assert(!is_hidden);
}
END_TEST

START_TEST(values_may_hold_anything)
{
    ck_assert_int_eq(PARSE("--run=a=b", "--seed", "-3"), 0);
    ck_assert_str_eq(run, "a=b");
    ck_assert_str_eq(seed, "-3");
    ck_assert_int_eq(PARSE("--run="), 0);
    ck_assert_str_eq(run, "");
}
END_TEST

START_TEST(the_last_of_a_repeated_flag_counts)
{
    ck_assert_int_eq(PARSE("--run", "a", "--run=b"), 0);
    ck_assert_str_eq(run, "b");
}
END_TEST

START_TEST(a_single_dash_is_an_argument)
{
    ck_assert_int_eq(PARSE("-"), 1);
    ck_assert_str_eq(args[0], "-");
}
END_TEST

START_TEST(unknown_flags_are_refused_with_the_nearest_known_one)
{
    expect_usage_error(PARSE("--runs", "a"), "unknown flag \"--runs\"; did you mean --run?");
    expect_usage_error(PARSE("--rum=/a/rather/long/path"), "did you mean --run?");
    expect_usage_error(PARSE("--completely-different"), "see shoal eval --help");
    ck_assert_ptr_null(strstr(err.text, "did you mean"));
    expect_usage_error(PARSE("-j"), "unknown flag \"-j\"");
    expect_usage_error(PARSE("--ru"), "did you mean --run?");
    expect_usage_error(PARSE("--"), "unknown flag");
}
END_TEST

START_TEST(hidden_flags_work_but_are_never_suggested)
{
    ck_assert_int_eq(PARSE("--report-fd=3", "--supervised"), 0);
    ck_assert_str_eq(pipe_fd, "3");
    ck_assert(is_hidden);
    expect_usage_error(PARSE("--report-f", "3"), "unknown flag");
    ck_assert_ptr_null(strstr(err.text, "did you mean"));
}
END_TEST

START_TEST(missing_and_superfluous_values_are_refused)
{
    expect_usage_error(PARSE("a", "--run"), "--run needs a value: --run DIR");
    expect_usage_error(PARSE("--json=yes"), "--json takes no value");
}
END_TEST

/* What `print` writes to stdout. */
static const char *captured(void (*print)(void))
{
    static char text[2048];
    FILE *file = tmpfile();
    fflush(stdout);
    int saved = dup(1);
    dup2(fileno(file), 1);
    print();
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    return text;
}

static void ask_for_help(void)
{
    ck_assert_int_eq(PARSE("--json", "--help", "--nonsense"), 0);
}

static void ask_briefly(void)
{
    ck_assert_int_eq(PARSE("-h"), 0);
}

START_TEST(help_shows_usage_flags_and_an_example)
{
    const char *text = captured(ask_for_help);
    ck_assert(wants_help);
    ck_assert_msg(strncmp(text, "usage: shoal eval RUN [flags]\n", 30) == 0, "%s", text);
    ck_assert_ptr_nonnull(strstr(text, "Play the last policy of a run."));
    ck_assert_ptr_nonnull(strstr(text, "--run DIR"));
    ck_assert_ptr_nonnull(strstr(text, "where results go"));
    ck_assert_ptr_nonnull(strstr(text, "--json "));
    ck_assert_ptr_nonnull(strstr(text, "example:\n  shoal eval runs/a --json\n"));
    ck_assert_ptr_null(strstr(text, "--report-fd"));
    ck_assert_ptr_nonnull(strstr(captured(ask_briefly), "usage:"));
    ck_assert(wants_help);
}
END_TEST

/* ---- numbers ---- */

START_TEST(whole_numbers_are_read_within_their_range)
{
    long long v = 0;
    ck_assert_int_eq(args_int("--n", "0", 0, 9, &v, &err), 0);
    ck_assert_int_eq(v, 0);
    ck_assert_int_eq(args_int("--n", "9", 0, 9, &v, &err), 0);
    ck_assert_int_eq(v, 9);
    ck_assert_int_eq(args_int("--n", "-12", -20, 9, &v, &err), 0);
    ck_assert_int_eq(v, -12);
    ck_assert_int_eq(args_int("--n", "9223372036854775807", 0, INT64_MAX, &v, &err), 0);
    ck_assert(v == INT64_MAX);
}
END_TEST

START_TEST(what_is_no_whole_number_in_range_is_refused)
{
    static const char *const bad[] = { "", "x", "7x", "7.0", "1e3", "-1", "10", "0x7", "7 ",
                                       "9223372036854775808", "99999999999999999999999" };
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        char words[64];
        long long v = 5;
        snprintf(words, sizeof(words), "--n: expected a whole number from 0 to 9, found \"%s\"",
                 bad[i]);
        expect_usage_error(args_int("--n", bad[i], 0, 9, &v, &err), words);
        ck_assert_int_eq(v, 5);
    }
    long long v;
    expect_usage_error(args_int("--n", "9223372036854775808", 0, INT64_MAX, &v, &err), "--n");
}
END_TEST

START_TEST(decimals_are_read_within_their_range)
{
    double v = 0;
    ck_assert_int_eq(args_real("--x", "0.25", 0, 1, &v, &err), 0);
    ck_assert_double_eq(v, 0.25);
    ck_assert_int_eq(args_real("--x", "1e0", 0, 1, &v, &err), 0);
    ck_assert_double_eq(v, 1);
    ck_assert_int_eq(args_real("--x", "0", 0, 1, &v, &err), 0);
    ck_assert_double_eq(v, 0);
}
END_TEST

START_TEST(what_is_no_decimal_in_range_is_refused)
{
    static const char *const bad[] = { "", "x", "0.5s", "0,5", "nan", "inf", "-inf", "-0.1", "1.01",
                                       "1e999" };
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        double v = 5;
        expect_usage_error(args_real("--x", bad[i], 0, 1, &v, &err),
                           "--x: expected a number from 0 to 1, found");
        ck_assert_double_eq(v, 5);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        arguments_without_dashes_keep_their_order,
        flags_may_stand_anywhere,
        values_may_hold_anything,
        the_last_of_a_repeated_flag_counts,
        a_single_dash_is_an_argument,
        unknown_flags_are_refused_with_the_nearest_known_one,
        hidden_flags_work_but_are_never_suggested,
        missing_and_superfluous_values_are_refused,
        help_shows_usage_flags_and_an_example,
        whole_numbers_are_read_within_their_range,
        what_is_no_whole_number_in_range_is_refused,
        decimals_are_read_within_their_range,
        what_is_no_decimal_in_range_is_refused,
    };
    return suite_run("args", tests, TEST_COUNT(tests), 60);
}
