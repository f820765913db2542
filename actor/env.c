#include "actor/env.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env/env_source.h"
#include "common/arena.h"
#include "common/option.h"

struct env_model {
    struct env_source source;
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
    double *obs, *next;       /* [n_obs] each, halves of `store`; exchanged by a good step */
    double store[];
};

/* ---- options ---- */

/* The values of one environment's options: the common ones and its own. */
struct filled {
    struct env_common_options common;
    _Alignas(16) unsigned char own[ENV_OPTIONS_BYTES];
};

/* Read `line`, and write down canonically what differs from the defaults. */
static int read_options(const struct environment *ops, const char *name, const char *line,
                        struct filled *values, char out[ENV_OPTIONS_LINE_BYTES],
                        struct error *err)
{
    struct option rows[N_ENV_COMMON_OPTIONS + ENV_MAX_OPTIONS];
    assert(ops->n_options <= ENV_MAX_OPTIONS && ops->options_bytes <= ENV_OPTIONS_BYTES);
    memcpy(rows, env_common_options, sizeof(env_common_options));
    for (int i = 0; i < ops->n_options; i++) {
        rows[N_ENV_COMMON_OPTIONS + i] = ops->options[i];
        rows[N_ENV_COMMON_OPTIONS + i].offset += offsetof(struct filled, own);
    }
    const struct option_section section = {
        .name = "env", .help = "", .options = rows,
        .n_options = N_ENV_COMMON_OPTIONS + ops->n_options, .base = values,
    };
    const char *text = line ? line : "";
    int rc = options_parse_line(&section, name, text, strlen(text), err);
    if (rc == 0 && options_print_line(&section, true, out, ENV_OPTIONS_LINE_BYTES) < 0)
        rc = error_set(err, ERR_CONFIG, "%s: the options are longer than %d bytes together", name,
                       ENV_OPTIONS_LINE_BYTES - 1);
    return rc;
}

/* ---- the model ---- */

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

static int open_source(struct env_model *m, const struct env_setup *setup, struct error *err)
{
    struct filled values = { 0 };
    char line[ENV_OPTIONS_LINE_BYTES];
    int rc = read_options(m->ops, setup->name, setup->options, &values, line, err);
    if (rc != 0)
        return rc;
    const struct env_context context = {
        .ops = m->ops, .name = setup->name, .models_dir = setup->models_dir,
        .env_path = setup->env_path, .file = m->source.file[0] ? m->source.file : NULL,
        .handle = m->source.handle, .options = values.own,
    };
    rc = m->ops->open(&m->model, &m->spec, &context, err);
    if (rc != 0)
        return rc;
    memcpy(m->spec.options, line, sizeof(line));
    if (values.common.max_episode_steps > 0)
        m->spec.time_limit = (int)values.common.max_episode_steps;
    rc = check_spec(&m->spec, err);
    if (rc != 0)
        m->ops->close(m->model);
    return rc;
}

int env_open(struct env_model **m, const struct env_setup *setup, struct error *err)
{
    struct env_model *opened = memory_alloc(1, sizeof(*opened));
    *m = NULL;
    int rc = env_source_find(&opened->source, setup->name, setup->env_path, err);
    opened->ops = opened->source.ops;
    if (rc == 0) {
        rc = open_source(opened, setup, err);
        if (rc != 0)
            env_source_release(&opened->source);
    }
    if (rc != 0) {
        free(opened);
        return rc;
    }
    *m = opened;
    return 0;
}

void env_close(struct env_model **m)
{
    if (!*m)
        return;
    (*m)->ops->close((*m)->model);
    env_source_release(&(*m)->source);
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
    const size_t n_obs = (size_t)m->spec.shape.n_obs;
    struct env *e = memory_alloc(1, sizeof(*e) + 2 * n_obs * sizeof(e->store[0]));
    e->m = m;
    e->obs = e->store;
    e->next = e->store + n_obs;
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
    bool fit = true;    /* without a way out, so that it vectorises */
    for (int i = 0; i < n; i++)
        fit &= fits(x[i]);
    return fit;
}

static void round_to_float(const double *x, int n, float *out)
{
    for (int i = 0; i < n; i++)
        out[i] = (float)x[i];
}

/* An episode begins with the state that the environment is in. */
static void begin_episode(struct env *e)
{
    const int n_obs = e->m->spec.shape.n_obs;
    e->m->ops->observe(e->self, e->obs);
    e->is_broken = !all_fit(e->obs, n_obs);
    if (e->is_broken)
        memset(e->obs, 0, (size_t)n_obs * sizeof(e->obs[0]));
    e->elapsed = 0;
    e->episode_return = 0;
    e->is_running = true;
}

void env_reset(struct env *e, struct rng *rng, float *obs)
{
    e->m->ops->reset(e->self, rng);
    begin_episode(e);
    round_to_float(e->obs, e->m->spec.shape.n_obs, obs);
}

