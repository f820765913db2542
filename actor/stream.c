#include "actor/stream.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/digest.h"

enum { ALIGNMENT = 64 };

size_t stream_state_bytes(const struct env_model *model)
{
    size_t n = (size_t)env_state_size(model), n_act = (size_t)env_spec(model)->shape.n_act;
    return n ? 2 * sizeof(uint64_t) + (n + n_act) * sizeof(double) : 0;
}

/* Bytes in front of the rows: the header and the fields that stand before them. */
static size_t header_room(size_t state_bytes, int horizon)
{
    size_t bytes = MESSAGE_HEADER_BYTES + state_bytes
                 + (size_t)horizon * (sizeof(double) + sizeof(uint32_t));
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t stream_frame_bytes(const struct env_model *model, int horizon)
{
    size_t stride = (size_t)row_stride(env_spec(model)->shape);
    return header_room(stream_state_bytes(model), horizon)
         + 2 * (size_t)horizon * stride * sizeof(float);
}

void stream_init(struct stream *s, const struct env_model *model, int horizon, struct arena *arena)
{
    *s = (struct stream){ .shape = env_spec(model)->shape, .horizon = horizon };
    s->stride = row_stride(s->shape);
    s->state_bytes = stream_state_bytes(model);
    s->room = header_room(s->state_bytes, horizon);
    s->env = env_create(model);
    s->process = arena_alloc(arena, (size_t)s->shape.n_act, sizeof(*s->process));
    s->obs = arena_alloc(arena, (size_t)s->shape.n_obs, sizeof(float));
    s->returns = arena_alloc(arena, (size_t)horizon, sizeof(*s->returns));
    s->lengths = arena_alloc(arena, (size_t)horizon, sizeof(*s->lengths));
    s->state = arena_alloc(arena, s->state_bytes + 1, 1);
}

void stream_fini(struct stream *s)
{
    stream_abandon(s);
    watch_enter(s->watch, WATCH_CLOSING, s->number, 0);
    env_destroy(&s->env);
    watch_leave(s->watch);
}

void stream_watch(struct stream *s, struct watch *watch)
{
    s->watch = watch;
}

static void seed_sequences(struct stream *s, uint64_t seed, int64_t number, int64_t life)
{
    s->number = number;
    s->life = life;
    rng_init(&s->reset_rng, seed, RNG_RESET, (uint32_t)number, (uint32_t)life);
    rng_init(&s->action_rng, seed, RNG_ACTION, (uint32_t)number, (uint32_t)life);
    rng_ahead_forget(&s->ahead);
}

static size_t process_bytes(const struct stream *s)
{
    return (size_t)s->shape.n_act * sizeof(*s->process);
}

static void reset(struct stream *s, float *obs)
{
    memset(s->process, 0, process_bytes(s));
    watch_enter(s->watch, WATCH_RESETTING, s->number, 0);
    env_reset(s->env, &s->reset_rng, obs);
    watch_leave(s->watch);
}

void stream_start(struct stream *s, uint64_t seed, int64_t number, int64_t life)
{
    seed_sequences(s, seed, number, life);
    reset(s, s->obs);
}

int stream_restore(struct stream *s, uint64_t seed, int64_t number, int64_t life,
                   const unsigned char *state)
{
    uint64_t position[2];
    double process[ENV_MAX_ACT];
    if (s->state_bytes == 0)
        return ERR_FORMAT;
    memcpy(process, state + s->state_bytes - process_bytes(s), process_bytes(s));
    for (int i = 0; i < s->shape.n_act; i++)
        if (!isfinite(process[i]))
            return ERR_FORMAT;
    /* Into the stream's own buffer, where the doubles are aligned. */
    memcpy(s->state, state, s->state_bytes);
    memcpy(position, s->state, sizeof(position));
    watch_enter(s->watch, WATCH_RESTORING, number, 0);
    int rc = env_set_state(s->env, (const double *)(const void *)(s->state + sizeof(position)));
    watch_leave(s->watch);
    if (rc != 0)
        return rc;
    memcpy(s->process, process, process_bytes(s));
    seed_sequences(s, seed, number, life);
    rng_seek(&s->reset_rng, position[0]);
    rng_seek(&s->action_rng, position[1]);
    double obs[ENV_MAX_OBS];
    env_observation(s->env, obs);
    for (int i = 0; i < s->shape.n_obs; i++)
        s->obs[i] = (float)obs[i];
    return 0;
}

static float *row_at(const struct stream *s, int i)
{
    return s->rows + (size_t)i * (size_t)s->stride;
}

void stream_begin(struct stream *s, struct frame *frame, int64_t now_us)
{
    assert(!s->frame);
    s->frame = frame;
    s->rows = (float *)(void *)(frame_buffer(frame) + s->room);
    s->n_rows = s->n_transitions = s->n_episodes = 0;
    s->is_complete = false;
    s->began_us = now_us;
    memcpy(s->rows, s->obs, (size_t)s->shape.n_obs * sizeof(float));
}

float *stream_row(struct stream *s)
{
    return row_at(s, s->n_rows);
}

/* The row whose observation was just written closes what is before it. */
static void write_close(struct stream *s)
{
    float *row = row_at(s, s->n_rows++);
    memset(row + s->shape.n_obs, 0, (size_t)(s->stride - s->shape.n_obs) * sizeof(float));
    row[row_kind(s->shape)] = ROW_CLOSE;
}

/* The row's observation and action were there, the successor's observation stands behind it: write the
 * rest, and begin what comes next. */
static void note_outcome(struct stream *s, const struct env_outcome *outcome)
{
    float *row = row_at(s, s->n_rows++), *next = row_at(s, s->n_rows);
    row[row_reward(s->shape)] = (float)outcome->reward;
    row[row_kind(s->shape)] = (float)outcome->kind;
    s->n_transitions++;
    const bool is_last = s->n_transitions == s->horizon
                      || (s->whole_episodes && outcome->kind != ROW_STEP);
    if (outcome->kind != ROW_STEP) {
        s->returns[s->n_episodes] = outcome->episode_return;
        s->lengths[s->n_episodes++] = (uint32_t)outcome->episode_length;
        write_close(s);
        reset(s, is_last ? s->obs : row_at(s, s->n_rows));
    } else if (is_last) {
        memcpy(s->obs, next, (size_t)s->shape.n_obs * sizeof(float));
        write_close(s);
    }
    s->is_complete = is_last;
}

void stream_close(struct stream *s)
{
    if (s->n_transitions == 0) {
        stream_abandon(s);
        return;
    }
    if (s->is_complete)
        return;
    memcpy(s->obs, row_at(s, s->n_rows), (size_t)s->shape.n_obs * sizeof(float));
    /* Behind the end of an episode its CLOSE row stands already. */
    if (row_kind_of(s->shape, row_at(s, s->n_rows - 1)) != ROW_CLOSE)
        write_close(s);
    s->is_complete = true;
}

bool stream_step(struct stream *s)
{
    struct env_outcome outcome;
    float *row = row_at(s, s->n_rows), *next = row_at(s, s->n_rows + 1);
    watch_enter(s->watch, WATCH_STEPPING, s->number, env_elapsed(s->env) + 1);
    env_step(s->env, row + row_act(s->shape), next, &outcome);
    watch_leave(s->watch);
    note_outcome(s, &outcome);
    return outcome.diverged;
}

enum { GROUP = 32 };

/* At most GROUP streams by one call of their environment. */
static int step_group(struct stream *const *s, int n, struct stream **broken)
{
    struct env *env[GROUP];
    const float *action[GROUP];
    float *next_obs[GROUP];
    struct env_outcome outcome[GROUP];
    int n_broken = 0;
    for (int i = 0; i < n; i++) {
        env[i] = s[i]->env;
        action[i] = row_at(s[i], s[i]->n_rows) + row_act(s[i]->shape);
        next_obs[i] = row_at(s[i], s[i]->n_rows + 1);
    }
    watch_enter(s[0]->watch, WATCH_STEPPING, s[0]->number, env_elapsed(s[0]->env) + 1);
    env_step_all(env, n, action, next_obs, outcome);
    watch_leave(s[0]->watch);
    for (int i = 0; i < n; i++) {
        note_outcome(s[i], &outcome[i]);
        if (outcome[i].diverged)
            broken[n_broken++] = s[i];
    }
    return n_broken;
}

int streams_step(struct stream *const *s, int n, struct stream **broken)
{
    int n_broken = 0;
    if (n == 0 || !env_steps_together(s[0]->env)) {
        /* One by one, so that the watch knows in which of them it is. */
        for (int i = 0; i < n; i++)
            if (stream_step(s[i]))
                broken[n_broken++] = s[i];
        return n_broken;
    }
    for (int i = 0; i < n; i += GROUP)
        n_broken += step_group(s + i, n - i < GROUP ? n - i : GROUP, broken + n_broken);
    return n_broken;
}

int stream_save(struct stream *s, struct bytes *state)
{
    int rc = 0;
    if (s->state_bytes) {
        uint64_t position[2] = { s->reset_rng.position, s->action_rng.position };
        memcpy(s->state, position, sizeof(position));
        /* The arena's block is aligned and the two positions keep doubles so. */
        watch_enter(s->watch, WATCH_SAVING, s->number, env_elapsed(s->env));
        rc = env_get_state(s->env, (double *)(void *)(s->state + sizeof(position)));
        watch_leave(s->watch);
        memcpy(s->state + s->state_bytes - process_bytes(s), s->process, process_bytes(s));
    }
    *state = (struct bytes){ s->state, s->state_bytes };
    return rc;
}

void stream_describe(const struct stream *s, struct fragment_header *h, int64_t now_us)
{
    assert(stream_is_complete(s));
    h->stream = s->number;
    h->life = s->life;
    h->sequence = s->sequence;
    h->n_obs = s->shape.n_obs;
    h->n_act = s->shape.n_act;
    h->n_transitions = s->n_transitions;
    h->n_rows = s->n_rows;
    h->age_ms = (now_us - s->began_us) / 1000;
    h->returns = (struct bytes){ (const unsigned char *)s->returns,
                                 (size_t)s->n_episodes * sizeof(*s->returns) };
    h->lengths = (struct bytes){ (const unsigned char *)s->lengths,
                                 (size_t)s->n_episodes * sizeof(*s->lengths) };
    h->rows = (struct bytes){ (const unsigned char *)s->rows,
                              (size_t)s->n_rows * (size_t)s->stride * sizeof(float) };
    h->checksum = digest_crc32(h->rows.data, h->rows.size);
}

struct frame *stream_take(struct stream *s)
{
    struct frame *f = s->frame;
    s->frame = NULL;
    s->sequence++;
    return f;
}

struct frame *stream_pack(struct stream *s, const struct message *m)
{
    unsigned char *rows = frame_buffer(s->frame) + s->room;
    struct frame *f = stream_take(s);
    f->data = message_encode_before(m, rows);
    f->size = (size_t)(rows - f->data) + m->fragment.rows.size;
    return f;
}

void stream_abandon(struct stream *s)
{
    frame_release(s->frame);
    s->frame = NULL;
}
