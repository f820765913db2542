/* Fixed pieces of work whose instructions are counted, by instructions.py under valgrind: what was made slower
 * shows on any machine, also on a busy one. Everything runs with AVX2, the widest vectors that valgrind knows.
 *
 *   instructions          a line for each case: its name, and the function within which instructions count
 *   instructions CASE     do that work */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor/env.h"
#include "common/arena.h"
#include "common/digest.h"
#include "common/dispatch.h"
#include "common/kernels.h"
#include "common/matrix.h"
#include "common/row_kernel.h"
#include "deploy/bench_actor.h"
#include "deploy/bench_learner.h"
#include "deploy/program.h"
#include "learner/algorithms.h"
#include "proto/message.h"

enum { T = 64, N_OBS = BENCH_N_OBS, N_ACT = BENCH_N_ACT, STRIDE = N_OBS + N_ACT + 3 };

/* The only function within which the work of most cases counts: never inlined, never renamed. */
static void measured(void (*work)(void *), void *context) __attribute__((noipa));
static void measured(void (*work)(void *), void *context)
{
    work(context);
}

static void insist(int rc, const struct error *err)
{
    if (rc == 0)
        return;
    fprintf(stderr, "instructions: %s\n", err->text);
    exit(EXIT_FAILURE);
}

/* ---- updates ---- */

struct updates {
    struct bench_learner learner;
    int n;
};

static void do_updates(void *context)
{
    struct updates *u = context;
    struct bench_window w = { .time = BENCH_THREAD };
    struct error err;
    for (int i = 0; i < u->n; i++)
        insist(bench_learner_update(&u->learner, &w, &err), &err);
}

static void count_updates(const struct bench_case *c, int n)
{
    struct updates *u = memory_alloc(1, sizeof(*u));
    struct error err;
    struct bench_variant v = { .workers = 1 };
    insist(kernels_find("avx2", PRECISION_F32, &v.kernels, &err), &err);
    insist(bench_learner_create(&u->learner, c, &v, &err), &err);
    u->n = n;
    measured(do_updates, u);
    bench_learner_destroy(&u->learner);
    free(u);
}

static void sac(void)
{
    const struct bench_case c = { "sac 256-256 b256", &sac_algorithm, "256, 256", "relu", 256, 0, 0 };
    count_updates(&c, 2);
}

static void td3(void)
{
    const struct bench_case c = { "td3 256-256 b256", &td3_algorithm, "256, 256", "relu", 256, 0, 0 };
    count_updates(&c, 2);
}

static void ppo(void)
{
    const struct bench_case c = { "ppo 64-64 b64", &ppo_algorithm, "64, 64", "tanh", 64, 1, 2048 };
    count_updates(&c, 64);    /* two of a round's ten epochs */
}

/* ---- acting ---- */

/* Counted within actor_step: the learner's side, and what the clock has a part in, is outside. */
static void count_steps(const char *environment, int n_calls)
{
    struct bench_window w = { .time = BENCH_THREAD };
    struct env_model *model = NULL;
    struct bench_actor *actor = NULL;
    struct error err;
    insist(env_open(&model, &(struct env_setup){ .name = environment, .models_dir = program_models_dir() }, &err),
           &err);
    const struct mlp_body body = { 2, { 256, 256 }, ACTIVATION_RELU, false };
    insist(bench_actor_create(&actor, model, &body, 32, T, &err), &err);
    for (int i = 0; i < n_calls; i++)    /* each at least 64 steps */
        insist(bench_actor_run(actor, &w, &err), &err);
    bench_actor_destroy(&actor);
    env_close(&model);
}

static void cartpole(void)
{
    count_steps("CartPole-v1", 30);
}

static void half_cheetah(void)
{
    count_steps("HalfCheetah-v5", 10);
}

static void do_rows(void *context)
{
    float *const *x = context;
    static float y[32 * 256];
    const float *rows[32];
    for (int i = 0; i < 32; i++)
        rows[i] = x[0] + (size_t)i * 256;
    for (int k = 0; k < 20; k++)
        for (int n = 1; n <= 32; n *= 2)
            row_kernel_best()->dense(n, 256, 256, rows, x[1], true, y);
}

static void rows(void)
{
    struct arena *arena = arena_create(1 << 20);
    float *const x = arena_alloc(arena, 32 * 256, sizeof(float)), *const w = arena_alloc(arena, 257 * 256, sizeof(float));
    float *const packed = arena_alloc(arena, row_kernel_floats(256, 256), sizeof(float));
    row_kernel_pack(256, 256, w, w + 256 * 256, packed);
    measured(do_rows, (float *[]){ x, packed });
    arena_destroy(&arena);
}

