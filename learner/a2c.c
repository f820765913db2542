/* Advantage actor-critic: the synchronous form of A3C, with V-trace for stale experience, and the two
 * textbook forms.
 *
 * Papers: Mnih et al. 2016 "Asynchronous Methods for Deep Reinforcement Learning" (A3C, algorithm S3);
 *         Espeholt et al. 2018 "IMPALA" (V-trace, Eq. 1 and section 4.2);
 *         Sutton and Barto 2018, section 13.5, and Degris et al. 2012 "Model-Free Reinforcement
 *         Learning with Continuous Action in Practice" (one-step actor-critic, form online).
 *
 *   theta    policy        pi(a|s), categorical or Gaussian     mu    who acted: log_prob of the row
 *   theta_v  value         V(s)                                 rho   min(rho_bar, pi / mu)
 *   R        target        n-step, lambda or V-trace return     delta TD error r + gamma V(s') - V(s)
 *   A        advantage     R - V(s), rho-weighted in V-trace    beta  entropy_coef
 *   t_max    actor.horizon
 *
 * Forms: nstep      one update from all fragments of a round; n is the rest of the fragment (lambda 1)
 *        episodes   batch actor-critic: fragments end where episodes end; with lambda 1 R is the Monte-
 *                   Carlo return. An episode longer than actor.horizon is cut there and bootstraps.
 *                   With value_epochs, V is fitted to R first and advantages come from the new V.
 *        online     one-step actor-critic: each transition is an update of its own, in stream order, with
 *                   A = delta of the parameters that the previous transition's update left
 *
 * Deviations and choices where the references disagree:
 *   - Synchronous: one optimiser step for a round of all streams, not one per worker without locks. In
 *     async a round may hold older versions' rows; without vtrace they are learnt from as if they were new.
 *   - Mode gradients is A3C: actors compute gradients (a2c_gradient), the learner applies each on arrival
 *     (a2c_apply) with one RMSProp for all. Unlike A3C's, its workers may have several streams, an episode's
 *     end does not end a fragment, and gradients are clipped where they are applied.
 *   - Losses are means over transitions, as in Stable-Baselines3 and OpenAI's A2C; A3C's and IMPALA's are
 *     sums. Constants made for a sum over N transitions hold here with epsilon / N^2 (N = 200 in the
 *     preset impala: 0.1 becomes 2.5e-6), but for the mean square's start: it damps the first ~1000 steps.
 *   - The value loss is 1/2 mean (V - R)^2 times value_coef, as IMPALA's and this program's PPO's. A3C's
 *     box and Stable-Baselines3 have no 1/2: vf_coef 0.5 is value_coef 1 here (preset sb3).
 *   - RMSProp has epsilon inside the root and its mean square starts from 1, as TensorFlow's, for which
 *     the published constants (A3C's, A2C's, IMPALA's) are; Stable-Baselines3's is PyTorch's (preset sb3).
 *     All streams share it, as in A3C. Gradients are clipped by the norm of policy and value together;
 *     steps of value_epochs have moments of their own.
 *   - Policy and value networks share nothing (A3C shares all but the last layers); log sigma is a vector
 *     of its own, or an output with log_sigma: state (A3C: softplus of an output gives the variance).
 *   - The entropy bonus, beta H in A3C, is off by default, as in Stable-Baselines3.
 *   - Time limits bootstrap from the final observation, unless truncation_terminates; the papers do not
 *     tell them from terminations.
 *   - V-trace has lambda in c_t, and rho_bar clips the weight of the policy's gradient, too, as in the
 *     authors' code. With normalise_advantages the weighted advantages are normalised.
 *   - Form online has no factor gamma^t in front of the policy's gradient (the I of the book's box),
 *     which would leave the later part of long episodes unlearnt; clipping and RMSProp apply to it, too. */
#include "learner/a2c.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "learner/returns.h"

enum { METRIC_POLICY_LOSS, METRIC_VALUE_LOSS, METRIC_ENTROPY, METRIC_EXPLAINED_VARIANCE,
       METRIC_ADVANTAGE_STD, METRIC_GRAD_NORM, METRIC_LEARNING_RATE, METRIC_RHO_MEAN,
       METRIC_RHO_CLIPPED, N_METRICS };

