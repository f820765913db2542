/* Two readers go through the schedule: `ahead` gives what is to be done next, `behind` what the training core should
 * say about it, which it does later (rerun_check.h).
 *
 * A record's place is given by the updates that were done and the records before it. Between steps there is one such
 * place for every state that the training core can be in, so a record is due as soon as the updates match: fragments
 * when the version that acted is here, the others when all fragments before them have entered. */
#include "deploy/rerun.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/acting.h"
#include "common/file.h"
#include "common/matrix.h"
#include "common/text.h"
#include "deploy/console.h"
#include "deploy/engine.h"
#include "deploy/program.h"
#include "deploy/progress.h"
#include "deploy/provenance.h"
#include "deploy/rerun_check.h"
#include "deploy/rerun_streams.h"
#include "deploy/rerun_survey.h"
#include "learner/training.h"

static const size_t SCHEDULE_LIMIT = (size_t)1 << 34, TEXT_LIMIT = (size_t)1 << 20;

struct rerun {
    const struct rerun_options *options;
    struct rerun_result *result;
    struct experiment experiment;
    struct env_model *model;
    struct mlp_engine engine;
    struct fragment_pool *fragments;
    struct training *training;
    struct rerun_streams *streams;
    enum training_status status;

    char *data;                     /* [bytes] the schedule */
    size_t bytes;
    struct rerun_outline outline;
    struct schedule_reader ahead;
    struct schedule_record next;    /* of `ahead` */
    bool has_next;
    struct rerun_check check;       /* holds `behind` */
    int64_t n_fed;                  /* fragments */
    int64_t transitions_fed;        /* to this learner */
    struct safetensors *saved;      /* the last checkpoint, or where this learner began; NULL: at the start */

    struct progress progress;
    int64_t looked_us, total_steps;
};

static void run_path(const struct rerun *r, const char *name, char *out, size_t bytes)
{
    snprintf(out, bytes, "%s/%s", r->options->run, name);
}

/* ---- what the training core says ---- */

static void on_consumed(void *context, const struct fragment *f, enum fragment_fate fate)
{
    (void)context, (void)f, (void)fate;
}

static void on_publish(void *context, int64_t version, bool random, const float *params, size_t n)
{
    rerun_streams_publish(((struct rerun *)context)->streams, version, random, params, n);
}

/* The schedule says which version acted. */
static void on_round(void *context, int64_t round, int64_t version, int64_t previous)
{
    (void)context, (void)round, (void)version, (void)previous;
}

/* Not played; the answer that ends nothing. */
static void on_evaluate(void *context, int64_t env_steps, const float *params, size_t n)
{
    (void)params, (void)n;
    training_evaluated(((struct rerun *)context)->training, env_steps, (double)NAN);
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    rerun_check_hash(&((struct rerun *)context)->check, update, env_steps, sha256);
}

static void on_scheduled(void *context, const struct schedule_record *found)
{
    rerun_check_entered(&((struct rerun *)context)->check, found);
}

static int on_restore(void *context, struct error *err)
{
    struct rerun *r = context;
    const bool was_there = rerun_check_returned(&r->check, training_updates(r->training));
    return was_there && r->saved ? training_restore(r->training, r->saved, err)
                                 : error_set(err, ERR_MISSING, "none");
}

static void on_log(void *context, const char *line)
{
    if (!((struct rerun *)context)->options->is_quiet)
        console_say("%s", line);
}

/* ---- learners ---- */

/* A training core as the learner of a BEGIN record had it. */
static int begin_learner(struct rerun *r, const struct schedule_record *begin, struct error *err)
{
    r->experiment.settings.top.total_steps = (int64_t)begin->sequence;
    const struct training_setup setup = {
        .settings = &r->experiment.settings, .algorithm = r->experiment.algorithm, .hyper = r->experiment.hyper,
        .spec = env_spec(r->model), .fragments = r->fragments, .engine = &r->engine,
    };
    training_destroy(&r->training);
    r->training = training_create(&setup, (struct training_out){
        .context = r, .consumed = on_consumed, .publish = on_publish, .round = on_round, .evaluate = on_evaluate, .hash = on_hash,
        .scheduled = on_scheduled, .log = on_log, .restore = on_restore });
    int rc = r->saved ? training_load(r->training, r->saved, err) : 0;
    if (rc != 0)
        return rc;
    r->result->n_learners++;
    r->transitions_fed = 0;
    r->status = TRAINING_BUSY;
    rerun_streams_begin(r->streams);
    training_begin(r->training);
    return 0;
}

