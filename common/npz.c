/* The zip archive around npy.h, through libzip; no other file may include zip.h. */
#include "common/npz.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zip.h>

#include "common/arena.h"
#include "common/file.h"
#include "common/npy.h"

/* ---- reading ---- */

enum { DEFLATE_RATIO = 1032 };    /* more than this no deflated byte can become */

struct npz {
    char *path;
    uint64_t bytes;
    zip_t *archive;
};

int npz_open(struct npz **z, const char *path, struct error *err)
{
    uint64_t bytes = 0;
    int code = 0;
    *z = NULL;
    int rc = npy_file_bytes(path, &bytes, err);
    if (rc != 0)
        return rc;
    zip_t *archive = zip_open(path, ZIP_RDONLY, &code);
    if (!archive) {
        zip_error_t why;
        zip_error_init_with_code(&why, code);
        bool is_io = code == ZIP_ER_OPEN || code == ZIP_ER_READ || code == ZIP_ER_SEEK;
        rc = error_set(err, is_io ? ERR_IO : ERR_FORMAT, "%s is not a usable .npz file: %s; "
                       "np.savez writes them", path, zip_error_strerror(&why));
        zip_error_fini(&why);
        return rc;
    }
    *z = memory_alloc(1, sizeof(**z));
    **z = (struct npz){ .path = memory_copy_text(path), .bytes = bytes, .archive = archive };
    return 0;
}

void npz_close(struct npz **z)
{
    if (!*z)
        return;
    zip_discard((*z)->archive);
    free((*z)->path);
    free(*z);
    *z = NULL;
}

/* The entry that holds an array, or -1. */
static zip_int64_t locate(const struct npz *z, const char *name)
{
    char entry[512];
    if (snprintf(entry, sizeof(entry), "%s.npy", name) >= (int)sizeof(entry))
        return -1;
    return zip_name_locate(z->archive, entry, ZIP_FL_ENC_RAW);
}

bool npz_has(const struct npz *z, const char *name)
{
    return locate(z, name) >= 0;
}

static int missing(const struct npz *z, const char *name, struct error *err)
{
    char list[256];
    size_t used = 0;
    zip_int64_t n = zip_get_num_entries(z->archive, 0);
    list[0] = '\0';
    for (zip_int64_t i = 0; i < n; i++) {
        const char *entry = zip_get_name(z->archive, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
        size_t length = entry ? strlen(entry) : 0;
        if (length < 4 || strcmp(entry + length - 4, ".npy") != 0)
            continue;
        length -= 4;
        if (used + length + 8 > sizeof(list)) {
            used += (size_t)snprintf(list + used, sizeof(list) - used, "%s...", used ? ", " : "");
            break;
        }
        used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%.*s", used ? ", " : "",
                                 (int)length, entry);
    }
    for (char *c = list; *c; c++)    /* names are whatever the file says */
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
    return error_set(err, ERR_MISSING, "%s has no array \"%s\"; it has %s", z->path, name,
                     used ? list : "none at all");
}

static int64_t read_entry(void *self, void *out, size_t n)
{
    return zip_fread(self, out, n);
}

/* Whether the archive's own directory can be true, before memory is sized by it. */
static const char *implausible(const struct npz *z, const zip_stat_t *st)
{
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD
                              | ZIP_STAT_ENCRYPTION_METHOD;
    if ((st->valid & needed) != needed)
        return "its size is not known; the file is damaged";
    if (st->encryption_method != ZIP_EM_NONE)
        return "it is encrypted: save it without a password";
    if (st->comp_method != ZIP_CM_STORE && st->comp_method != ZIP_CM_DEFLATE)
        return "it is compressed by another method than deflate: save it with np.savez_compressed";
    if (st->comp_size > z->bytes)
        return "it claims to be larger than the file, which is truncated or damaged";
    if (st->comp_method == ZIP_CM_STORE ? st->size != st->comp_size
                                        : st->size / DEFLATE_RATIO > st->comp_size)
        return "its size does not fit its compressed size; the file is damaged";
    return NULL;
}

