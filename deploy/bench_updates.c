/* Updates per second of every algorithm, in every variant this machine can run, and what part their nominal matrix
 * products are of what one core reaches at most, with the unit that computes them: fused multiply-adds in f32,
 * AVX512_BF16 or AMX otherwise. */
#include <math.h>
#include <string.h>

#include "deploy/bench_learner.h"
#include "learner/algorithms.h"

static const struct bench_case cases[] = {
    { "ppo 64-64 b64", &ppo_algorithm, "64, 64", "tanh", 64, 1, 2048 },
    { "ppo 256-256 b1024", &ppo_algorithm, "256, 256", "tanh", 1024, 1, 2048 },
    { "a2c 64-64 b64", &a2c_algorithm, "64, 64", "tanh", 64, 8, 8 },
    { "a2c 256-256 b1024", &a2c_algorithm, "256, 256", "tanh", 1024, 64, 16 },
    { "ddpg 64-64 b100", &ddpg_algorithm, "64, 64", "relu", 100, 0, 0 },
    { "ddpg 256-256 b256", &ddpg_algorithm, "256, 256", "relu", 256, 0, 0 },
    { "td3 64-64 b100", &td3_algorithm, "64, 64", "relu", 100, 0, 0 },
    { "td3 256-256 b256", &td3_algorithm, "256, 256", "relu", 256, 0, 0 },
    { "sac 64-64 b100", &sac_algorithm, "64, 64", "relu", 100, 0, 0 },
    { "sac 256-256 b256", &sac_algorithm, "256, 256", "relu", 256, 0, 0 },
};
enum { N_CASES = sizeof(cases) / sizeof(*cases) };

/* One figure. */
static int measure(struct bench *b, const struct bench_case *c, const struct bench_variant *v, struct error *err)
{
    const struct bench_plan plan = bench_plan_make(b, 1, bench_variant_time(v));
    struct bench_learner learner;
    struct bench_result r;
    int rc = bench_learner_create(&learner, c, v, err);
    if (rc == 0) {
        const struct bench_work work = { bench_learner_update, &learner, -1 };
        rc = bench_measure(&plan, &work, 1, &r, err);
    }
    if (rc == 0)
        bench_cell(b, &r, bench_share(b, v->kernels, r.median * learner.flops * 1e-9));
    bench_learner_destroy(&learner);
    return rc;
}

int bench_updates(struct bench *b, struct error *err)
{
    struct bench_variant variants[BENCH_MAX_VARIANTS];
    char names[BENCH_MAX_COLUMNS][BENCH_VARIANT_BYTES];
    const char *columns[BENCH_MAX_COLUMNS];
    int n = bench_variants(variants);
    n = n < BENCH_MAX_COLUMNS ? n : BENCH_MAX_COLUMNS;
    for (int i = 0; i < n; i++) {
        bench_variant_name(&variants[i], names[i]);
        columns[i] = names[i];
    }
    const struct bench_table table = { .group = "updates", .title = "updates, 17 observations and 6 actions",
                                       .unit = "updates/s", .share_of = "one core's peak",
                                       .columns = columns, .n_columns = n };
    int rc = bench_peaks(b, err);
    bench_begin_table(b, &table);
    for (int i = 0; i < N_CASES && rc == 0; i++) {
        if (!bench_wants(b, cases[i].name))
            continue;
        bench_begin_row(b, cases[i].name);
        for (int k = 0; k < n && rc == 0; k++)
            rc = measure(b, &cases[i], &variants[k], err);
        bench_end_row(b);
    }
    return rc;
}
