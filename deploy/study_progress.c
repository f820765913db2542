#include "deploy/study_progress.h"

#include <math.h>
#include <stdio.h>

#include "deploy/console.h"

enum { LIVE_US = 1000000, LINE_US = 60000000 };

int study_digits(int n)
{
    int digits = 1;
    for (; n >= 10; n /= 10)
        digits++;
    return digits;
}

void study_format_duration(double seconds, char *out, size_t bytes)
{
    const long s = (long)seconds;
    if (s >= 3600)
        snprintf(out, bytes, "%ldh%02ldm", s / 3600, s / 60 % 60);
    else if (s >= 60)
        snprintf(out, bytes, "%ldm%02lds", s / 60, s % 60);
    else
        snprintf(out, bytes, "%lds", s);
}

/* Seconds and transitions of this session, summed over cells. */
struct speed {
    double seconds, steps;
};

/* `arm` and `task` may be -1: any. */
static struct speed measure(const struct cells *c, int arm, int task, int64_t now_us)
{
    struct speed sum = { 0 };
    for (int i = 0; i < c->n; i++) {
        const struct cell *cell = &c->v[i];
        const bool counts = cell->began_us > 0 && cell->steps > cell->began_steps
                            && (arm < 0 || cell->arm == arm) && (task < 0 || cell->task == task);
        if (!counts)
            continue;
        const int64_t end_us = cell->ended_us > 0 ? cell->ended_us : now_us;
        sum.seconds += (double)(end_us - cell->began_us) * 1e-6;
        sum.steps += (double)(cell->steps - cell->began_steps);
    }
    return sum;
}

static double seconds_per_step(const struct cells *c, const struct cell *cell, int64_t now_us)
{
    const int arms[] = { cell->arm, -1, -1 }, tasks[] = { cell->task, cell->task, -1 };
    for (int i = 0; i < 3; i++) {
        const struct speed s = measure(c, arms[i], tasks[i], now_us);
        if (s.steps > 0)
            return s.seconds / s.steps;
    }
    return NAN;
}

/* Arms and tasks repeat with every seed. */
static int count_combinations(const struct cells *c)
{
    int n = 0;
    while (n < c->n && c->v[n].seed == c->v[0].seed)
        n++;
    return n;
}

double study_seconds_left(const struct cells *c, int jobs, int64_t now_us)
{
    const int n_combinations = count_combinations(c);
    double sum = 0, longest = 0;
    for (int k = 0; k < n_combinations; k++) {
        const double speed = seconds_per_step(c, &c->v[k], now_us);
        for (int i = k; i < c->n; i += n_combinations) {
            const struct cell *cell = &c->v[i];
            if (cell->state == CELL_DONE || cell->state == CELL_FAILED)
                continue;
            const double left = (double)(cell->total_steps - cell->steps) * speed;
            sum += left;
            longest = left > longest ? left : longest;
        }
    }
    /* The last cells do not get faster because others are done. */
    return sum / jobs > longest || isnan(sum) ? sum / jobs : longest;
}

void study_format_left(const struct cells *c, int jobs, int64_t now_us, char *out, size_t bytes)
{
    char duration[32];
    const double left = study_seconds_left(c, jobs, now_us);
    *out = '\0';
    if (isnan(left) || cells_count(c, CELL_DONE) + cells_count(c, CELL_FAILED) == c->n)
        return;
    study_format_duration(left, duration, sizeof(duration));
    snprintf(out, bytes, ", %s left", duration);
}

/* "3/12 done, 2 running, 1 failed, 12m05s left | sync-CartPole-v1-1 40%  async-CartPole-v1-1 35%" */
static void format_line(const struct cells *c, int jobs, int64_t now_us, char *out, size_t bytes)
{
    char left[48], failed[32] = "";
    const int n_failed = cells_count(c, CELL_FAILED);
    study_format_left(c, jobs, now_us, left, sizeof(left));
    if (n_failed > 0)
        snprintf(failed, sizeof(failed), ", %d failed", n_failed);
    size_t used = (size_t)snprintf(out, bytes, "%d/%d done, %d running%s%s |", cells_count(c, CELL_DONE), c->n,
                                   cells_count(c, CELL_RUNNING), failed, left);
    for (int i = 0; i < c->n && used < bytes; i++)
        if (c->v[i].state == CELL_RUNNING)
            used += (size_t)snprintf(out + used, bytes - used, "  %s %d%%", c->v[i].name,
                                     (int)(100 * c->v[i].steps / c->v[i].total_steps));
}

void study_progress_show(struct study_progress *p, struct cells *c, const char *dir, int jobs, int64_t now_us)
{
    char line[512];
    const bool is_terminal = console_is_terminal();
    if (p->shown_us == 0 && !is_terminal)
        p->shown_us = now_us;
    if (now_us - p->shown_us < (is_terminal ? LIVE_US : LINE_US))
        return;
    p->shown_us = now_us;
    for (int i = 0; i < c->n; i++)
        if (c->v[i].state == CELL_RUNNING)
            c->v[i].steps = cell_steps(&c->v[i], dir);
    format_line(c, jobs, now_us, line, sizeof(line));
    if (is_terminal)
        console_live(line);
    else
        console_say("%s", line);
}
