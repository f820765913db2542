/* Updates whose numbers are not finite: skipped, told, and returned from. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "learner/algorithms.h"
#include "learner/sac.h"
#include "learner/training.h"
#include "tests/simulation/trial.h"
#include "tests/simulation/toy.h"
#include "tests/support.h"

enum { N_OBS = 3, STRIDE = 7, T = 8, MAX_LINES = 64, MAX_PARAMS = 1024 };

static const struct row_shape shape = { N_OBS, 1 };
static const struct algorithm *const algorithms[] = { &toy_algorithm, &toy_replayed_algorithm };
static struct trial setup;
static struct fragment_pool *pool;
static struct training *training;
static char lines[MAX_LINES][768];
static int n_lines;
static char checkpoint[300];        /* "": none */
static int64_t n_acknowledged, n_offered, published_version, evaluated;
static float published[MAX_PARAMS];
static size_t n_published;

static void on_consumed(void *context, const struct fragment *f, enum fragment_fate fate)
{
    (void)context, (void)f, (void)fate;
    n_acknowledged++;
}

static void on_round(void *context, int64_t round, int64_t version, int64_t previous)
{
    (void)context, (void)round;
    ck_assert(version == published_version && previous <= version);
}

static void on_publish(void *context, int64_t version, bool random, const float *params, size_t n)
{
    (void)context, (void)random;
    ck_assert_uint_le(n, MAX_PARAMS);
    for (size_t i = 0; i < n; i++)
        ck_assert(isfinite(params[i]));
    ck_assert(n_published == 0 || version > published_version);
    published_version = version;
    n_published = n;
    memcpy(published, params, n * sizeof(float));
}

static void on_evaluate(void *context, int64_t env_steps, const float *params, size_t n)
{
    (void)context;
    evaluated = env_steps;
    for (size_t i = 0; i < n; i++)
        ck_assert(isfinite(params[i]));
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    (void)context, (void)update, (void)env_steps, (void)sha256;
}

static void on_scheduled(void *context, const struct schedule_record *r)
{
    (void)context, (void)r;
}

static void on_log(void *context, const char *line)
{
    (void)context;
    snprintf(lines[n_lines++ % MAX_LINES], sizeof(lines[0]), "%s", line);
}

static int on_restore(void *context, struct error *err)
{
    struct safetensors *file;
    (void)context;
    if (!checkpoint[0])
        return error_set(err, ERR_MISSING, "none was written yet");
    int rc = safetensors_open(&file, checkpoint, err);
    if (rc == 0) {
        rc = training_restore(training, file, err);
        safetensors_close(&file);
    }
    return rc;
}

static void create(const struct algorithm *algorithm, enum mode mode, struct toy_books wanted)
{
    static struct env_spec spec;
    struct settings *s = &setup.settings;
    trial_defaults(&setup, algorithm, mode, 1, 1);
    s->network.hidden = (struct option_ints){ .n = 1, .v = { 4 } };
    s->actor.horizon = T;
    s->learner.batch_size = 4;
    s->learner.publish_every = 1;
    s->learner.normalise_observations = s->learner.scale_rewards = true;
    s->top.total_steps = 1000000;
    s->eval.every = 100;
    s->replay.min_size = T;
    s->replay.capacity = 1000;
    s->replay.samples_per_insert = 2;
    s->metrics.hash_every = 100000;
    spec.shape = shape;
    toy_books = wanted;
    pool = fragment_pool_create();
    n_lines = 0;
    n_published = 0;
    n_offered = n_acknowledged = 0;
    training = training_create(&(struct training_setup){
        .settings = s, .algorithm = algorithm, .hyper = setup.hyper, .spec = &spec, .fragments = pool },
        (struct training_out){ .consumed = on_consumed, .publish = on_publish, .round = on_round, .evaluate = on_evaluate,
        .hash = on_hash, .scheduled = on_scheduled, .log = on_log, .restore = on_restore });
    training_begin(training);
}

static void destroy(void)
{
    training_destroy(&training);
    fragment_pool_destroy(&pool);
}

