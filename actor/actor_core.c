#include "actor/actor_core.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/acting.h"
#include "actor/gradients.h"
#include "actor/stream.h"
#include "common/digest.h"
#include "common/exploration.h"
#include "common/policy.h"

enum {
    RETRY_US = 1000000,            /* between HELLOs, and between WANTs */
    SILENCE_US = 4000000,          /* until somebody is told that no learner answers */
    BARRIER_PATIENCE_US = 50000,   /* until a version that a round needs is asked for */
    TOLD_ONE_BY_ONE = 5,           /* episodes that broke down */
    GROUP = ACTING_GROUP           /* streams that act together */
};

/* What one WELCOME set up; replaced whole by the next one. */
struct work {
    struct arena *arena;
    struct env_model *model;             /* `opened`, or the one shared with others */
    struct env_model *opened;
    struct policy *policy;
    struct frame_pool *frames;
    struct gradients *gradients;         /* mode gradients; else NULL */
    struct stream *streams;              /* [n_streams] */
    int n_streams;
    float *noise;                        /* [GROUP][n_act] what policy_act takes */
    struct exploration exploration;      /* of a deterministic head */
    float *pending;                      /* [n_params] newest snapshot, not yet adopted */
    size_t n_params;                     /* of a snapshot */
    int n_act, horizon;
};

struct actor {
    struct actor_setup setup;
    struct actor_out out;
    enum actor_phase phase;
    struct error error;                  /* code 0: stopped as asked */
    struct frame_pool *frames;           /* small messages */

    uint64_t run;
    int64_t epoch, heartbeat_us, liveness_us;
    int64_t heard_us, hello_us, beat_us, want_us, waiting_since_us, behind_since_us;
    int64_t newest, start_version, credit;
    int64_t round, previous;             /* rounds done, and the version behind one less; -1: not known yet */
    int64_t lag;                         /* rounds; -1: none are kept */
    int64_t max_staleness;               /* versions; 0: any */
    int64_t version, pending_version;    /* -1: none */
    int64_t needed;                      /* the version waited for; -1: none in particular */
    int64_t idle_since_us;               /* without credit; -1: not so */
    int64_t missing_since_us;            /* a version is waited for that there is; -1: none */
    bool is_random, pending_random, wants_state, was_told_full, was_told_silent;
    int64_t began_us;                    /* first tick; -1 before */
    struct work work;
    struct actor_counts counts;
};

struct actor *actor_create(const struct actor_setup *setup, struct actor_out out)
{
    struct actor *a = memory_alloc(1, sizeof(*a));
    a->setup = *setup;
    a->out = out;
    a->frames = frame_pool_create(MESSAGE_HEADER_BYTES);
    a->hello_us = INT64_MIN / 2;
    a->version = a->pending_version = a->began_us = -1;
    a->round = a->previous = a->needed = a->lag = a->idle_since_us = a->missing_since_us = -1;
    return a;
}

