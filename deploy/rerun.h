/* Repeat a run from its schedule, without its timing: one process, one training core, the run's streams in it.
 *
 * Every fragment is collected again with the version that acted and enters where it entered, so that all that is
 * computed is the same to the bit; the digests in hashes.csv say whether it was. Nothing is written into the run.
 * Evaluations are not played: nothing that is learnt depends on them but where a run with eval.stop_at ends, which
 * the schedule says. */
#ifndef SHOAL_DEPLOY_RERUN_H
#define SHOAL_DEPLOY_RERUN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct rerun_options {
    const char *run;                /* its directory */
    int64_t until;                  /* stop behind so many updates */
    const char *out;                /* where the digests go that were reached, as in hashes.csv; NULL: nowhere */
    int (*stop)(void);              /* asked now and then: not 0 ends it with ERR_INTERRUPTED */
    bool is_quiet;                  /* no progress, no lines */
};

struct rerun_result {
    int64_t n_equal;                /* digests that were compared */
    int64_t n_behind;               /* digests behind the end of the schedule, which nobody can compare */
    int64_t updates, env_steps;     /* reached */
    int64_t n_records, bytes;       /* of the whole schedule */
    int64_t n_learners, n_lives;    /* that were begun */
    bool is_torn, is_finished;      /* the file ends inside a record; the schedule has an end */
    double time_s, run_time_s;      /* run_time_s: of the run itself; 0: not known */
};

/* ERR_DIFFERENT where something came out differently: where first, and what is known to be different here.
 * ERR_MISSING, ERR_CONFIG, ERR_FORMAT where the run cannot be repeated. `out` is filled whatever is returned. */
int rerun_run(const struct rerun_options *o, struct rerun_result *out, struct error *err);

#endif
