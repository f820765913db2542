/* schedule.bin: what entered the training core, where, and everything else that a run's results depend on
 * beside its configuration.
 *
 * A header, then one record behind the other, a few bytes each: what follows from the record before is left
 * out. So a file is read from its beginning, and whoever goes on writing one has read it first. The format is
 * in schedule.c. */
#ifndef SHOAL_LEARNER_SCHEDULE_H
#define SHOAL_LEARNER_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum schedule_kind {
    SCHEDULE_FRAGMENT,      /* a fragment was appended, refused for its contents, or too old */
    SCHEDULE_GRADIENT,      /* a gradient was applied: the same fields */
    SCHEDULE_BEGIN,         /* a learner begins, or goes on from a checkpoint that was made here */
    SCHEDULE_SAVE,          /* a checkpoint was written */
    SCHEDULE_RETURN,        /* after numbers that are not finite, what was learnt is again as it was before */
    SCHEDULE_END            /* the learner ended by itself */
};
enum { SCHEDULE_KINDS = SCHEDULE_END + 1 };

/*                 FRAGMENT, GRADIENT           BEGIN                      RETURN
 *   update        updates done before it       of the checkpoint; 0: none updates done
 *   stream        whose it is                  -                          -
 *   life          of the stream                learner epoch              -
 *   sequence      its number in that life      total_steps                -
 *   version       that acted in it             digest of the configuration  updates of what it returned to
 *   n_transitions as acted                     -                          -
 *   n_used        as learnt from; 0: refused   -                          1: to the last checkpoint,
 *                 or too old                                              0: to where this learner began
 *
 * SAVE and END have `update`; END's n_used is 1 where training ended, 0 where it was interrupted. */
struct schedule_record {
    enum schedule_kind kind;
    uint64_t update;
    uint32_t stream, life;
    uint64_t sequence, version;
    uint32_t n_transitions, n_used;
};

/* Whether it is of a fragment or a gradient. */
static inline bool schedule_is_entry(const struct schedule_record *r)
{
    return r->kind == SCHEDULE_FRAGMENT || r->kind == SCHEDULE_GRADIENT;
}

enum { SCHEDULE_HEADER_BYTES = 24, SCHEDULE_MAX_RECORD_BYTES = 64, SCHEDULE_MAX_STREAMS = 1 << 20 };

/* What both sides remember of the records so far. */
struct schedule_codec;

/* Before the first record. n_streams at most SCHEDULE_MAX_STREAMS; `horizon`: what most fragments (or gradients) have
 * and none has more of. */
struct schedule_codec *schedule_codec_create(uint32_t n_streams, uint32_t horizon);
void schedule_codec_destroy(struct schedule_codec **c);

/* The header of a file, and a record behind the ones before. Return their bytes. The record's stream is one
 * of the run's. */
size_t schedule_encode_header(const struct schedule_codec *c, unsigned char out[SCHEDULE_HEADER_BYTES]);
size_t schedule_encode(struct schedule_codec *c, const struct schedule_record *r,
                       unsigned char out[SCHEDULE_MAX_RECORD_BYTES]);

/* A file in memory, on its way through. Whatever it holds, memory is that of n_streams lives. */
struct schedule_reader {
    struct schedule_codec *codec;
    const unsigned char *data;      /* [size] borrowed */
    size_t size, at;                /* at: behind the last whole record */
    uint32_t n_streams, horizon;
    int64_t n_records;              /* read so far */
    const char *problem;            /* NULL: none. Sticky; nothing is read behind it */
    bool is_torn;                   /* the last record is cut off: a crash, or it is being written */
};

/* Begin at the first record; `problem` is set where the header is none. To be ended by schedule_reader_fini. */
void schedule_reader_init(struct schedule_reader *s, const void *data, size_t size);
void schedule_reader_fini(struct schedule_reader *s);

/* The next whole record. Returns false at the end, at a cut-off tail and at a problem. */
bool schedule_read(struct schedule_reader *s, struct schedule_record *r);

/* A word for a kind, for people. */
const char *schedule_kind_word(enum schedule_kind kind);

#endif
