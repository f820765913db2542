/* What the training core makes of fragments, on-policy: order, cuts, statistics, acknowledgements. */
#include <math.h>
#include <string.h>

#include "common/normaliser.h"
#include "learner/algorithms.h"
#include "learner/training.h"
#include "tests/simulation/trial.h"
#include "tests/simulation/toy.h"
#include "tests/support.h"

enum { N_OBS = 3, STRIDE = 7, T = 4, MAX_LOG = 128 };

static const struct row_shape shape = { N_OBS, 1 };
static struct trial setup;
static struct fragment_pool *pool;
static struct training *training;

static struct {
    int64_t streams[MAX_LOG], sequences[MAX_LOG];
    enum fragment_fate fates[MAX_LOG];
    int n;
} consumed;
static int64_t published_version, n_published;
static struct { int64_t round, version, previous; int n; } told;    /* about rounds, last */
static bool was_random;
static struct schedule_record scheduled[MAX_LOG];
static int n_scheduled;
static float published[2 * N_OBS];    /* mean and 1 / std of the newest version */
static struct round seen;
static float seen_rows[2 * T * 8][STRIDE];
static int seen_first[9];
static int64_t seen_staleness[8];

static void on_consumed(void *context, const struct fragment *f, enum fragment_fate fate)
{
    (void)context;
    consumed.fates[consumed.n] = fate;
    consumed.streams[consumed.n] = f->stream;
    consumed.sequences[consumed.n++] = f->sequence;
}

static void on_told(void *context, int64_t round, int64_t version, int64_t previous)
{
    (void)context;
    ck_assert(version == published_version);    /* published first */
    told.round = round, told.version = version, told.previous = previous;
    told.n++;
}

static void on_publish(void *context, int64_t version, bool random, const float *params, size_t n)
{
    (void)context;
    published_version = version;
    was_random = random;
    n_published++;
    memcpy(published, params + n - 2 * N_OBS, sizeof(published));
}

static void on_evaluate(void *context, int64_t env_steps, const float *params, size_t n)
{
    (void)context, (void)env_steps, (void)params, (void)n;
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    (void)context, (void)update, (void)env_steps, (void)sha256;
}

static void on_scheduled(void *context, const struct schedule_record *r)
{
    (void)context;
    scheduled[n_scheduled++ % MAX_LOG] = *r;
}

static void on_round(const struct round *r)
{
    seen = *r;
    memcpy(seen_rows, r->rows, (size_t)r->n_rows * sizeof(*seen_rows));
    memcpy(seen_first, r->first, ((size_t)r->n_fragments + 1) * sizeof(int));
    memcpy(seen_staleness, r->staleness, (size_t)r->n_fragments * sizeof(int64_t));
}

static void create_with(const struct algorithm *algorithm, enum mode mode, int streams, bool normalises,
                        int64_t total, int64_t max_staleness)
{
    static struct env_spec spec;
    trial_defaults(&setup, algorithm, mode, 1, streams);
    setup.settings.learner.max_staleness = max_staleness;
    setup.settings.replay.min_size = T;
    setup.settings.replay.capacity = 1000;
    setup.settings.actor.horizon = T;
    setup.settings.learner.batch_size = T;
    setup.settings.top.total_steps = total;
    setup.settings.learner.normalise_observations = setup.settings.learner.scale_rewards = normalises;
    spec.shape = shape;
    pool = fragment_pool_create();
    toy_books = (struct toy_books){ .began = on_round };
    seen = (struct round){ 0 };
    consumed.n = n_scheduled = told.n = 0;
    n_published = 0;
    training = training_create(&(struct training_setup){
        .settings = &setup.settings, .algorithm = algorithm, .hyper = setup.hyper, .spec = &spec,
        .fragments = pool }, (struct training_out){
        .consumed = on_consumed, .publish = on_publish, .round = on_told, .evaluate = on_evaluate, .hash = on_hash,
        .scheduled = on_scheduled });
    training_begin(training);
}

static void create(enum mode mode, int streams, bool normalises, int64_t total)
{
    create_with(&toy_algorithm, mode, streams, normalises, total, 0);
}

static void destroy(void)
{
    training_destroy(&training);
    fragment_pool_destroy(&pool);
}

