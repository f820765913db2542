#include "tests/simulation/simulation.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/actor_core.h"
#include "actor/stream.h"
#include "common/arena.h"
#include "common/digest.h"
#include "learner/algorithms.h"
#include "learner/snapshot.h"
#include "proto/link.h"
#include "proto/message.h"
#include "tests/support.h"

enum { QUANTUM_US = 2000, MAX_ACTORS = 16, MAX_STREAMS = 64 };

struct sim_actor {
    struct actor *core;
    struct link *link;
    int64_t busy_until;
    int incarnation;
};

struct sim {
    struct algorithm_traits traits;
    const struct simulation_setup *setup;
    struct simulation_result *result;
    struct rng rng;
    int64_t now_us;
    struct local_network *network;
    struct link *hub;
    struct env_model *model;
    struct session *session;
    struct training *training;
    struct fragment_pool *fragments;
    struct frame_pool *snapshots;
    struct evaluator *evaluator;
    struct sim_actor actors[MAX_ACTORS];
    int n_actors;
    int64_t learner_busy_until, next_kill_us;
    int64_t last_life[MAX_STREAMS], next_sequence[MAX_STREAMS];    /* in the schedule */
};

void simulation_defaults(struct simulation_setup *s, const struct algorithm *algorithm, enum mode mode,
                         int actors, int envs)
{
    struct option_section sections[SETTINGS_SECTIONS + 1];
    static char name[] = "env.name=Pendulum-v1";
    char *override = name;
    const struct option_preset preset = { algorithm->presets[0].values, NULL };
    struct error err;
    *s = (struct simulation_setup){ .seed = 1, .delay_us = 200, .jitter_us = 300, .step_us = 50,
                                    .step_jitter_us = 50, .update_us = 500, .algorithm = algorithm };
    ck_assert_uint_le(algorithm->hyper_bytes, sizeof(s->hyper));
    int n = settings_sections(&s->settings, sections);
    sections[n] = (struct option_section){ .name = algorithm->name, .options = algorithm->options,
                                           .n_options = algorithm->n_options, .base = s->hyper };
    ck_assert_msg(options_load(sections, n + 1, &preset, NULL, &override, 1, &err) == 0, "%s", err.text);
    s->settings.top.mode = mode;
    s->settings.top.actors = actors;
    s->settings.top.envs_per_actor = envs;
    s->settings.network.hidden = (struct option_ints){ .n = 2, .v = { 64, 64 } };
    s->settings.eval.every = 0;
}

static int64_t delay(void *context, uint64_t from, uint64_t to, size_t bytes)
{
    struct sim *s = context;
    (void)from, (void)to, (void)bytes;
    return (int64_t)(s->setup->delay_us + rng_uniform(&s->rng, 0, s->setup->jitter_us));
}

static void on_session_send(void *context, uint64_t peer, struct frame *f)
{
    (void)link_send(((struct sim *)context)->hub, peer, f);
}

static void on_session_publish(void *context, struct frame *f)
{
    link_publish(((struct sim *)context)->hub, f);
}

static void on_deliver(void *context, struct fragment *f)
{
    training_offer(((struct sim *)context)->training, f);
}

static void on_log(void *context, const char *line)
{
    (void)context;
    if (getenv("SHOAL_TEST_VERBOSE"))
        fprintf(stderr, "%s\n", line);
}

static void on_consumed(void *context, const struct fragment *f, enum fragment_fate fate)
{
    session_consumed(((struct sim *)context)->session, f->stream, f->life, f->sequence, fate);
}

static void on_round(void *context, int64_t round, int64_t version, int64_t previous)
{
    session_round(((struct sim *)context)->session, round, version, previous);
}

static void on_version(void *context, int64_t version, bool random, const float *params, size_t n)
{
    struct sim *s = context;
    bool is_finite = true;
    for (size_t i = 0; i < n; i++)
        is_finite &= isfinite(params[i]) != 0;
    ck_assert_msg(is_finite, "version %d is not finite", (int)version);
    struct frame *f = snapshot_encode(s->snapshots, 7, s->setup->is_resumed ? 2 : 1, version, random, params, n);
    session_publish(s->session, version, f);
}

static void on_evaluate(void *context, int64_t env_steps, const float *params, size_t n)
{
    struct sim *s = context;
    (void)n;
    evaluator_play(s->evaluator, params, 1, env_steps, &s->result->evaluation, NULL, NULL);
    training_evaluated(s->training, env_steps, s->result->evaluation.mean);
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    struct simulation_result *r = ((struct sim *)context)->result;
    char line[160];
    snprintf(line, sizeof(line), "%" PRIu64 ",%" PRId64 ",%" PRId64 ",%s", r->hashes, update,
             env_steps, sha256);
    unsigned char digest[DIGEST_BYTES];
    digest_sha256(line, strlen(line), digest);
    memcpy(&r->hashes, digest, sizeof(r->hashes));
    snprintf(r->params_sha256, sizeof(r->params_sha256), "%s", sha256);
}

