#include "tests/simulation/toy.h"

#include <math.h>
#include <stddef.h>

#include "common/rng.h"

enum { MOVED = 16 };

struct toy_books toy_books;

struct toy {
    struct toy_hyper hyper;
    struct mlp_shape shape;
    int batch_size;
    size_t n;
    real *params, *slow;        /* [n] */
    int64_t steps;
    const struct round *round;
    struct rng *rng;
    int *order;                 /* [max_transitions] rows that are transitions, shuffled */
    int *fragment_of;           /* [max_rows] */
    int at, epoch;
};

static const struct option options[] = {
    { .name = "gamma", .type = OPTION_REAL, .offset = offsetof(struct toy_hyper, gamma), .value = "0.9",
      .max = 1, .help = "discount" },
    { .name = "epochs", .type = OPTION_INT, .offset = offsetof(struct toy_hyper, epochs), .value = "2",
      .min = 1, .max = 100, .help = "passes over a round" },
};

static const char *const metric_names[] = { "moved" };

static int toy_check(const void *hyper, const struct settings *s, const struct env_spec *spec,
                     struct error *err)
{
    (void)hyper, (void)s, (void)spec, (void)err;
    return 0;
}

static void toy_describe(const void *hyper, const struct env_spec *spec, struct algorithm_traits *out)
{
    (void)spec;
    *out = (struct algorithm_traits){ .head = HEAD_SQUASHED_GAUSSIAN, .noise_per_action = 1,
                                      .discount = ((const struct toy_hyper *)hyper)->gamma };
}

static void *toy_create(const struct algorithm_setup *setup, struct arena *arena)
{
    struct toy *toy = arena_alloc(arena, 1, sizeof(*toy));
    struct rng rng;
    toy->hyper = *(const struct toy_hyper *)setup->hyper;
    toy->shape = mlp_shape_make(setup->shape.n_obs, &setup->policy, 2 * setup->shape.n_act);
    toy->batch_size = setup->batch_size;
    toy->n = mlp_n_params(&toy->shape);
    toy->params = arena_alloc(arena, toy->n, sizeof(real));
    toy->slow = arena_alloc(arena, toy->n, sizeof(real));
    toy->order = arena_alloc(arena, (size_t)setup->max_transitions, sizeof(int));
    toy->fragment_of = arena_alloc(arena, (size_t)setup->max_rows, sizeof(int));
    rng_init(&rng, setup->seed, RNG_INIT, 0, 0);
    mlp_init(&toy->shape, toy->params, setup->start, 1, 1, &rng);
    return toy;
}

/* All numbers of a transition and its successor, each with a weight of its own. */
static real weigh(const struct row_shape s, const real *row)
{
    real sum = 0;
    for (int i = 0; i < row_stride(s) + s.n_obs; i++)
        sum += row[i] * (real)(i + 1) * (real)0.01;
    return sum;
}

/* Move some parameters by `amount`; the outcome of the update. */
static int move(struct toy *toy, real amount, double *metrics, struct error *err)
{
    const struct toy_books *b = &toy_books;
    const int64_t update = ++toy_books.updates;
    metrics[0] = (double)amount;
    if (b->fail_from && update >= b->fail_from && update <= b->fail_to)
        return error_set(err, ERR_NUMERIC, "the gradient of toy's tensor %d is not finite", (int)update);
    toy->steps++;
    for (int i = 0; i < MOVED; i++) {
        const size_t at = (size_t)(toy->steps * 7919 + i * 104729) % toy->n;
        toy->params[at] += (real)1e-3 * (real)tanh((double)amount + i);
    }
    for (size_t i = 0; i < toy->n; i++)
        toy->slow[i] += (real)0.01 * (toy->params[i] - toy->slow[i]);
    if (update == b->poison_at)
        toy->params[3] = (real)INFINITY;
    return 0;
}

