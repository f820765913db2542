/* The session core against hand-made frames: everything it says is captured and decoded, every
 * frame is counted, and after each test the books must balance. */
#include "learner/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/rng.h"
#include "proto/message.h"
#include "tests/support.h"

enum { T = 4, STRIDE = 7, STATE_BYTES = 24, MAX_SENT = 4096, MAX_DELIVERED = 4096 };
enum { ALICE = 11, BOB = 12, CAROL = 13 };              /* peers; incarnations are 100 x as much */
static const uint64_t RUN = 0xfedcba9876543210;
static const int64_t EPOCH = 3, SECOND = 1000000;

/* ---- the desk at which a session works ---- */

struct desk {
    struct settings settings;
    struct env_spec spec;
    struct algorithm_traits traits;
    struct fragment_pool *fragments;
    struct session *session;
    int64_t now_us;
    struct { uint64_t peer; struct frame *frame; } sent[MAX_SENT];
    int n_sent, n_read;                       /* n_read: looked at by `next` */
    struct fragment *delivered[MAX_DELIVERED];
    int n_delivered, n_published, n_lines;
    int64_t fragments_in, fragments_rejected, rejects;
    bool is_sending_fragment;
    struct message m;                         /* read last; borrows from its frame */
    float rows[2 * T][STRIDE];                /* of the fragment made last */
    double returns[T];
    uint32_t lengths[T];
    unsigned char state[STATE_BYTES];
};

static int frames_alive;

static void frame_gone(struct frame *f)
{
    frames_alive--;
    free(f->data);
    free(f);
}

/* `bytes` of data in a block of exactly their size. */
static struct frame *frame_make(const void *data, size_t bytes)
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

static size_t encode(const struct message *m, unsigned char out[4096])
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
    ((struct desk *)context)->n_lines++;
}

static void desk_settings(struct desk *d, enum mode mode, int actors, int envs)
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

static void desk_open(struct desk *d, const int64_t *lives, const int64_t *sequences,
                      const int64_t *has_state, const unsigned char *states)
{
    d->fragments = fragment_pool_create();
    const struct session_setup setup = {
        .run = RUN, .epoch = EPOCH, .settings = &d->settings, .spec = &d->spec,
        .traits = &d->traits, .snapshot_port = 4321, .cpu = "test cpu",
        .state_bytes = STATE_BYTES, .fragments = d->fragments, .lives = lives,
        .sequences = sequences, .has_state = has_state, .states = states,
    };
    d->session = session_create(&setup, (struct session_out){
        .context = d, .send = on_send, .publish = on_publish, .deliver = on_deliver,
        .log = on_log });
}

static struct desk *desk_create(enum mode mode, int actors, int envs)
{
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, mode, actors, envs);
    desk_open(d, NULL, NULL, NULL, NULL);
    return d;
}

static struct session_counts counts_of(const struct desk *d)
{
    struct session_counts c;
    session_count(d->session, &c);
    return c;
}

/* Everything received was accepted or refused with an answer, and every frame was let go. */
static void desk_destroy(struct desk *d)
{
    struct session_counts c = counts_of(d);
    int64_t rejected = 0, accepted = 0;
    for (int i = 0; i < N_REJECTIONS; i++)
        rejected += c.rejected[i];
    ck_assert_int_eq(rejected, d->rejects);
    ck_assert_int_eq(c.received, d->fragments_in);
    ck_assert_int_eq(c.received, c.accepted + d->fragments_rejected);
    for (int i = 0; i < d->n_delivered; i++) {
        accepted += d->delivered[i]->frame != NULL;
        fragment_pool_give(d->fragments, d->delivered[i]);
    }
    ck_assert_int_eq(accepted, c.accepted);
    for (int i = 0; i < d->n_sent; i++)
        frame_release(d->sent[i].frame);
    session_destroy(&d->session);
    fragment_pool_destroy(&d->fragments);
    ck_assert_int_eq(frames_alive, 0);
    free(d);
}

/* ---- talking to it ---- */

static void receive(struct desk *d, uint64_t peer, const struct message *m)
{
    unsigned char bytes[4096];
    d->is_sending_fragment = m->type == MESSAGE_FRAGMENT;
    d->fragments_in += d->is_sending_fragment;
    session_receive(d->session, d->now_us, peer, frame_make(bytes, encode(m, bytes)));
    d->is_sending_fragment = false;
}

static void tick(struct desk *d, int64_t us)
{
    d->now_us += us;
    session_tick(d->session, d->now_us);
}

/* The next unread message, which must be of this type and go to this peer. */
static const struct message *next(struct desk *d, uint64_t peer, enum message_type type)
{
    ck_assert_msg(d->n_read < d->n_sent, "no %s is sent", message_name(type));
    struct frame *f = d->sent[d->n_read].frame;
    message_decode(&d->m, f->data, f->size);
    ck_assert_msg(d->m.type == type, "%s is sent instead of %s", message_name(d->m.type),
                  message_name(type));
    ck_assert_uint_eq(d->sent[d->n_read++].peer, peer);
    return &d->m;
}

static void expect_silence(const struct desk *d)
{
    ck_assert_int_eq(d->n_read, d->n_sent);
}

static void skip(struct desk *d)
{
    d->n_read = d->n_sent;
}

