/* The row kernels, bit for bit. */
#include "common/row_kernel.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/support.h"

enum { MAX_BATCH = 64, MAX_WIDTH = 256 };
static const int widths[] = { 1, 2, 3, 6, 15, 17, 31, 33, 64, 256 };

static void fill(struct rng *rng, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)rng_normal(rng);
}

/* Blocks that end at a page nobody may touch: a kernel that reads or writes on is killed. */
struct guarded {
    unsigned char *block;
    size_t bytes;    /* without the forbidden page */
};

static void guarded_create(struct guarded *g, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    g->bytes = (n * sizeof(float) + page - 1) / page * page;
    g->block = mmap(NULL, g->bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                    0);
    ck_assert(g->block != MAP_FAILED);
    ck_assert_int_eq(mprotect(g->block + g->bytes, page, PROT_NONE), 0);
}

static void guarded_destroy(struct guarded *g)
{
    munmap(g->block, g->bytes + (size_t)sysconf(_SC_PAGESIZE));
}

/* The last n floats before the forbidden page. */
static float *guarded_end(const struct guarded *g, size_t n)
{
    return (float *)(void *)(g->block + g->bytes - n * sizeof(float));
}

struct layer {
    int k, n;
    struct guarded x, w, b, packed, y;
    const float *rows[MAX_BATCH];
    float expected[MAX_BATCH][MAX_WIDTH], rectified[MAX_BATCH][MAX_WIDTH];
};

/* What the header promises: the sum runs over k in order, one fused multiply-add a term. */
static void expect_by_definition(struct layer *l, const float *w, const float *b)
{
    for (int i = 0; i < MAX_BATCH; i++)
        for (int j = 0; j < l->n; j++) {
            float sum = b[j];
            for (int p = 0; p < l->k; p++)
                sum = fmaf(l->rows[i][p], w[(size_t)p * (size_t)l->n + (size_t)j], sum);
            l->expected[i][j] = sum;
            l->rectified[i][j] = sum > 0 ? sum : 0;
        }
}

static void layer_make(struct layer *l, struct rng *rng, int k, int n)
{
    size_t weights = (size_t)k * (size_t)n, inputs = (size_t)MAX_BATCH * (size_t)k;
    l->k = k;
    l->n = n;
    fill(rng, guarded_end(&l->w, weights), weights);
    fill(rng, guarded_end(&l->b, (size_t)n), (size_t)n);
    float *x = guarded_end(&l->x, inputs);
    fill(rng, x, inputs);
    for (int i = 0; i < MAX_BATCH; i++)
        l->rows[i] = x + (size_t)i * (size_t)k;
    expect_by_definition(l, guarded_end(&l->w, weights), guarded_end(&l->b, (size_t)n));
    row_kernel_pack(k, n, guarded_end(&l->w, weights), guarded_end(&l->b, (size_t)n),
                    guarded_end(&l->packed, row_kernel_floats(k, n)));
}

/* `batch` rows in random order through one kernel; each must come out as it does alone. */
static void check_batch(const struct row_kernel *kernel, struct layer *l, struct rng *rng,
                        int batch, bool is_rectified)
{
    int order[MAX_BATCH];
    const float *x[MAX_BATCH];
    size_t n = (size_t)l->n, outputs = (size_t)batch * n;
    float *y = guarded_end(&l->y, outputs);
    for (int i = 0; i < MAX_BATCH; i++) {
        int j = (int)rng_below(rng, (uint64_t)i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    for (int i = 0; i < batch; i++)
        x[i] = l->rows[order[i]];
    memset(y, 0xff, outputs * sizeof(*y));
    float *before = y - 16 >= (float *)(void *)l->y.block ? y - 16 : y;
    memset(before, 0x55, (size_t)(y - before) * sizeof(*y));
    kernel->dense(batch, l->k, l->n, x, guarded_end(&l->packed, row_kernel_floats(l->k, l->n)),
                  is_rectified, y);
    float(*expected)[MAX_WIDTH] = is_rectified ? l->rectified : l->expected;
    for (int i = 0; i < batch; i++)
        if (memcmp(y + (size_t)i * n, expected[order[i]], n * sizeof(*y)) != 0)
            ck_abort_msg("%s, %d inputs, %d outputs: row %d of %d differs", kernel->name, l->k,
                         l->n, i, batch);
    for (const float *f = before; f < y; f++)
        if (memcmp(f, "UUUU", 4) != 0)
            ck_abort_msg("%s writes in front of its output", kernel->name);
}

static struct layer *layer_create(void)
{
    struct layer *l = calloc(1, sizeof(*l));
    guarded_create(&l->x, MAX_BATCH * MAX_WIDTH);
    guarded_create(&l->w, MAX_WIDTH * MAX_WIDTH);
    guarded_create(&l->b, MAX_WIDTH);
    guarded_create(&l->packed, row_kernel_floats(MAX_WIDTH, MAX_WIDTH));
    guarded_create(&l->y, MAX_BATCH * MAX_WIDTH);
    return l;
}

static void layer_destroy(struct layer *l)
{
    guarded_destroy(&l->x);
    guarded_destroy(&l->w);
    guarded_destroy(&l->b);
    guarded_destroy(&l->packed);
    guarded_destroy(&l->y);
    free(l);
}

/* Equal to the scalar definition, therefore equal to each other. */
START_TEST(every_kernel_gives_the_bits_of_the_scalar_definition)
{
    struct layer *l = layer_create();
    struct rng rng;
    rng_init(&rng, 1, RNG_TEST, 0, 0);
    for (size_t a = 0; a < TEST_COUNT(widths); a++)
        for (size_t b = 0; b < TEST_COUNT(widths); b++) {
            layer_make(l, &rng, widths[a], widths[b]);
            for (const struct row_kernel *const *k = row_kernels; *k; k++)
                for (int batch = 61; batch <= MAX_BATCH && (*k)->is_supported(); batch++)
                    check_batch(*k, l, &rng, batch, batch % 2 == 0);
        }
    layer_destroy(l);
}
END_TEST

START_TEST(a_row_gives_the_same_bits_in_every_batch_and_position)
{
    struct layer *l = layer_create();
    struct rng rng;
    rng_init(&rng, 2, RNG_TEST, 0, 0);
    for (size_t b = 0; b < TEST_COUNT(widths); b++) {
        layer_make(l, &rng, 17, widths[b]);
        for (const struct row_kernel *const *k = row_kernels; *k; k++)
            for (int batch = 1; batch <= MAX_BATCH && (*k)->is_supported(); batch++)
                check_batch(*k, l, &rng, batch, batch % 2 == 0);
    }
    layer_destroy(l);
}
END_TEST

START_TEST(the_best_kernel_is_the_first_that_this_cpu_has)
{
    const struct row_kernel *const *k = row_kernels;
    while (!(*k)->is_supported())
        k++;
    ck_assert_ptr_eq(row_kernel_best(), *k);
    while (k[1])
        k++;
    ck_assert((*k)->is_supported());
    ck_assert_str_eq((*k)->name, "portable");
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        every_kernel_gives_the_bits_of_the_scalar_definition,
        a_row_gives_the_same_bits_in_every_batch_and_position,
        the_best_kernel_is_the_first_that_this_cpu_has,
    };
    return suite_run("row_kernel", tests, TEST_COUNT(tests), 60);
}
