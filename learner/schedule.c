/* Header, 24 bytes: "shoal-schedule-2" | n_streams u32 | horizon u32, little endian. For gradients, of all streams of an
 * actor, `horizon` is envs_per_actor times actor.horizon.
 *
 * A record begins with a byte of flags; a flag that is set says that its field follows, in this order:
 *
 *   0x01  UPDATE       varint    updates since the record before; otherwise none
 *   0x02  STREAM       varint    otherwise the one behind the last fragment's, the first behind the last
 *   0x04  LIFE         zigzag    of `life` against the stream's, then varint sequence; otherwise the stream
 *                                goes on in its life: sequence is the one behind its last
 *   0x08  VERSION      zigzag    against the last fragment's; otherwise the same
 *   0x10  TRANSITIONS  varint    otherwise the horizon
 *   0x20  USED         varint    otherwise all transitions
 *   0x40  GRADIENT     a gradient, not a fragment
 *   0x80  OTHER        any other kind, given by the low bits instead; behind it zigzag update against the record
 *                      before, and varints: life, sequence, version, n_used
 *
 * Varints have 7 bits a byte, lowest first; zigzag n is 2n, or -2n - 1 where it is negative. */
#include "learner/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"

static const char MAGIC[16] = "shoal-schedule-2";

enum {
    HAS_UPDATE = 0x01, HAS_STREAM = 0x02, HAS_LIFE = 0x04, HAS_VERSION = 0x08, HAS_TRANSITIONS = 0x10,
    HAS_USED = 0x20, IS_GRADIENT = 0x40, IS_OTHER = 0x80, VARINT_BYTES = 10
};

struct schedule_codec {
    uint32_t n_streams, horizon;
    uint64_t update, version;       /* of the record before, of the last fragment */
    uint32_t next_stream;           /* the one behind the last fragment's */
    struct { uint64_t sequence; uint32_t life; } *streams;    /* [n_streams] what would go on */
};

struct schedule_codec *schedule_codec_create(uint32_t n_streams, uint32_t horizon)
{
    struct schedule_codec *c = memory_alloc(1, sizeof(*c));
    assert(n_streams >= 1 && n_streams <= SCHEDULE_MAX_STREAMS);
    *c = (struct schedule_codec){ .n_streams = n_streams, .horizon = horizon };
    c->streams = memory_alloc(n_streams, sizeof(*c->streams));
    return c;
}

void schedule_codec_destroy(struct schedule_codec **c)
{
    if (!*c)
        return;
    free((*c)->streams);
    free(*c);
    *c = NULL;
}

/* What the next record is encoded against. */
static void remember(struct schedule_codec *c, const struct schedule_record *r)
{
    c->update = r->update;
    if (!schedule_is_entry(r))
        return;
    c->version = r->version;
    c->next_stream = (r->stream + 1) % c->n_streams;
    c->streams[r->stream].life = r->life;
    c->streams[r->stream].sequence = r->sequence + 1;
}

/* ---- writing ---- */

static size_t put(unsigned char *out, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (unsigned char)(v | 0x80);
    out[n++] = (unsigned char)v;
    return n;
}

static uint64_t zigzag(uint64_t difference)
{
    return difference >> 63 ? ~(difference << 1) : difference << 1;
}

static void put_u32(unsigned char *out, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        out[i] = (unsigned char)(v >> 8 * i);
}

size_t schedule_encode_header(const struct schedule_codec *c, unsigned char out[SCHEDULE_HEADER_BYTES])
{
    memcpy(out, MAGIC, sizeof(MAGIC));
    put_u32(out + 16, c->n_streams);
    put_u32(out + 20, c->horizon);
    return SCHEDULE_HEADER_BYTES;
}

/* A fragment or a gradient. */
static size_t encode_fragment(const struct schedule_codec *c, const struct schedule_record *r, unsigned char *out)
{
    const uint32_t life = c->streams[r->stream].life;
    const bool goes_on = r->life == life && r->sequence == c->streams[r->stream].sequence;
    /* Updates never go back between fragments of one learner; a difference below 0 is a huge one. */
    const unsigned flags = (r->update != c->update ? HAS_UPDATE : 0) | (r->stream != c->next_stream ? HAS_STREAM : 0)
                         | (goes_on ? 0 : HAS_LIFE) | (r->version != c->version ? HAS_VERSION : 0)
                         | (r->n_transitions != c->horizon ? HAS_TRANSITIONS : 0)
                         | (r->n_used != r->n_transitions ? HAS_USED : 0)
                         | (r->kind == SCHEDULE_GRADIENT ? IS_GRADIENT : 0);
    size_t n = 0;
    out[n++] = (unsigned char)flags;
    if (flags & HAS_UPDATE)
        n += put(out + n, r->update - c->update);
    if (flags & HAS_STREAM)
        n += put(out + n, r->stream);
    if (flags & HAS_LIFE) {
        n += put(out + n, zigzag((uint64_t)r->life - life));
        n += put(out + n, r->sequence);
    }
    if (flags & HAS_VERSION)
        n += put(out + n, zigzag(r->version - c->version));
    if (flags & HAS_TRANSITIONS)
        n += put(out + n, r->n_transitions);
    if (flags & HAS_USED)
        n += put(out + n, r->n_used);
    return n;
}

static size_t encode_other(const struct schedule_codec *c, const struct schedule_record *r, unsigned char *out)
{
    size_t n = 0;
    out[n++] = (unsigned char)(IS_OTHER | (unsigned)r->kind);
    n += put(out + n, zigzag(r->update - c->update));
    n += put(out + n, r->life);
    n += put(out + n, r->sequence);
    n += put(out + n, r->version);
    n += put(out + n, r->n_used);
    return n;
}

