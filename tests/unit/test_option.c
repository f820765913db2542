#include "common/option.h"

#include <float.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support.h"
#include "tests/unit/option_desk.h"

/* ---- values ---- */

START_TEST(empty_files_give_every_default)
{
    static const char *const empty[] = { "", "\n\n", "# only a comment\n", "---\n", "---\n...\n",
                                         "net:\n", "net: # nothing\nname: \"\"\n", "\xEF\xBB\xBF",
                                         "{}", "net: {}\n" };
    for (size_t i = 0; i < TEST_COUNT(empty); i++) {
        memset(&top, 0x55, sizeof(top));
        memset(&net, 0x55, sizeof(net));
        memset(&place, 0x55, sizeof(place));
        accept_yaml(empty[i]);
        ck_assert_int_eq(top.seed, 1);
        ck_assert_str_eq(top.name, "");
        ck_assert_int_eq(top.mode, 1);
        ck_assert_int_eq(net.hidden.n, 2);
        ck_assert_int_eq(net.hidden.v[1], 256);
        ck_assert(net.gamma == 0.99 && net.eps == 1e-8 && net.free == 0.0);
        ck_assert_int_eq(net.steps, 1000000);
        ck_assert(!net.is_fast);
        ck_assert_str_eq(place.path, "");
    }
}
END_TEST

START_TEST(every_type_is_read_from_yaml)
{
    accept_yaml("seed: 9_223_372_036_854_775_807\n"
           "name: 'runs/\"a\" b: #1'\n"
           "mode: \"async\"\n"
           "net:\n"
           "  hidden: [ 1, 4_096, 1e3 ]\n"
           "  gamma: 1.\n  eps: 1E-30\n"
           "  free: -1_000.5e+3\n"
           "  steps: 1.5e3\n"
           "  any: -9223372036854775808\n"
           "  is_fast: true   # a comment\n");
    ck_assert_int_eq(top.seed, INT64_MAX);
    ck_assert_str_eq(top.name, "runs/\"a\" b: #1");
    ck_assert_int_eq(top.mode, 2);
    ck_assert_int_eq(net.hidden.n, 3);
    ck_assert_int_eq(net.hidden.v[0], 1);
    ck_assert_int_eq(net.hidden.v[1], 4096);
    ck_assert_int_eq(net.hidden.v[2], 1000);
    ck_assert(net.gamma == 1.0 && net.eps == 1e-30 && net.free == -1000500.0);
    ck_assert_int_eq(net.steps, 1500);
    ck_assert_int_eq(net.any, INT64_MIN);
    ck_assert(net.is_fast);
}
END_TEST

START_TEST(byte_order_mark_crlf_block_lists_and_dotted_keys_are_accepted)
{
    accept_yaml("\xEF\xBB\xBFnet.gamma: 0.5\r\nnet:\r\n  hidden:\r\n  - 7\r\n  - 8\r\nseed: 3\r\n");
    ck_assert(net.gamma == 0.5);
    ck_assert_int_eq(net.hidden.v[1], 8);
    ck_assert_int_eq(top.seed, 3);
    accept_yaml("net:\r  gamma: .25\r  hidden: []\r");
    ck_assert(net.gamma == 0.25);
    ck_assert_int_eq(net.hidden.n, 0);
}
END_TEST

START_TEST(integers_are_decimal_and_exact)
{
    static const struct { const char *text; int64_t value; } good[] = {
        { "0", 0 }, { "-0", 0 }, { "+7", 7 }, { "1e6", 1000000 }, { "1.5e1", 15 },
        { "100e-2", 1 }, { "0.05e2", 5 }, { "20_000", 20000 }, { "0e999999999999", 0 },
        { "9007199254740993", 9007199254740993 }, { "922337203685477580.7e1", INT64_MAX },
    };
    for (size_t i = 0; i < TEST_COUNT(good); i++) {
        char text[80];
        snprintf(text, sizeof(text), "net.any: %s", good[i].text);
        accept_yaml(text);
        ck_assert_int_eq(net.any, good[i].value);
    }
    static const char *const bad[] = { "1.5", "1e-1", "9223372036854775808", "1e19", "-1e99999999",
                                       "-9223372036854775809", "0x10", "0o17", "017", "1__0",
                                       "_1", "1_", "1_e3", "1e", "e3", ".", "-", "+-1", "1 2",
                                       "1:30", ".inf", "nan", "~", "three", "1e3.0", "0.05e1" };
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        char text[80];
        struct error err = { 0 };
        snprintf(text, sizeof(text), "net.any: %s", bad[i]);
        ck_assert_msg(parse_bytes(text, strlen(text), &err) == ERR_CONFIG, "accepted: %s", text);
    }
    struct error err = { 0 };
    accept_yaml("net.wide: 9007199254740992");
    ck_assert_int_eq(parse_bytes("net.wide: 9007199254740993", 26, &err), ERR_CONFIG);
    ck_assert_int_eq(parse_bytes("net.wide: -9007199254740993", 27, &err), ERR_CONFIG);
    char *longest = repeat("net.any: 1.", "0", strlen("net.any: ") + 63);
    accept_yaml(longest);
    free(longest);
    char *longer = repeat("net.any: 1.", "0", strlen("net.any: ") + 64);
    ck_assert_int_eq(parse_bytes(longer, strlen(longer), &err), ERR_CONFIG);
    free(longer);
}
END_TEST

