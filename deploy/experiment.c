#include "deploy/experiment.h"

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "learner/algorithms.h"

static int choose_algorithm(struct experiment *e, const char *path, struct error *err)
{
    const char *names[EXPERIMENT_MAX_ALGORITHMS];
    const char *name = e->settings.top.algorithm;
    int n = 0;
    for (; all_algorithms[n]; n++) {
        names[n] = all_algorithms[n]->name;
        if (strcmp(name, names[n]) == 0) {
            e->algorithm = all_algorithms[n];
            e->hyper = e->hypers[n];
            return 0;
        }
    }
    const char *near = nearest_word(name, names, n);
    return near ? error_set(err, ERR_CONFIG, "%s: algorithm: unknown algorithm \"%s\"; did you mean "
                            "\"%s\"?", path, name, near)
                : error_set(err, ERR_CONFIG, "%s: algorithm: unknown algorithm \"%s\"; there is "
                            "\"%s\"", path, name, names[0]);
}

int experiment_load(struct experiment *e, const char *path, char *const *overrides,
                    int n_overrides, struct error *err)
{
    *e = (struct experiment){ 0 };
    e->n_sections = settings_sections(&e->settings, e->sections);
    for (int i = 0; all_algorithms[i]; i++) {
        const struct algorithm *a = all_algorithms[i];
        e->hypers[i] = memory_alloc(1, a->hyper_bytes);
        e->sections[e->n_sections++] = (struct option_section){
            .name = a->name, .help = "the algorithm", .options = a->options,
            .n_options = a->n_options, .base = e->hypers[i],
        };
    }
    int rc = options_load(e->sections, e->n_sections, path, overrides, n_overrides, err);
    if (rc == 0)
        rc = choose_algorithm(e, path, err);
    if (rc == 0) {
        rc = settings_check(&e->settings, err);
        if (rc != 0)
            error_prefix(err, "%s", path);
    }
    return rc;
}

void experiment_fini(struct experiment *e)
{
    for (int i = 0; i < EXPERIMENT_MAX_ALGORITHMS; i++)
        free(e->hypers[i]);
    *e = (struct experiment){ 0 };
}

void experiment_print(struct experiment *e, bool with_comments, FILE *out)
{
    for (int i = 0; i < e->n_sections; i++)
        e->sections[i].is_hidden = i >= SETTINGS_SECTIONS && e->sections[i].base != e->hyper;
    options_print(e->sections, e->n_sections, with_comments, out);
}
