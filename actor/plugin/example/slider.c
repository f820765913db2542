/* A slider on a rail: push it to the mark and hold it there.
 *
 *   state         position (m, the mark is at 0), speed (m/s)
 *   observation   position, speed
 *   action        force in [-2, 2] N
 *   reward        1 / (1 + 20 position^2), of the position after the step: 1 on the mark
 *   episode       100 steps of 0.1 s; off the rail, beyond 2 m, it terminates
 *   start         position ~ U(-1, 1), speed ~ N(0, 0.1)
 *
 * A whole plug-in for Shoal, to be copied and changed. Build it with
 *     cc -O2 -shared -fPIC -I PREFIX/include -o libslider.so slider.c -lm */
#include <math.h>
#include <shoal/environment.h>
#include <stdlib.h>

static const double STEP_S = 0.1, RAIL_M = 2;

/* What people may set, as env.mass=2. */
enum { MASS, FRICTION, N_OPTIONS };
static const struct shoal_option slider_options[N_OPTIONS] = {
    [MASS] = { "mass", 1, 0.1, 10, "of the slider, in kilograms" },
    [FRICTION] = { "friction", 0.1, 0, 10, "that slows it down, in newtons per metre and second" },
};

/* What all sliders share; only read after open. */
struct rail {
    double mass, friction;
};

/* One slider. */
struct slider {
    const struct rail *rail;
    double position, speed;
};

/* malloc that does not fail. */
static void *take(size_t bytes)
{
    void *memory = malloc(bytes);
    if (!memory)
        abort();
    return memory;
}

static int slider_open(const double *options, struct shoal_spec *spec, void **shared, char *error)
{
    (void)error;    /* for a task that may fail here: snprintf(error, SHOAL_ERROR_BYTES, ...), return -1 */
    struct rail *rail = take(sizeof(*rail));
    rail->mass = options[MASS];
    rail->friction = options[FRICTION];
    *shared = rail;

    spec->n_obs = 2;
    spec->n_act = 1;
    spec->act_low[0] = -2;
    spec->act_high[0] = 2;
    spec->time_limit = 100;
    spec->n_state = 2;
    spec->step_s = STEP_S;
    return 0;
}

static void *slider_create(const void *shared)
{
    struct slider *s = take(sizeof(*s));
    s->rail = shared;
    return s;
}

static void slider_reset(void *self, struct shoal_random *random)
{
    struct slider *s = self;
    s->position = random->uniform(random, -1, 1);
    s->speed = 0.1 * random->normal(random);
}

static void slider_step(void *self, const float *action, struct shoal_step *out)
{
    struct slider *s = self;
    const double force = action[0] - s->rail->friction * s->speed;
    s->speed += STEP_S * force / s->rail->mass;
    s->position += STEP_S * s->speed;
    out->reward = 1 / (1 + 20 * s->position * s->position);
    out->terminated = fabs(s->position) > RAIL_M;
}

static void slider_observe(const void *self, double *obs)
{
    const struct slider *s = self;
    obs[0] = s->position;
    obs[1] = s->speed;
}

static void slider_get_state(const void *self, double *state)
{
    const struct slider *s = self;
    state[0] = s->position;
    state[1] = s->speed;
}

static void slider_set_state(void *self, const double *state)
{
    struct slider *s = self;
    s->position = state[0];
    s->speed = state[1];
}

/* ---- what Shoal asks for ---- */

static const struct shoal_environment slider = {
    .version = SHOAL_ENVIRONMENT_VERSION,
    .bytes = sizeof(slider),
    .name = "slider",
    .options = slider_options,
    .n_options = N_OPTIONS,
    .open = slider_open,
    .close = free,
    .create = slider_create,
    .destroy = free,
    .reset = slider_reset,
    .step = slider_step,
    .observe = slider_observe,
    .get_state = slider_get_state,
    .set_state = slider_set_state,
};

const struct shoal_environment *shoal_environment(void)
{
    return &slider;
}