static const struct reject *expect_reject(struct desk *d, uint64_t peer, const char *of,
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

static struct message hello(uint64_t peer, const char *name)
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

/* Say HELLO and read WELCOME; the ACK that follows at the next tick is read as well. */
static const struct welcome *join(struct desk *d, uint64_t peer, const char *name)
{
    struct message m = hello(peer, name);
    receive(d, peer, &m);
    next(d, peer, MESSAGE_WELCOME);
    struct message welcome = d->m;
    session_tick(d->session, d->now_us);
    next(d, peer, MESSAGE_ACK);
    expect_silence(d);
    d->m = welcome;
    return &d->m.welcome;
}

/* A message that only a member may send. */
static struct message member(enum message_type type, uint64_t peer)
{
    struct message m;
    message_init(&m, type);
    if (type == MESSAGE_WANT)
        m.want = (struct want){ RUN, 100 * peer, EPOCH, -1 };
    else if (type == MESSAGE_HEARTBEAT)
        m.heartbeat.run = RUN, m.heartbeat.incarnation = 100 * peer, m.heartbeat.epoch = EPOCH;
    else
        m.bye = (struct bye){ RUN, 100 * peer, EPOCH, "done" };
    return m;
}

static void say(struct desk *d, enum message_type type, uint64_t peer)
{
    struct message m = member(type, peer);
    receive(d, peer, &m);
}

/* A fragment as it should be: T steps, the second of which ends an episode. */
static struct message fragment(struct desk *d, uint64_t peer, int64_t stream, int64_t life,
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

/* Send a good one that must be accepted. */
static void send_good(struct desk *d, uint64_t peer, int64_t stream, int64_t life, int64_t sequence)
{
    int before = d->n_delivered;
    struct message m = fragment(d, peer, stream, life, sequence);
    receive(d, peer, &m);
    expect_silence(d);
    ck_assert_int_eq(d->n_delivered, before + 1);
}

static int64_t acked(const struct message *m, size_t i)
{
    return bytes_i64(m->type == MESSAGE_ACK ? m->ack.acked : m->heartbeat.acked, i);
}

static void publish(struct desk *d, int64_t version, int64_t start_version)
{
    static const float params[] = { 1, 2, 3 };
    unsigned char bytes[4096];
    struct message m;
    message_init(&m, MESSAGE_SNAPSHOT);
    m.snapshot = (struct snapshot){ .run = RUN, .epoch = EPOCH, .version = version,
        .checksum = digest_crc32(params, sizeof(params)),
        .parameters = { (const unsigned char *)params, sizeof(params) } };
    session_publish(d->session, version, start_version, frame_make(bytes, encode(&m, bytes)));
}

/* ---- joining ---- */

START_TEST(welcome_says_everything_an_actor_needs)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 3);
    char spec[ENV_SPEC_HASH_BYTES];
    env_spec_hash(&d->spec, spec);
    for (uint64_t peer = ALICE; peer <= BOB; peer++) {
        const struct welcome *w = join(d, peer, peer == ALICE ? "alice" : "bob");
        ck_assert(w->run == RUN && w->epoch == EPOCH && w->incarnation == 100 * peer);
        ck_assert(w->seed == 1 && w->protocol == PROTOCOL_VERSION);
        ck_assert_str_eq(w->algorithm, "sac");
        ck_assert_str_eq(w->mode, "async");
        ck_assert_str_eq(w->environment, "Pendulum-v1");
        ck_assert_str_eq(w->spec, spec);
        ck_assert(w->n_obs == 3 && w->n_act == 1 && w->n_choices == 0 && w->horizon == T);
        ck_assert(w->first_stream == (peer == ALICE ? 0 : 3) && w->n_streams == 3);
        ck_assert(w->credit == 3 && w->heartbeat_ms == 1000 && w->liveness_ms == 4000);
        ck_assert(w->snapshot_port == 4321 && !w->wants_state);
        ck_assert_str_eq(w->head, "squashed_gaussian");
        ck_assert_str_eq(w->activation, "relu");
        ck_assert_str_eq(w->exploration, "none");
        ck_assert(!w->layer_norm && !w->whole_episodes);
        ck_assert(w->sigma == 0 && w->theta == 0 && w->dt == 0);
        ck_assert_uint_eq(w->hidden.size, 2 * sizeof(uint32_t));
        ck_assert(bytes_u32(w->hidden, 0) == 64 && bytes_u32(w->hidden, 1) == 64);
        for (size_t i = 0; i < 3; i++)
            ck_assert(bytes_u32(w->lives, i) == 0 && bytes_i64(w->sequences, i) == 0);
        ck_assert_uint_eq(w->states.size, 0);
    }
    ck_assert_int_eq(counts_of(d).actors, 2);
    desk_destroy(d);
}
END_TEST

START_TEST(sync_asks_for_states_and_gives_one_credit)
{
    struct desk *d = desk_create(MODE_SYNC, 1, 1);
    const struct welcome *w = join(d, ALICE, "alice");
    ck_assert_str_eq(w->mode, "sync");
    ck_assert(w->credit == 1 && w->wants_state && w->states.size == 0);
    desk_destroy(d);
}
END_TEST

START_TEST(another_protocol_or_specification_is_refused_for_good)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    struct message m = hello(ALICE, "alice");
    m.hello.protocol = PROTOCOL_VERSION + 1;
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "hello", REJECT_PROTOCOL, false);
    m = hello(ALICE, "alice");
    snprintf(m.hello.spec, sizeof(m.hello.spec), "%s", "0123456789abcdef");
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "hello", REJECT_SPEC, false);
    ck_assert_int_eq(counts_of(d).actors, 0);
    env_spec_hash(&d->spec, m.hello.spec);
    receive(d, ALICE, &m);
    next(d, ALICE, MESSAGE_WELCOME);
    desk_destroy(d);
}
END_TEST

START_TEST(who_finds_no_place_may_try_again)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    struct message m = hello(BOB, "bob");
    join(d, ALICE, "alice");
    receive(d, BOB, &m);
    expect_reject(d, BOB, "hello", REJECT_FULL, true);
    say(d, MESSAGE_BYE, ALICE);
    ck_assert_int_eq(counts_of(d).actors, 0);
    join(d, BOB, "bob");
    desk_destroy(d);
}
END_TEST

START_TEST(a_new_incarnation_takes_the_place_of_its_name_at_once)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 1);
    join(d, ALICE, "left");
    join(d, BOB, "right");
    struct message m = hello(CAROL, "right");
    receive(d, CAROL, &m);
    const struct reject *r = &next(d, BOB, MESSAGE_REJECT)->reject;
    ck_assert_str_eq(r->code, "replaced");
    ck_assert_str_eq(r->of, "message");
    ck_assert(!r->retry);
    ck_assert_int_eq(next(d, CAROL, MESSAGE_WELCOME)->welcome.first_stream, 1);
    next(d, CAROL, MESSAGE_ACK);
    ck_assert_int_eq(counts_of(d).actors, 2);
    m = fragment(d, BOB, 1, 0, 0);
    receive(d, BOB, &m);
    expect_reject(d, BOB, "message", REJECT_UNKNOWN, true);
    send_good(d, CAROL, 1, 0, 0);
    desk_destroy(d);
}
END_TEST

START_TEST(hello_again_is_answered_alike_even_over_a_new_connection)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    int lines = d->n_lines;
    ck_assert_int_eq(join(d, BOB, "bob")->first_stream, 2);
    struct message m = hello(BOB, "bob");
    receive(d, CAROL, &m);    /* BOB's process, connected anew */
    ck_assert_int_eq(next(d, CAROL, MESSAGE_WELCOME)->welcome.first_stream, 2);
    next(d, CAROL, MESSAGE_ACK);
    ck_assert_int_eq(d->n_lines, lines);
    ck_assert_int_eq(counts_of(d).actors, 2);
    m = member(MESSAGE_WANT, BOB);
    publish(d, 0, 0);
    receive(d, CAROL, &m);
    next(d, CAROL, MESSAGE_SNAPSHOT);
    desk_destroy(d);
}
END_TEST

