#include "common/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/digest.h"
#include "common/file.h"

enum { HEADER_LIMIT = 1 << 20, MAX_TENSORS = 1024 };
static const size_t FILE_LIMIT = (size_t)16 << 30;

static const struct {
    const char *name;
    size_t bytes;
} types[] = {
    [TENSOR_F32] = { "F32", 4 }, [TENSOR_F64] = { "F64", 8 }, [TENSOR_I64] = { "I64", 8 },
    [TENSOR_U8] = { "U8", 1 },
};
enum { N_TYPES = sizeof(types) / sizeof(*types) };

struct safetensors {
    char *path;
    char *raw;               /* the whole file, shifted so that the data are aligned */
    json_t *header;
    struct tensor *tensors;
    int n;
};

size_t tensor_count(const struct tensor *t)
{
    size_t n = 1;
    for (int d = 0; d < t->n_dims; d++)
        n *= (size_t)t->dims[d];
    return n;
}

/* ---- writing ---- */

static json_t *header_of(const struct tensor *tensors, int n,
                         const struct tensor_metadata *metadata, int n_metadata)
{
    json_t *header = json_object(), *about = json_object();
    uint32_t crc = 0;
    char checksum[9];
    /* Sorted, by always taking the least key above the last one. */
    for (const char *last = ""; (int)json_object_size(about) < n_metadata;) {
        const struct tensor_metadata *least = NULL;
        for (int i = 0; i < n_metadata; i++)
            if (strcmp(metadata[i].key, last) > 0
                && (!least || strcmp(metadata[i].key, least->key) < 0))
                least = &metadata[i];
        if (!least)
            break;
        json_object_set_new(about, least->key, json_string(least->value));
        last = least->key;
    }
    for (int i = 0; i < n; i++)
        crc = digest_crc32_add(crc, tensors[i].data,
                               tensor_count(&tensors[i]) * types[tensors[i].type].bytes);
    snprintf(checksum, sizeof(checksum), "%08" PRIx32, crc);
    json_object_set_new(about, "crc32", json_string(checksum));
    json_object_set_new(header, "__metadata__", about);
    size_t offset = 0;
    for (int i = 0; i < n; i++) {
        const struct tensor *t = &tensors[i];
        json_t *shape = json_array();
        for (int d = 0; d < t->n_dims; d++)
            json_array_append_new(shape, json_integer(t->dims[d]));
        size_t end = offset + tensor_count(t) * types[t->type].bytes;
        json_object_set_new(header, t->name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype", types[t->type].name,
                                      "shape", shape, "data_offsets", (json_int_t)offset,
                                      (json_int_t)end));
        offset = end;
    }
    return header;
}

int safetensors_write(const char *path, const struct tensor *tensors, int n,
                      const struct tensor_metadata *metadata, int n_metadata, struct error *err)
{
    struct file_writer w;
    int rc = file_begin(&w, path, err);
    if (rc != 0)
        return rc;
    json_t *header = header_of(tensors, n, metadata, n_metadata);
    char *text = json_dumps(header, JSON_COMPACT);
    json_decref(header);
    /* Pad with spaces so that the data begin at a multiple of 8. */
    size_t length = strlen(text), padded = (length + 7) / 8 * 8;
    uint64_t prefix = padded;
    fwrite(&prefix, sizeof(prefix), 1, w.fp);
    fwrite(text, 1, length, w.fp);
    fprintf(w.fp, "%*s", (int)(padded - length), "");
    free(text);
    for (int i = 0; i < n; i++)
        fwrite(tensors[i].data, types[tensors[i].type].bytes, tensor_count(&tensors[i]), w.fp);
    return file_commit(&w, err);
}

/* ---- reading ---- */

/* Whether the tensors cover `available` bytes of data without holes or overlap. */
static bool covers(const struct safetensors *f, const char *data, size_t available)
{
    size_t reached = 0;
    for (int step = 0; step < f->n; step++)
        for (int i = 0; i < f->n; i++) {
            const struct tensor *t = &f->tensors[i];
            size_t bytes = tensor_count(t) * types[t->type].bytes;
            if (bytes && (const char *)t->data == data + reached)
                reached += bytes;
        }
    size_t total = 0;
    for (int i = 0; i < f->n; i++)
        total += tensor_count(&f->tensors[i]) * types[f->tensors[i].type].bytes;
    return reached == available && total == available;
}

