/* A task for Shoal, written in C or C++ and built without Shoal.
 *
 * Write one file that defines the function shoal_environment(), build it as a shared library named
 * after the task, and put it into a directory of the environment path:
 *
 *     cc -O2 -shared -fPIC -I PREFIX/include -o tasks/libmine.so mine.c -lm
 *     shoal train mine.yaml env.name=mine --env-path tasks
 *
 * Shoal does the rest: actions arrive inside their bounds, time limits are kept, episode returns are
 * added up, and a number that is not finite ends its episode as truncated and is counted.
 *
 * Threads. shoal_environment, open and close are called by one thread at a time. After open, instances
 * are created and used by any thread, one thread at a time for each instance, several instances at
 * once: what they share must not be written to.
 *
 * Processes. The learner, every actor and every evaluation opens the plug-in for itself. Learner and
 * actors compare a digest of the library file and refuse to work with another one, so copy the file to
 * other machines instead of building it there. Files that a plug-in reads are not compared.
 *
 * Not in a plug-in, at any time: exit, abort over an input, fork, install signal handlers, change the
 * locale, the working directory, the rounding or the flush-to-zero mode (no -ffast-math), read
 * standard input, write to standard output, let a C++ exception out. In reset, step and observe also
 * not: wait, look at a clock, use random numbers other than those given, allocate memory.
 *
 * Copyright (c) Shoal's authors. MIT license, as the whole of Shoal; see LICENSE there. */
#ifndef SHOAL_ENVIRONMENT_H
#define SHOAL_ENVIRONMENT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Goes up when an older plug-in could no longer be understood. Until then struct shoal_environment may
 * get new slots at its end, which older plug-ins leave out, and nothing else here changes. */
#define SHOAL_ENVIRONMENT_VERSION 1

#define SHOAL_MAX_OBS 4096
#define SHOAL_MAX_ACT 64
#define SHOAL_MAX_CHOICES 4096
#define SHOAL_MAX_STATE 65536
#define SHOAL_MAX_OPTIONS 32
#define SHOAL_ERROR_BYTES 256

/* Random numbers from Shoal, which repeat when a run is repeated. Valid during the call only. Call as
 * random->uniform(random, -1, 1). */
struct shoal_random {
    double (*uniform)(struct shoal_random *random, double low, double high);    /* in [low, high) */
    double (*normal)(struct shoal_random *random);                 /* mean 0, standard deviation 1 */
};

/* A number that people set as env.NAME=VALUE or in the section "env" of a configuration. */
struct shoal_option {
    const char *name;    /* lower-case letters, digits and '_', a letter first, at most 40 */
    double value;        /* the default */
    double low, high;    /* what is accepted, both included; finite */
    const char *help;    /* one sentence on one line, without a full stop; may be NULL */
};

/* What Shoal must know of the task; all zero before open fills it. */
struct shoal_spec {
    int32_t n_obs;         /* numbers in an observation, 1 to SHOAL_MAX_OBS */
    int32_t n_act;         /* numbers in an action, 1 to SHOAL_MAX_ACT; 1 for discrete actions */
    int32_t n_choices;     /* discrete actions 0 .. n_choices - 1; 0: actions are continuous */
    int32_t time_limit;    /* steps after which an episode is truncated (not terminated); 0: never */
    int32_t n_state;       /* numbers that get_state writes, at most SHOAL_MAX_STATE; 0 without it */
    double step_s;         /* simulated seconds in a step; 0: not a simulation in time */
    float act_low[SHOAL_MAX_ACT];     /* [n_act] bounds in the task's own units, finite, low < high; */
    float act_high[SHOAL_MAX_ACT];    /* discrete: left alone */
};

/* What a step did; all zero before step fills it. */
struct shoal_step {
    double reward;
    int32_t terminated;    /* 1: the episode ended inside the task (fallen, arrived); never for time */
    int32_t broken;        /* 1: the simulation broke down; the episode is truncated and counted */
};

/* The task. Every slot is required but those that may be NULL. */
struct shoal_environment {
    uint32_t version;    /* SHOAL_ENVIRONMENT_VERSION */
    uint32_t bytes;      /* sizeof(struct shoal_environment) */
    const char *name;    /* letters, digits, '_' and '-', at most 63; the file is libNAME.so */

    const struct shoal_option *options;    /* [n_options]; NULL when there are none */
    uint32_t n_options;                    /* at most SHOAL_MAX_OPTIONS */

    /* Describe the task and load what all instances share.
     *   options  [n_options] values in the order of the table, within their ranges; borrowed
     *   shared   set it to whatever `create` needs; may be left NULL
     *   error    [SHOAL_ERROR_BYTES] what went wrong and what to do, for the operator
     * Returns 0, or anything else after writing to `error` and giving back what it took. May be called
     * again, also before the first `close`. */
    int (*open)(const double *options, struct shoal_spec *spec, void **shared, char *error);

    /* Give back what `open` took, after every instance is destroyed. May be NULL. */
    void (*close)(void *shared);

    /* One instance, which is reset or given a state before anything else. Never NULL: abort when
     * memory is out. Shoal owns it until `destroy`. */
    void *(*create)(const void *shared);
    void (*destroy)(void *self);

    /* Begin an episode, drawing from `random` only. A task that is random inside an episode draws a
     * seed here and keeps its generator in its state. */
    void (*reset)(void *self, struct shoal_random *random);

    /* Advance by one action.
     *   action  [n_act] in the task's units, finite, within the bounds unless somebody replays foreign
     *           actions; discrete: action[0] is the choice, always one of them
     * Not called again after `terminated` or `broken` before the next reset. */
    void (*step)(void *self, const float *action, struct shoal_step *out);

    /* The observation of the current state, [n_obs]; after reset, step and set_state. About -1 to 1
     * is learnt best. */
    void (*observe)(const void *self, double *obs);

    /* The whole state, [n_state], finite: after set_state(get_state()) in another process the episode
     * goes on bit for bit. Both or neither may be NULL; without them a run in mode "sync" that lost an
     * actor begins new episodes and no longer repeats. set_state is given what get_state wrote, and must survive other finite
     * numbers, which may come over the network. */
    void (*get_state)(const void *self, double *state);
    void (*set_state)(void *self, const double *state);
};

#if defined(__GNUC__)
#define SHOAL_EXPORT __attribute__((visibility("default")))
#else
#define SHOAL_EXPORT
#endif

/* The one function that a plug-in defines (in C++ inside extern "C", which this declaration does). What
 * it returns stays as it is until the process ends. */
SHOAL_EXPORT const struct shoal_environment *shoal_environment(void);

#ifdef __cplusplus
}
#endif

#endif