static const char *const metric_names[N_METRICS] = {
    "policy_loss", "value_loss", "entropy", "explained_variance", "advantage_std", "grad_norm",
    "learning_rate", "rho_mean", "rho_clipped"
};

#define OPTION(type_, field, value_, min_, max_, choices_, help_) \
    { .name = #field, .type = type_, .offset = offsetof(struct a2c_hyper, field), \
      .value = value_, .min = min_, .max = max_, .choices = choices_, .help = help_ }
#define REAL(field, value, min, max, help) OPTION(OPTION_REAL, field, value, min, max, NULL, help)
#define BOOL(field, value, help) OPTION(OPTION_BOOL, field, value, 0, 0, NULL, help)
#define CHOICE(field, value, choices, help) OPTION(OPTION_CHOICE, field, value, 0, 0, choices, help)

static const struct option options[] = {
    CHOICE(form, "nstep", A2C_FORMS,
           "nstep: an update per round of fragments; episodes: of whole episodes; online: per transition"),
    REAL(learning_rate, "7e-4", 0, 1, "of policy and value function"),
    REAL(gamma, "0.99", 0, 1, "discount per transition"),
    REAL(lambda, "1", 0, 1, "decay of the advantages' traces; 1: n-step returns to the fragment's end"),
    REAL(value_coef, "0.5", 0, 1e3, "in front of half the mean squared error of values"),
    REAL(entropy_coef, "0", 0, 10, "weight of the entropy bonus"),
    CHOICE(normalise_advantages, "none", A2C_NORMALISE, "to mean 0 and standard deviation 1, over a round"),
    OPTION(OPTION_INT, value_epochs, "0", 0, 1000, NULL,
           "steps of the value function alone on a round, before the update of both"),
    BOOL(vtrace, "false", "correct for the policy that acted being older"),
    REAL(rho_bar, "1", 0, 1e6, "V-trace: largest weight of a transition"),
    REAL(c_bar, "1", 0, 1e6, "V-trace: largest weight in a trace"),
    BOOL(truncation_terminates, "false", "treat time limits as ends of the task: no bootstrap"),
    CHOICE(log_sigma, "independent", LOG_SIGMA_CHOICES,
           "of Gaussian actions: one trained vector, or outputs of the policy's network"),
    REAL(log_sigma_init, "0", -5, 2, "log sigma at the start"),
    OPTIMISER_OPTIONS(struct a2c_hyper, optimiser, "rmsprop_tf", "constant", "1e-5", "0.5"),
};

struct a2c {
    struct a2c_hyper hyper;
    struct actor_critic ac;
    struct optimiser value_optimiser;   /* of value_epochs */

    const struct round *round;
    int next_fragment;                  /* not learnt from yet; == n_fragments: the round is done */
    int first[2];                       /* of a part of the round: one fragment */

    /* Of the rows that are learnt from together, the round's or a part's: transition i is row order[i], and
     * CLOSE rows stand behind. CLOSE rows never meet a backward pass: they are left out, not multiplied
     * by 0, so that an extreme state behind an end spoils nothing. */
    int *order;                                       /* [max_rows] */
    real *value, *log_ratio, *advantage, *target;     /* [max_rows], by row */
    real *log_prob, *entropy, *packed_value;          /* [max_rows], by transition */
    real *dlog_prob, *dentropy, *dvalue;              /* [max_rows], by transition */
    int capacity;
    real *chunk;                                      /* [capacity][stride] rows of one pass */
    real *grad;                                       /* [n_params] summed over chunks */
};

static const real *row_at(const struct round *r, int t)
{
    return r->rows + (size_t)row_stride(r->shape) * (size_t)t;
}

/* Transitions first, then CLOSE rows. */
static void sort_rows(struct a2c *a2c, const struct round *r)
{
    int n[2] = { 0, r->n_transitions };
    for (int t = 0; t < r->n_rows; t++)
        a2c->order[n[row_at(r, t)[row_kind(r->shape)] == (real)ROW_CLOSE]++] = t;
}

