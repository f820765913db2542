#include "deploy/simulation_run.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/file.h"
#include "common/matrix.h"
#include "common/text.h"
#include "deploy/console.h"
#include "deploy/engine.h"
#include "deploy/program.h"
#include "deploy/progress.h"
#include "deploy/run.h"
#include "deploy/simulation.h"

/* Lines of metrics.csv that a run has at least, lines about actors in the log at most, and events between looks
 * at the real clock. */
enum { LEAST_LINES = 100, MOST_ACTOR_LINES = 2000, CLOCK_EVENTS = 256 };
enum { LIVE_US = 500000, LINE_US = 10000000 };

struct shell {
    struct experiment *experiment;
    struct env_model *model;
    struct run run;
    struct mlp_engine engine;
    struct conditions conditions;
    struct simulation *simulation;

    struct progress progress;           /* in virtual time */
    struct last_evaluation last;
    int64_t scheduled, line_scheduled;  /* transitions learnt from; at the last line of metrics.csv */
    int64_t checkpoint_us;              /* virtual, of the last one */
    int64_t began_us, shown_us;         /* of this machine */
    int64_t actor_lines;
    double staleness_sum;               /* of transitions, from metrics.csv's lines */
    int64_t staleness_n, staleness_max;
};

/* ---- what is said and written ---- */

static double virtual_s(const struct shell *h)
{
    return h->simulation ? (double)simulation_now_us(h->simulation) * 1e-6 : 0;
}

static void say(struct shell *h, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct shell *h, const char *format, ...)
{
    char line[768];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    run_write_log(&h->run, line);
    console_say("%s", line);
}

/* Thousands of actors come and go: what is about them is for the log alone, and only the first of it. */
static void on_log(void *context, enum simulation_voice voice, const char *line)
{
    struct shell *h = context;
    char text[700];
    if (voice == VOICE_TRAINING) {
        say(h, "at %.6f s: %s", virtual_s(h), line);
        return;
    }
    if (h->actor_lines++ > MOST_ACTOR_LINES)
        return;
    snprintf(text, sizeof(text), "at %.6f s: %s", virtual_s(h),
             h->actor_lines > MOST_ACTOR_LINES ? "more about actors is left out" : line);
    run_write_log(&h->run, text);
}

static void on_evaluated(void *context, int64_t env_steps, const struct evaluation *e, const float *params)
{
    struct shell *h = context;
    struct error err;
    h->last.result = *e;
    run_write_eval(&h->run, env_steps, virtual_s(h), e);
    say(h, "evaluation at %" PRId64 " transitions: mean %.1f +- %.1f over %d episode%s", env_steps, e->mean, e->std,
        e->episodes, text_plural(e->episodes));
    if (e->mean <= h->run.best_mean)
        return;
    if (run_save_policy(&h->run, h->experiment, "best", params, &err) == 0)
        h->run.best_mean = e->mean;
    else
        say(h, "the best policy could not be written: %s", err.text);
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    run_write_hash(&((struct shell *)context)->run, update, env_steps, sha256);
}

static void on_scheduled(void *context, const struct schedule_record *r)
{
    struct shell *h = context;
    run_write_schedule(&h->run, r);
    h->scheduled += r->n_used;
}

static void on_aged(void *context, const struct version_staleness *s)
{
    run_write_staleness(&((struct shell *)context)->run, s);
}

static int on_restore(void *context, struct training *t, struct error *err)
{
    return run_restore(&((struct shell *)context)->run, t, err);
}

static void write_metrics(struct shell *h)
{
    struct session_counts counts;
    struct simulation_counts n;
    const int64_t before = h->progress.report.env_steps;
    struct training_report *r = &h->progress.report;
    simulation_session_count(h->simulation, &counts);
    training_report(simulation_training(h->simulation), r);
    simulation_count(h->simulation, &n);
    h->progress.waited_us = n.waited_ns / 1000;
    progress_write(&h->progress, &h->run, h->experiment, &counts, simulation_now_us(h->simulation));
    h->line_scheduled = h->scheduled;
    h->staleness_sum += r->staleness_mean * (double)(r->env_steps - before);
    h->staleness_n += r->env_steps - before;
    h->staleness_max = r->staleness_max > h->staleness_max ? r->staleness_max : h->staleness_max;
}

