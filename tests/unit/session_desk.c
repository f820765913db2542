#include "tests/unit/session_desk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "tests/support.h"

static int frames_alive;

static void frame_gone(struct frame *f)
{
    frames_alive--;
    free(f->data);
    free(f);
}

struct frame *frame_make(const void *data, size_t bytes)
{
    struct frame *f = calloc(1, sizeof(*f));
    f->data = malloc(bytes ? bytes : 1);
    memcpy(f->data, data, bytes);
    f->size = bytes;
    f->recycle = frame_gone;
    atomic_store(&f->references, 1);
    frames_alive++;
    return f;
}

size_t encode(const struct message *m, unsigned char out[4096])
{
    size_t bytes = message_encode(m, out, 4096);
    ck_assert_uint_gt(bytes, 0);
    return bytes;
}

static void on_send(void *context, uint64_t peer, struct frame *f)
{
    struct desk *d = context;
    struct message m;
    const char *wrong = message_decode(&m, f->data, f->size);
    ck_assert_msg(wrong == NULL, "the learner says something malformed: %s", wrong);
    ck_assert_int_lt(d->n_sent, MAX_SENT);
    d->sent[d->n_sent].peer = peer;
    d->sent[d->n_sent++].frame = f;
    if (m.type != MESSAGE_REJECT)
        return;
    d->rejects++;
    d->fragments_rejected += d->is_sending_fragment;
}

static void on_publish(void *context, struct frame *f)
{
    ((struct desk *)context)->n_published++;
    frame_release(f);
}

static void on_deliver(void *context, struct fragment *f)
{
    struct desk *d = context;
    ck_assert_int_lt(d->n_delivered, MAX_DELIVERED);
    d->delivered[d->n_delivered++] = f;
}

static void on_log(void *context, const char *line)
{
    ck_assert_ptr_null(strchr(line, '\n'));
    struct desk *d = context;
    d->n_lines++;
    snprintf(d->line, sizeof(d->line), "%s", line);
}

void desk_settings(struct desk *d, enum mode mode, int actors, int envs)
{
    struct option_section sections[SETTINGS_SECTIONS];
    memset(d, 0, sizeof(*d));
    options_default(sections, settings_sections(&d->settings, sections));
    d->settings.top.mode = mode;
    d->settings.top.actors = actors;
    d->settings.top.envs_per_actor = envs;
    d->settings.actor.horizon = T;
    d->settings.transport.window = 3;
    d->settings.transport.heartbeat_ms = 1000;
    d->settings.transport.liveness_ms = 4000;
    d->spec = (struct env_spec){ .name = "Pendulum-v1", .shape = { 3, 1 }, .time_limit = 200,
                                 .act_low = { -2 }, .act_high = { 2 } };
    d->traits.head = HEAD_SQUASHED_GAUSSIAN;
    d->now_us = 5 * SECOND;
}

void desk_open(struct desk *d, const int64_t *lives, const int64_t *sequences,
                      const int64_t *has_state, const unsigned char *states)
{
    d->fragments = fragment_pool_create();
    const struct session_setup setup = {
        .run = RUN, .epoch = EPOCH, .settings = &d->settings, .spec = &d->spec,
        .traits = &d->traits, .is_on_policy = d->is_on_policy, .snapshot_port = 4321, .cpu = "test cpu",
        .state_bytes = STATE_BYTES, .fragments = d->fragments, .lives = lives,
        .sequences = sequences, .has_state = has_state, .states = states,
        .algorithm = d->algorithm, .hyper = d->hyper, .n_trained = d->n_trained,
    };
    d->session = session_create(&setup, (struct session_out){
        .context = d, .send = on_send, .publish = on_publish, .deliver = on_deliver,
        .log = on_log });
}

struct desk *desk_create(enum mode mode, int actors, int envs)
{
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, mode, actors, envs);
    desk_open(d, NULL, NULL, NULL, NULL);
    publish(d, 0);
    return d;
}

struct session_counts counts_of(const struct desk *d)
{
    struct session_counts c;
    session_count(d->session, &c);
    return c;
}

struct session_actor books_of(const struct desk *d, int place)
{
    struct session_actor a;
    session_count_actor(d->session, place, &a);
    return a;
}

void desk_destroy(struct desk *d)
{
    struct session_counts c = counts_of(d);
    int64_t rejected = 0, accepted = 0;
    for (int i = 0; i < N_REJECTIONS; i++)
        rejected += c.rejected[i];
    ck_assert_int_eq(rejected, d->rejects + d->rejects_of_nobody);
    ck_assert_int_eq(c.received, d->fragments_in);
    ck_assert_int_eq(c.received, c.accepted + d->fragments_rejected);
    for (int i = 0; i < d->n_delivered; i++) {
        accepted += d->delivered[i]->n_rows > 0;
        fragment_pool_give(d->fragments, d->delivered[i]);
    }
    ck_assert_int_eq(accepted, c.accepted);
    accepted = 0;
    for (int i = 0; i < d->settings.top.actors; i++)
        accepted += books_of(d, i).accepted;
    ck_assert_int_eq(accepted, c.accepted);
    for (int i = 0; i < d->n_sent; i++)
        frame_release(d->sent[i].frame);
    session_destroy(&d->session);
    fragment_pool_destroy(&d->fragments);
    ck_assert_int_eq(frames_alive, 0);
    free(d);
}

