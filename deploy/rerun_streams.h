/* The streams of a run, in this process, made to do again what a schedule says they did.
 *
 * What a stream does follows from its seed, number and life, and for every fragment from the version that acted and
 * the transitions it has; so snapshots are kept until the last record that needs them. One thread. */
#ifndef SHOAL_DEPLOY_RERUN_STREAMS_H
#define SHOAL_DEPLOY_RERUN_STREAMS_H

#include "common/algorithm.h"
#include "deploy/experiment.h"
#include "learner/fragment.h"
#include "learner/schedule.h"

struct rerun_streams;

/* All is borrowed. `data` [bytes] is a whole schedule of this experiment's shape, which is read once here to know
 * which snapshots will be needed. NULL with an error (mode gradients) for an algorithm that no actor can hold. */
struct rerun_streams *rerun_streams_create(const struct experiment *e, const struct env_model *model,
                                           struct fragment_pool *fragments, const void *data, size_t bytes,
                                           struct error *err);
void rerun_streams_destroy(struct rerun_streams **s);

/* Another learner begins: what the one before published is nobody's any more. Before its first version. */
void rerun_streams_begin(struct rerun_streams *s);

/* A version was published; copied where it will be needed. params [n] as the training
 * core publishes them. */
void rerun_streams_publish(struct rerun_streams *s, int64_t version, bool is_random, const float *params, size_t n);

/* Whether the version of a record's fragment is here. */
bool rerun_streams_have(const struct rerun_streams *s, const struct schedule_record *r);

/* Collect the fragments of n records again. They are of one version, which is here, and of different streams; n is
 * at most ACTING_GROUP.
 *   out  [n] passes to the caller. One of which nothing was used is empty, as a refused one is
 * ERR_FORMAT where no stream could have done what a record says. */
int rerun_streams_collect(struct rerun_streams *s, const struct schedule_record *records, int n,
                          struct fragment **out, struct error *err);

/* Mode gradients: the same of one record, whose stream is the first of an actor's. */
int rerun_streams_differentiate(struct rerun_streams *s, const struct schedule_record *r, struct fragment **out,
                                struct error *err);

/* Lives that streams began so far. */
int64_t rerun_streams_lives(const struct rerun_streams *s);

#endif
