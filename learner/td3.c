/* Twin delayed deep deterministic policy gradient.
 *
 * Paper: Fujimoto et al. 2018 "Addressing Function Approximation Error in Actor-Critic Methods"
 *        (algorithm 1; section numbers below are the paper's).
 *
 *   theta_i  q[i]      critics Q_i(s, a), i = 1, 2     theta'_i  q_target[i]     their targets
 *   phi      policy    pi(s), in [-1, 1]               phi'      policy_target   its target
 *   y        y         what the critics shall say      d         policy_delay
 *   c        target_noise_clip                         sigma~    target_noise
 *
 * Deviations and choices where the references disagree:
 *   - Constants are those of the authors' later code, which CleanRL has, too (networks 256-256, learning
 *     rates 3e-4, batches of 256, 25 000 random transitions in the presets); the paper has 400-300, 1e-3 and
 *     100, and Stable-Baselines3 keeps to 400-300 and 1e-3.
 *   - The paper leaves open whether the smoothed action is clipped to the bounds; as in the authors' code
 *     it is. Noise is in units of [-1, 1], whatever the task's bounds, as in theirs.
 *   - Critic losses are 1/2 mean squared errors, added; the paper's without 1/2. One Adam for both.
 *   - The policy and all targets move after every d-th update of the critics, first after the d-th, as in the
 *     authors' code. target_every has the targets wait for several moves of the policy; with tau 1 they are
 *     copied then. It is 1 in the paper.
 *   - Priorities come from the mean of both critics' |errors|.
 *   - Time limits bootstrap: only TERMINATED rows have no successor's value, neither TRUNCATED rows nor the
 *     last row of a fragment, as in the authors' code. */
#include "learner/td3.h"

#include <math.h>
#include <string.h>

#include "learner/deterministic.h"
#include "learner/parameters.h"

enum { METRIC_Q_LOSS, METRIC_PI_LOSS, METRIC_Q_MEAN, METRIC_Q_GRAD_NORM, METRIC_PI_GRAD_NORM, N_METRICS };

static const char *const metric_names[N_METRICS] = {
    "q_loss", "pi_loss", "q_mean", "q_grad_norm", "pi_grad_norm"
};

enum { PART_POLICY, PART_Q1, PART_Q2 };

#define OPTION(type_, field, value_, min_, max_, help_) \
    { .name = #field, .type = type_, .offset = offsetof(struct td3_hyper, field), \
      .value = value_, .min = min_, .max = max_, .help = help_ }

static const struct option options[] = {
    OPTION(OPTION_REAL, gamma, "0.99", 0, 1, "discount per transition"),
    OPTION(OPTION_REAL, tau, "0.005", 1e-6, 1, "share of the networks that moves into their targets"),
    OPTION(OPTION_INT, policy_delay, "2", 1, 1e6, "updates of the critics for one of the policy"),
    OPTION(OPTION_INT, target_every, "1", 1, 1e9,
           "updates of the policy between moves of the targets; with tau 1 they are copied then"),
    OPTION(OPTION_REAL, policy_lr, "3e-4", 0, 1, "learning rate of the policy"),
    OPTION(OPTION_REAL, q_lr, "3e-4", 0, 1, "learning rate of the critics"),
    OPTION(OPTION_REAL, target_noise, "0.2", 0, 10,
           "size of the noise on the target policy's actions, which are within [-1, 1]"),
    OPTION(OPTION_REAL, target_noise_clip, "0.5", 0, 10, "bound of that noise"),
    EXPLORATION_OPTIONS(struct td3_hyper, exploration, "gaussian", "0.1"),
    OPTIMISER_OPTIONS(struct td3_hyper, optimiser, "adam", "constant", "1e-8", "0"),
};

struct td3 {
    struct td3_hyper hyper;
    struct deterministic d;

    struct parameters params;      /* policy | q1 | q2 */
    real *targets;                 /* as params: pi' | Q'_1 | Q'_2 */
    real *policy, *q[2];
    real *policy_target, *q_target[2];
    struct optimiser policy_adam, q_adam;

    real policy_metrics[2];        /* the policy's last loss and gradient norm */
};

static real clip(real x, real bound)
{
    return x < -bound ? -bound : x > bound ? bound : x;
}

/* Target policy smoothing, section 5.3: a~ = pi'(s') + eps, eps ~ clip(N(0, sigma~), -c, c), into the
 * successors' action fields. */
static void smoothed_action(struct td3 *td3, const struct batch *b, real *next)
{
    const int n_act = td3->d.n_act;
    const real sigma = (real)td3->hyper.target_noise, c = (real)td3->hyper.target_noise_clip;
    deterministic_act(&td3->d, td3->policy_target, b->n, next);
    for (int k = 0; k < b->n; k++) {
        real *act = next + (size_t)td3->d.ld * (size_t)k + row_act(b->shape);
        for (int i = 0; i < n_act; i++)
            act[i] = clip(act[i] + clip(sigma * b->noise[k * n_act + i], c), 1);
    }
}

