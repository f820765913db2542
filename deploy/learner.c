#include "deploy/learner.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/stream.h"
#include "common/arena.h"
#include "common/matrix.h"
#include "common/text.h"
#include "deploy/console.h"
#include "deploy/engine.h"
#include "deploy/evaluations.h"
#include "deploy/exchange.h"
#include "deploy/program.h"
#include "deploy/progress.h"
#include "deploy/run.h"
#include "learner/snapshot.h"
#include "proto/link.h"

enum { IO_WAIT_MS = 20, UPDATE_WAIT_MS = 50, DRAIN_US = 3000000, SAVE_AGAIN_US = 5000000 };

struct learner {
    const struct learner_options *options;
    struct experiment *experiment;
    struct env_model *model;
    struct run run;
    struct link *link;
    struct fragment_pool *fragments;
    struct frame_pool *snapshots;
    struct session *session;            /* I/O thread */
    struct training *training;          /* update thread */
    struct mlp_engine engine;
    struct evaluations *evaluations;
    struct exchange exchange;
    pthread_mutex_t log_mutex;

    int64_t checkpoint_us;
    struct progress progress;
    struct last_evaluation last;
};

/* A line for the log and for people. */
static void say(void *context, const char *line)
{
    struct learner *l = context;
    pthread_mutex_lock(&l->log_mutex);
    run_write_log(&l->run, line);
    pthread_mutex_unlock(&l->log_mutex);
    console_say("%s", line);
}

static void say_format(struct learner *l, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say_format(struct learner *l, const char *format, ...)
{
    char line[768];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    say(l, line);
}

/* ---- I/O thread ---- */

static void on_send(void *context, uint64_t peer, struct frame *f)
{
    struct learner *l = context;
    /* What does not go out is repeated by the next ACK or HEARTBEAT. */
    (void)link_send(l->link, peer, f);
}

static void on_publish(void *context, struct frame *f)
{
    struct learner *l = context;
    link_publish(l->link, f);
}

static void on_deliver(void *context, struct fragment *f)
{
    exchange_deliver(&((struct learner *)context)->exchange, f);
}

static void handle_notice(struct learner *l, const struct notice *n)
{
    switch (n->kind) {
    case NOTICE_CONSUMED:
        session_consumed(l->session, n->stream, n->life, n->sequence);
        break;
    case NOTICE_PUBLISH:
        session_publish(l->session, n->version, n->start_version, n->frame);
        break;
    case NOTICE_DRAIN:
        session_drain(l->session, n->reason);
        break;
    }
}

static void *io_thread(void *context)
{
    struct learner *l = context;
    struct exchange *x = &l->exchange;
    struct notices mine = { 0 };
    for (bool must_stop = false; !must_stop;) {
        link_wait(l->link, IO_WAIT_MS);
        uint64_t peer;
        struct frame *f;
        while ((f = link_receive(l->link, &peer)))
            session_receive(l->session, program_now_us(), peer, f);

        pthread_mutex_lock(&x->mutex);
        struct notices theirs = x->outgoing;
        x->outgoing = mine;
        session_count(l->session, &x->counts);
        must_stop = x->must_stop;
        pthread_mutex_unlock(&x->mutex);
        for (int i = 0; i < theirs.n; i++)
            handle_notice(l, &theirs.items[i]);
        theirs.n = 0;
        mine = theirs;
        session_tick(l->session, program_now_us());
    }
    free(mine.items);
    return NULL;
}

static void notify(struct learner *l, struct notice n)
{
    pthread_mutex_lock(&l->exchange.mutex);
    bool was_empty = notices_add(&l->exchange.outgoing, n);
    pthread_mutex_unlock(&l->exchange.mutex);
    if (was_empty)
        link_wake(l->link);
}

/* ---- evaluator thread ---- */

static void on_evaluated(void *context)
{
    exchange_wake(&((struct learner *)context)->exchange);
}

/* ---- update thread: what the training core says ---- */

static void on_consumed(void *context, const struct fragment *f)
{
    notify(context, (struct notice){ .kind = NOTICE_CONSUMED, .stream = f->stream,
                                     .life = f->life, .sequence = f->sequence });
}

static void on_version(void *context, int64_t version, int64_t start_version, bool random,
                       const float *params, size_t n)
{
    struct learner *l = context;
    struct frame *f = snapshot_encode(l->snapshots, l->run.id, l->run.epoch, version, random,
                                      params, n);
    notify(l, (struct notice){ .kind = NOTICE_PUBLISH, .version = version,
                               .start_version = start_version, .frame = f });
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

static int on_restore(void *context, struct error *err)
{
    struct learner *l = context;
    return run_restore(&l->run, l->training, err);
}

/* ---- update thread: the rest ---- */

static void save(struct learner *l)
{
    struct error err;
    if (run_save(&l->run, l->experiment, l->training, &err) != 0)
        say_format(l, "the checkpoint could not be written, training goes on: %s", err.text);
}

static void read_evaluation(struct learner *l, const struct evaluation_job *job)
{
    struct error err;
    const struct evaluation *e = &job->result;
    char broke_down[48] = "";
    if (e->diverged > 0)
        snprintf(broke_down, sizeof(broke_down), ", of which %d broke down", e->diverged);
    run_write_eval(&l->run, job->env_steps, progress_time_s(&l->progress, program_now_us()), e);
    say_format(l, "evaluation at %" PRId64 " transitions: mean %.1f +- %.1f over %d episode%s%s",
               job->env_steps, e->mean, e->std, e->episodes, text_plural(e->episodes), broke_down);
    if (e->mean <= l->run.best_mean)
        return;
    if (run_save_policy(&l->run, l->experiment, "best", job->params, &err) == 0)
        l->run.best_mean = e->mean;
    else
        say_format(l, "the best policy could not be written: %s", err.text);
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
    struct fragment_queue arrived = exchange_take(&l->exchange, may_wait ? UPDATE_WAIT_MS : 0);
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
            say_format(l, "no checkpoint was written, the last one stays: %s", err->text);
            return 0;
        }
        say_format(l, "the last checkpoint could not be written; make room, it is tried again every "
                   "%d s (Ctrl-C gives up): %s", SAVE_AGAIN_US / 1000000, err->text);
        program_sleep_us(SAVE_AGAIN_US);
        if (program_stop_requests() > before)
            break;
    }
    return rc;
}

