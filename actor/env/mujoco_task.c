#include "actor/env/mujoco_task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actor/env/mujoco_guard.h"
#include "common/arena.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/text.h"

enum { PATH_BYTES = 4096, MODEL_BYTES = 64 << 20 };

/* What the instances share. */
struct mujoco_model {
    mjModel *m;
    double *initial;    /* the whole state after mj_resetData, as mj_getState writes it */
    struct task_terms terms;
    int frame_skip, n_carried;
    double step_s;
    bool reads_body_forces;
    void (*draw_start)(const mjModel *m, mjData *d, const void *options, struct rng *rng);
    _Alignas(16) unsigned char options[ENV_OPTIONS_BYTES];
};

struct simulation {
    const struct mujoco_model *shared;
    const mjModel *m;
    mjData *d;
    bool is_broken;    /* an error left MuJoCo half-way; only a reset makes `d` usable again */
    double carried[];  /* [n_carried] what the next reward compares with */
};

/* ---- finding the model's file ---- */

/* Beside the task's own file, on the environment path, among the models. When it is nowhere, `path`
 * says where among the models it was looked for. */
static bool find_model(char path[PATH_BYTES], const struct env_context *c, const char *xml)
{
    const char *models = c->models_dir ? c->models_dir : ".";
    const char *slash = c->file ? strrchr(c->file, '/') : NULL;
    if (slash) {
        snprintf(path, PATH_BYTES, "%.*s/%.1000s", (int)(slash - c->file), c->file, xml);
        if (access(path, R_OK) == 0)
            return true;
    }
    if (file_find(path, PATH_BYTES, c->env_path, xml))
        return true;
    snprintf(path, PATH_BYTES, "%.3000s/%.1000s", models, xml);
    return access(path, R_OK) == 0;
}

/* ---- the model ---- */

struct load_call {
    const char *path;
    char text[256];    /* MuJoCo's own words when `m` stays NULL */
    mjModel *m;
};

static void load(void *argument)
{
    struct load_call *c = argument;
    c->m = mj_loadXML(c->path, NULL, c->text, sizeof(c->text));
}

static void make_data(void *argument)
{
    struct simulation *s = argument;
    s->d = mj_makeData(s->m);
}

/* What a step depends on: positions, velocities, warm start, controls, forces from outside, ... */
static const unsigned WHOLE_STATE = mjSTATE_INTEGRATION;

struct trial_call {
    const mjModel *m;
    mjData *d;
    double *initial;
};

/* Make, note and evaluate one instance, so that `create` cannot fail on this model. */
static void try_out(void *argument)
{
    struct trial_call *c = argument;
    c->d = mj_makeData(c->m);
    mj_getState(c->m, c->d, c->initial, WHOLE_STATE);
    mj_forward(c->m, c->d);
}

static int load_model(const struct mujoco_source *source, const struct env_context *context,
                      char *path, mjModel **m, struct error *err)
{
    if (source->xml[0] == '\0' || strchr(source->xml, '/') != NULL)
        return error_set(err, ERR_CONFIG, "%s: xml_file is \"%.100s\"; it must be the name of a file, "
                         "which is looked for on the environment path and among the models",
                         source->name, source->xml);
    const bool is_found = find_model(path, context, source->xml);
    if (!is_found && context->file)
        return error_set(err, ERR_MISSING, "%s: model: there is no %.60s beside the task, on the environment "
                         "path (--env-path) or among the models (where it would be %.100s)",
                         source->name, source->xml, path);
    if (!is_found)
        return error_set(err, ERR_MISSING,
                         "%s needs the model %.150s, which cannot be read; run `make deps`, let "
                         "SHOAL_MODELS name the directory with Gymnasium's models, or give a "
                         "directory that has it with --env-path", source->name, path);

    struct load_call c = { .path = path };
    if (!mujoco_guarded(load, &c))
        snprintf(c.text, sizeof(c.text), "%s", mujoco_guard_text());
    if (!c.m) {
        text_join_lines(c.text);    /* MuJoCo writes several */
        return error_set(err, ERR_CONFIG, "%s: %s", path, c.text);
    }
    *m = c.m;
    return 0;
}

static bool is_enough(const struct mujoco_source *source, int wanted, int n)
{
    return wanted == 0 || n == wanted || (source->is_least && n > wanted);
}