static void show_progress(struct shell *h, int64_t now_us)
{
    const struct training_report *r = &h->progress.report;
    const int64_t total = h->experiment->settings.top.total_steps;
    const double here_s = (double)(now_us - h->began_us) * 1e-6;
    char mean[32] = "-", line[256];
    h->shown_us = now_us;
    if (isfinite(r->return_mean))
        snprintf(mean, sizeof(mean), "%.1f", r->return_mean);
    snprintf(line, sizeof(line), "%3d%%  return %s  left %.0f s  %" PRId64 " steps  %.0f steps/s here  virtual %.3f s  "
             "staleness %.1f%s", (int)(100 * h->scheduled / total), mean,
             h->scheduled ? here_s * (double)(total - h->scheduled) / (double)h->scheduled : 0, h->scheduled,
             (double)h->scheduled / here_s, virtual_s(h), r->staleness_mean, r->is_random ? "  (warm-up)" : "");
    if (console_is_terminal())
        console_live(line);
    else
        console_say("%s", line);
}

/* ---- the run ---- */

static void announce(struct shell *h)
{
    char spec[256], lines[SETTINGS_MAX_WARNINGS][SETTINGS_WARNING_BYTES];
    const struct experiment *e = h->experiment;
    const struct settings *s = &e->settings;
    env_spec_describe(env_spec(h->model), spec, sizeof(spec));
    say(h, SIMULATION_SAYS "%s on %s, %s, seed %" PRId64 " and %" PRId64 ", %" PRId64 " actors x %" PRId64
        " environments; run %s", s->top.algorithm, spec, settings_mode(s), s->top.seed, s->simulate.seed,
        s->top.actors, s->top.envs_per_actor, h->run.path);
    const int n = settings_warnings(s, e->algorithm->is_on_policy, e->traits.ignores_batch_size, lines);
    for (int i = 0; i < n; i++)
        say(h, "%s", lines[i]);
}

static int begin(struct shell *h, const struct simulation_options *o, struct error *err)
{
    struct experiment *e = h->experiment;
    const struct settings *s = &e->settings;
    const double available = (double)program_available_bytes();
    int rc = env_open(&h->model, &e->env, err);
    if (rc == 0)
        rc = experiment_bind(e, env_spec(h->model), err);
    if (rc == 0)
        rc = conditions_read(&h->conditions, s, e->algorithm->is_on_policy, err);
    if (rc == 0)
        rc = engine_init(&h->engine, e, false, err);
    if (rc == 0 && available > 0)
        rc = training_check_memory(s, e->algorithm->is_on_policy, env_spec(h->model), &h->engine, available, err);
    if (rc == 0)
        rc = run_create(&h->run, o->run, e, h->engine.kernels, err);
    if (rc != 0)
        return rc;
    h->run.row = env_spec(h->model)->shape;
    env_spec_hash(env_spec(h->model), h->run.spec_hash);
    announce(h);
    const struct simulation_setup setup = {
        .settings = s, .algorithm = e->algorithm, .hyper = e->hyper, .model = h->model, .engine = &h->engine,
        .conditions = &h->conditions,
    };
    h->simulation = simulation_create(&setup, (struct simulation_out){
        .context = h, .evaluated = on_evaluated, .hash = on_hash, .scheduled = on_scheduled, .aged = on_aged,
        .log = on_log,
        .restore = on_restore }, err);
    return h->simulation ? 0 : err->code;
}

/* Everything that virtual time and transitions do. */
static void tick(struct shell *h)
{
    const struct settings *s = &h->experiment->settings;
    const int64_t now_us = simulation_now_us(h->simulation);
    struct training *t = simulation_training(h->simulation);
    struct error err;
    if ((double)(now_us - h->progress.written_us) * 1e-6 >= s->metrics.every_s
        || h->scheduled - h->line_scheduled > s->top.total_steps / LEAST_LINES)
        write_metrics(h);
    if (now_us - h->checkpoint_us < s->checkpoint.every_s * 1000000 || !training_is_at_rest(t))
        return;
    h->checkpoint_us = now_us;
    if (run_save(&h->run, h->experiment, t, &err) != 0)
        say(h, "the checkpoint could not be written, training goes on: %s", err.text);
}

static enum training_status train(struct shell *h)
{
    enum training_status status = TRAINING_BUSY;
    const int64_t show_us = console_is_terminal() ? LIVE_US : LINE_US;
    for (int64_t i = 1; status == TRAINING_BUSY; i++) {
        status = simulation_step(h->simulation);
        tick(h);
        if (i % CLOCK_EVENTS != 0)
            continue;
        const int64_t now_us = program_now_us();
        if (now_us - h->shown_us >= show_us)
            show_progress(h, now_us);
        /* At the end of an on-policy round, where there is something to save. */
        while (program_stop_requests() > 0 && status == TRAINING_BUSY) {
            if (training_is_at_rest(simulation_training(h->simulation)))
                return status;
            status = simulation_step(h->simulation);
        }
    }
    return status;
}