static const char *ending_word(const struct learner *l, enum training_status status)
{
    if (status == TRAINING_DIVERGED)
        return "diverged";
    if (status != TRAINING_FINISHED)
        return "interrupted";
    int64_t total = l->experiment->settings.top.total_steps;
    return l->progress.report.env_steps < total ? "stopped at eval.stop_at" : "finished";
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
    const struct training_report *r = &l->progress.report;
    const char *word = ending_word(l, status);
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
    say_format(l, "%s after %" PRId64 " transitions and %" PRId64 " updates%s in %.1f s; the run is "
               "in %s", word, r->env_steps, r->updates, skipped, time_s, l->run.path);
    return ending_error(l, status, err);
}

/* ---- set-up ---- */

static int open_run(struct learner *l, struct error *err)
{
    const struct learner_options *o = l->options;
    int rc = o->resume ? run_resume(&l->run, o->run, err)
                       : run_create(&l->run, o->run, l->experiment, err);
    l->run.row = env_spec(l->model)->shape;
    env_spec_hash(env_spec(l->model), l->run.spec_hash);
    return rc;
}

/* Refuse what this machine cannot hold, where it tells. */
static int check_memory(const struct learner *l, struct error *err)
{
    const double available = (double)program_available_bytes();
    return available == 0 ? 0 : training_check_memory(&l->experiment->settings,
                                                      l->experiment->algorithm->is_on_policy,
                                                      env_spec(l->model), available, err);
}

