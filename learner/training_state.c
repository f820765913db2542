#include "learner/training_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct training_streams training_streams(const struct training *t)
{
    return (struct training_streams){ t->lives, t->sequences, t->has_state, t->states };
}

static struct tensor tensor_make(const char *name, enum tensor_type type, size_t n,
                                 const void *data)
{
    struct tensor tensor = { .type = type, .n_dims = 1, .dims = { (int64_t)n }, .data = data };
    snprintf(tensor.name, sizeof(tensor.name), "%s", name);
    return tensor;
}

int training_save(struct training *t, struct tensor out[TRAINING_MAX_TENSORS])
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    int n_arrays = t->algorithm->arrays(t->self, arrays), n = 0;
    const bool is_midway = is_lockstep(t) && t->in_round;
    for (int i = 0; i < n_arrays; i++)
        out[n++] = arrays[i].data
                 ? tensor_make(arrays[i].name, TENSOR_F32, arrays[i].n, arrays[i].data)
                 : tensor_make(arrays[i].name, TENSOR_I64, 1, arrays[i].counter);
    const int64_t counters[N_COUNTERS] = {
        [COUNT_VERSION] = t->version, [COUNT_UPDATES] = t->updates,
        [COUNT_INSERTS] = t->limiter.inserts, [COUNT_SAMPLES] = t->limiter.samples,
        [COUNT_MIN_SIZE] = t->limiter.min_size, [COUNT_EPISODES] = t->episodes,
        [COUNT_SAMPLE_RNG] = (int64_t)t->sample_rng.position,
        [COUNT_UPDATE_RNG] = (int64_t)t->update_rng.position,
        /* What was asked for and not answered is asked for again. */
        [COUNT_NEXT_EVAL] = t->asked_eval == t->answered_eval ? t->next_eval : t->answered_eval + 1,
        [COUNT_STOP_STREAK] = t->stop_streak,
        [COUNT_HASHED] = t->hashed_update, [COUNT_EVALUATED] = t->answered_eval,
        /* In the middle of a round its fragments are in already. */
        [COUNT_ROUNDS] = t->rounds + is_midway, [COUNT_PREVIOUS] = is_midway ? t->round_version : t->previous_version,
    };
    memcpy(t->counters, counters, sizeof(counters));
    t->limiter_start = t->limiter.start;
    size_t streams = (size_t)t->n_streams;
    out[n++] = tensor_make("training.counters", TENSOR_I64, N_COUNTERS, t->counters);
    out[n++] = tensor_make("training.limiter_start", TENSOR_F64, 1, &t->limiter_start);
    out[n++] = tensor_make("training.returns", TENSOR_F64, RECENT_EPISODES, t->returns);
    out[n++] = tensor_make("training.lengths", TENSOR_F64, RECENT_EPISODES, t->lengths);
    out[n++] = tensor_make("streams.lives", TENSOR_I64, streams, t->lives);
    out[n++] = tensor_make("streams.sequences", TENSOR_I64, streams, t->sequences);
    out[n++] = tensor_make("streams.has_state", TENSOR_I64, streams, t->has_state);
    out[n++] = tensor_make("streams.states", TENSOR_U8, streams * t->state_bytes, t->states);
    if (t->settings->top.mode == MODE_PIPELINED)
        out[n++] = tensor_make("training.previous", TENSOR_F32, t->n_snapshot, is_midway ? t->current : t->previous);
    return n + normalisation_save(t->normalisation, out + n);
}

/* What the algorithm learnt. */
static int load_arrays(struct training *t, const struct safetensors *file, struct error *err)
{
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    const int n = t->algorithm->arrays(t->self, arrays);
    int rc = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        rc = arrays[i].data
           ? safetensors_copy(file, arrays[i].name, TENSOR_F32, arrays[i].n, arrays[i].data, err)
           : safetensors_copy(file, arrays[i].name, TENSOR_I64, 1, arrays[i].counter, err);
        for (size_t j = 0; arrays[i].data && j < arrays[i].n && rc == 0; j++)
            if (!isfinite(arrays[i].data[j]))
                rc = error_set(err, ERR_NUMERIC, "the checkpoint's \"%s\" holds numbers that "
                               "are not finite", arrays[i].name);
    }
    return rc;
}

/* In rounds the sequence numbers of all streams are the number of the round, otherwise those of lives. */
static bool is_of_this_schedule(const struct training *t, const int64_t *counters)
{
    if (!is_lockstep(t))
        return counters[COUNT_ROUNDS] == 0;
    for (int64_t i = 0; i < t->n_streams; i++)
        if (t->sequences[i] != counters[COUNT_ROUNDS])
            return false;
    return true;
}

