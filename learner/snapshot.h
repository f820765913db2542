/* One version of the parameters as the SNAPSHOT message that actors are sent. */
#ifndef SHOAL_LEARNER_SNAPSHOT_H
#define SHOAL_LEARNER_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/frame.h"

/* Bytes of a frame for n parameters; what the pool below must give. */
size_t snapshot_frame_bytes(size_t n);

/* Encode params [n] (copied) into a frame of `pool`; one reference, the caller's. `random`: the
 * warm-up, in which actors do not use them yet. */
struct frame *snapshot_encode(struct frame_pool *pool, uint64_t run, int64_t epoch,
                              int64_t version, bool random, const float *params, size_t n);

#endif
