/* Milliseconds until every subscriber has a snapshot of 280 KB, the size of a 2 x 256 policy's, over tcp: the
 * hub's fast path, without a session around it. All ends are in this process, each with its own sockets. */
#include "deploy/bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "deploy/program.h"
#include "learner/snapshot.h"
#include "proto/link.h"
#include "proto/message.h"

enum { N_PARAMS = 280 * 1024 / 4, MAX_SUBSCRIBERS = 64, LOST_MS = 100, MAX_LOST = 50 };
static const int sizes[] = { 1, 8, 64 };
enum { N_SIZES = sizeof(sizes) / sizeof(*sizes) };

struct fan_out {
    struct link *hub, *subscribers[MAX_SUBSCRIBERS];
    int n;
    int64_t version;            /* the newest */
    int n_lost;                 /* that did not get to all */
    struct frame_pool *frames;
};

static void publish(struct fan_out *x)
{
    static float params[N_PARAMS];
    /* As the learner's I/O thread does: it notices which queues have room again. */
    link_wait(x->hub, 0);
    link_publish(x->hub, snapshot_encode(x->frames, 7, 1, ++x->version, false, params, N_PARAMS));
}

/* Whether a subscriber has the newest version, now or before the time is over. */
static bool has_newest(struct fan_out *x, struct link *subscriber, int wait_ms)
{
    const int64_t until_us = program_now_us() + wait_ms * 1000;
    for (int64_t version = 0; version < x->version;) {
        struct message m;
        uint64_t peer;
        struct frame *f = link_receive(subscriber, &peer);
        if (f && !message_decode(&m, f->data, f->size) && m.type == MESSAGE_SNAPSHOT)
            version = m.snapshot.version;
        else if (program_now_us() > until_us)
            return false;
        else
            link_wait(subscriber, wait_ms);
        frame_release(f);
    }
    return true;
}

/* One version to all of them.   Returns whether it got there: publishing may lose, and the next version makes up
 * for it. */
static bool fan_out(struct fan_out *x)
{
    publish(x);
    for (int i = 0; i < x->n; i++)
        if (!has_newest(x, x->subscribers[i], LOST_MS))
            return false;
    return true;
}

static int run(void *context, struct bench_window *w, struct error *err)
{
    struct fan_out *x = context;
    for (int i = 0; i < MAX_LOST; i++) {
        const int64_t began_us = program_now_us();
        if (fan_out(x)) {
            w->units += 1;
            return 0;
        }
        bench_forget(w, (double)(program_now_us() - began_us) * 1e-6);
        x->n_lost++;
    }
    return error_set(err, ERR_REFUSED, "shoal bench: %d snapshots in a row did not reach all of %d subscribers",
                     MAX_LOST, x->n);
}

static int create(struct fan_out *x, int n, struct error *err)
{
    const struct zmq_limits limits = { 1 << 26, 64, 1 };
    *x = (struct fan_out){ .n = n, .frames = frame_pool_create(snapshot_frame_bytes(N_PARAMS)) };
    x->hub = zmq_hub_create("tcp://127.0.0.1:*", 0, false, &limits, err);
    if (!x->hub)
        return err->code;
    for (int i = 0; i < n; i++) {
        x->subscribers[i] = zmq_actor_create(zmq_hub_endpoint(x->hub), &limits, err);
        if (!x->subscribers[i])
            return err->code;
        int rc = zmq_actor_subscribe(x->subscribers[i], zmq_hub_snapshot_port(x->hub), false, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void destroy(struct fan_out *x)
{
    for (int i = 0; i < x->n; i++)
        link_destroy(&x->subscribers[i]);
    link_destroy(&x->hub);
    frame_pool_destroy(&x->frames);
}

static int measure(struct bench *b, int n, struct bench_result *r, struct error *err)
{
    struct fan_out x;
    int rc = create(&x, n, err);
    if (rc == 0) {
        const struct bench_plan plan = bench_plan_make(b, 1, BENCH_MACHINE);
        const struct bench_work work = { run, &x, -1 };
        struct bench_window connecting = { .time = BENCH_MACHINE };
        rc = run(&x, &connecting, err);
        x.n_lost = 0;
        if (rc == 0)
            rc = bench_measure(&plan, &work, 1, r, err);
        /* Publishing may lose a few; more would flatter the figure. */
        if (rc == 0)
            r->is_disturbed |= 100 * (int64_t)x.n_lost > x.version;
    }
    destroy(&x);
    return rc;
}

int bench_snapshots(struct bench *b, struct error *err)
{
    static const char *const columns[] = { "1 subscriber", "8", "64" };
    static const struct bench_table table = { .group = "snapshots", .title = "until all have a snapshot, tcp",
                                              .unit = "ms", .columns = columns, .n_columns = N_SIZES };
    int rc = 0;
    if (!bench_wants(b, "280 KB"))
        return 0;
    bench_begin_table(b, &table);
    bench_begin_row(b, "280 KB");
    for (int i = 0; i < N_SIZES && rc == 0; i++) {
        struct bench_result r;
        rc = measure(b, sizes[i], &r, err);
        if (rc == 0) {
            r = bench_as_time(r, 1e3);
            bench_cell(b, &r, (double)NAN);
        }
    }
    bench_end_row(b);
    return rc;
}
