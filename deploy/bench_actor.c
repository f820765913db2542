#include "deploy/bench_actor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/actor_core.h"
#include "common/arena.h"
#include "common/settings.h"
#include "deploy/program.h"
#include "learner/algorithms.h"
#include "learner/session.h"
#include "learner/snapshot.h"
#include "proto/link.h"

enum { RUN = 7, EPOCH = 1, MAX_ROUND_TRIPS = 100, STEPS_BETWEEN_LOOKS = 64, N_OVERRIDES = 5, OVERRIDE_BYTES = 96 };

struct bench_actor {
    struct settings settings;
    void *hyper;
    struct algorithm_traits traits;
    struct local_network *network;
    struct link *hub, *link;
    struct fragment_pool *fragments;
    struct frame_pool *snapshots;
    struct session *session;
    struct actor *core;
    int n, horizon;
    int64_t t;                  /* steps of each environment */
};

/* ---- the policy ---- */

static struct policy_shape policy_shape(const struct env_model *model, const struct mlp_body *body)
{
    const struct env_spec *spec = env_spec(model);
    return policy_shape_make(spec->n_choices ? HEAD_CATEGORICAL : HEAD_SQUASHED_GAUSSIAN,
                             body, spec->shape, spec->n_choices);
}

static float *random_params(size_t n, struct arena *arena)
{
    struct rng rng;
    float *params = arena_alloc(arena, n, sizeof(float));
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, params, n);
    for (size_t i = 0; i < n; i++)
        params[i] *= 0.03f;
    return params;
}

struct policy *bench_policy_create(const struct env_model *model, const struct mlp_body *body, struct arena *arena)
{
    const struct policy_shape shape = policy_shape(model, body);
    struct policy *policy = policy_create(&shape, 1, arena);
    policy_set(policy, random_params(policy_n_params(&shape), arena));
    return policy;
}

/* ---- what the cores say ---- */

static void on_session_send(void *context, uint64_t peer, struct frame *f)
{
    (void)link_send(((struct bench_actor *)context)->hub, peer, f);
}

static void on_publish(void *context, struct frame *f)
{
    link_publish(((struct bench_actor *)context)->hub, f);
}

/* Learnt from at once. */
static void on_deliver(void *context, struct fragment *f)
{
    struct bench_actor *a = context;
    session_consumed(a->session, f->stream, f->life, f->sequence, FRAGMENT_USED);
    fragment_pool_give(a->fragments, f);
}

static void on_log(void *context, const char *line)
{
    (void)context, (void)line;
}

static void on_actor_send(void *context, struct frame *f, bool must_arrive)
{
    (void)must_arrive;
    (void)link_send(((struct bench_actor *)context)->link, 0, f);
}

static void on_subscribe(void *context, int port, bool wants_every)
{
    (void)context, (void)port, (void)wants_every;
}

/* The learner reads all that lies in the link, and answers. */
static void serve(struct bench_actor *a)
{
    struct frame *f;
    uint64_t peer;
    const int64_t now_us = program_now_us();
    local_network_set_time(a->network, now_us);
    while ((f = link_receive(a->hub, &peer)))
        session_receive(a->session, now_us, peer, f);
    session_tick(a->session, now_us);
}

/* The actor reads the answers. */
static void listen_to(struct bench_actor *a)
{
    struct frame *f;
    uint64_t peer;
    const int64_t now_us = program_now_us();
    while ((f = link_receive(a->link, &peer))) {
        actor_receive(a->core, now_us, f);
        frame_release(f);
    }
    actor_tick(a->core, now_us);
}

/* ---- life ---- */

