/* Deep deterministic policy gradient.
 *
 * Paper: Lillicrap et al. 2016 "Continuous Control with Deep Reinforcement Learning" (algorithm 1; equation
 *        numbers below are the paper's).
 *
 *   theta^Q    q        critic Q(s, a)               theta^Q'    q_target       its target
 *   theta^mu   policy   mu(s), in [-1, 1]            theta^mu'   policy_target  its target
 *   y          y        what the critic shall say    d           1 where the row is TERMINATED
 *   tau        tau      N, the noise of actors       exploration
 *
 * Deviations and choices where the references disagree:
 *   - No batch normalisation; network.layer_norm has layer normalisation, in front of the activation.
 *   - Actions enter the critic at its first layer, as in CleanRL, Stable-Baselines3 and Spinning Up; the
 *     paper's enter at the second.
 *   - The critic's loss is 1/2 mean squared error, the paper's without 1/2.
 *   - The paper's weight decay of the critic, 1e-2, is q_weight_decay, and its start of the last layers in
 *     +-3e-3 is small_last_layer; only the preset `paper` has them, as the later references have neither.
 *   - policy_delay and target_every are 1 in the paper. CleanRL moves policy and targets after every
 *     second update of the critic; tau 1 with a large target_every copies the targets periodically.
 *   - Noise is in units of [-1, 1], whatever the task's bounds. The later references have Gaussian noise, the
 *     paper's is Ornstein-Uhlenbeck, whose time step, not in the paper, is that of OpenAI Baselines.
 *   - Time limits bootstrap: d is 0 for TRUNCATED rows and for the last row of a fragment. */
#include "learner/ddpg.h"

#include <math.h>
#include <string.h>

#include "learner/deterministic.h"
#include "learner/parameters.h"

enum { METRIC_Q_LOSS, METRIC_PI_LOSS, METRIC_Q_MEAN, METRIC_Q_GRAD_NORM, METRIC_PI_GRAD_NORM, N_METRICS };

static const char *const metric_names[N_METRICS] = {
    "q_loss", "pi_loss", "q_mean", "q_grad_norm", "pi_grad_norm"
};

enum { PART_POLICY, PART_Q };

static const double SMALL = 3e-3;

#define OPTION(type_, field, value_, min_, max_, help_) \
    { .name = #field, .type = type_, .offset = offsetof(struct ddpg_hyper, field), \
      .value = value_, .min = min_, .max = max_, .help = help_ }

static const struct option options[] = {
    OPTION(OPTION_REAL, gamma, "0.99", 0, 1, "discount per transition"),
    OPTION(OPTION_REAL, tau, "0.005", 1e-6, 1, "share of the networks that moves into their targets"),
    OPTION(OPTION_INT, target_every, "1", 1, 1e9,
           "updates of the critic between moves of the targets; with tau 1 they are copied then"),
    OPTION(OPTION_REAL, policy_lr, "1e-3", 0, 1, "learning rate of the policy"),
    OPTION(OPTION_REAL, q_lr, "1e-3", 0, 1, "learning rate of the critic"),
    OPTION(OPTION_INT, policy_delay, "1", 1, 1e6, "updates of the critic for one of the policy"),
    OPTION(OPTION_REAL, q_weight_decay, "0", 0, 1, "pull of the critic to 0, beside weight_decay"),
    OPTION(OPTION_BOOL, small_last_layer, "false", 0, 0, "start the last layers within 3e-3 of 0"),
    EXPLORATION_OPTIONS(struct ddpg_hyper, exploration, "gaussian", "0.1"),
    OPTIMISER_OPTIONS(struct ddpg_hyper, optimiser, "adam", "constant", "1e-8", "0"),
};

struct ddpg {
    struct ddpg_hyper hyper;
    struct deterministic d;

    struct parameters params;      /* policy | q */
    real *targets;                 /* as params: mu' | Q' */
    real *policy, *q;
    real *policy_target, *q_target;
    struct optimiser policy_adam, q_adam;

