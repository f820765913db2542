#include "learner/snapshot.h"

#include "common/digest.h"
#include "proto/message.h"

size_t snapshot_frame_bytes(size_t n)
{
    return MESSAGE_HEADER_BYTES + n * sizeof(float);
}

struct frame *snapshot_encode(struct frame_pool *pool, uint64_t run, int64_t epoch,
                              int64_t version, bool random, const float *params, size_t n)
{
    struct message m;
    message_init(&m, MESSAGE_SNAPSHOT);
    m.snapshot.run = run;
    m.snapshot.epoch = epoch;
    m.snapshot.version = version;
    m.snapshot.random = random;
    m.snapshot.parameters = (struct bytes){ (const unsigned char *)params, n * sizeof(float) };
    m.snapshot.checksum = digest_crc32(params, n * sizeof(float));
    struct frame *f = frame_pool_take(pool);
    f->size = message_encode(&m, f->data, frame_capacity(f));
    return f;
}
