/* Proximal policy optimisation with a clipped surrogate.
 *
 * Paper: Schulman et al. 2017 "Proximal Policy Optimization Algorithms" (equation numbers below), with
 *        GAE (Schulman et al. 2016) or V-trace (Espeholt et al. 2018).
 *
 *   theta   ac.params   policy pi(a|s) and value function V(s), two networks, one optimiser
 *   mu      the policy that acted: log mu(a|s) is the log_prob of a row, as the actor computed it
 *   r       ratio       pi(a|s) / mu(a|s)
 *   A, R    advantage, target; V_old is the V that they were made of
 *   eps     clip; value_clip that of the value function
 *   c_1     value_coef  c_2     entropy_coef    S   entropy
 *
 * Deviations and choices where the references disagree:
 *   - A round is gone through `epochs` times, in minibatches of learner.batch_size transitions, shuffled
 *     anew each time. The last minibatch of an epoch may be smaller, and is used; one of a single
 *     transition joins the one before.
 *   - The value loss is 1/2 mean (V - R)^2 times c_1, as CleanRL's; Stable-Baselines3 has no 1/2, so its
 *     vf_coef 0.5 is value_coef 1 here (preset sb3).
 *   - Value clipping is the authors' code's, not in the paper: V within +-value_clip of V_old, the
 *     larger of the two losses.
 *   - Advantages are normalised per minibatch: (A - mean) / (std + 1e-8), std with n - 1, as PyTorch's,
 *     or not at all (Tianshou). A minibatch of one transition is never normalised.
 *   - target_kl: a minibatch whose KL estimate, mean (r - 1 - log r), is above 1.5 target_kl ends the
 *     round and is not learnt from, as in Stable-Baselines3 (Spinning Up: the same factor, its policy
 *     alone stops). CleanRL stops behind the epoch, above target_kl itself.
 *   - recompute_advantages: A, R and V_old are made anew for every epoch, log mu is kept (Tianshou).
 *   - Actions are in policy units, [-1, 1] for the bounds, and are clipped by the environment alone:
 *     log-probabilities are those of the sample.
 *   - Time limits bootstrap with V of the last observation and end the trace. CleanRL takes them for
 *     terminations: truncation_terminates (preset cleanrl).
 *   - V-trace's advantage r + gamma v' - V goes without its factor min(rho_bar, pi / mu) here: the
 *     surrogate's r stands in front of it already. v' has lambda in its traces: where pi is mu, v is
 *     GAE's R, and the advantage GAE's where lambda is 1.
 *   - Mode gradients: an actor's round is one minibatch of one epoch, in the order of its rows; the paper's
 *     clipping then never acts, as pi is mu.
 *   - Observation and reward statistics hold for a whole round; CleanRL's move at every step. */
#include "learner/ppo.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/vector_math.h"
#include "learner/returns.h"

enum { METRIC_POLICY_LOSS, METRIC_VALUE_LOSS, METRIC_ENTROPY, METRIC_APPROX_KL,
       METRIC_CLIP_FRACTION, METRIC_RATIO_MAX, METRIC_EXPLAINED_VARIANCE, METRIC_LOG_SIGMA,
       METRIC_GRAD_NORM, METRIC_LEARNING_RATE, N_METRICS };

static const char *const metric_names[N_METRICS] = {
    "policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "ratio_max",
    "explained_variance", "log_sigma", "grad_norm", "learning_rate"
};

#define OPTION(type_, field, value_, min_, max_, choices_, help_) \
    { .name = #field, .type = type_, .offset = offsetof(struct ppo_hyper, field), .value = value_, \
      .min = min_, .max = max_, .choices = choices_, .help = help_ }
#define REAL(field, value, min, max, help) OPTION(OPTION_REAL, field, value, min, max, NULL, help)
#define BOOL(field, value, help) OPTION(OPTION_BOOL, field, value, 0, 0, NULL, help)
#define CHOICE(field, value, choices, help) OPTION(OPTION_CHOICE, field, value, 0, 0, choices, help)

