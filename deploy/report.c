#include "deploy/report.h"

#include <assert.h>
#include <stdlib.h>

#include "common/file.h"
#include "common/text.h"
#include "deploy/report_private.h"

#define SAY(d, ...) comparison_print((d)->arena, __VA_ARGS__)

/* "a", "a and b", "a, b and c". */
static const char *enumerate(const struct report_data *d, const char *const *names, int n)
{
    const char *text = names[0];
    for (int i = 1; i < n; i++)
        text = SAY(d, "%s%s%s", text, i == n - 1 ? " and " : ", ", names[i]);
    return text;
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
        text_plural(r->n_runs), enumerate(d, r->arms, r->n_arms), r->arms[r->baseline],
        enumerate(d, r->tasks, r->n_tasks), comparison_seeds(seeds, r->n_runs, d->arena),
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
