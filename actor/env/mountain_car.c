/* MountainCarContinuous-v0: drive a weak car out of a valley by swinging back first.
 *
 *   state         position p in [-1.2, 0.6], velocity v in [-0.07, 0.07]
 *   observation   the state
 *   action        force in [-1, 1], times 0.0015
 *   reward        100 at the goal - 0.1 a^2
 *   episode       999 steps; terminates at p >= 0.45 with v >= goal_velocity; start p ~ U(-0.6, -0.4),
 *                 v = 0
 *
 * Source: Gymnasium 1.2.3, envs/classic_control/continuous_mountain_car.py. It keeps its state in
 * float32 after each step, and under NumPy 2 the arithmetic of a step is float32 when its state is,
 * with a clipped force in double; only a reset leaves a state in double. A state that float32 cannot
 * hold is therefore one that a reset drew. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env/registry.h"
#include "common/arena.h"

static const double POWER = 0.0015;
static const double SLOPE = 0.0025;
static const double MAX_SPEED = 0.07;
static const double LEFT = -1.2, RIGHT = 0.6, GOAL = 0.45;

struct mountain_car_options {
    double goal_velocity;
};

static const struct option options[] = {
    { .name = "goal_velocity", .type = OPTION_REAL,
      .offset = offsetof(struct mountain_car_options, goal_velocity), .value = "0", .min = -1e300,
      .max = 1e300, .help = "least velocity at the goal" },
};

struct mountain_car {
    double goal_velocity;
    double position, velocity;
};

static int mountain_car_open(void **model, struct env_spec *spec,
                             const struct env_context *context, struct error *err)
{
    struct mountain_car_options *shared = memory_alloc(1, sizeof(*shared));
    (void)err;
    *shared = *(const struct mountain_car_options *)context->options;
    *model = shared;
    *spec = (struct env_spec){
        .name = "MountainCarContinuous-v0",
        .shape = { .n_obs = 2, .n_act = 1 },
        .time_limit = 999,
        .n_state = 2,
        .step_s = 1.0 / 30,
        .act_low = { -1 },
        .act_high = { 1 },
    };
    return 0;
}

static void *mountain_car_create(const void *model)
{
    const struct mountain_car_options *o = model;
    struct mountain_car *c = memory_alloc(1, sizeof(*c));
    c->goal_velocity = o->goal_velocity;
    return c;
}

static void mountain_car_reset(void *self, struct rng *rng)
{
    struct mountain_car *c = self;
    c->position = rng_uniform(rng, -0.6, -0.4);
    c->velocity = 0;
}

static bool fits_float(double x)
{
    return (double)(float)x == x;
}

/* One step from a state in double. Returns whether it ended at the goal. */
static bool step_double(struct mountain_car *c, float a)
{
    const double slope = SLOPE * cos(3 * c->position);
    const bool is_clipped = a < -1 || a > 1;
    const double change = is_clipped ? (a < 0 ? -1.0 : 1.0) * POWER - slope
                                     : (double)(a * (float)POWER - (float)slope);
    double v = c->velocity + change;
    v = v > MAX_SPEED ? MAX_SPEED : v < -MAX_SPEED ? -MAX_SPEED : v;
    double p = c->position + v;
    p = p > RIGHT ? RIGHT : p < LEFT ? LEFT : p;
    if (p == LEFT && v < 0)
        v = 0;
    c->position = (double)(float)p;
    c->velocity = (double)(float)v;
    return p >= GOAL && v >= c->goal_velocity;
}

/* The same in float32. */
static bool step_float(struct mountain_car *c, float a)
{
    const float max_speed = (float)MAX_SPEED, left = (float)LEFT, right = (float)RIGHT;
    const double slope = SLOPE * cos((double)(3 * (float)c->position));
    const bool is_clipped = a < -1 || a > 1;
    const float change = is_clipped ? (float)((a < 0 ? -1.0 : 1.0) * POWER - slope)
                                    : a * (float)POWER - (float)slope;
    float v = (float)c->velocity + change;
    v = v > max_speed ? max_speed : v < -max_speed ? -max_speed : v;
    float p = (float)c->position + v;
    p = p > right ? right : p < left ? left : p;
    if (p == left && v < 0)
        v = 0;
    c->position = (double)p;
    c->velocity = (double)v;
    return p >= (float)GOAL && v >= (float)c->goal_velocity;
}

static void mountain_car_step(void *self, const float *action, struct env_step *out)
{
    struct mountain_car *c = self;
    const double a = (double)action[0];
    const bool terminated = fits_float(c->position) && fits_float(c->velocity)
                          ? step_float(c, action[0]) : step_double(c, action[0]);
    *out = (struct env_step){ .reward = (terminated ? 100.0 : 0.0) - a * a * 0.1,
                              .terminated = terminated };
}

/* The state is the observation. */
static void mountain_car_observe(const void *self, double *obs)
{
    const struct mountain_car *c = self;
    obs[0] = c->position;
    obs[1] = c->velocity;
}

static void mountain_car_set_state(void *self, const double *state)
{
    struct mountain_car *c = self;
    c->position = state[0];
    c->velocity = state[1];
}

static void mountain_car_step_all(void *const *self, int n, const float *actions, struct env_step *out,
                                  double *const *obs)
{
    for (int i = 0; i < n; i++) {
        mountain_car_step(self[i], actions + i, &out[i]);
        mountain_car_observe(self[i], obs[i]);
    }
}

const struct environment mountain_car_environment = {
    .name = "MountainCarContinuous-v0",
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .options_bytes = sizeof(struct mountain_car_options),
    .open = mountain_car_open,
    .close = free,
    .create = mountain_car_create,
    .destroy = free,
    .reset = mountain_car_reset,
    .step = mountain_car_step,
    .step_all = mountain_car_step_all,
    .observe = mountain_car_observe,
    .get_state = mountain_car_observe,
    .set_state = mountain_car_set_state,
};
