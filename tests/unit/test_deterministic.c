/* DDPG and TD3 around their updates: options, presets, refusals, what actors are told, how networks start. */
#include <math.h>
#include <string.h>

#include "common/matrix.h"
#include "learner/algorithms.h"
#include "learner/ddpg.h"
#include "learner/td3.h"
#include "tests/support.h"

enum { MAX_VALUES = 24 };

/* The settings and the hyper-parameters after a preset's values, behind those of presets[0]. */
static void apply(const struct algorithm *a, const char *preset, struct settings *s, void *hyper)
{
    struct option_section sections[SETTINGS_SECTIONS + 1];
    struct error err;
    char values[MAX_VALUES][64] = { "env.name=Pendulum-v1" }, *overrides[MAX_VALUES];
    int n_sections = settings_sections(s, sections), n = 1;
    sections[n_sections++] = (struct option_section){ .name = a->name, .options = a->options,
                                                      .n_options = a->n_options, .base = hyper };
    bool is_found = false;
    for (int i = 0; i < a->n_presets; i++) {
        is_found |= strcmp(a->presets[i].name, preset) == 0;
        for (int j = 0; (i == 0 || strcmp(a->presets[i].name, preset) == 0) && a->presets[i].values[j]; j++)
            snprintf(values[n++], sizeof(values[0]), "%s", a->presets[i].values[j]);
    }
    ck_assert(is_found);
    for (int i = 0; i < n; i++)
        overrides[i] = values[i];
    ck_assert_msg(options_load(sections, n_sections, NULL, NULL, overrides, n, &err) == 0, "%s", err.text);
    ck_assert_msg(settings_check(s, false, &err) == 0 || strstr(err.text, "total_steps"), "%s", err.text);
}

START_TEST(every_preset_is_understood)
{
    static const struct algorithm *const algorithms[] = { &ddpg_algorithm, &td3_algorithm };
    static struct settings s;
    union { struct ddpg_hyper ddpg; struct td3_hyper td3; } hyper;
    for (size_t i = 0; i < TEST_COUNT(algorithms); i++)
        for (int p = 0; p < algorithms[i]->n_presets; p++)
            apply(algorithms[i], algorithms[i]->presets[p].name, &s, &hyper);
}
END_TEST

START_TEST(presets_hold_the_constants_of_their_references)
{
    static struct settings s;
    struct ddpg_hyper d;
    struct td3_hyper t;
    apply(&ddpg_algorithm, "paper", &s, &d);
    ck_assert(s.network.hidden.v[0] == 400 && s.network.hidden.v[1] == 300 && s.learner.batch_size == 64);
    ck_assert(d.tau == 0.001 && d.policy_lr == 1e-4 && d.q_lr == 1e-3 && d.q_weight_decay == 1e-2);
    ck_assert(d.small_last_layer && d.exploration.kind == EXPLORATION_ORNSTEIN_UHLENBECK);
    ck_assert(d.exploration.sigma == 0.2 && d.exploration.theta == 0.15);
    apply(&ddpg_algorithm, "cleanrl", &s, &d);
    ck_assert(d.policy_delay == 2 && d.target_every == 2 && d.q_lr == 3e-4 && s.replay.min_size == 25000);
    apply(&td3_algorithm, "sb3", &s, &t);
    ck_assert(t.policy_delay == 2 && t.q_lr == 1e-3 && s.network.hidden.v[0] == 400);
    apply(&td3_algorithm, "", &s, &t);
    ck_assert(t.target_noise == 0.2 && t.target_noise_clip == 0.5 && t.exploration.sigma == 0.1);
    ck_assert(t.exploration.kind == EXPLORATION_GAUSSIAN && t.tau == 0.005 && t.target_every == 1);
}
END_TEST

