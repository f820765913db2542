/* What the bench prints: tables while it measures, or one JSON object at the end. */
#include "deploy/bench.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/matrix.h"

enum { NAME_WIDTH = 28, RATE_WIDTH = 14, SHARE_WIDTH = 5 };

struct bench_output {
    bool is_json;
    const struct bench_table *table;
    bool has_head;                  /* the table's was printed */
    char row[64];
    int column;                     /* of the next cell */
    int n_disturbed;                /* figures, of all */
    json_t *rows;
};

/* ---- the machine ---- */

/* "model name" of the first core, or the architecture. */
static void cpu_name(const struct utsname *system, char *out, size_t bytes)
{
    char line[256];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(out, bytes, "%s", system->machine);
    while (f && fgets(line, sizeof(line), f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        snprintf(out, bytes, "%.*s", (int)strcspn(colon + 1, "\n") - 1, colon + 2);
        break;
    }
    if (f)
        fclose(f);
}

struct machine {
    char cpu[128], class[64], kernel[sizeof(((struct utsname *)0)->release)], date[32];
    long cores;
    double memory_gib;
};

static void describe_machine(struct machine *m)
{
    struct utsname system;
    struct tm when;
    const time_t now = time(NULL);
    uname(&system);
    cpu_name(&system, m->cpu, sizeof(m->cpu));
    matrix_cpu_class(m->class, sizeof(m->class));
    snprintf(m->kernel, sizeof(m->kernel), "%s", system.release);
    strftime(m->date, sizeof(m->date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &when));
    m->cores = sysconf(_SC_NPROCESSORS_ONLN);
    m->memory_gib = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 0x1p30;
}

static void print_machine(void)
{
    struct machine m;
    describe_machine(&m);
    printf("%s, %ld cores, %.0f GiB, Linux %s; kernels %s\nshoal %s, %s; medians, and half of max - min\n",
           m.cpu, m.cores, m.memory_gib, m.kernel, m.class, SHOAL_VERSION, m.date);
}

/* ---- life ---- */

struct bench_output *bench_output_create(bool is_json)
{
    struct bench_output *o = memory_alloc(1, sizeof(*o));
    o->is_json = is_json;
    o->rows = json_array();
    if (!is_json)
        print_machine();
    return o;
}

static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *peak(double gflops)
{
    return gflops > 0 ? json_real(gflops) : json_null();
}

static void print_json(struct bench_output *o, const struct bench *b)
{
    struct machine m;
    describe_machine(&m);
    json_t *all = json_pack("{s:s, s:s, s:{s:s, s:i, s:f, s:s}, s:s, s:f, s:o, s:o, s:o, s:O}",
                            "version", SHOAL_VERSION, "date", m.date,
                            "machine", "cpu", m.cpu, "cores", (int)m.cores, "memory_gib", m.memory_gib,
                            "kernel", m.kernel, "kernels", m.class, "seconds", b->seconds, "fma_peak", peak(b->peaks.fma),
                            "bf16_peak", peak(b->peaks.bf16), "amx_peak", peak(b->peaks.amx), "rows", o->rows);
    char *text = json_dumps(all, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    printf("%s\n", text ? text : "null");
    free(text);
    json_decref(all);
}

void bench_output_end(struct bench_output **output, const struct bench *b)
{
    struct bench_output *o = *output;
    if (o->is_json)
        print_json(o, b);
    else if (o->n_disturbed > 0)
        printf("\n! others used the machine in too many windows, or snapshots were lost: measure again when it is idle\n");
    json_decref(o->rows);
    free(o);
    *output = NULL;
}

/* ---- rows ---- */

void bench_begin_table(struct bench *b, const struct bench_table *t)
{
    b->output->table = t;
    b->output->has_head = false;
}

bool bench_wants(const struct bench *b, const char *name)
{
    return !b->filter || strstr(name, b->filter);
}

static int cell_width(const struct bench_table *t)
{
    return RATE_WIDTH + (t->share_of ? SHARE_WIDTH : 0);
}

static void print_head(const struct bench_table *t)
{
    printf("\n%s, %s%s%s\n%-*s", t->title, t->unit, t->share_of ? ", and part of " : "",
           t->share_of ? t->share_of : "", NAME_WIDTH, "");
    for (int i = 0; i < t->n_columns; i++)
        printf(" %*s", cell_width(t), t->columns[i]);
    printf("\n");
}

void bench_begin_row(struct bench *b, const char *name)
{
    struct bench_output *o = b->output;
    snprintf(o->row, sizeof(o->row), "%s", name);
    o->column = 0;
    if (o->is_json)
        return;
    if (!o->has_head)
        print_head(o->table);
    o->has_head = true;
    printf("%-*s", NAME_WIDTH, name);
    fflush(stdout);
}

/* At least three digits that matter. */
static void format_figure(double x, char *out, size_t bytes)
{
    snprintf(out, bytes, "%.*f", x >= 100 ? 0 : x >= 10 ? 1 : x >= 1 ? 2 : 3, x);
}

static void print_cell(const struct bench_table *t, const struct bench_result *r, double share)
{
    char figure[32], cell[64], part[16] = "";
    if (!isfinite(r->median)) {
        printf(" %*s", cell_width(t), isnan(r->median) ? "-" : "not reached");
        return;
    }
    format_figure(r->median, figure, sizeof(figure));
    if (isfinite(r->max))
        snprintf(cell, sizeof(cell), "%s%s +-%.0f%%", r->is_disturbed ? "!" : "", figure,
                 50 * (r->max - r->min) / r->median);
    else
        snprintf(cell, sizeof(cell), "%s%s, some not", r->is_disturbed ? "!" : "", figure);
    if (t->share_of && !isnan(share))
        snprintf(part, sizeof(part), "%.0f%%", 100 * share);
    printf(" %*s%*s", RATE_WIDTH, cell, t->share_of ? SHARE_WIDTH : 0, part);
}

void bench_cell(struct bench *b, const struct bench_result *r, double share)
{
    struct bench_output *o = b->output;
    const struct bench_table *t = o->table;
    const char *column = t->columns[o->column++];
    o->n_disturbed += r->is_disturbed;
    if (!o->is_json) {
        print_cell(t, r, share);
        fflush(stdout);
        return;
    }
    if (isnan(r->median))
        return;
    json_array_append_new(o->rows, json_pack(
        "{s:s, s:s, s:s, s:s?, s:s, s:o, s:o, s:o, s:i, s:i, s:b, s:o, s:o}", "group", t->group, "name", o->row,
        "column", column, "variant", t->variant, "unit", t->unit, "median", number(r->median), "min", number(r->min),
        "max", number(r->max), "windows", r->n, "rejected", r->n_rejected, "disturbed", (int)r->is_disturbed,
        "share", number(share), "share_of", t->share_of ? json_string(t->share_of) : json_null()));
}

void bench_end_row(struct bench *b)
{
    if (!b->output->is_json)
        printf("\n");
}
