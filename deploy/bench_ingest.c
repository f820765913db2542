/* Transitions per second from an actor's socket into replay: FRAGMENT messages of HalfCheetah's rows through
 * libzmq, the session core on an I/O thread (decoding, checksum, every number looked at), the exchange, and the
 * training core, which copies them into its ring and acknowledges. The sender's rows are ready-made, so that it
 * can be faster than any simulation; it has the credit that actors have. */
#include "deploy/bench.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/digest.h"
#include "common/option.h"
#include "deploy/exchange.h"
#include "deploy/program.h"
#include "learner/algorithms.h"
#include "learner/snapshot.h"
#include "learner/training.h"
#include "proto/link.h"

enum { RUN = 7, EPOCH = 1, N_STREAMS = 8, HORIZON = 64, WAIT_MS = 20,
       N_OBS = 17, N_ACT = 6, STRIDE = N_OBS + N_ACT + 3, FRAME_BYTES = MESSAGE_HEADER_BYTES + (1 << 14),
       CAPACITY = 1000000, JOIN_US = 10000000, N_OVERRIDES = 8, OVERRIDE_BYTES = 64 };

struct ingest {
    struct settings settings;
    void *hyper;
    struct algorithm_traits traits;
    struct env_spec spec;
    struct link *hub;
    struct fragment_pool *fragments;
    struct frame_pool *snapshots;
    struct session *session;            /* I/O thread */
    struct training *training;          /* the bench's thread */
    struct exchange exchange;
    int64_t consumed;                   /* transitions */

    struct link *sender;                /* sender thread */
    atomic_bool must_stop;
};

/* ---- the sender: as much of an actor as it takes to send ---- */

struct sender {
    struct link *link;
    struct frame_pool *frames;
    float rows[(HORIZON + 1) * STRIDE];
    uint32_t checksum;
    bool has_joined;
    int64_t credit, said_us;
    int64_t sequence[N_STREAMS], acked[N_STREAMS];
};

static void send(struct sender *s, const struct message *m)
{
    struct frame *f = frame_pool_take(s->frames);
    f->size = message_encode(m, f->data, frame_capacity(f));
    (void)link_send(s->link, 0, f);
}

static void say_hello(struct sender *s)
{
    struct message m;
    message_init(&m, MESSAGE_HELLO);
    m.hello.incarnation = 1;
    m.hello.protocol = PROTOCOL_VERSION;
    snprintf(m.hello.name, sizeof(m.hello.name), "bench");
    snprintf(m.hello.program, sizeof(m.hello.program), "bench");
    snprintf(m.hello.cpu, sizeof(m.hello.cpu), "bench");
    send(s, &m);
}

static void say_alive(struct sender *s)
{
    struct message m;
    message_init(&m, MESSAGE_HEARTBEAT);
    m.heartbeat.run = RUN;
    m.heartbeat.incarnation = 1;
    m.heartbeat.epoch = EPOCH;
    send(s, &m);
}

/* HELLO until there is a WELCOME, then heartbeats. */
static void say_what_is_due(struct sender *s)
{
    const int64_t now_us = program_now_us();
    if (now_us - s->said_us < (s->has_joined ? 1000000 : 100000))
        return;
    s->said_us = now_us;
    if (s->has_joined)
        say_alive(s);
    else
        say_hello(s);
}

static void hear(struct sender *s)
{
    struct frame *f;
    uint64_t peer;
    struct message m;
    while ((f = link_receive(s->link, &peer))) {
        if (!message_decode(&m, f->data, f->size) && m.type == MESSAGE_WELCOME) {
            s->has_joined = true;
            s->credit = m.welcome.credit;
        } else if (m.type == MESSAGE_ACK && m.ack.acked.size == N_STREAMS * sizeof(int64_t)) {
            for (size_t i = 0; i < N_STREAMS; i++)
                s->acked[i] = bytes_i64(m.ack.acked, i);
        }
        frame_release(f);
    }
}

