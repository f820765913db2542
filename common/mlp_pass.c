/* Networks going over batches, forward and backward side by side.
 *
 * Work is divided over networks, parts of rows and, for weights, parts of columns. The parts have a fixed size,
 * so that results do not depend on the number of workers. */
#include <assert.h>
#include <string.h>

#include "common/mlp.h"
#include "common/row_sum.h"
#include "common/vector_math.h"

static const real NORM_EPSILON = (real)1e-5;

/* Fewer multiplications than that are done before other threads have heard of them. */
enum { WORTH_SHARING = 1000000 };

/* ---- layer normalisation ---- */

/* y = gain (y - mean) / std + offset in place over [B][n]. */
static void normalise(real *y, const real *gain, int B, int n, real *centred, real *inverse_std)
{
    const real *offset = gain + n;
    for (int i = 0; i < B; i++, y += n, centred += n) {
        const real mean = row_sum(y, NULL, n) / (real)n;
        for (int j = 0; j < n; j++)
            centred[j] = y[j] - mean;
        const real var = row_sum(centred, centred, n) / (real)n;
        const real scale = 1 / real_sqrt(var + NORM_EPSILON);
        inverse_std[i] = scale;
        for (int j = 0; j < n; j++) {
            centred[j] *= scale;
            y[j] = gain[j] * centred[j] + offset[j];
        }
    }
}

/* Back through normalise, of rows number `numbers` (NULL: 0 to B - 1): delta [B][n] becomes d loss / d z; with
 * c = (z - mean) / std and h = gain delta,
 *   dz = (h - mean(h) - c mean(h c)) / std
 *   dnorm    [2 n] gradients of gain and offset over these rows, set; NULL: not wanted */
static void through_norm(real *delta, const real *gain, int B, int n, const int *numbers, const real *all_centred,
                         const real *inverse_std, real *dnorm)
{
    if (dnorm)
        memset(dnorm, 0, 2 * (size_t)n * sizeof(*dnorm));
    for (int i = 0; i < B; i++, delta += n) {
        const int row = numbers ? numbers[i] : i;
        const real *centred = all_centred + (size_t)row * (size_t)n;
        for (int j = 0; dnorm && j < n; j++) {
            dnorm[j] += delta[j] * centred[j];
            dnorm[n + j] += delta[j];
        }
        for (int j = 0; j < n; j++)
            delta[j] *= gain[j];
        const real mean = row_sum(delta, NULL, n) / (real)n;
        const real slope = row_sum(delta, centred, n) / (real)n;
        for (int j = 0; j < n; j++)
            delta[j] = (delta[j] - mean - centred[j] * slope) * inverse_std[row];
    }
}

/* ---- activations ---- */

/* y = f(y) in place over [count].    slope [count], of silu, set */
static void activate(real *y, size_t count, enum activation f, real *slope)
{
    if (f == ACTIVATION_TANH) {
        vector_tanh(y, count);
    } else if (f == ACTIVATION_RELU) {
        for (size_t i = 0; i < count; i++)
            y[i] = y[i] > 0 ? y[i] : 0;
    } else {
        for (size_t i = 0; i < count; i++)
            slope[i] = -y[i];
        vector_exp(slope, count);
        for (size_t i = 0; i < count; i++) {
            const real sigmoid = 1 / (1 + slope[i]);
            y[i] *= sigmoid;
            slope[i] = sigmoid + y[i] * (1 - sigmoid);
        }
    }
}

/* ---- division of the work ---- */

/* Passes, each with the tasks that its kind of work has. */
struct work {
    const struct mlp_pass *passes;
    int first_task[MLP_MAX_PASSES + 1];    /* of each pass; then their number */
    void (*task)(const struct mlp_pass *p, int i, int worker);
};

static void run_task(void *context, int i, int worker)
{
    const struct work *w = context;
    int pass = 0;
    while (i >= w->first_task[pass + 1])
        pass++;
    w->task(&w->passes[pass], i - w->first_task[pass], worker);
}

/* Share the tasks of all passes, count(p) of each. */
static void run(const struct mlp_pass *passes, int n, int (*count)(const struct mlp_pass *),
                void (*task)(const struct mlp_pass *p, int i, int worker))
{
    struct work w = { .passes = passes, .task = task };
    double multiplications = 0;
    for (int i = 0; i < n; i++) {
        w.first_task[i + 1] = w.first_task[i] + count(&passes[i]);
        multiplications += (double)mlp_n_params(passes[i].shape) * passes[i].B;
    }
    struct workers *workers = multiplications < WORTH_SHARING ? NULL : passes[0].cache->engine.workers;
    workers_run(workers, w.first_task[n], run_task, &w);
}

static const struct kernels *kernels_of(const struct mlp_pass *p)
{
    return p->cache->engine.kernels;
}

static void *scratch_of(const struct mlp_pass *p, int worker)
{
    return (char *)p->cache->scratch + (size_t)worker * p->cache->scratch_bytes;
}

