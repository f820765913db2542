/* The reference: OpenBLAS's products, then the rest of the layer in plain loops. */
#include <string.h>

#include "common/kernels.h"
#include "common/matrix.h"

static bool always(void)
{
    return true;
}

/* A packed matrix is itself, row after row, behind its row length. */
struct packed {
    int n_columns, is_transposed;
    char pad[56];
    real w[];
};

static size_t packed_bytes(int k, int n)
{
    return (sizeof(struct packed) + (size_t)k * (size_t)n * sizeof(real) + 63) / 64 * 64;
}

static void keep(int k, int n, const real *w, int ldw, void *packed, int is_transposed)
{
    struct packed *to = packed;
    to->n_columns = n;
    to->is_transposed = is_transposed;
    for (int i = 0; i < k; i++)
        memcpy(to->w + (size_t)i * (size_t)n, w + (size_t)i * (size_t)ldw, (size_t)n * sizeof(real));
}

static void pack(int k, int n, const real *w, int ldw, void *packed)
{
    keep(k, n, w, ldw, packed, 0);
}

static void pack_transposed(int k, int n, const real *w, int ldw, void *packed)
{
    keep(k, n, w, ldw, packed, 1);
}

/* A loop for each epilogue, so that each vectorises. */
static void finish_row(const struct product *p, real *restrict c, const real *restrict y)
{
    const real *restrict bias = p->bias;
    const int n = p->n;
    switch (p->epilogue) {
    case EPILOGUE_BIAS:
        for (int j = 0; j < n; j++)
            c[j] += bias[j];
        break;
    case EPILOGUE_RELU:
        for (int j = 0; j < n; j++)
            c[j] = c[j] + bias[j] > 0 ? c[j] + bias[j] : 0;
        break;
    case EPILOGUE_NONE:
        break;
    case EPILOGUE_TIMES_STEP:
        for (int j = 0; j < n; j++)
            c[j] = y[j] > 0 ? c[j] : 0;
        break;
    case EPILOGUE_TIMES_TANH_SLOPE:
        for (int j = 0; j < n; j++)
            c[j] *= 1 - y[j] * y[j];
        break;
    case EPILOGUE_TIMES:
        for (int j = 0; j < n; j++)
            c[j] *= y[j];
        break;
    }
}

static void product(const struct product *p, void *scratch)
{
    const struct packed *w = p->packed;
    (void)scratch;
    if (w->is_transposed)
        matrix_nt(p->rows, p->n, p->k, p->a, p->lda, w->w, w->n_columns, 0, p->c, p->ldc);
    else
        matrix_nn(p->rows, p->n, p->k, p->a, p->lda, w->w, w->n_columns, 0, p->c, p->ldc);
    for (int i = 0; i < p->rows; i++)
        finish_row(p, p->c + (size_t)i * (size_t)p->ldc, product_y(p, i));
}

static void outer_product(const struct outer_product *p, void *scratch)
{
    (void)scratch;
    matrix_tn(p->end - p->first, p->n, p->rows, p->x + p->first, p->ldx, p->d, p->ldd, 0,
              p->dw + (size_t)p->first * (size_t)p->n, p->n);
    if (!p->db || p->first > 0)
        return;
    memset(p->db, 0, (size_t)p->n * sizeof(*p->db));
    for (int i = 0; i < p->rows; i++)
        for (int j = 0; j < p->n; j++)
            p->db[j] += p->d[(size_t)i * (size_t)p->ldd + (size_t)j];
}

static size_t scratch_bytes(int k, int inputs, int n)
{
    (void)k, (void)inputs, (void)n;
    return 0;
}

const struct kernels kernels_openblas = {
    .name = "openblas",
    .precision = PRECISION_F32,
    .rows_per_part = 128,
    .columns_per_part = 128,
    .is_supported = always,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .pack_transposed = pack_transposed,
    .product = product,
    .outer_product = outer_product,
    .scratch_bytes = scratch_bytes,
};
