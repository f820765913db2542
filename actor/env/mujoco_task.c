#include "actor/env/mujoco_task.h"

#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arena.h"

/* What the instances share. */
struct mujoco_model {
    const struct mujoco_task *task;
    mjModel *m;
};

struct simulation {
    const struct mujoco_task *task;
    const mjModel *m;
    mjData *d;
    bool is_broken;    /* an error left MuJoCo half-way; only a reset makes `d` usable again */
};

/* ---- MuJoCo's two hooks, which are global to the process ---- */

static _Thread_local jmp_buf *guard_exit;    /* where the running guarded call ends on an error */
static _Thread_local char guard_text[256];   /* what the last error said */
static atomic_ulong n_warnings;

/* Called by MuJoCo, which continues undefined when this returns. */
static void on_error(const char *text)
{
    if (!guard_exit)
        abort();    /* our bug: a call into MuJoCo that may fail stood outside `guarded` */
    snprintf(guard_text, sizeof(guard_text), "%s", text);
    longjmp(*guard_exit, 1);
}

static void on_warning(const char *text)
{
    (void)text;
    atomic_fetch_add_explicit(&n_warnings, 1, memory_order_relaxed);
}

/* Run call(argument). Returns false when MuJoCo raised an error in it; guard_text says which. */
static bool guarded(void (*call)(void *), void *argument)
{
    jmp_buf here;
    guard_exit = &here;
    const bool is_done = setjmp(here) == 0;
    if (is_done)
        call(argument);
    guard_exit = NULL;
    return is_done;
}