/* A checkpoint, kept in memory. */
static int save(struct rerun *r, struct error *err)
{
    struct tensor tensors[TRAINING_MAX_TENSORS];
    int rc = training_check(r->training, err);
    if (rc != 0)
        return rc;
    safetensors_close(&r->saved);
    r->saved = safetensors_keep(tensors, training_save(r->training, tensors));
    return 0;
}

/* Another learner goes on from what this one saved here. */
static int succeed(struct rerun *r, const struct schedule_record *begin, struct error *err)
{
    /* One that had ended has said so, which the others have not where they were ended by eval.stop_at. */
    if (r->check.trail.has_recorded && r->check.trail.recorded.update == training_updates(r->training))
        training_hash(r->training);
    int rc = save(r, err);
    return rc == 0 ? begin_learner(r, begin, err) : rc;
}

static bool is_over(const struct rerun *r)
{
    return r->status == TRAINING_FINISHED || r->status == TRAINING_DIVERGED;
}

/* The run ended here by itself: of what total_steps owes, or because evaluations were good enough. */
static void end_training(struct rerun *r)
{
    const struct settings *s = &r->experiment.settings;
    struct training_report report;
    if (is_over(r))
        return;
    training_report(r->training, &report);
    for (int64_t i = 0; i < s->eval.stop_count; i++)
        training_evaluated(r->training, report.env_steps, INFINITY);
    r->status = training_step(r->training);
}

/* ---- following the schedule ---- */

static void read_next(struct rerun *r)
{
    r->has_next = schedule_read(&r->ahead, &r->next);
}

/* Whether a record can stand beside those of a batch. */
static bool belongs(const struct schedule_record *batch, int n, const struct schedule_record *r)
{
    if (r->kind != SCHEDULE_FRAGMENT || n == ACTING_GROUP
        || (n > 0 && (batch[0].update != r->update || batch[0].version != r->version)))
        return false;
    for (int i = 0; i < n; i++)
        if (batch[i].stream == r->stream)
            return false;
    return true;
}

/* Collect the fragments that come next and give them to the training core. */
static int feed(struct rerun *r, struct error *err)
{
    struct schedule_record batch[ACTING_GROUP];
    struct fragment *fragments[ACTING_GROUP];
    int n = 0;
    for (; r->has_next && belongs(batch, n, &r->next); read_next(r))
        batch[n++] = r->next;
    int rc = rerun_streams_collect(r->streams, batch, n, fragments, err);
    for (int i = 0; i < n && rc == 0; i++) {
        training_offer(r->training, fragments[i]);
        r->transitions_fed += batch[i].n_used;
        r->n_fed++;
    }
    return rc;
}

/* The same of one gradient. */
static int feed_gradient(struct rerun *r, struct error *err)
{
    struct fragment *f;
    const struct schedule_record record = r->next;
    int rc = rerun_streams_differentiate(r->streams, &record, &f, err);
    if (rc != 0)
        return rc;
    training_offer(r->training, f);
    r->transitions_fed += record.n_used;
    r->n_fed++;
    read_next(r);
    return 0;
}

/* Updates behind which the next record stands, or behind which all is done. */
static uint64_t next_place(const struct rerun *r)
{
    return r->has_next ? r->next.update : r->outline.last_update;
}

/* Whether the next record is due; or, where there are none left, whether all is done: the last fragment may have
 * entered together with an update. */
static bool is_due(const struct rerun *r)
{
    const uint64_t updates = (uint64_t)training_updates(r->training), place = next_place(r);
    if (r->has_next && schedule_is_entry(&r->next))
        return updates == place && !is_over(r) && rerun_streams_have(r->streams, &r->next);
    return r->check.n_entered == r->n_fed && (updates == place || (!r->has_next && updates > place))
        && (is_over(r) || training_is_at_rest(r->training));
}

static int departed(const struct rerun *r, struct error *err)
{
    const char *what = r->status == TRAINING_WAITING  ? "waits for another fragment"
                     : r->status == TRAINING_FINISHED ? "has come to its end"
                     : r->status == TRAINING_DIVERGED ? "has diverged" : "goes on";
    return error_set(err, ERR_DIFFERENT, "behind update %" PRId64 " training %s, but the schedule has a %s behind "
                     "update %" PRIu64, training_updates(r->training), what,
                     r->has_next ? schedule_kind_word(r->next.kind) : "last record", next_place(r));
}

static int step(struct rerun *r, struct error *err)
{
    r->status = training_step(r->training);
    return r->check.problem.code ? (*err = r->check.problem).code : 0;
}

