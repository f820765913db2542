/* Every message, in both directions, and what the decoder refuses. */
#include "proto/message.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "tests/support.h"
#include "tests/unit/allocations.h"

enum { CAPACITY = 8192, MAX_BYTES_FIELDS = 6 };

/* ---- examples: every field of every type, each with a value of its own ---- */

static const uint32_t some_u32[4] = { 64, 65, 66, 67 };
static const int64_t some_i64[4] = { 0, 5, (int64_t)1 << 53, 7 };
static const double some_f64[2] = { -1234.5, 1e-300 };
static const unsigned char some_saved[4] = { 1, 0, 1, 1 };
static const unsigned char some_raw[8] = { 0, 255, 1, 254, 2, 253, 3, 252 };
static const float some_rows[3][6] = { { 1, 2, 3, 4, 5, 6 }, { 7, 8, 9, 10, 11, 12 },
                                       { 13, 14, 15, 16, 17, 3 } };

#define BYTES(array) (struct bytes){ (const unsigned char *)(array), sizeof(array) }
#define SET(text, value) snprintf(text, sizeof(text), "%s", value)

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

/* A message of a type; `full`: with its optional fields. */
static struct message example(enum message_type type, bool full)
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

static const char *const optional_keys[N_MESSAGE_TYPES] = {
    [MESSAGE_HELLO] = " spec ", [MESSAGE_WELCOME] = " saved states step_timeout_ms lag max_staleness "
        "algorithm_options critic_layer_norm scales_rewards ",
    [MESSAGE_GRADIENT] = " age_ms failure returns lengths metrics statistics ",
    [MESSAGE_WANT] = " wanted ", [MESSAGE_ACK] = " round previous ",
    [MESSAGE_REJECT] = " incarnation stream sequence ",
    [MESSAGE_FRAGMENT] = " age_ms returns lengths state ",
    [MESSAGE_HEARTBEAT] = " newest start_version credit acked round previous steps version state diverged "
                          "credit_ms parameters_ms ",
};

/* The fields of `type` that are struct bytes. */
static size_t bytes_fields(struct message *m, struct bytes *fields[MAX_BYTES_FIELDS])
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

static void check_equal(struct message a, struct message b)
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

struct raw {
    unsigned char data[CAPACITY];
    size_t size;
};

static void put(struct raw *r, const void *data, size_t bytes)
{
    ck_assert_uint_le(bytes, CAPACITY - r->size);
    memcpy(r->data + r->size, data, bytes);
    r->size += bytes;
}
#define PUT(r, literal) put(r, literal, sizeof(literal) - 1)

struct entry {
    char key[32];
    unsigned char value[512];    /* as encoded */
    size_t size;
};

struct entries {
    struct entry e[64];
    size_t n;
};

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

static struct entries take_apart(const struct message *m)
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

static struct entry *find(struct entries *all, const char *key)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->e[i].key, key) == 0)
            return &all->e[i];
    ck_abort_msg("no key %s", key);
}

static struct raw put_together(const struct entries *all)
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

/* Decode a copy in a block of exactly this size, so that a sanitizer sees reads behind it. The
 * struct's bytes fields point nowhere afterwards. */
static const char *decode(struct message *m, const void *data, size_t size)
{
    unsigned char *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    const char *problem = message_decode(m, copy, size);
    free(copy);
    return problem;
}

static const char *decode_entries(const struct entries *all)
{
    struct message m;
    struct raw r = put_together(all);
    return decode(&m, r.data, r.size);
}

/* The sentence about a message of `type` in which `key` has another value. */
static const char *with_value(enum message_type type, const char *key, const void *value,
                              size_t bytes)
{
    struct message m = example(type, true);
    struct entries all = take_apart(&m);
    struct entry *e = find(&all, key);
    ck_assert_uint_le(bytes, sizeof(e->value));
    memcpy(e->value, value, bytes);
    e->size = bytes;
    return decode_entries(&all);
}
#define WITH(type, key, literal) with_value(type, key, literal, sizeof(literal) - 1)

static const char *with_integer(enum message_type type, const char *key, int64_t value)
{
    unsigned char raw[9] = { 0xd3 };
    for (int i = 0; i < 8; i++)
        raw[1 + i] = (unsigned char)((uint64_t)value >> (56 - 8 * i));
    return with_value(type, key, raw, sizeof(raw));
}

static const char *with_text(enum message_type type, const char *key, const char *text)
{
    struct raw r = { .size = 0 };
    put(&r, (unsigned char[]){ 0xda, (unsigned char)(strlen(text) >> 8),
                               (unsigned char)strlen(text) }, 3);
    put(&r, text, strlen(text));
    return with_value(type, key, r.data, r.size);
}

