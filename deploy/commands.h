/* The subcommands. Each gets its own arguments and returns an exit status or a negative code. */
#ifndef SHOAL_DEPLOY_COMMANDS_H
#define SHOAL_DEPLOY_COMMANDS_H

#include "common/error.h"

int command_train(int argc, char **argv, struct error *err);
int command_learner(int argc, char **argv, struct error *err);
int command_actor(int argc, char **argv, struct error *err);
int command_eval(int argc, char **argv, struct error *err);
int command_rollout(int argc, char **argv, struct error *err);
int command_envs(int argc, char **argv, struct error *err);
int command_bench(int argc, char **argv, struct error *err);
int command_rerun(int argc, char **argv, struct error *err);
int command_render(int argc, char **argv, struct error *err);
int command_config(int argc, char **argv, struct error *err);
int command_simulate(int argc, char **argv, struct error *err);

/* A row of a command's flags; its value goes to use_env_path before an environment is named. */
#define ENV_PATH_FLAG(variable) \
    { "--env-path", "DIRS", &(variable), NULL, \
      "directories with tasks (.yaml) and plug-ins (lib*.so), ':' between them" }

/* Put the directories on the environment path; NULL: none. ERR_MISSING when one is not there. */
int use_env_path(const char *directories, struct error *err);

/* Plays evaluations for the learner that started it; people do not call it. */
int command_evaluator(int argc, char **argv, struct error *err);

/* What stands behind the subject of `command` must be env.option=value; otherwise ERR_USAGE. */
int check_env_overrides(const char *command, char *const *overrides, int n, struct error *err);

#endif
