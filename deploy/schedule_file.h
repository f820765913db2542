/* A run's schedule.bin while it is written.
 *
 * Records wait in memory and go out by schedule_file_flush, or when they are many; on a full disk they wait
 * longer, and no record is ever written in part. One thread at a time. */
#ifndef SHOAL_DEPLOY_SCHEDULE_FILE_H
#define SHOAL_DEPLOY_SCHEDULE_FILE_H

#include "common/error.h"
#include "learner/schedule.h"

struct schedule_file;

/* A new file, or an empty one in its place. */
int schedule_file_create(struct schedule_file **f, const char *path, uint32_t n_streams, uint32_t horizon,
                         struct error *err);

/* Go on behind the first `bytes` of a file; 0: behind the header. The rest is there until something is written in its
 * place. ERR_FORMAT where these bytes are no whole schedule: the file is left as it is. */
int schedule_file_resume(struct schedule_file **f, const char *path, uint64_t bytes, struct error *err);

/* Write what waits, if it can be written, and close. */
void schedule_file_close(struct schedule_file **f);

void schedule_file_write(struct schedule_file *f, const struct schedule_record *r);

/* Returns 0, or ERR_IO: everything, or the rest of it, waits for the next time. */
int schedule_file_flush(struct schedule_file *f, struct error *err);

/* Bytes so far, those that wait included. */
uint64_t schedule_file_bytes(const struct schedule_file *f);

#endif
