#include "learner/normalisation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/normaliser.h"

static const double FIRST_COUNT = 1e-4;    /* of samples with mean 0 and variance 1 */
static const double VARIANCE_FLOOR = 1e-8;

/* Count, mean and sum of squared deviations of n numbers: 1 + 2 n doubles, as a checkpoint keeps
 * them. */
struct moments {
    int n;
    double *store;    /* count | mean [n] | m2 [n] */
};

struct normalisation {
    struct normalisation_setup setup;
    int stride;
    struct moments obs, ret;
    double *returns;            /* [n_streams] R, the running discounted return */
    double *mean, *m2;          /* [n_obs] scratch: of one fragment */
    float *active;              /* [2 n_obs + 1] of this version: mean | 1 / std | of rewards */
    int64_t *kept_versions;     /* [n_kept] a ring; -1: none yet */
    float *kept;                /* [n_kept][2 n_obs] theirs: mean | 1 / std */
};

static struct moments moments_create(int n, struct arena *arena)
{
    struct moments m = { n, arena_alloc(arena, 1 + 2 * (size_t)n, sizeof(double)) };
    m.store[0] = FIRST_COUNT;
    for (int i = 0; i < n; i++)
        m.store[1 + n + i] = FIRST_COUNT;
    return m;
}

/* Merge a sample: count, mean [n], sum of squared deviations m2 [n]. */
static void moments_merge(struct moments *m, double count, const double *mean, const double *m2)
{
    double *own = m->store, *own_mean = own + 1, *own_m2 = own + 1 + m->n;
    double total = own[0] + count;
    for (int i = 0; i < m->n; i++) {
        double delta = mean[i] - own_mean[i];
        own_mean[i] += delta * count / total;
        own_m2[i] += m2[i] + delta * delta * own[0] * count / total;
    }
    own[0] = total;
}

static double moments_inverse_std(const struct moments *m, int i)
{
    double variance = m->store[1 + m->n + i] / m->store[0];
    return 1 / sqrt(variance + VARIANCE_FLOOR);
}

struct normalisation *normalisation_create(const struct normalisation_setup *setup,
                                           struct arena *arena)
{
    struct normalisation *n = arena_alloc(arena, 1, sizeof(*n));
    const size_t n_obs = (size_t)setup->shape.n_obs;
    n->setup = *setup;
    n->stride = row_stride(setup->shape);
    n->obs = moments_create(setup->shape.n_obs, arena);
    n->ret = moments_create(1, arena);
    n->returns = arena_alloc(arena, (size_t)setup->n_streams, sizeof(double));
    n->mean = arena_alloc(arena, n_obs, sizeof(double));
    n->m2 = arena_alloc(arena, n_obs, sizeof(double));
    n->active = arena_alloc(arena, 2 * n_obs + 1, sizeof(float));
    n->kept_versions = arena_alloc(arena, (size_t)setup->n_kept, sizeof(*n->kept_versions));
    n->kept = arena_alloc(arena, (size_t)setup->n_kept * 2 * n_obs, sizeof(float));
    for (int i = 0; i < setup->n_kept; i++)
        n->kept_versions[i] = -1;
    normalisation_refresh(n);
    return n;
}

/* ---- consuming ---- */

/* One row's field, from bytes of any alignment. */
static float field(const struct normalisation *n, const void *rows, int row, int i)
{
    float x;
    const size_t at = (size_t)row * (size_t)n->stride + (size_t)i;
    memcpy(&x, (const unsigned char *)rows + at * sizeof(x), sizeof(x));
    return x;
}

static enum row_kind kind_at(const struct normalisation *n, const void *rows, int row)
{
    return (enum row_kind)(int)field(n, rows, row, row_kind(n->setup.shape));
}

/* Mean and squared deviations of the observations of the first `max` transitions, in two passes. */
static void consume_observations(struct normalisation *n, const void *rows, int n_rows, int max)
{
    const int n_obs = n->setup.shape.n_obs;
    const size_t bytes = (size_t)n_obs * sizeof(double);
    int count = 0;
    memset(n->mean, 0, bytes);
    memset(n->m2, 0, bytes);
    for (int r = 0; r < n_rows && count < max; r++) {
        if (kind_at(n, rows, r) == ROW_CLOSE)
            continue;
        for (int i = 0; i < n_obs; i++)
            n->mean[i] += (double)field(n, rows, r, i);
        count++;
    }
    if (count == 0)
        return;
    for (int i = 0; i < n_obs; i++)
        n->mean[i] /= count;
    for (int r = 0, seen = 0; r < n_rows && seen < count; r++) {
        if (kind_at(n, rows, r) == ROW_CLOSE)
            continue;
        for (int i = 0; i < n_obs; i++) {
            double deviation = (double)field(n, rows, r, i) - n->mean[i];
            n->m2[i] += deviation * deviation;
        }
        seen++;
    }
    moments_merge(&n->obs, count, n->mean, n->m2);
}