static const struct option options[] = {
    REAL(learning_rate, "3e-4", 0, 1, "of policy and value function"),
    REAL(gamma, "0.99", 0, 1, "discount per transition"),
    REAL(lambda, "0.95", 0, 1, "of the traces: 0 is one step, 1 all up to the fragment's end"),
    REAL(clip, "0.2", 0, 1e9, "how far pi / mu may leave 1 before its gradient stops"),
    REAL(value_clip, "0", 0, 1e9, "how far values may leave their old ones; 0: not clipped"),
    OPTION(OPTION_INT, epochs, "10", 1, 1000, NULL, "times that a round is gone through"),
    REAL(value_coef, "0.5", 0, 1e3, "in front of half the mean squared error of values"),
    REAL(entropy_coef, "0", 0, 1e3, "in front of the policy's entropy, which is made larger"),
    CHOICE(normalise_advantages, "minibatch", "none|minibatch",
           "to mean 0 and standard deviation 1 in every minibatch"),
    REAL(target_kl, "0", 0, 1e3, "a round ends where KL is above 1.5 times this; 0: never"),
    BOOL(recompute_advantages, "false", "with the newest values, before every epoch"),
    BOOL(truncation_terminates, "false", "take time limits for terminations, as CleanRL does"),
    BOOL(vtrace, "false", "correct targets and advantages for stale policies, instead of GAE"),
    REAL(rho_bar, "1", 0, 1e9, "largest importance ratio of V-trace's errors"),
    REAL(c_bar, "1", 0, 1e9, "largest importance ratio of V-trace's traces"),
    CHOICE(log_sigma, "independent", LOG_SIGMA_CHOICES,
           "of continuous actions: a free vector, or an output of the network"),
    REAL(log_sigma_init, "0", -5, 2, "where log sigma starts"),
    OPTIMISER_OPTIONS(struct ppo_hyper, optimiser, "adam", "linear", "1e-5", "0.5"),
};

/* What a minibatch gathers, one number per transition. */
struct minibatch {
    int n;
    real *rows;                         /* [n][stride] */
    real *advantage, *target, *old_value;
    real *log_prob, *entropy, *value;    /* of the present parameters */
    real *dlog_prob, *dentropy, *dvalue;
};

struct ppo {
    struct ppo_hyper hyper;
    struct actor_critic ac;
    int batch_size;

    /* The round at hand. */
    const struct round *round;          /* borrowed */
    struct rng *rng;                    /* borrowed; NULL: rows stay in their order */
    int64_t epoch;                      /* hyper.epochs: the round is done */
    int next;                           /* how many transitions of the epoch are used up */
    double explained_variance;
    int *order;                         /* [max_transitions] their rows, shuffled */
    real *value, *advantage, *target, *log_ratio;    /* [max_rows] */
    struct minibatch mb;                /* of up to batch_size + 1 */
};

/* ---- the round ---- */

/* A_t = r_t + gamma v_{t+1} - V(s_t): V-trace's without rho, see above.          Espeholt, section 4.2 */
static void advantages_without_rho(struct ppo *ppo, const struct round *r)
{
    const int stride = ppo->ac.stride, kind = row_kind(r->shape), reward = row_reward(r->shape);
    for (int i = 0; i < r->n_transitions; i++) {
        const int t = ppo->order[i];
        const real *row = r->rows + (size_t)t * (size_t)stride, *behind = row + stride;
        real next = row[kind] == (real)ROW_TERMINATED ? 0
                  : behind[kind] == (real)ROW_CLOSE ? ppo->value[t + 1] : ppo->target[t + 1];
        ppo->advantage[t] = row[reward] + (real)ppo->hyper.gamma * next - ppo->value[t];
    }
}

/* V_old, A and R of every row, by the present parameters. */
static void estimate(struct ppo *ppo)
{
    const struct round *r = ppo->round;
    const struct ppo_hyper *h = &ppo->hyper;
    actor_critic_values(&ppo->ac, r->n_rows, r->rows, ppo->value);
    if (h->vtrace) {
        const real *mu = r->rows + row_log_prob(r->shape);
        actor_critic_log_probs(&ppo->ac, r->n_rows, r->rows, ppo->log_ratio);
        for (int t = 0; t < r->n_rows; t++)
            ppo->log_ratio[t] -= mu[(size_t)t * (size_t)ppo->ac.stride];
        const struct vtrace v = { h->gamma, h->lambda, h->rho_bar, h->c_bar };
        returns_vtrace(r, ppo->value, ppo->log_ratio, &v, ppo->advantage, ppo->target);
        advantages_without_rho(ppo, r);
    } else {
        returns_gae(r, ppo->value, h->gamma, h->lambda, h->truncation_terminates, ppo->advantage,
                    ppo->target);
    }
    ppo->explained_variance = returns_explained_variance(r, ppo->value, ppo->target);
}

