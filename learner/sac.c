/* Soft actor-critic with twin critics and a learned temperature.
 *
 * Papers: Haarnoja et al. 2018a "Soft Actor-Critic: Off-Policy Maximum Entropy Deep Reinforcement
 *         Learning with a Stochastic Actor"; 2018b "Soft Actor-Critic Algorithms and Applications"
 *         (equation numbers below are 2018b's).
 *
 *   theta_i  q[i]       critics Q_i(s, a), i = 1, 2        Qbar_i   targets
 *   phi      policy     pi(a|s), a squashed Gaussian       alpha    temperature, stored as log alpha
 *   y        target     d        1 where the row is TERMINATED
 *   Hbar     target entropy
 *
 * Deviations and choices where the references disagree:
 *   - Order: critics, policy (with the new critics), temperature, targets, every update, as in the
 *     paper's box; Stable-Baselines3 moves the temperature first, CleanRL delays the policy.
 *   - The temperature's loss is linear in log alpha, -log alpha (log pi + Hbar), as in the authors'
 *     code and Stable-Baselines3; the paper's Eq. 18 has alpha there (a factor alpha in the gradient).
 *   - log sigma is clamped to [-20, 2] (authors, Stable-Baselines3), not squashed (CleanRL).
 *   - Densities are those of actions in [-1, 1], so that Hbar means the same for every task's
 *     bounds; CleanRL's include the scale of the bounds.
 *   - Critic losses are 1/2 mean squared errors, added; one Adam per network.
 *   - Time limits bootstrap: d is 0 for TRUNCATED rows and for the last row of a fragment. */
#include "learner/sac.h"

#include <math.h>
#include <string.h>

#include "common/squashed_gaussian.h"
#include "learner/parameters.h"

enum { METRIC_Q_LOSS, METRIC_PI_LOSS, METRIC_ALPHA_LOSS, METRIC_ALPHA, METRIC_ENTROPY,
       METRIC_Q_MEAN, METRIC_Q_GRAD_NORM, METRIC_PI_GRAD_NORM, N_METRICS };

static const char *const metric_names[N_METRICS] = {
    "q_loss", "pi_loss", "alpha_loss", "alpha", "entropy", "q_mean", "q_grad_norm", "pi_grad_norm"
};

enum { PART_POLICY, PART_Q1, PART_Q2, PART_LOG_ALPHA };

static const double SQRT_2 = 1.41421356237309504880;

#define OPTION(type_, field, value_, min_, max_, help_) \
    { .name = #field, .type = type_, .offset = offsetof(struct sac_hyper, field), \
      .value = value_, .min = min_, .max = max_, .help = help_ }

static const struct option options[] = {
    OPTION(OPTION_REAL, gamma, "0.99", 0, 1, "discount per transition"),
    OPTION(OPTION_REAL, tau, "0.005", 0, 1, "share of the critics that moves into their targets"),
    OPTION(OPTION_REAL, policy_lr, "3e-4", 0, 1, "learning rate of the policy"),
    OPTION(OPTION_REAL, q_lr, "3e-4", 0, 1, "learning rate of the critics"),
    OPTION(OPTION_REAL, alpha_lr, "3e-4", 0, 1, "learning rate of log alpha"),
    OPTION(OPTION_REAL, alpha_init, "1.0", 1e-8, 1e3, "temperature at the start"),
    OPTION(OPTION_BOOL, learn_alpha, "true", 0, 0, "adapt the temperature to the target entropy"),
    OPTION(OPTION_REAL, target_entropy, "-1.0", -10, 10,
           "target entropy for each dimension of the action, in nats"),
    OPTIMISER_OPTIONS(struct sac_hyper, optimiser, "adam", "constant", "1e-8", "0"),
};

struct sac {
    struct sac_hyper hyper;
    struct mlp_shape policy_shape, q_shape;
    int n_obs, n_act, stride;
    real target_entropy;

    struct parameters params;      /* policy | q1 | q2 | log alpha */
    real *targets;                 /* [2 n_q]: Qbar_1 | Qbar_2 */
    real *policy, *q[2], *log_alpha;
    real *q_target[2];
    size_t n_policy, n_q;
    struct optimiser policy_adam, q_adam, alpha_adam;

    struct mlp_cache policy_cache, q_cache[2];
    real *log_prob;                /* [B] of the action just sampled */
    real *y;                       /* [B] */
    real *dq[2];                   /* [B] d loss / d Q_i */
    real *dact;                    /* [B][n_obs + n_act] d loss / d critic input */
    real *dact_other;              /* the same through the second critic */
    real *dout;                    /* [B][2 n_act] */
};