static float clip(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}

bool env_rescale(const struct env_spec *spec, const float *action, float *units)
{
    bool is_finite = true;
    for (int i = 0; i < spec->shape.n_act; i++)
        is_finite &= isfinite(action[i]) != 0;
    if (!is_finite)
        return false;
    for (int i = 0; i < spec->shape.n_act && spec->n_choices > 0; i++)
        units[i] = truncf(clip(action[i], spec->act_low[i], spec->act_high[i]));
    for (int i = 0; i < spec->shape.n_act && spec->n_choices == 0; i++) {
        const float low = spec->act_low[i], high = spec->act_high[i];
        const float middle = low / 2 + high / 2, half = (high - low) / 2;
        units[i] = clip(middle + half * clip(action[i], -1, 1), low, high);
    }
    return true;
}

/* Whether an action in the environment's units can be given to it. */
static bool is_usable(const struct env_spec *spec, const float *units)
{
    for (int i = 0; i < spec->shape.n_act; i++)
        if (!isfinite(units[i]))
            return false;
    return spec->n_choices == 0 || (units[0] >= spec->act_low[0] && units[0] <= spec->act_high[0]);
}

/* Whether a step that was taken, with its observation in e->next, gave finite numbers only. */
static bool is_sound(const struct env *e, const struct env_step *step)
{
    return !step->diverged && fits(step->reward) && all_fit(e->next, e->m->spec.shape.n_obs);
}

/* Advance into e->next. Returns false when anything on the way was not finite. */
static bool advance(struct env *e, const float *units, struct env_step *step)
{
    if (e->is_broken)
        return false;
    e->m->ops->step(e->self, units, step);
    if (step->diverged || !fits(step->reward))
        return false;
    e->m->ops->observe(e->self, e->next);
    return all_fit(e->next, e->m->spec.shape.n_obs);
}

/* The books of a step: what came of it is `step` and e->next, unless it diverged. */
static void conclude(struct env *e, bool diverged, struct env_step step, float *next_obs,
                     struct env_outcome *out)
{
    const struct env_spec *spec = &e->m->spec;
    if (diverged) {
        step = (struct env_step){ 0 };
    } else {
        double *last = e->obs;
        e->obs = e->next;
        e->next = last;
    }
    e->elapsed++;
    e->episode_return += step.reward;

    const bool truncated = diverged || (spec->time_limit > 0 && e->elapsed >= spec->time_limit);
    const enum row_kind kind = step.terminated ? ROW_TERMINATED
                             : truncated       ? ROW_TRUNCATED
                                               : ROW_STEP;
    e->is_running = kind == ROW_STEP;

    round_to_float(e->obs, spec->shape.n_obs, next_obs);
    *out = (struct env_outcome){
        .reward = step.reward,
        .kind = kind,
        .terminated = step.terminated,
        .truncated = truncated,
        .diverged = diverged,
        .episode_return = e->is_running ? 0 : e->episode_return,
        .episode_length = e->is_running ? 0 : e->elapsed,
    };
}

/* A step under an action that may not be usable. */
static void take_step(struct env *e, const float *units, bool is_good, float *next_obs,
                      struct env_outcome *out)
{
    struct env_step step = { 0 };
    assert(e->is_running);
    const bool diverged = !is_good || !advance(e, units, &step);
    conclude(e, diverged, step, next_obs, out);
}

void env_step(struct env *e, const float *action, float *next_obs, struct env_outcome *out)
{
    float units[ENV_MAX_ACT];
    const bool is_good = env_rescale(&e->m->spec, action, units);
    take_step(e, units, is_good, next_obs, out);
}

enum { GROUP = 32 };    /* instances that are stepped by one call */

/* What env_step_all does, of 1 to GROUP. Instances that cannot be stepped are left out of the call. */
static void step_group(struct env *const *e, int n, const float *const *action, float *const *next_obs,
                       struct env_outcome *out)
{
    const struct env_model *m = e[0]->m;
    const size_t n_act = (size_t)m->spec.shape.n_act;
    float units[GROUP * ENV_MAX_ACT];
    struct env_step steps[GROUP];
    void *self[GROUP];
    double *obs[GROUP];
    bool is_stepped[GROUP];
    int k = 0;
    assert(n > 0 && n <= GROUP);
    for (int i = 0; i < n; i++) {
        assert(e[i]->is_running && e[i]->m == m);
        is_stepped[i] = env_rescale(&m->spec, action[i], units + (size_t)k * n_act) && !e[i]->is_broken;
        self[k] = e[i]->self;
        obs[k] = e[i]->next;
        k += is_stepped[i];
    }
    if (k > 0)
        m->ops->step_all(self, k, units, steps, obs);
    k = 0;
    for (int i = 0; i < n; i++) {
        const struct env_step step = is_stepped[i] ? steps[k++] : (struct env_step){ .diverged = true };
        conclude(e[i], !is_sound(e[i], &step), step, next_obs[i], &out[i]);
    }
}

