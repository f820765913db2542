/* What a run left behind, read back: its tables, its configuration and how it ended.
 *
 * Columns are found by name and keys of the configuration by "section.key", so that runs of older and
 * newer programs are read alike. A run that is still going on can be read, too: a last line that is
 * not whole is left out. Nothing is written.
 *
 * A `struct results` belongs to whoever reads it, in any thread. */
#ifndef SHOAL_DEPLOY_RESULTS_H
#define SHOAL_DEPLOY_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum { RESULTS_HASH_BYTES = 13, RESULTS_WORD_BYTES = 256 };

/* A comma-separated file of numbers with one header line. */
struct results_table {
    int n_rows, n_columns;
    char **names;               /* [n_columns] */
    double *values;             /* [n_columns][n_rows]; NAN: the field is empty */
};

struct results_entry {
    char *key, *value;          /* "ppo.clip", "0.2"; a list's elements have ',' between them */
};

struct results {
    char *path;
    const char *name;           /* the last part of `path` */
    struct results_table metrics, eval;
    struct results_entry *config;                       /* [n_config], in the file's order */
    int n_config;
    char algorithm[RESULTS_WORD_BYTES], mode[RESULTS_WORD_BYTES], environment[RESULTS_WORD_BYTES];
    int64_t seed, actors, envs_per_actor;
    char config_hash[RESULTS_HASH_BYTES];               /* of config.yaml without its seed */
    bool is_finished;           /* there is a summary */
    bool is_virtual;            /* time_s is virtual, by the summary, or by the log of a run that has none */
    char status[RESULTS_WORD_BYTES];                    /* the summary's, or "not finished" */
    double env_steps, updates, time_s;                  /* at the end, or so far; NAN when unknown */
    double final_return;        /* mean of the last evaluation; NAN: there was none */
    double mean_return;         /* mean over the learning curve: the area under it, divided by its length; NAN likewise */
};

/* Read the run directory `path`.
 * Returns 0; ERR_MISSING when a file is not there, ERR_FORMAT or ERR_CONFIG when one is damaged (file,
 * line and what to do), ERR_IO. On an error *r holds nothing. */
int results_read(struct results *r, const char *path, struct error *err);

/* Free what it holds; an emptied or zeroed one is nothing. */
void results_fini(struct results *r);

/* A column [n_rows] by name, or NULL. Borrowed. */
const double *results_column(const struct results_table *t, const char *name);

/* A value of the configuration, "env.name", or NULL. Borrowed. */
const char *results_config(const struct results *r, const char *key);

/* First digits of SHA-256 over a configuration's text without the line of its seed. */
void results_hash(const char *yaml, char out[RESULTS_HASH_BYTES]);

/* Read such a table from memory (`text` is changed); `name` stands for the path in errors.
 * Returns 0 or ERR_FORMAT. */
int results_parse_table(struct results_table *t, const char *name, char *text, size_t bytes,
                        struct error *err);
void results_free_table(struct results_table *t);

#endif
