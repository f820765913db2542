/* A plug-in's slots as an environment's: numbers, actions and states pass through, specifications are
 * checked. */
#include "actor/env/plugin_private.h"

#include <fenv.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/text.h"

enum { MAX_LIMIT = 1000000000 };
static const size_t MAX_LIBRARY_BYTES = (size_t)1 << 30;

/* ---- messages ---- */

int plugin_refuse(const struct plugin *p, struct error *err, const char *format, ...)
{
    char text[sizeof(err->text)];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return error_set(err, ERR_CONFIG, "%s: %s", text_short_path(p->path), text);
}

/* ---- the specification ---- */

static int check_spec(const struct plugin *p, const struct shoal_spec *s, struct error *err)
{
    const struct { const char *name; int32_t value, low, high; } counts[] = {
        { "n_obs", s->n_obs, 1, SHOAL_MAX_OBS },
        { "n_act", s->n_act, 1, SHOAL_MAX_ACT },
        { "n_choices", s->n_choices, 0, SHOAL_MAX_CHOICES },
        { "time_limit", s->time_limit, 0, MAX_LIMIT },
        { "n_state", s->n_state, 0, SHOAL_MAX_STATE },
    };
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        if (counts[i].value < counts[i].low || counts[i].value > counts[i].high)
            return plugin_refuse(p, err, "its open() set %s to %d; from %d to %d is possible",
                                 counts[i].name, counts[i].value, counts[i].low, counts[i].high);
    if (s->n_choices == 1)
        return plugin_refuse(p, err, "its open() set n_choices to 1; a choice needs two, and 0 says "
                             "that actions are continuous");
    if (s->n_choices > 0 && s->n_act != 1)
        return plugin_refuse(p, err, "its open() set n_choices to %d and n_act to %d; with choices "
                             "n_act must be 1", s->n_choices, s->n_act);
    if (s->n_state > 0 && !p->table.get_state)
        return plugin_refuse(p, err, "its open() set n_state to %d, but it has no get_state; define it "
                             "or set n_state to 0", s->n_state);
    if (!(s->step_s >= 0) || !isfinite(s->step_s))
        return plugin_refuse(p, err, "its open() set step_s to %g; it must be finite and not "
                             "negative", s->step_s);
    for (int i = 0; i < s->n_act && s->n_choices == 0; i++)
        if (!(s->act_low[i] < s->act_high[i]) || !isfinite(s->act_high[i] - s->act_low[i]))
            return plugin_refuse(p, err, "its open() bounded action %d by [%g, %g]; both must be "
                                 "finite and the first the smaller", i, (double)s->act_low[i],
                                 (double)s->act_high[i]);
    return 0;
}

/* ---- as an environment ---- */

/* The digest of the file goes into the specification, so that all sides have the same. */
static int digest_file(const char *path, char out[ENV_SPEC_HASH_BYTES], struct error *err)
{
    char *data, digits[DIGEST_HEX_BYTES];
    size_t bytes;
    int rc = file_read(path, MAX_LIBRARY_BYTES, &data, &bytes, err);
    if (rc != 0)
        return rc;
    digest_sha256_hex(data, bytes, digits);
    free(data);
    snprintf(out, ENV_SPEC_HASH_BYTES, "%.*s", ENV_SPEC_HASH_BYTES - 1, digits);
    return 0;
}

struct model {
    const struct plugin *plugin;
    void *shared;    /* the plug-in's own */
};

struct instance {
    const struct shoal_environment *table;
    void *self;      /* the plug-in's own */
};

static void close_shared(const struct plugin *p, void *shared)
{
    if (p->table.close)
        p->table.close(shared);
}

/* Random numbers as the plug-in sees them. */
struct randomness {
    struct shoal_random seen;    /* first: the plug-in's pointer is this struct's */
    struct rng *rng;
};

static double draw_uniform(struct shoal_random *r, double low, double high)
{
    return rng_uniform(((struct randomness *)r)->rng, low, high);
}

static double draw_normal(struct shoal_random *r)
{
    return rng_normal(((struct randomness *)r)->rng);
}

/* Whether an episode's beginning can be saved: states that are not finite are refused when they come
 * back, and a run whose actor was lost would wait for it for ever. */
static int try_state(const struct plugin *p, const struct shoal_spec *s, const void *shared,
                     struct error *err)
{
    struct rng rng;
    struct randomness random = { { draw_uniform, draw_normal }, &rng };
    int rc = 0;
    if (s->n_state == 0)
        return 0;
    void *self = p->table.create(shared);
    if (!self)
        return plugin_refuse(p, err, "its create() returned NULL, which it must not");
    double *state = memory_alloc((size_t)s->n_state, sizeof(*state));
    rng_init(&rng, 0, RNG_TEST, 0, 0);
    p->table.reset(self, &random.seen);
    p->table.get_state(self, state);
    for (int i = 0; i < s->n_state && rc == 0; i++)
        if (!isfinite(state[i]))
            rc = plugin_refuse(p, err, "its get_state() set number %d of a new episode to %g; write "
                               "finite numbers only", i, state[i]);
    free(state);
    p->table.destroy(self);
    return rc;
}