/* ---- experience ---- */

struct ring {
    struct replay *replay;
    struct rng rng;
    float batch[256][2][STRIDE], discount[256], weight[256], td_error[256];
    struct replay_ticket tickets[256];
    float rows[T + 1][STRIDE];
};

static void do_draws(void *context)
{
    struct ring *r = context;
    struct replay_draw out = { r->batch[0][0], r->discount, r->weight, r->tickets };
    for (int i = 0; i < 100; i++) {
        replay_append(r->replay, r->rows, T + 1, T);
        replay_sample(r->replay, &r->rng, 256, 0.4, &out);
        replay_prioritise(r->replay, 256, r->tickets, r->td_error);
    }
}

static void count_draws(bool is_prioritised)
{
    const struct replay_setup setup = { .shape = { N_OBS, N_ACT }, .capacity = 100000, .horizon = T, .n_step = 3,
                                        .discount = 0.99, .is_prioritised = is_prioritised,
                                        .priority_exponent = 0.6 };
    struct arena *arena = arena_create(1 << 20);
    struct ring *r = memory_alloc(1, sizeof(*r));
    r->replay = replay_create(&setup, arena);
    rng_init(&r->rng, 1, RNG_SAMPLE, 0, 0);
    rng_fill_normal(&r->rng, r->td_error, 256);
    r->rows[T][STRIDE - 1] = ROW_CLOSE;
    for (int i = 0; i < 100000 / T + 10; i++)
        replay_append(r->replay, r->rows, T + 1, T);
    measured(do_draws, r);
    free(r);
    arena_destroy(&arena);
}

static void draws(void)
{
    count_draws(false);
}

static void priorities(void)
{
    count_draws(true);
}

struct mail {
    unsigned char text[MESSAGE_HEADER_BYTES + (T + 1) * STRIDE * sizeof(float)];
    size_t size;
};

static void do_decoding(void *context)
{
    const struct mail *mail = context;
    struct message m;
    for (int i = 0; i < 2000; i++)
        if (message_decode(&m, mail->text, mail->size)
            || digest_crc32(m.fragment.rows.data, m.fragment.rows.size) != (uint32_t)m.fragment.checksum)
            insist(ERR_REFUSED, &(struct error){ .text = "a message was refused" });
}

static void decoding(void)
{
    static float transitions[(T + 1) * STRIDE];
    struct mail *mail = memory_alloc(1, sizeof(*mail));
    struct message m;
    message_init(&m, MESSAGE_FRAGMENT);
    m.fragment = (struct fragment_header){
        .run = 7, .incarnation = 1, .epoch = 1, .stream = 3, .sequence = 5, .n_obs = N_OBS, .n_act = N_ACT,
        .n_transitions = T, .n_rows = T + 1, .checksum = digest_crc32(transitions, sizeof(transitions)),
        .rows = { (const unsigned char *)transitions, sizeof(transitions) },
    };
    mail->size = message_encode(&m, mail->text, sizeof(mail->text));
    measured(do_decoding, mail);
    free(mail);
}

/* ---- the cases ---- */

static const struct {
    const char *name, *within;
    void (*run)(void);
} cases[] = {
    { "sac-256-256-b256", "measured", sac },
    { "td3-256-256-b256", "measured", td3 },
    { "ppo-64-64-b64", "measured", ppo },
    { "actor-cartpole", "actor_step", cartpole },
    { "actor-half-cheetah", "actor_step", half_cheetah },
    { "row-kernel", "measured", rows },
    { "replay-uniform", "measured", draws },
    { "replay-prioritised", "measured", priorities },
    { "message-decode", "measured", decoding },
};
enum { N_CASES = sizeof(cases) / sizeof(*cases) };

int main(int argc, char **argv)
{
    dispatch_limit = 256;
    matrix_setup();
    for (int i = 0; i < N_CASES; i++)
        if (argc < 2) {
            printf("%s %s\n", cases[i].name, cases[i].within);
        } else if (strcmp(cases[i].name, argv[1]) == 0) {
            cases[i].run();
            return EXIT_SUCCESS;
        }
    if (argc >= 2)
        fprintf(stderr, "instructions: there is no case \"%s\"; without an argument they are listed\n", argv[1]);
    return argc < 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