/* ---- talking to it ---- */

void receive(struct desk *d, uint64_t peer, const struct message *m)
{
    unsigned char bytes[4096];
    d->is_sending_fragment = m->type == MESSAGE_FRAGMENT || m->type == MESSAGE_GRADIENT;
    d->fragments_in += d->is_sending_fragment;
    session_receive(d->session, d->now_us, peer, frame_make(bytes, encode(m, bytes)));
    d->is_sending_fragment = false;
}

void tick(struct desk *d, int64_t us)
{
    d->now_us += us;
    session_tick(d->session, d->now_us);
}

const struct message *next(struct desk *d, uint64_t peer, enum message_type type)
{
    ck_assert_msg(d->n_read < d->n_sent, "no %s is sent", message_name(type));
    struct frame *f = d->sent[d->n_read].frame;
    message_decode(&d->m, f->data, f->size);
    ck_assert_msg(d->m.type == type, "%s is sent instead of %s", message_name(d->m.type),
                  message_name(type));
    ck_assert_uint_eq(d->sent[d->n_read++].peer, peer);
    return &d->m;
}

void expect_silence(const struct desk *d)
{
    ck_assert_int_eq(d->n_read, d->n_sent);
}

void skip(struct desk *d)
{
    d->n_read = d->n_sent;
}

const struct reject *expect_reject(struct desk *d, uint64_t peer, const char *of,
                                          enum rejection code, bool retry)
{
    const struct reject *r = &next(d, peer, MESSAGE_REJECT)->reject;
    ck_assert_str_eq(r->of, of);
    ck_assert_str_eq(r->code, rejection_word(code));
    ck_assert_int_eq(r->retry, retry);
    ck_assert_uint_gt(strlen(r->reason), 10);
    expect_silence(d);
    return r;
}

struct message hello(uint64_t peer, const char *name)
{
    struct message m;
    message_init(&m, MESSAGE_HELLO);
    m.hello.protocol = PROTOCOL_VERSION;
    m.hello.incarnation = 100 * peer;
    snprintf(m.hello.name, sizeof(m.hello.name), "%s", name);
    snprintf(m.hello.program, sizeof(m.hello.program), "%s", "test 1");
    snprintf(m.hello.cpu, sizeof(m.hello.cpu), "%s", "test cpu");
    return m;
}

const struct welcome *next_welcome(struct desk *d, uint64_t peer)
{
    next(d, peer, MESSAGE_WELCOME);
    struct message welcome = d->m;
    next(d, peer, MESSAGE_ACK);
    ck_assert_uint_eq(d->m.ack.acked.size, 2 * welcome.welcome.streams.size);
    d->m = welcome;
    return &d->m.welcome;
}

bool has_streams(const struct welcome *w, const char *digits)
{
    bool is_so = w->streams.size == strlen(digits) * sizeof(uint32_t);
    for (size_t i = 0; is_so && digits[i]; i++)
        is_so = bytes_u32(w->streams, i) == (uint32_t)(digits[i] - '0');
    return is_so;
}

const struct welcome *join(struct desk *d, uint64_t peer, const char *name)
{
    struct message m = hello(peer, name);
    receive(d, peer, &m);
    next_welcome(d, peer);
    expect_silence(d);
    return &d->m.welcome;
}

struct message member(enum message_type type, uint64_t peer)
{
    struct message m;
    message_init(&m, type);
    if (type == MESSAGE_WANT)
        m.want = (struct want){ RUN, 100 * peer, EPOCH, -1, -1 };
    else if (type == MESSAGE_HEARTBEAT)
        m.heartbeat.run = RUN, m.heartbeat.incarnation = 100 * peer, m.heartbeat.epoch = EPOCH;
    else
        m.bye = (struct bye){ RUN, 100 * peer, EPOCH, "done" };
    return m;
}

void say(struct desk *d, enum message_type type, uint64_t peer)
{
    struct message m = member(type, peer);
    receive(d, peer, &m);
}

