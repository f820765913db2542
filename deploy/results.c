#include "deploy/results.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/digest.h"
#include "common/document.h"
#include "common/file.h"
#include "common/text.h"
#include "deploy/simulation_run.h"
#include "deploy/statistics.h"

enum { PATH_BYTES = 4096, MAX_COLUMNS = 1024, CONFIG_DEPTH = 4, LINE_BYTES = 256 };
static const size_t MAX_TABLE_BYTES = (size_t)1 << 30, MAX_CONFIG_BYTES = (size_t)1 << 20;

/* ---- tables ---- */

const double *results_column(const struct results_table *t, const char *name)
{
    for (int i = 0; i < t->n_columns; i++)
        if (strcmp(t->names[i], name) == 0)
            return t->values + (size_t)i * (size_t)t->n_rows;
    return NULL;
}

void results_free_table(struct results_table *t)
{
    for (int i = 0; i < t->n_columns; i++)
        free(t->names[i]);
    free(t->names);
    free(t->values);
    *t = (struct results_table){ 0 };
}

static int count_char(const char *text, char c)
{
    int n = 0;
    for (; *text; text++)
        n += *text == c;
    return n;
}

/* Split the header line into names. */
static int read_header(struct results_table *t, const char *name, char *line, struct error *err)
{
    t->n_columns = count_char(line, ',') + 1;
    if (t->n_columns > MAX_COLUMNS) {
        t->n_columns = 0;
        return error_set(err, ERR_FORMAT, "%s:1: more than %d columns; this is no file of a run", name,
                         MAX_COLUMNS);
    }
    t->names = memory_alloc((size_t)t->n_columns, sizeof(*t->names));
    for (int i = 0; i < t->n_columns; i++) {
        char *end = line + strcspn(line, ",");
        *end = '\0';
        t->names[i] = memory_copy_text(line);
        line = end + 1;
    }
    return 0;
}

/* One line's numbers into row `row`; an empty field is NAN. */
static int read_row(struct results_table *t, const char *name, char *line, int row, struct error *err)
{
    const int n = count_char(line, ',') + 1;
    if (n != t->n_columns)
        return error_set(err, ERR_FORMAT, "%s:%d: expected %d fields, found %d; the file is damaged: remove "
                         "that line or the run", name, row + 2, t->n_columns, n);
    for (int i = 0; i < n; i++) {
        char *end = line + strcspn(line, ","), *stop = line;
        *end = '\0';
        double value = *line ? strtod(line, &stop) : (double)NAN;
        if (stop != end)
            return error_set(err, ERR_FORMAT, "%s:%d: expected a number in column \"%.40s\", found \"%.40s\"; "
                             "the file is damaged: remove that line or the run", name, row + 2, t->names[i],
                             line);
        t->values[(size_t)i * (size_t)t->n_rows + (size_t)row] = value;
        line = end + 1;
    }
    return 0;
}

int results_parse_table(struct results_table *t, const char *name, char *text, size_t bytes,
                        struct error *err)
{
    *t = (struct results_table){ 0 };
    if (strlen(text) != bytes)
        return error_set(err, ERR_FORMAT, "%s holds bytes that are no text; it is damaged", name);
    /* What stands behind the last line's end is still being written. */
    const int n_lines = count_char(text, '\n');
    if (n_lines == 0)
        return error_set(err, ERR_FORMAT, "%s has no header line; the run did not get far enough to be read",
                         name);
    int rc = 0;
    for (int i = 0; i < n_lines && rc == 0; i++) {
        char *end = strchr(text, '\n');
        *end = '\0';
        if (i == 0) {
            rc = read_header(t, name, text, err);
            t->n_rows = n_lines - 1;
            t->values = memory_alloc((size_t)t->n_columns * (size_t)t->n_rows + 1, sizeof(*t->values));
        } else {
            rc = read_row(t, name, text, i - 1, err);
        }
        text = end + 1;
    }
    if (rc != 0)
        results_free_table(t);
    return rc;
}

/* Read run/name, which must have the columns (NULL-terminated). */
static int read_table(struct results_table *t, const char *run, const char *name,
                      const char *const *columns, struct error *err)
{
    char path[PATH_BYTES];
    char *text = NULL;
    size_t bytes = 0;
    snprintf(path, sizeof(path), "%s/%s", run, name);
    if (!file_exists(path))
        return error_set(err, ERR_MISSING, "%s holds no %s: give the directory of a run that shoal train made",
                         text_short_path(run), name);
    int rc = file_read(path, MAX_TABLE_BYTES, &text, &bytes, err);
    if (rc == 0)
        rc = results_parse_table(t, text_short_path(path), text, bytes, err);
    free(text);
    for (; rc == 0 && *columns; columns++)
        if (!results_column(t, *columns))
            rc = error_set(err, ERR_FORMAT, "%s:1: there is no column \"%s\"; this is no %s of a run",
                           text_short_path(path), *columns, name);
    return rc;
}

