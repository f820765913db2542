#include "deploy/plot_groups.h"

#include <stdlib.h>
#include <string.h>

#include "common/option.h"

enum { MAX_SUGGESTIONS = 512 };

/* A key's value in a run; "" where it has none. */
static const char *value_of(const struct results *r, const char *key)
{
    const char *value = results_config(r, key);
    return value ? value : "";
}

/* The number of `name` in names [*n], which it is added to when it is new. */
static int number_of(const char **names, int *n, const char *name)
{
    for (int i = 0; i < *n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    names[*n] = name;
    return (*n)++;
}

/* Whether runs of one task that all have the key have different values. Options of environments do not
 * count between environments, nor sections between algorithms: not all runs have them. */
static bool tells_apart(const struct results *runs, const int *task, int n, const char *key)
{
    bool is_different = false;
    if (strcmp(key, "seed") == 0 || strcmp(key, "env.name") == 0)
        return false;
    for (int i = 0; i < n; i++) {
        if (!results_config(&runs[i], key))
            return false;
        for (int k = 0; k < i && !is_different; k++)
            is_different = task[i] == task[k] && strcmp(value_of(&runs[i], key), value_of(&runs[k], key)) != 0;
    }
    return is_different;
}

/* Split groups by a key: runs stay together when they were and have the same value. Returns the new number
 * of groups, counted within tasks; `group` [n] is changed. */
static int split(const struct results *runs, const int *task, int n, const char *key, int *group)
{
    int *first = memory_alloc((size_t)n, sizeof(*first));      /* the first run of each new group */
    int *fresh = memory_alloc((size_t)n, sizeof(*fresh));
    int n_groups = 0;
    for (int i = 0; i < n; i++) {
        int g = 0;
        while (g < n_groups && !(group[first[g]] == group[i] && task[first[g]] == task[i]
                                 && strcmp(value_of(&runs[first[g]], key), value_of(&runs[i], key)) == 0))
            g++;
        if (g == n_groups)
            first[n_groups++] = i;
        fresh[i] = g;
    }
    memcpy(group, fresh, (size_t)n * sizeof(*group));
    free(first);
    free(fresh);
    return n_groups;
}

/* "sync", "4 actors", "ppo.clip 0.1". */
static const char *part_name(const struct results *r, const char *key, struct arena *arena)
{
    const char *value = value_of(r, key);
    if (strcmp(key, "mode") == 0 || strcmp(key, "algorithm") == 0 || strcmp(key, "env.name") == 0)
        return value;
    if (strcmp(key, "actors") == 0)
        return comparison_print(arena, "%s actor%s", value, strcmp(value, "1") == 0 ? "" : "s");
    return comparison_print(arena, "%s %s", key, *value ? value : "(none)");
}

/* The keys that are worth a name, most telling first. Returns how many; keys [of the first run + 4]. */
static int choose_keys(const struct results *runs, const int *task, int n, const char **keys)
{
    static const char *const telling[] = { "algorithm", "mode", "actors", "envs_per_actor" };
    enum { N_TELLING = sizeof(telling) / sizeof(*telling) };
    int n_keys = 0, n_candidates = 0, n_groups = 0;
    const char **candidates = memory_alloc((size_t)runs[0].n_config + N_TELLING, sizeof(*candidates));
    int *group = memory_alloc((size_t)n, sizeof(*group));
    for (int i = 0; i < N_TELLING; i++)
        number_of(candidates, &n_candidates, telling[i]);
    for (int i = 0; i < runs[0].n_config; i++)
        number_of(candidates, &n_candidates, runs[0].config[i].key);
    n_groups = split(runs, task, n, "", group);
    for (int i = 0; i < n_candidates; i++) {
        if (!tells_apart(runs, task, n, candidates[i]))
            continue;
        const int n_more = split(runs, task, n, candidates[i], group);
        if (n_more > n_groups)
            keys[n_keys++] = candidates[i];
        n_groups = n_more;
    }
    free(group);
    free(candidates);
    return n_keys;
}

/* A run's arm by the keys; its only name where there are none. */
static const char *arm_name(const struct results *r, const char *const *keys, int n_keys, struct arena *arena)
{
    const char *name = n_keys ? part_name(r, keys[0], arena)
                       : comparison_print(arena, "%s, %s", r->algorithm, r->mode);
    for (int i = 1; i < n_keys; i++)
        name = comparison_print(arena, "%s, %s", name, part_name(r, keys[i], arena));
    return name;
}

static int check_key(const struct results *runs, int n, const char *by, struct error *err)
{
    const char *known[MAX_SUGGESTIONS] = { "run" };
    int n_known = 1;
    for (int i = 0; i < n; i++)
        if (results_config(&runs[i], by))
            return 0;
    for (int i = 0; i < runs[0].n_config && n_known < MAX_SUGGESTIONS; i++)
        known[n_known++] = runs[0].config[i].key;
    const char *near = nearest_word(by, known, n_known);
    return error_set(err, ERR_USAGE, "--by: no run's configuration has the key \"%.60s\"%s%s%s; give a key as it "
                     "stands in config.yaml (mode, ppo.clip), or \"run\"", by, near ? "; did you mean \"" : "",
                     near ? near : "", near ? "\"?" : "");
}

int plot_group(struct comparison *c, const struct results *runs, int n, const char *by, struct arena *arena,
               struct error *err)
{
    const size_t count = (size_t)n + 1;
    const char **arms = arena_alloc(arena, count, sizeof(*arms)), **tasks = arena_alloc(arena, count, sizeof(*tasks));
    int *arm = arena_alloc(arena, count, sizeof(*arm)), *task = arena_alloc(arena, count, sizeof(*task));
    const char **keys = arena_alloc(arena, (size_t)runs[0].n_config + 8, sizeof(*keys));
    const bool by_run = by && strcmp(by, "run") == 0;
    int n_keys = 0;
    *c = (struct comparison){ .arms = arms, .tasks = tasks, .arm = arm, .task = task, .runs = runs, .n_runs = n,
                              .is_virtual = runs[0].is_virtual };
    for (int i = 1; i < n; i++)
        if (runs[i].is_virtual != runs[0].is_virtual)
            return error_set(err, ERR_USAGE, "%.100s and %.100s have different clocks: one is simulated; plot them "
                             "apart", runs[0].name, runs[i].name);
    if (by && !by_run && check_key(runs, n, by, err) != 0)
        return err ? err->code : ERR_USAGE;
    for (int i = 0; i < n; i++)
        task[i] = number_of(tasks, &c->n_tasks, runs[i].environment);
    if (by && !by_run)
        keys[n_keys++] = by;
    else if (!by)
        n_keys = choose_keys(runs, task, n, keys);
    for (int i = 0; i < n; i++)
        arm[i] = number_of(arms, &c->n_arms, by_run ? runs[i].name : arm_name(&runs[i], keys, n_keys, arena));
    return 0;
}
