#include "tests/unit/message_desk.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support.h"

/* ---- examples: every field of every type, each with a value of its own ---- */

static const uint32_t some_u32[4] = { 64, 65, 66, 67 };
static const int64_t some_i64[4] = { 0, 5, (int64_t)1 << 53, 7 };
static const double some_f64[2] = { -1234.5, 1e-300 };
static const unsigned char some_saved[4] = { 1, 0, 1, 1 };
static const unsigned char some_raw[8] = { 0, 255, 1, 254, 2, 253, 3, 252 };
const float some_rows[3][6] = { { 1, 2, 3, 4, 5, 6 }, { 7, 8, 9, 10, 11, 12 },
                                       { 13, 14, 15, 16, 17, 3 } };


static void fill_welcome(struct welcome *w)
{
    w->run = UINT64_MAX, w->incarnation = 1, w->seed = 1ull << 63;
    w->epoch = 3, w->protocol = PROTOCOL_VERSION;
    SET(w->algorithm, "sac"), SET(w->mode, "async"), SET(w->environment, "Hopper-v5");
    SET(w->spec, "0123456789abcdef"), SET(w->head, "squashed_gaussian"), SET(w->activation, "relu");
    w->n_obs = 11, w->n_act = 12, w->n_choices = 13, w->horizon = 14, w->lag = 1;
    w->max_staleness = 15, w->credit = 16, w->heartbeat_ms = 17, w->liveness_ms = 18;
    w->step_timeout_ms = 19;
    w->snapshot_port = 65535, w->wants_state = w->layer_norm = w->whole_episodes = true;
    SET(w->exploration, "ornstein_uhlenbeck"), w->sigma = 0.25, w->theta = 1e-300, w->dt = 1e6;
    w->streams = w->lives = BYTES(some_u32), w->sequences = BYTES(some_i64);
    SET(w->algorithm_options, "gamma: 0.5"), w->critic_layer_norm = w->scales_rewards = true;
    w->saved = BYTES(some_saved), w->states = BYTES(some_raw), w->hidden = BYTES(some_u32);
}

static void fill_fragment(struct fragment_header *f)
{
    f->run = 21, f->incarnation = 22, f->epoch = 23, f->stream = 24, f->life = 25;
    f->sequence = 1ll << 53, f->version = 26;
    f->n_obs = 2, f->n_act = 1, f->n_transitions = 2, f->n_rows = 3;
    f->checksum = UINT32_MAX, f->age_ms = 27;
    f->returns = BYTES(some_f64);
    f->lengths = (struct bytes){ (const unsigned char *)some_u32, 2 * sizeof(uint32_t) };
    f->state = BYTES(some_raw), f->rows = BYTES(some_rows);
}

static void fill_gradient(struct gradient_header *g)
{
    g->run = 111, g->incarnation = 112, g->epoch = 113, g->stream = 114, g->life = UINT32_MAX;
    g->sequence = 115, g->version = 116, g->n_transitions = MESSAGE_MAX_ROUND;
    g->checksum = 117, g->age_ms = 118;
    g->returns = g->metrics = g->statistics = BYTES(some_f64);
    g->lengths = (struct bytes){ (const unsigned char *)some_u32, 2 * sizeof(uint32_t) };
    g->gradient = BYTES(some_rows);
}

