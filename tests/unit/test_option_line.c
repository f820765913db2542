/* Ranges, open sections, and one section on a line. */
#include "common/option.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support.h"

struct world {
    char name[OPTION_TEXT_BYTES];
    struct option_range healthy, angle, height;
    struct option_ints sizes;
    double weight;
    int64_t steps;
    int frame;
    bool is_fast;
};

static struct world world;

static const struct option world_options[] = {
    { "name", OPTION_TEXT, offsetof(struct world, name), "", 0, 0, NULL, "label" },
    { "healthy", OPTION_RANGE, offsetof(struct world, healthy), "0.7,.inf", 0, 0, NULL, "z" },
    { "angle", OPTION_RANGE, offsetof(struct world, angle), "[-0.2, 0.2]", -4, 4, NULL, "bounded" },
    { "height", OPTION_RANGE, offsetof(struct world, height), "0,inf", 0, HUGE_VAL, NULL, "up" },
    { "sizes", OPTION_INTS, offsetof(struct world, sizes), "[64, 64]", 1, 4096, NULL, "units" },
    { "weight", OPTION_REAL, offsetof(struct world, weight), "0.5", -HUGE_VAL, HUGE_VAL, NULL,
      "weight" },
    { "steps", OPTION_INT, offsetof(struct world, steps), "0", -0x1p63, 0x1p63, NULL, "steps" },
    { "frame", OPTION_CHOICE, offsetof(struct world, frame), "no", 0, 0, "no|global|local", "of" },
    { "is_fast", OPTION_BOOL, offsetof(struct world, is_fast), "false", 0, 0, NULL, "hurry" },
};

static const struct option_section section = {
    .name = "world", .help = "a test", .options = world_options,
    .n_options = (int)TEST_COUNT(world_options), .base = &world,
};

static void accept(const char *text)
{
    struct error err = { 0 };
    ck_assert_msg(options_parse(&section, 1, "a.yaml", text, strlen(text), &err) == 0, "%s",
                  err.text);
}

static void refuse(const char *text, const char *expected)
{
    struct error err = { 0 };
    ck_assert_msg(options_parse(&section, 1, "a.yaml", text, strlen(text), &err) == ERR_CONFIG,
                  "accepted: %s", text);
    ck_assert_str_eq(err.text, expected);
}

static int override(const struct option_section *sections, int n, const char *text,
                    struct error *err)
{
    char *copy = strdup(text);
    int rc = options_load(sections, n, NULL, NULL, &copy, 1, err);
    free(copy);
    return rc;
}

static int read_line(const char *line, struct error *err)
{
    return options_parse_line(&section, "peer", line, strlen(line), err);
}

static void refuse_line(const char *line, const char *expected)
{
    struct error err = { 0 };
    ck_assert_msg(read_line(line, &err) == ERR_CONFIG, "accepted: %s", line);
    ck_assert_str_eq(err.text, expected);
}

/* ---- ranges ---- */

START_TEST(ranges_are_two_numbers_that_may_be_infinite)
{
    struct error err = { 0 };
    accept("");
    ck_assert(world.healthy.low == 0.7 && world.healthy.high == HUGE_VAL);
    ck_assert(world.angle.low == -0.2 && world.angle.high == 0.2);
    accept("world:\n  healthy: [-.inf, 1e1]\n  angle:\n  - -1\n  - +1_0.e-1\n");
    ck_assert(world.healthy.low == -HUGE_VAL && world.healthy.high == 10);
    ck_assert(world.angle.low == -1 && world.angle.high == 1);
    accept("world.healthy: [-inf, +.INF]\nworld.height: [3, 3]");
    ck_assert(world.healthy.low == -HUGE_VAL && world.healthy.high == HUGE_VAL);
    ck_assert(world.height.low == 3 && world.height.high == 3);
    ck_assert_int_eq(override(&section, 1, "world.healthy=-.inf, 2", &err), 0);
    ck_assert(world.healthy.low == -HUGE_VAL && world.healthy.high == 2);
    ck_assert_int_eq(override(&section, 1, "world.angle=[0,0.5]", &err), 0);
    ck_assert(world.angle.low == 0 && world.angle.high == 0.5);
}
END_TEST