/* Critics: minimise 1/2 E (Q_i(s, a) - y)^2 for i = 1, 2                          Eqs. 5, 7
 *   y = r + gamma (1 - d) (min_i Qbar_i(s', a') - alpha log pi(a'|s')),  a' ~ pi(.|s') */
static int critic_step(struct sac *sac, struct batch *b, double *metrics, struct error *err)
{
    int B = b->n, stride = sac->stride;
    real alpha = real_exp(*sac->log_alpha);
    const struct row_shape shape = b->shape;

    /* a' goes into the successor's action field: obs | action is the critic's input as it lies. */
    real *next = b->rows + stride;
    const real *out = mlp_forward(&sac->policy_shape, sac->policy, B, next, 2 * stride,
                                  &sac->policy_cache);
    squashed_gaussian_sample(B, sac->n_act, out, b->noise, 2 * sac->n_act, next + sac->n_obs,
                             2 * stride, sac->log_prob);
    const real *next_q[2];
    for (int i = 0; i < 2; i++)
        next_q[i] = mlp_forward(&sac->q_shape, sac->q_target[i], B, next, 2 * stride,
                                &sac->q_cache[i]);
    for (int k = 0; k < B; k++) {
        const real *row = b->rows + (size_t)(2 * stride) * (size_t)k;
        real q = next_q[0][k] < next_q[1][k] ? next_q[0][k] : next_q[1][k];
        real bootstrap = b->discount[k] * (q - alpha * sac->log_prob[k]);
        bool terminated = row[row_kind(shape)] == (real)ROW_TERMINATED;
        sac->y[k] = row[row_reward(shape)] + (terminated ? 0 : bootstrap);
    }

    double loss = 0, q_mean = 0;
    for (int i = 0; i < 2; i++) {
        const real *q = mlp_forward(&sac->q_shape, sac->q[i], B, b->rows, 2 * stride,
                                    &sac->q_cache[i]);
        for (int k = 0; k < B; k++) {
            real error = q[k] - sac->y[k];
            sac->dq[i][k] = b->weight[k] * error / (real)B;
            loss += 0.5 * (double)(b->weight[k] * error * error) / B;
            b->td_error[k] = (i ? b->td_error[k] : 0) + (real)0.5 * error;
            q_mean += 0.5 * (double)q[k] / B;
        }
        mlp_backward(&sac->q_shape, sac->q[i], B, b->rows, 2 * stride, &sac->q_cache[i],
                     sac->dq[i], parameters_grad(&sac->params, PART_Q1 + i), NULL, 0);
    }
    metrics[METRIC_Q_LOSS] = loss;
    metrics[METRIC_Q_MEAN] = q_mean;
    if (!isfinite(loss) || optimiser_step(&sac->q_adam, sac->q[0], parameters_grad(&sac->params, PART_Q1),
                                          b->progress, &metrics[METRIC_Q_GRAD_NORM]) != 0)
        return parameters_blame(&sac->params, PART_Q1, PART_Q2, "critics' loss", err);
    return 0;
}