static int check_model(const struct mujoco_source *source, const char *path,
                       struct mujoco_model *shared, struct error *err)
{
    const mjModel *m = shared->m;
    if (!is_enough(source, source->nq, (int)m->nq) || !is_enough(source, source->nv, (int)m->nv)
        || !is_enough(source, source->nu, (int)m->nu))
        return error_set(err, ERR_CONFIG,
                         "%s: %s expects%s nq %d, nv %d and nu %d, this model has %d, %d and %d",
                         path, source->name, source->is_least ? " at least" : "",
                         source->nq, source->nv, source->nu, (int)m->nq,
                         (int)m->nv, (int)m->nu);
    if (m->nu < 1 || m->nu > ENV_MAX_ACT)
        return error_set(err, ERR_CONFIG, "%s: the model has %d actuators; 1 to %d are possible",
                         path, (int)m->nu, ENV_MAX_ACT);
    for (int i = 0; i < m->nu; i++)
        if (!m->actuator_ctrllimited[i])
            return error_set(err, ERR_CONFIG, "%s: actuator %d has no ctrlrange, so an action has "
                             "no bounds; give it one", path, i);
    if (m->npluginstate > 0)
        return error_set(err, ERR_CONFIG, "%s: the model uses a MuJoCo plug-in with a state, which "
                         "cannot be saved", path);

    shared->initial = memory_alloc((size_t)mj_stateSize(m, WHOLE_STATE), sizeof(double));
    struct trial_call trial = { .m = m, .initial = shared->initial };
    const bool works = mujoco_guarded(try_out, &trial);
    mj_deleteData(trial.d);
    if (!works)
        return error_set(err, ERR_CONFIG, "%s: %s", path, mujoco_guard_text());
    return 0;
}

static void describe(const struct mujoco_source *source, const struct mujoco_model *shared,
                     struct env_spec *spec)
{
    const mjModel *m = shared->m;
    *spec = (struct env_spec){
        .shape = { .n_obs = terms_n_obs(&shared->terms), .n_act = (int)m->nu },
        .time_limit = source->time_limit,
        .n_state = 1 + (int)(m->nq + m->nv + m->na + m->nv + m->nu) + shared->n_carried,
        .step_s = shared->step_s,
    };
    snprintf(spec->name, sizeof(spec->name), "%s", source->name);
    for (int i = 0; i < m->nu; i++) {
        spec->act_low[i] = (float)m->actuator_ctrlrange[2 * i];
        spec->act_high[i] = (float)m->actuator_ctrlrange[2 * i + 1];
    }
}

/* A digest of the model's file and of the task's. */
static int digest_files(const struct mujoco_source *source, const char *path, struct env_spec *spec,
                        struct error *err)
{
    char *text, hex[DIGEST_HEX_BYTES];
    size_t bytes;
    int rc = file_read(path, MODEL_BYTES, &text, &bytes, err);
    if (rc != 0)
        return rc;
    digest_sha256_hex(text, bytes, hex);
    free(text);
    if (source->digest && source->digest[0]) {
        char both[2 * DIGEST_HEX_BYTES + 1];
        snprintf(both, sizeof(both), "%s %s", hex, source->digest);
        digest_sha256_hex(both, strlen(both), hex);
    }
    snprintf(spec->content, sizeof(spec->content), "%.*s", ENV_SPEC_HASH_BYTES - 1, hex);
    return 0;
}

struct build_call {
    const struct mujoco_source *source;
    struct mujoco_model *shared;
    struct error *err;
    int rc;
};

static void build(void *argument)
{
    struct build_call *c = argument;
    c->rc = c->source->build(c->source->context, &c->shared->terms, c->shared->m, c->err);
}

static int finish_model(const struct mujoco_source *source, struct mujoco_model *shared,
                        struct error *err)
{
    struct build_call call = { source, shared, err, 0 };
    if (!mujoco_guarded(build, &call))
        return error_set(err, ERR_CONFIG, "%s: %s", source->name, mujoco_guard_text());
    if (call.rc != 0)
        return call.rc;
    shared->n_carried = terms_n_carried(&shared->terms);
    shared->reads_body_forces = terms_read_body_forces(&shared->terms);
    shared->frame_skip = source->frame_skip;
    shared->step_s = shared->m->opt.timestep * source->frame_skip;
    shared->draw_start = source->draw_start;
    if (source->options_bytes)
        memcpy(shared->options, source->options, source->options_bytes);
    return 0;
}