/* y = r + gamma (1 - d) min_i Q'_i(s', a~)               clipped double Q-learning, section 4.2 */
static void find_targets(struct td3 *td3, struct batch *b)
{
    struct deterministic *d = &td3->d;
    const struct row_shape shape = b->shape;
    real *next = b->rows + row_stride(shape);
    struct mlp_pass pass[2];
    const real *next_q[2];
    smoothed_action(td3, b, next);
    deterministic_values(d, td3->q_target, 2, b->n, next, pass, next_q);
    for (int k = 0; k < b->n; k++) {
        const real min_q = next_q[0][k] < next_q[1][k] ? next_q[0][k] : next_q[1][k];
        const real *row = b->rows + (size_t)d->ld * (size_t)k;
        bool terminated = row[row_kind(shape)] == (real)ROW_TERMINATED;
        d->y[k] = row[row_reward(shape)] + (terminated ? 0 : b->discount[k] * min_q);
    }
}

/* Critics: minimise 1/2 E (Q_i(s, a) - y)^2 for i = 1, 2 */
static int critic_step(struct td3 *td3, struct batch *b, double *metrics, struct error *err)
{
    struct deterministic *d = &td3->d;
    const int B = b->n;
    double loss = 0, q_mean = 0;
    struct mlp_pass pass[2];
    const real *q[2];
    find_targets(td3, b);
    deterministic_values(d, td3->q, 2, B, b->rows, pass, q);
    for (int i = 0; i < 2; i++) {
        pass[i].grad = parameters_grad(&td3->params, PART_Q1 + i);
        for (int k = 0; k < B; k++) {
            real error = q[i][k] - d->y[k];
            d->dq[i][k] = b->weight[k] * error / (real)B;
            b->td_error[k] = (i ? b->td_error[k] : 0) + (real)0.5 * (error < 0 ? -error : error);
            loss += 0.5 * (double)(b->weight[k] * error * error) / B;
            q_mean += 0.5 * (double)q[i][k] / B;
        }
    }
    mlp_backward_all(pass, 2);
    metrics[METRIC_Q_LOSS] = loss;
    metrics[METRIC_Q_MEAN] = q_mean;
    if (!isfinite(loss) || optimiser_step(&td3->q_adam, td3->q[0], parameters_grad(&td3->params, PART_Q1),
                                          b->progress, &metrics[METRIC_Q_GRAD_NORM]) != 0)
        return parameters_blame(&td3->params, PART_Q1, PART_Q2, "critics' loss", err);
    return 0;
}

/* Policy: minimise -E Q_1(s, pi(s)) */
static int policy_step(struct td3 *td3, struct batch *b, double *metrics, struct error *err)
{
    real *grad = parameters_grad(&td3->params, PART_POLICY);
    double loss = deterministic_gradient(&td3->d, td3->policy, td3->q[0], b, grad);
    metrics[METRIC_PI_LOSS] = loss;
    if (!isfinite(loss) || optimiser_step(&td3->policy_adam, td3->policy, grad, b->progress,
                                          &metrics[METRIC_PI_GRAD_NORM]) != 0)
        return parameters_blame(&td3->params, PART_POLICY, PART_POLICY, "policy's loss", err);
    td3->policy_metrics[0] = (real)loss;
    td3->policy_metrics[1] = (real)metrics[METRIC_PI_GRAD_NORM];
    return 0;
}

static int td3_update(void *self, struct batch *b, double *metrics, struct error *err)
{
    struct td3 *td3 = self;
    const struct td3_hyper *h = &td3->hyper;
    memset(metrics, 0, N_METRICS * sizeof(*metrics));
    metrics[METRIC_PI_LOSS] = (double)td3->policy_metrics[0];
    metrics[METRIC_PI_GRAD_NORM] = (double)td3->policy_metrics[1];

    if (critic_step(td3, b, metrics, err) != 0)                             /* theta_i */
        return ERR_NUMERIC;
    if (td3->q_adam.t % h->policy_delay != 0)                               /* t mod d */
        return 0;
    if (policy_step(td3, b, metrics, err) != 0)                             /* phi     */
        return ERR_NUMERIC;
    if (td3->policy_adam.t % h->target_every == 0)                          /* theta'_i, phi' */
        polyak(td3->targets, td3->params.value, td3->params.n, h->tau, td3->params.workers);
    return 0;
}

static void create_networks(struct td3 *td3, const struct algorithm_setup *setup, struct arena *arena)
{
    const struct deterministic *d = &td3->d;
    td3->params.workers = algorithm_workers(setup);
    parameters_add_network(&td3->params, "policy", &d->policy_shape);
    parameters_add_network(&td3->params, "q1", &d->q_shape);
    parameters_add_network(&td3->params, "q2", &d->q_shape);
    parameters_alloc(&td3->params, arena);
    td3->targets = arena_alloc(arena, td3->params.n, sizeof(real));
    td3->policy = parameters_value(&td3->params, PART_POLICY);
    td3->policy_target = td3->targets;
    for (int i = 0; i < 2; i++) {
        td3->q[i] = parameters_value(&td3->params, PART_Q1 + i);
        td3->q_target[i] = td3->targets + td3->params.parts[PART_Q1 + i].offset;
    }

    struct rng rng;
    rng_init(&rng, setup->seed, RNG_INIT, 0, 0);
    for (int part = PART_POLICY; part <= PART_Q2; part++)
        parameters_start(&td3->params, part, setup->start, 1, &rng);
    memcpy(td3->targets, td3->params.value, td3->params.n * sizeof(real));

    td3->policy_adam = parameters_optimiser(&td3->params, PART_POLICY, PART_POLICY,
                                            &td3->hyper.optimiser, td3->hyper.policy_lr);
    td3->q_adam = parameters_optimiser(&td3->params, PART_Q1, PART_Q2, &td3->hyper.optimiser,
                                       td3->hyper.q_lr);
}

