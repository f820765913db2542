#include "deploy/args.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/option.h"

enum { MAX_FLAGS = 24 };

void args_help(const struct command *c)
{
    printf("usage: shoal %s %s\n\n%s\n", c->name, c->arguments, c->details);
    bool has_flags = false;
    for (int i = 0; i < c->n_flags; i++) {
        const struct flag *f = &c->flags[i];
        char left[64];
        if (!f->help)
            continue;
        if (!has_flags)
            printf("\n");
        has_flags = true;
        snprintf(left, sizeof(left), "%s%s%s", f->name, f->value_name ? " " : "",
                 f->value_name ? f->value_name : "");
        printf("  %-24s %s\n", left, f->help);
    }
    printf("\nexample:\n  %s\n", c->example);
}

static const struct flag *find(const struct command *c, const char *name, size_t length)
{
    for (int i = 0; i < c->n_flags; i++)
        if (strlen(c->flags[i].name) == length && strncmp(c->flags[i].name, name, length) == 0)
            return &c->flags[i];
    return NULL;
}

static int unknown_flag(const struct command *c, const char *arg, size_t length, struct error *err)
{
    const char *names[MAX_FLAGS];
    char name[64];    /* without the value behind "=" */
    int n = 0;
    for (int i = 0; i < c->n_flags && n < MAX_FLAGS; i++)
        if (c->flags[i].help)
            names[n++] = c->flags[i].name;
    snprintf(name, sizeof(name), "%.*s", (int)length, arg);
    const char *near = nearest_word(name, names, n);
    return error_set(err, ERR_USAGE, "shoal %s: unknown flag \"%s\"%s%s%s; see shoal %s --help",
                     c->name, name, near ? "; did you mean " : "", near ? near : "",
                     near ? "?" : "", c->name);
}

int args_parse(const struct command *c, int argc, char **argv, bool *wants_help, struct error *err)
{
    int n_rest = 0;
    *wants_help = false;
    for (int i = 0; i < argc; i++) {
        char *arg = argv[i];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            args_help(c);
            *wants_help = true;
            return 0;
        }
        if (arg[0] != '-' || arg[1] == '\0') {
            argv[n_rest++] = arg;
            continue;
        }
        const char *equals = strchr(arg, '=');
        size_t length = equals ? (size_t)(equals - arg) : strlen(arg);
        const struct flag *f = find(c, arg, length);
        if (!f)
            return unknown_flag(c, arg, length, err);
        if (f->is_set)
            *f->is_set = true;
        if (!f->value_name && equals)
            return error_set(err, ERR_USAGE, "shoal %s: %s takes no value", c->name, f->name);
        if (!f->value_name)
            continue;
        if (!equals && i + 1 == argc)
            return error_set(err, ERR_USAGE, "shoal %s: %s needs a value: %s %s", c->name, f->name,
                             f->name, f->value_name);
        *f->value = equals ? equals + 1 : argv[++i];
    }
    return n_rest;
}

int args_int(const char *flag, const char *text, long long min, long long max, long long *out,
             struct error *err)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end || errno || value < min || value > max)
        return error_set(err, ERR_USAGE, "%s: expected a whole number from %lld to %lld, found "
                         "\"%s\"", flag, min, max, text);
    *out = value;
    return 0;
}

int args_real(const char *flag, const char *text, double min, double max, double *out,
              struct error *err)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < min || value > max)
        return error_set(err, ERR_USAGE, "%s: expected a number from %g to %g, found \"%s\"", flag,
                         min, max, text);
    *out = value;
    return 0;
}
