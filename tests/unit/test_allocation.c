/* "The steady state allocates nothing per step or update": this program has a malloc of its own
 * that counts. Actor cores, session and training run in one thread as their shells would run them,
 * first until every pool has what it needs, then watched. */
#include "tests/support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

#include <stdio.h>

START_TEST(sanitizers_keep_malloc_to_themselves)
{
    printf("allocation: not counted here, the sanitizer has its own malloc\n");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = { sanitizers_keep_malloc_to_themselves };
    return suite_run("allocation", tests, TEST_COUNT(tests), 60);
}

#else

#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "actor/actor_core.h"
#include "actor/stream.h"
#include "common/digest.h"
#include "common/matrix.h"
#include "learner/algorithms.h"
#include "learner/session.h"
#include "learner/snapshot.h"
#include "learner/training.h"
#include "proto/message.h"
#include "tests/simulation/trial.h"

/* ---- malloc and its kin ---- */

/* glibc's own, under the names that stay when these are replaced. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void *__libc_memalign(size_t alignment, size_t bytes);
extern void __libc_free(void *block);

static _Thread_local bool is_counting;
static _Thread_local long n_calls;
static _Thread_local size_t first_bytes;    /* of the first call counted; 0: a free */

/* Where OpenBLAS lies. It is exempt: some of its kernels for small matrices take a buffer from
 * malloc in every call (0.3.21 on CPUs with AVX-512). */
static uintptr_t blas_begin, blas_end;

static int find_blas(struct dl_phdr_info *info, size_t bytes, void *context)
{
    (void)bytes, (void)context;
    for (int i = 0; strstr(info->dlpi_name, "blas") && i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X)) {
            blas_begin = info->dlpi_addr + part->p_vaddr;
            blas_end = blas_begin + part->p_memsz;
        }
    }
    return 0;
}

static void count(size_t bytes, const void *caller)
{
    uintptr_t from = (uintptr_t)caller;
    bool is_blas = from >= blas_begin && from < blas_end;
    if (is_counting && !is_blas && n_calls++ == 0)
        first_bytes = bytes;
}
#define COUNT(bytes) count((bytes), __builtin_return_address(0))

void *malloc(size_t bytes)
{
    COUNT(bytes);
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    COUNT(n * bytes);
    return __libc_calloc(n, bytes);
}

void *realloc(void *old, size_t bytes)
{
    COUNT(bytes);
    return __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    COUNT(bytes);
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    COUNT(bytes);
    *out = __libc_memalign(alignment, bytes);
    return *out ? 0 : ENOMEM;
}

void free(void *block)
{
    if (block)
        COUNT(0);
    __libc_free(block);
}

/* ---- actors and learner in one thread ---- */

enum { N_ACTORS = 2, QUEUE = 64, STEP_US = 1000 };

struct queue {
    struct frame *frames[QUEUE];
    int n;
};

struct loop;

struct place {
    struct loop *loop;
    struct actor *core;
    struct queue inbox, outbox;
};

struct loop {
    struct algorithm_traits traits;
    struct trial setup;
    struct env_model *model;
    struct fragment_pool *fragments;
    struct frame_pool *snapshots;
    struct session *session;
    struct training *training;
    struct place places[N_ACTORS];
    int64_t now_us;
    long n_snapshots, n_hashes, n_fragments, n_episodes;
};

static void put(struct queue *q, struct frame *f)
{
    if (q->n == QUEUE)
        ck_abort_msg("a queue of %d frames is full", QUEUE);
    q->frames[q->n++] = f;
}

static void on_actor_send(void *context, struct frame *f, bool must_arrive)
{
    (void)must_arrive;
    put(&((struct place *)context)->outbox, f);
}

static void on_subscribe(void *context, int port, bool wants_every)
{
    (void)context, (void)port, (void)wants_every;
}

static void on_log(void *context, const char *line)
{
    (void)context, (void)line;
}

static void on_session_send(void *context, uint64_t peer, struct frame *f)
{
    put(&((struct loop *)context)->places[peer - 1].inbox, f);
}

static void on_session_publish(void *context, struct frame *f)
{
    struct loop *loop = context;
    for (int i = 0; i < N_ACTORS; i++)
        put(&loop->places[i].inbox, frame_retain(f));
    frame_release(f);
    loop->n_snapshots++;
}

