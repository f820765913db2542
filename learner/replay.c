#include "learner/replay.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "learner/sum_tree.h"

enum { CACHE_LINE = 64, MOST_PREFETCHED = 512, PREFETCH_AHEAD = 8,
       TOGETHER = 256 };        /* draws and priorities that the sum tree gets at once */
static const double PRIORITY_FLOOR = 1e-6;    /* what was learned well is drawn now and then */

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
    int64_t head, lap;              /* where the next fragment goes; times the ring came round */
    int64_t used;                   /* rows [0, used) have been written at least once */
    int64_t size, capacity;         /* transitions */
    int n_step;
    double discount;
    struct span *spans;             /* [n_spans] ring, oldest at `oldest` */
    int64_t n_spans, oldest, held;
    /* Prioritised: p^alpha of every row, 0 for those that are not a transition held. */
    bool is_prioritised;
    double priority_exponent, largest;
    struct sum_tree masses;
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
         + (size_t)(n + 1) * sizeof(struct span)
         + (setup->is_prioritised ? sum_tree_bytes(n) : 0);
}

struct replay *replay_create(const struct replay_setup *setup, struct arena *arena)
{
    struct replay *r = arena_alloc(arena, 1, sizeof(*r));
    assert(setup->n_step >= 1);
    r->shape = setup->shape;
    r->stride = row_stride(setup->shape);
    r->n_step = setup->n_step;
    r->discount = setup->discount;
    r->capacity = setup->capacity;
    r->n_rows = ring_rows(setup->capacity, setup->horizon);
    r->rows = arena_alloc(arena, (size_t)r->n_rows * (size_t)r->stride, sizeof(float));
    r->n_spans = r->n_rows / 2 + 2;    /* the shortest fragment has two rows */
    r->spans = arena_alloc(arena, (size_t)r->n_spans, sizeof(*r->spans));
    r->is_prioritised = setup->is_prioritised;
    r->priority_exponent = setup->priority_exponent;
    r->largest = 1;
    if (r->is_prioritised)
        sum_tree_init(&r->masses, r->n_rows, arena);
    return r;
}

static float *row_at(const struct replay *r, int64_t i)
{
    return r->rows + (size_t)i * (size_t)r->stride;
}

static bool is_close(const struct replay *r, int64_t i)
{
    return row_at(r, i)[row_kind(r->shape)] == (float)ROW_CLOSE;
}

/* Give rows [first, last) the masses that their kinds ask for. */
static void weigh_rows(struct replay *r, int64_t first, int64_t last)
{
    if (!r->is_prioritised || first == last)
        return;
    for (int64_t i = first; i < last; i++)
        sum_tree_put(&r->masses, i, is_close(r, i) ? 0 : r->largest);
    sum_tree_sum(&r->masses, first, last);
}

/* Mark rows [first, last) as never to be drawn. */
static void close_rows(struct replay *r, int64_t first, int64_t last)
{
    for (int64_t i = first; i < last; i++)
        row_at(r, i)[row_kind(r->shape)] = ROW_CLOSE;
    weigh_rows(r, first, last);
}

static void forget_oldest(struct replay *r)
{
    const struct span *s = &r->spans[r->oldest];
    close_rows(r, s->first, s->first + s->n_rows);
    r->size -= s->n_transitions;
    r->oldest = (r->oldest + 1) % r->n_spans;
    r->held--;
}