static void work_end(struct work *w, struct watch *watch)
{
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

void actor_destroy(struct actor **actor)
{
    if (!*actor)
        return;
    work_end(&(*actor)->work, (*actor)->setup.watch);
    frame_pool_destroy(&(*actor)->frames);
    free(*actor);
    *actor = NULL;
}

static void say(struct actor *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct actor *a, const char *format, ...)
{
    char line[640];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    a->out.log(a->out.context, line);
}

static void send_message(struct actor *a, const struct message *m)
{
    struct frame *f = frame_pool_take(a->frames);
    f->size = message_encode(m, f->data, frame_capacity(f));
    a->out.send(a->out.context, f, false);
}

static void send_hello(struct actor *a, int64_t now_us)
{
    struct message m;
    message_init(&m, MESSAGE_HELLO);
    m.hello.incarnation = a->setup.incarnation;
    m.hello.protocol = PROTOCOL_VERSION;
    snprintf(m.hello.name, sizeof(m.hello.name), "%s", a->setup.name);
    snprintf(m.hello.program, sizeof(m.hello.program), "%s", a->setup.program);
    snprintf(m.hello.cpu, sizeof(m.hello.cpu), "%s", a->setup.cpu);
    a->hello_us = now_us;
    send_message(a, &m);
}

static void send_want(struct actor *a, int64_t now_us)
{
    struct message m;
    message_init(&m, MESSAGE_WANT);
    m.want.run = a->run;
    m.want.incarnation = a->setup.incarnation;
    m.want.epoch = a->epoch;
    m.want.version = a->version > a->pending_version ? a->version : a->pending_version;
    m.want.wanted = a->needed;
    a->want_us = now_us;
    send_message(a, &m);
}

static void stop(struct actor *a, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* End for good. */
static void stop(struct actor *a, int code, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    error_set(&a->error, code, "%s", text);
    if (a->phase == ACTOR_ACTING) {
        struct message m;
        message_init(&m, MESSAGE_BYE);
        m.bye.run = a->run;
        m.bye.incarnation = a->setup.incarnation;
        m.bye.epoch = a->epoch;
        snprintf(m.bye.reason, sizeof(m.bye.reason), "%.127s", text);
        send_message(a, &m);
    }
    a->phase = ACTOR_STOPPED;
}

void actor_stop(struct actor *a, const char *reason)
{
    if (a->phase != ACTOR_STOPPED)
        stop(a, 0, "%s", reason);
}

/* ---- joining ---- */

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

/* The environment and networks that WELCOME asks for. */
static int work_begin(struct actor *a, const struct welcome *w, struct error *err)
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
    work->policy = policy_create(&shape, GROUP, work->arena);
    work->n_params = policy_n_params(&shape);
    if (strcmp(w->mode, "gradients") == 0) {
        rc = gradients_begin(a, w, spec, err);
        if (rc != 0)
            return rc;
    }
    work->pending = arena_alloc(work->arena, work->n_params, sizeof(float));
    work->frames = frame_pool_create(stream_frame_bytes(work->model, work->horizon));
    work->streams = arena_alloc(work->arena, n, sizeof(*work->streams));
    work->noise = arena_alloc(work->arena, GROUP * (size_t)work->n_act, sizeof(float));
    size_t state_bytes = stream_state_bytes(work->model);
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
        const bool is_saved = w->states.size == n * state_bytes && w->saved.data && w->saved.data[i] == 1;
        if (!is_saved)
            stream_start(s, w->seed, number, life);
        else if (stream_restore(s, w->seed, number, life, w->states.data + i * state_bytes) != 0)
            return error_set(err, ERR_TEMPORARY, "environment %s, stream %" PRId64 ": the state that the "
                             "learner saved is none that can be restored", w->environment, number);
    }
    arena_seal(work->arena);
    return 0;
}

static void say_joined(struct actor *a, const char *environment)
{
    const int n = a->work.n_streams;
    const int64_t first = a->work.streams[0].number, last = a->work.streams[n - 1].number;
    if (last - first == n - 1)
        say(a, "joined: %s, streams %" PRId64 " to %" PRId64, environment, first, last);
    else
        say(a, "joined: %s, %d streams from %" PRId64 " to %" PRId64, environment, n, first, last);
}

static void on_welcome(struct actor *a, int64_t now_us, const struct welcome *w)
{
    if (w->incarnation != a->setup.incarnation)
        return;
    struct error err = { 0 };
    work_end(&a->work, a->setup.watch);
    a->run = w->run;
    a->epoch = w->epoch;
    a->heartbeat_us = w->heartbeat_ms * 1000;
    a->liveness_us = w->liveness_ms * 1000;
    a->credit = w->credit;
    a->wants_state = w->wants_state;
    a->version = a->pending_version = -1;
    a->newest = a->start_version = 0;
    a->round = a->previous = a->needed = -1;
    a->lag = w->lag;
    a->max_staleness = w->max_staleness > 0 ? w->max_staleness : 0;
    a->beat_us = now_us;
    a->waiting_since_us = a->behind_since_us = a->idle_since_us = a->missing_since_us = -1;
    a->phase = ACTOR_ACTING;
    if (work_begin(a, w, &err) != 0) {
        stop(a, err.code, "%s", err.text);
        return;
    }
    a->counts.has_joined = true;
    say_joined(a, w->environment);
    a->was_told_full = false;
    a->out.subscribe(a->out.context, (int)w->snapshot_port);
    a->want_us = now_us;
    if (a->lag < 0)
        send_want(a, now_us);    /* in rounds the books, right behind, tell for which */
}