START_TEST(wrong_values_say_what_was_expected)
{
    static const struct refusal cases[] = {
        { "net:\n  gamma: fast\n",
          "a.yaml:2:10: net.gamma: expected a number from 0 to 1, found \"fast\"" },
        { "net: { gamma: 2 }",
          "a.yaml:1:15: net.gamma: expected a number from 0 to 1, found \"2\"" },
        { "net.gamma: .nan", "a.yaml:1:12: net.gamma: expected a number from 0 to 1, found"
                             " \".nan\"" },
        { "net.free: 1e999", "a.yaml:1:11: net.free: expected a number, found \"1e999\"" },
        { "net.free: 0x1p3", "a.yaml:1:11: net.free: expected a number, found \"0x1p3\"; write it"
                             " in decimal, without leading zeros" },
        { "net.gamma: '0.5'", "a.yaml:1:12: net.gamma: expected a number from 0 to 1, found \"0.5\""
                              " in quotes; drop the quotes" },
        { "net.gamma:\n", "a.yaml:1:11: net.gamma: expected a number from 0 to 1, found nothing" },
        { "seed: -1", "a.yaml:1:7: seed: expected an integer at least 0, found \"-1\"" },
        { "seed: \"3\"",
          "a.yaml:1:7: seed: expected an integer at least 0, found \"3\" in quotes; drop the"
          " quotes" },
        { "seed: 010", "a.yaml:1:7: seed: expected an integer at least 0, found \"010\"; write it"
                       " in decimal, without leading zeros" },
        { "net.steps: 2e9",
          "a.yaml:1:12: net.steps: expected an integer from 1 to 1e9, found \"2e9\"" },
        { "net.any: 1.5", "a.yaml:1:10: net.any: expected an integer, found \"1.5\"" },
        { "net.is_fast: yes",
          "a.yaml:1:14: net.is_fast: expected true or false, found \"yes\"; write true" },
        { "net.is_fast: Off",
          "a.yaml:1:14: net.is_fast: expected true or false, found \"Off\"; write false" },
        { "net.is_fast: True",
          "a.yaml:1:14: net.is_fast: expected true or false, found \"True\"; write true" },
        { "net.is_fast: \"true\"", "a.yaml:1:14: net.is_fast: expected true or false, found"
                                   " \"true\" in quotes; drop the quotes" },
        { "net.is_fast: maybe",
          "a.yaml:1:14: net.is_fast: expected true or false, found \"maybe\"" },
        { "mode: asink", "a.yaml:1:7: mode: expected sync, pipelined or async, found \"asink\"; did"
                         " you mean \"async\"?" },
        { "mode: 7", "a.yaml:1:7: mode: expected sync, pipelined or async, found \"7\"" },
        { "mode: [sync]", "a.yaml:1:7: mode: expected sync, pipelined or async, found a list" },
        { "seed:\n  x: 1", "a.yaml:2:3: seed: expected an integer at least 0, found a mapping" },
        { "net.hidden: 256,256", "a.yaml:1:13: net.hidden: expected a list like [8, 8] of integers"
                                 " from 1 to 4096, found \"256,256\"" },
        { "net:\n  hidden: [256, x]\n", "a.yaml:2:17: net.hidden, element 2: expected an integer"
                                        " from 1 to 4096, found \"x\"" },
        { "net:\n  hidden:\n  - 1\n  - 0\n", "a.yaml:4:5: net.hidden, element 2: expected an"
                                             " integer from 1 to 4096, found \"0\"" },
        { "net.hidden: [1,2,3,4,5,6,7,8,9]",
          "a.yaml:1:30: net.hidden, element 9: expected at most 8 integers, found more" },
        { "net.hidden: [1, [2]]",
          "a.yaml:1:17: net.hidden: expected an integer, found a list" },
        { "net.hidden: [1, a: 2]",
          "a.yaml:1:17: net.hidden: expected an integer, found a mapping" },
    };
    REFUSE_ALL(cases);
}
END_TEST

