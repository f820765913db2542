#include "common/npy.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/arena.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are written as they lie in memory");
_Static_assert(sizeof(bool) == 1, "so is bool");

enum {
    HEADER_LIMIT = 10000,       /* NumPy's own */
    CHUNK_BYTES = 1 << 15,
    FIRST_DIM_DIGITS = 21,      /* NumPy leaves room for the first dimension to grow */
    ALIGNMENT = 64,
};

/* What a header says. */
struct layout {
    size_t header_bytes;        /* with everything before the elements */
    char descr[24];
    bool is_fortran;
    int n_dims;
    int64_t dims[NPZ_MAX_DIMS];
    bool is_swapped;
    size_t item_bytes;
    void (*convert)(const char *at, size_t n, double *out);
};

size_t npz_array_count(const struct npz_array *a)
{
    size_t n = 1;
    for (int d = 0; d < a->n_dims; d++)
        n *= (size_t)a->dims[d];
    return n;
}

void npz_array_free(struct npz_array *a)
{
    free(a->data);
    *a = (struct npz_array){ 0 };
}

/* ---- writing a header ---- */

static const struct {
    const char *descr;
    size_t bytes;
} written[] = {
    [NPZ_F64] = { "<f8", 8 }, [NPZ_F32] = { "<f4", 4 }, [NPZ_I64] = { "<i8", 8 },
    [NPZ_BOOL] = { "|b1", 1 },
};

size_t npy_type_bytes(enum npz_type type)
{
    return written[type].bytes;
}

size_t npy_header(enum npz_type type, int n_dims, const int64_t *dims, char *out)
{
    static const char magic[8] = "\x93NUMPY\x01\x00";
    char first[32];
    assert(n_dims >= 1 && n_dims <= NPZ_MAX_DIMS);
    int digits = snprintf(first, sizeof(first), "%" PRId64, dims[0]);
    char *text = out + 10;
    size_t room = NPY_HEADER_BYTES - 10;
    size_t n = (size_t)snprintf(text, room, "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s",
                                written[type].descr, first, n_dims == 1 ? "," : "");
    for (int d = 1; d < n_dims; d++)
        n += (size_t)snprintf(text + n, room - n, ", %" PRId64, dims[d]);
    n += (size_t)snprintf(text + n, room - n, "), }%*s", FIRST_DIM_DIGITS - digits, "");
    /* As NumPy does it: at least one space, also where the header is aligned already. */
    size_t padding = ALIGNMENT - (10 + n + 1) % ALIGNMENT;
    n += (size_t)snprintf(text + n, room - n, "%*s\n", (int)padding, "");
    assert(n < room);
    memcpy(out, magic, sizeof(magic));
    out[8] = (char)(n & 0xff);
    out[9] = (char)(n >> 8);
    return 10 + n;
}

/* ---- reading a header: a Python dictionary ---- */

/* Skip spaces and then `c`, if it is there. */
static bool take(const char **at, char c)
{
    *at += strspn(*at, " \t\n");
    if (**at != c || c == '\0')
        return false;
    (*at)++;
    return true;
}

static bool take_word(const char **at, const char *word)
{
    *at += strspn(*at, " \t\n");
    if (strncmp(*at, word, strlen(word)) != 0)
        return false;
    *at += strlen(word);
    return true;
}

/* A string without escapes. */
static bool take_string(const char **at, char *out, size_t bytes)
{
    char quote = take(at, '\'') ? '\'' : take(at, '"') ? '"' : '\0';
    const char *end = quote ? strchr(*at, quote) : NULL;
    if (!end || (size_t)(end - *at) >= bytes)
        return false;
    memcpy(out, *at, (size_t)(end - *at));
    out[end - *at] = '\0';
    *at = end + 1;
    return true;
}

/* "(3, 4)", "(3,)" or "()"; Python 2 wrote "3L". */
static int take_shape(const char **at, struct layout *l, struct error *err)
{
    uint64_t extent = 1;    /* the product, a dimension of 0 counting as 1 */
    if (!take(at, '('))
        return error_set(err, ERR_FORMAT, "its header has a shape that is not a tuple");
    while (!take(at, ')')) {
        uint64_t dim = 0;
        *at += strspn(*at, " \t\n");
        size_t digits = strspn(*at, "0123456789");
        for (size_t k = 0; k < digits && dim <= NPZ_MAX_ELEMENTS; k++)
            dim = 10 * dim + (uint64_t)((*at)[k] - '0');
        *at += digits;
        take(at, 'L');
        if (digits == 0 || (!take(at, ',') && **at != ')'))
            return error_set(err, ERR_FORMAT, "its header has a shape that is not a tuple of "
                             "whole numbers");
        if (l->n_dims == NPZ_MAX_DIMS)
            return error_set(err, ERR_FORMAT, "it has more than %d dimensions: reshape it",
                             NPZ_MAX_DIMS);
        if (dim > NPZ_MAX_ELEMENTS || extent * (dim ? dim : 1) > NPZ_MAX_ELEMENTS)
            return error_set(err, ERR_LIMIT, "it has more than 2^31 elements: save it in parts");
        extent *= dim ? dim : 1;
        l->dims[l->n_dims++] = (int64_t)dim;
    }
    return 0;
}