/* Durstenfeld 1964: every order is as likely as any other. */
static void shuffle(int *x, int n, struct rng *rng)
{
    for (int i = n - 1; i > 0; i--) {
        int j = (int)rng_below(rng, (uint64_t)i + 1), held = x[i];
        x[i] = x[j];
        x[j] = held;
    }
}

static void ppo_begin(void *self, const struct round *r, struct rng *rng)
{
    struct ppo *ppo = self;
    const real *kind = r->rows + row_kind(r->shape);
    int n = 0;
    for (int t = 0; t < r->n_rows; t++)
        if (kind[(size_t)t * (size_t)ppo->ac.stride] != (real)ROW_CLOSE)
            ppo->order[n++] = t;
    ppo->round = r;
    ppo->rng = rng;
    ppo->epoch = n > 0 ? 0 : ppo->hyper.epochs;
    ppo->next = 0;
    estimate(ppo);
}

static bool ppo_has_more(const void *self)
{
    const struct ppo *ppo = self;
    return ppo->epoch < ppo->hyper.epochs;
}

/* The next minibatch into ppo->mb; it is used up from here on, whatever becomes of it. */
static void gather(struct ppo *ppo)
{
    const struct round *r = ppo->round;
    const size_t stride = (size_t)ppo->ac.stride;
    struct minibatch *mb = &ppo->mb;
    if (ppo->next == 0) {
        if (ppo->epoch > 0 && ppo->hyper.recompute_advantages)
            estimate(ppo);
        if (ppo->rng)
            shuffle(ppo->order, r->n_transitions, ppo->rng);
    }
    const int left = r->n_transitions - ppo->next;
    mb->n = left <= ppo->batch_size + (ppo->batch_size > 1) ? left : ppo->batch_size;
    for (int i = 0; i < mb->n; i++) {
        const size_t t = (size_t)ppo->order[ppo->next + i];
        memcpy(mb->rows + (size_t)i * stride, r->rows + t * stride, stride * sizeof(real));
        mb->advantage[i] = ppo->advantage[t];
        mb->target[i] = ppo->target[t];
        mb->old_value[i] = ppo->value[t];
    }
    ppo->next += mb->n;
    if (ppo->next == r->n_transitions) {
        ppo->next = 0;
        ppo->epoch++;
    }
}

/* ---- losses ---- */

/* Policy: maximise E min(r A, clip(r, 1 - eps, 1 + eps) A),  r = pi / mu                       Eq. 7
 * Its gradient through log pi is r A, and 0 where the clipped term is the smaller one. */
static double policy_loss(struct ppo *ppo, double *metrics)
{
    const struct minibatch *mb = &ppo->mb;
    const real *mu = mb->rows + row_log_prob(ppo->ac.shape);
    const real low = (real)(1 - ppo->hyper.clip), high = (real)(1 + ppo->hyper.clip);
    double loss = 0, kl = 0, ratio_max = 0;
    int n_clipped = 0;
    real *r = mb->dlog_prob;    /* until the gradient takes its place */
    for (int i = 0; i < mb->n; i++)
        r[i] = mb->log_prob[i] - mu[(size_t)i * (size_t)ppo->ac.stride];
    vector_exp(r, (size_t)mb->n);
    for (int i = 0; i < mb->n; i++) {
        const real log_ratio = mb->log_prob[i] - mu[(size_t)i * (size_t)ppo->ac.stride];
        const real ratio = r[i], a = mb->advantage[i];
        const bool is_outside = ratio < low || ratio > high;
        const bool is_stopped = a > 0 ? ratio > high : ratio < low;
        loss -= (double)(is_stopped ? (a > 0 ? high : low) * a : ratio * a);
        mb->dlog_prob[i] = is_stopped ? 0 : -ratio * a / (real)mb->n;
        kl += (double)(ratio - 1 - log_ratio);
        n_clipped += is_outside;
        ratio_max = fmax(ratio_max, (double)ratio);
    }
    metrics[METRIC_APPROX_KL] = kl / mb->n;
    metrics[METRIC_CLIP_FRACTION] = (double)n_clipped / mb->n;
    metrics[METRIC_RATIO_MAX] = ratio_max;
    return metrics[METRIC_POLICY_LOSS] = loss / mb->n;
}