/* A checkpoint that was damaged or made by hand must not be trained on. */
static int check_loaded(const struct training *t, const int64_t *counters, struct error *err)
{
    bool is_sane = isfinite(t->limiter.start);
    for (int i = 0; i < N_COUNTERS; i++)
        is_sane &= counters[i] >= (i == COUNT_HASHED || i == COUNT_EVALUATED ? -1 : 0);
    for (int64_t i = 0; i < t->n_streams; i++)
        is_sane &= t->lives[i] >= 0 && t->lives[i] <= UINT32_MAX && t->sequences[i] >= 0;
    is_sane &= counters[COUNT_PREVIOUS] <= counters[COUNT_VERSION];
    if (!is_sane)
        return error_set(err, ERR_FORMAT, "the checkpoint's counters cannot be");
    if (!is_of_this_schedule(t, counters))
        return error_set(err, ERR_CONFIG, "the checkpoint is of a run %s rounds, and mode is %s: fragments are numbered "
                         "otherwise; set the mode that it was written in, or begin a new run",
                         is_lockstep(t) ? "without" : "in", settings_mode(t->settings));
    for (size_t i = 0; t->settings->top.mode == MODE_PIPELINED && i < t->n_snapshot; i++)
        if (!isfinite(t->previous[i]))
            return error_set(err, ERR_NUMERIC, "the checkpoint's \"training.previous\" holds numbers that are not finite");
    return 0;
}

int training_load(struct training *t, const struct safetensors *file, struct error *err)
{
    int64_t c[N_COUNTERS];
    size_t streams = (size_t)t->n_streams;
    int rc = load_arrays(t, file, err);
    const struct {
        const char *name;
        enum tensor_type type;
        size_t n;
        void *to;
    } rest[] = {
        { "training.counters", TENSOR_I64, N_COUNTERS, c },
        { "training.limiter_start", TENSOR_F64, 1, &t->limiter.start },
        { "training.returns", TENSOR_F64, RECENT_EPISODES, t->returns },
        { "training.lengths", TENSOR_F64, RECENT_EPISODES, t->lengths },
        { "streams.lives", TENSOR_I64, streams, t->lives },
        { "streams.sequences", TENSOR_I64, streams, t->sequences },
        { "streams.has_state", TENSOR_I64, streams, t->has_state },
        { "streams.states", TENSOR_U8, streams * t->state_bytes, t->states },
        { "training.previous", TENSOR_F32, t->n_snapshot, t->previous },
    };
    const size_t n_rest = sizeof(rest) / sizeof(*rest) - (t->settings->top.mode != MODE_PIPELINED);
    for (size_t i = 0; i < n_rest && rc == 0; i++)
        rc = safetensors_copy(file, rest[i].name, rest[i].type, rest[i].n, rest[i].to, err);
    if (rc == 0)
        rc = normalisation_load(t->normalisation, file, err);
    if (rc == 0)
        rc = check_loaded(t, c, err);
    if (rc != 0)
        return rc;
    t->version = c[COUNT_VERSION];
    t->updates = c[COUNT_UPDATES];
    t->limiter.inserts = c[COUNT_INSERTS];
    t->limiter.samples = c[COUNT_SAMPLES];
    t->limiter.min_size = c[COUNT_MIN_SIZE];
    t->episodes = c[COUNT_EPISODES];
    rng_seek(&t->sample_rng, (uint64_t)c[COUNT_SAMPLE_RNG]);
    rng_seek(&t->update_rng, (uint64_t)c[COUNT_UPDATE_RNG]);
    t->next_eval = t->settings->eval.every ? c[COUNT_NEXT_EVAL] : INT64_MAX;
    t->stop_streak = c[COUNT_STOP_STREAK];
    t->hashed_update = c[COUNT_HASHED];
    t->asked_eval = t->answered_eval = c[COUNT_EVALUATED];
    t->rounds = c[COUNT_ROUNDS];
    t->previous_version = c[COUNT_PREVIOUS];
    if (t->algorithm->is_on_policy)
        return 0;
    /* Leave something to learn from where little of the run is left. */
    int64_t refill = t->settings->replay.min_size;
    int64_t left = t->settings->top.total_steps - t->limiter.inserts;
    if (t->limiter.inserts >= t->limiter.min_size)
        rate_limiter_restart(&t->limiter, refill < left / 2 ? refill : left / 2);
    return 0;
}

int training_restore(struct training *t, const struct safetensors *file, struct error *err)
{
    int64_t c[N_COUNTERS];
    int rc = load_arrays(t, file, err);
    if (rc == 0)
        rc = normalisation_load(t->loaded_normalisation, file, err);
    if (rc == 0)
        rc = safetensors_copy(file, "training.counters", TENSOR_I64, N_COUNTERS, c, err);
    if (rc != 0)
        return rc;
    normalisation_take(t->normalisation, t->loaded_normalisation);
    t->loaded_update = c[COUNT_UPDATES];
    return 0;
}