static const char malformed[] = "its header is not the dictionary that NumPy writes";
enum { DESCR = 1, ORDER = 2, SHAPE = 4 };

/* The value of a key: which one it was, or a negative code. */
static int take_value(const char **at, const char *key, struct layout *l, struct error *err)
{
    if (strcmp(key, "descr") == 0) {
        if (!take_string(at, l->descr, sizeof(l->descr)))
            return error_set(err, ERR_FORMAT, "its elements are structures: save every field as an "
                             "array of its own");
        return DESCR;
    }
    if (strcmp(key, "fortran_order") == 0) {
        l->is_fortran = take_word(at, "True");
        if (l->is_fortran || take_word(at, "False"))
            return ORDER;
    } else if (strcmp(key, "shape") == 0) {
        l->n_dims = 0;
        int rc = take_shape(at, l, err);
        return rc != 0 ? rc : SHAPE;
    }
    return error_set(err, ERR_FORMAT, malformed);
}

static int take_dictionary(const char *at, struct layout *l, struct error *err)
{
    int seen = 0;
    if (!take(&at, '{'))
        return error_set(err, ERR_FORMAT, malformed);
    while (!take(&at, '}')) {
        char key[16];
        if (!take_string(&at, key, sizeof(key)) || !take(&at, ':'))
            return error_set(err, ERR_FORMAT, malformed);
        int found = take_value(&at, key, l, err);
        if (found < 0)
            return found;
        if (seen & found || (!take(&at, ',') && *at != '}'))
            return error_set(err, ERR_FORMAT, malformed);
        seen |= found;
    }
    at += strspn(at, " \t\n");
    if (*at != '\0' || seen != (DESCR | ORDER | SHAPE))
        return error_set(err, ERR_FORMAT, malformed);
    return 0;
}

/* ---- elements ---- */

#define NUMBERS(X) \
    X(f8, double) X(f4, float) X(i8, int64_t) X(i4, int32_t) X(i2, int16_t) X(i1, int8_t) \
    X(u8, uint64_t) X(u4, uint32_t) X(u2, uint16_t) X(u1, uint8_t)

#define X(name, type) \
    static void convert_##name(const char *at, size_t n, double *out) \
    { \
        for (size_t i = 0; i < n; i++) { \
            type element; \
            memcpy(&element, at + i * sizeof(element), sizeof(element)); \
            out[i] = (double)element; \
        } \
    }
NUMBERS(X)
#undef X

static void convert_b1(const char *at, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = at[i] != 0;
}

static const struct {
    const char *name;    /* NumPy's kind and bytes */
    size_t bytes;
    void (*convert)(const char *at, size_t n, double *out);
} readable[] = {
#define X(name, type) { #name, sizeof(type), convert_##name },
    NUMBERS(X)
#undef X
    { "b1", 1, convert_b1 },
};

