/* How many threads the learner takes when it chooses by itself. */
#include "deploy/engine.h"
#include "tests/support.h"

static struct settings settings_of(enum mode mode, int actors, int workers)
{
    struct settings s = { .top = { .mode = mode, .actors = actors } };
    s.learner.workers = workers;
    return s;
}

START_TEST(a_learner_takes_every_core_up_to_eight_when_its_actors_wait)
{
    static const struct { int cores, workers; } cases[] = { { 1, 1 }, { 2, 2 }, { 7, 7 }, { 8, 8 }, { 9, 8 }, { 4096, 8 } };
    const struct settings sync = settings_of(MODE_SYNC, 4, 0), async = settings_of(MODE_ASYNC, 4, 0);
    for (size_t i = 0; i < TEST_COUNT(cases); i++)
        for (int is_local = 0; is_local < 2; is_local++) {
            for (int is_on_policy = 0; is_on_policy < 2; is_on_policy++)
                ck_assert_int_eq(engine_workers(&sync, is_on_policy, is_local, cases[i].cores), cases[i].workers);
            ck_assert_int_eq(engine_workers(&async, false, is_local, cases[i].cores), cases[i].workers);
        }
}
END_TEST

START_TEST(on_policy_async_leaves_a_core_to_each_actor_of_this_machine)
{
    static const struct { int cores, actors, workers; } cases[] = {
        { 2, 1, 1 }, { 2, 2, 1 }, { 2, 10000, 1 }, { 8, 3, 5 }, { 16, 4, 8 }, { 11, 4, 7 } };
    for (size_t i = 0; i < TEST_COUNT(cases); i++) {
        const struct settings s = settings_of(MODE_ASYNC, cases[i].actors, 0);
        ck_assert_int_eq(engine_workers(&s, true, true, cases[i].cores), cases[i].workers);
    }
}
END_TEST

START_TEST(actors_of_other_machines_take_no_core_here)
{
    const struct settings s = settings_of(MODE_ASYNC, 6, 0);
    ck_assert_int_eq(engine_workers(&s, true, false, 6), 6);
    ck_assert_int_eq(engine_workers(&s, true, false, 12), 8);
}
END_TEST

START_TEST(to_apply_gradients_one_is_enough)
{
    const struct settings s = settings_of(MODE_GRADIENTS, 2, 0);
    ck_assert_int_eq(engine_workers(&s, true, true, 16), 1);
    ck_assert_int_eq(engine_workers(&s, true, false, 16), 1);
}
END_TEST

START_TEST(the_number_that_is_asked_for_is_taken)
{
    for (int workers = 1; workers <= WORKERS_MAX; workers += 21)
        for (int mode = 0; mode < 2; mode++) {
            const struct settings s = settings_of(mode ? MODE_ASYNC : MODE_SYNC, 6, workers);
            ck_assert_int_eq(engine_workers(&s, true, true, 2), workers);
        }
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        a_learner_takes_every_core_up_to_eight_when_its_actors_wait,
        on_policy_async_leaves_a_core_to_each_actor_of_this_machine,
        actors_of_other_machines_take_no_core_here,
        to_apply_gradients_one_is_enough, the_number_that_is_asked_for_is_taken,
    };
    return suite_run("engine", tests, TEST_COUNT(tests), 20);
}
