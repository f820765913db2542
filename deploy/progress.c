#include "deploy/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "deploy/console.h"

enum { LIVE_US = 500000, LINE_US = 10000000, WINDOW_US = 2000000 };

void progress_begin(struct progress *p, double time_before_s, int64_t now_us)
{
    p->time_before_s = time_before_s;
    p->began_us = p->written_us = p->shown_us = p->window_us = now_us;
    p->written_steps = p->window_steps = p->report.env_steps;
    p->written_updates = p->window_updates = p->report.updates;
}

double progress_time_s(const struct progress *p, int64_t now_us)
{
    return p->time_before_s + (double)(now_us - p->began_us) * 1e-6;
}

void progress_measure(struct progress *p, int64_t now_us)
{
    if (now_us - p->window_us < WINDOW_US)
        return;
    double seconds = (double)(now_us - p->window_us) * 1e-6;
    p->steps_per_s = (double)(p->report.env_steps - p->window_steps) / seconds;
    p->updates_per_s = (double)(p->report.updates - p->window_updates) / seconds;
    p->window_us = now_us;
    p->window_steps = p->report.env_steps;
    p->window_updates = p->report.updates;
}

void progress_write(struct progress *p, struct run *run, const struct experiment *e,
                    const struct session_counts *counts, int64_t now_us)
{
    double seconds = (double)(now_us - p->written_us) * 1e-6;
    double steps = (double)(p->report.env_steps - p->written_steps);
    double updates = (double)(p->report.updates - p->written_updates);
    const struct run_speeds speeds = {
        .steps_per_s = seconds > 0 ? steps / seconds : 0, .updates_per_s = seconds > 0 ? updates / seconds : 0,
        .learner_wait_s = (double)p->waited_us * 1e-6,
    };
    run_write_metrics(run, e, progress_time_s(p, now_us), &p->report, counts, &speeds);
    p->written_us = now_us;
    p->written_steps = p->report.env_steps;
    p->written_updates = p->report.updates;
    progress_measure(p, now_us);
}

static void format_duration(double seconds, char *out, size_t bytes)
{
    long s = (long)seconds;
    if (s >= 3600)
        snprintf(out, bytes, "%ldh%02ldm", s / 3600, s / 60 % 60);
    else
        snprintf(out, bytes, "%ldm%02lds", s / 60, s % 60);
}

/* What matters most comes first, for narrow terminals. */
static void format_line(const struct progress *p, int64_t total_steps, int actors, char *out,
                        size_t bytes)
{
    const struct training_report *r = &p->report;
    char left[32] = "?", mean[32] = "-";
    if (actors == 0) {
        snprintf(out, bytes, "%3d%%  waiting for actors: none has joined or all have left",
                 (int)(100 * r->env_steps / total_steps));
        return;
    }
    if (p->steps_per_s > 0)
        format_duration((double)(total_steps - r->env_steps) / p->steps_per_s, left, sizeof(left));
    if (isfinite(r->return_mean))
        snprintf(mean, sizeof(mean), "%.1f", r->return_mean);
    snprintf(out, bytes, "%3d%%  return %s  left %s  %" PRId64 " steps  %.0f steps/s  %.0f updates/s  "
             "staleness %.0f%s", (int)(100 * r->env_steps / total_steps), mean, left, r->env_steps,
             p->steps_per_s, p->updates_per_s, r->staleness_mean,
             r->is_random ? "  (warm-up)" : "");
}

void progress_show(struct progress *p, int64_t total_steps, int actors, int64_t now_us)
{
    char line[256];
    bool is_terminal = console_is_terminal();
    if (now_us - p->shown_us < (is_terminal ? LIVE_US : LINE_US))
        return;
    p->shown_us = now_us;
    format_line(p, total_steps, actors, line, sizeof(line));
    if (is_terminal)
        console_live(line);
    else
        console_say("%s", line);
}

const char *progress_ending(const struct progress *p, int64_t total_steps, enum training_status status)
{
    if (status == TRAINING_DIVERGED)
        return "diverged";
    if (status != TRAINING_FINISHED)
        return "interrupted";
    return p->report.env_steps < total_steps ? "stopped at eval.stop_at" : "finished";
}