struct message example(enum message_type type, bool full)
{
    struct message m;
    message_init(&m, type);
    switch (type) {
    case MESSAGE_HELLO:
        m.hello.protocol = 1, m.hello.incarnation = 31;
        SET(m.hello.name, "Actor_7.of-9"), SET(m.hello.program, "shoal 0.1.0");
        SET(m.hello.cpu, "x86-64 \xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9f");
        SET(m.hello.spec, full ? "fedcba9876543210" : "");
        break;
    case MESSAGE_WELCOME:
        fill_welcome(&m.welcome);
        if (!full)
            m.welcome.saved = m.welcome.states = (struct bytes){ NULL, 0 },
            m.welcome.step_timeout_ms = m.welcome.lag = m.welcome.max_staleness = -1,
            m.welcome.critic_layer_norm = m.welcome.scales_rewards = false,
            memset(m.welcome.algorithm_options, 0, sizeof(m.welcome.algorithm_options));
        break;
    case MESSAGE_REJECT:
        SET(m.reject.of, "fragment"), SET(m.reject.code, "gap"), SET(m.reject.reason, "Why not?");
        m.reject.retry = true;
        if (full)
            m.reject.incarnation = 41, m.reject.stream = 42, m.reject.sequence = 43;
        break;
    case MESSAGE_WANT:
        m.want.run = 51, m.want.incarnation = 52, m.want.epoch = 53, m.want.version = -1;
        if (full)
            m.want.wanted = 54;
        break;
    case MESSAGE_FRAGMENT:
        fill_fragment(&m.fragment);
        if (!full) {
            m.fragment.age_ms = -1;
            m.fragment.returns = m.fragment.lengths = m.fragment.state = (struct bytes){ NULL, 0 };
        }
        break;
    case MESSAGE_ACK:
        m.ack.run = 61, m.ack.incarnation = 62, m.ack.epoch = 63, m.ack.newest = 64;
        m.ack.start_version = 65, m.ack.credit = 66, m.ack.acked = BYTES(some_i64);
        if (full)
            m.ack.round = 67, m.ack.previous = 68;
        break;
    case MESSAGE_SNAPSHOT:
        m.snapshot.run = 71, m.snapshot.epoch = 72, m.snapshot.version = 73;
        m.snapshot.random = true, m.snapshot.checksum = 74;
        m.snapshot.parameters = BYTES(some_rows);
        break;
    case MESSAGE_HEARTBEAT:
        m.heartbeat.run = 81, m.heartbeat.incarnation = 82, m.heartbeat.epoch = 83;
        if (full) {
            m.heartbeat.newest = 84, m.heartbeat.start_version = 85, m.heartbeat.credit = 86;
            m.heartbeat.steps = 87, m.heartbeat.version = 88, SET(m.heartbeat.state, "acting");
            m.heartbeat.diverged = 89, m.heartbeat.round = 90, m.heartbeat.previous = 91;
            m.heartbeat.credit_ms = 92, m.heartbeat.parameters_ms = 93;
            m.heartbeat.acked = BYTES(some_i64);
        }
        break;
    case MESSAGE_DRAIN:
        m.drain.run = 91, m.drain.epoch = 92, SET(m.drain.reason, "finished");
        break;
    case MESSAGE_GRADIENT:
        fill_gradient(&m.gradient);
        if (!full) {
            m.gradient.age_ms = -1;
            m.gradient.returns = m.gradient.lengths = (struct bytes){ NULL, 0 };
            m.gradient.metrics = m.gradient.statistics = (struct bytes){ NULL, 0 };
        }
        break;
    case MESSAGE_BYE:
        m.bye.run = 101, m.bye.incarnation = 102, m.bye.epoch = 103, SET(m.bye.reason, "drained");
        break;
    case N_MESSAGE_TYPES:
        ck_abort();
    }
    return m;
}

const char *const optional_keys[N_MESSAGE_TYPES] = {
    [MESSAGE_HELLO] = " spec ", [MESSAGE_WELCOME] = " saved states step_timeout_ms lag max_staleness "
        "algorithm_options critic_layer_norm scales_rewards ",
    [MESSAGE_GRADIENT] = " age_ms failure returns lengths metrics statistics ",
    [MESSAGE_WANT] = " wanted ", [MESSAGE_ACK] = " round previous ",
    [MESSAGE_REJECT] = " incarnation stream sequence ",
    [MESSAGE_FRAGMENT] = " age_ms returns lengths state ",
    [MESSAGE_HEARTBEAT] = " newest start_version credit acked round previous steps version state diverged "
                          "credit_ms parameters_ms ",
};

size_t bytes_fields(struct message *m, struct bytes *fields[MAX_BYTES_FIELDS])
{
    switch (m->type) {
    case MESSAGE_WELCOME:
        fields[0] = &m->welcome.lives, fields[1] = &m->welcome.sequences;
        fields[2] = &m->welcome.states, fields[3] = &m->welcome.hidden;
        fields[4] = &m->welcome.streams, fields[5] = &m->welcome.saved;
        return 6;
    case MESSAGE_FRAGMENT:
        fields[0] = &m->fragment.returns, fields[1] = &m->fragment.lengths;
        fields[2] = &m->fragment.state, fields[3] = &m->fragment.rows;
        return 4;
    case MESSAGE_GRADIENT:
        fields[0] = &m->gradient.returns, fields[1] = &m->gradient.lengths;
        fields[2] = &m->gradient.metrics, fields[3] = &m->gradient.statistics;
        fields[4] = &m->gradient.gradient;
        return 5;
    case MESSAGE_ACK: fields[0] = &m->ack.acked; return 1;
    case MESSAGE_SNAPSHOT: fields[0] = &m->snapshot.parameters; return 1;
    case MESSAGE_HEARTBEAT: fields[0] = &m->heartbeat.acked; return 1;
    default: return 0;
    }
}

