#include "deploy/rerun_streams.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actor/acting.h"
#include "actor/stream.h"
#include "common/arena.h"
#include "deploy/rerun_gradients.h"

/* A version of one learner that records need. */
struct wanted {
    uint64_t learner, version;
    int64_t uses;                   /* still to come */
    float *params;                  /* as published; NULL: not published yet, or not needed any more */
    bool is_random;
};

struct rerun_streams {
    const struct experiment *experiment;
    const struct env_model *model;
    struct fragment_pool *fragments;
    struct frame_pool *frames;
    struct arena *arena;
    struct stream *streams;         /* [n_streams] */
    bool *has_begun;                /* [n_streams] */
    int n_streams;
    struct wanted *wanted;          /* [n_wanted] by learner, then version */
    size_t n_wanted;
    uint64_t learner;               /* the one that goes on now */
    struct rerun_gradients *gradients;    /* mode gradients; else NULL */
    struct policy *policy;
    float *noise;                   /* [ACTING_GROUP][n_act] */
    const struct wanted *held;      /* what `policy` holds */
    int64_t lives;                  /* begun */
};

/* ---- what will be needed ---- */

static int compare_wanted(const void *a, const void *b)
{
    const struct wanted *x = a, *y = b;
    return x->learner != y->learner ? (x->learner > y->learner) - (x->learner < y->learner)
                                    : (x->version > y->version) - (x->version < y->version);
}

/* Sort, and make one of those of a version. */
static size_t merge_wanted(struct wanted *w, size_t n)
{
    size_t kept = 0;
    qsort(w, n, sizeof(*w), compare_wanted);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && compare_wanted(&w[kept - 1], &w[i]) == 0)
            w[kept - 1].uses += w[i].uses;
        else
            w[kept++] = w[i];
    }
    return kept;
}

/* Merged whenever the list is full, so that it is as long as there are versions and not records. */
static void find_wanted(struct rerun_streams *s, const void *data, size_t bytes)
{
    struct schedule_reader reader;
    struct schedule_record r;
    uint64_t learner = 0;
    size_t capacity = 1024, n = 0;
    s->wanted = memory_alloc(capacity, sizeof(*s->wanted));
    schedule_reader_init(&reader, data, bytes);
    while (schedule_read(&reader, &r)) {
        learner += r.kind == SCHEDULE_BEGIN;
        if (!schedule_is_entry(&r))
            continue;
        if (n == capacity && (n = merge_wanted(s->wanted, n)) > capacity / 2) {
            capacity *= 2;
            s->wanted = memory_grow(s->wanted, capacity, sizeof(*s->wanted));
        }
        s->wanted[n++] = (struct wanted){ .learner = learner, .version = r.version, .uses = 1 };
    }
    s->n_wanted = merge_wanted(s->wanted, n);
    schedule_reader_fini(&reader);
}

static struct wanted *find(const struct rerun_streams *s, uint64_t version)
{
    const struct wanted key = { .learner = s->learner, .version = version };
    return bsearch(&key, s->wanted, s->n_wanted, sizeof(key), compare_wanted);
}

static void forget(struct rerun_streams *s, struct wanted *w)
{
    free(w->params);
    w->params = NULL;
    if (s->held == w)
        s->held = NULL;
}

void rerun_streams_begin(struct rerun_streams *s)
{
    for (size_t i = 0; i < s->n_wanted; i++)
        if (s->wanted[i].learner == s->learner)
            forget(s, &s->wanted[i]);
    s->learner++;
}

void rerun_streams_publish(struct rerun_streams *s, int64_t version, bool is_random, const float *params,
                           size_t n)
{
    struct wanted *w = find(s, (uint64_t)version);
    if (!w || w->uses == 0)
        return;
    if (!w->params)
        w->params = memory_alloc(n, sizeof(*w->params));
    memcpy(w->params, params, n * sizeof(*w->params));
    w->is_random = is_random;
    if (s->held == w)
        s->held = NULL;
}

bool rerun_streams_have(const struct rerun_streams *s, const struct schedule_record *r)
{
    const struct wanted *w = find(s, r->version);
    return w && w->params;
}

/* ---- collecting ---- */

