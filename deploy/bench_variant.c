/* The ways of computing that learners are measured with. Whoever adds a backend, a precision or worker threads
 * adds rows to the table, hands them on in bench_variant_setup and bench_variant_products, and every table of
 * updates and products has the columns. */
#include "deploy/bench.h"

#include <stdio.h>

static const struct bench_variant known[] = {
    { "openblas", "f32", 1 },
};

int bench_variants(struct bench_variant out[BENCH_MAX_VARIANTS])
{
    int n = 0;
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        out[n++] = known[i];
    return n;
}

void bench_variant_name(const struct bench_variant *v, char out[BENCH_VARIANT_BYTES])
{
    snprintf(out, BENCH_VARIANT_BYTES, "%s %s x%d", v->backend, v->precision, v->workers);
}

void bench_variant_setup(const struct bench_variant *v, struct algorithm_setup *setup)
{
    (void)v, (void)setup;    /* there is one way */
}

void bench_variant_products(const struct bench_variant *v)
{
    (void)v;
}

enum bench_time bench_variant_time(const struct bench_variant *v)
{
    return v->workers > 1 ? BENCH_MACHINE : BENCH_THREAD;
}