/* Rows i .. end - 1 of the order, as many as fit, into `chunk`. Returns how many. */
static int load(struct a2c *a2c, const struct round *r, int i, int end)
{
    const size_t stride = (size_t)row_stride(r->shape);
    int B = end - i < a2c->capacity ? end - i : a2c->capacity;
    for (int k = 0; k < B; k++)
        memcpy(a2c->chunk + stride * (size_t)k, row_at(r, a2c->order[i + k]), stride * sizeof(real));
    return B;
}

/* log pi(a|s) and H of all transitions, and V of all rows: V(s') is the value of the row behind. Chunk by
 * chunk, so that activations stay small whatever the round's size; the last ones are kept. */
static void evaluate(struct a2c *a2c, const struct round *r)
{
    for (int i = r->n_transitions, B; i < r->n_rows; i += B) {
        B = load(a2c, r, i, r->n_rows);
        actor_critic_values(&a2c->ac, B, a2c->chunk, a2c->packed_value + i);
    }
    for (int i = 0, B; i < r->n_transitions; i += B) {
        B = load(a2c, r, i, r->n_transitions);
        actor_critic_forward(&a2c->ac, B, a2c->chunk, a2c->log_prob + i, a2c->entropy + i,
                             a2c->packed_value + i);
    }
    for (int i = 0; i < r->n_rows; i++)
        a2c->value[a2c->order[i]] = a2c->packed_value[i];
    for (int i = 0; i < r->n_transitions; i++)
        a2c->log_ratio[a2c->order[i]] =
            a2c->log_prob[i] - row_at(r, a2c->order[i])[row_log_prob(r->shape)];
}

/* A and R of every transition, constants from here on.
 *   nstep     R = sum_{i<n} gamma^i r_{t+i} + gamma^n V(s_{t+n}),  A = R - V(s_t)     A3C, algorithm S3
 *   lambda    generalised advantages                                             Schulman et al. 2016, Eq. 16
 *   V-trace   R = v_t,  A = rho_t (r_t + gamma v_{t+1} - V(s_t))                 IMPALA, Eq. 1 and 4.2 */
static void estimate(struct a2c *a2c, const struct round *r)
{
    const struct a2c_hyper *h = &a2c->hyper;
    if (h->vtrace)
        returns_vtrace(r, a2c->value, a2c->log_ratio,
                       &(struct vtrace){ h->gamma, h->lambda, h->rho_bar, h->c_bar }, a2c->advantage,
                       a2c->target);
    else
        returns_gae(r, a2c->value, h->gamma, h->lambda, h->truncation_terminates, a2c->advantage,
                    a2c->target);
}

/* L = E[ -A log pi(a|s) ] + value_coef E[ (R - V(s))^2 ] / 2 - beta E[ H(pi(.|s)) ]
 * and its derivatives in log pi, H and V. Returns L. */
static double losses(struct a2c *a2c, const struct round *r, double *metrics)
{
    const struct a2c_hyper *h = &a2c->hyper;
    const double n = r->n_transitions;
    double policy = 0, half_squares = 0, entropy = 0, rho = 0, clipped = 0;
    for (int i = 0; i < r->n_transitions; i++) {
        const int t = a2c->order[i];
        const double A = (double)a2c->advantage[t], ratio = exp((double)a2c->log_ratio[t]);
        const double error = (double)(a2c->value[t] - a2c->target[t]);
        a2c->dlog_prob[i] = (real)(-A / n);
        a2c->dentropy[i] = (real)(-h->entropy_coef / n);
        a2c->dvalue[i] = (real)(h->value_coef * error / n);
        policy -= A * (double)a2c->log_prob[i] / n;
        half_squares += 0.5 * error * error / n;
        entropy += (double)a2c->entropy[i] / n;
        rho += fmin(h->rho_bar, ratio) / n;
        clipped += ratio > 1.001 * h->rho_bar ? 1 / n : 0;    /* 1 up to rounding is not clipped */
    }
    metrics[METRIC_POLICY_LOSS] = policy;
    metrics[METRIC_VALUE_LOSS] = half_squares;
    metrics[METRIC_ENTROPY] = entropy;
    metrics[METRIC_RHO_MEAN] = rho;
    metrics[METRIC_RHO_CLIPPED] = clipped;
    return policy - h->entropy_coef * entropy + h->value_coef * half_squares;
}