static void check_says(const char *problem, const char *what)
{
    ck_assert_msg(problem != NULL, "accepted where \"%s\" belongs", what);
    ck_assert_msg(strstr(problem, what) != NULL, "\"%s\" does not say \"%s\"", problem, what);
}

#define EACH_TYPE(t) (enum message_type t = 0; t < N_MESSAGE_TYPES; t++)

/* ---- both directions ---- */

START_TEST(every_type_survives_a_round_trip)
{
    for EACH_TYPE(t) {
        for (int full = 0; full < 2; full++) {
            struct message m = example(t, full), back;
            unsigned char data[CAPACITY];
            size_t size = message_encode(&m, data, sizeof(data));
            ck_assert_uint_gt(size, 0);
            ck_assert_ptr_null(message_decode(&back, data, size));
            check_equal(m, back);
        }
    }
}
END_TEST

START_TEST(a_want_has_the_bytes_of_the_specification)
{
    struct message m = example(MESSAGE_WANT, false);
    m.want.run = 0xfedcba9876543210u, m.want.incarnation = 200, m.want.epoch = 70000;
    unsigned char data[CAPACITY];
    size_t size = message_encode(&m, data, sizeof(data));
    static const char expected[] =
        "\x85\xa4type\xa4WANT\xa3run\xcf\xfe\xdc\xba\x98\x76\x54\x32\x10\xab" "incarnation\xcc\xc8"
        "\xa5" "epoch\xce\x00\x01\x11\x70\xa7version\xff";
    ck_assert_uint_eq(size, sizeof(expected) - 1);
    ck_assert_mem_eq(data, expected, size);
}
END_TEST

START_TEST(absent_optional_fields_are_not_written)
{
    for EACH_TYPE(t) {
        struct message m = example(t, false);
        struct entries all = take_apart(&m);
        for (size_t i = 0; i < all.n; i++) {
            char word[40];
            snprintf(word, sizeof(word), " %s ", all.e[i].key);
            ck_assert_msg(!optional_keys[t] || !strstr(optional_keys[t], word), "%s: %s",
                          message_name(t), all.e[i].key);
        }
    }
}
END_TEST

START_TEST(keys_may_stand_in_any_order_behind_type)
{
    for EACH_TYPE(t) {
        struct message m = example(t, true), back;
        struct entries all = take_apart(&m), turned = all;
        for (size_t i = 1; i < all.n; i++)
            turned.e[i] = all.e[all.n - i];
        struct raw r = put_together(&turned);
        ck_assert_ptr_null(message_decode(&back, r.data, r.size));
        check_equal(m, back);
    }
}
END_TEST

/* ---- refusals ---- */

START_TEST(every_proper_prefix_is_rejected)
{
    for EACH_TYPE(t) {
        struct message m = example(t, true), back;
        unsigned char data[CAPACITY];
        size_t size = message_encode(&m, data, sizeof(data));
        for (size_t n = 0; n < size; n++)
            ck_assert_msg(decode(&back, data, n) != NULL, "%s, %zu bytes", message_name(t), n);
        ck_assert_ptr_null(decode(&back, data, size));
    }
}
END_TEST

START_TEST(a_byte_behind_the_message_is_rejected)
{
    for EACH_TYPE(t) {
        struct message m = example(t, true), back;
        unsigned char data[CAPACITY];
        size_t size = message_encode(&m, data, sizeof(data));
        data[size] = 0xc0;
        check_says(decode(&back, data, size + 1), "1 bytes follow");
        ck_assert_int_eq(back.type, t);
    }
}
END_TEST

START_TEST(keys_that_are_missing_or_double_are_rejected)
{
    for EACH_TYPE(t) {
        struct message m = example(t, true);
        struct entries all = take_apart(&m);
        for (size_t i = 1; i < all.n; i++) {
            char word[40], sentence[80];
            struct entries changed = all;
            changed.e[i] = all.e[i == 1 ? 2 : 1];
            check_says(decode_entries(&changed), "twice");
            changed = all;
            changed.e[changed.n++] = all.e[i];
            ck_assert_ptr_nonnull(decode_entries(&changed));
            snprintf(word, sizeof(word), " %s ", all.e[i].key);
            if (optional_keys[t] && strstr(optional_keys[t], word))
                continue;
            changed = all;
            changed.e[i] = all.e[--changed.n];
            snprintf(sentence, sizeof(sentence), "%s: key \"%s\" is missing", message_name(t),
                     all.e[i].key);
            check_says(decode_entries(&changed), sentence);
        }
    }
}
END_TEST

