/* A training under virtual time with what a test wants to happen in it, and what came of it. */
#ifndef SHOAL_TESTS_TRIAL_H
#define SHOAL_TESTS_TRIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/settings.h"
#include "deploy/simulation.h"

enum { TRIAL_HYPER_BYTES = 1024, TRIAL_FIRST = 64 };

struct trial {
    struct settings settings;
    const struct algorithm *algorithm;
    _Alignas(16) unsigned char hyper[TRIAL_HYPER_BYTES];         /* the algorithm's */
    uint64_t seed;                  /* of delays; nothing that is learnt may depend on it in sync */
    double delay_us, jitter_us;     /* of the network */
    double loss, retransmit_us;     /* of a message */
    double fail_s;                  /* until an actor fails, evenly from 0 to twice that; 0: never */
    bool has_stragglers;            /* steps of some actors take several times as long */
    double step_us, step_jitter_us; /* of an actor's vectorised step */
    double update_us;               /* of an update */
    int64_t staleness;
    int64_t kill_every_us;          /* an actor, in turn, dies and is replaced; 0: never */
    bool kill_silently;             /* the new one has another name: the old place must time out */
    const char *checkpoint;         /* a file; NULL: none */
    int64_t interrupt_at;           /* env_steps from which on, at rest, the learner saves there and ends */
    bool is_resumed;                /* begin with what is there */
    uint64_t hashes_before;         /* of the run so far, when it is resumed */
};

struct trial_result {
    enum training_status status;
    struct training_report report;
    struct session_counts counts;
    struct simulation_counts simulated;
    char params_sha256[65];         /* of the hash emitted last */
    uint64_t hashes;                /* digest of every hash line emitted, in order */
    uint64_t records;               /* digest of the schedule */
    struct evaluation evaluation;   /* of the final policy */
    int64_t virtual_us;
    int64_t kills;
    int64_t scheduled;              /* transitions in the schedule */
    int n_first;
    struct schedule_record first[TRIAL_FIRST];    /* [n_first] of the schedule */
    int64_t out_of_order;           /* fragments that the schedule has twice, or behind a later one */
    int64_t log_lines;              /* of the training core */
};

/* Defaults of the tables and of the algorithm's first preset, then Pendulum-v1 in `mode` with small
 * networks and no evaluations but the last. */
void trial_defaults(struct trial *t, const struct algorithm *algorithm, enum mode mode, int actors, int envs);

/* Run to the end, or to `limit_us` of virtual time. */
void trial_run(const struct trial *t, int64_t limit_us, struct trial_result *r);

/* Fail unless training ended by itself after `total` transitions, each in the schedule once and in its stream's order,
 * and had nothing to skip or to complain about. */
void trial_expect_whole(const struct trial_result *r, int64_t total);

#endif
