#include "proto/message.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "proto/wire.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "bytes fields are little-endian");

/* ---- the tables ---- */

enum kind { U64, INT, REAL, BOOL, TEXT, RAW, U32S, I64S, F32S, F64S };    /* from RAW on: struct bytes */

static const size_t element_bytes[] = { [RAW] = 1, [U32S] = 4, [I64S] = 8, [F32S] = 4, [F64S] = 8 };

struct field {
    const char *key;
    enum kind kind;
    bool required;
    size_t offset;          /* in struct message */
    int64_t min, max;       /* U64: min only; INT, REAL; TEXT: bytes; U32S, I64S: each element */
    size_t max_elements;    /* of struct bytes */
};

#define MUST true
#define MAY false
#define FIELD(kind, need, type, member, min, max, elements) \
    { #member, kind, need, offsetof(struct message, type.member), min, max, elements }
#define ID_FIELD(need, type, member, min) FIELD(U64, need, type, member, min, 0, 0)
#define INT_FIELD(need, type, member, min, max) FIELD(INT, need, type, member, min, max, 0)
#define REAL_FIELD(need, type, member, min, max) FIELD(REAL, need, type, member, min, max, 0)
#define BOOL_FIELD(need, type, member) FIELD(BOOL, need, type, member, 0, 0, 0)
#define TEXT_FIELD(need, type, member, min) \
    FIELD(TEXT, need, type, member, min, sizeof(((struct message *)NULL)->type.member) - 1, 0)

/* Numbers of things that are counted for as long as a run lasts; exact in a double. */
#define MAX_COUNT ((int64_t)1 << 53)

enum {
    MAX_STREAM = 1000000, MAX_OBS = 4096, MAX_ACT = 64, MAX_CHOICES = 4096, MAX_CREDIT = 4096,
    MAX_MS = 10000000, MAX_WIDTH = 65536, MAX_PROTOCOL = 1000000,
    MAX_NOISE = 1000000, MAX_METRICS = 64,
    ANY = 0x7fffffff        /* elements: as many as the frame holds */
};

static const struct field hello_fields[] = {
    INT_FIELD(MUST, hello, protocol, 0, MAX_PROTOCOL),
    ID_FIELD(MUST, hello, incarnation, 1),
    TEXT_FIELD(MUST, hello, name, 1),
    TEXT_FIELD(MUST, hello, program, 0),
    TEXT_FIELD(MUST, hello, cpu, 0),
    TEXT_FIELD(MAY, hello, spec, 0),
};

static const struct field welcome_fields[] = {
    INT_FIELD(MUST, welcome, protocol, 0, MAX_PROTOCOL),
    ID_FIELD(MUST, welcome, run, 0),
    ID_FIELD(MUST, welcome, incarnation, 1),
    ID_FIELD(MUST, welcome, seed, 0),
    INT_FIELD(MUST, welcome, epoch, 0, MAX_COUNT),
    TEXT_FIELD(MUST, welcome, algorithm, 1),
    TEXT_FIELD(MUST, welcome, mode, 1),
    TEXT_FIELD(MUST, welcome, environment, 1),
    TEXT_FIELD(MUST, welcome, spec, 1),
    TEXT_FIELD(MUST, welcome, options, 0),
    INT_FIELD(MUST, welcome, n_obs, 1, MAX_OBS),
    INT_FIELD(MUST, welcome, n_act, 1, MAX_ACT),
    INT_FIELD(MUST, welcome, n_choices, 0, MAX_CHOICES),
    INT_FIELD(MUST, welcome, horizon, 1, MESSAGE_MAX_HORIZON),
    INT_FIELD(MUST, welcome, credit, 1, MAX_CREDIT),
    INT_FIELD(MUST, welcome, heartbeat_ms, 1, MAX_MS),
    INT_FIELD(MUST, welcome, liveness_ms, 1, MAX_MS),
    INT_FIELD(MAY, welcome, step_timeout_ms, 1, MAX_MS),
    INT_FIELD(MAY, welcome, lag, 0, 1),
    INT_FIELD(MAY, welcome, max_staleness, 1, MAX_COUNT),
    INT_FIELD(MUST, welcome, snapshot_port, 0, 65535),
    TEXT_FIELD(MUST, welcome, head, 1),
    TEXT_FIELD(MUST, welcome, activation, 1),
    BOOL_FIELD(MUST, welcome, layer_norm),
    TEXT_FIELD(MUST, welcome, exploration, 1),
    REAL_FIELD(MUST, welcome, sigma, 0, MAX_NOISE),
    REAL_FIELD(MUST, welcome, theta, 0, MAX_NOISE),
    REAL_FIELD(MUST, welcome, dt, 0, MAX_NOISE),
    BOOL_FIELD(MUST, welcome, whole_episodes),
    BOOL_FIELD(MUST, welcome, normalises),
    BOOL_FIELD(MUST, welcome, wants_state),
    TEXT_FIELD(MAY, welcome, algorithm_options, 0),
    BOOL_FIELD(MAY, welcome, critic_layer_norm),
    BOOL_FIELD(MAY, welcome, scales_rewards),
    FIELD(U32S, MUST, welcome, hidden, 1, MAX_WIDTH, MESSAGE_MAX_HIDDEN),
    FIELD(U32S, MUST, welcome, streams, 0, MAX_STREAM, MESSAGE_MAX_STREAMS),
    FIELD(U32S, MUST, welcome, lives, 0, UINT32_MAX, MESSAGE_MAX_STREAMS),
    FIELD(I64S, MUST, welcome, sequences, 0, MAX_COUNT, MESSAGE_MAX_STREAMS),
    FIELD(RAW, MAY, welcome, saved, 0, 0, MESSAGE_MAX_STREAMS),
    FIELD(RAW, MAY, welcome, states, 0, 0, ANY),
};

static const struct field reject_fields[] = {
    TEXT_FIELD(MUST, reject, of, 1),
    TEXT_FIELD(MUST, reject, code, 1),
    TEXT_FIELD(MUST, reject, reason, 0),
    BOOL_FIELD(MUST, reject, retry),
    ID_FIELD(MAY, reject, incarnation, 1),
    INT_FIELD(MAY, reject, stream, 0, MAX_STREAM),
    INT_FIELD(MAY, reject, sequence, 0, MAX_COUNT),
};

static const struct field want_fields[] = {
    ID_FIELD(MUST, want, run, 0),
    ID_FIELD(MUST, want, incarnation, 1),
    INT_FIELD(MUST, want, epoch, 0, MAX_COUNT),
    INT_FIELD(MUST, want, version, -1, MAX_COUNT),
    INT_FIELD(MAY, want, wanted, 0, MAX_COUNT),
};

static const struct field fragment_fields[] = {
    ID_FIELD(MUST, fragment, run, 0),
    ID_FIELD(MUST, fragment, incarnation, 1),
    INT_FIELD(MUST, fragment, epoch, 0, MAX_COUNT),
    INT_FIELD(MUST, fragment, stream, 0, MAX_STREAM),
    INT_FIELD(MUST, fragment, life, 0, UINT32_MAX),
    INT_FIELD(MUST, fragment, sequence, 0, MAX_COUNT),
    INT_FIELD(MUST, fragment, version, 0, MAX_COUNT),
    INT_FIELD(MUST, fragment, n_obs, 1, MAX_OBS),
    INT_FIELD(MUST, fragment, n_act, 1, MAX_ACT),
    INT_FIELD(MUST, fragment, n_transitions, 1, MESSAGE_MAX_HORIZON),
    INT_FIELD(MUST, fragment, n_rows, 2, 2 * MESSAGE_MAX_HORIZON),
    INT_FIELD(MUST, fragment, checksum, 0, UINT32_MAX),
    INT_FIELD(MAY, fragment, age_ms, 0, MAX_COUNT),
    FIELD(F64S, MAY, fragment, returns, 0, 0, MESSAGE_MAX_HORIZON),
    FIELD(U32S, MAY, fragment, lengths, 1, UINT32_MAX, MESSAGE_MAX_HORIZON),
    FIELD(RAW, MAY, fragment, state, 0, 0, ANY),
    FIELD(F32S, MUST, fragment, rows, 0, 0, ANY),
};

static const struct field ack_fields[] = {
    ID_FIELD(MUST, ack, run, 0),
    ID_FIELD(MUST, ack, incarnation, 1),
    INT_FIELD(MUST, ack, epoch, 0, MAX_COUNT),
    INT_FIELD(MUST, ack, newest, 0, MAX_COUNT),
    INT_FIELD(MUST, ack, start_version, 0, MAX_COUNT),
    INT_FIELD(MAY, ack, round, 0, MAX_COUNT),
    INT_FIELD(MAY, ack, previous, 0, MAX_COUNT),
    INT_FIELD(MUST, ack, credit, 1, MAX_CREDIT),
    FIELD(I64S, MUST, ack, acked, 0, MAX_COUNT, MESSAGE_MAX_STREAMS),
};

static const struct field snapshot_fields[] = {
    ID_FIELD(MUST, snapshot, run, 0),
    INT_FIELD(MUST, snapshot, epoch, 0, MAX_COUNT),
    INT_FIELD(MUST, snapshot, version, 0, MAX_COUNT),
    BOOL_FIELD(MUST, snapshot, random),
    INT_FIELD(MUST, snapshot, checksum, 0, UINT32_MAX),
    FIELD(F32S, MUST, snapshot, parameters, 0, 0, ANY),
};

static const struct field heartbeat_fields[] = {
    ID_FIELD(MUST, heartbeat, run, 0),
    ID_FIELD(MUST, heartbeat, incarnation, 1),
    INT_FIELD(MUST, heartbeat, epoch, 0, MAX_COUNT),
    INT_FIELD(MAY, heartbeat, newest, 0, MAX_COUNT),
    INT_FIELD(MAY, heartbeat, start_version, 0, MAX_COUNT),
    INT_FIELD(MAY, heartbeat, round, 0, MAX_COUNT),
    INT_FIELD(MAY, heartbeat, previous, 0, MAX_COUNT),
    INT_FIELD(MAY, heartbeat, credit, 1, MAX_CREDIT),
    INT_FIELD(MAY, heartbeat, steps, 0, MAX_COUNT),
    INT_FIELD(MAY, heartbeat, version, -1, MAX_COUNT),
    INT_FIELD(MAY, heartbeat, diverged, 0, MAX_COUNT),
    INT_FIELD(MAY, heartbeat, credit_ms, 0, MAX_COUNT),
    INT_FIELD(MAY, heartbeat, parameters_ms, 0, MAX_COUNT),
    TEXT_FIELD(MAY, heartbeat, state, 0),
    FIELD(I64S, MAY, heartbeat, acked, 0, MAX_COUNT, MESSAGE_MAX_STREAMS),
};

static const struct field drain_fields[] = {
    ID_FIELD(MUST, drain, run, 0),
    INT_FIELD(MUST, drain, epoch, 0, MAX_COUNT),
    TEXT_FIELD(MUST, drain, reason, 0),
};

static const struct field bye_fields[] = {
    ID_FIELD(MUST, bye, run, 0),
    ID_FIELD(MUST, bye, incarnation, 1),
    INT_FIELD(MUST, bye, epoch, 0, MAX_COUNT),
    TEXT_FIELD(MUST, bye, reason, 0),
};

static const struct field gradient_fields[] = {
    ID_FIELD(MUST, gradient, run, 0),
    ID_FIELD(MUST, gradient, incarnation, 1),
    INT_FIELD(MUST, gradient, epoch, 0, MAX_COUNT),
    INT_FIELD(MUST, gradient, stream, 0, MAX_STREAM),
    INT_FIELD(MUST, gradient, life, 0, UINT32_MAX),
    INT_FIELD(MUST, gradient, sequence, 0, MAX_COUNT),
    INT_FIELD(MUST, gradient, version, 0, MAX_COUNT),
    INT_FIELD(MUST, gradient, n_transitions, 1, MESSAGE_MAX_ROUND),
    INT_FIELD(MUST, gradient, checksum, 0, UINT32_MAX),
    INT_FIELD(MAY, gradient, age_ms, 0, MAX_COUNT),
    TEXT_FIELD(MAY, gradient, failure, 0),
    FIELD(F64S, MAY, gradient, returns, 0, 0, MESSAGE_MAX_ROUND),
    FIELD(U32S, MAY, gradient, lengths, 1, UINT32_MAX, MESSAGE_MAX_ROUND),
    FIELD(F64S, MAY, gradient, metrics, 0, 0, MAX_METRICS),
    FIELD(F64S, MAY, gradient, statistics, 0, 0, 2 * MAX_OBS + 4),
    FIELD(F32S, MUST, gradient, gradient, 0, 0, ANY),
};

/* ---- what fields must mean together ---- */

static void check_hello(struct wire_reader *r, const struct message *m)
{
    const char *name = m->hello.name;
    if (name[0] == '.' || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789._-")] != '\0')
        wire_fail(r, "key \"name\": only letters, digits, '.', '_' and '-', and no '.' first");
}

static void check_welcome(struct wire_reader *r, const struct message *m)
{
    const struct welcome *w = &m->welcome;
    const size_t n = w->streams.size / sizeof(uint32_t);
    if (n == 0) {
        wire_fail(r, "\"streams\" is empty");
        return;
    }
    if (w->lives.size != n * sizeof(uint32_t) || w->sequences.size != n * sizeof(int64_t))
        wire_fail(r, "\"lives\" and \"sequences\" are not as long as the %zu streams", n);
    for (size_t i = 1; i < n; i++)
        for (size_t k = 0; k < i; k++)
            if (bytes_u32(w->streams, i) == bytes_u32(w->streams, k)) {
                wire_fail(r, "stream %u stands there twice", (unsigned)bytes_u32(w->streams, i));
                return;
            }
    if (w->saved.size != (w->states.size ? n : 0))
        wire_fail(r, "\"saved\" has %zu bytes beside %zu bytes of \"states\" for %zu streams", w->saved.size,
                  w->states.size, n);
    if (w->states.size % n != 0)
        wire_fail(r, "the %zu bytes of \"states\" do not divide by %zu streams", w->states.size, n);
}

static void check_episodes(struct wire_reader *r, struct bytes returns, struct bytes lengths, int64_t n_transitions)
{
    const size_t n_episodes = returns.size / sizeof(double);
    if (n_episodes != lengths.size / sizeof(uint32_t))
        wire_fail(r, "\"returns\" and \"lengths\" tell of different numbers of episodes");
    if (n_episodes > (uint64_t)n_transitions)
        wire_fail(r, "more episodes than transitions");
}

static void check_fragment(struct wire_reader *r, const struct message *m)
{
    const struct fragment_header *f = &m->fragment;
    if (f->n_rows <= f->n_transitions || f->n_rows > 2 * f->n_transitions)
        wire_fail(r, "%lld rows cannot hold %lld transitions", (long long)f->n_rows,
                  (long long)f->n_transitions);
    /* at most 2^15 rows of 2^13 floats: no overflow */
    uint64_t row_bytes = (uint64_t)(f->n_obs + f->n_act + 3) * sizeof(float);
    if (f->rows.size != (uint64_t)f->n_rows * row_bytes)
        wire_fail(r, "\"rows\" has %zu bytes where %lld rows of %lld bytes belong", f->rows.size,
                  (long long)f->n_rows, (long long)row_bytes);
    check_episodes(r, f->returns, f->lengths, f->n_transitions);
}

static void check_gradient(struct wire_reader *r, const struct message *m)
{
    const struct gradient_header *g = &m->gradient;
    check_episodes(r, g->returns, g->lengths, g->n_transitions);
    if ((g->gradient.size == 0) != (g->failure[0] != '\0'))
        wire_fail(r, "\"failure\" says why \"gradient\" is empty, and only then");
}

/* What lockstep adds to the books: both or neither. */
static void check_rounds(struct wire_reader *r, int64_t round, int64_t previous)
{
    if ((round >= 0) != (previous >= 0))
        wire_fail(r, "\"round\" and \"previous\" go together");
}

static void check_ack(struct wire_reader *r, const struct message *m)
{
    check_rounds(r, m->ack.round, m->ack.previous);
}

static void check_heartbeat(struct wire_reader *r, const struct message *m)
{
    const struct heartbeat *h = &m->heartbeat;
    bool has_acked = h->acked.size > 0;
    if ((h->newest >= 0) != has_acked || (h->start_version >= 0) != has_acked
        || (h->credit >= 1) != has_acked)
        wire_fail(r, "\"newest\", \"start_version\", \"credit\" and \"acked\" go together");
    check_rounds(r, h->round, h->previous);
}

/* ---- one row per type ---- */

#define FIELDS(table) .fields = table, .n_fields = sizeof(table) / sizeof((table)[0])

static const struct layout {
    const char *name;
    const struct field *fields;
    size_t n_fields;        /* at most 64: `seen` below */
    void (*check)(struct wire_reader *r, const struct message *m);    /* may be NULL */
} layouts[N_MESSAGE_TYPES] = {
    [MESSAGE_HELLO] = { "HELLO", FIELDS(hello_fields), check_hello },
    [MESSAGE_WELCOME] = { "WELCOME", FIELDS(welcome_fields), check_welcome },
    [MESSAGE_REJECT] = { "REJECT", FIELDS(reject_fields), NULL },
    [MESSAGE_WANT] = { "WANT", FIELDS(want_fields), NULL },
    [MESSAGE_FRAGMENT] = { "FRAGMENT", FIELDS(fragment_fields), check_fragment },
    [MESSAGE_ACK] = { "ACK", FIELDS(ack_fields), check_ack },
    [MESSAGE_SNAPSHOT] = { "SNAPSHOT", FIELDS(snapshot_fields), NULL },
    [MESSAGE_HEARTBEAT] = { "HEARTBEAT", FIELDS(heartbeat_fields), check_heartbeat },
    [MESSAGE_DRAIN] = { "DRAIN", FIELDS(drain_fields), NULL },
    [MESSAGE_BYE] = { "BYE", FIELDS(bye_fields), NULL },
    [MESSAGE_GRADIENT] = { "GRADIENT", FIELDS(gradient_fields), check_gradient },
};

const char *message_name(enum message_type type)
{
    return type < N_MESSAGE_TYPES ? layouts[type].name : "message";
}

static void *place(struct message *m, const struct field *f) { return (char *)m + f->offset; }
static const void *value_of(const struct message *m, const struct field *f)
{
    return (const char *)m + f->offset;
}

void message_init(struct message *m, enum message_type type)
{
    memset(m, 0, sizeof(*m));
    m->type = type;
    const struct layout *l = &layouts[type];
    for (const struct field *f = l->fields; f < l->fields + l->n_fields; f++)
        if (f->kind == INT && !f->required)
            *(int64_t *)place(m, f) = -1;
}

/* ---- encoding ---- */

/* Whether an optional field holds the value message_init gave it. */
static bool is_absent(const struct message *m, const struct field *f)
{
    const void *value = value_of(m, f);
    switch (f->kind) {
    case U64: return *(const uint64_t *)value == 0;
    case INT: return *(const int64_t *)value == -1;
    case REAL: return false;
    case BOOL: return !*(const bool *)value;
    case TEXT: return *(const char *)value == '\0';
    default: return ((const struct bytes *)value)->size == 0;
    }
}

static void write_field(struct wire_writer *w, const struct message *m, const struct field *f)
{
    const void *value = value_of(m, f);
    wire_write_text(w, f->key, strlen(f->key));
    switch (f->kind) {
    case U64: wire_write_unsigned(w, *(const uint64_t *)value); break;
    case INT: wire_write_integer(w, *(const int64_t *)value); break;
    case REAL: wire_write_double(w, *(const double *)value); break;
    case BOOL: wire_write_bool(w, *(const bool *)value); break;
    case TEXT: wire_write_text(w, value, strnlen(value, (size_t)f->max)); break;
    default: {
        const struct bytes *b = value;
        wire_write_bin(w, b->size);
        wire_write_body(w, b->data, b->size);
    }
    }
}

/* Everything but the last field, whose key and value the caller adds. */
static const struct field *write_all_but_last(struct wire_writer *w, const struct message *m)
{
    const struct layout *l = &layouts[m->type];
    const struct field *last = l->fields + l->n_fields - 1;
    size_t n_entries = 1;
    for (const struct field *f = l->fields; f <= last; f++)
        n_entries += f->required || !is_absent(m, f);
    wire_write_map(w, n_entries);
    wire_write_text(w, "type", 4);
    wire_write_text(w, l->name, strlen(l->name));
    for (const struct field *f = l->fields; f < last; f++)
        if (f->required || !is_absent(m, f))
            write_field(w, m, f);
    return last;
}

size_t message_encode(const struct message *m, unsigned char *out, size_t capacity)
{
    struct wire_writer w;
    wire_writer_init(&w, out, capacity);
    const struct field *last = write_all_but_last(&w, m);
    if (last->required || !is_absent(m, last))
        write_field(&w, m, last);
    return w.size <= capacity ? w.size : 0;
}

/* Everything up to and including the bin header of the last field. */
static size_t encode_header(const struct message *m, unsigned char *out, size_t capacity)
{
    struct wire_writer w;
    wire_writer_init(&w, out, capacity);
    const struct field *bulk = write_all_but_last(&w, m);
    wire_write_text(&w, bulk->key, strlen(bulk->key));
    wire_write_bin(&w, ((const struct bytes *)value_of(m, bulk))->size);
    return w.size;
}

unsigned char *message_encode_before(const struct message *m, unsigned char *bulk)
{
    assert(m->type == MESSAGE_FRAGMENT || m->type == MESSAGE_GRADIENT);
    size_t size = encode_header(m, NULL, 0);    /* counts: where it begins depends on it */
    encode_header(m, bulk - size, size);
    return bulk - size;
}

/* ---- decoding ---- */

static void check_range(struct wire_reader *r, int64_t value, const struct field *f)
{
    if (value < f->min || value > f->max)
        wire_fail(r, "%lld is not within %lld and %lld", (long long)value, (long long)f->min,
                  (long long)f->max);
}

static void read_text(struct wire_reader *r, char *out, const struct field *f)
{
    size_t size;
    const char *text = wire_read_text(r, &size);
    if (!text)
        return;
    if (size < (size_t)f->min || size > (size_t)f->max)
        wire_fail(r, "%zu bytes where %lld to %lld belong", size, (long long)f->min,
                  (long long)f->max);
    else if (!wire_text_is_printable(text, size))
        wire_fail(r, "not printable UTF-8");
    else
        memcpy(out, text, size);    /* message_init left the terminator */
}

static void read_bytes(struct wire_reader *r, struct bytes *out, const struct field *f)
{
    struct bytes b;
    b.data = wire_read_bin(r, &b.size);
    size_t element = element_bytes[f->kind];
    size_t n = b.size / element;
    if (b.size % element != 0)
        wire_fail(r, "%zu bytes are not a multiple of %zu", b.size, element);
    if (n > f->max_elements)
        wire_fail(r, "%zu elements where at most %zu belong", n, f->max_elements);
    /* RAW has no numbers; the bulk, F32S, is looked at by whoever uses it */
    if (f->kind == RAW || f->kind == F32S)
        n = 0;
    for (size_t i = 0; i < n && wire_good(r); i++) {
        if (f->kind == U32S)
            check_range(r, bytes_u32(b, i), f);
        else if (f->kind == I64S)
            check_range(r, bytes_i64(b, i), f);
        else if (!isfinite(bytes_f64(b, i)))
            wire_fail(r, "a number is NaN or infinite");
    }
    if (wire_good(r))
        *out = b;
}

static void read_field(struct wire_reader *r, struct message *m, const struct field *f)
{
    void *out = place(m, f);
    switch (f->kind) {
    case U64: {
        uint64_t value = wire_read_unsigned(r);
        if (value < (uint64_t)f->min)
            wire_fail(r, "%llu is too small", (unsigned long long)value);
        *(uint64_t *)out = value;
        break;
    }
    case INT: {
        int64_t value = wire_read_integer(r);
        check_range(r, value, f);
        *(int64_t *)out = value;
        break;
    }
    case REAL: {
        double value = wire_read_double(r);
        if (!(value >= (double)f->min && value <= (double)f->max))    /* nor NaN */
            wire_fail(r, "%g is not within %lld and %lld", value, (long long)f->min, (long long)f->max);
        *(double *)out = value;
        break;
    }
    case BOOL: *(bool *)out = wire_read_bool(r); break;
    case TEXT: read_text(r, out, f); break;
    default: read_bytes(r, out, f);
    }
}

/* `type` and its value; N_MESSAGE_TYPES after a problem. */
static enum message_type read_type(struct wire_reader *r)
{
    size_t key_size, size;
    const char *key = wire_read_text(r, &key_size);
    if (key && !(key_size == 4 && memcmp(key, "type", 4) == 0))
        wire_fail(r, "the first key is not \"type\"");
    const char *name = wire_read_text(r, &size);
    for (enum message_type t = 0; name && t < N_MESSAGE_TYPES; t++)
        if (strlen(layouts[t].name) == size && memcmp(layouts[t].name, name, size) == 0)
            return t;
    wire_fail(r, "\"type\" is none of the eleven");
    return N_MESSAGE_TYPES;
}

/* The field that the next key names; NULL after a problem. `*seen` has one bit per field. */
static const struct field *read_key(struct wire_reader *r, const struct layout *l, uint64_t *seen)
{
    size_t size;
    const char *key = wire_read_text(r, &size);
    if (!key)
        return NULL;
    for (size_t i = 0; i < l->n_fields; i++) {
        const struct field *f = &l->fields[i];
        if (strlen(f->key) != size || memcmp(f->key, key, size) != 0)
            continue;
        if (*seen >> i & 1) {
            wire_fail(r, "key \"%s\" stands there twice", f->key);
            return NULL;
        }
        *seen |= (uint64_t)1 << i;
        return f;
    }
    bool quotable = size <= 32 && wire_text_is_printable(key, size);
    wire_fail(r, "unknown key \"%.*s\"", quotable ? (int)size : 3, quotable ? key : "...");
    return NULL;
}

/* The whole message. Returns the key at which a problem was found, NULL when at none. */
static const char *read_message(struct wire_reader *r, struct message *m)
{
    size_t n_entries = wire_read_map(r);
    enum message_type type = read_type(r);
    if (type == N_MESSAGE_TYPES)
        return NULL;
    message_init(m, type);
    const struct layout *l = &layouts[type];
    if (n_entries > l->n_fields + 1)
        wire_fail(r, "%zu entries where at most %zu belong", n_entries, l->n_fields + 1);
    uint64_t seen = 0;
    for (size_t i = 1; i < n_entries && wire_good(r); i++) {
        const struct field *f = read_key(r, l, &seen);
        if (!f)
            return NULL;
        read_field(r, m, f);
        if (!wire_good(r))
            return f->key;
    }
    for (size_t i = 0; i < l->n_fields; i++)
        if (l->fields[i].required && !(seen >> i & 1))
            wire_fail(r, "key \"%s\" is missing", l->fields[i].key);
    if (wire_left(r) > 0)
        wire_fail(r, "%zu bytes follow the message", wire_left(r));
    if (wire_good(r) && l->check)
        l->check(r, m);
    return NULL;
}

const char *message_decode(struct message *m, const unsigned char *data, size_t size)
{
    static _Thread_local char sentence[256];
    struct wire_reader r;
    wire_reader_init(&r, data, size);
    m->type = N_MESSAGE_TYPES;
    const char *key = read_message(&r, m);
    if (wire_good(&r))
        return NULL;
    const char *name = message_name(m->type);
    if (key)
        snprintf(sentence, sizeof(sentence), "%s: key \"%s\": %s", name, key, r.problem);
    else
        snprintf(sentence, sizeof(sentence), "%s: %s", name, r.problem);
    return sentence;
}
