#include "actor/env.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env/registry.h"
#include "common/arena.h"
#include "common/option.h"

struct env_model {
    const struct environment *ops;
    void *model;    /* the environment's own */
    struct env_spec spec;
};

struct env {
    const struct env_model *m;
    void *self;               /* the environment's own */
    int elapsed;              /* steps of this episode */
    double episode_return;
    bool is_running;          /* inside an episode */
    bool is_broken;           /* the episode began with numbers that were not finite */
    double *obs, *next;       /* [n_obs] each, parts of `store`; exchanged by a good step */
    double *physics;          /* [n_state] for env_physics, the rest of `store` */
    double store[];
};

/* ---- the model ---- */

static int unknown_name(const char *name, struct error *err)
{
    const char *names[N_ENVIRONMENTS];
    environment_names(names);
    const char *near = nearest_word(name, names, N_ENVIRONMENTS);
    if (near)
        return error_set(err, ERR_CONFIG, "unknown environment \"%s\"; did you mean \"%s\"?", name,
                         near);

    char known[256] = "";
    for (int i = 0; i < N_ENVIRONMENTS; i++) {
        strncat(known, i ? ", " : "", sizeof(known) - strlen(known) - 1);
        strncat(known, names[i], sizeof(known) - strlen(known) - 1);
    }
    return error_set(err, ERR_CONFIG, "unknown environment \"%s\"; known are %s", name, known);
}

/* Hold an environment to its contract, and give discrete actions their bounds. */
static int check_spec(struct env_spec *spec, struct error *err)
{
    const struct row_shape shape = spec->shape;
    if (shape.n_obs < 1 || shape.n_obs > ENV_MAX_OBS || shape.n_act < 1
        || shape.n_act > ENV_MAX_ACT)
        return error_set(err, ERR_CONFIG,
                         "%s has %d observations and %d actions; 1 to %d and 1 to %d are possible",
                         spec->name, shape.n_obs, shape.n_act, ENV_MAX_OBS, ENV_MAX_ACT);
    if (spec->n_choices < 0 || (spec->n_choices > 0 && shape.n_act != 1) || spec->time_limit < 0
        || spec->n_state < 0)
        return error_set(err, ERR_CONFIG, "%s has an impossible specification", spec->name);

    for (int i = 0; i < shape.n_act && spec->n_choices == 0; i++)
        if (!(spec->act_low[i] < spec->act_high[i])
            || !isfinite(spec->act_high[i] - spec->act_low[i]))
            return error_set(err, ERR_CONFIG, "%s: action %d needs finite bounds, low below high",
                             spec->name, i);
    if (spec->n_choices > 0) {
        spec->act_low[0] = 0;
        spec->act_high[0] = (float)(spec->n_choices - 1);
    }
    return 0;
}

int env_open(struct env_model **m, const char *name, const char *models_dir, struct error *err)
{
    *m = NULL;
    const struct environment *ops = environment_find(name);
    if (!ops)
        return unknown_name(name, err);

    struct env_model *opened = memory_alloc(1, sizeof(*opened));
    opened->ops = ops;
    int rc = ops->open(&opened->model, &opened->spec, models_dir, err);
    if (rc != 0) {
        free(opened);
        return rc;
    }
    *m = opened;
    rc = check_spec(&opened->spec, err);
    if (rc != 0)
        env_close(m);
    return rc;
}

void env_close(struct env_model **m)
{
    if (!*m)
        return;
    (*m)->ops->close((*m)->model);
    free(*m);
    *m = NULL;
}

const struct env_spec *env_spec(const struct env_model *m)
{
    return &m->spec;
}

/* ---- one instance ---- */

struct env *env_create(const struct env_model *m)
{
    const size_t n_obs = (size_t)m->spec.shape.n_obs, n_state = (size_t)m->spec.n_state;
    struct env *e = memory_alloc(1, sizeof(*e) + (2 * n_obs + n_state) * sizeof(e->store[0]));
    e->m = m;
    e->obs = e->store;
    e->next = e->store + n_obs;
    e->physics = e->store + 2 * n_obs;
    e->self = m->ops->create(m->model);
    return e;
}

void env_destroy(struct env **e)
{
    if (!*e)
        return;
    (*e)->m->ops->destroy((*e)->self);
    free(*e);
    *e = NULL;
}

/* Whether x is finite and stays so as float32. */
static bool fits(double x)
{
    return fabs(x) <= (double)FLT_MAX;
}

static bool all_fit(const double *x, int n)
{
    for (int i = 0; i < n; i++)
        if (!fits(x[i]))
            return false;
    return true;
}

static void round_to_float(const double *x, int n, float *out)
{
    for (int i = 0; i < n; i++)
        out[i] = (float)x[i];
}

