/* Presets, and sections that are not in use. */
#include <string.h>

#include "common/option.h"
#include "tests/support.h"

static struct {
    int64_t seed;
} top;

static struct {
    double gamma, lambda, clip;
} used;

static struct {
    double tau;
} unused;

#define REAL_OF(struct_, field) \
    { .name = #field, .type = OPTION_REAL, .offset = offsetof(__typeof__(struct_), field), \
      .value = "0.5", .max = 1, .help = "a number" }

static const struct option top_options[] = {
    { .name = "seed", .type = OPTION_INT, .offset = 0, .value = "1", .max = 100, .help = "a number" },
};
static const struct option used_options[] = {
    REAL_OF(used, gamma), REAL_OF(used, lambda), REAL_OF(used, clip),
};
static const struct option unused_options[] = { REAL_OF(unused, tau) };

static const struct option_section sections[] = {
    { .name = "", .help = "", .options = top_options, .n_options = 1, .base = &top },
    { .name = "used", .help = "", .options = used_options, .n_options = 3, .base = &used },
    { .name = "unused", .help = "", .options = unused_options, .n_options = 1, .base = &unused,
      .refusal = "section \"unused\" is not for you" },
};

static const struct option_preset second = {
    (const char *const[]){ "used.lambda=0.25", NULL }, NULL
};
static const struct option_preset first = {
    (const char *const[]){ "used.gamma=0.125", "used.lambda=0.125", "used.clip=0.125", "seed=7", NULL },
    &second
};

static char path[512];

static int load(const char *text, char *override, struct error *err)
{
    char directory[256];
    snprintf(path, sizeof(path), "%s/preset.yaml",
             test_directory("presets", directory, sizeof(directory)));
    test_write(path, text, strlen(text));
    return options_load(sections, 3, &first, path, &override, override ? 1 : 0, err);
}

START_TEST(defaults_yield_to_presets_those_to_the_file_and_that_to_overrides)
{
    struct error err = { 0 };
    ck_assert_msg(load("used:\n  clip: 0.75\n  gamma: 0.75\n", (char[]){ "used.gamma=1" }, &err) == 0,
                  "%s", err.text);
    ck_assert_int_eq(top.seed, 7);
    ck_assert(used.gamma == 1 && used.clip == 0.75 && used.lambda == 0.25);
    ck_assert(unused.tau == 0.5);
}
END_TEST

START_TEST(a_section_that_is_not_in_use_is_refused_with_its_reason)
{
    struct error err = { 0 };
    ck_assert_int_eq(load("seed: 2\nunused:\n  tau: 1\n", NULL, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "preset.yaml:3:3: section \"unused\" is not for you"));
    ck_assert_int_eq(load("seed: 2\nunused.tau: 1\n", NULL, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "preset.yaml:2:1: section \"unused\" is not for you"));
    ck_assert_int_eq(load("seed: 2\n", (char[]){ "unused.tau=1" }, &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "override \"unused.tau=1\": section \"unused\" is not for you");
    ck_assert_int_eq(load("seed: 2\n", NULL, &err), 0);
}
END_TEST

START_TEST(a_key_of_another_section_is_shown_where_it_belongs)
{
    struct error err = { 0 };
    ck_assert_int_eq(load("used:\n  tau: 1\n", NULL, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "unknown key \"tau\" in section \"used\"; it belongs to "
                                           "\"unused\", which is not in use here"));
    ck_assert_int_eq(load("used:\n  seed: 1\n", NULL, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "unknown key \"seed\" in section \"used\"; there is \"seed\""));
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        defaults_yield_to_presets_those_to_the_file_and_that_to_overrides,
        a_section_that_is_not_in_use_is_refused_with_its_reason,
        a_key_of_another_section_is_shown_where_it_belongs,
    };
    return suite_run("presets", tests, TEST_COUNT(tests), 60);
}
