/* Pendulum-v1: swing a pendulum up and hold it there.
 *
 *   state         theta (0 is upright, never wrapped), theta'
 *   observation   cos theta, sin theta, theta'
 *   action        torque u in [-2, 2]
 *   reward        -(norm(theta)^2 + 0.1 theta'^2 + 0.001 u^2), of theta and theta' before the step
 *   episode       200 steps, never terminates; theta ~ U(-pi, pi), theta' ~ U(-1, 1)
 *
 * Source: Gymnasium 1.2.3, envs/classic_control/pendulum.py. Actions are float32 there, so NumPy 2
 * evaluates 3 u and 0.001 u^2 in float32 before they meet doubles; so do we. */
#include <math.h>
#include <stdlib.h>

#include "actor/env/registry.h"
#include "common/arena.h"

static const double PI = 3.141592653589793;
static const double DT = 0.05;
static const double MAX_SPEED = 8.0;
static const float MAX_TORQUE = 2.0f;
static const float TORQUE_TERM = 3.0f;      /* 3 / (m l^2), m = 1 */

struct pendulum_options {
    double g;
};

static const struct option options[] = {
    { .name = "g", .type = OPTION_REAL, .offset = offsetof(struct pendulum_options, g),
      .value = "10", .min = -1e300, .max = 1e300, .help = "acceleration of gravity" },
};

struct pendulum {
    double gravity_term;    /* 3 g / (2 l), l = 1 */
    double theta, theta_dot;
};

static int pendulum_open(void **model, struct env_spec *spec, const struct env_context *context,
                         struct error *err)
{
    struct pendulum_options *shared = memory_alloc(1, sizeof(*shared));
    (void)err;
    *shared = *(const struct pendulum_options *)context->options;
    *model = shared;
    *spec = (struct env_spec){
        .name = "Pendulum-v1",
        .shape = { .n_obs = 3, .n_act = 1 },
        .time_limit = 200,
        .n_state = 2,
        .step_s = DT,
        .act_low = { -2 },
        .act_high = { 2 },
    };
    return 0;
}

static void *pendulum_create(const void *model)
{
    const struct pendulum_options *o = model;
    struct pendulum *p = memory_alloc(1, sizeof(*p));
    p->gravity_term = 3 * o->g / 2;
    return p;
}

static void pendulum_reset(void *self, struct rng *rng)
{
    struct pendulum *p = self;
    p->theta = rng_uniform(rng, -PI, PI);
    p->theta_dot = rng_uniform(rng, -1, 1);
}

/* The same angle in [-pi, pi). */
static double normalised(double angle)
{
    double turned = fmod(angle + PI, 2 * PI);
    return (turned < 0 ? turned + 2 * PI : turned) - PI;
}

static void pendulum_step(void *self, const float *action, struct env_step *out)
{
    struct pendulum *p = self;
    const float u = fminf(fmaxf(action[0], -MAX_TORQUE), MAX_TORQUE);
    const double angle = normalised(p->theta);
    const double cost = angle * angle + 0.1 * p->theta_dot * p->theta_dot
                        + (double)(0.001f * (u * u));

    /* Semi-implicit Euler: the new speed moves the angle. */
    double speed = p->theta_dot
                   + (p->gravity_term * sin(p->theta) + (double)(TORQUE_TERM * u)) * DT;
    p->theta_dot = fmin(fmax(speed, -MAX_SPEED), MAX_SPEED);
    p->theta += p->theta_dot * DT;

    *out = (struct env_step){ .reward = -cost };
}

static void pendulum_observe(const void *self, double *obs)
{
    const struct pendulum *p = self;
    obs[0] = cos(p->theta);
    obs[1] = sin(p->theta);
    obs[2] = p->theta_dot;
}

static void pendulum_step_all(void *const *self, int n, const float *actions, struct env_step *out,
                              double *const *obs)
{
    for (int i = 0; i < n; i++) {
        pendulum_step(self[i], actions + i, &out[i]);
        pendulum_observe(self[i], obs[i]);
    }
}

static void pendulum_get_state(const void *self, double *state)
{
    const struct pendulum *p = self;
    state[0] = p->theta;
    state[1] = p->theta_dot;
}

static void pendulum_set_state(void *self, const double *state)
{
    struct pendulum *p = self;
    p->theta = state[0];
    p->theta_dot = state[1];
}

const struct environment pendulum_environment = {
    .name = "Pendulum-v1",
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .options_bytes = sizeof(struct pendulum_options),
    .open = pendulum_open,
    .close = free,
    .create = pendulum_create,
    .destroy = free,
    .reset = pendulum_reset,
    .step = pendulum_step,
    .step_all = pendulum_step_all,
    .observe = pendulum_observe,
    .get_state = pendulum_get_state,
    .set_state = pendulum_set_state,
};
