/* An experiment: its configuration, resolved and checked, with the algorithm it names. */
#ifndef SHOAL_DEPLOY_EXPERIMENT_H
#define SHOAL_DEPLOY_EXPERIMENT_H

#include <stdbool.h>
#include <stdio.h>

#include "common/algorithm.h"
#include "common/settings.h"

enum { EXPERIMENT_MAX_ALGORITHMS = 16 };

struct experiment {
    struct settings settings;
    const struct algorithm *algorithm;
    const void *hyper;                                  /* of `algorithm` */
    void *hypers[EXPERIMENT_MAX_ALGORITHMS];            /* of every algorithm */
    struct option_section sections[SETTINGS_SECTIONS + EXPERIMENT_MAX_ALGORITHMS];
    int n_sections;
};

/* Read CONFIG and apply overrides. */
int experiment_load(struct experiment *e, const char *path, char *const *overrides,
                    int n_overrides, struct error *err);
void experiment_fini(struct experiment *e);

/* The resolved configuration; other algorithms' sections are left out. */
void experiment_print(struct experiment *e, bool with_comments, FILE *out);

#endif