/* One header entry, checked against the `available` bytes of data. */
static const char *read_entry(struct tensor *t, const char *name, json_t *entry,
                              const char *data, size_t available)
{
    const char *type;
    json_t *shape;
    json_int_t begin, end;
    if (strlen(name) >= sizeof(t->name))
        return "a tensor's name is too long";
    memcpy(t->name, name, strlen(name) + 1);
    if (json_unpack(entry, "{s:s, s:o, s:[I, I]}", "dtype", &type, "shape", &shape, "data_offsets",
                    &begin, &end) != 0 || !json_is_array(shape))
        return "an entry lacks dtype, shape or data_offsets";
    int k = 0;
    while (k < N_TYPES && strcmp(types[k].name, type) != 0)
        k++;
    if (k == N_TYPES)
        return "a tensor has an unknown dtype";
    t->type = (enum tensor_type)k;
    if (json_array_size(shape) > TENSOR_MAX_DIMS)
        return "a tensor has too many dimensions";
    t->n_dims = (int)json_array_size(shape);
    size_t count = 1;
    for (int d = 0; d < t->n_dims; d++) {
        const json_t *number = json_array_get(shape, (size_t)d);
        json_int_t dim = json_integer_value(number);
        if (!json_is_integer(number) || dim < 0 || (size_t)dim > available
            || (dim && count > available / (size_t)dim))
            return "a tensor's shape is larger than the file";
        count *= (size_t)dim;
        t->dims[d] = dim;
    }
    if (begin < 0 || end < begin || (size_t)end > available
        || (size_t)(end - begin) != count * types[k].bytes)
        return "a tensor's offsets do not match its shape and the file";
    t->data = data + begin;
    return NULL;
}

static const char *read_header(struct safetensors *f, char *raw, size_t bytes)
{
    uint64_t length;
    if (bytes < sizeof(length))
        return "it is too short";
    memcpy(&length, raw, sizeof(length));
    if (length > HEADER_LIMIT || length > bytes - sizeof(length))
        return "its header is longer than the file or than 1 MiB";
    json_error_t problem;
    f->header = json_loadb(raw + sizeof(length), length, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(f->header))
        return "its header is not a JSON object";
    size_t available = bytes - sizeof(length) - length;
    /* Shift the data so that they are aligned whatever the header's length. */
    char *data = raw;
    memmove(data, raw + sizeof(length) + length, available);
    f->raw = data;
    f->tensors = memory_alloc(json_object_size(f->header), sizeof(*f->tensors));
    if (json_object_size(f->header) > MAX_TENSORS)
        return "it holds too many tensors";
    const char *name;
    json_t *entry;
    json_object_foreach(f->header, name, entry) {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        struct tensor *t = &f->tensors[f->n];
        const char *wrong = read_entry(t, name, entry, data, available);
        if (wrong)
            return wrong;
        f->n++;
    }
    if (!covers(f, data, available))
        return "its tensors do not cover its data exactly";
    /* Ours have a checksum; files of other programs need not. */
    const char *checksum = safetensors_metadata(f, "crc32");
    return checksum && strtoul(checksum, NULL, 16) != digest_crc32(data, available)
         ? "its data are damaged (the checksum does not match)" : NULL;
}

int safetensors_open(struct safetensors **file, const char *path, struct error *err)
{
    struct safetensors *f = memory_alloc(1, sizeof(*f));
    char *raw = NULL;
    size_t bytes = 0;
    *file = NULL;
    int rc = file_read(path, FILE_LIMIT, &raw, &bytes, err);
    if (rc == 0) {
        f->path = memory_copy_text(path);
        f->raw = raw;
        const char *wrong = read_header(f, raw, bytes);
        if (wrong)
            rc = error_set(err, ERR_FORMAT, "%s is not a usable safetensors file: %s", path, wrong);
    }
    if (rc == 0)
        *file = f;
    else
        safetensors_close(&f);
    return rc;
}

void safetensors_close(struct safetensors **file)
{
    if (!*file)
        return;
    json_decref((*file)->header);
    free((*file)->tensors);
    free((*file)->raw);
    free((*file)->path);
    free(*file);
    *file = NULL;
}

struct safetensors *safetensors_keep(const struct tensor *tensors, int n)
{
    struct safetensors *f = memory_alloc(1, sizeof(*f));
    size_t total = 0;
    for (int i = 0; i < n; i++)
        total += tensor_count(&tensors[i]) * types[tensors[i].type].bytes;
    char *data = f->raw = memory_alloc(total + 1, 1);
    f->path = memory_copy_text("what was kept in memory");
    f->tensors = memory_alloc((size_t)n, sizeof(*f->tensors));
    f->n = n;
    for (int i = 0; i < n; i++) {
        const size_t bytes = tensor_count(&tensors[i]) * types[tensors[i].type].bytes;
        f->tensors[i] = tensors[i];
        f->tensors[i].data = memcpy(data, tensors[i].data, bytes);
        data += bytes;
    }
    return f;
}

int safetensors_count(const struct safetensors *file)
{
    return file->n;
}

const struct tensor *safetensors_get(const struct safetensors *file, int i)
{
    return &file->tensors[i];
}

const struct tensor *safetensors_find(const struct safetensors *file, const char *name)
{
    for (int i = 0; i < file->n; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

const char *safetensors_metadata(const struct safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

int safetensors_copy(const struct safetensors *file, const char *name, enum tensor_type type,
                     size_t n, void *out, struct error *err)
{
    const struct tensor *t = safetensors_find(file, name);
    if (!t)
        return error_set(err, ERR_FORMAT, "%s has no tensor \"%s\"", file->path, name);
    if (t->type != type || tensor_count(t) != n)
        return error_set(err, ERR_FORMAT,
                         "%s: tensor \"%s\" holds %zu %s, but %zu %s are needed; was it written "
                         "with another network or environment?", file->path, name,
                         tensor_count(t), types[t->type].name, n, types[type].name);
    memcpy(out, t->data, n * types[type].bytes);
    return 0;
}
