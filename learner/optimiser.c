#include "learner/optimiser.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/dispatch.h"

/* ---- loops over numbers ---- */

/* What they multiply with. */
struct factors {
    real clip;                  /* what remains of the gradient, 1 for all of it */
    real l2, decay;             /* weight decay through the gradient; what it leaves of the parameter */
    real beta1, rest1, beta2, rest2;    /* of the moments, and 1 minus each */
    real step, scale;           /* learning rate and root of v's, without their biases */
    real epsilon, epsilon_inside;
};

/* *sum <- the squares' sum, in lanes that vector units add at once. */
INLINE void squares_loop(const real *restrict x, size_t n, double *restrict sum)
{
    enum { LANES = 32 };
    double lane[LANES] = { 0 }, total = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lane[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < n; i++)
        total += (double)x[i] * (double)x[i];
    for (size_t k = 0; k < LANES; k++)
        total += lane[k];
    *sum = total;
}
DISPATCH(squares, (const real *x, size_t n, double *sum), (x, n, sum))

INLINE void scale_loop(real *x, size_t n, real factor)
{
    for (size_t i = 0; i < n; i++)
        x[i] *= factor;
}
DISPATCH(scale, (real *x, size_t n, real factor), (x, n, factor))

/* Adam and AdamW; `decay` is what the latter leaves of a parameter. */
INLINE void adam_loop(const struct factors *f, size_t n, real *restrict theta,
                      const real *restrict grad, real *restrict m, real *restrict v)
{
    const real b1 = f->beta1, b2 = f->beta2, rest1 = f->rest1, rest2 = f->rest2, l2 = f->l2;
    const real decay = f->decay, step = f->step, scale_v = f->scale, epsilon = f->epsilon;
    for (size_t i = 0; i < n; i++) {
        real g = grad[i] + l2 * theta[i];
        m[i] = b1 * m[i] + rest1 * g;
        v[i] = b2 * v[i] + rest2 * g * g;
        theta[i] = decay * theta[i] - step * m[i] / (real_sqrt(v[i]) * scale_v + epsilon);
    }
}
DISPATCH(adam, (const struct factors *f, size_t n, real *theta, const real *grad, real *m, real *v),
         (f, n, theta, grad, m, v))

INLINE void rmsprop_loop(const struct factors *f, size_t n, real *restrict theta,
                         const real *restrict grad, real *restrict v)
{
    const real b2 = f->beta2, rest2 = f->rest2, l2 = f->l2, step = f->step;
    const real inside = f->epsilon_inside, outside = f->epsilon;
    for (size_t i = 0; i < n; i++) {
        real g = grad[i] + l2 * theta[i];
        v[i] = b2 * v[i] + rest2 * g * g;
        theta[i] -= step * g / (real_sqrt(v[i] + inside) + outside);
    }
}
DISPATCH(rmsprop, (const struct factors *f, size_t n, real *theta, const real *grad, real *v),
         (f, n, theta, grad, v))

INLINE void average_loop(real *restrict target, const real *restrict source, size_t n, real tau)
{
    for (size_t i = 0; i < n; i++)
        target[i] = target[i] + tau * (source[i] - target[i]);
}
DISPATCH(average, (real *target, const real *source, size_t n, real tau), (target, source, n, tau))

/* ---- gradients ---- */

/* Of x [n], the numbers from block * OPTIMISER_BLOCK on, as many as there are up to OPTIMISER_BLOCK. */
static double sum_of_block(const real *x, size_t n, size_t block)
{
    const size_t from = block * OPTIMISER_BLOCK;
    double sum;
    assert(from < n);
    squares(x + from, n - from < OPTIMISER_BLOCK ? n - from : OPTIMISER_BLOCK, &sum);
    return sum;
}

double sum_of_squares(const real *x, size_t n)
{
    double total = 0;
    for (size_t block = 0; block * OPTIMISER_BLOCK < n; block++)
        total += sum_of_block(x, n, block);
    return total;
}

bool gradient_is_usable(const real *grad, size_t n)
{
    return isfinite((real)sum_of_squares(grad, n));
}

/* ---- steps ---- */

double schedule_factor(enum schedule s, double progress)
{
    const double pi = 3.14159265358979323846;
    double p = fmin(fmax(progress, 0), 1);
    return s == SCHEDULE_LINEAR ? 1 - p : s == SCHEDULE_COSINE ? 0.5 * (1 + cos(pi * p)) : 1;
}

void optimiser_reset(struct optimiser *o)
{
    real start = o->hyper.kind == OPTIMISER_RMSPROP_TF ? 1 : 0;
    o->t = 0;
    for (size_t i = 0; i < o->n; i++) {
        if (o->m)
            o->m[i] = 0;
        o->v[i] = start;
    }
}