static int configure(struct bench_actor *a, const struct env_spec *spec, const struct mlp_body *body, struct error *err)
{
    struct option_section sections[SETTINGS_SECTIONS + 1];
    char text[N_OVERRIDES][OVERRIDE_BYTES], *overrides[N_OVERRIDES];
    const struct algorithm *sac = &sac_algorithm;
    const struct option_preset preset = { sac->presets[0].values, NULL };
    snprintf(text[0], OVERRIDE_BYTES, "env.name=%s", spec->name);
    snprintf(text[1], OVERRIDE_BYTES, "actors=1");
    snprintf(text[2], OVERRIDE_BYTES, "envs_per_actor=%d", a->n);
    snprintf(text[3], OVERRIDE_BYTES, "actor.horizon=%d", a->horizon);
    /* Other works have their turns meanwhile. */
    snprintf(text[4], OVERRIDE_BYTES, "transport.liveness_ms=600000");
    for (int i = 0; i < N_OVERRIDES; i++)
        overrides[i] = text[i];
    const int n = settings_sections(&a->settings, sections);
    a->hyper = memory_alloc(1, sac->hyper_bytes);
    sections[n] = (struct option_section){ .name = sac->name, .options = sac->options,
                                           .n_options = sac->n_options, .base = a->hyper };
    int rc = options_load(sections, n + 1, &preset, NULL, overrides, N_OVERRIDES, err);
    a->settings.network.hidden.n = body->n_hidden;
    for (int i = 0; i < body->n_hidden; i++)
        a->settings.network.hidden.v[i] = body->hidden[i];
    a->settings.network.activation = body->activation;
    a->settings.network.layer_norm = LAYER_NORM_NONE;
    sac->describe(a->hyper, spec, &a->traits);
    return rc;
}

/* Have the actor join, and give it the first version. */
static int join(struct bench_actor *a, const struct env_model *model, const struct mlp_body *body, struct error *err)
{
    const struct policy_shape shape = policy_shape(model, body);
    const size_t n = policy_n_params(&shape);
    struct arena *arena = arena_create(1 << 20);
    const float *params = random_params(n, arena);
    a->snapshots = frame_pool_create(snapshot_frame_bytes(n));
    session_publish(a->session, 0, snapshot_encode(a->snapshots, RUN, EPOCH, 0, false, params, n));
    arena_destroy(&arena);
    for (int i = 0; i < MAX_ROUND_TRIPS; i++) {
        serve(a);
        listen_to(a);
        if (actor_phase(a->core) == ACTOR_STOPPED)
            return actor_result(a->core, err);
        if (actor_step(a->core, program_now_us()))
            return 0;
    }
    return error_set(err, ERR_REFUSED, "shoal bench: an actor of %d environments did not get to act in %s; "
                     "this is a defect", a->n, env_spec(model)->name);
}

int bench_actor_create(struct bench_actor **out, const struct env_model *model, const struct mlp_body *body, int n,
                       int horizon, struct error *err)
{
    struct bench_actor *a = *out = memory_alloc(1, sizeof(*a));
    const struct env_spec *spec = env_spec(model);
    a->n = n;
    a->horizon = horizon;
    int rc = configure(a, spec, body, err);
    if (rc != 0)
        return rc;
    a->network = local_network_create(NULL, NULL);
    a->hub = local_hub_create(a->network);
    a->link = local_actor_create(a->network);
    a->fragments = fragment_pool_create();
    const struct session_setup session = { .run = RUN, .epoch = EPOCH, .settings = &a->settings, .spec = spec,
                                           .traits = &a->traits, .cpu = "bench", .fragments = a->fragments };
    a->session = session_create(&session, (struct session_out){
        .context = a, .send = on_session_send, .publish = on_publish, .deliver = on_deliver, .log = on_log });
    const struct actor_setup setup = { .incarnation = 1, .name = "bench", .program = "bench", .cpu = "bench",
                                       .models_dir = program_models_dir() };
    a->core = actor_create(&setup, (struct actor_out){
        .context = a, .send = on_actor_send, .subscribe = on_subscribe, .log = on_log });
    return join(a, model, body, err);
}

void bench_actor_destroy(struct bench_actor **actor)
{
    struct bench_actor *a = *actor;
    if (!a)
        return;
    actor_destroy(&a->core);
    session_destroy(&a->session);
    link_destroy(&a->link);
    link_destroy(&a->hub);
    local_network_destroy(&a->network);
    if (a->fragments)
        fragment_pool_destroy(&a->fragments);
    frame_pool_destroy(&a->snapshots);
    free(a->hyper);
    free(a);
    *actor = NULL;
}

int bench_actor_run(void *actor, struct bench_window *w, struct error *err)
{
    struct bench_actor *a = actor;
    for (int n = 0; n < STEPS_BETWEEN_LOOKS; n += a->n) {
        if (a->t++ % a->horizon == 0) {
            bench_pause(w);
            serve(a);
            bench_resume(w);
            listen_to(a);
        }
        if (!actor_step(a->core, program_now_us()))
            return error_set(err, ERR_REFUSED, "shoal bench: the actor waits for the learner; this is a defect");
        w->units += a->n;
    }
    return 0;
}