static void offer(void)
{
    static float rows[T + 1][STRIDE];
    struct fragment *f = fragment_pool_take(pool);
    for (int k = 0; k <= T; k++) {
        for (int i = 0; i < N_OBS; i++)
            rows[k][i] = (float)((n_offered * 37 + k * 11 + i * 5) % 23) * 0.1f;
        rows[k][row_reward(shape)] = k < T ? 1 : 0;
        rows[k][row_kind(shape)] = k < T ? (float)ROW_STEP : (float)ROW_CLOSE;
    }
    *f = (struct fragment){ .sequence = n_offered++, .version = published_version, .n_rows = T + 1,
                            .n_transitions = T, .rows = { (unsigned char *)rows, sizeof(rows) } };
    training_offer(training, f);
}

/* Work until that many updates are done in all, and the round they are in. */
static enum training_status work_until(int64_t updates)
{
    enum training_status status = TRAINING_WAITING;
    while (status <= TRAINING_WAITING && (toy_books.updates < updates || status == TRAINING_BUSY)) {
        if (status == TRAINING_WAITING)
            offer();
        status = training_step(training);
    }
    return status;
}

static struct training_report report(void)
{
    struct training_report r;
    training_report(training, &r);
    return r;
}

static void save(void)
{
    struct tensor tensors[TRAINING_MAX_TENSORS];
    struct error err;
    char dir[256];
    test_directory("numbers", dir, sizeof(dir));
    snprintf(checkpoint, sizeof(checkpoint), "%s/state.safetensors", dir);
    ck_assert(training_is_at_rest(training));
    ck_assert_int_eq(training_check(training, &err), 0);
    int n = training_save(training, tensors);
    ck_assert_int_eq(safetensors_write(checkpoint, tensors, n, NULL, 0, &err), 0);
}

/* What is learnt now; returns how many numbers. */
static size_t copy_policy(float *out)
{
    size_t n;
    const float *params = training_policy(training, &n);
    memcpy(out, params, n * sizeof(float));
    return n;
}

static void expect_line(int i, const char *words)
{
    ck_assert_int_lt(i, n_lines);
    ck_assert_msg(strstr(lines[i], words) != NULL, "line %d says: %s", i, lines[i]);
}

START_TEST(failed_updates_are_skipped_counted_and_told_ever_more_rarely)
{
    for (size_t a = 0; a < TEST_COUNT(algorithms); a++) {
        float before[MAX_PARAMS], after[MAX_PARAMS];
        create(algorithms[a], MODE_SYNC, (struct toy_books){ .fail_from = 5, .fail_to = 12 });
        work_until(4);
        size_t n = copy_policy(before) - 2 * N_OBS;
        work_until(12);
        copy_policy(after);
        ck_assert_mem_eq(before, after, n * sizeof(float));
        ck_assert_int_eq(report().skipped_updates, 8);
        ck_assert_int_eq(report().updates, 12);
        ck_assert_int_eq(n_lines, 5);
        expect_line(0, "update 5 failed: the gradient of toy's tensor 5 is not finite");
        expect_line(1, "update 6 failed: ");
        expect_line(2, "update 7 failed: ");
        expect_line(3, "update 8 failed, 4 so far: the gradient of toy's tensor 8");
        expect_line(4, "update 12 failed, 8 so far: ");
        work_until(40);
        copy_policy(after);
        ck_assert_mem_ne(before, after, n * sizeof(float));
        ck_assert_int_eq(n_lines, 5);
        ck_assert_int_eq(n_acknowledged, n_offered);
        /* Good ones between: not ten in a row. */
        toy_books.fail_from = toy_books.updates + 1;
        toy_books.fail_to = toy_books.updates + 9;
        work_until(80);
        ck_assert_int_eq(n_lines, 6);
        expect_line(5, "16 so far: ");
        destroy();
    }
}
END_TEST