static void on_deliver(void *context, struct fragment *f)
{
    struct loop *loop = context;
    loop->n_fragments++;
    loop->n_episodes += (long)(f->returns.size / sizeof(double));
    training_offer(loop->training, f);
}

static void on_consumed(void *context, const struct fragment *f, enum fragment_fate fate)
{
    session_consumed(((struct loop *)context)->session, f->stream, f->life, f->sequence, fate);
}

static void on_round(void *context, int64_t round, int64_t version, int64_t previous)
{
    session_round(((struct loop *)context)->session, round, version, previous);
}

static void on_version(void *context, int64_t version, bool random, const float *params, size_t n)
{
    struct loop *loop = context;
    struct frame *f = snapshot_encode(loop->snapshots, 7, 1, version, random, params, n);
    session_publish(loop->session, version, f);
}

static void on_evaluate(void *context, int64_t env_steps, const float *params, size_t n)
{
    (void)context, (void)env_steps, (void)params, (void)n;
}

static void on_hash(void *context, int64_t update, int64_t env_steps, const char *sha256)
{
    (void)update, (void)env_steps, (void)sha256;
    ((struct loop *)context)->n_hashes++;
}

static void on_scheduled(void *context, const struct schedule_record *r)
{
    (void)context, (void)r;
}

static void create_learner(struct loop *loop)
{
    const struct settings *settings = &loop->setup.settings;
    struct policy_shape shape;
    struct error err;
    ck_assert_int_eq(env_open(&loop->model, &(struct env_setup){ .name = settings->env.name, .models_dir = NULL }, &err), 0);
    const struct env_spec *spec = env_spec(loop->model);
    size_t state_bytes = stream_state_bytes(loop->model);
    const struct mlp_body body = settings_policy_body(settings);
    sac_algorithm.describe(loop->setup.hyper, spec, &loop->traits);
    shape = policy_shape_make(loop->traits.head, &body, spec->shape, 0);
    loop->fragments = fragment_pool_create();
    loop->snapshots = frame_pool_create(MESSAGE_HEADER_BYTES
                                        + policy_n_params(&shape) * sizeof(float));
    const struct training_setup training = {
        .settings = settings, .algorithm = &sac_algorithm, .hyper = loop->setup.hyper,
        .spec = spec, .state_bytes = state_bytes, .fragments = loop->fragments,
    };
    const struct session_setup session = {
        .run = 7, .epoch = 1, .settings = settings, .spec = spec, .traits = &loop->traits,
        .cpu = "test", .state_bytes = state_bytes, .fragments = loop->fragments,
    };
    loop->training = training_create(&training, (struct training_out){
        .context = loop, .consumed = on_consumed, .publish = on_version, .round = on_round,
        .evaluate = on_evaluate, .hash = on_hash, .scheduled = on_scheduled });
    loop->session = session_create(&session, (struct session_out){
        .context = loop, .send = on_session_send, .publish = on_session_publish,
        .deliver = on_deliver, .log = on_log });
}

static struct loop *loop_create(enum mode mode)
{
    static const char *const names[N_ACTORS] = { "first", "second" };
    struct loop *loop = calloc(1, sizeof(*loop));
    struct settings *s = &loop->setup.settings;
    trial_defaults(&loop->setup, &sac_algorithm, mode, N_ACTORS, 2);
    s->top.total_steps = 100000;
    s->replay.min_size = 128;
    s->replay.samples_per_insert = 32;
    s->learner.batch_size = 64;
    s->metrics.hash_every = 20;
    s->transport.heartbeat_ms = 10;
    create_learner(loop);
    for (int i = 0; i < N_ACTORS; i++) {
        struct place *p = &loop->places[i];
        const struct actor_setup setup = { .incarnation = (uint64_t)i + 1, .name = names[i],
                                           .program = "test", .cpu = "test" };
        p->loop = loop;
        p->core = actor_create(&setup, (struct actor_out){ .context = p, .send = on_actor_send,
                                                           .subscribe = on_subscribe,
                                                           .log = on_log });
    }
    training_begin(loop->training);
    return loop;
}

static void drop(struct queue *q)
{
    while (q->n > 0)
        frame_release(q->frames[--q->n]);
}

