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
#include "learner/session.h"
#include "learner/training.h"

enum { SIMULATION_HYPER_BYTES = 1024 };

struct simulation_setup {
    struct settings settings;
    const struct algorithm *algorithm;
    _Alignas(16) unsigned char hyper[SIMULATION_HYPER_BYTES];    /* the algorithm's */
    uint64_t seed;                  /* of delays; nothing that is learnt may depend on it in sync */
    double delay_us, jitter_us;     /* of the network */
    double step_us, step_jitter_us; /* of an actor's vectorised step */
    double update_us;               /* of an update */
    int64_t kill_every_us;          /* an actor, in turn, dies and is replaced; 0: never */
    bool kill_silently;             /* the new one has another name: the old place must time out */
    const char *checkpoint;         /* a file; NULL: none */
    int64_t interrupt_at;           /* env_steps from which on, at rest, the learner saves there and ends */
    bool is_resumed;                /* begin with what is there */
    uint64_t hashes_before;         /* of the run so far, when it is resumed */
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
    int64_t scheduled;              /* transitions in the schedule */
    int64_t out_of_order;           /* fragments that the schedule has twice, or behind a later one */
    int64_t log_lines;              /* of the training core */
};

/* Defaults of the tables and of the algorithm's first preset, then Pendulum-v1 in `mode` with small
 * networks and no evaluations but the last. */
void simulation_defaults(struct simulation_setup *s, const struct algorithm *algorithm, enum mode mode,
                         int actors, int envs);

/* Run to the end, or to `limit_us` of virtual time. */
void simulation_run(const struct simulation_setup *s, int64_t limit_us,
                    struct simulation_result *r);

#endif