static void consume_rewards(struct normalisation *n, double *running, const void *rows, int n_rows,
                            int max)
{
    for (int r = 0, seen = 0; r < n_rows && seen < max; r++) {
        const enum row_kind kind = kind_at(n, rows, r);
        if (kind == ROW_CLOSE)
            continue;
        *running = n->setup.discount * *running
                 + (double)field(n, rows, r, row_reward(n->setup.shape));
        moments_merge(&n->ret, 1, running, &(double){ 0 });
        if (kind != ROW_STEP)
            *running = 0;
        seen++;
    }
}

void normalisation_consume(struct normalisation *n, int64_t stream, bool is_fresh, const void *rows,
                           int n_rows, int max)
{
    if (n->setup.of_observations)
        consume_observations(n, rows, n_rows, max);
    if (n->setup.of_rewards) {
        if (is_fresh)
            n->returns[stream] = 0;
        consume_rewards(n, &n->returns[stream], rows, n_rows, max);
    }
}

/* ---- using ---- */

void normalisation_refresh(struct normalisation *n)
{
    const int n_obs = n->setup.shape.n_obs;
    for (int i = 0; i < n_obs; i++) {
        n->active[i] = (float)n->obs.store[1 + i];
        n->active[n_obs + i] = (float)moments_inverse_std(&n->obs, i);
    }
    n->active[2 * n_obs] = (float)moments_inverse_std(&n->ret, 0);
}

void normalisation_apply(const struct normalisation *n, int count, float *rows)
{
    const int n_obs = n->setup.shape.n_obs;
    if (n->setup.of_observations)
        for (int i = 0; i < 2 * count; i++) {
            float *obs = rows + (size_t)i * (size_t)n->stride;
            normaliser_apply(n_obs, n->active, n->active + n_obs, obs, obs);
        }
    if (n->setup.of_rewards)
        for (int i = 0; i < count; i++) {
            float *reward = rows + (size_t)(2 * i) * (size_t)n->stride
                          + row_reward(n->setup.shape);
            *reward = normaliser_clip(*reward * n->active[2 * n_obs]);
        }
}

/* ---- on-policy ---- */

static void keep(struct normalisation *n, int64_t version, const float *from)
{
    const size_t count = 2 * (size_t)n->setup.shape.n_obs;
    if (n->setup.n_kept == 0)
        return;
    const int64_t slot = version % n->setup.n_kept;
    n->kept_versions[slot] = version;
    memcpy(n->kept + (size_t)slot * count, from, count * sizeof(float));
}

void normalisation_keep(struct normalisation *n, int64_t version)
{
    keep(n, version, n->active);
}

void normalisation_keep_written(struct normalisation *n, int64_t version, const float *end)
{
    if (n->setup.of_observations)
        keep(n, version, end - 2 * n->setup.shape.n_obs);
}

/* Where the statistics of a version stand, or the oldest ones. */
static int64_t find_kept(const struct normalisation *n, int64_t version)
{
    int64_t slot = version % n->setup.n_kept;
    if (n->kept_versions[slot] == version)
        return slot;
    for (int64_t i = 0; i < n->setup.n_kept; i++)
        if (n->kept_versions[i] >= 0
            && (n->kept_versions[slot] < 0 || n->kept_versions[i] < n->kept_versions[slot]))
            slot = i;
    return slot;
}

bool normalisation_apply_version(const struct normalisation *n, int64_t version, int n_rows,
                                 float *rows)
{
    const int n_obs = n->setup.shape.n_obs;
    if (!n->setup.of_observations)
        return true;
    const int64_t slot = find_kept(n, version);
    const float *mean = n->kept + 2 * slot * n_obs;
    for (int i = 0; i < n_rows; i++) {
        float *obs = rows + (size_t)i * (size_t)n->stride;
        normaliser_apply(n_obs, mean, mean + n_obs, obs, obs);
    }
    return n->kept_versions[slot] == version;
}

