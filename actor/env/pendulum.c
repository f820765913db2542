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
#include <string.h>

#include "actor/env/registry.h"
#include "common/arena.h"

static const double PI = 3.141592653589793;
static const double DT = 0.05;
static const double MAX_SPEED = 8.0;
static const double GRAVITY_TERM = 15.0;    /* 3 g / (2 l), g = 10, l = 1 */
static const float TORQUE_TERM = 3.0f;      /* 3 / (m l^2), m = 1 */

struct pendulum {
    double theta, theta_dot;
};

static int pendulum_open(void **model, struct env_spec *spec, const struct env_context *context,
                         struct error *err)
{
    (void)model, (void)context, (void)err;
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

static void pendulum_close(void *model)
{
    (void)model;
}

static void *pendulum_create(const void *model)
{
    (void)model;
    return memory_alloc(1, sizeof(struct pendulum));
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
    const float u = action[0];
    const double angle = normalised(p->theta);
    const double cost = angle * angle + 0.1 * p->theta_dot * p->theta_dot
                        + (double)(0.001f * (u * u));

    /* Semi-implicit Euler: the new speed moves the angle. */
    double speed = p->theta_dot
                   + (GRAVITY_TERM * sin(p->theta) + (double)(TORQUE_TERM * u)) * DT;
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

static void pendulum_get_state(const void *self, double *state)
{
    memcpy(state, self, sizeof(struct pendulum));
}

static void pendulum_set_state(void *self, const double *state)
{
    memcpy(self, state, sizeof(struct pendulum));
}

const struct environment pendulum_environment = {
    .name = "Pendulum-v1",
    .open = pendulum_open,
    .close = pendulum_close,
    .create = pendulum_create,
    .destroy = free,
    .reset = pendulum_reset,
    .step = pendulum_step,
    .observe = pendulum_observe,
    .get_state = pendulum_get_state,
    .set_state = pendulum_set_state,
};
