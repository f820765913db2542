/* Tensors in files, in the safetensors format (u64 header length, JSON header, raw data).
 *
 * Writing is atomic: a temporary file beside the target, fsync, rename, fsync of the directory.
 * Nothing in a file depends on time, host or place. Reading checks every length against the file
 * before it is used. */
#ifndef SHOAL_COMMON_SAFETENSORS_H
#define SHOAL_COMMON_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum tensor_type { TENSOR_F32, TENSOR_F64, TENSOR_I64, TENSOR_U8 };
enum { TENSOR_NAME_BYTES = 64, TENSOR_MAX_DIMS = 3 };

struct tensor {
    char name[TENSOR_NAME_BYTES];
    enum tensor_type type;
    int n_dims;
    int64_t dims[TENSOR_MAX_DIMS];
    const void *data;           /* borrowed; row-major */
};

struct tensor_metadata {
    const char *key, *value;
};

/* Write `tensors` in the given order and `metadata` sorted by key. */
int safetensors_write(const char *path, const struct tensor *tensors, int n,
                      const struct tensor_metadata *metadata, int n_metadata, struct error *err);

/* An opened file, read whole. */
struct safetensors;

int safetensors_open(struct safetensors **file, const char *path, struct error *err);
void safetensors_close(struct safetensors **file);

/* A copy of tensors that stays in memory, to be read like a file that was opened. */
struct safetensors *safetensors_keep(const struct tensor *tensors, int n);

/* Number of tensors; tensor `i` (data borrowed from the file, of any alignment); the one called `name`
 * or NULL. */
int safetensors_count(const struct safetensors *file);
const struct tensor *safetensors_get(const struct safetensors *file, int i);
const struct tensor *safetensors_find(const struct safetensors *file, const char *name);

/* A metadata value, or NULL. */
const char *safetensors_metadata(const struct safetensors *file, const char *key);

size_t tensor_count(const struct tensor *t);    /* elements */

/* Copy tensor `name` of the given type with exactly n elements to `out`; the error names the file,
 * the tensor and both sizes. */
int safetensors_copy(const struct safetensors *file, const char *name, enum tensor_type type,
                     size_t n, void *out, struct error *err);

#endif
