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

/* Its number `i`. */
double golden_at(const struct safetensors *file, const char *name, size_t i);

/* max |x - expected| against max |expected|; infinite when a number is not finite. */
double worst_relative(const real *x, const double *expected, size_t n);

/* ||x - expected|| against the way travelled from `start`. */
double share_of_way(const real *x, const double *expected, const double *start, size_t n);

/* ||x[begin .. end - 1]|| */
double golden_norm(const double *x, size_t begin, size_t end);

/* Fail unless every number is within `tolerance` of the largest expected one; `what` is told. */
void golden_check(const char *what, const real *x, const double *expected, size_t n, double tolerance);

/* The same for every tensor of a network, each against its own scale.
 *   grad, expected   where the network's part begins
 * Returns how many numbers the network has. */
size_t golden_check_network(const char *what, const struct mlp_shape *s, const real *grad,
                            const double *expected, double tolerance);

/* An algorithm's array by name; it must exist. */
struct array golden_array(const struct algorithm *a, void *self, const char *name);

/* Set an array to tensor `name`, of as many numbers. */
void golden_overwrite(struct array a, const struct safetensors *file, const char *name);

/* Fail unless an array is within `tolerance` of the way from tensor `start` to tensor `expected`. */
void golden_check_way(const char *what, struct array a, const struct safetensors *file,
                      const char *expected, const char *start, double tolerance);

#endif
