#include "deploy/recording.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/file.h"
#include "common/npz.h"
#include "common/text.h"

static const struct {
    const char *name;
    bool is_bool;
} fields[RECORD_FIELDS] = {
#define X(symbol, name, is_bool) { name, is_bool },
    RECORDING_FIELDS(X)
#undef X
};

struct recording {
    struct arena *arena;
    struct {
        int width;          /* as given to recording_open */
        int column;         /* of the .npz */
        double *values;     /* [width] */
    } fields[RECORD_FIELDS];
    struct npz_writer *npz;         /* one of them, NULL when it is the other */
    struct file_writer csv;         /* csv.fp */
};

/* ---- .npz ---- */

static int begin_npz(struct recording *r, const char *path, struct error *err)
{
    r->npz = npz_writer_create(path);
    for (int i = 0; i < RECORD_FIELDS; i++) {
        const int64_t width = r->fields[i].width;
        if (width == 0)
            continue;
        r->fields[i].column = npz_writer_add(r->npz, fields[i].name,
                                             fields[i].is_bool ? NPZ_BOOL : NPZ_F64, width > 0,
                                             &width, err);
        if (r->fields[i].column < 0)
            return r->fields[i].column;
    }
    return 0;
}

static int append_npz(struct recording *r, struct error *err)
{
    int rc = 0;
    for (int i = 0; i < RECORD_FIELDS && rc == 0; i++) {
        const double *values = r->fields[i].values;
        if (!values)
            continue;
        const bool truth = values[0] != 0;
        rc = npz_writer_append(r->npz, r->fields[i].column,
                               fields[i].is_bool ? (const void *)&truth : values, err);
    }
    return rc;
}

/* ---- CSV ---- */

static int begin_csv(struct recording *r, const char *path, struct error *err)
{
    int rc = file_begin(&r->csv, path, err);
    const char *comma = "";
    for (int i = 0; i < RECORD_FIELDS && rc == 0; i++) {
        if (r->fields[i].width == RECORD_SCALAR) {
            fprintf(r->csv.fp, "%s%s", comma, fields[i].name);
            comma = ",";
        }
        for (int j = 0; j < r->fields[i].width; j++, comma = ",")
            fprintf(r->csv.fp, "%s%s_%d", comma, fields[i].name, j);
    }
    if (rc == 0)
        putc('\n', r->csv.fp);
    return rc;
}

static int append_csv(struct recording *r, struct error *err)
{
    const char *comma = "";
    for (int i = 0; i < RECORD_FIELDS; i++)
        for (int j = 0; r->fields[i].values && j < abs(r->fields[i].width); j++, comma = ",")
            fprintf(r->csv.fp, "%s%.17g", comma, r->fields[i].values[j]);
    putc('\n', r->csv.fp);
    return ferror(r->csv.fp) ? error_errno(err, "cannot write %s", r->csv.temporary) : 0;
}

/* ---- either ---- */

int recording_open(struct recording **out, const char *path, const int widths[RECORD_FIELDS],
                   struct error *err)
{
    struct stat st;
    *out = NULL;
    if (!text_ends_with(path, ".npz") && !text_ends_with(path, ".csv"))
        return error_set(err, ERR_USAGE, "--out: expected a file that ends in .npz or .csv, found "
                         "\"%.150s\"", path);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return error_set(err, ERR_IO, "cannot write %s: it is a directory", path);

    struct arena *arena = arena_create(1 << 12);
    struct recording *r = arena_alloc(arena, 1, sizeof(*r));
    r->arena = arena;
    for (int i = 0; i < RECORD_FIELDS; i++) {
        r->fields[i].width = widths[i];
        if (widths[i] != 0)
            r->fields[i].values = arena_alloc(arena, (size_t)abs(widths[i]), sizeof(double));
    }
    int rc = text_ends_with(path, ".npz") ? begin_npz(r, path, err) : begin_csv(r, path, err);
    if (rc != 0)
        recording_destroy(&r);
    *out = r;
    return rc;
}

double *recording_field(const struct recording *r, enum recording_field field)
{
    return r->fields[field].values;
}

int recording_append(struct recording *r, struct error *err)
{
    return r->npz ? append_npz(r, err) : append_csv(r, err);
}

int recording_finish(struct recording *r, struct error *err)
{
    return r->npz ? npz_writer_finish(r->npz, err) : file_commit(&r->csv, err);
}

void recording_destroy(struct recording **r)
{
    if (!*r)
        return;
    npz_writer_destroy(&(*r)->npz);
    if ((*r)->csv.fp) {
        fclose((*r)->csv.fp);
        unlink((*r)->csv.temporary);
    }
    struct arena *arena = (*r)->arena;
    arena_destroy(&arena);
    *r = NULL;
}