/* d L / d parameters. Gradients of several chunks add up; their activations are made again. */
static void differentiate(struct a2c *a2c, const struct round *r)
{
    struct parameters *p = &a2c->ac.params;
    if (r->n_transitions <= a2c->capacity) {
        actor_critic_backward(&a2c->ac, r->n_transitions, a2c->chunk, a2c->dlog_prob, a2c->dentropy,
                              a2c->dvalue);
        return;
    }
    memset(a2c->grad, 0, p->n * sizeof(real));
    for (int i = 0, B; i < r->n_transitions; i += B) {
        B = load(a2c, r, i, r->n_transitions);
        actor_critic_forward(&a2c->ac, B, a2c->chunk, a2c->log_prob + i, a2c->entropy + i,
                             a2c->packed_value + i);
        actor_critic_backward(&a2c->ac, B, a2c->chunk, a2c->dlog_prob + i, a2c->dentropy + i,
                              a2c->dvalue + i);
        for (size_t j = 0; j < p->n; j++)
            a2c->grad[j] += p->grad[j];
    }
    memcpy(p->grad, a2c->grad, p->n * sizeof(real));
}

/* Batch actor-critic: one step of V alone towards R. The policy's gradient goes unused. */
static int fit_value(struct a2c *a2c, const struct round *r, double *metrics, struct error *err)
{
    const int part = a2c->ac.value_part;
    evaluate(a2c, r);
    estimate(a2c, r);
    losses(a2c, r, metrics);
    differentiate(a2c, r);
    if (!isfinite(metrics[METRIC_VALUE_LOSS])
        || optimiser_step(&a2c->value_optimiser, parameters_value(&a2c->ac.params, part),
                          parameters_grad(&a2c->ac.params, part), r->progress, NULL) != 0)
        return parameters_blame(&a2c->ac.params, part, part, "value loss", err);
    return 0;
}

/* What the next update learns from: the round, or in form online its next fragment, which is one
 * transition. */
static struct round next_part(struct a2c *a2c)
{
    struct round part = *a2c->round;
    if (a2c->hyper.form != A2C_ONLINE) {
        a2c->next_fragment = part.n_fragments;
        return part;
    }
    const int f = a2c->next_fragment++;
    part.rows = row_at(a2c->round, part.first[f]);
    part.n_rows = a2c->first[1] = part.first[f + 1] - part.first[f];
    part.first = a2c->first;
    part.staleness += f;
    part.n_fragments = part.n_transitions = 1;
    assert(part.n_rows == 2);    /* with its CLOSE row */
    return part;
}

/* d L / d (theta, theta_v) of rows that are sorted, and the metrics of L. Returns L. */
static double gradient_of(struct a2c *a2c, const struct round *r, double *metrics)
{
    evaluate(a2c, r);                                                 /* log pi(a_t|s_t), V(s_t)        */
    estimate(a2c, r);                                                 /* R backwards from V(s_{t_max})  */
    metrics[METRIC_EXPLAINED_VARIANCE] =
        r->n_transitions > 1 ? returns_explained_variance(r, a2c->value, a2c->target) : 0;
    const struct spread A = returns_spread(a2c->advantage, a2c->order, r->n_transitions);
    metrics[METRIC_ADVANTAGE_STD] = A.std;
    if (a2c->hyper.normalise_advantages == A2C_NORMALISE_ROUND && r->n_transitions > 1)
        returns_normalise(a2c->advantage, a2c->order, r->n_transitions, A);
    const double loss = losses(a2c, r, metrics);
    differentiate(a2c, r);                                            /* d theta, d theta_v             */
    return loss;
}

static int a2c_step(void *self, double *metrics, struct error *err)
{
    struct a2c *a2c = self;
    const struct round r = next_part(a2c);
    memset(metrics, 0, N_METRICS * sizeof(*metrics));
    metrics[METRIC_LEARNING_RATE] = actor_critic_learning_rate(&a2c->ac, r.progress);

    sort_rows(a2c, &r);
    for (int64_t i = 0; i < a2c->hyper.value_epochs; i++)             /* theta_v, batch actor-critic    */
        if (fit_value(a2c, &r, metrics, err) != 0)
            return ERR_NUMERIC;
    const double loss = gradient_of(a2c, &r, metrics);
    return actor_critic_step(&a2c->ac, r.progress, loss, &metrics[METRIC_GRAD_NORM], err);
}

