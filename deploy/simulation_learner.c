#include "deploy/simulation_private.h"

#include <stdlib.h>

#include "actor/stream.h"
#include "learner/snapshot.h"

/* Told to actors and never drawn from, so that messages are as long in every repetition. */
static const uint64_t RUN = UINT64_C(0x5350414c45444e41);

/* The session looks at all its places in a tick: what waits for one waits so long per actor, and nothing waits
 * for longer than a few milliseconds. */
enum { TICK_NS_PER_ACTOR = 10, TICK_EVERY_NS = 5000000 };

static void tick_soon(struct simulation *s)
{
    const int64_t rest_ns = s->session_ns + (int64_t)TICK_NS_PER_ACTOR * s->n_actors;
    const int64_t at_ns = rest_ns > s->now_ns ? rest_ns : s->now_ns;
    if (at_ns < agenda_at(s->agenda, SOURCE_SESSION))
        agenda_set(s->agenda, SOURCE_SESSION, at_ns);
}

/* ---- what the session says ---- */

static void on_send(void *context, uint64_t peer, struct frame *f)
{
    network_send_down(context, peer, f);
}

static void on_session_publish(void *context, struct frame *f)
{
    network_publish(context, f);
}

static void on_deliver(void *context, struct fragment *f)
{
    struct simulation *s = context;
    training_offer(s->training, f);
    if (agenda_at(s->agenda, SOURCE_LEARNER) != AGENDA_NEVER)
        return;
    s->counts.waited_ns += s->now_ns - s->idle_ns;
    agenda_set(s->agenda, SOURCE_LEARNER, s->now_ns);
}

static void on_session_log(void *context, const char *line)
{
    simulation_say(context, VOICE_SESSION, "%s", line);
}

/* ---- what the training core says; what is for the session waits until its work is done ---- */

static void on_consumed(void *context, const struct fragment *f, enum fragment_fate fate)
{
    notices_add(&((struct simulation *)context)->notices,
                (struct notice){ .kind = NOTICE_CONSUMED, .stream = f->stream, .life = f->life,
                                 .sequence = f->sequence, .fate = fate });
}

static void on_round(void *context, int64_t round, int64_t version, int64_t previous)
{
    notices_add(&((struct simulation *)context)->notices,
                (struct notice){ .kind = NOTICE_ROUND, .round = round, .version = version, .previous = previous });
}

static void on_version(void *context, int64_t version, bool random, const float *params, size_t n)
{
    struct simulation *s = context;
    struct frame *f = snapshot_encode(s->snapshots, RUN, s->setup.epoch ? s->setup.epoch : 1, version, random, params,
                                      n);
    if (s->out.published)
        s->out.published(s->out.context, version, params, n);
    notices_add(&s->notices, (struct notice){ .kind = NOTICE_PUBLISH, .version = version, .frame = f });
}

static void on_evaluate(void *context, int64_t env_steps, const float *params, size_t n)
{
    struct simulation *s = context;
    struct evaluation result;
    (void)n;
    const double began_s = simulation_clock_s();
    evaluator_play(s->evaluator, params, (uint64_t)s->setup.settings->top.seed, env_steps, &result, NULL, NULL);
    s->counts.evaluating_s += simulation_clock_s() - began_s;
    if (s->out.evaluated)
        s->out.evaluated(s->out.context, env_steps, &result, params);
    training_evaluated(s->training, env_steps, result.mean);
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    const struct simulation *s = context;
    if (s->out.hash)
        s->out.hash(s->out.context, update, env_steps, sha256);
}

static void on_scheduled(void *context, const struct schedule_record *r)
{
    const struct simulation *s = context;
    if (s->out.scheduled)
        s->out.scheduled(s->out.context, r);
}

static void on_aged(void *context, const struct version_staleness *v)
{
    const struct simulation *s = context;
    if (s->out.aged)
        s->out.aged(s->out.context, v);
}

static void on_training_log(void *context, const char *line)
{
    simulation_say(context, VOICE_TRAINING, "%s", line);
}

static int on_restore(void *context, struct error *err)
{
    struct simulation *s = context;
    return s->out.restore ? s->out.restore(s->out.context, s->training, err)
                          : error_set(err, ERR_MISSING, "none was written");
}

static void apply_notices(struct simulation *s)
{
    for (int i = 0; i < s->notices.n; i++) {
        const struct notice *n = &s->notices.items[i];
        if (n->kind == NOTICE_CONSUMED)
            session_consumed(s->session, n->stream, n->life, n->sequence, n->fate);
        else if (n->kind == NOTICE_ROUND)
            session_round(s->session, n->round, n->version, n->previous);
        else
            session_publish(s->session, n->version, n->frame);
    }
    if (s->notices.n > 0)
        tick_soon(s);
    s->notices.n = 0;
}

/* ---- set-up ---- */