    real policy_metrics[2];        /* the policy's last loss and gradient norm */
};

/* Critic: minimise 1/2 E (Q(s, a) - y)^2                                          Eqs. 4, 5
 *   y = r + gamma (1 - d) Q'(s', mu'(s')) */
static int critic_step(struct ddpg *ddpg, struct batch *b, double *metrics, struct error *err)
{
    struct deterministic *d = &ddpg->d;
    const int B = b->n;
    const struct row_shape shape = b->shape;

    /* a' goes into the successor's action field: obs | action is the critic's input as it lies. */
    real *next = b->rows + row_stride(shape);
    deterministic_act(d, ddpg->policy_target, B, next);
    struct mlp_pass pass;
    const real *next_q, *q;
    deterministic_values(d, &ddpg->q_target, 1, B, next, &pass, &next_q);
    for (int k = 0; k < B; k++) {
        const real *row = b->rows + (size_t)d->ld * (size_t)k;
        bool terminated = row[row_kind(shape)] == (real)ROW_TERMINATED;
        d->y[k] = row[row_reward(shape)] + (terminated ? 0 : b->discount[k] * next_q[k]);
    }

    double loss = 0, q_mean = 0;
    deterministic_values(d, &ddpg->q, 1, B, b->rows, &pass, &q);
    for (int k = 0; k < B; k++) {
        real error = q[k] - d->y[k];
        d->dq[0][k] = b->weight[k] * error / (real)B;
        b->td_error[k] = error;
        loss += 0.5 * (double)(b->weight[k] * error * error) / B;
        q_mean += (double)q[k] / B;
    }
    pass.grad = parameters_grad(&ddpg->params, PART_Q);
    mlp_backward_all(&pass, 1);
    metrics[METRIC_Q_LOSS] = loss;
    metrics[METRIC_Q_MEAN] = q_mean;
    if (!isfinite(loss) || optimiser_step(&ddpg->q_adam, ddpg->q, parameters_grad(&ddpg->params, PART_Q),
                                          b->progress, &metrics[METRIC_Q_GRAD_NORM]) != 0)
        return parameters_blame(&ddpg->params, PART_Q, PART_Q, "critic's loss", err);
    return 0;
}

/* Policy: minimise -E Q(s, mu(s))                                                      Eq. 6 */
static int policy_step(struct ddpg *ddpg, struct batch *b, double *metrics, struct error *err)
{
    real *grad = parameters_grad(&ddpg->params, PART_POLICY);
    double loss = deterministic_gradient(&ddpg->d, ddpg->policy, ddpg->q, b, grad);
    metrics[METRIC_PI_LOSS] = loss;
    if (!isfinite(loss) || optimiser_step(&ddpg->policy_adam, ddpg->policy, grad, b->progress,
                                          &metrics[METRIC_PI_GRAD_NORM]) != 0)
        return parameters_blame(&ddpg->params, PART_POLICY, PART_POLICY, "policy's loss", err);
    ddpg->policy_metrics[0] = (real)loss;
    ddpg->policy_metrics[1] = (real)metrics[METRIC_PI_GRAD_NORM];
    return 0;
}

static int ddpg_update(void *self, struct batch *b, double *metrics, struct error *err)
{
    struct ddpg *ddpg = self;
    const struct ddpg_hyper *h = &ddpg->hyper;
    memset(metrics, 0, N_METRICS * sizeof(*metrics));
    metrics[METRIC_PI_LOSS] = (double)ddpg->policy_metrics[0];
    metrics[METRIC_PI_GRAD_NORM] = (double)ddpg->policy_metrics[1];

    if (critic_step(ddpg, b, metrics, err) != 0)                                /* theta^Q  */
        return ERR_NUMERIC;
    const int64_t t = ddpg->q_adam.t;
    if (t % h->policy_delay == 0 && policy_step(ddpg, b, metrics, err) != 0)    /* theta^mu */
        return ERR_NUMERIC;
    if (t % h->target_every == 0)                          /* theta' <- tau theta + ...     */
        polyak(ddpg->targets, ddpg->params.value, ddpg->params.n, h->tau, ddpg->params.workers);
    return 0;
}

