/* The update thread: the training core's shell. */
#include "deploy/learner_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/text.h"
#include "deploy/console.h"
#include "deploy/program.h"
#include "learner/snapshot.h"

enum { UPDATE_WAIT_MS = 50, DRAIN_US = 3000000, SAVE_AGAIN_US = 5000000 };

static void notify(struct learner *l, struct notice n)
{
    pthread_mutex_lock(&l->exchange.mutex);
    bool was_empty = notices_add(&l->exchange.outgoing, n);
    pthread_mutex_unlock(&l->exchange.mutex);
    if (was_empty)
        link_wake(l->link);
}

/* ---- what the training core says ---- */

static void on_consumed(void *context, const struct fragment *f, enum fragment_fate fate)
{
    notify(context, (struct notice){ .kind = NOTICE_CONSUMED, .stream = f->stream, .life = f->life,
                                     .sequence = f->sequence, .fate = fate });
}

static void on_version(void *context, int64_t version, bool random, const float *params, size_t n)
{
    struct learner *l = context;
    struct frame *f = snapshot_encode(l->snapshots, l->run.id, l->run.epoch, version, random,
                                      params, n);
    notify(l, (struct notice){ .kind = NOTICE_PUBLISH, .version = version, .frame = f });
}

static void on_round(void *context, int64_t round, int64_t version, int64_t previous)
{
    notify(context, (struct notice){ .kind = NOTICE_ROUND, .round = round, .version = version, .previous = previous });
}

static void on_evaluate(void *context, int64_t env_steps, const float *params, size_t n)
{
    struct learner *l = context;
    (void)n;
    evaluations_ask(l->evaluations, env_steps, params);
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    struct learner *l = context;
    run_write_hash(&l->run, update, env_steps, sha256);
}

static void on_scheduled(void *context, const struct schedule_record *r)
{
    struct learner *l = context;
    run_write_schedule(&l->run, r);
}

static void on_aged(void *context, const struct version_staleness *s)
{
    run_write_staleness(&((struct learner *)context)->run, s);
}

static int on_restore(void *context, struct error *err)
{
    struct learner *l = context;
    return run_restore(&l->run, l->training, err);
}

struct training_out learner_training_out(struct learner *l)
{
    return (struct training_out){
        .context = l, .consumed = on_consumed, .publish = on_version, .round = on_round, .evaluate = on_evaluate, .hash = on_hash,
        .scheduled = on_scheduled, .aged = on_aged, .log = learner_say, .restore = on_restore,
    };
}

/* ---- the work ---- */

/* What every place for an actor did so far; not worth stopping for. */
static void write_actors(struct learner *l)
{
    struct exchange *x = &l->exchange;
    struct error err;
    struct training_place *places = memory_alloc((size_t)x->n_actors, sizeof(*places));
    for (int i = 0; i < x->n_actors; i++)
        places[i] = training_place(l->training, i);
    link_wake(l->link);
    if (exchange_ask_actors(x) && run_write_actors(&l->run, x->n_actors, x->actors, places, &err) != 0)
        learner_say_format(l, "actors.csv: %s", err.text);
    free(places);
}

static void save(struct learner *l)
{
    struct error err;
    write_actors(l);
    if (run_save(&l->run, l->experiment, l->training, &err) != 0)
        learner_say_format(l, "the checkpoint could not be written, training goes on: %s", err.text);
}

static void read_evaluation(struct learner *l, const struct evaluation_job *job)
{
    struct error err;
    const struct evaluation *e = &job->result;
    char broke_down[48] = "";
    if (e->diverged > 0)
        snprintf(broke_down, sizeof(broke_down), ", of which %d broke down", e->diverged);
    run_write_eval(&l->run, job->env_steps, progress_time_s(&l->progress, program_now_us()), e);
    learner_say_format(l, "evaluation at %" PRId64 " transitions: mean %.1f +- %.1f over %d episode%s%s",
               job->env_steps, e->mean, e->std, e->episodes, text_plural(e->episodes), broke_down);
    if (e->mean <= l->run.best_mean)
        return;
    if (run_save_policy(&l->run, l->experiment, "best", job->params, &err) == 0)
        l->run.best_mean = e->mean;
    else
        learner_say_format(l, "the best policy could not be written: %s", err.text);
}

/* Evaluations that have been played, or have failed. */
static void read_evaluations(struct learner *l)
{
    const struct evaluation_job *job;
    while ((job = evaluations_take(l->evaluations))) {
        if (!job->has_failed)
            read_evaluation(l, job);
        l->last.has_failed = job->has_failed;
        l->last.n_failed += job->has_failed;
        l->last.result = job->result;
        training_evaluated(l->training, job->env_steps, job->result.mean);
        evaluations_give(l->evaluations);
    }
}

static void read_arrived(struct learner *l, bool may_wait)
{
    const int64_t began_us = may_wait ? program_now_us() : 0;
    struct fragment_queue arrived = exchange_take(&l->exchange, may_wait ? UPDATE_WAIT_MS : 0);
    if (may_wait)
        l->progress.waited_us += program_now_us() - began_us;
    struct fragment *f;
    while ((f = fragment_pop(&arrived)))
        training_offer(l->training, f);
}

static void write_metrics(struct learner *l, int64_t now_us)
{
    struct session_counts counts;
    pthread_mutex_lock(&l->exchange.mutex);
    counts = l->exchange.counts;
    pthread_mutex_unlock(&l->exchange.mutex);
    training_report(l->training, &l->progress.report);
    progress_write(&l->progress, &l->run, l->experiment, &counts, now_us);
}

