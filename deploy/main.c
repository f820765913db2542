/* shoal: one program, a subcommand for every part it can play. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "common/option.h"
#include "deploy/commands.h"

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv, struct error *err);
} commands[] = {
    { "train", "learner and actors on this machine", command_train },
    { "learner", "the learner alone", command_learner },
    { "actor", "one actor process", command_actor },
    { "eval", "play a run's policy and print its returns", command_eval },
    { "rollout", "play an environment or a run and write the transitions to a file", command_rollout },
    { "envs", "the environments there are, and their options", command_envs },
    { "render", "a video of an environment or of a run's policy", command_render },
    { "rerun", "repeat a run from its recorded schedule", command_rerun },
    { "config", "print a resolved configuration", command_config },
    { "simulate", "a training under virtual time, with up to 10000 actors and with faults", command_simulate },
    { "bench", "how fast this machine does what a training is made of", command_bench },
    { "evaluator", NULL, command_evaluator },    /* between our own processes */
};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static void help(FILE *out)
{
    fprintf(out, "shoal %s: distributed actor-learner reinforcement learning\n\n"
            "usage: shoal COMMAND [arguments]\n\n", SHOAL_VERSION);
    for (int i = 0; i < N_COMMANDS; i++)
        if (commands[i].summary)
            fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\nexample:\n  shoal train configs/sac/inverted_pendulum.yaml\n\n"
            "shoal COMMAND --help says more.\n");
}

static int unknown_command(const char *name)
{
    const char *names[N_COMMANDS];
    int n = 0;
    for (int i = 0; i < N_COMMANDS; i++)
        if (commands[i].summary)
            names[n++] = commands[i].name;
    const char *near = nearest_word(name, names, n);
    fprintf(stderr, "shoal: unknown command \"%s\"", name);
    if (near)
        fprintf(stderr, "; did you mean \"%s\"?\n", near);
    else
        fprintf(stderr, "; see shoal --help\n");
    return error_exit_status(ERR_USAGE);
}

int main(int argc, char **argv)
{
    struct error err = { 0 };
    if (argc < 2) {
        help(stderr);
        return error_exit_status(ERR_USAGE);
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("shoal %s\n", SHOAL_VERSION);
        return 0;
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) != 0)
            continue;
        int rc = commands[i].run(argc - 2, argv + 2, &err);
        if (rc == 0 && (fflush(stdout) != 0 || ferror(stdout)))
            rc = error_set(&err, ERR_IO, "standard output could not be written");
        if (rc >= 0)
            return rc;
        /* Errors about arguments name the command themselves. */
        bool is_named = strncmp(err.text, "shoal ", strlen("shoal ")) == 0;
        fprintf(stderr, "%s%s\n", is_named ? "" : "shoal: ",
                err.text[0] ? err.text : error_text(rc));
        return error_exit_status(rc);
    }
    return unknown_command(argv[1]);
}
