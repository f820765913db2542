/* Configuration files: YAML that is none or too much, files that cannot be read, arbitrary bytes. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support.h"
#include "tests/unit/option_desk.h"

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
    refuse_yaml("a: &a [x, x, x, x, x, x, x, x, x]\n"
           "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
           "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
           "seed: *c\n",
           "a.yaml:1:1: unknown key \"a\"");
    refuse_yaml("seed: &a [x, x]\nname: *a", "a.yaml:1:7: anchors (&name) are not accepted; remove it");
}
END_TEST

START_TEST(deep_nesting_is_refused_where_it_begins)
{
    char *text = repeat("", "[", 100000);
    refuse_yaml(text, "a.yaml:1:1: expected \"key: value\" lines, found a list");
    free(text);
    text = repeat("net:\n  hidden: ", "[\n", 100000);
    refuse_yaml(text, "a.yaml:3:1: net.hidden: expected an integer, found a list");
    free(text);
    text = repeat("", "net: {", 100000);
    refuse_yaml(text, "a.yaml:1:7: unknown key \"net\" in section \"net\"");
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
        bad_yaml_is_located,
        nul_bytes_and_other_encodings_are_refused,
        yaml_features_beyond_plain_data_are_refused,
        alias_bomb_is_refused_at_its_first_anchor,
        deep_nesting_is_refused_where_it_begins,
        hostile_text_costs_little_time_and_memory,
        files_that_cannot_be_read_say_so,
        files_over_one_mebibyte_are_refused_quickly,
        symlinks_are_followed_and_long_paths_keep_the_message,
        mutated_files_never_crash_and_print_to_a_fixed_point,
        mutated_overrides_never_crash,
    };
    return suite_run("option_file", tests, TEST_COUNT(tests), 30);
}