static float observation(int64_t stream, int k, int i)
{
    return (float)(100 * stream + 10 * k + i) * 0.01f;
}

/* A fragment of the first n rows of `kinds`; NULL: a refused one. */
static void offer_kinds(int64_t stream, int64_t sequence, int64_t version, const enum row_kind *kinds,
                        int n)
{
    static float rows[MAX_LOG][2 * T][STRIDE];
    static const double returns[T] = { 1, 2, 3, 4 };
    static const uint32_t lengths[T] = { 10, 20, 30, 40 };
    uint32_t ended = 0;
    static int next;
    struct fragment *f = fragment_pool_take(pool);
    float (*own)[STRIDE] = rows[next++ % MAX_LOG];
    *f = (struct fragment){ .stream = stream, .sequence = sequence, .version = version, .n_rows = n,
                            .n_transitions = kinds ? 0 : T };    /* as it was acted */
    for (int k = 0; k < n; k++) {
        memset(own[k], 0, sizeof(own[k]));
        for (int i = 0; i < N_OBS; i++)
            own[k][i] = observation(stream, k, i);
        own[k][row_kind(shape)] = (float)kinds[k];
        if (kinds[k] == ROW_CLOSE)
            continue;
        f->n_transitions++;
        ended += kinds[k] != ROW_STEP;
        own[k][row_act(shape)] = 0.5f;
        own[k][row_reward(shape)] = (float)(k + 1);
        own[k][row_log_prob(shape)] = -1;
    }
    f->rows = (struct bytes){ (const unsigned char *)own, (size_t)n * sizeof(*own) };
    f->returns = (struct bytes){ (const unsigned char *)returns, ended * sizeof(*returns) };
    f->lengths = (struct bytes){ (const unsigned char *)lengths, ended * sizeof(*lengths) };
    training_offer(training, f);
}

static void offer(int64_t stream, int64_t sequence, int64_t version)
{
    static const enum row_kind kinds[] = { ROW_STEP, ROW_STEP, ROW_STEP, ROW_STEP, ROW_CLOSE };
    offer_kinds(stream, sequence, version, kinds, 5);
}

static enum training_status work(void)
{
    enum training_status status;
    while ((status = training_step(training)) == TRAINING_BUSY)
        ;
    return status;
}

static void check_stream_at(int fragment, int64_t stream)
{
    ck_assert(seen_rows[seen_first[fragment]][0] == observation(stream, 0, 0));
}

START_TEST(sync_takes_a_fragment_of_every_stream_in_stream_order)
{
    create(MODE_SYNC, 3, false, 1000);
    ck_assert(!was_random && told.n == 1 && told.round == 0 && told.version == 0 && told.previous == 0);
    offer(2, 0, 0);
    offer(0, 0, 0);
    ck_assert_int_eq(work(), TRAINING_WAITING);
    ck_assert_int_eq(seen.n_fragments, 0);
    offer(1, 0, 0);
    ck_assert_int_eq(training_step(training), TRAINING_BUSY);
    ck_assert(!training_is_at_rest(training));
    ck_assert_int_eq(consumed.n, 0);    /* acknowledged when it is learnt */
    ck_assert_int_eq(work(), TRAINING_WAITING);
    ck_assert(training_is_at_rest(training));
    ck_assert(seen.n_fragments == 3 && seen.n_transitions == 12 && seen.n_rows == 15);
    for (int i = 0; i < 3; i++) {
        check_stream_at(i, i);
        ck_assert_int_eq(consumed.streams[i], i);
        ck_assert_int_eq(seen_staleness[i], 0);
    }
    ck_assert(seen_first[1] == 5 && seen_first[2] == 10 && seen_first[3] == 15);
    ck_assert(published_version == 1 && n_published == 2);
    ck_assert(told.n == 2 && told.round == 1 && told.version == 1 && told.previous == 0);
    ck_assert_int_eq(toy_books.updates, 6);    /* two epochs of 12 by 4 */
    ck_assert_double_eq(seen.progress, 0);
    for (int i = 0; i < 3; i++)
        offer(i, 1, 1);
    work();
    ck_assert_double_eq(seen.progress, 12.0 / 1000);
    destroy();
}
END_TEST