static int toy_update(void *self, struct batch *b, double *metrics, struct error *err)
{
    struct toy *toy = self;
    real sum = (real)b->progress;
    toy_books.malformed += toy_books.updates > 0 && b->progress <= toy_books.progress;
    toy_books.progress = b->progress;
    for (int i = 0; i < b->n; i++) {
        sum += weigh(b->shape, b->rows + (ptrdiff_t)i * 2 * row_stride(b->shape)) * b->weight[i];
        b->td_error[i] = sum;
        toy_books.weights_below_one += b->weight[i] < 1;
    }
    return move(toy, sum, metrics, err);
}

static void shuffle(struct toy *toy)
{
    for (int i = toy->round->n_transitions - 1; i > 0; i--) {
        const int j = (int)rng_below(toy->rng, (uint64_t)i + 1), kept = toy->order[i];
        toy->order[i] = toy->order[j];
        toy->order[j] = kept;
    }
}

static void toy_begin(void *self, const struct round *r, struct rng *rng)
{
    struct toy *toy = self;
    const int stride = row_stride(r->shape);
    int n = 0;
    toy->round = r;
    toy->rng = rng;
    toy->at = toy->epoch = 0;
    for (int f = 0; f < r->n_fragments; f++) {
        const real *last = r->rows + (ptrdiff_t)(r->first[f + 1] - 1) * stride;
        toy_books.malformed += row_kind_of(r->shape, last) != ROW_CLOSE;
        for (int i = r->first[f]; i < r->first[f + 1]; i++) {
            toy->fragment_of[i] = f;
            if (row_kind_of(r->shape, r->rows + (ptrdiff_t)i * stride) != ROW_CLOSE)
                toy->order[n++] = i;
        }
        if (r->staleness[f] > toy_books.staleness_max)
            toy_books.staleness_max = r->staleness[f];
    }
    toy_books.malformed += n != r->n_transitions || r->first[r->n_fragments] != r->n_rows;
    toy_books.rounds++;
    toy_books.fragments += r->n_fragments;
    toy_books.transitions += n;
    shuffle(toy);
    if (toy_books.began)
        toy_books.began(r);
}

static bool toy_has_more(const void *self)
{
    const struct toy *toy = self;
    return toy->epoch < toy->hyper.epochs;
}

static int toy_step(void *self, double *metrics, struct error *err)
{
    struct toy *toy = self;
    const struct round *r = toy->round;
    real sum = (real)r->progress;
    for (int i = 0; i < toy->batch_size && toy->at < r->n_transitions; i++) {
        const int row = toy->order[toy->at++];
        sum += weigh(r->shape, r->rows + (ptrdiff_t)row * row_stride(r->shape))
             / (real)(1 + r->staleness[toy->fragment_of[row]]);
    }
    if (toy->at == r->n_transitions) {
        toy->at = 0;
        if (++toy->epoch < toy->hyper.epochs)
            shuffle(toy);
    }
    return move(toy, sum, metrics, err);
}

static const real *toy_policy(const void *self, size_t *n)
{
    const struct toy *toy = self;
    *n = toy->n;
    return toy->params;
}

static int toy_arrays(void *self, struct array out[ALGORITHM_MAX_ARRAYS])
{
    struct toy *toy = self;
    out[0] = (struct array){ "params", toy->params, NULL, toy->n };
    out[1] = (struct array){ "slow", toy->slow, NULL, toy->n };
    out[2] = (struct array){ "steps", NULL, &toy->steps, 1 };
    return 3;
}

static const struct preset presets[] = {
    { "", "", (const char *const[]){ "actor.horizon=32", "learner.batch_size=24", NULL } },
};

#define TOY \
    .options = options, .n_options = sizeof(options) / sizeof(*options), \
    .hyper_bytes = sizeof(struct toy_hyper), .presets = presets, .n_presets = 1, \
    .metric_names = metric_names, .n_metrics = 1, .check = toy_check, .describe = toy_describe, \
    .create = toy_create, .policy = toy_policy, .arrays = toy_arrays

const struct algorithm toy_algorithm = {
    TOY, .name = "toy", .is_on_policy = true, .begin = toy_begin, .has_more = toy_has_more,
    .step = toy_step,
};

const struct algorithm toy_replayed_algorithm = { TOY, .name = "toy_replayed", .update = toy_update };
