#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/arena.h"

int file_begin(struct file_writer *w, const char *path, struct error *err)
{
    w->fp = NULL;
    if (snprintf(w->path, sizeof(w->path), "%s", path) >= (int)sizeof(w->path))
        return error_set(err, ERR_IO, "%.80s...: the path is too long", path);
    snprintf(w->temporary, sizeof(w->temporary), "%s.tmp", w->path);
    w->fp = fopen(w->temporary, "wb");
    if (!w->fp)
        return error_errno(err, "cannot write %s", w->temporary);
    return 0;
}

/* So that the rename itself survives a power cut. */
static void sync_directory(const char *path)
{
    char directory[4096];
    snprintf(directory, sizeof(directory), "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash == directory)
        slash[1] = '\0';
    else if (slash)
        *slash = '\0';
    int fd = open(slash ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

int file_commit(struct file_writer *w, struct error *err)
{
    int rc = 0;
    if (ferror(w->fp) || fflush(w->fp) != 0 || fsync(fileno(w->fp)) != 0)
        rc = error_errno(err, "cannot write %s", w->temporary);
    if (fclose(w->fp) != 0 && rc == 0)
        rc = error_errno(err, "cannot close %s", w->temporary);
    w->fp = NULL;
    if (rc == 0 && rename(w->temporary, w->path) != 0)
        rc = error_errno(err, "cannot rename %s to %s", w->temporary, w->path);
    if (rc == 0)
        sync_directory(w->path);
    else
        unlink(w->temporary);
    return rc;
}

int file_open(const char *path, FILE **fp, size_t *bytes, struct error *err)
{
    struct stat st;
    int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *fp = NULL;
    if (fd < 0 || fstat(fd, &st) != 0)
        rc = error_errno(err, "cannot open %s", path);
    else if (!S_ISREG(st.st_mode))
        rc = error_set(err, ERR_IO, "%s is not a regular file", path);
    else if (!(*fp = fdopen(fd, "rb")))
        rc = error_errno(err, "cannot open %s", path);
    else
        *bytes = (size_t)st.st_size;
    if (rc != 0 && fd >= 0)
        close(fd);
    return rc;
}

int file_read(const char *path, size_t limit, char **data, size_t *bytes, struct error *err)
{
    FILE *fp;
    size_t size = 0;
    int rc = file_open(path, &fp, &size, err);
    if (rc != 0)
        return rc;
    if (size > limit) {
        rc = error_set(err, ERR_LIMIT, "%s has %zu bytes, more than the %zu allowed", path, size, limit);
    } else {
        char *text = memory_alloc(size + 1, 1);
        if (fread(text, 1, size, fp) != size) {
            free(text);
            rc = error_set(err, ERR_IO, "%s ended while it was read", path);
        } else {
            *data = text;
            *bytes = size;
        }
    }
    fclose(fp);
    return rc;
}

int file_make_directory(const char *path, struct error *err)
{
    char part[4096];
    if (snprintf(part, sizeof(part), "%s", path) >= (int)sizeof(part))
        return error_set(err, ERR_IO, "%.80s...: the path is too long", path);
    for (char *p = part + 1;; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        bool is_last = *p == '\0';
        *p = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            return error_errno(err, "cannot create the directory %s", part);
        if (is_last)
            return 0;
        *p = '/';
    }
}

int file_make_temporary(const char *name, char *path, size_t bytes, struct error *err)
{
    const char *tmp = getenv("TMPDIR");
    if (snprintf(path, bytes, "%s/%s-XXXXXX", tmp && *tmp ? tmp : "/tmp", name) >= (int)bytes)
        return error_set(err, ERR_IO, "%.80s...: the path is too long; set TMPDIR to another", path);
    return mkdtemp(path) ? 0 : error_errno(err, "cannot create a directory like %s", path);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st, (void)kind, (void)where;
    return remove(path);
}

bool file_remove(const char *path)
{
    enum { MAX_OPEN = 16 };
    return nftw(path, remove_one, MAX_OPEN, FTW_DEPTH | FTW_PHYS) == 0;
}

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_find(char *path, size_t bytes, const char *directories, const char *name)
{
    char candidate[4096];
    for (const char *dir = directories; dir && *dir;) {
        const size_t n = strcspn(dir, ":");
        const int length = snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)n, dir, name);
        if (n > 0 && (size_t)length < sizeof(candidate) && (size_t)length < bytes
            && access(candidate, R_OK) == 0) {
            memcpy(path, candidate, (size_t)length + 1);
            return true;
        }
        dir += n + (dir[n] == ':');
    }
    return false;
}
