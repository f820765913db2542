/* Matrix products of dense layers, by what the CPU has.
 *
 * A set of kernels multiplies rows by the weights of a layer, which are packed once into the order in which
 * they are read. In the sets of our own an element's sum depends neither on the rows beside it nor on how the
 * work is divided, so that any partition gives the same bits; "avx2" and "avx512" agree with each other and
 * with row_kernel.h too: b_j + sum_k x_k w_kj, one fused multiply-add after the other; "amx" and "avx512_bf16"
 * sum in orders of their own and differ in the last places. OpenBLAS gives none of that, which is why networks
 * divide their work the same way whatever the number of workers (mlp.h).
 *
 * Calls touch nothing but what they are given; any thread may make them. */
#ifndef SHOAL_COMMON_KERNELS_H
#define SHOAL_COMMON_KERNELS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/real.h"

/* How exactly products are made; parameters, sums and all else are real in each.
 *   bf16x3    numbers as a high and a low bfloat16, three products of the four: about 5e-6
 *   bf16      numbers rounded to bfloat16: about 4e-3 */
enum precision { PRECISION_F32, PRECISION_BF16X3, PRECISION_BF16 };
#define PRECISION_CHOICES "f32|bf16x3|bf16"
const char *precision_name(enum precision precision);

enum epilogue {
    EPILOGUE_BIAS,              /* c = a w + bias */
    EPILOGUE_RELU,              /* c = max(a w + bias, 0) */
    EPILOGUE_NONE,              /* c = a w */
    EPILOGUE_TIMES_STEP,        /* c = a w where y > 0, else 0 */
    EPILOGUE_TIMES_TANH_SLOPE,  /* c = a w (1 - y^2) */
    EPILOGUE_TIMES              /* c = a w y */
};

/* c[rows][n] = epilogue(a[rows][k] w[k][n]) */
struct product {
    int rows, k, n;
    const real *a;
    int lda;
    const void *packed;         /* w by `pack` or `pack_transposed` */
    const real *bias;           /* [n]: BIAS, RELU */
    const real *y;              /* [rows][n], `ldy` apart: TIMES...; never c */
    int ldy;
    const int *y_rows;          /* [rows] which row of y each row has; NULL: its own */
    real *c;
    int ldc;
    enum epilogue epilogue;
};

/* The row of y that row i has; NULL: there is no y. */
static inline const real *product_y(const struct product *p, int i)
{
    return p->y ? p->y + (size_t)(p->y_rows ? p->y_rows[i] : i) * (size_t)p->ldy : NULL;
}

/* Rows `first` to `end` of dw[k][n] = x[rows][k]^T d[rows][n], and with `first` 0, where db is wanted,
 * db[n] = column sums of d. */
struct outer_product {
    int rows, first, end, n;
    const real *x;
    int ldx;
    const real *d;
    int ldd;
    real *dw;                   /* [k][n], of which [first][0] to [end - 1][n - 1] are set */
    real *db;                   /* [n] or NULL */
};

struct kernels {
    const char *name;
    enum precision precision;
    /* How much is worth a call: rows of a product, inputs (rows of dw) of an outer product. */
    int rows_per_part, columns_per_part;
    bool (*is_supported)(void);    /* by this CPU and system */

    /* Bytes of a packed w[k][n], with what the set reads beyond it; a multiple of 64. */
    size_t (*packed_bytes)(int k, int n);
    /* Of w[k][n], `ldw` apart: for products over k, and for products with its transpose, over n.
     *   packed    aligned to 64 bytes */
    void (*pack)(int k, int n, const real *w, int ldw, void *packed);
    void (*pack_transposed)(int k, int n, const real *w, int ldw, void *packed);

    /*   scratch   [scratch_bytes] aligned to 64 bytes, its contents are lost */
    void (*product)(const struct product *p, void *scratch);
    void (*outer_product)(const struct outer_product *p, void *scratch);
    /* For products over up to k, and outer products of up to `inputs` inputs and n columns, whatever the rows; a
     * multiple of 64. */
    size_t (*scratch_bytes)(int k, int inputs, int n);
};

/* Every set of this build, the fastest of a precision first, NULL-terminated; the last of PRECISION_F32,
 * "openblas", runs everywhere. */
extern const struct kernels *const kernels_all[];

extern const struct kernels kernels_openblas;
#if defined(__x86_64__) && !defined(SHOAL_DOUBLE)
extern const struct kernels kernels_avx2, kernels_avx512, kernels_avx512_bf16, kernels_avx512_bf16x3,
    kernels_amx_bf16, kernels_amx_bf16x3;
#endif

/* The fastest set of a precision that this CPU has; NULL: none. */
const struct kernels *kernels_best(enum precision precision);

/* The names, as an option has them. */
#define KERNELS_CHOICES "auto|amx|avx512_bf16|avx512|avx2|openblas"

/* The set of that name and precision, as `learner.backend` and `learner.precision` ask for it. Returns ERR_CONFIG,
 * with what to choose instead, when there is none or this CPU lacks what it needs.
 *   name    "auto": the best */
int kernels_find(const char *name, enum precision precision, const struct kernels **out,
                 struct error *err);

/* What mlp.h uses where nothing else was asked for: the best of PRECISION_F32. Tests put another in its
 * place. */
const struct kernels *kernels_default(void);
void kernels_set_default(const struct kernels *k);

#endif
