/* NumPy's files: .npy holds one array, .npz is a zip archive of named ones.
 *
 * Reading turns every element into a double, in C order, whatever the file's type, byte order and
 * order of dimensions; integers beyond 2^53 are rounded, NaN and infinities pass. Read are real
 * numbers of up to 8 bytes and booleans, not float16; objects (pickles) are never read. Every
 * length is checked against the file before it is used, so files may be damaged or hostile.
 * A reader, and a writer, belong to one thread at a time. */
#ifndef SHOAL_COMMON_NPZ_H
#define SHOAL_COMMON_NPZ_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum { NPZ_MAX_DIMS = 4, NPZ_NAME_BYTES = 64 };
#define NPZ_MAX_ELEMENTS ((size_t)1 << 31)

struct npz_array {
    int n_dims;                     /* 0 is a single number */
    int64_t dims[NPZ_MAX_DIMS];     /* of n_dims; each, and the product, at most NPZ_MAX_ELEMENTS */
    double *data;                   /* owned, row-major, never NULL once read */
};

/* Elements; free the data and empty the array (may be empty already). */
size_t npz_array_count(const struct npz_array *a);
void npz_array_free(struct npz_array *a);

/* ---- reading ---- */

/* The array in a .npy file, of `most` elements at most: what the caller can use, since a small
 * compressed file may hold a thousand times its size. On failure `a` is empty and the error names
 * the file: ERR_IO when it cannot be read, ERR_FORMAT when it is damaged or of a kind not read
 * here, ERR_LIMIT when it has more than `most` elements. */
int npy_read(const char *path, size_t most, struct npz_array *a, struct error *err);

/* A .npz file as np.savez and np.savez_compressed write it. Only its directory is read here. */
struct npz;

int npz_open(struct npz **z, const char *path, struct error *err);
void npz_close(struct npz **z);

bool npz_has(const struct npz *z, const char *name);

/* The array called `name`, without ".npy". Errors as npy_read's; they name file and array, and
 * ERR_MISSING lists the arrays there are. */
int npz_read(struct npz *z, const char *name, size_t most, struct npz_array *a,
             struct error *err);

/* ---- writing ---- */

enum npz_type { NPZ_F64, NPZ_F32, NPZ_I64, NPZ_BOOL };

/* Collects arrays row by row, in any interleaving, and writes them as one .npz, stored and not
 * compressed. Until then every column is a nameless file in the directory of `path`, so memory
 * does not grow with rows; while npz_writer_finish runs, the disk holds everything twice. A column
 * costs one descriptor. Equal rows give equal files, byte for byte (for one version of libzip). */
struct npz_writer;

/* `path` is copied. */
struct npz_writer *npz_writer_create(const char *path);

/* A new array; returns its column, or ERR_IO when its file cannot be made.
 *   name    unique in this writer, shorter than NPZ_NAME_BYTES - 4
 *   n_dims  of a row, at most NPZ_MAX_DIMS - 1; 0 makes a one-dimensional array
 *   dims    [n_dims], of a row; may be NULL without dimensions */
int npz_writer_add(struct npz_writer *w, const char *name, enum npz_type type, int n_dims,
                   const int64_t *dims, struct error *err);

/* Append one row: double, float, int64_t or bool, row-major, copied. ERR_IO, from then on, when
 * the disk is full. */
int npz_writer_append(struct npz_writer *w, int column, const void *row, struct error *err);

/* Write the archive through a temporary beside it; on failure an old file is untouched. Once, and
 * with at least one column. Columns may differ in their number of rows. */
int npz_writer_finish(struct npz_writer *w, struct error *err);

/* Without npz_writer_finish nothing is left behind. */
void npz_writer_destroy(struct npz_writer **w);

#endif