/* Value function: minimise 1/2 E (V - R)^2, or                                                 Eq. 9
 *   1/2 E max((V - R)^2, (V_old + clip(V - V_old, -eps_v, eps_v) - R)^2) */
static double value_loss(struct ppo *ppo, double *metrics)
{
    const struct minibatch *mb = &ppo->mb;
    const real limit = (real)ppo->hyper.value_clip, c1 = (real)ppo->hyper.value_coef;
    double loss = 0;
    for (int i = 0; i < mb->n; i++) {
        real error = mb->value[i] - mb->target[i], slope = 1;
        const real step = mb->value[i] - mb->old_value[i];
        if (limit > 0 && (step > limit || step < -limit)) {
            const real clipped = mb->old_value[i] + (step > 0 ? limit : -limit) - mb->target[i];
            if (clipped * clipped > error * error)
                error = clipped, slope = 0;
        }
        loss += 0.5 * (double)(error * error);
        mb->dvalue[i] = c1 * slope * error / (real)mb->n;
    }
    return metrics[METRIC_VALUE_LOSS] = loss / mb->n;
}

/* Entropy S, and the mean log sigma that it means for a Gaussian. */
static double entropy_bonus(struct ppo *ppo, double *metrics)
{
    const struct minibatch *mb = &ppo->mb;
    const double half_log_2pi_e = 1.41893853320467274178;
    double sum = 0;
    for (int i = 0; i < mb->n; i++) {
        sum += (double)mb->entropy[i];
        mb->dentropy[i] = (real)(-ppo->hyper.entropy_coef / mb->n);
    }
    if (ppo->ac.head != HEAD_CATEGORICAL)
        metrics[METRIC_LOG_SIGMA] = sum / mb->n / ppo->ac.shape.n_act - half_log_2pi_e;
    return metrics[METRIC_ENTROPY] = sum / mb->n;
}

/* -L = -L_clip + c_1 L_V - c_2 S of the minibatch, its derivatives and metrics. Returns -L.         Eq. 9 */
static double losses(struct ppo *ppo, double *metrics)
{
    const struct ppo_hyper *h = &ppo->hyper;
    struct minibatch *mb = &ppo->mb;
    if (h->normalise_advantages == PPO_NORMALISE_MINIBATCH && mb->n > 1)
        returns_normalise(mb->advantage, NULL, mb->n, returns_spread(mb->advantage, NULL, mb->n));
    actor_critic_forward(&ppo->ac, mb->n, mb->rows, mb->log_prob, mb->entropy, mb->value);

    const double loss = policy_loss(ppo, metrics) + h->value_coef * value_loss(ppo, metrics)
                      - h->entropy_coef * entropy_bonus(ppo, metrics);
    metrics[METRIC_EXPLAINED_VARIANCE] = ppo->explained_variance;
    return loss;
}

static void differentiate(struct ppo *ppo)
{
    const struct minibatch *mb = &ppo->mb;
    actor_critic_backward(&ppo->ac, mb->n, mb->rows, mb->dlog_prob, mb->dentropy, mb->dvalue);
}

/* Algorithm 1, one minibatch: minimise -L */
static int ppo_step(void *self, double *metrics, struct error *err)
{
    struct ppo *ppo = self;
    const struct ppo_hyper *h = &ppo->hyper;
    const double progress = ppo->round->progress;
    memset(metrics, 0, N_METRICS * sizeof(*metrics));
    gather(ppo);
    const double loss = losses(ppo, metrics);
    metrics[METRIC_LEARNING_RATE] = actor_critic_learning_rate(&ppo->ac, progress);
    if (h->target_kl > 0 && metrics[METRIC_APPROX_KL] > 1.5 * h->target_kl) {
        ppo->epoch = h->epochs;
        return 0;
    }
    differentiate(ppo);
    return actor_critic_step(&ppo->ac, progress, loss, &metrics[METRIC_GRAD_NORM], err);
}

/* The round as one minibatch. */
static int ppo_gradient(void *self, const struct round *r, real *grad, double *metrics, struct error *err)
{
    struct ppo *ppo = self;
    assert(r->n_transitions > 0 && r->n_transitions <= ppo->batch_size + (ppo->batch_size > 1));
    memset(metrics, 0, N_METRICS * sizeof(*metrics));
    ppo_begin(ppo, r, NULL);
    gather(ppo);
    ppo->epoch = ppo->hyper.epochs;
    const double loss = losses(ppo, metrics);
    differentiate(ppo);
    return actor_critic_take_gradient(&ppo->ac, loss, grad, err);
}

