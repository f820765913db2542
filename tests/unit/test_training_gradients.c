/* What the training core makes of gradients: each is applied as it comes, and what they carry goes into the books. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/normaliser.h"
#include "common/row_statistics.h"
#include "learner/a2c.h"
#include "learner/algorithms.h"
#include "learner/training.h"
#include "tests/support.h"

enum { N_OBS = 3, STRIDE = 7, T = 4, PLACES = 2, ENVS = 2, ROUND = T * ENVS, MAX_LOG = 256, MAX_PARAMS = 256,
       N_STATISTICS = 1 + 2 * N_OBS + 3 };

static const struct row_shape shape = { N_OBS, 1 };
static const struct env_spec spec = { .name = "test", .shape = { N_OBS, 1 }, .time_limit = 100 };
static struct settings settings;
static struct a2c_hyper hyper;
static struct fragment_pool *pool;
static struct training *training;

static struct { int64_t stream, sequence; enum fragment_fate fate; } consumed[MAX_LOG];
static struct schedule_record scheduled[MAX_LOG];
static int n_consumed, n_scheduled, n_published, n_lines, n_hashes;
static int64_t version;
static float published[MAX_PARAMS];
static size_t n_numbers;
static char line[768];
static const char *checkpoint;

static void on_consumed(void *context, const struct fragment *f, enum fragment_fate fate)
{
    (void)context;
    consumed[n_consumed].stream = f->stream, consumed[n_consumed].sequence = f->sequence;
    consumed[n_consumed++].fate = fate;
}

static void on_publish(void *context, int64_t v, bool random, const float *params, size_t n)
{
    (void)context;
    ck_assert(!random && n <= MAX_PARAMS);
    memcpy(published, params, n * sizeof(float));
    version = v, n_numbers = n;
    n_published++;
}

static void on_evaluate(void *context, int64_t env_steps, const float *params, size_t n)
{
    (void)context, (void)params, (void)n;
    training_evaluated(training, env_steps, 0);
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    (void)context, (void)update, (void)env_steps, (void)sha256;
    n_hashes++;
}

static void on_scheduled(void *context, const struct schedule_record *r)
{
    (void)context;
    scheduled[n_scheduled++] = *r;
}

static void on_log(void *context, const char *text)
{
    (void)context;
    snprintf(line, sizeof(line), "%s", text);
    n_lines++;
}

static int on_restore(void *context, struct error *err)
{
    struct safetensors *file;
    (void)context;
    if (!checkpoint)
        return error_set(err, ERR_MISSING, "none");
    int rc = safetensors_open(&file, checkpoint, err);
    if (rc == 0)
        rc = training_restore(training, file, err);
    safetensors_close(&file);
    return rc;
}

static void create_with(int64_t total, int64_t max_staleness)
{
    struct option_section sections[SETTINGS_SECTIONS];
    const struct option_section own = { .name = "a2c", .options = a2c_algorithm.options,
                                        .n_options = a2c_algorithm.n_options, .base = &hyper };
    const char *line_of = "gamma: 0.9, lr_schedule: linear, learning_rate: 0.01";
    options_default(sections, settings_sections(&settings, sections));
    ck_assert_int_eq(options_parse_line(&own, "test", line_of, strlen(line_of), NULL), 0);
    settings.top.mode = MODE_GRADIENTS;
    settings.top.actors = PLACES, settings.top.envs_per_actor = ENVS, settings.top.total_steps = total;
    settings.actor.horizon = T;
    settings.learner.max_staleness = max_staleness;
    settings.learner.normalise_observations = settings.learner.scale_rewards = true;
    settings.network.hidden = (struct option_ints){ .n = 1, .v = { 4 } };
    settings.metrics.hash_every = 5;
    settings.eval.every = 0;
    n_consumed = n_scheduled = n_published = n_lines = n_hashes = 0;
    pool = fragment_pool_create();
    training = training_create(&(struct training_setup){
        .settings = &settings, .algorithm = &a2c_algorithm, .hyper = &hyper, .spec = &spec, .fragments = pool },
        (struct training_out){ .consumed = on_consumed, .publish = on_publish, .evaluate = on_evaluate,
                               .hash = on_hash, .scheduled = on_scheduled, .log = on_log, .restore = on_restore });
}

static void create(int64_t total, int64_t max_staleness)
{
    create_with(total, max_staleness);
    training_begin(training);
}

static void destroy(void)
{
    training_destroy(&training);
    fragment_pool_destroy(&pool);
}

/* ---- gradients made by hand; what they carry must live until they are consumed ---- */

