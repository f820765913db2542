/* What ends an actor: the core between a learner's messages and Pendulum-v1. */
#include "actor/actor_core.h"

#include <math.h>
#include <string.h>

#include "actor/env.h"
#include "actor/stream.h"
#include "proto/message.h"
#include "tests/support.h"

enum { INCARNATION = 7, RUN = 3, STATE_BYTES = 256 };

/* What the actor said last. */
struct desk {
    enum message_type type;
    char reason[128];
};

static void on_send(void *context, struct frame *f, bool must_arrive)
{
    struct desk *d = context;
    struct message m;
    (void)must_arrive;
    ck_assert_ptr_null(message_decode(&m, f->data, f->size));
    d->type = m.type;
    if (m.type == MESSAGE_BYE)
        snprintf(d->reason, sizeof(d->reason), "%s", m.bye.reason);
    frame_release(f);
}

static void on_subscribe(void *context, int port)
{
    (void)context, (void)port;
}

static void on_log(void *context, const char *line)
{
    (void)context, (void)line;
}

/* The state in which stream 5 leaves its first step. */
static size_t save_state(unsigned char *state, char *spec_hash)
{
    struct env_model *m;
    struct arena *arena = arena_create(1 << 16);
    struct stream s;
    struct fragment_header h = { 0 };
    ck_assert_int_eq(env_open(&m, &(struct env_setup){ .name = "Pendulum-v1" }, NULL), 0);
    struct frame_pool *frames = frame_pool_create(stream_frame_bytes(m, 1));
    env_spec_hash(env_spec(m), spec_hash);
    stream_init(&s, m, 1, arena);
    stream_start(&s, 1, 5, 0);
    stream_begin(&s, frame_pool_take(frames), 0);
    stream_row(&s)[row_act(s.shape)] = 0.5f;
    stream_step(&s);
    ck_assert_int_eq(stream_describe(&s, &h, 0), 0);
    size_t bytes = h.state.size;
    ck_assert_uint_le(bytes, STATE_BYTES);
    memcpy(state, h.state.data, bytes);
    stream_fini(&s);
    frame_pool_destroy(&frames);
    arena_destroy(&arena);
    env_close(&m);
    return bytes;
}

static void welcome(struct actor *a, const char *spec_hash, const unsigned char *state, size_t bytes)
{
    static const uint32_t life = 0, hidden = 4;
    static const int64_t sequence = 1;
    unsigned char data[4096];
    struct message m;
    message_init(&m, MESSAGE_WELCOME);
    struct welcome *w = &m.welcome;
    w->run = RUN;
    w->incarnation = INCARNATION;
    w->protocol = PROTOCOL_VERSION;
    w->epoch = w->horizon = w->n_streams = w->credit = 1;
    w->heartbeat_ms = w->liveness_ms = 1000;
    w->n_obs = 3;
    w->n_act = 1;
    w->n_choices = 0;
    w->first_stream = 5;
    w->snapshot_port = 1;
    w->wants_state = true;
    snprintf(w->algorithm, sizeof(w->algorithm), "sac");
    snprintf(w->mode, sizeof(w->mode), "sync");
    snprintf(w->environment, sizeof(w->environment), "Pendulum-v1");
    snprintf(w->spec, sizeof(w->spec), "%s", spec_hash);
    snprintf(w->head, sizeof(w->head), "squashed_gaussian");
    snprintf(w->activation, sizeof(w->activation), "relu");
    w->hidden = (struct bytes){ (const unsigned char *)&hidden, sizeof(hidden) };
    w->lives = (struct bytes){ (const unsigned char *)&life, sizeof(life) };
    w->sequences = (struct bytes){ (const unsigned char *)&sequence, sizeof(sequence) };
    w->states = (struct bytes){ state, bytes };
    struct frame f = { .data = data };
    f.size = message_encode(&m, data, sizeof(data));
    actor_receive(a, 0, &f);
}

START_TEST(a_state_that_cannot_be_restored_ends_the_actor_for_another_try)
{
    unsigned char state[STATE_BYTES];
    char hash[ENV_SPEC_HASH_BYTES];
    const double number = NAN;
    size_t bytes = save_state(state, hash);
    for (int is_spoilt = 0; is_spoilt < 2; is_spoilt++) {
        struct desk d = { 0 };
        struct error err;
        const struct actor_setup setup = { .incarnation = INCARNATION, .name = "a", .program = "p", .cpu = "c" };
        struct actor *a = actor_create(&setup, (struct actor_out){
            .context = &d, .send = on_send, .subscribe = on_subscribe, .log = on_log });
        actor_tick(a, 0);
        ck_assert_int_eq(d.type, MESSAGE_HELLO);
        if (is_spoilt)
            memcpy(state + bytes - sizeof(number), &number, sizeof(number));
        welcome(a, hash, state, bytes);
        int rc = actor_result(a, &err);
        if (!is_spoilt) {
            ck_assert_msg(actor_phase(a) == ACTOR_ACTING, "%s", err.text);
        } else {
            ck_assert_int_eq(actor_phase(a), ACTOR_STOPPED);
            ck_assert_int_eq(rc, ERR_TEMPORARY);    /* a status after which it is started again */
            ck_assert_int_eq(d.type, MESSAGE_BYE);
            ck_assert_str_eq(d.reason, "environment Pendulum-v1, stream 5: the state that the learner "
                             "saved is none that can be restored");
        }
        actor_destroy(&a);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { a_state_that_cannot_be_restored_ends_the_actor_for_another_try };
    return suite_run("actor_core", tests, TEST_COUNT(tests), 20);
}
