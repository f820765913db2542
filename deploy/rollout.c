#include "deploy/rollout.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "deploy/console.h"
#include "deploy/program.h"
#include "deploy/recording.h"

enum { SHOW_EVERY_US = 500000,
       MAX_START = 1 << 20 };      /* numbers in the file of a start: no environment has so many */

/* One environment on its way. */
struct player {
    const struct rollout_plan *plan;
    const struct env_spec *spec;
    struct env *env;
    struct recording *recording;
    struct rng reset_rng, action_rng;
    bool is_running;                                /* inside an episode */
    float row[ENV_MAX_OBS + ENV_MAX_ACT + 3];       /* as policies take it */
};

/* ---- actions from a file ---- */

static bool has_shape_of_actions(const struct npz_array *a, int n_act)
{
    return (a->n_dims == 2 && a->dims[1] == n_act) || (a->n_dims == 1 && n_act == 1);
}

static void describe_shape(const struct npz_array *a, char *out, size_t bytes)
{
    size_t used = (size_t)snprintf(out, bytes, "[");
    for (int i = 0; i < a->n_dims && used < bytes; i++)
        used += (size_t)snprintf(out + used, bytes - used, "%s%" PRId64, i ? "," : "", a->dims[i]);
    if (used < bytes)
        snprintf(out + used, bytes - used, "]");
}

/* Why an action cannot be given, or 0. */
static int check_action(const struct env_spec *spec, const double *action, int64_t t,
                        const char *path, struct error *err)
{
    for (int j = 0; j < spec->shape.n_act; j++)
        if (!isfinite((float)action[j]))
            return error_set(err, ERR_CONFIG, "%s: number %d of action %" PRId64 " is not a finite "
                             "float32", path, j, t);
    if (spec->n_choices == 0)
        return 0;
    if (action[0] != floor(action[0]) || action[0] < 0 || action[0] >= spec->n_choices)
        return error_set(err, ERR_CONFIG, "%s: action %" PRId64 " is %g; %s has the choices 0 to %d",
                         path, t, action[0], spec->name, spec->n_choices - 1);
    return 0;
}

int rollout_read_actions(const char *path, const struct env_spec *spec, int64_t *steps,
                         struct npz_array *actions, struct error *err)
{
    const int n_act = spec->shape.n_act;
    char shape[128];
    int rc = npy_read(path, NPZ_MAX_ELEMENTS, actions, err);
    if (rc != 0)
        return rc;
    describe_shape(actions, shape, sizeof(shape));
    if (!has_shape_of_actions(actions, n_act))
        return error_set(err, ERR_CONFIG, "%s holds %s numbers; %s takes [steps][%d] actions", path,
                         shape, spec->name, n_act);
    if (actions->dims[0] < (*steps ? *steps : 1))
        return error_set(err, ERR_CONFIG, "%s holds %" PRId64 " actions, fewer than the %" PRId64
                         " steps asked for", path, actions->dims[0], *steps ? *steps : 1);
    if (*steps == 0)
        *steps = actions->dims[0];
    for (int64_t t = 0; t < *steps && rc == 0; t++)
        rc = check_action(spec, actions->data + t * n_act, t, path, err);
    return rc;
}

/* ---- the start ---- */

/* One state, not a row of them. */
static int read_vector(struct npz *z, const char *path, const char *name, struct npz_array *a,
                       struct error *err)
{
    char shape[128];
    int rc = npz_read(z, name, MAX_START, a, err);
    if (rc != 0)
        return rc;
    for (int i = 0; i + 1 < a->n_dims; i++)
        if (a->dims[i] != 1) {
            describe_shape(a, shape, sizeof(shape));
            return error_set(err, ERR_CONFIG, "%s: %s is %s; one state is wanted, not several", path,
                             name, shape);
        }
    return 0;
}

static int start_physics(struct env *env, struct npz *z, const char *path, struct error *err)
{
    struct npz_array qpos = { 0 }, qvel = { 0 };
    int rc = read_vector(z, path, "qpos", &qpos, err);
    if (rc == 0)
        rc = read_vector(z, path, "qvel", &qvel, err);
    if (rc == 0) {
        rc = env_set_physics(env, qpos.data, (int)npz_array_count(&qpos), qvel.data,
                             (int)npz_array_count(&qvel), err);
        if (rc != 0)
            error_prefix(err, "%s", path);
    }
    npz_array_free(&qpos);
    npz_array_free(&qvel);
    return rc;
}