static void loop_destroy(struct loop *loop)
{
    for (int i = 0; i < N_ACTORS; i++) {
        drop(&loop->places[i].inbox);
        drop(&loop->places[i].outbox);
        actor_destroy(&loop->places[i].core);
    }
    training_destroy(&loop->training);
    session_destroy(&loop->session);
    fragment_pool_destroy(&loop->fragments);
    frame_pool_destroy(&loop->snapshots);
    env_close(&loop->model);
    free(loop);
}

/* Everything once: a step of every actor, every message, and the learner's work until it waits. */
static void turn(struct loop *loop)
{
    struct training_report report;
    loop->now_us += STEP_US;
    for (int i = 0; i < N_ACTORS; i++) {
        struct place *p = &loop->places[i];
        for (int k = 0; k < p->inbox.n; k++) {
            actor_receive(p->core, loop->now_us, p->inbox.frames[k]);
            frame_release(p->inbox.frames[k]);
        }
        p->inbox.n = 0;
        actor_tick(p->core, loop->now_us);
        actor_step(p->core, loop->now_us);
        for (int k = 0; k < p->outbox.n; k++)
            session_receive(loop->session, loop->now_us, (uint64_t)i + 1, p->outbox.frames[k]);
        p->outbox.n = 0;
    }
    for (int k = 0; k < 8 && training_step(loop->training) == TRAINING_BUSY; k++)
        ;
    session_tick(loop->session, loop->now_us);
    training_report(loop->training, &report);
}

static int64_t updates_of(struct loop *loop)
{
    struct training_report report;
    training_report(loop->training, &report);
    return report.updates;
}

/* Watch `turns` turns; how much was going on in them is checked, too. */
static void watch(struct loop *loop, int turns)
{
    int64_t updates = updates_of(loop);
    long snapshots = loop->n_snapshots, hashes = loop->n_hashes, fragments = loop->n_fragments;
    long episodes = loop->n_episodes;
    n_calls = 0;
    is_counting = true;
    for (int i = 0; i < turns; i++)
        turn(loop);
    is_counting = false;
    ck_assert_int_ge(updates_of(loop) - updates, 300);
    ck_assert_int_ge(loop->n_snapshots - snapshots, 10);
    ck_assert_int_ge(loop->n_hashes - hashes, 10);
    ck_assert_int_ge(loop->n_fragments - fragments, 40);
    ck_assert_int_ge(loop->n_episodes - episodes, 4);
    ck_assert_msg(n_calls == 0, "%ld calls in %d turns, the first for %zu bytes", n_calls, turns,
                  first_bytes);
}

START_TEST(the_count_counts)
{
    void *volatile block;
    n_calls = 0;
    is_counting = true;
    block = malloc(3);
    block = realloc(block, 5);
    free(block);
    block = calloc(1, 1);
    free(block);
    block = aligned_alloc(64, 64);
    free(block);
    block = strdup("copied by the library");
    free(block);
    is_counting = false;
    ck_assert_int_eq(n_calls, 9);
    ck_assert_uint_eq(first_bytes, 3);
    block = malloc(3);
    free(block);
    ck_assert_int_eq(n_calls, 9);
}
END_TEST

START_TEST(async_allocates_nothing_per_step_or_update)
{
    matrix_setup();
    struct loop *loop = loop_create(MODE_ASYNC);
    for (int i = 0; i < 400; i++)
        turn(loop);
    watch(loop, 600);
    loop_destroy(loop);
}
END_TEST

START_TEST(sync_allocates_nothing_per_step_or_update)
{
    matrix_setup();
    struct loop *loop = loop_create(MODE_SYNC);
    for (int i = 0; i < 400; i++)
        turn(loop);
    watch(loop, 800);
    loop_destroy(loop);
}
END_TEST

START_TEST(pipelined_allocates_nothing_per_step_or_update)
{
    matrix_setup();
    struct loop *loop = loop_create(MODE_PIPELINED);
    for (int i = 0; i < 400; i++)
        turn(loop);
    watch(loop, 800);
    loop_destroy(loop);
}
END_TEST

int main(void)
{
    dl_iterate_phdr(find_blas, NULL);
    const TTest *const tests[] = {
        the_count_counts,
        async_allocates_nothing_per_step_or_update,
        sync_allocates_nothing_per_step_or_update, pipelined_allocates_nothing_per_step_or_update,
    };
    return suite_run("allocation", tests, TEST_COUNT(tests), 60);
}

#endif