/* What the loops multiply with, in the step after o->t. */
static struct factors factors_of(const struct optimiser *o, double lr, double clip)
{
    const struct optimiser_hyper *h = &o->hyper;
    const bool is_adamw = h->kind == OPTIMISER_ADAMW;
    struct factors f = { .clip = (real)clip, .epsilon = (real)h->epsilon, .decay = 1 };
    f.l2 = is_adamw ? 0 : (real)h->weight_decay;
    if (h->kind == OPTIMISER_ADAM || is_adamw) {
        f.decay = is_adamw ? (real)(1 - lr * h->weight_decay) : 1;
        f.beta1 = (real)h->beta1, f.rest1 = (real)(1 - h->beta1);
        f.beta2 = (real)h->beta2, f.rest2 = (real)(1 - h->beta2);
        f.step = (real)(lr / (1 - pow(h->beta1, (double)o->t)));
        f.scale = (real)(1 / sqrt(1 - pow(h->beta2, (double)o->t)));
        return f;
    }
    f.beta2 = (real)h->decay, f.rest2 = (real)(1 - h->decay), f.step = (real)lr;
    if (h->kind == OPTIMISER_RMSPROP_TF)
        f.epsilon_inside = f.epsilon, f.epsilon = 0;
    return f;
}

/* Count the step, unless the gradient, whose squares' sum is `square`, is not usable. */
static int begin(struct optimiser *o, double square, double progress, double *norm, struct factors *f)
{
    const struct optimiser_hyper *h = &o->hyper;
    const double length = sqrt(square), clip = h->max_grad_norm / (length + 1e-6);
    if (norm)
        *norm = length;
    if (!isfinite((real)square))
        return ERR_NUMERIC;
    o->t++;
    *f = factors_of(o, o->learning_rate * schedule_factor((enum schedule)h->schedule, progress),
                    h->max_grad_norm > 0 && clip < 1 ? clip : 1);
    return 0;
}

static void sweep(const struct optimiser *o, const struct factors *f, real *theta, real *grad, size_t from, size_t to)
{
    enum { PIECE = 4096 };    /* still in the cache when it is read again */
    assert(from <= to && to <= o->n);
    for (size_t i = from, n; i < to; i += n) {
        n = to - i < PIECE ? to - i : PIECE;
        if (f->clip < 1)
            scale(grad + i, n, f->clip);
        if (o->hyper.kind == OPTIMISER_ADAM || o->hyper.kind == OPTIMISER_ADAMW)
            adam(f, n, theta + i, grad + i, o->m + i, o->v + i);
        else
            rmsprop(f, n, theta + i, grad + i, o->v + i);
    }
}

/* A step shared by workers: the squares in chunks of blocks, a task each; the sweep in groups of blocks. */
enum { CHUNK = 64, MAX_TASKS = 64 };

struct step {
    const struct optimiser *o;
    const struct factors *f;
    real *theta, *grad;
    size_t n_blocks;
    int n_tasks;                    /* of the sweep */
    size_t chunk;                   /* the first block of the one under way */
    double square[CHUNK][8];        /* of its blocks, a cache line apart */
};

/* Blocks of task i: first to end - 1. */
static void blocks_of(const struct step *s, int i, size_t *first, size_t *end)
{
    *first = s->n_blocks * (size_t)i / (size_t)s->n_tasks;
    *end = s->n_blocks * (size_t)(i + 1) / (size_t)s->n_tasks;
}

static void sum_task(void *context, int i, int worker)
{
    struct step *s = context;
    (void)worker;
    s->square[i][0] = sum_of_block(s->grad, s->o->n, s->chunk + (size_t)i);
}

/* sum_of_squares of the gradient. */
static double sum_together(struct step *s)
{
    double square = 0;
    for (s->chunk = 0; s->chunk < s->n_blocks; s->chunk += CHUNK) {
        const int n = s->n_blocks - s->chunk < CHUNK ? (int)(s->n_blocks - s->chunk) : CHUNK;
        workers_run(s->o->workers, n, sum_task, s);
        for (int i = 0; i < n; i++)
            square += s->square[i][0];
    }
    return square;
}

static void sweep_task(void *context, int i, int worker)
{
    const struct step *s = context;
    size_t first, end;
    (void)worker;
    blocks_of(s, i, &first, &end);
    end *= OPTIMISER_BLOCK;
    sweep(s->o, s->f, s->theta, s->grad, first * OPTIMISER_BLOCK, end < s->o->n ? end : s->o->n);
}

int optimiser_step(struct optimiser *o, real *theta, real *grad, double progress, double *norm)
{
    struct factors f;
    struct step s = { .o = o, .f = &f, .theta = theta, .grad = grad };
    s.n_blocks = (o->n + OPTIMISER_BLOCK - 1) / OPTIMISER_BLOCK;
    s.n_tasks = s.n_blocks < MAX_TASKS ? (int)s.n_blocks : MAX_TASKS;
    if (begin(o, sum_together(&s), progress, norm, &f) != 0)
        return ERR_NUMERIC;
    workers_run(o->workers, s.n_tasks, sweep_task, &s);
    return 0;
}

struct move {
    real *target;
    const real *source;
    size_t n;
    real tau;
};

static void move_task(void *context, int i, int worker)
{
    const struct move *m = context;
    const size_t from = (size_t)i * OPTIMISER_BLOCK;
    const size_t n = m->n - from < OPTIMISER_BLOCK ? m->n - from : OPTIMISER_BLOCK;
    (void)worker;
    if (m->tau < 1)
        average(m->target + from, m->source + from, n, m->tau);
    else
        memcpy(m->target + from, m->source + from, n * sizeof(real));
}

void polyak(real *target, const real *source, size_t n, double tau, struct workers *workers)
{
    struct move move = { target, source, n, (real)tau };
    workers_run(workers, (int)((n + OPTIMISER_BLOCK - 1) / OPTIMISER_BLOCK), move_task, &move);
}