START_TEST(keys_that_are_unknown_are_rejected)
{
    for EACH_TYPE(t) {
        struct message m = example(t, false);
        struct entries all = take_apart(&m);
        snprintf(all.e[all.n - 1].key, sizeof(all.e[0].key), "sudo");
        check_says(decode_entries(&all), "unknown key \"sudo\"");
        snprintf(all.e[all.n - 1].key, sizeof(all.e[0].key), "su\033[2Jdo");
        check_says(decode_entries(&all), "unknown key \"...\"");
    }
    struct message m = example(MESSAGE_WANT, true);
    struct entries all = take_apart(&m);
    all.e[all.n++] = (struct entry){ "surplus", { 1 }, 1 };
    check_says(decode_entries(&all), "WANT: 7 entries where at most 6 belong");
}
END_TEST

START_TEST(values_of_another_kind_are_rejected)
{
    static const struct { const char *word, *raw; size_t size; } others[] = {
#define V(word, literal) { word, literal, sizeof(literal) - 1 }
        V("nil", "\xc0"), V("0xc1", "\xc1"),
        V("a boolean", "\xc3"), V("an integer", "\x01"),
        V("a float", "\xca\x3f\x80\x00\x00"),
        V("a float", "\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"),
        V("a text", "\xa1" "a"), V("a text", "\xd9\x01" "a"),
        V("a bin", "\xc4\x01" "a"), V("an array", "\x91\x01"),
        V("an array", "\xdc\x00\x01\x01"), V("a map", "\x81\xa1" "a\x01"),
        V("an ext", "\xd4\x01\x01"), V("an ext", "\xc7\x01\x01\x01"),
#undef V
    };
    for EACH_TYPE(t) {
        struct message m = example(t, true);
        struct entries all = take_apart(&m);
        for (size_t i = 1; i < all.n; i++) {
            unsigned char head = all.e[i].value[0];
            bool is_text = (head & 0xe0) == 0xa0 || head == 0xd9;
            const char *own = is_text ? "a text" : head == 0xc4 ? "a bin"
                            : head == 0xc2 || head == 0xc3 ? "a boolean"
                            : head == 0xcb ? "a float" : "an integer";
            for (size_t j = 0; j < TEST_COUNT(others); j++) {
                if (strcmp(others[j].word, own) == 0)
                    continue;
                const char *problem = with_value(t, all.e[i].key, others[j].raw, others[j].size);
                check_says(problem, others[j].word);
                check_says(problem, own);
                check_says(problem, all.e[i].key);
            }
        }
    }
}
END_TEST