/* The learner does not know what we are talking about: begin again. */
static void rejoin(struct actor *a, int64_t now_us)
{
    for (int i = 0; i < a->work.n_streams; i++)
        stream_abandon(&a->work.streams[i]);
    a->phase = ACTOR_JOINING;
    if (now_us - a->hello_us >= RETRY_US / 10)
        send_hello(a, now_us);
}

static void on_reject(struct actor *a, int64_t now_us, const struct reject *r)
{
    bool is_hello = strcmp(r->of, "hello") == 0;
    if (is_hello && r->retry) {
        if (!a->was_told_full)
            say(a, "waiting: %s", r->reason);
        a->was_told_full = true;
    } else if (is_hello || strcmp(r->code, "replaced") == 0) {
        a->phase = ACTOR_JOINING;    /* nobody to say BYE to */
        stop(a, ERR_REFUSED, "the learner refused this actor (%s): %s", r->code, r->reason);
    } else if (r->retry) {
        if (a->phase == ACTOR_ACTING) {
            say(a, "the learner does not know this actor (any more); joining again");
            rejoin(a, now_us);
        }
    } else {
        a->counts.refused++;
        say(a, "refused by the learner (%s): %s", r->code, r->reason);
    }
}

/* ---- parameters and credit ---- */

static void on_snapshot(struct actor *a, const struct snapshot *s)
{
    int64_t held = a->version > a->pending_version ? a->version : a->pending_version;
    const bool is_needed = a->needed >= 0 && s->version == a->needed && a->needed != a->version;
    if (s->run != a->run || s->epoch != a->epoch || (s->version <= held && !is_needed))
        return;
    if (s->parameters.size != a->work.n_params * sizeof(float)
        || digest_crc32(s->parameters.data, s->parameters.size) != (uint32_t)s->checksum) {
        say(a, "a snapshot of version %" PRId64 " arrived damaged and was thrown away", s->version);
        return;
    }
    memcpy(a->work.pending, s->parameters.data, s->parameters.size);
    a->pending_version = s->version;
    a->pending_random = s->random;
}

/* The round that comes next: that of the stream that is furthest behind. */
static int64_t next_round(const struct actor *a)
{
    int64_t round = INT64_MAX;
    for (int i = 0; i < a->work.n_streams; i++)
        if (a->work.streams[i].sequence < round)
            round = a->work.streams[i].sequence;
    return round;
}

/* The version that `round` is acted with: what is behind round - lag rounds, or the first. -1: not known yet. */
static int64_t version_of_round(const struct actor *a, int64_t round)
{
    const int64_t behind = round > a->lag ? round - a->lag : 0;
    return a->round < 0             ? -1
         : behind == a->round       ? a->start_version
         : behind == a->round - 1   ? a->previous
                                    : -1;
}

/* In rounds: ask by name for what comes next, where nothing was held or asked for yet. What comes next may be older
 * than the newest there is. */
static void ask_first(struct actor *a, int64_t now_us)
{
    if (a->lag < 0 || a->needed >= 0 || a->version >= 0)
        return;
    a->needed = version_of_round(a, next_round(a));
    if (a->needed >= 0 && a->needed != a->pending_version)
        send_want(a, now_us);
}

static void on_books(struct actor *a, int64_t now_us, const struct ack *books)
{
    if (books->run != a->run || books->epoch != a->epoch
        || books->acked.size != (size_t)a->work.n_streams * sizeof(int64_t))
        return;
    const int64_t newest = books->newest;
    a->newest = newest;
    a->start_version = books->start_version;
    a->round = books->round;
    a->previous = books->previous;
    a->credit = books->credit;
    for (int i = 0; i < a->work.n_streams; i++)
        a->work.streams[i].acked = bytes_i64(books->acked, (size_t)i);
    int64_t held = a->version > a->pending_version ? a->version : a->pending_version;
    if (newest <= held)
        a->behind_since_us = -1;
    else if (a->behind_since_us < 0)
        a->behind_since_us = now_us;
    ask_first(a, now_us);
}