static void send_fragment(struct sender *s, int stream)
{
    struct message m;
    struct frame *f = frame_pool_take(s->frames);
    unsigned char *rows = frame_buffer(f) + MESSAGE_HEADER_BYTES;
    memcpy(rows, s->rows, sizeof(s->rows));
    message_init(&m, MESSAGE_FRAGMENT);
    m.fragment = (struct fragment_header){
        .run = RUN, .incarnation = 1, .epoch = EPOCH, .stream = stream, .sequence = s->sequence[stream]++,
        .n_obs = N_OBS, .n_act = N_ACT, .n_transitions = HORIZON, .n_rows = HORIZON + 1,
        .checksum = s->checksum, .rows = { rows, sizeof(s->rows) },
    };
    f->data = message_encode_before(&m, rows);
    f->size = (size_t)(rows - f->data) + sizeof(s->rows);
    while (link_send(s->link, 0, frame_retain(f)) == ERR_AGAIN)
        link_wait(s->link, 1);
    frame_release(f);
}

static void *sender_thread(void *context)
{
    struct ingest *x = context;
    struct sender *s = memory_alloc(1, sizeof(*s));
    s->link = x->sender;
    s->frames = frame_pool_create(FRAME_BYTES);
    for (int t = 0; t <= HORIZON; t++)
        for (int i = 0; i < (t < HORIZON ? STRIDE - 1 : N_OBS); i++)
            s->rows[t * STRIDE + i] = 0.01f * (float)(t + i);
    s->rows[HORIZON * STRIDE + STRIDE - 1] = ROW_CLOSE;
    s->checksum = digest_crc32(s->rows, sizeof(s->rows));
    while (!atomic_load(&x->must_stop)) {
        bool did = false;
        say_what_is_due(s);
        hear(s);
        for (int i = 0; i < N_STREAMS && s->has_joined; i++)
            if (s->sequence[i] - s->acked[i] < s->credit) {
                send_fragment(s, i);
                did = true;
            }
        if (!did)
            link_wait(s->link, WAIT_MS);
    }
    frame_pool_destroy(&s->frames);
    free(s);
    return NULL;
}

/* ---- the I/O thread: as the learner's ---- */

static void on_send(void *context, uint64_t peer, struct frame *f)
{
    (void)link_send(((struct ingest *)context)->hub, peer, f);
}

static void on_publish_frame(void *context, struct frame *f)
{
    link_publish(((struct ingest *)context)->hub, f);
}

static void on_deliver(void *context, struct fragment *f)
{
    exchange_deliver(&((struct ingest *)context)->exchange, f);
}

static void on_log(void *context, const char *line)
{
    (void)context, (void)line;
}

static void handle(struct ingest *x, const struct notice *n)
{
    if (n->kind == NOTICE_CONSUMED)
        session_consumed(x->session, n->stream, n->life, n->sequence, n->fate);
    else if (n->kind == NOTICE_PUBLISH)
        session_publish(x->session, n->version, n->frame);
}

static void *io_thread(void *context)
{
    struct ingest *x = context;
    struct notices mine = { 0 };
    while (!atomic_load(&x->must_stop)) {
        uint64_t peer;
        struct frame *f;
        link_wait(x->hub, WAIT_MS);
        while ((f = link_receive(x->hub, &peer)))
            session_receive(x->session, program_now_us(), peer, f);
        struct session_counts counts;
        session_count(x->session, &counts);
        pthread_mutex_lock(&x->exchange.mutex);
        struct notices theirs = x->exchange.outgoing;
        x->exchange.outgoing = mine;
        x->exchange.counts = counts;
        pthread_mutex_unlock(&x->exchange.mutex);
        for (int i = 0; i < theirs.n; i++)
            handle(x, &theirs.items[i]);
        theirs.n = 0;
        mine = theirs;
        session_tick(x->session, program_now_us());
    }
    free(mine.items);
    return NULL;
}

/* ---- the update thread ---- */

static void notify(struct ingest *x, struct notice n)
{
    pthread_mutex_lock(&x->exchange.mutex);
    const bool was_empty = notices_add(&x->exchange.outgoing, n);
    pthread_mutex_unlock(&x->exchange.mutex);
    if (was_empty)
        link_wake(x->hub);
}