/* What a real run's summary does not have. */
static int complete_summary(const struct shell *h, double wall_s, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    struct simulation_counts n;
    struct file_writer w;
    const struct training_report *r = &h->progress.report;
    run_file(&h->run, "summary.json", path, sizeof(path));
    json_t *summary = json_load_file(path, 0, NULL);
    int rc = file_begin(&w, path, err);
    if (rc != 0) {
        json_decref(summary);
        return rc;
    }
    simulation_count(h->simulation, &n);
    const double seconds = (double)n.now_ns * 1e-9, work_s = n.acting_s + n.learning_s + n.evaluating_s;
    json_t *more = json_pack("{s:b, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}",
        "virtual_time", 1, "steps_per_s", seconds > 0 ? (double)r->env_steps / seconds : 0,
        "updates_per_s", seconds > 0 ? (double)r->updates / seconds : 0,
        "staleness_mean", h->staleness_n > 0 ? h->staleness_sum / (double)h->staleness_n : 0,
        "staleness_max", (json_int_t)h->staleness_max, "collected_steps", (json_int_t)n.steps,
        "failures", (json_int_t)n.failures, "events", (json_int_t)n.events,
        "events_per_wall_s", wall_s > 0 ? (double)n.events / wall_s : 0, "wall_s", wall_s,
        "wall_acting_s", n.acting_s, "wall_learning_s", n.learning_s, "wall_evaluating_s", n.evaluating_s,
        "overhead", wall_s > 0 ? (wall_s - work_s) / wall_s : 0);
    if (summary && more)
        json_object_update(summary, more);
    json_dumpf(summary ? summary : more, w.fp, JSON_INDENT(2) | JSON_REAL_PRECISION(10));
    fprintf(w.fp, "\n");
    json_decref(summary);
    json_decref(more);
    return file_commit(&w, err);
}

static int ending_error(const struct shell *h, enum training_status status, struct error *err)
{
    if (status == TRAINING_FINISHED)
        return 0;
    if (status == TRAINING_DIVERGED)
        return error_set(err, ERR_NUMERIC, "training diverged: updates went on giving numbers that are not finite "
                         "after every return; lower the learning rates and simulate again");
    return error_set(err, ERR_INTERRUPTED, "interrupted; a simulated run cannot go on, what there is of it is in %s",
                     h->run.path);
}

static int write_actors(struct shell *h, struct error *err)
{
    const int n = (int)h->experiment->settings.top.actors;
    struct session_actor *actors = memory_alloc((size_t)n, sizeof(*actors));
    struct training_place *places = memory_alloc((size_t)n, sizeof(*places));
    for (int i = 0; i < n; i++) {
        simulation_count_actor(h->simulation, i, &actors[i]);
        places[i] = training_place(simulation_training(h->simulation), i);
    }
    const int rc = run_write_actors(&h->run, n, actors, places, err);
    free(actors);
    free(places);
    return rc;
}

static int conclude(struct shell *h, enum training_status status, struct error *err)
{
    int rc = 0;
    const double wall_s = (double)(program_now_us() - h->began_us) * 1e-6;
    write_metrics(h);
    const char *word = progress_ending(&h->progress, h->experiment->settings.top.total_steps, status);
    if (status != TRAINING_DIVERGED)
        rc = run_save(&h->run, h->experiment, simulation_training(h->simulation), err);
    if (rc == ERR_NUMERIC) {
        say(h, "no checkpoint was written, the last one stays: %s", err->text);
        rc = 0;
    }
    if (rc == 0)
        rc = run_write_summary(&h->run, h->experiment, word, virtual_s(h), &h->progress.report, &h->last, err);
    if (rc == 0)
        rc = write_actors(h, err);
    if (rc == 0)
        rc = complete_summary(h, wall_s, err);
    console_live("");
    if (rc != 0)
        return rc;
    say(h, "%s after %" PRId64 " transitions and %" PRId64 " updates in %.3f s of virtual time, %.1f s here; the run "
        "is in %s", word, h->progress.report.env_steps, h->progress.report.updates, virtual_s(h), wall_s, h->run.path);
    return ending_error(h, status, err);
}

int simulation_run(const struct simulation_options *o, struct error *err)
{
    struct shell h = { .experiment = o->experiment, .run = { .lock = -1 } };
    matrix_setup();
    int rc = begin(&h, o, err);
    if (rc == 0) {
        progress_begin(&h.progress, 0, 0);
        h.began_us = h.shown_us = program_now_us();
        rc = conclude(&h, train(&h), err);
    }
    simulation_destroy(&h.simulation);
    engine_fini(&h.engine);
    conditions_fini(&h.conditions);
    env_close(&h.model);
    run_close(&h.run);
    return rc;
}