START_TEST(a_name_gets_the_place_it_had_before)
{
    struct desk *d = desk_create(MODE_ASYNC, 3, 1);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    join(d, CAROL, "carol");
    say(d, MESSAGE_BYE, ALICE);
    say(d, MESSAGE_BYE, CAROL);
    ck_assert_int_eq(join(d, CAROL, "carol")->first_stream, 2);
    ck_assert_int_eq(join(d, ALICE + 10, "dave")->first_stream, 0);
    desk_destroy(d);
}
END_TEST

START_TEST(a_mix_of_cpus_is_warned_about)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    struct message m = hello(ALICE, "alice");
    snprintf(m.hello.cpu, sizeof(m.hello.cpu), "%s", "another");
    receive(d, ALICE, &m);
    next(d, ALICE, MESSAGE_WELCOME);
    ck_assert_int_eq(d->n_lines, 1);
    desk_destroy(d);
}
END_TEST

/* ---- what nobody can read or place ---- */

/* Send every beginning of a message. */
static void send_cut(struct desk *d, const struct message *m)
{
    unsigned char bytes[4096];
    size_t size = encode(m, bytes);
    for (size_t cut = 0; cut < size; cut++) {
        int64_t before = counts_of(d).received;
        session_receive(d->session, d->now_us, ALICE, frame_make(bytes, cut));
        expect_reject(d, ALICE, "message", REJECT_MALFORMED, d->settings.top.mode == MODE_SYNC);
        /* Cut behind its type, it still counts as a fragment. */
        int64_t more = counts_of(d).received - before;
        d->fragments_in += more;
        d->fragments_rejected += more;
        ck_assert(more == 0 || m->type == MESSAGE_FRAGMENT);
    }
}

START_TEST(messages_cut_anywhere_are_refused_as_malformed)
{
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct desk *d = desk_create((enum mode)mode, 1, 1);
        struct message whole[] = { hello(ALICE, "alice"), fragment(d, ALICE, 0, 0, 0),
                                   member(MESSAGE_WANT, ALICE), member(MESSAGE_BYE, ALICE) };
        join(d, ALICE, "alice");
        for (size_t i = 0; i < TEST_COUNT(whole); i++)
            send_cut(d, &whole[i]);
        ck_assert_int_gt(d->fragments_in, 0);
        ck_assert_int_eq(counts_of(d).actors, 1);
        send_good(d, ALICE, 0, 0, 0);
        desk_destroy(d);
    }
}
END_TEST

START_TEST(what_only_a_learner_says_is_malformed)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    struct message m;
    join(d, ALICE, "alice");
    message_init(&m, MESSAGE_DRAIN);
    m.drain.run = RUN;
    m.drain.epoch = EPOCH;
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "message", REJECT_MALFORMED, false);
    message_init(&m, MESSAGE_REJECT);
    snprintf(m.reject.of, sizeof(m.reject.of), "%s", "hello");
    snprintf(m.reject.code, sizeof(m.reject.code), "%s", "full");
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "message", REJECT_MALFORMED, false);
    desk_destroy(d);
}
END_TEST

START_TEST(another_run_epoch_incarnation_or_peer_must_say_hello_again)
{
    static const enum message_type types[] = { MESSAGE_FRAGMENT, MESSAGE_WANT, MESSAGE_HEARTBEAT };
    struct desk *d = desk_create(MODE_ASYNC, 2, 1);
    join(d, ALICE, "alice");
    publish(d, 0, 0);
    for (size_t k = 0; k < TEST_COUNT(types); k++)
        for (int what = 0; what < 4; what++) {
            bool is_fragment = types[k] == MESSAGE_FRAGMENT, is_want = types[k] == MESSAGE_WANT;
            struct message m = is_fragment ? fragment(d, ALICE, 0, 0, 0) : member(types[k], ALICE);
            uint64_t *run = is_fragment ? &m.fragment.run : is_want ? &m.want.run
                                        : &m.heartbeat.run;
            uint64_t *incarnation = is_fragment ? &m.fragment.incarnation
                                  : is_want ? &m.want.incarnation : &m.heartbeat.incarnation;
            int64_t *epoch = is_fragment ? &m.fragment.epoch : is_want ? &m.want.epoch
                                         : &m.heartbeat.epoch;
            *run ^= what == 0;
            *epoch -= what == 1;
            *incarnation += what == 2;
            uint64_t peer = what == 3 ? BOB : ALICE;
            receive(d, peer, &m);
            const struct reject *r = expect_reject(d, peer, "message", REJECT_UNKNOWN, true);
            /* Nothing was counted, so none is named. */
            ck_assert(r->stream == -1 && r->sequence == -1);
        }
    ck_assert_int_eq(d->n_delivered, 0);
    send_good(d, ALICE, 0, 0, 0);
    desk_destroy(d);
}
END_TEST

START_TEST(a_strangers_bye_is_ignored)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    say(d, MESSAGE_BYE, BOB);
    join(d, ALICE, "alice");
    say(d, MESSAGE_BYE, BOB);
    struct message m = member(MESSAGE_BYE, ALICE);
    m.bye.epoch--;
    receive(d, ALICE, &m);
    expect_silence(d);
    ck_assert_int_eq(counts_of(d).actors, 1);
    desk_destroy(d);
}
END_TEST

/* ---- fragments ---- */

START_TEST(a_good_fragment_is_delivered_as_it_came)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    publish(d, 7, 0);
    struct message m = fragment(d, BOB, 3, 0, 0);
    m.fragment.version = 5;
    receive(d, BOB, &m);
    expect_silence(d);
    ck_assert_int_eq(d->n_delivered, 1);
    const struct fragment *f = d->delivered[0];
    ck_assert(f->stream == 3 && f->life == 0 && f->sequence == 0 && f->version == 5);
    ck_assert(f->n_rows == 6 && f->n_transitions == T);
    ck_assert_uint_eq(f->rows.size, sizeof(float) * 6 * STRIDE);
    ck_assert_mem_eq(f->rows.data, d->rows, f->rows.size);
    ck_assert(f->returns.size == 8 && bytes_f64(f->returns, 0) == -12.5);
    ck_assert(f->lengths.size == 4 && bytes_u32(f->lengths, 0) == 200);
    ck_assert_mem_eq(f->state.data, d->state, STATE_BYTES);
    ck_assert(f->rows.data > f->frame->data
              && f->rows.data + f->rows.size <= f->frame->data + f->frame->size);
    ck_assert_int_eq(counts_of(d).accepted, 1);
    desk_destroy(d);
}
END_TEST

