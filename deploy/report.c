#include "deploy/report.h"

#include <assert.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/text.h"
#include "deploy/report_private.h"

#define SAY(d, ...) comparison_print((d)->arena, __VA_ARGS__)

/* "CartPole-v1 (lag=0 and lag=4) and Acrobot-v1". */
static const char *tasks_text(const struct report_data *d)
{
    const size_t n_tasks = (size_t)d->r->n_tasks;
    const char **families = arena_alloc(d->arena, n_tasks, sizeof(*families));
    const char **varied = arena_alloc(d->arena, n_tasks, sizeof(*varied));
    int *members = arena_alloc(d->arena, n_tasks, sizeof(*members)), n_families = 0;
    for (int t = 0; t < d->r->n_tasks; t++) {
        const int n = report_members(d, t, members), length = (int)report_family(d->r->tasks[t]);
        for (int i = 0; i < n; i++)
            varied[i] = report_varied(d->r->tasks[members[i]]);
        if (n == 1)
            families[n_families++] = d->r->tasks[t];
        else if (n > 1)
            families[n_families++] = SAY(d, "%.*s (%s)", length, d->r->tasks[t], report_enumerate(d, varied, n));
    }
    return report_enumerate(d, families, n_families);
}

/* What was asked and what was run. */
static void write_head(const struct report_data *d, struct report_page *page)
{
    const struct report *r = d->r;
    int64_t *seeds = arena_alloc(d->arena, (size_t)r->n_runs + 1, sizeof(*seeds));
    for (int i = 0; i < r->n_runs; i++)
        seeds[i] = r->runs[i].seed;
    if (r->question && *r->question)
        report_page_paragraph(page, SAY(d, "Question: %s", r->question));
    report_page_paragraph(page, SAY(d, "%d run%s: %s (baseline: %s) in %s; seeds %s%s%s.%s%s", r->n_runs,
        text_plural(r->n_runs), report_enumerate(d, r->arms, r->n_arms), r->arms[r->baseline],
        tasks_text(d), comparison_seeds(seeds, r->n_runs, d->arena),
        d->c.config_hash ? "; configuration " : "", d->c.config_hash ? d->c.config_hash : "",
        r->is_virtual ? " Times are virtual: the runs were simulated." : "",
        r->n_missing == 0 ? "" : SAY(d, " %d cell%s missing, see the end.", r->n_missing,
                                     r->n_missing == 1 ? " is" : "s are")));
    if (r->command && *r->command)
        report_page_code(page, r->command);
}

int report_write(const struct report *r, const char *folder, struct error *err)
{
    struct report_data d;
    if (r->n_runs == 0)
        return error_set(err, ERR_MISSING, "there is no finished run to report on; run the study first");
    assert(r->n_arms > 0 && r->n_tasks > 0 && r->baseline >= 0 && r->baseline < r->n_arms);
    struct arena *arena = arena_create(1 << 22);
    int rc = report_collect(&d, r, arena, err);
    if (rc != 0) {
        arena_destroy(&arena);
        return rc;
    }
    struct report_page *page = report_page_create(r->title);
    rc = file_make_directory(folder, err);
    if (rc == 0) {
        write_head(&d, page);
        report_findings(&d, page);
        report_tables(&d, page);
        rc = report_figures(&d, page, folder, err);
    }
    if (rc == 0) {
        report_method(&d, page);
        report_runs(&d, page);
        rc = report_page_write(page, folder, "report.html", "report.md", err);
    }
    report_page_destroy(&page);
    report_forget(&d);
    arena_destroy(&arena);
    return rc;
}
