#include "learner/deterministic.h"

#include <string.h>

#include "common/vector_math.h"

void deterministic_init(struct deterministic *d, const struct algorithm_setup *setup, int n_critics,
                        struct arena *arena)
{
    int n_obs = setup->shape.n_obs, n_act = setup->shape.n_act, B = setup->batch_size;
    d->n_obs = n_obs;
    d->n_act = n_act;
    d->ld = 2 * row_stride(setup->shape);
    d->policy_shape = mlp_shape_make(n_obs, &setup->policy, n_act);
    d->q_shape = mlp_shape_make(n_obs + n_act, &setup->critic, 1);
    mlp_cache_init(&d->policy_cache, &d->policy_shape, B, setup->engine, arena);
    for (int i = 0; i < n_critics; i++) {
        mlp_cache_init(&d->q_cache[i], &d->q_shape, B, setup->engine, arena);
        d->dq[i] = arena_alloc(arena, (size_t)B, sizeof(real));
    }
    d->y = arena_alloc(arena, (size_t)B, sizeof(real));
    d->dact = arena_alloc(arena, (size_t)B * (size_t)n_act, sizeof(real));
    d->dout = arena_alloc(arena, (size_t)B * (size_t)n_act, sizeof(real));
}

void deterministic_act(struct deterministic *d, const real *policy, int B, real *rows)
{
    const real *out = mlp_forward(&d->policy_shape, policy, B, rows, d->ld, &d->policy_cache);
    const size_t n = (size_t)B * (size_t)d->n_act;
    real *act = d->dout;    /* not yet needed */
    memcpy(act, out, n * sizeof(real));
    vector_tanh(act, n);
    for (int k = 0; k < B; k++)
        memcpy(rows + (size_t)k * (size_t)d->ld + (size_t)d->n_obs, act + k * d->n_act,
               (size_t)d->n_act * sizeof(real));
}

void deterministic_values(struct deterministic *d, real *const *q, int n, int B, const real *rows,
                          struct mlp_pass *pass, const real **out)
{
    for (int i = 0; i < n; i++) {
        pass[i] = (struct mlp_pass){ .shape = &d->q_shape, .params = q[i], .B = B, .x = rows, .ldx = d->ld,
                                     .cache = &d->q_cache[i], .dout = d->dq[i] };
        out[i] = mlp_output(&pass[i]);
    }
    mlp_forward_all(pass, n);
}

double deterministic_gradient(struct deterministic *d, const real *policy, real *q, struct batch *b,
                              real *grad)
{
    const int B = b->n;
    struct mlp_pass pass;
    const real *value;
    deterministic_act(d, policy, B, b->rows);
    deterministic_values(d, &q, 1, B, b->rows, &pass, &value);
    double loss = 0;
    for (int k = 0; k < B; k++) {
        loss -= (double)value[k] / B;
        d->dq[0][k] = -1 / (real)B;
    }

    /* d loss / d out = d loss / da (1 - a^2) */
    pass.dx = d->dact;
    pass.lddx = d->n_act;
    pass.dx_first = d->n_obs;
    mlp_backward_all(&pass, 1);
    for (int k = 0; k < B; k++)
        for (int i = 0; i < d->n_act; i++) {
            real a = b->rows[(size_t)k * (size_t)d->ld + (size_t)(d->n_obs + i)];
            d->dout[k * d->n_act + i] = d->dact[k * d->n_act + i] * (1 - a * a);
        }
    mlp_backward(&d->policy_shape, policy, B, b->rows, d->ld, &d->policy_cache, d->dout, grad, NULL, 0);
    return loss;
}

int deterministic_check(const char *name, const struct exploration *e, const struct env_spec *spec,
                        struct error *err)
{
    if (spec->n_choices > 0)
        return error_set(err, ERR_CONFIG, "%s has %d discrete actions and the policy of %s is "
                         "continuous; sac, ppo and a2c act in discrete environments", spec->name,
                         spec->n_choices, name);
    if (e->kind == EXPLORATION_ORNSTEIN_UHLENBECK && e->theta * e->dt >= 2)
        return error_set(err, ERR_CONFIG, "%s.theta x %s.dt is %g, and from 2 on the noise grows without "
                         "bound; make one of them smaller", name, name, e->theta * e->dt);
    return 0;
}