/* 9 failures change nothing, 10 return: to the file, or to the start. */
START_TEST(ten_in_a_row_return_to_the_last_checkpoint_or_to_the_start)
{
    for (int i = 0; i < 8; i++) {
        const struct algorithm *algorithm = algorithms[i & 1];
        const enum mode mode = i & 2 ? MODE_ASYNC : MODE_SYNC;
        const bool has_checkpoint = i & 4;
        float start[MAX_PARAMS], saved[MAX_PARAMS];
        char back[64] = "back to update 0";
        create(algorithm, mode, (struct toy_books){ .fail_from = 101, .fail_to = 110 });
        size_t n = copy_policy(start);
        checkpoint[0] = '\0';
        work_until(40);
        if (has_checkpoint) {
            save();
            snprintf(back, sizeof(back), "back to the last checkpoint, of update %d,", (int)report().updates);
        }
        copy_policy(saved);
        while (toy_books.updates < 109)
            if (training_step(training) == TRAINING_WAITING)
                offer();
        int64_t version = report().version;
        ck_assert_int_eq(n_lines, 5);
        while (n_lines == 5)
            if (training_step(training) == TRAINING_WAITING)
                offer();
        ck_assert_int_eq(toy_books.updates, 110);
        expect_line(5, back);
        ck_assert_int_gt(report().version, version);
        ck_assert_int_eq(report().updates, 110);
        ck_assert(training_is_at_rest(training));

        float now[MAX_PARAMS];
        copy_policy(now);
        /* Off-policy in sync the round goes on and publishes at its end; the statistics of on-policy
         * versions are those of the checkpoint, too. */
        ck_assert_mem_eq(now, has_checkpoint ? saved : start, n * sizeof(float));
        if (mode == MODE_ASYNC || algorithm->is_on_policy) {
            ck_assert_int_eq(published_version, report().version);
            ck_assert_mem_eq(published, now, n * sizeof(float));
        }
        work_until(200);
        copy_policy(now);
        ck_assert_mem_ne(now, has_checkpoint ? saved : start, n * sizeof(float));
        ck_assert_int_eq(n_lines, 6);
        ck_assert_int_eq(n_acknowledged, n_offered);
        destroy();
    }
}
END_TEST

START_TEST(a_checkpoint_that_cannot_be_read_is_no_way_back)
{
    float start[MAX_PARAMS], now[MAX_PARAMS];
    struct tensor tensors[TRAINING_MAX_TENSORS];
    struct error err;
    create(&toy_algorithm, MODE_SYNC, (struct toy_books){ .fail_from = 101, .fail_to = 110 });
    size_t n = copy_policy(start);
    work_until(40);
    save();
    /* without its last tensors: found out when half of it is loaded */
    ck_assert_int_eq(safetensors_write(checkpoint, tensors, training_save(training, tensors) - 4, NULL, 0,
                                       &err), 0);
    work_until(110);
    expect_line(5, "back to update 0");
    expect_line(5, "normalisation");
    copy_policy(now);
    ck_assert_mem_eq(now, start, n * sizeof(float));
    destroy();
}
END_TEST

START_TEST(three_returns_without_good_updates_between_are_the_last)
{
    for (size_t a = 0; a < TEST_COUNT(algorithms); a++) {
        checkpoint[0] = '\0';
        create(algorithms[a], MODE_ASYNC, (struct toy_books){ .fail_from = 1, .fail_to = INT64_MAX });
        ck_assert_int_eq(work_until(1000), TRAINING_DIVERGED);
        ck_assert_int_eq(toy_books.updates, 40);
        destroy();
    }
}
END_TEST

START_TEST(good_updates_between_make_returns_count_anew)
{
    for (int64_t good = 999; good <= 1000; good++) {
        int64_t next = 1;
        checkpoint[0] = '\0';
        enum training_status status = TRAINING_WAITING;
        create(&toy_algorithm, MODE_ASYNC, (struct toy_books){ .fail_from = 1, .fail_to = 10 });
        for (int64_t done = 0; done < 8000 && status <= TRAINING_WAITING; done = toy_books.updates) {
            if (toy_books.updates == next + 9 + good) {
                next = toy_books.updates + 1;
                toy_books.fail_from = next;
                toy_books.fail_to = next + 9;
            }
            if (status == TRAINING_WAITING)
                offer();
            status = training_step(training);
        }
        ck_assert_int_eq(status == TRAINING_DIVERGED, good < 1000);
        destroy();
    }
}
END_TEST

/* So that a run that goes on from a checkpoint keeps those evaluations alone that the checkpoint knows. */
START_TEST(an_evaluation_counts_when_it_has_come_in)
{
    create(algorithms[0], MODE_ASYNC, (struct toy_books){ 0 });
    evaluated = -1;
    while (evaluated < 0)
        if (training_step(training) == TRAINING_WAITING)
            offer();
    ck_assert_int_gt(evaluated, 0);
    ck_assert_int_eq(report().evaluated_steps, -1);
    training_evaluated(training, evaluated, 1.0);
    ck_assert_int_eq(report().evaluated_steps, evaluated);
    destroy();
}
END_TEST

