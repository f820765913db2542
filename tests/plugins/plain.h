/* A task that does nothing wrong, for the plug-ins that do: each includes this, and sets one thing to
 * rights or to wrongs.
 *
 * A point moves by the action; its place is the observation, -|place| the reward, 100 steps an episode. */
#ifndef SHOAL_TESTS_PLUGINS_PLAIN_H
#define SHOAL_TESTS_PLUGINS_PLAIN_H

#include <math.h>
#include <shoal/environment.h>
#include <stdlib.h>

struct plain {
    double place, seed;     /* seed: of what is random inside the episode */
    int steps;              /* of this episode */
};

static double plain_values[SHOAL_MAX_OPTIONS];    /* of the last open: one task in a process */
static long plain_process_steps;                   /* of all instances */

static inline int plain_open(const double *options, struct shoal_spec *spec, int n_options)
{
    for (int i = 0; i < n_options; i++)
        plain_values[i] = options[i];
    spec->n_obs = spec->n_act = 1;
    spec->act_low[0] = -1;
    spec->act_high[0] = 1;
    spec->time_limit = 100;
    spec->n_state = 3;
    return 0;
}

static inline void *plain_create(const void *shared)
{
    (void)shared;
    void *self = calloc(1, sizeof(struct plain));
    if (!self)
        abort();
    return self;
}

static inline void plain_reset(void *self, struct shoal_random *random)
{
    struct plain *p = self;
    p->place = random->uniform(random, -1, 1);
    p->seed = floor(random->uniform(random, 0, 65536));
    p->steps = 0;
}

static inline void plain_step(void *self, const float *action, struct shoal_step *out)
{
    struct plain *p = self;
    p->place = fmax(-2, fmin(2, p->place + 0.1 * (double)action[0]));
    p->steps++;
    plain_process_steps++;
    out->reward = -fabs(p->place);
}

static inline void plain_observe(const void *self, double *obs)
{
    obs[0] = ((const struct plain *)self)->place;
}

static inline void plain_get_state(const void *self, double *state)
{
    const struct plain *p = self;
    state[0] = p->place;
    state[1] = p->seed;
    state[2] = p->steps;
}

static inline void plain_set_state(void *self, const double *state)
{
    struct plain *p = self;
    p->place = state[0];
    p->seed = state[1];
    p->steps = (int)fmax(0, fmin(1e9, state[2]));
}

/* Uniform in [0, 1), from the episode's own generator, whose state is saved with it. */
static inline double plain_draw(struct plain *p)
{
    p->seed = fmod(p->seed * 75 + 74, 65537);
    return p->seed / 65537;
}

#define PLAIN_TABLE(name_, options_, open_, step_) { \
    .version = SHOAL_ENVIRONMENT_VERSION, .bytes = sizeof(struct shoal_environment), .name = name_, \
    .options = options_, .n_options = sizeof(options_) / sizeof(*(options_)), .open = open_, \
    .create = plain_create, .destroy = free, .reset = plain_reset, .step = step_, \
    .observe = plain_observe, .get_state = plain_get_state, .set_state = plain_set_state }

#define PLAIN_EXPORT(table) \
    const struct shoal_environment *shoal_environment(void) { return &(table); }

/* A step misbehaves when its count, in the episode or in the process, goes beyond a number. */
#define PLAIN_AFTER \
    { "after", 200, 0, 1e9, "steps of this process until it may misbehave" }, \
    { "after_in_episode", 0, 0, 1e9, "steps of the episode until it may misbehave" }, \
    { "chance", 1, 0, 1, "probability of misbehaving in each step from then on" }
enum { AFTER, AFTER_IN_EPISODE, CHANCE, N_AFTER };

static inline int plain_is_due(struct plain *p)
{
    const double drawn = plain_draw(p);
    return (double)plain_process_steps > plain_values[AFTER]
        && p->steps > plain_values[AFTER_IN_EPISODE] && drawn < plain_values[CHANCE];
}

#endif
