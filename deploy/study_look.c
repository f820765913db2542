/* What a study's directory holds, and what is put there in front of the runs. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "deploy/experiment.h"
#include "deploy/study_cells.h"

enum { TAIL_BYTES = 4096, HEADER_BYTES = 4096 };

/* ---- one run ---- */

static json_t *read_summary(const struct cell *cell, const char *dir)
{
    char path[RUN_PATH_BYTES + 512];
    json_error_t ignored;
    cell_path(cell, dir, "runs", "/summary.json", path, sizeof(path));
    return json_load_file(path, 0, &ignored);
}

enum cell_state cell_look(const struct cell *cell, const char *dir)
{
    char run[RUN_PATH_BYTES + 512];
    cell_path(cell, dir, "runs", "", run, sizeof(run));
    if (!run_exists(run))
        return CELL_NEW;
    json_t *summary = read_summary(cell, dir);
    const char *status = json_string_value(json_object_get(summary, "status"));
    enum cell_state state = CELL_INTERRUPTED;
    if (status && strcmp(status, "diverged") == 0)
        state = CELL_FAILED;
    else if (status && strcmp(status, "interrupted") != 0)
        state = CELL_DONE;
    json_decref(summary);
    return state;
}

double cell_return(const struct cell *cell, const char *dir)
{
    json_t *summary = read_summary(cell, dir);
    const json_t *mean = json_object_get(json_object_get(summary, "final_evaluation"), "mean");
    const double result = json_is_number(mean) ? json_number_value(mean) : (double)NAN;
    json_decref(summary);
    return result;
}

/* Which column of a CSV header is called `name`; -1: none. */
static int column_of(char *header, const char *name)
{
    int i = 0;
    header[strcspn(header, "\r\n")] = '\0';
    for (char *rest = header, *word; (word = strsep(&rest, ",")); i++)
        if (strcmp(word, name) == 0)
            return i;
    return -1;
}

/* The last line is perhaps half written: the one in front of the last line's end counts. */
int64_t cell_steps(const struct cell *cell, const char *dir)
{
    char path[RUN_PATH_BYTES + 512], header[HEADER_BYTES], tail[TAIL_BYTES + 1];
    int64_t steps = 0;
    cell_path(cell, dir, "runs", "/metrics.csv", path, sizeof(path));
    FILE *fp = fopen(path, "r");
    if (!fp)
        return 0;
    const int column = fgets(header, sizeof(header), fp) ? column_of(header, "env_steps") : -1;
    const long begin = ftell(fp);
    fseek(fp, 0, SEEK_END);
    const long end = ftell(fp), from = end - TAIL_BYTES > begin ? end - TAIL_BYTES : begin;
    fseek(fp, from, SEEK_SET);
    tail[column >= 0 ? fread(tail, 1, TAIL_BYTES, fp) : 0] = '\0';
    fclose(fp);
    char *last = strrchr(tail, '\n');
    if (!last)
        return 0;
    *last = '\0';
    char *line = strrchr(tail, '\n');
    line = line ? line + 1 : tail;
    for (int i = 0; i < column && line; i++)
        line = (line = strchr(line, ',')) ? line + 1 : NULL;
    if (line)
        steps = strtoll(line, NULL, 10);
    return steps;
}

/* ---- another configuration ---- */

static int line_length(const char *text)
{
    return (int)strcspn(text, "\n");
}

static const char *next_line(const char *text)
{
    text += line_length(text);
    return *text ? text + 1 : text;
}

/* Name the first setting that differs: "sac.gamma: 0.99", against "gamma: 0.98". Both texts are printed alike. */
static int differ(const struct cell *cell, const char *dir, const char *was, const char *is, struct error *err)
{
    char path[RUN_PATH_BYTES + 512];
    const char *section = "";
    while (*is && line_length(was) == line_length(is) && strncmp(was, is, (size_t)line_length(is)) == 0) {
        if (*is != ' ')
            section = is;
        was = next_line(was);
        is = next_line(is);
    }
    const int n = *is == ' ' ? (int)strcspn(section, ":") : 0;
    was += strspn(was, " ");
    is += strspn(is, " ");
    cell_path(cell, dir, "runs", "/config.yaml", path, sizeof(path));
    return error_set(err, ERR_CONFIG, "%.200s was run with %.*s%s%.*s, the study now has %.*s; use another --dir, or "
                     "undo the change", path, n, section, n ? "." : "", line_length(was) < 60 ? line_length(was) : 60,
                     was, line_length(is) < 60 ? line_length(is) : 60, is);
}

/* Its run has the configuration that it would be given now. */
static int check_config(const struct cell *cell, const char *dir, struct error *err)
{
    struct experiment e;
    char path[RUN_PATH_BYTES + 512], *was = NULL;
    size_t bytes = 0;
    cell_path(cell, dir, "runs", "/config.yaml", path, sizeof(path));
    int rc = experiment_load(&e, path, NULL, 0, err);
    if (rc == 0) {
        FILE *out = open_memstream(&was, &bytes);
        experiment_print(&e, false, out);
        fclose(out);
        if (strcmp(was, cell->config) != 0)
            rc = differ(cell, dir, was, cell->config, err);
        free(was);
    }
    experiment_fini(&e);
    return rc;
}

int cells_look(struct cells *c, const struct study *s, const char *dir, struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    int rc = 0;
    snprintf(path, sizeof(path), "%s/study.yaml", dir);
    if (file_exists(path)) {
        struct study old;
        rc = study_load(&old, path, NULL, 0, err);
        if (rc == 0)
            rc = study_extends(s, &old, err);
        study_fini(&old);
    }
    for (int i = 0; i < c->n && rc == 0; i++) {
        struct cell *cell = &c->v[i];
        cell->state = cell_look(cell, dir);
        if (cell->state != CELL_NEW)
            rc = check_config(cell, dir, err);
    }
    return rc;
}

/* ---- writing ---- */

static int write_config(const struct cell *cell, const char *dir, struct error *err)
{
    char path[RUN_PATH_BYTES + 512];
    struct file_writer w;
    cell_path(cell, dir, "configs", ".yaml", path, sizeof(path));
    int rc = file_begin(&w, path, err);
    if (rc != 0)
        return rc;
    fputs(cell->config, w.fp);
    return file_commit(&w, err);
}

int cells_write(const struct cells *c, const struct study *s, const char *dir, const char *command, struct error *err)
{
    static const char *const folders[] = { "configs", "runs", "logs" };
    char path[RUN_PATH_BYTES + 64];
    struct file_writer w;
    int rc = 0;
    for (int i = 0; i < 3 && rc == 0; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, folders[i]);
        rc = file_make_directory(path, err);
    }
    for (int i = 0; i < c->n && rc == 0; i++)
        if (c->v[i].state == CELL_NEW)
            rc = write_config(&c->v[i], dir, err);
    snprintf(path, sizeof(path), "%s/study.yaml", dir);
    if (rc == 0)
        rc = file_begin(&w, path, err);
    if (rc != 0)
        return rc;
    fprintf(w.fp, "# %s\n", command);
    study_print(s, w.fp);
    return file_commit(&w, err);
}
