/* Gradients at the session core: what WELCOME says to who is to compute them, what is accepted, and what is refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "learner/a2c.h"
#include "learner/algorithms.h"
#include "tests/support.h"
#include "tests/unit/session_desk.h"

enum { N_TRAINED = 5, N_OBS = 3, N_STATISTICS = 1 + 2 * N_OBS + 3, N_METRICS = 9, PLACES = 2, ENVS = 2 };

static struct a2c_hyper hyper;
static float grad[N_TRAINED];
static double statistics[N_STATISTICS], metrics[N_METRICS], returns[1];
static uint32_t lengths[1];

static struct desk *gradients_desk(const char *options, int64_t max_staleness)
{
    struct desk *d = calloc(1, sizeof(*d));
    const struct option_section section = { .name = "a2c", .options = a2c_algorithm.options,
                                            .n_options = a2c_algorithm.n_options, .base = &hyper };
    ck_assert_int_eq(options_parse_line(&section, "test", options, strlen(options), NULL), 0);
    ck_assert_int_eq(a2c_algorithm.n_metrics, N_METRICS);
    desk_settings(d, MODE_GRADIENTS, PLACES, ENVS);
    d->is_on_policy = true;
    d->algorithm = &a2c_algorithm;
    d->hyper = &hyper;
    d->n_trained = N_TRAINED;
    d->settings.learner.normalise_observations = d->settings.learner.scale_rewards = true;
    d->settings.learner.max_staleness = max_staleness;
    desk_open(d, NULL, NULL, NULL, NULL);
    publish(d, 0);
    return d;
}

static struct gradient_header *seal(struct message *m)
{
    m->gradient.checksum = digest_crc32(m->gradient.gradient.data, m->gradient.gradient.size);
    return &m->gradient;
}

/* A good one of all T x ENVS transitions. */
static struct message gradient(uint64_t peer, int64_t stream, int64_t life, int64_t sequence)
{
    struct message m;
    message_init(&m, MESSAGE_GRADIENT);
    for (int i = 0; i < N_TRAINED; i++)
        grad[i] = (float)(i - 2);
    for (int i = 0; i < N_METRICS; i++)
        metrics[i] = i;
    for (int i = 0; i < N_STATISTICS; i++)
        statistics[i] = 0.5;
    statistics[0] = statistics[1 + 2 * N_OBS] = T * ENVS;
    returns[0] = -7, lengths[0] = 3;
    struct gradient_header *g = &m.gradient;
    g->run = RUN, g->incarnation = 100 * peer, g->epoch = EPOCH;
    g->stream = stream, g->life = life, g->sequence = sequence, g->version = 0, g->n_transitions = T * ENVS;
    g->returns = (struct bytes){ (unsigned char *)returns, sizeof(returns) };
    g->lengths = (struct bytes){ (unsigned char *)lengths, sizeof(lengths) };
    g->metrics = (struct bytes){ (unsigned char *)metrics, sizeof(metrics) };
    g->statistics = (struct bytes){ (unsigned char *)statistics, sizeof(statistics) };
    g->gradient = (struct bytes){ (unsigned char *)grad, sizeof(grad) };
    seal(&m);
    return m;
}

static void send_gradient(struct desk *d, uint64_t peer, int64_t stream, int64_t life, int64_t sequence)
{
    const int before = d->n_delivered;
    struct message m = gradient(peer, stream, life, sequence);
    receive(d, peer, &m);
    expect_silence(d);
    ck_assert_int_eq(d->n_delivered, before + 1);
}

START_TEST(welcome_says_how_to_make_the_algorithm)
{
    struct desk *d = gradients_desk("gamma: 0.5, vtrace: true", 0);
    d->settings.network.layer_norm = LAYER_NORM_CRITICS;
    const struct welcome *w = join(d, ALICE, "alice");
    ck_assert_str_eq(w->mode, "gradients");
    ck_assert_str_eq(w->algorithm_options, "gamma: 0.5, vtrace: true");
    ck_assert(w->critic_layer_norm && !w->layer_norm && w->scales_rewards && w->normalises && !w->wants_state);
    ck_assert_int_eq(w->lag, -1);
    desk_destroy(d);
}
END_TEST

