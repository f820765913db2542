/* Soft actor-critic: its options, its box, and what its forms share.
 *
 * The forms are sac_continuous.c (Haarnoja et al. 2018b), sac_value.c (2018a) and sac_discrete.c
 * (Christodoulou 2019), each with its paper, symbols, losses and deviations. Discrete environments get the
 * discrete form, others the continuous one, or the first paper's with `value_network`.
 *
 * Deviations and choices of all forms where the references disagree:
 *   - Order: values, policy (with the new critics), temperature, targets, as in the papers' boxes.
 *     Stable-Baselines3 moves the temperature first but uses the one before: the same numbers.
 *   - Delayed policies: every policy_delay updates phi and alpha take that many steps, each with
 *     fresh noise (CleanRL: 2). CleanRL's temperature samples once more after each step of phi; here it
 *     sees the sample that phi has learnt from.
 *   - The temperature's loss is linear in log alpha, -log alpha (log pi + Hbar), as in the authors'
 *     code and Stable-Baselines3; 2018b's Eq. 18 has alpha there (a factor alpha in the gradient).
 *   - Critic losses are 1/2 mean squared errors, added; one optimiser for both critics, one for each other
 *     network. Importance weights stand in front of the squared errors of critics and V, nowhere else.
 *   - Priorities come from the mean of both critics' |errors|, as TD3's.
 *   - Weight decay is for the networks: log alpha, which it would pull to alpha 1, has none.
 *   - Time limits bootstrap: d is 0 for TRUNCATED rows and for the last row of a fragment.
 *   - n-step returns hold rewards alone: the entropies of the steps between are left out.
 *   - Targets move every target_every updates by tau; tau 1 is a hard copy. */
#include "learner/sac_private.h"

#include <math.h>
#include <string.h>

#include "common/squashed_gaussian.h"

static const char *const metric_names[N_METRICS] = {
    "q_loss", "pi_loss", "alpha_loss", "alpha", "entropy", "q_mean", "q_grad_norm", "pi_grad_norm",
    "v_loss"
};

#define OPTION(type_, field, value_, min_, max_, help_) \
    { .name = #field, .type = type_, .offset = offsetof(struct sac_hyper, field), \
      .value = value_, .min = min_, .max = max_, .help = help_ }

static const struct option options[] = {
    { .name = "actions", .type = OPTION_CHOICE, .offset = offsetof(struct sac_hyper, actions),
      .value = "auto", .choices = SAC_ACTIONS_CHOICES,
      .help = "which actions the policy is for; auto: the environment's" },
    OPTION(OPTION_BOOL, value_network, "false", 0, 0,
           "the first paper's form: a value network with a target, critics without one"),
    OPTION(OPTION_REAL, gamma, "0.99", 0, 1, "discount per transition"),
    OPTION(OPTION_REAL, tau, "0.005", 1e-6, 1,
           "share of the critics (or the value network) that moves into their targets"),
    OPTION(OPTION_INT, target_every, "1", 1, 1e9,
           "updates between moves of the targets; with tau 1 they are copies"),
    OPTION(OPTION_INT, policy_delay, "1", 1, 16,
           "updates between those of policy and temperature, which then take as many steps"),
    OPTION(OPTION_REAL, policy_lr, "3e-4", 0, 1, "learning rate of the policy"),
    OPTION(OPTION_REAL, q_lr, "3e-4", 0, 1, "learning rate of the critics and the value network"),
    OPTION(OPTION_REAL, alpha_lr, "3e-4", 0, 1, "learning rate of log alpha"),
    OPTION(OPTION_REAL, alpha_init, "1.0", 1e-8, 1e3,
           "temperature at the start; the first paper's reward scale is 1 / this"),
    OPTION(OPTION_BOOL, learn_alpha, "true", 0, 0, "adapt the temperature to the target entropy"),
    OPTION(OPTION_REAL, target_entropy, "-1.0", -10, 0.69,
           "target entropy for each dimension of the action, in nats; choosing blindly has log 2"),
    OPTION(OPTION_REAL, target_entropy_ratio, "0.5", 0, 1,
           "target entropy of discrete actions, as a share of that of choosing blindly"),
    OPTIMISER_OPTIONS(struct sac_hyper, optimiser, "adam", "constant", "1e-8", "0"),
};