/* Forget whatever lies in rows [first, first + n). */
static void make_room(struct replay *r, int64_t first, int64_t n)
{
    while (r->held) {
        const struct span *s = &r->spans[r->oldest];
        bool is_clear = s->first >= first + n || s->first + s->n_rows <= first;
        if (is_clear)
            break;
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
        r->lap++;
    }
    make_room(r, r->head, n);
    while (r->held && r->size + n_transitions > r->capacity)
        forget_oldest(r);
    memcpy(row_at(r, r->head), rows, (size_t)n * (size_t)r->stride * sizeof(float));
    /* A fragment that was cut ends in an observation like any other. */
    float *last = row_at(r, r->head + n - 1);
    memset(last + r->shape.n_obs, 0, (size_t)(r->stride - r->shape.n_obs) * sizeof(float));
    last[row_kind(r->shape)] = ROW_CLOSE;
    weigh_rows(r, r->head, r->head + n);

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

/* ---- drawing ---- */

/* Ask for a row and its successor before they are needed; of long ones the beginning, what follows streams. */
static void prefetch_transition(const struct replay *r, int64_t row)
{
    const char *first = (const char *)row_at(r, row);
    const size_t bytes = 2 * (size_t)r->stride * sizeof(float);
    for (size_t i = 0; i < bytes && i < MOST_PREFETCHED; i += CACHE_LINE)
        __builtin_prefetch(first + i);
}

static void draw_uniformly(const struct replay *r, struct rng *rng, int B,
                           struct replay_ticket *tickets)
{
    /* As many as are missing, then those of them that are transitions: the order of the draws is that of
     * drawing one by one until it is a transition. */
    for (int n_drawn = 0; n_drawn < B; ) {
        for (int b = n_drawn; b < B; b++) {
            tickets[b].row = (int64_t)rng_below(rng, (uint64_t)r->used);
            __builtin_prefetch(&row_at(r, tickets[b].row)[row_kind(r->shape)]);
        }
        for (int b = n_drawn; b < B; b++)
            if (!is_close(r, tickets[b].row))
                tickets[n_drawn++].row = tickets[b].row;
    }
}

/* w_i / max_j w_j = (N P(i))^-beta / max_j (N P(j))^-beta = (min_j m_j / m_i)^beta, m the masses. */
static void weigh_draws(const struct replay *r, int B, double beta, const struct replay_ticket *tickets,
                        float *weight)
{
    double least = INFINITY;
    for (int b = 0; b < B; b++)
        least = fmin(least, sum_tree_get(&r->masses, tickets[b].row));
    for (int b = 0; b < B; b++)
        weight[b] = (float)pow(least / sum_tree_get(&r->masses, tickets[b].row), beta);
}

static void draw_by_priority(const struct replay *r, struct rng *rng, int B,
                             struct replay_ticket *tickets)
{
    const double part = sum_tree_total(&r->masses) / B;
    double mass[TOGETHER];
    int64_t rows[TOGETHER];
    for (int b = 0; b < B; b += TOGETHER) {
        const int n = B - b < TOGETHER ? B - b : TOGETHER;
        for (int k = 0; k < n; k++)
            mass[k] = part * (b + k + rng_uniform(rng, 0, 1));
        sum_tree_find_many(&r->masses, n, mass, rows);
        for (int k = 0; k < n; k++)
            tickets[b + k].row = rows[k];
    }
}

/* The round in which a row was written last. */
static int64_t lap_of(const struct replay *r, int64_t row)
{
    return row < r->head ? r->lap : r->lap - 1;
}

/* Copy row `t` with its successor n steps on to out [2][stride].   Returns gamma^k. */
static double copy_transition(const struct replay *r, int64_t t, float *out)
{
    const size_t bytes = (size_t)r->stride * sizeof(float);
    const float *row = row_at(r, t), *next = row + r->stride;
    double reward = (double)row[row_reward(r->shape)], discount = r->discount;
    /* A fragment and an episode end in CLOSE, and nowhere else. */
    for (int k = 1; k < r->n_step && next[row_kind(r->shape)] != (float)ROW_CLOSE; k++) {
        reward += discount * (double)next[row_reward(r->shape)];
        discount *= r->discount;
        next += r->stride;
    }
    memcpy(out, row, bytes);
    out[row_reward(r->shape)] = (float)reward;
    out[row_kind(r->shape)] = next[row_kind(r->shape) - r->stride];
    memcpy(out + r->stride, next, bytes);
    return discount;
}

void replay_sample(const struct replay *r, struct rng *rng, int B, double importance_exponent,
                   struct replay_draw *out)
{
    assert(r->size > 0);
    if (r->is_prioritised)
        draw_by_priority(r, rng, B, out->tickets);
    else
        draw_uniformly(r, rng, B, out->tickets);
    for (int b = 0; b < B; b++) {
        if (b + PREFETCH_AHEAD < B)
            prefetch_transition(r, out->tickets[b + PREFETCH_AHEAD].row);
        int64_t row = out->tickets[b].row;
        out->tickets[b].lap = lap_of(r, row);
        out->discount[b] = (float)copy_transition(r, row, out->rows + 2 * (size_t)b * (size_t)r->stride);
        out->weight[b] = 1;
    }
    if (r->is_prioritised)
        weigh_draws(r, B, importance_exponent, out->tickets, out->weight);
}

/* Put the masses of up to TOGETHER tickets and sum above them.   Returns how many were passed over. */
static int prioritise_some(struct replay *r, int n, const struct replay_ticket *tickets, const float *td_error)
{
    int64_t rows[TOGETHER];
    int n_put = 0;
    for (int k = 0; k < n; k++) {
        const int64_t row = tickets[k].row;
        const bool is_held = lap_of(r, row) == tickets[k].lap && sum_tree_get(&r->masses, row) > 0;
        if (!is_held || !isfinite(td_error[k]))
            continue;
        const double p = fabs((double)td_error[k]) + PRIORITY_FLOOR;
        const double mass = pow(p, r->priority_exponent);
        sum_tree_put(&r->masses, row, mass);
        r->largest = fmax(r->largest, mass);
        rows[n_put++] = row;
    }
    sum_tree_sum_above(&r->masses, n_put, rows);
    return n - n_put;
}

int replay_prioritise(struct replay *r, int B, const struct replay_ticket *tickets,
                      const float *td_error)
{
    int n_passed_over = 0;
    for (int b = 0; r->is_prioritised && b < B; b += TOGETHER)
        n_passed_over += prioritise_some(r, B - b < TOGETHER ? B - b : TOGETHER, tickets + b, td_error + b);
    return n_passed_over;
}