static int ppo_apply(void *self, const real *grad, double progress, double *metrics, struct error *err)
{
    struct ppo *ppo = self;
    metrics[METRIC_LEARNING_RATE] = actor_critic_learning_rate(&ppo->ac, progress);
    return actor_critic_apply(&ppo->ac, grad, progress, &metrics[METRIC_GRAD_NORM], err);
}

/* ---- life ---- */

static void *ppo_create(const struct algorithm_setup *setup, struct arena *arena)
{
    struct ppo *ppo = arena_alloc(arena, 1, sizeof(*ppo));
    const size_t B = (size_t)setup->batch_size + 1, n_rows = (size_t)setup->max_rows;
    ppo->hyper = *(const struct ppo_hyper *)setup->hyper;
    ppo->batch_size = setup->batch_size;
    actor_critic_init(&ppo->ac, setup, actor_critic_head(ppo->hyper.log_sigma, setup->n_choices), (int)B,
                      ppo->hyper.log_sigma_init, &ppo->hyper.optimiser, ppo->hyper.learning_rate,
                      arena);
    ppo->epoch = ppo->hyper.epochs;
    ppo->order = arena_alloc(arena, (size_t)setup->max_transitions, sizeof(*ppo->order));
    real **const of_rows[] = { &ppo->value, &ppo->advantage, &ppo->target, &ppo->log_ratio };
    for (size_t i = 0; i < sizeof(of_rows) / sizeof(*of_rows); i++)
        *of_rows[i] = arena_alloc(arena, n_rows, sizeof(real));

    struct minibatch *mb = &ppo->mb;
    real **const of_batch[] = { &mb->advantage, &mb->target, &mb->old_value, &mb->log_prob,
                                &mb->entropy, &mb->value, &mb->dlog_prob, &mb->dentropy, &mb->dvalue };
    mb->rows = arena_alloc(arena, B * (size_t)ppo->ac.stride, sizeof(real));
    for (size_t i = 0; i < sizeof(of_batch) / sizeof(*of_batch); i++)
        *of_batch[i] = arena_alloc(arena, B, sizeof(real));
    return ppo;
}

static int ppo_check(const void *hyper, const struct settings *s, const struct env_spec *spec,
                     struct error *err)
{
    const struct ppo_hyper *h = hyper;
    const int64_t streams = s->top.actors * s->top.envs_per_actor, round = streams * s->actor.horizon;
    (void)spec;
    if (s->learner.batch_size > round)
        return error_set(err, ERR_CONFIG, "learner.batch_size %lld is above a round's %lld transitions "
                         "(%lld streams of actor.horizon %lld): a minibatch is a part of a round; lower "
                         "learner.batch_size or raise actor.horizon", (long long)s->learner.batch_size,
                         (long long)round, (long long)streams, (long long)s->actor.horizon);
    if (s->learner.batch_size == 1 && h->normalise_advantages == PPO_NORMALISE_MINIBATCH)
        return error_set(err, ERR_CONFIG, "learner.batch_size is 1, and one advantage cannot be "
                         "normalised; choose at least 2, or ppo.normalise_advantages=none");
    const struct vtrace v = { h->gamma, h->lambda, h->rho_bar, h->c_bar };
    return h->vtrace ? returns_check_vtrace("ppo", &v, h->truncation_terminates, err) : 0;
}

static int ppo_check_gradients(const void *hyper, const struct settings *s, struct error *err)
{
    const struct ppo_hyper *h = hyper;
    const int64_t round = s->top.envs_per_actor * s->actor.horizon;
    if (h->epochs != 1)
        return error_set(err, ERR_CONFIG, "ppo.epochs is %lld, and in mode: gradients what an actor collected is "
                         "learnt from once, by its gradient; set ppo.epochs: 1, or mode: async",
                         (long long)h->epochs);
    if (s->learner.batch_size < round)
        return error_set(err, ERR_CONFIG, "learner.batch_size %lld is below the %lld transitions that an actor has "
                         "one gradient of in mode: gradients (envs_per_actor %lld of actor.horizon %lld); set "
                         "learner.batch_size: %lld, or mode: async", (long long)s->learner.batch_size,
                         (long long)round, (long long)s->top.envs_per_actor, (long long)s->actor.horizon,
                         (long long)round);
    if (h->target_kl > 0)
        return error_set(err, ERR_CONFIG, "ppo.target_kl is %g, which ends a round before its last minibatch, and in "
                         "mode: gradients a round is one minibatch; set ppo.target_kl: 0, or mode: async",
                         h->target_kl);
    return 0;
}