START_TEST(a_fragment_counts_once)
{
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct desk *d = desk_create((enum mode)mode, 1, 1);
        join(d, ALICE, "alice");
        send_good(d, ALICE, 0, 0, 0);
        send_good(d, ALICE, 0, 0, 1);
        for (int64_t sequence = 0; sequence < 2; sequence++) {
            struct message m = fragment(d, ALICE, 0, 0, sequence);
            receive(d, ALICE, &m);
            const struct reject *r = expect_reject(d, ALICE, "fragment", REJECT_DUPLICATE,
                                                   mode == MODE_SYNC);
            ck_assert(r->stream == 0 && r->sequence == sequence && r->incarnation == 100 * ALICE);
        }
        ck_assert_int_eq(d->n_delivered, 2);
        send_good(d, ALICE, 0, 0, 2);
        desk_destroy(d);
    }
}
END_TEST

START_TEST(async_accepts_a_gap_and_counts_what_is_lost)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    send_good(d, ALICE, 0, 0, 0);
    send_good(d, ALICE, 0, 0, 4);
    ck_assert_int_eq(counts_of(d).lost, 3);
    struct message m = fragment(d, ALICE, 0, 0, 2);    /* late: it was given up */
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "fragment", REJECT_DUPLICATE, false);
    desk_destroy(d);
}
END_TEST

START_TEST(sync_refuses_a_gap_and_waits_for_what_is_missing)
{
    struct desk *d = desk_create(MODE_SYNC, 1, 1);
    join(d, ALICE, "alice");
    send_good(d, ALICE, 0, 0, 0);
    struct message m = fragment(d, ALICE, 0, 0, 2);
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "fragment", REJECT_GAP, true);
    ck_assert_int_eq(d->n_delivered, 1);
    ck_assert_int_eq(counts_of(d).lost, 0);
    send_good(d, ALICE, 0, 0, 1);
    desk_destroy(d);
}
END_TEST

START_TEST(streams_of_others_are_refused)
{
    static const int64_t foreign[] = { 0, 1, 4, 5, 1000000 };
    struct desk *d = desk_create(MODE_ASYNC, 3, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    for (size_t i = 0; i < TEST_COUNT(foreign); i++) {
        struct message m = fragment(d, BOB, foreign[i], 0, 0);
        receive(d, BOB, &m);
        expect_reject(d, BOB, "fragment", REJECT_STREAM, true);
    }
    send_good(d, BOB, 2, 0, 0);
    send_good(d, BOB, 3, 0, 0);
    desk_destroy(d);
}
END_TEST

START_TEST(another_life_is_refused_and_changes_nothing)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    send_good(d, ALICE, 0, 0, 0);
    ck_assert_int_eq(bytes_u32(join(d, ALICE, "alice")->lives, 0), 1);
    for (int64_t sequence = 0; sequence < 3; sequence++) {
        struct message m = fragment(d, ALICE, 0, sequence == 2 ? 2 : 0, sequence);
        receive(d, ALICE, &m);
        expect_reject(d, ALICE, "fragment", REJECT_LIFE, false);
    }
    send_good(d, ALICE, 0, 1, 0);
    ck_assert_int_eq(counts_of(d).lost, 0);
    desk_destroy(d);
}
END_TEST

START_TEST(welcome_tells_how_an_algorithm_acts_and_explores)
{
    struct desk *d = calloc(1, sizeof(*d));
    desk_settings(d, MODE_ASYNC, 1, 1);
    d->traits = (struct algorithm_traits){
        .head = HEAD_DETERMINISTIC, .takes_whole_episodes = true,
        .exploration = { EXPLORATION_ORNSTEIN_UHLENBECK, 0.25, 0.15, 0.01 } };
    d->settings.network.activation = ACTIVATION_SILU;
    d->settings.network.layer_norm = LAYER_NORM_ALL;
    desk_open(d, NULL, NULL, NULL, NULL);
    const struct welcome *w = join(d, ALICE, "alice");
    ck_assert_str_eq(w->head, "deterministic");
    ck_assert_str_eq(w->activation, "silu");
    ck_assert_str_eq(w->exploration, "ornstein_uhlenbeck");
    ck_assert(w->sigma == 0.25 && w->theta == 0.15 && w->dt == 0.01);
    ck_assert(w->layer_norm && w->whole_episodes);
    desk_destroy(d);
}
END_TEST

/* What a fragment is refused for whose rows are of these kinds, a letter each: Step, Terminated, Limit,
 * Close. N_REJECTIONS: it is accepted. Traits, choices and actions are those of `model`. */
static enum rejection try_kinds(const struct desk *model, const char *kinds)
{
    struct desk *d = calloc(1, sizeof(*d));
    enum rejection r = N_REJECTIONS;
    int n_rows = (int)strlen(kinds), n_transitions = 0;
    desk_settings(d, MODE_ASYNC, 1, 1);
    d->traits = model->traits;
    d->spec.n_choices = model->spec.n_choices;
    desk_open(d, NULL, NULL, NULL, NULL);
    join(d, ALICE, "alice");
    struct message m = fragment(d, ALICE, 0, 0, 0);
    memset(d->rows, 0, sizeof(d->rows));
    for (int i = 0; i < n_rows; i++) {
        d->rows[i][3] = kinds[i] == 'C' ? 0 : model->rows[i][3];
        d->rows[i][STRIDE - 1] = (float)(strchr("STLC", kinds[i]) - "STLC");
        n_transitions += kinds[i] != 'C';
    }
    m.fragment.n_rows = n_rows;
    m.fragment.n_transitions = n_transitions;
    m.fragment.rows.size = (size_t)n_rows * sizeof(d->rows[0]);
    m.fragment.checksum = digest_crc32(m.fragment.rows.data, m.fragment.rows.size);
    receive(d, ALICE, &m);
    if (d->n_delivered == 0) {
        const struct session_counts counts = counts_of(d);
        for (r = 0; r < N_REJECTIONS && counts.rejected[r] == 0; r++)
            ;
        expect_reject(d, ALICE, "fragment", r, false);
    }
    desk_destroy(d);
    return r;
}

