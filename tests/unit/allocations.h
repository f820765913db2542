/* Counts what a test program allocates, by standing before glibc's own functions; one source of a program
 * includes it. Sanitizers keep malloc to themselves: then COUNTS_ALLOCATIONS is 0 and nothing is counted. */
#ifndef SHOAL_TESTS_ALLOCATIONS_H
#define SHOAL_TESTS_ALLOCATIONS_H

#include <stdlib.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 0
static const long n_allocations = 0;
#else
#define COUNTS_ALLOCATIONS 1
static long n_allocations;
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
void *malloc(size_t bytes) { n_allocations++; return __libc_malloc(bytes); }
void *calloc(size_t n, size_t bytes) { n_allocations++; return __libc_calloc(n, bytes); }
void *realloc(void *old, size_t bytes) { n_allocations++; return __libc_realloc(old, bytes); }
#endif

#endif