void actor_receive(struct actor *a, int64_t now_us, const struct frame *f)
{
    struct message m;
    if (a->phase == ACTOR_STOPPED || message_decode(&m, f->data, f->size) != NULL)
        return;
    a->heard_us = now_us;
    a->was_told_silent = false;
    if (m.type == MESSAGE_WELCOME)
        on_welcome(a, now_us, &m.welcome);
    else if (m.type == MESSAGE_REJECT)
        on_reject(a, now_us, &m.reject);
    else if (m.type == MESSAGE_DRAIN)
        stop(a, 0, "%s", m.drain.reason);
    else if (a->phase != ACTOR_ACTING)
        return;
    else if (m.type == MESSAGE_SNAPSHOT)
        on_snapshot(a, &m.snapshot);
    else if (m.type == MESSAGE_ACK)
        on_books(a, now_us, &m.ack);
    else if (m.type == MESSAGE_HEARTBEAT)
        on_books(a, now_us, &(struct ack){
            .run = m.heartbeat.run, .epoch = m.heartbeat.epoch, .newest = m.heartbeat.newest,
            .start_version = m.heartbeat.start_version, .round = m.heartbeat.round,
            .previous = m.heartbeat.previous, .credit = m.heartbeat.credit, .acked = m.heartbeat.acked });
}

/* ---- acting ---- */

static bool is_between_fragments(const struct actor *a)
{
    for (int i = 0; i < a->work.n_streams; i++)
        if (stream_is_open(&a->work.streams[i]))
            return false;
    return true;
}

bool actor_wants_frames(const struct actor *a)
{
    return a->max_staleness > 0 || is_between_fragments(a);
}

static void adopt_pending(struct actor *a)
{
    struct work *w = &a->work;
    policy_set(w->policy, w->gradients ? gradients_adopt(w->gradients, w->pending) : w->pending);
    a->version = a->pending_version;
    a->is_random = a->pending_random;
}

/* In rounds: hold the version of the next one. Returns whether that is so. */
static bool hold_version_of_round(struct actor *a, int64_t round)
{
    a->needed = version_of_round(a, round);
    if (a->needed >= 0 && a->needed != a->version && a->needed == a->pending_version)
        adopt_pending(a);
    return a->needed >= 0 && a->needed == a->version;
}

/* Whether what is being collected would be too old: then fragments end here, and none begins. */
static bool is_outdated(const struct actor *a)
{
    const int64_t newest = a->newest > a->pending_version ? a->newest : a->pending_version;
    return a->max_staleness > 0 && newest - a->version >= a->max_staleness;
}

/* Otherwise: hold the newest version. Returns whether there is one that will do. */
static bool hold_newest(struct actor *a)
{
    if (a->pending_version > a->version)
        adopt_pending(a);
    return a->version >= 0 && a->version >= a->start_version && !is_outdated(a);
}

/* The clock of a wait: runs from the first time that `is_waiting`, and adds to `total_us` when it is over. */
static void keep_time(bool is_waiting, int64_t now_us, int64_t *since_us, int64_t *total_us)
{
    if (is_waiting && *since_us < 0)
        *since_us = now_us;
    if (is_waiting || *since_us < 0)
        return;
    *total_us += now_us - *since_us;
    *since_us = -1;
}

/* Whether a stream may begin a fragment; in mode gradients all may or none. */
static bool may_begin(const struct actor *a, const struct stream *s, int64_t round)
{
    const struct stream *of = a->work.gradients ? &a->work.streams[0] : s;
    return (round < 0 || of->sequence == round) && of->sequence - of->acked < a->credit;
}

/* Between fragments: open what credit and parameters allow. Returns whether any stream is open now. */
static bool begin_fragments(struct actor *a, int64_t now_us)
{
    struct work *w = &a->work;
    const int64_t round = a->lag >= 0 ? next_round(a) : -1;
    bool did = false, has_credit = false;
    for (int i = 0; i < w->n_streams; i++)
        has_credit |= may_begin(a, &w->streams[i], round);
    const bool has_version = round < 0 ? hold_newest(a) : hold_version_of_round(a, round);
    keep_time(!has_version, now_us, &a->waiting_since_us, &a->counts.parameters_us);
    keep_time(has_version && !has_credit, now_us, &a->idle_since_us, &a->counts.credit_us);
    /* In rounds there is nothing to ask for before the round that gives it is done. */
    const bool is_missing = !has_version && (round < 0 || a->needed >= 0);
    a->missing_since_us = !is_missing ? -1 : a->missing_since_us < 0 ? now_us : a->missing_since_us;
    if (!has_credit || !has_version)
        return false;
    for (int i = 0; i < w->n_streams; i++) {
        struct stream *s = &w->streams[i];
        if (!may_begin(a, s, round))
            continue;
        stream_begin(s, frame_pool_take(w->frames), now_us);
        did = true;
    }
    return did;
}

