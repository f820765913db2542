/* A training under virtual time: the learner's cores and up to thousands of actor cores with their
 * environments in one thread.
 *
 * The cores, the environments and what they compute are the real ones; time, the network and failures are
 * drawn. Every draw is a function of (seed, actor, purpose, number), so a run is repeated exactly by its
 * configuration, and whatever is drawn, nothing that `sync` learns depends on it.
 *
 * An actor acts for up to LOOK_STEPS steps or 10 ms at a stretch before it looks at what has arrived, as its
 * real shell does, and not across the beginning of a fragment. The learner works on one thing at a time: what
 * an update publishes and acknowledges leaves when its time is over. Fragments, acknowledgements and the like
 * keep their order on the way, and what is lost is sent again. Snapshots on the fast path may be lost for good,
 * and an actor takes the newest that has arrived. Evaluations take no time. */
#ifndef SHOAL_DEPLOY_SIMULATION_H
#define SHOAL_DEPLOY_SIMULATION_H

#include "actor/env.h"
#include "common/algorithm.h"
#include "common/settings.h"
#include "deploy/distribution.h"
#include "deploy/evaluator.h"
#include "learner/session.h"
#include "learner/training.h"

/* How long things take, and what goes wrong; see section `simulate` of the settings. */
struct conditions {
    uint64_t seed;
    struct distribution step_us, speed, update_us, up_us, down_us, fail_s, restart_s;
    double loss, retransmit_us;
    int64_t staleness;
};

/* Read section `simulate`; ERR_CONFIG names the option. To be ended by conditions_fini. */
int conditions_read(struct conditions *c, const struct settings *s, bool is_on_policy, struct error *err);
void conditions_fini(struct conditions *c);

/* Everything is borrowed while the simulation lives. */
struct simulation_setup {
    const struct settings *settings;
    const struct algorithm *algorithm;
    const void *hyper;
    struct env_model *model;            /* shared by all actors and evaluations */
    const struct mlp_engine *engine;    /* NULL: the default kernels, the caller alone */
    const struct conditions *conditions;
    int64_t epoch;                      /* of the learner; 0: 1 */
    bool is_resumed;                    /* `load` is called, and streams go on from there */
    /* For tests: every so many microseconds the next actor, in turn, is replaced by a new one at once, in
     * place of what the conditions say. With `are_nameless` the new one has another name, so that the place
     * of the old one must time out. */
    int64_t kill_every_us;
    bool are_nameless;
};

enum simulation_voice { VOICE_TRAINING, VOICE_SESSION, VOICE_ACTOR };

/* Any of them may be NULL. Borrowed during the call. */
struct simulation_out {
    void *context;
    void (*published)(void *context, int64_t version, const float *params, size_t n);
    void (*evaluated)(void *context, int64_t env_steps, const struct evaluation *e, const float *params);
    void (*hash)(void *context, int64_t update, int64_t env_steps, const char *sha256);
    void (*scheduled)(void *context, const struct schedule_record *r);
    void (*log)(void *context, enum simulation_voice voice, const char *line);
    int (*load)(void *context, struct training *t, struct error *err);       /* by training_load */
    int (*restore)(void *context, struct training *t, struct error *err);    /* by training_restore */
};

struct simulation_counts {
    int64_t now_ns;                         /* virtual */
    int64_t events, failures;
    int64_t steps;                          /* of environments, also what was never learnt from */
    int actors;                             /* that live */
    /* Time that this process spent, not virtual. */
    double acting_s, learning_s, evaluating_s;
};

struct simulation;

/* All actors start at time 0. Returns NULL and an error when `load` fails. */
struct simulation *simulation_create(const struct simulation_setup *setup, struct simulation_out out,
                                     struct error *err);
void simulation_destroy(struct simulation **s);

/* The next event. Returns TRAINING_BUSY until the training has ended, then how. */
enum training_status simulation_step(struct simulation *s);

int64_t simulation_now_us(const struct simulation *s);
struct training *simulation_training(struct simulation *s);
void simulation_count(const struct simulation *s, struct simulation_counts *out);
void simulation_session_count(const struct simulation *s, struct session_counts *out);

#endif