/* ---- configuration ---- */

void results_hash(const char *yaml, char out[RESULTS_HASH_BYTES])
{
    char hex[DIGEST_HEX_BYTES];
    const size_t bytes = strlen(yaml);
    char *rest = memory_alloc(bytes + 1, 1);
    size_t n = 0;
    for (const char *line = yaml; *line;) {
        size_t length = strcspn(line, "\n");
        length += line[length] == '\n';
        if (strncmp(line, "seed:", 5) != 0) {
            memcpy(rest + n, line, length);
            n += length;
        }
        line += length;
    }
    digest_sha256_hex(rest, n, hex);
    snprintf(out, RESULTS_HASH_BYTES, "%.*s", RESULTS_HASH_BYTES - 1, hex);
    free(rest);
}

/* A scalar's text, or a list's elements with ',' between them; freed by the caller. */
static char *value_text(const struct node *value)
{
    size_t bytes = 1;
    if (value->kind == NODE_SCALAR)
        return memory_copy_text(value->text);
    for (const struct node *e = value->first; e; e = e->next)
        bytes += strlen(e->text) + 1;
    char *text = memory_alloc(bytes, 1);
    size_t n = 0;
    for (const struct node *e = value->first; e; e = e->next)
        n += (size_t)snprintf(text + n, bytes - n, "%s%s", n ? "," : "", e->text);
    return text;
}

static void add_entry(struct results *r, const char *section, const struct node *key)
{
    const size_t bytes = strlen(section) + strlen(key->text) + 2;
    struct results_entry *e;
    r->config = memory_grow(r->config, (size_t)r->n_config + 1, sizeof(*r->config));
    e = &r->config[r->n_config++];
    e->key = memory_alloc(bytes, 1);
    snprintf(e->key, bytes, "%s%s%s", section, *section ? "." : "", key->text);
    e->value = value_text(key->value);
}

static void add_entries(struct results *r, const struct node *root)
{
    if (!root || root->kind != NODE_MAPPING)
        return;
    for (const struct node *key = root->first; key; key = key->next) {
        if (key->value->kind != NODE_MAPPING) {
            add_entry(r, "", key);
            continue;
        }
        for (const struct node *inner = key->value->first; inner; inner = inner->next)
            add_entry(r, key->text, inner);
    }
}

const char *results_config(const struct results *r, const char *key)
{
    for (int i = 0; i < r->n_config; i++)
        if (strcmp(r->config[i].key, key) == 0)
            return r->config[i].value;
    return NULL;
}

/* A word every configuration has. */
static int config_word(const struct results *r, const char *path, const char *key,
                       char out[RESULTS_WORD_BYTES], struct error *err)
{
    const char *value = results_config(r, key);
    if (!value || !*value)
        return error_set(err, ERR_FORMAT, "%s has no %s; it is not the configuration of a run", path, key);
    snprintf(out, RESULTS_WORD_BYTES, "%s", value);
    return 0;
}

static int config_number(const struct results *r, const char *path, const char *key, int64_t *out,
                         struct error *err)
{
    char text[RESULTS_WORD_BYTES], *end;
    int rc = config_word(r, path, key, text, err);
    if (rc != 0)
        return rc;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (errno || *end)
        return error_set(err, ERR_FORMAT, "%s: %s: expected a whole number, found \"%.40s\"", path, key, text);
    return 0;
}

static int read_config(struct results *r, struct error *err)
{
    char path[PATH_BYTES];
    const char *name = path;
    char *text = NULL;
    size_t bytes = 0;
    struct document *d = NULL;
    snprintf(path, sizeof(path), "%s/config.yaml", r->path);
    if (!file_exists(path))
        return error_set(err, ERR_MISSING, "%s holds no run: there is no config.yaml in it",
                         text_short_path(r->path));
    name = text_short_path(path);
    int rc = file_read(path, MAX_CONFIG_BYTES, &text, &bytes, err);
    if (rc == 0)
        rc = document_parse(&d, name, text, bytes, CONFIG_DEPTH, err);
    if (rc == 0) {
        results_hash(text, r->config_hash);
        add_entries(r, document_root(d));
    }
    document_free(&d);
    free(text);
    if (rc != 0
        || (rc = config_word(r, name, "algorithm", r->algorithm, err)) != 0
        || (rc = config_word(r, name, "mode", r->mode, err)) != 0
        || (rc = config_word(r, name, "env.name", r->environment, err)) != 0
        || (rc = config_number(r, name, "seed", &r->seed, err)) != 0
        || (rc = config_number(r, name, "actors", &r->actors, err)) != 0)
        return rc;
    return config_number(r, name, "envs_per_actor", &r->envs_per_actor, err);
}