int mujoco_task_load(void **model, struct env_spec *spec, const struct mujoco_source *source,
                     const struct env_context *context, struct error *err)
{
    char path[PATH_BYTES] = "";
    struct mujoco_model *shared = memory_alloc(1, sizeof(*shared));
    int rc = mujoco_guard_install(err);
    if (rc == 0)
        rc = load_model(source, context, path, &shared->m, err);
    if (rc == 0)
        rc = check_model(source, path, shared, err);
    if (rc == 0)
        rc = finish_model(source, shared, err);
    if (rc == 0) {
        describe(source, shared, spec);
        rc = digest_files(source, path, spec, err);
    }
    if (rc != 0) {
        mujoco_task_close(shared);
        return rc;
    }
    *model = shared;
    return 0;
}

/* ---- tasks in C ---- */

static int build_definition(void *context, struct task_terms *t, const mjModel *m,
                            struct error *err)
{
    const struct env_context *c = context;
    const struct mujoco_definition *definition = c->ops->definition;
    return definition->build(t, m, c->options, definition->version, err);
}

int mujoco_task_open(void **model, struct env_spec *spec, const struct env_context *context,
                     struct error *err)
{
    const struct mujoco_definition *definition = context->ops->definition;
    const struct mujoco_options *options = context->options;
    struct env_context own = *context;
    const struct mujoco_source source = {
        .name = context->ops->name, .xml = options->xml_file,
        .frame_skip = (int)options->frame_skip, .time_limit = definition->time_limit,
        .nq = definition->nq, .nv = definition->nv, .nu = definition->nu,
        .is_least = definition->is_least, .build = build_definition, .context = &own,
        .draw_start = definition->draw_start,
        .options = options, .options_bytes = context->ops->options_bytes,
    };
    return mujoco_task_load(model, spec, &source, context, err);
}

void mujoco_task_close(void *model)
{
    struct mujoco_model *shared = model;
    mj_deleteModel(shared->m);
    free(shared->initial);
    free(shared);
}

/* ---- one instance ---- */

void *mujoco_task_create(const void *model)
{
    const struct mujoco_model *shared = model;
    struct simulation *s = memory_alloc(1, sizeof(*s)
                                        + (size_t)shared->n_carried * sizeof(s->carried[0]));
    s->shared = shared;
    s->m = shared->m;
    if (!mujoco_guarded(make_data, s) || !s->d) {
        fprintf(stderr, "shoal: out of memory: MuJoCo's data of an environment\n");
        abort();
    }
    return s;
}

void mujoco_task_destroy(void *self)
{
    struct simulation *s = self;
    mj_deleteData(s->d);
    free(s);
}

/* Begin where d->qpos and d->qvel are. */
static void begin(struct simulation *s)
{
    mj_forward(s->m, s->d);
    terms_carry(&s->shared->terms, s->m, s->d, s->carried);
}

struct reset_call {
    struct simulation *s;
    struct rng *rng;
    const double *qpos, *qvel;
};

/* As mj_resetData, of which this is what matters: that also clears some 200 KiB of statistics, which
 * costs more than a simulation step of a small model. After an error only mj_resetData will do. */
static void begin_again(struct simulation *s)
{
    if (s->is_broken) {
        mj_resetData(s->m, s->d);
        return;
    }
    mj_setState(s->m, s->d, s->shared->initial, WHOLE_STATE);
    if (s->shared->reads_body_forces)    /* mj_forward leaves them as they are */
        memset(s->d->cfrc_ext, 0, 6 * (size_t)s->m->nbody * sizeof(*s->d->cfrc_ext));
}

static void reset(void *argument)
{
    struct reset_call *c = argument;
    struct simulation *s = c->s;
    const struct mujoco_model *shared = s->shared;
    begin_again(s);
    if (c->rng) {
        terms_draw_start(&shared->terms, s->d, c->rng);
        if (shared->draw_start)
            shared->draw_start(s->m, s->d, shared->options, c->rng);
    } else {
        memcpy(s->d->qpos, c->qpos, (size_t)s->m->nq * sizeof(*c->qpos));
        memcpy(s->d->qvel, c->qvel, (size_t)s->m->nv * sizeof(*c->qvel));
    }
    begin(s);
}

void mujoco_task_reset(void *self, struct rng *rng)
{
    struct simulation *s = self;
    s->is_broken = !mujoco_guarded(reset, &(struct reset_call){ .s = s, .rng = rng });
}

void mujoco_task_set_physics(void *self, const double *qpos, const double *qvel)
{
    struct simulation *s = self;
    s->is_broken = !mujoco_guarded(reset, &(struct reset_call){ .s = s, .qpos = qpos,
                                                                .qvel = qvel });
}