size_t schedule_encode(struct schedule_codec *c, const struct schedule_record *r,
                       unsigned char out[SCHEDULE_MAX_RECORD_BYTES])
{
    assert(r->stream < c->n_streams);
    const bool is_fragment = schedule_is_entry(r);
    const size_t n = is_fragment ? encode_fragment(c, r, out) : encode_other(c, r, out);
    remember(c, r);
    return n;
}

/* ---- reading ---- */

static uint32_t get_u32(const unsigned char *in)
{
    return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

void schedule_reader_init(struct schedule_reader *s, const void *data, size_t size)
{
    *s = (struct schedule_reader){ .data = data, .size = size };
    if (size < SCHEDULE_HEADER_BYTES || memcmp(data, MAGIC, sizeof(MAGIC)) != 0) {
        s->problem = "it does not begin as schedules of this version of shoal do";
        return;
    }
    s->n_streams = get_u32(s->data + 16);
    s->horizon = get_u32(s->data + 20);
    s->at = SCHEDULE_HEADER_BYTES;
    if (s->n_streams < 1 || s->n_streams > SCHEDULE_MAX_STREAMS || s->horizon < 1)
        s->problem = "its header gives a number of streams or a horizon that cannot be";
    else
        s->codec = schedule_codec_create(s->n_streams, s->horizon);
}

void schedule_reader_fini(struct schedule_reader *s)
{
    schedule_codec_destroy(&s->codec);
}

/* One record's bytes on their way; what cannot be read is 0, and said once. */
struct bytes_left {
    const unsigned char *at, *end;
    bool is_cut;
    const char *problem;
};

static uint64_t get(struct bytes_left *b)
{
    uint64_t v = 0;
    for (int i = 0; i < VARINT_BYTES; i++) {
        if (b->at == b->end) {
            b->is_cut = true;
            return 0;
        }
        const uint64_t byte = *b->at++;
        /* The tenth byte has room for one bit. */
        if (i == VARINT_BYTES - 1 && byte > 1)
            break;
        v |= (byte & 0x7f) << 7 * i;
        if (byte < 0x80)
            return v;
    }
    b->problem = "it holds a number of more than 64 bits";
    return 0;
}

static uint64_t get_zigzag(struct bytes_left *b)
{
    const uint64_t v = get(b);
    return v & 1 ? ~(v >> 1) : v >> 1;
}

static uint32_t get_below(struct bytes_left *b, uint64_t end, const char *problem)
{
    const uint64_t v = get(b);
    if (v >= end)
        b->problem = problem;
    return v < end ? (uint32_t)v : 0;
}

static void decode_fragment(const struct schedule_codec *c, unsigned flags, struct bytes_left *b,
                            struct schedule_record *r)
{
    const uint64_t all = (uint64_t)1 << 32;
    *r = (struct schedule_record){ .kind = flags & IS_GRADIENT ? SCHEDULE_GRADIENT : SCHEDULE_FRAGMENT };
    r->update = c->update + (flags & HAS_UPDATE ? get(b) : 0);
    r->stream = flags & HAS_STREAM ? get_below(b, c->n_streams, "it names a stream that the run does not have")
                                   : c->next_stream;
    r->life = c->streams[r->stream].life;
    r->sequence = c->streams[r->stream].sequence;
    if (flags & HAS_LIFE) {
        const uint64_t life = r->life + get_zigzag(b);
        if (life >= all)
            b->problem = "it holds a life that cannot be";
        r->life = (uint32_t)life;
        r->sequence = get(b);
    }
    r->version = c->version + (flags & HAS_VERSION ? get_zigzag(b) : 0);
    r->n_transitions = flags & HAS_TRANSITIONS ? get_below(b, (uint64_t)c->horizon + 1,
                                                           "it holds a fragment longer than the horizon")
                                               : c->horizon;
    r->n_used = flags & HAS_USED ? get_below(b, (uint64_t)r->n_transitions + 1,
                                             "more of a fragment was used than it has")
                                 : r->n_transitions;
}

static void decode_other(const struct schedule_codec *c, unsigned flags, struct bytes_left *b,
                         struct schedule_record *r)
{
    const uint64_t all = (uint64_t)1 << 32;
    const unsigned kind = flags & ~(unsigned)IS_OTHER;
    if (kind < SCHEDULE_BEGIN || kind >= SCHEDULE_KINDS) {
        b->problem = "it holds a record of no known kind";
        return;
    }
    *r = (struct schedule_record){ .kind = (enum schedule_kind)kind };
    r->update = c->update + get_zigzag(b);
    r->life = get_below(b, all, "it holds an epoch that cannot be");
    r->sequence = get(b);
    r->version = get(b);
    r->n_used = get_below(b, all, "it holds a number that cannot be");
}

bool schedule_read(struct schedule_reader *s, struct schedule_record *r)
{
    if (s->problem || s->is_torn || s->at == s->size)
        return false;
    struct bytes_left b = { .at = s->data + s->at, .end = s->data + s->size };
    const unsigned flags = *b.at++;
    if (flags & IS_OTHER)
        decode_other(s->codec, flags, &b, r);
    else
        decode_fragment(s->codec, flags, &b, r);
    s->is_torn = b.is_cut;
    s->problem = b.is_cut ? NULL : b.problem;
    if (b.is_cut || b.problem)
        return false;
    remember(s->codec, r);
    s->at = (size_t)(b.at - s->data);
    s->n_records++;
    return true;
}

const char *schedule_kind_word(enum schedule_kind kind)
{
    static const char *const words[SCHEDULE_KINDS] = { "fragment", "gradient", "begin", "save", "return", "end" };
    return words[kind];
}