void sac_evaluate_critics(struct sac *sac, real *const q[2], int B, const real *rows, int ld,
                          struct mlp_pass pass[2], const real *out[2])
{
    for (int i = 0; i < 2; i++) {
        pass[i] = (struct mlp_pass){ .shape = &sac->q_shape, .params = q[i], .B = B, .x = rows, .ldx = ld,
                                     .cache = &sac->q_cache[i], .dout = sac->dq[i] };
        out[i] = mlp_output(&pass[i]);
    }
    mlp_forward_all(pass, 2);
}

int sac_fit_critics(struct sac *sac, struct batch *b, double *metrics, struct error *err)
{
    int B = b->n, ld = 2 * sac->stride, n_out = sac->n_choices ? sac->n_choices : 1;
    double loss = 0, q_mean = 0;
    struct mlp_pass pass[2];
    const real *out[2];
    sac_evaluate_critics(sac, sac->q, B, b->rows, ld, pass, out);
    for (int i = 0; i < 2; i++) {
        pass[i].grad = parameters_grad(&sac->params, PART_Q1 + i);
        memset(sac->dq[i], 0, (size_t)B * (size_t)n_out * sizeof(real));
        for (int k = 0; k < B; k++) {
            /* Of a critic of all choices the stored one alone learns. */
            int choice = sac->n_choices ? (int)sac_row(sac, b, k)[sac->n_obs] : 0;
            real q = out[i][k * n_out + choice], error = q - sac->y[k];
            sac->dq[i][k * n_out + choice] = b->weight[k] * error / (real)B;
            loss += 0.5 * (double)(b->weight[k] * error * error) / B;
            b->td_error[k] = (i ? b->td_error[k] : 0) + (real)0.5 * (error < 0 ? -error : error);
            q_mean += 0.5 * (double)q / B;
        }
    }
    mlp_backward_all(pass, 2);
    metrics[METRIC_Q_LOSS] = loss;
    metrics[METRIC_Q_MEAN] = q_mean;
    if (!isfinite(loss) || optimiser_step(&sac->q_adam, sac->q[0], parameters_grad(&sac->params, PART_Q1),
                                          b->progress, &metrics[METRIC_Q_GRAD_NORM]) != 0)
        return parameters_blame(&sac->params, PART_Q1, PART_Q2, "critics' loss", err);
    return 0;
}

const real *sac_sample(struct sac *sac, const struct batch *b, real *rows, int ld, int column)
{
    int n_noise = (int)sac->hyper.policy_delay + 1;
    const real *out = mlp_forward(&sac->policy_shape, sac->policy, b->n, rows, ld,
                                  &sac->policy_cache);
    squashed_gaussian_sample(b->n, sac->n_act, out, b->noise + column * sac->n_act,
                             n_noise * sac->n_act, rows + sac->n_obs, ld, sac->log_prob);
    return out;
}

int sac_step_policy(struct sac *sac, struct batch *b, double loss, double *metrics,
                    struct error *err)
{
    real *grad = parameters_grad(&sac->params, PART_POLICY);
    mlp_backward(&sac->policy_shape, sac->policy, b->n, b->rows, 2 * sac->stride,
                 &sac->policy_cache, sac->dout, grad, NULL, 0);
    metrics[METRIC_PI_LOSS] = loss;
    if (!isfinite(loss) || optimiser_step(&sac->policy_adam, sac->policy, grad, b->progress,
                                          &metrics[METRIC_PI_GRAD_NORM]) != 0)
        return parameters_blame(&sac->params, PART_POLICY, PART_POLICY, "policy's loss", err);
    return 0;
}

/* Temperature: minimise E [ -log alpha (log pi(a|s) + Hbar) ]                      2018b, Eq. 18
 * Of discrete actions E is the sum over them: log pi's mean is minus the policy's entropy. */