struct message fragment(struct desk *d, uint64_t peer, int64_t stream, int64_t life,
                               int64_t sequence)
{
    struct message m;
    static const enum row_kind kinds[] = { ROW_STEP, ROW_TRUNCATED, ROW_CLOSE, ROW_STEP, ROW_STEP,
                                           ROW_CLOSE };
    message_init(&m, MESSAGE_FRAGMENT);
    memset(d->rows, 0, sizeof(d->rows));
    for (size_t i = 0; i < TEST_COUNT(kinds); i++) {
        for (int j = 0; j < (kinds[i] == ROW_CLOSE ? 3 : STRIDE - 1); j++)
            d->rows[i][j] = (float)(100 * stream + 10 * sequence) + (float)i;
        d->rows[i][STRIDE - 1] = (float)kinds[i];
    }
    d->returns[0] = -12.5;
    d->lengths[0] = 200;
    memset(d->state, (int)(16 * stream + sequence + 1), sizeof(d->state));
    struct fragment_header *h = &m.fragment;
    h->run = RUN;
    h->incarnation = 100 * peer;
    h->epoch = EPOCH;
    h->stream = stream;
    h->life = life;
    h->sequence = sequence;
    h->version = 0;
    h->n_obs = 3;
    h->n_act = 1;
    h->n_transitions = T;
    h->n_rows = TEST_COUNT(kinds);
    h->returns = (struct bytes){ (unsigned char *)d->returns, sizeof(double) };
    h->lengths = (struct bytes){ (unsigned char *)d->lengths, sizeof(uint32_t) };
    h->state = (struct bytes){ d->state, sizeof(d->state) };
    h->rows = (struct bytes){ (unsigned char *)d->rows, TEST_COUNT(kinds) * sizeof(d->rows[0]) };
    h->checksum = digest_crc32(h->rows.data, h->rows.size);
    return m;
}

struct message fragment_of(struct desk *d, uint64_t peer, int64_t stream, int64_t life, int64_t sequence,
                           const char *kinds)
{
    struct message m = fragment(d, peer, stream, life, sequence);
    const int n_rows = (int)strlen(kinds);
    int n_transitions = 0;
    for (int i = 0; i < n_rows; i++) {
        memset(d->rows[i], 0, sizeof(d->rows[i]));
        d->rows[i][STRIDE - 1] = (float)(strchr("STLC", kinds[i]) - "STLC");
        n_transitions += kinds[i] != 'C';
    }
    m.fragment.n_rows = n_rows;
    m.fragment.n_transitions = n_transitions;
    m.fragment.rows.size = (size_t)n_rows * sizeof(d->rows[0]);
    m.fragment.checksum = digest_crc32(m.fragment.rows.data, m.fragment.rows.size);
    return m;
}

void send_good(struct desk *d, uint64_t peer, int64_t stream, int64_t life, int64_t sequence)
{
    int before = d->n_delivered;
    struct message m = fragment(d, peer, stream, life, sequence);
    receive(d, peer, &m);
    expect_silence(d);
    ck_assert_int_eq(d->n_delivered, before + 1);
}

int64_t acked(const struct message *m, size_t i)
{
    return bytes_i64(m->type == MESSAGE_ACK ? m->ack.acked : m->heartbeat.acked, i);
}

void publish(struct desk *d, int64_t version)
{
    static const float params[] = { 1, 2, 3 };
    unsigned char bytes[4096];
    struct message m;
    message_init(&m, MESSAGE_SNAPSHOT);
    m.snapshot = (struct snapshot){ .run = RUN, .epoch = EPOCH, .version = version,
        .checksum = digest_crc32(params, sizeof(params)),
        .parameters = { (const unsigned char *)params, sizeof(params) } };
    session_publish(d->session, version, frame_make(bytes, encode(&m, bytes)));
}

enum rejection spoil(struct desk *d, struct message *m, int what)
{
    struct fragment_header *h = &m->fragment;
    bool is_checked = true;
    enum rejection r = REJECT_ROWS;
    switch (what) {
    case 0: h->version = 8, r = REJECT_VERSION; break;
    case 1: h->checksum ^= 1, r = REJECT_CHECKSUM, is_checked = false; break;
    case 2: d->rows[3][1] += 1, r = REJECT_CHECKSUM, is_checked = false; break;
    case 3: d->rows[3][1] = NAN, r = REJECT_NONFINITE; break;
    case 4: d->rows[0][4] = INFINITY, r = REJECT_NONFINITE; break;
    case 5: d->rows[2][STRIDE - 1] = ROW_STEP; break;
    case 6: d->rows[5][STRIDE - 1] = ROW_STEP; break;
    case 7: d->rows[0][STRIDE - 1] = 0.5f; break;
    case 8: d->rows[5][4] = 1; break;
    case 9: d->rows[1][STRIDE - 1] = ROW_CLOSE, r = REJECT_ROWS; break;
    case 10: {    /* right in itself, of another horizon */
        h->n_transitions = 3, h->n_rows = 5, r = REJECT_DIMENSIONS;
        h->rows.size = 5 * sizeof(d->rows[0]);
        memset(d->rows[4] + 3, 0, 3 * sizeof(float));
        d->rows[4][STRIDE - 1] = ROW_CLOSE;
        break;
    }
    case 11: h->n_obs = 2, h->n_act = 2, r = REJECT_DIMENSIONS; break;
    default: ck_abort_msg("no way %d", what);
    }
    if (is_checked)
        h->checksum = digest_crc32(h->rows.data, h->rows.size);
    return r;
}