void normalisation_scale_rewards(const struct normalisation *n, int n_rows, float *rows)
{
    const float scale = (float)moments_inverse_std(&n->ret, 0);
    if (!n->setup.of_rewards)
        return;
    for (int i = 0; i < n_rows; i++) {
        float *reward = rows + (size_t)i * (size_t)n->stride + row_reward(n->setup.shape);
        *reward = normaliser_clip(*reward * scale);
    }
}

/* ---- returning ---- */

void normalisation_take(struct normalisation *n, const struct normalisation *from)
{
    const size_t n_obs = (size_t)n->setup.shape.n_obs;
    memcpy(n->obs.store, from->obs.store, (1 + 2 * n_obs) * sizeof(double));
    memcpy(n->ret.store, from->ret.store, 3 * sizeof(double));
    memcpy(n->active, from->active, (2 * n_obs + 1) * sizeof(float));
}

/* ---- what actors need ---- */

size_t normalisation_write(const struct normalisation *n, float *out)
{
    const size_t count = n->setup.of_observations ? 2 * (size_t)n->setup.shape.n_obs : 0;
    memcpy(out, n->active, count * sizeof(float));
    return count;
}

/* ---- saving ---- */

/* Names, places and sizes of the state. Returns how many. */
static int state(const struct normalisation *n, struct tensor out[NORMALISATION_MAX_TENSORS],
                 void *data[NORMALISATION_MAX_TENSORS])
{
    const struct {
        const char *name;
        bool is_kept;
        enum tensor_type type;
        size_t count;
        void *at;
    } parts[NORMALISATION_MAX_TENSORS] = {
        { "normalisation.observations", n->setup.of_observations, TENSOR_F64,
          1 + 2 * (size_t)n->obs.n, n->obs.store },
        { "normalisation.return", n->setup.of_rewards, TENSOR_F64, 3, n->ret.store },
        { "normalisation.running_returns", n->setup.of_rewards, TENSOR_F64,
          (size_t)n->setup.n_streams, n->returns },
        { "normalisation.version", n->setup.of_observations || n->setup.of_rewards, TENSOR_F32,
          2 * (size_t)n->obs.n + 1, n->active },
    };
    int count = 0;
    for (int i = 0; i < NORMALISATION_MAX_TENSORS; i++) {
        if (!parts[i].is_kept)
            continue;
        data[count] = parts[i].at;
        out[count] = (struct tensor){ .type = parts[i].type, .n_dims = 1,
                                      .dims = { (int64_t)parts[i].count }, .data = parts[i].at };
        snprintf(out[count].name, sizeof(out[count].name), "%s", parts[i].name);
        count++;
    }
    return count;
}

int normalisation_save(struct normalisation *n, struct tensor out[NORMALISATION_MAX_TENSORS])
{
    void *data[NORMALISATION_MAX_TENSORS];
    return state(n, out, data);
}

/* Whether moments could come from samples: a count, and deviations that are not negative. */
static bool are_sane(const struct moments *m)
{
    bool is_sane = m->store[0] > 0;
    for (int i = 0; i < 1 + 2 * m->n; i++)
        is_sane &= isfinite(m->store[i]) && (i <= m->n || m->store[i] >= 0);
    return is_sane;
}

int normalisation_load(struct normalisation *n, const struct safetensors *file, struct error *err)
{
    struct tensor tensors[NORMALISATION_MAX_TENSORS];
    void *data[NORMALISATION_MAX_TENSORS];
    int count = state(n, tensors, data), rc = 0;
    for (int i = 0; i < count && rc == 0; i++)
        rc = safetensors_copy(file, tensors[i].name, tensors[i].type, (size_t)tensors[i].dims[0],
                              data[i], err);
    if (rc != 0)
        return rc;
    bool is_sane = are_sane(&n->obs) && are_sane(&n->ret);
    for (int64_t i = 0; i < n->setup.n_streams; i++)
        is_sane &= isfinite(n->returns[i]);
    for (int i = 0; i < 2 * n->obs.n + 1; i++)
        is_sane &= isfinite(n->active[i]);
    if (!is_sane)
        return error_set(err, ERR_FORMAT, "the checkpoint's normalisation statistics cannot be");
    return 0;
}