static int read_array(const struct npz *z, zip_uint64_t entry, size_t most, struct npz_array *a,
                      struct error *err)
{
    zip_stat_t st;
    if (zip_stat_index(z->archive, entry, 0, &st) != 0)
        return error_set(err, ERR_FORMAT, "%s", zip_strerror(z->archive));
    const char *wrong = implausible(z, &st);
    if (wrong)
        return error_set(err, ERR_FORMAT, "%s", wrong);
    zip_file_t *file = zip_fopen_index(z->archive, entry, 0);
    if (!file)
        return error_set(err, ERR_FORMAT, "%s; the file is damaged", zip_strerror(z->archive));
    const struct npy_source source = { read_entry, file, st.size };
    int rc = npy_decode(&source, most, a, err);
    char beyond;
    /* At the end, and not before, libzip compares checksum and size. */
    zip_int64_t more = rc == 0 ? zip_fread(file, &beyond, 1) : 0;
    if (more > 0)
        rc = error_set(err, ERR_FORMAT, "it is longer than it claims; the file is damaged");
    else if (more < 0 || rc == ERR_IO)
        rc = error_set(err, ERR_FORMAT, "%s; the file is damaged", zip_file_strerror(file));
    zip_fclose(file);
    if (rc != 0)
        npz_array_free(a);
    return rc;
}

int npz_read(struct npz *z, const char *name, size_t most, struct npz_array *a, struct error *err)
{
    struct error why = { 0 };
    *a = (struct npz_array){ 0 };
    zip_int64_t entry = locate(z, name);
    if (entry < 0)
        return missing(z, name, err);
    int rc = read_array(z, (zip_uint64_t)entry, most, a, &why);
    return rc == 0 ? 0 : error_set(err, rc, "%s, array \"%s\": %s", z->path, name, why.text);
}

/* ---- writing ---- */

/* One array: already a .npy file, but for the number of rows in its header. */
struct column {
    char entry[NPZ_NAME_BYTES];     /* with ".npy" */
    enum npz_type type;
    int n_dims;                     /* of the array; dims[0] counts the rows */
    int64_t dims[NPZ_MAX_DIMS];
    size_t row_bytes;
    FILE *fp;
};

struct npz_writer {
    char *path;
    struct column *columns;
    int n;
    struct error failure;           /* the first, kept */
};

struct npz_writer *npz_writer_create(const char *path)
{
    struct npz_writer *w = memory_alloc(1, sizeof(*w));
    w->path = memory_copy_text(path);
    return w;
}

/* Keep the first failure, from errno, and hand it out. */
static int fail(struct npz_writer *w, const char *what, struct error *err)
{
    if (w->failure.code == 0)
        error_errno(&w->failure, "%s for %s", what, w->path);
    return error_set(err, w->failure.code, "%s", w->failure.text);
}

/* A file without a name where the result will be: there must be room for it there anyway. */
static FILE *open_spool(const char *path)
{
    char name[4096];
    if (snprintf(name, sizeof(name), "%s.XXXXXX", path) >= (int)sizeof(name)) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return NULL;
    unlink(name);
    FILE *fp = fdopen(fd, "w+b");
    if (!fp)
        close(fd);
    return fp;
}

int npz_writer_add(struct npz_writer *w, const char *name, enum npz_type type, int n_dims,
                   const int64_t *dims, struct error *err)
{
    char header[NPY_HEADER_BYTES];
    struct column c = { .type = type, .n_dims = n_dims + 1, .row_bytes = npy_type_bytes(type) };
    assert(n_dims >= 0 && n_dims < NPZ_MAX_DIMS && *name);
    int length = snprintf(c.entry, sizeof(c.entry), "%s.npy", name);
    assert(length < (int)sizeof(c.entry));
    (void)length;
    for (int i = 0; i < w->n; i++)
        assert(strcmp(w->columns[i].entry, c.entry) != 0);
    for (int d = 0; d < n_dims; d++) {
        c.dims[d + 1] = dims[d];
        c.row_bytes *= (size_t)dims[d];
    }
    c.fp = open_spool(w->path);
    if (!c.fp)
        return fail(w, "cannot make a temporary file", err);
    /* A place for the header, whose length does not depend on the number of rows. */
    size_t n = npy_header(type, c.n_dims, c.dims, header);
    fwrite(header, 1, n, c.fp);
    w->columns = memory_grow(w->columns, (size_t)w->n + 1, sizeof(*w->columns));
    w->columns[w->n] = c;
    return w->n++;
}

