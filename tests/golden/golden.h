/* What golden tests share: numbers from a .safetensors file beside them, and how to compare with them. */
#ifndef SHOAL_TESTS_GOLDEN_GOLDEN_H
#define SHOAL_TESTS_GOLDEN_GOLDEN_H

#include "common/algorithm.h"
#include "common/safetensors.h"
#include "tests/support.h"

/* tests/golden/<name>.safetensors; for safetensors_close. */
struct safetensors *golden_open(const char *name);

/* How many numbers a tensor has; its numbers, for free(). Every tensor is of float64. */
size_t golden_count(const struct safetensors *file, const char *name);
double *golden(const struct safetensors *file, const char *name);
real *golden_real(const struct safetensors *file, const char *name);
int *golden_int(const struct safetensors *file, const char *name);

/* Its number `i`. */
double golden_at(const struct safetensors *file, const char *name, size_t i);

/* How far results may be from the references, by how the kernels at hand round (golden.c says why). */
struct golden_limits {
    double output;      /* a network's outputs, of the largest */
    double value;       /* losses and other metrics of the first update, td errors */
    double later;       /* of the updates behind it; infinite: they are not compared */
    double share;       /* metrics that are shares of a batch's rows */
    double gradient;    /* of a tensor's largest number; `in_norm`: of its norm */
    bool in_norm;
    double way;         /* parameters, of the way they went */
};
const struct golden_limits *golden_limits(void);

/* max |x - expected| against max |expected|; infinite when a number is not finite. */
double worst_relative(const real *x, const double *expected, size_t n);

/* ||x - expected|| against the way travelled from `start`. */
double share_of_way(const real *x, const double *expected, const double *start, size_t n);

/* ||x[begin .. end - 1]|| */
double golden_norm(const double *x, size_t begin, size_t end);

/* Fail unless every number is within `tolerance` of the largest expected one; `what` is told. */
void golden_check(const char *what, const real *x, const double *expected, size_t n, double tolerance);

/* Fail unless a tensor of a gradient is within golden_limits. */
void golden_check_gradient(const char *what, const real *grad, const double *expected, size_t n);

/* The same for every tensor of a network, each against its own scale.
 *   grad, expected   where the network's part begins
 * Returns how many numbers the network has. */
size_t golden_check_network(const char *what, const struct mlp_shape *s, const real *grad,
                            const double *expected);

/* Fail unless a gradient's norm, `x`, is that of expected[begin .. end - 1]. */
void golden_check_norm(double x, const double *expected, size_t begin, size_t end);

/* An algorithm's array by name; it must exist. */
struct array golden_array(const struct algorithm *a, void *self, const char *name);

/* Set an array to tensor `name`, of as many numbers. */
void golden_overwrite(struct array a, const struct safetensors *file, const char *name);

/* Fail unless an array is within golden_limits of the way from tensor `start` to tensor `expected`. */
void golden_check_way(const char *what, struct array a, const struct safetensors *file,
                      const char *expected, const char *start);

/* ---- an algorithm from the start that a file holds ---- */

/* Between golden_case_open and golden_case_create a test sets the setup; afterwards the algorithm stands at
 * "params0" and, where there are any, "targets0". */
struct golden_case {
    const struct algorithm *algorithm;
    const char *name;                  /* the file's */
    struct safetensors *file;
    struct arena *arena;
    struct algorithm_setup setup;
    void *self;
    struct array params, targets;
    real *rows;                        /* of all updates */
    double metrics[ALGORITHM_MAX_METRICS];
};

void golden_case_open(struct golden_case *c, const struct algorithm *algorithm, const char *name);
void golden_case_create(struct golden_case *c);
void golden_case_close(struct golden_case *c);

/* A network's body without layer normalisation.
 *   sizes   n_hidden hidden[2] activation (0 relu, 1 tanh, 2 silu) */
struct mlp_body golden_body(const double *sizes);

/* A metric by its name; it must exist. */
double golden_metric(const struct golden_case *c, const char *name);

/* Fail unless each metric is within golden_limits of row `update` of tensor "metrics" [n_updates][n]. A mean
 * that cancels is compared with a typical value instead, 0 for none. */
struct golden_column { const char *name; double typical; };
void golden_check_metrics(const struct golden_case *c, int update, const struct golden_column *columns, int n);

/* Fail unless the gradients of policy, free log sigma and value are those of tensor "gradients". */
void golden_check_actor_critic(const struct golden_case *c);

#endif