START_TEST(text_is_bounded_printable_and_never_null)
{
    static const struct refusal cases[] = {
        { "name: ~", "a.yaml:1:7: name: expected printable text of at most 255 bytes, found \"~\";"
                     " put it in quotes (\"\" is the empty text)" },
        { "name:", "a.yaml:1:6: name: expected printable text of at most 255 bytes, found nothing;"
                   " put it in quotes (\"\" is the empty text)" },
        { "name: \"a\\x07b\\0\"",
          "a.yaml:1:7: name: expected printable text of at most 255 bytes, found \"a?b?\"" },
        { "name: |\n  two\n  lines\n",
          "a.yaml:1:7: name: expected printable text of at most 255 bytes, found \"two?lines?\"" },
        { "place: { path: '' }", "a.yaml:1:16: place.path: expected printable text of at most 255"
                                 " bytes, found \"\"; it is required" },
    };
    REFUSE_ALL(cases);

    char text[400] = "name: ";
    memset(text + 6, 'x', OPTION_TEXT_BYTES - 1);
    accept_yaml(text);
    ck_assert_uint_eq(strlen(top.name), OPTION_TEXT_BYTES - 1);
    text[strlen(text)] = 'x';
    refuse_yaml(text, "a.yaml:1:7: name: expected printable text of at most 255 bytes, found"
                 " \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\"");
    accept_yaml("name: no");
    ck_assert_str_eq(top.name, "no");
    accept_yaml("name: 12");
    ck_assert_str_eq(top.name, "12");
}
END_TEST

/* ---- names ---- */

START_TEST(unknown_names_suggest_the_nearest)
{
    static const struct refusal cases[] = {
        { "net:\n  gama: 1\n",
          "a.yaml:2:3: unknown key \"gama\" in section \"net\"; did you mean \"gamma\"?" },
        { "net:\n  agmma: 1\n",
          "a.yaml:2:3: unknown key \"agmma\" in section \"net\"; did you mean \"gamma\"?" },
        { "net:\n  temperature: 1\n", "a.yaml:2:3: unknown key \"temperature\" in section"
                                      " \"net\"" },
        { "net:\n  net.gamma: 1\n", "a.yaml:2:3: unknown key \"net.gamma\" in section \"net\"" },
        { "sed: 1", "a.yaml:1:1: unknown key \"sed\"; did you mean \"seed\"?" },
        { "nett:\n  gamma: 1\n", "a.yaml:1:1: unknown key \"nett\"; did you mean \"net\"?" },
        { "seed: 1\ngamma: 1", "a.yaml:2:1: unknown key \"gamma\"; did you mean \"net.gamma\"?" },
        { "nte.gamma: 1", "a.yaml:1:1: unknown section \"nte\"; did you mean \"net\"?" },
        { "learner.gamma: 1", "a.yaml:1:1: unknown section \"learner\"" },
        { "net.gama: 1", "a.yaml:1:1: unknown key \"gama\" in section \"net\"; did you mean"
                         " \"gamma\"?" },
        { ".seed: 1", "a.yaml:1:1: unknown section \"\"" },
        { "'': 1", "a.yaml:1:1: unknown key \"\"" },
        { "\"se\\0ed\": 1", "a.yaml:1:1: unknown key \"se?ed\"; did you mean \"seed\"?" },
    };
    REFUSE_ALL(cases);
}
END_TEST

START_TEST(names_given_twice_name_both_lines)
{
    static const struct refusal cases[] = {
        { "seed: 1\nseed: 1", "a.yaml:2:1: seed is given twice; first on line 1" },
        { "net:\n  gamma: 1\n  eps: 0\n  gamma: 1\n",
          "a.yaml:4:3: net.gamma is given twice; first on line 2" },
        { "net:\n  gamma: 1\nnet.gamma: 1\n",
          "a.yaml:3:1: net.gamma is given twice; first on line 2" },
        { "net.gamma: 1\nnet:\n  gamma: 1\n",
          "a.yaml:3:3: net.gamma is given twice; first on line 1" },
        { "net:\n  gamma: 1\n\nnet:\n  eps: 0\n",
          "a.yaml:4:1: section net is given twice; first on line 1" },
    };
    REFUSE_ALL(cases);
    accept_yaml("net.gamma: 1\nnet:\n  eps: 0\n");
}
END_TEST