struct rerun_streams *rerun_streams_create(const struct experiment *e, const struct env_model *model,
                                           struct fragment_pool *fragments, const void *data, size_t bytes,
                                           struct error *err)
{
    const struct settings *settings = &e->settings;
    const int horizon = (int)settings->actor.horizon;
    struct rerun_streams *s = memory_alloc(1, sizeof(*s));
    s->experiment = e;
    s->model = model;
    s->fragments = fragments;
    s->n_streams = (int)(settings->top.actors * settings->top.envs_per_actor);
    s->frames = frame_pool_create(stream_frame_bytes(model, horizon));
    s->arena = arena_create(1 << 16);
    s->streams = arena_alloc(s->arena, (size_t)s->n_streams, sizeof(*s->streams));
    s->has_begun = arena_alloc(s->arena, (size_t)s->n_streams, sizeof(*s->has_begun));
    s->policy = policy_create(&e->policy, ACTING_GROUP, s->arena);
    s->noise = arena_alloc(s->arena, ACTING_GROUP * (size_t)e->policy.row.n_act, sizeof(float));
    for (int i = 0; i < s->n_streams; i++) {
        stream_init(&s->streams[i], model, horizon, s->arena);
        s->streams[i].whole_episodes = e->traits.takes_whole_episodes;
    }
    find_wanted(s, data, bytes);
    if (settings->top.mode == MODE_GRADIENTS
        && !(s->gradients = rerun_gradients_create(e, env_spec(model), s->arena, err)))
        rerun_streams_destroy(&s);
    return s;
}

void rerun_streams_destroy(struct rerun_streams **streams)
{
    struct rerun_streams *s = *streams;
    if (!s)
        return;
    for (int i = 0; i < s->n_streams; i++)
        stream_fini(&s->streams[i]);
    for (size_t i = 0; i < s->n_wanted; i++)
        free(s->wanted[i].params);
    free(s->wanted);
    rerun_gradients_destroy(&s->gradients);
    frame_pool_destroy(&s->frames);
    arena_destroy(&s->arena);
    free(s);
    *streams = NULL;
}

/* Bring a stream to where a record's fragment begins. In rounds a life goes on with the number of the round. */
static int place(struct rerun_streams *s, const struct schedule_record *r, struct error *err)
{
    struct stream *stream = &s->streams[r->stream];
    const bool is_new = !s->has_begun[r->stream] || r->life != (uint64_t)stream->life;
    const bool has_rounds = settings_are_lockstep(&s->experiment->settings);
    const uint64_t next = is_new ? 0 : (uint64_t)stream->sequence;
    if (r->sequence != next && !(is_new && has_rounds))
        return error_set(err, ERR_FORMAT, "stream %" PRIu32 " has fragment %" PRIu64 " of its life %" PRIu32
                         " where %" PRIu64 " belongs", r->stream, r->sequence, r->life, next);
    if (r->n_transitions == 0)
        return error_set(err, ERR_FORMAT, "fragment %" PRIu64 " of stream %" PRIu32 " has no transitions: what the "
                         "stream did is not known", r->sequence, r->stream);
    if (is_new) {
        stream_start(stream, (uint64_t)s->experiment->settings.top.seed, r->stream, r->life);
        stream->sequence = (int64_t)r->sequence;
        s->has_begun[r->stream] = true;
        s->lives++;
    }
    /* A fragment that was closed early ends as one of that horizon does. */
    stream->horizon = (int)r->n_transitions;
    stream_begin(stream, frame_pool_take(s->frames), 0);
    return 0;
}

/* Until every one of the n open streams is at the end of its fragment. */
static void act(struct rerun_streams *s, struct stream *const *streams, int n, bool is_random)
{
    struct stream *open[ACTING_GROUP], *broken[ACTING_GROUP];
    const struct acting acting = { s->policy, &s->experiment->traits.exploration, is_random, s->noise };
    for (int n_open = n; n_open > 0;) {
        n_open = 0;
        for (int i = 0; i < n; i++)
            if (!stream_is_complete(streams[i]))
                open[n_open++] = streams[i];
        acting_choose(&acting, open, n_open);
        (void)streams_step(open, n_open, broken);
    }
}

/* The complete fragment, as if it had come in a message; its frame has everything in it. NULL: no message is
 * like that. */
static struct fragment *finish(struct rerun_streams *s, struct stream *stream, const struct schedule_record *r)
{
    struct message m;
    message_init(&m, MESSAGE_FRAGMENT);
    stream_describe(stream, &m.fragment, 0);
    m.fragment.incarnation = 1;
    m.fragment.version = (int64_t)r->version;
    struct frame *frame = stream_pack(stream, &m);

