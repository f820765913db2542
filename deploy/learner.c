#include "deploy/learner_private.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "actor/stream.h"
#include "common/arena.h"
#include "common/matrix.h"
#include "common/text.h"
#include "common/thread.h"
#include "deploy/console.h"
#include "deploy/engine.h"
#include "deploy/program.h"
#include "learner/snapshot.h"
#include "proto/message.h"

enum { IO_WAIT_MS = 20 };

void learner_say(void *context, const char *line)
{
    struct learner *l = context;
    pthread_mutex_lock(&l->log_mutex);
    run_write_log(&l->run, line);
    pthread_mutex_unlock(&l->log_mutex);
    console_say("%s", line);
}

void learner_say_format(struct learner *l, const char *format, ...)
{
    char line[768];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    learner_say(l, line);
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
        session_consumed(l->session, n->stream, n->life, n->sequence, n->fate);
        break;
    case NOTICE_PUBLISH:
        session_publish(l->session, n->version, n->frame);
        break;
    case NOTICE_ROUND:
        session_round(l->session, n->round, n->version, n->previous);
        break;
    case NOTICE_DRAIN:
        session_drain(l->session, n->reason);
        break;
    }
}

/* What the update thread said since last time. In mode gradients versions come faster than anybody could take
 * them: of those that wait the newest goes out. */
static void handle_notices(struct learner *l, const struct notices *list)
{
    int newest = -1;
    for (int i = 0; i < list->n; i++)
        if (list->items[i].kind == NOTICE_PUBLISH)
            newest = i;
    for (int i = 0; i < list->n; i++) {
        const struct notice *n = &list->items[i];
        if (n->kind == NOTICE_PUBLISH && i < newest && l->experiment->settings.top.mode == MODE_GRADIENTS)
            frame_release(n->frame);
        else
            handle_notice(l, n);
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

        struct session_counts counts;
        session_count(l->session, &counts);
        pthread_mutex_lock(&x->mutex);
        struct notices theirs = x->outgoing;
        x->outgoing = mine;
        x->counts = counts;
        exchange_tell_actors(x, l->session);
        must_stop = x->must_stop;
        pthread_mutex_unlock(&x->mutex);
        handle_notices(l, &theirs);
        theirs.n = 0;
        mine = theirs;
        session_tick(l->session, program_now_us());
    }
    free(mine.items);
    return NULL;
}

/* ---- evaluator thread ---- */

static void on_evaluated(void *context)
{
    exchange_wake(&((struct learner *)context)->exchange);
}

/* ---- set-up ---- */

static int open_run(struct learner *l, struct error *err)
{
    const struct learner_options *o = l->options;
    int rc = o->resume ? run_resume(&l->run, o->run, l->engine.kernels, err)
                       : run_create(&l->run, o->run, l->experiment, l->engine.kernels, err);
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
                                                      env_spec(l->model), &l->engine, available, err);
}

/* The same of gradients. Parameters are as many as a bound on what both networks can have. */
static int check_gradient_size(const struct learner *l, struct error *err)
{
    const struct settings *s = &l->experiment->settings;
    const struct env_spec *spec = env_spec(l->model);
    const struct mlp_body body = settings_critic_body(s);
    const struct mlp_shape value = mlp_shape_make(spec->shape.n_obs, &body, 1);
    const size_t n = policy_n_params(&l->experiment->policy) + mlp_n_params(&value);
    const size_t needed = MESSAGE_HEADER_BYTES + n * sizeof(float)
                        + (size_t)(s->top.envs_per_actor * s->actor.horizon) * (sizeof(double) + sizeof(uint32_t))
                        + (size_t)(2 * spec->shape.n_obs + 4 + ALGORITHM_MAX_METRICS) * sizeof(double);
    if (needed <= (size_t)s->transport.max_message_bytes)
        return 0;
    return error_set(err, ERR_CONFIG, "a gradient may have %zu bytes and transport.max_message_bytes is %" PRId64
                     "; raise it or lower network.hidden", needed, s->transport.max_message_bytes);
}

/* Refuse fragments that our own socket would not take. */
static int check_message_size(const struct learner *l, struct error *err)
{
    const struct settings *s = &l->experiment->settings;
    if (s->top.mode == MODE_GRADIENTS)
        return check_gradient_size(l, err);
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
        .is_on_policy = l->experiment->algorithm->is_on_policy,
        .snapshot_port = zmq_hub_snapshot_port(l->link), .cpu = cpu, .state_bytes = state_bytes,
        .fragments = l->fragments,
    };
    matrix_cpu_class(cpu, sizeof(cpu));
    l->training = training_create(&training, learner_training_out(l));
    l->snapshots = frame_pool_create(snapshot_frame_bytes(training_snapshot_n(l->training)));
    session.algorithm = l->experiment->algorithm;
    session.hyper = l->experiment->hyper;
    session.n_trained = training_n_trained(l->training);
    if (l->options->resume && run_has_checkpoint(&l->run)) {
        if (run_environment_differs(l->run.path, false, spec))
            learner_say(l, "the environment is not the one this run was trained in: its files, options or "
                   "bounds have changed since");
        int rc = run_load(&l->run, l->experiment, l->training, err);
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
        learner_say(l, "no checkpoint was written before this run ended: it begins again");
    }
    l->session = session_create(&session, (struct session_out){
        .context = l, .send = on_send, .publish = on_publish, .deliver = on_deliver, .log = learner_say });
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
        .context = l, .ready = on_evaluated, .log = learner_say, .stop = program_stop_requests });
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
        learner_say(l, lines[i]);
}

static void warn_insecure(struct learner *l)
{
    const char *text = "WARNING: --insecure: whoever can reach this address can feed this run with "
                       "experience and read its parameters; nothing is encrypted";
    fprintf(stderr, "shoal: %s\n", text);
    run_write_log(&l->run, text);
}

static int run_threads(struct learner *l, struct error *err)
{
    pthread_t io;
    int rc = evaluations_begin(l->evaluations, err);
    if (rc == 0)
        rc = thread_begin(&io, io_thread, l, err);
    if (rc != 0)
        return rc;
    rc = learner_update_thread(l, err);

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
                                       (int)s->transport.queue_messages,
                                       settings_are_lockstep(s) ? LINK_ROUND_SNAPSHOTS : 1 };
    pthread_mutex_init(&l.log_mutex, NULL);
    matrix_setup();
    int rc = env_open(&l.model, &o->experiment->env, err);
    if (rc == 0)
        rc = experiment_bind(o->experiment, env_spec(l.model), err);
    if (rc == 0)
        rc = engine_init(&l.engine, o->experiment, o->report_fd >= 0, err);
    if (rc == 0)
        rc = check_memory(&l, err);
    if (rc == 0)
        rc = check_message_size(&l, err);
    if (rc == 0)
        create_evaluations(&l);
    exchange_init(&l.exchange, (int)s->top.actors);
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
        learner_say_format(&l, "the run in %s is finished; to train longer, raise total_steps in its "
                   "config.yaml and resume it again", l.run.path);
    } else if (rc == 0) {
        char spec[256];
        env_spec_describe(env_spec(l.model), spec, sizeof(spec));
        learner_say_format(&l, "%s %s on %s, %s, seed %" PRId64 ", %" PRId64 " actors x %" PRId64
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