static float gradients[MAX_LOG][MAX_PARAMS];
static double statistics[MAX_LOG][N_STATISTICS], metrics[MAX_LOG][ALGORITHM_MAX_METRICS];
static const double returns[2] = { 5, 7 };
static const uint32_t lengths[2] = { 50, 70 };
static int n_made;

static struct fragment *make(int64_t place, int64_t life, int64_t sequence, int64_t of_version)
{
    const size_t n = training_n_trained(training);
    const int k = n_made++ % MAX_LOG;
    struct fragment *f = fragment_pool_take(pool);
    for (size_t i = 0; i < n; i++)
        gradients[k][i] = sinf((float)(k * 31 + (int)i));
    memset(statistics[k], 0, sizeof(statistics[k]));
    statistics[k][0] = statistics[k][1 + 2 * N_OBS] = ROUND;
    for (int i = 0; i < N_OBS; i++)
        statistics[k][1 + i] = k + i, statistics[k][1 + N_OBS + i] = 2 + i;
    statistics[k][2 + 2 * N_OBS] = 3, statistics[k][3 + 2 * N_OBS] = 40;
    for (int i = 0; i < a2c_algorithm.n_metrics; i++)
        metrics[k][i] = k;
    *f = (struct fragment){
        .stream = place * ENVS, .life = life, .sequence = sequence, .version = of_version, .n_rows = 1,
        .n_transitions = ROUND, .gradient = { (unsigned char *)gradients[k], n * sizeof(float) },
        .metrics = { (unsigned char *)metrics[k], (size_t)a2c_algorithm.n_metrics * sizeof(double) },
        .statistics = { (unsigned char *)statistics[k], sizeof(statistics[k]) },
        .returns = { (const unsigned char *)returns, sizeof(returns) },
        .lengths = { (const unsigned char *)lengths, sizeof(lengths) },
    };
    return f;
}

static void work(void)
{
    while (training_step(training) == TRAINING_BUSY)
        ;
}

static void give(int64_t place, int64_t sequence)
{
    training_offer(training, make(place, 0, sequence, version));
    work();
}

static struct training_report report(void)
{
    struct training_report r;
    training_report(training, &r);
    return r;
}

/* An instance of the same algorithm, to which the tests apply what they gave. */
static struct arena *arena;
static void *twin_create(void)
{
    const struct algorithm_setup setup = {
        .shape = shape, .policy = settings_policy_body(&settings), .critic = settings_critic_body(&settings),
        .start = (enum mlp_start)settings.network.init, .batch_size = ROUND, .max_rows = 2 * ROUND,
        .max_transitions = ROUND, .max_fragments = ENVS, .seed = (uint64_t)settings.top.seed, .hyper = &hyper,
    };
    arena = arena_create(1 << 16);
    return a2c_algorithm.create(&setup, arena);
}

static void twin_apply(void *twin, int k, double progress)
{
    double ignored[ALGORITHM_MAX_METRICS];
    struct error err;
    ck_assert_int_eq(a2c_algorithm.apply(twin, gradients[k], progress, ignored, &err), 0);
}

static void compare(void *twin)
{
    const struct array params = algorithm_params(&a2c_algorithm, twin);
    ck_assert_uint_eq(n_numbers, params.n + 2 * N_OBS + 1);
    ck_assert_mem_eq(published, params.data, params.n * sizeof(float));
}

