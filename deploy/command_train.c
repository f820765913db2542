/* shoal train, learner and actor: the three ways to take part in a training. */
#include <stdio.h>
#include <string.h>

#include "actor/env.h"
#include "common/matrix.h"
#include "deploy/actor.h"
#include "deploy/args.h"
#include "deploy/commands.h"
#include "deploy/learner.h"
#include "deploy/program.h"
#include "deploy/run.h"
#include "deploy/supervisor.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

/* CONFIG and overrides, or the configuration of the run to go on with. */
static int load(struct experiment *e, const char *command, int n, char **rest, const char *resume,
                struct error *err)
{
    char path[RUN_PATH_BYTES + 64];
    if (resume) {
        if (n > 0)
            return error_set(err, ERR_USAGE, "shoal %s --resume goes on with the run's own "
                             "configuration; \"%s\" cannot be given with it", command, rest[0]);
        run_config_path(resume, path, sizeof(path));
        if (!run_exists(resume))
            return error_set(err, ERR_MISSING, "%s holds no run: there is no %s", resume, path);
        return experiment_load(e, path, NULL, 0, err);
    }
    if (n == 0)
        return error_set(err, ERR_USAGE, "shoal %s needs a configuration, for example: shoal %s "
                         "configs/sac/inverted_pendulum.yaml", command, command);
    if (strchr(rest[0], '='))
        return error_set(err, ERR_USAGE, "shoal %s: the configuration file comes before overrides "
                         "such as \"%s\"", command, rest[0]);
    return experiment_load(e, rest[0], rest + 1, n - 1, err);
}

/* Say early and once what every child would stumble over. */
static int check_environment(struct experiment *e, struct error *err)
{
    struct env_model *model = NULL;
    int rc = env_open(&model, &e->env, err);
    if (rc == 0)
        rc = experiment_bind(e, env_spec(model), err);
    env_close(&model);
    return rc;
}

int command_train(int argc, char **argv, struct error *err)
{
    const char *run = NULL, *resume = NULL, *env_path = NULL;
    bool wants_help;
    const struct flag flags[] = {
        { "--run", "DIR", &run, NULL, "run directory (default runs/<config>-<seed>-<date>)" },
        { "--resume", "DIR", &resume, NULL, "go on with an interrupted run" },
        ENV_PATH_FLAG(env_path),
    };
    const struct command command = {
        "train", "CONFIG [key=value ...] [flags]", NULL,
        "Train: a learner and the configured number of actors on this machine, supervised, with\n"
        "progress. Ctrl-C stops cleanly with a checkpoint; once more stops at once.\n"
        "\n"
        "mode says who waits for whom:\n"
        "  sync        rounds: actors wait for what the last round gave; repeats bit for bit\n"
        "  pipelined   rounds: collected while the one before is learnt from, data one round old;\n"
        "              repeats bit for bit\n"
        "  async       nobody waits; data as old as it comes (learner.max_staleness bounds it);\n"
        "              repeated by `shoal rerun`\n"
        "  gradients   as async, but actors send gradients of their own data (A3C); for a2c and ppo",
        "shoal train configs/sac/inverted_pendulum.yaml seed=2 actors=4 mode=sync", flags, COUNT(flags)
    };
    char path[RUN_PATH_BYTES];
    struct experiment e = { 0 };
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    int rc = use_env_path(env_path, err);
    if (rc == 0)
        rc = load(&e, "train", n, argv, resume, err);
    if (rc == 0)
        rc = check_environment(&e, err);
    if (rc == 0) {
        if (resume || run)
            snprintf(path, sizeof(path), "%s", resume ? resume : run);
        else
            run_default_path(argv[0], e.settings.top.seed, path, sizeof(path));
        const struct supervisor_options options = {
            .config = n > 0 ? argv[0] : NULL, .overrides = argv + 1,
            .n_overrides = n > 0 ? n - 1 : 0, .run = path, .resume = resume != NULL,
            .n_actors = (int)e.settings.top.actors,
        };
        rc = supervisor_run(&options, err);
    }
    experiment_fini(&e);
    return rc;
}