static void create_training(struct simulation *s)
{
    const struct simulation_setup *setup = &s->setup;
    const struct training_setup training = {
        .settings = setup->settings, .algorithm = setup->algorithm, .hyper = setup->hyper,
        .spec = env_spec(setup->model), .state_bytes = stream_state_bytes(setup->model), .fragments = s->fragments,
        .engine = setup->engine,
    };
    s->training = training_create(&training, (struct training_out){
        .context = s, .consumed = on_consumed, .publish = on_version, .round = on_round, .evaluate = on_evaluate, .hash = on_hash,
        .scheduled = on_scheduled, .aged = on_aged, .log = on_training_log, .restore = on_restore });
}

/* Behind what training_load read: the streams go on from there. */
static void create_session(struct simulation *s)
{
    const struct simulation_setup *setup = &s->setup;
    struct session_setup session = {
        .run = RUN, .epoch = setup->epoch ? setup->epoch : 1, .settings = setup->settings,
        .spec = env_spec(setup->model), .traits = &s->traits, .is_on_policy = setup->algorithm->is_on_policy,
        .cpu = "simulated",
        .state_bytes = stream_state_bytes(setup->model), .fragments = s->fragments,
        .algorithm = setup->algorithm, .hyper = setup->hyper, .n_trained = training_n_trained(s->training),
        .is_simulated = true,
    };
    if (setup->is_resumed) {
        const struct training_streams streams = training_streams(s->training);
        session.lives = streams.lives;
        session.sequences = streams.sequences;
        session.has_state = streams.has_state;
        session.states = streams.states;
    }
    s->session = session_create(&session, (struct session_out){
        .context = s, .send = on_send, .publish = on_session_publish, .deliver = on_deliver,
        .log = on_session_log });
}

int simulated_learner_create(struct simulation *s, struct error *err)
{
    const struct simulation_setup *setup = &s->setup;
    const struct env_spec *spec = env_spec(setup->model);
    const struct mlp_body body = settings_policy_body(setup->settings);
    setup->algorithm->describe(setup->hyper, spec, &s->traits);
    struct policy_shape shape = policy_shape_make(s->traits.head, &body, spec->shape, spec->n_choices);
    shape.normalises = setup->settings->learner.normalise_observations;
    s->fragments = fragment_pool_create();
    create_training(s);
    const size_t bytes = snapshot_frame_bytes(training_snapshot_n(s->training));
    s->snapshots = frame_pool_create(bytes);
    s->evaluator = evaluator_create(setup->model, &shape, (int)setup->settings->eval.episodes);
    network_create(s, bytes);
    int rc = setup->is_resumed ? s->out.load(s->out.context, s->training, err) : 0;
    if (rc == 0)
        create_session(s);
    agenda_set(s->agenda, SOURCE_SESSION, TICK_EVERY_NS);
    return rc;
}

void simulated_learner_destroy(struct simulation *s)
{
    for (int i = 0; i < s->notices.n; i++)
        frame_release(s->notices.items[i].frame);
    free(s->notices.items);
    training_destroy(&s->training);
    session_destroy(&s->session);
    fragment_pool_destroy(&s->fragments);
    frame_pool_destroy(&s->snapshots);
    evaluator_destroy(&s->evaluator);
}

/* ---- events ---- */

void simulated_learner_receive(struct simulation *s, int actor)
{
    struct channel *c = &s->actors[actor].up;
    struct frame *f;
    uint64_t peer;
    if ((f = network_receive(s, c, &peer)))
        session_receive(s->session, s->now_ns / 1000, peer, f);
    agenda_set(s->agenda, simulation_up_source(actor), c->head ? c->head->at_ns : AGENDA_NEVER);
    tick_soon(s);
}

void simulated_learner_work(struct simulation *s)
{
    apply_notices(s);
    const int64_t before = training_updates(s->training);
    const double began_s = simulation_clock_s(), evaluating_s = s->counts.evaluating_s;
    s->status = training_step(s->training);
    s->counts.learning_s += simulation_clock_s() - began_s - (s->counts.evaluating_s - evaluating_s);
    int64_t at_ns = s->status == TRAINING_BUSY ? s->now_ns : AGENDA_NEVER;
    if (training_updates(s->training) > before)
        at_ns = simulation_after(s, 1 + simulation_ns(simulation_draw(s, &s->conditions.update_us, 0, DRAW_UPDATE,
                                                                      (uint64_t)before)));
    if (s->status == TRAINING_FINISHED || s->status == TRAINING_DIVERGED)
        s->now_ns = at_ns < AGENDA_NEVER ? at_ns : s->now_ns;
    else if (at_ns == s->now_ns || at_ns == AGENDA_NEVER)
        apply_notices(s);
    s->idle_ns = s->now_ns;
    agenda_set(s->agenda, SOURCE_LEARNER, at_ns);
}

void simulated_learner_tick(struct simulation *s)
{
    session_tick(s->session, s->now_ns / 1000);
    s->session_ns = s->now_ns;
    agenda_set(s->agenda, SOURCE_SESSION, s->now_ns + TICK_EVERY_NS);
}
