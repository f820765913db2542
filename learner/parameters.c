#include "learner/parameters.h"

#include <assert.h>
#include <math.h>

static int add(struct parameters *p, struct parameter_part part)
{
    assert(p->n_parts < PARAMETERS_MAX_PARTS && !p->value);
    part.offset = p->n;
    p->n += part.n;
    p->parts[p->n_parts] = part;
    return p->n_parts++;
}

int parameters_add_network(struct parameters *p, const char *name, const struct mlp_shape *shape)
{
    return add(p, (struct parameter_part){ .name = name, .shape = *shape, .n = mlp_n_params(shape) });
}

int parameters_add_vector(struct parameters *p, const char *name, size_t n)
{
    return add(p, (struct parameter_part){ .name = name, .n = n });
}

void parameters_alloc(struct parameters *p, struct arena *arena)
{
    p->value = arena_alloc(arena, p->n, sizeof(real));
    p->grad = arena_alloc(arena, p->n, sizeof(real));
    p->m = arena_alloc(arena, p->n, sizeof(real));
    p->v = arena_alloc(arena, p->n, sizeof(real));
}

struct optimiser parameters_optimiser(const struct parameters *p, int first, int last,
                                      const struct optimiser_hyper *hyper, double learning_rate)
{
    const struct parameter_part *a = &p->parts[first], *b = &p->parts[last];
    struct optimiser o = { .hyper = *hyper, .learning_rate = learning_rate, .m = p->m + a->offset,
                           .v = p->v + a->offset, .n = b->offset + b->n - a->offset };
    optimiser_reset(&o);
    return o;
}

static bool all_finite(const real *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return false;
    return true;
}

/* The first tensor of a network with a number that is not finite: fills `err`; 0 when there is none. */
static int blame_network(const struct parameter_part *part, const real *grad, struct error *err)
{
    const struct mlp_shape *s = &part->shape;
    for (int l = 0; l < s->n_layers; l++) {
        const size_t n_out = (size_t)s->width[l + 1];
        const bool has_norm = s->has_layer_norm && l + 1 < s->n_layers;
        const char *tensor = !all_finite(grad + mlp_weight_offset(s, l),
                                         (size_t)s->width[l] * n_out) ? "weights"
                           : !all_finite(grad + mlp_bias_offset(s, l), n_out) ? "biases"
                           : has_norm && !all_finite(grad + mlp_norm_offset(s, l), 2 * n_out)
                           ? "layer normalisation" : NULL;
        if (tensor)
            return error_set(err, ERR_NUMERIC, "the gradient of %s's layer %d %s is not finite",
                             part->name, l, tensor);
    }
    return 0;
}

int parameters_blame(const struct parameters *p, int first, int last, const char *loss,
                     struct error *err)
{
    for (int i = first; i <= last; i++) {
        const struct parameter_part *part = &p->parts[i];
        const real *grad = p->grad + part->offset;
        if (part->shape.n_layers > 0 && blame_network(part, grad, err) != 0)
            return ERR_NUMERIC;
        if (part->shape.n_layers == 0 && !all_finite(grad, part->n))
            return error_set(err, ERR_NUMERIC, "the gradient of %s is not finite", part->name);
    }
    return error_set(err, ERR_NUMERIC, "the %s is not finite", loss);
}

int parameters_arrays(const struct parameters *p, struct array *out)
{
    out[0] = (struct array){ "params", p->value, NULL, p->n };
    out[1] = (struct array){ "moments_m", p->m, NULL, p->n };
    out[2] = (struct array){ "moments_v", p->v, NULL, p->n };
    return 3;
}
