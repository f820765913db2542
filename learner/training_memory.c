/* What a run takes of memory, known before anything is made. */
#include "learner/training.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "learner/replay.h"

/* How often numbers of a network are there: value, gradient, two moments and target; what is saved of them
 * once more, as the copy of the start. Upper bounds over the algorithms of a kind.
 *   off-policy    policy: all. Critics: two with targets, or SAC's first form: two without and V with one
 *   on-policy     no targets; A2C sums gradients up, and its value function has two moments more */
enum { POLICY_REPLAYED = 9, CRITICS_REPLAYED = 7 + 7 + 9, POLICY_ROUND = 8, VALUE_ROUND = 12 };

/* The policy once more: for publishing (frames under way, too) and for evaluations. */
enum { POLICY_GIVEN_AWAY = 6 };

enum { NUMBERS_BESIDE_A_ROW = 11 };       /* of a round: A2C's, which has the most */
enum { ROWS_AT_ONCE = 1024 };             /* on-policy, the most that go through a network whatever the batch */
enum { CRITIC_CACHES = 3, ROWS_BESIDE_A_BATCH = 8, NOISE_PER_ACTION = 17 };

size_t training_round_bytes(const struct settings *s, struct row_shape shape)
{
    const size_t rows = 2 * (size_t)(s->top.actors * s->top.envs_per_actor * s->actor.horizon);
    return rows * (2 * (size_t)row_stride(shape) + NUMBERS_BESIDE_A_ROW) * sizeof(float);
}

size_t training_network_bytes(const struct settings *s, bool is_on_policy, const struct env_spec *spec,
                              const struct mlp_engine *engine)
{
    const struct mlp_body policy_body = settings_policy_body(s), critic_body = settings_critic_body(s);
    const int n_obs = spec->shape.n_obs, n_act = spec->shape.n_act, n_choices = spec->n_choices;
    const int n_values = n_choices && !is_on_policy ? n_choices : 1;
    const struct mlp_shape policy = mlp_shape_make(n_obs, &policy_body, n_choices ? n_choices : 2 * n_act);
    const struct mlp_shape critic = mlp_shape_make(n_obs + n_act, &critic_body, n_values);
    const size_t batch = (size_t)s->learner.batch_size + 1;
    const size_t rows = is_on_policy && batch < ROWS_AT_ONCE ? ROWS_AT_ONCE : batch;
    const size_t beside = (size_t)(ROWS_BESIDE_A_BATCH * row_stride(spec->shape) + NOISE_PER_ACTION * n_act
                                   + 4 * (n_choices + 4));
    size_t numbers = mlp_n_params(&policy) * ((is_on_policy ? POLICY_ROUND : POLICY_REPLAYED) + POLICY_GIVEN_AWAY)
                   + mlp_n_params(&critic) * (is_on_policy ? VALUE_ROUND : CRITICS_REPLAYED) + rows * beside;
    return numbers * sizeof(real) + mlp_cache_bytes(&policy, (int)rows, engine)
         + (is_on_policy ? 1 : CRITIC_CACHES) * mlp_cache_bytes(&critic, (int)rows, engine);
}

int training_check_memory(const struct settings *s, bool is_on_policy, const struct env_spec *spec,
                          const struct mlp_engine *engine, double available, struct error *err)
{
    const struct replay_setup replay = training_replay(s, spec->shape, 0);
    const double networks = (double)training_network_bytes(s, is_on_policy, spec, engine);
    const double experience = (double)(is_on_policy ? training_round_bytes(s, spec->shape)
                                                    : replay_bytes(&replay));
    if (networks + experience < available)
        return 0;
    char kept[96];
    if (is_on_policy)
        snprintf(kept, sizeof(kept), "a round of %" PRId64 " fragments of actor.horizon %" PRId64,
                 s->top.actors * s->top.envs_per_actor, s->actor.horizon);
    else
        snprintf(kept, sizeof(kept), "replay.capacity %" PRId64, s->replay.capacity);
    return error_set(err, ERR_CONFIG, "%s needs %.1f GiB of memory, networks of these widths %.1f, and %.1f "
                     "are available; lower %s", kept, experience / 0x1p30, networks / 0x1p30,
                     available / 0x1p30, networks > experience ? "network.hidden or learner.batch_size"
                     : is_on_policy ? "actor.horizon, actors or envs_per_actor" : "replay.capacity");
}