/* The rows of part i, of B in all. */
static void rows_of(const struct mlp_pass *p, int B, int i, int *first, int *n)
{
    const int rows = kernels_of(p)->rows_per_part;
    *first = i * rows;
    *n = B - *first < rows ? B - *first : rows;
}

static int count_layers(const struct mlp_pass *p)
{
    return p->shape->n_layers;
}

static int count_parts(const struct mlp_pass *p)
{
    return (int)mlp_parts(p->cache, p->B);
}

/* ---- forward ---- */

static void pack_layer(const struct mlp_pass *p, int l, int worker)
{
    const struct mlp_shape *s = p->shape;
    (void)worker;
    kernels_of(p)->pack(s->width[l], s->width[l + 1], p->params + mlp_weight_offset(s, l), s->width[l + 1],
                        p->cache->packed[l]);
}

/* One part of the rows through all layers. */
static void forward_part(const struct mlp_pass *p, int part, int worker)
{
    const struct mlp_shape *s = p->shape;
    struct mlp_cache *c = p->cache;
    int first, rows, ldx = p->ldx;
    rows_of(p, p->B, part, &first, &rows);
    const real *x = p->x + (size_t)first * (size_t)p->ldx;
    for (int l = 0; l < s->n_layers; l++) {
        const int n = s->width[l + 1];
        const size_t at = (size_t)first * (size_t)n, count = (size_t)rows * (size_t)n;
        const bool is_hidden = l + 1 < s->n_layers, has_norm = mlp_has_norm(s, l);
        const bool is_fused = is_hidden && !has_norm && s->activation == ACTIVATION_RELU;
        real *y = c->out[l] + at;
        const struct product product = {
            .rows = rows, .k = s->width[l], .n = n, .a = x, .lda = ldx, .packed = c->packed[l],
            .bias = p->params + mlp_bias_offset(s, l), .c = y, .ldc = n,
            .epilogue = is_fused ? EPILOGUE_RELU : EPILOGUE_BIAS,
        };
        kernels_of(p)->product(&product, scratch_of(p, worker));
        if (has_norm)
            normalise(y, p->params + mlp_norm_offset(s, l), rows, n, c->centred[l] + at, c->inverse_std[l] + first);
        if (is_hidden && !is_fused)
            activate(y, count, s->activation, c->slope[l] ? c->slope[l] + at : NULL);
        x = y;
        ldx = n;
    }
}

static void check(const struct mlp_pass *passes, int n)
{
    assert(n >= 1 && n <= MLP_MAX_PASSES);
    for (int i = 0; i < n; i++) {
        const struct mlp_pass *p = &passes[i];
        const struct mlp_engine *first = &passes[0].cache->engine, *own = &p->cache->engine;
        assert(p->B >= 0 && p->B <= p->cache->capacity);
        assert(own->kernels == first->kernels && own->workers == first->workers);
        (void)first, (void)own;
    }
}

void mlp_forward_all(const struct mlp_pass *passes, int n)
{
    check(passes, n);
    run(passes, n, count_layers, pack_layer);
    run(passes, n, count_parts, forward_part);
}

real *mlp_output(const struct mlp_pass *p)
{
    return p->cache->out[p->shape->n_layers - 1];
}

/* ---- backward ---- */

/* The rows that go back. */
static int n_back(const struct mlp_pass *p)
{
    return p->rows ? p->n_rows : p->B;
}

static int count_parts_back(const struct mlp_pass *p)
{
    return (int)mlp_parts(p->cache, n_back(p));
}

/* The columns of the inputs that gradients are wanted of. */
static int n_dx(const struct mlp_pass *p)
{
    return p->shape->width[0] - p->dx_first;
}

static void pack_layer_back(const struct mlp_pass *p, int l, int worker)
{
    const struct mlp_shape *s = p->shape;
    const int n = s->width[l + 1], first = l ? 0 : p->dx_first;
    (void)worker;
    if (l || p->dx)
        kernels_of(p)->pack_transposed(s->width[l] - first, n,
                                       p->params + mlp_weight_offset(s, l) + (size_t)first * (size_t)n, n,
                                       p->cache->packed[l]);
}

/* How a hidden layer's derivative goes into the product above it. Behind layer normalisation, too: the
 * activation comes after it. */
static enum epilogue slope_epilogue(const struct mlp_shape *s)
{
    return s->activation == ACTIVATION_RELU ? EPILOGUE_TIMES_STEP
         : s->activation == ACTIVATION_TANH ? EPILOGUE_TIMES_TANH_SLOPE : EPILOGUE_TIMES;
}

