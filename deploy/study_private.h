/* What the readers of a study's file share; nobody else includes this.
 *
 *   study.c        the file as a whole, and the command line
 *   study_parts.c  settings, arms, tasks and what varies */
#ifndef SHOAL_DEPLOY_STUDY_PRIVATE_H
#define SHOAL_DEPLOY_STUDY_PRIVATE_H

#include "common/document.h"
#include "deploy/study.h"

struct reader {
    struct study *s;
    struct document *d;
    struct error *err;
};

/* Zeroed memory of the study for `n` things, at least one. */
void *study_make(const struct reader *r, int n, size_t bytes);

/* The setting of a key, or NULL. */
const struct study_setting *study_setting_find(const struct study_settings *s, const char *key);

/* The configuration that `base` names, from the study's directory. */
int study_read_base(const struct reader *r, const struct node *node, const char **base);

/* Settings as they stand in configurations: keys, sections with keys, "section.key". `base`, if it may be given, goes
 * elsewhere. `what` they belong to, for messages. */
int study_read_settings(const struct reader *r, const char *what, const struct node *node,
                        struct study_settings *out, const char **base);

/* Arms or tasks; `node` may be NULL. */
int study_read_parts(const struct reader *r, const char *what, const struct node *node, struct study_part **parts,
                     int *n);

/* Put tasks into the environments they are named after. */
void study_name_environments(const struct reader *r);

/* Multiply arms and tasks by what varies; `node` may be NULL. */
int study_read_vary(const struct reader *r, const struct node *node);

#endif