START_TEST(async_takes_what_arrives_and_tells_how_old_it_is)
{
    create(MODE_ASYNC, 2, false, 1000);
    offer(1, 0, 0);
    ck_assert_int_eq(work(), TRAINING_WAITING);
    ck_assert_int_eq(consumed.n, 1);    /* so that this stream may fill the round alone */
    offer(1, 1, 0);
    offer(0, 0, 0);
    offer(1, 2, 0);
    ck_assert_int_eq(work(), TRAINING_WAITING);
    ck_assert_int_eq(toy_books.rounds, 2);
    check_stream_at(0, 0);
    check_stream_at(1, 1);
    ck_assert(seen_staleness[0] == 1 && seen_staleness[1] == 1);
    ck_assert(published_version == 2 && n_published == 3 && told.n == 0);
    ck_assert_int_eq(consumed.n, 4);
    destroy();
}
END_TEST

/* Round k is told before anything of round k + 1 is learnt, with what round k - 1 gave beside it. */
START_TEST(pipelined_learns_rounds_that_are_one_version_behind)
{
    create(MODE_PIPELINED, 2, false, 1000);
    ck_assert(told.n == 1 && told.round == 0 && told.version == 0 && told.previous == 0);
    for (int round = 0; round < 2; round++)    /* both of version 0, and both are there */
        for (int i = 1; i >= 0; i--)
            offer(i, round, 0);
    while (toy_books.rounds < 2)
        training_step(training);
    ck_assert(told.n == 2 && told.round == 1 && told.version == 1 && told.previous == 0);
    ck_assert(n_published == 2 && consumed.n == 2);
    ck_assert_int_eq(seen_staleness[0], 1);
    check_stream_at(0, 0);
    check_stream_at(1, 1);
    work();
    ck_assert(told.n == 3 && told.round == 2 && told.version == 2 && told.previous == 1);
    for (int i = 0; i < 2; i++)
        offer(i, 2, 1);
    work();
    ck_assert(told.n == 4 && told.round == 3 && told.version == 3 && told.previous == 2);
    ck_assert(seen_staleness[0] == 1 && seen_staleness[1] == 1);
    for (int i = 0; i < 2; i++)
        offer_kinds(i, 3, 2, NULL, 0);
    work();    /* a round of refused fragments alone is one, and gives no version */
    ck_assert(told.n == 5 && told.round == 4 && told.version == 3 && told.previous == 3 && n_published == 4);
    ck_assert(consumed.n == 8 && consumed.fates[6] == FRAGMENT_REFUSED && consumed.fates[5] == FRAGMENT_USED);
    destroy();
}
END_TEST

/* T transitions were acted, of which so many were learnt from. */
static void expect_booked(int i, int64_t stream, int64_t sequence, int64_t version, int n_used)
{
    ck_assert_int_lt(i, n_scheduled);
    const struct schedule_record *r = &scheduled[i];
    ck_assert_msg(r->stream == stream && (int64_t)r->sequence == sequence && (int64_t)r->version == version
                  && (int)r->n_used == n_used, "record %d: stream %d, sequence %d, version %d, %d used", i,
                  (int)r->stream, (int)r->sequence, (int)r->version, (int)r->n_used);
    ck_assert_int_eq(r->n_transitions, T);
}

static void expect_consumed(int i, int64_t stream, int64_t sequence, enum fragment_fate fate)
{
    ck_assert_int_lt(i, consumed.n);
    ck_assert(consumed.streams[i] == stream && consumed.sequences[i] == sequence);
    ck_assert_int_eq(consumed.fates[i], fate);
}