/* What one of A3C's workers does between its copies of theta and theta_v, algorithm S3. */
static int a2c_gradient(void *self, const struct round *r, real *grad, double *metrics, struct error *err)
{
    struct a2c *a2c = self;
    assert(a2c->hyper.form == A2C_NSTEP && a2c->hyper.value_epochs == 0 && r->n_transitions > 0);
    a2c->round = NULL;
    memset(metrics, 0, N_METRICS * sizeof(*metrics));
    sort_rows(a2c, r);
    const double loss = gradient_of(a2c, r, metrics);
    return actor_critic_take_gradient(&a2c->ac, loss, grad, err);
}

static int a2c_apply(void *self, const real *grad, double progress, double *metrics, struct error *err)
{
    struct a2c *a2c = self;
    metrics[METRIC_LEARNING_RATE] = actor_critic_learning_rate(&a2c->ac, progress);
    return actor_critic_apply(&a2c->ac, grad, progress, &metrics[METRIC_GRAD_NORM], err);
}

static void a2c_begin(void *self, const struct round *r, struct rng *rng)
{
    struct a2c *a2c = self;
    (void)rng;
    a2c->round = r;
    a2c->next_fragment = 0;
}

static bool a2c_has_more(const void *self)
{
    const struct a2c *a2c = self;
    return a2c->round && a2c->next_fragment < a2c->round->n_fragments;
}

static void *a2c_create(const struct algorithm_setup *setup, struct arena *arena)
{
    struct a2c *a2c = arena_alloc(arena, 1, sizeof(*a2c));
    a2c->hyper = *(const struct a2c_hyper *)setup->hyper;
    const struct a2c_hyper *h = &a2c->hyper;
    const int most = setup->max_transitions;
    a2c->capacity = most < A2C_CHUNK_TRANSITIONS ? most : A2C_CHUNK_TRANSITIONS;
    actor_critic_init(&a2c->ac, setup, actor_critic_head(h->log_sigma, setup->n_choices),
                      a2c->capacity, h->log_sigma_init, &h->optimiser, h->learning_rate, arena);

    const int value = a2c->ac.value_part;
    a2c->value_optimiser = parameters_optimiser(&a2c->ac.params, value, value, &h->optimiser,
                                                h->learning_rate);
    const size_t n_value = a2c->value_optimiser.n;
    a2c->value_optimiser.m = arena_alloc(arena, n_value, sizeof(real));
    a2c->value_optimiser.v = arena_alloc(arena, n_value, sizeof(real));
    optimiser_reset(&a2c->value_optimiser);

    real **per_row[] = { &a2c->value, &a2c->log_ratio, &a2c->advantage, &a2c->target, &a2c->log_prob,
                         &a2c->entropy, &a2c->packed_value, &a2c->dlog_prob, &a2c->dentropy,
                         &a2c->dvalue };
    for (size_t i = 0; i < sizeof(per_row) / sizeof(*per_row); i++)
        *per_row[i] = arena_alloc(arena, (size_t)setup->max_rows, sizeof(real));
    a2c->order = arena_alloc(arena, (size_t)setup->max_rows, sizeof(int));
    a2c->chunk = arena_alloc(arena, (size_t)a2c->capacity * (size_t)row_stride(setup->shape),
                             sizeof(real));
    a2c->grad = arena_alloc(arena, a2c->ac.params.n, sizeof(real));
    return a2c;
}

static int check_online(const struct a2c_hyper *h, const struct settings *s, struct error *err)
{
    if (s->actor.horizon != 1)
        return error_set(err, ERR_CONFIG, "a2c.form: online learns from each transition before the next "
                         "one is acted, and actor.horizon is %lld; set actor.horizon: 1, or a2c.form: "
                         "nstep", (long long)s->actor.horizon);
    if (s->top.mode != MODE_SYNC)
        return error_set(err, ERR_CONFIG, "a2c.form: online learns from each transition before the next "
                         "one is acted, and of the modes only sync waits for that; set mode: sync, or "
                         "a2c.form: nstep");
    if (h->normalise_advantages != A2C_NORMALISE_NONE)
        return error_set(err, ERR_CONFIG, "a2c.form: online has one advantage per update, which "
                         "a2c.normalise_advantages: round would turn into 0; set it to none, or "
                         "a2c.form: nstep");
    if (h->value_epochs > 0)
        return error_set(err, ERR_CONFIG, "a2c.value_epochs is for rounds of many transitions, and "
                         "a2c.form: online updates after each; set it to 0, or a2c.form: episodes");
    return 0;
}

