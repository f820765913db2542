#include "common/option.h"

#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support.h"

/* ---- a small configuration of our own ---- */

struct top {
    int64_t seed;
    char name[OPTION_TEXT_BYTES];
    int mode;
};

struct net {
    struct option_ints hidden;
    double gamma, eps, free;
    int64_t steps, any, count, wide;
    bool is_fast;
};

struct place {
    char path[OPTION_TEXT_BYTES];
};

static struct top top;
static struct net net;
static struct place place;

static const struct option top_options[] = {
    { "seed", OPTION_INT, offsetof(struct top, seed), "1", 0, 0x1p63, NULL, "random seed" },
    { "name", OPTION_TEXT, offsetof(struct top, name), "", 0, 0, NULL, "label of the run" },
    { "mode", OPTION_CHOICE, offsetof(struct top, mode), "pipelined", 0, 0, "sync|pipelined|async",
      "how actors and learner meet" },
};

static const struct option net_options[] = {
    { "hidden", OPTION_INTS, offsetof(struct net, hidden), "256,256", 1, 4096, NULL,
      "units of the hidden layers" },
    { "gamma", OPTION_REAL, offsetof(struct net, gamma), "0.99", 0, 1, NULL, "discount" },
    { "eps", OPTION_REAL, offsetof(struct net, eps), "1e-8", 0, 1, NULL, "added to the root" },
    { "free", OPTION_REAL, offsetof(struct net, free), "0", -HUGE_VAL, HUGE_VAL, NULL,
      "any finite number" },
    { "steps", OPTION_INT, offsetof(struct net, steps), "1e6", 1, 1e9, NULL, "environment steps" },
    { "any", OPTION_INT, offsetof(struct net, any), "0", -0x1p63, 0x1p63, NULL, "any integer" },
    { "count", OPTION_INT, offsetof(struct net, count), "10", 10, 86400, NULL, "a bounded count" },
    { "wide", OPTION_INT, offsetof(struct net, wide), "0", -0x1p53, 0x1p53, NULL, "up to 2^53" },
    { "is_fast", OPTION_BOOL, offsetof(struct net, is_fast), "false", 0, 0, NULL, "hurry" },
};

static const struct option place_options[] = {
    { "path", OPTION_TEXT, offsetof(struct place, path), NULL, 0, 0, NULL, "where results go" },
};

#define N_OPTIONS(table) ((int)TEST_COUNT(table))

static const struct option_section sections[] = {
    { "", "A test", top_options, N_OPTIONS(top_options), &top, false, false, NULL, NULL, NULL },
    { "net", "The network", net_options, N_OPTIONS(net_options), &net, false, false, NULL, NULL, NULL },
    { "place", "Files", place_options, N_OPTIONS(place_options), &place, true, false, NULL, NULL, NULL },
};
enum { N_SECTIONS = 3 };

static int parse_bytes(const char *text, size_t bytes, struct error *err)
{
    return options_parse(sections, N_SECTIONS, "a.yaml", text, bytes, err);
}

static void accept(const char *text)
{
    struct error err = { 0 };
    ck_assert_msg(parse_bytes(text, strlen(text), &err) == 0, "%s", err.text);
}

static void refuse(const char *text, const char *expected)
{
    struct error err = { 0 };
    ck_assert_msg(parse_bytes(text, strlen(text), &err) == ERR_CONFIG, "accepted: %s", text);
    ck_assert_int_eq(err.code, ERR_CONFIG);
    ck_assert_str_eq(err.text, expected);
}

struct refusal {
    const char *text, *error;
};

static void refuse_all(const struct refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        refuse(cases[i].text, cases[i].error);
}

#define REFUSE_ALL(cases) refuse_all(cases, TEST_COUNT(cases))

static int load(const char *path, struct error *err, const char *a, const char *b)
{
    char *overrides[2];
    int n = 0;
    if (a)
        overrides[n++] = strdup(a);
    if (b)
        overrides[n++] = strdup(b);
    int rc = options_load(sections, N_SECTIONS, NULL, path, overrides, n, err);
    while (n > 0)
        free(overrides[--n]);
    return rc;
}