/* ---- the end ---- */

static double json_number_or(const json_t *object, const char *key, double otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

/* Whether the log's first line, "DATE TIME  words", is that of a simulated run. */
static bool log_is_of_simulation(const struct results *r)
{
    char path[PATH_BYTES], line[LINE_BYTES] = "";
    snprintf(path, sizeof(path), "%s/log.txt", r->path);
    FILE *fp = fopen(path, "r");
    const char *words = fp && fgets(line, sizeof(line), fp) ? strstr(line, "  ") : NULL;
    if (fp)
        fclose(fp);
    return words && strncmp(words + 2, SIMULATION_SAYS, strlen(SIMULATION_SAYS)) == 0;
}

/* How it ended; a run without a summary has not ended yet. */
static int read_summary(struct results *r, struct error *err)
{
    char path[PATH_BYTES];
    json_error_t why;
    snprintf(path, sizeof(path), "%s/summary.json", r->path);
    snprintf(r->status, sizeof(r->status), "not finished");
    if (!file_exists(path)) {
        r->is_virtual = log_is_of_simulation(r);
        return 0;
    }
    json_t *summary = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(summary)) {
        const int rc = error_set(err, ERR_FORMAT, "%s:%d: %.80s; the file is damaged: remove it or the run",
                                 text_short_path(path), summary ? 1 : why.line,
                                 summary ? "no JSON object" : why.text);
        json_decref(summary);
        return rc;
    }
    const char *status = json_string_value(json_object_get(summary, "status"));
    snprintf(r->status, sizeof(r->status), "%s", status ? status : "ended");
    r->is_finished = true;
    r->is_virtual = json_is_true(json_object_get(summary, "virtual_time"));
    r->env_steps = json_number_or(summary, "env_steps", r->env_steps);
    r->updates = json_number_or(summary, "updates", r->updates);
    r->time_s = json_number_or(summary, "time_s", r->time_s);
    r->final_return = json_number_or(json_object_get(summary, "final_evaluation"), "mean", r->final_return);
    json_decref(summary);
    return 0;
}

/* The last number of a column, or NAN. */
static double last_value(const struct results_table *t, const char *name)
{
    const double *column = results_column(t, name);
    for (int i = t->n_rows - 1; column && i >= 0; i--)
        if (isfinite(column[i]))
            return column[i];
    return (double)NAN;
}

/* The area under the returns, divided by the transitions from the first evaluation to the last. */
static double mean_return_of(const struct results_table *eval)
{
    const double *x = results_column(eval, "env_steps"), *y = results_column(eval, "mean");
    int first = 0, last = eval->n_rows - 1;
    while (last >= 0 && !isfinite(y[last]))
        last--;
    while (first < last && !isfinite(y[first]))
        first++;
    if (last < 0 || !(x[last] > x[first]))
        return last < 0 ? (double)NAN : y[last];
    return statistics_area(x, y, eval->n_rows, BETWEEN_LINEAR, x[first], x[last]) / (x[last] - x[first]);
}

int results_read(struct results *r, const char *path, struct error *err)
{
    static const char *const metrics[] = { "time_s", "env_steps", NULL };
    static const char *const eval[] = { "env_steps", "time_s", "mean", NULL };
    *r = (struct results){ 0 };
    r->path = memory_copy_text(path);
    for (size_t n = strlen(r->path); n > 1 && r->path[n - 1] == '/'; n--)
        r->path[n - 1] = '\0';
    const char *slash = strrchr(r->path, '/');
    r->name = slash && slash[1] ? slash + 1 : r->path;
    int rc = read_config(r, err);
    if (rc == 0)
        rc = read_table(&r->metrics, r->path, "metrics.csv", metrics, err);
    if (rc == 0)
        rc = read_table(&r->eval, r->path, "eval.csv", eval, err);
    if (rc == 0) {
        r->env_steps = last_value(&r->metrics, "env_steps");
        r->updates = last_value(&r->metrics, "updates");
        r->time_s = last_value(&r->metrics, "time_s");
        r->final_return = last_value(&r->eval, "mean");
        r->mean_return = mean_return_of(&r->eval);
        rc = read_summary(r, err);
    }
    if (rc != 0)
        results_fini(r);
    return rc;
}

void results_fini(struct results *r)
{
    results_free_table(&r->metrics);
    results_free_table(&r->eval);
    for (int i = 0; i < r->n_config; i++) {
        free(r->config[i].key);
        free(r->config[i].value);
    }
    free(r->config);
    free(r->path);
    *r = (struct results){ 0 };
}