void env_reset(struct env *e, struct rng *rng, float *obs)
{
    const int n_obs = e->m->spec.shape.n_obs;
    e->m->ops->reset(e->self, rng);
    e->m->ops->observe(e->self, e->obs);
    e->is_broken = !all_fit(e->obs, n_obs);
    if (e->is_broken)
        memset(e->obs, 0, (size_t)n_obs * sizeof(e->obs[0]));
    e->elapsed = 0;
    e->episode_return = 0;
    e->is_running = true;
    round_to_float(e->obs, n_obs, obs);
}

static float clip(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

/* Policy units to the environment's. Returns false when an action is not finite.
 *   action, out  [n_act] */
static bool rescale(const struct env_spec *spec, const float *action, float *out)
{
    for (int i = 0; i < spec->shape.n_act; i++) {
        const float low = spec->act_low[i], high = spec->act_high[i];
        if (!isfinite(action[i]))
            return false;
        const float middle = low / 2 + high / 2, half = (high - low) / 2;
        if (spec->n_choices > 0)
            out[i] = truncf(clip(action[i], low, high));
        else
            out[i] = clip(middle + half * clip(action[i], -1, 1), low, high);
    }
    return true;
}

/* Advance into e->next. Returns false when anything on the way was not finite. */
static bool advance(struct env *e, const float *action, struct env_step *step)
{
    float units[ENV_MAX_ACT];
    if (e->is_broken || !rescale(&e->m->spec, action, units))
        return false;
    e->m->ops->step(e->self, units, step);
    if (step->diverged || !fits(step->reward))
        return false;
    e->m->ops->observe(e->self, e->next);
    return all_fit(e->next, e->m->spec.shape.n_obs);
}

void env_step(struct env *e, const float *action, float *next_obs, struct env_outcome *out)
{
    const struct env_spec *spec = &e->m->spec;
    struct env_step step = { 0 };
    assert(e->is_running);

    const bool diverged = !advance(e, action, &step);
    if (diverged) {
        step = (struct env_step){ 0 };
    } else {
        double *last = e->obs;
        e->obs = e->next;
        e->next = last;
    }
    e->elapsed++;
    e->episode_return += step.reward;

    enum row_kind kind = ROW_STEP;
    if (step.terminated)
        kind = ROW_TERMINATED;
    else if (diverged || (spec->time_limit > 0 && e->elapsed >= spec->time_limit))
        kind = ROW_TRUNCATED;
    e->is_running = kind == ROW_STEP;

    round_to_float(e->obs, spec->shape.n_obs, next_obs);
    *out = (struct env_outcome){
        .reward = (float)step.reward,
        .kind = kind,
        .diverged = diverged,
        .episode_return = e->is_running ? 0 : e->episode_return,
        .episode_length = e->is_running ? 0 : e->elapsed,
    };
}

void env_observation(const struct env *e, double *obs)
{
    memcpy(obs, e->obs, (size_t)e->m->spec.shape.n_obs * sizeof(*obs));
}

bool env_physics(const struct env *e, struct env_physics *out)
{
    const struct environment *ops = e->m->ops;
    *out = (struct env_physics){ 0 };
    if (ops->mujoco) {
        ops->mujoco(e->self, &out->mj_model, &out->mj_data);
    } else if (ops->get_state) {
        ops->get_state(e->self, e->physics);
        out->state = e->physics;
        out->n_state = e->m->spec.n_state;
    }
    return ops->mujoco || ops->get_state;
}

/* ---- saved states ---- */

int env_state_size(const struct env_model *m)
{
    return m->ops->get_state ? 2 + m->spec.shape.n_obs + m->spec.n_state : 0;
}

void env_get_state(const struct env *e, double *state)
{
    assert(e->is_running && e->m->ops->get_state);
    state[0] = e->elapsed;
    state[1] = e->episode_return;
    env_observation(e, state + 2);
    e->m->ops->get_state(e->self, state + 2 + e->m->spec.shape.n_obs);
}

int env_set_state(struct env *e, const double *state)
{
    const struct env_spec *spec = &e->m->spec;
    const int n_obs = spec->shape.n_obs;
    const int most = spec->time_limit > 0 ? spec->time_limit - 1 : INT32_MAX - 1;
    assert(e->m->ops->set_state);

    for (int i = 0; i < env_state_size(e->m); i++)
        if (!isfinite(state[i]))
            return ERR_FORMAT;
    if (state[0] < 0 || state[0] > most || state[0] != floor(state[0])
        || !all_fit(state + 2, n_obs))
        return ERR_FORMAT;

    e->elapsed = (int)state[0];
    e->episode_return = state[1];
    memcpy(e->obs, state + 2, (size_t)n_obs * sizeof(e->obs[0]));
    e->m->ops->set_state(e->self, state + 2 + n_obs);
    e->is_running = true;
    e->is_broken = false;
    return 0;
}