unsigned long mujoco_warnings(void)
{
    return atomic_load_explicit(&n_warnings, memory_order_relaxed);
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

/* Make and evaluate one instance, so that `create` cannot fail on this model. */
static void try_out(void *argument)
{
    struct simulation *s = argument;
    make_data(s);
    mj_forward(s->m, s->d);
}

/* MuJoCo's texts have several lines. */
static void join_lines(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (text[i] == '\n')
            text[i] = ' ';
}

static int check_version(struct error *err)
{
    if (mj_version() == mjVERSION_HEADER)
        return 0;
    return error_set(err, ERR_CONFIG,
                     "MuJoCo's library is version %d, but this program was built with the headers "
                     "of version %d; rebuild it, or check LD_LIBRARY_PATH",
                     mj_version(), mjVERSION_HEADER);
}

static int load_model(const struct mujoco_task *task, const char *path, mjModel **m,
                      struct error *err)
{
    if (access(path, R_OK) != 0)
        return error_set(err, ERR_MISSING,
                         "%s needs the model %s, which cannot be read; run `make deps`, or let "
                         "SHOAL_MODELS name the directory with Gymnasium's models",
                         task->name, path);

    struct load_call c = { .path = path };
    if (!guarded(load, &c))
        snprintf(c.text, sizeof(c.text), "%s", guard_text);
    if (!c.m) {
        join_lines(c.text);
        return error_set(err, ERR_CONFIG, "%s: %s", path, c.text);
    }
    *m = c.m;
    return 0;
}

static int check_model(const struct mujoco_task *task, const char *path, const mjModel *m,
                       struct error *err)
{
    if (m->nq != task->nq || m->nv != task->nv || m->nu != task->nu)
        return error_set(err, ERR_CONFIG,
                         "%s: %s expects nq %d, nv %d and nu %d, this model has %d, %d and %d",
                         path, task->name, task->nq, task->nv, task->nu, (int)m->nq, (int)m->nv,
                         (int)m->nu);

    struct simulation trial = { .m = m };
    const bool works = guarded(try_out, &trial);
    mj_deleteData(trial.d);
    if (!works) {
        join_lines(guard_text);
        return error_set(err, ERR_CONFIG, "%s: %s", path, guard_text);
    }
    return 0;
}

static void describe(const struct mujoco_task *task, const mjModel *m, struct env_spec *spec)
{
    *spec = (struct env_spec){
        .shape = { .n_obs = task->n_obs, .n_act = task->nu },
        .time_limit = task->time_limit,
        .n_state = 1 + (int)(m->nq + m->nv + m->na + m->nv + m->nu),
    };
    snprintf(spec->name, sizeof(spec->name), "%s", task->name);
    for (int i = 0; i < task->nu; i++) {
        spec->act_low[i] = (float)m->actuator_ctrlrange[2 * i];
        spec->act_high[i] = (float)m->actuator_ctrlrange[2 * i + 1];
    }
}

int mujoco_task_open(const struct mujoco_task *task, void **model, struct env_spec *spec,
                     const char *models_dir, struct error *err)
{
    mjModel *m = NULL;
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", models_dir ? models_dir : ".", task->xml);

    mju_user_error = on_error;
    mju_user_warning = on_warning;
    int rc = check_version(err);
    if (rc == 0)
        rc = load_model(task, path, &m, err);
    if (rc == 0)
        rc = check_model(task, path, m, err);
    if (rc != 0) {
        mj_deleteModel(m);
        return rc;
    }

    describe(task, m, spec);
    struct mujoco_model *shared = memory_alloc(1, sizeof(*shared));
    *shared = (struct mujoco_model){ .task = task, .m = m };
    *model = shared;
    return 0;
}

void mujoco_task_close(void *model)
{
    struct mujoco_model *shared = model;
    mj_deleteModel(shared->m);
    free(shared);
}

/* ---- one instance ---- */

void *mujoco_task_create(const void *model)
{
    const struct mujoco_model *shared = model;
    struct simulation *s = memory_alloc(1, sizeof(*s));
    *s = (struct simulation){ .task = shared->task, .m = shared->m };
    if (!guarded(make_data, s) || !s->d) {
        fprintf(stderr, "shoal: out of memory: MuJoCo's data of %s\n", s->task->name);
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

struct reset_call {
    struct simulation *s;
    struct rng *rng;
};

static void reset(void *argument)
{
    struct reset_call *c = argument;
    struct simulation *s = c->s;
    mj_resetData(s->m, s->d);
    s->task->draw_start(s->m, s->d, c->rng);
    mj_forward(s->m, s->d);
}

void mujoco_task_reset(void *self, struct rng *rng)
{
    struct simulation *s = self;
    s->is_broken = !guarded(reset, &(struct reset_call){ s, rng });
}

struct step_call {
    struct simulation *s;
    const float *action;    /* [nu] */
    struct env_step *out;
};

static void step(void *argument)
{
    struct step_call *c = argument;
    const struct mujoco_task *task = c->s->task;
    const mjModel *m = c->s->m;
    mjData *d = c->s->d;

    for (int i = 0; i < task->nu; i++)
        d->ctrl[i] = (double)c->action[i];
    for (int i = 0; i < task->frame_skip; i++)
        mj_step(m, d);
    if (task->reads_body_forces)
        mj_rnePostConstraint(m, d);
    task->judge(m, d, c->action, c->out);
}

static const int divergences[] = { mjWARN_BADQPOS, mjWARN_BADQVEL, mjWARN_BADQACC };

void mujoco_task_step(void *self, const float *action, struct env_step *out)
{
    struct simulation *s = self;
    *out = (struct env_step){ 0 };
    for (int i = 0; i < 3; i++)
        s->d->warning[divergences[i]].number = 0;

    if (!s->is_broken)
        s->is_broken = !guarded(step, &(struct step_call){ s, action, out });

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
    s->task->observe(s->m, s->d, obs);
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
    put(state, d->ctrl, (size_t)m->nu);
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
    take(d->ctrl, warm_start + m->nv, (size_t)m->nu);
    take(d->qacc_warmstart, warm_start, (size_t)m->nv);
    mj_forward(m, d);
    take(d->qacc_warmstart, warm_start, (size_t)m->nv);
}

void mujoco_task_set_state(void *self, const double *state)
{
    struct simulation *s = self;
    s->is_broken = !guarded(restore, &(struct state_call){ s, state });
}

void mujoco_task_mujoco(const void *self, const void **model, const void **data)
{
    const struct simulation *s = self;
    *model = s->m;
    *data = s->d;
}

void mujoco_add_uniform(struct rng *rng, double *x, int n, double scale)
{
    for (int i = 0; i < n; i++)
        x[i] += rng_uniform(rng, -scale, scale);
}