/* Whole episodes must fit into fragments. */
static int check_episodes(const struct settings *s, const struct env_spec *spec, struct error *err)
{
    if (s->actor.horizon >= spec->time_limit)
        return 0;
    if (spec->time_limit > SETTINGS_MAX_HORIZON)
        return error_set(err, ERR_CONFIG, "a2c.form: episodes needs whole episodes in a fragment, and %.64s has "
                         "episodes of up to %d transitions, above %d, the most that actor.horizon can be; lower "
                         "env.max_episode_steps, or set a2c.form: nstep", spec->name, spec->time_limit,
                         SETTINGS_MAX_HORIZON);
    return error_set(err, ERR_CONFIG, "a2c.form: episodes needs whole episodes in a fragment, and "
                     "actor.horizon is %lld where %.64s has episodes of up to %d transitions; set "
                     "actor.horizon: %d, or a2c.form: nstep", (long long)s->actor.horizon, spec->name,
                     spec->time_limit, spec->time_limit);
}

static int a2c_check(const void *hyper, const struct settings *s, const struct env_spec *spec,
                     struct error *err)
{
    const struct a2c_hyper *h = hyper;
    const struct vtrace v = { h->gamma, h->lambda, h->rho_bar, h->c_bar };
    if (h->vtrace && returns_check_vtrace("a2c", &v, h->truncation_terminates, err) != 0)
        return ERR_CONFIG;
    return h->form == A2C_EPISODES ? check_episodes(s, spec, err)
         : h->form == A2C_ONLINE ? check_online(h, s, err) : 0;
}

static int a2c_check_gradients(const void *hyper, const struct settings *s, struct error *err)
{
    static const char *const forms[] = { "nstep", "episodes", "online" };
    const struct a2c_hyper *h = hyper;
    (void)s;
    if (h->form != A2C_NSTEP)
        return error_set(err, ERR_CONFIG, "mode: gradients is A3C, whose actors have one gradient of all that "
                         "they collected, and a2c.form is %s; set a2c.form: nstep, or mode: sync",
                         forms[h->form]);
    if (h->value_epochs > 0)
        return error_set(err, ERR_CONFIG, "a2c.value_epochs is %lld, steps of the value function on a round, and "
                         "in mode: gradients a round stays with the actor, which takes no steps; set "
                         "a2c.value_epochs: 0, or mode: sync", (long long)h->value_epochs);
    return 0;
}

static void a2c_describe(const void *hyper, const struct env_spec *spec, struct algorithm_traits *out)
{
    const struct a2c_hyper *h = hyper;
    *out = (struct algorithm_traits){ .head = actor_critic_head(h->log_sigma, spec->n_choices), .discount = h->gamma,
                                      .takes_whole_episodes = h->form == A2C_EPISODES,
                                      .ignores_batch_size = true };
}

static const real *a2c_policy(const void *self, size_t *n)
{
    return actor_critic_policy(&((const struct a2c *)self)->ac, n);
}

static int a2c_arrays(void *self, struct array out[ALGORITHM_MAX_ARRAYS])
{
    struct a2c *a2c = self;
    struct optimiser *o = &a2c->value_optimiser;
    int n = actor_critic_arrays(&a2c->ac, out);
    if (a2c->hyper.value_epochs > 0) {
        out[n++] = (struct array){ "value_moments_m", o->m, NULL, o->n };
        out[n++] = (struct array){ "value_moments_v", o->v, NULL, o->n };
        out[n++] = (struct array){ "value_steps", NULL, &o->t, 1 };
    }
    return n;
}

static const real *a2c_gradients(const void *self, size_t *n)
{
    return actor_critic_gradients(&((const struct a2c *)self)->ac, n);
}