/* Refuse fragments that our own socket would not take. */
static int check_message_size(const struct learner *l, struct error *err)
{
    const struct settings *s = &l->experiment->settings;
    size_t needed = stream_frame_bytes(l->model, (int)s->actor.horizon);
    if (needed <= (size_t)s->transport.max_message_bytes)
        return 0;
    return error_set(err, ERR_CONFIG, "a fragment of %" PRId64 " transitions may have %zu bytes and "
                     "transport.max_message_bytes is %" PRId64 "; raise it or lower actor.horizon",
                     s->actor.horizon, needed, s->transport.max_message_bytes);
}

static int create_cores(struct learner *l, struct error *err)
{
    static char cpu[32];
    const struct env_spec *spec = env_spec(l->model);
    size_t state_bytes = stream_state_bytes(l->model);
    struct training_setup training = {
        .settings = &l->experiment->settings, .algorithm = l->experiment->algorithm,
        .hyper = l->experiment->hyper, .spec = spec, .state_bytes = state_bytes,
        .fragments = l->fragments, .engine = &l->engine,
    };
    struct session_setup session = {
        .run = l->run.id, .epoch = l->run.epoch, .settings = &l->experiment->settings,
        .spec = spec, .traits = &l->experiment->traits,
        .snapshot_port = zmq_hub_snapshot_port(l->link), .cpu = cpu, .state_bytes = state_bytes,
        .fragments = l->fragments,
    };
    matrix_cpu_class(cpu, sizeof(cpu));
    l->training = training_create(&training, (struct training_out){
        .context = l, .consumed = on_consumed, .publish = on_version, .evaluate = on_evaluate,
        .hash = on_hash, .scheduled = on_scheduled, .log = say, .restore = on_restore });
    if (l->options->resume && run_has_checkpoint(&l->run)) {
        if (run_environment_differs(l->run.path, false, spec))
            say(l, "the environment is not the one this run was trained in: its files, options or "
                   "bounds have changed since");
        int rc = run_load(&l->run, l->training, err);
        if (rc != 0)
            return rc;
        struct training_streams streams = training_streams(l->training);
        session.lives = streams.lives;
        session.sequences = streams.sequences;
        session.has_state = streams.has_state;
        session.states = streams.states;
    } else if (l->options->resume) {
        int rc = run_begin_again(&l->run, err);
        if (rc != 0)
            return rc;
        say(l, "no checkpoint was written before this run ended: it begins again");
    }
    l->session = session_create(&session, (struct session_out){
        .context = l, .send = on_send, .publish = on_publish, .deliver = on_deliver, .log = say });
    return 0;
}

static void create_evaluations(struct learner *l)
{
    const struct settings *s = &l->experiment->settings;
    struct player_setup setup = {
        .env = &l->experiment->env, .spec = env_spec(l->model), .episodes = (int)s->eval.episodes,
        .seed = (uint64_t)s->top.seed, .timeout_ms = s->eval.timeout_s * 1000,
        .shape = l->experiment->policy,
    };
    l->evaluations = evaluations_create(&setup, (struct evaluations_out){
        .context = l, .ready = on_evaluated, .log = say, .stop = program_stop_requests });
    l->snapshots = frame_pool_create(snapshot_frame_bytes(policy_n_params(&setup.shape)));
}

/* Tell the process that waits for it where the learner listens. */
static void report_endpoint(struct learner *l)
{
    if (l->options->report_fd < 0)
        return;
    dprintf(l->options->report_fd, "%s %d\n", zmq_hub_endpoint(l->link),
            zmq_hub_snapshot_port(l->link));
    close(l->options->report_fd);
}

/* Settings that work, but badly. */
static void warn_unwise(struct learner *l)
{
    char lines[SETTINGS_MAX_WARNINGS][SETTINGS_WARNING_BYTES];
    const int n = settings_warnings(&l->experiment->settings, l->experiment->algorithm->is_on_policy,
                                    l->experiment->traits.ignores_batch_size, lines);
    for (int i = 0; i < n; i++)
        say(l, lines[i]);
}

static void warn_insecure(struct learner *l)
{
    const char *text = "WARNING: --insecure: whoever can reach this address can feed this run with "
                       "experience and read its parameters; nothing is encrypted";
    fprintf(stderr, "shoal: %s\n", text);
    run_write_log(&l->run, text);
}