START_TEST(async_on_policy_books_what_it_does_not_learn_from_in_its_turn)
{
    create_with(&toy_algorithm, MODE_ASYNC, 2, false, 1000, 1);
    for (int v = 0; v < 2; v++)
        for (int i = 0; i < 2; i++)
            offer(i, v, v);
    work();
    ck_assert(toy_books.rounds == 2 && published_version == 2);
    offer(0, 2, 1);                       /* as old as may be */
    offer(0, 3, 0);                       /* too old */
    offer_kinds(1, 2, 2, NULL, 0);        /* refused */
    offer_kinds(0, 4, 2, NULL, 0);
    ck_assert_int_eq(work(), TRAINING_WAITING);
    ck_assert(toy_books.rounds == 2 && consumed.n == 8);    /* all are acknowledged, and one more is waited for */
    expect_consumed(4, 0, 2, FRAGMENT_USED);
    expect_consumed(5, 0, 3, FRAGMENT_STALE);
    expect_consumed(6, 1, 2, FRAGMENT_REFUSED);
    expect_consumed(7, 0, 4, FRAGMENT_REFUSED);
    offer(1, 3, 2);
    work();
    ck_assert(toy_books.rounds == 3 && seen.n_fragments == 2 && seen.n_transitions == 2 * T);
    ck_assert_int_eq(toy_books.staleness_max, 1);
    ck_assert_int_eq(n_scheduled, 9);
    expect_booked(4, 0, 2, 1, T);
    expect_booked(5, 0, 3, 0, 0);
    expect_booked(6, 1, 2, 2, 0);
    expect_booked(7, 0, 4, 2, 0);
    expect_booked(8, 1, 3, 2, T);
    const struct training_streams streams = training_streams(training);
    ck_assert(streams.sequences[0] == 5 && streams.sequences[1] == 4);
    struct training_report report;
    training_report(training, &report);
    ck_assert_int_eq(report.env_steps, 6 * T);
    ck_assert_int_eq(report.staleness_max, 1);
    destroy();
}
END_TEST

START_TEST(async_off_policy_stores_nothing_that_is_too_old_or_refused)
{
    struct training_report report;
    create_with(&toy_replayed_algorithm, MODE_ASYNC, 1, false, 1000, 3);
    offer(0, 0, 0);
    work();
    training_report(training, &report);
    const int64_t version = report.version;
    ck_assert_int_gt(version, 3);
    offer(0, 1, version - 4);
    offer_kinds(0, 2, version, NULL, 0);
    offer(0, 3, version - 3);
    work();
    expect_consumed(1, 0, 1, FRAGMENT_STALE);
    expect_consumed(2, 0, 2, FRAGMENT_REFUSED);
    expect_consumed(3, 0, 3, FRAGMENT_USED);
    expect_booked(1, 0, 1, version - 4, 0);
    expect_booked(2, 0, 2, version, 0);
    expect_booked(3, 0, 3, version - 3, T);
    training_report(training, &report);
    ck_assert_int_eq(report.env_steps, 2 * T);
    ck_assert_int_eq(report.staleness_max, 3);
    destroy();
}
END_TEST

START_TEST(without_a_bound_nothing_is_too_old)
{
    create_with(&toy_algorithm, MODE_ASYNC, 1, false, 1000, 0);
    for (int i = 0; i < 9; i++)
        offer(0, i, 0);
    work();
    ck_assert_int_eq(toy_books.rounds, 9);
    ck_assert_int_eq(toy_books.staleness_max, 8);
    destroy();
}
END_TEST

START_TEST(total_steps_cuts_the_last_round)
{
    static const enum row_kind ended[] = { ROW_STEP, ROW_TERMINATED, ROW_CLOSE, ROW_STEP, ROW_STEP,
                                           ROW_CLOSE };
    struct training_report report;
    for (int64_t total = 1; total <= 8; total++) {
        create(MODE_SYNC, 3, false, total);
        for (int i = 0; i < 3; i++)
            offer_kinds(i, 0, 0, ended, 6);
        ck_assert_int_eq(work(), TRAINING_FINISHED);
        training_report(training, &report);
        ck_assert_int_eq(report.env_steps, total);
        ck_assert_int_eq(seen.n_transitions, total);
        ck_assert_int_eq(toy_books.malformed, 0);
        ck_assert_int_eq(consumed.n, 3);
        ck_assert_int_eq(seen.n_fragments, total > 4 ? 2 : 1);
        if (total == 1 || total == 3) {    /* between two steps: the next row's observation closes */
            const float *close = seen_rows[total == 1 ? 1 : 4];
            ck_assert(close[1] == observation(0, total == 1 ? 1 : 4, 1));
            for (int i = N_OBS; i < STRIDE - 1; i++)
                ck_assert(close[i] == 0);
            ck_assert_int_eq(seen.n_rows, total == 1 ? 2 : 5);
        }
        if (total == 2)    /* at the end of an episode: its own CLOSE row does */
            ck_assert(seen.n_rows == 3 && row_kind_of(shape, seen_rows[1]) == ROW_TERMINATED);
        consumed.n = 0;
        destroy();
    }
}
END_TEST

