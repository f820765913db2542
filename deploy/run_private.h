/* What the files of a run directory share: run.c, and run_schedule.c for schedule.bin and machines.txt. */
#ifndef SHOAL_DEPLOY_RUN_PRIVATE_H
#define SHOAL_DEPLOY_RUN_PRIVATE_H

#include "deploy/run.h"

/* `name` below the run directory, as fopen takes it; NULL with an error. */
FILE *run_open_file(const struct run *r, const char *name, const char *mode, struct error *err);

/* Push everything that waits to the system; what cannot be written is said once. */
void run_flush(struct run *r);

int run_create_schedule(struct run *r, const struct settings *s, struct error *err);

/* Go on with the schedule behind its first `bytes`. Where that cannot be, the run goes on without. */
void run_resume_schedule(struct run *r, uint64_t bytes);

/* A learner begins with `update` updates done: note where it runs, and with what configuration. */
int run_begin_schedule(struct run *r, int64_t update, struct error *err);

#endif