static int start_raw(struct env *env, struct npz *z, const char *path, struct error *err)
{
    struct npz_array state = { 0 };
    int rc = read_vector(z, path, "state", &state, err);
    if (rc == 0) {
        rc = env_set_raw_state(env, state.data, (int)npz_array_count(&state), err);
        if (rc != 0)
            error_prefix(err, "%s", path);
    }
    npz_array_free(&state);
    return rc;
}

/* qpos and qvel of a simulation, the raw state of anything else. */
static int start_from_file(struct env *env, const char *path, struct error *err)
{
    struct npz *z = NULL;
    struct env_physics physics;
    int rc = npz_open(&z, path, err);
    if (rc != 0)
        return rc;
    const bool has_physics = npz_has(z, "qpos") || npz_has(z, "qvel");
    const bool has_state = npz_has(z, "state");
    if (has_physics && (env_physics(env, &physics) || !has_state))
        rc = start_physics(env, z, path, err);
    else if (has_state)
        rc = start_raw(env, z, path, err);
    else
        rc = error_set(err, ERR_CONFIG, "%s holds no start: expected %s", path,
                       env_physics(env, &physics) ? "the arrays qpos and qvel" : "the array state");
    npz_close(&z);
    return rc;
}

static void observe_into_row(struct player *p)
{
    double obs[ENV_MAX_OBS];
    env_observation(p->env, obs);
    for (int i = 0; i < p->spec->shape.n_obs; i++)
        p->row[i] = (float)obs[i];
}

/* ---- one step ---- */

static double *field(const struct player *p, enum recording_field f)
{
    return recording_field(p->recording, f);
}

static void copy(double *to, const double *from, int n)
{
    memcpy(to, from, (size_t)n * sizeof(*to));
}

/* The environment as it is, into the fields from before the step or those from after. */
static void look(struct player *p, bool is_next)
{
    struct env_physics physics;
    env_observation(p->env, field(p, is_next ? RECORD_NEXT_OBS : RECORD_OBS));
    if (env_physics(p->env, &physics)) {
        copy(field(p, is_next ? RECORD_NEXT_QPOS : RECORD_QPOS), physics.qpos, physics.nq);
        copy(field(p, is_next ? RECORD_NEXT_QVEL : RECORD_QVEL), physics.qvel, physics.nv);
    } else if (field(p, RECORD_STATE)) {
        env_raw_state(p->env, field(p, is_next ? RECORD_NEXT_STATE : RECORD_STATE));
    }
}

/* What a step that broke down leaves inside is no successor: as with the observation, the last good
 * state stands for it. */
static void keep_last_state(struct player *p)
{
    struct env_physics physics;
    if (env_physics(p->env, &physics)) {
        copy(field(p, RECORD_NEXT_QPOS), field(p, RECORD_QPOS), physics.nq);
        copy(field(p, RECORD_NEXT_QVEL), field(p, RECORD_QVEL), physics.nv);
    } else if (field(p, RECORD_STATE)) {
        copy(field(p, RECORD_NEXT_STATE), field(p, RECORD_STATE), p->spec->n_state);
    }
}

/* units [n_act]: the next action, as the environment gets it. */
static void choose_action(struct player *p, int64_t t, float *units)
{
    const struct env_spec *spec = p->spec;
    const int n_act = spec->shape.n_act;
    float *action = p->row + row_act(spec->shape), *rows[] = { p->row };
    float noise[ENV_MAX_ACT];
    switch (p->plan->actor) {
    case ROLLOUT_ZERO:
        memset(units, 0, (size_t)n_act * sizeof(*units));
        return;
    case ROLLOUT_GIVEN:
        for (int j = 0; j < n_act; j++)
            units[j] = (float)p->plan->actions[t * n_act + j];
        return;
    case ROLLOUT_RANDOM:
        for (int j = 0; j < n_act; j++)
            action[j] = spec->n_choices
                      ? (float)rng_below(&p->action_rng, (uint64_t)spec->n_choices)
                      : (float)rng_uniform(&p->action_rng, -1, 1);
        break;
    case ROLLOUT_SAMPLED:
        policy_draw(p->plan->policy, &p->action_rng, noise);
        policy_act(p->plan->policy, 1, rows, noise);
        break;
    case ROLLOUT_MEAN:
        policy_act(p->plan->policy, 1, rows, NULL);
        break;
    }
    if (!env_rescale(spec, action, units))
        units[0] = NAN;    /* the environment's step answers for what is not finite */
}

