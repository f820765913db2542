/* Joining: what WELCOME sets up, and what REJECT ends. */
#include <inttypes.h>
#include <string.h>

#include "actor/acting.h"
#include "actor/actor_private.h"

void actor_end_work(struct actor *a)
{
    struct work *w = &a->work;
    struct watch *watch = a->setup.watch;
    for (int i = 0; i < w->n_streams; i++)
        stream_fini(&w->streams[i]);
    watch_enter(watch, WATCH_CLOSING, 0, 0);
    env_close(&w->opened);
    watch_leave(watch);
    frame_pool_destroy(&w->frames);
    gradients_destroy(&w->gradients);
    arena_destroy(&w->arena);
    *w = (struct work){ 0 };
}

/* The policy and the exploration that WELCOME describes. */
static int policy_of_welcome(struct policy_shape *shape, struct exploration *exploration,
                             const struct welcome *w, const struct env_spec *spec, struct error *err)
{
    struct mlp_body body = { .n_hidden = (int)(w->hidden.size / sizeof(uint32_t)),
                             .has_layer_norm = w->layer_norm };
    enum policy_head head = HEAD_SQUASHED_GAUSSIAN;
    for (int l = 0; l < body.n_hidden; l++)
        body.hidden[l] = (int)bytes_u32(w->hidden, (size_t)l);
    int rc = policy_head_find(w->head, &head, err);
    if (rc == 0)
        rc = activation_find(w->activation, &body.activation, err);
    if (rc == 0)
        rc = exploration_find(w->exploration, &exploration->kind, err);
    if (rc != 0)
        return error_prefix(err, "WELCOME");
    if (!policy_head_fits(head, spec->shape.n_act, spec->n_choices))
        return error_set(err, ERR_CONFIG, "the learner's policy head \"%s\" does not fit the actions of "
                         "%s (n_act %d, n_choices %d)", w->head, spec->name, spec->shape.n_act,
                         spec->n_choices);
    exploration->sigma = w->sigma;
    exploration->theta = w->theta;
    exploration->dt = w->dt;
    *shape = policy_shape_make(head, &body, spec->shape, spec->n_choices);
    shape->normalises = w->normalises;
    return 0;
}

/* Mode gradients: what computes them; a snapshot is then all that it trains. */
static int gradients_begin(struct actor *a, const struct welcome *w, const struct env_spec *spec, struct error *err)
{
    struct work *work = &a->work;
    const struct algorithm *algorithm = a->setup.find_algorithm ? a->setup.find_algorithm(w->algorithm) : NULL;
    int rc = gradients_create(&work->gradients, w, algorithm, spec, work->arena, err);
    if (rc == 0)
        work->n_params = gradients_snapshot_n(work->gradients);
    return rc;
}

/* The streams that WELCOME names, as they go on from here. */
static int begin_streams(struct actor *a, const struct welcome *w, size_t n, struct error *err)
{
    struct work *work = &a->work;
    struct watch *watch = a->setup.watch;
    const size_t state_bytes = stream_state_bytes(work->model);
    if (w->states.size > 0 && (state_bytes == 0 || w->states.size != n * state_bytes))
        return error_set(err, ERR_CONFIG, "WELCOME: the learner's states of %zu streams take %zu bytes, a stream of %s "
                         "here takes %zu; use the same version of shoal on both sides", n, w->states.size,
                         w->environment, state_bytes);
    for (size_t i = 0; i < n; i++) {
        struct stream *s = &work->streams[i];
        const int64_t number = bytes_u32(w->streams, i), life = bytes_u32(w->lives, i);
        watch_enter(watch, WATCH_CREATING, number, 0);
        stream_init(s, work->model, work->horizon, work->arena);
        watch_leave(watch);
        stream_watch(s, watch);
        s->whole_episodes = w->whole_episodes;
        work->n_streams++;
        s->sequence = s->acked = bytes_i64(w->sequences, i);
        const bool is_saved = w->saved.size == n && w->saved.data[i] == 1;
        if (!is_saved)
            stream_start(s, w->seed, number, life);
        else if (stream_restore(s, w->seed, number, life, w->states.data + i * state_bytes) != 0)
            return error_set(err, ERR_TEMPORARY, "environment %s, stream %" PRId64 ": the state that the "
                             "learner saved is none that can be restored", w->environment, number);
    }
    return 0;
}

