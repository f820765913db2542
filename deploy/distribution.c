#include "deploy/distribution.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/file.h"
#include "common/option.h"
#include "common/text.h"

enum { MAX_TRACE_BYTES = 64 << 20, WORDS_PER_DRAW = 4 };

static const struct {
    const char *name, *form;
    int n_numbers;
} kinds[] = {
    [DISTRIBUTION_CONSTANT] = { "constant", "constant X", 1 },
    [DISTRIBUTION_UNIFORM] = { "uniform", "uniform LOW HIGH", 2 },
    [DISTRIBUTION_LOGNORMAL] = { "lognormal", "lognormal MEDIAN SIGMA", 2 },
    [DISTRIBUTION_PARETO] = { "pareto", "pareto MIN ALPHA", 2 },
    [DISTRIBUTION_TRACE] = { "trace", "trace FILE", 0 },
    [DISTRIBUTION_NEVER] = { "never", "never", 0 },
};
enum { N_KINDS = sizeof(kinds) / sizeof(*kinds) };

static const char *skip_spaces(const char *s)
{
    while (isspace((unsigned char)*s))
        s++;
    return s;
}

/* A finite number of at least 0 with a space or the end behind it. Returns what follows, or NULL. */
static const char *read_number(const char *s, double *x)
{
    char *end;
    s = skip_spaces(s);
    *x = strtod(s, &end);
    if (end == s || (*end && !isspace((unsigned char)*end)) || !isfinite(*x) || *x < 0)
        return NULL;
    return skip_spaces(end);
}

/* ---- traces ---- */

static int read_trace(struct distribution *d, const char *key, const char *path, struct error *err)
{
    char *text = NULL;
    size_t bytes;
    int rc = file_read(path, MAX_TRACE_BYTES, &text, &bytes, err);
    if (rc != 0)
        return error_prefix(err, "%s", key);
    size_t capacity = 0;
    int line = 0;
    for (char *at = text, *end; rc == 0 && *at; at = end) {
        size_t length = strcspn(at, "\n");
        end = at + length + (at[length] == '\n');
        at[length] = '\0';
        line++;
        double x;
        const char *rest = read_number(at, &x);
        if (*skip_spaces(at) == '\0')
            continue;
        if (!rest || *rest) {
            rc = error_set(err, ERR_CONFIG, "%s: %s:%d: expected a number of at least 0, found \"%.40s\"", key,
                           text_short_path(path), line, at);
            break;
        }
        if (d->n_trace == capacity) {
            capacity = capacity ? 2 * capacity : 256;
            d->trace = memory_grow(d->trace, capacity, sizeof(*d->trace));
        }
        d->trace[d->n_trace++] = x;
    }
    free(text);
    if (rc == 0 && d->n_trace == 0)
        rc = error_set(err, ERR_CONFIG, "%s: %s has no numbers; a trace has one per line", key,
                       text_short_path(path));
    return rc;
}

/* ---- parsing ---- */

#define TIMES "\"constant X\", \"uniform LOW HIGH\", \"lognormal MEDIAN SIGMA\", \"pareto MIN ALPHA\" or \"trace FILE\""

static int refuse(const char *key, const char *text, bool may_be_never, struct error *err)
{
    return error_set(err, ERR_CONFIG, "%s: expected %s" TIMES ", found \"%.60s\"", key,
                     may_be_never ? "\"never\", " : "", text);
}

/* What the numbers of a kind must be besides; NULL: all is well. */
static const char *what_is_wrong(const struct distribution *d)
{
    if (d->kind == DISTRIBUTION_UNIFORM && d->a > d->b)
        return "LOW is above HIGH";
    if (d->kind == DISTRIBUTION_LOGNORMAL && d->a == 0)
        return "MEDIAN must be above 0";
    if (d->kind == DISTRIBUTION_PARETO && (d->a == 0 || d->b == 0))
        return "MIN and ALPHA must be above 0";
    return NULL;
}

int distribution_parse(struct distribution *d, const char *key, const char *text, bool may_be_never,
                       struct error *err)
{
    const char *names[N_KINDS];
    const char *word = skip_spaces(text);
    const size_t length = strcspn(word, " \t");
    int kind = 0;
    *d = (struct distribution){ 0 };
    while (kind < N_KINDS && (strlen(kinds[kind].name) != length || strncmp(word, kinds[kind].name, length) != 0))
        kind++;
    if (kind == N_KINDS) {
        char given[32];
        for (int i = 0; i < N_KINDS; i++)
            names[i] = kinds[i].name;
        snprintf(given, sizeof(given), "%.*s", (int)(length < 31 ? length : 31), word);
        const char *near = nearest_word(given, names, may_be_never ? N_KINDS : N_KINDS - 1);
        return near ? error_set(err, ERR_CONFIG, "%s: unknown distribution \"%s\"; did you mean \"%s\"?", key, given,
                                near) : refuse(key, text, may_be_never, err);
    }
    d->kind = (enum distribution_kind)kind;
    const char *rest = skip_spaces(word + length);
    if (d->kind == DISTRIBUTION_NEVER && !may_be_never)
        return error_set(err, ERR_CONFIG, "%s: \"never\" is not allowed, as this must come to an end; expected "
                         TIMES, key);
    if (d->kind == DISTRIBUTION_TRACE && *rest)
        return read_trace(d, key, rest, err);
    double *const numbers[] = { &d->a, &d->b };
    for (int i = 0; i < kinds[kind].n_numbers && rest; i++)
        rest = read_number(rest, numbers[i]);
    if (!rest || *rest || d->kind == DISTRIBUTION_TRACE)
        return error_set(err, ERR_CONFIG, "%s: expected \"%s\" with numbers of at least 0, found \"%.60s\"", key,
                         kinds[kind].form, text);
    const char *wrong = what_is_wrong(d);
    return wrong ? error_set(err, ERR_CONFIG, "%s: \"%.60s\": %s", key, text, wrong) : 0;
}

void distribution_fini(struct distribution *d)
{
    free(d->trace);
    *d = (struct distribution){ 0 };
}

/* ---- drawing ---- */

/* The trace begins at a place that the first words of the sequence say. */
static double trace_draw(const struct distribution *d, struct rng *r, uint64_t i)
{
    rng_seek(r, 0);
    return d->trace[(rng_below(r, d->n_trace) + i % d->n_trace) % d->n_trace];
}

double distribution_draw(const struct distribution *d, struct rng *r, uint64_t i)
{
    if (d->kind != DISTRIBUTION_TRACE)
        rng_seek(r, WORDS_PER_DRAW * i);
    switch (d->kind) {
    case DISTRIBUTION_CONSTANT:
        return d->a;
    case DISTRIBUTION_UNIFORM:
        return rng_uniform(r, d->a, d->b);
    case DISTRIBUTION_LOGNORMAL:
        return d->a * exp(d->b * rng_normal(r));
    case DISTRIBUTION_PARETO:
        return d->a * pow(1 - rng_uniform(r, 0, 1), -1 / d->b);
    case DISTRIBUTION_TRACE:
        return trace_draw(d, r, i);
    case DISTRIBUTION_NEVER:
        break;
    }
    return (double)INFINITY;
}