START_TEST(a_gradient_is_delivered_as_it_came_and_counts_once)
{
    struct desk *d = gradients_desk("", 0);
    join(d, ALICE, "alice");
    join(d, BOB, "bob");
    send_gradient(d, BOB, 2, 0, 0);
    const struct fragment *f = d->delivered[0];
    ck_assert_int_eq(f->stream, 2);
    ck_assert_int_eq(f->n_transitions, T * ENVS);
    ck_assert_int_ne(f->n_rows, 0);
    ck_assert_uint_eq(f->gradient.size, sizeof(grad));
    ck_assert_mem_eq(f->gradient.data, grad, sizeof(grad));
    ck_assert_mem_eq(f->metrics.data, metrics, sizeof(metrics));
    ck_assert_mem_eq(f->statistics.data, statistics, sizeof(statistics));
    ck_assert(bytes_f64(f->returns, 0) == -7 && bytes_u32(f->lengths, 0) == 3);
    ck_assert_int_eq(books_of(d, 1).accepted, 1);
    ck_assert_int_eq(books_of(d, 1).transitions, T * ENVS);
    struct message m = gradient(BOB, 2, 0, 0);
    receive(d, BOB, &m);
    expect_reject(d, BOB, "gradient", REJECT_DUPLICATE, false);
    m = gradient(BOB, 2, 0, 2);
    receive(d, BOB, &m);
    expect_reject(d, BOB, "gradient", REJECT_GAP, true);
    m = gradient(BOB, 2, 1, 1);
    receive(d, BOB, &m);
    expect_reject(d, BOB, "gradient", REJECT_LIFE, false);
    ck_assert_int_eq(d->n_delivered, 1);
    send_gradient(d, BOB, 2, 0, 1);
    desk_destroy(d);
}
END_TEST

START_TEST(all_streams_of_an_actor_are_acknowledged_and_begin_lives_together)
{
    struct desk *d = gradients_desk("", 0);
    join(d, ALICE, "alice");
    send_gradient(d, ALICE, 0, 0, 0);
    send_gradient(d, ALICE, 0, 0, 1);
    session_consumed(d->session, 0, 0, 0, FRAGMENT_USED);
    tick(d, 0);
    const struct message *m = next(d, ALICE, MESSAGE_ACK);
    ck_assert(acked(m, 0) == 1 && acked(m, 1) == 1);
    skip(d);
    struct message again = hello(CAROL, "alice");
    receive(d, CAROL, &again);
    next(d, ALICE, MESSAGE_REJECT);
    const struct welcome *w = next_welcome(d, CAROL);
    for (size_t i = 0; i < ENVS; i++)
        ck_assert(bytes_u32(w->lives, i) == 1 && bytes_i64(w->sequences, i) == 0);
    session_consumed(d->session, 0, 0, 1, FRAGMENT_USED);    /* of the life before */
    send_gradient(d, CAROL, 0, 1, 0);
    skip(d);
    desk_destroy(d);
}
END_TEST

/* Spoil a good one in way number `what`; returns what it is refused for. */
static enum rejection spoil_gradient(struct message *m, int what)
{
    struct gradient_header *g = &m->gradient;
    switch (what) {
    case 0: g->n_transitions--; return REJECT_DIMENSIONS;
    case 1: g->n_transitions = T; return REJECT_DIMENSIONS;
    case 2: g->n_transitions = 2 * T * ENVS; return REJECT_DIMENSIONS;
    case 3: g->gradient.size -= sizeof(float); seal(m); return REJECT_DIMENSIONS;
    case 4: g->metrics.size -= sizeof(double); return REJECT_DIMENSIONS;
    case 5: g->version = 1; return REJECT_VERSION;
    case 6: g->checksum ^= 1; return REJECT_CHECKSUM;
    case 7: grad[3] = NAN; seal(m); return REJECT_NONFINITE;
    case 8: grad[0] = -INFINITY; seal(m); return REJECT_NONFINITE;
    case 9: g->statistics.size -= sizeof(double); return REJECT_STATISTICS;
    case 10: statistics[0] = statistics[1 + 2 * N_OBS] = T * ENVS - 1; return REJECT_STATISTICS;
    case 11: statistics[0] = T; return REJECT_STATISTICS;
    case 12: statistics[1 + N_OBS] = -1; return REJECT_STATISTICS;
    default: statistics[1] = 1e40; return REJECT_STATISTICS;
    }
}

