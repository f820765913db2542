/* What the training core of a rerun says, against what the run recorded: the records of the schedule and the hashes.
 *
 * The first difference stays as the problem; nothing that comes behind it is looked at for hashes. */
#ifndef SHOAL_DEPLOY_RERUN_CHECK_H
#define SHOAL_DEPLOY_RERUN_CHECK_H

#include <stdbool.h>

#include "deploy/hash_trail.h"
#include "learner/schedule.h"

struct rerun_check {
    struct schedule_reader behind;  /* on what the training core should say next */
    struct schedule_record said;
    bool has_said;
    int64_t n_entered;              /* fragments */
    int64_t until;                  /* updates; hashes behind them do not count */
    struct hash_trail trail;
    struct error problem;           /* the first; code 0: none */
};

/* From the beginning of the schedule; `data` is borrowed. The caller has opened the trail. */
void rerun_check_begin(struct rerun_check *c, const char *data, size_t bytes, int64_t until);
void rerun_check_fini(struct rerun_check *c);

/* A fragment or gradient entered. */
void rerun_check_entered(struct rerun_check *c, const struct schedule_record *found);

/* The parameters behind an update. */
void rerun_check_hash(struct rerun_check *c, int64_t update, int64_t env_steps, const char *sha256);

/* Training returns to a checkpoint, as it must have done in the run. Returns whether there was one. */
bool rerun_check_returned(struct rerun_check *c, int64_t updates);

/* Whether the schedule led to all hashes up to update `until`, or ERR_DIFFERENT. `behind` gets how many follow. */
int rerun_check_left(const struct rerun_check *c, int64_t until, int64_t *behind, struct error *err);

#endif