/* One part of the rows back through all layers: delta[l] = d loss / d (x W + b) of layer l. */
static void backward_part(const struct mlp_pass *p, int part, int worker)
{
    const struct mlp_shape *s = p->shape;
    struct mlp_cache *c = p->cache;
    int first, rows;
    rows_of(p, n_back(p), part, &first, &rows);
    const int *numbers = p->rows ? p->rows + first : NULL;    /* of the rows, where they are not first, first + 1 ... */
    const size_t from = p->rows ? 0 : (size_t)first;          /* the row that number 0 is */
    for (int l = s->n_layers - 1; l >= 0; l--) {
        const int n = s->width[l + 1], k = s->width[l];
        const real *delta = (l + 1 < s->n_layers ? c->delta[l] : p->dout) + (size_t)first * (size_t)n;
        struct product product = { .rows = rows, .k = n, .a = delta, .lda = n, .packed = c->packed[l] };
        if (l == 0 && !p->dx)
            return;
        if (l == 0) {
            product.n = n_dx(p);
            product.c = p->dx + (size_t)first * (size_t)p->lddx;
            product.ldc = p->lddx;
            product.epilogue = EPILOGUE_NONE;
        } else {
            product.n = product.ldc = product.ldy = k;
            product.c = c->delta[l - 1] + (size_t)first * (size_t)k;
            product.y = (c->slope[l - 1] ? c->slope[l - 1] : c->out[l - 1]) + from * (size_t)k;
            product.y_rows = numbers;
            product.epilogue = slope_epilogue(s);
        }
        kernels_of(p)->product(&product, scratch_of(p, worker));
        if (l && mlp_has_norm(s, l - 1))
            through_norm(product.c, p->params + mlp_norm_offset(s, l - 1), rows, k, numbers,
                         c->centred[l - 1] + from * (size_t)k, c->inverse_std[l - 1] + from,
                         p->grad ? c->norm_sums[l - 1] + 2 * (size_t)part * (size_t)k : NULL);
    }
}

/* Gradients of weights are made in parts of a layer's inputs. */
static int layer_tasks(const struct mlp_pass *p, int l)
{
    const int columns = kernels_of(p)->columns_per_part;
    return (p->shape->width[l] + columns - 1) / columns;
}

static int count_gradients(const struct mlp_pass *p)
{
    int n = 0;
    for (int l = 0; p->grad && l < p->shape->n_layers; l++)
        n += layer_tasks(p, l);
    return n;
}

/* Gradients of gain and offset: the parts', one after the other. */
static void sum_norms(const struct mlp_pass *p, int l)
{
    const size_t n = 2 * (size_t)p->shape->width[l + 1];
    real *grad = p->grad + mlp_norm_offset(p->shape, l);
    const real *sums = p->cache->norm_sums[l];
    memcpy(grad, sums, n * sizeof(*grad));
    for (size_t part = 1; part < mlp_parts(p->cache, p->B); part++)
        for (size_t j = 0; j < n; j++)
            grad[j] += sums[part * n + j];
}

static void gradient_part(const struct mlp_pass *p, int i, int worker)
{
    const struct mlp_shape *s = p->shape;
    const struct mlp_cache *c = p->cache;
    int l = 0;
    for (; i >= layer_tasks(p, l); l++)
        i -= layer_tasks(p, l);
    const int k = s->width[l], n = s->width[l + 1], columns = kernels_of(p)->columns_per_part;
    const bool is_last = l + 1 == s->n_layers;
    const struct outer_product product = {
        .rows = p->B, .first = i * columns, .end = (i + 1) * columns < k ? (i + 1) * columns : k, .n = n,
        .x = l ? c->out[l - 1] : p->x, .ldx = l ? k : p->ldx, .d = is_last ? p->dout : c->delta[l], .ldd = n,
        .dw = p->grad + mlp_weight_offset(s, l), .db = p->grad + mlp_bias_offset(s, l),
    };
    kernels_of(p)->outer_product(&product, scratch_of(p, worker));
    if (i == 0 && mlp_has_norm(s, l))
        sum_norms(p, l);
}

void mlp_backward_all(const struct mlp_pass *passes, int n)
{
    check(passes, n);
    for (int i = 0; i < n; i++) {
        const struct mlp_pass *p = &passes[i];
        assert(!p->rows || (!p->grad && p->n_rows >= 0 && p->n_rows <= p->B));
        assert(!p->grad || p->B > 0);
        (void)p;
    }
    run(passes, n, count_layers, pack_layer_back);
    run(passes, n, count_parts_back, backward_part);
    run(passes, n, count_gradients, gradient_part);
}

/* ---- one network ---- */

real *mlp_forward(const struct mlp_shape *s, const real *params, int B, const real *x, int ldx,
                  struct mlp_cache *c)
{
    const struct mlp_pass p = { .shape = s, .params = params, .B = B, .x = x, .ldx = ldx, .cache = c };
    mlp_forward_all(&p, 1);
    return mlp_output(&p);
}

void mlp_backward(const struct mlp_shape *s, const real *params, int B, const real *x, int ldx,
                  struct mlp_cache *c, const real *dout, real *grad, real *dx, int lddx)
{
    const struct mlp_pass p = { .shape = s, .params = params, .B = B, .x = x, .ldx = ldx, .cache = c, .dout = dout,
                                .grad = grad, .dx = dx, .lddx = lddx };
    mlp_backward_all(&p, 1);
}