START_TEST(structure_is_keys_and_one_level_of_sections)
{
    static const struct refusal cases[] = {
        { "just words", "a.yaml:1:1: expected \"key: value\" lines, found \"just words\"" },
        { "- seed\n", "a.yaml:1:1: expected \"key: value\" lines, found a list" },
        { "net: 3", "a.yaml:1:6: section net: expected keys indented below it, found \"3\"" },
        { "net: ''", "a.yaml:1:6: section net: expected keys indented below it, found \"\"" },
        { "net:\n- gamma\n",
          "a.yaml:2:1: section net: expected keys indented below it, found a list" },
        { "? [a]\n: 1\n", "a.yaml:1:3: expected a key, found a list" },
        { "net:\n  ? {a: 1}\n  : 1\n", "a.yaml:2:5: expected a key, found a mapping" },
    };
    REFUSE_ALL(cases);
}
END_TEST

START_TEST(required_options_are_asked_for_unless_their_section_is_hidden)
{
    accept_yaml("seed: 1");
    struct option_section shown[N_SECTIONS];
    memcpy(shown, sections, sizeof(shown));
    shown[2].is_hidden = false;
    struct error err = { 0 };
    ck_assert_int_eq(options_parse(shown, N_SECTIONS, "a.yaml", "seed: 1", 7, &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "a.yaml: place.path is required (printable text of at most 255"
                               " bytes);"
                               " write \"path: ...\" in section place or give place.path=...");
    ck_assert_int_eq(options_load(shown, N_SECTIONS, NULL, NULL, NULL, 0, &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "place.path is required (printable text of at most 255 bytes);"
                               " give place.path=...");
    shown[2].name = "";
    ck_assert_int_eq(options_parse(shown + 2, 1, "a.yaml", "", 0, &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "a.yaml: path is required (printable text of at most 255 bytes);"
                               " write \"path: ...\" at the top level or give path=...");
    shown[2].name = "place";
    char given[] = "place.path=/tmp/x";
    ck_assert_int_eq(options_load(shown, N_SECTIONS, NULL, NULL, (char *[]){ given }, 1, &err), 0);
    ck_assert_str_eq(place.path, "/tmp/x");
}
END_TEST

/* ---- overrides ---- */

START_TEST(overrides_follow_the_file_and_the_last_one_wins)
{
    char directory[200], path[300];
    struct error err = { 0 };
    test_directory("option", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/a.yaml", directory);
    test_write(path, "seed: 5\nnet: {gamma: 0.5}\n", 26);
    ck_assert_msg(load(path, &err, "seed=6", "seed=7") == 0, "%s", err.text);
    ck_assert_int_eq(top.seed, 7);
    ck_assert(net.gamma == 0.5);
    ck_assert_int_eq(load(path, &err, "net.hidden=64, 32", "name=a=b: \"c\" ~ #"), 0);
    ck_assert_int_eq(net.hidden.v[0] + net.hidden.v[1], 96);
    ck_assert_str_eq(top.name, "a=b: \"c\" ~ #");
    ck_assert_int_eq(load(NULL, &err, "net.hidden=[512]", "net.is_fast=true"), 0);
    ck_assert_int_eq(net.hidden.n, 1);
    ck_assert_int_eq(net.hidden.v[0], 512);
    ck_assert(net.is_fast);
    ck_assert_int_eq(load(NULL, &err, "net.hidden=[]", "name="), 0);
    ck_assert_int_eq(net.hidden.n, 0);
    ck_assert_str_eq(top.name, "");
}
END_TEST

START_TEST(wrong_overrides_are_quoted)
{
    refuse_override("net.gamma=2",
                    "override \"net.gamma=2\": expected a number from 0 to 1, found \"2\"");
    refuse_override("net.gamma=",
                    "override \"net.gamma=\": expected a number from 0 to 1, found nothing");
    refuse_override("seed", "override \"seed\": expected key=value");
    refuse_override("=3", "override \"=3\": expected key=value");
    refuse_override("", "override \"\": expected key=value");
    refuse_override("net=3",
                    "override \"net=3\": \"net\" is a section; name a key in it: net.key=value");
    refuse_override("net.gama=1", "override \"net.gama=1\": unknown key \"gama\" in section"
                                  " \"net\"; did you mean \"gamma\"?");
    refuse_override("gamma=1",
                    "override \"gamma=1\": unknown key \"gamma\"; did you mean \"net.gamma\"?");
    refuse_override("net.hidden=256,x", "override \"net.hidden=256,x\": element 2: expected an"
                                        " integer from 1 to 4096, found \"x\"");
    refuse_override("net.hidden=", "override \"net.hidden=\": expected a list like [8, 8] of"
                                   " integers from 1 to 4096, found nothing");
    refuse_override("name=\xFF\n", "override \"name=??\": expected printable text of at most 255"
                                   " bytes, found \"??\"");
    refuse_override("net.is_fast=on",
                    "override \"net.is_fast=on\": expected true or false, found \"on\"; write"
                    " true");
}
END_TEST

START_TEST(overrides_hold_printable_utf8_only)
{
    static const char *const bad[] = {
        "name=\xC0\xAF", "name=\xE0\x80\xAF", "name=\xED\xA0\x80", "name=\xE2\x80\xA8",
        "name=\xEF\xBB\xBF", "name=\x7F", "name=\xC2\x85", "name=\xE2\x80", "name=\x80",
        "name=\xF4\x90\x80\x80", "name=\xEF\xBF\xBE", "name=a\tb", "name=a\nb",
    };
    struct error err;
    for (size_t i = 0; i < TEST_COUNT(bad); i++)
        ck_assert_msg(load(NULL, &err, bad[i], NULL) == ERR_CONFIG, "case %zu", i);
    ck_assert_int_eq(load(NULL, &err, "name=\xC2\xA0\xE2\x82\xAC\xF0\x9F\x90\x9F", NULL), 0);
    check_fixed_point();
    refuse_yaml("name: \"\\u2028\"", "a.yaml:1:7: name: expected printable text of at most 255 bytes,"
                                " found \"???\"");
}
END_TEST

START_TEST(errors_may_be_ignored)
{
    ck_assert_int_eq(parse_bytes("seed: x", 7, NULL), ERR_CONFIG);
    ck_assert_int_eq(load("/nowhere/a.yaml", NULL, NULL, NULL), ERR_MISSING);
    ck_assert_int_eq(load(NULL, NULL, "seed=x", NULL), ERR_CONFIG);
}
END_TEST

/* ---- printing ---- */

START_TEST(printing_is_aligned_and_explains)
{
    accept_yaml("mode: async\nnet: { gamma: 0.995, hidden: [64], free: 3e2 }\nplace: { path: /tmp }");
    char *text = print_to_text(true);
    ck_assert_str_eq(text,
        "# A test\n"
        "seed: 1      # random seed [at least 0]\n"
        "name: \"\"     # label of the run\n"
        "mode: async  # how actors and learner meet [sync, pipelined or async] (default"
        " pipelined)\n"
        "\n"
        "# The network\n"
        "net:\n"
        "  hidden: [64]    # units of the hidden layers [1 to 4096] (default [256, 256])\n"
        "  gamma: 0.995    # discount [0 to 1] (default 0.99)\n"
        "  eps: 1.0e-08    # added to the root [0 to 1]\n"
        "  free: 300       # any finite number (default 0)\n"
        "  steps: 1000000  # environment steps [1 to 1e9]\n"
        "  any: 0          # any integer\n"
        "  count: 10       # a bounded count [10 to 86400]\n"
        "  wide: 0         # up to 2^53 [-9007199254740992 to 9007199254740992]\n"
        "  is_fast: false  # hurry\n");
    free(text);
    text = print_to_text(false);
    ck_assert_ptr_null(strchr(text, '#'));
    ck_assert_ptr_nonnull(strstr(text, "\nnet:\n  hidden: [64]\n  gamma: 0.995\n"));
    free(text);
}
END_TEST

START_TEST(required_options_are_marked_in_print)
{
    struct option_section shown = sections[2];
    shown.is_hidden = false;
    options_default(&shown, 1);
    char text[200] = "";
    FILE *out = fmemopen(text, sizeof(text), "w");
    options_print(&shown, 1, true, out);
    fclose(out);
    ck_assert_str_eq(text, "# Files\nplace:\n  path: \"\"  # where results go (required)\n");
}
END_TEST

START_TEST(printed_values_are_read_back_exactly)
{
    static const double reals[] = { 0.1, 1.0 / 3, -0.0, 1e-300, 5e-324, DBL_MAX, -DBL_MIN, 1e22,
                                    123456789.125, 3e-4, 1e5, 1e15, 1e16, M_PI };
    static const char *const texts[] = { "", "plain", "a b", "tcp://127.0.0.1:5555", "no", "null",
                                         "~", "12", "\"", "\\", "a\\\"b\\", "'", "# x", "a: b",
                                         "- a", "\xC3\xA9t\xC3\xA9", " padded ", "%x", "!t", "a#b",
                                         "\xF0\x9F\x90\x9F", "{}", "---", "..." };
    accept_yaml("");
    for (size_t i = 0; i < TEST_COUNT(reals); i++) {
        net.free = reals[i];
        check_fixed_point();
        ck_assert(memcmp(&net.free, &reals[i], sizeof(double)) == 0);
    }
    for (size_t i = 0; i < TEST_COUNT(texts); i++) {
        snprintf(top.name, sizeof(top.name), "%s", texts[i]);
        check_fixed_point();
        ck_assert_str_eq(top.name, texts[i]);
    }
    memset(top.name, '\\', OPTION_TEXT_BYTES - 1);
    check_fixed_point();
    ck_assert_uint_eq(strspn(top.name, "\\"), OPTION_TEXT_BYTES - 1);
    top.seed = INT64_MAX;
    net.any = INT64_MIN;
    net.is_fast = true;
    net.hidden = (struct option_ints){ 8, { 1, 2, 3, 4, 5, 6, 7, 4096 } };
    check_fixed_point();
    ck_assert_int_eq(top.seed, INT64_MAX);
    ck_assert_int_eq(net.any, INT64_MIN);
    ck_assert(net.is_fast);
    ck_assert_int_eq(net.hidden.v[7], 4096);
}
END_TEST

START_TEST(wrong_default_in_a_table_aborts)
{
    static const struct option bad = { "seed", OPTION_INT, 0, "x", 0, 1, NULL, "bad" };
    const struct option_section s = { "", "", &bad, 1, &top, false, false, NULL, NULL, NULL };
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        options_default(&s, 1);
        _exit(0);
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

/* ---- words ---- */

START_TEST(nearest_word_forgives_a_third_of_the_letters)
{
    static const char *const words[] = { "gamma", "tau", "batch_size", "lr", "x" };
    enum { N = TEST_COUNT(words) };
    ck_assert_str_eq(nearest_word("gama", words, N), "gamma");
    ck_assert_str_eq(nearest_word("GAMMA", words, N), "gamma");
    ck_assert_str_eq(nearest_word("agmma", words, N), "gamma");
    ck_assert_str_eq(nearest_word("batchsize", words, N), "batch_size");
    ck_assert_str_eq(nearest_word("batch", words + 2, 1) ? "near" : "far", "far");
    ck_assert_str_eq(nearest_word("rl", words, N), "lr");
    ck_assert_str_eq(nearest_word("tua", words, N), "tau");
    ck_assert_ptr_null(nearest_word("y", words, N));
    ck_assert_ptr_null(nearest_word("", words, N));
    ck_assert_ptr_null(nearest_word("policy", words, N));
    ck_assert_ptr_null(nearest_word("gamma", words, 0));
    char *word = repeat("", "gamma", 100000);
    ck_assert_ptr_null(nearest_word(word, words, N));
    free(word);
}
END_TEST

START_TEST(choice_names_are_found_by_index)
{
    char name[8];
    option_choice_name(&sections[0].options[2], 2, name, sizeof(name));
    ck_assert_str_eq(name, "async");
    option_choice_name(&sections[0].options[2], 1, name, sizeof(name));
    ck_assert_str_eq(name, "pipelin");
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        empty_files_give_every_default,
        every_type_is_read_from_yaml,
        byte_order_mark_crlf_block_lists_and_dotted_keys_are_accepted,
        integers_are_decimal_and_exact,
        wrong_values_say_what_was_expected,
        text_is_bounded_printable_and_never_null,
        unknown_names_suggest_the_nearest,
        names_given_twice_name_both_lines,
        structure_is_keys_and_one_level_of_sections,
        required_options_are_asked_for_unless_their_section_is_hidden,
        overrides_follow_the_file_and_the_last_one_wins,
        wrong_overrides_are_quoted,
        overrides_hold_printable_utf8_only,
        errors_may_be_ignored,
        printing_is_aligned_and_explains,
        required_options_are_marked_in_print,
        printed_values_are_read_back_exactly,
        wrong_default_in_a_table_aborts,
        nearest_word_forgives_a_third_of_the_letters,
        choice_names_are_found_by_index,
    };
    return suite_run("option", tests, TEST_COUNT(tests), 30);
}
