/* shoal plot: figures of runs. */
#include <inttypes.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/file.h"
#include "common/text.h"
#include "deploy/args.h"
#include "deploy/commands.h"
#include "deploy/plot_axis.h"
#include "deploy/plot_groups.h"
#include "deploy/report_page.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

/* What was plotted, as a table of runs. */
static void list_runs(struct report_page *page, const struct comparison *c, struct arena *arena)
{
    report_page_heading(page, "Runs");
    report_page_table(page, "run|group|environment|status|seed|configuration|transitions|final return|time (s)", 4);
    for (int i = 0; i < c->n_runs; i++) {
        const struct results *r = &c->runs[i];
        char result[PLOT_LABEL_BYTES], time_s[PLOT_LABEL_BYTES];
        plot_number(r->final_return, 4, result);
        plot_number(r->time_s, 3, time_s);
        const char *const cells[] = { r->path, c->arms[c->arm[i]], r->environment, r->status,
                                      comparison_print(arena, "%" PRId64, r->seed), r->config_hash,
                                      comparison_print(arena, "%.0f", r->env_steps), result,
                                      time_s };
        for (int k = 0; k < COUNT(cells); k++)
            report_page_cell(page, cells[k], false);
    }
    report_page_table_end(page);
}

static int draw_all(const struct comparison *c, const char *folder, struct arena *arena, struct error *err)
{
    struct report_page *page = report_page_create(comparison_print(arena, "%d run%s", c->n_runs, text_plural(c->n_runs)));
    int rc = file_make_directory(folder, err);
    for (enum comparison_figure i = 0; i < N_COMPARISON_FIGURES && rc == 0; i++) {
        char *svg = comparison_draw(c, i);
        rc = report_page_save(folder, comparison_file(i), svg, err);
        report_page_figure(page, comparison_file(i), comparison_title(i), svg);
        free(svg);
        if (rc == 0)
            printf("%s/%s\n", folder, comparison_file(i));
    }
    if (rc == 0) {
        list_runs(page, c, arena);
        rc = report_page_write(page, folder, "index.html", NULL, err);
    }
    if (rc == 0)
        printf("%s/index.html\n", folder);
    report_page_destroy(&page);
    return rc;
}

static int plot(char *const *paths, int n, const char *folder, const char *by, struct error *err)
{
    struct arena *arena = arena_create(1 << 20);
    struct results *runs = memory_alloc((size_t)n, sizeof(*runs));
    struct comparison c;
    int rc = 0;
    if (!folder)
        folder = n == 1 ? comparison_print(arena, "%s/plots", paths[0]) : "plots";
    for (int i = 0; i < n && rc == 0; i++)
        rc = results_read(&runs[i], paths[i], err);
    for (int i = 0; i < n && rc == 0; i++)
        if (runs[i].metrics.n_rows == 0 && runs[i].eval.n_rows == 0)
            rc = error_set(err, ERR_AGAIN, "%s has no line in metrics.csv and eval.csv yet; wait, or leave it out",
                           text_short_path(paths[i]));
    if (rc == 0)
        rc = plot_group(&c, runs, n, by, arena, err);
    if (rc == 0)
        rc = draw_all(&c, folder, arena, err);
    for (int i = 0; i < n; i++)
        results_fini(&runs[i]);
    free(runs);
    arena_destroy(&arena);
    return rc;
}

int command_plot(int argc, char **argv, struct error *err)
{
    const char *folder = NULL, *by = NULL;
    bool wants_help;
    const struct flag flags[] = {
        { "--out", "FOLDER", &folder, NULL, "where figures go (default RUN/plots, or plots for several runs)" },
        { "--by", "KEY", &by, NULL, "what runs are grouped by: a key of config.yaml, or \"run\" for none" },
    };
    const struct command command = {
        "plot", "RUN... [flags]", NULL,
        "Draw returns against transitions and against time, staleness and throughput of runs, as .svg files and\n"
        "one index.html. Runs that differ in nothing but their seed are drawn as one line with an interval;\n"
        "every environment has a panel of its own. Runs may still be going on.",
        "shoal plot runs/cartpole-* --by mode --out cartpole", flags, COUNT(flags)
    };
    const int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    if (n == 0)
        return error_set(err, ERR_USAGE, "shoal plot needs one or more run directories; see shoal plot --help");
    if (folder && !*folder)
        return error_set(err, ERR_USAGE, "shoal plot: --out needs the name of a folder");
    return plot(argv, n, folder, by, err);
}
