/* A learner without a run around it: an algorithm on made-up experience of HalfCheetah's size, for measuring its
 * updates. Off-policy an update is what the training core does: drawing from a ring, normals, the algorithm's
 * step. On-policy it is a step, with its part of the round's beginning. */
#ifndef SHOAL_DEPLOY_BENCH_LEARNER_H
#define SHOAL_DEPLOY_BENCH_LEARNER_H

#include "common/settings.h"
#include "deploy/bench.h"
#include "learner/replay.h"

enum { BENCH_N_OBS = 17, BENCH_N_ACT = 6 };

/* What to measure. The hyper-parameters are Stable-Baselines3's, the preset sb3, with these networks. */
struct bench_case {
    const char *name;               /* "sac 256-256 b256" */
    const struct algorithm *algorithm;
    const char *hidden, *activation;
    int batch_size;
    int n_fragments, horizon;       /* of an on-policy round; 0 off-policy */
};

struct bench_learner {
    const struct bench_case *subject;
    struct arena *arena;
    void *self;
    struct mlp_engine engine;
    double flops;                   /* nominal, of an update: matrix products alone */
    struct settings settings;
    struct algorithm_traits traits;
    void *hyper;
    struct rng sample_rng, update_rng;

    struct replay *replay;          /* off-policy */
    struct replay_draw draw;
    struct batch batch;
    float *noise;

    struct round round;             /* on-policy */
};

/* ERR_CONFIG when the algorithm refuses the case. Neither may be moved while it is in use. */
int bench_learner_create(struct bench_learner *l, const struct bench_case *subject,
                         const struct bench_variant *variant, struct error *err);
void bench_learner_destroy(struct bench_learner *l);

/* One update: a work of struct bench_work, with the learner as context. */
int bench_learner_update(void *learner, struct bench_window *w, struct error *err);

#endif