static void ppo_describe(const void *hyper, const struct env_spec *spec, struct algorithm_traits *out)
{
    const struct ppo_hyper *h = hyper;
    *out = (struct algorithm_traits){ .head = actor_critic_head(h->log_sigma, spec->n_choices), .discount = h->gamma };
}

static const real *ppo_policy(const void *self, size_t *n)
{
    return actor_critic_policy(&((const struct ppo *)self)->ac, n);
}

static int ppo_arrays(void *self, struct array out[ALGORITHM_MAX_ARRAYS])
{
    return actor_critic_arrays(&((struct ppo *)self)->ac, out);
}

static const real *ppo_gradients(const void *self, size_t *n)
{
    return actor_critic_gradients(&((const struct ppo *)self)->ac, n);
}

/* Two small tanh networks with orthogonal weights, minibatches of 64. */
#define NETWORKS "network.hidden=[64, 64]", "network.activation=tanh", "network.init=orthogonal", \
    "network.layer_norm=none", "learner.batch_size=64"
/* One stream of 2048 transitions and the constants that both references share. */
#define REFERENCE NETWORKS, "mode=sync", "actors=1", "envs_per_actor=1", "actor.horizon=2048", \
    "ppo.learning_rate=3e-4", "ppo.gamma=0.99", "ppo.lambda=0.95", "ppo.clip=0.2", "ppo.epochs=10", \
    "ppo.entropy_coef=0", "ppo.normalise_advantages=minibatch", "ppo.target_kl=0", \
    "ppo.recompute_advantages=false", "ppo.vtrace=false", "ppo.log_sigma=independent", \
    "ppo.log_sigma_init=0", "ppo.optimiser=adam", "ppo.epsilon=1e-5", "ppo.beta1=0.9", \
    "ppo.beta2=0.999", "ppo.weight_decay=0", "ppo.max_grad_norm=0.5"

static const struct preset presets[] = {
    { "", "", (const char *const[]){
        NETWORKS, "mode=sync", "actors=2", "envs_per_actor=4", "actor.horizon=256",
        "learner.normalise_observations=true", "learner.scale_rewards=true", NULL } },
    { "cleanrl", "CleanRL's ppo_continuous_action.py", (const char *const[]){
        REFERENCE, "ppo.lr_schedule=linear", "ppo.value_clip=0.2", "ppo.value_coef=0.5",
        "ppo.truncation_terminates=true", "learner.normalise_observations=true",
        "learner.scale_rewards=true", NULL } },
    { "sb3", "the defaults of Stable-Baselines3, whose value_coef has no 1/2", (const char *const[]){
        REFERENCE, "ppo.lr_schedule=constant", "ppo.value_clip=0", "ppo.value_coef=1",
        "ppo.truncation_terminates=false", "learner.normalise_observations=false",
        "learner.scale_rewards=false", NULL } },
    { "tuned", "our best, advantages made anew for every epoch as in Tianshou", (const char *const[]){
        "actor.horizon=512", "ppo.recompute_advantages=true", "ppo.log_sigma_init=-0.5", "ppo.value_coef=0.25",
        "ppo.normalise_advantages=none", NULL } },
};

const struct algorithm ppo_algorithm = {
    .name = "ppo",
    .is_on_policy = true,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .hyper_bytes = sizeof(struct ppo_hyper),
    .presets = presets,
    .n_presets = sizeof(presets) / sizeof(*presets),
    .metric_names = metric_names,
    .n_metrics = N_METRICS,
    .check = ppo_check,
    .describe = ppo_describe,
    .create = ppo_create,
    .begin = ppo_begin,
    .has_more = ppo_has_more,
    .step = ppo_step,
    .check_gradients = ppo_check_gradients,
    .gradient = ppo_gradient,
    .apply = ppo_apply,
    .policy = ppo_policy,
    .arrays = ppo_arrays,
    .gradients = ppo_gradients,
};
