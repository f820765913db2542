#include "learner/training_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SKIPPED_IN_A_ROW = 10, MAX_RETURNS = 3, GOOD_UPDATES = 1000, TOLD_ONE_BY_ONE = 3 };

static void say(struct training *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct training *t, const char *format, ...)
{
    char line[768];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (t->out.log)
        t->out.log(t->out.context, line);
}

/* The first are told one by one, then every time their number has doubled. */
void training_fail(struct training *t, const char *why)
{
    const int64_t n = ++t->skipped;
    t->skipped_in_a_row++;
    if (n <= TOLD_ONE_BY_ONE)
        say(t, "update %" PRId64 " failed: %s", t->updates, why);
    else if ((n & (n - 1)) == 0)
        say(t, "update %" PRId64 " failed, %" PRId64 " so far: %s", t->updates, n, why);
}

static bool all_finite(const float *x, size_t n)
{
    bool is_finite = true;
    for (size_t i = 0; i < n; i++)
        is_finite &= isfinite(x[i]) != 0;
    return is_finite;
}

bool training_is_finite(struct training *t, const float *x, size_t n, const char *what)
{
    char why[128];
    if (all_finite(x, n))
        return true;
    if (!t->is_unsound) {
        snprintf(why, sizeof(why), "it left numbers in %s that are not finite", what);
        training_fail(t, why);
    }
    t->is_unsound = true;    /* such numbers do not become finite again */
    return false;
}

int training_check(struct training *t, struct error *err)
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    const int n = t->algorithm->arrays(t->self, arrays);
    for (int i = 0; i < n; i++)
        if (arrays[i].data && !training_is_finite(t, arrays[i].data, arrays[i].n, arrays[i].name))
            return error_set(err, ERR_NUMERIC, "\"%s\" holds numbers that are not finite",
                             arrays[i].name);
    return 0;
}

/* ---- the way back ---- */

void training_create_start(struct training *t)
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    const int n = t->algorithm->arrays(t->self, arrays);
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += arrays[i].data ? arrays[i].n : 0;
    t->start_arrays = arena_alloc(t->arena, total, sizeof(float));
}

/* Copy between the algorithm's arrays and the copy of the start. */
static void copy_start(struct training *t, bool is_back)
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    const int n = t->algorithm->arrays(t->self, arrays);
    float *kept = t->start_arrays;
    for (int i = 0; i < n; i++) {
        if (arrays[i].data) {
            memcpy(is_back ? arrays[i].data : kept, is_back ? kept : arrays[i].data,
                   arrays[i].n * sizeof(float));
            kept += arrays[i].n;
        } else if (is_back) {
            *arrays[i].counter = t->start_counters[i];
        } else {
            t->start_counters[i] = *arrays[i].counter;
        }
    }
    if (is_back)
        normalisation_take(t->normalisation, t->start_normalisation);
    else
        normalisation_take(t->start_normalisation, t->normalisation);
}

void training_keep_start(struct training *t)
{
    copy_start(t, false);
    t->start_update = t->updates;
}

/* Parameters, targets, moments and statistics as they were in the last checkpoint, or at the start. What
 * was collected, counted and drawn stays. */
static void go_back(struct training *t)
{
    struct error err = { 0 };
    if (t->out.restore && t->out.restore(t->out.context, &err) == 0) {
        say(t, "back to the last checkpoint, of update %" PRId64 ", as numbers that are not finite "
            "came again and again", t->loaded_update);
    } else {
        copy_start(t, true);
        say(t, "back to update %" PRId64 ", where this learner began, as numbers that are not finite "
            "came again and again; %s%s", t->start_update, err.code && err.code != ERR_MISSING
            ? "the last checkpoint cannot be returned to: " : "no checkpoint was written yet",
            err.code != ERR_MISSING ? err.text : "");
    }
    t->skipped_in_a_row = 0;
    t->good_updates = 0;
    t->is_unsound = false;
    training_advance(t);
    /* What is left of an on-policy round was prepared with what is gone. In lockstep actors get the version at
     * the end of a round. */
    if (t->in_round && t->algorithm->is_on_policy)
        training_end_round(t);
    else if (!is_lockstep(t))
        training_publish(t);
}

bool training_recover(struct training *t)
{
    if (t->good_updates >= GOOD_UPDATES)
        t->n_returns = 0;
    if (t->skipped_in_a_row < MAX_SKIPPED_IN_A_ROW && !t->is_unsound)
        return true;
    if (t->n_returns >= MAX_RETURNS)
        return false;
    t->n_returns++;
    go_back(t);
    return true;
}

void training_recover_for_good(struct training *t)
{
    struct error err;
    if (training_check(t, &err) != 0)
        go_back(t);
}