/* Policy: minimise E [ alpha log pi(a|s) - min_i Q_i(s, a) ],  a = tanh(mu + sigma eps)    Eq. 9 */
static int policy_step(struct sac *sac, struct batch *b, double *metrics, struct error *err)
{
    int B = b->n, stride = sac->stride, n_in = sac->n_obs + sac->n_act;
    real alpha = real_exp(*sac->log_alpha);
    const real *eps = b->noise + sac->n_act;

    /* The action replaces the stored one; the critics have already learnt from that. */
    const real *out = mlp_forward(&sac->policy_shape, sac->policy, B, b->rows, 2 * stride,
                                  &sac->policy_cache);
    squashed_gaussian_sample(B, sac->n_act, out, eps, 2 * sac->n_act, b->rows + sac->n_obs,
                             2 * stride, sac->log_prob);
    const real *q[2];
    for (int i = 0; i < 2; i++)
        q[i] = mlp_forward(&sac->q_shape, sac->q[i], B, b->rows, 2 * stride, &sac->q_cache[i]);

    /* -min_i Q_i: the gradient flows through the smaller critic of each row. */
    double loss = 0, entropy = 0;
    for (int k = 0; k < B; k++) {
        bool first = q[0][k] <= q[1][k];
        sac->dq[0][k] = first ? -1 / (real)B : 0;
        sac->dq[1][k] = first ? 0 : -1 / (real)B;
        loss += (double)(alpha * sac->log_prob[k] - (first ? q[0][k] : q[1][k])) / B;
        entropy -= (double)sac->log_prob[k] / B;
    }
    mlp_backward(&sac->q_shape, sac->q[0], B, b->rows, 2 * stride, &sac->q_cache[0], sac->dq[0],
                 NULL, sac->dact, n_in);
    mlp_backward(&sac->q_shape, sac->q[1], B, b->rows, 2 * stride, &sac->q_cache[1], sac->dq[1],
                 NULL, sac->dact_other, n_in);
    for (size_t j = 0; j < (size_t)B * (size_t)n_in; j++)
        sac->dact[j] += sac->dact_other[j];
    squashed_gaussian_backward(B, sac->n_act, out, eps, 2 * sac->n_act, b->rows + sac->n_obs,
                               2 * stride, sac->dact + sac->n_obs, n_in, alpha / (real)B,
                               sac->dout);
    mlp_backward(&sac->policy_shape, sac->policy, B, b->rows, 2 * stride, &sac->policy_cache,
                 sac->dout, parameters_grad(&sac->params, PART_POLICY), NULL, 0);
    metrics[METRIC_PI_LOSS] = loss;
    metrics[METRIC_ENTROPY] = entropy;
    if (!isfinite(loss) || optimiser_step(&sac->policy_adam, sac->policy,
                                          parameters_grad(&sac->params, PART_POLICY), b->progress,
                                          &metrics[METRIC_PI_GRAD_NORM]) != 0)
        return parameters_blame(&sac->params, PART_POLICY, PART_POLICY, "policy's loss", err);
    return 0;
}

/* Temperature: minimise E [ -log alpha (log pi(a|s) + Hbar) ]                             Eq. 18 */
static void temperature_step(struct sac *sac, double progress, double *metrics)
{
    real mean = (real)-metrics[METRIC_ENTROPY] + sac->target_entropy;
    metrics[METRIC_ALPHA_LOSS] = (double)(-*sac->log_alpha * mean);
    real *grad = parameters_grad(&sac->params, PART_LOG_ALPHA);
    *grad = -mean;
    if (sac->hyper.learn_alpha)
        optimiser_step(&sac->alpha_adam, sac->log_alpha, grad, progress, NULL);
    metrics[METRIC_ALPHA] = exp((double)*sac->log_alpha);
}

static int sac_update(void *self, struct batch *b, double *metrics, struct error *err)
{
    struct sac *sac = self;
    memset(metrics, 0, N_METRICS * sizeof(*metrics));
    int rc = critic_step(sac, b, metrics, err);                         /* theta_i              */
    if (rc == 0)
        rc = policy_step(sac, b, metrics, err);                         /* phi                  */
    if (rc == 0) {
        temperature_step(sac, b->progress, metrics);                    /* alpha                */
        polyak(sac->targets, sac->q[0], 2 * sac->n_q, sac->hyper.tau);  /* Qbar <- tau Q + ...  */
    }
    return rc;
}

static void create_networks(struct sac *sac, const struct algorithm_setup *setup,
                            struct arena *arena)
{
    sac->n_policy = mlp_n_params(&sac->policy_shape);
    sac->n_q = mlp_n_params(&sac->q_shape);
    parameters_add_network(&sac->params, "policy", &sac->policy_shape);
    parameters_add_network(&sac->params, "q1", &sac->q_shape);
    parameters_add_network(&sac->params, "q2", &sac->q_shape);
    parameters_add_vector(&sac->params, "log_alpha", 1);
    parameters_alloc(&sac->params, arena);
    sac->targets = arena_alloc(arena, 2 * sac->n_q, sizeof(real));
    sac->policy = parameters_value(&sac->params, PART_POLICY);
    for (int i = 0; i < 2; i++) {
        sac->q[i] = parameters_value(&sac->params, PART_Q1 + i);
        sac->q_target[i] = sac->targets + (size_t)i * sac->n_q;
    }
    sac->log_alpha = parameters_value(&sac->params, PART_LOG_ALPHA);

    struct rng rng;
    rng_init(&rng, setup->seed, RNG_INIT, 0, 0);
    mlp_init(&sac->policy_shape, sac->policy, setup->start, SQRT_2, 1, &rng);
    for (int i = 0; i < 2; i++)
        mlp_init(&sac->q_shape, sac->q[i], setup->start, SQRT_2, 1, &rng);
    *sac->log_alpha = (real)log(sac->hyper.alpha_init);
    memcpy(sac->targets, sac->q[0], 2 * sac->n_q * sizeof(real));