START_TEST(actors_are_told_to_act_deterministically_and_how_to_explore)
{
    const struct ddpg_hyper d = { .gamma = 0.9, .exploration = { EXPLORATION_ORNSTEIN_UHLENBECK, 0.3, 1, 0.1 } };
    const struct td3_hyper t = { .gamma = 0.8, .exploration = { EXPLORATION_GAUSSIAN, 0.2, 0, 0 } };
    const struct env_spec spec = { .shape = { 3, 1 } };
    struct algorithm_traits traits;
    ddpg_algorithm.describe(&d, &spec, &traits);
    ck_assert(traits.head == HEAD_DETERMINISTIC && traits.discount == 0.9 && traits.noise_per_action == 0);
    ck_assert(traits.exploration.kind == EXPLORATION_ORNSTEIN_UHLENBECK && traits.exploration.sigma == 0.3);
    td3_algorithm.describe(&t, &spec, &traits);
    ck_assert(traits.head == HEAD_DETERMINISTIC && traits.discount == 0.8 && traits.noise_per_action == 1);
    ck_assert(traits.exploration.kind == EXPLORATION_GAUSSIAN && traits.exploration.sigma == 0.2);
}
END_TEST

START_TEST(discrete_actions_and_noise_that_runs_away_are_refused_with_the_way_out)
{
    static struct settings s;
    struct ddpg_hyper d = { .exploration = { EXPLORATION_ORNSTEIN_UHLENBECK, 0.2, 0.15, 1 } };
    struct td3_hyper t = { .exploration = { EXPLORATION_NONE, 0, 0, 0 } };
    struct env_spec discrete = { .name = "CartPole-v1", .n_choices = 2 }, spec = { .name = "Pendulum-v1" };
    struct error err;
    ck_assert_int_eq(ddpg_algorithm.check(&d, &s, &spec, &err), 0);
    ck_assert_int_eq(td3_algorithm.check(&t, &s, &spec, &err), 0);
    ck_assert_int_eq(ddpg_algorithm.check(&d, &s, &discrete, &err), ERR_CONFIG);
    ck_assert_str_eq(err.text, "CartPole-v1 has 2 discrete actions and the policy of ddpg is continuous; "
                     "sac, ppo and a2c act in discrete environments");
    ck_assert_int_eq(td3_algorithm.check(&t, &s, &discrete, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "of td3 is"));
    d.exploration.theta = 2;
    ck_assert_int_eq(ddpg_algorithm.check(&d, &s, &spec, &err), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(err.text, "ddpg.theta x ddpg.dt is 2"));
    d.exploration.kind = EXPLORATION_GAUSSIAN;
    ck_assert_int_eq(ddpg_algorithm.check(&d, &s, &spec, &err), 0);
}
END_TEST

START_TEST(small_last_layers_are_within_3e_3_and_nothing_else_is)
{
    const struct mlp_body body = { 2, { 16, 16 }, ACTIVATION_RELU, false };
    const struct ddpg_hyper h = { .small_last_layer = true, .policy_delay = 1, .target_every = 1 };
    const struct algorithm_setup setup = { .shape = { 3, 2 }, .policy = body, .critic = body, .batch_size = 4,
                                           .seed = 5, .hyper = &h };
    const struct mlp_shape shapes[] = { mlp_shape_make(3, &body, 2), mlp_shape_make(5, &body, 1) };
    struct arena *arena = arena_create(1 << 16);
    struct array arrays[ALGORITHM_MAX_ARRAYS];
    matrix_setup();
    ddpg_algorithm.arrays(ddpg_algorithm.create(&setup, arena), arrays);
    const real *params = arrays[0].data;
    for (int i = 0; i < 2; params += mlp_n_params(&shapes[i++])) {
        const size_t last = mlp_weight_offset(&shapes[i], 2), n = mlp_n_params(&shapes[i]);
        real hidden = 0, small = 0;
        for (size_t j = 0; j < n; j++)
            *(j < last ? &hidden : &small) = fmaxf(j < last ? hidden : small, fabsf(params[j]));
        ck_assert(hidden > 0.1f && small <= 3e-3f && small > 1e-3f);
    }
    ck_assert_str_eq(arrays[3].name, "targets");
    ck_assert_mem_eq(arrays[0].data, arrays[3].data, arrays[0].n * sizeof(real));
    arena_destroy(&arena);
}
END_TEST

int main(void)
{
    const TTest *tests[] = {
        every_preset_is_understood,
        presets_hold_the_constants_of_their_references,
        actors_are_told_to_act_deterministically_and_how_to_explore,
        discrete_actions_and_noise_that_runs_away_are_refused_with_the_way_out,
        small_last_layers_are_within_3e_3_and_nothing_else_is,
    };
    return suite_run("deterministic", tests, TEST_COUNT(tests), 60);
}
