/* The learner's cores and actor cores in one process under virtual time.
 *
 * The cores and environments are the real ones; time, the network and failures are made up from a
 * seed, so every run is exactly repeatable. */
#ifndef SHOAL_TESTS_SIMULATION_H
#define SHOAL_TESTS_SIMULATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/settings.h"
#include "deploy/evaluator.h"
#include "learner/sac.h"
#include "learner/session.h"
#include "learner/training.h"

struct simulation_setup {
    struct settings settings;
    const struct algorithm *algorithm;    /* with `other_hyper`; NULL: SAC with `hyper` */
    const void *other_hyper;
    struct sac_hyper hyper;
    uint64_t seed;                  /* of delays; nothing that is learnt may depend on it in sync */
    double delay_us, jitter_us;     /* of the network */
    double step_us, step_jitter_us; /* of an actor's vectorised step */
    double update_us;               /* of an update */
    int64_t kill_every_us;          /* an actor, in turn, dies and is replaced; 0: never */
    bool kill_silently;             /* the new one has another name: the old place must time out */
};

struct simulation_result {
    enum training_status status;
    struct training_report report;
    struct session_counts counts;
    char params_sha256[65];         /* of the hash emitted last */
    uint64_t hashes;                /* digest of every hash line emitted, in order */
    struct evaluation evaluation;   /* of the final policy */
    int64_t virtual_us;
    int kills;
};

/* Defaults of the tables, then Pendulum-v1 in `mode` with a small network. */
void simulation_defaults(struct simulation_setup *s, enum mode mode, int actors, int envs);

/* Run to the end, or to `limit_us` of virtual time. */
void simulation_run(const struct simulation_setup *s, int64_t limit_us,
                    struct simulation_result *r);

#endif
