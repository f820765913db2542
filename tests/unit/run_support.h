/* Run directories made up for tests: what results, plots and reports read. */
#ifndef SHOAL_TESTS_RUN_SUPPORT_H
#define SHOAL_TESTS_RUN_SUPPORT_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support.h"

struct made_run {
    const char *name, *algorithm, *mode, *environment;
    int seed, actors;
    double clip;                /* of ppo */
    double final;               /* return of the last evaluation; the ones before rise to it from 0 */
    double time_s;              /* to the end */
    bool is_virtual, is_unfinished;
};

enum { MADE_STEPS = 1000, MADE_EVALUATIONS = 4, MADE_ROWS = 10 };

static inline void made_file(const char *run, const char *name, const char *text)
{
    char path[640];
    snprintf(path, sizeof(path), "%s/%s", run, name);
    test_write(path, text, strlen(text));
}

/* Evaluations at 250, 500, 750 and 1000 transitions; 10 lines of metrics with staleness 1 and 3 at most. */
static inline const char *make_run(const char *folder, const struct made_run *r, char path[512])
{
    char text[4096];
    int n = 0;
    snprintf(path, 512, "%s/%s", folder, r->name);
    mkdir(path, 0777);
    snprintf(text, sizeof(text), "# the experiment\nseed: %d  # of everything random\nalgorithm: %s\nmode: %s\n"
             "actors: %d\nenvs_per_actor: 2\nenv:\n  name: %s\nnetwork:\n  hidden: [64, 32]\nppo:\n  clip: %g\n",
             r->seed, r->algorithm ? r->algorithm : "ppo", r->mode ? r->mode : "sync", r->actors ? r->actors : 2,
             r->environment ? r->environment : "CartPole-v1", r->clip > 0 ? r->clip : 0.2);
    made_file(path, "config.yaml", text);
    n = snprintf(text, sizeof(text), "env_steps,time_s,mean,std\n");
    for (int i = 1; i <= MADE_EVALUATIONS; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%d,%g,%.6f,1\n", MADE_STEPS * i / MADE_EVALUATIONS,
                      r->time_s * i / MADE_EVALUATIONS, r->final * i / MADE_EVALUATIONS);
    made_file(path, "eval.csv", text);
    n = snprintf(text, sizeof(text), "time_s,env_steps,updates,return_mean,staleness_mean,staleness_p99,"
                 "staleness_max,steps_per_s,updates_per_s\n");
    for (int i = 1; i <= MADE_ROWS; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "%g,%d,%d,,1,2,3,%g,%g\n", r->time_s * i / MADE_ROWS,
                      MADE_STEPS * i / MADE_ROWS, 10 * i, MADE_STEPS / r->time_s, 100 / r->time_s);
    made_file(path, "metrics.csv", text);
    snprintf(text, sizeof(text), "{\"status\": \"finished\", \"env_steps\": %d, \"updates\": 100, \"time_s\": %.17g,"
             "%s \"final_evaluation\": {\"episodes\": 5, \"mean\": %.17g}}\n", MADE_STEPS, r->time_s,
             r->is_virtual ? " \"virtual_time\": true," : "", r->final);
    if (!r->is_unfinished)
        made_file(path, "summary.json", text);
    return path;
}

#endif