START_TEST(whole_episodes_close_a_fragment_and_nothing_else_does)
{
    enum { ACCEPTED = N_REJECTIONS };
    static const struct { const char *kinds; int whole, parts; } cases[] = {
        { "SSSSC", ACCEPTED, ACCEPTED }, { "SSSTC", ACCEPTED, ACCEPTED },
        { "SLC", ACCEPTED, REJECT_DIMENSIONS }, { "TC", ACCEPTED, REJECT_DIMENSIONS },
        { "SSC", REJECT_ROWS, REJECT_DIMENSIONS }, { "SC", REJECT_ROWS, REJECT_DIMENSIONS },
        { "STCSSC", REJECT_ROWS, ACCEPTED }, { "TCTC", REJECT_ROWS, REJECT_DIMENSIONS },
        { "SSSSSC", REJECT_DIMENSIONS, REJECT_DIMENSIONS },
    };
    struct desk model = { .traits = { .head = HEAD_SQUASHED_GAUSSIAN } };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        model.traits.takes_whole_episodes = true;
        ck_assert_int_eq(try_kinds(&model, cases[i].kinds), cases[i].whole);
        model.traits.takes_whole_episodes = false;
        ck_assert_int_eq(try_kinds(&model, cases[i].kinds), cases[i].parts);
    }
}
END_TEST

START_TEST(discrete_actions_are_indices_of_choices)
{
    static const float bad[] = { 3, -1, 0.5f, 1e30f, -0.25f, 2.0000002f };
    struct desk model = { .traits = { .head = HEAD_CATEGORICAL }, .spec = { .n_choices = 3 } };
    for (int i = 0; i < 4; i++)
        model.rows[i][3] = (float)(i % 3);
    ck_assert_int_eq(try_kinds(&model, "SSSSC"), N_REJECTIONS);
    for (size_t i = 0; i < TEST_COUNT(bad); i++) {
        model.rows[i % 4][3] = bad[i];
        ck_assert_int_eq(try_kinds(&model, "SSSSC"), REJECT_ROWS);
        model.rows[i % 4][3] = 2;
    }
}
END_TEST

/* Spoil a good fragment in way number `what`; returns what it is refused for. */
static enum rejection spoil(struct desk *d, struct message *m, int what)
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
enum { N_SPOILS = 12 };

START_TEST(bad_contents_are_refused_once_and_acknowledged)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    publish(d, 7, 0);
    for (int what = 0; what < N_SPOILS; what++) {
        int64_t sequence = 2 * what;
        struct message m = fragment(d, ALICE, 0, 0, sequence);
        enum rejection r = spoil(d, &m, what);
        receive(d, ALICE, &m);
        ck_assert_int_eq(expect_reject(d, ALICE, "fragment", r, false)->sequence, sequence);
        ck_assert_int_eq(d->n_delivered, what);
        tick(d, 1000);
        ck_assert_int_eq(acked(next(d, ALICE, MESSAGE_ACK), 0), sequence + 1);
        m = fragment(d, ALICE, 0, 0, sequence);    /* mended, but too late */
        receive(d, ALICE, &m);
        expect_reject(d, ALICE, "fragment", REJECT_DUPLICATE, false);
        send_good(d, ALICE, 0, 0, sequence + 1);
    }
    ck_assert_int_eq(counts_of(d).lost, 0);
    desk_destroy(d);
}
END_TEST

START_TEST(sync_lets_the_round_go_on_without_a_refused_fragment)
{
    struct desk *d = desk_create(MODE_SYNC, 1, 1);
    join(d, ALICE, "alice");
    publish(d, 7, 0);
    for (int what = 0; what < N_SPOILS; what++) {
        struct message m = fragment(d, ALICE, 0, 0, what);
        enum rejection r = spoil(d, &m, what);
        receive(d, ALICE, &m);
        expect_reject(d, ALICE, "fragment", r, false);
        ck_assert_int_eq(d->n_delivered, what + 1);
        const struct fragment *f = d->delivered[what];
        ck_assert(!f->frame && f->n_rows == 0 && f->n_transitions == 0);
        ck_assert(f->stream == 0 && f->life == 0 && f->sequence == what);
    }
    /* Acknowledged when the round has consumed it, like any other. */
    tick(d, 1000);
    ck_assert_int_eq(acked(next(d, ALICE, MESSAGE_ACK), 0), 0);
    session_consumed(d->session, 0, 0, 0);
    tick(d, 1000);
    ck_assert_int_eq(acked(next(d, ALICE, MESSAGE_ACK), 0), 1);
    desk_destroy(d);
}
END_TEST

START_TEST(sync_needs_the_state_and_async_does_not)
{
    static const size_t sizes[] = { 0, STATE_BYTES - 1 };
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct desk *d = desk_create((enum mode)mode, 1, 1);
        join(d, ALICE, "alice");
        for (size_t i = 0; i < TEST_COUNT(sizes); i++) {
            struct message m = fragment(d, ALICE, 0, 0, (int64_t)i);
            m.fragment.state.size = sizes[i];
            receive(d, ALICE, &m);
            if (mode == MODE_SYNC)
                expect_reject(d, ALICE, "fragment", REJECT_STATE, false);
            expect_silence(d);
        }
        desk_destroy(d);
    }
}
END_TEST

/* ---- lives ---- */

START_TEST(silence_frees_a_place_after_liveness_ms)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    tick(d, 4 * SECOND);
    ck_assert_int_eq(counts_of(d).actors, 1);
    say(d, MESSAGE_HEARTBEAT, ALICE);
    tick(d, 4 * SECOND);
    ck_assert_int_eq(counts_of(d).actors, 1);
    tick(d, 1);
    ck_assert_int_eq(counts_of(d).actors, 0);
    skip(d);
    struct message m = fragment(d, ALICE, 0, 0, 0);
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "message", REJECT_UNKNOWN, true);
    join(d, BOB, "bob");
    desk_destroy(d);
}
END_TEST

START_TEST(fragments_and_wants_are_signs_of_life)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    for (int i = 0; i < 10; i++) {
        tick(d, 3 * SECOND);
        skip(d);
        if (i % 2)
            send_good(d, ALICE, 0, 0, i / 2);
        else
            say(d, MESSAGE_WANT, ALICE);
    }
    ck_assert_int_eq(counts_of(d).actors, 1);
    desk_destroy(d);
}
END_TEST