/* The update says that all was well. */
START_TEST(numbers_that_are_not_finite_are_neither_published_nor_saved_nor_evaluated)
{
    for (int i = 0; i < 4; i++) {
        struct error err = { 0 };
        float start[MAX_PARAMS], now[MAX_PARAMS];
        checkpoint[0] = '\0';
        create(algorithms[i & 1], i & 2 ? MODE_ASYNC : MODE_SYNC, (struct toy_books){ .poison_at = 20 });
        size_t n = copy_policy(start);
        while (toy_books.updates < 20)
            if (training_step(training) == TRAINING_WAITING)
                offer();
        if (n_lines == 0) {
            ck_assert_int_eq(training_check(training, &err), ERR_NUMERIC);
            ck_assert_msg(strstr(err.text, "\"params\"") != NULL, "%s", err.text);
        }
        while (n_lines < 2)
            if (training_step(training) == TRAINING_WAITING)
                offer();
        expect_line(0, "that are not finite");
        expect_line(1, "back to update 0");
        ck_assert_int_ge(report().skipped_updates, 1);
        ck_assert_int_eq(training_check(training, &err), 0);
        if (algorithms[i & 1]->is_on_policy) {
            copy_policy(now);
            ck_assert_mem_eq(now, start, n * sizeof(float));
        }
        work_until(60);
        ck_assert_int_eq(n_lines, 2);
        destroy();
    }
}
END_TEST

/* Nothing is published behind the last update before the run ends. */
START_TEST(a_run_never_ends_with_numbers_that_are_not_finite)
{
    for (size_t a = 0; a < TEST_COUNT(algorithms); a++) {
        struct error err;
        int64_t last = 0;
        for (int is_poisoned = 0; is_poisoned < 2; is_poisoned++) {
            enum training_status status = TRAINING_WAITING;
            create(algorithms[a], MODE_ASYNC, (struct toy_books){ .poison_at = is_poisoned ? last : 0 });
            checkpoint[0] = '\0';
            setup.settings.top.total_steps = 2 * T;
            setup.settings.learner.publish_every = 1000;
            while (status <= TRAINING_WAITING) {
                if (status == TRAINING_WAITING)
                    offer();
                status = training_step(training);
            }
            ck_assert_int_eq(status, TRAINING_FINISHED);
            ck_assert_int_eq(training_check(training, &err), 0);
            ck_assert_int_eq(n_lines, 2 * is_poisoned);
            ck_assert(!is_poisoned || last == toy_books.updates);
            last = toy_books.updates;
            destroy();
        }
    }
}
END_TEST

/* Learning rates at which the first steps already overflow. */
START_TEST(sac_that_really_overflows_is_returned_from_and_ends)
{
    for (int mode = MODE_SYNC; mode <= MODE_ASYNC; mode++) {
        struct trial s;
        struct trial_result r;
        trial_defaults(&s, &sac_algorithm, (enum mode)mode, 2, 1);
        struct sac_hyper *hyper = (void *)s.hyper;
        hyper->policy_lr = hyper->q_lr = 1e30;
        s.settings.network.hidden = (struct option_ints){ .n = 1, .v = { 8 } };
        s.settings.learner.batch_size = 16;
        s.settings.actor.horizon = 16;
        s.settings.replay.min_size = 64;
        s.settings.replay.samples_per_insert = 16;
        s.settings.top.total_steps = 20000;
        trial_run(&s, 3600000000, &r);
        ck_assert_int_eq(r.status, TRAINING_DIVERGED);
        ck_assert_int_ge(r.report.skipped_updates, 4);
        ck_assert_int_ge(r.log_lines, 3 + 3);
    }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        failed_updates_are_skipped_counted_and_told_ever_more_rarely,
        ten_in_a_row_return_to_the_last_checkpoint_or_to_the_start,
        a_checkpoint_that_cannot_be_read_is_no_way_back,
        three_returns_without_good_updates_between_are_the_last,
        good_updates_between_make_returns_count_anew,
        an_evaluation_counts_when_it_has_come_in,
        numbers_that_are_not_finite_are_neither_published_nor_saved_nor_evaluated,
        a_run_never_ends_with_numbers_that_are_not_finite,
        sac_that_really_overflows_is_returned_from_and_ends,
    };
    return suite_run("training_numbers", tests, TEST_COUNT(tests), 60);
}