/* Whoever took the stream over could not go on from here: end as in a crash, so that it goes on from
 * the state before, and after a few of those with new episodes. */
static void on_bad_state(struct actor *a, const struct stream *s)
{
    stop(a, ERR_TEMPORARY, "environment %s, stream %" PRId64 ", step %d of its episode: get_state gave "
         "numbers that are not finite; let it write finite numbers only",
         env_spec(a->work.model)->name, s->number, env_elapsed(s->env));
}

static void finish_fragment(struct actor *a, struct stream *s, int64_t now_us)
{
    struct message m;
    message_init(&m, MESSAGE_FRAGMENT);
    if (stream_describe(s, &m.fragment, now_us) != 0 && a->wants_state) {
        on_bad_state(a, s);
        return;
    }
    m.fragment.run = a->run;
    m.fragment.epoch = a->epoch;
    m.fragment.incarnation = a->setup.incarnation;
    m.fragment.version = a->version;
    if (!a->wants_state)
        m.fragment.state = (struct bytes){ NULL, 0 };
    unsigned char *rows = frame_buffer(s->frame) + s->room;
    size_t bytes = m.fragment.rows.size;
    unsigned char *begin = message_encode_before(&m, rows);
    struct frame *f = stream_take(s);
    f->data = begin;
    f->size = (size_t)(rows - begin) + bytes;
    a->counts.sent++;
    a->out.send(a->out.context, f, true);
}

/* Mode gradients: all streams began together and end together. */
static void finish_round(struct actor *a, int64_t now_us)
{
    struct work *w = &a->work;
    struct message m;
    for (int i = 0; i < w->n_streams; i++)
        if (!stream_is_complete(&w->streams[i]))
            return;
    message_init(&m, MESSAGE_GRADIENT);
    m.gradient.run = a->run;
    m.gradient.epoch = a->epoch;
    m.gradient.incarnation = a->setup.incarnation;
    m.gradient.version = a->version;
    struct frame *f = gradients_make(w->gradients, &m, w->streams, now_us);
    a->counts.sent++;
    a->out.send(a->out.context, f, true);
}

static void finish_fragments(struct actor *a, int64_t now_us)
{
    if (a->work.gradients) {
        finish_round(a, now_us);
        return;
    }
    for (int i = 0; i < a->work.n_streams && a->phase == ACTOR_ACTING; i++)
        if (stream_is_complete(&a->work.streams[i]))
            finish_fragment(a, &a->work.streams[i], now_us);
}

/* Actions for n open streams, at most GROUP, each from its own sequence. */
static void choose_actions(struct actor *a, struct stream *const *open, int n)
{
    const struct work *w = &a->work;
    acting_choose(&(struct acting){ w->policy, &w->exploration, a->is_random, w->noise }, open, n);
}

/* An episode broke down. The first are told one by one, then every time their number has doubled. */
static void on_diverged(struct actor *a, const struct stream *s)
{
    char line[320];
    int64_t n = ++a->counts.diverged;
    if (n > TOLD_ONE_BY_ONE && (n & (n - 1)) != 0)
        return;
    snprintf(line, sizeof(line), "environment %s, stream %" PRId64 ": the simulation broke down (numbers "
             "that are not finite) in step %" PRIu32 " of its episode, after %" PRId64 " transitions of "
             "this actor; the episode was truncated, %" PRId64 " so far", env_spec(a->work.model)->name,
             s->number, s->lengths[s->n_episodes - 1], a->counts.steps, n);
    (a->out.trouble ? a->out.trouble : a->out.log)(a->out.context, line);
}

bool actor_step(struct actor *a, int64_t now_us)
{
    struct work *w = &a->work;
    struct stream *open[GROUP], *broken[GROUP];
    int n_steps = 0;
    if (a->phase != ACTOR_ACTING)
        return false;
    if (!is_between_fragments(a) && is_outdated(a))
        for (int i = 0; i < w->n_streams; i++)
            if (stream_is_open(&w->streams[i]))
                stream_close(&w->streams[i]);
    finish_fragments(a, now_us);
    if (is_between_fragments(a) && !begin_fragments(a, now_us))
        return false;
    for (int i = 0; i < w->n_streams;) {
        int n = 0;
        for (; i < w->n_streams && n < GROUP; i++)
            if (stream_is_open(&w->streams[i]))
                open[n++] = &w->streams[i];
        choose_actions(a, open, n);
        const int n_broken = streams_step(open, n, broken);
        for (int k = 0; k < n_broken; k++)
            on_diverged(a, broken[k]);
        n_steps += n;
    }
    a->counts.steps += n_steps;
    watch_count(a->setup.watch, a->counts.steps);
    finish_fragments(a, now_us);
    return true;
}

