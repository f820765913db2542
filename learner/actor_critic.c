#include "learner/actor_critic.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/categorical.h"
#include "common/gaussian.h"
#include "common/squashed_gaussian.h"

/* Rows of one pass over a whole round: enough for the matrix products to be large. */
enum { CHUNK = 256 };

static const struct mlp_shape *policy_net(const struct actor_critic *ac)
{
    return &ac->params.parts[ac->policy_part].shape;
}

static const struct mlp_shape *value_net(const struct actor_critic *ac)
{
    return &ac->params.parts[ac->value_part].shape;
}

static struct mlp_pass policy_pass(struct actor_critic *ac, int B, const real *rows)
{
    return (struct mlp_pass){ .shape = policy_net(ac), .params = parameters_value(&ac->params, ac->policy_part),
                              .B = B, .x = rows, .ldx = ac->stride, .cache = &ac->policy_cache };
}

static struct mlp_pass value_pass(struct actor_critic *ac, int B, const real *rows)
{
    return (struct mlp_pass){ .shape = value_net(ac), .params = parameters_value(&ac->params, ac->value_part),
                              .B = B, .x = rows, .ldx = ac->stride, .cache = &ac->value_cache };
}

/* ---- distributions ---- */

/* Where a Gaussian head keeps its log sigma, and the distance between its rows' means and sigmas. */
struct gaussian_place {
    const real *log_sigma;
    int ldm, lds;
};

static struct gaussian_place place_of(const struct actor_critic *ac, const real *out)
{
    const int n_act = ac->shape.n_act;
    if (ac->head == HEAD_GAUSSIAN)
        return (struct gaussian_place){ parameters_value(&ac->params, ac->sigma_part), n_act, 0 };
    return (struct gaussian_place){ out + n_act, 2 * n_act, 2 * n_act };
}

static void log_prob_of(const struct actor_critic *ac, int B, const real *out, const real *rows,
                        real *log_prob, real *entropy)
{
    const real *act = rows + row_act(ac->shape);
    if (ac->head == HEAD_CATEGORICAL) {
        categorical_log_prob(B, ac->n_choices, out, act, ac->stride, log_prob, entropy);
        return;
    }
    const struct gaussian_place p = place_of(ac, out);
    gaussian_log_prob(B, ac->shape.n_act, out, p.ldm, p.log_sigma, p.lds, act, ac->stride, log_prob,
                      entropy);
}

/* Into ac->dout, and into the gradient of a free log sigma. */
static void distribution_backward(struct actor_critic *ac, int B, const real *out, const real *rows,
                                  const real *dlog_prob, const real *dentropy)
{
    const real *act = rows + row_act(ac->shape);
    if (ac->head == HEAD_CATEGORICAL) {
        categorical_backward(B, ac->n_choices, out, act, ac->stride, dlog_prob, dentropy, ac->dout);
        return;
    }
    const struct gaussian_place p = place_of(ac, out);
    real *dlog_sigma = p.lds ? ac->dout + ac->shape.n_act
                             : parameters_grad(&ac->params, ac->sigma_part);
    gaussian_backward(B, ac->shape.n_act, out, p.ldm, p.log_sigma, p.lds, act, ac->stride, dlog_prob,
                      dentropy, ac->dout, p.ldm, dlog_sigma, p.lds);
}

/* ---- passes ---- */

void actor_critic_values(struct actor_critic *ac, int n, const real *rows, real *value)
{
    for (int done = 0, B; done < n; done += B) {
        B = n - done < ac->capacity ? n - done : ac->capacity;
        const struct mlp_pass pass = value_pass(ac, B, rows + (size_t)done * (size_t)ac->stride);
        mlp_forward_all(&pass, 1);
        memcpy(value + done, mlp_output(&pass), (size_t)B * sizeof(real));
    }
}

void actor_critic_log_probs(struct actor_critic *ac, int n, const real *rows, real *log_prob)
{
    for (int done = 0, B; done < n; done += B) {
        B = n - done < ac->capacity ? n - done : ac->capacity;
        const real *chunk = rows + (size_t)done * (size_t)ac->stride;
        const struct mlp_pass pass = policy_pass(ac, B, chunk);
        mlp_forward_all(&pass, 1);
        log_prob_of(ac, B, mlp_output(&pass), chunk, log_prob + done, ac->unwanted);
    }
}

void actor_critic_forward(struct actor_critic *ac, int B, const real *rows, real *log_prob,
                          real *entropy, real *value)
{
    assert(B <= ac->capacity);
    const bool has_policy = log_prob || entropy;
    const struct mlp_pass pass[2] = { policy_pass(ac, B, rows), value_pass(ac, B, rows) };
    mlp_forward_all(pass + !has_policy, has_policy + (value != NULL));
    if (has_policy)
        log_prob_of(ac, B, mlp_output(&pass[0]), rows, log_prob ? log_prob : ac->unwanted,
                    entropy ? entropy : ac->unwanted);
    if (value)
        memcpy(value, mlp_output(&pass[1]), (size_t)B * sizeof(real));
}

void actor_critic_backward(struct actor_critic *ac, int B, const real *rows, const real *dlog_prob,
                           const real *dentropy, const real *dvalue)
{
    struct mlp_pass pass[2] = { policy_pass(ac, B, rows), value_pass(ac, B, rows) };
    distribution_backward(ac, B, mlp_output(&pass[0]), rows, dlog_prob, dentropy);
    pass[0].dout = ac->dout;
    pass[0].grad = parameters_grad(&ac->params, ac->policy_part);
    pass[1].dout = dvalue;
    pass[1].grad = parameters_grad(&ac->params, ac->value_part);
    mlp_backward_all(pass, 2);
}

