/* An experiment: its configuration, resolved and checked, with the algorithm it names. */
#ifndef SHOAL_DEPLOY_EXPERIMENT_H
#define SHOAL_DEPLOY_EXPERIMENT_H

#include <stdbool.h>
#include <stdio.h>

#include "actor/env.h"
#include "actor/env/env_source.h"
#include "common/algorithm.h"
#include "common/policy.h"
#include "common/settings.h"

enum { EXPERIMENT_MAX_ALGORITHMS = 16, EXPERIMENT_MAX_PRESETS = 16 };

struct experiment {
    struct settings settings;
    const struct algorithm *algorithm;
    const void *hyper;                                  /* of `algorithm` */
    void *hypers[EXPERIMENT_MAX_ALGORITHMS];            /* of every algorithm */
    struct option_preset presets[2];                    /* of `algorithm`: always, and the chosen one */
    char refusals[EXPERIMENT_MAX_ALGORITHMS][192];      /* of other algorithms' sections */
    struct option_section sections[SETTINGS_SECTIONS + EXPERIMENT_MAX_ALGORITHMS];
    int n_sections;
    struct env_source source;                           /* of the environment */
    struct option env_rows[1 + N_ENV_COMMON_OPTIONS + ENV_MAX_OPTIONS];    /* of section "env" */
    char env_name[ENV_NAME_BYTES], env_options[ENV_OPTIONS_LINE_BYTES];
    struct env_setup env;                               /* what env_open needs */
    struct algorithm_traits traits;                     /* of `algorithm` here, by experiment_bind */
    struct policy_shape policy;                         /* the same */
};

/* Read CONFIG (NULL: none) and apply overrides. The environment's options are those of the environment that it
 * names. A task given as a path to its YAML file, relative to the working directory or else to CONFIG's,
 * is put on the environment path. */
int experiment_load(struct experiment *e, const char *path, char *const *overrides,
                    int n_overrides, struct error *err);

/* When `name` [bytes] is the path of a task's YAML file, or such a file in the working directory: make
 * it absolute and put its directory on the environment path. ERR_CONFIG for other paths. */
int experiment_locate_task(char *name, size_t bytes, struct error *err);
void experiment_fini(struct experiment *e);

/* Only an environment, by name or by the path of its task's YAML file, with overrides of its options
 * ("env.key=value"): fills `env`, `source` and the section SETTINGS_ENV, and nothing else. */
int experiment_load_environment(struct experiment *e, const char *name, char *const *overrides,
                                int n_overrides, struct error *err);

/* Fit the algorithm to the environment that was opened: fills `traits` and `policy`. ERR_CONFIG says why
 * the two, or what is asked of the algorithm, do not go together. */
int experiment_bind(struct experiment *e, const struct env_spec *spec, struct error *err);

/* The resolved configuration; other algorithms' sections are left out. Comments list the algorithm's
 * presets and say what the chosen one and the algorithm's defaults have. */
void experiment_print(struct experiment *e, bool with_comments, FILE *out);

#endif