static void temperature_step(struct sac *sac, double progress, double *metrics)
{
    real mean = (real)-metrics[METRIC_ENTROPY] + sac->target_entropy;
    metrics[METRIC_ALPHA_LOSS] = (double)(-*sac->log_alpha * mean);
    real *grad = parameters_grad(&sac->params, PART_LOG_ALPHA);
    *grad = -mean;
    if (sac->hyper.learn_alpha)
        optimiser_step(&sac->alpha_adam, sac->log_alpha, grad, progress, NULL);
}

static void target_step(struct sac *sac)
{
    if (sac->v)
        polyak(sac->v_target, sac->v, sac->n_v, sac->hyper.tau, sac->params.workers);
    else
        polyak(sac->targets, sac->q[0], 2 * sac->n_q, sac->hyper.tau, sac->params.workers);
}

/* Metrics of the policy's steps, as they are kept. */
static const int policy_metrics[N_POLICY_METRICS] = { METRIC_PI_LOSS, METRIC_ALPHA_LOSS, METRIC_ENTROPY,
                                                      METRIC_PI_GRAD_NORM };

static int sac_update(void *self, struct batch *b, double *metrics, struct error *err)
{
    struct sac *sac = self;
    memset(metrics, 0, N_METRICS * sizeof(*metrics));
    for (int i = 0; i < N_POLICY_METRICS; i++)
        metrics[policy_metrics[i]] = (double)sac->policy_metrics[i];
    int rc = sac->form->evaluate(sac, b, metrics, err);         /* psi, theta_i        */
    int64_t t = sac->q_adam.t;                                  /* good updates so far */
    int n_steps = t % sac->hyper.policy_delay == 0 ? (int)sac->hyper.policy_delay : 0;
    for (int i = 0; i < n_steps && rc == 0; i++) {
        rc = sac->form->improve(sac, b, i, metrics, err);       /* phi                 */
        if (rc == 0)
            temperature_step(sac, b->progress, metrics);        /* alpha               */
    }
    if (rc == 0 && t % sac->hyper.target_every == 0)
        target_step(sac);                                       /* Qbar <- tau Q + ... */
    metrics[METRIC_ALPHA] = exp((double)*sac->log_alpha);
    for (int i = 0; i < N_POLICY_METRICS && rc == 0; i++)
        sac->policy_metrics[i] = (real)metrics[policy_metrics[i]];
    return rc;
}

static void create_networks(struct sac *sac, const struct algorithm_setup *setup, struct arena *arena)
{
    bool has_value = sac->form == &sac_value;
    sac->n_policy = mlp_n_params(&sac->policy_shape);
    sac->n_q = mlp_n_params(&sac->q_shape);
    sac->n_v = has_value ? mlp_n_params(&sac->v_shape) : 0;
    sac->params.workers = algorithm_workers(setup);
    parameters_add_network(&sac->params, "policy", &sac->policy_shape);
    parameters_add_network(&sac->params, "q1", &sac->q_shape);
    parameters_add_network(&sac->params, "q2", &sac->q_shape);
    parameters_add_vector(&sac->params, "log_alpha", 1);
    if (has_value)
        parameters_add_network(&sac->params, "v", &sac->v_shape);
    parameters_alloc(&sac->params, arena);
    sac->targets = arena_alloc(arena, has_value ? sac->n_v : 2 * sac->n_q, sizeof(real));
    sac->policy = parameters_value(&sac->params, PART_POLICY);
    for (int i = 0; i < 2; i++) {
        sac->q[i] = parameters_value(&sac->params, PART_Q1 + i);
        sac->q_target[i] = has_value ? NULL : sac->targets + (size_t)i * sac->n_q;
    }
    sac->log_alpha = parameters_value(&sac->params, PART_LOG_ALPHA);
    sac->v = has_value ? parameters_value(&sac->params, PART_V) : NULL;
    sac->v_target = has_value ? sac->targets : NULL;
}