START_TEST(async_begins_a_new_life_only_where_something_was_accepted)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    send_good(d, ALICE, 1, 0, 0);
    send_good(d, ALICE, 1, 0, 1);
    session_consumed(d->session, 1, 0, 0);
    tick(d, 5 * SECOND);    /* both are lost */
    skip(d);
    const struct welcome *w = join(d, CAROL, "alice");
    ck_assert(bytes_u32(w->lives, 0) == 0 && bytes_u32(w->lives, 1) == 1);
    ck_assert(bytes_i64(w->sequences, 0) == 0 && bytes_i64(w->sequences, 1) == 0);
    w = join(d, CAROL, "alice");    /* nothing of life 1 was accepted */
    ck_assert(bytes_u32(w->lives, 0) == 0 && bytes_u32(w->lives, 1) == 1);
    /* The old life's fragments are consumed late: not the new one's business. */
    session_consumed(d->session, 1, 0, 1);
    tick(d, SECOND / 2);
    expect_silence(d);
    session_consumed(d->session, 0, 0, 0);
    tick(d, SECOND / 4);
    ck_assert_int_eq(acked(next(d, CAROL, MESSAGE_ACK), 1), 0);
    desk_destroy(d);
}
END_TEST

START_TEST(sync_goes_on_from_the_state_behind_the_last_fragment)
{
    struct desk *d = desk_create(MODE_SYNC, 2, 2);
    join(d, ALICE, "alice");
    send_good(d, ALICE, 0, 0, 0);
    send_good(d, ALICE, 0, 0, 1);
    tick(d, 5 * SECOND);
    skip(d);
    const struct welcome *w = join(d, BOB, "bob");
    ck_assert_int_eq(w->first_stream, 0);
    ck_assert(bytes_u32(w->lives, 0) == 0 && bytes_u32(w->lives, 1) == 0);
    ck_assert(bytes_i64(w->sequences, 0) == 2 && bytes_i64(w->sequences, 1) == 0);
    ck_assert_uint_eq(w->states.size, 2 * STATE_BYTES);
    for (int i = 0; i < STATE_BYTES; i++)
        ck_assert_int_eq(w->states.data[i], 2);    /* as `fragment` fills it */
    send_good(d, BOB, 0, 0, 2);
    send_good(d, BOB, 1, 0, 0);
    w = join(d, BOB, "bob");
    ck_assert(w->states.data[0] == 3 && w->states.data[STATE_BYTES] == 17);
    desk_destroy(d);
}
END_TEST

START_TEST(sync_begins_a_new_life_where_the_state_was_refused)
{
    struct desk *d = desk_create(MODE_SYNC, 1, 2);
    join(d, ALICE, "alice");
    struct message m = fragment(d, ALICE, 0, 0, 0);
    m.fragment.checksum ^= 1;
    receive(d, ALICE, &m);
    skip(d);
    const struct welcome *w = join(d, ALICE, "alice");
    ck_assert(bytes_u32(w->lives, 0) == 1 && bytes_i64(w->sequences, 0) == 0);
    ck_assert(bytes_u32(w->lives, 1) == 0 && bytes_i64(w->sequences, 1) == 0);
    desk_destroy(d);
}
END_TEST

/* What a stream of the same state and actions meets may be what ends every process. */
START_TEST(streams_begin_anew_when_several_processes_in_a_row_sent_nothing)
{
    struct desk *d = desk_create(MODE_SYNC, 1, 2);
    uint64_t peer = ALICE;
    publish(d, 0, 0);
    join(d, peer, "alice");
    skip(d);
    send_good(d, peer, 1, 0, 0);
    for (int i = 0; i < 2; i++) {
        say(d, MESSAGE_BYE, peer++);
        const struct welcome *w = join(d, peer, "alice");
        ck_assert_int_eq(bytes_u32(w->lives, 0), 0);
        ck_assert_int_eq(bytes_u32(w->lives, 1), 0);
        ck_assert_int_eq(bytes_i64(w->sequences, 1), 1);
        ck_assert_uint_eq(w->states.size, 2 * STATE_BYTES);
        struct message again = hello(peer, "alice");    /* the same process: counts once */
        receive(d, peer, &again);
        skip(d);
    }
    for (uint32_t life = 1; life < 3; life++) {
        say(d, MESSAGE_BYE, peer++);
        int lines = d->n_lines;
        const struct welcome *w = join(d, peer, "alice");
        ck_assert_int_eq(bytes_u32(w->lives, 0), life);
        ck_assert_int_eq(bytes_u32(w->lives, 1), life);
        ck_assert_int_eq(bytes_i64(w->sequences, 1), 0);
        ck_assert_uint_eq(w->states.size, 0);
        ck_assert_int_eq(d->n_lines, lines + 2);    /* it joined, and why it begins anew */
    }
    send_good(d, peer, 0, 2, 0);
    say(d, MESSAGE_BYE, peer++);
    const struct welcome *w = join(d, peer, "alice");
    ck_assert_int_eq(bytes_u32(w->lives, 0), 2);
    ck_assert_int_eq(bytes_i64(w->sequences, 0), 1);
    desk_destroy(d);
}
END_TEST

START_TEST(fragments_lost_before_a_refused_one_are_counted)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 2);
    join(d, ALICE, "alice");
    struct message m = fragment(d, ALICE, 0, 0, 5);
    m.fragment.checksum ^= 1;
    receive(d, ALICE, &m);
    ck_assert_int_eq(counts_of(d).lost, 5);
    desk_destroy(d);
}
END_TEST

START_TEST(one_connection_holds_one_place)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 2);
    join(d, ALICE, "alice");
    struct message m = hello(ALICE, "another");
    m.hello.incarnation++;
    receive(d, ALICE, &m);
    ck_assert_int_eq(counts_of(d).actors, 1);
    desk_destroy(d);
}
END_TEST

START_TEST(a_restarted_learner_goes_on_from_its_checkpoint)
{
    static const int64_t lives[] = { 2, 0 }, sequences[] = { 5, 0 }, has_state[] = { 1, 0 };
    unsigned char states[2 * STATE_BYTES];
    memset(states, 9, sizeof(states));
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        bool is_sync = mode == MODE_SYNC;
        struct desk *d = calloc(1, sizeof(*d));
        desk_settings(d, (enum mode)mode, 1, 2);
        desk_open(d, lives, sequences, has_state, states);
        const struct welcome *w = join(d, ALICE, "alice");
        ck_assert_int_eq(bytes_u32(w->lives, 0), is_sync ? 2 : 3);
        ck_assert_int_eq(bytes_i64(w->sequences, 0), is_sync ? 5 : 0);
        ck_assert(bytes_u32(w->lives, 1) == 0 && bytes_i64(w->sequences, 1) == 0);
        ck_assert_uint_eq(w->states.size, is_sync ? 2 * STATE_BYTES : 0);
        ck_assert(!is_sync || memcmp(w->states.data, states, sizeof(states)) == 0);
        send_good(d, ALICE, 0, is_sync ? 2 : 3, is_sync ? 5 : 0);
        desk_destroy(d);
    }
}
END_TEST