START_TEST(episodes_that_end_behind_total_steps_are_not_counted)
{
    static const enum row_kind ended[] = { ROW_STEP, ROW_TRUNCATED, ROW_CLOSE, ROW_STEP, ROW_TERMINATED,
                                           ROW_CLOSE };
    static const int64_t episodes[] = { 0, 0, 1, 1, 2, 2, 3 };
    struct training_report report;
    for (int64_t total = 1; total <= 6; total++) {
        create(MODE_SYNC, 2, false, total);
        for (int i = 0; i < 2; i++)
            offer_kinds(i, 0, 0, ended, 6);
        ck_assert_int_eq(work(), TRAINING_FINISHED);
        training_report(training, &report);
        ck_assert_int_eq(report.episodes, episodes[total]);
        if (total == 3)
            ck_assert(report.return_mean == 1 && report.length_mean == 10);
        destroy();
    }
}
END_TEST

START_TEST(async_ends_with_as_many_fragments_as_are_needed)
{
    create(MODE_ASYNC, 3, false, 6);
    offer(0, 0, 0);
    ck_assert_int_eq(work(), TRAINING_WAITING);
    offer(0, 1, 0);
    ck_assert_int_eq(work(), TRAINING_FINISHED);
    ck_assert_int_eq(seen.n_transitions, 6);
    destroy();
}
END_TEST

START_TEST(fragments_may_be_shorter_and_refused)
{
    static const enum row_kind shorter[] = { ROW_STEP, ROW_TRUNCATED, ROW_CLOSE };
    create(MODE_SYNC, 3, false, 1000);
    offer_kinds(0, 0, 0, shorter, 3);
    offer_kinds(1, 0, 0, NULL, 0);
    offer(2, 0, 0);
    work();
    ck_assert(seen.n_fragments == 2 && seen.n_transitions == 6 && seen.n_rows == 8);
    check_stream_at(1, 2);
    ck_assert_int_eq(consumed.n, 3);
    ck_assert_int_eq(published_version, 1);
    for (int i = 0; i < 3; i++)
        offer_kinds(i, 1, 1, NULL, 0);
    ck_assert_int_eq(work(), TRAINING_WAITING);
    ck_assert(toy_books.rounds == 1 && consumed.n == 6 && published_version == 1);
    destroy();
}
END_TEST

static void check_normalised(const float *row, const float *statistics, int64_t stream, int k)
{
    float expected[N_OBS];
    for (int i = 0; i < N_OBS; i++)
        expected[i] = observation(stream, k, i);
    normaliser_apply(N_OBS, statistics, statistics + N_OBS, expected, expected);
    ck_assert_mem_eq(row, expected, sizeof(expected));
}

START_TEST(observations_are_normalised_as_the_version_that_acted_saw_them)
{
    float versions[3][2 * N_OBS];
    create(MODE_ASYNC, 1, true, 100000);
    memcpy(versions[0], published, sizeof(published));
    for (int v = 1; v < 3; v++) {
        offer(v, v, v - 1);
        work();
        memcpy(versions[v], published, sizeof(published));
        ck_assert_mem_ne(versions[v], versions[v - 1], sizeof(published));
    }
    for (int v = 0; v < 3; v++) {
        offer(1, 5 + v, v);
        work();
        for (int k = 0; k < 5; k++)    /* the one that closes, too */
            check_normalised(seen_rows[k], versions[v], 1, k);
        ck_assert_int_eq(seen_staleness[0], 2);    /* with each a version on */
    }
    destroy();
}
END_TEST

START_TEST(statistics_of_sixty_four_versions_are_kept)
{
    struct training_report report;
    float first[2 * N_OBS], oldest[2 * N_OBS];
    create(MODE_ASYNC, 1, true, 100000);
    memcpy(first, published, sizeof(first));
    for (int v = 0; v < 63; v++) {
        offer(v % 3, v, v);
        work();
        if (v == 0)
            memcpy(oldest, published, sizeof(oldest));
    }
    offer(1, 100, 0);    /* version 63 holds: 0 is the last one kept */
    work();
    check_normalised(seen_rows[2], first, 1, 2);
    training_report(training, &report);
    ck_assert_int_eq(report.forgotten_statistics, 0);
    offer(1, 101, 0);
    work();
    check_normalised(seen_rows[2], oldest, 1, 2);
    training_report(training, &report);
    ck_assert_int_eq(report.forgotten_statistics, 1);
    ck_assert_int_eq(report.staleness_max, 64);
    destroy();
}
END_TEST