static void refuse_override(const char *override, const char *expected)
{
    struct error err = { 0 };
    ck_assert_msg(load(NULL, &err, override, NULL) == ERR_CONFIG, "accepted: %s", override);
    ck_assert_str_eq(err.text, expected);
}

static char *print_to_text(bool with_comments)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    options_print(sections, N_SECTIONS, with_comments, out);
    fclose(out);
    return text;
}

/* A text of `bytes` that repeats `unit` after `head`. */
static char *repeat(const char *head, const char *unit, size_t bytes)
{
    char *text = malloc(bytes + 1);
    size_t used = (size_t)snprintf(text, bytes + 1, "%s", head), n = strlen(unit);
    for (; used + n <= bytes; used += n)
        memcpy(text + used, unit, n);
    text[used] = '\0';
    return text;
}

/* Parse, print, parse, print: both prints are the same. */
static void check_fixed_point(void)
{
    for (int with_comments = 0; with_comments < 2; with_comments++) {
        char *first = print_to_text(with_comments);
        accept(first);
        char *second = print_to_text(with_comments);
        ck_assert_str_eq(first, second);
        free(first);
        free(second);
    }
}

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
        accept(empty[i]);
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
    accept("seed: 9_223_372_036_854_775_807\n"
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
    accept("\xEF\xBB\xBFnet.gamma: 0.5\r\nnet:\r\n  hidden:\r\n  - 7\r\n  - 8\r\nseed: 3\r\n");
    ck_assert(net.gamma == 0.5);
    ck_assert_int_eq(net.hidden.v[1], 8);
    ck_assert_int_eq(top.seed, 3);
    accept("net:\r  gamma: .25\r  hidden: []\r");
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
        accept(text);
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
    accept("net.wide: 9007199254740992");
    ck_assert_int_eq(parse_bytes("net.wide: 9007199254740993", 26, &err), ERR_CONFIG);
    ck_assert_int_eq(parse_bytes("net.wide: -9007199254740993", 27, &err), ERR_CONFIG);
    char *longest = repeat("net.any: 1.", "0", strlen("net.any: ") + 63);
    accept(longest);
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
    accept(text);
    ck_assert_uint_eq(strlen(top.name), OPTION_TEXT_BYTES - 1);
    text[strlen(text)] = 'x';
    refuse(text, "a.yaml:1:7: name: expected printable text of at most 255 bytes, found"
                 " \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\"");
    accept("name: no");
    ck_assert_str_eq(top.name, "no");
    accept("name: 12");
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
    accept("net.gamma: 1\nnet:\n  eps: 0\n");
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
    accept("seed: 1");
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

/* ---- YAML that is none, or too much ---- */

START_TEST(bad_yaml_is_located)
{
    static const struct refusal cases[] = {
        { "net:\n  hidden: [1, 2\n",
          "a.yaml:3:1: not YAML: did not find expected ',' or ']' (while parsing a flow sequence"
          " that begins at line 2, column 11)" },
        { "name: 'open\n",
          "a.yaml:2:1: not YAML: found unexpected end of stream (while scanning a quoted scalar"
          " that begins at line 1, column 7)" },
        { "seed: 1\nname: a b: c\n",
          "a.yaml:2:10: not YAML: mapping values are not allowed in this context" },
        { "net:\n\tgamma: 1\n", "a.yaml:2:1: a tab in the indentation; YAML takes spaces only" },
        { "net:\n  gamma: 1\n  \teps: 1\n",
          "a.yaml:3:3: a tab in the indentation; YAML takes spaces only" },
        { "seed: 1\nname: b\x01\n", "a.yaml:2:8: control character 0x01 is not accepted" },
        { "seed: 1\r\nname: \xC3\xA9\xFF\r\n",
          "a.yaml:2:8: not UTF-8 text: invalid leading UTF-8 octet" },
        { "name: a\xE2\x80\xA8seed: 1", "a.yaml:1:8: a Unicode line separator is not accepted" },
        { "seed: @1", "a.yaml:1:7: not YAML: found character that cannot start any token (while"
                      " scanning for the next token that begins at line 1, column 7)" },
    };
    REFUSE_ALL(cases);
}
END_TEST

START_TEST(nul_bytes_and_other_encodings_are_refused)
{
    struct error err = { 0 };
    static const char nul[] = "seed: 1\n\0seed: 2\n";
    ck_assert_int_eq(parse_bytes(nul, sizeof(nul) - 1, &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "a.yaml:2:1: control character 0x00 is not accepted");
    static const char utf16[] = "\xFF\xFEs\0e\0e\0d\0:\0 \0" "1\0";
    ck_assert_int_eq(parse_bytes(utf16, sizeof(utf16) - 1, &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "a.yaml:1:1: not UTF-8 text: invalid leading UTF-8 octet");
}
END_TEST

START_TEST(yaml_features_beyond_plain_data_are_refused)
{
    static const struct refusal cases[] = {
        { "seed: &a 1", "a.yaml:1:7: anchors (&name) are not accepted; remove it" },
        { "net: &a\n  gamma: 1", "a.yaml:1:6: anchors (&name) are not accepted; remove it" },
        { "net.hidden: &a [1]", "a.yaml:1:13: anchors (&name) are not accepted; remove it" },
        { "seed: *a", "a.yaml:1:7: aliases (*name) are not accepted; write the value out" },
        { "seed: !!int 1", "a.yaml:1:7: tags (!name) are not accepted; remove it" },
        { "seed: ! 1", "a.yaml:1:7: tags (!name) are not accepted; remove it" },
        { "!x {seed: 1}", "a.yaml:1:1: tags (!name) are not accepted; remove it" },
        { "net:\n  <<: {gamma: 1}\n",
          "a.yaml:2:3: merge keys (<<) are not accepted; write the keys out" },
        { "%YAML 1.1\n---\nseed: 1\n",
          "a.yaml:1:1: directives (%YAML, %TAG) are not accepted" },
        { "seed: 1\n---\nseed: 2\n", "a.yaml:2:1: a second document; a configuration is one" },
    };
    REFUSE_ALL(cases);
}
END_TEST

START_TEST(alias_bomb_is_refused_at_its_first_anchor)
{
    refuse("a: &a [x, x, x, x, x, x, x, x, x]\n"
           "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
           "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
           "seed: *c\n",
           "a.yaml:1:1: unknown key \"a\"");
    refuse("seed: &a [x, x]\nname: *a", "a.yaml:1:7: anchors (&name) are not accepted; remove it");
}
END_TEST

START_TEST(deep_nesting_is_refused_where_it_begins)
{
    char *text = repeat("", "[", 100000);
    refuse(text, "a.yaml:1:1: expected \"key: value\" lines, found a list");
    free(text);
    text = repeat("net:\n  hidden: ", "[\n", 100000);
    refuse(text, "a.yaml:3:1: net.hidden: expected an integer, found a list");
    free(text);
    text = repeat("", "net: {", 100000);
    refuse(text, "a.yaml:1:7: unknown key \"net\" in section \"net\"");
    free(text);
}
END_TEST

START_TEST(hostile_text_costs_little_time_and_memory)
{
    static const char *const heads[] = { "", "name: ", "name: \"", "name: '", "name: |\n", "net:\n",
                                         "net.hidden: " };
    static const char *const units[] = {
        "[", "[\n", "{", "{a: ", "- ", "-\n", "? ", "?\n", ": ", "a: ", "a: 1\n", "&a ", "&a\n",
        "*a ", "!a ", "!", "#", "#\n", "\n", " ", "\r", "\t", "a", "a\n", " a\n", "'", "''", "\"",
        "\\n", "\\u00e9", "%TAG !a! b\n", "%\n", "---\n", "...\n", ",", "1,", "[1],", "\xC3\xA9",
        "\xC2\x85", "|\n ", ">\n\n", "<<: ", "a:\n ", "x", "1_", "0"
    };
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (size_t h = 0; h < TEST_COUNT(heads); h++) {
        for (size_t u = 0; u < TEST_COUNT(units); u++) {
            char *text = repeat(heads[h], units[u], 1 << 18);
            clock_t start = clock();
            struct error err;
            parse_bytes(text, strlen(text), &err);
            double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
            ck_assert_msg(seconds < 0.5, "\"%s\" and \"%s\" took %g s", heads[h], units[u],
                seconds);
            free(text);
        }
    }
    getrusage(RUSAGE_SELF, &after);
#ifndef __SANITIZE_ADDRESS__    /* which keeps freed memory */
    ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 64 << 10);
#endif
}
END_TEST

/* ---- files ---- */

START_TEST(files_that_cannot_be_read_say_so)
{
    char directory[200], path[300], expected[600];
    struct error err = { 0 };
    test_directory("option", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/a.yaml", directory);

    ck_assert_int_eq(load(path, &err, NULL, NULL), ERR_MISSING);
    snprintf(expected, sizeof(expected), "%s: cannot be opened: No such file or directory", path);
    ck_assert_str_eq(err.text, expected);
    ck_assert_int_eq(err.code, ERR_MISSING);

    ck_assert_int_eq(load(directory, &err, NULL, NULL), ERR_IO);
    snprintf(expected, sizeof(expected), "%s: expected a YAML file, found a directory", directory);
    ck_assert_str_eq(err.text, expected);

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(load(path, &err, NULL, NULL), ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "found something that is not a file"));
    unlink(path);

    test_write(path, "seed: 1", 7);
    chmod(path, 0);
    if (geteuid() != 0) {
        ck_assert_int_eq(load(path, &err, NULL, NULL), ERR_IO);
        ck_assert_ptr_nonnull(strstr(err.text, "cannot be opened: Permission denied"));
    }
}
END_TEST

START_TEST(files_over_one_mebibyte_are_refused_quickly)
{
    char directory[200], path[300];
    struct error err = { 0 };
    test_directory("option", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/a.yaml", directory);
    char *text = repeat("seed: 7\n", "# comment\n", 10000000);
    test_write(path, text, strlen(text));
    clock_t start = clock();
    ck_assert_int_eq(load(path, &err, NULL, NULL), ERR_CONFIG);
    ck_assert(clock() - start < CLOCKS_PER_SEC / 2);
    ck_assert_ptr_nonnull(strstr(err.text, "a.yaml: a configuration is at most 1048576 bytes"));
    ck_assert_int_eq(truncate(path, 1 << 20), 0);
    ck_assert_msg(load(path, &err, NULL, NULL) == 0, "%s", err.text);
    ck_assert_int_eq(top.seed, 7);
    ck_assert_int_eq(truncate(path, (1 << 20) + 1), 0);
    ck_assert_int_eq(load(path, &err, NULL, NULL), ERR_CONFIG);
    free(text);
}
END_TEST

START_TEST(symlinks_are_followed_and_long_paths_keep_the_message)
{
    char directory[200], path[300], link[300];
    struct error err = { 0 };
    test_directory("option", directory, sizeof(directory));
    snprintf(path, sizeof(path), "%s/a.yaml", directory);
    snprintf(link, sizeof(link), "%s/b.yaml", directory);
    test_write(path, "seed: 5", 7);
    ck_assert_int_eq(symlink("a.yaml", link), 0);
    ck_assert_int_eq(load(link, &err, NULL, NULL), 0);
    ck_assert_int_eq(top.seed, 5);

    char *name = repeat("", "long/", 4000);
    ck_assert_int_eq(options_parse(sections, N_SECTIONS, name, "mode: asink", 11, &err),
        ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "/:1:7: mode: expected sync"));
    ck_assert_ptr_nonnull(strstr(err.text, "did you mean \"async\"?"));
    free(name);
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
    refuse("name: \"\\u2028\"", "a.yaml:1:7: name: expected printable text of at most 255 bytes,"
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
    accept("mode: async\nnet: { gamma: 0.995, hidden: [64], free: 3e2 }\nplace: { path: /tmp }");
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
    accept("");
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
    option_choice_name(&top_options[2], 2, name, sizeof(name));
    ck_assert_str_eq(name, "async");
    option_choice_name(&top_options[2], 1, name, sizeof(name));
    ck_assert_str_eq(name, "pipelin");
}
END_TEST

/* ---- arbitrary bytes ---- */

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

START_TEST(mutated_files_never_crash_and_print_to_a_fixed_point)
{
    static const char seed_text[] =
        "# comment\nseed: 12\nname: \"a b\"\nmode: sync\nplace.path: '/x'\n"
        "net:\n  hidden: [64, 32]\n  gamma: 0.9\n  eps: 1.0e-08\n  is_fast: true\n";
    static const char spice[] = "\t\n\r \"'#%&*!|>-?:,[]{}<~01289_.eExXnN+\\\0\xC3\xA9\xFF\xE2\x80";
    uint64_t state = 88172645463325252u;
    int n_accepted = 0;
    for (int round = 0; round < 6000; round++) {
        /* Exactly as large as the text, so that reading past its end is seen. */
        size_t bytes = sizeof(seed_text) - 1;
        if (round % 4 == 0)
            bytes = random_next(&state) % (bytes + 1);
        char *text = malloc(bytes ? bytes : 1);
        memcpy(text, seed_text, bytes);
        for (uint64_t n = random_next(&state) % 4; bytes && n > 0; n--)
            text[random_next(&state) % bytes] = spice[random_next(&state) % (sizeof(spice) - 1)];
        struct error err = { 0 };
        int rc = parse_bytes(text, bytes, &err);
        ck_assert(rc == 0 || (rc == ERR_CONFIG && strncmp(err.text, "a.yaml:", 7) == 0));
        free(text);
        if (rc == 0) {
            n_accepted++;
            check_fixed_point();
        }
    }
    ck_assert_int_gt(n_accepted, 1000);
}
END_TEST

START_TEST(mutated_overrides_never_crash)
{
    static const char *const seeds[] = { "net.hidden=[64, 32]", "net.gamma=0.5e-3", "name=text",
                                         "seed=1_000", "mode=sync" };
    uint64_t state = 4101842887655102017u;
    for (int round = 0; round < 6000; round++) {
        char text[32];
        snprintf(text, sizeof(text), "%s", seeds[round % 5]);
        size_t n = strlen(text);
        text[random_next(&state) % n] = (char)(1 + random_next(&state) % 255);
        text[random_next(&state) % n] = (char)(1 + random_next(&state) % 255);
        struct error err = { 0 };
        int rc = load(NULL, &err, text, NULL);
        ck_assert(rc == 0 || (rc == ERR_CONFIG && strncmp(err.text, "override \"", 10) == 0));
        if (rc == 0)
            check_fixed_point();
    }
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
        bad_yaml_is_located,
        nul_bytes_and_other_encodings_are_refused,
        yaml_features_beyond_plain_data_are_refused,
        alias_bomb_is_refused_at_its_first_anchor,
        deep_nesting_is_refused_where_it_begins,
        hostile_text_costs_little_time_and_memory,
        files_that_cannot_be_read_say_so,
        files_over_one_mebibyte_are_refused_quickly,
        symlinks_are_followed_and_long_paths_keep_the_message,
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
        mutated_files_never_crash_and_print_to_a_fixed_point,
        mutated_overrides_never_crash,
    };
    return suite_run("option", tests, TEST_COUNT(tests), 30);
}