/* Call the plug-in's open and check what it says. */
static int describe(const struct plugin *p, const void *options, struct shoal_spec *given, void **shared,
                    struct error *err)
{
    double values[SHOAL_MAX_OPTIONS] = { 0 };
    char said[SHOAL_ERROR_BYTES] = "";
    fenv_t floating;
    memcpy(values, options, p->table.n_options * sizeof(*values));
    fegetenv(&floating);
    const int answer = p->table.open(values, given, shared, said);
    fesetenv(&floating);
    if (answer != 0) {
        said[sizeof(said) - 1] = '\0';
        for (char *c = said; *c; c++)
            if ((unsigned char)*c < ' ' || *c == 127)
                *c = ' ';
        return said[0] ? plugin_refuse(p, err, "%s", said) : plugin_refuse(p, err, "its open() "
                                       "returned %d and did not say why", answer);
    }
    int rc = check_spec(p, given, err);
    if (rc == 0)
        rc = try_state(p, given, *shared, err);
    if (rc != 0)
        close_shared(p, *shared);
    return rc;
}

static int open_plugin(void **model, struct env_spec *spec, const struct env_context *context,
                       struct error *err)
{
    const struct plugin *p = context->handle;
    struct shoal_spec given = { 0 };
    char content[ENV_SPEC_HASH_BYTES];
    void *shared = NULL;
    int rc = digest_file(p->path, content, err);
    if (rc == 0)
        rc = describe(p, context->options, &given, &shared, err);
    if (rc != 0)
        return rc;

    *spec = (struct env_spec){
        .shape = { .n_obs = given.n_obs, .n_act = given.n_act },
        .n_choices = given.n_choices, .time_limit = given.time_limit, .n_state = given.n_state,
        .step_s = given.step_s,
    };
    snprintf(spec->name, sizeof(spec->name), "%s", p->table.name);
    memcpy(spec->content, content, sizeof(content));
    memcpy(spec->act_low, given.act_low, (size_t)given.n_act * sizeof(*given.act_low));
    memcpy(spec->act_high, given.act_high, (size_t)given.n_act * sizeof(*given.act_high));
    struct model *m = memory_alloc(1, sizeof(*m));
    *m = (struct model){ p, shared };
    *model = m;
    return 0;
}

static void close_plugin(void *model)
{
    struct model *m = model;
    close_shared(m->plugin, m->shared);
    free(m);
}

static void *create_instance(const void *model)
{
    const struct model *m = model;
    struct instance *i = memory_alloc(1, sizeof(*i));
    *i = (struct instance){ &m->plugin->table, m->plugin->table.create(m->shared) };
    if (!i->self) {
        fprintf(stderr, "shoal: %s: its create() returned NULL, which it must not\n", m->plugin->path);
        abort();
    }
    return i;
}

static void destroy_instance(void *self)
{
    struct instance *i = self;
    i->table->destroy(i->self);
    free(i);
}

static void reset_instance(void *self, struct rng *rng)
{
    const struct instance *i = self;
    struct randomness random = { { draw_uniform, draw_normal }, rng };
    i->table->reset(i->self, &random.seen);
}

static void step_instance(void *self, const float *action, struct env_step *out)
{
    const struct instance *i = self;
    struct shoal_step step = { 0 };
    i->table->step(i->self, action, &step);
    *out = (struct env_step){ step.reward, step.terminated != 0, step.broken != 0 };
}

static void observe_instance(const void *self, double *obs)
{
    const struct instance *i = self;
    i->table->observe(i->self, obs);
}

static void get_instance_state(const void *self, double *state)
{
    const struct instance *i = self;
    i->table->get_state(i->self, state);
}

static void set_instance_state(void *self, const double *state)
{
    const struct instance *i = self;
    i->table->set_state(i->self, state);
}

void plugin_make_environment(struct plugin *p)
{
    const bool is_saved = p->table.get_state;
    p->ops = (struct environment){
        .name = p->table.name,
        .options = p->rows,
        .n_options = (int)p->table.n_options,
        .options_bytes = p->table.n_options * sizeof(double),
        .open = open_plugin,
        .close = close_plugin,
        .create = create_instance,
        .destroy = destroy_instance,
        .reset = reset_instance,
        .step = step_instance,
        .observe = observe_instance,
        .get_state = is_saved ? get_instance_state : NULL,
        .set_state = is_saved ? set_instance_state : NULL,
    };
}