/* The paper's start of a last layer, weights and biases. */
static void start_small(const struct mlp_shape *s, real *params, struct rng *rng)
{
    for (size_t i = mlp_weight_offset(s, s->n_layers - 1); i < mlp_n_params(s); i++)
        params[i] = (real)rng_uniform(rng, -SMALL, SMALL);
}

static void create_networks(struct ddpg *ddpg, const struct algorithm_setup *setup,
                            struct arena *arena)
{
    const struct deterministic *d = &ddpg->d;
    ddpg->params.workers = algorithm_workers(setup);
    parameters_add_network(&ddpg->params, "policy", &d->policy_shape);
    parameters_add_network(&ddpg->params, "q", &d->q_shape);
    parameters_alloc(&ddpg->params, arena);
    ddpg->targets = arena_alloc(arena, ddpg->params.n, sizeof(real));
    ddpg->policy = parameters_value(&ddpg->params, PART_POLICY);
    ddpg->q = parameters_value(&ddpg->params, PART_Q);
    ddpg->policy_target = ddpg->targets;
    ddpg->q_target = ddpg->targets + ddpg->params.parts[PART_Q].offset;

    struct rng rng;
    rng_init(&rng, setup->seed, RNG_INIT, 0, 0);
    parameters_start(&ddpg->params, PART_POLICY, setup->start, 1, &rng);
    parameters_start(&ddpg->params, PART_Q, setup->start, 1, &rng);
    if (ddpg->hyper.small_last_layer) {
        start_small(&d->policy_shape, ddpg->policy, &rng);
        start_small(&d->q_shape, ddpg->q, &rng);
    }
    memcpy(ddpg->targets, ddpg->params.value, ddpg->params.n * sizeof(real));

    struct optimiser_hyper q_optimiser = ddpg->hyper.optimiser;
    q_optimiser.weight_decay += ddpg->hyper.q_weight_decay;
    ddpg->policy_adam = parameters_optimiser(&ddpg->params, PART_POLICY, PART_POLICY,
                                             &ddpg->hyper.optimiser, ddpg->hyper.policy_lr);
    ddpg->q_adam = parameters_optimiser(&ddpg->params, PART_Q, PART_Q, &q_optimiser,
                                        ddpg->hyper.q_lr);
}

static void *ddpg_create(const struct algorithm_setup *setup, struct arena *arena)
{
    struct ddpg *ddpg = arena_alloc(arena, 1, sizeof(*ddpg));
    ddpg->hyper = *(const struct ddpg_hyper *)setup->hyper;
    deterministic_init(&ddpg->d, setup, 1, arena);
    create_networks(ddpg, setup, arena);
    return ddpg;
}

static int ddpg_check(const void *hyper, const struct settings *s, const struct env_spec *spec,
                      struct error *err)
{
    const struct ddpg_hyper *h = hyper;
    (void)s;
    return deterministic_check("ddpg", &h->exploration, spec, err);
}

static void ddpg_describe(const void *hyper, const struct env_spec *spec, struct algorithm_traits *out)
{
    const struct ddpg_hyper *h = hyper;
    (void)spec;
    *out = (struct algorithm_traits){ .head = HEAD_DETERMINISTIC, .exploration = h->exploration,
                                      .discount = h->gamma };
}

static const real *ddpg_policy(const void *self, size_t *n)
{
    const struct ddpg *ddpg = self;
    *n = ddpg->params.parts[PART_POLICY].n;
    return ddpg->policy;
}