START_TEST(bad_contents_are_refused_once_and_go_on_as_empty_gradients)
{
    struct desk *d = gradients_desk("", 0);
    join(d, ALICE, "alice");
    for (int what = 0; what < 14; what++) {
        struct message m = gradient(ALICE, 0, 0, what);
        const enum rejection r = spoil_gradient(&m, what);
        receive(d, ALICE, &m);
        ck_assert_int_eq(expect_reject(d, ALICE, "gradient", r, false)->sequence, what);
        ck_assert_int_eq(d->n_delivered, what + 1);
        const struct fragment *f = d->delivered[what];
        ck_assert(f->n_rows == 0 && f->frame == NULL && f->gradient.size == 0);
        ck_assert_int_eq(f->n_transitions, m.gradient.n_transitions < T * ENVS ? m.gradient.n_transitions : T * ENVS);
        receive(d, ALICE, &m);
        expect_reject(d, ALICE, "gradient", REJECT_DUPLICATE, false);
    }
    send_gradient(d, ALICE, 0, 0, 14);
    desk_destroy(d);
}
END_TEST

START_TEST(with_a_bound_on_staleness_rounds_may_be_shorter_all_alike)
{
    struct desk *d = gradients_desk("", 5);
    join(d, ALICE, "alice");
    struct message m = gradient(ALICE, 0, 0, 0);
    m.gradient.n_transitions = ENVS;
    statistics[0] = statistics[1 + 2 * N_OBS] = ENVS;
    receive(d, ALICE, &m);
    expect_silence(d);
    m = gradient(ALICE, 0, 0, 1);
    m.gradient.n_transitions = ENVS + 1;
    statistics[0] = statistics[1 + 2 * N_OBS] = ENVS + 1;
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "gradient", REJECT_DIMENSIONS, false);
    desk_destroy(d);
}
END_TEST

START_TEST(one_that_could_not_be_computed_is_taken_and_told_ever_more_rarely)
{
    struct desk *d = gradients_desk("", 0);
    join(d, ALICE, "alice");
    const int lines = d->n_lines;
    for (int i = 0; i < 20; i++) {
        struct message m = gradient(ALICE, 0, 0, i);
        m.gradient.gradient.size = 0;
        snprintf(m.gradient.failure, sizeof(m.gradient.failure), "the value loss is not finite");
        if (i % 2)
            memset(statistics, 0, sizeof(statistics));
        seal(&m);
        receive(d, ALICE, &m);
        expect_silence(d);
        ck_assert_int_eq(d->n_delivered, i + 1);
        ck_assert(d->delivered[i]->n_rows != 0 && d->delivered[i]->gradient.size == 0);
    }
    ck_assert_int_eq(d->n_lines, lines + 5);    /* 1, 2, 4, 8, 16 */
    ck_assert_ptr_nonnull(strstr(d->line, "the value loss is not finite"));
    desk_destroy(d);
}
END_TEST

START_TEST(what_the_mode_has_no_use_for_is_refused)
{
    struct desk *d = gradients_desk("", 0);
    join(d, ALICE, "alice");
    struct message m = fragment(d, ALICE, 0, 0, 0);
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "message", REJECT_MALFORMED, false);
    m = gradient(ALICE, 1, 0, 0);    /* not its first stream */
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "gradient", REJECT_STREAM, true);
    m = gradient(ALICE, 2, 0, 0);
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "gradient", REJECT_STREAM, true);
    desk_destroy(d);
    d = desk_create(MODE_ASYNC, PLACES, ENVS);
    join(d, ALICE, "alice");
    m = gradient(ALICE, 0, 0, 0);
    receive(d, ALICE, &m);
    expect_reject(d, ALICE, "message", REJECT_MALFORMED, false);
    ck_assert_int_eq(d->n_delivered, 0);
    desk_destroy(d);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        welcome_says_how_to_make_the_algorithm, a_gradient_is_delivered_as_it_came_and_counts_once,
        all_streams_of_an_actor_are_acknowledged_and_begin_lives_together,
        bad_contents_are_refused_once_and_go_on_as_empty_gradients,
        with_a_bound_on_staleness_rounds_may_be_shorter_all_alike,
        one_that_could_not_be_computed_is_taken_and_told_ever_more_rarely, what_the_mode_has_no_use_for_is_refused,
    };
    return suite_run("session gradient", tests, TEST_COUNT(tests), 30);
}