static void on_scheduled(void *context, const struct schedule_record *r)
{
    struct sim *s = context;
    int64_t *life = &s->last_life[r->stream], *next = &s->next_sequence[r->stream];
    if (r->life != *life)
        *next = 0;
    s->result->out_of_order += (int64_t)r->life < *life || (int64_t)r->sequence < *next;
    s->result->scheduled += r->n_transitions;
    *life = r->life;
    *next = (int64_t)r->sequence + 1;
}

static void on_training_log(void *context, const char *line)
{
    ((struct sim *)context)->result->log_lines++;
    on_log(NULL, line);
}

static int on_restore(void *context, struct error *err)
{
    struct sim *s = context;
    struct safetensors *file;
    if (!s->setup->checkpoint)
        return error_set(err, ERR_MISSING, "none");
    int rc = safetensors_open(&file, s->setup->checkpoint, err);
    if (rc == 0)
        rc = training_restore(s->training, file, err);
    safetensors_close(&file);
    return rc;
}

static void on_actor_send(void *context, struct frame *f, bool must_arrive)
{
    (void)must_arrive;
    (void)link_send(((struct sim_actor *)context)->link, 0, f);
}

static void on_subscribe(void *context, int port)
{
    (void)context, (void)port;
}

static void start_actor(struct sim *s, int i)
{
    struct sim_actor *a = &s->actors[i];
    static char names[MAX_ACTORS][32];
    a->incarnation++;
    snprintf(names[i], sizeof(names[i]), "actor-%d-%d", i,
             s->setup->kill_silently ? a->incarnation : 0);
    const struct actor_setup setup = {
        .incarnation = (uint64_t)(1000 * a->incarnation + i + 1), .name = names[i],
        .program = "simulation", .cpu = "simulated", .find_algorithm = algorithm_find,
    };
    a->link = local_actor_create(s->network);
    a->core = actor_create(&setup, (struct actor_out){ .context = a, .send = on_actor_send,
                                                       .subscribe = on_subscribe,
                                                       .log = on_log });
}

static void kill_actor(struct sim *s, int i)
{
    actor_destroy(&s->actors[i].core);
    link_destroy(&s->actors[i].link);
    s->result->kills++;
}

static void load(struct sim *s, struct session_setup *session)
{
    struct safetensors *file;
    struct error err;
    ck_assert_msg(safetensors_open(&file, s->setup->checkpoint, &err) == 0, "%s", err.text);
    ck_assert_msg(training_load(s->training, file, &err) == 0, "%s", err.text);
    safetensors_close(&file);
    const struct training_streams streams = training_streams(s->training);
    session->lives = streams.lives;
    session->sequences = streams.sequences;
    session->has_state = streams.has_state;
    session->states = streams.states;
    for (int64_t i = 0; i < s->setup->settings.top.actors * s->setup->settings.top.envs_per_actor; i++) {
        s->last_life[i] = streams.lives[i];
        s->next_sequence[i] = streams.sequences[i];
    }
}

/* Whether the learner is to end here; then it saves. */
static bool is_interrupted(struct sim *s)
{
    struct tensor tensors[TRAINING_MAX_TENSORS];
    struct error err;
    if (s->setup->interrupt_at == 0 || s->result->scheduled < s->setup->interrupt_at
        || !training_is_at_rest(s->training))
        return false;
    int n = training_save(s->training, tensors);
    ck_assert_msg(safetensors_write(s->setup->checkpoint, tensors, n, NULL, 0, &err) == 0, "%s", err.text);
    return true;
}

