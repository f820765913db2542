/* shoal simulate: a training under virtual time. */
#include <stdio.h>
#include <string.h>

#include "deploy/args.h"
#include "deploy/commands.h"
#include "deploy/experiment.h"
#include "deploy/program.h"
#include "deploy/run.h"
#include "deploy/simulation_run.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

static int check_arguments(int n, char **rest, const char *resume, struct error *err)
{
    if (resume)
        return error_set(err, ERR_USAGE, "shoal simulate: --resume is not possible: what is under way between "
                         "actors and learner is in no checkpoint; begin again in another --run");
    if (n == 0)
        return error_set(err, ERR_USAGE, "shoal simulate needs a configuration, for example: shoal simulate "
                         "configs/ppo/cartpole.yaml actors=1000");
    if (strchr(rest[0], '='))
        return error_set(err, ERR_USAGE, "shoal simulate: the configuration file comes before overrides such as "
                         "\"%s\"", rest[0]);
    return 0;
}

int command_simulate(int argc, char **argv, struct error *err)
{
    const char *run = NULL, *resume = NULL, *env_path = NULL;
    bool wants_help;
    const struct flag flags[] = {
        { "--run", "DIR", &run, NULL, "run directory (default runs/<config>-<seed>-<date>)" },
        { "--resume", "DIR", &resume, NULL, NULL },
        ENV_PATH_FLAG(env_path),
    };
    const struct command command = {
        "simulate", "CONFIG [key=value ...] [flags]", NULL,
        "Train with up to 10000 actors in one process under virtual time: what actors and learner do is real, how\n"
        "long it takes and what goes wrong is drawn as section `simulate` says (shoal config CONFIG shows it): slow\n"
        "actors, delays, lost messages, failures, staleness. Repeated, it gives the same bits; in modes sync and\n"
        "pipelined those of shoal train. Times in the run directory are virtual.",
        "shoal simulate configs/ppo/half_cheetah.yaml actors=1000 actor.horizon=16 simulate.step_us='lognormal 50 0.5' \\\n"
        "      simulate.fail_s='uniform 1 100'", flags, COUNT(flags)
    };
    char path[RUN_PATH_BYTES];
    struct experiment e = { 0 };
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    program_catch_signals();
    int rc = check_arguments(n, argv, resume, err);
    if (rc == 0)
        rc = use_env_path(env_path, err);
    if (rc != 0)
        return rc;
    rc = experiment_load(&e, argv[0], argv + 1, n - 1, err);
    if (rc == 0) {
        if (run)
            snprintf(path, sizeof(path), "%s", run);
        else
            run_default_path(argv[0], e.settings.top.seed, path, sizeof(path));
        rc = simulation_run(&(struct simulation_options){ .experiment = &e, .run = path }, err);
    }
    experiment_fini(&e);
    return rc;
}
