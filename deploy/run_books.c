/* The books of a run directory: how old what was learnt from was, and what the places for actors did. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "deploy/run.h"

enum { HEADER_BYTES = 1024 };
static const size_t MAX_ACTORS_BYTES = (size_t)1 << 28;

void run_write_staleness(struct run *r, const struct version_staleness *s)
{
    fprintf(r->staleness, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%.6g,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "\n",
            s->version, s->env_steps, s->fragments, s->mean, s->p50, s->p90, s->p99, s->max);
}

static void actors_header(char out[HEADER_BYTES])
{
    size_t n = (size_t)snprintf(out, HEADER_BYTES, "epoch,place,actor,connected,streams,fragments,transitions,"
                                "staleness_mean,staleness_max,credit_s,parameters_s");
    for (int i = 0; i < N_REJECTIONS && n < HEADER_BYTES; i++)
        n += (size_t)snprintf(out + n, HEADER_BYTES - n, ",rejected_%s%s", rejection_word((enum rejection)i),
                              i == N_REJECTIONS - 1 ? "\n" : "");
}

/* The lines of earlier learners, where they have the same columns. */
static void keep_earlier(const char *path, const char *header, int64_t epoch, FILE *out)
{
    char *text = NULL;
    size_t bytes;
    const size_t n = strlen(header);
    if (file_read(path, MAX_ACTORS_BYTES, &text, &bytes, NULL) == 0 && strncmp(text, header, n) == 0)
        for (char *line = text + n, *end; (end = strchr(line, '\n')); line = end + 1)
            if (strtoll(line, NULL, 10) < epoch)
                fwrite(line, 1, (size_t)(end - line) + 1, out);
    free(text);
}

static void write_actor(FILE *fp, int64_t epoch, int place, const struct session_actor *a,
                        const struct training_place *p)
{
    fprintf(fp, "%" PRId64 ",%d,%s,%d,%d,%" PRId64 ",%" PRId64 ",%.6g,%" PRId64 ",%.3f,%.3f", epoch, place, a->name,
            a->is_connected, a->n_streams, a->accepted, a->transitions, p->staleness_mean, p->staleness_max,
            (double)a->credit_ms * 1e-3, (double)a->parameters_ms * 1e-3);
    for (int i = 0; i < N_REJECTIONS; i++)
        fprintf(fp, ",%" PRId64, a->rejected[i]);
    fprintf(fp, "\n");
}

int run_write_actors(struct run *r, int n, const struct session_actor *actors, const struct training_place *places,
                     struct error *err)
{
    char path[RUN_PATH_BYTES + 64], header[HEADER_BYTES];
    struct file_writer w;
    run_file(r, "actors.csv", path, sizeof(path));
    int rc = file_begin(&w, path, err);
    if (rc != 0)
        return rc;
    actors_header(header);
    fputs(header, w.fp);
    keep_earlier(path, header, r->epoch, w.fp);
    for (int i = 0; i < n; i++)
        write_actor(w.fp, r->epoch, i, &actors[i], &places[i]);
    return file_commit(&w, err);
}