START_TEST(wrong_ranges_say_what_was_expected)
{
    static const struct { const char *text, *error; } cases[] = {
        { "world.healthy: [.nan, 1]",
          "a.yaml:1:17: world.healthy, element 1: expected a number, found \".nan\"" },
        { "world.healthy: [0, '1']", "a.yaml:1:20: world.healthy, element 2: expected a number,"
                                     " found \"1\" in quotes; drop the quotes" },
        { "world.healthy: [0, 1e999]",
          "a.yaml:1:20: world.healthy, element 2: expected a number, found \"1e999\"" },
        { "world.healthy: [0, [1]]",
          "a.yaml:1:20: world.healthy: expected a number, found a list" },
        { "world.healthy: [1, 2, 3]",
          "a.yaml:1:23: world.healthy, element 3: expected at most 2 numbers, found more" },
        { "world.healthy: [1]", "a.yaml:1:16: world.healthy: expected a range like [0, 1] of"
                                " numbers, found one number" },
        { "world.healthy: []", "a.yaml:1:16: world.healthy: expected a range like [0, 1] of"
                               " numbers, found none" },
        { "world.healthy: 1", "a.yaml:1:16: world.healthy: expected a range like [0, 1] of"
                              " numbers, found \"1\"" },
        { "world.healthy: [.inf, 2]", "a.yaml:1:16: world.healthy: expected the lower end first,"
                                      " found [.inf, 2]" },
        { "world.angle: [0, 4.5]", "a.yaml:1:18: world.angle, element 2: expected a number from -4"
                                   " to 4, found \"4.5\"" },
        { "world.angle: [-.inf, 0]", "a.yaml:1:15: world.angle, element 1: expected a number from"
                                     " -4 to 4, found \"-.inf\"" },
        { "world.height: {a: 1}", "a.yaml:1:15: world.height: expected a range like [0, 1] of"
                                  " numbers at least 0, found a mapping" },
        { "world.weight: .inf", "a.yaml:1:15: world.weight: expected a number, found \".inf\"" },
        { "world.healthy: [1, @", "a.yaml:1:20: not YAML: found character that cannot start any"
                                  " token (while scanning for the next token that begins at line"
                                  " 1, column 20)" },
    };
    for (size_t i = 0; i < TEST_COUNT(cases); i++)
        refuse(cases[i].text, cases[i].error);
    struct error err = { 0 };
    ck_assert_int_eq(override(&section, 1, "world.angle=1", &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "override \"world.angle=1\": expected a range like [0, 1] of"
                               " numbers from -4 to 4, found one number");
    ck_assert_int_eq(override(&section, 1, "world.angle=1,-1", &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "override \"world.angle=1,-1\": expected the lower end first,"
                               " found [1, -1]");
}
END_TEST

START_TEST(printed_ranges_explain_themselves)
{
    accept("world: {healthy: [-.inf, 10], angle: [-1, 1]}");
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    options_print(&section, 1, true, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "  healthy: [-.inf, 10]  # z (default [0.7, .inf])\n"));
    ck_assert_ptr_nonnull(strstr(text, "  angle: [-1, 1]        # bounded [-4 to 4] (default"
                                       " [-0.2, 0.2])\n"));
    ck_assert_ptr_nonnull(strstr(text, "  height: [0, .inf]     # up [at least 0]\n"));
    accept(text);
    ck_assert(world.healthy.low == -HUGE_VAL && world.healthy.high == 10);
    free(text);
}
END_TEST

/* ---- open sections ---- */

START_TEST(open_sections_pass_over_what_they_do_not_know)
{
    struct option_section open = section, pair[2];
    struct error err = { 0 };
    open.is_open = true;
    pair[0] = open;
    pair[1] = section;
    pair[1].name = "closed";
    static const char text[] = "world:\n  anything: 1\n  list: [a, [], .nan]\n  steps: 7\n"
                               "  none:\n  deep: {er: 1}\nworld.more: 'x'\n";
    ck_assert_int_eq(options_parse(&open, 1, "a.yaml", text, strlen(text) - 1, &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "a.yaml:3:13: nested too deeply; 3 lists and mappings within each"
                               " other are the most");
    static const char flat[] = "world:\n  anything: 1\n  list: [a, .nan]\n  steps: 7\n"
                               "  none:\n  deep: {er: 1}\nworld.more: 'x'\n";
    ck_assert_msg(options_parse(pair, 2, "a.yaml", flat, strlen(flat), &err) == 0, "%s", err.text);
    ck_assert_msg(options_parse(&open, 1, "a.yaml", flat, strlen(flat), &err) == 0, "%s", err.text);
    ck_assert_int_eq(world.steps, 7);
    ck_assert_int_eq(override(&open, 1, "world.anything=[1,{", &err), 0);
    ck_assert_int_eq(override(pair, 2, "closed.anything=1", &err), ERR_CONFIG);
    ck_assert_int_eq(override(&open, 1, "word.anything=1", &err), ERR_CONFIG);
    ck_assert_int_eq(override(&open, 1, "world.steps=x", &err), ERR_CONFIG);
    ck_assert_int_eq(override(&section, 1, "world.anything=1", &err), ERR_CONFIG);
    static const char twice[] = "world:\n  any: 1\n  any: 2\n";
    ck_assert_int_eq(options_parse(&open, 1, "a.yaml", twice, strlen(twice), &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "a.yaml:3:3: this key is given twice; first on line 2");
}
END_TEST

/* ---- lines ---- */

START_TEST(lines_hold_what_changed_or_everything)
{
    char line[1000];
    accept("");
    ck_assert_int_eq(options_print_line(&section, true, line, sizeof(line)), 0);
    ck_assert_str_eq(line, "");
    static const char all[] = "name: \"\", healthy: [0.7, .inf], angle: [-0.2, 0.2],"
                              " height: [0, .inf], sizes: [64, 64], weight: 0.5, steps: 0,"
                              " frame: \"no\", is_fast: false";
    ck_assert_int_eq(options_print_line(&section, false, line, sizeof(line)), (int)strlen(all));
    ck_assert_str_eq(line, all);
    accept("world: {angle: [0.2, 1], weight: 1e-8, frame: local}");
    static const char changed[] = "angle: [0.2, 1], weight: 1.0e-08, frame: local";
    ck_assert_int_eq(options_print_line(&section, true, line, sizeof(line)), (int)strlen(changed));
    ck_assert_str_eq(line, changed);
    ck_assert_int_eq(options_print_line(&section, true, line, sizeof(changed)),
                     (int)strlen(changed));
    for (size_t bytes = 1; bytes < sizeof(changed); bytes++) {
        char *small = malloc(bytes);
        ck_assert_int_eq(options_print_line(&section, true, small, bytes), -1);
        ck_assert_str_eq(small, "");
        free(small);
    }
}
END_TEST

START_TEST(required_options_are_always_on_the_line)
{
    static const struct option required[] = {
        { "name", OPTION_TEXT, offsetof(struct world, name), NULL, 0, 0, NULL, "required" },
        { "steps", OPTION_INT, offsetof(struct world, steps), NULL, 0, 9, NULL, "required" },
    };
    struct option_section s = { .name = "world", .options = required, .n_options = 2,
                                .base = &world };
    struct error err = { 0 };
    char line[100];
    ck_assert_int_eq(options_parse_line(&s, "peer", "steps: 0, name: Ant", 19, &err), 0);
    ck_assert_int_eq(options_print_line(&s, true, line, sizeof(line)), 19);
    ck_assert_str_eq(line, "name: Ant, steps: 0");
    ck_assert_int_eq(options_parse_line(&s, "peer", "name: Ant", 9, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "world.steps is required"));
}
END_TEST

/* Print, change everything, read: the struct is the same, byte for byte. */
static void check_round_trip(bool only_changed)
{
    char line[4000];
    struct error err = { 0 };
    struct world before = world;
    ck_assert_int_ge(options_print_line(&section, only_changed, line, sizeof(line)), 0);
    for (size_t i = 0; i < TEST_COUNT(world_options); i++)
        memset((char *)&world + world_options[i].offset, 0x55, 1);
    ck_assert_msg(read_line(line, &err) == 0, "%s: %s", line, err.text);
    ck_assert_str_eq(world.name, before.name);
    ck_assert_int_eq(memcmp(&world.healthy, &before.healthy, sizeof(before.healthy)), 0);
    ck_assert_int_eq(memcmp(&world.angle, &before.angle, sizeof(before.angle)), 0);
    ck_assert_int_eq(memcmp(&world.height, &before.height, sizeof(before.height)), 0);
    ck_assert_int_eq(memcmp(&world.sizes, &before.sizes, sizeof(before.sizes)), 0);
    ck_assert_int_eq(memcmp(&world.weight, &before.weight, sizeof(before.weight)), 0);
    ck_assert_int_eq(world.steps, before.steps);
    ck_assert_int_eq(world.frame, before.frame);
    ck_assert(world.is_fast == before.is_fast);
}

START_TEST(lines_are_read_back_bit_for_bit)
{
    static const double reals[] = { 0.1, 1.0 / 3, -0.0, 1e-300, 5e-324, DBL_MAX, -DBL_MIN, 1e22,
                                    123456789.125, 3e-4, 1e5, 1e16, M_PI };
    static const char *const texts[] = { "plain", "a b", "a, b: c", "}", "]", "#", " # x", "no",
                                         "null", "~", "12", "\"", "\\", "'", "- a", "&a", "*a",
                                         "!t", "%x", "{}", "\xF0\x9F\x90\x9F", " padded " };
    accept("");
    for (size_t i = 0; i < TEST_COUNT(reals); i++) {
        world.weight = reals[i];
        world.healthy = (struct option_range){ -fabs(reals[i]), HUGE_VAL };
        world.height = (struct option_range){ fabs(reals[i]), fabs(reals[i]) };
        world.steps = i % 2 ? INT64_MIN : INT64_MAX;
        world.frame = (int)(i % 3);
        world.is_fast = i % 2;
        check_round_trip(i % 2);
    }
    for (size_t i = 0; i < TEST_COUNT(texts); i++) {
        memset(world.name, 0, sizeof(world.name));
        snprintf(world.name, sizeof(world.name), "%s", texts[i]);
        check_round_trip(i % 2);
    }
    memset(world.name, '"', OPTION_TEXT_BYTES - 1);
    check_round_trip(true);
}
END_TEST

START_TEST(lines_replace_what_the_section_held)
{
    struct error err = { 0 };
    ck_assert_int_eq(read_line("steps: 3, weight: 7", &err), 0);
    ck_assert_int_eq(read_line("weight: 8", &err), 0);
    ck_assert(world.steps == 0 && world.weight == 8);
    ck_assert_int_eq(read_line("steps: 3, weight: x", &err), ERR_CONFIG);
    ck_assert(world.steps == 0 && world.weight == 0.5);
    ck_assert_int_eq(options_parse_line(&section, "peer", "steps: x", 8, NULL), ERR_CONFIG);
}
END_TEST

START_TEST(wrong_lines_are_located)
{
    refuse_line("step: 3", "peer:1:1: unknown key \"step\" in section \"world\"; did you mean"
                           " \"steps\"?");
    refuse_line("world.steps: 3", "peer:1:1: unknown key \"world.steps\" in section \"world\"");
    refuse_line("weight: 1, steps: 0.5",
                "peer:1:19: world.steps: expected an integer, found \"0.5\"");
    refuse_line("steps: 1, steps: 2", "peer:1:11: world.steps is given twice; first on line 1");
    refuse_line("sizes: [[1]]", "peer:1:9: world.sizes: expected an integer, found a list");
    refuse_line("steps: 1} #", "peer:1:12: not YAML: did not find expected <document start>");
    refuse_line("steps: 1\n", "peer: expected one line, found more");
    refuse_line("steps: *a", "peer:1:8: aliases (*name) are not accepted; write the value out");
    refuse_line("steps", "peer:1:6: world.steps: expected an integer, found nothing");
    refuse_line("steps: 1\x01", "peer:1:9: control character 0x01 is not accepted");
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

START_TEST(mutated_lines_never_crash_and_print_to_a_fixed_point)
{
    static const char seed_text[] =
        "name: \"a b\", healthy: [0.7, .inf], angle: [-0.2, 0.2], sizes: [64, 32], weight: 1.0e-08,"
        " steps: -7, frame: local, is_fast: true";
    static const char spice[] = "\t\n\r \"'#%&*!|>-?:,[]{}<~01289_.eExXnN+\\\0\xC3\xA9\xFF\xE2\x80";
    uint64_t state = 88172645463325252u;
    int n_accepted = 0;
    for (int round = 0; round < 6000; round++) {
        /* Exactly as large as the line, so that reading past its end is seen. */
        size_t bytes = round % 4 ? sizeof(seed_text) - 1 : random_next(&state) % sizeof(seed_text);
        char *line = malloc(bytes ? bytes : 1);
        memcpy(line, seed_text, bytes);
        for (uint64_t n = random_next(&state) % 5; bytes && n > 0; n--) {
            uint64_t r = random_next(&state);
            line[r % bytes] = r >> 63 ? (char)(r >> 40) : spice[(r >> 32) % (sizeof(spice) - 1)];
        }
        struct error err = { 0 };
        int rc = options_parse_line(&section, "peer", line, bytes, &err);
        ck_assert(rc == 0 || (rc == ERR_CONFIG && strncmp(err.text, "peer:", 5) == 0));
        free(line);
        n_accepted += rc == 0;
        check_round_trip(round % 2);
    }
    ck_assert_int_gt(n_accepted, 600);
}
END_TEST

START_TEST(random_bytes_never_crash)
{
    uint64_t state = 4101842887655102017u;
    for (int round = 0; round < 4000; round++) {
        size_t bytes = random_next(&state) % 64;
        char *line = malloc(bytes ? bytes : 1);
        for (size_t i = 0; i < bytes; i++)
            line[i] = (char)(random_next(&state) >> 20);
        struct error err = { 0 };
        options_parse_line(&section, "peer", line, bytes, &err);
        free(line);
    }
}
END_TEST

START_TEST(hostile_lines_cost_little_time)
{
    static const char *const units[] = {
        "[", "{", "}", "]", ",", "a", "a,", "a: ", "? ", "?", ": ", "-", "&a ", "*a", "!", "!a ",
        "'", "\"", "\\", " ", "\t", "#", "%", "sizes: [1,", "1,", "[1],", "name: a,", "\xC3\xA9",
    };
    enum { BYTES = 1 << 18 };
    char *line = malloc(BYTES);
    for (size_t u = 0; u < 2 * TEST_COUNT(units); u++) {
        const char *unit = units[u / 2], *head = u % 2 ? "sizes: [" : "";
        size_t n = strlen(unit), n_head = strlen(head);
        memcpy(line, head, n_head);
        for (size_t i = n_head; i < BYTES; i++)
            line[i] = unit[(i - n_head) % n];
        struct error err = { 0 };
        clock_t start = clock();
        options_parse_line(&section, "peer", line, BYTES, &err);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        ck_assert_msg(seconds < 0.5, "\"%s\" took %g s", unit, seconds);
    }
    free(line);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        ranges_are_two_numbers_that_may_be_infinite,
        wrong_ranges_say_what_was_expected,
        printed_ranges_explain_themselves,
        open_sections_pass_over_what_they_do_not_know,
        lines_hold_what_changed_or_everything,
        required_options_are_always_on_the_line,
        lines_are_read_back_bit_for_bit,
        lines_replace_what_the_section_held,
        wrong_lines_are_located,
        mutated_lines_never_crash_and_print_to_a_fixed_point,
        random_bytes_never_crash,
        hostile_lines_cost_little_time,
    };
    return suite_run("option_line", tests, TEST_COUNT(tests), 60);
}
