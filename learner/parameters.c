#include "learner/parameters.h"

#include <assert.h>

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

void parameters_start(struct parameters *p, int part, enum mlp_start start, double last_gain,
                      struct rng *rng)
{
    const double sqrt_2 = 1.41421356237309504880;
    mlp_init(&p->parts[part].shape, parameters_value(p, part), start, sqrt_2, last_gain, rng);
}

struct optimiser parameters_optimiser(const struct parameters *p, int first, int last,
                                      const struct optimiser_hyper *hyper, double learning_rate)
{
    const struct parameter_part *a = &p->parts[first], *b = &p->parts[last];
    struct optimiser o = { .hyper = *hyper, .learning_rate = learning_rate, .m = p->m + a->offset,
                           .v = p->v + a->offset, .n = b->offset + b->n - a->offset,
                           .workers = p->workers };
    optimiser_reset(&o);
    return o;
}

/* The first tensor of a network whose gradient is not usable: fills `err`; 0 when there is none. */
static int blame_network(const struct parameter_part *part, const real *grad, struct error *err)
{
    const struct mlp_shape *s = &part->shape;
    for (int l = 0; l < s->n_layers; l++) {
        const size_t n_out = (size_t)s->width[l + 1];
        const bool has_norm = s->has_layer_norm && l + 1 < s->n_layers;
        const real *w = grad + mlp_weight_offset(s, l), *b = grad + mlp_bias_offset(s, l);
        const real *gain = grad + mlp_norm_offset(s, l), *offset = gain + n_out;
        const char *tensor = !gradient_is_usable(w, (size_t)s->width[l] * n_out) ? "weights"
                           : !gradient_is_usable(b, n_out) ? "biases"
                           : has_norm && !gradient_is_usable(gain, n_out) ? "normalisation gain"
                           : has_norm && !gradient_is_usable(offset, n_out) ? "normalisation offset"
                           : NULL;
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
        if (part->shape.n_layers == 0 && !gradient_is_usable(grad, part->n))
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