static void send_heartbeat(struct actor *a, int64_t now_us)
{
    struct message m;
    message_init(&m, MESSAGE_HEARTBEAT);
    m.heartbeat.run = a->run;
    m.heartbeat.incarnation = a->setup.incarnation;
    m.heartbeat.epoch = a->epoch;
    m.heartbeat.steps = a->counts.steps;
    m.heartbeat.version = a->version;
    m.heartbeat.diverged = a->counts.diverged;
    m.heartbeat.credit_ms = a->counts.credit_us / 1000;
    m.heartbeat.parameters_ms = a->counts.parameters_us / 1000;
    const char *state = a->waiting_since_us >= 0 ? "parameters"
                      : is_between_fragments(a) ? "credit" : "acting";
    snprintf(m.heartbeat.state, sizeof(m.heartbeat.state), "%s", state);
    a->beat_us = now_us;
    send_message(a, &m);
}

void actor_tick(struct actor *a, int64_t now_us)
{
    if (a->phase == ACTOR_STOPPED)
        return;
    if (a->began_us < 0)
        a->began_us = a->heard_us = now_us;
    if (!a->was_told_silent && now_us - a->heard_us > SILENCE_US) {
        a->was_told_silent = true;
        say(a, "nothing heard from a learner for %d s; waiting for it", SILENCE_US / 1000000);
    }
    bool is_lost = a->phase == ACTOR_JOINING || now_us - a->heard_us > a->liveness_us;
    if (is_lost && now_us - a->hello_us >= RETRY_US)
        send_hello(a, now_us);
    if (a->phase != ACTOR_ACTING)
        return;
    if (now_us - a->beat_us >= a->heartbeat_us)
        send_heartbeat(a, now_us);
    bool has_none = a->version < 0 && a->pending_version < 0;
    bool is_stuck = a->missing_since_us >= 0 && now_us - a->missing_since_us > BARRIER_PATIENCE_US;
    bool is_behind = a->behind_since_us >= 0 && now_us - a->behind_since_us > 2 * a->heartbeat_us && a->lag < 0;
    int64_t patience = is_stuck && !has_none && a->want_us < a->missing_since_us ? 0 : RETRY_US;
    if ((has_none || is_stuck || is_behind) && now_us - a->want_us >= patience)
        send_want(a, now_us);
}

static inline int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t later(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t actor_due(const struct actor *a)
{
    const int64_t hello = a->hello_us + RETRY_US, want = a->want_us + RETRY_US;
    if (a->phase != ACTOR_ACTING)
        return a->phase == ACTOR_STOPPED ? INT64_MAX : a->began_us < 0 ? 0 : hello;
    int64_t due = earlier(a->beat_us + a->heartbeat_us, later(hello, a->heard_us + a->liveness_us + 1));
    const bool has_none = a->version < 0 && a->pending_version < 0;
    const int64_t stuck = a->missing_since_us + BARRIER_PATIENCE_US + 1;
    if (has_none)
        due = earlier(due, want);
    if (a->missing_since_us >= 0)
        due = earlier(due, !has_none && a->want_us < a->missing_since_us ? stuck : later(stuck, want));
    if (a->behind_since_us >= 0 && a->lag < 0)
        due = earlier(due, later(a->behind_since_us + 2 * a->heartbeat_us + 1, want));
    return due;
}

bool actor_awaits_version(const struct actor *a)
{
    return a->phase == ACTOR_ACTING && a->waiting_since_us >= 0;
}

enum actor_phase actor_phase(const struct actor *a)
{
    return a->phase;
}

int actor_result(const struct actor *a, struct error *err)
{
    *err = a->error;
    return a->error.code;
}

void actor_count(const struct actor *a, struct actor_counts *out)
{
    *out = a->counts;
}
