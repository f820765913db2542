/* The books of a run directory: how old what was learnt from was, and what the places for actors did. */
#include <inttypes.h>

#include "common/file.h"
#include "deploy/run.h"

void run_write_staleness(struct run *r, const struct version_staleness *s)
{
    fprintf(r->staleness, "%" PRId64 ",%" PRId64 ",%" PRId64 ",%.6g,%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 "\n",
            s->version, s->env_steps, s->fragments, s->mean, s->p50, s->p90, s->p99, s->max);
}

static void write_actor(FILE *fp, int place, const struct session_actor *a, const struct training_place *p)
{
    fprintf(fp, "%d,%s,%d,%d,%" PRId64 ",%" PRId64 ",%.6g,%" PRId64 ",%.3f,%.3f", place, a->name, a->is_connected,
            a->n_streams, a->accepted, a->transitions, p->staleness_mean, p->staleness_max,
            (double)a->credit_ms * 1e-3, (double)a->parameters_ms * 1e-3);
    for (int i = 0; i < N_REJECTIONS; i++)
        fprintf(fp, ",%" PRId64, a->rejected[i]);
    fprintf(fp, "\n");
}

int run_write_actors(struct run *r, int n, const struct session_actor *actors, const struct training_place *places,
                     struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    struct file_writer w;
    run_file(r, "actors.csv", path, sizeof(path));
    int rc = file_begin(&w, path, err);
    if (rc != 0)
        return rc;
    fprintf(w.fp, "place,actor,connected,streams,fragments,transitions,staleness_mean,staleness_max,credit_s,"
            "parameters_s");
    for (int i = 0; i < N_REJECTIONS; i++)
        fprintf(w.fp, ",rejected_%s", rejection_word((enum rejection)i));
    fprintf(w.fp, "\n");
    for (int i = 0; i < n; i++)
        write_actor(w.fp, i, &actors[i], &places[i]);
    return file_commit(&w, err);
}
