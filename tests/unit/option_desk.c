#include "tests/unit/option_desk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support.h"

struct top top;
struct net net;
struct place place;

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

const struct option_section sections[N_SECTIONS] = {
    { "", "A test", top_options, N_OPTIONS(top_options), &top, false, false, NULL, NULL, NULL },
    { "net", "The network", net_options, N_OPTIONS(net_options), &net, false, false, NULL, NULL, NULL },
    { "place", "Files", place_options, N_OPTIONS(place_options), &place, true, false, NULL, NULL, NULL },
};
int parse_bytes(const char *text, size_t bytes, struct error *err)
{
    return options_parse(sections, N_SECTIONS, "a.yaml", text, bytes, err);
}

void accept_yaml(const char *text)
{
    struct error err = { 0 };
    ck_assert_msg(parse_bytes(text, strlen(text), &err) == 0, "%s", err.text);
}

void refuse_yaml(const char *text, const char *expected)
{
    struct error err = { 0 };
    ck_assert_msg(parse_bytes(text, strlen(text), &err) == ERR_CONFIG, "accepted: %s", text);
    ck_assert_int_eq(err.code, ERR_CONFIG);
    ck_assert_str_eq(err.text, expected);
}

void refuse_all(const struct refusal *cases, size_t n)
{
    for (size_t i = 0; i < n; i++)
        refuse_yaml(cases[i].text, cases[i].error);
}

int load(const char *path, struct error *err, const char *a, const char *b)
{
    char *overrides[2] = { NULL, NULL };
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

void refuse_override(const char *override, const char *expected)
{
    struct error err = { 0 };
    ck_assert_msg(load(NULL, &err, override, NULL) == ERR_CONFIG, "accepted: %s", override);
    ck_assert_str_eq(err.text, expected);
}

char *print_to_text(bool with_comments)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    options_print(sections, N_SECTIONS, with_comments, out);
    fclose(out);
    return text;
}

void check_fixed_point(void)
{
    for (int with_comments = 0; with_comments < 2; with_comments++) {
        char *first = print_to_text(with_comments);
        accept_yaml(first);
        char *second = print_to_text(with_comments);
        ck_assert_str_eq(first, second);
        free(first);
        free(second);
    }
}

char *repeat(const char *head, const char *unit, size_t bytes)
{
    char *text = malloc(bytes + 1);
    size_t used = (size_t)snprintf(text, bytes + 1, "%s", head), n = strlen(unit);
    for (; used + n <= bytes; used += n)
        memcpy(text + used, unit, n);
    text[used] = '\0';
    return text;
}