static void start_networks(struct sac *sac, const struct algorithm_setup *setup)
{
    struct rng rng;
    rng_init(&rng, setup->seed, RNG_INIT, 0, 0);
    for (int part = PART_POLICY; part <= PART_Q2; part++)
        parameters_start(&sac->params, part, setup->start, 1, &rng);
    if (sac->v)
        parameters_start(&sac->params, PART_V, setup->start, 1, &rng);
    *sac->log_alpha = (real)log(sac->hyper.alpha_init);
    memcpy(sac->targets, sac->v ? sac->v : sac->q[0],
           (sac->v ? sac->n_v : 2 * sac->n_q) * sizeof(real));

    const struct optimiser_hyper *hyper = &sac->hyper.optimiser;
    sac->policy_adam = parameters_optimiser(&sac->params, PART_POLICY, PART_POLICY, hyper,
                                            sac->hyper.policy_lr);
    sac->q_adam = parameters_optimiser(&sac->params, PART_Q1, PART_Q2, hyper, sac->hyper.q_lr);
    struct optimiser_hyper of_alpha = *hyper;
    of_alpha.weight_decay = 0;
    sac->alpha_adam = parameters_optimiser(&sac->params, PART_LOG_ALPHA, PART_LOG_ALPHA, &of_alpha,
                                           sac->hyper.alpha_lr);
    if (sac->v)
        sac->v_adam = parameters_optimiser(&sac->params, PART_V, PART_V, hyper, sac->hyper.q_lr);
}

static void create_buffers(struct sac *sac, const struct algorithm_setup *setup, struct arena *arena)
{
    const int batch_size = setup->batch_size;
    size_t B = (size_t)batch_size, n_in = (size_t)(sac->n_obs + sac->n_act);
    size_t n_out = (size_t)sac->policy_shape.width[sac->policy_shape.n_layers];
    size_t n_choices = sac->n_choices ? (size_t)sac->n_choices : 1;
    mlp_cache_init(&sac->policy_cache, &sac->policy_shape, batch_size, setup->engine, arena);
    for (int i = 0; i < 2; i++) {
        mlp_cache_init(&sac->q_cache[i], &sac->q_shape, batch_size, setup->engine, arena);
        sac->dq[i] = arena_alloc(arena, B * n_choices, sizeof(real));
        sac->part_dact[i] = arena_alloc(arena, B * (size_t)sac->n_act, sizeof(real));
        sac->rows[i] = arena_alloc(arena, B, sizeof(int));
    }
    if (sac->v) {
        mlp_cache_init(&sac->v_cache, &sac->v_shape, batch_size, setup->engine, arena);
        sac->sampled = arena_alloc(arena, B * n_in, sizeof(real));
    }
    sac->dact = arena_alloc(arena, B * (size_t)sac->n_act, sizeof(real));
    sac->log_prob = arena_alloc(arena, B * n_choices, sizeof(real));
    sac->y = arena_alloc(arena, B, sizeof(real));
    sac->dout = arena_alloc(arena, B * n_out, sizeof(real));
}

static void *sac_create(const struct algorithm_setup *setup, struct arena *arena)
{
    struct sac *sac = arena_alloc(arena, 1, sizeof(*sac));
    int n_obs = setup->shape.n_obs, n_act = setup->shape.n_act, n_choices = setup->n_choices;
    sac->hyper = *(const struct sac_hyper *)setup->hyper;
    sac->form = n_choices ? &sac_discrete : sac->hyper.value_network ? &sac_value : &sac_continuous;
    sac->n_obs = n_obs;
    sac->n_act = n_act;
    sac->n_choices = n_choices;
    sac->stride = row_stride(setup->shape);
    sac->target_entropy = (real)(n_choices ? sac->hyper.target_entropy_ratio * log(n_choices)
                                           : sac->hyper.target_entropy * n_act);
    sac->policy_shape = mlp_shape_make(n_obs, &setup->policy, n_choices ? n_choices : 2 * n_act);
    sac->q_shape = n_choices ? mlp_shape_make(n_obs, &setup->critic, n_choices)
                             : mlp_shape_make(n_obs + n_act, &setup->critic, 1);
    sac->v_shape = mlp_shape_make(n_obs, &setup->critic, 1);
    create_networks(sac, setup, arena);
    start_networks(sac, setup);
    create_buffers(sac, setup, arena);
    return sac;
}

