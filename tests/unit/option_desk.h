/* A small configuration of three sections to put the reading and printing of options to the test with. */
#ifndef SHOAL_TESTS_OPTION_DESK_H
#define SHOAL_TESTS_OPTION_DESK_H

#include "common/option.h"

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

enum { N_SECTIONS = 3 };

/* What is read goes to these. */
extern struct top top;
extern struct net net;
extern struct place place;
extern const struct option_section sections[N_SECTIONS];

/* Parse the text as that of the file a.yaml. */
int parse_bytes(const char *text, size_t bytes, struct error *err);

/* A text must be taken; must be refused with exactly this error. */
void accept_yaml(const char *text);
void refuse_yaml(const char *text, const char *expected);

struct refusal {
    const char *text, *error;
};

void refuse_all(const struct refusal *cases, size_t n);
#define REFUSE_ALL(cases) refuse_all(cases, TEST_COUNT(cases))

/* Load a file, or none, with up to two overrides. */
int load(const char *path, struct error *err, const char *a, const char *b);
void refuse_override(const char *override, const char *expected);

/* What options_print prints; the caller frees it. */
char *print_to_text(bool with_comments);

/* Parse, print, parse, print: both prints are the same. */
void check_fixed_point(void);

/* A text of up to `bytes` that repeats `unit` after `head`; the caller frees it. */
char *repeat(const char *head, const char *unit, size_t bytes);

#endif