int command_learner(int argc, char **argv, struct error *err)
{
    const char *run = NULL, *resume = NULL, *bind = "tcp://127.0.0.1:5555", *report = NULL;
    const char *port_text = "0", *env_path = NULL;
    bool wants_help, insecure = false;
    const struct flag flags[] = {
        { "--bind", "ENDPOINT", &bind, NULL, "where to listen (default tcp://127.0.0.1:5555; port "
                                             "* for any; ipc:///path)" },
        { "--snapshot-port", "PORT", &port_text, NULL, "TCP port for parameters (default: any)" },
        { "--insecure", NULL, NULL, &insecure, "allow an address other than loopback, without "
                                               "authentication or encryption" },
        { "--run", "DIR", &run, NULL, "run directory (default runs/<config>-<seed>-<date>)" },
        { "--resume", "DIR", &resume, NULL, "go on with an interrupted run" },
        ENV_PATH_FLAG(env_path),
        { "--report-fd", "FD", &report, NULL, NULL },
    };
    const struct command command = {
        "learner", "CONFIG [key=value ...] [flags]", NULL,
        "Run the learner alone; actors connect to it with `shoal actor`.",
        "shoal learner configs/sac/inverted_pendulum.yaml actors=3 --bind tcp://127.0.0.1:5555",
        flags, COUNT(flags)
    };
    char path[RUN_PATH_BYTES];
    long long port = 0, report_fd = -1;
    struct experiment e = { 0 };
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    program_catch_signals();
    int rc = use_env_path(env_path, err);
    if (rc == 0)
        rc = args_int("--snapshot-port", port_text, 0, 65535, &port, err);
    if (rc == 0 && report)
        rc = args_int("--report-fd", report, 0, 1 << 20, &report_fd, err);
    if (rc == 0)
        rc = load(&e, "learner", n, argv, resume, err);
    if (rc == 0) {
        if (resume || run)
            snprintf(path, sizeof(path), "%s", resume ? resume : run);
        else
            run_default_path(argv[0], e.settings.top.seed, path, sizeof(path));
        const struct learner_options options = {
            .experiment = &e, .run = path, .resume = resume != NULL, .bind = bind,
            .snapshot_port = (int)port, .allow_remote = insecure, .report_fd = (int)report_fd,
        };
        rc = learner_run(&options, err);
    }
    experiment_fini(&e);
    return rc;
}

static bool is_actor_name(const char *name)
{
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return n > 0 && n < 64 && name[n] == '\0' && name[0] != '.';
}

int command_actor(int argc, char **argv, struct error *err)
{
    const char *learner = NULL, *name = NULL, *delay = NULL, *env_path = NULL, *notes = NULL;
    bool wants_help, supervised = false;
    const struct flag flags[] = {
        { "--learner", "ENDPOINT", &learner, NULL, "where the learner listens" },
        { "--name", "NAME", &name, NULL, "how the learner calls it (default <host>-<pid>); a new "
                                         "actor of a name replaces the old one" },
        { "--delay-ms", "MS", &delay, NULL, "sleep up to so long before steps, at random (to try "
                                            "out slow actors)" },
        ENV_PATH_FLAG(env_path),
        { "--supervised", NULL, NULL, &supervised, NULL },
        { "--notes-fd", "FD", &notes, NULL, NULL },
    };
    const struct command command = {
        "actor", "--learner ENDPOINT [flags]", NULL,
        "Run one actor; everything else comes from the learner. It may start first, and waits.",
        "shoal actor --learner tcp://127.0.0.1:5555", flags, COUNT(flags)
    };
    int n = args_parse(&command, argc, argv, &wants_help, err);
    if (n < 0 || wants_help)
        return n < 0 ? n : 0;
    if (n > 0)
        return error_set(err, ERR_USAGE, "shoal actor: \"%s\" is not expected; the configuration "
                         "comes from the learner", argv[0]);
    if (!learner)
        return error_set(err, ERR_USAGE, "shoal actor needs --learner ENDPOINT, for example: shoal "
                         "actor --learner tcp://127.0.0.1:5555");
    if (name && !is_actor_name(name))
        return error_set(err, ERR_USAGE, "--name: expected 1 to 63 letters, digits, '.', '_' or '-', not "
                         "beginning with '.', found \"%.80s\"", name);
    struct actor_options options = { .learner = learner, .name = name, .is_quiet = supervised,
                                     .notes_fd = -1 };
    long long notes_fd = -1;
    int rc = use_env_path(env_path, err);
    if (rc == 0 && notes)
        rc = args_int("--notes-fd", notes, 0, 1 << 20, &notes_fd, err);
    if (rc == 0 && delay)
        rc = args_real("--delay-ms", delay, 0, 10000, &options.delay_ms, err);
    if (rc != 0)
        return rc;
    options.notes_fd = (int)notes_fd;
    program_catch_signals();
    matrix_setup();
    return actor_run(&options, err);
}
