/* Nanoseconds per number of the element-wise parts of an update, on one core: normals, policy heads over a
 * batch of 256 with 6 actions, and optimisers over the parameters of two 256-256 critics.
 *
 *   bench_vector [NAME]      those whose name contains NAME */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/categorical.h"
#include "common/gaussian.h"
#include "common/rng.h"
#include "common/squashed_gaussian.h"
#include "common/vector_math.h"
#include "learner/optimiser.h"

enum { B = 256, N_ACT = 6, STRIDE = 26, N = 215 * 1000, N_WINDOWS = 41 };

static float out[B][2 * N_ACT], eps[B][2 * N_ACT], rows[B][STRIDE], dact[B][STRIDE], dout[B][2 * N_ACT];
static float logits[B][18], dlogits[B][18], choice[B], ones[B], log_prob[B], entropy[B];
static float x[4096], positive[4096], y[4096];
static float theta[N], grad[N], m[N], v[N], target[N];
static struct rng rng;
static volatile double sink;    /* keeps what nobody reads */
static struct optimiser adam = {
    .hyper = { .kind = OPTIMISER_ADAM, .epsilon = 1e-8, .beta1 = 0.9, .beta2 = 0.999, .decay = 0.99 },
    .learning_rate = 1e-4, .m = m, .v = v, .n = N,
};

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- what is measured ---- */

static void tanhs(void)
{
    memcpy(y, x, sizeof(y));
    vector_tanh(y, 4096);
}

static void exps(void)
{
    memcpy(y, x, sizeof(y));
    vector_exp(y, 4096);
}

static void logs(void)
{
    memcpy(y, positive, sizeof(y));
    vector_log(y, 4096);
}

static void softpluses(void)
{
    memcpy(y, x, sizeof(y));
    vector_softplus(y, 4096);
}

static void normals(void)
{
    rng_fill_normal(&rng, y, 2 * B * N_ACT);
}

static void squashed_sample(void)
{
    squashed_gaussian_sample(B, N_ACT, out[0], eps[0], 2 * N_ACT, rows[0], STRIDE, log_prob);
}

static void squashed_backward(void)
{
    squashed_gaussian_backward(B, N_ACT, out[0], eps[0], 2 * N_ACT, rows[0], STRIDE, dact[0], STRIDE, 0.1f,
                               dout[0]);
}

static void gauss_sample(void)
{
    gaussian_sample(B, N_ACT, out[0], N_ACT, out[0] + N_ACT, 0, eps[0], 2 * N_ACT, rows[0], STRIDE, log_prob);
}

static void gauss_log_prob(void)
{
    gaussian_log_prob(B, N_ACT, out[0], N_ACT, out[0] + N_ACT, 0, rows[0], STRIDE, log_prob, entropy);
}

static void gauss_rows_log_prob(void)
{
    gaussian_log_prob(B, N_ACT, out[0], 2 * N_ACT, out[0] + N_ACT, 2 * N_ACT, rows[0], STRIDE, log_prob,
                      entropy);
}

static void gauss_backward(void)
{
    gaussian_backward(B, N_ACT, out[0], N_ACT, out[0] + N_ACT, 0, rows[0], STRIDE, ones, ones, dout[0], N_ACT,
                      dact[0], 0);
}

static void categorical_prob_2(void)
{
    categorical_log_prob(B, 2, logits[0], choice, 1, log_prob, entropy);
}

static void categorical_prob_18(void)
{
    categorical_log_prob(B, 18, logits[0], choice, 1, log_prob, entropy);
}

static void categorical_back_18(void)
{
    categorical_backward(B, 18, logits[0], choice, 1, ones, ones, dlogits[0]);
}

static void categorical_draw_18(void)
{
    categorical_sample(B, 18, logits[0], choice, y, 1, log_prob);
}

static void squares(void)
{
    sink = sum_of_squares(grad, N);
}

static void step(int kind, double max_norm)
{
    adam.hyper.kind = kind;
    adam.hyper.max_grad_norm = max_norm;
    optimiser_step(&adam, theta, grad, 0, NULL);
}

static void adam_step(void)
{
    step(OPTIMISER_ADAM, 0);
}

static void adam_clipped(void)
{
    static double max_norm = 100;
    step(OPTIMISER_ADAM, max_norm *= 0.99);
}

static void rmsprop_step(void)
{
    step(OPTIMISER_RMSPROP, 0);
}

static void target_move(void)
{
    polyak(target, theta, N, 0.005, NULL);
}

static void adam_and_target(void)
{
    adam_step();
    target_move();
}

static const struct measured {
    const char *name;
    void (*run)(void);
    int n, repeats;
} all[] = {
    { "tanh", tanhs, 4096, 50 },
    { "exp", exps, 4096, 50 },
    { "log", logs, 4096, 50 },
    { "softplus", softpluses, 4096, 50 },
    { "normals", normals, 2 * B * N_ACT, 20 },
    { "squashed sample", squashed_sample, B * N_ACT, 50 },
    { "squashed backward", squashed_backward, B * N_ACT, 50 },
    { "gaussian sample", gauss_sample, B * N_ACT, 50 },
    { "gaussian log_prob", gauss_log_prob, B * N_ACT, 50 },
    { "gaussian log_prob, own", gauss_rows_log_prob, B * N_ACT, 50 },
    { "gaussian backward", gauss_backward, B * N_ACT, 50 },
    { "categorical log_prob 2", categorical_prob_2, B * 2, 50 },
    { "categorical log_prob 18", categorical_prob_18, B * 18, 20 },
    { "categorical backward 18", categorical_back_18, B * 18, 20 },
    { "categorical sample 18", categorical_draw_18, B * 18, 20 },
    { "sum of squares", squares, N, 3 },
    { "adam", adam_step, N, 3 },
    { "adam, clipped", adam_clipped, N, 3 },
    { "rmsprop", rmsprop_step, N, 3 },
    { "polyak", target_move, N, 3 },
    { "adam and polyak", adam_and_target, N, 3 },
};

/* ---- main ---- */

static int ascending(const void *a, const void *b)
{
    const double p = *(const double *)a, q = *(const double *)b;
    return (p > q) - (p < q);
}

static void measure(const struct measured *what)
{
    double ns[N_WINDOWS];
    what->run();
    for (int w = 0; w < N_WINDOWS; w++) {
        const double start = now_ns();
        for (int i = 0; i < what->repeats; i++)
            what->run();
        ns[w] = (now_ns() - start) / what->repeats / what->n;
    }
    qsort(ns, N_WINDOWS, sizeof(*ns), ascending);
    printf("%-24s %8.3f ns at best, %8.3f in the middle   %8.1f us for %d\n", what->name, ns[0],
           ns[N_WINDOWS / 2], ns[0] * what->n * 1e-3, what->n);
}

int main(int argc, char **argv)
{
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    rng_fill_normal(&rng, out[0], B * 2 * N_ACT);
    rng_fill_normal(&rng, eps[0], B * 2 * N_ACT);
    rng_fill_normal(&rng, dact[0], B * STRIDE);
    rng_fill_normal(&rng, logits[0], B * 18);
    rng_fill_normal(&rng, x, 4096);
    for (int i = 0; i < 4096; i++)
        positive[i] = x[i] * x[i];
    rng_fill_normal(&rng, theta, N);
    rng_fill_normal(&rng, grad, N);
    for (int b = 0; b < B; b++)
        ones[b] = 1, choice[b] = 0.5f;
    optimiser_reset(&adam);
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        if (argc < 2 || strstr(all[i].name, argv[1]))
            measure(&all[i]);
    return 0;
}
