#include "learner/replay.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

enum { PREFETCH_AHEAD = 8, MAX_BATCH = 4096 };

/* Where one appended fragment lies; the books of what goes when the ring comes round. */
struct span {
    int64_t first;          /* row index */
    int n_rows;
    int n_transitions;
};

struct replay {
    struct row_shape shape;
    int stride;
    float *rows;                    /* [n_rows][stride] */
    int64_t n_rows;                 /* of the ring */
    int64_t head;                   /* where the next fragment goes */
    int64_t used;                   /* rows [0, used) have been written at least once */
    int64_t size, capacity;         /* transitions */
    double discount;
    struct span *spans;             /* [n_spans] ring, oldest at `oldest` */
    int64_t n_spans, oldest, held;
};

/* A fragment takes from T + 1 to 2 T rows. */
static int64_t ring_rows(int64_t capacity, int horizon)
{
    int64_t fragments = (capacity + horizon - 1) / horizon + 2;
    return fragments * (horizon + 1) + 4 * (int64_t)horizon;
}

size_t replay_bytes(const struct replay_setup *setup)
{
    int64_t n = ring_rows(setup->capacity, setup->horizon);
    return (size_t)n * (size_t)row_stride(setup->shape) * sizeof(float)
         + (size_t)(n + 1) * sizeof(struct span);
}

struct replay *replay_create(const struct replay_setup *setup, struct arena *arena)
{
    struct replay *r = arena_alloc(arena, 1, sizeof(*r));
    r->shape = setup->shape;
    r->stride = row_stride(setup->shape);
    r->discount = setup->discount;
    r->capacity = setup->capacity;
    r->n_rows = ring_rows(setup->capacity, setup->horizon);
    r->rows = arena_alloc(arena, (size_t)r->n_rows * (size_t)r->stride, sizeof(float));
    r->n_spans = r->n_rows / 2 + 2;    /* the shortest fragment has two rows */
    r->spans = arena_alloc(arena, (size_t)r->n_spans, sizeof(*r->spans));
    return r;
}

static float *row_at(const struct replay *r, int64_t i)
{
    return r->rows + (size_t)i * (size_t)r->stride;
}

static void forget_oldest(struct replay *r)
{
    const struct span *s = &r->spans[r->oldest];
    r->size -= s->n_transitions;
    r->oldest = (r->oldest + 1) % r->n_spans;
    r->held--;
}

/* Mark rows [first, last) as never to be drawn. */
static void close_rows(struct replay *r, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++)
        row_at(r, i)[row_kind(r->shape)] = ROW_CLOSE;
}

/* Forget whatever lies in rows [first, first + n). */
static void make_room(struct replay *r, int64_t first, int64_t n)
{
    while (r->held) {
        const struct span *s = &r->spans[r->oldest];
        bool is_clear = s->first >= first + n || s->first + s->n_rows <= first;
        if (is_clear)
            break;
        close_rows(r, s->first, s->first + s->n_rows);
        forget_oldest(r);
    }
}

/* How many leading rows hold `max` transitions (and the row behind them that closes). */
static int rows_until(const struct replay *r, const unsigned char *rows, int n_rows, int max,
                      int *transitions)
{
    size_t row_bytes = (size_t)r->stride * sizeof(float);
    *transitions = 0;
    for (int i = 0; i < n_rows; i++) {
        float kind;
        memcpy(&kind, rows + (size_t)i * row_bytes + (size_t)row_kind(r->shape) * sizeof(float),
               sizeof(kind));
        if (kind != (float)ROW_CLOSE && ++*transitions == max)
            return i + 2 < n_rows ? i + 2 : n_rows;
    }
    return n_rows;
}

int replay_append(struct replay *r, const void *rows, int n_rows, int max_transitions)
{
    int n_transitions;
    if (max_transitions <= 0)
        return 0;
    int n = rows_until(r, rows, n_rows, max_transitions, &n_transitions);
    if (r->head + n > r->n_rows) {
        make_room(r, r->head, r->n_rows - r->head);
        close_rows(r, r->head, r->n_rows);
        r->used = r->n_rows;
        r->head = 0;
    }
    make_room(r, r->head, n);
    while (r->held && r->size + n_transitions > r->capacity) {
        const struct span *s = &r->spans[r->oldest];
        close_rows(r, s->first, s->first + s->n_rows);
        forget_oldest(r);
    }
    memcpy(row_at(r, r->head), rows, (size_t)n * (size_t)r->stride * sizeof(float));
    /* A fragment that was cut ends in an observation like any other. */
    float *last = row_at(r, r->head + n - 1);
    memset(last + r->shape.n_obs, 0, (size_t)(r->stride - r->shape.n_obs) * sizeof(float));
    last[row_kind(r->shape)] = ROW_CLOSE;

    r->spans[(r->oldest + r->held++) % r->n_spans] =
        (struct span){ r->head, n, n_transitions };
    r->head += n;
    r->used = r->head > r->used ? r->head : r->used;
    r->size += n_transitions;
    return n_transitions;
}

int64_t replay_size(const struct replay *r)
{
    return r->size;
}

void replay_sample(const struct replay *r, struct rng *rng, int B, double importance_exponent,
                   struct replay_draw *draw)
{
    float *out = draw->rows;
    (void)importance_exponent;
    assert(r->size > 0 && B <= MAX_BATCH);
    const size_t bytes = 2 * (size_t)r->stride * sizeof(float);
    const float *drawn[MAX_BATCH];
    for (int b = 0; b < B; b++) {
        const float *row;
        do
            row = row_at(r, (int64_t)rng_below(rng, (uint64_t)r->used));
        while (row[row_kind(r->shape)] == (float)ROW_CLOSE);
        drawn[b] = row;
    }
    for (int b = 0; b < B; b++, out += 2 * r->stride) {
        if (b + PREFETCH_AHEAD < B)
            __builtin_prefetch(drawn[b + PREFETCH_AHEAD]);
        memcpy(out, drawn[b], bytes);
        draw->discount[b] = (float)r->discount;
        draw->weight[b] = 1;
        draw->tickets[b] = (struct replay_ticket){ (drawn[b] - r->rows) / r->stride, 0 };
    }
}

int replay_prioritise(struct replay *r, int B, const struct replay_ticket *tickets,
                      const float *td_error)
{
    (void)r, (void)B, (void)tickets, (void)td_error;
    return 0;
}
