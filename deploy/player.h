/* A process of its own that plays evaluations: whatever an environment does there costs that process,
 * not the learner.
 *
 * It is this program again, at the other end of a socket pair; what passes between the two are plain
 * structs. It is started when it is needed, dies with the thread that started it, and Ctrl-C does not
 * reach it. One thread at a time. */
#ifndef SHOAL_DEPLOY_PLAYER_H
#define SHOAL_DEPLOY_PLAYER_H

#include "actor/env.h"
#include "common/policy.h"
#include "deploy/evaluator.h"

struct player_setup {
    const struct env_setup *env;        /* borrowed */
    const struct env_spec *spec;        /* what that must turn out to be; borrowed */
    struct policy_shape shape;
    int episodes;
    uint64_t seed;
    int64_t timeout_ms;                 /* one environment step may take; 0: for ever */
    int (*stop)(void *context);         /* asked while waiting: not 0 ends it */
    void *context;
};

struct player;

struct player *player_create(const struct player_setup *setup);
void player_destroy(struct player **p);

/* As evaluator_play, with `params` [n_params of the shape]. Returns 0, ERR_INTERRUPTED, or another code
 * when there is no result: the process died, hung or could not be started, and `err` tells of what the
 * environment did. The next call starts another process. */
int player_play(struct player *p, const float *params, int64_t number, struct evaluation *out,
                struct error *err);

/* The process: play what comes through socket `fd` until it is closed. */
int player_serve(int fd, struct error *err);

#endif
