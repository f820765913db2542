/* The ways of computing that learners are measured with: every set of kernels that this CPU can run, with one
 * thread and with all cores. */
#include "deploy/bench.h"

#include <stdio.h>

#include "deploy/cores.h"

int bench_variants(struct bench_variant out[BENCH_MAX_VARIANTS])
{
    const int cores = cores_available() < WORKERS_MAX ? cores_available() : WORKERS_MAX;
    int n = 0;
    for (int i = 0; kernels_all[i]; i++)
        for (int workers = 1; workers <= cores; workers += cores > 1 ? cores - 1 : 1)
            if (kernels_all[i]->is_supported() && n < BENCH_MAX_VARIANTS)
                out[n++] = (struct bench_variant){ kernels_all[i], workers };
    return n;
}

void bench_variant_name(const struct bench_variant *v, char out[BENCH_VARIANT_BYTES])
{
    snprintf(out, BENCH_VARIANT_BYTES, "%s %s x%d", v->kernels->name, precision_name(v->kernels->precision),
             v->workers);
}

struct mlp_engine bench_variant_engine(const struct bench_variant *v)
{
    return (struct mlp_engine){ v->kernels, v->workers > 1 ? workers_create(v->workers) : NULL };
}

enum bench_time bench_variant_time(const struct bench_variant *v)
{
    return v->workers > 1 ? BENCH_MACHINE : BENCH_THREAD;
}