static int take_step(struct player *p, int64_t t, struct rollout_result *result, struct error *err)
{
    float units[ENV_MAX_ACT] = { 0 };
    struct env_outcome outcome;
    if (!p->is_running) {
        watch_enter(p->plan->watch, WATCH_RESETTING, result->episodes, 0);
        env_reset(p->env, &p->reset_rng, p->row);
        watch_leave(p->plan->watch);
    }
    choose_action(p, t, units);
    for (int j = 0; j < p->spec->shape.n_act; j++)
        field(p, RECORD_ACTION)[j] = (double)units[j];

    watch_enter(p->plan->watch, WATCH_STEPPING, result->episodes, env_elapsed(p->env) + 1);
    look(p, false);
    env_step_units(p->env, units, p->row, &outcome);
    look(p, true);
    watch_leave(p->plan->watch);
    if (outcome.diverged)
        keep_last_state(p);
    *field(p, RECORD_REWARD) = outcome.reward;
    *field(p, RECORD_TERMINATED) = outcome.terminated;
    *field(p, RECORD_TRUNCATED) = outcome.truncated;

    p->is_running = outcome.kind == ROW_STEP;
    watch_count(p->plan->watch, ++result->steps);
    if (!p->is_running) {
        result->episodes++;
        result->diverged += outcome.diverged;
        result->return_mean += (outcome.episode_return - result->return_mean)
                             / (double)result->episodes;
    }
    return recording_append(p->recording, err);
}

/* ---- all of them ---- */

static int begin(struct player *p, struct error *err)
{
    const struct row_shape shape = p->spec->shape;
    struct env_physics physics;
    int widths[RECORD_FIELDS] = {
        [RECORD_OBS] = shape.n_obs, [RECORD_ACTION] = shape.n_act, [RECORD_REWARD] = RECORD_SCALAR,
        [RECORD_TERMINATED] = RECORD_SCALAR, [RECORD_TRUNCATED] = RECORD_SCALAR,
        [RECORD_NEXT_OBS] = shape.n_obs,
    };
    if (env_physics(p->env, &physics)) {
        widths[RECORD_QPOS] = widths[RECORD_NEXT_QPOS] = physics.nq;
        widths[RECORD_QVEL] = widths[RECORD_NEXT_QVEL] = physics.nv;
    } else {
        widths[RECORD_STATE] = widths[RECORD_NEXT_STATE] = p->spec->n_state;
    }
    int rc = recording_open(&p->recording, p->plan->out, widths, err);
    if (rc == 0 && p->plan->state) {
        rc = start_from_file(p->env, p->plan->state, err);
        p->is_running = true;
        if (rc == 0)
            observe_into_row(p);
    }
    return rc;
}

static void show_progress(const struct player *p, const struct rollout_result *result)
{
    char line[160];
    snprintf(line, sizeof(line), "%3.0f%%  %" PRId64 "/%" PRId64 " steps  %.0f steps/s  %" PRId64
             " episode%s", 100.0 * (double)result->steps / (double)p->plan->steps, result->steps,
             p->plan->steps, (double)result->steps / result->time_s, result->episodes,
             text_plural(result->episodes));
    console_live(line);
}

static int play(struct player *p, struct rollout_result *result, struct error *err)
{
    const int64_t began_us = program_now_us();
    int64_t shown_us = began_us, now_us = began_us;
    int rc = 0;
    for (int64_t t = 0; t < p->plan->steps && rc == 0; t++) {
        if (program_stop_requests())
            break;
        rc = take_step(p, t, result, err);
        now_us = program_now_us();
        if (now_us - shown_us > SHOW_EVERY_US && !p->plan->is_quiet && console_is_terminal()) {
            result->time_s = (double)(now_us - began_us) / 1e6;
            show_progress(p, result);
            shown_us = now_us;
        }
    }
    result->time_s = (double)(now_us - began_us) / 1e6;
    console_live("");
    return rc;
}

int rollout_play(const struct rollout_plan *plan, struct rollout_result *out, struct error *err)
{
    struct player p = { .plan = plan, .spec = env_spec(plan->model) };
    *out = (struct rollout_result){ 0 };
    watch_enter(plan->watch, WATCH_CREATING, 0, 0);
    p.env = env_create(plan->model);
    watch_leave(plan->watch);
    rng_init(&p.reset_rng, plan->seed, RNG_RESET, 0, 0);
    rng_init(&p.action_rng, plan->seed, RNG_ACTION, 0, 0);
    int rc = begin(&p, err);
    if (rc == 0)
        rc = play(&p, out, err);
    if (rc == 0)
        rc = recording_finish(p.recording, err);
    recording_destroy(&p.recording);
    env_destroy(&p.env);
    if (rc == 0 && out->steps < plan->steps)
        rc = error_set(err, ERR_INTERRUPTED, "interrupted; %s holds the %" PRId64 " steps until then",
                       plan->out, out->steps);
    return rc;
}