/* ---- acknowledgements, versions, heartbeats ---- */

START_TEST(acks_say_what_was_consumed_once_for_each_change)
{
    struct desk *d = desk_create(MODE_ASYNC, 2, 2);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    publish(d, 6, 4);
    send_good(d, BOB, 2, 0, 0);
    send_good(d, BOB, 3, 0, 0);
    send_good(d, BOB, 3, 0, 1);
    tick(d, 1000);
    expect_silence(d);    /* accepted is not consumed */
    session_consumed(d->session, 3, 0, 0);
    session_consumed(d->session, 3, 0, 1);
    tick(d, 1000);
    const struct message *m = next(d, BOB, MESSAGE_ACK);
    ck_assert(m->ack.run == RUN && m->ack.epoch == EPOCH && m->ack.incarnation == 100 * BOB);
    ck_assert(m->ack.newest == 6 && m->ack.start_version == 4 && m->ack.credit == 3);
    ck_assert_uint_eq(m->ack.acked.size, 2 * sizeof(int64_t));
    ck_assert(acked(m, 0) == 0 && acked(m, 1) == 2);
    tick(d, 1000);
    expect_silence(d);
    desk_destroy(d);
}
END_TEST

START_TEST(heartbeats_repeat_the_books_every_heartbeat_ms)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 2);
    join(d, ALICE, "alice");
    publish(d, 6, 4);
    send_good(d, ALICE, 1, 0, 0);
    session_consumed(d->session, 1, 0, 0);
    tick(d, SECOND - 1);
    next(d, ALICE, MESSAGE_ACK);
    expect_silence(d);
    tick(d, 1);
    const struct message *m = next(d, ALICE, MESSAGE_HEARTBEAT);
    ck_assert(m->heartbeat.run == RUN && m->heartbeat.epoch == EPOCH);
    ck_assert(m->heartbeat.incarnation == 100 * ALICE && m->heartbeat.credit == 3);
    ck_assert(m->heartbeat.newest == 6 && m->heartbeat.start_version == 4);
    ck_assert(acked(m, 0) == 0 && acked(m, 1) == 1);
    expect_silence(d);
    tick(d, SECOND - 1);
    expect_silence(d);
    tick(d, 1);
    next(d, ALICE, MESSAGE_HEARTBEAT);
    desk_destroy(d);
}
END_TEST

static int lines_about(struct desk *d, uint64_t peer, int64_t diverged)
{
    struct message m = member(MESSAGE_HEARTBEAT, peer);
    int before = d->n_lines;
    m.heartbeat.diverged = diverged;
    receive(d, peer, &m);
    expect_silence(d);
    return d->n_lines - before;
}

START_TEST(episodes_that_broke_down_are_told_whenever_their_number_has_doubled)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    ck_assert_int_eq(lines_about(d, ALICE, -1), 0);
    const int64_t numbers[] = { 0, 3, 3, 5, 6, 11, 40, 79, 80 };
    const int told[] = { 0, 1, 0, 0, 1, 0, 1, 0, 1 };
    for (size_t i = 0; i < TEST_COUNT(numbers); i++)
        ck_assert_int_eq(lines_about(d, ALICE, numbers[i]), told[i]);
    say(d, MESSAGE_BYE, ALICE);
    join(d, BOB, "alice");
    ck_assert_int_eq(lines_about(d, BOB, 1), 1);    /* another process counts from 0 */
    desk_destroy(d);
}
END_TEST

START_TEST(the_time_limit_of_a_step_is_passed_on)
{
    for (int64_t limit_s = 0; limit_s < 2; limit_s++) {
        struct desk *d = malloc(sizeof(*d));
        desk_settings(d, MODE_ASYNC, 1, 1);
        d->settings.actor.step_timeout_s = limit_s;
        desk_open(d, NULL, NULL, NULL, NULL);
        ck_assert_int_eq(join(d, ALICE, "alice")->step_timeout_ms, limit_s ? 1000 : -1);
        desk_destroy(d);
    }
}
END_TEST

START_TEST(want_is_answered_with_the_newest_snapshot)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    join(d, ALICE, "alice");
    say(d, MESSAGE_WANT, ALICE);
    expect_silence(d);    /* there is none yet */
    publish(d, 0, 0);
    publish(d, 3, 0);
    ck_assert_int_eq(d->n_published, 2);
    for (int i = 0; i < 2; i++) {
        say(d, MESSAGE_WANT, ALICE);
        const struct snapshot *s = &next(d, ALICE, MESSAGE_SNAPSHOT)->snapshot;
        ck_assert(s->version == 3 && s->run == RUN && s->parameters.size == 12);
    }
    ck_assert_int_eq(d->n_published, 2);
    desk_destroy(d);
}
END_TEST

START_TEST(drain_tells_everybody_until_they_leave)
{
    struct desk *d = desk_create(MODE_ASYNC, 3, 1);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    session_drain(d->session, "the run is complete");
    const struct message *m = next(d, ALICE, MESSAGE_DRAIN);
    ck_assert(m->drain.run == RUN && m->drain.epoch == EPOCH);
    ck_assert_str_eq(m->drain.reason, "the run is complete");
    next(d, BOB, MESSAGE_DRAIN);
    say(d, MESSAGE_BYE, ALICE);
    struct message late = hello(CAROL, "carol");
    receive(d, CAROL, &late);
    next(d, CAROL, MESSAGE_DRAIN);
    expect_silence(d);
    tick(d, SECOND);
    next(d, BOB, MESSAGE_DRAIN);    /* instead of a heartbeat */
    expect_silence(d);
    say(d, MESSAGE_BYE, BOB);
    tick(d, SECOND);
    expect_silence(d);
    ck_assert_int_eq(counts_of(d).actors, 0);
    desk_destroy(d);
}
END_TEST

START_TEST(bytes_of_every_message_are_counted)
{
    struct desk *d = desk_create(MODE_ASYNC, 1, 1);
    unsigned char bytes[4096];
    struct message m = hello(ALICE, "alice");
    size_t in = encode(&m, bytes), out = 0;
    join(d, ALICE, "alice");
    m = fragment(d, ALICE, 0, 0, 0);
    in += encode(&m, bytes);
    send_good(d, ALICE, 0, 0, 0);
    for (int i = 0; i < d->n_sent; i++)
        out += d->sent[i].frame->size;
    ck_assert_int_eq(counts_of(d).bytes_in, in);
    ck_assert_int_eq(counts_of(d).bytes_out, out);
    desk_destroy(d);
}
END_TEST

