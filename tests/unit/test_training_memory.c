/* What a run takes of memory is known before anything is made: more than what is taken, and not by far. */
#include <string.h>

#include "learner/algorithms.h"
#include "learner/training.h"
#include "tests/support.h"

enum { N_OBS = 3, STRIDE = 7, CHUNK_BYTES = 1 << 29 };

static const struct row_shape shape = { N_OBS, 1 };

/* What an algorithm allocates, and what a copy of its arrays takes. */
static size_t bytes_of(const struct algorithm *a, struct algorithm_setup as, char *override)
{
    _Alignas(16) unsigned char hyper[4096];
    struct error err;
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    struct option_section section = { .name = a->name, .options = a->options, .n_options = a->n_options,
                                      .base = hyper };
    ck_assert(a->hyper_bytes <= sizeof(hyper));
    ck_assert_int_eq(options_load(&section, 1, NULL, NULL, &override, override != NULL, &err), 0);
    as.hyper = hyper;
    struct arena *arena = arena_create(CHUNK_BYTES);
    void *self = a->create(&as, arena);
    size_t bytes = arena_mark(arena).used;    /* without what is rounded up to pages */
    ck_assert_uint_eq(arena_bytes(arena), CHUNK_BYTES);
    const int n = a->arrays(self, arrays);
    for (int i = 0; i < n; i++)
        bytes += arrays[i].data ? arrays[i].n * sizeof(real) : 0;
    arena_destroy(&arena);
    return bytes;
}

/* Rounds of up to `horizon` transitions of one stream. */
static size_t bytes_of_round(const struct algorithm *a, int horizon)
{
    const struct mlp_body body = { 1, { 4 }, ACTIVATION_TANH, false };
    return bytes_of(a, (struct algorithm_setup){
        .shape = shape, .policy = body, .critic = body, .batch_size = 16, .max_fragments = 1,
        .max_transitions = horizon, .max_rows = 2 * horizon }, NULL);
}

START_TEST(the_memory_of_a_round_is_known_beforehand)
{
    enum { FEW = 1 << 13, MANY = 1 << 15 };
    struct settings s = { .top = { .actors = 1, .envs_per_actor = 1 } };
    for (int i = 0; all_algorithms[i]; i++) {
        if (!all_algorithms[i]->is_on_policy)
            continue;
        const size_t own = bytes_of_round(all_algorithms[i], MANY) - bytes_of_round(all_algorithms[i], FEW);
        const size_t rows = 2 * (MANY - FEW) * STRIDE * sizeof(float);
        s.actor.horizon = MANY - FEW;
        /* The rows twice: in the fragment and in the round. */
        ck_assert_uint_le(2 * rows + own, training_round_bytes(&s, shape));
        ck_assert_uint_gt(own, 0);
    }
}
END_TEST

/* Two layers of 512, as `wide` says, or one of 8 and a large batch. */
static struct settings settings_of(bool wide, enum activation activation, enum layer_norm norm)
{
    struct settings s = { .top = { .actors = 1, .envs_per_actor = 1, .total_steps = 1000 } };
    s.network.hidden = wide ? (struct option_ints){ .n = 2, .v = { 512, 512 } }
                            : (struct option_ints){ .n = 1, .v = { 64 } };
    s.network.activation = activation;
    s.network.layer_norm = norm;
    s.learner.batch_size = wide ? 8 : 4096;
    s.actor.horizon = 16;
    s.replay.capacity = 1000;
    return s;
}

static void expect_known(const struct algorithm *a, const struct settings *s, int n_choices, char *override,
                         const struct mlp_engine *engine)
{
    struct env_spec spec = { .n_choices = n_choices };
    spec.shape = shape;
    const struct algorithm_setup as = {
        .shape = shape, .n_choices = n_choices, .policy = settings_policy_body(s),
        .critic = settings_critic_body(s), .batch_size = (int)s->learner.batch_size,
        .max_fragments = 1, .max_transitions = 1024, .max_rows = 2048, .engine = engine,
    };
    const size_t taken = bytes_of(a, as, override);
    const size_t rounds = a->is_on_policy ? 2048 * 12 * sizeof(real) : 0;    /* counted elsewhere */
    const size_t promised = training_network_bytes(s, a->is_on_policy, &spec, engine);
    ck_assert_msg(taken <= promised + rounds, "%s takes %zu, promised are %zu", a->name, taken, promised);
    /* Of a batch that A2C does not have the estimate knows nothing. */
    ck_assert_msg(s->learner.batch_size > 8 || promised <= 3 * taken, "%s takes %zu, promised are %zu", a->name, taken, promised);
}