/* Signals go to the calling thread. */
static int begin_threads(struct learner *l, pthread_t *io, struct error *err)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = evaluations_begin(l->evaluations, err);
    int problem = rc == 0 ? pthread_create(io, NULL, io_thread, l) : 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return problem ? error_set(err, ERR_TEMPORARY, "no thread could be started: %s",
                               strerror(problem)) : rc;
}

static int run_threads(struct learner *l, struct error *err)
{
    pthread_t io;
    int rc = begin_threads(l, &io, err);
    if (rc != 0)
        return rc;
    training_report(l->training, &l->progress.report);
    l->checkpoint_us = program_now_us();
    progress_begin(&l->progress, l->run.time_before_s, l->checkpoint_us);
    training_begin(l->training);
    rc = conclude(l, train(l), err);

    pthread_mutex_lock(&l->exchange.mutex);
    l->exchange.must_stop = true;
    pthread_mutex_unlock(&l->exchange.mutex);
    link_wake(l->link);
    pthread_join(io, NULL);
    evaluations_end(l->evaluations);
    return rc;
}

static void destroy(struct learner *l)
{
    struct fragment *f;
    evaluations_destroy(&l->evaluations);
    while (l->fragments && (f = fragment_pop(&l->exchange.arrived)))
        fragment_pool_give(l->fragments, f);
    training_destroy(&l->training);
    engine_fini(&l->engine);
    session_destroy(&l->session);
    exchange_fini(&l->exchange);
    link_destroy(&l->link);
    fragment_pool_destroy(&l->fragments);
    frame_pool_destroy(&l->snapshots);
    env_close(&l->model);
    run_close(&l->run);
}

int learner_run(const struct learner_options *o, struct error *err)
{
    struct learner l = { .options = o, .experiment = o->experiment,
                         .run = { .lock = -1 } };
    const struct settings *s = &o->experiment->settings;
    const struct zmq_limits limits = { (size_t)s->transport.max_message_bytes,
                                       (int)s->transport.queue_messages };
    pthread_mutex_init(&l.log_mutex, NULL);
    matrix_setup();
    int rc = env_open(&l.model, &o->experiment->env, err);
    if (rc == 0)
        rc = experiment_bind(o->experiment, env_spec(l.model), err);
    if (rc == 0)
        rc = check_memory(&l, err);
    if (rc == 0)
        rc = engine_init(&l.engine, o->experiment, err);
    if (rc == 0)
        rc = check_message_size(&l, err);
    if (rc == 0)
        create_evaluations(&l);
    exchange_init(&l.exchange);
    l.fragments = fragment_pool_create();
    if (rc == 0) {
        l.link = zmq_hub_create(o->bind, o->snapshot_port, o->allow_remote, &limits, err);
        rc = l.link ? 0 : err->code;
    }
    if (rc == 0)
        rc = open_run(&l, err);
    if (rc == 0)
        rc = create_cores(&l, err);
    if (rc == 0 && o->resume && training_is_complete(l.training)) {
        say_format(&l, "the run in %s is finished; to train longer, raise total_steps in its "
                   "config.yaml and resume it again", l.run.path);
    } else if (rc == 0) {
        char spec[256];
        env_spec_describe(env_spec(l.model), spec, sizeof(spec));
        say_format(&l, "%s %s on %s, %s, seed %" PRId64 ", %" PRId64 " actors x %" PRId64
                   " environments; run %s, listening on %s", o->resume ? "going on with" : "training",
                   s->top.algorithm, spec, settings_mode(s), s->top.seed, s->top.actors,
                   s->top.envs_per_actor, l.run.path, zmq_hub_endpoint(l.link));
        warn_unwise(&l);
        if (o->allow_remote)
            warn_insecure(&l);
        report_endpoint(&l);
        rc = run_threads(&l, err);
    }
    destroy(&l);
    pthread_mutex_destroy(&l.log_mutex);
    return rc;
}
