/* shoal eval and shoal config: looking at a run and at a configuration. */
#include <stdio.h>
#include <stdlib.h>

#include "common/arena.h"
#include "common/file.h"
#include "common/text.h"
#include "deploy/args.h"
#include "deploy/commands.h"
#include "deploy/evaluator.h"
#include "deploy/player.h"
#include "deploy/program.h"
#include "deploy/run.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

static void print_json(const struct evaluation *e, const double *returns)
{
    printf("{\"episodes\":%d,\"mean\":%.9g,\"std\":%.9g,\"min\":%.9g,\"max\":%.9g,\"returns\":[",
           e->episodes, e->mean, e->std, e->min, e->max);
    for (int i = 0; i < e->episodes; i++)
        printf("%s%.9g", i ? "," : "", returns[i]);
    printf("]}\n");
}

static int evaluate(const char *run, bool best, int episodes, uint64_t seed, bool json,
                    struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    struct experiment e = { 0 };
    struct env_model *model = NULL;
    struct evaluator *evaluator = NULL;
    struct policy_shape shape;
    struct evaluation result;
    float *params = NULL;
    double *returns = memory_alloc((size_t)episodes, sizeof(*returns));
    run_config_path(run, path, sizeof(path));
    int rc = file_exists(path) ? experiment_load(&e, path, NULL, 0, err)
           : error_set(err, ERR_MISSING, "%s holds no run: there is no %s", run, path);
    if (rc == 0)
        rc = env_open(&model, &e.env, err);
    if (rc == 0)
        rc = run_load_policy(run, best, env_spec(model), &shape, &params, err);
    if (rc == 0 && run_environment_differs(run, best, env_spec(model)))
        fprintf(stderr, "shoal: note: %s is not the environment this run was trained in: its files, "
                "options or bounds have changed since\n", e.env_name);
    if (rc == 0) {
        evaluator = evaluator_create(model, &shape, episodes);
        rc = evaluator_play(evaluator, params, seed, 0, &result, returns, program_stop_requests);
        if (rc != 0)
            error_set(err, rc, "interrupted");
    }
    if (rc == 0 && json)
        print_json(&result, returns);
    else if (rc == 0)
        printf("%s, %s policy: mean %.2f, std %.2f, min %.2f, max %.2f over %d episode%s "
               "(mean length %.1f)\n", e.settings.env.name,
               best ? "best" : "last", result.mean, result.std, result.min,
               result.max, result.episodes, text_plural(result.episodes), result.length_mean);
    evaluator_destroy(&evaluator);
    env_close(&model);
    experiment_fini(&e);
    free(params);
    free(returns);
    return rc;
}

int command_eval(int argc, char **argv, struct error *err)
{
    const char *episodes_text = "20", *seed_text = "0", *env_path = NULL;
    bool wants_help, best = false, json = false;
    const struct flag flags[] = {
        { "--episodes", "N", &episodes_text, NULL, "episodes to play (default 20)" },
        { "--seed", "S", &seed_text, NULL, "which starts (default 0)" },
        { "--best", NULL, NULL, &best, "the best evaluated policy instead of the last" },
        { "--json", NULL, NULL, &json, "print one JSON object" },
        ENV_PATH_FLAG(env_path),
    };
    const struct command command = {
        "eval", "RUN [flags]", NULL,
        "Play a run's policy, its mean action or most probable choice, and print the undiscounted returns.",
        "shoal eval runs/inverted_pendulum-1-20260101-120000 --episodes 100 --best", flags,
        COUNT(flags)
    };
    long long episodes = 0, seed = 0;
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    if (n != 1)
        return error_set(err, ERR_USAGE, "shoal eval needs one run directory; see shoal eval "
                         "--help");
    program_catch_signals();
    int rc = use_env_path(env_path, err);
    if (rc == 0)
        rc = args_int("--episodes", episodes_text, 1, 100000, &episodes, err);
    if (rc == 0)
        rc = args_int("--seed", seed_text, 0, INT64_MAX, &seed, err);
    return rc == 0 ? evaluate(argv[0], best, (int)episodes, (uint64_t)seed, json, err) : rc;
}

int command_evaluator(int argc, char **argv, struct error *err)
{
    const char *fd_text = NULL;
    bool wants_help;
    const struct flag flags[] = {
        { "--fd", "FD", &fd_text, NULL, NULL },
    };
    const struct command command = {
        "evaluator", "", NULL, "Plays evaluations for the learner that started it.",
        "shoal eval --help", flags, COUNT(flags)
    };
    long long fd = -1;
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    if (!fd_text)
        return error_set(err, ERR_USAGE, "shoal evaluator is started by the learner; to play a run's "
                         "policy, see shoal eval --help");
    int rc = args_int("--fd", fd_text, 0, 1 << 20, &fd, err);
    return rc == 0 ? player_serve((int)fd, err) : rc;
}

int command_config(int argc, char **argv, struct error *err)
{
    const char *env_path = NULL;
    bool wants_help, plain = false;
    const struct flag flags[] = {
        { "--plain", NULL, NULL, &plain, "without comments" },
        ENV_PATH_FLAG(env_path),
    };
    const struct command command = {
        "config", "CONFIG [key=value ...]", NULL,
        "Print the resolved configuration: every option with its value, range and default.",
        "shoal config configs/sac/inverted_pendulum.yaml actors=8", flags, COUNT(flags)
    };
    struct experiment e = { 0 };
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    if (n == 0)
        return error_set(err, ERR_USAGE, "shoal config needs a configuration file; see shoal "
                         "config --help");
    int rc = use_env_path(env_path, err);
    if (rc == 0)
        rc = experiment_load(&e, argv[0], argv + 1, n - 1, err);
    if (rc == 0)
        experiment_print(&e, !plain, stdout);
    experiment_fini(&e);
    return rc;
}