START_TEST(the_memory_of_networks_is_known_beforehand)
{
    for (int wide = 0; wide < 2; wide++)
        for (int norm = LAYER_NORM_NONE; norm <= LAYER_NORM_ALL; norm++)
            for (int i = 0; all_algorithms[i]; i++) {
                const struct algorithm *a = all_algorithms[i];
                const struct settings s = settings_of(wide, norm == LAYER_NORM_CRITICS ? ACTIVATION_SILU
                                                                                       : ACTIVATION_RELU,
                                                      (enum layer_norm)norm);
                const bool is_sac = strcmp(a->name, "sac") == 0;
                expect_known(a, &s, 0, NULL, NULL);
                if (is_sac)
                    expect_known(a, &s, 0, "sac.value_network=true", NULL);
                if (is_sac || a->is_on_policy)
                    expect_known(a, &s, 5, NULL, NULL);
            }
}
END_TEST

/* The kernels' scratch, too, of which every worker has its own; with the algorithms that have the most. */
START_TEST(the_memory_of_networks_is_known_for_all_kernels_and_numbers_of_workers)
{
    static const int counts[] = { 1, 8, WORKERS_MAX };
    const struct settings s = settings_of(true, ACTIVATION_SILU, LAYER_NORM_ALL);
    for (size_t c = 0; c < TEST_COUNT(counts); c++) {
        struct workers *workers = counts[c] > 1 ? workers_create(counts[c]) : NULL;
        for (int k = 0; kernels_all[k]; k++) {
            const struct mlp_engine engine = { kernels_all[k], workers };
            if (!kernels_all[k]->is_supported())
                continue;
            expect_known(&ppo_algorithm, &s, 0, NULL, &engine);
            expect_known(&sac_algorithm, &s, 0, "sac.value_network=true", &engine);
        }
        workers_destroy(&workers);
    }
}
END_TEST

START_TEST(what_cannot_be_held_is_refused_with_what_to_lower)
{
    struct error err;
    struct env_spec spec = { .n_choices = 0 };
    spec.shape = shape;
    struct settings s = settings_of(true, ACTIVATION_RELU, LAYER_NORM_NONE);
    for (int is_on_policy = 0; is_on_policy < 2; is_on_policy++)
        ck_assert_int_eq(training_check_memory(&s, is_on_policy, &spec, NULL, 1e9, &err), 0);

    s.network.hidden = (struct option_ints){ .n = 8, .v = { 4096, 4096, 4096, 4096, 4096, 4096, 4096, 4096 } };
    for (int is_on_policy = 0; is_on_policy < 2; is_on_policy++) {
        ck_assert_int_eq(training_check_memory(&s, is_on_policy, &spec, NULL, 8e9, &err), ERR_CONFIG);
        ck_assert_ptr_nonnull(strstr(err.text, "and 7.5 are available; lower network.hidden or"));
    }
    s = settings_of(true, ACTIVATION_RELU, LAYER_NORM_NONE);
    s.replay.capacity = s.top.total_steps = s.actor.horizon = 1000000000;
    ck_assert_int_eq(training_check_memory(&s, false, &spec, NULL, 8e9, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "lower replay.capacity"));
    ck_assert_int_eq(training_check_memory(&s, true, &spec, NULL, 8e9, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "lower actor.horizon"));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        the_memory_of_a_round_is_known_beforehand,
        the_memory_of_networks_is_known_beforehand,
        the_memory_of_networks_is_known_for_all_kernels_and_numbers_of_workers,
        what_cannot_be_held_is_refused_with_what_to_lower,
    };
    return suite_run("training_memory", tests, TEST_COUNT(tests), 60);
}
