/* A schedule read once before it is followed: what it holds, and whether it can be followed at all. */
#ifndef SHOAL_DEPLOY_RERUN_SURVEY_H
#define SHOAL_DEPLOY_RERUN_SURVEY_H

#include "common/settings.h"
#include "learner/schedule.h"

struct rerun_outline {
    int64_t n_records;
    uint64_t last_update;           /* of the last record */
    bool has_end;                   /* the last one is an END */
    bool is_torn;                   /* behind it there is part of another one */
    bool has_other_config;          /* a learner began with another configuration than there is now */
};

/* ERR_FORMAT where it is damaged, not of these settings, or of something that cannot be repeated.
 *   config  digest of the configuration now
 *   run     for the errors */
int rerun_survey(struct rerun_outline *o, const struct settings *settings, uint64_t config, const char *run,
                 const void *data, size_t bytes, struct error *err);

/* Transitions that are learnt from before update `until`, or in all of a schedule that was found to be in order. */
int64_t rerun_survey_steps(const void *data, size_t bytes, int64_t until);

#endif