static int actors_now(struct learner *l)
{
    pthread_mutex_lock(&l->exchange.mutex);
    int actors = l->exchange.counts.actors;
    pthread_mutex_unlock(&l->exchange.mutex);
    return actors;
}

/* Everything that time does. */
static void tick(struct learner *l)
{
    const struct settings *s = &l->experiment->settings;
    int64_t now_us = program_now_us();
    if ((double)(now_us - l->progress.written_us) * 1e-6 >= s->metrics.every_s)
        write_metrics(l, now_us);
    progress_show(&l->progress, s->top.total_steps, actors_now(l), now_us);
    if (now_us - l->checkpoint_us >= s->checkpoint.every_s * 1000000
        && training_is_at_rest(l->training)) {
        save(l);
        l->checkpoint_us = now_us;
    }
}

static enum training_status train(struct learner *l)
{
    enum training_status status = TRAINING_BUSY;
    /* A request waits for a place to go on from: the end of an on-policy round. */
    while (program_stop_requests() == 0 || !training_is_at_rest(l->training)) {
        read_arrived(l, status == TRAINING_WAITING);
        read_evaluations(l);
        status = training_step(l->training);
        if (status == TRAINING_FINISHED || status == TRAINING_DIVERGED)
            break;
        tick(l);
    }
    return status;
}

/* Tell the actors, and wait a little until they have left. */
static void drain(struct learner *l, const char *reason)
{
    notify(l, (struct notice){ .kind = NOTICE_DRAIN, .reason = reason });
    int64_t until = program_now_us() + DRAIN_US;
    for (int actors = 1; actors > 0 && program_now_us() < until;) {
        program_sleep_us(5000);
        pthread_mutex_lock(&l->exchange.mutex);
        bool was_read = l->exchange.outgoing.n == 0;
        actors = was_read ? l->exchange.counts.actors : 1;
        pthread_mutex_unlock(&l->exchange.mutex);
    }
}

/* Play what is still waiting to be evaluated. */
static void await_evaluations(struct learner *l)
{
    while (program_stop_requests() == 0) {
        read_evaluations(l);
        if (evaluations_are_read(l->evaluations))
            return;
        program_sleep_us(2000);
    }
}

/* What was learnt must not be lost to a full disk: keep trying until there is room, or somebody
 * gives up. */
static int save_for_good(struct learner *l, struct error *err)
{
    int before = program_stop_requests(), rc;
    while ((rc = run_save(&l->run, l->experiment, l->training, err)) != 0) {
        if (rc == ERR_NUMERIC) {
            learner_say_format(l, "no checkpoint was written, the last one stays: %s", err->text);
            return 0;
        }
        learner_say_format(l, "the last checkpoint could not be written; make room, it is tried again every "
                   "%d s (Ctrl-C gives up): %s", SAVE_AGAIN_US / 1000000, err->text);
        program_sleep_us(SAVE_AGAIN_US);
        if (program_stop_requests() > before)
            break;
    }
    return rc;
}

/* What the caller is told about an ending. */
static int ending_error(const struct learner *l, enum training_status status, struct error *err)
{
    char word[RUN_PATH_BYTES + 8];
    run_shell_word(l->run.path, word, sizeof(word));
    if (status == TRAINING_FINISHED)
        return 0;
    if (status == TRAINING_DIVERGED)
        return error_set(err, ERR_NUMERIC, "training diverged: updates went on giving numbers "
                         "that are not finite after every return; %s in %s; lower the learning "
                         "rates and begin again", run_has_checkpoint(&l->run) ? "the last checkpoint is"
                         : "no checkpoint was written yet", l->run.path);
    return error_set(err, ERR_INTERRUPTED, "interrupted; go on with: shoal %s --resume %s",
                     l->options->report_fd >= 0 ? "train" : "learner", word);
}

/* After the last update: say goodbye, save, sum up. */
static int conclude(struct learner *l, enum training_status status, struct error *err)
{
    int rc = 0;
    double time_s = progress_time_s(&l->progress, program_now_us());
    bool is_ended = status == TRAINING_FINISHED || status == TRAINING_DIVERGED;
    drain(l, is_ended ? "training ended" : "the learner was stopped");
    if (status == TRAINING_FINISHED) {
        save(l);
        await_evaluations(l);
        if (!training_is_complete(l->training))
            status = TRAINING_BUSY;    /* interrupted before the last evaluation came in */
    }
    write_metrics(l, program_now_us());
    write_actors(l);
    const struct training_report *r = &l->progress.report;
    const char *word = progress_ending(&l->progress, l->experiment->settings.top.total_steps, status);
    if (status != TRAINING_DIVERGED)
        rc = save_for_good(l, err);
    if (rc == 0)
        rc = run_write_summary(&l->run, l->experiment, word, time_s, r, &l->last, err);
    console_live("");
    if (rc != 0)
        return rc;
    char skipped[64] = "";
    if (r->skipped_updates > 0)
        snprintf(skipped, sizeof(skipped), " (%" PRId64 " of them failed, see log.txt)", r->skipped_updates);
    learner_say_format(l, "%s after %" PRId64 " transitions and %" PRId64 " updates%s in %.1f s; the run is "
               "in %s", word, r->env_steps, r->updates, skipped, time_s, l->run.path);
    return ending_error(l, status, err);
}

int learner_update_thread(struct learner *l, struct error *err)
{
    training_report(l->training, &l->progress.report);
    l->checkpoint_us = program_now_us();
    progress_begin(&l->progress, l->run.time_before_s, l->checkpoint_us);
    training_begin(l->training);
    return conclude(l, train(l), err);
}
