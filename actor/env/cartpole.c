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

/* Instances that are stepped together, number by number; a single step is a group of one. */
enum { GROUP = 16 };
struct group {
    double x[GROUP], x_dot[GROUP], theta[GROUP], theta_dot[GROUP], force[GROUP];
    double cosine[GROUP], sine[GROUP];    /* of theta */
};

static void advance(struct group *g, int n)
{
    for (int i = 0; i < n; i++) {
        g->cosine[i] = cos(g->theta[i]);
        g->sine[i] = sin(g->theta[i]);
    }
    for (int i = 0; i < n; i++) {
        const double cosine = g->cosine[i], sine = g->sine[i], theta_dot = g->theta_dot[i];
        const double push = (g->force[i] + POLE_MOMENT * (theta_dot * theta_dot) * sine) / TOTAL_MASS;
        const double theta_acc = (GRAVITY * sine - cosine * push)
                               / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (cosine * cosine)
                                                                 / TOTAL_MASS));
        const double x_acc = push - POLE_MOMENT * theta_acc * cosine / TOTAL_MASS;

        /* Explicit Euler: the old speeds move the places. */
        g->x[i] += DT * g->x_dot[i];
        g->x_dot[i] += DT * x_acc;
        g->theta[i] += DT * theta_dot;
        g->theta_dot[i] += DT * theta_acc;
    }
}

static void load(struct group *g, int i, const struct cartpole *c, float action)
{
    g->x[i] = c->x;
    g->x_dot[i] = c->x_dot;
    g->theta[i] = c->theta;
    g->theta_dot[i] = c->theta_dot;
    g->force[i] = action >= 1 ? FORCE : -FORCE;
}

static void store(const struct group *g, int i, struct cartpole *c, struct env_step *out)
{
    c->x = g->x[i];
    c->x_dot = g->x_dot[i];
    c->theta = g->theta[i];
    c->theta_dot = g->theta_dot[i];
    const bool terminated = c->x < -MAX_X || c->x > MAX_X || c->theta < -MAX_ANGLE
                         || c->theta > MAX_ANGLE;
    const double reward = c->is_sutton_barto ? (terminated ? -1 : 0) : 1;
    *out = (struct env_step){ .reward = reward, .terminated = terminated };
}

static void cartpole_step(void *self, const float *action, struct env_step *out)
{
    struct group g;
    load(&g, 0, self, action[0]);
    advance(&g, 1);
    store(&g, 0, self, out);
}

static void cartpole_step_all(void *const *self, int n, const float *actions, struct env_step *out,
                              double *const *obs)
{
    struct group g;
    for (int from = 0; from < n; from += GROUP) {
        const int m = n - from < GROUP ? n - from : GROUP;
        for (int i = 0; i < m; i++)
            load(&g, i, self[from + i], actions[from + i]);
        advance(&g, m);
        for (int i = 0; i < m; i++) {
            store(&g, i, self[from + i], &out[from + i]);
            cartpole_observe(self[from + i], obs[from + i]);
        }
    }
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
    .step_all = cartpole_step_all,
    .observe = cartpole_observe,
    .get_state = cartpole_observe,
    .set_state = cartpole_set_state,
};
