/* CartPole-v1: push a cart left or right so that the pole on it stays upright.
 *
 *   state         x, x', theta (0 is upright), theta'
 *   observation   the state
 *   action        0 pushes with -10, 1 with +10
 *   reward        1 each step, also the one that ends it; with sutton_barto_reward 0, and -1 at the end
 *   episode       500 steps; terminates at |x| > 2.4 or |theta| > 12 degrees; start U(-0.05, 0.05)
 *
 * Source: Gymnasium 1.2.3, envs/classic_control/cartpole.py; Barto, Sutton, Anderson 1983. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env/registry.h"
#include "common/arena.h"

static const double GRAVITY = 9.8;
static const double POLE_MASS = 0.1;
static const double TOTAL_MASS = 0.1 + 1.0;
static const double HALF_LENGTH = 0.5;
static const double POLE_MOMENT = 0.1 * 0.5;    /* mass x half length */
static const double FORCE = 10.0;
static const double DT = 0.02;
static const double MAX_X = 2.4;
static const double MAX_ANGLE = 12 * 2 * 3.141592653589793 / 360;

struct cartpole_options {
    bool sutton_barto_reward;
};

static const struct option options[] = {
    { .name = "sutton_barto_reward", .type = OPTION_BOOL,
      .offset = offsetof(struct cartpole_options, sutton_barto_reward), .value = "false",
      .help = "0 for each step and -1 at the end" },
};

struct cartpole {
    bool is_sutton_barto;
    double x, x_dot, theta, theta_dot;
};

static int cartpole_open(void **model, struct env_spec *spec, const struct env_context *context,
                         struct error *err)
{
    struct cartpole_options *shared = memory_alloc(1, sizeof(*shared));
    (void)err;
    *shared = *(const struct cartpole_options *)context->options;
    *model = shared;
    *spec = (struct env_spec){
        .name = "CartPole-v1",
        .shape = { .n_obs = 4, .n_act = 1 },
        .n_choices = 2,
        .time_limit = 500,
        .n_state = 4,
        .step_s = DT,
    };
    return 0;
}

static void *cartpole_create(const void *model)
{
    const struct cartpole_options *o = model;
    struct cartpole *c = memory_alloc(1, sizeof(*c));
    c->is_sutton_barto = o->sutton_barto_reward;
    return c;
}

static void cartpole_set_state(void *self, const double *state)
{
    struct cartpole *c = self;
    c->x = state[0];
    c->x_dot = state[1];
    c->theta = state[2];
    c->theta_dot = state[3];
}

/* The state is the observation. */
static void cartpole_observe(const void *self, double *obs)
{
    const struct cartpole *c = self;
    obs[0] = c->x;
    obs[1] = c->x_dot;
    obs[2] = c->theta;
    obs[3] = c->theta_dot;
}

static void cartpole_reset(void *self, struct rng *rng)
{
    double state[4];
    for (int i = 0; i < 4; i++)
        state[i] = rng_uniform(rng, -0.05, 0.05);
    cartpole_set_state(self, state);
}

static void cartpole_step(void *self, const float *action, struct env_step *out)
{
    struct cartpole *c = self;
    const double force = action[0] >= 1 ? FORCE : -FORCE;
    const double cosine = cos(c->theta), sine = sin(c->theta);
    const double push = (force + POLE_MOMENT * (c->theta_dot * c->theta_dot) * sine) / TOTAL_MASS;
    const double theta_acc = (GRAVITY * sine - cosine * push)
                           / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (cosine * cosine)
                                                             / TOTAL_MASS));
    const double x_acc = push - POLE_MOMENT * theta_acc * cosine / TOTAL_MASS;

    /* Explicit Euler: the old speeds move the places. */
    c->x += DT * c->x_dot;
    c->x_dot += DT * x_acc;
    c->theta += DT * c->theta_dot;
    c->theta_dot += DT * theta_acc;

    const bool terminated = c->x < -MAX_X || c->x > MAX_X || c->theta < -MAX_ANGLE
                         || c->theta > MAX_ANGLE;
    const double reward = c->is_sutton_barto ? (terminated ? -1 : 0) : 1;
    *out = (struct env_step){ .reward = reward, .terminated = terminated };
}

const struct environment cartpole_environment = {
    .name = "CartPole-v1",
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .options_bytes = sizeof(struct cartpole_options),
    .open = cartpole_open,
    .close = free,
    .create = cartpole_create,
    .destroy = free,
    .reset = cartpole_reset,
    .step = cartpole_step,
    .observe = cartpole_observe,
    .get_state = cartpole_observe,
    .set_state = cartpole_set_state,
};