/* R = 1, 2.9, 5.61, 9.049 over 1e-4 samples of mean 0 and variance 1; gamma 0.9. */
START_TEST(rewards_are_scaled_by_what_is_known_behind_the_round)
{
    const double R[] = { 1, 2.9, 5.61, 9.049 };
    double count = 1e-4, mean = 0, m2 = 1e-4;
    create(MODE_SYNC, 1, true, 1000);
    offer(0, 0, 0);
    work();
    for (int k = 0; k < 4; k++) {
        const double delta = R[k] - mean, total = count + 1;
        mean += delta / total;
        m2 += delta * delta * count / total;
        count = total;
    }
    for (int k = 0; k < 4; k++)
        ck_assert_double_eq_tol((double)seen_rows[k][row_reward(shape)],
                                (k + 1) / sqrt(m2 / count + 1e-8), 1e-5);
    ck_assert(seen_rows[4][row_reward(shape)] == 0);
    ck_assert(seen_rows[1][row_log_prob(shape)] == -1);
    ck_assert(seen_rows[1][row_act(shape)] == 0.5f);
    destroy();
}
END_TEST

/* Three streams, all of which did two fragments, or one of which did one. */
static struct safetensors *save_two_rounds(enum mode mode, bool is_torn)
{
    struct tensor tensors[TRAINING_MAX_TENSORS];
    create(mode, 3, true, 1000);
    for (int i = 0; i < 6 - is_torn; i++) {
        offer(i % 3, i / 3, 0);
        work();
    }
    if (is_torn)
        offer(0, 2, 0);
    work();
    ck_assert(training_is_at_rest(training) && toy_books.updates == 12);
    struct safetensors *file = safetensors_keep(tensors, training_save(training, tensors));
    destroy();
    return file;
}

/* Sequence numbers are those of rounds here and those of lives there. */
START_TEST(a_checkpoint_is_of_a_run_in_rounds_or_is_not)
{
    for (int from = MODE_SYNC; from <= MODE_ASYNC; from++)
        for (int to = MODE_SYNC; to <= MODE_ASYNC; to++)
            for (int is_torn = 0; is_torn < 1 + (from == MODE_ASYNC); is_torn++) {
                struct error err = { 0 };
                struct safetensors *file = save_two_rounds((enum mode)from, is_torn);
                create((enum mode)to, 3, true, 1000);
                const int rc = training_load(training, file, &err);
                /* What only the mode tells apart, the run directory does. */
                if (from == to || (from == MODE_PIPELINED && to == MODE_SYNC))
                    ck_assert_int_eq(rc, 0);
                else if (to == MODE_PIPELINED)
                    ck_assert_msg(rc != 0 && strstr(err.text, "training.previous"), "%s", err.text);
                else
                    ck_assert_msg(rc == ERR_CONFIG && strstr(err.text, to == MODE_SYNC ? "without rounds, and mode is sync"
                                                             : "in rounds, and mode is async"), "%s", err.text);
                safetensors_close(&file);
                destroy();
            }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        sync_takes_a_fragment_of_every_stream_in_stream_order,
        async_takes_what_arrives_and_tells_how_old_it_is,
        pipelined_learns_rounds_that_are_one_version_behind,
        async_on_policy_books_what_it_does_not_learn_from_in_its_turn,
        async_off_policy_stores_nothing_that_is_too_old_or_refused,
        without_a_bound_nothing_is_too_old,
        total_steps_cuts_the_last_round,
        episodes_that_end_behind_total_steps_are_not_counted,
        async_ends_with_as_many_fragments_as_are_needed,
        fragments_may_be_shorter_and_refused,
        observations_are_normalised_as_the_version_that_acted_saw_them,
        statistics_of_sixty_four_versions_are_kept,
        rewards_are_scaled_by_what_is_known_behind_the_round,
        a_checkpoint_is_of_a_run_in_rounds_or_is_not,
    };
    return suite_run("training_round", tests, TEST_COUNT(tests), 20);
}
