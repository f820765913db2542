#include "deploy/schedule_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/file.h"

/* What waits before it is written unasked, and at most: behind that, records are lost and so is the rerun. */
enum { USUAL_BYTES = 1 << 16, MOST_BYTES = 1 << 24 };
static const size_t FILE_LIMIT = (size_t)1 << 34;

struct schedule_file {
    int fd;
    struct schedule_codec *codec;
    unsigned char *waiting;         /* [capacity] */
    size_t n, capacity;
    uint64_t written;
    bool must_cut;                  /* behind `written` there is something to forget */
    bool is_lost;                   /* MOST_BYTES were reached: nothing can follow */
};

static int open_file(struct schedule_file **out, const char *path, int flags, struct error *err)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0666);
    if (fd < 0)
        return error_errno(err, "cannot write %s", path);
    struct schedule_file *f = memory_alloc(1, sizeof(*f));
    f->fd = fd;
    f->capacity = 2 * USUAL_BYTES;
    f->waiting = memory_alloc(f->capacity, 1);
    *out = f;
    return 0;
}

int schedule_file_create(struct schedule_file **f, const char *path, uint32_t n_streams, uint32_t horizon,
                         struct error *err)
{
    int rc = open_file(f, path, O_TRUNC, err);
    if (rc != 0)
        return rc;
    (*f)->codec = schedule_codec_create(n_streams, horizon);
    (*f)->n = schedule_encode_header((*f)->codec, (*f)->waiting);
    return 0;
}

/* Read [0, bytes) of a file, for what encoding remembers. */
static int read_back(struct schedule_codec **codec, const char *path, uint64_t bytes, struct error *err)
{
    char *data = NULL;
    size_t size = 0;
    struct schedule_reader reader;
    struct schedule_record r;
    int rc = file_read(path, FILE_LIMIT, &data, &size, err);
    if (rc != 0)
        return rc;
    schedule_reader_init(&reader, data, size < bytes ? size : (size_t)bytes);
    while (schedule_read(&reader, &r))
        ;
    if (size < bytes)
        rc = error_set(err, ERR_FORMAT, "%s has %zu bytes, and the checkpoint was made behind %llu", path, size,
                       (unsigned long long)bytes);
    else if (reader.problem || reader.is_torn)
        rc = error_set(err, ERR_FORMAT, "%s cannot be gone on with: %s", path, reader.problem ? reader.problem
                       : "the checkpoint was made in the middle of a record");
    if (rc == 0) {
        *codec = reader.codec;
        reader.codec = NULL;
    }
    schedule_reader_fini(&reader);
    free(data);
    return rc;
}

int schedule_file_resume(struct schedule_file **f, const char *path, uint64_t bytes, struct error *err)
{
    struct schedule_codec *codec = NULL;
    const uint64_t kept = bytes < SCHEDULE_HEADER_BYTES ? SCHEDULE_HEADER_BYTES : bytes;
    int rc = read_back(&codec, path, kept, err);
    if (rc == 0)
        rc = open_file(f, path, 0, err);
    if (rc != 0) {
        schedule_codec_destroy(&codec);
        return rc;
    }
    (*f)->codec = codec;
    (*f)->written = kept;
    (*f)->must_cut = true;
    return 0;
}

void schedule_file_close(struct schedule_file **f)
{
    if (!*f)
        return;
    (void)schedule_file_flush(*f, NULL);
    close((*f)->fd);
    schedule_codec_destroy(&(*f)->codec);
    free((*f)->waiting);
    free(*f);
    *f = NULL;
}

void schedule_file_write(struct schedule_file *f, const struct schedule_record *r)
{
    if (f->n >= USUAL_BYTES)
        (void)schedule_file_flush(f, NULL);    /* who flushes in time says what is wrong */
    if (f->capacity - f->n < SCHEDULE_MAX_RECORD_BYTES && f->capacity < MOST_BYTES) {
        f->capacity *= 2;
        f->waiting = memory_grow(f->waiting, f->capacity, 1);
    }
    f->is_lost |= f->capacity - f->n < SCHEDULE_MAX_RECORD_BYTES;
    if (!f->is_lost)
        f->n += schedule_encode(f->codec, r, f->waiting + f->n);
}

int schedule_file_flush(struct schedule_file *f, struct error *err)
{
    int rc = 0;
    size_t done = 0;
    if (f->must_cut && f->n > 0
        && (ftruncate(f->fd, (off_t)f->written) != 0 || lseek(f->fd, 0, SEEK_END) < 0))
        return error_errno(err, "schedule.bin cannot be cut");
    f->must_cut &= f->n == 0;
    while (done < f->n && rc == 0) {
        const ssize_t n = write(f->fd, f->waiting + done, f->n - done);
        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno != EINTR)
            rc = error_errno(err, "schedule.bin cannot be written");
    }
    memmove(f->waiting, f->waiting + done, f->n - done);
    f->n -= done;
    f->written += done;
    return rc;
}

uint64_t schedule_file_bytes(const struct schedule_file *f)
{
    return f->written + f->n;
}