void check_equal(struct message a, struct message b)
{
    ck_assert_int_eq(a.type, b.type);
    struct bytes *left[MAX_BYTES_FIELDS], *right[MAX_BYTES_FIELDS];
    size_t n = bytes_fields(&a, left);
    bytes_fields(&b, right);
    for (size_t i = 0; i < n; i++) {
        ck_assert_uint_eq(left[i]->size, right[i]->size);
        if (left[i]->size > 0)
            ck_assert_mem_eq(left[i]->data, right[i]->data, left[i]->size);
        *left[i] = *right[i] = (struct bytes){ NULL, 0 };
    }
    ck_assert_mem_eq(&a, &b, sizeof(a));
}

/* ---- taking messages apart and putting others together ---- */

void put(struct raw *r, const void *data, size_t bytes)
{
    ck_assert_uint_le(bytes, CAPACITY - r->size);
    memcpy(r->data + r->size, data, bytes);
    r->size += bytes;
}

/* How long the value is that begins at `p`; only kinds that the encoder makes. */
static size_t value_bytes(const unsigned char *p)
{
    if (*p <= 0x7f || *p >= 0xe0 || *p == 0xc2 || *p == 0xc3)
        return 1;
    if ((*p & 0xe0) == 0xa0)
        return 1 + (size_t)(*p & 0x1f);
    if (*p == 0xc4 || *p == 0xd9)
        return 2 + (size_t)p[1];
    if (*p == 0xcb)
        return 9;
    if (*p >= 0xcc && *p <= 0xcf)
        return 1 + ((size_t)1 << (*p - 0xcc));
    ck_abort_msg("unexpected byte %02x", *p);
}

struct entries take_apart(const struct message *m)
{
    unsigned char data[CAPACITY];
    size_t size = message_encode(m, data, sizeof(data));
    ck_assert_uint_gt(size, 0);
    struct entries all = { .n = 0 };
    const unsigned char *p = data + (data[0] == 0xde ? 3 : 1);
    while (p < data + size) {
        struct entry *e = &all.e[all.n++];
        ck_assert_int_eq(*p & 0xe0, 0xa0);
        memcpy(e->key, p + 1, *p & 0x1f);
        p += 1 + (*p & 0x1f);
        e->size = value_bytes(p);
        memcpy(e->value, p, e->size);
        p += e->size;
    }
    ck_assert_ptr_eq(p, data + size);
    return all;
}

struct entry *find(struct entries *all, const char *key)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->e[i].key, key) == 0)
            return &all->e[i];
    ck_abort_msg("no key %s", key);
}

struct raw put_together(const struct entries *all)
{
    struct raw r = { .size = 0 };
    put(&r, (unsigned char[]){ 0xde, 0, (unsigned char)all->n }, 3);
    for (size_t i = 0; i < all->n; i++) {
        const struct entry *e = &all->e[i];
        put(&r, (unsigned char[]){ (unsigned char)(0xa0 | strlen(e->key)) }, 1);
        put(&r, e->key, strlen(e->key));
        put(&r, e->value, e->size);
    }
    return r;
}

const char *decode(struct message *m, const void *data, size_t size)
{
    unsigned char *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    const char *problem = message_decode(m, copy, size);
    free(copy);
    return problem;
}

const char *decode_entries(const struct entries *all)
{
    struct message m;
    struct raw r = put_together(all);
    return decode(&m, r.data, r.size);
}

const char *with_value(enum message_type type, const char *key, const void *value, size_t bytes)
{
    struct message m = example(type, true);
    struct entries all = take_apart(&m);
    struct entry *e = find(&all, key);
    ck_assert_uint_le(bytes, sizeof(e->value));
    memcpy(e->value, value, bytes);
    e->size = bytes;
    return decode_entries(&all);
}

const char *with_integer(enum message_type type, const char *key, int64_t value)
{
    unsigned char raw[9] = { 0xd3 };
    for (int i = 0; i < 8; i++)
        raw[1 + i] = (unsigned char)((uint64_t)value >> (56 - 8 * i));
    return with_value(type, key, raw, sizeof(raw));
}

const char *with_text(enum message_type type, const char *key, const char *text)
{
    struct raw r = { .size = 0 };
    put(&r, (unsigned char[]){ 0xda, (unsigned char)(strlen(text) >> 8),
                               (unsigned char)strlen(text) }, 3);
    put(&r, text, strlen(text));
    return with_value(type, key, r.data, r.size);
}

void check_says(const char *problem, const char *what)
{
    ck_assert_msg(problem != NULL, "accepted where \"%s\" belongs", what);
    ck_assert_msg(strstr(problem, what) != NULL, "\"%s\" does not say \"%s\"", problem, what);
}
