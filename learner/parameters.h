/* Everything that an algorithm trains, in one arena: part after part, each a network or a vector, with
 * gradients and moments laid out the same. So an optimiser sweep, a hash, a broadcast or a checkpoint is
 * one pass, and a number that is not finite can be called by its tensor's name. */
#ifndef SHOAL_LEARNER_PARAMETERS_H
#define SHOAL_LEARNER_PARAMETERS_H

#include "common/algorithm.h"
#include "learner/optimiser.h"

enum { PARAMETERS_MAX_PARTS = 8 };

struct parameter_part {
    const char *name;
    struct mlp_shape shape;     /* n_layers 0: a plain vector */
    size_t offset, n;
};

struct parameters {
    size_t n;
    real *value, *grad;         /* [n] */
    real *m, *v;                /* [n] moments of the optimisers */
    struct workers *workers;    /* of the optimisers over it; NULL: none */
    int n_parts;
    struct parameter_part parts[PARAMETERS_MAX_PARTS];
};

/* Describe the parts, starting from { 0 } or from workers alone; then allocate once. Return the part's number. */
int parameters_add_network(struct parameters *p, const char *name, const struct mlp_shape *shape);
int parameters_add_vector(struct parameters *p, const char *name, size_t n);
void parameters_alloc(struct parameters *p, struct arena *arena);

/* Start the network that is part `part`. With MLP_START_ORTHOGONAL hidden layers have gain sqrt(2), the last
 * one has `last_gain`. */
void parameters_start(struct parameters *p, int part, enum mlp_start start, double last_gain,
                      struct rng *rng);

/* Where part `part` begins. */
static inline real *parameters_value(const struct parameters *p, int part)
{
    return p->value + p->parts[part].offset;
}
static inline real *parameters_grad(const struct parameters *p, int part)
{
    return p->grad + p->parts[part].offset;
}

/* An optimiser over parts first to last. */
struct optimiser parameters_optimiser(const struct parameters *p, int first, int last,
                                      const struct optimiser_hyper *hyper, double learning_rate);

/* Fill `err` with ERR_NUMERIC and the name of the first gradient of parts first to last that is not usable
 * (optimiser.h): "the gradient of q1's layer 2 weights is not finite". Layers count from 0 and have weights,
 * biases, a normalisation gain and a normalisation offset. Where all are usable, it is the loss, called
 * `loss`. Returns ERR_NUMERIC. */
int parameters_blame(const struct parameters *p, int first, int last, const char *loss,
                     struct error *err);

/* The arrays "params", "moments_m", "moments_v". Returns 3. */
int parameters_arrays(const struct parameters *p, struct array *out);

#endif