/* The critic's steps are also the position in policy_delay and target_every. */
static int ddpg_arrays(void *self, struct array out[ALGORITHM_MAX_ARRAYS])
{
    struct ddpg *ddpg = self;
    int n = parameters_arrays(&ddpg->params, out);
    out[n++] = (struct array){ "targets", ddpg->targets, NULL, ddpg->params.n };
    out[n++] = (struct array){ "policy_metrics", ddpg->policy_metrics, NULL, 2 };
    out[n++] = (struct array){ "policy_steps", NULL, &ddpg->policy_adam.t, 1 };
    out[n++] = (struct array){ "q_steps", NULL, &ddpg->q_adam.t, 1 };
    return n;
}

static const real *ddpg_gradients(const void *self, size_t *n)
{
    const struct ddpg *ddpg = self;
    *n = ddpg->params.n;
    return ddpg->params.grad;
}

static const char *const shared_defaults[] = {
    "network.hidden=[256, 256]", "network.activation=relu", "network.init=uniform",
    "learner.batch_size=256", "actor.horizon=16", "replay.min_size=1000", NULL
};

static const char *const paper[] = {
    "network.hidden=[400, 300]", "learner.batch_size=64", "replay.capacity=1_000_000",
    "ddpg.gamma=0.99", "ddpg.tau=0.001", "ddpg.target_every=1", "ddpg.policy_lr=1e-4", "ddpg.q_lr=1e-3",
    "ddpg.policy_delay=1", "ddpg.q_weight_decay=1e-2", "ddpg.small_last_layer=true",
    "ddpg.noise=ornstein_uhlenbeck", "ddpg.sigma=0.2", "ddpg.theta=0.15", "ddpg.dt=0.01", NULL
};

static const char *const cleanrl[] = {
    "actors=1", "envs_per_actor=1", "network.hidden=[256, 256]", "learner.batch_size=256",
    "replay.capacity=1_000_000",
    "replay.min_size=25_000", "ddpg.gamma=0.99", "ddpg.tau=0.005", "ddpg.target_every=2",
    "ddpg.policy_lr=3e-4", "ddpg.q_lr=3e-4", "ddpg.policy_delay=2", "ddpg.noise=gaussian",
    "ddpg.sigma=0.1", NULL
};

static const char *const sb3[] = {
    "actors=1", "envs_per_actor=1", "network.hidden=[400, 300]", "learner.batch_size=256",
    "replay.capacity=1_000_000",
    "replay.min_size=10_000", "ddpg.gamma=0.99", "ddpg.tau=0.005", "ddpg.target_every=1",
    "ddpg.policy_lr=1e-3", "ddpg.q_lr=1e-3", "ddpg.policy_delay=1", "ddpg.noise=gaussian",
    "ddpg.sigma=0.1", NULL
};

static const char *const tuned[] = {
    "replay.min_size=10_000", "ddpg.policy_lr=3e-4", "ddpg.q_lr=1e-3", "ddpg.noise=gaussian",
    "ddpg.sigma=0.1", NULL
};

static const struct preset presets[] = {
    { "", "", shared_defaults },
    { "paper", "the paper's networks and constants, without its batch normalisation", paper },
    { "cleanrl", "CleanRL's ddpg_continuous_action.py", cleanrl },
    { "sb3", "Stable-Baselines3 with the noise and the random start of its Zoo", sb3 },
    { "tuned", "our best for many tasks", tuned },
};

const struct algorithm ddpg_algorithm = {
    .name = "ddpg",
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .hyper_bytes = sizeof(struct ddpg_hyper),
    .presets = presets,
    .n_presets = sizeof(presets) / sizeof(*presets),
    .metric_names = metric_names,
    .n_metrics = N_METRICS,
    .check = ddpg_check,
    .describe = ddpg_describe,
    .create = ddpg_create,
    .update = ddpg_update,
    .policy = ddpg_policy,
    .arrays = ddpg_arrays,
    .gradients = ddpg_gradients,
};