static int sac_check(const void *hyper, const struct settings *s, const struct env_spec *spec,
                     struct error *err)
{
    (void)s;
    const struct sac_hyper *h = hyper;
    if (h->actions == SAC_ACTIONS_DISCRETE && spec->n_choices == 0)
        return error_set(err, ERR_CONFIG, "sac.actions is discrete, and the actions of %s are continuous; "
                         "leave sac.actions at auto, or choose an environment with discrete "
                         "actions (`shoal envs` lists them)", spec->name);
    if (h->actions == SAC_ACTIONS_CONTINUOUS && spec->n_choices > 0)
        return error_set(err, ERR_CONFIG, "sac.actions is continuous, and the actions of %s are %d choices; "
                         "leave sac.actions at auto, or choose an environment with continuous "
                         "actions (`shoal envs` lists them)", spec->name, spec->n_choices);
    if (h->value_network && spec->n_choices > 0)
        return error_set(err, ERR_CONFIG, "sac.value_network is for continuous actions, and those of %s are "
                         "%d choices, over which V is a sum; leave it false (the preset v1 sets it)", spec->name,
                         spec->n_choices);
    return 0;
}

static void sac_describe(const void *hyper, const struct env_spec *spec, struct algorithm_traits *out)
{
    const struct sac_hyper *h = hyper;
    *out = (struct algorithm_traits){
        .head = spec->n_choices ? HEAD_CATEGORICAL : HEAD_SQUASHED_GAUSSIAN, .discount = h->gamma,
        .noise_per_action = spec->n_choices ? 0 : 1 + (int)h->policy_delay,
    };
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
    out[n++] = (struct array){ "targets", sac->targets, NULL, sac->v ? sac->n_v : 2 * sac->n_q };
    out[n++] = (struct array){ "policy_metrics", sac->policy_metrics, NULL, N_POLICY_METRICS };
    out[n++] = (struct array){ "policy_steps", NULL, &sac->policy_adam.t, 1 };
    out[n++] = (struct array){ "q_steps", NULL, &sac->q_adam.t, 1 };
    out[n++] = (struct array){ "alpha_steps", NULL, &sac->alpha_adam.t, 1 };
    if (sac->v)
        out[n++] = (struct array){ "v_steps", NULL, &sac->v_adam.t, 1 };
    return n;
}

static const real *sac_gradients(const void *self, size_t *n)
{
    const struct sac *sac = self;
    *n = sac->params.n;
    return sac->params.grad;
}

static const struct preset presets[] = {
    { "", "", (const char *const[]){ "network.hidden=[256, 256]", NULL } },
    { "cleanrl", "CleanRL's sac_continuous_action.py, but for log sigma's bounds and the temperature's loss",
      (const char *const[]){ "actors=1", "envs_per_actor=1", "network.hidden=[256, 256]",
                             "network.activation=relu", "network.init=uniform",
                             "learner.batch_size=256", "replay.min_size=5000",
                             "replay.capacity=1_000_000", "sac.q_lr=1e-3", "sac.policy_lr=3e-4",
                             "sac.alpha_lr=1e-3", "sac.policy_delay=2", NULL } },
    { "sb3", "the defaults of Stable-Baselines3's SAC",
      (const char *const[]){ "actors=1", "envs_per_actor=1", "network.hidden=[256, 256]",
                             "network.activation=relu", "network.init=uniform",
                             "learner.batch_size=256", "replay.min_size=100",
                             "replay.capacity=1_000_000", "sac.q_lr=3e-4", "sac.policy_lr=3e-4",
                             "sac.alpha_lr=3e-4", NULL } },
    { "v1", "Haarnoja et al. 2018a: value network, fixed temperature for its reward scale of 5",
      (const char *const[]){ "network.hidden=[256, 256]", "network.activation=relu",
                             "learner.batch_size=256", "replay.capacity=1_000_000",
                             "sac.value_network=true", "sac.learn_alpha=false", "sac.alpha_init=0.2",
                             "sac.q_lr=3e-4", "sac.policy_lr=3e-4", NULL } },
    { "tuned", "our settings for tasks that nobody tuned for",
      (const char *const[]){ "network.hidden=[256, 256]", "replay.min_size=5000", "sac.q_lr=1e-3",
                             "sac.alpha_lr=1e-3", NULL } },
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