    sac->policy_adam = parameters_optimiser(&sac->params, PART_POLICY, PART_POLICY,
                                            &sac->hyper.optimiser, sac->hyper.policy_lr);
    sac->q_adam = parameters_optimiser(&sac->params, PART_Q1, PART_Q2, &sac->hyper.optimiser,
                                       sac->hyper.q_lr);
    sac->alpha_adam = parameters_optimiser(&sac->params, PART_LOG_ALPHA, PART_LOG_ALPHA,
                                           &sac->hyper.optimiser, sac->hyper.alpha_lr);
}

static void *sac_create(const struct algorithm_setup *setup, struct arena *arena)
{
    struct sac *sac = arena_alloc(arena, 1, sizeof(*sac));
    int n_obs = setup->shape.n_obs, n_act = setup->shape.n_act, B = setup->batch_size;
    sac->hyper = *(const struct sac_hyper *)setup->hyper;
    sac->n_obs = n_obs;
    sac->n_act = n_act;
    sac->stride = row_stride(setup->shape);
    sac->target_entropy = (real)(sac->hyper.target_entropy * n_act);
    sac->policy_shape = mlp_shape_make(n_obs, &setup->policy, 2 * n_act);
    sac->q_shape = mlp_shape_make(n_obs + n_act, &setup->critic, 1);
    create_networks(sac, setup, arena);

    mlp_cache_init(&sac->policy_cache, &sac->policy_shape, B, arena);
    for (int i = 0; i < 2; i++) {
        mlp_cache_init(&sac->q_cache[i], &sac->q_shape, B, arena);
        sac->dq[i] = arena_alloc(arena, (size_t)B, sizeof(real));
    }
    sac->log_prob = arena_alloc(arena, (size_t)B, sizeof(real));
    sac->y = arena_alloc(arena, (size_t)B, sizeof(real));
    sac->dact = arena_alloc(arena, (size_t)B * (size_t)(n_obs + n_act), sizeof(real));
    sac->dact_other = arena_alloc(arena, (size_t)B * (size_t)(n_obs + n_act), sizeof(real));
    sac->dout = arena_alloc(arena, (size_t)B * (size_t)(2 * n_act), sizeof(real));
    return sac;
}

static int sac_check(const void *hyper, const struct settings *s, const struct env_spec *spec,
                     struct error *err)
{
    (void)hyper, (void)s;
    if (spec->n_choices == 0)
        return 0;
    return error_set(err, ERR_CONFIG, "%s has %d discrete actions and the policy of sac is continuous; "
                     "choose an environment with continuous actions (`shoal envs` lists them)",
                     spec->name, spec->n_choices);
}

static void sac_describe(const void *hyper, const struct env_spec *spec, struct algorithm_traits *out)
{
    const struct sac_hyper *h = hyper;
    (void)spec;
    *out = (struct algorithm_traits){ .head = HEAD_SQUASHED_GAUSSIAN, .discount = h->gamma,
                                      .noise_per_action = 2 };
}

static const real *sac_policy(const void *self, size_t *n)
{
    const struct sac *sac = self;
    *n = sac->n_policy;
    return sac->policy;
}

static int sac_arrays(void *self, struct array out[ALGORITHM_MAX_ARRAYS])
{
    struct sac *sac = self;
    int n = parameters_arrays(&sac->params, out);
    out[n++] = (struct array){ "targets", sac->targets, NULL, 2 * sac->n_q };
    out[n++] = (struct array){ "policy_steps", NULL, &sac->policy_adam.t, 1 };
    out[n++] = (struct array){ "q_steps", NULL, &sac->q_adam.t, 1 };
    out[n++] = (struct array){ "alpha_steps", NULL, &sac->alpha_adam.t, 1 };
    return n;
}

static const real *sac_gradients(const void *self, size_t *n)
{
    const struct sac *sac = self;
    *n = sac->params.n;
    return sac->params.grad;
}

static const struct preset presets[] = {
    { "", "", (const char *const[]){ NULL } },
};

const struct algorithm sac_algorithm = {
    .name = "sac",
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .hyper_bytes = sizeof(struct sac_hyper),
    .presets = presets,
    .n_presets = sizeof(presets) / sizeof(*presets),
    .metric_names = metric_names,
    .n_metrics = N_METRICS,
    .check = sac_check,
    .describe = sac_describe,
    .create = sac_create,
    .update = sac_update,
    .policy = sac_policy,
    .arrays = sac_arrays,
    .gradients = sac_gradients,
};