struct step_call {
    struct simulation *s;
    const float *action;    /* [nu] */
    struct env_step *out;
};

static void step(void *argument)
{
    struct step_call *c = argument;
    struct simulation *s = c->s;
    const struct mujoco_model *shared = s->shared;
    const struct task_terms *terms = &shared->terms;
    const mjModel *m = s->m;
    mjData *d = s->d;

    for (int i = 0; i < m->nu; i++)
        d->ctrl[i] = (double)c->action[i];
    for (int i = 0; i < shared->frame_skip; i++)
        mj_step(m, d);
    if (shared->reads_body_forces)
        mj_rnePostConstraint(m, d);

    const bool is_healthy = terms_are_healthy(terms, m, d);
    c->out->terminated = terms->ends_when_unhealthy && !is_healthy;
    c->out->reward = terms_reward(terms, m, d, c->action, shared->step_s, is_healthy, s->carried);
    terms_carry(terms, m, d, s->carried);
}

static const int divergences[] = { mjWARN_BADQPOS, mjWARN_BADQVEL, mjWARN_BADQACC };

void mujoco_task_step(void *self, const float *action, struct env_step *out)
{
    struct simulation *s = self;
    *out = (struct env_step){ 0 };
    for (int i = 0; i < 3; i++)
        s->d->warning[divergences[i]].number = 0;

    if (!s->is_broken)
        s->is_broken = !mujoco_guarded(step, &(struct step_call){ s, action, out });

    /* On a bad number MuJoCo warns, goes back to the initial pose and continues from there. */
    bool diverged = s->is_broken;
    for (int i = 0; i < 3; i++)
        diverged |= s->d->warning[divergences[i]].number > 0;
    if (diverged)
        *out = (struct env_step){ .diverged = true };
}

void mujoco_task_observe(const void *self, double *obs)
{
    const struct simulation *s = self;
    terms_observe(&s->shared->terms, s->m, s->d, obs);
}

void mujoco_task_physics(const void *self, struct env_physics *out)
{
    const struct simulation *s = self;
    *out = (struct env_physics){ (int)s->m->nq, (int)s->m->nv, s->d->qpos, s->d->qvel, s->m, s->d };
}

/* ---- saved states ---- */

static double *put(double *to, const double *from, size_t n)
{
    memcpy(to, from, n * sizeof(*to));
    return to + n;
}

static const double *take(double *to, const double *from, size_t n)
{
    memcpy(to, from, n * sizeof(*to));
    return from + n;
}

void mujoco_task_get_state(const void *self, double *state)
{
    const struct simulation *s = self;
    const mjModel *m = s->m;
    const mjData *d = s->d;
    state = put(state, &d->time, 1);
    state = put(state, d->qpos, (size_t)m->nq);
    state = put(state, d->qvel, (size_t)m->nv);
    state = put(state, d->act, (size_t)m->na);
    state = put(state, d->qacc_warmstart, (size_t)m->nv);
    state = put(state, d->ctrl, (size_t)m->nu);
    put(state, s->carried, (size_t)s->shared->n_carried);
}

struct state_call {
    struct simulation *s;
    const double *state;
};

static void restore(void *argument)
{
    struct state_call *c = argument;
    const mjModel *m = c->s->m;
    mjData *d = c->s->d;
    const double *state = c->state;

    /* Everything derived follows from mj_forward, which older versions let touch the warm start. */
    mj_resetData(m, d);
    state = take(&d->time, state, 1);
    state = take(d->qpos, state, (size_t)m->nq);
    state = take(d->qvel, state, (size_t)m->nv);
    const double *warm_start = take(d->act, state, (size_t)m->na);
    state = take(d->ctrl, warm_start + m->nv, (size_t)m->nu);
    take(c->s->carried, state, (size_t)c->s->shared->n_carried);
    take(d->qacc_warmstart, warm_start, (size_t)m->nv);
    mj_forward(m, d);
    take(d->qacc_warmstart, warm_start, (size_t)m->nv);
}

void mujoco_task_set_state(void *self, const double *state)
{
    struct simulation *s = self;
    s->is_broken = !mujoco_guarded(restore, &(struct state_call){ s, state });
}

void mujoco_add_uniform(struct rng *rng, double *x, int n, double scale)
{
    for (int i = 0; i < n; i++)
        x[i] += rng_uniform(rng, -scale, scale);
}