/* Nothing is due yet: let training go on. */
static int approach(struct rerun *r, struct error *err)
{
    const uint64_t updates = (uint64_t)training_updates(r->training);
    if (updates > next_place(r) || is_over(r))
        return departed(r, err);
    const int rc = step(r, err);
    const bool is_stuck = r->status == TRAINING_WAITING && (uint64_t)training_updates(r->training) == updates;
    return rc == 0 && is_stuck && !is_due(r) ? departed(r, err) : rc;
}

/* Before replay is filled for the first time nothing is learnt, and what is collected need not wait in the queue. */
static bool may_enter_early(const struct rerun *r)
{
    return r->result->n_learners == 1 && !r->experiment.algorithm->is_on_policy
        && r->transitions_fed < r->experiment.settings.replay.min_size;
}

/* Do what the next record says, or what is to be done before. Returns whether something is left to do. */
static bool follow(struct rerun *r, int *rc, struct error *err)
{
    const struct schedule_record record = r->next;
    if (training_updates(r->training) >= r->options->until)
        return false;
    if (!is_due(r)) {
        *rc = approach(r, err);
        return true;
    }
    if (!r->has_next)
        return false;
    if (record.kind == SCHEDULE_FRAGMENT) {
        *rc = feed(r, err);
        if (*rc == 0 && may_enter_early(r))
            *rc = step(r, err);
        return true;
    }
    if (record.kind == SCHEDULE_GRADIENT) {
        *rc = feed_gradient(r, err);
        return true;
    }
    read_next(r);
    if (record.kind == SCHEDULE_SAVE)
        *rc = save(r, err);
    else if (record.kind == SCHEDULE_BEGIN)
        *rc = succeed(r, &record, err);
    else if (record.kind == SCHEDULE_END && record.n_used)
        end_training(r);
    return record.kind != SCHEDULE_END;    /* RETURN stands behind what it says */
}

static void show(struct rerun *r)
{
    const int64_t now_us = program_now_us();
    if (r->options->is_quiet || now_us - r->looked_us < 200000)
        return;
    r->looked_us = now_us;
    training_report(r->training, &r->progress.report);
    progress_measure(&r->progress, now_us);
    if (r->progress.steps_per_s > 0 && r->total_steps > 0)
        progress_show(&r->progress, r->total_steps, 1, now_us);
}

static int follow_all(struct rerun *r, struct error *err)
{
    int rc = 0;
    r->total_steps = rerun_survey_steps(r->data, r->bytes, r->options->until);
    training_report(r->training, &r->progress.report);
    progress_begin(&r->progress, 0, program_now_us());
    while (rc == 0 && follow(r, &rc, err)) {
        show(r);
        if (rc == 0 && r->options->stop && r->options->stop())
            rc = error_set(err, ERR_INTERRUPTED, "interrupted behind update %" PRId64 "; %" PRId64 " hashes were equal",
                           training_updates(r->training), r->check.trail.n_equal);
    }
    if (!r->options->is_quiet)
        console_live("");
    if (rc == 0 && r->check.problem.code)
        rc = (*err = r->check.problem).code;
    return rc;
}

/* ---- before ---- */

static void read_run_time(struct rerun *r)
{
    char path[4096];
    run_path(r, "summary.json", path, sizeof(path));
    json_t *summary = json_load_file(path, 0, NULL);
    r->result->run_time_s = json_number_value(json_object_get(summary, "time_s"));
    json_decref(summary);
}

static int open_run(struct rerun *r, struct error *err)
{
    char path[4096];
    struct provenance_config config;
    run_path(r, "config.yaml", path, sizeof(path));
    if (!file_exists(path))
        return error_set(err, ERR_MISSING, "%s holds no run: there is no %s", r->options->run, path);
    int rc = experiment_load(&r->experiment, path, NULL, 0, err);
    if (rc == 0)
        rc = provenance_read_config(path, &config, err);
    if (rc == 0)
        rc = env_open(&r->model, &r->experiment.env, err);
    if (rc == 0)
        rc = experiment_bind(&r->experiment, env_spec(r->model), err);
    if (rc == 0)
        rc = engine_init(&r->engine, &r->experiment, false, err);
    run_path(r, "schedule.bin", path, sizeof(path));
    if (rc == 0)
        rc = file_read(path, SCHEDULE_LIMIT, &r->data, &r->bytes, err);
    r->result->bytes = (int64_t)r->bytes;
    if (rc == 0)
        rc = rerun_survey(&r->outline, &r->experiment.settings, config.digest, r->options->run, r->data, r->bytes, err);
    r->result->n_records = r->outline.n_records;
    r->result->is_torn = r->outline.is_torn;
    r->result->is_finished = r->outline.has_end;
    run_path(r, "hashes.csv", path, sizeof(path));
    if (rc == 0)
        rc = hash_trail_open(&r->check.trail, path, r->options->out, err);
    return rc;
}