void env_step_all(struct env *const *e, int n, const float *const *action, float *const *next_obs,
                  struct env_outcome *out)
{
    for (int i = 0; i < n && !env_steps_together(e[0]); i++)
        env_step(e[i], action[i], next_obs[i], &out[i]);
    for (int i = 0; i < n && env_steps_together(e[0]); i += GROUP)
        step_group(e + i, n - i < GROUP ? n - i : GROUP, action + i, next_obs + i, out + i);
}

bool env_steps_together(const struct env *e)
{
    return e->m->ops->step_all != NULL;
}

void env_step_units(struct env *e, const float *units, float *next_obs, struct env_outcome *out)
{
    take_step(e, units, is_usable(&e->m->spec, units), next_obs, out);
}

void env_observation(const struct env *e, double *obs)
{
    memcpy(obs, e->obs, (size_t)e->m->spec.shape.n_obs * sizeof(*obs));
}

int env_elapsed(const struct env *e)
{
    return e->elapsed;
}

/* ---- looking inside ---- */

bool env_physics(const struct env *e, struct env_physics *out)
{
    *out = (struct env_physics){ 0 };
    if (e->m->ops->physics)
        e->m->ops->physics(e->self, out);
    return e->m->ops->physics != NULL;
}

bool env_raw_state(const struct env *e, double *state)
{
    if (e->m->ops->get_state)
        e->m->ops->get_state(e->self, state);
    return e->m->ops->get_state != NULL;
}

static int check_numbers(const struct env *e, const char *what, const double *x, int n, int wanted,
                         struct error *err)
{
    if (n != wanted)
        return error_set(err, ERR_CONFIG, "%s has %d numbers in its %s, not %d", e->m->spec.name,
                         wanted, what, n);
    for (int i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return error_set(err, ERR_CONFIG, "number %d of the %s is not finite", i, what);
    return 0;
}

int env_set_physics(struct env *e, const double *qpos, int nq, const double *qvel, int nv,
                    struct error *err)
{
    struct env_physics p;
    if (!env_physics(e, &p) || !e->m->ops->set_physics)
        return error_set(err, ERR_CONFIG, "%s has no qpos and qvel", e->m->spec.name);
    int rc = check_numbers(e, "qpos", qpos, nq, p.nq, err);
    if (rc == 0)
        rc = check_numbers(e, "qvel", qvel, nv, p.nv, err);
    if (rc != 0)
        return rc;
    e->m->ops->set_physics(e->self, qpos, qvel);
    begin_episode(e);
    return 0;
}

int env_set_raw_state(struct env *e, const double *state, int n, struct error *err)
{
    if (!e->m->ops->set_state)
        return error_set(err, ERR_CONFIG, "%s has no state that could be set", e->m->spec.name);
    int rc = check_numbers(e, "state", state, n, e->m->spec.n_state, err);
    if (rc != 0)
        return rc;
    e->m->ops->set_state(e->self, state);
    begin_episode(e);
    return 0;
}

/* ---- saved states ---- */

int env_state_size(const struct env_model *m)
{
    return m->ops->get_state ? 2 + m->spec.shape.n_obs + m->spec.n_state : 0;
}

/* Whether an unfinished episode can be in this state. */
static bool is_state(const struct env_model *m, const double *state)
{
    const struct env_spec *spec = &m->spec;
    const int most = spec->time_limit > 0 ? spec->time_limit - 1 : INT32_MAX - 1;
    for (int i = 0; i < env_state_size(m); i++)
        if (!isfinite(state[i]))
            return false;
    return state[0] >= 0 && state[0] <= most && state[0] == floor(state[0])
        && all_fit(state + 2, spec->shape.n_obs);
}

int env_get_state(const struct env *e, double *state)
{
    assert(e->is_running && e->m->ops->get_state);
    state[0] = e->elapsed;
    state[1] = e->episode_return;
    env_observation(e, state + 2);
    e->m->ops->get_state(e->self, state + 2 + e->m->spec.shape.n_obs);
    return is_state(e->m, state) ? 0 : ERR_NUMERIC;
}

int env_set_state(struct env *e, const double *state)
{
    const int n_obs = e->m->spec.shape.n_obs;
    assert(e->m->ops->set_state);
    if (!is_state(e->m, state))
        return ERR_FORMAT;

    e->elapsed = (int)state[0];
    e->episode_return = state[1];
    memcpy(e->obs, state + 2, (size_t)n_obs * sizeof(e->obs[0]));
    e->m->ops->set_state(e->self, state + 2 + n_obs);
    e->is_running = true;
    e->is_broken = false;
    return 0;
}
