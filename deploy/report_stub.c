/* Stands in for deploy/report.c. */
#include <stdio.h>

#include "common/file.h"
#include "deploy/report.h"

int report_write(const struct report *r, const char *folder, struct error *err)
{
    static const char *const names[] = { "report.html", "report.md" };
    int rc = 0;
    for (int i = 0; i < 2 && rc == 0; i++) {
        char path[4096];
        struct file_writer w;
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        if ((rc = file_begin(&w, path, err)) != 0)
            return rc;
        fprintf(w.fp, "# %s\n\n%s\n\n%d arms, %d tasks, %d runs, %d missing\n", r->title, r->question, r->n_arms,
                r->n_tasks, r->n_runs, r->n_missing);
        rc = file_commit(&w, err);
    }
    return rc;
}
