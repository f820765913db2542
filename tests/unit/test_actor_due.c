/* When an actor core has something to send by itself: what actor_due says against asking it all the time. */
#include <stdio.h>
#include <string.h>

#include "actor/actor_core.h"
#include "common/digest.h"
#include "common/policy.h"
#include "proto/message.h"
#include "tests/support.h"

enum { RUN = 3, INCARNATION = 7, MILLISECOND = 1000 };

static int n_sent;

static void on_send(void *context, struct frame *f, bool must_arrive)
{
    (void)context, (void)must_arrive;
    n_sent++;
    frame_release(f);
}

static void on_subscribe(void *context, int port, bool wants_every)
{
    (void)context, (void)port, (void)wants_every;
}

static void on_log(void *context, const char *line)
{
    (void)context, (void)line;
}

static int64_t lag;    /* rounds; -1: without */

static void tell(struct actor *a, int64_t now_us, const struct message *m)
{
    unsigned char data[4096];
    struct frame f = { .data = data };
    f.size = message_encode(m, data, sizeof(data));
    actor_receive(a, now_us, &f);
}

static void welcome(struct actor *a, int64_t now_us, struct env_model *model)
{
    static const uint32_t stream = 0, life = 0, hidden = 4;
    static const int64_t sequence = 0;
    struct message m;
    message_init(&m, MESSAGE_WELCOME);
    struct welcome *w = &m.welcome;
    *w = (struct welcome){
        .run = RUN, .incarnation = INCARNATION, .seed = 1, .epoch = 1, .protocol = PROTOCOL_VERSION,
        .algorithm = "sac", .mode = "async", .environment = "Pendulum-v1", .n_obs = 3, .n_act = 1, .horizon = 4,
        .lag = lag, .max_staleness = -1, .credit = 1, .heartbeat_ms = 700, .liveness_ms = 3000, .step_timeout_ms = -1,
        .snapshot_port = 1, .head = "squashed_gaussian", .activation = "relu", .exploration = "none",
    };
    env_spec_hash(env_spec(model), w->spec);
    w->hidden = (struct bytes){ (const unsigned char *)&hidden, sizeof(hidden) };
    w->streams = (struct bytes){ (const unsigned char *)&stream, sizeof(stream) };
    w->lives = (struct bytes){ (const unsigned char *)&life, sizeof(life) };
    w->sequences = (struct bytes){ (const unsigned char *)&sequence, sizeof(sequence) };
    tell(a, now_us, &m);
}

static void snapshot(struct actor *a, int64_t now_us, struct env_model *model, int64_t version)
{
    static float zeros[256];
    const struct mlp_body body = { .n_hidden = 1, .hidden = { 4 } };
    const struct policy_shape shape = policy_shape_make(HEAD_SQUASHED_GAUSSIAN, &body, env_spec(model)->shape, 0);
    struct message m;
    message_init(&m, MESSAGE_SNAPSHOT);
    m.snapshot.run = RUN;
    m.snapshot.epoch = 1;
    m.snapshot.version = version;
    m.snapshot.parameters = (struct bytes){ (const unsigned char *)zeros, policy_n_params(&shape) * sizeof(float) };
    m.snapshot.checksum = digest_crc32(zeros, m.snapshot.parameters.size);
    tell(a, now_us, &m);
}

static void acknowledge(struct actor *a, int64_t now_us, int64_t newest, int64_t start_version, int64_t acked)
{
    struct message m;
    message_init(&m, MESSAGE_ACK);
    m.ack.run = RUN;
    m.ack.epoch = 1;
    m.ack.incarnation = INCARNATION;
    m.ack.newest = newest;
    m.ack.start_version = start_version;
    if (lag >= 0)
        m.ack.round = acked, m.ack.previous = 0;
    m.ack.credit = 1;
    m.ack.acked = (struct bytes){ (const unsigned char *)&acked, sizeof(acked) };
    tell(a, now_us, &m);
}

/* What happens to the actor, by milliseconds: it waits for its first version, acts, waits for one that it must
 * have, is behind without having to wait, is left alone, and joins again. */
static void happen(struct actor *a, int64_t ms, struct env_model *model)
{
    const int64_t now_us = ms * MILLISECOND;
    if (ms == 2500 || ms == 40000)
        welcome(a, now_us, model);
    else if (ms == 6000 && lag >= 0)
        acknowledge(a, now_us, 0, 0, 0);
    else if (ms == 8000)
        snapshot(a, now_us, model, 0);
    else if (ms == 8100)
        acknowledge(a, now_us, 1, 1, 1);
    else if (ms == 12000)
        snapshot(a, now_us, model, 1);
    else if (ms > 12000 && ms < 20000 && ms % 900 == 0)
        acknowledge(a, now_us, 2, 1, 2);
}

static void try_due(void)
{
    struct env_model *model;
    struct error err;
    ck_assert_int_eq(env_open(&model, &(struct env_setup){ .name = "Pendulum-v1" }, &err), 0);
    const struct actor_setup setup = { .incarnation = INCARNATION, .name = "a", .program = "p", .cpu = "c",
                                       .model = model };
    struct actor *a = actor_create(&setup, (struct actor_out){ .send = on_send, .subscribe = on_subscribe,
                                                               .log = on_log });
    int n_due = 0;
    for (int64_t ms = 0; ms < 60000; ms++) {
        happen(a, ms, model);
        const int64_t due_us = actor_due(a), before = n_sent;
        actor_tick(a, ms * MILLISECOND);
        ck_assert_msg((n_sent > before) == (due_us <= ms * MILLISECOND), "at %d ms it %s, due at %d us", (int)ms,
                      n_sent > before ? "sends" : "sends nothing", (int)due_us);
        ck_assert_msg(actor_due(a) > ms * MILLISECOND, "at %d ms it is due again at once", (int)ms);
        n_due += n_sent > before;
        while (actor_step(a, ms * MILLISECOND))
            continue;
        ck_assert(!actor_awaits_version(a) || ms < 12000 || ms >= 40000 || lag >= 0);
    }
    ck_assert_int_gt(n_due, 60);
    actor_stop(a, "enough");
    ck_assert_int_eq(actor_due(a), INT64_MAX);
    actor_destroy(&a);
    /* The environment is not the actor's. */
    struct env *env = env_create(model);
    env_destroy(&env);
    env_close(&model);
}

START_TEST(a_tick_sends_exactly_when_it_is_due)
{
    for (lag = -1; lag <= 0; lag++)
        try_due();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { a_tick_sends_exactly_when_it_is_due };
    return suite_run("actor due", tests, TEST_COUNT(tests), 60);
}