int npz_writer_append(struct npz_writer *w, int column, const void *row, struct error *err)
{
    assert(column >= 0 && column < w->n);
    struct column *c = &w->columns[column];
    assert(c->fp);
    if (w->failure.code != 0 || fwrite(row, 1, c->row_bytes, c->fp) != c->row_bytes)
        return fail(w, "cannot write a row", err);
    c->dims[0]++;
    return 0;
}

/* Write the true header and put the file at its beginning. */
static int complete(struct npz_writer *w, struct column *c, struct error *err)
{
    char header[NPY_HEADER_BYTES];
    assert(c->fp);    /* finished only once */
    size_t n = npy_header(c->type, c->n_dims, c->dims, header);
    if (fseeko(c->fp, 0, SEEK_SET) != 0 || fwrite(header, 1, n, c->fp) != n || ferror(c->fp)
        || fseeko(c->fp, 0, SEEK_SET) != 0)
        return fail(w, "cannot write a row", err);
    return 0;
}

/* Hand every column to libzip, which closes it. */
static int add_entries(struct npz_writer *w, zip_t *archive)
{
    /* 1 January 1980, where zip's calendar begins and what NumPy writes. */
    enum { MIDNIGHT = 0, FIRST_DAY = 1 << 5 | 1 };
    for (int i = 0; i < w->n; i++) {
        struct column *c = &w->columns[i];
        zip_source_t *source = zip_source_filep(archive, c->fp, 0, -1);
        if (!source)
            return -1;
        c->fp = NULL;
        zip_int64_t k = zip_file_add(archive, c->entry, source, ZIP_FL_ENC_UTF_8);
        if (k < 0) {
            zip_source_free(source);
            return -1;
        }
        if (zip_set_file_compression(archive, (zip_uint64_t)k, ZIP_CM_STORE, 0) != 0
            || zip_file_set_dostime(archive, (zip_uint64_t)k, MIDNIGHT, FIRST_DAY, 0) != 0)
            return -1;
    }
    return 0;
}

static int write_archive(struct npz_writer *w, const char *path, struct error *err)
{
    int code = 0;
    zip_t *archive = zip_open(path, ZIP_CREATE | ZIP_TRUNCATE, &code);
    if (!archive)
        return error_set(err, ERR_IO, "cannot write %s: libzip's error %d", path, code);
    if (add_entries(w, archive) != 0 || zip_close(archive) != 0) {
        int rc = error_set(err, ERR_IO, "cannot write %s: %s", path, zip_strerror(archive));
        zip_discard(archive);
        return rc;
    }
    return 0;
}

int npz_writer_finish(struct npz_writer *w, struct error *err)
{
    struct file_writer out;
    assert(w->n > 0);    /* libzip writes no file for nothing */
    if (w->failure.code != 0)
        return fail(w, "", err);
    for (int i = 0; i < w->n; i++)
        if (complete(w, &w->columns[i], err) != 0)
            return ERR_IO;
    int rc = file_begin(&out, w->path, err);
    if (rc != 0)
        return rc;
    /* libzip replaces the temporary by one of its own; what it wrote is then made durable. */
    fclose(out.fp);
    rc = write_archive(w, out.temporary, err);
    if (rc == 0) {
        out.fp = fopen(out.temporary, "r+b");
        if (out.fp)
            return file_commit(&out, err);
        rc = error_errno(err, "cannot open %s", out.temporary);
    }
    unlink(out.temporary);
    return rc;
}

void npz_writer_destroy(struct npz_writer **w)
{
    if (!*w)
        return;
    for (int i = 0; i < (*w)->n; i++)
        if ((*w)->columns[i].fp)
            fclose((*w)->columns[i].fp);
    free((*w)->columns);
    free((*w)->path);
    free(*w);
    *w = NULL;
}
