/* Microseconds to append a fragment of 64 transitions to a full ring, to draw a batch of 256, and to tell
 * 256 priorities, on one core: rows of HalfCheetah's size in a ring of a million transitions.
 *
 *   bench_replay [CAPACITY] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "learner/replay.h"

enum { T = 64, B = 256, N_OBS = 17, N_ACT = 6, STRIDE = N_OBS + N_ACT + 3, EPISODE = 1000 };
enum { N_DRAWS = 4000 };

static float rows[T + 2][STRIDE];
static float batch[B][2][STRIDE], discount[B], weight[B], td_error[B];
static struct replay_ticket tickets[B];

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

/* The stream's next fragment; every 1000th transition is truncated.   Returns its rows. */
static int make_fragment(int64_t *step)
{
    int n = 0;
    for (int t = 0; t < T; t++) {
        bool is_end = ++*step % EPISODE == 0;
        rows[n++][STRIDE - 1] = is_end ? ROW_TRUNCATED : ROW_STEP;
        if (is_end || t + 1 == T)
            rows[n++][STRIDE - 1] = ROW_CLOSE;
    }
    return n;
}

/* Append `n` transitions.   Returns microseconds per fragment. */
static double append(struct replay *r, int64_t n)
{
    int64_t step = 0;
    double start = now_us();
    while (step < n)
        replay_append(r, rows, make_fragment(&step), T);
    return (now_us() - start) / ((double)n / T);
}

static void measure(const char *name, int64_t capacity, int n_step, bool is_prioritised)
{
    struct arena *arena = arena_create(1 << 20);
    const struct replay_setup setup = {
        .shape = { N_OBS, N_ACT }, .capacity = capacity, .horizon = T, .n_step = n_step,
        .discount = 0.99, .is_prioritised = is_prioritised, .priority_exponent = 0.6,
    };
    struct replay *r = replay_create(&setup, arena);
    struct replay_draw out = { batch[0][0], discount, weight, tickets };
    struct rng rng;
    double append_us, draw_us = 0, prioritise_us = 0;
    rng_init(&rng, 1, RNG_SAMPLE, 0, 0);
    append(r, capacity + capacity / 8);    /* full, and round once */
    append_us = append(r, capacity / 4);
    for (int k = 0; k < N_DRAWS; k++) {
        rng_fill_normal(&rng, td_error, B);
        double start = now_us();
        replay_sample(r, &rng, B, 0.4, &out);
        double middle = now_us();
        replay_prioritise(r, B, tickets, td_error);
        prioritise_us += (now_us() - middle) / N_DRAWS;
        draw_us += (middle - start) / N_DRAWS;
    }
    printf("%-22s  append %6.2f us  draw %6.1f us  prioritise %6.1f us  %4.0f MB\n", name, append_us,
           draw_us, prioritise_us, (double)replay_bytes(&setup) / 1e6);
    arena_destroy(&arena);
}

int main(int argc, char **argv)
{
    int64_t capacity = argc > 1 ? strtoll(argv[1], NULL, 10) : 1000 * 1000;
    measure("uniform", capacity, 1, false);
    measure("uniform, 3 steps", capacity, 3, false);
    measure("prioritised", capacity, 1, true);
    measure("prioritised, 3 steps", capacity, 3, true);
    return 0;
}