/* The environment and networks that WELCOME asks for. */
static int begin_work(struct actor *a, const struct welcome *w, struct error *err)
{
    struct work *work = &a->work;
    char hash[ENV_SPEC_HASH_BYTES];
    struct policy_shape shape;
    const struct env_setup setup = { w->environment, w->options, a->setup.models_dir,
                                     a->setup.env_path };
    struct watch *watch = a->setup.watch;
    watch_begin(watch, w->environment, w->step_timeout_ms > 0 ? w->step_timeout_ms : 0);
    watch_enter(watch, WATCH_OPENING, 0, 0);
    int rc = a->setup.model ? 0 : env_open(&work->opened, &setup, err);
    watch_leave(watch);
    if (rc != 0)
        return rc;
    work->model = a->setup.model ? a->setup.model : work->opened;
    const struct env_spec *spec = env_spec(work->model);
    env_spec_hash(spec, hash);
    if (strcmp(hash, w->spec) != 0) {
        char ours[256];
        env_spec_describe(spec, ours, sizeof(ours));
        return error_set(err, ERR_CONFIG, "the learner's %s has specification %s, this actor's is "
                         "%s: %s; use the same version of shoal, of the models and of the task's own "
                         "files on both sides",
                         w->environment, w->spec, hash, ours);
    }
    rc = policy_of_welcome(&shape, &work->exploration, w, spec, err);
    if (rc != 0)
        return rc;

    const size_t n = w->streams.size / sizeof(uint32_t);
    work->arena = arena_create(1 << 16);
    work->n_act = spec->shape.n_act;
    work->horizon = (int)w->horizon;
    work->policy = policy_create(&shape, ACTING_GROUP, work->arena);
    work->n_params = policy_n_params(&shape);
    if (strcmp(w->mode, "gradients") == 0) {
        rc = gradients_begin(a, w, spec, err);
        if (rc != 0)
            return rc;
    }
    work->n_pending = a->lag >= 0 ? 2 : 1;
    for (int i = 0; i < work->n_pending; i++)
        work->pending[i] = (struct pending){ -1, false, arena_alloc(work->arena, work->n_params, sizeof(float)) };
    work->frames = frame_pool_create(stream_frame_bytes(work->model, work->horizon));
    work->streams = arena_alloc(work->arena, n, sizeof(*work->streams));
    work->noise = arena_alloc(work->arena, ACTING_GROUP * (size_t)work->n_act, sizeof(float));
    rc = begin_streams(a, w, n, err);
    if (rc != 0)
        return rc;
    arena_seal(work->arena);
    return 0;
}

static void say_joined(struct actor *a, const char *environment)
{
    const int n = a->work.n_streams;
    const int64_t first = a->work.streams[0].number, last = a->work.streams[n - 1].number;
    if (last - first == n - 1)
        actor_say(a, "joined: %s, streams %" PRId64 " to %" PRId64, environment, first, last);
    else
        actor_say(a, "joined: %s, %d streams, others' among them", environment, n);
}

void actor_on_welcome(struct actor *a, int64_t now_us, const struct welcome *w)
{
    if (w->incarnation != a->setup.incarnation)
        return;
    struct error err = { 0 };
    actor_end_work(a);
    a->run = w->run;
    a->epoch = w->epoch;
    a->heartbeat_us = w->heartbeat_ms * 1000;
    a->liveness_us = w->liveness_ms * 1000;
    a->credit = w->credit;
    a->wants_state = w->wants_state;
    a->version = -1;
    a->newest = a->start_version = 0;
    a->round = a->previous = a->needed = -1;
    a->lag = w->lag;
    a->max_staleness = w->max_staleness > 0 ? w->max_staleness : 0;
    a->beat_us = now_us;
    a->waiting_since_us = a->behind_since_us = a->idle_since_us = a->missing_since_us = -1;
    a->phase = ACTOR_ACTING;
    if (begin_work(a, w, &err) != 0) {
        actor_end(a, err.code, "%s", err.text);
        return;
    }
    a->counts.has_joined = true;
    say_joined(a, w->environment);
    a->was_told_full = false;
    a->out.subscribe(a->out.context, (int)w->snapshot_port, a->lag >= 0);
    a->want_us = now_us;
    if (a->lag < 0)
        actor_send_want(a, now_us);    /* in rounds the books, right behind, tell for which */
}

void actor_rejoin(struct actor *a, int64_t now_us)
{
    for (int i = 0; i < a->work.n_streams; i++)
        stream_abandon(&a->work.streams[i]);
    a->phase = ACTOR_JOINING;
    if (now_us - a->hello_us >= RETRY_US / 10)
        actor_send_hello(a, now_us);
}

void actor_on_reject(struct actor *a, int64_t now_us, const struct reject *r)
{
    bool is_hello = strcmp(r->of, "hello") == 0;
    if (is_hello && r->retry) {
        if (!a->was_told_full)
            actor_say(a, "waiting: %s", r->reason);
        a->was_told_full = true;
    } else if (is_hello || strcmp(r->code, "replaced") == 0) {
        a->phase = ACTOR_JOINING;    /* nobody to say BYE to */
        actor_end(a, ERR_REFUSED, "the learner refused this actor (%s): %s", r->code, r->reason);
    } else if (r->retry) {
        if (a->phase == ACTOR_ACTING) {
            actor_say(a, "the learner does not know this actor (any more); joining again");
            actor_rejoin(a, now_us);
        }
    } else {
        a->counts.refused++;
        actor_say(a, "refused by the learner (%s): %s", r->code, r->reason);
    }
}