static int begin(struct rerun *r, struct error *err)
{
    struct schedule_record first;
    r->fragments = fragment_pool_create();
    r->streams = rerun_streams_create(&r->experiment, r->model, r->fragments, r->data, r->bytes, err);
    if (!r->streams)
        return err->code;
    schedule_reader_init(&r->ahead, r->data, r->bytes);
    rerun_check_begin(&r->check, r->data, r->bytes, r->options->until);
    read_next(r);
    first = r->next;
    read_next(r);
    return begin_learner(r, &first, err);
}

/* ---- after ---- */

/* What is known to be different here, or might be. */
static void find_cause(const struct rerun *r, char *out, size_t bytes)
{
    char path[4096], ours[PROVENANCE_BYTES], *text = NULL;
    size_t size;
    run_path(r, "machines.txt", path, sizeof(path));
    provenance_describe(r->engine.kernels, ours, sizeof(ours));
    out[0] = '\0';
    if (file_read(path, TEXT_LIMIT, &text, &size, NULL) == 0) {
        char *at = text;
        for (char *line; out[0] == '\0' && (line = strsep(&at, "\n"));)
            provenance_compare(ours, line, out, bytes);
    }
    free(text);
    if (out[0] != '\0')
        return;
    snprintf(out, bytes, "%s", run_environment_differs(r->options->run, false, env_spec(r->model))
             ? "the environment's files, options or bounds have changed since"
             : r->outline.has_other_config ? "config.yaml was changed since a learner of this run began"
             : "machine, libraries and configuration are the run's: the environment may not repeat itself, an actor was "
               "elsewhere, or files were changed");
}

static void explain(const struct rerun *r, struct error *err)
{
    char cause[300], before[96] = "no hash was equal before";
    if (r->check.trail.n_equal > 0)
        snprintf(before, sizeof(before), "%" PRId64 " hash%s equal until update %" PRId64, r->check.trail.n_equal,
                 r->check.trail.n_equal == 1 ? " was" : "es were", r->check.trail.last_equal.update);
    find_cause(r, cause, sizeof(cause));
    const struct error what = *err;
    error_set(err, ERR_DIFFERENT, "%.230s; %s; %s", what.text, before, cause);
}

/* The hashes that the schedule does not lead to. */
static int check_left(struct rerun *r, struct error *err)
{
    int64_t until = r->options->until, behind;
    if (!r->outline.has_end && (int64_t)r->outline.last_update < until)
        until = (int64_t)r->outline.last_update;
    const int rc = rerun_check_left(&r->check, until, &behind, err);
    r->result->n_behind = r->outline.has_end || until == r->options->until ? 0 : behind;
    return rc;
}

static void sum_up(struct rerun *r, int64_t began_us)
{
    struct rerun_result *out = r->result;
    if (r->training) {
        struct training_report report;
        training_report(r->training, &report);
        out->updates = report.updates;
        out->env_steps = report.env_steps;
    }
    out->n_equal = r->check.trail.n_equal;
    out->n_lives = r->streams ? rerun_streams_lives(r->streams) : 0;
    out->time_s = (double)(program_now_us() - began_us) * 1e-6;
    read_run_time(r);
}

int rerun_run(const struct rerun_options *o, struct rerun_result *out, struct error *err)
{
    struct rerun r = { .options = o, .result = out };
    const int64_t began_us = program_now_us();
    *out = (struct rerun_result){ 0 };
    matrix_setup();
    int rc = open_run(&r, err);
    if (rc == 0)
        rc = begin(&r, err);
    if (rc == 0)
        rc = follow_all(&r, err);
    if (rc == 0)
        rc = check_left(&r, err);
    if (rc == ERR_DIFFERENT)
        explain(&r, err);
    sum_up(&r, began_us);
    struct error writing;
    if (hash_trail_finish(&r.check.trail, &writing) != 0 && rc == 0)
        rc = (*err = writing).code;
    training_destroy(&r.training);
    rerun_streams_destroy(&r.streams);
    fragment_pool_destroy(&r.fragments);
    safetensors_close(&r.saved);
    schedule_reader_fini(&r.ahead);
    rerun_check_fini(&r.check);
    engine_fini(&r.engine);
    env_close(&r.model);
    experiment_fini(&r.experiment);
    free(r.data);
    return rc;
}