static void create(struct sim *s)
{
    const struct simulation_setup *setup = s->setup;
    const struct settings *settings = &setup->settings;
    struct error err;
    struct policy_shape shape;
    rng_init(&s->rng, setup->seed, RNG_TEST, 0, 0);
    s->network = local_network_create(delay, s);
    s->hub = local_hub_create(s->network);
    if (env_open(&s->model, &(struct env_setup){ .name = settings->env.name, .models_dir = NULL }, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    const struct mlp_body body = settings_policy_body(settings);
    setup->algorithm->describe(setup->hyper, env_spec(s->model), &s->traits);
    shape = policy_shape_make(s->traits.head, &body, env_spec(s->model)->shape,
                              env_spec(s->model)->n_choices);
    shape.normalises = settings->learner.normalise_observations;
    s->fragments = fragment_pool_create();
    s->evaluator = evaluator_create(s->model, &shape, (int)settings->eval.episodes);
    const struct training_setup training = {
        .settings = settings, .algorithm = setup->algorithm, .hyper = setup->hyper,
        .spec = env_spec(s->model), .state_bytes = stream_state_bytes(s->model),
        .fragments = s->fragments,
    };
    struct session_setup session = {
        .run = 7, .epoch = setup->is_resumed ? 2 : 1, .settings = settings, .spec = env_spec(s->model),
        .traits = &s->traits, .is_on_policy = setup->algorithm->is_on_policy,
        .cpu = "simulated",
        .state_bytes = stream_state_bytes(s->model), .fragments = s->fragments,
    };
    s->training = training_create(&training, (struct training_out){
        .context = s, .consumed = on_consumed, .publish = on_version, .round = on_round, .evaluate = on_evaluate,
        .hash = on_hash, .scheduled = on_scheduled, .log = on_training_log, .restore = on_restore });
    s->snapshots = frame_pool_create(snapshot_frame_bytes(training_snapshot_n(s->training)));
    session.algorithm = setup->algorithm;
    session.hyper = setup->hyper;
    session.n_trained = training_n_trained(s->training);
    if (setup->is_resumed)
        load(s, &session);
    s->session = session_create(&session, (struct session_out){
        .context = s, .send = on_session_send, .publish = on_session_publish,
        .deliver = on_deliver, .log = on_log });
    s->n_actors = (int)settings->top.actors;
    for (int i = 0; i < s->n_actors; i++)
        start_actor(s, i);
    s->next_kill_us = setup->kill_every_us ? setup->kill_every_us : INT64_MAX;
}

static void destroy(struct sim *s)
{
    for (int i = 0; i < s->n_actors; i++) {
        actor_destroy(&s->actors[i].core);
        link_destroy(&s->actors[i].link);
    }
    training_destroy(&s->training);
    session_destroy(&s->session);
    link_destroy(&s->hub);
    local_network_destroy(&s->network);
    fragment_pool_destroy(&s->fragments);
    frame_pool_destroy(&s->snapshots);
    evaluator_destroy(&s->evaluator);
    env_close(&s->model);
}

static void run_actor(struct sim *s, struct sim_actor *a)
{
    struct frame *f;
    uint64_t peer;
    while ((f = link_receive(a->link, &peer))) {
        actor_receive(a->core, s->now_us, f);
        frame_release(f);
    }
    actor_tick(a->core, s->now_us);
    if (s->now_us >= a->busy_until && actor_step(a->core, s->now_us))
        a->busy_until = s->now_us + 1
                      + (int64_t)(s->setup->step_us
                                  + rng_uniform(&s->rng, 0, s->setup->step_jitter_us));
}

static void run_learner(struct sim *s)
{
    struct frame *f;
    uint64_t peer;
    while ((f = link_receive(s->hub, &peer)))
        session_receive(s->session, s->now_us, peer, f);
    if (s->now_us >= s->learner_busy_until) {
        s->result->status = training_step(s->training);
        if (s->result->status == TRAINING_BUSY)
            s->learner_busy_until = s->now_us + 1 + (int64_t)s->setup->update_us;
    }
    session_tick(s->session, s->now_us);
}

/* The next moment at which anything can happen. */
static int64_t next_event(struct sim *s)
{
    int64_t next = s->now_us + QUANTUM_US, arrival = local_network_next(s->network);
    if (arrival > s->now_us && arrival < next)
        next = arrival;
    if (s->learner_busy_until > s->now_us && s->learner_busy_until < next)
        next = s->learner_busy_until;
    for (int i = 0; i < s->n_actors; i++)
        if (s->actors[i].busy_until > s->now_us && s->actors[i].busy_until < next)
            next = s->actors[i].busy_until;
    return next;
}

void simulation_run(const struct simulation_setup *setup, int64_t limit_us,
                    struct simulation_result *r)
{
    struct sim s = { .setup = setup, .result = r };
    *r = (struct simulation_result){ .status = TRAINING_BUSY, .hashes = setup->hashes_before };
    create(&s);
    training_begin(s.training);
    while (r->status != TRAINING_FINISHED && r->status != TRAINING_DIVERGED
           && s.now_us < limit_us && !is_interrupted(&s)) {
        local_network_set_time(s.network, s.now_us);
        run_learner(&s);
        if (s.now_us >= s.next_kill_us) {
            int victim = r->kills % s.n_actors;
            kill_actor(&s, victim);
            start_actor(&s, victim);
            s.next_kill_us += setup->kill_every_us;
        }
        for (int i = 0; i < s.n_actors; i++)
            run_actor(&s, &s.actors[i]);
        s.now_us = next_event(&s);
    }
    training_report(s.training, &r->report);
    session_count(s.session, &r->counts);
    r->virtual_us = s.now_us;
    destroy(&s);
}
