/* The .npy format below npz.h: the header that says type and shape, and the elements behind it.
 * Source: NumPy's numpy/lib/format.py, versions 1.0 and 2.0. */
#ifndef SHOAL_COMMON_NPY_H
#define SHOAL_COMMON_NPY_H

#include "common/npz.h"

enum { NPY_HEADER_BYTES = 256 };    /* more than the longest that npy_header writes */

/* Bytes of one element. */
size_t npy_type_bytes(enum npz_type type);

/* The header of an array in C order, byte for byte as NumPy writes it. Its length, a multiple of
 * 64, does not depend on dims[0]: rows can be appended to the file before their number is known.
 *   out     [NPY_HEADER_BYTES] */
size_t npy_header(enum npz_type type, int n_dims, const int64_t *dims, char *out);

/* Where a .npy comes from: `read` gives up to n bytes, 0 at the end, negative on failure; `bytes`
 * is how long all of it claims to be. */
struct npy_source {
    int64_t (*read)(void *self, void *out, size_t n);
    void *self;
    uint64_t bytes;
};

/* Read one array of at most `most` elements. The error says what is wrong, but not where. */
int npy_decode(const struct npy_source *source, size_t most, struct npz_array *a, struct error *err);

/* The size of a regular file; ERR_IO, naming it, for anything else. */
int npy_file_bytes(const char *path, uint64_t *bytes, struct error *err);

#endif