START_TEST(numbers_out_of_range_are_rejected)
{
    const int64_t count = (int64_t)1 << 53, u32 = UINT32_MAX;
    const struct { enum message_type type; const char *key; int64_t min, max; } ranges[] = {
        { MESSAGE_HELLO, "protocol", 0, 1000000 }, { MESSAGE_WELCOME, "epoch", 0, count },
        { MESSAGE_WELCOME, "n_obs", 1, 4096 }, { MESSAGE_WELCOME, "n_act", 1, 64 },
        { MESSAGE_WELCOME, "n_choices", 0, 4096 },
        { MESSAGE_WELCOME, "horizon", 1, MESSAGE_MAX_HORIZON },
        { MESSAGE_WELCOME, "lag", 0, 1 }, { MESSAGE_WELCOME, "max_staleness", 1, count },
        { MESSAGE_WANT, "wanted", 0, count }, { MESSAGE_ACK, "round", 0, count }, { MESSAGE_ACK, "previous", 0, count },
        { MESSAGE_HEARTBEAT, "round", 0, count }, { MESSAGE_HEARTBEAT, "previous", 0, count },
        { MESSAGE_HEARTBEAT, "credit_ms", 0, count }, { MESSAGE_HEARTBEAT, "parameters_ms", 0, count },
        { MESSAGE_WELCOME, "credit", 1, 4096 },
        { MESSAGE_WELCOME, "heartbeat_ms", 1, 10000000 },
        { MESSAGE_WELCOME, "liveness_ms", 1, 10000000 },
        { MESSAGE_WELCOME, "step_timeout_ms", 1, 10000000 }, { MESSAGE_HEARTBEAT, "diverged", 0, count },
        { MESSAGE_WELCOME, "snapshot_port", 0, 65535 }, { MESSAGE_REJECT, "stream", 0, 1000000 },
        { MESSAGE_REJECT, "sequence", 0, count }, { MESSAGE_WANT, "version", -1, count },
        { MESSAGE_FRAGMENT, "epoch", 0, count }, { MESSAGE_FRAGMENT, "stream", 0, 1000000 },
        { MESSAGE_FRAGMENT, "life", 0, u32 }, { MESSAGE_FRAGMENT, "sequence", 0, count },
        { MESSAGE_FRAGMENT, "version", 0, count }, { MESSAGE_FRAGMENT, "checksum", 0, u32 },
        { MESSAGE_FRAGMENT, "age_ms", 0, count }, { MESSAGE_ACK, "newest", 0, count },
        { MESSAGE_ACK, "start_version", 0, count }, { MESSAGE_ACK, "credit", 1, 4096 },
        { MESSAGE_SNAPSHOT, "version", 0, count }, { MESSAGE_SNAPSHOT, "checksum", 0, u32 },
        { MESSAGE_HEARTBEAT, "steps", 0, count }, { MESSAGE_HEARTBEAT, "version", -1, count },
        { MESSAGE_HEARTBEAT, "credit", 1, 4096 }, { MESSAGE_DRAIN, "epoch", 0, count },
        { MESSAGE_BYE, "epoch", 0, count },
    };
    for (size_t i = 0; i < TEST_COUNT(ranges); i++) {
        enum message_type t = ranges[i].type;
        const char *key = ranges[i].key;
        ck_assert_ptr_null(with_integer(t, key, ranges[i].min));
        ck_assert_ptr_null(with_integer(t, key, ranges[i].max));
        check_says(with_integer(t, key, ranges[i].min - 1), "is not within");
        check_says(with_integer(t, key, ranges[i].max + 1), "is not within");
        check_says(with_integer(t, key, INT64_MIN), "is not within");
        check_says(WITH(t, key, "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), "is too large");
    }
    /* those that other checks see as well */
    static const char *const counts[] = { "n_obs", "n_act", "n_transitions", "n_rows" };
    for (size_t i = 0; i < TEST_COUNT(counts); i++) {
        check_says(with_integer(MESSAGE_FRAGMENT, counts[i], 0), "is not within");
        check_says(with_integer(MESSAGE_FRAGMENT, counts[i], 1 << 20), "is not within");
        check_says(with_integer(MESSAGE_FRAGMENT, counts[i], INT64_MAX), "is not within");
    }
    check_says(with_integer(MESSAGE_FRAGMENT, "n_rows", 1), "is not within 2 and 32768");
    /* identities use all 64 bits */
    ck_assert_ptr_null(WITH(MESSAGE_WANT, "run", "\xcf\xff\xff\xff\xff\xff\xff\xff\xff"));
    check_says(WITH(MESSAGE_WANT, "run", "\xff"), "-1 is negative");
    check_says(WITH(MESSAGE_WANT, "incarnation", "\x00"), "0 is too small");
}
END_TEST

static const char *with_double(const char *key, double value)
{
    unsigned char raw[9] = { 0xcb };
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    for (int i = 0; i < 8; i++)
        raw[1 + i] = (unsigned char)(bits >> (56 - 8 * i));
    return with_value(MESSAGE_WELCOME, key, raw, sizeof(raw));
}

START_TEST(floats_are_finite_and_in_range)
{
    static const char *const keys[] = { "sigma", "theta", "dt" };
    for (size_t i = 0; i < TEST_COUNT(keys); i++) {
        static const double good[] = { 0, 1e-308, 0.2, 1e6 }, bad[] = { -1e-9, 1000001, 1e300 };
        for (size_t k = 0; k < TEST_COUNT(good); k++)
            ck_assert_ptr_null(with_double(keys[i], good[k]));
        for (size_t k = 0; k < TEST_COUNT(bad); k++)
            check_says(with_double(keys[i], bad[k]), "is not within 0 and 1000000");
        check_says(with_double(keys[i], (double)NAN), "is not within");
        check_says(with_double(keys[i], (double)INFINITY), "is not within");
        check_says(with_double(keys[i], -(double)INFINITY), "is not within");
        check_says(WITH(MESSAGE_WELCOME, keys[i], "\xca\x3f\x80\x00\x00"), "32 bits where one of 64");
        check_says(WITH(MESSAGE_WELCOME, keys[i], "\x01"), "an integer where a float belongs");
    }
    struct message m = example(MESSAGE_WELCOME, true);
    static const unsigned char expected[] = { 0xcb, 0x3f, 0xd0, 0, 0, 0, 0, 0, 0 };    /* 0.25 */
    struct entries all = take_apart(&m);
    ck_assert_uint_eq(find(&all, "sigma")->size, sizeof(expected));
    ck_assert_mem_eq(find(&all, "sigma")->value, expected, sizeof(expected));
}
END_TEST

START_TEST(elements_out_of_range_are_rejected)
{
    check_says(WITH(MESSAGE_WELCOME, "hidden", "\xc4\x05" "12345"), "not a multiple of 4");
    check_says(WITH(MESSAGE_WELCOME, "hidden", "\xc4\x04\0\0\0\0"), "0 is not within 1 and 65536");
    check_says(WITH(MESSAGE_WELCOME, "hidden", "\xc4\x04\1\0\1\0"), "65537 is not within");
    ck_assert_ptr_null(WITH(MESSAGE_WELCOME, "hidden", "\xc4\x00"));
    check_says(WITH(MESSAGE_WELCOME, "streams", "\xc4\x10\x41\x42\x0f\0\0\0\0\0\0\0\0\0\0\0\0\0"),
               "1000001 is not within");
    check_says(WITH(MESSAGE_ACK, "acked", "\xc4\x08\xff\xff\xff\xff\xff\xff\xff\xff"),
               "-1 is not within");
    check_says(WITH(MESSAGE_ACK, "acked", "\xc4\x07" "1234567"), "not a multiple of 8");
    check_says(WITH(MESSAGE_FRAGMENT, "lengths", "\xc4\x08\1\0\0\0\0\0\0\0"), "0 is not within");
    check_says(WITH(MESSAGE_FRAGMENT, "returns", "\xc4\x08\0\0\0\0\0\0\xf0\x7f"), "NaN");
    check_says(WITH(MESSAGE_FRAGMENT, "returns", "\xc4\x08\0\0\0\0\0\0\xf8\x7f"), "NaN");

    struct message m = example(MESSAGE_WELCOME, true), back;
    uint32_t wide[MESSAGE_MAX_HIDDEN + 1];
    for (size_t i = 0; i < TEST_COUNT(wide); i++)
        wide[i] = 65536;
    m.welcome.hidden = BYTES(wide);
    unsigned char data[CAPACITY];
    size_t size = message_encode(&m, data, sizeof(data));
    check_says(decode(&back, data, size), "WELCOME: key \"hidden\": 9 elements where at most 8");
    m.welcome.hidden.size -= sizeof(uint32_t);
    size = message_encode(&m, data, sizeof(data));
    ck_assert_ptr_null(decode(&back, data, size));
}
END_TEST

START_TEST(texts_are_bounded_and_printable)
{
    char text[256];
    memset(text, 'x', sizeof(text));
    text[64] = '\0';
    check_says(with_text(MESSAGE_HELLO, "name", text), "64 bytes where 1 to 63 belong");
    text[63] = '\0';
    ck_assert_ptr_null(with_text(MESSAGE_HELLO, "name", text));
    static const char *const bad_names[] = { ".", "..", ".hidden", "a/b", "a b", "\xc3\xa9" };
    for (size_t i = 0; i < TEST_COUNT(bad_names); i++)
        check_says(with_text(MESSAGE_HELLO, "name", bad_names[i]), "HELLO: key \"name\": only");
    check_says(with_text(MESSAGE_HELLO, "name", ""), "0 bytes where 1");
    check_says(with_text(MESSAGE_WELCOME, "environment", ""), "0 bytes where 1");
    ck_assert_ptr_null(with_text(MESSAGE_BYE, "reason", ""));
    ck_assert_ptr_null(with_text(MESSAGE_BYE, "reason", "na\xc3\xafve \xf0\x9f\x90\x9f"));
    check_says(with_text(MESSAGE_BYE, "reason", "\033[2J"), "BYE: key \"reason\": not printable");
    check_says(with_text(MESSAGE_BYE, "reason", "cut \xc3"), "not printable");
    check_says(WITH(MESSAGE_BYE, "reason", "\xa3" "a\0b"), "not printable");
}
END_TEST

START_TEST(counts_must_agree_with_sizes)
{
    const struct { const char *key; int64_t value; const char *sentence; } fragments[] = {
        { "n_rows", 2, "FRAGMENT: 2 rows cannot hold 2 transitions" },
        { "n_rows", 5, "5 rows cannot hold 2 transitions" },
        { "n_rows", 4, "\"rows\" has 72 bytes where 4 rows of 24 bytes belong" },
        { "n_obs", 3, "3 rows of 28 bytes" }, { "n_obs", 1, "3 rows of 20 bytes" },
        { "n_act", 2, "3 rows of 28 bytes" },
        { "n_transitions", 1, "3 rows cannot hold 1 transitions" },
    };
    for (size_t i = 0; i < TEST_COUNT(fragments); i++)
        check_says(with_integer(MESSAGE_FRAGMENT, fragments[i].key, fragments[i].value),
                   fragments[i].sentence);
    check_says(WITH(MESSAGE_FRAGMENT, "lengths", "\xc4\x04\1\0\0\0"), "different numbers of");
    check_says(WITH(MESSAGE_WELCOME, "lives", "\xc4\x04\1\0\0\0"), "not as long as the 4 streams");
    check_says(WITH(MESSAGE_WELCOME, "sequences", "\xc4\x08\1\0\0\0\0\0\0\0"), "not as long as");
    check_says(WITH(MESSAGE_WELCOME, "streams", "\xc4\x00"), "\"streams\" is empty");
    check_says(WITH(MESSAGE_WELCOME, "streams", "\xc4\x04\1\0\0\0"), "not as long as the 1 streams");
    check_says(WITH(MESSAGE_WELCOME, "states", "\xc4\x07" "1234567"), "7 bytes of \"states\"");
    check_says(WITH(MESSAGE_WELCOME, "states", "\xc4\x00"), "4 bytes beside 0 bytes of \"states\"");
    check_says(WITH(MESSAGE_WELCOME, "streams", "\xc4\x10\1\0\0\0\2\0\0\0\1\0\0\0\3\0\0\0"), "stands there twice");
    check_says(WITH(MESSAGE_WELCOME, "saved", "\xc4\x00"), "0 bytes beside 8 bytes of \"states\"");
    check_says(WITH(MESSAGE_WELCOME, "saved", "\xc4\x03" "\1\0\1"), "3 bytes beside");

    struct message m = example(MESSAGE_FRAGMENT, true);
    double returns[3] = { 1, 2, 3 };
    m.fragment.returns = BYTES(returns);
    m.fragment.lengths = (struct bytes){ (const unsigned char *)some_u32, 12 };
    struct entries all = take_apart(&m);
    check_says(decode_entries(&all), "more episodes than transitions");

    check_says(WITH(MESSAGE_GRADIENT, "lengths", "\xc4\x04\1\0\0\0"), "GRADIENT: \"returns\" and \"lengths\"");
    check_says(with_integer(MESSAGE_GRADIENT, "n_transitions", 1), "more episodes than transitions");
    check_says(WITH(MESSAGE_GRADIENT, "gradient", "\xc4\x00"), "\"failure\" says why \"gradient\" is empty");
    check_says(WITH(MESSAGE_GRADIENT, "metrics", "\xc4\x08\0\0\0\0\0\0\xf0\x7f"), "NaN or infinite");
}
END_TEST

START_TEST(what_the_learner_says_in_a_heartbeat_goes_together)
{
    static const char *const keys[] = { "newest", "start_version", "credit", "acked" };
    struct message m = example(MESSAGE_HEARTBEAT, true);
    for (size_t i = 0; i < TEST_COUNT(keys); i++) {
        struct entries all = take_apart(&m);
        *find(&all, keys[i]) = all.e[all.n - 1];
        all.n--;
        check_says(decode_entries(&all), "go together");
    }
}
END_TEST

START_TEST(a_round_and_the_version_before_go_together)
{
    static const enum message_type types[] = { MESSAGE_ACK, MESSAGE_HEARTBEAT };
    static const char *const keys[] = { "round", "previous" };
    for (size_t t = 0; t < TEST_COUNT(types); t++)
        for (size_t i = 0; i < TEST_COUNT(keys); i++) {
            struct message m = example(types[t], true);
            struct entries all = take_apart(&m);
            *find(&all, keys[i]) = all.e[all.n - 1];
            all.n--;
            check_says(decode_entries(&all), "\"round\" and \"previous\" go together");
        }
}
END_TEST

START_TEST(the_first_key_is_type)
{
    struct message m = example(MESSAGE_WANT, true), back;
    struct entries all = take_apart(&m), turned = all;
    turned.e[0] = all.e[1], turned.e[1] = all.e[0];
    struct raw r = put_together(&turned);
    check_says(decode(&back, r.data, r.size), "message: the first key is not \"type\"");
    ck_assert_int_eq(back.type, N_MESSAGE_TYPES);
    static const char *const names[] = { "\xa4want", "\xa3WAN", "\xa5WANTS", "\xa0", "\x03" };
    for (size_t i = 0; i < TEST_COUNT(names); i++) {
        turned = all;
        turned.e[0].size = strlen(names[i]);
        memcpy(turned.e[0].value, names[i], strlen(names[i]));
        ck_assert_ptr_nonnull(decode_entries(&turned));
    }
    turned = all;
    turned.e[1] = all.e[0];    /* again in the middle */
    check_says(decode_entries(&turned), "unknown key \"type\"");
}
END_TEST

START_TEST(hostile_counts_are_rejected_at_once)
{
    static const struct { const char *raw; size_t size; const char *sentence; } hostile[] = {
#define H(literal, sentence) { literal, sizeof(literal) - 1, sentence }
        H("", "ends where a value should begin"), H("\x80", "ends where a value should begin"),
        H("\xdd\xff\xff\xff\xff", "an array where a map belongs"),
        H("\xdc\xff\xff", "an array where a map belongs"),
        H("\xdf\xff\xff\xff\xff", "a map of 4294967295 entries announced, 0 bytes left"),
        H("\xdf\xff\xff\xff\xff\xa4type\xa4WANT", "a map of 4294967295 entries announced"),
        H("\xde\xff\xff", "a map of 65535 entries announced, 0 bytes left"),
        H("\x8f\xa4type", "a map of 15 entries announced, 5 bytes left"),
        H("\xde\xff", "ends inside a number"), H("\xdf\xff\xff\xff", "ends inside a number"),
        H("\xdb\xff\xff\xff\xff", "a text where a map belongs"), H("\xc1", "no MessagePack value"),
        H("\x81\xdb\xff\xff\xff\xff", "4294967295 bytes announced, 0 left"),
        H("\x81\xc6\xff\xff\xff\xff", "a bin where a text belongs"),
        H("\x82\xa4type\xa4WANT\xdd\xff\xff\xff\xff", "an array where a text belongs"),
        H("\x82\xa4type\xa4WANT\xa3run\xdd\xff\xff\xff\xff", "WANT: key \"run\": an array where"),
        H("\x82\xa4type\xa8" "FRAGMENT\xa4rows\xc6\xff\xff\xff\xff" "1234",
          "FRAGMENT: key \"rows\": 4294967295 bytes announced, 4 left"),
        H("\x82\xa4type\xa8" "FRAGMENT\xa4rows\xc5\x00\x60" "1234",
          "FRAGMENT: key \"rows\": 96 bytes announced, 4 left"),
        H("\x82\xa4type\xa3" "BYE\xa6reason\xdb\x7f\xff\xff\xff", "2147483647 bytes announced"),
#undef H
    };
    struct rusage before, after;
    struct message m;
    getrusage(RUSAGE_SELF, &before);
    bool all_refused = true;
    for (int repeat = 0; repeat < 1000; repeat++)
        for (size_t i = 0; i < TEST_COUNT(hostile); i++)
            all_refused &= message_decode(&m, (const unsigned char *)hostile[i].raw,
                                          hostile[i].size) != NULL;
    unsigned char deep[CAPACITY];
    memset(deep, 0x91, sizeof(deep));
    all_refused &= message_decode(&m, deep, sizeof(deep)) != NULL;
    memset(deep, 0x81, sizeof(deep));
    all_refused &= message_decode(&m, deep, sizeof(deep)) != NULL;
    getrusage(RUSAGE_SELF, &after);
    ck_assert(all_refused);
    ck_assert_int_le(after.ru_maxrss - before.ru_maxrss, 1024);    /* KiB */
    for (size_t i = 0; i < TEST_COUNT(hostile); i++)
        check_says(decode(&m, hostile[i].raw, hostile[i].size), hostile[i].sentence);
}
END_TEST

START_TEST(decoding_and_encoding_allocate_nothing)
{
    unsigned char data[CAPACITY];
    long before = n_allocations;
    void *volatile block = malloc(1);    /* volatile: else the pair may be optimised away */
    free(block);
    ck_assert_int_eq(n_allocations, before + COUNTS_ALLOCATIONS);
    before = n_allocations;
    bool good = true;
    for EACH_TYPE(t) {
        struct message m = example(t, true), back;
        size_t size = message_encode(&m, data, sizeof(data));
        for (size_t n = 0; n <= size; n++)
            good &= (message_decode(&back, data, n) == NULL) == (n == size);
    }
    ck_assert_int_eq(n_allocations, before);
    ck_assert(good);
}
END_TEST

/* ---- room ---- */

START_TEST(encoding_into_too_little_room_returns_0)
{
    for EACH_TYPE(t) {
        struct message m = example(t, true);
        unsigned char data[CAPACITY], whole[CAPACITY];
        size_t size = message_encode(&m, whole, sizeof(whole));
        for (size_t capacity = 0; capacity <= size; capacity++) {
            memset(data, 0xee, sizeof(data));
            size_t n = message_encode(&m, data, capacity);
            ck_assert_uint_eq(n, capacity < size ? 0 : size);
            for (size_t i = capacity; i < size + 16; i++)
                ck_assert_uint_eq(data[i], 0xee);
        }
        ck_assert_mem_eq(data, whole, size);
    }
}
END_TEST

START_TEST(a_header_is_placed_right_before_the_rows)
{
    for (int full = 0; full < 2; full++) {
        struct message m = example(MESSAGE_FRAGMENT, full), back;
        unsigned char whole[CAPACITY], buffer[CAPACITY];
        size_t size = message_encode(&m, whole, sizeof(whole));
        memset(buffer, 0xee, sizeof(buffer));
        unsigned char *rows = buffer + 4096 + 3;
        memcpy(rows, some_rows, sizeof(some_rows));
        m.fragment.rows.data = NULL;    /* only the size may be read */
        unsigned char *begin = message_encode_before(&m, rows);
        ck_assert_ptr_eq(begin + size, rows + sizeof(some_rows));
        ck_assert_mem_eq(begin, whole, size);
        ck_assert_uint_eq(begin[-1], 0xee);
        ck_assert_uint_eq(rows[sizeof(some_rows)], 0xee);
        ck_assert_ptr_null(message_decode(&back, begin, size));
        ck_assert_ptr_eq(back.fragment.rows.data, rows);
    }
}
END_TEST

START_TEST(a_gradient_lies_behind_its_header_or_says_why_it_is_none)
{
    struct message m = example(MESSAGE_GRADIENT, true), back;
    unsigned char buffer[CAPACITY], *bulk = buffer + 5000;
    memcpy(bulk, some_rows, sizeof(some_rows));
    unsigned char *begin = message_encode_before(&m, bulk);
    ck_assert_ptr_null(message_decode(&back, begin, (size_t)(bulk - begin) + sizeof(some_rows)));
    ck_assert_ptr_eq(back.gradient.gradient.data, bulk);
    check_equal(m, back);

    m.gradient.gradient.size = 0;
    SET(m.gradient.failure, "the value loss is not finite");
    begin = message_encode_before(&m, bulk);
    ck_assert_ptr_null(message_decode(&back, begin, (size_t)(bulk - begin)));
    ck_assert_str_eq(back.gradient.failure, m.gradient.failure);
    m.gradient.gradient.size = sizeof(some_rows);
    begin = message_encode_before(&m, bulk);
    check_says(message_decode(&back, begin, (size_t)(bulk - begin) + sizeof(some_rows)), "and only then");
}
END_TEST

START_TEST(a_state_of_any_size_fits_before_the_rows)
{
    enum { STATE = 100000 };
    struct message m = example(MESSAGE_FRAGMENT, true), back;
    unsigned char *buffer = calloc(1, STATE + MESSAGE_HEADER_BYTES + 100 + sizeof(some_rows));
    unsigned char *rows = buffer + STATE + MESSAGE_HEADER_BYTES + 100;
    unsigned char *state = calloc(1, STATE);
    memset(state, 0x5a, STATE);
    memcpy(rows, some_rows, sizeof(some_rows));
    m.fragment.state = (struct bytes){ state, STATE };
    unsigned char *begin = message_encode_before(&m, rows);
    ck_assert(begin >= buffer);
    ck_assert_ptr_null(message_decode(&back, begin, (size_t)(rows - begin) + sizeof(some_rows)));
    check_equal(m, back);
    free(state);
    free(buffer);
}
END_TEST

START_TEST(a_header_never_needs_more_than_its_bound)
{
    for EACH_TYPE(t) {
        struct message m;
        memset(&m, 'x', sizeof(m));    /* long texts, wide numbers */
        m.type = t;
        struct bytes *fields[MAX_BYTES_FIELDS];
        size_t n = bytes_fields(&m, fields);
        for (size_t i = 0; i < n; i++)
            *fields[i] = (struct bytes){ NULL, 0 };
        bool *flags[] = { &m.welcome.critic_layer_norm, &m.welcome.scales_rewards, &m.welcome.wants_state, &m.welcome.normalises, &m.welcome.layer_norm,
                          &m.welcome.whole_episodes, &m.reject.retry, &m.snapshot.random };
        const enum message_type owners[] = { MESSAGE_WELCOME, MESSAGE_WELCOME, MESSAGE_WELCOME, MESSAGE_WELCOME, MESSAGE_WELCOME,
                                             MESSAGE_WELCOME, MESSAGE_REJECT, MESSAGE_SNAPSHOT };
        for (size_t i = 0; i < TEST_COUNT(flags); i++)
            if (owners[i] == t)
                *flags[i] = true;
        unsigned char data[CAPACITY];
        size_t size = message_encode(&m, data, sizeof(data));
        ck_assert_uint_gt(size, 0);
        ck_assert_uint_le(size + 4 * 5, MESSAGE_HEADER_BYTES);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_type_survives_a_round_trip, a_want_has_the_bytes_of_the_specification,
        absent_optional_fields_are_not_written, keys_may_stand_in_any_order_behind_type,
        every_proper_prefix_is_rejected,
        a_byte_behind_the_message_is_rejected, keys_that_are_missing_or_double_are_rejected,
        keys_that_are_unknown_are_rejected, values_of_another_kind_are_rejected,
        numbers_out_of_range_are_rejected, floats_are_finite_and_in_range, elements_out_of_range_are_rejected,
        texts_are_bounded_and_printable, counts_must_agree_with_sizes,
        what_the_learner_says_in_a_heartbeat_goes_together, a_round_and_the_version_before_go_together, the_first_key_is_type,
        hostile_counts_are_rejected_at_once, decoding_and_encoding_allocate_nothing,
        encoding_into_too_little_room_returns_0, a_header_is_placed_right_before_the_rows,
        a_gradient_lies_behind_its_header_or_says_why_it_is_none,
        a_state_of_any_size_fits_before_the_rows, a_header_never_needs_more_than_its_bound,
    };
    return suite_run("message", tests, TEST_COUNT(tests), 30);
}