#define VALUES(...) (const char *const[]){ __VA_ARGS__, NULL }

static const struct preset presets[] = {
    { "", "",
      VALUES("network.hidden=[64, 64]", "network.activation=tanh", "network.init=orthogonal", "mode=sync",
             "actors=2", "envs_per_actor=8", "actor.horizon=5", "learner.normalise_observations=true",
             "learner.scale_rewards=true") },
    { "sb3", "Stable-Baselines3's defaults, normalised as its Zoo does for MuJoCo",
      VALUES("mode=sync", "actors=1", "envs_per_actor=1", "actor.horizon=5", "a2c.form=nstep",
             "a2c.learning_rate=7e-4", "a2c.lr_schedule=constant", "a2c.gamma=0.99", "a2c.lambda=1",
             "a2c.value_coef=1", "a2c.entropy_coef=0", "a2c.normalise_advantages=none",
             "a2c.optimiser=rmsprop", "a2c.rmsprop_decay=0.99", "a2c.epsilon=1e-5",
             "a2c.max_grad_norm=0.5", "a2c.log_sigma=independent", "a2c.log_sigma_init=0") },
    { "impala", "IMPALA's constants, for means over its 200 transitions, all but reward clipping",
      VALUES("mode=async", "actors=2", "envs_per_actor=1", "actor.horizon=100", "a2c.form=nstep",
             "a2c.vtrace=true", "a2c.rho_bar=1", "a2c.c_bar=1", "a2c.lambda=1", "a2c.gamma=0.99",
             "a2c.value_coef=0.5", "a2c.entropy_coef=0.00025", "a2c.learning_rate=4.8e-4",
             "a2c.lr_schedule=linear", "a2c.optimiser=rmsprop_tf", "a2c.rmsprop_decay=0.99",
             "a2c.epsilon=2.5e-6", "a2c.max_grad_norm=0") },
    { "a3c", "A3C: asynchronous workers, its t_max, discount, entropy, falling learning rate and shared RMSProp",
      VALUES("mode=gradients", "actors=8", "envs_per_actor=1", "actor.horizon=5", "transport.window=1",
             "a2c.form=nstep", "a2c.lambda=1", "a2c.gamma=0.99", "a2c.value_coef=0.5",
             "a2c.entropy_coef=0.01", "a2c.learning_rate=7e-4", "a2c.lr_schedule=linear", "a2c.optimiser=rmsprop_tf",
             "a2c.rmsprop_decay=0.99", "a2c.epsilon=1e-5", "a2c.max_grad_norm=0") },
    { "episodes", "the textbook's batch actor-critic: Monte-Carlo returns of whole episodes",
      VALUES("a2c.form=episodes", "actor.horizon=1000", "actors=2", "envs_per_actor=4",
             "a2c.lambda=1", "a2c.value_epochs=20", "a2c.normalise_advantages=round") },
    { "online", "the textbook's one-step actor-critic: an update after every transition",
      VALUES("mode=sync", "a2c.form=online", "actor.horizon=1", "actors=1", "envs_per_actor=1",
             "a2c.learning_rate=1e-4") },
    { "tuned", "our best constants: little noise at the start, a falling learning rate",
      VALUES("envs_per_actor=4", "actor.horizon=8", "a2c.learning_rate=1e-3", "a2c.lr_schedule=linear",
             "a2c.lambda=0.9", "a2c.log_sigma_init=-2") },
};

const struct algorithm a2c_algorithm = {
    .name = "a2c",
    .is_on_policy = true,
    .options = options,
    .n_options = sizeof(options) / sizeof(*options),
    .hyper_bytes = sizeof(struct a2c_hyper),
    .presets = presets,
    .n_presets = sizeof(presets) / sizeof(*presets),
    .metric_names = metric_names,
    .n_metrics = N_METRICS,
    .check = a2c_check,
    .describe = a2c_describe,
    .create = a2c_create,
    .begin = a2c_begin,
    .has_more = a2c_has_more,
    .step = a2c_step,
    .check_gradients = a2c_check_gradients,
    .gradient = a2c_gradient,
    .apply = a2c_apply,
    .policy = a2c_policy,
    .arrays = a2c_arrays,
    .gradients = a2c_gradients,
};
