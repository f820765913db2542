/* The actor core's schedules: which version every fragment is acted with, fragments that end early, and what it
 * waits for. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "actor/actor_core.h"
#include "actor/env.h"
#include "common/digest.h"
#include "common/rng.h"
#include "common/row.h"
#include "proto/message.h"
#include "tests/support.h"

enum { INCARNATION = 7, RUN = 3, MAX_KEPT = 4096, MAX_STREAMS = 3, HORIZON = 60, HIDDEN = 2, MAX_ROUNDS = 64,
       MAX_ROW = 8 };
static const int64_t SECOND = 1000000;

/* A fragment that was sent. */
struct kept {
    int64_t stream, sequence, version, n_transitions, n_rows;
    float rows[2 * HORIZON][MAX_ROW];
};
static struct kept kept[MAX_KEPT];

struct desk {
    struct actor *core;
    struct row_shape shape;
    int n_choices, n_streams;
    char hash[ENV_SPEC_HASH_BYTES];
    const char *environment;
    int n_kept, n_wants, n_hellos;
    struct want want;               /* said last */
    struct heartbeat heartbeat;
    int64_t now_us;
    int64_t acked[MAX_STREAMS];
};

static void on_send(void *context, struct frame *f, bool must_arrive)
{
    struct desk *d = context;
    struct message m;
    (void)must_arrive;
    ck_assert_ptr_null(message_decode(&m, f->data, f->size));
    if (m.type == MESSAGE_WANT)
        d->want = m.want, d->n_wants++;
    d->n_hellos += m.type == MESSAGE_HELLO;
    if (m.type == MESSAGE_HEARTBEAT)
        d->heartbeat = m.heartbeat;
    if (m.type == MESSAGE_FRAGMENT) {
        struct kept *k = &kept[d->n_kept++];
        const size_t stride = (size_t)row_stride(d->shape) * sizeof(float);
        ck_assert_int_le(d->n_kept, MAX_KEPT);
        ck_assert_int_le(m.fragment.n_rows, 2 * HORIZON);
        k->stream = m.fragment.stream, k->sequence = m.fragment.sequence, k->version = m.fragment.version;
        k->n_transitions = m.fragment.n_transitions, k->n_rows = m.fragment.n_rows;
        for (int64_t i = 0; i < k->n_rows; i++)
            memcpy(k->rows[i], m.fragment.rows.data + (size_t)i * stride, stride);
    }
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

static void say(struct desk *d, const struct message *m)
{
    unsigned char data[4096];
    struct frame f = { .data = data };
    f.size = message_encode(m, data, sizeof(data));
    ck_assert_uint_gt(f.size, 0);
    actor_receive(d->core, d->now_us, &f);
}

/* `sequences`: where streams 0 ... n - 1 begin. lag -1: no rounds. */
static void open_desk(struct desk *d, const char *environment, int n, const int64_t *sequences, int64_t horizon,
                      int64_t lag, int64_t credit, int64_t max_staleness)
{
    static const uint32_t lives[MAX_STREAMS], streams[MAX_STREAMS] = { 0, 1, 2 }, hidden = HIDDEN;
    struct env_model *model;
    struct message m;
    *d = (struct desk){ .environment = environment, .n_streams = n, .now_us = 1 };
    ck_assert_int_eq(env_open(&model, &(struct env_setup){ .name = environment }, NULL), 0);
    env_spec_hash(env_spec(model), d->hash);
    d->shape = env_spec(model)->shape;
    d->n_choices = env_spec(model)->n_choices;
    env_close(&model);
    const struct actor_setup setup = { .incarnation = INCARNATION, .name = "a", .program = "p", .cpu = "c" };
    d->core = actor_create(&setup, (struct actor_out){
        .context = d, .send = on_send, .subscribe = on_subscribe, .log = on_log });
    actor_tick(d->core, d->now_us);
    message_init(&m, MESSAGE_WELCOME);
    struct welcome *w = &m.welcome;
    w->run = RUN, w->incarnation = INCARNATION, w->seed = 1, w->epoch = 1, w->protocol = PROTOCOL_VERSION;
    w->horizon = horizon, w->credit = credit, w->lag = lag, w->max_staleness = max_staleness;
    w->heartbeat_ms = 1000, w->liveness_ms = 10000000, w->snapshot_port = 1;
    w->n_obs = d->shape.n_obs, w->n_act = 1, w->n_choices = d->n_choices;
    snprintf(w->algorithm, sizeof(w->algorithm), "any");
    snprintf(w->mode, sizeof(w->mode), "any");
    snprintf(w->environment, sizeof(w->environment), "%s", environment);
    snprintf(w->spec, sizeof(w->spec), "%s", d->hash);
    snprintf(w->head, sizeof(w->head), "%s", d->n_choices ? "categorical" : "deterministic");
    snprintf(w->activation, sizeof(w->activation), "relu");
    snprintf(w->exploration, sizeof(w->exploration), "none");
    w->hidden = (struct bytes){ (const unsigned char *)&hidden, sizeof(hidden) };
    w->streams = (struct bytes){ (const unsigned char *)streams, (size_t)n * sizeof(*streams) };
    w->lives = (struct bytes){ (const unsigned char *)lives, (size_t)n * sizeof(*lives) };
    w->sequences = (struct bytes){ (const unsigned char *)sequences, (size_t)n * sizeof(*sequences) };
    memcpy(d->acked, sequences, (size_t)n * sizeof(*sequences));
    say(d, &m);
    ck_assert_int_eq(actor_phase(d->core), ACTOR_ACTING);
}

static void close_desk(struct desk *d)
{
    actor_destroy(&d->core);
}

/* The policy of a version gives the action tanh(0.01 version), whatever it sees. */
static void snapshot(struct desk *d, int64_t version)
{
    const int outputs = d->n_choices ? d->n_choices : 1;
    const size_t n = (size_t)(d->shape.n_obs * HIDDEN + HIDDEN + HIDDEN * outputs + outputs);
    float params[64] = { 0 };
    struct message m;
    ck_assert_uint_le(n, TEST_COUNT(params));
    if (!d->n_choices)
        params[n - 1] = 0.01f * (float)version;
    message_init(&m, MESSAGE_SNAPSHOT);
    m.snapshot = (struct snapshot){ .run = RUN, .epoch = 1, .version = version,
        .checksum = digest_crc32(params, n * sizeof(float)),
        .parameters = { (const unsigned char *)params, n * sizeof(float) } };
    say(d, &m);
}

/* The books; round -1: none. */
static void ack(struct desk *d, int64_t newest, int64_t round, int64_t version, int64_t previous, int64_t credit)
{
    struct message m;
    message_init(&m, MESSAGE_ACK);
    m.ack = (struct ack){ .run = RUN, .incarnation = INCARNATION, .epoch = 1, .newest = newest,
                          .start_version = round < 0 ? 0 : version, .round = round, .previous = previous,
                          .credit = credit,
                          .acked = { (const unsigned char *)d->acked, (size_t)d->n_streams * sizeof(*d->acked) } };
    say(d, &m);
}

static int step_all(struct desk *d)
{
    int n = 0;
    while (actor_step(d->core, d->now_us))
        n++;
    return n;
}

static void check_acted_with(const struct desk *d, const struct kept *k, int64_t version)
{
    ck_assert_int_eq(k->version, version);
    for (int64_t i = 0; i < k->n_rows; i++)
        if (row_kind_of(d->shape, k->rows[i]) != ROW_CLOSE)
            ck_assert_double_eq_tol((double)k->rows[i][row_act(d->shape)], tanh(0.01 * (double)version), 1e-6);
}

/* ---- exactly the version of the round ---- */

/* A learner that is as slow as it likes, over a network that loses, repeats and turns round what it says. */
struct learner {
    int64_t version[MAX_ROUNDS + 2];    /* behind so many rounds */
    int64_t round;
    int64_t arrived[MAX_STREAMS];       /* fragments of each stream */
    int looked_at;
};

static void check_fragments(struct desk *d, struct learner *l, int64_t lag)
{
    for (; l->looked_at < d->n_kept; l->looked_at++) {
        const struct kept *k = &kept[l->looked_at];
        ck_assert_int_eq(k->sequence, l->arrived[k->stream]++);
        ck_assert_int_lt(k->sequence, l->round + 1 + lag);
        check_acted_with(d, k, l->version[k->sequence > lag ? k->sequence - lag : 0]);
    }
}

static void learn(struct desk *d, struct learner *l)
{
    for (int i = 0; i < d->n_streams; i++)
        if (l->arrived[i] <= l->round)
            return;
    l->round++;
    for (int i = 0; i < d->n_streams; i++)
        d->acked[i] = l->round;
}

static void tell(struct desk *d, const struct learner *l, int64_t lag)
{
    const int64_t k = l->round;
    ack(d, l->version[k], k, l->version[k], l->version[k > 0 ? k - 1 : 0], 1 + lag);
}

static void answer_want(struct desk *d, const struct learner *l)
{
    const int64_t previous = l->version[l->round > 0 ? l->round - 1 : 0];
    snapshot(d, d->want.wanted == previous ? previous : l->version[l->round]);
}

START_TEST(rounds_are_acted_with_their_version_whatever_comes_when)
{
    for (uint64_t seed = 0; seed < 60; seed++) {
        const int64_t lag = seed % 2, first = seed % 3 == 0 ? 5 : 0;
        const int n = 1 + (int)(seed / 2 % 3);
        int64_t sequences[MAX_STREAMS];
        struct learner l = { .round = first };
        struct desk d;
        struct rng rng;
        rng_init(&rng, seed, RNG_TEST, 0, 0);
        for (int i = 1; i < MAX_ROUNDS + 2; i++)    /* some rounds change nothing, some a lot */
            l.version[i] = l.version[i - 1] + (int64_t)rng_below(&rng, 3);
        for (int i = 0; i < n; i++)    /* behind a restart streams may be a round apart */
            sequences[i] = l.arrived[i] = first + (first > 0 && i == 1 && lag == 1);
        open_desk(&d, "Pendulum-v1", n, sequences, 3, lag, 1 + lag, -1);
        for (int i = 0; i < n; i++)
            d.acked[i] = first;
        int wants = d.n_wants;
        for (int i = 0; l.round < MAX_ROUNDS - 4; i++) {
            ck_assert_msg(i < 40000, "seed %d is stuck in round %d", (int)seed, (int)l.round);
            d.now_us += (int64_t)rng_below(&rng, 60000);
            switch (rng_below(&rng, 8)) {
            case 0: tell(&d, &l, lag); break;
            case 1: snapshot(&d, l.version[l.round]); break;
            case 2: snapshot(&d, l.version[l.round > 0 ? l.round - 1 : 0]); break;
            case 3: snapshot(&d, l.version[rng_below(&rng, (uint64_t)l.round + 3)]); break;    /* even of the future */
            case 4: learn(&d, &l); break;
            case 5:
                actor_tick(d.core, d.now_us);
                if (d.n_wants > wants && rng_below(&rng, 2))
                    answer_want(&d, &l);
                wants = d.n_wants;
                break;
            default: actor_step(d.core, d.now_us);
            }
            check_fragments(&d, &l, lag);
        }
        close_desk(&d);
    }
}
END_TEST

/* Without the fast path. */
START_TEST(the_version_that_is_waited_for_is_asked_for_by_name)
{
    static const int64_t zero[1] = { 0 };
    for (int64_t lag = 0; lag < 2; lag++) {
        struct desk d;
        open_desk(&d, "Pendulum-v1", 1, zero, 3, lag, 1 + lag, -1);
        ck_assert_int_eq(d.n_wants, 0);
        snapshot(&d, 0);
        ck_assert_int_eq(step_all(&d), 0);    /* the books are not known yet */
        ack(&d, 0, 0, 0, 0, 1 + lag);
        step_all(&d);
        ck_assert_int_eq(d.n_kept, 1 + lag);    /* pipelined: rounds 0 and 1 with the first version */
        d.now_us += 10 * SECOND;
        actor_tick(d.core, d.now_us);
        ck_assert_int_eq(d.n_wants, 0);       /* nothing to ask for while the round is not done */
        d.acked[0] = 1;
        ack(&d, 4, 1, 4, 0, 1 + lag);
        snapshot(&d, 9);                      /* a newer one, too early */
        ck_assert_int_eq(step_all(&d), 0);
        actor_tick(d.core, d.now_us);
        d.now_us += 60000;
        actor_tick(d.core, d.now_us);
        ck_assert(d.n_wants == 1 && d.want.wanted == 4);
        snapshot(&d, 9);
        ck_assert_int_eq(step_all(&d), 0);
        snapshot(&d, 4);
        step_all(&d);
        ck_assert_int_eq(d.n_kept, 2 + lag);
        check_acted_with(&d, &kept[1 + lag], 4);
        d.acked[0] = 2;
        ack(&d, 9, 2, 9, 4, 1 + lag);
        step_all(&d);                         /* 9 has waited for its turn */
        ck_assert_int_eq(d.n_kept, 3 + lag);
        check_acted_with(&d, &kept[2 + lag], 9);
        close_desk(&d);
    }
}
END_TEST

/* An actor that is slower than the learner: whatever comes in between, it waits for no version twice. */
START_TEST(a_version_that_came_before_its_turn_is_kept)
{
    static const int64_t zero[1] = { 0 };
    struct desk d;
    open_desk(&d, "Pendulum-v1", 1, zero, 3, 1, 2, -1);
    ack(&d, 0, 0, 0, 0, 2);
    snapshot(&d, 0);
    step_all(&d);
    ck_assert_int_eq(d.n_kept, 2);
    for (int64_t round = 1; round < 40; round++) {
        /* Before it acts in round `round` + 1 the learner is through with it, but for this stream. */
        snapshot(&d, 10 * round);
        d.acked[0] = round;
        ack(&d, 10 * round, round, 10 * round, round > 1 ? 10 * (round - 1) : 0, 2);
        if (round % 3 == 0) {
            snapshot(&d, 10 * (round + 1));
            d.acked[0] = round + 1;
            ack(&d, 10 * (round + 1), round + 1, 10 * (round + 1), 10 * round, 2);
            step_all(&d);
            round++;
        }
        step_all(&d);
        ck_assert_int_eq(d.n_kept, round + 2);
        check_acted_with(&d, &kept[round], 10 * (round - 1));
        check_acted_with(&d, &kept[round + 1], 10 * round);
    }
    actor_tick(d.core, d.now_us + SECOND / 2);
    ck_assert_int_eq(d.n_wants, 1);    /* the first one, as it began */
    close_desk(&d);
}
END_TEST

/* WELCOME crossed two fragments of ours, and the learner has learnt from them: no version for that round comes any
 * more, and nothing we could send would tell the learner that we wait. */
START_TEST(an_actor_whose_rounds_are_over_joins_again)
{
    static const int64_t sequences[2] = { 12, 12 };
    for (int64_t lag = 0; lag < 2; lag++) {
        struct desk d;
        open_desk(&d, "Pendulum-v1", 2, sequences, 3, lag, 1 + lag, -1);
        d.now_us += SECOND;
        ack(&d, 120, 12, 120, 110, 1 + lag);
        ck_assert(actor_phase(d.core) == ACTOR_ACTING && d.n_hellos == 1);
        d.acked[1] = 13 + lag;
        ack(&d, 130, 13 + lag, 130, 120, 1 + lag);
        ck_assert(actor_phase(d.core) == ACTOR_JOINING && d.n_hellos == 2);
        ack(&d, 130, 13 + lag, 130, 120, 1 + lag);
        ck_assert_int_eq(step_all(&d), 0);
        ck_assert(d.n_hellos == 2 && d.n_kept == 0);
        close_desk(&d);
    }
}
END_TEST

/* It may be older than the newest, which a new actor would be sent unasked. */
START_TEST(a_new_actor_asks_at_once_for_the_version_its_round_needs)
{
    static const int64_t behind[2] = { 7, 6 }, zero[1] = { 0 };
    struct desk d;
    open_desk(&d, "Pendulum-v1", 2, behind, 3, 1, 2, -1);
    d.acked[0] = d.acked[1] = 6;
    ck_assert_int_eq(d.n_wants, 0);
    ack(&d, 60, 6, 60, 50, 2);
    ck_assert(d.n_wants == 1 && d.want.wanted == 50);
    ack(&d, 60, 6, 60, 50, 2);
    actor_tick(d.core, d.now_us);
    ck_assert_int_eq(d.n_wants, 1);
    d.now_us += 2 * SECOND;    /* no answer */
    actor_tick(d.core, d.now_us);
    ck_assert(d.n_wants == 2 && d.want.wanted == 50);
    snapshot(&d, 50);
    step_all(&d);
    ck_assert(d.n_kept == 1 && kept[0].stream == 1);
    check_acted_with(&d, &kept[0], 50);
    close_desk(&d);

    open_desk(&d, "Pendulum-v1", 1, zero, 3, -1, 2, -1);
    ck_assert(d.n_wants == 1 && d.want.wanted == -1);    /* without rounds */
    close_desk(&d);
}
END_TEST

START_TEST(streams_that_are_behind_come_first)
{
    static const int64_t sequences[MAX_STREAMS] = { 4, 3, 4 };
    struct desk d;
    open_desk(&d, "Pendulum-v1", 3, sequences, 3, 1, 2, -1);
    for (int i = 0; i < 3; i++)
        d.acked[i] = 3;
    ack(&d, 30, 3, 30, 20, 2);
    snapshot(&d, 20);
    step_all(&d);
    ck_assert(d.n_kept == 1 && kept[0].stream == 1 && kept[0].sequence == 3);
    check_acted_with(&d, &kept[0], 20);
    snapshot(&d, 30);
    step_all(&d);
    ck_assert_int_eq(d.n_kept, 4);
    for (int i = 0; i < 3; i++) {
        ck_assert(kept[1 + i].stream == i && kept[1 + i].sequence == 4);
        check_acted_with(&d, &kept[1 + i], 30);
    }
    close_desk(&d);
}
END_TEST

/* ---- fragments that end early ---- */

/* One stream of CartPole, `each` transitions at a time: then newer parameters come. The transitions go to `out`.
 * Returns how many fragments they are from. */
static int collect(int each, int n, float (*out)[MAX_ROW])
{
    static const int64_t zero[1] = { 0 };
    struct desk d;
    int done = 0;
    open_desk(&d, "CartPole-v1", 1, zero, HORIZON, -1, 64, 3);
    snapshot(&d, 0);
    for (int64_t version = 3; done < n; version += 3) {
        for (int i = 0; i < each; i++)
            ck_assert(actor_step(d.core, d.now_us));
        ack(&d, version, -1, 0, -1, 64);
        snapshot(&d, version);
        done += each;
    }
    actor_step(d.core, d.now_us);    /* sends the last one */
    n = 0;
    for (int f = 0; f < d.n_kept; f++) {
        const struct kept *k = &kept[f];
        int n_transitions = 0;
        ck_assert_int_eq(k->sequence, f);
        for (int64_t i = 0; i < k->n_rows; i++) {
            const enum row_kind kind = row_kind_of(d.shape, k->rows[i]);
            const bool is_end = i == k->n_rows - 1;
            ck_assert(kind != ROW_CLOSE || is_end || row_kind_of(d.shape, k->rows[i - 1]) != ROW_STEP);
            ck_assert(kind == ROW_CLOSE || !is_end);
            if (kind == ROW_CLOSE) {    /* alone, and with an observation */
                ck_assert(row_kind_of(d.shape, k->rows[i - 1]) != ROW_CLOSE);
                continue;
            }
            memcpy(out[n++], k->rows[i], sizeof(*out));
            n_transitions++;
        }
        ck_assert_int_eq(k->n_transitions, n_transitions);
        ck_assert_int_eq(k->n_transitions, each);
        ck_assert_int_eq(k->version, 3 * f);
        const struct kept *before = k - 1;    /* what closes a fragment begins the next one, or an episode's end does */
        const float *last = f ? before->rows[before->n_rows - 2] : NULL;
        if (f && row_kind_of(d.shape, last) == ROW_STEP)
            ck_assert_mem_eq(before->rows[before->n_rows - 1], k->rows[0], (size_t)d.shape.n_obs * sizeof(float));
    }
    close_desk(&d);
    return d.n_kept;
}

START_TEST(an_outdated_fragment_ends_early_and_its_stream_goes_on_as_if_it_had_not)
{
    static float whole[2 * HORIZON][MAX_ROW], parts[2 * HORIZON][MAX_ROW];
    int n_ends = 0;
    ck_assert_int_eq(collect(HORIZON, HORIZON, whole), 1);
    const struct row_shape shape = { 4, 1 };
    for (int each = 1; each < HORIZON; each++) {
        collect(each, HORIZON, parts);
        ck_assert_mem_eq(parts, whole, HORIZON * sizeof(*whole));
        n_ends += row_kind_of(shape, parts[each - 1]) == ROW_TERMINATED;    /* right behind an episode's end */
    }
    ck_assert_int_ge(n_ends, 2);
}
END_TEST

START_TEST(parameters_that_are_not_too_old_are_acted_with_to_the_end)
{
    static const int64_t zero[2] = { 0 };
    struct desk d;
    open_desk(&d, "Pendulum-v1", 2, zero, 10, -1, 64, 3);
    snapshot(&d, 5);
    for (int i = 0; i < 4; i++)
        ck_assert(actor_step(d.core, d.now_us));
    ack(&d, 7, -1, 0, -1, 64);
    ck_assert(actor_step(d.core, d.now_us));
    snapshot(&d, 7);
    ck_assert(actor_step(d.core, d.now_us));
    ck_assert_int_eq(d.n_kept, 0);
    snapshot(&d, 8);    /* known without ACK as well */
    ck_assert(actor_step(d.core, d.now_us));
    ck_assert(d.n_kept == 2 && kept[0].n_transitions == 6 && kept[1].n_transitions == 6);
    while (d.n_kept < 4)
        ck_assert(actor_step(d.core, d.now_us));
    ck_assert(kept[2].n_transitions == 10 && kept[2].version == 8);
    close_desk(&d);
}
END_TEST

/* Otherwise it would collect one transition after the other that nobody wants. */
START_TEST(no_fragment_begins_with_parameters_that_are_too_old)
{
    static const int64_t zero[1] = { 0 };
    struct desk d;
    open_desk(&d, "Pendulum-v1", 1, zero, 10, -1, 64, 3);
    snapshot(&d, 5);
    for (int i = 0; i < 4; i++)
        ck_assert(actor_step(d.core, d.now_us));
    d.now_us += 1000;
    ack(&d, 8, -1, 0, -1, 64);
    ck_assert(!actor_step(d.core, d.now_us));
    ck_assert(d.n_kept == 1 && kept[0].n_transitions == 4);
    ck_assert(!actor_step(d.core, d.now_us));
    const int wants = d.n_wants;
    for (int i = 0; i < 3; i++) {
        d.now_us += 30000;
        actor_tick(d.core, d.now_us);
    }
    ck_assert_int_eq(d.n_wants, wants + 1);
    snapshot(&d, 8);
    ck_assert(actor_step(d.core, d.now_us));
    close_desk(&d);
}
END_TEST

START_TEST(frames_are_looked_for_between_steps_only_where_a_bound_needs_it)
{
    static const int64_t zero[1] = { 0 };
    for (int64_t bound = 0; bound < 2; bound++) {
        struct desk d;
        open_desk(&d, "Pendulum-v1", 1, zero, 10, -1, 64, bound ? 3 : -1);
        ck_assert(actor_wants_frames(d.core));
        snapshot(&d, 0);
        actor_step(d.core, d.now_us);
        ck_assert_int_eq(actor_wants_frames(d.core), bound);
        close_desk(&d);
    }
}
END_TEST

/* ---- waiting ---- */

START_TEST(time_without_parameters_and_without_credit_is_counted)
{
    static const int64_t zero[1] = { 0 };
    struct actor_counts counts;
    struct desk d;
    open_desk(&d, "Pendulum-v1", 1, zero, 2, 0, 1, -1);
    ack(&d, 0, 0, 0, 0, 1);
    actor_step(d.core, d.now_us);
    d.now_us += SECOND / 4;
    snapshot(&d, 0);
    step_all(&d);                                  /* a fragment, then no credit and no version */
    ck_assert_int_eq(d.n_kept, 1);
    d.now_us += SECOND / 2;
    snapshot(&d, 1);
    ck_assert(!actor_step(d.core, d.now_us));
    d.acked[0] = 1;
    ack(&d, 1, 1, 1, 0, 1);
    d.now_us += SECOND / 2;
    actor_step(d.core, d.now_us);
    actor_count(d.core, &counts);
    ck_assert(counts.parameters_us == 5 * SECOND / 4 && counts.credit_us == 0);
    close_desk(&d);

    open_desk(&d, "Pendulum-v1", 1, zero, 2, -1, 1, -1);
    snapshot(&d, 0);
    step_all(&d);
    d.now_us += 2 * SECOND;
    ck_assert_int_eq(step_all(&d), 0);
    d.acked[0] = 1;
    ack(&d, 0, -1, 0, -1, 1);
    step_all(&d);
    actor_tick(d.core, d.now_us);
    actor_count(d.core, &counts);
    ck_assert(counts.parameters_us == 0 && counts.credit_us == 2 * SECOND);
    ck_assert(d.heartbeat.credit_ms == 2000 && d.heartbeat.parameters_ms == 0);
    ck_assert_str_eq(d.heartbeat.state, "credit");
    close_desk(&d);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        rounds_are_acted_with_their_version_whatever_comes_when,
        the_version_that_is_waited_for_is_asked_for_by_name,
        a_version_that_came_before_its_turn_is_kept,
        an_actor_whose_rounds_are_over_joins_again,
        a_new_actor_asks_at_once_for_the_version_its_round_needs,
        streams_that_are_behind_come_first,
        an_outdated_fragment_ends_early_and_its_stream_goes_on_as_if_it_had_not,
        parameters_that_are_not_too_old_are_acted_with_to_the_end,
        no_fragment_begins_with_parameters_that_are_too_old,
        frames_are_looked_for_between_steps_only_where_a_bound_needs_it,
        time_without_parameters_and_without_credit_is_counted,
    };
    return suite_run("actor_rounds", tests, TEST_COUNT(tests), 30);
}