    struct fragment *f = fragment_pool_take(s->fragments);
    f->stream = r->stream;
    f->life = r->life;
    f->sequence = (int64_t)r->sequence;
    f->version = (int64_t)r->version;
    f->n_transitions = (int)r->n_transitions;
    f->frame = frame;
    if (r->n_used == 0)
        return f;
    if (message_decode(&m, frame->data, frame->size) != NULL) {
        fragment_pool_give(s->fragments, f);
        return NULL;
    }
    f->n_rows = (int)m.fragment.n_rows;
    f->rows = m.fragment.rows;
    f->returns = m.fragment.returns;
    f->lengths = m.fragment.lengths;
    return f;
}

int rerun_streams_collect(struct rerun_streams *s, const struct schedule_record *records, int n,
                          struct fragment **out, struct error *err)
{
    struct stream *streams[ACTING_GROUP];
    struct wanted *w = find(s, records[0].version);
    int rc = 0, placed = 0;
    assert(n >= 1 && n <= ACTING_GROUP && w && w->params);
    for (; placed < n && rc == 0; placed++) {
        streams[placed] = &s->streams[records[placed].stream];
        rc = place(s, &records[placed], err);
    }
    if (rc != 0) {
        for (int i = 0; i + 1 < placed; i++)
            stream_abandon(streams[i]);
        return rc;
    }
    if (s->held != w)
        policy_set(s->policy, w->params);
    s->held = w;
    act(s, streams, n, w->is_random);
    for (int i = 0; i < n && rc == 0; i++)
        if ((uint32_t)streams[i]->n_transitions != records[i].n_transitions)
            rc = error_set(err, ERR_FORMAT, "fragment %" PRIu64 " of stream %" PRIu32 " ended with an episode after %d "
                           "transitions, %" PRIu32 " were recorded", records[i].sequence, records[i].stream,
                           streams[i]->n_transitions, records[i].n_transitions);
    for (int i = 0; i < n && rc == 0; i++)
        if (!(out[i] = finish(s, streams[i], &records[i]))) {
            rc = error_set(err, ERR_FORMAT, "fragment %" PRIu64 " of stream %" PRIu32 " has numbers that no fragment has",
                           records[i].sequence, records[i].stream);
            while (--i >= 0)
                fragment_pool_give(s->fragments, out[i]);
            break;
        }
    w->uses -= n;
    if (w->uses <= 0)
        forget(s, w);
    return rc;
}

/* What one stream of an actor did for a gradient. */
static struct schedule_record part_of(const struct schedule_record *r, int i, int n)
{
    struct schedule_record part = *r;
    part.stream += (uint32_t)i;
    part.n_transitions /= (uint32_t)n;
    return part;
}

int rerun_streams_differentiate(struct rerun_streams *s, const struct schedule_record *r, struct fragment **out,
                                struct error *err)
{
    const int n = (int)s->experiment->settings.top.envs_per_actor;
    struct wanted *w = find(s, r->version);
    struct stream *first = &s->streams[r->stream], *streams[ACTING_GROUP];
    const bool is_new = !s->has_begun[r->stream] || r->life != (uint64_t)first->life;
    int rc = 0, placed = 0;
    assert(w && w->params);
    for (; placed < n && rc == 0; placed++) {
        const struct schedule_record part = part_of(r, placed, n);
        rc = place(s, &part, err);
    }
    if (rc != 0) {
        for (int i = 0; i + 1 < placed; i++)
            stream_abandon(&first[i]);
        return rc;
    }
    policy_set(s->policy, rerun_gradients_adopt(s->gradients, r->stream, is_new, w->params));
    for (int i = 0; i < n; i += ACTING_GROUP) {
        int k = 0;
        for (; k < ACTING_GROUP && i + k < n; k++)
            streams[k] = &first[i + k];
        act(s, streams, k, false);
    }
    *out = rerun_gradients_make(s->gradients, first, r, s->fragments);
    if (!*out)
        rc = error_set(err, ERR_FORMAT, "gradient %" PRIu64 " of stream %" PRIu32 " has numbers that no gradient has",
                       r->sequence, r->stream);
    if (--w->uses <= 0)
        forget(s, w);
    return rc;
}

int64_t rerun_streams_lives(const struct rerun_streams *s)
{
    return s->lives;
}
