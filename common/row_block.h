/* Whole rows of a matrix whose rows have gaps between them as one array without, column after column: what
 * loops over numbers want, and sums of rows, which then do not wait for one another. Private to the
 * distributions. */
#ifndef SHOAL_COMMON_ROW_BLOCK_H
#define SHOAL_COMMON_ROW_BLOCK_H

#include <assert.h>

#include "common/real.h"

enum { ROW_BLOCK = 256 };    /* numbers at most; a row of actions is a fraction of it */

/* How many rows of n, of the `left` that remain, one block takes. */
static inline int row_block_rows(int n, int left)
{
    assert(n >= 1 && n <= ROW_BLOCK);
    const int rows = ROW_BLOCK / n;
    return rows < left ? rows : left;
}

/* block [n][rows] <- rows of n, `ld` apart; 0: the same one each time. */
static inline void row_block_gather(real *restrict block, int rows, int n, const real *restrict x, int ld)
{
    for (int i = 0; i < n; i++)
        for (int r = 0; r < rows; r++)
            block[i * rows + r] = x[r * ld + i];
}

/* Rows of n, `ld` apart <- block [n][rows]. */
static inline void row_block_scatter(const real *restrict block, int rows, int n, real *restrict x, int ld)
{
    for (int i = 0; i < n; i++)
        for (int r = 0; r < rows; r++)
            x[r * ld + i] = block[i * rows + r];
}

#endif