/* Back to the bounds, beyond which a free log sigma has no gradient and would stay for good. */
static void bound_log_sigma(struct actor_critic *ac)
{
    real *sigma = ac->head == HEAD_GAUSSIAN ? parameters_value(&ac->params, ac->sigma_part) : NULL;
    for (int i = 0; sigma && i < ac->shape.n_act; i++)
        sigma[i] = log_sigma_clamp(sigma[i]);
}

int actor_critic_step(struct actor_critic *ac, double progress, double loss, double *norm,
                      struct error *err)
{
    if (isfinite(loss) && optimiser_step(&ac->optimiser, ac->params.value, ac->params.grad, progress,
                                         norm) == 0) {
        bound_log_sigma(ac);
        return 0;
    }
    return parameters_blame(&ac->params, 0, ac->params.n_parts - 1, "loss", err);
}

int actor_critic_take_gradient(struct actor_critic *ac, double loss, real *grad, struct error *err)
{
    const struct parameters *p = &ac->params;
    if (!isfinite(loss) || !gradient_is_usable(p->grad, p->n))
        return parameters_blame(p, 0, p->n_parts - 1, "loss", err);
    memcpy(grad, p->grad, p->n * sizeof(real));
    return 0;
}

int actor_critic_apply(struct actor_critic *ac, const real *grad, double progress, double *norm,
                       struct error *err)
{
    memcpy(ac->params.grad, grad, ac->params.n * sizeof(real));
    return actor_critic_step(ac, progress, 0, norm, err);
}

double actor_critic_learning_rate(const struct actor_critic *ac, double progress)
{
    const struct optimiser *o = &ac->optimiser;
    return o->learning_rate * schedule_factor((enum schedule)o->hyper.schedule, progress);
}

/* ---- life ---- */

enum policy_head actor_critic_head(int log_sigma, int n_choices)
{
    return n_choices > 0 ? HEAD_CATEGORICAL
         : log_sigma == LOG_SIGMA_OF_STATE ? HEAD_GAUSSIAN_OF_STATE : HEAD_GAUSSIAN;
}

static void start_networks(struct actor_critic *ac, const struct algorithm_setup *setup,
                           double log_sigma)
{
    const struct mlp_shape *policy = policy_net(ac);
    const int n_act = ac->shape.n_act;
    real *theta = parameters_value(&ac->params, ac->policy_part);
    struct rng rng;
    rng_init(&rng, setup->seed, RNG_INIT, 0, 0);
    parameters_start(&ac->params, ac->policy_part, setup->start, 0.01, &rng);
    parameters_start(&ac->params, ac->value_part, setup->start, 1, &rng);
    real *sigma = ac->head == HEAD_GAUSSIAN ? parameters_value(&ac->params, ac->sigma_part)
                : ac->head == HEAD_GAUSSIAN_OF_STATE
                ? theta + mlp_bias_offset(policy, policy->n_layers - 1) + n_act : NULL;
    for (int i = 0; sigma && i < n_act; i++)
        sigma[i] = (real)log_sigma;
}

void actor_critic_init(struct actor_critic *ac, const struct algorithm_setup *setup,
                       enum policy_head head, int capacity, double log_sigma,
                       const struct optimiser_hyper *hyper, double learning_rate,
                       struct arena *arena)
{
    assert(head == HEAD_CATEGORICAL || head == HEAD_GAUSSIAN || head == HEAD_GAUSSIAN_OF_STATE);
    const int n_out = policy_head_outputs(head, setup->shape.n_act, setup->n_choices);
    const struct mlp_shape policy = mlp_shape_make(setup->shape.n_obs, &setup->policy, n_out);
    const struct mlp_shape value = mlp_shape_make(setup->shape.n_obs, &setup->critic, 1);
    *ac = (struct actor_critic){ .shape = setup->shape, .stride = row_stride(setup->shape),
                                 .n_choices = setup->n_choices, .head = head, .sigma_part = -1,
                                 .capacity = capacity > CHUNK ? capacity : CHUNK };
    ac->params.workers = algorithm_workers(setup);
    ac->policy_part = parameters_add_network(&ac->params, "policy", &policy);
    if (head == HEAD_GAUSSIAN)
        ac->sigma_part = parameters_add_vector(&ac->params, "log_sigma", (size_t)setup->shape.n_act);
    ac->value_part = parameters_add_network(&ac->params, "value", &value);
    parameters_alloc(&ac->params, arena);
    start_networks(ac, setup, log_sigma);
    ac->optimiser = parameters_optimiser(&ac->params, 0, ac->params.n_parts - 1, hyper,
                                         learning_rate);

    mlp_cache_init(&ac->policy_cache, policy_net(ac), ac->capacity, setup->engine, arena);
    mlp_cache_init(&ac->value_cache, value_net(ac), ac->capacity, setup->engine, arena);
    ac->dout = arena_alloc(arena, (size_t)ac->capacity * (size_t)n_out, sizeof(real));
    ac->unwanted = arena_alloc(arena, (size_t)ac->capacity, sizeof(real));
}

const real *actor_critic_policy(const struct actor_critic *ac, size_t *n)
{
    *n = ac->params.parts[ac->value_part].offset;
    return ac->params.value;
}

const real *actor_critic_gradients(const struct actor_critic *ac, size_t *n)
{
    *n = ac->params.n;
    return ac->params.grad;
}

int actor_critic_arrays(struct actor_critic *ac, struct array out[ALGORITHM_MAX_ARRAYS])
{
    int n = parameters_arrays(&ac->params, out);
    out[n++] = (struct array){ "steps", NULL, &ac->optimiser.t, 1 };
    return n;
}
