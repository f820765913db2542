#include "learner/normalisation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/normaliser.h"

static const double FIRST_COUNT = 1e-4;    /* of samples with mean 0 and variance 1 */

struct normalisation {
    struct normalisation_setup setup;
    int stride;
    struct row_statistics of;   /* everything consumed */
    float *active;              /* [2 n_obs + 1] of this version: mean | 1 / std | of rewards */
    int64_t *kept_versions;     /* [n_kept] a ring; -1: none yet */
    float *kept;                /* [n_kept][2 n_obs] theirs: mean | 1 / std */
};

struct normalisation *normalisation_create(const struct normalisation_setup *setup,
                                           struct arena *arena)
{
    struct normalisation *n = arena_alloc(arena, 1, sizeof(*n));
    const size_t n_obs = (size_t)setup->shape.n_obs;
    n->setup = *setup;
    n->stride = row_stride(setup->shape);
    row_statistics_init(&n->of, &(struct row_statistics_setup){
        setup->shape, setup->n_streams, setup->of_observations, setup->of_rewards, setup->discount,
        FIRST_COUNT }, arena);
    n->active = arena_alloc(arena, 2 * n_obs + 1, sizeof(float));
    n->kept_versions = arena_alloc(arena, (size_t)setup->n_kept, sizeof(*n->kept_versions));
    n->kept = arena_alloc(arena, (size_t)setup->n_kept * 2 * n_obs, sizeof(float));
    for (int i = 0; i < setup->n_kept; i++)
        n->kept_versions[i] = -1;
    normalisation_refresh(n);
    return n;
}

/* ---- consuming ---- */

void normalisation_consume(struct normalisation *n, int64_t stream, bool is_fresh, const void *rows,
                           int n_rows, int max)
{
    row_statistics_consume(&n->of, stream, is_fresh, rows, n_rows, max);
}

size_t normalisation_increment_n(const struct normalisation *n)
{
    return row_statistics_increment_n(&n->of.setup);
}

int normalisation_merge(struct normalisation *n, const double *increment, struct error *err)
{
    return row_statistics_merge(&n->of, increment, err);
}

/* ---- using ---- */

void normalisation_refresh(struct normalisation *n)
{
    const int n_obs = n->setup.shape.n_obs;
    for (int i = 0; i < n_obs; i++) {
        n->active[i] = (float)n->of.obs.store[1 + i];
        n->active[n_obs + i] = (float)moments_inverse_std(&n->of.obs, i);
    }
    n->active[2 * n_obs] = (float)moments_inverse_std(&n->of.ret, 0);
}

void normalisation_apply(const struct normalisation *n, int count, float *rows)
{
    const int n_obs = n->setup.shape.n_obs;
    if (n->setup.of_observations)
        normaliser_apply_rows(n->setup.shape, n->active, 2 * count, rows);
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
    normaliser_apply_rows(n->setup.shape, n->kept + 2 * slot * n_obs, n_rows, rows);
    return n->kept_versions[slot] == version;
}

void normalisation_scale_rewards(const struct normalisation *n, int n_rows, float *rows)
{
    if (n->setup.of_rewards)
        normaliser_scale_rewards(n->setup.shape, (float)moments_inverse_std(&n->of.ret, 0), n_rows, rows);
}

/* ---- returning ---- */

void normalisation_take(struct normalisation *n, const struct normalisation *from)
{
    const size_t n_obs = (size_t)n->setup.shape.n_obs;
    memcpy(n->of.obs.store, from->of.obs.store, (1 + 2 * n_obs) * sizeof(double));
    memcpy(n->of.ret.store, from->of.ret.store, 3 * sizeof(double));
    memcpy(n->active, from->active, (2 * n_obs + 1) * sizeof(float));
}

/* ---- what actors need ---- */

size_t normalisation_write(const struct normalisation *n, float *out)
{
    const size_t count = n->setup.of_observations ? 2 * (size_t)n->setup.shape.n_obs : 0;
    memcpy(out, n->active, count * sizeof(float));
    return count;
}

size_t normalisation_write_reward_scale(const struct normalisation *n, float *out)
{
    if (!n->setup.of_rewards)
        return 0;
    *out = n->active[2 * n->setup.shape.n_obs];
    return 1;
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
          1 + 2 * (size_t)n->of.obs.n, n->of.obs.store },
        { "normalisation.return", n->setup.of_rewards, TENSOR_F64, 3, n->of.ret.store },
        { "normalisation.running_returns", n->setup.of_rewards, TENSOR_F64,
          (size_t)n->setup.n_streams, n->of.returns },
        { "normalisation.version", n->setup.of_observations || n->setup.of_rewards, TENSOR_F32,
          2 * (size_t)n->of.obs.n + 1, n->active },
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
    bool is_sane = are_sane(&n->of.obs) && are_sane(&n->of.ret);
    for (int64_t i = 0; i < n->setup.n_streams; i++)
        is_sane &= isfinite(n->of.returns[i]);
    for (int i = 0; i < 2 * n->of.obs.n + 1; i++)
        is_sane &= isfinite(n->active[i]);
    if (!is_sane)
        return error_set(err, ERR_FORMAT, "the checkpoint's normalisation statistics cannot be");
    return 0;
}