START_TEST(each_is_applied_as_it_comes_and_is_a_version_of_its_own)
{
    static const int64_t places[] = { 1, 0, 0, 1, 1, 1, 0 };
    int64_t next[PLACES] = { 0 };
    create(1000, 0);
    void *twin = twin_create();
    compare(twin);
    ck_assert_uint_eq(training_snapshot_n(training), n_numbers);
    for (size_t i = 0; i < TEST_COUNT(places); i++)    /* all at once, of the first version */
        training_offer(training, make(places[i], 0, next[places[i]]++, 0));
    for (size_t i = 0; i < TEST_COUNT(places); i++) {
        ck_assert_int_eq(training_step(training), TRAINING_BUSY);
        ck_assert_int_eq(version, (int64_t)i + 1);
        ck_assert_int_eq(n_published, (int)i + 2);
        twin_apply(twin, (int)i, (double)i * ROUND / 1000);
        compare(twin);
        ck_assert(consumed[i].stream == places[i] * ENVS && consumed[i].fate == FRAGMENT_USED);
        const struct schedule_record *r = &scheduled[i];
        ck_assert(r->update == i && r->stream == (uint32_t)consumed[i].stream && r->version == 0
                  && r->sequence == (uint64_t)consumed[i].sequence && r->n_used == ROUND && r->kind == SCHEDULE_GRADIENT);
    }
    ck_assert_int_eq(training_step(training), TRAINING_WAITING);
    const struct training_report r = report();
    ck_assert(r.updates == 7 && r.version == 7 && r.env_steps == 7 * ROUND && r.episodes == 14);
    ck_assert(r.return_mean == 6 && r.length_max == 70);
    ck_assert(r.staleness_max == 6 && r.staleness_mean == 3);
    ck_assert_double_eq_tol(r.metrics[0], 3, 1e-12);
    ck_assert_int_eq(n_hashes, 1);
    ck_assert(training_place(training, 1).fragments == 4 && training_place(training, 1).staleness_max == 5);
    const struct training_streams s = training_streams(training);
    ck_assert(s.sequences[0] == 3 && s.sequences[1] == 3 && s.sequences[2] == 4 && s.sequences[3] == 4);
    arena_destroy(&arena);
    destroy();
}
END_TEST

START_TEST(what_is_refused_or_too_old_is_booked_and_changes_nothing)
{
    create(1000, 2);
    for (int i = 0; i < 4; i++)
        training_offer(training, make(0, 0, i, 0));
    struct fragment *empty = fragment_pool_take(pool);
    *empty = (struct fragment){ .stream = ENVS, .sequence = 0, .n_transitions = ROUND };
    training_offer(training, empty);
    work();
    static const enum fragment_fate fates[] = { FRAGMENT_USED, FRAGMENT_USED, FRAGMENT_USED, FRAGMENT_STALE,
                                                FRAGMENT_REFUSED };
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(consumed[i].fate, fates[i]);
        ck_assert_uint_eq(scheduled[i].n_transitions, ROUND);
        ck_assert_uint_eq(scheduled[i].n_used, fates[i] == FRAGMENT_USED ? ROUND : 0);
    }
    ck_assert(version == 3 && n_published == 4);
    const struct training_report r = report();
    ck_assert(r.env_steps == 3 * ROUND && r.updates == 3 && r.skipped_updates == 0 && r.episodes == 6);
    ck_assert(r.staleness_max == 2);
    destroy();
}
END_TEST

START_TEST(statistics_of_all_that_was_applied_are_published_with_it)
{
    create(1000, 0);
    struct arena *a = arena_create(1 << 14);
    struct row_statistics own;
    struct error err;
    row_statistics_init(&own, &(struct row_statistics_setup){ shape, 1, true, true, 0.9, 1e-4 }, a);
    for (int k = 0; k < 6; k++) {
        give(k % 2, k / 2);
        ck_assert_int_eq(row_statistics_merge(&own, statistics[k], &err), 0);
        const float *behind = published + training_n_trained(training);
        for (int i = 0; i < N_OBS; i++) {
            ck_assert(behind[i] == (float)own.obs.store[1 + i]);
            ck_assert(behind[N_OBS + i] == (float)moments_inverse_std(&own.obs, i));
        }
        ck_assert(behind[2 * N_OBS] == (float)moments_inverse_std(&own.ret, 0));
    }
    /* What plays has the policy and its statistics alone. */
    size_t n;
    const float *policy = training_policy(training, &n);
    size_t n_policy = n - 2 * N_OBS;
    ck_assert_mem_eq(policy, published, n_policy * sizeof(float));
    ck_assert_mem_eq(policy + n_policy, published + training_n_trained(training), 2 * N_OBS * sizeof(float));
    arena_destroy(&a);
    destroy();
}
END_TEST

