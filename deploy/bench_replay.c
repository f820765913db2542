/* Microseconds to append a fragment of 64 transitions to a full ring, to draw a batch of 256, and to tell
 * 256 priorities, on one core: rows of HalfCheetah's size in a ring of a million transitions. */
#include "deploy/bench.h"

#include <math.h>
#include <stdlib.h>

#include "common/arena.h"
#include "learner/replay.h"

enum { T = 64, B = 256, N_OBS = 17, N_ACT = 6, STRIDE = N_OBS + N_ACT + 3, EPISODE = 1000,
       CAPACITY = 1000000,
       PARTS = 3 };             /* of b->seconds, one of them a window */
enum { LOOK_EVERY = 16 };

static const struct {
    const char *name;
    int n_step;
    bool is_prioritised;
} cases[] = {
    { "uniform", 1, false }, { "uniform, 3 steps", 3, false },
    { "prioritised", 1, true }, { "prioritised, 3 steps", 3, true },
};
enum { N_CASES = sizeof(cases) / sizeof(*cases) };

struct subject {
    struct replay *replay;
    struct rng rng;
    int64_t step;                           /* of the stream that is appended */
    float rows[T + 2][STRIDE];
    float batch[B][2][STRIDE], discount[B], weight[B], td_error[B];
    struct replay_ticket tickets[B];
};

/* The stream's next fragment; every 1000th transition is truncated.   Returns its rows. */
static int make_fragment(struct subject *s)
{
    int n = 0;
    for (int t = 0; t < T; t++) {
        const bool is_end = ++s->step % EPISODE == 0;
        s->rows[n++][STRIDE - 1] = is_end ? ROW_TRUNCATED : ROW_STEP;
        if (is_end || t + 1 == T)
            s->rows[n++][STRIDE - 1] = ROW_CLOSE;
    }
    return n;
}

static int run_append(void *context, struct bench_window *w, struct error *err)
{
    struct subject *s = context;
    (void)err;
    for (int k = 0; k < LOOK_EVERY; k++)
        replay_append(s->replay, s->rows, make_fragment(s), T);
    w->units += LOOK_EVERY;
    return 0;
}

static void draw(struct subject *s)
{
    struct replay_draw out = { s->batch[0][0], s->discount, s->weight, s->tickets };
    replay_sample(s->replay, &s->rng, B, 0.4, &out);
}

static int run_draw(void *context, struct bench_window *w, struct error *err)
{
    (void)err;
    draw(context);
    w->units += 1;
    return 0;
}

/* The draw before it is outside of the window. */
static int run_prioritise(void *context, struct bench_window *w, struct error *err)
{
    struct subject *s = context;
    (void)err;
    bench_pause(w);
    draw(s);
    rng_fill_normal(&s->rng, s->td_error, B);
    bench_resume(w);
    replay_prioritise(s->replay, B, s->tickets, s->td_error);
    w->units += 1;
    return 0;
}

static int measure(struct bench *b, int n_step, bool is_prioritised, struct bench_result r[3],
                   struct error *err)
{
    struct arena *arena = arena_create(1 << 20);
    struct subject *s = memory_alloc(1, sizeof(*s));
    const struct replay_setup setup = {
        .shape = { N_OBS, N_ACT }, .capacity = CAPACITY, .horizon = T, .n_step = n_step,
        .discount = 0.99, .is_prioritised = is_prioritised, .priority_exponent = 0.6,
    };
    const struct bench_plan plan = bench_plan_make(b, PARTS, BENCH_THREAD);
    const struct bench_work works[] = { { run_append, s, -1 }, { run_draw, s, -1 }, { run_prioritise, s, -1 } };
    s->replay = replay_create(&setup, arena);
    rng_init(&s->rng, 1, RNG_SAMPLE, 0, 0);
    while (s->step < CAPACITY + CAPACITY / 8)    /* full, and round once */
        replay_append(s->replay, s->rows, make_fragment(s), T);
    int rc = bench_measure(&plan, works, is_prioritised ? 3 : 2, r, err);
    free(s);
    arena_destroy(&arena);
    return rc;
}

int bench_replay(struct bench *b, struct error *err)
{
    static const char *const columns[] = { "append 64", "draw 256", "prioritise 256" };
    static const struct bench_table table = { .group = "replay", .title = "a ring of a million transitions",
                                              .unit = "us", .columns = columns, .n_columns = 3 };
    int rc = 0;
    bench_begin_table(b, &table);
    for (int i = 0; i < N_CASES && rc == 0; i++) {
        struct bench_result r[3] = { bench_none(), bench_none(), bench_none() };
        if (!bench_wants(b, cases[i].name))
            continue;
        bench_begin_row(b, cases[i].name);
        rc = measure(b, cases[i].n_step, cases[i].is_prioritised, r, err);
        for (int k = 0; k < 3 && rc == 0; k++) {
            r[k] = bench_as_time(r[k], 1e6);
            bench_cell(b, &r[k], (double)NAN);
        }
        bench_end_row(b);
    }
    return rc;
}
