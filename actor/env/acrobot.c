/* Acrobot-v1: swing the tip of a two-link pendulum above a line, driven at its elbow only.
 *
 *   state         theta1 (0 hangs down), theta2 (of the second link to the first), their velocities
 *   observation   cosine and sine of both, velocities
 *   action        0, 1, 2: torque -1, 0, 1 at the elbow
 *   reward        -1 each step, 0 on the one that ends it
 *   episode       500 steps; terminates when the tip is higher than 1 above the shoulder; start
 *                 U(-0.1, 0.1) in everything, rounded to float32
 *
 * Source: Gymnasium 1.2.3, envs/classic_control/acrobot.py (its "book" dynamics); Sutton 1996. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env/registry.h"
#include "common/arena.h"

static const double PI = 3.141592653589793;
static const double GRAVITY = 9.8;
static const double DT = 0.2;
static const double MAX_ANGLE = 1e6;     /* before it is wrapped; own states stay below 10 */
static const double L1 = 1.0;            /* length of the first link; masses and inertias are 1 */
static const double LC1 = 0.5, LC2 = 0.5;    /* to the centres of mass */

struct acrobot {
    double s[4];    /* theta1, theta2, theta1', theta2' */
};

static int acrobot_open(void **model, struct env_spec *spec, const struct env_context *context,
                        struct error *err)
{
    (void)model, (void)context, (void)err;
    *spec = (struct env_spec){
        .name = "Acrobot-v1",
        .shape = { .n_obs = 6, .n_act = 1 },
        .n_choices = 3,
        .time_limit = 500,
        .n_state = 4,
        .step_s = DT,
    };
    return 0;
}

static void acrobot_close(void *model)
{
    (void)model;
}

static void *acrobot_create(const void *model)
{
    (void)model;
    return memory_alloc(1, sizeof(struct acrobot));
}

static void acrobot_reset(void *self, struct rng *rng)
{
    struct acrobot *a = self;
    for (int i = 0; i < 4; i++)
        a->s[i] = (double)(float)rng_uniform(rng, -0.1, 0.1);
}

/* ds/dt under a torque, with masses, inertias and l1 = 1. */
static void derivative(const double s[4], double torque, double ds[4])
{
    const double theta1 = s[0], theta2 = s[1], w1 = s[2], w2 = s[3];
    const double d1 = LC1 * LC1 + (L1 * L1 + LC2 * LC2 + 2 * L1 * LC2 * cos(theta2)) + 1.0 + 1.0;
    const double d2 = (LC2 * LC2 + L1 * LC2 * cos(theta2)) + 1.0;
    const double phi2 = LC2 * GRAVITY * cos(theta1 + theta2 - PI / 2.0);
    const double phi1 = -L1 * LC2 * (w2 * w2) * sin(theta2)
                      - 2 * L1 * LC2 * w2 * w1 * sin(theta2)
                      + (LC1 + L1) * GRAVITY * cos(theta1 - PI / 2) + phi2;
    const double a2 = (torque + d2 / d1 * phi1 - L1 * LC2 * (w1 * w1) * sin(theta2) - phi2)
                    / (LC2 * LC2 + 1.0 - d2 * d2 / d1);
    ds[0] = w1;
    ds[1] = w2;
    ds[2] = -(d2 * a2 + phi1) / d1;
    ds[3] = a2;
}

/* s + h k */
static void along(const double s[4], double h, const double k[4], double out[4])
{
    for (int i = 0; i < 4; i++)
        out[i] = s[i] + h * k[i];
}

/* One step of the classical Runge-Kutta method. */
static void runge_kutta(double s[4], double torque)
{
    double k1[4], k2[4], k3[4], k4[4], at[4];
    derivative(s, torque, k1);
    along(s, DT / 2, k1, at);
    derivative(at, torque, k2);
    along(s, DT / 2, k2, at);
    derivative(at, torque, k3);
    along(s, DT, k3, at);
    derivative(at, torque, k4);
    for (int i = 0; i < 4; i++)
        s[i] += DT / 6.0 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
}

static double wrapped(double angle)
{
    while (angle > PI)
        angle -= 2 * PI;
    while (angle < -PI)
        angle += 2 * PI;
    return angle;
}

static double within(double x, double limit)
{
    return fmin(fmax(x, -limit), limit);
}

static void acrobot_step(void *self, const float *action, struct env_step *out)
{
    struct acrobot *a = self;
    runge_kutta(a->s, (double)action[0] - 1);
    /* Only a foreign state leads there, and 2 PI less would be the same number or nearly for ever. */
    if (!(fabs(a->s[0]) < MAX_ANGLE && fabs(a->s[1]) < MAX_ANGLE)) {
        *out = (struct env_step){ .diverged = true };
        return;
    }
    a->s[0] = wrapped(a->s[0]);
    a->s[1] = wrapped(a->s[1]);
    a->s[2] = within(a->s[2], 4 * PI);
    a->s[3] = within(a->s[3], 9 * PI);
    const bool is_up = -cos(a->s[0]) - cos(a->s[1] + a->s[0]) > 1.0;
    *out = (struct env_step){ .reward = is_up ? 0 : -1, .terminated = is_up };
}

static void acrobot_observe(const void *self, double *obs)
{
    const struct acrobot *a = self;
    obs[0] = cos(a->s[0]);
    obs[1] = sin(a->s[0]);
    obs[2] = cos(a->s[1]);
    obs[3] = sin(a->s[1]);
    obs[4] = a->s[2];
    obs[5] = a->s[3];
}

static void acrobot_step_all(void *const *self, int n, const float *actions, struct env_step *out,
                             double *const *obs)
{
    for (int i = 0; i < n; i++) {
        acrobot_step(self[i], actions + i, &out[i]);
        acrobot_observe(self[i], obs[i]);
    }
}

static void acrobot_get_state(const void *self, double *state)
{
    memcpy(state, self, sizeof(struct acrobot));
}

static void acrobot_set_state(void *self, const double *state)
{
    memcpy(self, state, sizeof(struct acrobot));
}

const struct environment acrobot_environment = {
    .name = "Acrobot-v1",
    .open = acrobot_open,
    .close = acrobot_close,
    .create = acrobot_create,
    .destroy = free,
    .reset = acrobot_reset,
    .step = acrobot_step,
    .step_all = acrobot_step_all,
    .observe = acrobot_observe,
    .get_state = acrobot_get_state,
    .set_state = acrobot_set_state,
};