static void *td3_create(const struct algorithm_setup *setup, struct arena *arena)
{
    struct td3 *td3 = arena_alloc(arena, 1, sizeof(*td3));
    td3->hyper = *(const struct td3_hyper *)setup->hyper;
    deterministic_init(&td3->d, setup, 2, arena);
    create_networks(td3, setup, arena);
    return td3;
}

static int td3_check(const void *hyper, const struct settings *s, const struct env_spec *spec,
                      struct error *err)
{
    const struct td3_hyper *h = hyper;
    (void)s;
    return deterministic_check("td3", &h->exploration, spec, err);
}

static void td3_describe(const void *hyper, const struct env_spec *spec, struct algorithm_traits *out)
{
    const struct td3_hyper *h = hyper;
    (void)spec;
    *out = (struct algorithm_traits){ .head = HEAD_DETERMINISTIC, .exploration = h->exploration,
                                      .discount = h->gamma, .noise_per_action = 1 };
}

static const real *td3_policy(const void *self, size_t *n)
{
    const struct td3 *td3 = self;
    *n = td3->params.parts[PART_POLICY].n;
    return td3->policy;
}

/* The optimisers' steps are also the positions in policy_delay and target_every. */
static int td3_arrays(void *self, struct array out[ALGORITHM_MAX_ARRAYS])
{
    struct td3 *td3 = self;
    int n = parameters_arrays(&td3->params, out);
    out[n++] = (struct array){ "targets", td3->targets, NULL, td3->params.n };
    out[n++] = (struct array){ "policy_metrics", td3->policy_metrics, NULL, 2 };
    out[n++] = (struct array){ "policy_steps", NULL, &td3->policy_adam.t, 1 };
    out[n++] = (struct array){ "q_steps", NULL, &td3->q_adam.t, 1 };
    return n;
}

static const real *td3_gradients(const void *self, size_t *n)
{
    const struct td3 *td3 = self;
    *n = td3->params.n;
    return td3->params.grad;
}

static const char *const shared_defaults[] = {
    "network.hidden=[256, 256]", "network.activation=relu", "network.init=uniform",
    "learner.batch_size=256", "actor.horizon=16", "replay.min_size=1000", NULL
};

static const char *const cleanrl[] = {
    "actors=1", "envs_per_actor=1", "network.hidden=[256, 256]", "learner.batch_size=256",
    "replay.capacity=1_000_000",
    "replay.min_size=25_000", "td3.gamma=0.99", "td3.tau=0.005", "td3.policy_delay=2",
    "td3.target_every=1", "td3.policy_lr=3e-4", "td3.q_lr=3e-4", "td3.target_noise=0.2",
    "td3.target_noise_clip=0.5", "td3.noise=gaussian", "td3.sigma=0.1", NULL
};

static const char *const sb3[] = {
    "actors=1", "envs_per_actor=1", "network.hidden=[400, 300]", "learner.batch_size=256",
    "replay.capacity=1_000_000",
    "replay.min_size=10_000", "td3.gamma=0.99", "td3.tau=0.005", "td3.policy_delay=2",
    "td3.target_every=1", "td3.policy_lr=1e-3", "td3.q_lr=1e-3", "td3.target_noise=0.2",
    "td3.target_noise_clip=0.5", "td3.noise=gaussian", "td3.sigma=0.1", NULL
};

static const char *const tuned[] = {
    "replay.min_size=10_000", "td3.policy_lr=3e-4", "td3.q_lr=1e-3", "td3.noise=gaussian",
    "td3.sigma=0.1", NULL
};

static const struct preset presets[] = {
    { "", "", shared_defaults },
    { "cleanrl", "CleanRL's td3_continuous_action.py, whose constants are the authors' later ones", cleanrl },
    { "sb3", "Stable-Baselines3 with the noise and the random start of its Zoo", sb3 },
    { "tuned", "our best for many tasks", tuned },
};

const struct algorithm td3_algorithm = {
    .name = "td3",
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .hyper_bytes = sizeof(struct td3_hyper),
    .presets = presets,
    .n_presets = sizeof(presets) / sizeof(*presets),
    .metric_names = metric_names,
    .n_metrics = N_METRICS,
    .check = td3_check,
    .describe = td3_describe,
    .create = td3_create,
    .update = td3_update,
    .policy = td3_policy,
    .arrays = td3_arrays,
    .gradients = td3_gradients,
};