START_TEST(the_last_one_is_applied_whole_and_counts_for_what_was_left)
{
    create(2 * ROUND + 3, 0);
    void *twin = twin_create();
    for (int k = 0; k < 4; k++)
        training_offer(training, make(0, 0, k, 0));
    work();
    for (int k = 0; k < 3; k++)
        twin_apply(twin, k, (double)(k * ROUND) / (2 * ROUND + 3));
    compare(twin);
    ck_assert_int_eq(training_step(training), TRAINING_FINISHED);
    ck_assert(training_is_complete(training));
    ck_assert(n_consumed == 3 && scheduled[2].n_used == 3 && scheduled[2].n_transitions == ROUND);
    ck_assert_int_eq(report().env_steps, 2 * ROUND + 3);
    arena_destroy(&arena);
    destroy();
}
END_TEST

START_TEST(gradients_that_are_none_are_updates_that_failed)
{
    float before[MAX_PARAMS];
    create(100000, 0);
    give(0, 0);
    memcpy(before, published, sizeof(before));
    for (int i = 1; i < 10; i++) {
        struct fragment *f = make(0, 0, i, version);
        f->gradient.size = 0;
        training_offer(training, f);
        work();
    }
    struct training_report r = report();
    ck_assert(r.skipped_updates == 9 && r.updates == 10 && r.env_steps == 10 * ROUND && version == 10);
    ck_assert_mem_eq(published, before, training_n_trained(training) * sizeof(float));
    ck_assert_ptr_nonnull(strstr(line, "stream 0"));
    /* One that moves what is learnt, and ten in a row: back to the start. */
    give(1, 0);
    for (int i = 10; i < 20; i++) {
        struct fragment *f = make(0, 0, i, version);
        f->gradient.size = 0;
        training_offer(training, f);
        work();
    }
    ck_assert_ptr_nonnull(strstr(line, "back to update 0"));
    ck_assert_mem_ne(published, before, training_n_trained(training) * sizeof(float));
    ck_assert_int_eq(version, report().version);
    arena = NULL;
    void *twin = twin_create();
    const struct array params = algorithm_params(&a2c_algorithm, twin);
    ck_assert_mem_eq(published, params.data, params.n * sizeof(float));
    arena_destroy(&arena);
    destroy();
}
END_TEST

START_TEST(a_run_goes_on_from_its_checkpoint_as_if_it_had_not_ended)
{
    static float whole[MAX_PARAMS];
    char dir[256], path[300];
    struct tensor tensors[TRAINING_MAX_TENSORS];
    struct safetensors *file;
    struct error err;
    test_directory("gradients", dir, sizeof(dir));
    snprintf(path, sizeof(path), "%s/state.safetensors", dir);
    create(1000, 0);
    for (int k = 0; k < 4; k++)
        give(0, k);
    ck_assert(training_is_at_rest(training));
    const int n = training_save(training, tensors);
    ck_assert_int_eq(safetensors_write(path, tensors, n, NULL, 0, &err), 0);
    const int made = n_made;
    for (int k = 4; k < 8; k++)
        give(0, k);
    memcpy(whole, published, sizeof(whole));
    destroy();

    n_made = made;
    create_with(1000, 0);
    ck_assert_int_eq(safetensors_open(&file, path, &err), 0);
    ck_assert_int_eq(training_load(training, file, &err), 0);
    safetensors_close(&file);
    training_begin(training);
    ck_assert_int_eq(version, 4);
    const struct training_streams s = training_streams(training);
    ck_assert(s.sequences[0] == 4 && s.sequences[1] == 4 && s.sequences[2] == 0);
    for (int k = 4; k < 8; k++)
        give(0, k);
    ck_assert_mem_eq(published, whole, n_numbers * sizeof(float));
    destroy();
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        each_is_applied_as_it_comes_and_is_a_version_of_its_own,
        what_is_refused_or_too_old_is_booked_and_changes_nothing,
        statistics_of_all_that_was_applied_are_published_with_it,
        the_last_one_is_applied_whole_and_counts_for_what_was_left, gradients_that_are_none_are_updates_that_failed,
        a_run_goes_on_from_its_checkpoint_as_if_it_had_not_ended,
    };
    return suite_run("training gradients", tests, TEST_COUNT(tests), 30);
}