/* ---- everything at once ---- */

struct storm {
    struct rng rng;
    int64_t life[4], sequence[4];    /* newest delivered of each stream */
    struct { uint64_t peer; int64_t life, sequence; } told[4];    /* by the last WELCOME */
    int looked_at;
};

static int pick(struct storm *s, int n)
{
    return (int)rng_below(&s->rng, (uint64_t)n);
}

static void note_welcomes(struct desk *d, struct storm *s)
{
    for (; d->n_read < d->n_sent; d->n_read++) {
        struct message m;
        const struct frame *f = d->sent[d->n_read].frame;
        message_decode(&m, f->data, f->size);
        for (size_t i = 0; m.type == MESSAGE_WELCOME && i < 2; i++) {
            size_t stream = (size_t)m.welcome.first_stream + i;
            s->told[stream].peer = d->sent[d->n_read].peer;
            s->told[stream].life = bytes_u32(m.welcome.lives, i);
            s->told[stream].sequence = bytes_i64(m.welcome.sequences, i);
        }
    }
}

/* Every delivered fragment is newer than the last one of its stream. */
static void check_order(struct desk *d, struct storm *s)
{
    for (; s->looked_at < d->n_delivered; s->looked_at++) {
        const struct fragment *f = d->delivered[s->looked_at];
        int64_t *life = &s->life[f->stream], *sequence = &s->sequence[f->stream];
        ck_assert(f->life > *life || (f->life == *life && f->sequence > *sequence));
        /* sync has no gaps; a life ends only where its state was refused. */
        ck_assert(d->settings.top.mode == MODE_ASYNC
                  || f->sequence == (f->life == *life ? *sequence + 1 : 0));
        *life = f->life;
        *sequence = f->sequence;
        if (pick(s, 2))
            session_consumed(d->session, f->stream, f->life, f->sequence);
    }
}

/* Mostly the fragment that the stream's actor would send, or nearly that. */
static void send_something(struct desk *d, struct storm *s)
{
    bool is_sync = d->settings.top.mode == MODE_SYNC;
    int64_t stream = pick(s, 4);
    bool is_same_life = s->told[stream].life == s->life[stream];
    int64_t sequence = is_sync && is_same_life ? s->sequence[stream] + 1 : s->told[stream].sequence;
    uint64_t peer = pick(s, 8) ? s->told[stream].peer : (uint64_t)(ALICE + pick(s, 3));
    struct message m = fragment(d, peer, stream, s->told[stream].life + (pick(s, 10) == 0),
                                pick(s, 4) ? sequence : sequence + pick(s, 3));
    s->told[stream].sequence += pick(s, 10) > 0;    /* else it will be sent again */
    if (pick(s, 4) == 0)
        spoil(d, &m, pick(s, N_SPOILS));
    receive(d, peer, &m);
}

static void do_something(struct desk *d, struct storm *s)
{
    uint64_t peer = (uint64_t)(ALICE + pick(s, 3));
    struct message m = hello(peer, pick(s, 2) ? "alice" : "bob");
    int what = pick(s, 24);
    if (what == 0)
        receive(d, peer, &m);
    else if (what == 1 && pick(s, 4) == 0)
        say(d, MESSAGE_BYE, peer);
    else if (what < 6)
        say(d, pick(s, 2) ? MESSAGE_WANT : MESSAGE_HEARTBEAT, peer);
    else if (what < 8)
        tick(d, pick(s, 3) * SECOND);
    else
        send_something(d, s);
    note_welcomes(d, s);
    check_order(d, s);
}

START_TEST(books_balance_whatever_is_received)
{
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct storm s = { .sequence = { -1, -1, -1, -1 }, .told = { { .peer = ALICE } } };
        struct desk *d = desk_create(seed % 2 ? MODE_SYNC : MODE_ASYNC, 2, 2);
        rng_init(&s.rng, seed, RNG_TEST, 0, 0);
        publish(d, 7, 0);
        for (int i = 0; i < 400; i++)
            do_something(d, &s);
        ck_assert_int_gt(counts_of(d).accepted, 40);
        desk_destroy(d);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        welcome_says_everything_an_actor_needs, welcome_tells_how_an_algorithm_acts_and_explores,
        whole_episodes_close_a_fragment_and_nothing_else_does, discrete_actions_are_indices_of_choices,
        sync_asks_for_states_and_gives_one_credit,
        another_protocol_or_specification_is_refused_for_good,
        who_finds_no_place_may_try_again,
        a_new_incarnation_takes_the_place_of_its_name_at_once,
        hello_again_is_answered_alike_even_over_a_new_connection,
        a_name_gets_the_place_it_had_before,
        a_mix_of_cpus_is_warned_about,
        messages_cut_anywhere_are_refused_as_malformed,
        what_only_a_learner_says_is_malformed,
        another_run_epoch_incarnation_or_peer_must_say_hello_again,
        a_strangers_bye_is_ignored,
        a_good_fragment_is_delivered_as_it_came,
        a_fragment_counts_once,
        async_accepts_a_gap_and_counts_what_is_lost,
        sync_refuses_a_gap_and_waits_for_what_is_missing,
        streams_of_others_are_refused,
        another_life_is_refused_and_changes_nothing,
        bad_contents_are_refused_once_and_acknowledged,
        sync_lets_the_round_go_on_without_a_refused_fragment,
        sync_needs_the_state_and_async_does_not,
        silence_frees_a_place_after_liveness_ms,
        fragments_and_wants_are_signs_of_life,
        async_begins_a_new_life_only_where_something_was_accepted,
        sync_goes_on_from_the_state_behind_the_last_fragment,
        sync_begins_a_new_life_where_the_state_was_refused,
        streams_begin_anew_when_several_processes_in_a_row_sent_nothing,
        fragments_lost_before_a_refused_one_are_counted, one_connection_holds_one_place,
        a_restarted_learner_goes_on_from_its_checkpoint,
        acks_say_what_was_consumed_once_for_each_change,
        heartbeats_repeat_the_books_every_heartbeat_ms,
        episodes_that_broke_down_are_told_whenever_their_number_has_doubled,
        the_time_limit_of_a_step_is_passed_on,
        want_is_answered_with_the_newest_snapshot,
        drain_tells_everybody_until_they_leave,
        bytes_of_every_message_are_counted,
        books_balance_whatever_is_received,
    };
    return suite_run("session", tests, TEST_COUNT(tests), 60);
}