static void on_consumed(void *context, const struct fragment *f, enum fragment_fate fate)
{
    struct ingest *x = context;
    x->consumed += f->n_transitions;
    notify(x, (struct notice){ .kind = NOTICE_CONSUMED, .stream = f->stream, .life = f->life,
                               .sequence = f->sequence, .fate = fate });
}

static void on_version(void *context, int64_t version, bool random, const float *params, size_t n)
{
    struct ingest *x = context;
    notify(x, (struct notice){ .kind = NOTICE_PUBLISH, .version = version,
                               .frame = snapshot_encode(x->snapshots, RUN, EPOCH, version, random, params, n) });
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    (void)context, (void)update, (void)env_steps, (void)sha256;
}

static void on_scheduled(void *context, const struct schedule_record *r)
{
    (void)context, (void)r;
}

static void on_evaluate(void *context, int64_t env_steps, const float *params, size_t n)
{
    (void)context, (void)env_steps, (void)params, (void)n;
}

/* What has arrived, into the ring. */
static int run(void *context, struct bench_window *w, struct error *err)
{
    struct ingest *x = context;
    struct fragment_queue arrived = exchange_take(&x->exchange, WAIT_MS);
    struct fragment *f;
    const int64_t before = x->consumed;
    (void)err;
    while ((f = fragment_pop(&arrived)))
        training_offer(x->training, f);
    while (training_step(x->training) == TRAINING_BUSY)
        ;
    w->units += (double)(x->consumed - before);
    return 0;
}

/* ---- life ---- */

static int configure(struct ingest *x, struct error *err)
{
    struct option_section sections[SETTINGS_SECTIONS + 1];
    static const char *const values[] = {
        "env.name=HalfCheetah-v5", "mode=async", "actors=1", "actor.horizon=64", "envs_per_actor=8",
        "network.hidden=[16]", "eval.every=0", "transport.liveness_ms=600000"
    };
    char text[N_OVERRIDES][OVERRIDE_BYTES], *overrides[N_OVERRIDES];
    const struct algorithm *sac = &sac_algorithm;
    const struct option_preset preset = { sac->presets[0].values, NULL };
    for (int i = 0; i < N_OVERRIDES; i++) {
        snprintf(text[i], OVERRIDE_BYTES, "%s", values[i]);
        overrides[i] = text[i];
    }
    const int n = settings_sections(&x->settings, sections);
    x->hyper = memory_alloc(1, sac->hyper_bytes);
    sections[n] = (struct option_section){ .name = sac->name, .options = sac->options,
                                           .n_options = sac->n_options, .base = x->hyper };
    int rc = options_load(sections, n + 1, &preset, NULL, overrides, N_OVERRIDES, err);
    /* Collecting without end, so that nothing is learnt and nothing waits for learning. */
    x->settings.top.total_steps = INT64_MAX / 2;
    x->settings.replay.min_size = INT64_MAX / 4;
    x->settings.replay.capacity = CAPACITY;
    x->spec = (struct env_spec){ .name = "HalfCheetah-v5", .shape = { N_OBS, N_ACT }, .time_limit = 1000 };
    for (int i = 0; i < N_ACT; i++)
        x->spec.act_low[i] = -1, x->spec.act_high[i] = 1;
    sac->describe(x->hyper, &x->spec, &x->traits);
    return rc;
}