/* What NumPy calls a dtype: a byte order, then the kind and the number of bytes. */
static int choose_type(struct layout *l, struct error *err)
{
    const char *name = l->descr + (*l->descr && strchr("<>|=", *l->descr) ? 1 : 0);
    if (*name == 'O')
        return error_set(err, ERR_FORMAT, "it holds Python objects (a pickle), and those are never "
                         "read: save it as numbers, with np.asarray(x, dtype=float)");
    for (size_t k = 0; k < sizeof(readable) / sizeof(*readable); k++)
        if (strcmp(readable[k].name, name) == 0) {
            l->item_bytes = readable[k].bytes;
            l->convert = readable[k].convert;
            l->is_swapped = *l->descr == '>';
            return 0;
        }
    for (char *c = l->descr; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return error_set(err, ERR_FORMAT, "its dtype '%s' is not read here (floats of 4 or 8 bytes, "
                     "integers and booleans are): save it with x.astype(float)", l->descr);
}

static void swap_bytes(char *at, size_t n, size_t item_bytes)
{
    for (; n; n--, at += item_bytes)
        for (size_t i = 0, j = item_bytes - 1; i < j; i++, j--) {
            char c = at[i];
            at[i] = at[j];
            at[j] = c;
        }
}

/* Exactly n bytes. */
static int read_all(const struct npy_source *s, void *out, size_t n, struct error *err)
{
    for (size_t done = 0; done < n;) {
        int64_t got = s->read(s->self, (char *)out + done, n - done);
        if (got <= 0)
            return error_set(err, got < 0 ? ERR_IO : ERR_FORMAT, got < 0 ? "it cannot be read"
                             : "its data end too early; the file is truncated or damaged");
        done += (size_t)got;
    }
    return 0;
}

static int read_header(const struct npy_source *s, struct layout *l, struct error *err)
{
    unsigned char start[12] = { 0 };
    char text[HEADER_LIMIT + 1];
    if (s->bytes < 10)
        return error_set(err, ERR_FORMAT, "it is too short to be a .npy array");
    int rc = read_all(s, start, 10, err);
    if (rc == 0 && memcmp(start, "\x93NUMPY", 6) != 0)
        rc = error_set(err, ERR_FORMAT, "it is not a .npy array: np.save and np.savez write those");
    if (rc == 0 && (start[6] < 1 || start[6] > 2 || start[7] != 0))
        rc = error_set(err, ERR_FORMAT, "it has version %d.%d of the .npy format, but only 1.0 and "
                       "2.0 are read here: save it as plain numbers", start[6], start[7]);
    if (rc == 0 && start[6] == 2)
        rc = read_all(s, start + 10, 2, err);
    if (rc != 0)
        return rc;
    l->header_bytes = start[6] == 2 ? 12 : 10;
    size_t n = (size_t)start[8] | (size_t)start[9] << 8 | (size_t)start[10] << 16
             | (size_t)start[11] << 24;
    if (n > HEADER_LIMIT || l->header_bytes + n > s->bytes)
        return error_set(err, ERR_FORMAT, "its header claims %zu bytes, more than the file or than "
                         "the %d allowed; the file is truncated or damaged", n, HEADER_LIMIT);
    l->header_bytes += n;
    rc = read_all(s, text, n, err);
    text[n] = '\0';
    if (rc == 0)
        rc = take_dictionary(text, l, err);
    return rc == 0 ? choose_type(l, err) : rc;
}

static int read_elements(const struct npy_source *s, const struct layout *l, size_t n, double *out,
                         struct error *err)
{
    char chunk[CHUNK_BYTES];
    size_t most = sizeof(chunk) / l->item_bytes;
    while (n) {
        size_t k = n < most ? n : most;
        int rc = read_all(s, chunk, k * l->item_bytes, err);
        if (rc != 0)
            return rc;
        if (l->is_swapped)
            swap_bytes(chunk, k, l->item_bytes);
        l->convert(chunk, k, out);
        out += k;
        n -= k;
    }
    return 0;
}

/* From Fortran order, where the first index runs fastest, to C order. */
static void reorder(struct npz_array *a)
{
    size_t n = npz_array_count(a), strides[NPZ_MAX_DIMS], at = 0;
    int64_t index[NPZ_MAX_DIMS] = { 0 };
    double *in = a->data, *out = memory_alloc(n, sizeof(*out));
    for (int d = a->n_dims - 1; d >= 0; d--)
        strides[d] = d == a->n_dims - 1 ? 1 : strides[d + 1] * (size_t)a->dims[d + 1];
    for (size_t i = 0; i < n; i++) {
        out[at] = in[i];
        for (int d = 0; d < a->n_dims; d++) {
            at += strides[d];
            if (++index[d] < a->dims[d])
                break;
            at -= strides[d] * (size_t)index[d];
            index[d] = 0;
        }
    }
    a->data = out;
    free(in);
}

int npy_decode(const struct npy_source *source, size_t most, struct npz_array *a, struct error *err)
{
    struct layout l = { 0 };
    *a = (struct npz_array){ 0 };
    int rc = read_header(source, &l, err);
    if (rc != 0)
        return rc;
    a->n_dims = l.n_dims;
    memcpy(a->dims, l.dims, sizeof(a->dims));
    size_t n = npz_array_count(a);    /* no overflow: take_shape bounds it */
    uint64_t held = source->bytes - l.header_bytes;
    if (n * l.item_bytes != held)
        rc = error_set(err, ERR_FORMAT, "its shape needs %zu bytes of data and it has %" PRIu64
                       "; the file is truncated or damaged", n * l.item_bytes, held);
    else if (n > most)
        rc = error_set(err, ERR_LIMIT, "it has %zu elements, but at most %zu can be used here", n, most);
    if (rc == 0) {
        a->data = memory_alloc(n ? n : 1, sizeof(*a->data));
        rc = read_elements(source, &l, n, a->data, err);
    }
    if (rc != 0)
        npz_array_free(a);
    else if (l.is_fortran && a->n_dims > 1 && n)
        reorder(a);
    return rc;
}

/* ---- a file of its own ---- */

int npy_file_bytes(const char *path, uint64_t *bytes, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return error_errno(err, "cannot open %s", path);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_IO, "%s is not a regular file", path);
    *bytes = (uint64_t)st.st_size;
    return 0;
}

static int64_t read_file(void *self, void *out, size_t n)
{
    size_t got = fread(out, 1, n, self);
    return got == 0 && ferror(self) ? -1 : (int64_t)got;
}

int npy_read(const char *path, size_t most, struct npz_array *a, struct error *err)
{
    uint64_t bytes = 0;
    struct error why = { 0 };
    *a = (struct npz_array){ 0 };
    int rc = npy_file_bytes(path, &bytes, err);
    if (rc != 0)
        return rc;
    FILE *fp = fopen(path, "rb");
    if (!fp)
        return error_errno(err, "cannot open %s", path);
    const struct npy_source source = { read_file, fp, bytes };
    rc = npy_decode(&source, most, a, &why);
    fclose(fp);
    return rc == 0 ? 0 : error_set(err, rc, "%s: %s", path, why.text);
}