static int create(struct ingest *x, const char *endpoint, struct error *err)
{
    const struct zmq_limits limits = { 1 << 26, 64, 1 };
    exchange_init(&x->exchange, 0);
    x->fragments = fragment_pool_create();
    x->snapshots = frame_pool_create(1 << 16);
    int rc = configure(x, err);
    if (rc != 0)
        return rc;
    x->hub = zmq_hub_create(endpoint, 0, false, &limits, err);
    x->sender = x->hub ? zmq_actor_create(zmq_hub_endpoint(x->hub), &limits, err) : NULL;
    if (!x->sender)
        return err->code;
    const struct training_setup training = { .settings = &x->settings, .algorithm = &sac_algorithm,
                                             .hyper = x->hyper, .spec = &x->spec, .fragments = x->fragments };
    x->training = training_create(&training, (struct training_out){
        .context = x, .consumed = on_consumed, .publish = on_version, .evaluate = on_evaluate,
        .hash = on_hash, .scheduled = on_scheduled });
    const struct session_setup session = { .run = RUN, .epoch = EPOCH, .settings = &x->settings,
                                           .spec = &x->spec, .traits = &x->traits, .cpu = "bench",
                                           .snapshot_port = zmq_hub_snapshot_port(x->hub),
                                           .fragments = x->fragments };
    x->session = session_create(&session, (struct session_out){
        .context = x, .send = on_send, .publish = on_publish_frame, .deliver = on_deliver, .log = on_log });
    return 0;
}

static void destroy(struct ingest *x)
{
    struct fragment *f;
    while ((f = fragment_pop(&x->exchange.arrived)))
        fragment_pool_give(x->fragments, f);
    training_destroy(&x->training);
    session_destroy(&x->session);
    exchange_fini(&x->exchange);
    link_destroy(&x->sender);
    link_destroy(&x->hub);
    fragment_pool_destroy(&x->fragments);
    frame_pool_destroy(&x->snapshots);
    free(x->hyper);
}

/* Until the ring went round, so that its pages are there and old fragments make room. */
static int warm_up(struct ingest *x, struct error *err)
{
    struct bench_window w = { 0 };
    const int64_t until_us = program_now_us() + JOIN_US;
    while (x->consumed < CAPACITY) {
        if (x->consumed == 0 && program_now_us() > until_us)
            return error_set(err, ERR_REFUSED, "shoal bench: no fragment arrived within %d s; this is a defect",
                             JOIN_US / 1000000);
        (void)run(x, &w, err);
    }
    return 0;
}

static int measure(struct bench *b, const char *endpoint, struct bench_result *r, struct error *err)
{
    struct ingest *x = memory_alloc(1, sizeof(*x));
    pthread_t io, sender;
    int rc = create(x, endpoint, err);
    bool has_io = false, has_sender = false;
    if (rc == 0) {
        training_begin(x->training);
        has_io = pthread_create(&io, NULL, io_thread, x) == 0;
        has_sender = pthread_create(&sender, NULL, sender_thread, x) == 0;
        if (!has_io || !has_sender)
            rc = error_set(err, ERR_TEMPORARY, "shoal bench: no thread could be started");
    }
    if (rc == 0)
        rc = warm_up(x, err);
    if (rc == 0) {
        const struct bench_plan plan = bench_plan_make(b, 1, BENCH_MACHINE);
        const struct bench_work work = { run, x, -1 };
        rc = bench_measure(&plan, &work, 1, r, err);
    }
    atomic_store(&x->must_stop, true);
    if (has_sender)
        pthread_join(sender, NULL);
    if (has_io)
        pthread_join(io, NULL);
    destroy(x);
    free(x);
    return rc;
}

int bench_ingest(struct bench *b, struct error *err)
{
    static const char *const columns[] = { "tcp", "ipc" };
    static const struct bench_table table = {
        .group = "ingest", .title = "transitions of 104 bytes from a socket into replay, three threads",
        .unit = "transitions/s", .columns = columns, .n_columns = 2
    };
    char ipc[64];
    const char *const endpoints[] = { "tcp://127.0.0.1:*", ipc };
    struct bench_result r;
    int rc = 0;
    snprintf(ipc, sizeof(ipc), "ipc:///tmp/shoal-bench-%d", (int)getpid());
    if (!bench_wants(b, "half_cheetah rows"))
        return 0;
    bench_begin_table(b, &table);
    bench_begin_row(b, "half_cheetah rows");
    for (int i = 0; i < 2 && rc == 0; i++) {
        rc = measure(b, endpoints[i], &r, err);
        if (rc == 0)
            bench_cell(b, &r, (double)NAN);
    }
    bench_end_row(b);
    return rc;
}
